"""Whole networks: the imported graph equals the qonnx package, or onnxruntime with graph optimizations off."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from codesign.errors import UserError
from codesign.importer import import_model
from codesign.importer.load import load
from tests.onnx_models import reference

QUANTIZED = (
    "qonnx/bnn_simple_model.onnx",
    "qonnx/sint_simple_noscale_model.onnx",
    "hls4ml/bnn_model_fc_1layer.onnx",
    "bench/digits_mlp_w4a4_qonnx.onnx",
    "bench/mnist_cnn_w4a4_qonnx.onnx",
    "bench/synth16_mlp_w6a6_qonnx.onnx",
)
FLOAT = (
    "qonnx/mnist-conv/model.onnx",
    "qonnx/residual_block_clean.onnx",
    "qonnx/bsd300x3-espcn/nn_resize/float_model.onnx",
    "qonnx/bsd300x3-espcn/subpixel/float_model.onnx",
    "cifar10/ic_residual_float.onnx",
    "cifar10/squeezenet_cifar10.onnx",
    "mnist/mnist-8.onnx",
    "hls4ml/conv1d_small_keras.onnx",
    "hls4ml/conv2d_small_keras.onnx",
    "hls4ml/conv2d_small_mp_keras.onnx",
    "hls4ml/dense_big_keras.onnx",
    "hls4ml/three_layer_keras.onnx",
    "hls4ml/two_layer_keras.onnx",
    "kws/kws_dscnn_float.onnx",
)
SAMPLES = 24


def compare(path: Path, samples: np.ndarray) -> None:
    """The graph's outputs against the independent execution, up to float32's accuracy."""
    imported = import_model(path)
    feeds = {imported.graph.inputs[0].name: samples}
    expected = reference(onnx.load(path), feeds, imported.graph.outputs)
    results = imported.graph.run(feeds)
    for name, result in results.items():
        accuracy = 1e-5 * max(1.0, float(np.abs(expected[name]).max()))
        np.testing.assert_allclose(result, expected[name], atol=accuracy)


def _shape(path: Path) -> tuple[int, ...]:
    return import_model(path).graph.inputs[0].type.shape


def images(shared_data: Path, count: int) -> np.ndarray:
    """MNIST test images (count, 1, 28, 28), 0..255."""
    with gzip.open(shared_data / "mnist" / "t10k-images-idx3-ubyte.gz") as file:
        data = file.read(16 + count * 784)[16:]
    return np.frombuffer(data, np.uint8).reshape(count, 1, 28, 28).astype(np.float64)


@pytest.mark.parametrize("name", ["TFC_1W1A", "TFC_1W2A", "TFC_2W2A"])
def test_tfc(name: str, shared_data: Path) -> None:
    compare(shared_data / "models" / "mnist" / f"{name}.onnx", images(shared_data, SAMPLES) / 255)


@pytest.mark.parametrize("name", ["TFC_1W1A", "TFC_1W2A", "TFC_2W2A"])
def test_tfc_weights_are_integers(name: str, shared_data: Path) -> None:
    graph = import_model(shared_data / "models" / "mnist" / f"{name}.onnx").graph
    shapes = [t.shape for n, t in graph.types.items() if t.is_integer and n in graph.constants]
    assert shapes == [(784, 64), (64, 64), (64, 64), (64, 10)]


def test_finn_tfc(shared_data: Path) -> None:
    folder = shared_data / "models" / "finn_tfc"
    graph = import_model(folder / "model.onnx").graph
    x, expected = np.load(folder / "input.npy"), np.load(folder / "expected_output.npy")
    result = graph.run({"global_in": x.reshape(-1, 1, 28, 28)})["global_out"]
    np.testing.assert_array_equal(result.ravel(), expected.ravel())


def test_finn_tfc_equals_the_qonnx_package(shared_data: Path) -> None:
    compare(shared_data / "models" / "finn_tfc" / "model.onnx", images(shared_data, SAMPLES))


def test_jets(shared_data: Path) -> None:
    """Inputs on the grid of fixed<16,6>."""
    x = np.rint(np.random.default_rng(1).standard_normal((64, 16)) * 1024) / 1024
    compare(shared_data / "models" / "jets" / "qkeras_jettagging.onnx", x)


@pytest.mark.parametrize("name", QUANTIZED)
def test_quantized(name: str, shared_data: Path) -> None:
    path = shared_data / "models" / name
    x = np.random.default_rng(2).integers(-16, 17, (SAMPLES, *_shape(path))) / 16
    compare(path, x)


@pytest.mark.parametrize("name", FLOAT)
def test_float(name: str, shared_data: Path) -> None:
    path = shared_data / "models" / name
    compare(path, np.random.default_rng(3).standard_normal((3, *_shape(path))))


@pytest.mark.parametrize("name", ["three_layer_pytorch", "two_layer_pytorch"])
def test_float_of_a_fixed_batch(name: str, shared_data: Path) -> None:
    """The file fixes 789,444 samples; any number runs, here compared with a copy that fixes one."""
    path = shared_data / "models" / "hls4ml" / f"{name}.onnx"
    graph, proto = import_model(path).graph, onnx.load(path)
    for info in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        for dim in info.type.tensor_type.shape.dim:
            dim.dim_value = 1 if dim.dim_value == 789444 else dim.dim_value
    feeds = {i.name: np.random.default_rng(4).standard_normal((5, *i.type.shape)) for i in graph.inputs}
    expected, results = reference(proto, feeds, graph.outputs), graph.run(feeds)
    for output in graph.outputs:
        np.testing.assert_allclose(results[output], expected[output], rtol=1e-4, atol=1e-6)


def test_attention_without_a_sample_axis(shared_data: Path) -> None:
    """Its three inputs have the sequence as axis 0, so one sample is a whole tensor."""
    path = shared_data / "models" / "qonnx" / "matmul_update" / "sdp.onnx"
    graph = import_model(path).graph
    feeds = {i.name: np.random.default_rng(5).standard_normal((2, *i.type.shape)) for i in graph.inputs}
    session = onnxruntime.InferenceSession(path)
    (name,) = graph.outputs
    results = graph.run(feeds)[name]
    for k in range(2):
        (expected,) = session.run([name], {n: v[k].astype(np.float32) for n, v in feeds.items()})
        np.testing.assert_allclose(results[k], expected, atol=1e-5)


@pytest.mark.parametrize("name", ["nn_resize", "subpixel"])
def test_super_resolution(name: str, shared_data: Path) -> None:
    """Equal to the qonnx package's float32, but for a few pixels that ties move by a step of 1/255."""
    path = shared_data / "models" / "qonnx" / "bsd300x3-espcn" / name / "quant_model.onnx"
    graph = import_model(path).graph
    x = {graph.inputs[0].name: np.random.default_rng(1).integers(-16, 17, (1, 3, 128, 128)) / 16}
    (output,) = graph.outputs
    off = np.abs(graph.run(x)[output] - reference(onnx.load(path), x, [output])[output])
    assert off.max() < 2.1 / 255 and (off > 1e-5).mean() < 1e-3


def test_channels_last_elementwise(shared_data: Path) -> None:
    path = shared_data / "models" / "qonnx" / "eltwise_chanlast_testcase.onnx"
    compare(path, np.random.default_rng(6).integers(0, 256, (1, *_shape(path))).astype(np.float64))


@pytest.mark.parametrize(
    ("name", "reason"), [("three_layer_bn_keras", "BatchNormalization"), ("three_layer_bn_pytorch", "opset 6")]
)
def test_models_that_onnxruntime_refuses_too(name: str, reason: str, shared_data: Path) -> None:
    """Batch normalization of 64 channels where there is one; an opset of 2017."""
    with pytest.raises(UserError, match=reason):
        import_model(shared_data / "models" / "hls4ml" / f"{name}.onnx")


@pytest.mark.parametrize("stem", ["digits_mlp_w4a4", "mnist_cnn_w4a4", "synth16_mlp_w6a6"])
def test_bench_vectors(stem: str, shared_data: Path) -> None:
    """The exact integer logits of the training framework."""
    folder = shared_data / "models" / "bench"
    graph = import_model(folder / f"{stem}_qonnx.onnx").graph
    vectors = np.load(folder / f"{stem}_vectors.npz")
    count = min(256, len(vectors["x"]))
    logits = graph.run({graph.inputs[0].name: vectors["x"][:count].astype(np.float64)})[graph.outputs[0]]
    ratio = logits / np.where(vectors["y_int"][:count] == 0, np.nan, vectors["y_int"][:count])
    assert np.nanmin(ratio) == np.nanmax(ratio) > 0  # one scale for all
    assert np.all((logits == 0) == (vectors["y_int"][:count] == 0))


def test_every_shared_model_imports_or_is_refused_in_one_line(shared_data: Path) -> None:
    for path in sorted((shared_data / "models").rglob("*.onnx")):
        try:
            import_model(path)
        except UserError as e:
            assert "\n" not in str(e)


def test_hash_is_that_of_the_file(shared_data: Path) -> None:
    path = shared_data / "models" / "qonnx" / "bnn_simple_model.onnx"
    assert load(path)[1] == hashlib.sha256(path.read_bytes()).hexdigest() == import_model(path).model_hash
