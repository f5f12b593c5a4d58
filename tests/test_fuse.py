"""Stages fused in whole pipelines: the same words, fewer stages, and what was done is told."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.formats import Int
from hw.fifo import with_fifos
from hw.fuse import FUSIONS, fuse
from hw.pipeline import Edge, Pipeline, Placed, Stage
from hw.stages.fork import Fork
from hw.stages.fused import Fused
from hw.stages.join import Add
from hw.stages.joined import Joined
from hw.stages.matvec import MatVec
from hw.stages.pad import Pad
from hw.stages.pool import Pool
from hw.stages.requant import RequantStage
from hw.stages.unrolled import Unrolled
from hw.stages.width import Width
from hw.stages.window import Window
from hw.stream import StreamType
from tests.test_activation_stages import requant
from tests.test_netlist import random_layer
from tests.test_stage_matvec import weights_of

NAMES = tuple(f.name for f in FUSIONS)
IMAGE = StreamType((5, 5, 4), Int(-8, 7), 1)


def chain(*stages: Stage) -> Pipeline:
    """Stages one behind the other."""
    names = [f"s{k}" for k in range(len(stages))]
    ends = zip([None, *names], [*names, None], strict=True)
    placed = tuple(Placed(n, s, (f"layer of {n}",), f"t{n}") for n, s in zip(names, stages, strict=True))
    inputs, outputs = (("x", stages[0].inputs[0]),), (("y", stages[-1].outputs[0]),)
    return Pipeline(placed, tuple(Edge(a, 0, b, 0) for a, b in ends), inputs, outputs)


def network() -> Pipeline:
    """Convolution, activation, pool, as they are lowered: the padding of few lanes, the window of more."""
    pad = Pad(IMAGE, (1, 1), (1, 1), -8)
    wide = Width(pad.outputs[0], 2)
    window = Window(wide.outputs[0], (3, 3))
    product = MatVec(window.outputs[0], weights_of(Int(-2, 1), (36, 4)), Int(-2, 1), 2, 2)
    scaled = RequantStage(product.outputs[0], requant(4, 5, 6, "half_even", Int(-8, 7)))
    narrow = Width(scaled.outputs[0], 1)
    again = Width(narrow.outputs[0], 4)
    border = Pad(again.outputs[0], (0, 0), (1, 1), -8)
    pooled = Window(border.outputs[0], (2, 2), (2, 2), channelwise=True)
    return chain(pad, wide, window, product, scaled, narrow, again, border, pooled, Pool(pooled.outputs[0], "max"))


@pytest.mark.parametrize("off", [(), *((name,) for name in NAMES), NAMES])
def test_the_function_stays(off: tuple[str, ...]) -> None:
    before = network()
    after = fuse(before, off)
    x = np.random.default_rng(1).integers(-8, 8, (3, *IMAGE.shape))
    np.testing.assert_array_equal([*before.golden(x)][-1], [*after.golden(x)][-1])
    assert [f.name for f in after.fused] == [n for n in NAMES if n not in off]
    assert sum(f.saved for f in after.fused) == len(before.stages) - len(after.stages)
    assert with_fifos(after).stages == after.stages


def test_nothing_is_left_that_a_neighbour_can_do() -> None:
    after = fuse(network())
    kinds = [type(p.stage).__name__ for p in after.stages]
    assert kinds == ["Width", "Window", "Fused", "Width", "Window", "Pool"]
    assert all(n.applied for f in after.fused for n in f.notes)
    product = after.stages[2]
    assert (
        product.parts == ("s3", "s4") and product.tensor == "ts4" and product.layers == ("layer of s3", "layer of s4")
    )


def test_what_cannot_be_fused_says_why() -> None:
    wide = Pad(IMAGE, (3, 3), (3, 3), -8)
    after = fuse(chain(wide, Window(wide.outputs[0], (3, 3))))
    (note,) = (n for f in after.fused for n in f.notes)
    assert len(after.stages) == 2 and not note.applied and "nothing but the border" in note.text


def residual(slow: bool) -> Pipeline:
    """x -> product -> scale -> sum with another scale of x; `slow`: the product comes later than x itself."""
    x = StreamType((4, 4), Int(-8, 7), 1 if slow else 4)
    fork = Fork(x, 2)
    product = MatVec(x, weights_of(Int(-2, 1), (4, 4)), Int(-2, 1), 1 if slow else 4, x.lanes)
    scaled = RequantStage(product.outputs[0], requant(4, 5, 6, "half_even", Int(-8, 7)))
    skip = RequantStage(x, requant(4, 3, 2, "half_even", Int(-30, 30)))
    later = RequantStage(skip.outputs[0], requant(4, 1, 1, "half_even", Int(-30, 30)))
    total = Add(scaled.outputs[0], later.outputs[0])
    stages = {"fork": fork, "product": product, "scaled": scaled, "skip": skip, "later": later, "total": total}
    links = [(None, 0, "fork", 0), ("fork", 0, "product", 0), ("fork", 1, "skip", 0), ("product", 0, "scaled", 0)]
    links += [("scaled", 0, "total", 0), ("skip", 0, "later", 0), ("later", 0, "total", 1), ("total", 0, None, 0)]
    placed = tuple(Placed(n, s, (n,)) for n, s in stages.items())
    return Pipeline(placed, tuple(Edge(*link) for link in links), (("x", x),), (("y", total.outputs[0]),))


def test_a_sum_is_computed_by_the_stage_that_comes_later() -> None:
    before = residual(slow=True)
    after = fuse(before)
    assert [p.name for p in after.stages] == ["fork", "total"]
    (joined,) = (p.stage for p in after.stages if isinstance(p.stage, Joined))
    assert joined.port == 0 and len(joined.before) == 2
    x = np.random.default_rng(2).integers(-8, 8, (5, 4, 4))
    np.testing.assert_array_equal([*before.golden(x)][-1], [*after.golden(x)][-1])


def test_a_sum_stays_apart_from_a_stage_whose_beats_wait() -> None:
    """Taken into it, the sum would stop it, and with it what both of them wait for."""
    notes = [n for f in fuse(residual(slow=False)).fused if f.name == "joins" for n in f.notes]
    refused = [n.layers for n in notes if not n.applied]
    assert all("waits for the other tensor" in n.text for n in notes if not n.applied)
    assert len(refused) == 1 and len(notes) > 1


def test_only_what_leaves_the_design_passes_its_queue() -> None:
    """Behind memory a select is one level more for the stage that reads."""
    x = StreamType((4, 6), Int(0, 9), 6)
    first = Unrolled(x, (random_layer(x.format, (6, 4), 3, "late", 1),))
    (made,) = first.outputs
    last = Unrolled(made, (random_layer(made.format, (4, 4), 0, "any", 2),))
    then = RequantStage(last.outputs[0], requant(4, 40, 9, "half_even", Int(-512, 511)))
    pipeline = fuse(chain(first, Pool(StreamType((2, 2, 1, 4), made.format, 4), "max"), Width(made, 4)), ())
    assert isinstance(pipeline.stages[0].stage, Unrolled) and not pipeline.stages[0].stage.passing
    inside, behind = fuse(chain(first, last, then), ("unrolled",)).stages
    assert isinstance(inside.stage, Unrolled) and not inside.stage.passing
    assert isinstance(behind.stage, Fused) and behind.stage.producer.passing  # type: ignore[attr-defined]
    (alone,) = fuse(chain(first, last)).stages
    assert isinstance(alone.stage, Unrolled) and alone.stage.passing
