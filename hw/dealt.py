"""The registers of a circuit dealt out to several enables, or resets, so that none of those has too many readers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from amaranth.hdl import Const, Elaboratable, Fragment, Mux, Signal, Value
from amaranth.hdl._ast import Switch
from amaranth.hdl._mem import MemoryInstance
from amaranth.hdl._xfrm import FragmentTransformer, LHSMaskCollector

from hw.memory import cells_of
from hw.register import shifts_of

_DOMAIN = "sync"
_EACH = 40  # bits: synthesis puts an enable into the tables before a register where that saves some
_RESET = 32  # bits: synthesis makes the registers of an address again where a memory in tables is read at once by it


class Dealt:
    """A circuit, elaborated: how many `enables` and `resets` its registers take, and itself with them."""

    def __init__(self, circuit: Elaboratable, platform: object) -> None:
        self.fragment = Fragment.get(circuit, platform)
        self.enables = enables_of(_sizes(self.fragment, False))
        self.resets = _hands(_sizes(self.fragment, True), _RESET)

    def enabled(self, runs: Sequence[Value]) -> Fragment:
        """Stands still while `runs`, which are all the same, are down."""
        return _Enabling(runs)(self.fragment)

    def reset(self, resets: Sequence[Value]) -> Fragment:
        """Begins again while `resets`, which are all the same, are up."""
        return _Resetting(resets, _RESET)(self.fragment)


def enables_of(sizes: Iterable[int]) -> int:
    """How many enables registers of so many bits take."""
    return max(1, _hands(sizes))


def shares_of(sizes: Iterable[int]) -> list[int]:
    """Which of them each register takes."""
    return list(map(_Hand(_EACH), sizes))


def _registers(fragment: Fragment) -> Iterator[tuple[Signal, int, int, int]]:
    """Bits of the registers in a fragment itself, from .. to: whole ones, which may belong into a multiplier, where
    one control can have so many readers; and how many that are, one of a shift register."""
    masks = LHSMaskCollector()
    masks.visit_stmt(fragment.statements.get(_DOMAIN, ()))
    for signal, start, stop in masks.chunks():
        end = len(signal) if stop is None else stop
        each = _EACH * (shifts := shifts_of(signal))
        for begin in range(start, end, each):
            stop = min(begin + each, end)
            yield signal, begin, stop, (stop - begin) // shifts


def _sizes(fragment: Fragment, resets: bool) -> Iterator[int]:
    """Bits of the registers of a fragment and all inside, in the order in which they are dealt."""
    for inner, *_ in fragment.subfragments:
        yield from _sizes(inner, resets)
    for signal, _, _, readers in _registers(fragment):
        if not (resets and signal.reset_less):
            yield readers
    if isinstance(fragment, MemoryInstance) and not resets:
        yield from (_read_bits(fragment, port) for port in fragment._read_ports if port._domain == _DOMAIN)


def _read_bits(memory: MemoryInstance, port: MemoryInstance._ReadPort) -> int:
    """Registers of what is read; block RAM has its own, in so many cells."""
    if "block" not in memory._attrs.values():
        return len(port._data)
    return cells_of(memory._data.depth, len(port._data), bool(memory._write_ports))


def _hands(sizes: Iterable[int], each: int = _EACH) -> int:
    """How many controls so many registers take."""
    hand = _Hand(each)
    return 1 + max((hand(size) for size in sizes), default=-1)


class _Hand:
    """Number of the control for the next register of so many bits."""

    def __init__(self, each: int) -> None:
        self.each, self.number, self.bits = each, 0, 0

    def __call__(self, size: int) -> int:
        if self.bits and self.bits + size > self.each:
            self.number, self.bits = self.number + 1, 0
        self.bits += size
        return self.number


class _Dealing(FragmentTransformer):
    def __init__(self, controls: Sequence[Value], each: int = _EACH) -> None:
        self.controls, self.hand = controls, _Hand(each)

    def next(self, size: int) -> Value:
        return self.controls[self.hand(size)]


class _Enabling(_Dealing):
    def on_fragment(self, fragment: Fragment) -> Fragment:
        new = super().on_fragment(fragment)
        for signal, begin, end, readers in _registers(fragment):
            part = signal[begin:end]
            new.add_statements(_DOMAIN, Switch(self.next(readers), [(0, [part.eq(part)], None)]))
        if isinstance(new, MemoryInstance):
            for port in new._read_ports:
                if port._domain == _DOMAIN:
                    port._en = port._en & self.next(_read_bits(new, port))
            for port in new._write_ports:
                port._en = Mux(self.controls[0], port._en, Const(0, len(port._en)))
        return new


class _Resetting(_Dealing):
    def on_fragment(self, fragment: Fragment) -> Fragment:
        new = super().on_fragment(fragment)
        for signal, begin, end, readers in _registers(fragment):
            if not signal.reset_less:
                init = Const(signal.init, signal.shape())[begin:end]
                statement = Switch(self.next(readers), [(1, [signal[begin:end].eq(init)], None)])
                new.add_statements(_DOMAIN, statement)
        return new
