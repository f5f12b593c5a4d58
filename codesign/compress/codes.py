"""Weights of a number format as its codes: which of the levels each is, and the shifts of shared exponents."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from codesign.compress.bits import packed, unpacked, width_of
from codesign.errors import UserError
from codesign.formats import BlockFloat
from codesign.quantize.levels import Blocks, Levels, Members
from codesign.quantize.weight_formats import weight_format


def is_format(storage: str) -> bool:
    """Whether a storage is a number format of levels that are not simply the integers of a range."""
    try:
        return isinstance(weight_format(storage).levels, (Members, Blocks))
    except UserError:
        return False


def kept_codes(name: str, value: np.ndarray) -> dict[str, np.ndarray]:
    """Integers (.., N), times a power of two each channel for all its levels to be members, as codes."""
    levels = weight_format(name).levels
    if isinstance(levels, Members):
        places = np.searchsorted(levels.members, value.astype(np.int64))
        return {"codes": packed(places, width_of(len(levels.members) - 1))}
    fmt = _blocks(levels)
    columns = value.reshape(-1, value.shape[-1])
    shifts = fmt.shifts(columns)
    return {
        "codes": packed(fmt.encode(columns, shifts), fmt.bits),
        "shifts": packed(shifts[:: fmt.block], width_of(fmt.MOST_SHIFT)),
    }


def read_codes(name: str, arrays: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """The integers of `kept_codes`, float64."""
    levels, size = weight_format(name).levels, int(np.prod(shape))
    if isinstance(levels, Members):
        places = unpacked(arrays["codes"], width_of(len(levels.members) - 1), size)
        return levels.members[places].astype(np.float64).reshape(shape)
    fmt, inputs = _blocks(levels), size // shape[-1]
    rows = -(-inputs // fmt.block)
    shifts = unpacked(arrays["shifts"], width_of(fmt.MOST_SHIFT), rows * shape[-1]).reshape(rows, shape[-1])
    every = np.repeat(shifts, fmt.block, axis=0)[:inputs]
    codes = unpacked(arrays["codes"], fmt.bits, size).reshape(inputs, shape[-1]).astype(np.uint64)
    return fmt.to_int(codes, every).astype(np.float64).reshape(shape)


def _blocks(levels: Levels) -> BlockFloat:
    assert isinstance(levels, Blocks)
    return levels.format
