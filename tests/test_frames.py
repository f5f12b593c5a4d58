"""FASM to frames, on a database of a few lines and by the program that the bitstream's folder holds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boards import frames
from boards.frames import Database, Fault

PART = "xc7z020clg400-1"
SEGBITS = {
    "segbits_clb.db": "CLB.LUT.INIT[00] 02_33\nCLB.LUT.INIT[01] 02_32\nCLB.LUT.INIT[02] 03_63\nCLB.LUT.INIT[03] 03_00\n"
    "CLB.MUX.A 00_01 !00_02 01_63\nCLB.MUX.B !00_01 00_02\nCLB.CLOCK 01_00\n",
    "ppips_clb.db": "CLB.IN.OUT always\n",
    "segbits_bram.db": "BRAM.USED 00_00\n",
    "segbits_bram.block_ram.db": "BRAM.INIT_00[000] 05_07\n",
}
CLB = {"CLB_IO_CLK": {"baseaddr": "0x00000100", "frames": 4, "offset": 2, "words": 2}}
BRAM = {
    "CLB_IO_CLK": {"baseaddr": "0x00000200", "frames": 4, "offset": 0, "words": 10},
    "BLOCK_RAM": {"baseaddr": "0x00800000", "frames": 128, "offset": 10, "words": 10},
}
GRID = {
    "CLB_X0Y0": {"type": "CLB", "bits": CLB},
    "CLB_X9Y9": {"type": "CLB", "bits": {}},
    "BRAM_X1Y0": {"type": "BRAM", "bits": BRAM},
}
OFFSET = 2 * 32  # of the tile CLB_X0Y0, in bits


def make_database(folder: Path) -> Path:
    """As prjxray-db/zynq7: one tile of logic, one of memory, and one that no frame holds."""
    for name, content in {
        **SEGBITS, "xc7z020/tilegrid.json": json.dumps(GRID), f"{PART}/part.yaml": "",
        "xc7z020clg484-1/required_features.fasm": "CLB_X0Y0.CLOCK\n",
    }.items():  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> Database:
    return Database(make_database(tmp_path_factory.mktemp("db")), PART)


def made(database: Database, *lines: str) -> dict[int, int]:
    return frames.frames(lines, database)


def test_every_bit_of_a_feature_lands_in_its_frame_and_word(database: Database) -> None:
    assert made(database, "CLB_X0Y0.MUX.A") == {0x100: 1 << OFFSET + 1, 0x101: 1 << OFFSET + 63}


def test_negated_bits_stay_clear(database: Database) -> None:
    assert made(database, "CLB_X0Y0.MUX.B") == {0x100: 1 << OFFSET + 2}


@given(st.integers(0, 15))
def test_a_value_sets_the_bits_of_its_ones(database: Database, init: int) -> None:
    places = [(0x102, 33), (0x102, 32), (0x103, 63), (0x103, 0)]
    expected: dict[int, int] = {}
    for frame, place in (p for k, p in enumerate(places) if init >> k & 1):
        expected[frame] = expected.get(frame, 0) | 1 << OFFSET + place
    assert made(database, f"CLB_X0Y0.LUT.INIT[3:0] = 4'b{init:04b}") == expected
    assert made(database, *(f"CLB_X0Y0.LUT.INIT[{k}] = {init >> k & 1}" for k in range(4))) == expected


def test_memory_has_frames_of_its_own(database: Database) -> None:
    assert made(database, "BRAM_X1Y0.USED", "BRAM_X1Y0.INIT_00[0]") == {0x200: 1, 0x800005: 1 << 10 * 32 + 7}


def test_wires_and_comments_have_no_bits(database: Database) -> None:
    assert made(database, "# routing for net a[0] = b", "", "CLB_X0Y0.IN.OUT", "CLB_X9Y9.IN.OUT  # a wire") == {}


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["CLB_X0Y0.MUX.C"], "CLB_X0Y0.MUX.C: the database knows no MUX.C of a tile CLB"),
        (["CLB_X0Y0.LUT.INIT[4]"], "the database knows no LUT.INIT[4] of a tile CLB"),
        (["CLB_X5Y5.CLOCK"], "xc7z020 has no tile CLB_X5Y5"),
        (["CLB_X9Y9.CLOCK"], "no frames of tile CLB_X9Y9"),
        (["CLB_X0Y0.LUT.INIT[1:0] = 3'b111"], "more bits than [1:0]"),
        (["CLB_X0Y0.LUT.INIT[1:0] == 3"], "this is no FASM"),
        (["CLB_X0Y0.MUX.A", "CLB_X0Y0.MUX.B"], "CLB_X0Y0.MUX.B and CLB_X0Y0.MUX.A do not go together"),
    ],
)
def test_what_the_database_does_not_know_is_told_by_name(database: Database, lines: list[str], told: str) -> None:
    with pytest.raises(Fault) as caught:
        made(database, *lines)
    assert told in str(caught.value)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As the shell script does: the text alone, in a folder without the package."""
    (folder / "frames.py").write_text(Path(frames.__file__).read_text())
    command = [sys.executable, "-I", "frames.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_the_program_writes_a_line_of_101_words_for_each_frame(tmp_path: Path) -> None:
    make_database(tmp_path / "db")
    (tmp_path / "top.fasm").write_text("CLB_X0Y0.MUX.A\n")
    assert run(tmp_path, "db", PART, "top.fasm", "top.frames").returncode == 0
    lines = [line.split(" ") for line in (tmp_path / "top.frames").read_text().splitlines()]
    words = {address: rest.split(",") for address, rest in lines}
    assert {len(row) for row in words.values()} == {101}
    # Bit 0 of the second frame is of the feature that every design for this die has.
    assert [(a, k, word) for a, row in words.items() for k, word in enumerate(row) if int(word, 16)] == [
        ("0x00000100", 2, "0x00000002"), ("0x00000101", 2, "0x00000001"), ("0x00000101", 3, "0x80000000"),
    ]  # fmt: skip


def test_the_program_tells_a_fault_in_one_line(tmp_path: Path) -> None:
    make_database(tmp_path / "db")
    (tmp_path / "top.fasm").write_text("CLB_X0Y0.MUX.C\n")
    for part, told in ((PART, "knows no MUX.C"), ("xc7z010clg400-1", "no tilegrid.json of the die of xc7z010")):
        done = run(tmp_path, "db", part, "top.fasm", "top.frames")
        assert done.returncode == 1 and done.stdout.startswith("ERROR: ") and told in done.stdout
        assert done.stdout.count("\n") == 1 and not done.stderr and not (tmp_path / "top.frames").exists()
