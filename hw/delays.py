"""Times of 7-series cells (-1 speed grade, slow corner), in ps, as Yosys' library has them from Project X-Ray.

That is `+/xilinx/cells_sim.v`; a LUT6_2 is written out as a LUT6 and a LUT5. Pins that are not there take no time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from hw.blif import CONSTANTS, Instance
from hw.netlist.tables import depends

LUT = (642, 631, 472, 407, 238, 127)  # from the slowest pin on; fewer inputs use the fastest pins
_CARRY_INPUTS = ("CYINIT", "CI", "DI[0]", "DI[1]", "DI[2]", "DI[3]", "S[0]", "S[1]", "S[2]", "S[3]")
_CARRY = {
    "O[0]": (482, 222, 0, 0, 0, 0, 223, 0, 0, 0),
    "O[1]": (598, 334, 407, 0, 0, 0, 400, 205, 0, 0),
    "O[2]": (584, 239, 556, 537, 0, 0, 523, 558, 226, 0),
    "O[3]": (642, 313, 615, 596, 438, 0, 582, 618, 330, 227),
    "CO[0]": (536, 271, 379, 0, 0, 0, 340, 0, 0, 0),
    "CO[1]": (494, 157, 465, 445, 0, 0, 433, 469, 0, 0),
    "CO[2]": (592, 228, 540, 520, 356, 0, 512, 548, 292, 0),
    "CO[3]": (580, 114, 526, 507, 398, 385, 508, 528, 378, 380),
}
_MUX = {"MUXF7": {"I0": 217, "I1": 223, "S": 296}, "MUXF8": {"I0": 104, "I1": 94, "S": 273}}
_FLIP_FLOP = {"D": 0, "CE": 109, "R": 404, "S": 404, "CLR": 404, "PRE": 404, "Q": 303}
_SHIFT = {"D": 173, "CE": 109, "Q": 1472, "Q15": 1114, "Q31": 1114}
# Up to the clock; where a port's pins differ, the slowest.
_MEMORY = {"ADDRD": 245, "A": 362, "DI": 461, "D": 453, "WE": 654}
_MEMORY_OUT = {
    "": 1153, "DOB": 1161, "DOC": 1158, "DOD": 1163, "DOA[1]": 1188, "DOB[1]": 1187, "DOC[1]": 1180, "DOD[1]": 1190,
}  # fmt: skip
_WIDE = 417  # through the multiplexers of a memory of more than 64 words
_BLOCK = {"ADDR": 566, "WE": 532, "REGCE": 360, "RSTREG": 342, "DI": 737}
_BLOCK_OUT, _BLOCK_REGISTERED = 2454, 882
# Of a DSP48E1 that multiplies: to the first register behind a pin, and from the last register to P.
_DSP_SETUP = {
    "A": (("AREG", 254), ("MREG", 1416), ("PREG", 2739)),
    "B": (("BREG", 324), ("MREG", 1285), ("PREG", 2608)),
    "C": (("CREG", 168), ("PREG", 1244)),
    "D": (("DREG", 248), ("ADREG", 1195), ("MREG", 2310), ("PREG", 3635)),
    "PCIN": (("PREG", 1025),),
}
_PRE_ADDED = 984  # more from A where the pre-adder is in use
_DSP_OUT = (("PREG", 329), ("MREG", 1687), ("AREG", 2952), ("BREG", 2813))
_DSP_THROUGH = {"A": 2823, "B": 2690, "C": 1325, "D": 3717, "PCIN": 1107}
_CASCADE = 148  # more to PCOUT than to P
_BUFFER = re.compile(r"I?O?BUF\w*")


@dataclass(frozen=True)
class Arc:
    """Through a cell; without a `source` from the clock to `target`, without a `target` from `source` to the clock."""

    source: str
    target: str
    ps: int


def arcs(cell: Instance) -> list[Arc]:
    """A cell's times between the pins that are connected."""
    if cell.kind == "LUT6_2":
        found = _dual(cell)
    elif cell.kind.startswith("RAMB"):
        found = _block(cell)
    elif cell.kind == "DSP48E1":
        found = _multiplier(cell)
    else:
        found = _fixed(cell.kind, tuple(cell.pins))
    wired = {"", *(pin for pin, net in cell.pins.items() if net not in CONSTANTS)}
    return [a for a in found if a.source in wired and a.target in wired]


@lru_cache(maxsize=4096)
def _fixed(kind: str, pins: tuple[str, ...]) -> tuple[Arc, ...]:
    """Of cells whose parameters do not matter."""
    if kind == "INV" or _BUFFER.fullmatch(kind):
        return (Arc("I", "O", LUT[-1] if kind == "INV" else 0),)
    if kind.startswith("LUT"):
        return tuple(Arc(f"I{j}", "O", LUT[6 - int(kind[3:]) + j]) for j in range(int(kind[3:])))
    if kind == "CARRY4":
        return tuple(Arc(i, o, ps) for o, row in _CARRY.items() for i, ps in zip(_CARRY_INPUTS, row, strict=True) if ps)
    if kind in _MUX:
        return tuple(Arc(pin, "O", ps) for pin, ps in _MUX[kind].items())
    if kind.startswith("FD"):
        return tuple(_clocked(pin, ps, pin == "Q") for pin, ps in _FLIP_FLOP.items())
    if kind.startswith("SRL"):
        return tuple(_clocked(pin, ps, pin[0] == "Q") for pin, ps in _SHIFT.items()) + tuple(_reads(pins))
    return tuple(_memory(pins)) if kind.startswith("RAM") else ()


def _clocked(pin: str, ps: int, output: bool) -> Arc:
    return Arc("", pin, ps) if output else Arc(pin, "", ps)


def _reads(pins: tuple[str, ...]) -> Iterator[Arc]:
    """A memory's or shift register's outputs by the address: RAM64M has A to D, RAM64X1D a second one, others one."""
    addresses = {pin: re.fullmatch(r"(ADDR[A-H]|DPRA|A)\[?(\d)\]?", pin) for pin in pins}
    last = max((int(f[2]) for f in addresses.values() if f), default=0)
    slowest = LUT[1:] if last == 3 else LUT  # of 16 bits
    for pin, found in addresses.items():
        outputs = (
            (f"DO{found[1][4]}",) if found and len(found[1]) == 5 else ("DPO",) if found and found[1] != "A" else ()
        )
        for out in pins if found else ():
            if found and out.startswith(outputs or ("SPO", "O", "Q")) and out not in ("Q15", "Q31"):
                digit = min(int(found[2]), len(slowest) - 1)
                yield Arc(pin, out, slowest[digit] + _WIDE * (last > 5))


def _memory(pins: tuple[str, ...]) -> Iterator[Arc]:
    """A memory in look-up tables, which is written at the clock."""
    for pin in pins:
        if pin.startswith(("DO", "SPO", "DPO", "O")):
            yield Arc("", pin, _longest(_MEMORY_OUT, pin))
        elif not pin.startswith(("DPRA", "ADDRA", "ADDRB", "ADDRC")):
            yield from (Arc(pin, "", ps) for ps in [_longest(_MEMORY, pin)] if ps)
    yield from _reads(pins)


def _longest(times: dict[str, int], pin: str) -> int:
    """The time of the longest name that a pin begins with; 0 where there is none."""
    return times[max(names, key=len)] if (names := [name for name in times if pin.startswith(name)]) else 0


def _dual(cell: Instance) -> Iterator[Arc]:
    """Both tables; an input that does not matter for one of them is none of it."""
    init = int(cell.parameters["INIT"], 2)
    upper = cell.pins.get("I5") == "$true"
    tables = {"O6": (init >> 32 if upper else init, 5 if upper else 6), "O5": (init & 0xFFFFFFFF, 5)}
    for output, (table, size) in tables.items():
        slowest = LUT[1:] if output == "O5" else LUT
        for j in range(size):
            if depends(table, size, j):
                yield Arc(f"I{j}", output, slowest[j])


def _block(cell: Instance) -> Iterator[Arc]:
    """A block RAM."""
    for pin in cell.pins:
        if pin.startswith("DO"):
            port = "B" if pin.startswith(("DOB", "DOPB")) else "A"
            yield Arc("", pin, _BLOCK_REGISTERED if _number(cell, f"DO{port}_REG") else _BLOCK_OUT)
        elif ps := _longest(_BLOCK, pin):
            yield Arc(pin, "", ps)


def _multiplier(cell: Instance) -> Iterator[Arc]:
    """A DSP48E1, by the registers that are in use."""
    pre_added = _PRE_ADDED if "TRUE" in cell.parameters.get("USE_DPORT", "") else 0
    launched = next((ps for register, ps in _DSP_OUT if _number(cell, register)), None)
    outputs = [pin for pin in cell.pins if re.match(r"P(COUT)?\[", pin)]
    if launched is not None:
        yield from (Arc("", pin, launched + _CASCADE * (pin[1] == "C")) for pin in outputs)
    for pin in cell.pins:
        stem, more = pin.partition("[")[0], pre_added if pin[0] == "A" else 0
        ends = next(((r, ps) for r, ps in _DSP_SETUP.get(stem, ()) if _number(cell, r)), None)
        if ends is not None:
            yield Arc(pin, "", ends[1] + (more if ends[0] != "AREG" else 0))
        elif stem in _DSP_THROUGH:
            yield from (Arc(pin, out, _DSP_THROUGH[stem] + more + _CASCADE * (out[1] == "C")) for out in outputs)


def _number(cell: Instance, parameter: str) -> int:
    """A parameter that is a number; a register that nothing is said of is there (DSP48E1) or not (block RAM)."""
    text = cell.parameters.get(parameter)
    return int(text, 2) if text is not None else int(cell.kind == "DSP48E1")
