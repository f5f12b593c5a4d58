"""The host's part of a network by the driver: equal to the emulator, and named where the driver has no form of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boards import driver
from codesign.flow import Build
from codesign.formats import Binary, Int
from codesign.graph import Constant, Dequantize, Graph, Input, Node, Op, TensorType
from codesign.host import describe_host
from codesign.ops.argmax import ArgMax
from codesign.ops.elementwise import Add, Div, Maximum, Mul, Sub
from codesign.ops.layout import Concat, Reshape, Transpose
from codesign.ops.matmul import MatMul
from codesign.ops.moves import Expand, Slice
from codesign.ops.quantize import Quantize
from codesign.ops.softmax import Softmax
from codesign.ops.threshold import Threshold
from codesign.ops.unary import Unary
from codesign.passes.split import Model

REAL = np.random.default_rng(5).normal(0, 3, (9, 2, 3, 4)).astype(np.float32)
CODES = np.random.default_rng(6).integers(-100, 100, (9, 4))
CASES: dict[str, tuple[Op, ...]] = {
    "quantize": (Quantize(Int(-8, 7), (0.3,), (1,)),),
    "quantize per channel": (Quantize(Int(0, 15), (0.3, 0.1, 0.7, 1.5), (1, 2, 3, 4)),),
    "quantize, odd zero point after rounding": (Quantize(Int(-128, 127), (0.5,), (7,), offset_last=True),),
    "quantize downward": (Quantize(Int(-30, 30), (0.25,), rounding="FLOOR"),),
    "signs": (Quantize(Binary(), (1.0,)),),
    "staircase": (Threshold(np.linspace(-4, 4, 15)[None], Int(0, 15), np.array([0]), np.array([1])),),
    "staircase, falling by channels": (
        Threshold(np.linspace([-4, -3, -2, -1], 4, 7).T, Int(-8, 13), np.array([3, 4, 5, 6]), np.array([-1, 1, -1, 1])),
    ),
    "binary by a threshold": (Threshold(np.array([[0.25]]), Binary(), np.array([-1]), np.array([2])),),
    "binary, falling": (Threshold(np.array([[0.25]]), Binary(), np.array([1]), np.array([-2])),),
    "never and always": (Threshold(np.array([[-np.inf, 0.5, np.inf]]), Int(0, 3), np.array([0]), np.array([1])),),
    "layout": (Quantize(Int(-8, 7), (0.5,)), Transpose((1, 2, 0)), Reshape((4, 6))),
    "layout first": (Transpose((2, 0, 1)), Reshape((24,)), Quantize(Int(-8, 7), (0.5,))),
    "moves": (Slice((1, 2, 3), (1, 2, 4), (1, -2, -1)), Quantize(Int(-8, 7), (0.5,))),
    "functions": (Unary("clip", (-1.0, 2.0)), Unary("sigmoid"), Unary("sqrt"), Quantize(Int(0, 100), (0.01,))),
}


def network(before: Graph, after: Graph) -> Model:
    """Around a core that nobody runs."""
    into = [Input(o, before.types[o]) for o in before.outputs]
    outputs = [Node(i.name, _Given(i.type)) for i in after.inputs]
    return Model(before, Graph((*into,), (*outputs,), tuple(i.name for i in after.inputs)), after)


class _Given:
    def __init__(self, type: TensorType) -> None:
        self.type = type

    def infer(self, *operands: object) -> TensorType:
        return self.type

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        raise NotImplementedError


def chain(x: Input, *ops: Op, more: tuple[Node, ...] = ()) -> Graph:
    names = [x.name, *(f"n{k}" for k in range(len(ops)))]
    nodes = [Node(b, op, (a, *(n.name for n in more if n.inputs == (b,)))) for a, b, op in zip(names, names[1:], ops)]
    constants = [Node(n.name, n.op) for n in more]
    return Graph((x,), (*constants, *nodes), (names[-1],))


LOGITS = Input("logits", TensorType((4,), Int(-100, 100), (0.25,), (3,)))


def run_steps(steps: list[dict[str, Any]], arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    for step in steps:
        driver._allocate(step, arrays, 9)
    for step in steps:
        for call in driver._calls(step, arrays):
            call()
    return arrays


@pytest.mark.parametrize("name", CASES)
def test_what_comes_before_equals_the_emulator(name: str) -> None:
    before = chain(Input("x", TensorType((2, 3, 4))), *CASES[name])
    host = describe_host(network(before, chain(LOGITS, Dequantize())))
    arrays = run_steps(host["before"], {"x": REAL})
    (result,) = before.outputs
    fmt = before.types[result].format
    assert fmt is not None
    got = arrays[host["into"][0]].astype(np.int64)
    np.testing.assert_array_equal(2 * got - 1 if fmt == Binary() else got, before.run({"x": REAL})[result])


def constant(name: str, reader: str, value: object) -> Node:
    return Node(name, Constant.real(value), (reader,))


AFTER: dict[str, tuple[tuple[Op, ...], tuple[Node, ...]]] = {
    "scaled and shifted": (
        (Dequantize(), Mul(), Add(), Sub(), Div()),
        tuple(constant(f"c{k}", f"n{k}", v) for k, v in ((1, [1.5] * 4), (2, [1.0, 2, 3, 4]), (3, 0.5), (4, 0.7))),
    ),
    "softmax": ((Dequantize(), Softmax()), ()),
    "log-softmax": ((Dequantize(), Softmax(log=True)), ()),
    "largest": ((Dequantize(), ArgMax()), ()),
    "smallest": ((Dequantize(), ArgMax(least=True)), ()),
    "repeated": ((Dequantize(), Reshape((4, 1)), Expand((4, 3))), ()),
    "at least": ((Dequantize(), Maximum()), (constant("c1", "n1", [0.0, 1, 2, 3]),)),
}


@pytest.mark.parametrize("name", AFTER)
def test_what_comes_after_equals_the_emulator(name: str) -> None:
    ops, constants = AFTER[name]
    after = chain(LOGITS, *ops, more=constants)
    host = describe_host(network(chain(Input("x", TensorType((2,))), Quantize(Int(0, 3))), after))
    arrays = run_steps(host["after"], {"logits": CODES.astype(np.int32)})
    (result,) = host["results"]
    want = after.run({"logits": CODES.astype(np.float32)})[after.outputs[0]]
    got = arrays[result["of"]]
    np.testing.assert_array_equal(got.astype(result["type"]), want.astype(result["type"]))


def test_two_parts_are_joined() -> None:
    nodes = (Node("a", Dequantize(), ("logits",)), Node("b", Unary("neg"), ("a",)), Node("c", Concat(0), ("a", "b")))
    after = Graph((LOGITS,), nodes, ("c",))
    host = describe_host(network(chain(Input("x", TensorType((2,))), Quantize(Int(0, 3))), after))
    arrays = run_steps(host["after"], {"logits": CODES.astype(np.int32)})
    np.testing.assert_array_equal(arrays["c"], after.run({"logits": CODES.astype(np.float32)})["c"])


def test_a_part_that_has_no_form_is_named(build: Build, tmp_path: Path) -> None:
    after = chain(LOGITS, Dequantize(), MatMul(), more=(constant("c1", "n1", np.ones((4, 2))),))
    host = describe_host(network(chain(Input("x", TensorType((2,))), Quantize(Int(0, 3))), after))
    assert host == {"missing": "node 'n1' (MatMul): the driver has no vectorised form of it for the board's processor; "
                               "end the network before it"}  # fmt: skip
    odd = describe_host(network(chain(Input("x", TensorType((2,))), Quantize(Int(0, 3))),
                                chain(LOGITS, Dequantize(), Unary("erf"))))  # fmt: skip
    assert "node 'n1' (erf)" in odd["missing"]
