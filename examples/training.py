"""Quantization-aware training in plain PyTorch: straight-through quantizers, their layers, one loop."""

# pyright: reportMissingImports=false
# (torch is in the extra `train`, which type checking does without)

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from examples.data import Array

SEED = 1


def round_ste(x: Tensor) -> Tensor:
    """Round half to even; the gradient passes as if it were the identity."""
    return x + (x.round() - x).detach()


def sign_ste(x: Tensor) -> Tensor:
    """+1 where x >= 0, else -1; the gradient passes where |x| <= 1."""
    clipped = x.clamp(-1, 1)
    return clipped + (torch.where(x >= 0, 1.0, -1.0) - clipped).detach()


class BinaryWeight(nn.Module):
    """Weights to +-scale, with scale = mean |w| of the tensor."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(1.0))

    def forward(self, weight: Tensor) -> Tensor:
        if self.training:
            self.scale.copy_(weight.detach().abs().mean())
        return sign_ste(weight) * self.scale


class IntWeight(nn.Module):
    """Weights to scale * (-limit .. limit), limit = 2^(bits - 1) - 1; a scale a tensor or output channel."""

    scale: Tensor

    def __init__(self, bits: int, scale_shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.bits = bits
        self.register_buffer("scale", torch.ones(scale_shape))

    def forward(self, weight: Tensor) -> Tensor:
        limit = 2 ** (self.bits - 1) - 1
        if self.training:
            rows = weight.detach().reshape(self.scale.numel(), -1)
            self.scale.copy_(rows.abs().amax(1).reshape(self.scale.shape) / limit)
        return round_ste(weight / self.scale).clamp(-limit, limit) * self.scale


WeightQuant = BinaryWeight | IntWeight


class UnsignedQuant(nn.Module):
    """Activations to scale * (0 .. 2^bits - 1).

    The scale is fixed: the batch norm before it learns the range. A power of two keeps scale products
    exact in float32.
    """

    scale: Tensor

    def __init__(self, bits: int, scale: float) -> None:
        super().__init__()
        self.bits = bits
        self.register_buffer("scale", torch.tensor(scale))

    def forward(self, x: Tensor) -> Tensor:
        return round_ste(x / self.scale).clamp(0, 2**self.bits - 1) * self.scale


class QuantLinear(nn.Linear):
    """A linear layer whose weights pass through `quant`."""

    quant: WeightQuant

    def __init__(self, inputs: int, outputs: int, quant: WeightQuant) -> None:
        super().__init__(inputs, outputs, bias=False)
        self.quant = quant

    def forward(self, input: Tensor) -> Tensor:
        return functional.linear(input, self.quant(self.weight))


class QuantConv(nn.Conv2d):
    """A 2-D convolution, stride 1, same size out, whose 4-bit weights have one scale an output channel."""

    def __init__(self, inputs: int, outputs: int, kernel: int, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
        self.quant = IntWeight(4, (outputs, 1, 1, 1))

    def forward(self, input: Tensor) -> Tensor:
        return functional.conv2d(input, self.quant(self.weight), padding=self.padding, groups=self.groups)


class Classifier(QuantLinear):
    """The last layer: its bias is a whole number of `unit`s, so every logit is one too."""

    def __init__(self, inputs: int, outputs: int, quant: WeightQuant, activation_scale: float) -> None:
        super().__init__(inputs, outputs, quant)
        self.activation_scale = activation_scale
        self.offset = nn.Parameter(torch.zeros(outputs))

    @property
    def unit(self) -> Tensor:
        """The real value of one step of the accumulator: weight scale * activation scale (scalar)."""
        return self.quant.scale * self.activation_scale

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + round_ste(self.offset / self.unit) * self.unit


def fit(
    model: nn.Sequential, x: Array, y: Array, epochs: int, augment: Callable[[Tensor], Tensor] = lambda x: x
) -> None:
    """Train in place: Adam, cosine learning rate, batches of 64; ends in evaluation mode."""
    images, labels = torch.from_numpy(x), torch.from_numpy(y)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    model.train()
    for epoch in range(epochs):
        losses = []
        for batch in torch.randperm(len(images)).split(64):
            loss = functional.cross_entropy(model(augment(images[batch])), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        schedule.step()
        print(f"epoch {epoch + 1}/{epochs}: loss {sum(losses) / len(losses):.3f}", flush=True)
    model.eval()
