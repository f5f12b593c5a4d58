"""When RTL and Python differ, both engines say where: stage, element, values."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from codesign.cli import main
from tests import models


@pytest.fixture(scope="module")
def tampered(tmp_path_factory) -> Path:
    """A build whose activation stage sends wrong lowest bits."""
    folder = tmp_path_factory.mktemp("tampered")
    m = models.Model(1, 6)
    hidden = m.add("Relu", m.add("MatMul", m.quant("x"), m.weight(6, 4), name="fc1"))
    path = m.save(folder / "m.onnx", m.add("MatMul", m.quant(hidden, 0.5), m.weight(4, 3, seed=1), name="fc2"))
    build = folder / "build"
    assert main(["compile", str(path), "-o", str(build), "--target-fps", "5e6"]) == 0
    rtl = build / "rtl/accelerator.v"
    rtl.write_text(flip_activation(rtl.read_text()))
    np.save(folder / "x.npy", np.random.default_rng(0).uniform(0, 4, (40, 6)).astype(np.float32))
    return build


def flip_activation(text: str) -> str:
    """Invert the lowest bit of what the activation stage sends over its edge."""
    (instance,) = re.findall(r"^  \S*activation\s+\S*activation\s+\([^;]*\);$", text, re.MULTILINE)
    (edge,) = re.findall(r"\.o__payload\((edge\d+_data)\)", instance)
    (width,) = re.findall(rf"^  wire (.*){edge};$", text, re.MULTILINE)
    renamed = instance.replace(f"({edge})", "(tampered)")
    return text.replace(instance, f"  wire {width}tampered;\n  assign {edge} = tampered ^ 1'h1;\n{renamed}")


@pytest.mark.parametrize("engine", ["verilator", "cocotb"])
def test_the_first_wrong_stage_is_named(tampered, capsys, engine):
    argv = ["simulate", str(tampered), "--inputs", str(tampered.parent / "x.npy"), "--engine", engine]
    assert main([*argv, "--stall-seed", "4"]) == 1
    message = capsys.readouterr().err
    assert "activation" in message and re.search(r"element \d+ .* is \d+, should be \d+", message)
