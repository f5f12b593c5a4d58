"""Many values to one: the operations of pooling, as formats, as NumPy and as circuits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

import numpy as np
from amaranth.hdl import Mux, Value

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
    """A tree of pairs, earlier items to the left; each of its ceil(log2(items)) levels is registered.

    Where the items are odd, the last goes alone and at the next level the first: none waits two levels on end, which
    synthesis would make a shift register of, in a LUT and slow.
    """
    alone = 0  # items before the pairs
    while len(items) > 1:
        first, rest = items[: alone * (len(items) % 2)], items[alone * (len(items) % 2) :]
        pairs = [pair(a, b) for a, b in zip(rest[::2], rest[1::2], strict=False)]
        items = [register(item) for item in first + pairs + rest[len(pairs) * 2 :]]
        alone = 1 - alone
    return items[0]


def tree_bits(op: Operation, bits: int, count: int, most: int) -> tuple[list[int], list[int]]:
    """Of a tree of so many values: the bits of every pair's operands, and of every register; of these at most `most`
    are read."""
    pairs, registers = list[int](), list[int]()

    def pair(a: int, b: int) -> int:
        pairs.append(max(a, b))
        return min(max(a, b) + (op == "sum"), most)

    def register(width: int) -> int:
        registers.append(width)
        return width

    tree([bits] * count, pair, register)
    return pairs, registers or [bits]
