"""What every edge of the RTL carried on some frames, beside what its stage should have sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from codesign.diff import Stream
from hw.pipeline import Edge, Pipeline
from hw.stream import pack, unpack
from sim.design import Design
from sim.toolchain import ToolMissing, find_verilator, require_compiler
from sim.verilator import build as build_simulator

MOST_ELEMENTS = 1 << 24  # on all edges of all frames: they and their golden values are in memory at once
MOST_CYCLES = 1 << 21  # about: a large design runs at some ten thousand a second


def why_not() -> str:
    """What the simulation lacks on this machine, in one line; "" where it can run."""
    try:
        find_verilator()
        require_compiler("g++")
    except ToolMissing as e:
        return str(e)
    return ""


def frames_within(pipeline: Pipeline, interval_cycles: int, samples: int) -> int:
    """How many of some samples are simulated with every edge recorded: at least one."""
    elements = sum(pipeline.stream_from(e).size for e in pipeline.edges)
    return max(1, min(samples, MOST_ELEMENTS // elements, MOST_CYCLES // interval_cycles))


def record_edges(
    build: Path, pipeline: Pipeline, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray],
    progress: Callable[[int, int], None],
) -> list[Stream]:  # fmt: skip
    """Every edge in topological order on all frames of `inputs`; should: stages' golden values, and the `outputs`
    of the integer network (integers by name)."""
    frames = [inputs[name] for name, _ in pipeline.inputs]
    words = [pack(values, stream) for values, (_, stream) in zip(frames, pipeline.inputs)]
    result = build_simulator(Design.from_build(build), taps=True).run(words, len(words[0]), progress=progress)
    assert result.edges is not None
    wanted = [
        outputs[pipeline.outputs[e.target_port][0]] if e.target is None else golden
        for e, golden in zip(pipeline.edges, pipeline.golden(*frames))
    ]
    return [
        Stream(_name(pipeline, e), pipeline.tensor_on(e), _values(pipeline, e, result.edges[k]), wanted[k])
        for k, e in enumerate(pipeline.edges)
    ]


def _values(pipeline: Pipeline, edge: Edge, words: np.ndarray) -> np.ndarray:
    """The words of an edge as integers, in the shape that its reader sees."""
    stream = pipeline.stream_from(edge)
    return unpack(words, stream).reshape(len(words), *pipeline.stream_to(edge).shape)


def _name(pipeline: Pipeline, edge: Edge) -> str:
    source = edge.source or pipeline.inputs[edge.source_port][0]
    target = edge.target or pipeline.outputs[edge.target_port][0]
    return f"edge {pipeline.edges.index(edge)} ({source} → {target})"
