"""Nested counters and the addresses that walk with them."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, ValueLike, signed

from codesign.cost import Cost
from hw.copies import KEPT
from hw.fitted import fitted

_TABLE_INPUTS = 6
COUNTED_IN_TABLES = 1 << (_TABLE_INPUTS - 1)  # up to so many `counters` count without a carry chain
_TOGETHER = 4  # equal registers that follow one of them, which is read by that many more (`hw.copies.EACH`)


def counters(
    m: Module, counts: Sequence[int], step: ValueLike, begin: Sequence[int] = ()
) -> tuple[list[Signal], list[Value]]:
    """Nested counters, outermost first, advanced by `step`, from `begin` (zeros) on.

    Returns their indices, and for each level whether it and all inner ones are at their last index.
    """
    indices = _indices(counts, begin)
    ends: list[Value] = [index == count - 1 for index, count in zip(indices, counts, strict=True)]
    _advance(m, indices, ends, step)
    return indices, with_inner(ends)


def counters_and_ends(
    m: Module, counts: Sequence[int], step: ValueLike, begin: Sequence[int] = ()
) -> tuple[list[Signal], list[Value]]:
    """The same, but for each level whether it is at its last index itself: in a register, so that no path compares."""
    indices = _indices(counts, begin)
    begun = [index.init == count - 1 for index, count in zip(indices, counts, strict=True)]
    ends = [Signal(name=f"end{k}", init=at_last) for k, at_last in enumerate(begun)]
    inner: Value = Value.cast(step)
    for index, count, end in reversed(list(zip(indices, counts, ends, strict=True))):
        with m.If(inner):
            m.d.sync += end.eq(index == count - 2 if count > 1 else 1)
        inner = inner & end
    _advance(m, indices, ends, step)
    return indices, list(ends)


def _indices(counts: Sequence[int], begin: Sequence[int]) -> list[Signal]:
    begins = begin or [0] * len(counts)
    return [Signal(range(n), name=f"index{k}", init=i) for k, (n, i) in enumerate(zip(counts, begins, strict=True))]


def _advance(m: Module, indices: Sequence[Signal], ends: Sequence[Value], step: ValueLike) -> None:
    """Each index by one, or back to 0 from its end, when all inner ones are at their ends."""
    inner = Value.cast(step)
    for index, end in reversed(list(zip(indices, ends, strict=True))):
        with m.If(inner):
            # From six bits on a chain takes fewer tables, the comparison beside it counted.
            above = increased(index) if len(index) < _TABLE_INPUTS else index + 1
            m.d.sync += index.eq(Mux(end, 0, above))
        inner = inner & end


def rounds(m: Module, count: int, moves: Sequence[Value]) -> list[Signal]:
    """A number that goes around, in a register for each of `moves`, which are all the same."""
    made = [Signal(range(count), name="turn", attrs=KEPT if len(moves) > 1 else {}) for _ in moves]
    following = [_around(m, first, count, moves[k * _TOGETHER]) for k, first in enumerate(made[::_TOGETHER])]
    for k, (turn, move) in enumerate(zip(made, moves, strict=True)):
        with m.If(move):
            m.d.sync += turn.eq(following[k // _TOGETHER])
    return made


def _around(m: Module, index: Signal, count: int, move: Value) -> Value:
    """What follows a number that goes around."""
    if not told_apart(count):
        return Mux(index == count - 1, 0, increased(index))
    last = Signal(init=index.init == count - 1)
    with m.If(move):
        m.d.sync += last.eq(index == count - 2)
    return Mux(last, 0, index + 1)


def told_apart(count: int) -> bool:
    """Whether a register says that a number is at its end: where a chain counts it, and no bit of the sum tells it."""
    bits = (count - 1).bit_length()
    return bits > _TABLE_INPUTS and count != 1 << bits


def at_ends(
    m: Module, counts: Sequence[int], indices: Sequence[Signal], ends: Sequence[Value], step: ValueLike,
    apart: bool = False,
) -> Value:  # fmt: skip
    """Whether all of some innermost levels are at their ends, in a register of its own, `apart` from equal ones."""
    there = soon_at_ends(counts, indices, ends)
    if isinstance(there, Const):
        return there
    kept = Signal(attrs=KEPT if apart else {})
    with m.If(step):
        m.d.sync += kept.eq(there)
    return kept


def soon_at_ends(counts: Sequence[int], indices: Sequence[Signal], ends: Sequence[Value]) -> Value:
    """Whether all of some innermost levels will be at their ends after a step."""
    moving = [k for k, count in enumerate(counts) if count > 1]
    if not moving:
        return Const(1, 1)
    *others, inner = moving
    return Cat(indices[inner] == counts[inner] - 2, *(ends[k] for k in others)).all()


def with_inner(ends: Sequence[Value]) -> list[Value]:
    """Whether each level and all inner ones are at their ends."""
    return [Cat(*ends[k:]).all() for k in range(len(ends))]


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
    """The step of the level that advances, by the ends of the levels; the outermost has none."""
    width = signed(max(max(step, ~step).bit_length() for step in steps) + 1)
    return _choose([Const(step, width) for step in steps], last)


def ring_address(
    m: Module, depth: int, steps: Sequence[int], last: Sequence[Value], move: ValueLike, start: int = 0
) -> Signal:
    """An address in a ring of `depth` words, from `start` on; `move` moves it by the chosen step, any size and sign."""
    (address,) = ring_addresses(m, depth, steps, last, [move], start)
    return address


def ring_addresses(
    m: Module, depth: int, steps: Sequence[int], last: Sequence[Value], moves: Sequence[ValueLike], start: int = 0
) -> list[Signal]:
    """The same in as many registers as there are `moves`, all the same."""
    steps = [step % depth for step in steps]
    ahead, wrapped = choose_step(steps, last), choose_step([step - depth for step in steps], last)
    return _ring(m, depth, ahead, wrapped, moves, start)


def ring_walks(
    m: Module, depth: int, steps: Sequence[tuple[Value, Sequence[int], bool]], last: Sequence[Value],
    moves: Sequence[ValueLike], start: int,
) -> list[Signal]:  # fmt: skip
    """The same where a level's step depends on its index: (index, a step for each, `early`) of every level."""
    tables = [(index, [step % depth for step in own], early) for index, own, early in steps]
    ahead, wrapped = (
        _choose([told(m, index, [step - back for step in own], early) for index, own, early in tables], last)
        for back in (0, depth)
    )
    return _ring(m, depth, ahead, wrapped, moves, start)


def told(m: Module, index: Value, values: Sequence[int], early: bool) -> Value:
    """values[index]; `early`: in a register, as it is not asked for in the clock after the index changes."""
    value = table(index, values)
    if not early or isinstance(value, Const):
        return value
    kept = Signal(value.shape(), reset_less=True)
    m.d.sync += kept.eq(value)
    return kept


def table(index: Value, values: Sequence[int]) -> Value:
    """values[index]; a constant where all are the same. Bit by bit: behind cases synthesis leaves comparisons."""
    shape = Shape.cast(range(min(values), max(values) + 1))
    if len(set(values)) == 1:
        return Const(values[0], shape)
    rows = [*values, *[values[-1]] * ((1 << len(index)) - len(values))]
    columns = [sum((value >> bit & 1) << row for row, value in enumerate(rows)) for bit in range(shape.width)]
    bits = Cat(*(Const(column, len(rows)).bit_select(index, 1) for column in columns))
    return bits.as_signed() if shape.signed else bits


def _choose(steps: Sequence[Value], last: Sequence[Value]) -> Value:
    """The step of the level that advances."""
    chosen = steps[0]
    for step, ended in zip(steps[1:], last, strict=True):
        chosen = Mux(ended, chosen, step)
    return chosen


def _ring(m: Module, depth: int, step: Value, step_back: Value, moves: Sequence[ValueLike], start: int) -> list[Signal]:
    """An address that moves by `step`, or by `step_back`, a ring less, where that does not lead below 0."""
    attrs = KEPT if len(moves) > 1 else {}
    addresses = [Signal(range(depth), name="address", init=start, attrs=attrs) for _ in moves]
    ahead = Signal(range(2 * depth))
    wrapped = Signal(signed(depth.bit_length() + 1))
    m.d.comb += [ahead.eq(addresses[0] + step), wrapped.eq(addresses[0] + step_back)]
    power_of_two = depth & (depth - 1) == 0
    for address, move in zip(addresses, moves, strict=True):
        with m.If(move):
            m.d.sync += address.eq(ahead if power_of_two else Mux(wrapped < 0, ahead, wrapped))
    return addresses


def between(index: Signal, start: int, stop: int) -> Value:
    """start <= index < stop, without a comparison that is always true."""
    above = index >= start if start else Const(1, 1)
    return above & (index < stop if stop < 2 ** len(index) else Const(1, 1))


def within(m: Module, index: Signal, end: Value, step: Value, ranged: tuple[int, int, int]) -> Value:
    """Whether start <= index < stop, (count, start, stop) `ranged`, in a register that moves as the index does."""
    count, start, stop = ranged
    if (start, stop) == (0, count):
        return Const(1, 1)
    inside = Signal(init=start == 0)
    stays = inside | _is(index, start - 1) if start else inside
    stays = stays & ~_is(index, stop - 1) if stop < count else stays
    with m.If(step):
        m.d.sync += inside.eq(Mux(end, start == 0, stays))
    return inside


def _is(index: Value, number: int) -> Value:
    """index == number, as tables: of `==` synthesis makes a carry chain."""
    return ~(index ^ number).any()


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
        m.d.sync += [ahead.eq(_around(m, ahead, folds, valid)), *(fold.eq(ahead) for fold in reads)]
    return reads


def counter_cost(folds: int, count: int = 1) -> Cost:
    """Of a fold_counter."""
    bits = (folds - 1).bit_length()
    return Cost(lut=fitted("fold.bit") * bits, ff=(1 + count) * bits + told_apart(folds))


def fill(m: Module, depth: int, put: Value, fetch: Value, rooms: int, somes: int) -> tuple[list[Signal], list[Signal]]:
    """Whether there is room, and whether there is a beat: registers of their own, so that no path has to compare, and
    so many of each."""
    level = Signal(range(depth + 1))
    made = [[Signal(init=init, attrs=KEPT if n > 1 else {}) for _ in range(n)] for init, n in ((1, rooms), (0, somes))]
    room, some = (Cat(*signals) for signals in made)
    with m.If(put & ~fetch):
        m.d.sync += [level.eq(increased(level)), room.eq((level != depth - 1).replicate(rooms)), some.eq(-1)]
    with m.Elif(fetch & ~put):
        m.d.sync += [level.eq(decreased(level)), some.eq((level != 1).replicate(somes)), room.eq(-1)]
    return made[0], made[1]


def below(m: Module, begin: int, bits: int, more: tuple[Value, Value], times: int) -> list[Value]:
    """Whether a count, from `begin` on, to which a bit and a number are added, is below zero: the sign, so often."""
    (one, change), count = more, Signal(signed(bits + times - 1), init=begin)
    m.d.sync += count.eq((Cat(1, count).as_signed() + Cat(one, change).as_signed()) >> 1)  # the bit as a carry
    return list(count[-times:])
