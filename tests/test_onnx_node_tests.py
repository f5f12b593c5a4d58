"""The node tests that the onnx package generates: passed, or refused for a stated reason; none is wrong."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.onnx_node_cases import DEFECTIVE, PASSED, REFUSED, WRONG, Outcome, cases, outcome

AT_LEAST = 0.85
# A refusal names what is not supported: an attribute, a type, a shape, or how many axes.
REASONS = (
    *("attribute", "of type", "types", "5 axes", "length 0", "no fixed length", "no element", "only the first one is"),
    *("output_shape", "sequence", "align_corners", "training", "reshapes", "splits", "only powers of floats"),
)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    folder = tmp_path_factory.mktemp("node_tests")
    return [outcome(case, folder) for case in cases() if case.name not in DEFECTIVE]


def test_none_is_wrong(outcomes: list[Outcome]) -> None:
    assert [o for o in outcomes if o.result == WRONG] == []


def test_most_pass(outcomes: list[Outcome]) -> None:
    counts = Counter(o.result for o in outcomes)
    print(f"onnx node tests: {dict(counts)} of {len(outcomes)}")
    assert len(outcomes) > 450 and counts[PASSED] >= AT_LEAST * len(outcomes)


def test_refusals_say_why(outcomes: list[Outcome]) -> None:
    refused = [o for o in outcomes if o.result == REFUSED]
    assert [o for o in refused if not any(r in o.reason for r in REASONS)] == []


def test_defective_tests_saturate_here(tmp_path: Path) -> None:
    """Where the onnx package's data wraps, the graph and the specification saturate."""
    found = [outcome(case, tmp_path).result for case in cases() if case.name in DEFECTIVE]
    assert found == [WRONG] * 4
