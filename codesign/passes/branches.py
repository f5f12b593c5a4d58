"""Where branches of a network meet: sums, products and concatenations of tensors that each have integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from codesign.formats import Int
from codesign.graph import GraphError, Node, TensorType
from codesign.ops.elementwise import Add, Mul, Sub
from codesign.ops.integer import Reinterpret
from codesign.ops.moves import Expand
from codesign.ops.requant import Requant
from codesign.ops.unary import Unary
from codesign.ops.weigh import Weigh
from codesign.passes.align import MOST_WEIGHT, common_step, common_steps

if TYPE_CHECKING:
    from codesign.passes.integerize import Lifting

MOST_BITS = 25  # of integers that a multiplier limits: the wider port of a DSP48E1


def lift_sum(lifting: Lifting, node: Node) -> str | None:
    """a + b and a - b where one step divides both scales; constants stay in the chain of real functions."""
    if any(i in lifting.values for i in node.inputs):
        return None
    aligned = _aligned(lifting, node, (1, -1) if isinstance(node.op, Sub) else (1, 1))
    if aligned is None:
        return None
    return lifting.add(Node(f"{node.name}_int", Add(), _expanded(lifting, node, aligned), node.origin))


def lift_extreme(lifting: Lifting, node: Node) -> str | None:
    """The larger or smaller of two tensors where one step divides both scales; constants stay in the chain."""
    if any(i in lifting.values for i in node.inputs):
        return None
    aligned = _aligned(lifting, node, (1, 1))
    if aligned is None:
        return None
    return lifting.add(Node(f"{node.name}_int", node.op, _expanded(lifting, node, aligned), node.origin))


def lift_product(lifting: Lifting, node: Node) -> str | None:
    """a * b: the integers' product, exactly."""
    if any(i in lifting.values for i in node.inputs):
        return _weighed(lifting, node)
    operands = [lifting.centered(i) for i in node.inputs]
    known = [o for o in operands if o is not None]
    if len(known) < 2:
        return None
    try:
        return lifting.add(Node(f"{node.name}_int", Mul(), _expanded(lifting, node, known), node.origin))
    except GraphError:
        return None  # for example scales along an axis that the other operand stretches


def _weighed(lifting: Lifting, node: Node) -> str | None:
    """Integers times a positive constant that depends on their place alone: whole multiples of one step."""
    data, *more = (i for i in node.inputs if i not in lifting.values)
    constant = next(lifting.values[i] for i in node.inputs if i in lifting.values)
    shape = lifting.types[data].shape
    if more or constant.size == 1 or constant.shape[-1] != 1 or np.broadcast_shapes(shape, constant.shape) != shape:
        return None
    factors, which = np.unique(np.broadcast_to(constant, shape)[..., 0], return_inverse=True)
    found = common_step([float(f) for f in factors], MOST_WEIGHT) if factors[0] > 0 else None
    integers = lifting.centered(data) if found is not None else None
    if found is None or integers is None:
        return None
    weights = np.array(found[0])[which].reshape(shape[:-1])
    return lifting.add(Node(f"{node.name}_int", Weigh(weights, found[1]), (integers,), node.origin))


def lift_concat(lifting: Lifting, node: Node) -> str | None:
    """Tensors of one scale as they are; others where one step divides all their scales."""
    integers = [lifting.integers(i) for i in node.inputs]
    known = [lifting.types[i] for i in integers if i is not None]
    if len(known) < len(integers) or any(len(t.scale) > 1 or len(t.zero_point) > 1 for t in known):
        return None
    operands = [i for i in integers if i is not None]
    if len({(t.scale, t.zero_point) for t in known}) > 1:
        aligned = _aligned(lifting, node, (1,) * len(known))
        if aligned is None:
            return None
        operands = aligned
    return lifting.add(Node(f"{node.name}_int", node.op, tuple(operands), node.origin))


def _aligned(lifting: Lifting, node: Node, signs: Sequence[int]) -> list[str] | None:
    """The integers behind a node's operands, multiplied so that all have one scale and zero point 0; else None."""
    integers = [limited(lifting, i) for i in node.inputs]
    known = [i for i in integers if i is not None]
    if len(known) < len(integers) or any(len(lifting.types[i].zero_point) > 1 for i in known):
        return None
    found = common_steps([lifting.types[i].scale for i in known])
    if found is None:
        return None
    return [
        times(lifting, f"{node.name}_{k}", name, multiplier * sign, found[1], node.origin)
        for k, (name, multiplier, sign) in enumerate(zip(known, found[0], signs))
    ]


def limited(lifting: Lifting, name: str) -> str | None:
    """The integers behind a real tensor, also where it is a Relu or Clip, at whole steps, of one that has them."""
    node = lifting.nodes.get(name)
    if (found := lifting.integers(name)) or node is None or not isinstance(node.op, Unary):
        return found
    bounds = {"relu": (0.0, np.inf), "clip": node.op.parameters}.get(node.op.function)
    data = lifting.centered(node.inputs[0]) if bounds else None
    if bounds is None or data is None:
        return None
    t = lifting.types[data]
    assert t.format is not None
    if t.format.bits > MOST_BITS:
        return None
    steps = np.divide.outer(bounds, t.scale)
    limits = np.clip(steps, t.format.lo, t.format.hi)
    within = (steps[0] <= t.format.hi).all() and (steps[1] >= t.format.lo).all() and limits[0, 0] <= limits[1, 0]
    if not within or (limits != np.rint(limits[:, :1])).any():
        return None
    one = np.ones(1, dtype=np.int64)
    fmt = Int(int(limits[0, 0]), int(limits[1, 0]))
    return lifting.derive(f"{name}_limited", Requant(one, 0 * one, 0, "floor", fmt, t.scale), data, origin=node.origin)


def times(
    lifting: Lifting, name: str, integers: str, multiplier: np.ndarray, step: tuple[float, ...], origin: str
) -> str:
    """(integers - zero point) * multiplier, of scale `step`: a new node unless that changes nothing."""
    t = lifting.types[integers]
    if (multiplier != 1).any() or any(t.zero_point):
        return lifting.derive(name, scaling(t, multiplier, step), integers, origin=origin)
    return integers if t.scale == step else lifting.derive(name, Reinterpret(step), integers, origin=origin)


def scaling(t: TensorType, multiplier: np.ndarray, step: tuple[float, ...]) -> Requant:
    """(x - zero point) * multiplier as an operator; multiplier (C or 1,)."""
    assert t.format is not None
    zero = t.zero_point[0]
    ends = np.outer([t.format.lo - zero, t.format.hi - zero], multiplier)
    shared = len(set(multiplier.tolist())) == 1
    multiplier = multiplier[:1] if shared else multiplier
    return Requant(multiplier, -zero * multiplier, 0, "floor", Int(int(ends.min()), int(ends.max())), step)


def _expanded(lifting: Lifting, node: Node, operands: Sequence[str]) -> tuple[str, ...]:
    """The operands, each stretched to the shape of the node's result."""
    shape = tuple(np.broadcast_shapes(*(lifting.types[i].shape for i in node.inputs)))
    return tuple(
        o if lifting.types[o].shape == shape else lifting.derive(f"{node.name}_{o}_expanded", Expand(shape), o)
        for o in operands
    )
