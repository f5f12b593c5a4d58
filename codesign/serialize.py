"""Graphs to and from one .npz file: structure as JSON, arrays beside it. No pickles: loading runs no code."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from codesign.errors import UserError
from codesign.formats import Binary, Int, MiniFloat
from codesign.graph import Constant, Dequantize, Graph, Input, Node, TensorType
from codesign.passes.split import Model

# The files of codesign/ops whose operators can stand in a stored graph.
OPERATORS = (
    "argmax", "conv", "depth", "elementwise", "integer", "layout", "matmul", "moves", "pad",
    "pool", "quantize", "reduce", "requant", "resample", "round_to_float", "softmax", "table", "take",
    "threshold", "top_k", "unary", "weigh",
)  # fmt: skip
VALUES = (Int, Binary, MiniFloat, TensorType, Constant, Dequantize, Graph, Input, Node, Model)
KINDS: dict[str, type] = {kind.__name__: kind for kind in VALUES}
for module in (import_module(f"codesign.ops.{name}") for name in OPERATORS):
    own = (c for c in vars(module).values() if isinstance(c, type) and c.__module__ == module.__name__)
    KINDS.update({c.__name__: c for c in own if is_dataclass(c) and hasattr(c, "infer")})


def save(model: Model | Graph, path: Path) -> None:
    """Write a model or a graph; the same one gives the same bytes."""
    arrays: list[np.ndarray] = []
    structure = json.dumps(_encode(model, arrays), separators=(",", ":"))
    named = {f"array_{k}": a for k, a in enumerate(arrays)}
    np.savez(path, structure=np.frombuffer(structure.encode(), dtype=np.uint8), **named)  # type: ignore[arg-type]


def load(path: Path) -> Any:
    """Read what `save` wrote; UserError where the file is not that."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = [stored[f"array_{k}"] for k in range(len(stored.files) - 1)]
            return _decode(json.loads(stored["structure"].tobytes()), arrays)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `codesign compile` again") from None
    except Exception as e:  # whatever a damaged archive raises, the user's remedy is the same
        raise UserError(f"{path} cannot be read ({type(e).__name__}); run `codesign compile` again") from None


def _encode(value: Any, arrays: list[np.ndarray]) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        content = {f.name: _encode(getattr(value, f.name), arrays) for f in fields(value) if f.init}
        return {"kind": type(value).__name__, **content}
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, (tuple, list)):
        return [_encode(v, arrays) for v in value]
    return value.item() if isinstance(value, np.generic) else value


def _decode(value: Any, arrays: list[np.ndarray]) -> Any:
    if isinstance(value, list):
        return tuple(_decode(v, arrays) for v in value)
    if isinstance(value, dict) and "array" in value:
        return arrays[value["array"]]
    if isinstance(value, dict):
        kind = KINDS[value["kind"]]
        return kind(**{k: _decode(v, arrays) for k, v in value.items() if k != "kind"})
    return value
