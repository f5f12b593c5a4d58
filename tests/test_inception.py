"""The project's own network of siblings: the same outputs whichever fusions are on."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from codesign.flow import FUSIONS
from codesign.graph import Graph
from codesign.importer import import_model
from codesign.passes import run_passes
from codesign.passes.split import split
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
