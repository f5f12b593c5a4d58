"""Graphs for tests of passes, built node after node."""

import numpy as np

from codesign.formats import Binary, Format, Int
from codesign.graph import Constant, Dequantize, Graph, Input, Node, TensorType
from codesign.ops.quantize import Quantize

UINT4, INT4 = Int.of(4, signed=False), Int(-7, 7)


class Net:
    """Builds a graph node after node; every method gives the name of its result."""

    def __init__(self, *shape: int) -> None:
        self.inputs: tuple[Input, ...] = (Input("x", TensorType(shape)),)
        self.nodes: list[Node] = []

    def add(self, op, *inputs: str) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(Node(name, op, inputs))
        return name

    def constant(self, value) -> str:
        return self.add(Constant.real(value))

    def quantize(self, x: str, fmt: Format = UINT4, scale=(0.25,), zero=(0,)) -> str:
        return self.add(Dequantize(), self.add(Quantize(fmt, scale, zero), x))

    def weights(self, *shape: int, fmt: Format = INT4, seed=0) -> str:
        values = np.random.default_rng(seed).integers(fmt.lo, fmt.hi, shape, endpoint=True)
        values = np.where(values >= 0, 1, -1) if fmt == Binary() else values
        return self.add(Dequantize(), self.add(Constant(TensorType(shape, fmt, (0.5,)), values)))

    def graph(self, *outputs: str) -> Graph:
        return Graph(self.inputs, (), ("x",)).replace(self.nodes, outputs)


def kinds(graph: Graph) -> list[str]:
    return [type(n.op).__name__ for n in graph.nodes if not isinstance(n.op, Constant)]
