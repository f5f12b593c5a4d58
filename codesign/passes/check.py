"""After every pass: is the graph still the same function, on seeded samples?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from codesign.chunks import run_chunked
from codesign.errors import CheckFailed
from codesign.formats import Binary, carrier
from codesign.fusion import Note
from codesign.graph import Graph, Input
from codesign.ops.quantize import Quantize
from codesign.ops.round_to_float import RoundToFloat
from codesign.ops.threshold import Threshold

SAMPLES = 16
MOST_ELEMENTS = 1 << 25  # of all tensors of the samples: large networks are checked on fewer
SEED = 2026
TIE = 1e-5  # of one step: closer to a tie than this, two exact evaluations may round apart


@dataclass(frozen=True)
class Check:
    """What a pass did (`notes`), and what comparing the graph before and after it showed.

    `ties`: samples that differ at a rounding tie; `samples`: 0 where the results need not be equal.
    """

    name: str
    samples: int
    ties: int
    nodes: int
    notes: tuple[Note, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Of the check alone; notes are told by fusion."""
        return {"name": self.name, "samples": self.samples, "ties": self.ties, "nodes": self.nodes}


class Checker:
    """The outputs of the graph as it stands, on seeded samples, so that each pass runs the network only once."""

    def __init__(self, graph: Graph) -> None:
        size = sum(t.size for t in graph.types.values())
        self.samples = int(np.clip(MOST_ELEMENTS // max(size, 1), 1, SAMPLES))
        self.feeds = {i.name: sample_input(i, self.samples, SEED) for i in graph.inputs}
        self.graph, self.outputs = graph, graph.run(self.feeds)

    def moved_to(self, graph: Graph) -> Checker:
        """A checker of another graph, which need not equal this one."""
        return self if _same_nodes(self.graph, graph) else Checker(graph)

    def check(self, name: str, after: Graph) -> Check:
        """Compare outputs, and go on from `after`; CheckFailed names the pass and the first sample that differs."""
        if _same_nodes(self.graph, after):
            return Check(name, self.samples, 0, len(after.nodes))
        got = after.run(self.feeds)
        differing = np.zeros(self.samples, dtype=bool)
        for output in self.graph.outputs:
            differing |= _differs(self.outputs[output], got[output])
        if differing.any():
            unexplained = differing & ~near_ties(self.graph, self.feeds)
            if unexplained.any():
                raise CheckFailed(
                    f"pass '{name}' changed the result of sample {int(np.argmax(unexplained))} (seed {SEED})"
                )
        self.graph, self.outputs = after, got
        return Check(name, self.samples, int(differing.sum()), len(after.nodes))


def check_equal(name: str, before: Graph, after: Graph) -> Check:
    """Compare outputs on seeded samples; CheckFailed names the pass and the first sample that differs."""
    return Checker(before).check(name, after)


def _same_nodes(a: Graph, b: Graph) -> bool:
    return len(a.nodes) == len(b.nodes) and all(x is y for x, y in zip(a.nodes, b.nodes))


def _differs(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Which samples differ by more than float64 rounding."""
    close = np.isclose(a.astype(np.float64), b.astype(np.float64), rtol=1e-9, atol=1e-9, equal_nan=True)
    return ~close.reshape(len(a), -1).all(axis=1)


def sample_input(i: Input, samples: int, seed: int) -> np.ndarray:
    """Values over several magnitudes, so that small and large ranges are both visited; float32. Any integers."""
    rng = np.random.default_rng(seed)
    if i.type.format is not None:
        codes = rng.integers(0, 1 << i.type.format.bits, size=(samples, *i.type.shape)).astype(np.uint64)
        return np.clip(i.type.format.to_int(codes), i.type.format.lo, i.type.format.hi).astype(carrier(i.type.format))
    size = 4.0 ** rng.integers(-2, 5, size=(samples, *[1] * len(i.type.shape)))
    return (rng.uniform(-0.5, 1.0, size=(samples, *i.type.shape)) * size).astype(np.float32)


def near_ties(graph: Graph, feeds: Mapping[str, np.ndarray]) -> np.ndarray:
    """Which samples bring some quantizer of a real graph within TIE steps of a tie."""
    return run_chunked(lambda part: {"near": _near_ties(graph, part)}, feeds, graph.widest)["near"]


def _near_ties(graph: Graph, feeds: Mapping[str, np.ndarray]) -> np.ndarray:
    quantizers = [n for n in graph.nodes if isinstance(n.op, (Quantize, Threshold, RoundToFloat))]
    samples = len(next(iter(feeds.values())))
    near = np.zeros(samples, dtype=bool)
    sources = [n.inputs[0] for n in quantizers if n.inputs[0] not in feeds]
    values = {**feeds, **graph.run(feeds, sources)}
    for node in quantizers:
        assert isinstance(node.op, (Quantize, Threshold, RoundToFloat))
        near |= (tie_distance(node.op, values[node.inputs[0]]) < TIE).reshape(samples, -1).any(axis=1)
    return near


def tie_distance(op: Quantize | Threshold | RoundToFloat, x: np.ndarray) -> np.ndarray:
    """Distance of each value from the nearest point where rounding changes, in steps."""
    if isinstance(op, Threshold):  # its steps are uneven: relative to the threshold itself
        distance = np.abs(x[..., None] - op.thresholds) / np.maximum(np.abs(op.thresholds), 1.0)
        return distance.min(axis=-1)
    levels = op.levels(x.astype(np.float64))
    if isinstance(op.format, Binary):  # a sign has no step: relative to the channel's largest value
        return np.abs(levels) / (np.abs(levels).max(axis=tuple(range(levels.ndim - 1))) + np.finfo(float).tiny)
    offset = 0.5 if op.rounding in ("ROUND", "HALF_EVEN", "HALF_UP", "HALF_DOWN") else 0.0
    return np.abs(levels - offset - np.rint(levels - offset))
