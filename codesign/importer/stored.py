"""Weights that this tool's exporter stored in a form of its own: read back exactly."""

from __future__ import annotations

from math import prod

import numpy as np

from codesign.compress.storage import Stored, decode
from codesign.errors import UserError
from codesign.formats import Binary, Format, Int
from codesign.importer.call import Call
from codesign.importer.values import MOST_ELEMENTS, Quantized, Refused

NUMBERS = ("count", "high", "wide", "entries", "width")


def stored_weights(call: Call) -> Quantized | np.ndarray:
    """Inputs: the arrays that the attribute of that name lists, then a scale where there is a `format`."""
    names, shape = call.texts("arrays"), call.integers("shape", ())
    if len(shape) not in (2, 4) or min(shape) < 1 or prod(shape) > MOST_ELEMENTS:
        raise Refused(f"its shape {list(shape)} is none that weights have")
    fmt = _format(call) if "format" in call.node.attributes else None
    if len(call.inputs) != len(names) + (fmt is not None):
        raise Refused(f"it has {len(call.inputs)} inputs for {len(names)} arrays")
    arrays = {n: np.asarray(call.array(k, n)) for k, n in enumerate(names)}
    numbers = {n: call.integer(n) for n in NUMBERS if n in call.node.attributes}
    try:
        laid = (*shape[2:], shape[1], shape[0]) if len(shape) == 4 else shape
        value = decode(call.text("storage", ""), Stored(laid, arrays, numbers), fmt)
    except (UserError, ValueError, KeyError, IndexError, OverflowError, MemoryError) as e:
        raise Refused(f"its weights cannot be read ({type(e).__name__}: {e}); the file is damaged") from None
    value = value.transpose(3, 2, 0, 1) if len(shape) == 4 else value
    if fmt is None:
        return value
    scale = np.broadcast_to(call.array(len(names), "scale").astype(np.float64), shape)
    return Quantized(value.astype(np.int64), fmt, scale, np.zeros(shape, dtype=np.int64))


def _format(call: Call) -> Format:
    ends = call.integers("format", ())
    if len(ends) not in (0, 2):
        raise Refused(f"its format {list(ends)} is no range of integers")
    return Int(*ends) if ends else Binary()
