"""Registers, sequencer, counters and engines, wired: all that stands between AXI and the accelerator's streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from codesign.errors import UserError
from hw.axi.control import Control
from hw.axi.dma import ReadEngine, WriteEngine
from hw.axi.meter import Meter
from hw.axi.registers import FRAMES_BITS, IDENTITY_WORDS, MAP_VERSION, MOST_PORTS, by_name, register_map
from hw.axi.sequencer import Sequencer
from hw.axi.signatures import HP_READ, HP_WRITE, LITE


@dataclass(frozen=True)
class Port:
    """A stream of the accelerator as it lies in memory: beats of whole bytes without gaps, `beats` a frame."""

    beats: int
    beat_bytes: int

    @property
    def frame_bytes(self) -> int:
        return self.beats * self.beat_bytes


def refuse_too_many(inputs: int, outputs: int) -> None:
    """UserError where an input or output would be left without a memory port."""
    if max(inputs, outputs) > MOST_PORTS:
        raise UserError(
            f"{inputs} inputs and {outputs} outputs, and the chip has {MOST_PORTS} memory ports; "
            "use the accelerator's AXI4-Stream ports in a system of your own"
        )


class Shell(wiring.Component):
    """`lite`: the registers; `read{k}`, `write{k}`: an HP port's half for each input and output; `irq`: level.

    `s{k}` with `ends{k}` feeds input k of the accelerator, `m{k}` takes output k, with `last{k}`; `clear` resets it.
    `identity`: the hash of the build, 128 bits.
    """

    lite: wiring.PureInterface
    irq: Signal
    clear: Signal

    def __init__(self, inputs: Sequence[Port], outputs: Sequence[Port], identity: int) -> None:
        self.inputs, self.outputs, self.identity = tuple(inputs), tuple(outputs), identity
        sources = {f"s{k}": Out(stream.Signature(8 * p.beat_bytes)) for k, p in enumerate(inputs)}
        sinks = {f"m{k}": In(stream.Signature(8 * p.beat_bytes)) for k, p in enumerate(outputs)}
        lasts = {f"last{k}": In(1) for k in range(len(outputs))} | {f"ends{k}": Out(1) for k in range(len(inputs))}
        reads = {f"read{k}": Out(HP_READ) for k in range(len(inputs))}
        writes = {f"write{k}": Out(HP_WRITE) for k in range(len(outputs))}
        super().__init__(
            {"lite": In(LITE), "irq": Out(1), "clear": Out(1), **sources, **sinks, **lasts, **reads, **writes}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        registers = register_map(len(self.inputs), len(self.outputs))
        m.submodules.control = control = Control(registers)
        m.submodules.meter = meter = Meter(len(self.inputs), len(self.outputs))
        m.submodules.sequencer = sequencer = Sequencer(len(self.inputs) + 2 * len(self.outputs))
        reads = [self._read(m, k, control, sequencer, meter) for k in range(len(self.inputs))]
        writes = [self._write(m, k, control, sequencer, meter) for k in range(len(self.outputs))]
        engines = [*reads, *writes]
        m.d.comb += [
            sequencer.done.eq(Cat(e.done for e in engines).all()),
            sequencer.idle.eq(Cat(e.idle for e in engines).all()),
            sequencer.faults.eq(Cat(*(e.error for e in engines), *(e.truncated for e in writes))),
            meter.go.eq(sequencer.go), meter.busy.eq(sequencer.busy), self.clear.eq(sequencer.clear),
        ]  # fmt: skip
        connect(m, control.lite, flipped(self.lite))
        self._command(m, control, sequencer)
        self._report(m, control, sequencer, meter)
        return m

    def _read(self, m: Module, k: int, control: Control, sequencer: Sequencer, meter: Meter) -> ReadEngine:
        port, s, room = self.inputs[k], getattr(self, f"s{k}"), meter.room[k]
        m.submodules[f"read{k}"] = engine = ReadEngine(port.beats, port.beat_bytes)
        connect(m, engine.axi, flipped(getattr(self, f"read{k}")))
        _command_engine(m, engine, getattr(control, f"source{k}"), control, sequencer)
        m.d.comb += [
            s.payload.eq(engine.o.payload), s.valid.eq(engine.o.valid & room), engine.o.ready.eq(s.ready & room),
            getattr(self, f"ends{k}").eq(engine.last),
            meter.taken[k].eq(s.valid & s.ready), meter.ends[k].eq(engine.last),
            meter.hungry[k].eq(s.ready & ~s.valid & ~engine.done),
        ]  # fmt: skip
        return engine

    def _write(self, m: Module, k: int, control: Control, sequencer: Sequencer, meter: Meter) -> WriteEngine:
        port, i = self.outputs[k], getattr(self, f"m{k}")
        m.submodules[f"write{k}"] = engine = WriteEngine(port.beats, port.beat_bytes)
        connect(m, engine.axi, flipped(getattr(self, f"write{k}")))
        _command_engine(m, engine, getattr(control, f"destination{k}"), control, sequencer)
        last = getattr(self, f"last{k}")
        m.d.comb += [
            engine.i.payload.eq(i.payload), engine.i.valid.eq(i.valid), i.ready.eq(engine.i.ready),
            engine.last.eq(last), meter.given[k].eq(i.valid & i.ready), meter.leaves[k].eq(last),
            meter.blocked[k].eq(i.valid & ~i.ready),
        ]  # fmt: skip
        return engine

    def _command(self, m: Module, control: Control, sequencer: Sequencer) -> None:
        """Start, soft reset and the interrupt."""
        flags, ends = Signal(2), Cat(sequencer.ended_well, sequencer.ended_ill)
        cleared = control.data[:2] & control.interrupt_flag_written.replicate(2)
        m.d.comb += [
            sequencer.start.eq(control.start_written), sequencer.empty.eq(control.start[:FRAMES_BITS] == 0),
            sequencer.soft_reset.eq(control.control_written & control.data[0]),
            control.interrupt_flag.eq(flags),
        ]  # fmt: skip
        m.d.sync += [flags.eq((flags & ~cleared) | ends), self.irq.eq((flags & control.interrupt_enable[:2]).any())]
        with m.If(sequencer.soft_reset):
            m.d.sync += flags.eq(0)

    def _report(self, m: Module, control: Control, sequencer: Sequencer, meter: Meter) -> None:
        """What reads give."""
        inputs, outputs = len(self.inputs), len(self.outputs)
        read, write = sequencer.errors[:inputs], sequencer.errors[inputs : inputs + outputs]
        truncated = sequencer.errors[inputs + outputs :]
        status = {
            "busy": sequencer.busy, "done": sequencer.ended, "refused": sequencer.refused,
            "read_error": read, "write_error": write, "truncated": truncated,
        }  # fmt: skip
        layout = by_name(control.registers)["status"]
        m.d.comb += [control.version.eq(MAP_VERSION)]
        m.d.comb += [control.status[layout.field(n).low :][: len(v)].eq(v) for n, v in status.items()]
        for k in range(IDENTITY_WORDS):
            m.d.comb += getattr(control, f"identity{k}").eq((self.identity >> 32 * k) & 0xFFFF_FFFF)
        for name in meter.counts:
            m.d.comb += getattr(control, name).eq(getattr(meter, name))


def _command_engine(
    m: Module, engine: ReadEngine | WriteEngine, address: Value, control: Control, sequencer: Sequencer
) -> None:
    m.d.comb += [
        engine.go.eq(sequencer.go), engine.stop.eq(sequencer.stop),
        engine.address.eq(address), engine.frames.eq(control.start),
    ]  # fmt: skip
