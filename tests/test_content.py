"""Values by their content: equal content is computed once, anything else is told apart."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from codesign.formats import Int
from hw.content import by_content, content
from hw.stages.matvec import MatVec
from hw.stream import StreamType


def product(seed: int = 0) -> MatVec:
    weights = np.random.default_rng(seed).integers(-8, 8, (4, 6))
    return MatVec(StreamType((4,), Int(0, 15), 2), weights, Int(-8, 7), 3, 2)


def test_equal_content_is_equal_and_all_else_is_not() -> None:
    one = product()
    assert content(one) == content(product())
    others = [product(1), replace(one, pe=2), replace(one, skip=True), replace(one, dsp_lanes=1)]
    others += [replace(one, bias=np.zeros(6, np.int64)), replace(one, weights=one.weights.astype(np.int8))]
    assert len({content(s) for s in (one, *others)}) == len(others) + 1
    assert content(np.zeros((2, 3))) != content(np.zeros((3, 2)))


def test_results_are_remembered_up_to_a_number() -> None:
    asked: list[int] = []

    @by_content(most=2)
    def double(value: Number) -> int:
        asked.append(value.n)
        return 2 * value.n

    assert [double(Number(n)) for n in (1, 1, 2, 2, 1)] == [2, 2, 4, 4, 2]
    assert asked == [1, 2]
    assert [double(Number(n)) for n in (3, 1)] == [6, 2]
    assert asked == [1, 2, 3, 1]


@dataclass(frozen=True)
class Number:
    n: int
