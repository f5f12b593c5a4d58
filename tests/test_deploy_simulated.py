"""From a model to a board over SSH: the board is the simulated one, behind a real OpenSSH server."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from boards.bitstream import BIT, FOLDER
from codesign.build import read_manifest
from codesign.cli import main
from tests import models
from tests.board_rig import bitfile
from tests.driver_rig import compiled
from tests.ssh_board import SshBoard, ssh_board

pytest.importorskip("pynq", reason="the extra `pynq` is not installed")
REPOSITORY = Path(__file__).parent.parent

# The board's python3: PYNQ's device is the simulated one of this build; the script itself is run as it is.
PYTHON = """\
#!{python}
import json, os, runpy, sys
from pathlib import Path
sys.path[:0] = [{repository!r}, os.getcwd()]
os.environ["CODESIGN_CACHE"] = {cache!r}
from boards.simdevice import SimDevice
SimDevice(Path({build!r}), json.loads(Path({build!r}, "manifest.json").read_text()))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def build(tmp_path_factory) -> Path:
    """A small convolutional network, with a bitstream that is none: the simulated board knows its logic."""
    folder = tmp_path_factory.mktemp("network")
    build = compiled(models.cnn(folder / "cnn.onnx"), folder / "build").path
    main(["bitstream", str(build), "--tool", "vivado"])  # the folder, with the .hwh
    (build / FOLDER / BIT).write_bytes(bitfile())
    return build


@pytest.fixture(scope="module")
def server(tmp_path_factory, build: Path) -> Iterator[SshBoard]:
    with ssh_board(tmp_path_factory.mktemp("ssh")) as board:
        paths = {"repository": str(REPOSITORY), "build": str(build), "cache": os.environ["CODESIGN_CACHE"]}
        text = PYTHON.format(python=sys.executable, **paths)
        (board.programs / "python3").write_text(text)
        (board.programs / "python3").chmod(0o755)
        yield board


@pytest.fixture
def board(server: SshBoard, monkeypatch) -> SshBoard:
    monkeypatch.setenv("HOME", str(server.client))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # without Vivado, whatever is installed here
    return server


def test_golden_frames_run_through_driver_dma_and_accelerator(build: Path, board: SshBoard, capsys) -> None:
    assert main(["deploy", str(build), *board.arguments, "--json"]) == 0
    result, manifest = json.loads(capsys.readouterr().out), read_manifest(build)
    outputs = np.load(build / "vectors" / "outputs_0.npy")
    assert (result["frames"], result["words"], result["mismatches"]) == (
        *(len(outputs), outputs.shape[0] * outputs.shape[1]),
        0,
    )
    assert result["device"] == "SimDevice" and result["frames_done"] == result["frames"]
    assert result["fclk0_mhz"] == manifest["estimated"]["clock_mhz"] == 100
    assert result["latency_slowest"] >= manifest["estimated"]["latency_cycles"]
    assert manifest["results"]["deployed"]["words"] == result["words"]


def test_a_wrong_golden_word_is_found(build: Path, board: SshBoard, capsys) -> None:
    path = build / "vectors" / "outputs_0.npy"
    right = np.load(path)
    wrong = right.copy()
    wrong[1, 2, 0] ^= 1
    np.save(path, wrong)
    try:
        assert main(["deploy", str(build), *board.arguments]) == 1
    finally:
        np.save(path, right)
    assert "1 of " in (told := capsys.readouterr().err) and "output 0, frame 1, beat 2: wanted" in told


def test_a_bitstream_of_another_build_is_refused(build: Path, board: SshBoard, capsys) -> None:
    manifest = json.loads((build / "manifest.json").read_text())
    other = {**manifest, "system": {**manifest["system"], "identity": "0" * 32}}
    (build / "manifest.json").write_text(json.dumps(other))
    try:
        assert main(["deploy", str(build), *board.arguments]) == 1
    finally:
        (build / "manifest.json").write_text(json.dumps(manifest))
    assert "the bitstream is of another build" in capsys.readouterr().err
