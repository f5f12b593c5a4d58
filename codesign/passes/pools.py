"""Padding, pools and reductions of real tensors, moved to the integers behind them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from codesign.graph import GraphError, Node
from codesign.ops.pool import AveragePool, GlobalAveragePool, GlobalSumPool, SumPool
from codesign.ops.reduce import Reduce, neighbours
from codesign.passes.branches import limited

if TYPE_CHECKING:
    from codesign.passes.integerize import Lifting


def lift_pad(lifting: Lifting, node: Node) -> str | None:
    """Real padding is padding with the integer that means the same number."""
    integers = lifting.integers(node.inputs[0])
    if integers is None:
        return None
    t, value = lifting.types[integers], node.op.value  # type: ignore[attr-defined]
    assert t.format is not None
    if value == -np.inf:
        code = float(t.format.lo)
    elif len(t.scale) == 1 and len(t.zero_point) == 1:
        code = value / t.scale[0] + t.zero_point[0]
    else:
        code = float(t.zero_point[0]) if value == 0 and len(set(t.zero_point)) == 1 else np.nan
    if code != np.rint(code):
        return None
    return lifting.add(Node(f"{node.name}_int", replace(node.op, value=code), (integers,), node.origin))  # type: ignore[type-var]


def lift_average(lifting: Lifting, node: Node) -> str | None:
    """A mean is a sum whose divisor goes into the scale."""
    data = lifting.centered(node.inputs[0]) or limited(lifting, node.inputs[0])
    if data is None or any(lifting.types[data].zero_point):
        return None
    shape = lifting.types[data].shape
    if isinstance(node.op, GlobalAveragePool):
        op = GlobalSumPool(shape[0] * shape[1])
    else:
        assert isinstance(node.op, AveragePool)
        op = SumPool(node.op.kernel, node.op.stride, node.op.dilation, int(np.prod(node.op.kernel)))
    return lifting.add(Node(f"{node.name}_int", op, (data,), node.origin))


def lift_reduction(lifting: Lifting, node: Node) -> str | None:
    """Neighbouring axes at a time; a mean is a sum whose divisor goes into the scale."""
    op = node.op
    assert isinstance(op, Reduce)
    mean, adds = op.function == "mean", op.function in ("mean", "sum")
    data = lifting.centered(node.inputs[0]) if adds else lifting.integers(node.inputs[0])
    if data is None:
        return None
    shape = lifting.types[data].shape
    runs = neighbours(op.axes, shape)
    function = "sum" if adds else op.function
    steps = [Reduce(function, run) for run in runs[:-1]]
    steps.append(Reduce(function, runs[-1], op.terms(shape) if mean else 1))
    try:
        for k, step in enumerate(steps):
            last = k == len(steps) - 1
            data = lifting.add(Node(f"{node.name}_int" + ("" if last else f"_{k}"), step, (data,), node.origin))
    except GraphError:
        return None  # for example over channels that have a scale each
    return data
