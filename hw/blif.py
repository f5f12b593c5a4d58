"""Yosys' BLIF of a mapped netlist: its cells with their pins and parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

CONSTANTS = ("$false", "$true", "$undef")


@dataclass(frozen=True)
class Instance:
    """A cell: its type, pin -> net (or one of CONSTANTS), parameter -> its bits as text, the highest first."""

    kind: str
    pins: Mapping[str, str]
    parameters: Mapping[str, str]


def instances(blif: str) -> Iterator[Instance]:
    """The cells in order, every net under one name; parameters where `write_blif -param` wrote them."""
    lines = blif.splitlines()
    names = _names(lines)
    kind, pins, parameters = "", dict[str, str](), dict[str, str]()
    for line in lines:
        if line.startswith((".subckt", ".gate")):
            if kind:
                yield Instance(kind, pins, parameters)
            _, kind, *ports = line.split()
            wired = (port.partition("=") for port in ports)
            pins, parameters = {port: names.get(net, net) for port, _, net in wired}, {}
        elif line.startswith(".param"):
            _, name, value = line.split(maxsplit=2)
            parameters[name] = value
    if kind:
        yield Instance(kind, pins, parameters)


def _names(lines: Sequence[str]) -> dict[str, str]:
    """Names of nets that have several, which stand in the file as buffers -> one that the design gave, if any."""
    first: dict[str, str] = {}
    for line, rows in pairwise(lines):
        if line.startswith(".names") and rows == "1 1":
            _, net, name = line.split()
            first[name] = net
    best: dict[str, str] = {}
    for name in first:
        net = _root(first, name)
        if net not in CONSTANTS and net[0] == "$" != name[0]:
            best.setdefault(net, name)
    return {name: best.get(net, net) for name in {*first, *best} for net in [_root(first, name)]}


def _root(first: Mapping[str, str], name: str) -> str:
    while name in first:
        name = first[name]
    return name
