"""What the operators with one row of parameters a channel (or one row for all) share."""

from __future__ import annotations

import numpy as np

from codesign.graph import GraphError, Operand


def freeze(op: object, name: str, dtype: type, ndim: int) -> np.ndarray:
    """Make the field `name` of a frozen operator a read-only array of `dtype` with `ndim` axes."""
    value = np.array(getattr(op, name), dtype=dtype, order="C")
    if value.ndim != ndim or not value.size:
        raise GraphError(f"{name} has shape {value.shape}; {ndim} axes with at least one entry are needed")
    value.setflags(write=False)
    object.__setattr__(op, name, value)
    return value


def check_channels(operand: Operand, *parameters: np.ndarray) -> None:
    """Refuse parameters (C or 1, ...) that don't fit the last axis of the operand."""
    channels = operand.type.shape[-1] if operand.type.shape else 1
    for values in parameters:
        if len(values) not in (1, channels):
            raise GraphError(f"parameters for {len(values)} channels meet a tensor of shape {operand.type.shape}")
