"""Trains the examples' CNN: MNIST, 4-bit weights and activations. `python -m examples.train_cnn`"""

# pyright: reportMissingImports=false
# (torch is in the extra `train`, which type checking does without)

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from examples.data import mnist
from examples.qonnx_export import save
from examples.training import SEED, Classifier, IntWeight, QuantConv, UnsignedQuant, fit

ACTIVATION_SCALE = 0.25


def block(index: int, conv: QuantConv) -> list[tuple[str, nn.Module]]:
    """Convolution, batch norm, ReLU and a 4-bit quantizer."""
    return [
        (f"conv{index}", conv),
        (f"norm{index}", nn.BatchNorm2d(conv.out_channels)),
        (f"relu{index}", nn.ReLU()),
        (f"act{index}", UnsignedQuant(4, ACTIVATION_SCALE)),
    ]


def network() -> nn.Sequential:
    """3x3 to 8 channels, pool, depthwise 3x3, 1x1 to 16 channels, pool, linear; the input has 4 bits."""
    layers: list[tuple[str, nn.Module]] = [
        ("input_quant", UnsignedQuant(4, 1 / 15)),
        *block(1, QuantConv(1, 8, 3)),
        ("pool1", nn.MaxPool2d(2)),
        *block(2, QuantConv(8, 8, 3, groups=8)),
        *block(3, QuantConv(8, 16, 1)),
        ("pool2", nn.MaxPool2d(2)),
        ("flatten", nn.Flatten()),
        ("logits", Classifier(16 * 7 * 7, 10, IntWeight(4), ACTIVATION_SCALE)),
    ]
    return nn.Sequential(OrderedDict(layers))


def shift(images: Tensor) -> Tensor:
    """The batch moved by up to two pixels each way."""
    down, right = (int(torch.randint(0, 5, ())) for _ in range(2))
    return functional.pad(images, (2, 2, 2, 2))[..., down : down + 28, right : right + 28]


def main() -> None:
    """Train, then write the ONNX file and the expected integer logits beside this script."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # the order of sums, and so the result, must not depend on the machine's cores
    train_x, train_y, test_x, test_y = mnist()
    model = network()
    fit(model, train_x, train_y, epochs=40, augment=shift)
    save(model, "mnist_cnn_w4a4", test_x, test_y)


if __name__ == "__main__":
    main()
