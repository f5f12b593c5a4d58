"""How many samples a network classifies as their labels say, and how much noise its tensors carry."""

from __future__ import annotations

from typing import Any

import numpy as np

from codesign.errors import UserError


def accuracy_of(outputs: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Samples, accuracy and confusion[label][answer] for scores (samples, .., classes) or class numbers (samples,)."""
    answers = answers_of(outputs)
    if len(answers) != len(labels):
        raise UserError(f"{len(labels)} labels for {len(answers)} samples; give one label for each sample")
    if int(labels.min()) < 0:
        raise UserError(f"a label is {int(labels.min())}; classes are counted from 0")
    classes = _class_count(outputs, answers)
    if int(labels.max()) >= classes and outputs_are_scores(outputs):
        raise UserError(f"a label is {int(labels.max())}, but the network tells only {classes} classes apart")
    confusion = np.zeros((max(classes, int(labels.max()) + 1),) * 2, dtype=np.int64)
    np.add.at(confusion, (labels, answers), 1)
    right = int(np.trace(confusion))
    return {"samples": len(labels), "accuracy": right / len(labels), "confusion": confusion.tolist()}


def answers_of(outputs: np.ndarray) -> np.ndarray:
    """The class (samples,) that each output names: the index of its (first) highest score, or itself."""
    flat = outputs.reshape(len(outputs), -1)
    if outputs_are_scores(outputs):
        return flat.argmax(axis=1)
    answers = flat[:, 0]
    if (answers < 0).any() or (answers != np.rint(answers)).any():
        raise UserError("the output is one number a sample but no class number; labels do not apply to this network")
    return answers.astype(np.int64)


def outputs_are_scores(outputs: np.ndarray) -> bool:
    """Whether each sample has a score for every class, rather than the number of one."""
    return outputs.size > len(outputs)


def sqnr_db(signal: float, noise: float) -> float:
    """Signal-to-quantization-noise ratio of two sums of squares, in dB; at most 300, where there is no noise."""
    tiny = np.finfo(float).tiny
    return float(min(10 * (np.log10(signal + tiny) - np.log10(noise + tiny)), 300.0))


def _class_count(outputs: np.ndarray, answers: np.ndarray) -> int:
    return outputs.size // len(outputs) if outputs_are_scores(outputs) else int(answers.max()) + 1
