"""`codesign measure`: what was simulated and what estimated, a board over SSH, and what it refuses."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pynq", reason="the simulated board runs the driver on PYNQ (pip install codesign[pynq])")

from boards.measure import write_overlay
from codesign.cli import main
from codesign.flow import Build
from tests.driver_rig import samples
from tests.ssh_board import ssh_board

REPOSITORY = Path(__file__).parent.parent


def test_measure_says_what_was_simulated_and_what_estimated(build: Build, tmp_path: Path, capsys) -> None:
    inputs = tmp_path / "x.npy"
    np.save(inputs, samples(build, 70)[0])
    assert main(["measure", str(build.path), "--inputs", str(inputs), "--count", "20", "--batch", "16", "--json"]) == 0
    r = json.loads(capsys.readouterr().out)
    assert r["device"] == "simulated device" and r["samples"] == 70 and r["inputs"] == "x.npy"
    assert "simulated clocks at 100 MHz, the driver in this machine's time, without logic" in r["source"]
    assert r["single"]["driver_us"] > 0
    assert r["cortex_a9"]["source"].startswith("estimated")
    single, batch = r["single"], r["batch"]
    # the accelerator alone, where an earlier frame may have left borders ready, and the run around it
    assert 0 < single["latency_cycles"] <= build.manifest["estimated"]["latency_cycles"]
    assert single["split"]["fabric_us"] == single["latency_cycles"] / 100
    assert single["split"]["transfer_us"] == (single["busy_cycles"] - single["latency_cycles"]) / 100 > 0
    assert single["median_us"] <= single["p95_us"] <= single["p99_us"] <= single["max_us"]
    assert batch["samples_a_call"] == 16 and batch["split"]["fabric_us"] == batch["busy_cycles"] / 100
    rates = r["rates"]
    assert rates["end_to_end_fps"] == min(rates["fabric_fps"], rates["ddr_fps"], rates["driver_fps"])
    assert rates["ddr_fps"] == round(4.2e9 / rates["frame_bytes"])
    assert Build.open(build.path).manifest["results"]["measured"] == r
    assert main(["report", str(build.path)]) == 0
    assert "simulated device, median of 20 calls" in (build.path / "report.html").read_text()


PYTHON_OF_THE_BOARD = """#!{python}
import json, os, runpy, sys
from pathlib import Path
sys.path[:0] = [os.getcwd(), {repository!r}]
from boards.simdevice import SimDevice
build = Path({build!r})
SimDevice(build, json.loads((build / "manifest.json").read_text()))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_deploy_and_measure_over_ssh(build: Build, tmp_path: Path, monkeypatch, capsys) -> None:
    """A real OpenSSH server whose python3 has the simulated board under PYNQ; the scripts there are the board's own."""
    (tmp_path / "ssh").mkdir()
    with ssh_board(tmp_path / "ssh") as board:
        monkeypatch.setenv("HOME", str(board.client))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        names = {"python": sys.executable, "repository": str(REPOSITORY), "build": str(build.path)}
        (board.programs / "python3").write_text(PYTHON_OF_THE_BOARD.format(**names))
        (board.programs / "python3").chmod(0o755)
        (build.path / "bitstream").mkdir()
        write_overlay(build.manifest, build.path / "bitstream")
        assert main(["deploy", str(build.path), *board.arguments, "--json"]) == 0
        deployed = json.loads(capsys.readouterr().out)
        assert deployed["mismatches"] == 0 and deployed["device"] == "SimDevice"
        host = f"ssh://{board.user}@127.0.0.1:{board.port}"
        call = ["measure", str(build.path), "--device", host, "--count", "10", "--batch", "4", "--json"]
        assert main(call) == 0
        measured = json.loads(capsys.readouterr().out)
    assert measured["mismatches"] == 0 and measured["device"] == f"{board.user}@127.0.0.1:{board.port}"
    assert "measured clocks at 100 MHz, the driver in the board's time" in measured["source"]
    assert "cortex_a9" not in measured
    shutil.rmtree(build.path / "bitstream")


def test_measure_refuses_in_one_line(build: Build, capsys) -> None:
    for arguments, said in (
        (["--device", "local"], "accelerator.bit is missing; make it with `codesign bitstream"),
        (["--device", "moon"], "no device 'moon'; it is sim, ssh://USER@HOST, or local"),
    ):
        assert main(["measure", str(build.path), *arguments]) == 2
        assert said in capsys.readouterr().err
