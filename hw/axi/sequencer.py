"""Start, end, errors and soft reset of a run."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

_CLEAR_CYCLES = 4  # the accelerator registers its reset


class Sequencer(wiring.Component):
    """IDLE -start-> RUN -done-> IDLE; an error or a soft reset: -> DRAIN -idle-> CLEAR -> IDLE.

    `go`: the engines start; `stop`: they drain; `clear`: the accelerator is in reset. `ended_well`, `ended_ill`: for
    one clock at the end of a run. An error bit stays until the next start or soft reset. A run of no frames ends at
    once.
    """

    start: Signal
    empty: Signal
    soft_reset: Signal
    done: Signal
    idle: Signal
    faults: Signal
    go: Signal
    stop: Signal
    clear: Signal
    busy: Signal
    ended: Signal
    ended_well: Signal
    ended_ill: Signal
    refused: Signal
    errors: Signal

    def __init__(self, fault_bits: int) -> None:
        inputs = {name: In(1) for name in ("start", "empty", "soft_reset", "done", "idle")}
        names = ("go", "stop", "clear", "busy", "ended", "ended_well", "ended_ill", "refused")
        wide = {"faults": In(fault_bits), "errors": Out(fault_bits)}
        super().__init__({**inputs, **{name: Out(1) for name in names}, **wide})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        silent, rest = Signal(), Signal(range(_CLEAR_CYCLES))  # silent: a soft reset, no error to tell

        def on_soft_reset() -> None:
            with m.If(self.soft_reset):
                m.d.sync += silent.eq(1)
                m.next = "DRAIN"

        m.d.sync += self.errors.eq(self.errors | self.faults)
        with m.If(self.start & self.busy):
            m.d.sync += self.refused.eq(1)
        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [self.ended.eq(self.empty), self.errors.eq(0), self.refused.eq(0)]
                    m.d.comb += [self.ended_well.eq(self.empty), self.go.eq(~self.empty)]
                    with m.If(~self.empty):
                        m.next = "RUN"
                on_soft_reset()
            with m.State("RUN"):
                m.d.comb += self.busy.eq(1)
                with m.If((self.faults | self.errors).any()):
                    m.next = "DRAIN"
                with m.Elif(self.done):
                    m.d.comb += self.ended_well.eq(1)
                    m.d.sync += self.ended.eq(1)
                    m.next = "IDLE"
                on_soft_reset()
            with m.State("DRAIN"):
                m.d.comb += [self.busy.eq(1), self.stop.eq(1)]
                m.d.sync += rest.eq(_CLEAR_CYCLES - 1)
                with m.If(self.idle):
                    m.next = "CLEAR"
                on_soft_reset()
            with m.State("CLEAR"):
                m.d.comb += [self.busy.eq(1), self.stop.eq(1), self.clear.eq(1)]
                m.d.sync += rest.eq(rest - 1)
                with m.If(rest == 0):
                    m.d.comb += self.ended_ill.eq(~silent)
                    m.d.sync += [silent.eq(0), self.ended.eq(~silent)]
                    with m.If(silent):
                        m.d.sync += [self.errors.eq(0), self.refused.eq(0)]
                    m.next = "IDLE"
                on_soft_reset()
        return m
