"""Stages of one element at a time move into the end of the stage before them."""

from __future__ import annotations

from typing import TypeGuard

from hw.pipeline import Placed, Stage
from hw.rewrite import Rewriting
from hw.stages.channelwise import ChannelwiseMac
from hw.stages.concat import Concat
from hw.stages.crop import Crop
from hw.stages.fused import Fused, Producer
from hw.stages.global_pool import GlobalPool
from hw.stages.join import Add, Extreme, Mul
from hw.stages.lanes import ElementStage
from hw.stages.matvec import MatVec
from hw.stages.pool import Pool
from hw.stages.width import Width

PRODUCERS = (MatVec, ChannelwiseMac, Pool, GlobalPool, Add, Extreme, Mul, Concat, Crop, ElementStage, Fused)


def takes_epilogue(stage: Stage) -> TypeGuard[Producer]:
    """Whether a stage lets a datapath stand before its last registers."""
    return isinstance(stage, PRODUCERS) or (isinstance(stage, Width) and stage.narrows)


def absorb_epilogues(rewriting: Rewriting) -> None:
    """Every function of single elements goes into the stage before it."""
    for _, reader in rewriting.neighbours():
        if isinstance(reader.stage, ElementStage):
            _absorb(rewriting, reader)


def _absorb(rewriting: Rewriting, then: Placed) -> None:
    (edge,) = (e for e in rewriting.edges if e.target == then.name)
    producer = rewriting.stages[str(edge.source)]
    assert isinstance(then.stage, ElementStage)
    if not takes_epilogue(producer.stage):
        rewriting.refuse((producer, then), f"{_kind(producer)} does not end in registers that another stage can share")
        return
    fused = Fused(producer.stage, then.stage)
    rewriting.merge((producer, then), fused, f"{_kind(then)} inside {_kind(producer)}")


def _kind(placed: Placed) -> str:
    return type(placed.stage).__name__
