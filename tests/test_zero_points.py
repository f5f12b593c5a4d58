"""Zero points that products take into their bias, also through a reshape, and those that others read too."""

from pathlib import Path

import numpy as np
import pytest

from boards import board_named
from codesign.flow import Options, choose_folding
from codesign.importer import import_model
from codesign.passes import run_passes
from codesign.passes.split import split
from hw.rtl import verilog
from tests.models import QONNX, Model


def shifted(m: Model, x: str) -> str:
    """A quantizer with zero point 2."""
    inputs = (x, m.constant(0.25), m.constant(2.0), m.constant(4.0))
    return m.add("Quant", *inputs, domain=QONNX, signed=0, narrow=0, rounding_mode="ROUND")


def flattened(m: Model, x: str) -> str:
    return m.add("MatMul", m.add("Flatten", x, axis=1), m.weight(12, 3))


def averaged(m: Model, x: str) -> str:
    conv = m.add("Conv", x, m.weight(2, 3, 1, 1, seed=1), name="conv")
    pooled = m.add("AveragePool", x, kernel_shape=[2, 2])
    return m.add("Add", m.quant(m.add("AveragePool", conv, kernel_shape=[2, 2]), 0.5), m.quant(m.add(
        "Conv", m.quant(pooled, 0.25), m.weight(2, 3, 1, 1, seed=2), name="second"), 0.5))  # fmt: skip


def convolved(m: Model, x: str) -> str:
    """Channels first, without padding: the transpose stays on the host."""
    return m.add("Conv", x, m.weight(2, 3, 2, 2, seed=1), name="conv")


@pytest.mark.parametrize("layers", [flattened, convolved, averaged])
def test_the_pipeline_equals_the_network(tmp_path: Path, layers) -> None:
    m = Model(1, 3, 2, 2)
    path = m.save(tmp_path / "m.onnx", layers(m, shifted(m, "x")))
    core = split(run_passes(import_model(path).graph)[0]).core
    assert "Center" in {type(n.op).__name__ for n in core.nodes}
    _, pipeline = choose_folding(core, board_named("pynq-z2"), Options())
    given, (_, stream) = core.inputs[0], pipeline.inputs[0]
    lo, hi = stream.format.lo, stream.format.hi
    frames = np.random.default_rng(1).integers(lo, hi + 1, (20, *given.type.shape))
    wanted = core.run({given.name: frames})[core.outputs[0]]
    edge = next(k for k, e in enumerate(pipeline.edges) if e.target is None)
    np.testing.assert_array_equal(list(pipeline.golden(frames))[edge].reshape(wanted.shape), wanted)
    assert "module" in verilog(pipeline)
