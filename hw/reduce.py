"""Many values to one: the operations of pooling, as formats, as NumPy and as circuits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

import numpy as np
from amaranth.hdl import Module, Mux, Signal, Value

from codesign.formats import Format, Int
from hw.copies import EACH
from hw.fitted import fitted
from hw.stream import StreamType

Operation = Literal["max", "min", "sum"]

_NUMPY = {"max": np.max, "min": np.min, "sum": np.sum}

Item = TypeVar("Item")


def reduced_format(op: Operation, fmt: Format, count: int) -> Format:
    """The exact range of `count` values taken together."""
    return Int(count * fmt.lo, count * fmt.hi) if op == "sum" else fmt


def reduce_values(op: Operation, values: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    """The operation along axes, in int64."""
    return _NUMPY[op](values.astype(np.int64), axis=axis)


def combine(op: Operation, a: Value, b: Value) -> Value:
    """The operation on two values, exact."""
    if op == "sum":
        return a + b
    return Mux(a > b, a, b) if op == "max" else Mux(a < b, a, b)


def lane_groups(results: StreamType) -> int:
    """Of lanes whose running results share an enable."""
    return -(-results.lanes // max(1, EACH // results.format.bits))


def accumulate(op: Operation, first: Value, held: Value, value: Value) -> Value:
    """The result up to a value: `held` taken together with it, or the first value alone."""
    if op == "sum":  # an AND before the adder costs nothing, a choice behind it a LUT a bit
        return value + Mux(first, 0, held)
    return Mux(first, value, combine(op, held, value))


def node_luts(op: Operation, bits: float) -> float:
    """Sites of one lane that keeps a running result: an adder, or a comparison and a choice."""
    return fitted("reduce.sum") * bits if op == "sum" else fitted("reduce.extreme") * bits


def tree(items: list[Item], pair: Callable[[Item, Item], Item], register: Callable[[Item], Item]) -> Item:
    """A tree of pairs, earlier items to the left; each of its ceil(log2(items)) levels is registered."""
    while len(items) > 1:
        pairs = [pair(a, b) for a, b in zip(items[::2], items[1::2], strict=False)]
        items = [register(item) for item in pairs + items[len(pairs) * 2 :]]
    return items[0]


def registered(m: Module, value: Value) -> Value:
    """The value, one clock later."""
    held = Signal(value.shape(), reset_less=True)
    m.d.sync += held.eq(value)
    return held
