"""Long sample arrays in chunks, so that a network's tensors stay in the processor's caches and in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

ELEMENTS = 1 << 20  # of the widest tensor in a chunk

Arrays = dict[str, np.ndarray]


def run_chunked(run: Callable[[Arrays], Arrays], feeds: Mapping[str, np.ndarray], widest: int) -> Arrays:
    """run(feeds), a chunk of samples at a time, the results joined; `widest`: elements of the widest tensor."""
    samples = len(next(iter(feeds.values())))
    step = max(1, ELEMENTS // max(widest, 1))
    parts = [run({k: v[n : n + step] for k, v in feeds.items()}) for n in range(0, samples, step)]
    return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
