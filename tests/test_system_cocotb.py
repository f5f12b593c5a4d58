"""The written system between an AXI master and an AXI memory that somebody else wrote: cocotbext-axi, in Verilator."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sim.bench_run import run_bench
from sim.toolchain import find_verilator
from tests.driver_rig import compiled

HERE = Path(__file__).parent
TESTS = {"runs_under_stalls": 8, "soft_reset_in_mid_run": 3, "aresetn_in_mid_run": 3, "error_response": 4}


@pytest.mark.slow  # Verilating the system takes most of a minute; the runs take two seconds
def test_system_between_cocotbext_axi_ports(tmp_path: Path) -> None:
    """Runs from eight seeds, resets of both kinds in mid-run, and error responses; every byte of memory compared."""
    build, scratch = tmp_path / "build", tmp_path / "scratch"
    compiled(HERE.parent / "examples/digits_mlp_w1a2.onnx", build)
    bench_the_system(build)
    tools = find_verilator().environment_with(tmp_path / "bin")
    assert run_bench(build, scratch, tools, list(TESTS)) == []
    names = [case.get("name", "") for case in ElementTree.parse(scratch / "results.xml").iter("testcase")]
    assert {t: sum(n.startswith(t) for n in names) for t in TESTS} == TESTS


def bench_the_system(build: Path) -> None:
    """Make `system` the top of a build folder and tests/system_bench.py its bench."""
    path = build / "manifest.json"
    manifest = json.loads(path.read_text())
    names = ("top", "files", "clock", "reset")
    ports = [{"port": "s_axi_gp0"}, {"port": "m_axi_hp0"}]
    manifest["rtl"] = {n: manifest["system"][n] for n in names} | {"inputs": ports, "outputs": [], "edges": []}
    path.write_text(json.dumps(manifest))
    shutil.copyfile(HERE / "system_bench.py", build / "sim" / "bench.py")
