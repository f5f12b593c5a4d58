"""Dot products of one beat with several neurons' weights: what is added, and what remains to be added once.

x . w = unit * circuit + correction: a binary x stands for 2 x' - 1 with x' its bit, so that the circuit only
counts, and the correction (a constant of the neuron) is left to the accumulator's initial value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Const, Module, Mux, Value

from codesign.formats import Binary, Format
from hw.arith.tree import adder_tree, count_triples, register, tree_latency, tree_levels
from hw.ports import element

Planes = list[tuple[list[Value], int]]  # rows that are added up, and the power of two that the sum is worth
Choice = list[tuple[np.ndarray, int]]  # the same for constant weights: which inputs, and the power of two


@dataclass(frozen=True)
class Neuron:
    """Sum of 2^k * rows over `plus`, less that over `minus`, and `inputs` (-1, 0, 1) times the sum of all inputs."""

    plus: Planes
    minus: Planes
    inputs: int = 0


@dataclass(frozen=True)
class ConstantNeuron:
    """A neuron of constant weights; as Neuron, with the inputs named by their indices."""

    plus: Choice
    minus: Choice
    inputs: int = 0


@dataclass(frozen=True)
class Depth:
    """Registers of a circuit: adder levels within a plane and over the planes, and a subtraction at the end."""

    levels: int
    joins: int
    subtracts: bool

    @classmethod
    def of(cls, rows: int, plus: int, minus: int) -> Depth:
        """For at most so many rows a plane, and planes on each side."""
        return cls(tree_levels(rows), tree_levels(max(plus, minus)), minus > 0)

    @property
    def latency(self) -> int:
        """Clocks from the inputs to the sums."""
        return tree_latency(self.levels) + tree_latency(self.joins) + self.subtracts


def raw(code: Value, fmt: Format, count: int) -> list[Value]:
    """What the circuits compute with: integers, or the bits of binary numbers."""
    split = [code[k * fmt.bits : (k + 1) * fmt.bits] for k in range(count)]
    return split if isinstance(fmt, Binary) else [element(c, fmt) for c in split]


def unit_bits(x: Format) -> int:
    """The power of two that a one of the circuit's sum is worth."""
    return int(isinstance(x, Binary))


def rows_of(inputs: int, x: Format) -> int:
    """Rows that so many inputs make: bits are counted by threes."""
    return -(-inputs // 3) if isinstance(x, Binary) else inputs


# --- weights that are signals ----------------------------------------------------------------------------------


def variable_correction(x: Format, w: Format, weights: np.ndarray) -> np.ndarray:
    """What the circuit's sum over all K weights (..., K, N) leaves out: (..., N)."""
    if isinstance(x, Binary) and isinstance(w, Binary):  # the circuit counts the equal pairs
        return np.full_like(weights[..., 0, :], -weights.shape[-2])
    return constant_correction(x, weights)


def variable_planes(x: Format, w: Format) -> tuple[int, int]:
    """How many planes are added and subtracted."""
    if isinstance(w, Binary):
        return 1, int(not isinstance(x, Binary))
    return w.bits - w.signed, int(w.signed)


def variable_depth(x: Format, w: Format, simd: int) -> Depth:
    return Depth.of(rows_of(simd, x), *variable_planes(x, w))


def variable_neuron(x: Sequence[Value], w: Sequence[Value], xf: Format, wf: Format) -> Neuron:
    """A neuron whose weights are signals."""
    if isinstance(xf, Binary) and isinstance(wf, Binary):
        return Neuron([(count_triples([~(a ^ b) for a, b in zip(x, w, strict=True)]), 0)], [])
    if isinstance(wf, Binary):  # sum(+-x) = 2 * sum(x where +) - sum(x): no signs to extend, the last sum is shared
        return Neuron([(_masked(x, w, 0, xf), 1)], [], inputs=-1)
    planes = [(_masked(x, w, j, xf), j) for j in range(wf.bits)]
    return Neuron(planes[:-1], planes[-1:]) if wf.signed else Neuron(planes, [])


def _masked(x: Sequence[Value], w: Sequence[Value], bit: int, xf: Format) -> list[Value]:
    """Each x where that bit of its weight is one, else 0."""
    if isinstance(xf, Binary):
        return count_triples([a & b[bit] for a, b in zip(x, w, strict=True)])
    return [Mux(b[bit], a, 0) for a, b in zip(x, w, strict=True)]


# --- weights that are constants --------------------------------------------------------------------------------


def constant_correction(x: Format, weights: np.ndarray) -> np.ndarray:
    """What the circuit's sum over all K weights (..., K, N) leaves out: (..., N)."""
    return -weights.sum(-2) * unit_bits(x)


def constant_neurons(weights: np.ndarray, readers: int) -> list[ConstantNeuron]:
    """The neurons of constant weights (neurons, K); so many of them read the same inputs."""
    share = readers > 2  # then the sum of all inputs is worth its adders
    return [_constant_neuron(w, share and bool(np.all(np.abs(w) == 1))) for w in weights]


def _constant_neuron(weights: np.ndarray, share: bool) -> ConstantNeuron:
    if share:  # +-1: add only the rarer sign, twice
        rarer = 1 if (weights > 0).sum() * 2 <= len(weights) else -1
        chosen = [(np.flatnonzero(weights == rarer), 1)]
        return ConstantNeuron(chosen, [], inputs=-1) if rarer > 0 else ConstantNeuron([], chosen, inputs=1)
    digits = signed_digits(weights)
    plus, minus = ([(np.flatnonzero(d == s), j) for j, d in enumerate(digits) if (d == s).any()] for s in (1, -1))
    return ConstantNeuron(plus, minus)


def constant_depth(neurons: Sequence[ConstantNeuron], x: Format, inputs: int) -> Depth:
    sizes = [len(chosen) for n in neurons for chosen, _ in (*n.plus, *n.minus)]
    rows = max([*sizes, inputs if any(n.inputs for n in neurons) else 0])
    plus, minus = (max(len(side) + (n.inputs == s) for n, side in sides) for s, sides in _sides(neurons))
    return Depth.of(rows_of(rows, x), plus, minus)


def _sides(neurons: Sequence[ConstantNeuron]) -> list[tuple[int, list[tuple[ConstantNeuron, Choice]]]]:
    return [(1, [(n, n.plus) for n in neurons]), (-1, [(n, n.minus) for n in neurons])]


def wired(neuron: ConstantNeuron, x: Sequence[Value], xf: Format) -> Neuron:
    """A constant neuron on signals."""
    plus, minus = ([(_rows([x[k] for k in c], xf), j) for c, j in side] for side in (neuron.plus, neuron.minus))
    return Neuron(plus, minus, neuron.inputs)


def signed_digits(weights: np.ndarray) -> list[np.ndarray]:
    """Canonical signed digits (-1, 0, 1): planes d with weights = sum(2^j d[j]), the fewest that are not zero."""
    rest, planes = weights.astype(np.int64), []
    while rest.any():
        digit = np.where(rest % 2 == 1, 2 - rest % 4, 0)
        planes.append(digit)
        rest = (rest - digit) // 2
    return planes


# --- the circuit -----------------------------------------------------------------------------------------------


def dot_products(m: Module, x: Sequence[Value], xf: Format, neurons: Sequence[Neuron], depth: Depth) -> list[Value]:
    """Each neuron's sum, `depth.latency` clocks after the inputs."""
    shared = adder_tree(m, _rows(x, xf), depth.levels) if any(n.inputs for n in neurons) else Const(0)
    return [_neuron_sum(m, n, shared, depth) for n in neurons]


def _rows(x: Sequence[Value], xf: Format) -> list[Value]:
    return count_triples(x) if isinstance(xf, Binary) else list(x)


def _neuron_sum(m: Module, neuron: Neuron, shared: Value, depth: Depth) -> Value:
    plus, minus = (
        _side(m, side, [shared] * (neuron.inputs == s), depth) for s, side in ((1, neuron.plus), (-1, neuron.minus))
    )
    return register(m, plus - minus) if depth.subtracts else plus


def _side(m: Module, planes: Planes, more: list[Value], depth: Depth) -> Value:
    sums = [adder_tree(m, rows, depth.levels) << power for rows, power in planes]
    return adder_tree(m, sums + more, depth.joins)
