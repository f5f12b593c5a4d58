"""Names the first place where simulated words differ from golden ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim.design import Design, Elements
from sim.simulator import SimResult


@dataclass(frozen=True)
class Difference:
    """The first differing element of the first differing stream; `index` counts elements within the frame."""

    stream: str
    source: str
    frame: int
    beat: int
    lane: int
    index: int
    got: int
    expected: int
    beats_wrong: int

    def __str__(self) -> str:
        return (
            f"first difference at {self.stream}, made by '{self.source}': frame {self.frame}, element {self.index} "
            f"(beat {self.beat}, lane {self.lane}) is {self.got}, should be {self.expected}; "
            f"{self.beats_wrong} beats of this stream differ"
        )


def first_difference(
    design: Design,
    result: SimResult,
    outputs: Sequence[np.ndarray],
    edges: Mapping[int, np.ndarray] | None = None,
) -> Difference | None:
    """The first diverging edge (by index: topological order), else output; None when every word is equal.

    `outputs` and `edges` are golden words (frames, beats, words); edges are looked at when the run tapped them.
    """
    tapped, golden = result.edges or {}, edges or {}
    for edge in (e for e in design.edges if e.index in tapped and e.index in golden):
        name = f"edge {edge.index} ({edge.source} -> {edge.target})"
        found = _first(name, edge.source, edge.elements, tapped[edge.index], golden[edge.index])
        if found is not None:
            return found
    for port, got, want in zip(design.outputs, result.outputs, outputs, strict=True):
        found = _first(f"output '{port.name}'", _writer(design, port.name), port.elements, got, want)
        if found is not None:
            return found
    return None


def _writer(design: Design, output: str) -> str:
    """The stage in front of an output."""
    return next((e.source for e in reversed(design.edges) if e.target == output), output)


def _first(stream: str, source: str, elements: Elements, got: np.ndarray, want: np.ndarray) -> Difference | None:
    if got.shape != want.shape:
        raise ValueError(f"{stream}: simulated words {got.shape}, golden words {want.shape}")
    wrong = np.argwhere((got != want).any(axis=-1))
    if not len(wrong):
        return None
    frame, beat = (int(k) for k in wrong[0])
    values, golden = elements.decode(got[frame, beat]), elements.decode(want[frame, beat])
    lane = next((k for k, (g, w) in enumerate(zip(values, golden, strict=True)) if g != w), None)
    if lane is None:  # only padding above the elements differs
        lane = elements.lanes
        values.append(_above(elements, got[frame, beat]))
        golden.append(_above(elements, want[frame, beat]))
    index = beat * elements.lanes + lane
    return Difference(stream, source, frame, beat, lane, index, values[lane], golden[lane], len(wrong))


def _above(elements: Elements, beat: np.ndarray) -> int:
    """The bits of a beat above its elements."""
    return sum(int(w) << (32 * k) for k, w in enumerate(beat)) >> (elements.lanes * elements.bits)
