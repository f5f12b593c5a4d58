"""Sample files: reading what the user gives, checking it against the network, writing what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from codesign.errors import UserError
from codesign.graph import Graph, Input, TensorType
from codesign.ops.quantize import Quantize


def read_inputs(path: Path, inputs: Sequence[Input]) -> dict[str, np.ndarray]:
    """Arrays by input name from .npy (one input) or .npz (keys are the names), checked for shape, type and values."""
    stored = _read(path)
    if isinstance(stored, np.ndarray):
        if len(inputs) != 1:
            names = ", ".join(i.name for i in inputs)
            raise UserError(f"{path}: the model has {len(inputs)} inputs; give an .npz with the keys {names}")
        stored = {inputs[0].name: stored}
    missing = [i.name for i in inputs if i.name not in stored]
    if missing:
        raise UserError(f"{path}: no array for input '{missing[0]}'; it holds {', '.join(stored) or 'none'}")
    feeds = {i.name: _checked(stored[i.name], i, path) for i in inputs}
    if len({len(v) for v in feeds.values()}) > 1:
        raise UserError(f"{path}: the inputs have different numbers of samples")
    return feeds


def _read(path: Path) -> np.ndarray | dict[str, np.ndarray]:
    try:
        stored = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except Exception as e:  # NumPy raises many kinds for damaged files; the user's remedy is the same
        raise UserError(f"{path} is not a NumPy file ({type(e).__name__}); save samples with numpy.save") from None
    return stored if isinstance(stored, np.ndarray) else {k: stored[k] for k in stored.files}


def read_labels(path: Path, samples: int) -> np.ndarray:
    """Class numbers, one a sample."""
    labels = _read(path)
    if not isinstance(labels, np.ndarray):
        raise UserError(f"{path}: labels come as .npy with one integer for each sample, not as .npz")
    if labels.shape != (samples,) or labels.dtype.kind not in "iu":
        raise UserError(
            f"{path}: labels must be one integer for each of the {samples} samples; these are {labels.dtype} of shape "
            f"{labels.shape}"
        )
    return labels


def _checked(array: np.ndarray, i: Input, path: Path) -> np.ndarray:
    if array.dtype.kind not in "fiub":
        raise UserError(f"{path}: input '{i.name}' has type {array.dtype}; it must be numbers (float32, uint8, ...)")
    if array.shape[1:] != i.type.shape:
        raise UserError(
            f"{path}: input '{i.name}' has shape {array.shape}; "
            f"it must be (samples, {', '.join(map(str, i.type.shape))})"
        )
    if not len(array):
        raise UserError(f"{path}: input '{i.name}' holds no sample")
    with np.errstate(over="ignore"):
        single = array.astype(np.float32, copy=False)
    if not np.isfinite(single).all():
        raise UserError(f"{path}: input '{i.name}' holds NaN, infinity or values beyond float32")
    return single


def check_range(before: Graph, assumed: Sequence[str], feeds: Mapping[str, np.ndarray]) -> list[str]:
    """Values outside of an input format that the tool assumed are refused; values between its steps are warned of."""
    warnings = []
    for name in assumed:
        op = before.by_name[name].op
        assert isinstance(op, Quantize)
        x = before.run(feeds, [before.by_name[name].inputs[0]])[before.by_name[name].inputs[0]]
        levels = op.levels(x.astype(np.float64))
        t: TensorType = before.types[name]
        if levels.min() < op.format.lo or levels.max() > op.format.hi:
            low, high = t.to_real(np.array([op.format.lo, op.format.hi]))
            raise UserError(
                f"values {x.min():g}..{x.max():g} leave the input's range {low:g}..{high:g}; "
                "the model does not quantize its input, so it is taken as fixed<16,6>: scale it, or add a Quant node"
            )
        between = int((levels != np.rint(levels)).sum())
        if between:
            warnings.append(
                f"{between} of {levels.size} input values lie between steps of {op.scale[0]:g} and are rounded"
            )
    return warnings


def write_outputs(path: Path, outputs: Mapping[str, np.ndarray], types: Mapping[str, TensorType]) -> None:
    """One output as .npy, several as .npz: real values float32, integers int64."""
    arrays = {k: v.astype(np.int64 if types[k].is_integer else np.float32) for k, v in outputs.items()}
    if len(arrays) > 1 and path.suffix != ".npz":
        raise UserError(f"{path}: the model has {len(arrays)} outputs ({', '.join(arrays)}); name an .npz file")
    try:
        with path.open("wb") as file:
            if path.suffix == ".npz":
                np.savez(file, **arrays)  # type: ignore[arg-type]
            else:
                np.save(file, next(iter(arrays.values())))
    except OSError as e:
        raise UserError(f"cannot write {path}: {e.strerror}") from None
