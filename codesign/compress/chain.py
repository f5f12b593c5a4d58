"""A product with constant weights as a chain of ordinary layers, which export, quantize and compile like any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from codesign.graph import Constant, Graph, Node
from codesign.ops.conv import Conv
from codesign.ops.layout import Reshape, Transpose
from codesign.ops.matmul import MatMul
from codesign.ops.pad import Pad

Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Link:
    """One layer of a chain: weights (rows, columns, C / groups, O)."""

    weights: np.ndarray
    groups: int = 1


@dataclass(frozen=True, eq=False)
class Chain:
    """Nodes that give what a product gave, under its name, and the names of the constants, in the links' order."""

    nodes: tuple[Node, ...]
    weights: tuple[str, ...]


def chained(graph: Graph, node: Node, links: Sequence[Link]) -> Chain:
    """The links one after the other in place of `node`; zeros around its input are put on where a kernel needs them.

    Of several links with rows (or columns) the first takes that axis' stride, dilation and border; else the first of
    all does.
    """
    if not isinstance(node.op, Conv):
        return _products(graph, node, [link.weights[0, 0] for link in links])
    axes = [_first_along(links, 0), _first_along(links, 1)]
    border = border_of(graph, node)
    data, nodes, names = border.inputs[0] if border else node.inputs[0], [], []
    for k, link in enumerate(links):
        mine: Pair = (axes[0] == k, axes[1] == k)
        if border is not None and any(mine):
            data = _padded(graph, node, border, mine, k, data, nodes)
        op = Conv(_where(mine, node.op.stride), _where(mine, node.op.dilation), link.groups)
        data = _layer(graph, node, op, link.weights, k, len(links), data, nodes, names)
    return Chain(tuple(nodes), tuple(names))


def _products(graph: Graph, node: Node, weights: Sequence[np.ndarray]) -> Chain:
    data, nodes, names = node.inputs[0], [], []
    for k, w in enumerate(weights):
        data = _layer(graph, node, MatMul(), w, k, len(weights), data, nodes, names)
    return Chain(tuple(nodes), tuple(names))


def _first_along(links: Sequence[Link], axis: int) -> int:
    return next((k for k, link in enumerate(links) if link.weights.shape[axis] > 1), 0)


def _where(mine: Pair, values: Pair) -> Pair:
    rows, columns = (v if m else 1 for m, v in zip(mine, values))
    return rows, columns


def border_of(graph: Graph, node: Node) -> Node | None:
    """The node that puts zeros around what a product reads, if there is one."""
    data = graph.by_name.get(node.inputs[0])
    zeros = data is not None and isinstance(data.op, Pad) and data.op.value == 0 and not any(data.op.gaps)
    return data if zeros else None


def _padded(graph: Graph, node: Node, border: Node, mine: Pair, k: int, data: str, nodes: list[Node]) -> str:
    assert isinstance(border.op, Pad)
    before, after = (tuple(v if m else 0 for m, v in zip(mine, side)) for side in (border.op.before, border.op.after))
    if not any((*before, *after)):
        return data
    name = graph.fresh(f"{node.name}.{k + 1}.pad")
    nodes.append(replace(border, name=name, op=Pad(before, after), inputs=(data,)))  # type: ignore[arg-type]
    return name


def _layer(
    graph: Graph, node: Node, op: Conv | MatMul, weights: np.ndarray, k: int, count: int, data: str,
    nodes: list[Node], names: list[str],
) -> str:  # fmt: skip
    """One layer with its constant; the last has the product's own name."""
    constant = graph.fresh(f"{node.name}.{k + 1}.weights")
    name = node.name if k == count - 1 else graph.fresh(f"{node.name}.{k + 1}")
    nodes.append(Node(constant, Constant.real(weights)))
    nodes.append(Node(name, op, (data, constant), f"{node.label}/{k + 1}"))
    names.append(constant)
    return name


def ringed(graph: Graph, node: Node, cores: Sequence[np.ndarray]) -> Chain:
    """A matrix product (K,) -> (N,) by cores (r, m, n, r') in a ring, the last first: reshapes, transposes, products.

    Each product takes the last axis m that is left, with its rank, to the next rank and n, which then goes outermost.
    """
    tail, nodes, names = cores[-1].shape[2] * cores[0].shape[0], [], []
    rows = int(np.prod([c.shape[1] for c in cores[:-1]]))

    def put(suffix: str, op: Reshape | Transpose, data: str) -> str:
        nodes.append(Node(graph.fresh(f"{node.name}.{suffix}"), op, (data,), node.origin))
        return nodes[-1].name

    data = put("rows", Reshape((rows, cores[-1].shape[1])), node.inputs[0])
    *weights, _ = matrices(cores)
    for k, w in enumerate(weights):
        if k > 0:
            inner = cores[-1 - k].shape[1] * cores[-1 - k].shape[3]
            rows //= cores[-1 - k].shape[1]
            data = put(f"{k}.split", Reshape((rows, inner, tail)), data)
            data = put(f"{k}.turn", Transpose((2, 0, 1)), data)
            data = put(f"{k}.join", Reshape((rows * tail * inner // len(w), len(w))), data)
            rows, tail = rows * tail, cores[-1 - k].shape[2]
        data = _layer(graph, node, MatMul(), w, k, len(weights) + 1, data, nodes, names)
    data = put("turn", Transpose((1, 0)), data)
    restored(graph, node, data, nodes, names)
    return Chain(tuple(nodes), tuple(names))


def restored(graph: Graph, node: Node, data: str, nodes: list[Node], names: list[str]) -> None:
    """The product's channels, which layers before left in another shape, as an image that is multiplied by ones.

    A depthwise layer of ones is what a bias for each channel and an activation can follow, in hardware, too.
    """
    *front, channels = graph.types[node.name].shape
    image = (*front, channels) if len(front) == 2 else (int(np.prod(front, dtype=np.int64)), 1, channels)
    nodes.append(Node(graph.fresh(f"{node.name}.image"), Reshape(image), (data,), node.origin))
    _layer(graph, node, Conv(groups=channels), ones(channels), len(names), len(names) + 1, nodes[-1].name, nodes, names)


def ones(channels: int) -> np.ndarray:
    """The weights of a depthwise layer that changes nothing."""
    return np.ones((1, 1, 1, channels))


def matrices(cores: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The constants of `ringed`, the last core's first: (m r', r n), with the closing rank in front of the first m; the
    ones of the last layer."""
    last, size = cores[-1].transpose(1, 0, 2, 3), int(np.prod([c.shape[2] for c in cores]))
    between = [c.transpose(1, 3, 0, 2).reshape(c.shape[1] * c.shape[3], -1) for c in cores[-2:0:-1]]
    first = cores[0].transpose(0, 1, 3, 2)
    return [last.reshape(len(last), -1), *between, first.reshape(-1, first.shape[3]), ones(size)]
