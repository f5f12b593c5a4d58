"""Nested counters and the addresses that walk with them."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Array, Cat, Const, Module, Mux, Shape, Signal, Value, ValueLike, signed

from codesign.cost import Cost
from hw.copies import KEPT
from hw.fitted import fitted

_TABLE_INPUTS = 6


def counters(
    m: Module, counts: Sequence[int], step: ValueLike, begin: Sequence[int] = ()
) -> tuple[list[Signal], list[Value]]:
    """Nested counters, outermost first, advanced by `step`, from `begin` (zeros) on.

    Returns their indices, and for each level whether it and all inner ones are at their last index.
    """
    begins = begin or [0] * len(counts)
    indices = [Signal(range(n), name=f"index{k}", init=i) for k, (n, i) in enumerate(zip(counts, begins, strict=True))]
    last: list[Value] = [Const(1, 1)] * len(counts)
    inner: Value = Const(1, 1)
    for k in reversed(range(len(counts))):
        at_last = indices[k] == counts[k] - 1
        with m.If(Value.cast(step) & inner):
            # From six bits on a chain takes fewer tables, the comparison beside it counted.
            above = increased(indices[k]) if len(indices[k]) < _TABLE_INPUTS else indices[k] + 1
            m.d.sync += indices[k].eq(Mux(at_last, 0, above))
        inner = last[k] = inner & at_last
    return indices, last


def increased(index: Signal) -> Value:
    """index + 1, modulo its range: a small one without a carry chain, behind which abc9 would look for other logic."""
    if len(index) > _TABLE_INPUTS:
        return index + 1
    return Cat(*(index[k] ^ index[:k].all() for k in range(len(index))))


def decreased(index: Signal) -> Value:
    """index - 1, the same way."""
    if len(index) > _TABLE_INPUTS:
        return index - 1
    return Cat(*(index[k] ^ ~index[:k].any() for k in range(len(index))))


def strides_to_steps(loops: Sequence[tuple[int, int]]) -> list[int]:
    """Loops (count, stride), outermost first -> the move when a level advances and all inner restart."""
    spans = [(count - 1) * stride for count, stride in loops]
    return [stride - sum(spans[k + 1 :]) for k, (_, stride) in enumerate(loops)]


def choose_step(steps: Sequence[int], last: Sequence[Value]) -> Value:
    """The step of the level that advances, by `last` of `counters`; the outermost loop has none."""
    width = signed(max(max(step, ~step).bit_length() for step in steps) + 1)
    return _choose([Const(step, width) for step in steps], last)


def ring_address(
    m: Module, depth: int, steps: Sequence[int], last: Sequence[Value], move: ValueLike, start: int = 0
) -> Signal:
    """An address in a ring of `depth` words, from `start` on; `move` moves it by the chosen step, any size and sign."""
    steps = [step % depth for step in steps]
    ahead, wrapped = choose_step(steps, last), choose_step([step - depth for step in steps], last)
    return _ring(m, depth, ahead, wrapped, move, start)


def ring_walk(
    m: Module, depth: int, steps: Sequence[tuple[Value, Sequence[int]]], last: Sequence[Value], move: ValueLike,
    start: int,
) -> Signal:  # fmt: skip
    """The same where a level's step depends on its index: (index, a step for each) of every level."""
    tables = [[step % depth for step in own] for _, own in steps]
    ahead, wrapped = (
        _choose([table(index, [step - back for step in own]) for (index, _), own in zip(steps, tables)], last)
        for back in (0, depth)
    )
    return _ring(m, depth, ahead, wrapped, move, start)


def table(index: Value, values: Sequence[int]) -> Value:
    """values[index]; a constant where all are the same."""
    shape = Shape.cast(range(min(values), max(values) + 1))
    if len(set(values)) == 1:
        return Const(values[0], shape)
    return Array([Const(value, shape) for value in values])[index]


def _choose(steps: Sequence[Value], last: Sequence[Value]) -> Value:
    """The step of the level that advances."""
    chosen = steps[0]
    for step, ended in zip(steps[1:], last, strict=True):
        chosen = Mux(ended, chosen, step)
    return chosen


def _ring(m: Module, depth: int, step: Value, step_back: Value, move: ValueLike, start: int) -> Signal:
    """An address that moves by `step`, or by `step_back`, a ring less, where that does not lead below 0."""
    address = Signal(range(depth), init=start)
    ahead = Signal(range(2 * depth))
    wrapped = Signal(signed(depth.bit_length() + 1))
    m.d.comb += [ahead.eq(address + step), wrapped.eq(address + step_back)]
    power_of_two = depth & (depth - 1) == 0
    with m.If(move):
        m.d.sync += address.eq(ahead if power_of_two else Mux(wrapped < 0, ahead, wrapped))
    return address


def between(index: Signal, start: int, stop: int) -> Value:
    """start <= index < stop, without a comparison that is always true."""
    above = index >= start if start else Const(1, 1)
    return above & (index < stop if stop < 2 ** len(index) else Const(1, 1))


def counters_cost(counts: Sequence[int]) -> Cost:
    """Of `counters`."""
    bits = [(count - 1).bit_length() for count in counts if count > 1]
    return Cost(lut=fitted("counter.bit") * sum(bits) + fitted("counter.one") * len(bits), ff=sum(bits))


def fold_counter(m: Module, valid: Value, folds: int, count: int = 1) -> list[Signal]:
    """Counts beats modulo `folds`: the fold of the beat that is `valid` now, in so many registers.

    The counting register runs one beat ahead of those that are read: Yosys' abc9 takes three times the LUTs for
    a table of 64 entries whose address also drives a carry chain.
    """
    attrs = KEPT if count > 1 else {}
    reads, ahead = [Signal(range(folds), attrs=attrs) for _ in range(count)], Signal(range(folds), init=1 % folds)
    with m.If(valid):
        m.d.sync += [ahead.eq(Mux(ahead == folds - 1, 0, ahead + 1)), *(fold.eq(ahead) for fold in reads)]
    return reads


def counter_cost(folds: int, count: int = 1) -> Cost:
    """Of a fold_counter."""
    bits = (folds - 1).bit_length()
    return Cost(lut=fitted("fold.bit") * bits, ff=(1 + count) * bits)
