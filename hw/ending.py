"""The end of a stage's circuit: a buffer, or a datapath of the stage behind it that runs on without a handshake."""

from __future__ import annotations

from typing import Generic, TypeVar

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import Out, connect, flipped

from hw.buffer import Buffer
from hw.elastic import Chain, Datapath, Elastic, Register
from hw.pipeline import Stage
from hw.ports import stage_ports

AnyStage = TypeVar("AnyStage", bound=Stage)


class Ending(wiring.Component, Generic[AnyStage]):
    """The circuit of a stage of one output; `then`: what follows its results before they leave."""

    o: stream.Interface

    def __init__(self, stage: AnyStage, then: Datapath | None) -> None:
        self.stage, self.then = stage, then
        ports = stage_ports(stage)
        super().__init__(ports if then is None else {**ports, "o": Out(stream.Signature(len(then.y)))})

    def ending(self, m: Module, last: Datapath | None = None, runs: int = 0) -> Buffer | Elastic:
        """What takes the stage's results, or the operands of its `last` datapath, on the way to `o`, with so many
        `runs`."""
        bits = self.stage.outputs[0].beat_bits
        if self.then is not None:
            end = Elastic(Chain(last or Register(bits), self.then), runs)
        else:
            end = Buffer(bits, runs) if last is None else Elastic(last, runs)
        m.submodules.end = end
        connect(m, end.o, flipped(self.o))
        return end
