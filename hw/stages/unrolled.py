"""Dense layers whose every weight has its own gates: one vector a clock, no memory, nothing folded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from codesign import arithmetic
from codesign.cost import Cost
from codesign.formats import Int, hull
from codesign.graph import TensorType
from hw.credit import Credited, credited_cost, credited_schedule
from hw.netlist.cells import Lut, Netlist, Register
from hw.netlist.circuit import Circuit, module_of
from hw.netlist.dense import Dense, dense
from hw.netlist.pipeline import pipelined
from hw.ports import stage_ports
from hw.stream import StreamType

LEVELS = 4  # look-up tables and carry chains between registers: 100 MHz with wires taken into account


@dataclass(frozen=True, eq=False)
class Unrolled:
    """(..., K) -> (..., N): layers one behind the other, each with constant weights; a beat is a whole vector."""

    input: StreamType
    layers: tuple[Dense, ...]
    levels: float = LEVELS

    def __post_init__(self) -> None:
        if self.input.lanes != self.input.shape[-1]:
            raise ValueError(f"an unrolled layer takes whole vectors, not {self.input}")

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.input,)

    @property
    def outputs(self) -> tuple[StreamType, ...]:
        width = self.layers[-1].weights.shape[1]
        return (StreamType((*self.input.shape[:-1], width), self.layers[-1].output, width),)

    @cached_property
    def _pipelined(self) -> tuple[Netlist, int]:
        """The registered netlist from `x` to `y`, and its latency."""
        n, fmt = Netlist(), self.input.format
        bits = n.input("x", self.input.beat_bits)
        codes: Sequence[Sequence[int]] = [bits[k : k + fmt.bits] for k in range(0, len(bits), fmt.bits)]
        for layer in self.layers:
            codes, fmt = dense(n, layer, codes, fmt), layer.output
        n.output("y", [bit for code in codes for bit in code])
        return pipelined(n, self.levels)

    @property
    def latency(self) -> int:
        return self._pipelined[1]

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        y, fmt = frames[0], self.input.format
        for layer in self.layers:
            bound = arithmetic.accumulator(hull(fmt, Int(0, 0)), layer.weights)  # sums on the way leave terms out
            y = arithmetic.matmul(y, layer.weights.astype(np.int64), bound).astype(np.int64) + layer.bias
            if layer.activation is not None:
                y = layer.activation.run(TensorType(y.shape[1:], layer.output), y).astype(np.int64)
            fmt = layer.output
        return (y.reshape(len(frames[0]), *self.outputs[0].shape),)

    def schedule(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        return (credited_schedule(arrive[0], self.outputs[0].beat_bits, self.latency),)

    def cost(self) -> Cost:
        """Counted on the netlist, not estimated."""
        cells = self._pipelined[0].cells
        logic = Cost(lut=sum(isinstance(c, Lut) for c in cells), ff=sum(isinstance(c, Register) for c in cells))
        return logic + credited_cost(self.outputs[0].beat_bits, self.latency)

    def rtl(self) -> wiring.Component:
        return _UnrolledCircuit(self)

    def netlists(self) -> dict[str, str]:
        """Verilog modules that the circuit instantiates."""
        return dict([module_of(self._pipelined[0])])


class _UnrolledCircuit(wiring.Component):
    def __init__(self, stage: Unrolled) -> None:
        self.stage = stage
        super().__init__(stage_ports(stage))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        netlist, latency = self.stage._pipelined
        m.submodules.stream = body = Credited(Circuit(netlist), latency)
        connect(m, flipped(self.i), body.i)  # type: ignore[attr-defined]
        connect(m, body.o, flipped(self.o))  # type: ignore[attr-defined]
        return m
