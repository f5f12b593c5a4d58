"""QOperator models: QLinear operators and others that work on integers themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codesign.importer.handlers import HANDLED, ROWS
from tests.onnx_integers import MICROSOFT, RNG, F, check, typed
from tests.onnx_models import node


def parameters(scale: float, zero: int, kind: type = np.uint8) -> tuple[np.ndarray, np.ndarray]:
    return np.array(scale, F), np.array(zero, kind)


def q_linear(
    op: str, x: tuple[int, ...], values: dict[str, Any], names: list[str], domain: str = "", output: type = np.uint8,
    **attributes: Any,
):  # fmt: skip
    """An operator whose first input x and result are uint8."""
    xs, xz = parameters(0.25, 120)
    ys, yz = parameters(1.0, 101)
    made = {"xs": xs, "xz": xz, "ys": ys, "yz": yz, **{k: np.asarray(v) for k, v in values.items()}}
    kept = {k: v for k, v in made.items() if k in names}
    return typed([node(op, names, "y", domain, **attributes)], {"x": (np.uint8, x)}, kept, output)


WEIGHTS = {"w": RNG.integers(-8, 8, (4, 3, 3, 3)).astype(np.int8), "ws": F(2.0) ** -np.arange(4, 8, dtype=F)}
COLUMNS = {"w": RNG.integers(-20, 20, (6, 4)).astype(np.int8), "ws": np.array(0.125, F), "wz": np.array(2, np.int8)}
X, Y = ["x", "xs", "xz"], ["ys", "yz"]
UNEVEN = {"ys": F(0.77)}  # onnxruntime adds the zero point before rounding here: no ties, please
Q_LINEAR: dict[str, Any] = {
    "QLinearConv": q_linear(
        "QLinearConv",
        (1, 3, 6, 5),
        {**WEIGHTS, "wz": np.zeros(4, np.int8), "b": np.array([5, -9, 100, 0], np.int32)},
        [*X, "w", "ws", "wz", *Y, "b"],
        pads=[1, 1, 1, 1],
    ),
    "QLinearMatMul": q_linear("QLinearMatMul", (1, 6), COLUMNS, [*X, "w", "ws", "wz", *Y]),
    "ConvInteger": q_linear("ConvInteger", (1, 3, 6, 5), WEIGHTS, ["x", "w", "xz"], output=np.int32, pads=[0, 1, 1, 1]),
    "MatMulInteger": q_linear("MatMulInteger", (1, 6), COLUMNS, ["x", "w", "xz", "wz"], output=np.int32),
    "QGemm": q_linear(
        "QGemm",
        (1, 6),
        {**COLUMNS, "c": np.array([1, -2, 30, 4], np.int32)},
        [*X, "w", "ws", "wz", "c", *Y],
        domain=MICROSOFT,
    ),
    "QGemm real": q_linear(
        "QGemm",
        (1, 6),
        {**COLUMNS, "w": COLUMNS["w"].T.copy()},
        [*X, "w", "ws", "wz"],
        output=F,
        transB=1,
        domain=MICROSOFT,
    ),
    "QLinearAdd": q_linear("QLinearAdd", (1, 6), UNEVEN, [*X, *X, *Y], domain=MICROSOFT),
    "QLinearMul": q_linear(
        "QLinearMul",
        (1, 6),
        {"w": np.arange(6, dtype=np.uint8), "ws": F(0.25), "wz": np.uint8(2), **UNEVEN},
        [*X, "w", "ws", "wz", *Y],
        domain=MICROSOFT,
    ),
    "QLinearConcat": q_linear("QLinearConcat", (1, 6), {}, [*Y, *X, *X], axis=1, domain=MICROSOFT),
    "QLinearGlobalAveragePool": q_linear(
        "QLinearGlobalAveragePool", (1, 3, 6, 5), {}, [*X, *Y], channels_last=0, domain=MICROSOFT
    ),
    "QLinearGlobalAveragePool last": q_linear(
        "QLinearGlobalAveragePool", (1, 6, 5, 3), {}, [*X, *Y], channels_last=1, domain=MICROSOFT
    ),
    "QLinearAveragePool": q_linear(
        "QLinearAveragePool", (1, 3, 6, 4), UNEVEN, [*X, *Y], kernel_shape=[2, 2], domain=MICROSOFT
    ),
    "QLinearLeakyRelu": q_linear("QLinearLeakyRelu", (1, 6), {}, [*X, *Y], alpha=0.125, domain=MICROSOFT),
    "QLinearSigmoid": q_linear("QLinearSigmoid", (1, 6), {"ys": F(1 / 128)}, [*X, *Y], domain=MICROSOFT),
}


@pytest.mark.parametrize("name", Q_LINEAR)
def test_integer_operators(name: str, tmp_path: Path) -> None:
    for _ in range(5):
        check(Q_LINEAR[name], tmp_path, steps=1.0)


def test_every_operator_on_integers_has_a_case() -> None:
    others = {"QuantizeLinear", "DequantizeLinear", "Pow", "Clip", "Cast"}
    assert {n.split()[0] for n in Q_LINEAR} | others == {n for n, r in ROWS.items() if r.integers == HANDLED}
