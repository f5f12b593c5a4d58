"""Which circuit computes a function of one integer for least."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from codesign.cost import Cost
from codesign.formats import Format
from codesign.graph import GraphError, Op, Operand, TensorType
from codesign.ops.requant import Requant
from codesign.ops.table import Table
from codesign.ops.threshold import Threshold, staircase
from codesign.requantize import fit_requant
from hw.stages.lanes import ElementStage
from hw.stages.requant import RequantStage
from hw.stages.search import SearchStage
from hw.stages.table import TableStage
from hw.stages.threshold import ThresholdStage
from hw.stream import StreamType

Function = Threshold | Table | Requant

# In LUTs. The device has 240 LUTs a DSP48E1 and 380 a RAMB36; LUTs run out first, so that the others weigh less.
_DSP_LUTS, _BRAM36_LUTS = 60.0, 150.0
# Forms that an operator is rewritten to: tables by running it on the whole range, comparators for short stairs.
_TABLE_BITS, _COMPARATORS = 12, 64


@lru_cache(maxsize=4096)  # folding asks again for every plan
def cheapest(input: StreamType, op: Function) -> ElementStage:
    """The stage of least weighed cost that equals `op` on every value of the input; of equals, the quickest."""
    return min(candidates(input, op), key=lambda s: (weight(s.cost()), s.latency))


def weight(cost: Cost) -> float:
    """A cost in LUTs; registers are free, a LUT brings two."""
    return cost.lut + _DSP_LUTS * cost.dsp + _BRAM36_LUTS * cost.bram36


def candidates(input: StreamType, op: Function) -> list[ElementStage]:
    """Every stage that equals `op` on the whole input; at least one."""
    stages = list(_candidates(input, op))
    if not stages:
        raise GraphError(f"no circuit for this function of {input.format}: too wide for a multiplier and for a table")
    return stages


def _candidates(input: StreamType, op: Function) -> Iterator[ElementStage]:
    forms = _forms(op, input.format)
    if forms.table is not None:
        yield TableStage(input, forms.table)
    if forms.stairs is not None:
        yield SearchStage(input, forms.stairs)
        if forms.stairs.thresholds.shape[1] <= _COMPARATORS:
            yield ThresholdStage(input, forms.stairs)
    if forms.requant is not None and RequantStage.takes(input.format):
        yield RequantStage(input, forms.requant)


def stairs_of(op: Op, x: Format) -> Threshold | None:
    """The same function of x as a staircase, where it is one."""
    return _forms(op, x).stairs if isinstance(op, (Threshold, Table, Requant)) else None


@dataclass(frozen=True, eq=False)
class _Forms:
    """The same function written as each operator that can express it."""

    table: Table | None
    stairs: Threshold | None
    requant: Requant | None


@lru_cache(maxsize=512)  # folding asks again for every number of lanes
def _forms(op: Function, x: Format) -> _Forms:
    table = op if isinstance(op, Table) else tabulate(op, x) if x.bits <= _TABLE_BITS else None
    stairs = op if isinstance(op, Threshold) else None
    if stairs is None and table is not None:
        stairs = staircase(table.values, table.lo, table.format, table.scale, table.zero_point)
    requant = op if isinstance(op, Requant) else None
    if requant is None and stairs is not None:
        requant = fit_requant(stairs, x)
    return _Forms(table, stairs, requant)


def tabulate(op: Function, x: Format) -> Table:
    """A function as its values for every x of the format."""
    parameters = {Threshold: ("thresholds", "base", "step"), Requant: ("multiplier", "offset"), Table: ("values",)}
    channels = max(len(getattr(op, name)) for name in parameters[type(op)])
    points = np.repeat(np.arange(x.lo, x.hi + 1)[:, None], channels, axis=1)
    out = op.infer(Operand(TensorType((channels,), x)))
    return Table(op.run(out, points).T, x.lo, op.format, op.scale, op.zero_point)
