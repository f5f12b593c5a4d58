"""Unrolled layers and the functions between them become one netlist: no handshake inside, no registers for one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from codesign.ops.requant import Requant
from codesign.ops.threshold import Threshold
from codesign.requantize import stairs_of_requant
from hw.netlist.dense import takes
from hw.pipeline import Pipeline, Placed, Stage
from hw.rewrite import Rewriting
from hw.stages.activation import stairs_of
from hw.stages.fused import Fused
from hw.stages.lanes import ElementStage
from hw.stages.unrolled import Unrolled

MOST_BITS = 8  # of the results of a multiply-shift whose steps are listed


def join_unrolled(rewriting: Rewriting) -> None:
    """Every function or unrolled layer behind an unrolled layer goes into its netlist."""
    for _, reader in rewriting.neighbours():
        (*_, edge) = (e for e in rewriting.edges if e.target == reader.name)
        producer = rewriting.stages[str(edge.source)]
        if not isinstance(producer.stage, Unrolled):
            continue
        if isinstance(reader.stage, ElementStage):
            _take_function(rewriting, producer, producer.stage, reader, reader.stage)
        elif isinstance(reader.stage, Unrolled):
            joined = replace(producer.stage, layers=(*producer.stage.layers, *reader.stage.layers))
            rewriting.merge((producer, reader), joined, "the next layer in the same netlist")


def pass_at_ends(pipeline: Pipeline) -> Pipeline:
    """Results of a netlist that leave the design do not wait in their queue where they need not."""
    ends = {e.source for e in pipeline.edges if e.target is None}
    stages = (replace(p, stage=_passing(p.stage)) if p.name in ends else p for p in pipeline.stages)
    return replace(pipeline, stages=tuple(stages))


def _passing(stage: Stage) -> Stage:
    if isinstance(stage, Fused):
        return replace(stage, producer=_passing(stage.producer))  # type: ignore[arg-type]
    return replace(stage, passing=True) if isinstance(stage, Unrolled) else stage


def _take_function(
    rewriting: Rewriting, producer: Placed, layers: Unrolled, reader: Placed, function: ElementStage
) -> None:  # fmt: skip
    """A staircase becomes the end of the last layer."""
    *before, last = layers.layers
    stairs = None if last.activation is not None else _stairs(function)
    if stairs is None:
        rewriting.refuse((producer, reader), "only one function that rises or falls goes into a layer's netlist")
        return
    ended = replace(last, activation=_for_all(stairs, last.weights.shape[1]))
    if not takes(ended, before[-1].output if before else layers.input.format, layers.gates):
        rewriting.refuse((producer, reader), "too many uneven steps for look-up tables: the function keeps its stage")
        return
    rewriting.merge((producer, reader), replace(layers, layers=(*before, ended)), "staircases in the layer's netlist")


def _for_all(stairs: Threshold, neurons: int) -> Threshold:
    """The same channels' staircases again for every pixel of a beat."""
    rows = (stairs.thresholds, stairs.base, stairs.step)
    thresholds, base, step = (np.tile(a, (neurons // len(a), *[1] * (a.ndim - 1))) if len(a) > 1 else a for a in rows)
    return replace(stairs, thresholds=thresholds, base=base, step=step)


def _stairs(function: ElementStage) -> Threshold | None:
    """The function as a staircase, where it is one of few enough steps."""
    found = stairs_of(function.op, function.input.format)
    if found is None and isinstance(function.op, Requant) and function.op.format.bits <= MOST_BITS:
        return stairs_of_requant(function.op, function.input.format)
    return found
