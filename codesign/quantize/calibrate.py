"""What a network's tensors hold on the calibration samples: ranges and histograms, in chunks of samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from codesign.chunks import ELEMENTS
from codesign.errors import UserError
from codesign.graph import Graph
from codesign.quantize.observers import Histogram
from codesign.quantize.points import Point
from codesign.quantize.statistics import ROWS

BINS = 2048
LEAST_CHANGE = 1e-6  # of a layer's largest result, from sample to sample

Arrays = Mapping[str, np.ndarray]


def check_samples(graph: Graph, samples: Arrays) -> None:
    """UserError where calibration samples don't fit the network, or say nothing."""
    for i in graph.inputs:
        if i.name not in samples:
            raise UserError(f"calibration: no samples for input '{i.name}'; there are some for {', '.join(samples)}")
        x = samples[i.name]
        if x.shape[1:] != i.type.shape or x.ndim != len(i.type.shape) + 1:
            wanted = ", ".join(map(str, i.type.shape))
            raise UserError(f"calibration: input '{i.name}' has shape {x.shape}; it must be (samples, {wanted})")
        if not len(x):
            raise UserError(f"calibration: input '{i.name}' holds no sample; give some hundred")
        if x.dtype.kind not in "fiub" or not np.isfinite(x).all():
            raise UserError(f"calibration: input '{i.name}' holds NaN, infinity or no numbers")
    if len({len(samples[i.name]) for i in graph.inputs}) > 1:
        raise UserError("calibration: the inputs have different numbers of samples")


def check_reach(graph: Graph, samples: Arrays, result: str, label: str) -> None:
    """UserError where the samples are so much alike that a layer (its `result`) gives the same for each of them."""
    if len(next(iter(samples.values()))) < 2:
        return
    low, high = np.inf, -np.inf
    for values in tensors_of(graph, samples, [result]):
        low, high = np.minimum(low, values[result].min(axis=0)), np.maximum(high, values[result].max(axis=0))
        if np.ptp([low, high], axis=0).max() > LEAST_CHANGE * np.abs([low, high]).max():
            return
    raise UserError(
        f"calibration: the samples are so much alike that layer '{label}' gives the same for all of them; "
        "give samples in the range of the use (scaled as the network takes them), or a network that depends on them"
    )


def spread(samples: Arrays, count: int) -> dict[str, np.ndarray]:
    """`count` samples (all where there are fewer), evenly spread over those given."""
    given = len(next(iter(samples.values())))
    chosen = np.linspace(0, given - 1, count).round().astype(int) if count < given else slice(None)
    return {name: x[chosen] for name, x in samples.items()}


def enough(graph: Graph, samples: Arrays, results: Sequence[str]) -> dict[str, np.ndarray]:
    """As many samples as give every layer ROWS positions to learn from: a few of large images, all of small ones.

    `results`: a tensor (..., channels) of each layer.
    """
    fewest = min(graph.types[name].size // graph.types[name].shape[-1] for name in results)
    return spread(samples, -(-ROWS // fewest))


def bin_edges(graph: Graph, samples: Arrays, points: Sequence[Point]) -> list[np.ndarray]:
    """Of each point: equal bins over the range of all of its tensors; UserError for a tensor that never changes."""
    ranges = _ranges(graph, samples, [t for p in points for t in p.tensors])
    return [_edges(p, ranges) for p in points]


def histograms(
    graph: Graph, samples: Arrays, points: Sequence[Point], edges: Sequence[np.ndarray]
) -> tuple[Histogram, ...]:
    """One for each point, over all of its tensors."""
    wanted = [t for p in points for t in p.tensors]
    counts = [np.zeros(BINS, dtype=np.int64) for _ in points]
    for values in tensors_of(graph, samples, wanted):
        for k, point in enumerate(points):
            for t in point.tensors:
                counts[k] += np.histogram(values[t], edges[k])[0]
    return tuple(Histogram(c, e) for c, e in zip(counts, edges))


def halves(samples: Arrays) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Every second sample, and the others."""
    return {k: x[0::2] for k, x in samples.items()}, {k: x[1::2] for k, x in samples.items()}


def _ranges(graph: Graph, samples: Arrays, wanted: Sequence[str]) -> dict[str, tuple[float, float]]:
    ranges: dict[str, tuple[float, float]] = {}
    for values in tensors_of(graph, samples, wanted):
        for t in wanted:
            low, high = ranges.get(t, (np.inf, -np.inf))
            ranges[t] = min(low, float(values[t].min())), max(high, float(values[t].max()))
    return ranges


def _edges(point: Point, ranges: Mapping[str, tuple[float, float]]) -> np.ndarray:
    """Equal bins over the range of all tensors of a point."""
    low, high = min(ranges[t][0] for t in point.tensors), max(ranges[t][1] for t in point.tensors)
    if not np.isfinite([low, high]).all():
        raise UserError(f"calibration: tensor '{point.tensors[0]}' reaches NaN or infinity on these samples")
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        raise UserError(
            f"calibration: tensor '{point.tensors[0]}' is {low + 0.0:g} everywhere, so its range collapses; "
            "give samples that vary as those of the use do"
        )
    return np.linspace(low, high, BINS + 1)


def tensors_of(
    graph: Graph, samples: Arrays, wanted: Sequence[str], widest: int | None = None
) -> Iterator[dict[str, np.ndarray]]:
    """The wanted tensors, a chunk of samples at a time; `widest`: elements of the widest tensor, the graph's own."""
    feeds = {i.name: samples[i.name].astype(np.float64) for i in graph.inputs}
    step = max(1, ELEMENTS // (widest or graph.widest))
    for n in range(0, len(next(iter(feeds.values()))), step):
        yield graph.run({k: v[n : n + step] for k, v in feeds.items()}, wanted)


def channel_peaks(graph: Graph, samples: Arrays, wanted: Sequence[str]) -> dict[str, np.ndarray]:
    """The largest magnitude of each channel (last axis) of some tensors."""
    peaks: dict[str, np.ndarray] = {}
    for values in tensors_of(graph, samples, wanted):
        for t in wanted:
            largest = np.abs(values[t]).reshape(-1, values[t].shape[-1]).max(axis=0)
            peaks[t] = np.maximum(peaks.get(t, 0.0), largest)
    return peaks
