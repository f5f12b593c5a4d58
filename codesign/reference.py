"""A model file run as it is, float or quantized: what everything made from it is compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codesign import arrays
from codesign.accuracy import accuracy_of
from codesign.chunks import run_chunked
from codesign.importer import import_model


def run_model(model: Path, inputs: Path, outputs: Path, labels: Path | None = None) -> dict[str, Any]:
    """A model file as it is, float or quantized, in float64: what its quantization is to be compared with."""
    graph = import_model(model).graph
    feeds = arrays.read_inputs(inputs, graph.inputs)
    results = run_chunked(graph.run, feeds, graph.widest)
    arrays.write_outputs(outputs, results, graph.types)
    summary: dict[str, Any] = {"samples": len(next(iter(feeds.values()))), "outputs": list(results)}
    if labels is not None:
        wanted = arrays.read_labels(labels, summary["samples"])
        summary["accuracy"] = accuracy_of(next(iter(results.values())), wanted)["accuracy"]
    return summary
