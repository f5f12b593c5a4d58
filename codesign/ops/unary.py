"""Real functions of one real number, each with what is known of its slope.

Fusion evaluates these functions at every reachable integer, or bisects where the chain is monotone; so a
function states its sign of slope, or None where it has none on the whole line.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from codesign.graph import GraphError, Operand, TensorType


@dataclass(frozen=True)
class Function:
    """`apply(x, *parameters)`; `slope(*parameters)`: +1 never falls, -1 never rises, None neither.

    `turns`: numbers between which it only rises or only falls whatever its parameters; None: not known.
    """

    apply: Callable[..., np.ndarray]
    slope: Callable[..., int | None]
    parameters: int = 0
    turns: tuple[float, ...] | None = None


def _rises(*_: float) -> int | None:
    return 1


def _falls(*_: float) -> int | None:
    return -1


def _bends(*_: float) -> int | None:
    return None


def _erf(x: np.ndarray) -> np.ndarray:
    return np.vectorize(math.erf, otypes=[np.float64])(x)


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(x, 0)


def _elu(x: np.ndarray, alpha: float) -> np.ndarray:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _selu(x: np.ndarray, alpha: float, gamma: float) -> np.ndarray:
    return gamma * _elu(x, alpha)


def _celu(x: np.ndarray, alpha: float) -> np.ndarray:
    return np.maximum(x, 0) + np.minimum(alpha * np.expm1(np.minimum(x / alpha, 0)), 0)


def _gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + _erf(x / math.sqrt(2)))


def _gelu_tanh(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _hard_swish(x: np.ndarray) -> np.ndarray:
    return x * np.clip(x / 6 + 0.5, 0, 1)


def _mish(x: np.ndarray) -> np.ndarray:
    return x * np.tanh(_softplus(x))


# Where their slope is 0; around it they are flat, so that its last digits decide nothing.
_GELU_TURN, _GELU_TANH_TURN, _MISH_TURN = -0.7517915246935645, -0.7524614220710163, -1.1924312145154954


def _wrap(x: np.ndarray, lo: float, hi: float) -> np.ndarray:
    """Integers outside lo..hi, as an overflow leaves them."""
    return (x - lo) % (hi - lo + 1) + lo


def _rises_if(positive: bool) -> int | None:
    return 1 if positive else None


FUNCTIONS: dict[str, Function] = {
    "relu": Function(lambda x: np.maximum(x, 0), _rises),
    "clip": Function(np.clip, _rises, 2),
    "leaky_relu": Function(lambda x, a: np.where(x >= 0, x, a * x), lambda a: _rises_if(a >= 0), 1, (0.0,)),
    "sigmoid": Function(lambda x: 1 / (1 + np.exp(-x)), _rises),
    "tanh": Function(np.tanh, _rises),
    "hard_sigmoid": Function(lambda x, a, b: np.clip(a * x + b, 0, 1), lambda a, b: 1 if a >= 0 else -1, 2),
    "abs": Function(np.abs, _bends, 0, (0.0,)),
    "neg": Function(np.negative, _falls),
    "exp": Function(np.exp, _rises),
    "log": Function(np.log, _rises),
    "sqrt": Function(np.sqrt, _rises),
    "reciprocal": Function(lambda x: 1 / x, _bends),
    "pow": Function(np.power, lambda p: 1 if p % 2 == 1 else None, 1),
    "floor": Function(np.floor, _rises),
    "ceil": Function(np.ceil, _rises),
    "round": Function(np.rint, _rises),
    "sign": Function(np.sign, _rises),
    "erf": Function(_erf, _rises),
    "softplus": Function(_softplus, _rises),
    "softsign": Function(lambda x: x / (1 + np.abs(x)), _rises),
    "elu": Function(_elu, lambda a: _rises_if(a >= 0), 1),
    "selu": Function(_selu, lambda a, g: _rises_if(a >= 0 and g >= 0), 2),
    "celu": Function(_celu, lambda a: _rises_if(a > 0), 1),
    "thresholded_relu": Function(lambda x, a: np.where(x > a, x, 0.0), lambda a: _rises_if(a >= 0), 1),
    "gelu": Function(_gelu, _bends, 0, (_GELU_TURN,)),
    "gelu_tanh": Function(_gelu_tanh, _bends, 0, (_GELU_TANH_TURN,)),
    "mish": Function(_mish, _bends, 0, (_MISH_TURN,)),
    "hard_swish": Function(_hard_swish, _bends, 0, (-1.5,)),
    "wrap": Function(_wrap, _bends, 2),
}


@dataclass(frozen=True)
class Unary:
    """One of FUNCTIONS, elementwise, on a real tensor."""

    function: str
    parameters: tuple[float, ...] = ()

    def infer(self, *operands: Operand) -> TensorType:
        (x,) = operands
        known = FUNCTIONS.get(self.function)
        if known is None or known.parameters != len(self.parameters):
            raise GraphError(f"no function {self.function} of {len(self.parameters)} parameters")
        if x.type.is_integer:
            raise GraphError(f"{self.function} takes a real tensor")
        return TensorType(x.type.shape)

    @property
    def slope(self) -> int | None:
        return FUNCTIONS[self.function].slope(*self.parameters)

    @property
    def turns(self) -> tuple[float, ...] | None:
        """Between these it only rises or only falls; None where that is not known."""
        return () if self.slope is not None else FUNCTIONS[self.function].turns

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return FUNCTIONS[self.function].apply(arrays[0], *self.parameters)
