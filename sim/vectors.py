"""Golden words of a pipeline, seeded: what the build folder carries for its own bench."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hw.pipeline import Pipeline
from hw.stream import StreamType, pack

FRAMES, FEWER = 4, 2
MANY_ELEMENTS = 1 << 22  # on all edges of a frame: beyond, fewer frames are kept
WIDE_ELEMENTS = 1 << 20  # on one edge of a frame: beyond, its words are not kept
SEED = 1


def write_vectors(folder: Path, pipeline: Pipeline) -> None:
    """inputs_K.npy, outputs_K.npy, and edges_K.npy but for large ones: uint32 words (frames, beats, words)."""
    rng = np.random.default_rng(SEED)
    streams = [pipeline.stream_from(e) for e in pipeline.edges]
    count = FRAMES if sum(s.size for s in streams) <= MANY_ELEMENTS else FEWER
    frames = [random_frames(rng, s, count) for _, s in pipeline.inputs]
    for k, (frame, (_, stream)) in enumerate(zip(frames, pipeline.inputs, strict=True)):
        np.save(folder / f"inputs_{k}.npy", pack(frame, stream))
    for k, (edge, stream, values) in enumerate(zip(pipeline.edges, streams, pipeline.golden(*frames), strict=True)):
        if edge.target is None:
            np.save(folder / f"outputs_{edge.target_port}.npy", pack(values, stream))
        if stream.size <= WIDE_ELEMENTS:
            np.save(folder / f"edges_{k}.npy", pack(values, stream))


def random_frames(rng: np.random.Generator, stream: StreamType, frames: int) -> np.ndarray:
    """Values over the whole format; the first two frames hold nothing but its lowest and its highest."""
    lo, hi = stream.format.lo, stream.format.hi
    values = rng.integers(lo, hi, size=(frames, *stream.shape), endpoint=True)
    values[0], values[1 % frames] = lo, hi
    return np.where(values >= 0, 1, -1) if stream.binary else values
