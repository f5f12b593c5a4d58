"""Fully convolutional networks by others: whole where a frame is small enough, else cut to a tile of the image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.test_shared_models import check, independent

TINY, SMALL = 16, 32
ESPCN = "qonnx/bsd300x3-espcn"


def tiled(path: Path, size: int, folder: Path) -> Path:
    """The model for square images of `size`: every tensor that depends on the image shrinks with it."""
    proto = onnx.load(path)
    constants = {i.name for i in proto.graph.initializer}
    (image,) = (i for i in proto.graph.input if i.name not in constants)
    shape = [d.dim_value for d in image.type.tensor_type.shape.dim]
    axes = [axis for axis, length in enumerate(shape) if length == max(shape)]
    images = {image.name}
    for node in proto.graph.node:
        images |= set(node.output) if images & set(node.input) else set()
    for value in (image, *proto.graph.value_info, *proto.graph.output):
        for dim in (value.type.tensor_type.shape.dim[axis] for axis in axes if value.name in images):
            if dim.dim_value:  # else unknown
                dim.dim_value = dim.dim_value * size // max(shape)
    # The qonnx package takes operators of a domain without a version as those of opset 1.
    proto.opset_import.append(onnx.helper.make_opsetid("qonnx.custom_op.channels_last", proto.opset_import[0].version))
    onnx.save(proto, folder / path.name)
    return folder / path.name


def image_of(path: Path, frames: int) -> np.ndarray:
    """Random images (frames, ...) on the grid of fixed<16,6> for a model of one input."""
    proto = onnx.load(path)
    constants = {i.name for i in proto.graph.initializer}
    (image,) = (i for i in proto.graph.input if i.name not in constants)
    shape = [d.dim_value for d in image.type.tensor_type.shape.dim]
    return np.random.default_rng(8).integers(0, 1024, (frames, *shape[1:])).astype(np.float32) / 1024


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "fps"),
    [
        ("hls4ml/tiny_unet_ch_last", SMALL, "100"),
        ("hls4ml/branched_model_ch_last", SMALL, "100"),
        ("hls4ml/separable_conv_model_ch_last", SMALL, "1000"),
        (f"{ESPCN}/subpixel/quant_model", TINY, "1000"),
        (f"{ESPCN}/nn_resize/quant_model", TINY, "1000"),
    ],
)
def test_a_tile_of_an_image(shared_data, tmp_path, capsys, name, size, fps):
    path = tiled(shared_data / f"models/{name}.onnx", size, tmp_path)
    x = image_of(path, 2)
    check(path, x, independent(path, x, 1), 2, tmp_path, capsys, fps)


@pytest.mark.slow
def test_a_layer_of_minifloats(shared_data, tmp_path, capsys):
    path = shared_data / "models/qonnx/floatquant_exec/qonnx_act_weight_fp8.onnx"
    x = np.random.default_rng(9).normal(size=(1000, 3)).astype(np.float32)
    check(path, x, independent(path, x, 1), 1000, tmp_path, capsys)
