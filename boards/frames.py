"""FASM and Project X-Ray's database -> the frames that xc7frames2bit reads. A program of its own: Python 3.9 alone.

    python3 frames.py DATABASE PART FASM FRAMES

For chips without pins, as ours are: what `fasm2frames` adds for banks of pins (STEPDOWN of the unused, tiles at a
bank's edge) is not here. Frames without a bit are left out: xc7frames2bit fills them in, and computes the ECC.
"""

from __future__ import annotations

import json
import re
import struct
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

FRAME_WORDS, WORD_BITS = 101, 32
Bit = tuple[int, int, bool]  # frame's address, place in the frame, and whether it is 1
# By the configuration bus, as tilegrid.json names it.
_SEGBITS = {"CLB_IO_CLK": "segbits_{}.db", "BLOCK_RAM": "segbits_{}.block_ram.db"}
# Values are 0, 1 or such as 64'b0110, which is all that nextpnr writes.
_ADDRESSED = re.compile(r"([\w.]+)(?:\[(\d+)(?::(\d+))?\])?(?:\s*=\s*(?:\d+'b)?([01]+))?")


class Fault(Exception):
    """What is wrong with the FASM or the database, in one line."""


class Database:
    """Project X-Ray's folder of a family (prjxray-db/zynq7), for one part."""

    def __init__(self, folder: Path, part: str) -> None:
        grids = [p for p in folder.glob("*/tilegrid.json") if part.startswith(p.parent.name)]
        if not grids:
            raise Fault(f"{folder} has no tilegrid.json of the die of {part}")
        self._folder, self._die, self._tiles = folder, grids[0].parent.name, json.loads(grids[0].read_text())
        self._known: dict[str, dict[str, list[tuple[str, int, int, bool]]]] = {}

    def required(self) -> list[str]:
        """FASM of what every design has: of the die, but kept with only one of its packages."""
        files = sorted(self._folder.glob(f"{self._die}*/required_features.fasm"))
        return [line for file in files for line in file.read_text().splitlines()]

    def bits(self, name: str) -> Iterator[Bit]:
        """Of a feature, `TILE.FEATURE` or `TILE.FEATURE[3]`; a bit that is 0 must be 1 for no other feature."""
        tile, _, feature = name.partition(".")
        grid = self._tiles.get(tile)
        if grid is None:
            raise Fault(f"{name}: {self._die} has no tile {tile}")
        known = self._features(grid["type"]).get(feature)
        if known is None:
            raise Fault(f"{name}: the database knows no {feature} of a tile {grid['type']}")
        for bus, column, place, is_one in known:
            block = grid["bits"].get(bus)
            if block is None:
                raise Fault(f"{name}: the database has no frames of tile {tile}")
            yield int(block["baseaddr"], 16) + column, block["offset"] * WORD_BITS + place, is_one

    def _features(self, kind: str) -> dict[str, list[tuple[str, int, int, bool]]]:
        """Bits of the features of a type of tile, within a tile: bus, frame, place."""
        if kind not in self._known:
            self._known[kind] = {
                feature: [(bus, *_bit(word)) for word in words]
                for bus, name in _SEGBITS.items()
                for feature, words in self._lines(name.format(kind.lower()))
            }
            # Wires that are joined for good, or when nothing else is: they have names, and no bits.
            self._known[kind].update({f: [] for f, _ in self._lines(f"ppips_{kind.lower()}.db")})
        return self._known[kind]

    def _lines(self, name: str) -> Iterator[tuple[str, list[str]]]:
        """Feature, without its tile's type, and the words behind it; nothing where there is no such file."""
        path = self._folder / name
        for line in path.read_text().splitlines() if path.is_file() else []:
            feature, *words = line.split()
            yield _single(feature.partition(".")[2]), words


def features(line: str) -> list[str]:
    """The single features that a line of FASM switches on; those that it sets to 0 are off anyhow."""
    text = line.partition("#")[0].strip()
    if "[" not in text and "=" not in text:  # most are
        return [text] if text else []
    found = _ADDRESSED.fullmatch(text)
    if not found:
        raise Fault(f"this is no FASM as nextpnr writes it: {text}")
    name, high, low = found[1], int(found[2] or 0), int(found[3] or found[2] or 0)
    value = int(found[4] or "1", 2)
    if value >> (high - low + 1):
        raise Fault(f"the value has more bits than [{high}:{low}]: {text}")
    return [_single(f"{name}[{low + k}]") for k in range(high - low + 1) if value >> k & 1]


def frames(lines: Sequence[str], database: Database) -> dict[int, int]:
    """Frames by address, each a number of 3232 bits; Fault where one feature wants a bit that another wants clear."""
    wanted: dict[bool, dict[int, int]] = {True: defaultdict(int), False: defaultdict(int)}
    for name in _all(lines):
        for frame, place, is_one in database.bits(name):
            wanted[is_one][frame] |= 1 << place
    for frame, ones in wanted[True].items():
        both = ones & wanted[False].get(frame, 0)
        if both:
            raise Fault(_quarrel(lines, database, frame, both.bit_length() - 1))
    return wanted[True]


def text(made: dict[int, int]) -> str:
    """Frames as xc7frames2bit reads them: a line each, its address and 101 words."""
    return "".join(f"0x{address:08X} {','.join(_words(made[address]))}\n" for address in sorted(made))


def _words(frame: int) -> Iterable[str]:
    content = frame.to_bytes(FRAME_WORDS * WORD_BITS // 8, "little")
    return (f"0x{word:08X}" for word in struct.unpack(f"<{FRAME_WORDS}I", content))


def _all(lines: Sequence[str]) -> Iterator[str]:
    return (name for line in lines for name in features(line))


def _quarrel(lines: Sequence[str], database: Database, frame: int, place: int) -> str:
    wants = {want: name for name in _all(lines) for f, p, want in database.bits(name) if (f, p) == (frame, place)}
    return f"{wants[True]} and {wants[False]} do not go together: one sets a bit that the other clears"


def _single(feature: str) -> str:
    """One name for a feature of one bit: `A[007]` is `A[7]`, `A[0]` is `A`."""
    name, bracket, index = feature.partition("[")
    number = int(index[:-1]) if bracket else 0
    return f"{name}[{number}]" if number else name


def _bit(word: str) -> tuple[int, int, bool]:
    """Frame and place in a tile of `30_04`, or of `!30_04`, which is 0."""
    column, _, place = word.lstrip("!").partition("_")
    return int(column), int(place), not word.startswith("!")


def main(arguments: Sequence[str]) -> int:
    folder, part, fasm, written = arguments
    try:
        database = Database(Path(folder), part)
        made = frames([*Path(fasm).read_text().splitlines(), *database.required()], database)
    except Fault as e:
        print(f"ERROR: {e}")
        return 1
    Path(written).write_text(text(made))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
