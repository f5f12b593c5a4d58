"""Mean, sum, maximum and minimum over axes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from codesign.graph import Op
from codesign.importer.call import Call
from codesign.importer.shapes import squeezed
from codesign.importer.spatial import image, restored
from codesign.importer.values import Stored
from codesign.ops.pool import GlobalAveragePool, GlobalMaxPool
from codesign.ops.reduce import Reduce

GLOBAL: dict[str, Op] = {"mean": GlobalAveragePool(), "max": GlobalMaxPool(), "min": GlobalMaxPool(least=True)}


def reduction(function: str) -> Callable[[Call], Stored]:
    """The handler of a reduction; over rows and columns of an image it is a global pool."""

    def handler(call: Call) -> Stored:
        x = call.tensor()
        axes = _axes(call, x)
        if axes is None:
            return x
        if call.lead and len(x.shape) == 3 and axes == [1, 2] and function in GLOBAL:
            y = restored(call, call.build.emit(GLOBAL[function], image(call).name))
        else:
            y = _reduced(call, x, function, axes)
        return y if call.integer("keepdims", 1) else squeezed(call, y, axes)

    return handler


def _axes(call: Call, x: Stored) -> list[int] | None:
    """The axes (of one sample): an attribute, or an input from opset 13 or 18 on; None: nothing is reduced."""
    stated = call.array(1, "axes").astype(np.int64).reshape(-1).tolist() if call.has(1) else call.integers("axes", ())
    if not len(stated) and call.integer("noop_with_empty_axes", 0):
        return None
    return call.axes(stated if len(stated) else range(call.rank(x)), call.rank(x))


def _reduced(call: Call, x: Stored, function: str, axes: list[int]) -> Stored:
    shape = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
    stored = tuple(k for k, a in enumerate(x.order) if a in axes)
    return Stored(call.build.emit(Reduce(function, stored), x.name), shape, x.order) if stored else x
