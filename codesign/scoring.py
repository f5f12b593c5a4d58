"""What quantization costs in accuracy: the network before and after it, on samples with labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from codesign import arrays
from codesign.accuracy import accuracy_of, answers_of
from codesign.calibration import Calibration
from codesign.chunks import run_chunked
from codesign.errors import UserError
from codesign.graph import Graph
from codesign.passes.split import Model


@dataclass(frozen=True, eq=False)
class Scoring:
    """Samples (by input name) with their labels, the files they come from, how many of them calibrate, too."""

    feeds: Mapping[str, np.ndarray]
    labels: np.ndarray
    evaluation: str
    labels_file: str
    in_calibration: int


def read_scoring(c: Calibration, graph: Graph) -> Scoring | None:
    """The samples to score, where they are given; UserError where one of the files lacks another."""
    if c.evaluation is None and c.labels is None:
        return None
    if c.evaluation is None or c.labels is None or c.samples is None:
        raise UserError(
            "--evaluation X --labels L measure what --calibration costs in accuracy, so they go together; "
            "that of a quantized model: codesign run BUILD --inputs X --labels L"
        )
    feeds = arrays.read_inputs(c.evaluation, graph.inputs)
    wanted = arrays.read_labels(c.labels, len(next(iter(feeds.values()))))
    both = overlap(feeds, arrays.read_inputs(c.samples, graph.inputs))
    return Scoring(feeds, wanted, c.evaluation.name, c.labels.name, both)


def overlap(scored: Mapping[str, np.ndarray], calibration: Mapping[str, np.ndarray]) -> int:
    """How many of the scored samples are calibration samples, too."""
    seen = set(_samples(calibration))
    return sum(sample in seen for sample in _samples(scored))


def _samples(feeds: Mapping[str, np.ndarray]) -> list[bytes]:
    """Each sample as bytes, all inputs together."""
    return [b"".join(x.tobytes() for x in row) for row in zip(*(feeds[name] for name in sorted(feeds)))]


def score(real: Graph, network: Model, s: Scoring) -> tuple[dict[str, Any], dict[str, Any]]:
    """(accuracy before and after, and how many answers changed; the integer network's accuracy and confusion)."""
    wanted = next(iter(run_chunked(real.run, s.feeds, real.widest).values()))
    y = next(iter(network.run(s.feeds).values()))
    before, after = accuracy_of(wanted, s.labels), accuracy_of(y, s.labels)
    compared = {
        "evaluation": s.evaluation,
        "labels": s.labels_file,
        "samples": after["samples"],
        "in_calibration": s.in_calibration,
        "float": before["accuracy"],
        "quantized": after["accuracy"],
        "answers_changed": int((answers_of(wanted) != answers_of(y)).sum()),
    }
    return compared, {"source": "integer emulator", "inputs": s.evaluation, "labels": s.labels_file, **after}
