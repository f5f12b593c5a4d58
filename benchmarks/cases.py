"""Trained float networks with the samples that quantize them, and others that score them.

Calibrated and selected with: KWS samples 0-199, CIFAR images 3500-3999, the first 500 MNIST training images. Scored
on: the other 800 KWS samples, CIFAR images 0-3499, the 10,000 MNIST test images. The CIFAR images, both parts, are
training images of these networks (the first 4,000 of the training set): their accuracy is that of seen images.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codesign.chunks import run_chunked
from codesign.graph import Graph

DATA = Path(__file__).parent.parent.parent / "shared/data"
# Of CIFAR-10, as the residual network is documented: 86.2 % of the first 1,000 images, its int8 form 85.4 % (with the
# deviations of all pixels, 0.247, 0.2435 and 0.2616, 87.1 and 86.7 %).
MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.201)


@dataclass(frozen=True)
class Case:
    """A model, samples to calibrate on, others to score with their labels; `allowed`: points of loss by precision."""

    model: Path
    calibration: np.ndarray
    x: np.ndarray
    labels: np.ndarray
    allowed: Mapping[str, float]


def kws() -> Case:
    with np.load(DATA / "kws/kws01_mfcc.npz") as v:
        x = (v["mfcc_int8"].astype(np.float32) - v["zero_point"]) * v["scale"]
        labels = v["labels"].astype(np.int64)
    x = x.reshape(-1, 49, 10, 1).astype(np.float32)
    model = DATA / "models/kws/kws_dscnn_float.onnx"
    return Case(model, x[:200], x[200:], labels[200:], {"int8": 0.8, "w4a8": 1.8})


def cifar() -> tuple[np.ndarray, np.ndarray]:
    with np.load(DATA / "cifar10/cifar10_train_first4000.npz") as v:
        return v["images"].astype(np.float32) / 255, v["labels"].astype(np.int64)


def normalized(images: np.ndarray) -> np.ndarray:
    """What the residual network takes (samples, 3, 32, 32), of images (samples, 32, 32, 3) from 0 to 1."""
    return ((images - np.array(MEAN)) / np.array(DEVIATION)).astype(np.float32).transpose(0, 3, 1, 2)


def residual() -> Case:
    x, labels = cifar()
    x = normalized(x)
    model = DATA / "models/cifar10/ic_residual_float.onnx"
    return Case(model, x[3500:], x[:3500], labels[:3500], {"int8": 0.8, "w4a8": 3.0})


def squeezenet() -> Case:
    x, labels = cifar()
    model = DATA / "models/cifar10/squeezenet_cifar10.onnx"
    return Case(model, x[3500:], x[:3500], labels[:3500], {"int8": 0.8})


def mnist() -> Case:
    labels = _idx("t10k-labels-idx1", 8).astype(np.int64)
    model = DATA / "models/mnist/mnist-8.onnx"
    return Case(model, digits("train")[:500], digits("t10k"), labels, {"int8": 0.1, "w4a4": 0.7})


def digits(part: str) -> np.ndarray:
    """MNIST's images (count, 1, 28, 28), 0 to 255; `part`: train or t10k."""
    return _idx(f"{part}-images-idx3", 16).reshape(-1, 1, 28, 28).astype(np.float32)


def _idx(name: str, offset: int) -> np.ndarray:
    return np.frombuffer(gzip.decompress((DATA / f"mnist/{name}-ubyte.gz").read_bytes()), np.uint8, offset=offset)


CASES: dict[str, Callable[[], Case]] = {"kws": kws, "residual": residual, "mnist": mnist, "squeezenet": squeezenet}


def answers(graph: Graph, case: Case) -> np.ndarray:
    """The class that a network gives each sample scored."""
    y = run_chunked(graph.run, {graph.inputs[0].name: case.x}, graph.widest)[graph.outputs[0]]
    return classes(y)


def classes(y: np.ndarray) -> np.ndarray:
    """Scores (samples, ..) -> the index of the highest."""
    return y.reshape(len(y), -1).argmax(axis=1)


def percent(found: np.ndarray, case: Case) -> float:
    """Of the answers that are right."""
    return 100 * float((found == case.labels).mean())
