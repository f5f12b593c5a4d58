"""Builds the design of a build folder for cocotb and runs its bench. Stands alone: BUILD/sim carries a copy."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from cocotb_tools.runner import Verilator

TESTS = ("frames_back_to_back", "random_stalls", "reset_in_mid_frame")


def run_bench(
    build: Path, scratch: Path, tools: Mapping[str, str], tests: Sequence[str] = TESTS,
    settings: Mapping[str, str] | None = None, waves: bool = False,
) -> list[str]:  # fmt: skip
    """Run the named tests of BUILD/sim/bench.py in `scratch` and return what failed, a line each.

    `tools` is the environment in which `verilator`, g++ and make are found; `settings` are the bench's variables.
    With `waves` the run is recorded in scratch/dump.vcd.
    """
    rtl = json.loads((build / "manifest.json").read_text())["rtl"]
    scratch.mkdir(parents=True, exist_ok=True)
    results = scratch.resolve() / "results.xml"
    common = {"hdl_toplevel": rtl["top"], "build_dir": scratch, "waves": waves, "timescale": ("1ns", "1ps")}
    with _environment(tools, build / "sim"), suppress(SystemExit):  # raised on any failure; the files say which
        runner = _Runner()
        (scratch / "visible.vlt").write_text(_visible(rtl))
        sources = [scratch.resolve() / "visible.vlt", *((build / f).resolve() for f in rtl["files"])]
        runner.build(sources=sources, build_args=list(_BUILD_ARGS), log_file=scratch / "build.log", **common)
        runner.test(
            test_module="bench", hdl_toplevel_lang="verilog", test_dir=scratch, test_filter="|".join(tests),
            log_file=scratch / "test.log", results_xml=str(results), **common,
            extra_env={"CODESIGN_BUILD": str(build.resolve()), **(settings or {})},
        )  # fmt: skip
    if not results.exists():
        raise RuntimeError(f"the bench did not run:\n{_last_lines(scratch)}")
    return failures(results)


_BUILD_ARGS = ("-Wno-fatal", "-Wno-lint", "-Wno-style", "--no-timing", "-CFLAGS", "-O1")


class _Runner(Verilator):
    """cocotb's runner without its --public-flat-rw, which makes the build of a big design many times slower."""

    def _build_command(self) -> list[Any]:
        return [[a for a in command if a != "--public-flat-rw"] for command in super()._build_command()]


def _visible(rtl: Mapping[str, Any]) -> str:
    """A Verilator control file that shows the bench what it looks at: the ports and the edges of the top."""
    names = [rtl["clock"], rtl["reset"], *(f"{p['port']}_*" for p in [*rtl["inputs"], *rtl["outputs"]])]
    names += [f"edge{e['index']}_*" for e in rtl["edges"]]
    lines = [f'public_flat_rw -module "{rtl["top"]}" -var "{name}"' for name in names]
    return "\n".join(["`verilator_config", *lines, ""])


def _last_lines(scratch: Path) -> str:
    """The end of the newest log."""
    logs = [scratch / "test.log", scratch / "build.log"]
    return next((p.read_text()[-2000:] for p in logs if p.exists()), "no log was written")


def failures(results: Path) -> list[str]:
    """The failed tests in a results file, each with its message."""
    cases = ElementTree.parse(results).iter("testcase")
    found = []
    for case in cases:
        problem = next((e for e in case if e.tag in ("failure", "error")), None)
        if problem is not None:
            message = problem.get("error_msg") or problem.get("message") or (problem.text or "").strip()
            found.append(f"{case.get('name')}: {message}")
    return found


@contextmanager
def _environment(variables: Mapping[str, str], modules: Path):
    """os.environ and sys.path as the runner should hand them to the simulator, put back afterwards."""
    before, path = dict(os.environ), list(sys.path)
    os.environ.update(variables)
    sys.path.insert(0, str(modules.resolve()))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        sys.path[:] = path
