"""Trains the examples' MLP: 8x8 digits, binary weights, 2-bit activations. `python -m examples.train_mlp`"""

# pyright: reportMissingImports=false
# (torch is in the extra `train`, which type checking does without)

from collections import OrderedDict

import torch
from torch import nn

from examples.data import digits
from examples.qonnx_export import save
from examples.training import SEED, BinaryWeight, Classifier, QuantLinear, UnsignedQuant, fit

ACTIVATION_SCALE = 0.5


def network() -> nn.Sequential:
    """64 -> 64 -> 64 -> 10; the input has 4 bits."""
    layers: list[tuple[str, nn.Module]] = [
        ("flatten", nn.Flatten()),
        ("input_quant", UnsignedQuant(4, 1 / 16)),
    ]
    for index in (1, 2):
        layers += [
            (f"fc{index}", QuantLinear(64, 64, BinaryWeight())),
            (f"norm{index}", nn.BatchNorm1d(64)),
            (f"relu{index}", nn.ReLU()),
            (f"act{index}", UnsignedQuant(2, ACTIVATION_SCALE)),
        ]
    layers.append(("logits", Classifier(64, 10, BinaryWeight(), ACTIVATION_SCALE)))
    return nn.Sequential(OrderedDict(layers))


def main() -> None:
    """Train, then write the ONNX file and the expected integer logits beside this script."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # the order of sums, and so the result, must not depend on the machine's cores
    train_x, train_y, test_x, test_y = digits()
    model = network()
    fit(model, train_x, train_y, epochs=150)
    save(model, "digits_mlp_w1a2", test_x, test_y)


if __name__ == "__main__":
    main()
