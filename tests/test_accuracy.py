"""Accuracy and confusion from scores and from class numbers."""

import numpy as np
import pytest

from codesign.accuracy import accuracy_of
from codesign.errors import UserError

LABELS = np.array([0, 1, 2, 2])
EXPECTED = {"samples": 4, "accuracy": 0.75, "confusion": [[1, 0, 0], [0, 1, 0], [1, 0, 1]]}


def test_scores_name_the_class_of_the_highest() -> None:
    scores = np.array([[3, 1, 2], [0, 5, 5], [-1, -2, 0], [9, 1, 1]])  # the first among equals
    assert accuracy_of(scores, LABELS) == EXPECTED
    assert accuracy_of(scores.reshape(4, 1, 3).astype(np.float32), LABELS) == EXPECTED


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 1, 1)])
def test_class_numbers_name_themselves(shape: tuple[int, ...]) -> None:
    assert accuracy_of(np.array([0, 1, 2, 0], dtype=np.float32).reshape(shape), LABELS) == EXPECTED


def test_a_class_that_is_never_answered_has_its_column() -> None:
    assert accuracy_of(np.array([0, 0]), np.array([0, 2]))["confusion"] == [[1, 0, 0], [0, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize(
    ("outputs", "labels", "message"),
    [
        (np.zeros((4, 3)), np.array([0, 1, 2, 3]), "only 3 classes"),
        (np.zeros((4, 3)), np.array([0, 1, 2, -1]), "label is -1"),
        (np.zeros((4, 3)), np.array([0, 1]), "2 labels for 4"),
        (np.array([0.5, 1, 2, 2]), LABELS, "no class number"),
    ],
)
def test_labels_that_do_not_fit(outputs: np.ndarray, labels: np.ndarray, message: str) -> None:
    with pytest.raises(UserError, match=message):
        accuracy_of(outputs, labels)
