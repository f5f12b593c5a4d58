"""What a design uses of a 7-series device: Yosys' synthesis, counted by the rules of the design page.

*LUT* counts LUT1-LUT6, LUT6_2, LUT RAM and shift registers by the LUTs each takes; an inverter that Yosys
leaves is a LUT1.  `lut_paired` is the same after `hw.pairing`'s pass over LUT1-LUT5 (RAM and shift registers
keep their own; the selects of carry chains come from O6, of a site each).  Route-through LUTs, which only place
and route adds, are in neither number.
"""

import gzip
import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from codesign.cache import cache_folder
from codesign.errors import UserError
from hw import blif, pairing
from hw.blif import CONSTANTS, Instance, instances
from hw.sta import Timing, timing
from hw.yosys import run_yosys, yosys_version

SYNTHESIS = "synth_xilinx -family xc7 -flatten -abc9"
# Yosys' map of LUT6_2 to its two halves, for tools that know only LUTs of one output; they share a site by choice.
LUT6_2_HALVES = """module LUT6_2(input I0, I1, I2, I3, I4, I5, output O5, O6);
parameter [63:0] INIT = 0;
LUT6 #(.INIT(INIT)) six(.I0(I0), .I1(I1), .I2(I2), .I3(I3), .I4(I4), .I5(I5), .O(O6));
LUT5 #(.INIT(INIT[31:0])) five(.I0(I0), .I1(I1), .I2(I2), .I3(I3), .I4(I4), .O(O5));
endmodule
"""
# LUTs taken by a cell.  A RAM of n x 64 bits takes n LUTs a read port; dual-port forms have two ports.
_LUTS = {
    **{f"LUT{k}": 1 for k in range(1, 7)}, "LUT6_2": 1, "INV": 1, "CFGLUT5": 1,
    "SRL16": 1, "SRL16E": 1, "SRLC16": 1, "SRLC16E": 1, "SRLC32E": 1,
    "RAM16X1S": 1, "RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4, "RAM512X1S": 8,
    "RAM16X2S": 1, "RAM32X2S": 1, "RAM64X2S": 2, "RAM16X4S": 2, "RAM32X4S": 2, "RAM16X8S": 4, "RAM32X8S": 4,
    "RAM16X1D": 2, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1D": 8, "RAM32M": 4, "RAM64M": 4,
}  # fmt: skip
_BRAM36 = {"RAMB36E1": 1.0, "RAMB18E1": 0.5}
_FF = re.compile(r"(FD[RSCP]E|LD[CP]E)(_1)?")
_BESIDE = {"CARRY4": "S", "MUXF7": "I"}  # pins that only a LUT of the same slice reaches
_PAIRABLE = re.compile(r"LUT[1-6]|INV")
_FREE = re.compile(r"MUXF[78]|I?O?BUF\w*|VCC|GND|BUF\w+|CARRY4|DSP48E1|PS7")


@dataclass(frozen=True)
class Utilisation:
    """Synthesized use of a device, and the Yosys and script it comes from; a RAMB18 is half a `bram36`."""

    lut: int
    lut_paired: int
    ff: int
    dsp: int
    bram36: float
    carry4: int
    yosys: str
    command: str


@dataclass(frozen=True)
class Cell:
    """One cell of a mapped netlist: its type, its distinct input nets, constants left out, and what stays in a slice.

    output: the net that a LUT drives ("" of other cells); beside: nets that come from O6 of LUTs in the same slice.
    """

    kind: str
    inputs: tuple[str, ...]
    output: str = ""
    beside: tuple[str, ...] = ()


def synthesize(verilog: Path | str, top: str) -> Utilisation:
    """Synthesized utilisation of module `top` of a Verilog file (Path) or text (str), cached by content."""
    text, command = _text(verilog), synthesis(top)
    kept = cache_folder("synth") / f"{_key(text, command, _RULES)}.json"
    if kept.exists():
        return Utilisation(**json.loads(kept.read_text()))
    result = utilisation(netlist(text, command), command)
    _write_whole(kept, json.dumps(asdict(result)).encode())
    return result


def timed(verilog: Path | str, top: str, clock_mhz: float) -> Timing | None:
    """Static timing of what `synthesize` makes of a module; None where no path is between registers."""
    return timing(instances(mapped(_text(verilog), synthesis(top))), clock_mhz)


def synthesized(verilog: Path, top: str, clock_mhz: float) -> dict[str, Any]:
    """Both, as the manifest has them."""
    used, paths = synthesize(verilog, top), timed(verilog, top, clock_mhz)
    said = {**asdict(used), "timing": paths.described() if paths else None}
    return {"source": f"synthesized ({used.yosys}, {used.command})", **said}


def mapped(verilog: str, command: str) -> str:
    """A Verilog text after a Yosys synthesis command, as BLIF with parameters, cached by content."""
    kept = cache_folder("netlist") / f"{_key(verilog, command)}.blif.gz"
    if kept.exists():
        return gzip.decompress(kept.read_bytes()).decode()
    # opt_clean gives most nets one name, and BLIF is a tenth of the JSON netlist.
    script = f"read_verilog design.v\n{command}\nopt_clean\nwrite_blif -param design.blif\n"
    _, written = run_yosys(script, {"design.v": verilog}, ["design.blif"])
    _write_whole(kept, gzip.compress(written["design.blif"].encode(), 6))
    return written["design.blif"]


def netlist(verilog: str, command: str) -> list[Cell]:
    """The cells of a Verilog text after a Yosys synthesis command."""
    return cells_of(mapped(verilog, command))


def cells_of(text: str) -> list[Cell]:
    """The cells of a mapped netlist as Yosys' `write_blif` gives it."""
    return [_cell(instance) for instance in instances(text)]


def synthesis(top: str) -> str:
    """Yosys' command for module `top`."""
    return f"{SYNTHESIS} -top {top}"


def _text(verilog: Path | str) -> str:
    return verilog.read_text() if isinstance(verilog, Path) else verilog


def utilisation(cells: Iterable[Cell], command: str) -> Utilisation:
    """Counts of a mapped netlist."""
    cells = list(cells)
    kinds = Counter(cell.kind for cell in cells)
    _refuse_unknown(kinds)
    lut = sum(_LUTS.get(kind, 0) * n for kind, n in kinds.items())
    small, beside = [c for c in cells if _PAIRABLE.fullmatch(c.kind)], {net for c in cells for net in c.beside}
    tied = [k for k, cell in enumerate(small) if cell.output in beside]
    pairs = pairing.pair_luts([cell.inputs for cell in small], tied)
    return Utilisation(
        lut=lut,
        lut_paired=lut - len(pairs),
        ff=sum(n for kind, n in kinds.items() if _FF.fullmatch(kind)),
        dsp=kinds["DSP48E1"],
        bram36=sum(_BRAM36.get(kind, 0.0) * n for kind, n in kinds.items()),
        carry4=kinds["CARRY4"],
        yosys=yosys_version(),
        command=command,
    )


def _cell(instance: Instance) -> Cell:
    kind = instance.kind
    wired = [(port, net) for port, net in instance.pins.items() if net not in CONSTANTS]
    inputs = dict.fromkeys(net for port, net in wired if port.startswith("I"))
    beside = dict.fromkeys(net for port, net in wired if port.startswith(_BESIDE.get(kind, "-")))
    return Cell(kind, tuple(inputs), dict(wired).get("O", ""), tuple(beside))


def _refuse_unknown(kinds: Counter[str]) -> None:
    """UserError when a cell is of a type whose size is not known here."""
    known = (*_LUTS, *_BRAM36)
    strange = [k for k in sorted(kinds) if k not in known and not _FF.fullmatch(k) and not _FREE.fullmatch(k)]
    if strange:
        raise UserError(f"synthesis left cells of unknown size: {', '.join(strange)}; write them as 7-series logic")


# A result counts as made by these rules.
_RULES = Path(__file__).read_text() + Path(pairing.__file__).read_text() + Path(blif.__file__).read_text()


def _key(*parts: str) -> str:
    """Hash of all that a result depends on."""
    return hashlib.sha256("\0".join([*parts, yosys_version()]).encode()).hexdigest()


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file so that another process sees all of it or none."""
    part = path.with_suffix(f".{os.getpid()}")
    part.write_bytes(content)
    part.replace(path)
