"""Several streams side by side: all channels of each in one beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Module, Value
from amaranth.lib import stream, wiring

from codesign.cost import Cost
from codesign.formats import hull
from hw.buffer import buffer_cost
from hw.elastic import Datapath
from hw.ending import Ending
from hw.fitted import fitted
from hw.ports import elements, encode
from hw.stream import StreamType
from hw.timing import serve


@dataclass(frozen=True)
class ChannelConcat:
    """Tensors joined along their last axis, which each sends in a beat; a beat of each goes at once."""

    parts: tuple[StreamType, ...]

    def __post_init__(self) -> None:
        outer = {p.shape[:-1] for p in self.parts}
        if len(self.parts) < 2 or len(outer) != 1 or any(p.lanes != p.shape[-1] for p in self.parts):
            raise ValueError(f"ChannelConcat of {', '.join(map(str, self.parts))}")

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return self.parts

    @property
    def outputs(self) -> tuple[StreamType, ...]:
        channels = sum(p.lanes for p in self.parts)
        shape = (*self.parts[0].shape[:-1], channels)
        return (StreamType(shape, hull(*(p.format for p in self.parts)), channels),)

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        return (np.concatenate(frames, axis=-1),)

    def schedule(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        return (self._taken(arrive) + 1,)

    def accepts(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        """All go together, when the last of them is there."""
        return (self._taken(arrive),) * len(arrive)

    def _taken(self, arrive: Sequence[np.ndarray]) -> np.ndarray:
        return serve(np.maximum.reduce(arrive))

    def cost(self) -> Cost:
        return buffer_cost(self.outputs[0].beat_bits) + Cost(lut=fitted("join.one") * (len(self.parts) - 1))

    def rtl(self, then: Datapath | None = None) -> wiring.Component:
        return _ChannelConcatCircuit(self, then)


class _ChannelConcatCircuit(Ending[ChannelConcat]):
    def elaborate(self, platform: object) -> Module:
        m = Module()
        into = self.ending(m).i
        ports: list[stream.Interface] = [getattr(self, f"i{k}") for k in range(len(self.stage.parts))]
        m.d.comb += [into.valid.eq(Cat(port.valid for port in ports).all()), into.payload.eq(self._beat(ports))]
        for port in ports:
            others = Cat(other.valid for other in ports if other is not port)
            m.d.comb += port.ready.eq(others.all() & into.ready)
        return m

    def _beat(self, ports: Sequence[stream.Interface]) -> Value:
        """Every element in the format of the result."""
        fmt = self.stage.outputs[0].format
        pairs = zip(ports, self.stage.parts, strict=True)
        return Cat(encode(x, fmt) for port, part in pairs for x in elements(port.payload, part))
