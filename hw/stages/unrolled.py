"""Dense layers whose every weight has its own gates: one vector a clock, no memory, nothing folded."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from amaranth.lib import wiring

from codesign import arithmetic
from codesign.cost import Cost
from codesign.formats import Format, Int, hull
from codesign.graph import TensorType
from hw.arith.digits import signed_digits
from hw.credit import Credit, Credited
from hw.elastic import Datapath
from hw.fitted import fitted
from hw.halts import Flow, Start, Times
from hw.netlist.cells import Netlist
from hw.netlist.circuit import Circuit
from hw.netlist.clock import MOST_LEVELS
from hw.netlist.dense import Dense, dense
from hw.netlist.pipeline import pipelined
from hw.netlist.sizes import netlist_cost
from hw.stream import StreamType


@dataclass(frozen=True, eq=False)
class Unrolled:
    """(..., K) -> (..., N): layers one behind the other, each with constant weights; a beat is a whole vector.

    `levels` of logic between registers; `gates` as `hw.netlist.dense.dense` takes them; `passing`: see Credit.
    """

    input: StreamType
    layers: tuple[Dense, ...]
    levels: float = MOST_LEVELS
    gates: str = "auto"
    passing: bool = False

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

    @property
    def netlist(self) -> Netlist:
        """The gates with their registers, from `x` to `y`."""
        return _built(_Content(self))[0]

    @property
    def latency(self) -> int:
        """Clocks through the netlist."""
        return _built(_Content(self))[1]

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
        return (self._credit(self.latency).schedule(arrive[0]),)

    def flow(self, arrive: Times, leave: Times, start: Start) -> Flow:
        return self._credit(self.latency + start.behind).flow(arrive[0], leave[0])

    def cost(self) -> Cost:
        """Estimated, so that foldings can be weighed without building their gates."""
        fmt, lut = self.input.format, 0.0
        for layer in self.layers:
            lut += layer_luts(layer, fmt)
            fmt = layer.output
        return Cost(lut=lut, ff=fitted("unrolled.ff") * lut) + self._credit(TYPICAL_LATENCY).cost()

    def cost_behind(self, result: Format) -> Cost:
        """Estimated, of a staircase with such results that goes into the netlist."""
        lut = staircase_luts(result) * self.outputs[0].lanes
        return Cost(lut=lut, ff=fitted("unrolled.ff") * lut)

    def counted(self) -> Cost:
        """Of the netlist itself."""
        return _counted(_Content(self)) + self._credit(self.latency).cost()

    def end_cost(self, bits: int) -> Cost:
        """Of the room for results of so many bits."""
        return Credit(bits, TYPICAL_LATENCY, self.passing).cost()

    def rtl(self, then: Datapath | None = None) -> wiring.Component:
        return Credited(Circuit(self.netlist), self.latency, then, self.passing)

    def _credit(self, latency: int) -> Credit:
        return Credit(self.outputs[0].beat_bits, latency, self.passing)


TYPICAL_LATENCY = 8
_GROUP, _PATTERNS = 5, 16  # inputs that are counted together, and their patterns of signs up to complement


def layer_luts(layer: Dense, x: Format) -> float:
    """LUTs of a layer, within about 15 %: its weights' signed digits make the heaps, then come sums and staircases."""
    outputs = layer.weights.shape[1]
    sums = _terms_luts(layer.weights, x) + fitted("unrolled.sum bit") * outputs * layer.sums.bits
    return sums + (0 if layer.activation is None else staircase_luts(layer.activation.format) * outputs)


def _terms_luts(weights: np.ndarray, x: Format) -> float:
    """Of what comes before the sums' own bits: a heap of digits, or shared patterns of signs where inputs are bits."""
    digits = fitted("unrolled.heap bit") * sum(np.count_nonzero(plane) for plane in signed_digits(weights)) * x.bits
    terms = np.count_nonzero(weights)
    if x.bits > 1 or not terms or np.abs(weights).sum() != terms * np.abs(weights).max():
        return digits
    shown = _PATTERNS * (1 - (1 - 1 / _PATTERNS) ** weights.shape[1])  # of a group's patterns, by all outputs
    each = fitted("unrolled.pattern") * shown / (_GROUP * weights.shape[1])
    return min(digits, terms * (fitted("unrolled.sign") + each))


def staircase_luts(result: Format) -> float:
    """LUTs of a staircase that follows the sum's own bits."""
    return fitted("unrolled.stair bit") * result.bits + 2.0


class _Content:
    """A stage's netlist depends on nothing else; equal contents are built once."""

    def __init__(self, stage: Unrolled) -> None:
        self.stage = stage
        arrays = [a for layer in stage.layers for a in (layer.weights, layer.bias, *_staircase(layer))]
        parts = [stage.input.format, stage.levels, stage.gates, *(layer.output for layer in stage.layers)]
        text = repr([*parts, *((a.shape, a.dtype.str, a.tobytes()) for a in arrays)])
        self.digest = hashlib.sha256(text.encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Content) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


def _staircase(layer: Dense) -> tuple[np.ndarray, ...]:
    op = layer.activation
    return () if op is None else (op.thresholds, op.base, op.step)


@lru_cache(maxsize=64)
def _counted(content: _Content) -> Cost:
    return netlist_cost(_built(content)[0])


@lru_cache(maxsize=32)
def _built(content: _Content) -> tuple[Netlist, int]:
    """The registered netlist from `x` to `y`, and its latency."""
    with _uncollected():
        return _registered(content.stage)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Cells are many and all stay: looking for garbage among them took a sixth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _registered(stage: Unrolled) -> tuple[Netlist, int]:
    n, fmt = Netlist(), stage.input.format
    bits = n.input("x", stage.input.beat_bits)
    codes: Sequence[Sequence[int]] = [bits[k : k + fmt.bits] for k in range(0, len(bits), fmt.bits)]
    for layer in stage.layers:
        codes, fmt = dense(n, layer, codes, fmt, stage.gates), layer.output
    n.output("y", [bit for code in codes for bit in code])
    return pipelined(n, stage.levels)
