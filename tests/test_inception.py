"""The project's own network of siblings: the same outputs whichever fusions are on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest

from codesign.diff import Networks, compare
from codesign.flow import FUSIONS
from codesign.graph import Graph
from codesign.importer import import_model
from codesign.passes import run_passes
from codesign.passes.split import Model, split
from codesign.quantize import quantize, read_precision
from examples.inception import images, inception


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Graph:
    path = tmp_path_factory.mktemp("inception") / "m.onnx"
    onnx.save(inception(), path)
    return quantize(import_model(path).graph, {"x": images(16)}, read_precision("int8"), steps=()).graph


def test_it_is_the_same_each_time():
    assert inception().SerializeToString() == inception().SerializeToString()


def test_every_choice_of_fusions_gives_the_same_outputs(source):
    free = [f.name for f in FUSIONS if not f.needed]
    wanted = source.run({"x": images(4)})
    for off in ((), free, *([name] for name in free)):
        got = split(run_passes(source, off)[0]).run({"x": images(4)})
        for name, y in wanted.items():
            np.testing.assert_allclose(got[name], y, rtol=1e-9, atol=1e-9, err_msg=f"without {off}")


def test_a_fault_in_a_merged_product_is_not_taken_for_a_rounding_tie(source):
    """The quantizers behind it are fused away, and some value of theirs is always near a tie."""
    network = split(run_passes(source)[0])
    wide = network.core.by_name["fire_int"]
    half = replace(wide.op, thresholds=np.minimum(wide.op.thresholds + 3, wide.op.thresholds.max()))  # type: ignore[type-var]
    core = network.core.replace([replace(n, op=half) if n is wide else n for n in network.core.nodes])
    rows, ties = compare(Networks(None, source, Model(network.before, core, network.after)), {"x": images(300)})
    wrong = [r.tensor for r in rows if r.integer and r.integer.differing]
    assert wrong[0] == "fire" and not ties
    sound, _ = compare(Networks(None, source, network), {"x": images(300)})
    assert not [r.tensor for r in sound if r.integer and r.integer.differing]
    assert next(r for r in sound if r.tensor == "fire.expand3x3.relu").fused_into == "fire"
