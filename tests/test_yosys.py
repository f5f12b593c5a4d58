"""RTLIL to Verilog: deterministic, clean, names kept, memories whole; readable by Yosys and Verilator."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Elaboratable, Module, Signal, unsigned
from amaranth.lib.memory import Memory

from codesign.errors import UserError
from hw.yosys import YosysError, run_yosys, verilog_from_rtlil

WORDS = [(k * k * 37 + 11) % 4096 for k in range(64)]


class TwoRoms(Elaboratable):
    """The same ROM read in the same cycle (`now`) and a cycle later (`later`)."""

    def __init__(self) -> None:
        self.aclk = Signal()
        self.edge0_data = Signal(6)
        self.address = Signal(6)
        self.now = Signal(12)
        self.later = Signal(12)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = domain = ClockDomain(reset_less=True)
        m.d.comb += [domain.clk.eq(self.aclk), self.edge0_data.eq(self.address)]
        for name, clocked, out in (("a", "comb", self.now), ("b", "sync", self.later)):
            memory = Memory(shape=unsigned(12), depth=64, init=WORDS)
            m.submodules[name] = memory
            port = memory.read_port(domain=clocked)
            m.d.comb += [port.addr.eq(self.edge0_data), out.eq(port.data)]  # pyright: ignore[reportAttributeAccessIssue]
        return m


@pytest.fixture(scope="module")
def verilog() -> str:
    return verilog_from_rtlil(two_roms())


def two_roms() -> str:
    top = TwoRoms()
    return rtlil.convert(top, name="roms", ports=[top.aclk, top.address, top.now, top.later], emit_src=False)


def test_same_bytes_again(verilog: str) -> None:
    assert verilog_from_rtlil(two_roms()) == verilog


def test_clean_and_names_kept(verilog: str) -> None:
    assert "wire [5:0] edge0_data;" in verilog
    assert "module roms(" in verilog
    for unwanted in ("Yosys", "git", "src", "generator", "(*", str(Path.home())):
        assert unwanted not in verilog, unwanted


def test_yosys_proves_the_roms_of_the_written_verilog(verilog: str) -> None:
    table = "".join(f"assert property (a != {k} || now == {word});\n" for k, word in enumerate(WORDS))
    previous = "".join(f"assert property (!seen || p != {k} || later == {w});\n" for k, w in enumerate(WORDS))
    bench = f"""module bench(input aclk, input [5:0] a);
    wire [11:0] now, later; reg [5:0] p; reg seen = 0;
    roms u(.aclk(aclk), .address(a), .now(now), .later(later));
    always @(posedge aclk) begin p <= a; seen <= 1; end
    {table}{previous}endmodule\n"""
    script = "read_verilog -sv design.v bench.v\nprep -top bench -flatten\nmemory_map\nchformal -lower\n"
    check = "sat -prove-asserts -verify -seq 1 -tempinduct -maxsteps 5\n"
    files = {"design.v": verilog, "bench.v": bench}
    run_yosys(script + check, files)
    wrong = bench.replace(f"now == {WORDS[5]}", f"now == {WORDS[5] ^ 1}", 1)
    with pytest.raises(YosysError):
        run_yosys(script + check, {**files, "bench.v": wrong})


def test_verilator_accepts_it(verilog: str, tmp_path: Path) -> None:
    (tmp_path / "roms.v").write_text(verilog)
    root = Path(sysconfig.get_paths()["platlib"]) / "verilator"
    flags = ["--lint-only", "-Wall", "-Wno-DECLFILENAME", "-Wno-UNUSEDSIGNAL"]
    done = subprocess.run(
        [root / "bin" / "verilator_bin", *flags, "roms.v"],
        cwd=tmp_path, env={**os.environ, "VERILATOR_ROOT": str(root)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_failing_script_tells_why() -> None:
    with pytest.raises(YosysError, match="No such command: nonsense"):
        run_yosys("nonsense\n", {})


def test_a_wrong_program_name_is_the_users_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODESIGN_YOSYS", "/nowhere/yosys")
    with pytest.raises(UserError, match="/nowhere/yosys"):
        run_yosys("", {})


ALONE = """#!/bin/sh
mkdir running || exit 1
sleep 0.2
rmdir running
echo "Yosys 0.1"
"""


def test_the_first_run_is_alone_on_the_machine(tmp_path: Path) -> None:
    """The wheel compiles itself there, into a file that another run may have mapped."""
    program = tmp_path / "yosys"
    program.write_text(ALONE.replace("running", str(tmp_path / "running")))
    program.chmod(0o755)
    env = {**os.environ, "CODESIGN_YOSYS": str(program), "CODESIGN_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", "from hw.yosys import yosys_version; print(yosys_version())"]
    started = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate()[0] for process in started] == ["Yosys 0.1\n"] * 4
