"""The rules by which stages fuse: padding into windows, converters with each other, functions into what precedes."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeGuard

from codesign.graph import Op
from hw.fifo import waits
from hw.pipeline import Placed, Stage
from hw.rewrite import Rewriting
from hw.sliding import Border
from hw.stages.activation import weight
from hw.stages.channel_concat import ChannelConcat
from hw.stages.channelwise import ChannelwiseMac
from hw.stages.concat import Concat
from hw.stages.crop import Crop
from hw.stages.fork import Fork, Forked
from hw.stages.fused import Fused, Producer
from hw.stages.global_pool import GlobalPool
from hw.stages.join import Add, Extreme, Join, Mul
from hw.stages.joined import Joined
from hw.stages.lanes import ElementStage
from hw.stages.matvec import MatVec
from hw.stages.pad import Pad
from hw.stages.pool import Pool
from hw.stages.unrolled import Unrolled
from hw.stages.width import Width
from hw.stages.window import Window

JOINS = (Add, Extreme, Mul)
CONCATS = (Concat, ChannelConcat)
PRODUCERS = (MatVec, Unrolled, ChannelwiseMac, Pool, GlobalPool, *JOINS, *CONCATS, Crop, ElementStage, Fused, Joined)


def absorb_padding(rewriting: Rewriting) -> None:
    """A window behind padding makes the border itself; a converter between them goes before the padding."""
    for pad, reader in rewriting.neighbours():
        if not isinstance(pad.stage, Pad):
            continue
        if isinstance(reader.stage, Width) and _windowed(rewriting.reader(reader.name)):
            before = Width(pad.stage.input, reader.stage.lanes)
            pad = rewriting.exchange(pad, reader, before, replace(pad.stage, input=before.outputs[0]))
        window = rewriting.reader(pad.name)
        if _windowed(window):
            _with_border(rewriting, pad, window)


def _windowed(placed: Placed | None) -> TypeGuard[Placed]:
    return placed is not None and isinstance(placed.stage, Window)


def _with_border(rewriting: Rewriting, pad: Placed, window: Placed) -> None:
    assert isinstance(pad.stage, Pad) and isinstance(window.stage, Window)
    if any(pad.stage.gaps):
        rewriting.refuse((pad, window), "the padding also stands between the image's own pixels")
        return
    border = Border(pad.stage.before, pad.stage.after, pad.stage.value)
    try:
        bordered = replace(window.stage, input=pad.stage.input, border=border)
    except ValueError as e:
        rewriting.refuse((pad, window), f"padding stays a stage of its own: {e}")
        return
    saved = _saved((pad, window), bordered)
    if saved < 0:
        rewriting.refuse((pad, window), f"a window that makes its border would take {-saved:.0f} LUT more")
        return
    rewriting.merge((pad, window), bordered, f"the window makes its border: {_told(saved)}")


def join_converters(rewriting: Rewriting) -> None:
    """Two width converters in a row are one, and one that changes nothing is none."""
    for first, second in rewriting.neighbours():
        first = rewriting.stages.get(first.name, second)  # as it is by now
        if first is second or not (isinstance(first.stage, Width) and isinstance(second.stage, Width)):
            continue
        if first.stage.input.lanes == second.stage.lanes:
            rewriting.remove(first, second, "the lanes before and after two width converters are the same")
        else:
            rewriting.merge((first, second), Width(first.stage.input, second.stage.lanes), "two width converters")


def absorb_epilogues(rewriting: Rewriting) -> None:
    """Every function of single elements goes into the stage before it."""
    for _, then in rewriting.neighbours():
        if isinstance(then.stage, ElementStage):
            _absorb(rewriting, rewriting.producer(then), then)


def absorb_joins(rewriting: Rewriting) -> None:
    """Two streams are joined by the stage that sends the later one, whose beats never wait for the other's."""
    if not any(_join_in(p.stage) for p in rewriting.stages.values()):
        return
    waiting = {(e.source, e.target, e.target_port) for e, w in waits(rewriting.pipeline).items() if w.ever}
    for source, then in rewriting.neighbours():
        source, then = (rewriting.stages.get(p.name, p) for p in (source, then))
        link = next((e for e in rewriting.edges if (e.source, e.target) == (source.name, then.name)), None)
        join = _join_in(then.stage)
        if link is None or join is None:
            continue
        if not takes_epilogue(source.stage) or isinstance(_innermost(source.stage), Unrolled):
            rewriting.refuse((source, then), f"{_kind(source)} does not end in registers that can wait")
        elif (link.source, link.target, link.target_port) in waiting:
            rewriting.refuse((source, then), f"what {_kind(source)} sends waits for the other tensor here")
        else:
            joined = _with_innermost(then.stage, Joined(source.stage, join, link.target_port))
            saved = _saved((source, then), joined)
            text = f"{_kind(then)} inside {_kind(source)}: {_told(saved)}"
            rewriting.join(source, then, len(source.stage.inputs), joined, text)
    for source, then in rewriting.neighbours():
        _absorb_before(rewriting, *(rewriting.stages.get(p.name, p) for p in (source, then)))


def _absorb_before(rewriting: Rewriting, source: Placed, then: Placed) -> None:
    """A function of the stream that a join waits for is computed on the way into it."""
    joined = _innermost(then.stage)
    ports = [e.target_port for e in rewriting.edges if (e.source, e.target) == (source.name, then.name)]
    functions = _functions(source.stage)
    if isinstance(joined, Joined) and functions and not joined.before and ports == [len(joined.inputs) - 1]:
        fused = _with_innermost(then.stage, replace(joined, before=functions))
        saved = _saved((source, then), fused)
        rewriting.join_before(source, then, fused, f"{_kind(source)} on the way into {_kind(then)}: {_told(saved)}")


def _join_in(stage: Stage) -> Join | None:
    """What joins two streams at the beginning of a stage, if it begins so."""
    first = _innermost(stage)
    return first if isinstance(first, JOINS) else None


def _functions(stage: Stage) -> tuple[ElementStage[Op], ...]:
    """Those that a stage consists of, where it has no other parts."""
    if isinstance(stage, Fused):
        before = _functions(stage.producer)
        return (*before, stage.then) if before else ()
    return (stage,) if isinstance(stage, ElementStage) else ()


def _innermost(stage: Stage) -> Stage:
    """A stage without the functions that run inside its end."""
    return _innermost(stage.producer) if isinstance(stage, Fused) else stage


def _with_innermost(stage: Stage, first: Producer) -> Producer:
    """The same functions inside the end of another stage."""
    return Fused(_with_innermost(stage.producer, first), stage.then) if isinstance(stage, Fused) else first


def absorb_forks(rewriting: Rewriting) -> None:
    """A fork needs no registers of its own behind a stage, which ends in some."""
    for source, fork in rewriting.neighbours():
        if isinstance(fork.stage, Fork):
            forked = Forked(source.stage, fork.stage.ways)
            saved = _saved((source, fork), forked)
            rewriting.merge((source, fork), forked, f"Fork behind the registers of {_kind(source)}: {_told(saved)}")


def takes_epilogue(stage: Stage) -> TypeGuard[Producer]:
    """Whether a stage lets a datapath stand before its last registers."""
    return isinstance(stage, PRODUCERS) or (isinstance(stage, Width) and stage.buffered)


def _absorb(rewriting: Rewriting, producer: Placed, then: Placed) -> None:
    assert isinstance(then.stage, ElementStage)
    if not takes_epilogue(producer.stage):
        rewriting.refuse((producer, then), f"{_kind(producer)} does not end in registers that another stage can share")
        return
    fused = Fused(producer.stage, then.stage)
    saved = _saved((producer, then), fused)
    rewriting.merge((producer, then), fused, f"{_kind(then)} inside {_kind(producer)}: {_told(saved)}")


def _saved(apart: tuple[Placed, ...], together: Stage) -> float:
    """LUTs, by the cost formulas."""
    return sum(weight(p.stage.cost()) for p in apart) - weight(together.cost())


def _told(luts: float) -> str:
    return f"about {luts:.0f} LUT less"


def _kind(placed: Placed) -> str:
    return type(placed.stage).__name__
