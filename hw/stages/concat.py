"""Several streams one after the other, in turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring

from codesign.cost import Cost
from codesign.formats import hull
from hw.buffer import buffer_cost
from hw.elastic import Datapath
from hw.ending import Ending
from hw.fitted import fitted
from hw.loops import rounds
from hw.ports import elements, encode
from hw.stream import StreamType
from hw.timing import serve
from hw.ways import choice_sites, chosen_in_parts, numbers_of


@dataclass(frozen=True)
class Concat:
    """Tensors joined along `axis`: as many beats of each in turn as the axes from there on hold; equal lanes."""

    parts: tuple[StreamType, ...]
    axis: int

    def __post_init__(self) -> None:
        lanes = {p.lanes for p in self.parts}
        if len(self.parts) < 2 or len(lanes) != 1 or any(self._elements(p) % p.lanes for p in self.parts):
            raise ValueError(f"Concat along axis {self.axis} of {', '.join(map(str, self.parts))}")

    def _elements(self, part: StreamType) -> int:
        return int(np.prod(part.shape[self.axis :]))

    @property
    def turns(self) -> tuple[int, ...]:
        """Beats that each part sends when it is its turn."""
        return tuple(self._elements(p) // p.lanes for p in self.parts)

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return self.parts

    @property
    def outputs(self) -> tuple[StreamType, ...]:
        first = self.parts[0]
        joined = sum(p.shape[self.axis] for p in self.parts)
        shape = (*first.shape[: self.axis], joined, *first.shape[self.axis + 1 :])
        return (StreamType(shape, hull(*(p.format for p in self.parts)), first.lanes),)

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        return (np.concatenate(frames, axis=self.axis + 1),)

    def schedule(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        return (self._taken(arrive).reshape(-1) + 1,)

    def accepts(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        """Each part's beats go when it is its turn."""
        parts = np.split(self._taken(arrive), np.cumsum(self.turns)[:-1], axis=1)
        return tuple(p.reshape(-1) for p in parts)

    def _taken(self, arrive: tuple[np.ndarray, ...]) -> np.ndarray:
        """Cycle in which each beat goes through: (rounds, beats of all parts)."""
        beats = [a.reshape(-1, turn) for a, turn in zip(arrive, self.turns, strict=True)]
        rounds = np.concatenate(beats, axis=1)
        return serve(rounds.reshape(-1)).reshape(rounds.shape)

    def cost(self) -> Cost:
        bits, ways = self.outputs[0].beat_bits, len(self.parts)
        counter = (max(self.turns) - 1).bit_length() + (ways - 1).bit_length()
        copied = (numbers_of(bits, ways) - 1) * (ways - 1).bit_length()
        control = fitted("concat.counter bit") * counter + fitted("concat.way") * ways
        return buffer_cost(bits) + Cost(lut=bits * choice_sites(ways) + control, ff=counter + copied)

    def rtl(self, then: Datapath | None = None) -> wiring.Component:
        return _ConcatCircuit(self, then)


class _ConcatCircuit(Ending[Concat]):
    def elaborate(self, platform: object) -> Module:
        m = Module()
        out, turns = self.stage.outputs[0], self.stage.turns
        buffer = self.ending(m)
        beat, at_last, done = Signal(range(max(turns))), Signal(), Signal()
        numbers = rounds(m, len(turns), [done] * numbers_of(out.beat_bits, len(turns)))
        with m.Switch(numbers[0]):
            for k, beats in enumerate(turns):
                port: stream.Interface = getattr(self, f"i{k}")
                with m.Case(k):
                    m.d.comb += [
                        buffer.i.valid.eq(port.valid),
                        port.ready.eq(buffer.i.ready),
                        at_last.eq(beat == beats - 1),
                    ]
        move = buffer.i.valid & buffer.i.ready
        m.d.comb += [done.eq(move & at_last), buffer.i.payload.eq(self._beat(m, numbers))]
        with m.If(move):
            m.d.sync += beat.eq(Mux(at_last, 0, beat + 1))
        return m

    def _beat(self, m: Module, numbers: Sequence[Signal]) -> Value:
        """That of the part whose turn it is, each slice of it by a number of its own."""
        out = self.stage.outputs[0]
        payloads = [getattr(self, f"i{k}").payload for k in range(len(self.stage.parts))]
        ways = [
            Cat(encode(x, out.format) for x in elements(payload, part))
            for payload, part in zip(payloads, self.stage.parts, strict=True)
        ]
        return chosen_in_parts(m, ways, numbers)
