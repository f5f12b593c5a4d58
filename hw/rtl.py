"""Pipeline -> Amaranth -> Verilog: stages, the streams between them, and AXI4-Stream at the top."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, ClockDomain, Elaboratable, Module, Signal, Value
from amaranth.lib import stream, wiring

from hw.copies import EACH, copies, groups_of, slices_of
from hw.dealt import Dealt
from hw.loops import counters_and_ends
from hw.netlist.chains import SHORT_BITS
from hw.netlist.circuit import Modules
from hw.pipeline import Edge, Pipeline
from hw.rtlil import to_rtlil
from hw.stages.fifo import Fifo
from hw.stream import StreamType
from hw.yosys import verilog_from_rtlil

TOP = "accelerator"
_LONG = 1 << SHORT_BITS  # what counters count whose carry chain every clock allows


def verilog(pipeline: Pipeline) -> str:
    """The whole accelerator as Verilog text, module `accelerator`; the same pipeline gives the same bytes."""
    top = Accelerator(pipeline)
    netlists = Modules()
    text = verilog_from_rtlil(to_rtlil(top, TOP, top.ports, netlists))
    return "\n".join([text, *(netlists.texts[name] for name in sorted(netlists.texts))])


def port_prefixes(letter: str, count: int) -> list[str]:
    """AXI4-Stream port names: s_axis, or s0_axis, s1_axis.. where there are several."""
    return [f"{letter}_axis"] if count == 1 else [f"{letter}{k}_axis" for k in range(count)]


def port_bits(stream: StreamType) -> int:
    """tdata is a whole number of bytes."""
    return -(-stream.beat_bits // 8) * 8


def identifier(name: str) -> str:
    """A tensor's name as a Verilog identifier without double underscores."""
    text = re.sub(r"_+", "_", re.sub(r"\W", "_", name)).strip("_")
    return text if text[:1].isalpha() else f"t{text}"


class AxiStream:
    """The signals of one AXI4-Stream port."""

    def __init__(self, prefix: str, bits: int) -> None:
        self.tdata = Signal(bits, name=f"{prefix}_tdata")
        self.tvalid = Signal(name=f"{prefix}_tvalid")
        self.tready = Signal(name=f"{prefix}_tready")
        self.tlast = Signal(name=f"{prefix}_tlast")
        self.signals = [self.tdata, self.tvalid, self.tready, self.tlast]


@dataclass(frozen=True)
class Wire:
    """A stream inside the top module."""

    data: Value
    valid: Value
    ready: Signal

    @classmethod
    def named(cls, index: int, bits: int) -> Wire:
        """Of an edge, under the names by which simulation finds it."""
        data, valid, ready = (f"edge{index}_{part}" for part in ("data", "valid", "ready"))
        return cls(Signal(bits, name=data), Signal(name=valid), Signal(name=ready))

    @classmethod
    def behind(cls, port: stream.Interface) -> Wire:
        return cls(port.payload, port.valid, port.ready)


class Accelerator(Elaboratable):
    """All stages of a pipeline, wired; `ports` lists the top-level signals."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.aclk, self.aresetn, self.asleep = Signal(name="aclk"), Signal(name="aresetn"), Signal(init=1)
        self.inputs = self._ports("s", [s for _, s in pipeline.inputs])
        self.outputs = self._ports("m", [s for _, s in pipeline.outputs])
        axis = [*self.inputs, *self.outputs]
        self.ports = [self.aclk, self.aresetn, *(s for a in axis for s in a.signals)]

    def _ports(self, letter: str, streams: Sequence[StreamType]) -> list[AxiStream]:
        prefixes = port_prefixes(letter, len(streams))
        return [AxiStream(p, port_bits(s)) for p, s in zip(prefixes, streams, strict=True)]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = sync = ClockDomain("sync", reset_less=True)  # what must be reset takes one of `resets`
        m.d.comb += sync.clk.eq(self.aclk)
        parts = {p.name: p.stage.rtl() for p in self.pipeline.stages}
        deep = [(k, e) for k, e in enumerate(self.pipeline.edges) if e.depth]
        queues = {k: Fifo(self.pipeline.stream_from(e), e.depth).rtl() for k, e in deep}
        dealt = {name: Dealt(part, platform) for name, part in parts.items()}
        dealt |= {f"fifo{k}": Dealt(queue, platform) for k, queue in queues.items()}
        resets = iter(self._resets(m, sum(part.resets for part in dealt.values())))
        for name, part in dealt.items():
            m.submodules[name] = part.reset([next(resets) for _ in range(part.resets)])
        for k, edge in enumerate(self.pipeline.edges):
            self._connect(m, k, edge, parts, queues.get(k))
        return m

    def _resets(self, m: Module, count: int) -> list[Signal]:
        """So many resets of stages, as a tree of registers below one that takes the pin; nothing moves at the ports
        from a clock behind the pin on until all are through: a beat taken before that would be lost."""
        levels = [[root := Signal(init=1)]]
        m.d.sync += root.eq(~self.aresetn)
        for size in _tree(count):
            shares = zip(slices_of(size, len(levels[-1])), levels[-1], strict=True)
            levels.append([r for part, above in shares for r in copies(m, above, part.stop - part.start, init=1)])
        above = [level[0] for level in levels[:-1]]
        m.d.sync += self.asleep.eq(Cat(~self.aresetn, *above).any())
        return levels[-1]

    def _connect(
        self, m: Module, k: int, edge: Edge, parts: dict[str, wiring.Component], queue: wiring.Component | None
    ) -> None:
        """source -> edge wires -> (FIFO ->) target."""
        sent = self.pipeline.stream_from(edge)
        wire = Wire.named(k, sent.beat_bits)
        self._drive(m, wire, edge, parts)
        if queue is not None:
            i, o = queue.i, queue.o  # type: ignore[attr-defined]
            m.d.comb += [i.payload.eq(wire.data), i.valid.eq(wire.valid), wire.ready.eq(i.ready)]
            wire = Wire.behind(o)
        self._sink(m, wire, edge, sent, parts)

    def _drive(self, m: Module, wire: Wire, edge: Edge, parts: dict[str, wiring.Component]) -> None:
        if edge.source is None:
            axis = self.inputs[edge.source_port]
            m.d.comb += [wire.data.eq(axis.tdata), wire.valid.eq(axis.tvalid & ~self.asleep)]
            m.d.comb += axis.tready.eq(wire.ready & ~self.asleep)
        else:
            port = _port(self.pipeline, parts, edge.source, "o", edge.source_port)
            m.d.comb += [wire.data.eq(port.payload), wire.valid.eq(port.valid), port.ready.eq(wire.ready)]

    def _sink(self, m: Module, wire: Wire, edge: Edge, sent: StreamType, parts: dict[str, wiring.Component]) -> None:
        if edge.target is None:
            axis = self.outputs[edge.target_port]
            m.d.comb += [axis.tdata.eq(wire.data), axis.tvalid.eq(wire.valid & ~self.asleep)]
            m.d.comb += wire.ready.eq(axis.tready)
            mark_last(m, axis, sent.beats, self.asleep)
        else:
            port = _port(self.pipeline, parts, edge.target, "i", edge.target_port)
            m.d.comb += [port.payload.eq(wire.data), port.valid.eq(wire.valid), wire.ready.eq(port.ready)]


def _port(pipeline: Pipeline, parts: dict[str, wiring.Component], stage: str, letter: str, index: int):
    """The component's port: `i` or `o`, numbered where the stage has several."""
    streams = pipeline.by_name[stage].inputs if letter == "i" else pipeline.by_name[stage].outputs
    return getattr(parts[stage], letter if len(streams) == 1 else f"{letter}{index}")


def mark_last(m: Module, axis: AxiStream, beats: int, asleep: Signal) -> None:
    """tlast on the last beat of every frame."""
    sizes = _short(beats)
    counts, lasts = counters_and_ends(m, sizes, axis.tvalid & axis.tready)
    m.d.comb += axis.tlast.eq(Cat(*lasts).all())
    with m.If(asleep):
        m.d.sync += [
            *(count.eq(0) for count in counts),
            *(last.eq(n == 1) for last, n in zip(lasts, sizes, strict=True)),
        ]


def _short(beats: int) -> list[int]:
    """Counts that make so many, none of which needs a long carry chain, where there are such."""
    inner = next(n for n in range(min(beats, _LONG), 0, -1) if beats % n == 0)
    return [beats] if inner in (1, beats) else [beats // inner, inner]


def _tree(leaves: int) -> list[int]:
    """Registers of every level of a tree, none with too many readers."""
    sizes = [leaves]
    while sizes[0] > EACH:
        sizes.insert(0, groups_of(sizes[0]))
    return sizes
