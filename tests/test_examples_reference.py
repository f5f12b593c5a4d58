"""The examples' ONNX files say what was trained: the qonnx package executes them to the same logits."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.util.cleanup import cleanup_model

from examples import data

EXAMPLES = Path(data.__file__).parent
IMAGES = {"digits_mlp_w1a2": data.digits, "mnist_cnn_w4a4": data.mnist}
BATCH = 50


def with_batch(path: Path, batch: int) -> onnx.ModelProto:
    """The model with another number on its batch axis."""
    model = onnx.load(path)
    for tensor in (*model.graph.input, *model.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_value = batch
    return model


def qonnx_logits(path: Path, images: np.ndarray) -> np.ndarray:
    """The logits by the qonnx package's executor (float32)."""
    model = cleanup_model(ModelWrapper(with_batch(path, len(images))))
    (output,) = execute_onnx(model, {model.graph.input[0].name: images}).values()
    return output


@pytest.mark.parametrize("name", IMAGES)
def test_qonnx_executes_the_file_to_the_trained_integer_logits(name: str) -> None:
    expected = np.load(EXAMPLES / f"{name}_expected.npz")
    _, _, test_x, _ = IMAGES[name]()
    steps = qonnx_logits(EXAMPLES / f"{name}.onnx", test_x[:BATCH]).astype(np.float64) / expected["unit"]
    np.testing.assert_array_equal(steps.round(), expected["logits"][:BATCH])
    assert np.abs(steps - steps.round()).max() < 1e-2  # float32 sums, but whole numbers underneath


@pytest.mark.parametrize(("name", "accuracy"), [("digits_mlp_w1a2", 0.93), ("mnist_cnn_w4a4", 0.95)])
def test_expected_logits_belong_to_the_test_images_and_classify_them(name: str, accuracy: float) -> None:
    expected = np.load(EXAMPLES / f"{name}_expected.npz")
    _, _, _, test_y = IMAGES[name]()
    np.testing.assert_array_equal(expected["labels"], test_y)
    assert (expected["logits"].argmax(axis=1) == test_y).mean() >= accuracy
