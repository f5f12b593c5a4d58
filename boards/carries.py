"""Yosys' netlist -> the same for nextpnr: carry chains with LUTs of their own. A program of its own: Python 3.9 alone.

    python3 carries.py NETLIST

In a 7-series slice each place of a carry chain has a LUT6, of which one half drives the select, and the other may drive
the data. nextpnr 0.11 packs a LUT there only where the chain alone reads it, and both halves have five inputs at most
between them; else one more LUT goes before the chain, a level and often a site; so it does where nothing reads a place.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Union

Bit = Union[int, str]  # a net's number, or a constant; Python 3.9 knows no `int | str` here  # noqa: UP007
Pin = tuple[str, str, int]  # cell, port and place in it
PLACES = range(4)
_LUT = re.compile(r"LUT[1-6]|INV")
_SHARED_INPUTS = 5  # of the two halves of a LUT6


class Netlist:
    """A module in Yosys' JSON, with who drives and who reads each net; cells are changed in place."""

    def __init__(self, module: dict[str, Any]) -> None:
        self.cells: dict[str, Any] = module["cells"]
        self._drivers: dict[Bit, str] = {}
        self._readers: dict[Bit, set[Pin]] = defaultdict(set)
        for name in self.cells:
            self._note(name)
        for name, port in module["ports"].items():
            for place, bit in enumerate(port["bits"]):
                self._readers[bit].add(("", name, place))  # a pin of the module, which stays where it is
        self._free = 1 + max((bit for bit in [*self._drivers, *self._readers] if isinstance(bit, int)), default=1)

    def _note(self, name: str) -> None:
        cell = self.cells[name]
        for port, bits in cell["connections"].items():
            for place, bit in enumerate(bits):
                if cell["port_directions"][port] == "output":
                    self._drivers[bit] = name
                else:
                    self._readers[bit].add((name, port, place))

    def at(self, pin: Pin) -> Bit:
        name, port, place = pin
        return self.cells[name]["connections"][port][place]

    def readers(self, bit: Bit) -> set[Pin]:
        return self._readers[bit]

    def lut(self, bit: Bit) -> str:
        """The name of the LUT that drives a net; empty where something else does."""
        name = self._drivers.get(bit, "")
        return name if name and _LUT.fullmatch(self.cells[name]["type"]) else ""

    def inputs(self, lut: str) -> set[Bit]:
        pins = self.cells[lut]["connections"].items()
        return {bits[0] for port, bits in pins if port != "O"}

    def move(self, pin: Pin, bit: Bit) -> None:
        name, port, place = pin
        self._readers[self.at(pin)].discard(pin)
        self._readers[bit].add(pin)
        self.cells[name]["connections"][port][place] = bit

    def net(self) -> int:
        self._free += 1
        return self._free - 1

    def copied(self, lut: str) -> Bit:
        """The output of another LUT like this one."""
        of = self.cells[lut]
        inputs = {port: bits[0] for port, bits in of["connections"].items() if port != "O"}
        return self.add(of["type"], of["parameters"], inputs, self.net())

    def added(self, init: str, bit: Bit) -> Bit:
        """The output of a new LUT of one input."""
        return self.add("LUT1", {"INIT": init}, {"I0": bit}, self.net())

    def add(self, kind: str, parameters: dict[str, str], inputs: dict[str, Bit], output: Bit) -> Bit:
        """A new cell, whose one output is O; its output."""
        name = f"$carries${kind}${output}"
        self.cells[name] = {
            "hide_name": 1, "type": kind, "parameters": parameters, "attributes": {},
            "port_directions": {**dict.fromkeys(inputs, "input"), "O": "output"},
            "connections": {"O": [output], **{port: [bit] for port, bit in inputs.items()}},
        }  # fmt: skip
        self._note(name)
        return output

    def remove(self, name: str) -> None:
        for port, bits in self.cells.pop(name)["connections"].items():
            for place, bit in enumerate(bits):
                self._readers[bit].discard((name, port, place))


def prepared(module: dict[str, Any]) -> None:
    """Changes the module; what it computes stays."""
    netlist = Netlist(module)
    chains = [name for name, cell in netlist.cells.items() if cell["type"] == "CARRY4"]
    for chain in chains:
        _to_the_sum(netlist, chain)
    for pin in ((chain, "S", place) for chain in chains for place in PLACES):
        if netlist.lut(netlist.at(pin)) and len(netlist.readers(netlist.at(pin))) > 1:
            netlist.move(pin, netlist.copied(netlist.lut(netlist.at(pin))))
    for pin in ((chain, "DI", place) for chain in chains for place in PLACES):
        _data(netlist, pin)
    for chain in chains:
        _cut(netlist, chain)


def _to_the_sum(netlist: Netlist, chain: str) -> None:
    """The lowest sum of a chain without a carry in is the lowest select, with one its inverse: others read that."""
    pins = netlist.cells[chain]["connections"]
    select, inverse = (chain, "S", 0), pins["CYINIT"][0] == "1"
    bit = netlist.at(select)
    if not netlist.lut(bit) or pins["CI"][0] != "0" or pins["CYINIT"][0] not in ("0", "1") or "O" not in pins:
        return
    for reader in sorted(netlist.readers(bit) - {select}):
        kind = netlist.cells[reader[0]]["type"] if reader[0] else ""
        if inverse and kind.startswith("LUT"):
            netlist.cells[reader[0]] = _inverted(netlist.cells[reader[0]], reader[1])
            netlist.move(reader, pins["O"][0])
        elif not inverse and kind not in ("CARRY4", ""):
            netlist.move(reader, pins["O"][0])


def _inverted(lut: dict[str, Any], port: str) -> dict[str, Any]:
    """The LUT that gives the same from the inverse of an input."""
    init, mask = lut["parameters"]["INIT"], 1 << int(port[1:])
    turned = "".join(init[k ^ mask] for k in range(len(init)))  # its first digit is that of the highest address
    return {**lut, "parameters": {**lut["parameters"], "INIT": turned}}


def _data(netlist: Netlist, pin: Pin) -> None:
    """From a LUT that only the chain reads, where one goes beside that of the select."""
    chain, _, place = pin
    bit, select = netlist.at(pin), netlist.lut(netlist.at((chain, "S", place)))
    if not select:
        return
    beside, lut = netlist.inputs(select), netlist.lut(bit)
    if lut and len(netlist.readers(bit)) > 1 and len(beside | netlist.inputs(lut)) <= _SHARED_INPUTS:
        netlist.move(pin, netlist.copied(lut))
    elif len(beside) == _SHARED_INPUTS and bit in beside:
        netlist.move(pin, netlist.added("10", bit))
    elif len(beside) == _SHARED_INPUTS and isinstance(bit, str):
        netlist.move(pin, netlist.added("11" if bit == "1" else "00", min(beside, key=str)))


def _cut(netlist: Netlist, chain: str) -> None:
    """The end of a chain by single gates, MUXCY and XORCY, which nextpnr packs too, as far as anything is read."""
    pins = netlist.cells[chain]["connections"]
    sums, carries = (pins.get(port) or [netlist.net() for _ in PLACES] for port in ("O", "CO"))
    reads = [place for place in PLACES if netlist.readers(sums[place]) or netlist.readers(carries[place])]
    if reads and reads[-1] == PLACES[-1]:
        return
    netlist.remove(chain)
    carry = pins["CYINIT"][0] if pins["CI"][0] == "0" else pins["CI"][0]
    for place in range(reads[-1] + 1 if reads else 0):
        select, data = pins["S"][place], pins["DI"][place]
        netlist.add("MUXCY", {}, {"CI": carry, "DI": data, "S": select}, carries[place])
        netlist.add("XORCY", {}, {"CI": carry, "LI": select}, sums[place])
        carry = carries[place]


def main(arguments: Sequence[str]) -> int:
    (file,) = map(Path, arguments)
    text = json.loads(file.read_text())
    (module,) = (m for m in text["modules"].values() if "blackbox" not in m["attributes"])
    prepared(module)
    file.write_text(json.dumps(text))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
