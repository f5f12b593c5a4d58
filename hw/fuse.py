"""Fusions of stages: what a stage does that its neighbour can do in passing, the neighbour does."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from codesign.fusion import Fusion
from hw.absorb import absorb_epilogues, absorb_forks, absorb_joins, absorb_padding, join_converters
from hw.pipeline import Fused, Pipeline
from hw.rewrite import Rewriting
from hw.unroll import join_unrolled, pass_at_ends


@dataclass(frozen=True)
class StageFusion(Fusion):
    """A fusion of a pipeline's stages: the function stays, word for word."""

    rewrite: Callable[[Rewriting], None] = field(kw_only=True)


FUSIONS = (
    StageFusion(
        "unrolled",
        "layers whose every weight has its own gates, and the functions between them, are one netlist",
        rewrite=join_unrolled,
    ),
    StageFusion(
        "padding",
        "a window makes the border of its image itself, instead of a stage that sends it",
        rewrite=absorb_padding,
    ),
    StageFusion(
        "converters",
        "width converters in a row become one, or none",
        rewrite=join_converters,
    ),
    StageFusion(
        "epilogue",
        "a function of every element runs inside the last registers of the stage before it",
        rewrite=absorb_epilogues,
    ),
    StageFusion(
        "joins",
        "two tensors are added (multiplied, compared) in the last registers of the stage that sends the later one",
        rewrite=absorb_joins,
    ),
    StageFusion(
        "forks",
        "a stream is forked behind the registers of the stage that sends it, without any of its own",
        rewrite=absorb_forks,
    ),
)


def fuse(pipeline: Pipeline, off: Collection[str] = ()) -> Pipeline:
    """A pipeline whose FIFOs are not chosen yet -> the same function in fewer stages; names in `off` are not fused."""
    for fusion in FUSIONS:
        if fusion.name in off:
            continue
        rewriting = Rewriting.of(pipeline)
        fusion.rewrite(rewriting)
        fewer = rewriting.pipeline
        told = Fused(fusion.name, len(pipeline.stages) - len(fewer.stages), tuple(rewriting.notes))
        pipeline = replace(fewer, fused=(*pipeline.fused, told))
    return pass_at_ends(pipeline)
