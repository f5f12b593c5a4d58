"""Depthwise convolution's products: every channel with its own filters, a tap a clock."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from amaranth.lib import wiring

from codesign import arithmetic
from codesign.cost import Cost
from codesign.formats import Format
from hw.arith.folded import Folded
from hw.arith.folded_circuit import FoldedStream
from hw.arith.folded_cost import counted_stream_cost, folded_stream_cost
from hw.elastic import Datapath
from hw.netlist.clock import MOST_LEVELS
from hw.stream import StreamType
from hw.timing import serve


@dataclass(frozen=True, eq=False)
class ChannelwiseMac:
    """(..., C/L, T, L) -> (..., C * M): weights (T, C) or (T, C, M), bias (C * M,); L lanes in, L * M out.

    Output channel c * M + m is the sum over the taps of channel c with filter m of that channel.
    `dsp_lanes`, `levels`: see Folded.
    """

    input: StreamType
    weights: np.ndarray
    weight_format: Format
    bias: np.ndarray | None = None
    dsp_lanes: int = 0
    levels: float = MOST_LEVELS

    def __post_init__(self) -> None:
        groups, taps, lanes = self.input.shape[-3:]
        if self.input.lanes != lanes or self.weights.shape[:2] != (taps, groups * lanes):
            raise ValueError(f"ChannelwiseMac of weights {self.weights.shape} cannot read {self.input}")
        if not self.weight_format.contains(self.weights):
            raise ValueError(f"weights leave {self.weight_format}")

    @cached_property
    def _filters(self) -> np.ndarray:
        """Weights (T, C, M)."""
        return self.weights.reshape(*self.weights.shape[:2], -1).astype(np.int64)

    @cached_property
    def _columns(self) -> np.ndarray:
        """Weights (T, C * M), a column an output channel."""
        return self._filters.reshape(len(self._filters), -1)

    @cached_property
    def _bias(self) -> np.ndarray:
        """(C * M,)"""
        return np.zeros(self._columns.shape[1], np.int64) if self.bias is None else self.bias

    @cached_property
    def _format(self) -> Format:
        """Of the results."""
        return arithmetic.accumulator(self.input.format, self._columns, self._bias)

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.input,)

    @property
    def outputs(self) -> tuple[StreamType, ...]:
        lanes = self.input.lanes * self._filters.shape[2]
        return (StreamType((*self.input.shape[:-3], self._bias.size), self._format, lanes),)

    @cached_property
    def folded(self) -> Folded:
        """The products of one clock and how they are summed."""
        groups, taps, lanes = self.input.shape[-3:]
        by_group = self._filters.reshape(taps, groups, -1).transpose(1, 0, 2)
        weights = by_group.reshape(groups * taps, -1, 1)
        bias, runs = self._bias.reshape(groups, -1), np.full(groups, taps)
        return Folded(
            self.input.format, self.weight_format, weights, bias, runs, self._format, lanes,
            dsp_lanes=self.dsp_lanes, levels=self.levels,
        )  # fmt: skip

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        x = np.swapaxes(frames[0], -3, -2)  # (..., T, C/L, L)
        x = x.reshape(*x.shape[:-2], -1, 1).astype(np.int64)
        y = (x * self._filters).sum(-3).reshape(len(x), -1, self._bias.size) + self._bias
        return (y.reshape(len(x), *self.outputs[0].shape),)

    def schedule(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        taps = self.input.shape[-2]
        return (serve(arrive[0])[taps - 1 :: taps] + self.folded.latency,)

    def cost(self) -> Cost:
        return folded_stream_cost(self.folded)

    def counted(self) -> Cost:
        """Of the netlist itself."""
        return counted_stream_cost(self.folded)

    def rtl(self, then: Datapath | None = None) -> wiring.Component:
        return FoldedStream(self.folded, then=then)
