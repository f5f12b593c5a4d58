"""`codesign bitstream`: stand-ins for the tools only at the border of their process; all else is as it is."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from boards import openxc7, vivado
from boards.bitfile import Bitfile
from boards.bitstream import BIN, BIT, FAILED_FOLDER, FOLDER, HWH, Job
from codesign.build import read_manifest
from codesign.cli import main
from tests.bitstream_reports import PLACEMENT, UTILISATION, nextpnr, timing
from tests.board_rig import arguments_of, bitfile, make_build, make_texts, stand_in, writes
from tests.interruption import heed_interruption
from tests.test_frames import make_database


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return make_texts()


@pytest.fixture
def build(tmp_path: Path, texts) -> Path:
    return make_build(tmp_path / "build", texts)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch) -> Path:
    """An empty folder that alone is PATH; nothing of openXC7 is named."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    for name in ("CODESIGN_OPENXC7", "CODESIGN_CHIPDB", "CODESIGN_PRJXRAY_DB"):
        monkeypatch.delenv(name, raising=False)
    return folder


def vivado_writes(tools: Path, **files: str | bytes) -> None:
    made = {"timing.rpt": timing(), "utilization.rpt": UTILISATION, BIT: bitfile()}
    made |= {k.replace("_", "."): v for k, v in files.items()}
    stand_in(tools, "vivado", 'print("codesign: placement")\n' + writes(made))


@pytest.fixture
def database(tmp_path: Path, monkeypatch) -> Path:
    """What CODESIGN_PRJXRAY_DB names."""
    folder = make_database(tmp_path / "db")
    monkeypatch.setenv("CODESIGN_PRJXRAY_DB", str(folder))
    return folder


def openxc7_writes(tools: Path, log: str, fasm: str = "CLB_X0Y0.MUX.A\n") -> None:
    """All of it but the step to frames, which is as it is."""
    files: dict[str, str | bytes] = {"nextpnr.log": log, "top.fasm": fasm, "placed.json": PLACEMENT}
    stand_in(tools, "nextpnr-himbaechel-xilinx", writes(files))
    stand_in(tools, "xc7frames2bit", writes({BIT: bitfile("xc7z020clg400-1")}))


def test_without_a_tool_there_is_a_folder_to_take_away(build: Path, tools: Path, capsys) -> None:
    assert main(["bitstream", str(build)]) == 2
    told = capsys.readouterr().err
    for word in ("vivado is not on PATH", "nor nextpnr-xilinx is on PATH", "CODESIGN_PRJXRAY_DB", "README.md"):
        assert word in told
    assert told.count("\n") == 1
    files = {p.name for p in (build / FOLDER).iterdir()}
    assert {"top.v", "system.v", "accelerator.v", HWH, vivado.SCRIPT, openxc7.SCRIPT, "README.md"} <= files
    assert BIT not in files and "placed" not in read_manifest(build)["results"]
    assert not list(build.glob(".bitstream*"))


def test_vivado_is_run_and_read_back(build: Path, tools: Path, capsys) -> None:
    vivado_writes(tools)
    assert main(["bitstream", str(build), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    placed = read_manifest(build)["results"]["placed"]
    assert placed.items() <= result.items()
    expected = {"lut": 9876, "ff": 12321, "dsp": 17, "bram36": 12.5, "wns_ns": 0.035, "clock_mhz": 100.0}
    assert expected.items() <= placed.items()
    assert placed["fmax_mhz"] == pytest.approx(1000 / (10 - 0.421)) and "v.2022.1" in placed["source"]
    assert placed["worst_path"].startswith("logic_system/accelerator/fc0/weights_reg_3/CLKARDCLK to logic_system/")
    assert arguments_of(tools, "vivado")[:2] == ["-mode", "batch"] and vivado.SCRIPT in arguments_of(tools, "vivado")
    assert (build / FOLDER / BIN).read_bytes()[16:20] == bytes.fromhex("665599aa")
    assert (build / FOLDER / BIT).stem == (build / FOLDER / HWH).stem
    assert "placement" in (build / FOLDER / "output.log").read_text()


def test_people_see_estimate_and_placed_side_by_side(build: Path, tools: Path, capsys) -> None:
    vivado_writes(tools)
    assert main(["bitstream", str(build)]) == 0
    told = capsys.readouterr().out
    for word in ("estimated, the accelerator", "9876", "100 MHz asked, 104.4 MHz reached", BIT):
        assert word in told


def test_timing_that_is_not_met_fails_with_the_worst_path(build: Path, tools: Path, capsys) -> None:
    vivado_writes(tools, timing_rpt=timing("-1.250"))
    assert main(["bitstream", str(build)]) == 1
    told = capsys.readouterr().err
    assert "1.250 ns too slow for 100 MHz, 88.9 MHz would do" in told and "fc0/sum_reg[17]/D" in told
    assert read_manifest(build)["results"]["placed"]["wns_ns"] == -1.25


def test_hold_slack_counts_too(build: Path, tools: Path, capsys) -> None:
    vivado_writes(tools, timing_rpt=timing("0.500", "-0.012"))
    assert main(["bitstream", str(build)]) == 1
    assert "0.012 ns too slow" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"timing_rpt": "nothing"}, "no table with WNS(ns)"),
        ({"timing_rpt": timing("NA")}, "gives no slack"),
        ({"utilization_rpt": UTILISATION.replace("| DSPs ", "| FSPs ")}, "no row 'DSPs'"),
        ({BIT.replace(".", "_"): b"PK"}, "not a bitstream"),
        ({BIT.replace(".", "_"): bitfile()[:-4]}, "cut off?"),
        ({BIT.replace(".", "_"): bitfile("7z010clg400")}, "is for 7z010clg400, the board has 7z020clg400"),
    ],
)
def test_a_report_or_bitstream_that_is_none_is_told(build: Path, tools: Path, capsys, files, told: str) -> None:
    vivado_writes(tools, **files)
    assert main(["bitstream", str(build)]) == 2
    assert told in capsys.readouterr().err
    assert (build / FAILED_FOLDER / "output.log").exists() and not (build / FOLDER).exists()
    assert "placed" not in read_manifest(build)["results"]


def test_a_tool_that_fails_leaves_the_last_bitstream(build: Path, tools: Path, capsys) -> None:
    vivado_writes(tools)
    assert main(["bitstream", str(build)]) == 0
    stand_in(tools, "vivado", 'print("INFO: x\\nERROR: [Place 30-640] too many cells\\nINFO: y"); sys.exit(1)')
    assert main(["bitstream", str(build)]) == 1
    assert "vivado ended with status 1: ERROR: [Place 30-640] too many cells" in capsys.readouterr().err
    assert (build / FOLDER / BIT).exists() and (build / FAILED_FOLDER / "top.v").exists()


def test_a_tool_that_writes_no_bitstream_fails(build: Path, tools: Path, capsys) -> None:
    stand_in(tools, "vivado", 'print("license?")')
    assert main(["bitstream", str(build)]) == 1
    assert f"vivado ended without writing {BIT}" in capsys.readouterr().err


def test_an_interruption_ends_the_tool_and_leaves_nothing(build: Path, tools: Path) -> None:
    stand_in(tools, "vivado", f"print(os.getpid(), file=open({str(tools / 'pid')!r}, 'w'), flush=True)\n"
             "import time\nprint('at work', flush=True); time.sleep(60)")  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "codesign.cli", "bitstream", str(build)], stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        preexec_fn=heed_interruption,
    )  # fmt: skip
    pid_file = tools / "pid"
    for _ in range(600):
        if pid_file.exists() and pid_file.read_text().strip():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
    assert not list(build.glob("*bitstream*")) and not list(build.glob(".bitstream*"))


EMPTY = '{"modules": {"top": {"attributes": {}, "ports": {}, "cells": {}}}}'


@pytest.fixture
def no_yosys(monkeypatch) -> None:
    """Without the seconds that synthesis takes, which another test does."""
    monkeypatch.setattr(
        "boards.bitstream._synthesize", lambda job, folder: (folder / openxc7.NETLIST).write_text(EMPTY)
    )


def test_openxc7_is_run_and_read_back(build: Path, tools: Path, database: Path, no_yosys, capsys) -> None:
    openxc7_writes(tools, nextpnr())
    assert main(["bitstream", str(build), "--tool", "openxc7", "--json"]) == 0
    placed = json.loads(capsys.readouterr().out)
    expected = {"lut": 2, "ff": 3158, "dsp": 21, "bram36": 12.5, "fmax_mhz": 123.49, "tool": "openxc7"}
    assert expected.items() <= placed.items() and placed["wns_ns"] == pytest.approx(10 - 1000 / 123.49)
    assert placed["worst_path"] == (
        "$auto$ff.cc:337:slice$15275.Q (logic_system.shell.meter.begun0[0]) to $auto$ff.cc:337:slice$14859.CE "
        "(logic_system.shell.read0.unpacker._18_), 1.98 ns logic, 6.12 ns routing"
    )
    pnr = arguments_of(tools, "nextpnr-himbaechel-xilinx")
    assert pnr[pnr.index("--freq") + 1] == "100.0000" and f"xdc={openxc7.CONSTRAINTS}" in pnr
    assert "0x00000100 0x00000000,0x00000000,0x00000002," in (build / FOLDER / "top.frames").read_text()
    assemble = arguments_of(tools, "xc7frames2bit")
    assert assemble[:2] == ["--part_file", str(database / "xc7z020clg400-1" / "part.yaml")] and assemble[-1] == BIT


def test_a_feature_that_the_database_lacks_is_named(build: Path, tools: Path, database, no_yosys, capsys) -> None:
    openxc7_writes(tools, nextpnr(), "CLB_X0Y0.MUX.C\n")
    assert main(["bitstream", str(build)]) == 1
    assert "CLB_X0Y0.MUX.C: the database knows no MUX.C" in capsys.readouterr().err


@pytest.mark.slow
def test_yosys_makes_the_netlist_for_place_and_route(build: Path, tools: Path, database: Path) -> None:
    openxc7_writes(tools, nextpnr())
    assert main(["bitstream", str(build)]) == 0
    netlist = json.loads((build / FOLDER / openxc7.NETLIST).read_text())
    cells = [c["type"] for c in netlist["modules"]["top"]["cells"].values()]
    assert cells.count("PS7") == 1 and len(cells) > 1000
    assert "fclk0" in netlist["modules"]["top"]["netnames"]  # what the clock constraint names


def test_openxc7_too_slow_fails(build: Path, tools: Path, database: Path, no_yosys, capsys) -> None:
    openxc7_writes(tools, nextpnr(61.3))
    assert main(["bitstream", str(build)]) == 1
    assert "61.3 MHz would do" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("log", "told"),
    [("Info: nothing", "no line 'Max frequency"), (nextpnr().replace("SLICE_FFX", "X"), "no line 'SLICE_FFX")],
)
def test_a_log_that_lacks_a_line_is_told(build: Path, tools: Path, database, no_yosys, capsys, log, told) -> None:
    openxc7_writes(tools, log)
    assert main(["bitstream", str(build)]) == 2
    assert told in capsys.readouterr().err


def test_what_was_made_elsewhere_is_read_back(build: Path, tools: Path, capsys) -> None:
    assert main(["bitstream", str(build), "--read-back"]) == 2
    main(["bitstream", str(build)])
    assert main(["bitstream", str(build), "--read-back"]) == 2
    assert "has no accelerator.bit with its reports" in capsys.readouterr().err
    for name, content in {"timing.rpt": timing(), "utilization.rpt": UTILISATION}.items():
        (build / FOLDER / name).write_text(content)
    (build / FOLDER / BIT).write_bytes(bitfile())
    assert main(["bitstream", str(build), "--read-back"]) == 0
    assert read_manifest(build)["results"]["placed"]["lut"] == 9876 and (build / FOLDER / BIN).exists()
    (build / FOLDER / "system.v").write_text("module system(); endmodule\n")
    assert main(["bitstream", str(build), "--read-back"]) == 2
    assert "system.v is not of this build" in capsys.readouterr().err


def test_the_shell_script_runs_the_same_programs(build: Path, tools: Path, database: Path) -> None:
    main(["bitstream", str(build), "--tool", "vivado"])
    openxc7_writes(tools, nextpnr())
    stand_in(tools, "yosys", writes({openxc7.NETLIST: EMPTY}))
    (tools / "python3").symlink_to(sys.executable)
    shell, dirname = (shutil.which(name, path=os.defpath) for name in ("sh", "dirname"))
    assert shell and dirname
    (tools / "dirname").symlink_to(dirname)
    subprocess.run([shell, build / FOLDER / openxc7.SCRIPT], check=True, env=dict(os.environ))
    assert (build / FOLDER / BIT).exists() and (build / FOLDER / "top.frames").exists()
    job = Job.of(build, read_manifest(build))
    _, place, _, assemble = openxc7.commands(openxc7.find(job.board.part), job.board.part, job.clock_mhz, BIT)
    for _, command in (place, assemble):
        assert arguments_of(tools, Path(command[0]).name) == command[1:]
    assert arguments_of(tools, "yosys")[1].split("; ") == openxc7.synthesis(list(job.sources), "top").splitlines()


def test_the_tcl_reads_every_source_and_constrains_the_clock(build: Path) -> None:
    files = Job.of(build, read_manifest(build)).files
    script = files[vivado.SCRIPT].splitlines()
    assert [line for line in script if line.startswith("read_")] == [
        "read_verilog top.v", "read_verilog system.v", "read_verilog accelerator.v", f"read_xdc {vivado.CONSTRAINTS}",
    ]  # fmt: skip
    order = ("synth_design", "opt_design", "place_design", "route_design", "report_timing_summary", "write_bitstream")
    assert [line.split()[0] for line in script if line.split()[0] in order] == list(order)
    assert files[vivado.CONSTRAINTS] == "create_clock -name fclk0 -period 10.000 [get_pins {ps7/FCLKCLK[0]}]\n"
    assert files[openxc7.CONSTRAINTS] == "create_clock -period 10.000 [get_nets fclk0]\n"


def test_a_build_without_a_system_has_no_bitstream(build: Path, tools: Path, capsys) -> None:
    manifest = json.loads((build / "manifest.json").read_text())
    manifest["system"] = {"missing": "5 inputs, and the chip has 4 memory ports"}
    (build / "manifest.json").write_text(json.dumps(manifest))
    assert main(["bitstream", str(build)]) == 2
    assert "the chip has 4 memory ports" in capsys.readouterr().err


def test_the_bin_is_the_words_turned_round() -> None:
    parsed = Bitfile.parse(bitfile())
    assert parsed.part == "7z020clg400" and parsed.design.startswith("top;")
    swapped = parsed.to_bin()
    assert len(swapped) == len(parsed.words)
    assert all(swapped[k : k + 4] == parsed.words[k : k + 4][::-1] for k in range(0, len(swapped), 4))
