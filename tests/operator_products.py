"""Products, pools and reductions, each as a model of one node or few."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.onnx_models import IMAGE, ROW, constants, model, node, simple
from tests.onnx_models import weights as w

PRODUCTS: dict[str, Any] = {
    "MatMul": constants("MatMul", ROW, w=w(6, 4)),
    "MatMul rank 3": constants("MatMul", {"x": (1, 5, 6)}, w=w(6, 4)),
    "MatMul batched": constants("MatMul", {"x": (1, 3, 4, 6)}, w=w(3, 6, 2)),
    "MatMul batched from the left": model([node("MatMul", ["c", "x"])], {"x": (1, 3, 4, 5)}, {"c": w(1, 3, 2, 4)}),
    "MatMul of more batches": constants("MatMul", {"x": (1, 2, 3, 4, 5)}, w=w(2, 3, 5, 2)),
    "MatMul of batches spread": constants("MatMul", {"x": (1, 1, 4, 6)}, w=w(3, 6, 2)),
    "MatMul from the left of more": model([node("MatMul", ["c", "x"])], {"x": (1, 2, 4, 5)}, {"c": w(3, 4)}),
    "MatMul from the left": model([node("MatMul", ["c", "x"])], {"x": (1, 3, 4)}, {"c": w(2, 3)}),
    "MatMul of two": model(
        [node("Transpose", ["x"], "t", perm=[0, 2, 1]), node("MatMul", ["x", "t"])], {"x": (1, 3, 4)}
    ),
    "MatMul of one sample": model(
        [node("Transpose", ["x"], "t"), node("MatMul", ["t", "x"], "m"), node("Flatten", ["m"], axis=0)], ROW
    ),
    "Gemm": constants("Gemm", ROW, w=w(6, 4), c=w(4)),
    "Gemm transB": constants("Gemm", ROW, attributes={"transB": 1, "alpha": 0.5, "beta": 2.0}, w=w(4, 6), c=w(1, 4)),
    "Gemm no bias": constants("Gemm", ROW, w=w(6, 4)),
    "Gemm scalar bias": constants("Gemm", ROW, w=w(6, 4), c=np.array(0.5)),
    "Gemm of one sample": model([node("Gemm", ["x", "x"], transB=1)], ROW),
    "Conv": constants("Conv", IMAGE, w=w(4, 3, 3, 3), c=w(4)),
    "Conv 1x1": constants("Conv", IMAGE, w=w(4, 3, 1, 1)),
    "Conv strided": constants(
        "Conv", IMAGE, attributes={"strides": [2, 1], "pads": [1, 0, 2, 1], "kernel_shape": [3, 2]}, w=w(4, 3, 3, 2)
    ),
    "Conv dilated": constants("Conv", IMAGE, attributes={"dilations": [2, 1], "pads": [2, 2, 2, 2]}, w=w(2, 3, 3, 3)),
    "Conv groups": constants("Conv", {"x": (1, 4, 5, 5)}, attributes={"group": 2}, w=w(6, 2, 3, 3)),
    "Conv depthwise": constants("Conv", IMAGE, attributes={"group": 3, "pads": [1, 1, 1, 1]}, w=w(6, 1, 3, 3), c=w(6)),
    "Conv same upper": constants(
        "Conv", IMAGE, attributes={"auto_pad": "SAME_UPPER", "strides": [2, 2]}, w=w(2, 3, 2, 3)
    ),
    "Conv same lower": constants("Conv", IMAGE, attributes={"auto_pad": "SAME_LOWER"}, w=w(2, 3, 2, 2)),
    "Conv valid": constants("Conv", IMAGE, attributes={"auto_pad": "VALID"}, w=w(2, 3, 2, 2)),
    "Conv 1-D": constants("Conv", {"x": (1, 3, 9)}, attributes={"strides": [2], "pads": [1, 1]}, w=w(4, 3, 3), c=w(4)),
    "MaxPool": simple("MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
    "MaxPool padded": simple("MaxPool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
    "MaxPool dilated": simple("MaxPool", kernel_shape=[2, 2], dilations=[2, 2]),
    "MaxPool ceil without effect": simple("MaxPool", kernel_shape=[2, 1], strides=[2, 2], ceil_mode=1),
    "MaxPool 1-D": simple("MaxPool", {"x": (1, 3, 8)}, kernel_shape=[2], strides=[2]),
    "MaxPool ceil": simple("MaxPool", kernel_shape=[4, 4], strides=[4, 4], ceil_mode=1),
    "MaxPool last": model(
        [
            node(
                "MaxPool",
                ["x"],
                domain="qonnx.custom_op.channels_last",
                kernel_shape=[2, 2],
                strides=[2, 2],
                pads=[0, 0, 0, 0],
            )
        ],
        {"x": (1, 6, 4, 3)},
    ),
    "AveragePool": simple("AveragePool", kernel_shape=[2, 3]),
    "AveragePool padded": simple("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    "AveragePool without padding": simple("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
    "AveragePool ceil and padded": simple(
        "AveragePool", opset=19, kernel_shape=[2, 3], strides=[2, 2], pads=[1, 1, 0, 1], ceil_mode=1
    ),
    "AveragePool 1-D": simple("AveragePool", {"x": (1, 3, 8)}, kernel_shape=[3], pads=[1, 1], strides=[2]),
    "AveragePool ceil": simple("AveragePool", kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1),
    "GlobalAveragePool": simple("GlobalAveragePool"),
    "GlobalMaxPool": simple("GlobalMaxPool"),
    "ReduceMean": simple("ReduceMean", axes=[2, 3], keepdims=0),
    "ReduceMean 18": constants("ReduceMean", IMAGE, opset=18, a=np.array([-1, -2])),
    "ReduceMean channels": simple("ReduceMean", axes=[1]),
    "ReduceMean rows": simple("ReduceMean", axes=[2]),
    "ReduceMean of a sample": simple("ReduceMean", axes=[1, 2, 3]),
    "ConvTranspose": constants(
        "ConvTranspose",
        {"x": (1, 4, 5, 4)},
        attributes={"strides": [2, 3], "pads": [1, 0, 2, 1], "group": 2, "output_padding": [1, 0]},
        w=w(4, 3, 3, 2),
        c=w(6),
    ),
    "ConvTranspose 1-D": constants("ConvTranspose", {"x": (1, 2, 7)}, attributes={"dilations": [2]}, w=w(2, 3, 3)),
    "ConvTranspose cut into the image": constants(
        "ConvTranspose", {"x": (1, 2, 4, 5)}, attributes={"strides": [2, 1], "pads": [2, 1, 3, 2]}, w=w(2, 3, 2, 2)
    ),
    "ConvTranspose same": constants(
        "ConvTranspose", {"x": (1, 2, 3, 2)}, attributes={"strides": [2, 2], "auto_pad": "SAME_UPPER"}, w=w(2, 1, 3, 3)
    ),
    "ReduceSum": constants("ReduceSum", IMAGE, a=np.array([2, 3])),
    "ReduceSum channels of a sequence": constants("ReduceSum", {"x": (1, 4, 7)}, a=np.array([1])),
    "ReduceMax": simple("ReduceMax", axes=[2, 3], keepdims=0),
    "ReduceMax everything": simple("ReduceMax", ROW),
    "ReduceMax columns": simple("ReduceMax", axes=[3], keepdims=0),
    "ReduceMin": simple("ReduceMin", axes=[-1, 1]),
    "ReduceMin rows and channels": simple("ReduceMin", axes=[1, 2]),
}
