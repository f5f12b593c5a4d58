"""Horizontal fusion: products that read the same tensor become one wider product, and so do their activations.

The window buffer, the input stream and the control are then shared. Results that meet again in a concatenation need
no splitting: it vanishes. A smaller kernel stands inside the largest one's window, zeros around it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from codesign.formats import Format, Int, hull
from codesign.fusion import Journal
from codesign.graph import Constant, Graph, GraphError, Input, Node, Operand, TensorType
from codesign.ops.conv import Conv
from codesign.ops.integer import Center, Reinterpret
from codesign.ops.layout import Concat
from codesign.ops.matmul import MatMul
from codesign.ops.moves import Slice
from codesign.ops.pad import Pad
from codesign.passes.widen import WIDENED, widened

NO_PAD = Pad((0, 0), (0, 0))


@dataclass(frozen=True)
class Sibling:
    """A product, the padding of its input, and `last`: the activation behind it, or itself."""

    product: Node
    padding: Pad
    last: Node


@dataclass(frozen=True)
class Family:
    """Products of one tensor `source` in the order of their merged channels; `meet`: what joins all of them again."""

    source: str
    siblings: tuple[Sibling, ...]
    meet: Node | None

    @property
    def nodes(self) -> list[Node]:
        return [s.product for s in self.siblings]


def fuse_siblings(graph: Graph, journal: Journal) -> Graph:
    """Every family becomes one product where that is possible and, by the cost model, no dearer; else its members
    with kernels of one size do."""
    for key in dict.fromkeys(k for n in graph.nodes if (k := _key(graph, n)) is not None):
        members = [n for n in graph.nodes if _key(graph, n) == key]
        graph = _fused_members(graph, members, journal)
    return graph


def _fused_members(graph: Graph, members: Sequence[Node], journal: Journal) -> Graph:
    if len(members) < 2:
        return graph
    fused = _fused(graph, _family(graph, members), journal)
    sizes = dict.fromkeys(_size(graph, n) for n in members)
    if fused is not graph or len(sizes) == 1:
        return fused
    for size in sizes:
        graph = _fused_members(graph, [n for n in members if _size(graph, n) == size], journal)
    return graph


def _size(graph: Graph, product: Node) -> Hashable:
    return graph.types[product.inputs[1]].shape[:-2], _reading(graph, product)[2]


def _key(graph: Graph, node: Node) -> Hashable:
    """Equal for products that could be one; None for other nodes."""
    if not isinstance(node.op, (Conv, MatMul)) or not graph.types[node.name].is_integer:
        return None
    source, zero, _ = _reading(graph, node)
    return source, zero, graph.types[node.name].shape[:-1], node.op


def _reading(graph: Graph, product: Node) -> tuple[str, int, Pad]:
    """The tensor that a product reads below padding and zero point, and these."""
    name, zero, padding = product.inputs[0], 0, NO_PAD
    below = graph.by_name.get(name)
    if below is not None and isinstance(below.op, Center):
        name, zero = below.inputs[0], below.op.zero_point
        below = graph.by_name.get(name)
    if below is not None and isinstance(below.op, Pad):
        name, padding = below.inputs[0], below.op
    return name, zero, padding


def _family(graph: Graph, members: Sequence[Node]) -> Family:
    siblings = []
    for product in members:
        readers = graph.readers[product.name]
        alone = len(readers) == 1 and product.name not in graph.outputs and isinstance(readers[0].op, WIDENED)
        siblings.append(Sibling(product, _reading(graph, product)[2], readers[0] if alone else product))
    meet = _meeting(graph, siblings)
    if meet is not None:
        siblings.sort(key=lambda s: meet.inputs.index(s.last.name))
    return Family(_reading(graph, members[0])[0], tuple(siblings), meet)


def _meeting(graph: Graph, siblings: Sequence[Sibling]) -> Node | None:
    """The concatenation of channels in which all results meet side by side, read by nothing else; else None."""
    readers = {r.name: r for s in siblings for r in graph.readers[s.last.name]}
    if len(readers) != 1 or any(s.last.name in graph.outputs for s in siblings):
        return None
    (meet,) = readers.values()
    rank = len(graph.types[meet.name].shape)
    if not isinstance(meet.op, Concat) or meet.op.axis % rank != rank - 1:
        return None
    places = sorted(k for k, i in enumerate(meet.inputs) if i in {s.last.name for s in siblings})
    side_by_side = places == list(range(places[0], places[0] + len(siblings)))
    return meet if side_by_side else None


def _fused(graph: Graph, family: Family, journal: Journal) -> Graph:
    reason = _unfit(graph, family)
    if reason:
        journal.refused(reason, *family.nodes)
        return graph
    try:
        wide = _widened(graph, family)
    except GraphError as e:  # a table behind one of them takes no more than its own range
        journal.refused(str(e), *family.nodes)
        return graph
    ratio = journal.compare(_region(graph, family), _region(wide, family)) if journal.compare else 0.0
    if ratio > 1:
        journal.refused(
            f"one product of all, its activation included, would cost {ratio - 1:.0%} more at equal rates",
            *family.nodes,
        )
        return graph
    saving = f", {1 - ratio:.0%} cheaper at equal rates" if ratio else ""
    again = " and need no Concat" if family.meet else ""
    journal.did(f"{len(family.siblings)} products of '{family.source}' are one{again}{saving}", *family.nodes)
    return wide


def _unfit(graph: Graph, family: Family) -> str:
    """Why a family cannot be one product; empty where it can."""
    if any(isinstance(n.op, Conv) and n.op.groups > 1 for n in family.nodes):
        return "grouped convolutions read each its own channels"
    widest = _widest(graph, family)
    if any(_place(graph, s, widest) is None for s in family.siblings):
        return "no kernel's window holds those of the others"
    bits = {f.bits for f in _weight_formats(graph, family)}
    if len(bits) > 1:
        return f"weights of {' and '.join(map(str, sorted(bits)))} bits would all be stored in {max(bits)}"
    return ""


def _widest(graph: Graph, family: Family) -> Sibling:
    return max(family.siblings, key=lambda s: graph.types[s.product.inputs[1]].size // _filters(graph, s))


def _filters(graph: Graph, sibling: Sibling) -> int:
    return graph.types[sibling.product.name].shape[-1]


def _weight_formats(graph: Graph, family: Family) -> list[Format]:
    return [f for n in family.nodes if (f := graph.types[n.inputs[1]].format) is not None]


def _place(graph: Graph, sibling: Sibling, widest: Sibling) -> tuple[slice, ...] | None:
    """Where a sibling's kernel stands in the widest one's; None where it sees more than that does."""
    op, own, window = widest.product.op, sibling.padding, widest.padding
    if not isinstance(op, Conv):
        return ()
    small, large = (graph.types[s.product.inputs[1]].shape for s in (sibling, widest))
    offsets = np.subtract(window.before, own.before)
    starts = offsets // op.dilation
    fits = (starts >= 0).all() and (starts + small[:2] <= large[:2]).all() and not (offsets % op.dilation).any()
    same_border = own.value == window.value or not any((*own.before, *own.after))
    return tuple(slice(int(a), int(a) + n) for a, n in zip(starts, small)) if fits and same_border else None


def _widened(graph: Graph, family: Family) -> Graph:
    """The graph with one product for a family, one activation where all have one, and slices where parts go apart."""
    product, weights = _wide_product(graph, family)
    added, lasts = [weights, product], [s.last for s in family.siblings]
    activation = _wide_activation(graph, product, weights, lasts)
    if activation is not None:
        added.append(activation)
    elif family.nodes != lasts:  # the products' parts go to their own activations
        lasts = family.nodes
    joined = lasts[0] is family.siblings[0].last and len({_meaning(graph, n) for n in lasts}) == 1
    if family.meet is not None and joined:
        added += _met(family.meet, added.pop(), lasts)
    else:
        added += _slices(graph, added[-1], lasts)
    gone = {n.name for n in (*family.nodes, *lasts, *added)}
    return graph.replace([*(n for n in graph.nodes if n.name not in gone), *added])


def _meaning(graph: Graph, node: Node) -> Hashable:
    t = graph.types[node.name]
    return t.scale, t.zero_point


def _wide_activation(graph: Graph, product: Node, weights: Node, lasts: Sequence[Node]) -> Node | None:
    """One activation behind the product of a family, where their own can be one."""
    assert isinstance(weights.op, Constant)
    x = graph.types[product.inputs[0]]
    wide = product.op.infer(Operand(x), Operand(weights.op.type, weights.op.value)).format
    assert wide is not None
    sources = [f for n in lasts if (f := graph.types[n.inputs[0]].format) is not None]
    op = widened([n.op for n in lasts], sources, [graph.types[n.name] for n in lasts], wide)
    if op is None:
        return None
    return Node(graph.fresh(f"{lasts[0].name}_wide"), op, (product.name,), lasts[0].origin)


def _met(meet: Node, wide: Node, parts: Sequence[Node]) -> list[Node]:
    """A wide result in place of its parts: as the whole concatenation, or as one operand of it."""
    if len(meet.inputs) == len(parts):
        return [replace(wide, name=meet.name)]
    at = meet.inputs.index(parts[0].name)
    inputs = (*meet.inputs[:at], wide.name, *meet.inputs[at + len(parts) :])
    return [wide, replace(meet, inputs=inputs)]


def _slices(graph: Graph, wide: Node, parts: Sequence[Node]) -> list[Node]:
    """Each part of a wide result under its old name, with its old meaning."""
    nodes, start = [], 0
    for part in parts:
        t = graph.types[part.name]
        rank = len(t.shape)
        op = Slice((*[0] * (rank - 1), start), t.shape, (1,) * rank)
        cut = Node(graph.fresh(f"{part.name}_part"), op, (wide.name,), part.origin)
        nodes += [cut, Node(part.name, Reinterpret(t.scale, t.zero_point), (cut.name,), part.origin)]
        start += t.shape[-1]
    return nodes


def _wide_product(graph: Graph, family: Family) -> tuple[Node, Node]:
    """The product of a family and its weights."""
    widest = _widest(graph, family)
    shape = graph.types[widest.product.inputs[1]].shape
    parts = []
    for s in family.siblings:
        place = _place(graph, s, widest)
        assert place is not None
        part = np.zeros((*shape[:-1], _filters(graph, s)), dtype=np.int64)
        part[place] = graph.constants[s.product.inputs[1]]
        parts.append(part)
    values = np.concatenate(parts, axis=-1)
    fmt = hull(*_weight_formats(graph, family))
    if not fmt.contains(values):  # zeros around binary weights
        fmt = hull(fmt, Int(0, 0))
    scales = [graph.types[s.product.inputs[1]].scale for s in family.siblings]
    each = tuple(v for t, p in zip(scales, parts) for v in np.broadcast_to(t, p.shape[-1]).tolist())
    kind = TensorType(values.shape, fmt, each if len(set(each)) > 1 else each[:1])
    first = family.siblings[0].product
    weights = Node(graph.fresh(f"{first.inputs[1]}_wide"), Constant(kind, values))
    name = graph.fresh(f"{first.name}_wide")
    return Node(name, first.op, (widest.product.inputs[0], weights.name), first.origin), weights


def _region(graph: Graph, family: Family) -> Graph:
    """From what a family reads to what reads it, as a network of its own."""
    lasts = [s.last.name for s in family.siblings]
    ends = [family.meet.name] if family.meet is not None else lasts
    others = [i for i in family.meet.inputs if i not in lasts] if family.meet is not None else []
    given = list(dict.fromkeys([family.source, *others]))
    nodes = [n for n in graph.nodes if n.name not in given]
    return Graph(tuple(Input(n, graph.types[n]) for n in given), (), ()).replace(nodes, ends)
