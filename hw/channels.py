"""Channels that folding divides better: 32 of them by powers of two alone, 36 also by 3, 9 and 12.

What works in parallel divides a layer's channels, so where these are a power of two the next faster folding takes twice
the area. A few channels more, which nothing reads, give the rates between. Only hardware has them: the network stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import gcd
from types import MappingProxyType
from typing import Any

import numpy as np

from codesign.graph import Constant, Graph, Node, TensorType
from codesign.ops.conv import Conv
from codesign.ops.elementwise import Add, Maximum, Minimum, Mul
from codesign.ops.integer import Center, Reinterpret
from codesign.ops.layout import Reshape
from codesign.ops.matmul import MatMul
from codesign.ops.pad import Pad
from codesign.ops.pool import GlobalMaxPool, GlobalSumPool, MaxPool, SumPool
from codesign.ops.requant import Requant
from codesign.ops.table import Table
from codesign.ops.threshold import Threshold
from codesign.ops.weigh import Weigh
from hw.divisors import divisors

MOST = 1.25  # times the channels
_WORTH = 1.25  # times as many foldings for their area, or it is not tried
_CHANNELWISE = (
    Threshold, Table, Requant, Center, Reinterpret, Weigh, Pad, MaxPool, SumPool, GlobalMaxPool, GlobalSumPool,
    Add, Mul, Maximum, Minimum,
)  # fmt: skip
_PARAMETERS = ("thresholds", "base", "step", "values", "multiplier", "offset", "scale", "zero_point")


@dataclass(frozen=True)
class Wide:
    """A tensor's last axis in hardware: `channels` instead of `of`, in each of `blocks` (the places of a flattened
    image)."""

    blocks: int
    of: int
    channels: int

    @property
    def size(self) -> int:
        return self.blocks * self.channels


Channels = Mapping[str, Wide]  # by tensor, of those that have more
NO_MORE: Channels = MappingProxyType({})


def widening(core: Graph) -> dict[str, Wide]:
    """What is worth trying: every tensor that may with the number of channels that has most foldings for its area."""
    groups = [(group, channels, _better(channels)) for group, channels in _groups(core)]
    return {
        name: Wide(core.types[name].shape[-1] // channels, channels, better)
        for group, channels, better in groups
        if better > channels
        for name in sorted(group)
    }


def _better(channels: int) -> int:
    """The same number where none has enough more foldings for its area."""
    best = max(range(channels, int(MOST * channels) + 1), key=lambda n: _worth(n) / n**2)
    return best if _worth(best) * (channels / best) ** 2 > _WORTH * _worth(channels) else channels


def _worth(channels: int) -> int:
    """Foldings of a product of as many inputs as outputs."""
    return len(divisors(channels**2))


def _groups(core: Graph) -> list[tuple[set[str], int]]:
    """Tensors whose channels are the same, or a multiple, and how many they are; none whose channels must stay."""
    groups = {name: {name} for name in core.types}
    fixed = {*core.constants, *(i.name for i in core.inputs), *core.outputs}
    for node in core.nodes:
        if _is_dense(core, node):
            fixed |= set() if _holds_zero(core, node.inputs[1]) else {node.inputs[0]}
        elif _is_tied(core, node):
            joined = set[str]().union(*(groups[name] for name in (node.name, *_data(core, node))))
            groups.update(dict.fromkeys(joined, joined))
        else:
            fixed |= {node.name, *node.inputs}
    apart = {id(group): group for group in groups.values() if not group & fixed}
    return [(group, gcd(*(core.types[name].shape[-1] for name in group))) for group in apart.values()]


def _data(core: Graph, node: Node) -> list[str]:
    return [i for i in node.inputs if i not in core.constants]


def _is_dense(core: Graph, node: Node) -> bool:
    """Whether every result reads every channel."""
    dense = isinstance(node.op, MatMul) or (isinstance(node.op, Conv) and node.op.groups == 1)
    return dense and node.inputs[1] in core.constants


def _holds_zero(core: Graph, tensor: str) -> bool:
    fmt = core.types[tensor].format
    return fmt is not None and fmt.contains(np.zeros(1, np.int64))


def _is_tied(core: Graph, node: Node) -> bool:
    """Whether results have the channels of the operands, a channel of each by itself."""
    if isinstance(node.op, Conv):
        weights = core.types[node.inputs[1]].shape
        return node.op.is_depthwise(weights) and weights[3] == node.op.groups
    there, here = [core.types[name].shape[-1:] for name in node.inputs], core.types[node.name].shape[-1:]
    if isinstance(node.op, Reshape):
        return bool(there[0] and here) and here[0] % there[0][0] == 0
    computed = not core.constants.keys() & set(node.inputs)
    return isinstance(node.op, _CHANNELWISE) and computed and bool(here) and set(there) == {here}


def widened(core: Graph, channels: Channels) -> Graph:
    """The same function with more channels inside, which only weights of zero read."""
    nodes = [made for node in core.nodes for made in _wider(core, node, channels)]
    return core.replace(nodes) if channels else core


def _wider(core: Graph, node: Node, channels: Channels) -> list[Node]:
    """The node, and the constant that it now reads."""
    wide = channels.get(node.name)
    if isinstance(node.op, (MatMul, Conv)) and (wide or node.inputs[0] in channels):
        weights = Node(f"{node.name} wide", _weights(core, node, channels), (), node.origin)
        op = replace(node.op, groups=wide.size) if wide and not _is_dense(core, node) else node.op
        return [weights, replace(node, op=op, inputs=(node.inputs[0], weights.name))]
    if wide is None:
        return [node]
    if isinstance(node.op, Reshape):
        return [replace(node, op=Reshape((*node.op.shape[:-1], wide.size)))]
    return [replace(node, op=_with_more(node.op, wide))]


def _weights(core: Graph, node: Node, channels: Channels) -> Constant:
    """Of a product: more rows of zeros, and columns; of zeros where sums keep their range, else as the last."""
    values, t = core.constants[node.inputs[1]], core.types[node.inputs[1]]
    if wide := channels.get(node.name):
        free = _holds_zero(core, node.inputs[1]) and _holds_zero(core, node.name)
        values, t = _more(values, values.ndim - 1, wide, "constant" if free else "edge"), _with_more(t, wide)
    if _is_dense(core, node) and (wide := channels.get(node.inputs[0])):
        values = _more(values, values.ndim - 2, wide, "constant")
    return Constant(TensorType(values.shape, t.format, t.scale, t.zero_point), values)


def _with_more(of: Any, wide: Wide) -> Any:
    """An operator or a type with parameters for the channels added, those of the last one."""
    found = {name: getattr(of, name) for name in _PARAMETERS if np.ndim(getattr(of, name, 0))}
    made = {name: _more(np.asarray(value), 0, wide, "edge") for name, value in found.items() if len(value) > 1}
    return replace(of, **{k: tuple(v.tolist()) if isinstance(found[k], tuple) else v for k, v in made.items()})


def _more(values: np.ndarray, axis: int, wide: Wide, mode: Any) -> np.ndarray:
    """More channels at the end of every block along an axis."""
    outer, inner = values.shape[:axis], values.shape[axis + 1 :]
    room = [(0, wide.channels - wide.of if k == axis + 1 else 0) for k in range(values.ndim + 1)]
    return np.pad(values.reshape(*outer, wide.blocks, wide.of, *inner), room, mode).reshape(*outer, wide.size, *inner)
