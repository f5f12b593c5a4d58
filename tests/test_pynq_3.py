"""What boards run: PYNQ 3.1.2 in an environment of its own, which it needs for its old pycparser."""

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from boards import board_named
from boards.overlay import BASE_ADDRESS, INSTANCE, VLNV, hwh
from codesign.cache import cache_folder
from hw.axi.registers import register_map

PINS = ("pynq==3.1.2", "pycparser<3", "setuptools<81")  # it imports pkg_resources, which later ones lack
INSTALL_S = 900

# What Overlay() makes of a .hwh, without a board.
SCRIPT = """
import json, sys
import pynq
from pynqmetadata.frontends import Metadata
from pynqmetadata.views.runtime import RuntimeMetadataParser
parsed = RuntimeMetadataParser(Metadata(input=sys.argv[1]))
ip, clocks = parsed.ip_dict[sys.argv[2]], dict(parsed.clock_dict.items())
print(json.dumps({
    "pynq": pynq.__version__, "type": ip["type"], "phys_addr": ip["phys_addr"],
    "offsets": {k: r["address_offset"] for k, r in ip["registers"].items()},
    "clocks": [[c["enable"], c["divisor0"], c["divisor1"]] for _, c in sorted(clocks.items())],
}))
"""


@pytest.fixture(scope="module")
def python() -> str:
    """The environment's Python; made once and kept in the cache. Skips, and says why, where it cannot be made."""
    if sys.version_info >= (3, 13):
        pytest.skip("PYNQ 3.1.2 needs numpy 1.26, which has no build for Python 3.13")
    folder = cache_folder("pynq-3.1.2") / f"python{sys.version_info.minor}"
    program = folder / "bin" / "python"
    ready = folder / "ready"
    if not ready.exists():
        venv.create(folder, with_pip=True, clear=True)
        command = [program, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PINS]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S)
        except subprocess.TimeoutExpired:
            pytest.skip(f"PYNQ 3.1.2 could not be installed within {INSTALL_S} s")
        if done.returncode:
            pytest.skip(f"PYNQ 3.1.2 could not be installed: {done.stderr.strip().splitlines()[-1][:200]}")
        ready.write_text("")
    return str(program)


@pytest.mark.slow
@pytest.mark.parametrize("mhz", [100, 150])
def test_pynq_3_finds_registers_and_clock(python: str, tmp_path: Path, mhz: float) -> None:
    board, registers = board_named("pynq-z2"), register_map(2, 1)
    (tmp_path / "accelerator.hwh").write_text(hwh(registers, board, mhz * 1e6))
    command = [python, "-c", SCRIPT, str(tmp_path / "accelerator.hwh"), INSTANCE]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"})
    assert done.returncode == 0, done.stderr[-2000:]
    found, fclk = json.loads(done.stdout.splitlines()[-1]), board.fclk(mhz * 1e6)
    assert found["pynq"] == "3.1.2" and (found["type"], found["phys_addr"]) == (VLNV, BASE_ADDRESS)
    assert found["offsets"] == {r.name: r.offset for r in registers}
    assert found["clocks"][0] == [1, fclk.divisor0, fclk.divisor1] and not any(c[0] for c in found["clocks"][1:])
