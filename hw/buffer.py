"""Where ready paths end: registers between a circuit and a reader that may stop."""

from __future__ import annotations

from collections.abc import Iterator

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from codesign.cost import Cost
from hw.copies import EACH, KEPT, copies, groups_of, held, slices_of
from hw.fitted import fitted

_SELECTED = 44  # bits by one select: synthesis puts the choice into the tables behind it, some bits twice


class Skid(wiring.Component):
    """Makes a stream of a register of the caller's, which must load exactly when `run` is up.

    `issue` says that what the register loads is a beat. A spare register catches the beat that would be lost
    when the reader stops; so no path leads from `o.ready` to `run`, which is a register's output where nothing drives
    `hold`: while that is up, the circuit stops too. Else it stops only when both registers hold a beat: a reader that
    takes its time over one does not cost the circuit a clock. `runs`: the same as `run`, for so many groups of the
    caller's registers; `valids`: the same as `o.valid`, for so many more groups of the reader's.
    """

    hold: Signal
    issue: Signal
    run: Signal
    runs: Signal
    valids: Signal
    data: Signal
    o: stream.Interface

    def __init__(self, bits: int, runs: int = 0, valids: int = 0) -> None:
        super().__init__({
            "hold": In(1), "issue": In(1), "run": Out(1), "runs": Out(runs), "valids": Out(valids), "data": In(bits),
            "o": Out(stream.Signature(unsigned(bits))),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        parts = slices_of(len(self.data), _selects_of(len(self.data)))
        counts = 1 + len(self.runs), len(parts)
        groups = max(groups_of(sum(counts)), 1 + len(self.valids))
        controls = [_Control(self, m, *shares) for shares in _shared_out(*counts, groups)]
        go, *goes = (go for control in controls for go in control.goes)
        m.d.comb += [
            self.run.eq(go & ~self.hold),
            self.runs.eq(Cat(*(go & ~self.hold for go in goes))),
            self.o.valid.eq(controls[0].valid),
            self.valids.eq(Cat(*(control.valid for control in controls[1 : 1 + len(self.valids)]))),
        ]
        selects = (select for control in controls for select in control.selects)
        for part, select in zip(parts, selects, strict=True):
            spare = held(m, self.data[part], [~select])
            m.d.comb += self.o.payload[part].eq(Mux(select, spare, self.data[part]))
        return m


class _Control:
    """What holds a beat: the register of the caller's, the spare one; `goes` and `selects` so many times.

    Equal controls stand side by side where one would have too many readers.
    """

    def __init__(self, skid: Skid, m: Module, goes: int, selects: int) -> None:
        self.valid, holding, full = Signal(attrs=KEPT), Signal(attrs=KEPT), Signal()
        apart = goes + selects > EACH // 2 or not goes
        *self.goes, go = copies(m, ~full, goes + apart, init=1)
        self.goes += [] if apart else [go]
        waits = self.valid & ~skid.o.ready
        holds = Mux(go, ~skid.hold & skid.issue, holding)
        m.d.sync += [self.valid.eq(waits | holds), holding.eq(holds)]
        m.d.comb += full.eq(waits & holds)
        self.selects = copies(m, waits, selects)


def _shared_out(goes: int, selects: int, groups: int) -> Iterator[tuple[int, int]]:
    """How many of each every group takes."""
    for parts in zip(slices_of(goes, groups), slices_of(selects, groups), strict=True):
        first, second = (part.stop - part.start for part in parts)
        yield first, second


class Buffer(wiring.Component):
    """Two beats of storage, one clock of latency; `i.ready` and `o.valid` come from registers only.

    `runs`, `valids`: as a Skid's; `i.ready` is the same as `runs`.
    """

    i: stream.Interface
    o: stream.Interface
    runs: Signal
    valids: Signal

    def __init__(self, bits: int, runs: int = 0, valids: int = 0) -> None:
        port = stream.Signature(unsigned(bits))
        super().__init__({"i": In(port), "o": Out(port), "runs": Out(runs), "valids": Out(valids)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits = len(self.i.payload)
        own = runs_of(bits)
        m.submodules.skid = skid = Skid(bits, own + len(self.runs), len(self.valids))
        data = held(m, self.i.payload, skid.runs[:own] if own else [skid.run])
        m.d.comb += [
            self.runs.eq(skid.runs[own:]),
            self.valids.eq(skid.valids),
            skid.data.eq(data),
            skid.issue.eq(self.i.valid),
            self.i.ready.eq(skid.run),
        ]
        connect(m, skid.o, flipped(self.o))
        return m


def runs_of(bits: int) -> int:
    """Enables that a register of the caller's needs beside the one of the control."""
    return groups_of(bits) if groups_of(bits) > 1 else 0


def _selects_of(bits: int) -> int:
    """Registers that choose between the spare beat and the caller's register."""
    return max(1, -(-bits // _SELECTED))


def buffer_cost(bits: int) -> Cost:
    """Of a Buffer."""
    return skid_cost(bits) + Cost(ff=bits + runs_of(bits))


def skid_cost(bits: int) -> Cost:
    """Of a Skid, without the caller's register."""
    return Cost(lut=fitted("buffer.bit") * bits + fitted("buffer.one"), ff=bits + 3 + _selects_of(bits))
