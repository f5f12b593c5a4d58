"""The container of a Xilinx bitstream: a header of tagged fields, then the configuration words."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from codesign.errors import UserError

_PREAMBLE = bytes.fromhex("0ff00ff00ff00ff000")
_SYNC = bytes.fromhex("aa995566")
_DATA = b"e"


@dataclass(frozen=True)
class Bitfile:
    """`design`: name and options as the tool wrote them; `part`: as in 7z020clg400; `words`: big-endian, in order."""

    design: str
    part: str
    words: bytes

    @classmethod
    def parse(cls, content: bytes) -> Bitfile:
        """UserError where the content is no complete bitstream."""
        fields, data = _fields(content)
        if len(data) % 4 or _SYNC not in data:
            raise UserError("not a bitstream: its data has no synchronization word, or ends in the middle of one")
        return cls(fields.get("a", ""), fields.get("b", ""), data)

    def to_bin(self) -> bytes:
        """What Linux' fpga_manager takes: the words alone, each with its least significant byte first."""
        count = len(self.words) // 4
        return struct.pack(f"<{count}I", *struct.unpack(f">{count}I", self.words))


def _fields(content: bytes) -> tuple[dict[str, str], bytes]:
    """Texts by tag, and the data behind tag `e`."""
    try:
        (first,) = struct.unpack_from(">H", content)
        at = 2 + first + 2
        if content[2 : 2 + first] != _PREAMBLE:
            raise UserError("not a bitstream: it does not start as a .bit file does")
        fields: dict[str, str] = {}
        while (tag := content[at : at + 1]) != _DATA:
            (length,) = struct.unpack_from(">H", content, at + 1)
            fields[tag.decode("latin-1")] = content[at + 3 : at + 3 + length].rstrip(b"\0").decode("latin-1")
            at += 3 + length
        (length,) = struct.unpack_from(">I", content, at + 1)
    except struct.error:
        raise UserError("not a bitstream: its header ends early") from None
    if len(content) != at + 5 + length:
        raise UserError(f"a bitstream of {length} bytes of data with {len(content) - at - 5} in the file: cut off?")
    return fields, content[at + 5 :]
