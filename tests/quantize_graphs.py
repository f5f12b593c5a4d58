"""Small real networks for tests of quantization, and samples for them."""

from __future__ import annotations

import numpy as np

from codesign.graph import Constant, Graph, Input, Node, TensorType
from codesign.ops.conv import Conv
from codesign.ops.elementwise import Add, Mul
from codesign.ops.layout import Concat, Reshape
from codesign.ops.matmul import MatMul
from codesign.ops.pad import Pad
from codesign.ops.pool import GlobalAveragePool, MaxPool
from codesign.ops.unary import Unary


class Net:
    """Builds a graph node after node; every method gives the name of its result."""

    def __init__(self, *shape: int) -> None:
        self.inputs = (Input("x", TensorType(shape)),)
        self.nodes: list[Node] = []
        self.rng = np.random.default_rng(3)

    def add(self, op, *inputs: str, name: str = "") -> str:
        self.nodes.append(Node(name or f"t{len(self.nodes)}", op, inputs, origin=name))
        return self.nodes[-1].name

    def constant(self, value) -> str:
        return self.add(Constant.real(value))

    def conv(self, x: str, *shape: int, name: str, groups: int = 1) -> str:
        w = self.constant(self.rng.normal(size=shape) * self.rng.uniform(0.1, 2.0, shape[3]))
        return self.add(Conv(groups=groups), x, w, name=name)

    def norm(self, x: str, channels: int) -> str:
        scaled = self.add(Mul(), x, self.constant(self.rng.uniform(0.5, 1.5, channels)))
        return self.add(Add(), scaled, self.constant(self.rng.normal(size=channels)))

    def relu(self, x: str) -> str:
        return self.add(Unary("relu"), x)

    def graph(self, *outputs: str) -> Graph:
        return Graph(self.inputs, tuple(self.nodes), outputs)


def sequential() -> Graph:
    """conv + norm + relu + pool, a depthwise conv + relu, a mean, a dense layer without bias."""
    n = Net(8, 8, 2)
    a = n.relu(n.norm(n.conv(n.add(Pad((1, 1), (1, 1)), "x"), 3, 3, 2, 4, name="conv"), 4))
    p = n.add(MaxPool((2, 2), (2, 2)), a)
    d = n.relu(n.norm(n.conv(n.add(Pad((1, 1), (1, 1)), p), 3, 3, 1, 4, name="depthwise", groups=4), 4))
    m = n.add(Reshape((4,)), n.add(GlobalAveragePool(), d))
    return n.graph(n.add(MatMul(), m, n.constant(n.rng.normal(size=(4, 3))), name="fc"))


def residual() -> Graph:
    """Two convolutions whose sum a third reads; a concatenation for a fourth."""
    n = Net(6, 6, 3)
    a = n.norm(n.conv("x", 1, 1, 3, 4, name="first"), 4)
    b = n.norm(n.conv(n.relu(a), 1, 1, 4, 4, name="second"), 4)
    s = n.relu(n.add(Add(), a, b))
    c = n.add(Concat(2), n.relu(n.conv(s, 1, 1, 4, 2, name="left")), n.conv(s, 1, 1, 4, 3, name="right"))
    return n.graph(n.conv(c, 1, 1, 5, 2, name="last"))


def samples(graph: Graph, count: int = 64) -> dict[str, np.ndarray]:
    x = np.random.default_rng(4).normal(size=(count, *graph.inputs[0].type.shape))
    return {"x": x.astype(np.float32)}


NETWORKS = [sequential, residual]
