"""Matrix-vector product: PE neurons times SIMD synapses a clock, folded over the rest of the matrix."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from amaranth.lib import wiring

from codesign import arithmetic
from codesign.cost import Cost
from codesign.formats import Format, Int, hull
from hw.arith.folded import Folded
from hw.arith.folded_circuit import FoldedStream
from hw.arith.folded_cost import counted_stream_cost, folded_stream_cost
from hw.arith.order import Order
from hw.arith.replay import replay_depth
from hw.elastic import Datapath
from hw.flow import stored, whole_course
from hw.halts import Course, Halts, Times
from hw.memory import in_blocks
from hw.netlist.clock import MOST_LEVELS
from hw.stream import StreamType
from hw.timing import serve


@dataclass(frozen=True, eq=False)
class MatVec:
    """(..., K) -> (..., N): weights (K, N), bias (N,); pe divides N, simd is the input's lanes and divides K.

    Groups: input (..., G * K) group after group, weights (G, K, N), bias (G * N,), output (..., G * N).
    The output's format is the exact range of the sums. Weights that are all used every clock are constants in
    the logic, others are the words of a ROM. `skip`: blocks of simd x pe weights that are all zero (in every group)
    take no clock. `dsp_lanes`, `levels`: see Folded.
    """

    input: StreamType
    weights: np.ndarray
    weight_format: Format
    pe: int
    simd: int
    bias: np.ndarray | None = None
    skip: bool = False
    dsp_lanes: int = 0
    levels: float = MOST_LEVELS

    def __post_init__(self) -> None:
        groups, k, n = self._grouped.shape
        if self.input.shape[-1] != groups * k:
            raise ValueError(f"MatVec of {groups} x {k} inputs cannot read {self.input}")
        if self.input.lanes != self.simd or k % self.simd or n % self.pe:
            raise ValueError(f"simd {self.simd} of {k} inputs, pe {self.pe} of {n} outputs on {self.input}")
        if not self.weight_format.contains(self.weights):
            raise ValueError(f"weights leave {self.weight_format}")

    @cached_property
    def _grouped(self) -> np.ndarray:
        """Weights (groups, K, N)."""
        return self.weights.reshape(-1, *self.weights.shape[-2:]).astype(np.int64)

    @cached_property
    def _bias(self) -> np.ndarray:
        """(groups, N)"""
        groups, _, n = self._grouped.shape
        return np.zeros((groups, n), np.int64) if self.bias is None else self.bias.reshape(groups, n)

    @cached_property
    def _format(self) -> Format:
        """Of the results."""
        columns = self._grouped.transpose(1, 0, 2).reshape(self._grouped.shape[1], -1)
        return arithmetic.accumulator(self.input.format, columns, self._bias.reshape(-1))

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.input,)

    @property
    def outputs(self) -> tuple[StreamType, ...]:
        return (StreamType((*self.input.shape[:-1], self._bias.size), self._format, self.pe),)

    @cached_property
    def order(self) -> Order | None:
        """How a vector's beats are read; None where one reading does."""
        _, k, n = self._grouped.shape
        if n == self.pe:
            return None
        if self.skip:
            return Order.skipping(self._grouped, self.simd, self.pe)
        return Order.every(n // self.pe, k // self.simd)

    @cached_property
    def folded(self) -> Folded:
        """The products of one clock and how they are summed."""
        groups, k, _ = self._grouped.shape
        order = self.order or Order.every(1, k // self.simd)
        split = self._grouped.reshape(groups, order.beats, self.simd, order.passes, self.pe).transpose(0, 3, 1, 4, 2)
        weights = (split if order.complete else split[:, order.used]).reshape(-1, self.pe, self.simd)
        late = self.order is not None and in_blocks(replay_depth(order.beats), self.input.beat_bits)
        bias, runs = self._bias.reshape(-1, self.pe), np.tile(order.runs, groups)
        formats = self.input.format, self.weight_format
        return Folded(
            *formats, weights, bias, runs, self._format, late=late, dsp_lanes=self.dsp_lanes, levels=self.levels
        )

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        groups, k, _ = self._grouped.shape
        x = frames[0].reshape(-1, groups, 1, k)
        partial = hull(self.input.format, Int(0, 0))  # sums on the way leave terms out
        bound = arithmetic.accumulator(partial, np.concatenate(list(self._grouped), axis=1))
        y = arithmetic.matmul(x, self._grouped, bound)[:, :, 0].astype(np.int64) + self._bias
        return (y.reshape(len(frames[0]), *self.outputs[0].shape),)

    def schedule(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        if self.order is None:
            beats = self._grouped.shape[1] // self.simd
            ends = serve(arrive[0])[beats - 1 :: beats]
        else:
            ends = self.order.reads(arrive[0]).reshape(-1)
        return (ends + self.folded.latency,)

    def accepts(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        """Two vectors fit; the third waits until the first has been read as often as it must be."""
        return (serve(arrive[0]) if self.order is None else self.order.writes(arrive[0]),)

    def course(self, arrive: Times, halts: Halts) -> Course:
        """A vector enters when the one before the last one has been read."""
        if self.order is None or self.order.beats == 1:
            return whole_course(self, arrive, halts)
        beats = self.order.beats
        place = np.arange(2 * beats, len(arrive[0]) + 2 * beats, beats)
        made = stored(arrive[0], halts, self.order.read, place)
        return replace(made, offers=made.offers + self.folded.latency)

    def cost(self) -> Cost:
        return folded_stream_cost(self.folded, self.order)

    def counted(self) -> Cost:
        """Of the netlist itself."""
        return counted_stream_cost(self.folded, self.order)

    def rtl(self, then: Datapath | None = None) -> wiring.Component:
        return FoldedStream(self.folded, self.order, then=then)
