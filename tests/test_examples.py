"""The project's own networks through the whole path: equal to their training framework, and to their RTL."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from codesign.cli import main
from examples.data import digits, mnist

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize(
    ("name", "data", "fps", "simulated"),
    [("digits_mlp_w1a2", digits, 1_000_000, 360), ("mnist_cnn_w4a4", mnist, 20_000, 200)],
)
def test_integer_logits_and_rtl(name, data, fps, simulated, tmp_path, capsys):
    _, _, x, labels = data()
    with np.load(EXAMPLES / f"{name}_expected.npz") as trained:
        logits, unit = trained["logits"], trained["unit"]
        assert (trained["labels"] == labels).all()
    build, xs, few, y, z = (tmp_path / n for n in ("build", "x.npy", "few.npy", "y.npy", "z.npy"))
    np.save(xs, x)
    np.save(few, x[:simulated])
    call("compile", EXAMPLES / f"{name}.onnx", "-o", build, "--target-fps", fps)
    call("run", build, "--inputs", xs, "-o", y)
    np.testing.assert_array_equal(np.rint(np.load(y) / unit).astype(np.int64), logits)
    capsys.readouterr()
    call("simulate", build, "--inputs", few, "-o", z, "--stall-seed", 3, "--json")
    result = json.loads(capsys.readouterr().out)
    assert result["mismatches"] == 0 and result["fabric_fps"] >= fps
    np.testing.assert_array_equal(np.load(z), np.load(y)[:simulated])
    estimated = json.loads((build / "manifest.json").read_text())["estimated"]
    assert result["latency_cycles"] == pytest.approx(estimated["latency_cycles"], rel=0.02)
    assert result["interval_cycles"] == estimated["interval_cycles"]


def call(*argv: object) -> None:
    assert main([str(a) for a in argv]) == 0
