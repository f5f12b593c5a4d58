"""Fusions of stages: what a stage does that its neighbour can do in passing, the neighbour does."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from codesign.fusion import Fusion, Note
from hw.absorb import absorb_epilogues
from hw.pipeline import Pipeline
from hw.rewrite import Rewriting


@dataclass(frozen=True)
class StageFusion(Fusion):
    """A fusion of a pipeline's stages: the function stays, word for word."""

    rewrite: Callable[[Rewriting], None] = field(kw_only=True)


@dataclass(frozen=True)
class Done:
    """What a fusion of stages did, and left undone; `stages`: how many it saved."""

    name: str
    stages: int
    notes: tuple[Note, ...]


FUSIONS = (
    StageFusion(
        "epilogue",
        "a function of every element runs inside the last registers of the stage before it",
        rewrite=absorb_epilogues,
    ),
)


def fuse(pipeline: Pipeline, off: Collection[str] = ()) -> tuple[Pipeline, tuple[Done, ...]]:
    """A pipeline without FIFOs but those behind forks -> the same function in fewer stages, and what was done."""
    done = []
    for fusion in FUSIONS:
        if fusion.name in off:
            continue
        rewriting = Rewriting.of(pipeline)
        fusion.rewrite(rewriting)
        before, pipeline = len(pipeline.stages), rewriting.pipeline
        done.append(Done(fusion.name, before - len(pipeline.stages), tuple(rewriting.notes)))
    return pipeline, tuple(done)
