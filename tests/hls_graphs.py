"""One integer graph with a case of every operator that the HLS back end takes, each on an input of its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from codesign.formats import Binary, Format, Int
from codesign.graph import Constant, Graph, Input, Node, Op, TensorType
from codesign.ops.argmax import ArgMax
from codesign.ops.conv import Conv
from codesign.ops.depth import DepthToSpace, SpaceToDepth
from codesign.ops.elementwise import Add, Maximum, Minimum, Mul
from codesign.ops.integer import Center, Reinterpret
from codesign.ops.layout import Concat, Reshape, Transpose
from codesign.ops.matmul import MatMul
from codesign.ops.moves import Expand, Slice, Upsample
from codesign.ops.pad import Pad
from codesign.ops.pool import GlobalMaxPool, GlobalSumPool, MaxPool, SumPool
from codesign.ops.reduce import Reduce
from codesign.ops.requant import Requant
from codesign.ops.table import Table
from codesign.ops.take import Take
from codesign.ops.threshold import Threshold
from codesign.ops.weigh import Weigh

SHAPE, FORMAT = (6, 5, 4), Int(-8, 7)


class Sketch:
    """A graph in the making."""

    def __init__(self, seed: int = 1) -> None:
        self.rng = np.random.default_rng(seed)
        self.inputs: list[Input] = []
        self.nodes: list[Node] = []
        self.outputs: list[str] = []

    def x(self, shape: tuple[int, ...] = SHAPE, fmt: Format = FORMAT, zero: int = 0) -> str:
        name = f"x{len(self.inputs)}"
        self.inputs.append(Input(name, TensorType(shape, fmt, zero_point=(zero,))))
        return name

    def add(self, op: Op, *inputs: str) -> str:
        name = f"{type(op).__name__}{len(self.nodes)}"
        self.nodes.append(Node(name, op, inputs))
        return name

    def constant(self, low: int, high: int, *shape: int) -> str:
        values = self.rng.integers(low, high + 1, shape)
        return self.add(Constant(TensorType(shape, Int(low, high)), values))

    def marks(self, rows: int, steps: int) -> np.ndarray:
        return np.sort(self.rng.integers(FORMAT.lo, FORMAT.hi + 2, (rows, steps)), axis=1)

    def graph(self) -> Graph:
        return Graph(tuple(self.inputs), tuple(self.nodes), tuple(self.outputs))


def stairs(s: Sketch, rows: int, steps: int, down: bool = False) -> str:
    base, step = np.array([steps if down else 0]), np.array([-1 if down else 1])
    return s.add(Threshold(s.marks(rows, steps), Int(0, steps), base, step), s.x())


def sign(s: Sketch, fmt: Format, base: int, step: int) -> str:
    return s.add(Threshold(np.array([[0]]), fmt, np.array([base]), np.array([step])), s.x())


def conv(s: Sketch, low: int, high: int, *shape: int, x: str = "", **attributes: object) -> str:
    return s.add(Conv(**attributes), x or s.x(), s.constant(low, high, *shape))  # type: ignore[arg-type]


def one(op: Op) -> Callable[[Sketch], str]:
    return lambda s: s.add(op, s.x())


def two(op: Op) -> Callable[[Sketch], str]:
    return lambda s: s.add(op, s.x(), s.x(fmt=Int(-3, 20)))


CASES: dict[str, Callable[[Sketch], str]] = {
    "few steps": lambda s: stairs(s, 4, 3),
    "many steps, down": lambda s: stairs(s, 1, 40, down=True),
    "half to even": one(Requant(np.array([3, 5, -7, 9]), np.array([1, 0, 4, 2]), 3, "half_even", Int(-6, 6))),
    "floor": one(Requant(np.array([3]), np.array([1]), 2, "floor", Int(-6, 6))),
    "no shift": one(Requant(np.array([3]), np.array([1]), 0, "half_even", Int(-6, 6))),
    "table": lambda s: s.add(Table(s.rng.integers(-9, 10, (4, 16)), -8, Int(-9, 9)), s.x()),
    "center": lambda s: s.add(Center(2), s.x(zero=2)),
    "reinterpret": one(Reinterpret((0.5,))),
    "weigh": lambda s: s.add(Weigh(s.rng.integers(1, 4, SHAPE[:2]), 1.0), s.x()),
    "add": two(Add()),
    "multiply": two(Mul()),
    "minimum": two(Minimum()),
    "maximum": two(Maximum()),
    "itself": lambda s: s.add(Add(), *[s.x()] * 2),
    "bias": lambda s: s.add(Add(), s.x(), s.constant(-5, 5, 4)),
    "factors": lambda s: s.add(Mul(), s.x(), s.constant(-5, 5, *SHAPE)),
    "channel by channel": lambda s: s.add(Mul(), (x := s.x()), s.add(GlobalMaxPool(), x)),
    "concat channels": lambda s: s.add(Concat(2), s.x(), s.x(), s.x()),
    "concat rows": lambda s: s.add(Concat(0), s.x(), s.x()),
    "concat columns": lambda s: s.add(Concat(1), s.x(), s.x()),
    "transpose": one(Transpose((1, 2, 0))),
    "slice": one(Slice((1, 4, 0), (2, 3, 4), (2, -2, 1))),
    "upsample": one(Upsample((2, 1, 1))),
    "take": one(Take(2, (0, 3, 3))),
    "expand": lambda s: s.add(Expand(SHAPE), s.x((6, 1, 4))),
    "depth to space": one(DepthToSpace(2)),
    "space to depth": lambda s: s.add(SpaceToDepth(2), s.x((6, 4, 2))),
    "same beats": one(Reshape((30, 4))),
    "other beats": one(Reshape((6, 20))),
    "pad": one(Pad((1, 2), (0, 1), 3, (1, 0))),
    "max pool": one(MaxPool((2, 3), (2, 1))),
    "dilated min pool": one(MaxPool((2, 2), (1, 1), (2, 2), True)),
    "sum pool": one(SumPool((3, 2), (1, 2))),
    "global max": one(GlobalMaxPool()),
    "global min": one(GlobalMaxPool(least=True)),
    "global sum": one(GlobalSumPool()),
    "reduce columns": one(Reduce("sum", (1,))),
    "reduce rows and channels": one(Reduce("max", (0, 2))),
    "reduce channels": one(Reduce("min", (2,))),
    "argmax": one(ArgMax()),
    "argmin": one(ArgMax(least=True)),
    "convolution": lambda s: conv(s, -3, 3, 3, 3, 4, 5),
    "dilated, strided, -2 in two bits": lambda s: conv(s, -2, 1, 2, 2, 4, 3, stride=(2, 1), dilation=(2, 1)),
    "one row, strided": lambda s: conv(s, 0, 1, 1, 3, 4, 3, stride=(2, 2)),
    "depthwise": lambda s: conv(s, -2, 1, 3, 2, 1, 4, groups=4),
    "depthwise, two each": lambda s: conv(s, -4, 3, 2, 2, 1, 8, groups=4),
    "groups": lambda s: conv(s, -1, 1, 2, 2, 2, 6, groups=2),
    "pointwise, strided": lambda s: conv(s, -7, 7, 1, 1, 4, 6, stride=(2, 2)),
    "binary data": lambda s: conv(s, -1, 1, 2, 2, 4, 2, x=sign(s, Binary(), -1, 2)),
    "bits by bits": lambda s: conv(s, 0, 1, 2, 2, 4, 2, x=sign(s, Int(0, 1), 0, 1)),
    "flatten, dense": lambda s: s.add(MatMul(), s.add(Reshape((120,)), s.x()), s.constant(-7, 7, 120, 3)),
    "dense of rows": lambda s: s.add(MatMul(), s.x((30, 4)), s.constant(-7, 7, 4, 3)),
    "dense of an image": lambda s: s.add(MatMul(), s.x(), s.constant(-7, 7, 4, 3)),
}


def everything() -> Graph:
    """All cases side by side."""
    s = Sketch()
    s.outputs = [case(s) for case in CASES.values()]
    return s.graph()
