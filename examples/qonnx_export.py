"""Writes a trained network as QONNX, as Brevitas would: float weights that pass through Quant nodes."""

# pyright: reportMissingImports=false
# (torch is in the extra `train`, which type checking does without)

import copy
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from examples.data import Array
from examples.training import BinaryWeight, Classifier, IntWeight, QuantConv, QuantLinear, UnsignedQuant

QONNX_DOMAIN = "qonnx.custom_op.general"
BIAS_BITS = 16
FOLDER = Path(__file__).parent


class Writer:
    """Collects nodes and constants; every method that adds something returns the name of its tensor."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: Tensor) -> str:
        """Add a float32 constant."""
        self.constants.append(numpy_helper.from_array(value.detach().numpy(), name))
        return name

    def node(self, op: str, inputs: list[str], name: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one result, named as itself."""
        self.nodes.append(helper.make_node(op, inputs, [name], name, domain=domain, **attributes))
        return name

    def quant(self, x: str, name: str, scale: Tensor, bits: int, signed: bool, narrow: bool = False) -> str:
        """A Quant node with zero point 0 that rounds half to even."""
        parameters = {"scale": scale, "zeropt": torch.tensor(0.0), "bitwidth": torch.tensor(float(bits))}
        constants = [self.constant(f"{name}.{key}", value) for key, value in parameters.items()]
        attributes = {"signed": int(signed), "narrow": int(narrow), "rounding_mode": "ROUND"}
        return self.node("Quant", [x, *constants], name, QONNX_DOMAIN, **attributes)

    def weight(self, layer: QuantLinear | QuantConv, name: str) -> str:
        """The weight of a layer, quantized."""
        weight, quant = self.constant(f"{name}.weight", layer.weight), layer.quant
        if isinstance(quant, BinaryWeight):
            scale = self.constant(f"{name}.scale", quant.scale)
            return self.node("BipolarQuant", [weight, scale], f"{name}.quant", QONNX_DOMAIN)
        assert isinstance(quant, IntWeight)
        return self.quant(weight, f"{name}.quant", quant.scale, quant.bits, signed=True, narrow=True)

    def layer(self, layer: nn.Module, name: str, x: str) -> str:
        """Add a layer of the network, which reads tensor `x`."""
        match layer:
            case UnsignedQuant():
                return self.quant(x, name, layer.scale, layer.bits, signed=False)
            case Classifier():
                bias = self.constant(f"{name}.bias", layer.offset)
                bias = self.quant(bias, f"{name}.bias.quant", layer.unit, BIAS_BITS, signed=True)
                return self.node("Gemm", [x, self.weight(layer, name), bias], name, transB=1)
            case QuantLinear():
                turned = self.node("Transpose", [self.weight(layer, name)], f"{name}.turned", perm=[1, 0])
                return self.node("MatMul", [x, turned], name)
            case QuantConv():
                return self.node("Conv", [x, self.weight(layer, name)], name, **conv_attributes(layer))
            case nn.BatchNorm1d() | nn.BatchNorm2d():
                return self.node("BatchNormalization", [x, *self.norm(layer, name)], name, epsilon=layer.eps)
            case nn.ReLU():
                return self.node("Relu", [x], name)
            case nn.MaxPool2d():
                size = [layer.kernel_size] * 2
                return self.node("MaxPool", [x], name, kernel_shape=size, strides=size)
            case nn.Flatten():
                return self.node("Flatten", [x], name, axis=1)
        raise TypeError(f"no QONNX form for {layer}")

    def norm(self, layer: nn.Module, name: str) -> list[str]:
        """The four constants of a batch norm, in ONNX order."""
        state = layer.state_dict()
        return [self.constant(f"{name}.{key}", state[key]) for key in ("weight", "bias", "running_mean", "running_var")]


def conv_attributes(layer: QuantConv) -> dict[str, Any]:
    """The ONNX attributes of a convolution with stride 1 and the same padding on all sides."""
    kernel, pad = layer.kernel_size[0], int(layer.padding[0])
    return {"kernel_shape": [kernel] * 2, "pads": [pad] * 4, "strides": [1, 1], "group": layer.groups}


def export(model: nn.Sequential, path: Path, image_shape: tuple[int, ...], classes: int) -> None:
    """Write `model` to `path`, for one image of `image_shape` (channels, height, width) at a time."""
    writer, last = Writer(), "image"
    for name, layer in model.named_children():
        last = writer.layer(layer, name, last)
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, *image_shape))]
    outputs = [helper.make_tensor_value_info(last, TensorProto.FLOAT, (1, classes))]
    graph = helper.make_graph(writer.nodes, path.stem, inputs, outputs, writer.constants)
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid(QONNX_DOMAIN, 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="codesign-examples"), path)


def integer_logits(model: nn.Sequential, x: Array) -> tuple[Array, float]:
    """(codes, unit): the logits in float64 are codes * unit, codes int32 (N, classes); in evaluation mode."""
    exact = copy.deepcopy(model).double()
    classifier = exact[-1]
    assert isinstance(classifier, Classifier)
    with torch.no_grad():
        codes = (exact(torch.from_numpy(x).double()) / classifier.unit).numpy()
    assert np.abs(codes - codes.round()).max() < 1e-6, "the logits are not whole numbers of `unit`"
    return codes.round().astype(np.int32), classifier.unit.item()


def save(model: nn.Sequential, name: str, x: Array, y: Array) -> None:
    """Write examples/NAME.onnx, and NAME_expected.npz (labels, logits, unit) of the test images `x`."""
    logits, unit = integer_logits(model, x)
    export(model, FOLDER / f"{name}.onnx", x.shape[1:], logits.shape[1])
    np.savez_compressed(FOLDER / f"{name}_expected.npz", labels=y, logits=logits, unit=unit)
    print(f"{name}: {(logits.argmax(1) == y).mean():.2%} of {len(y)} test images")
