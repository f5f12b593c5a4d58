"""How a file keeps constant weights: what it stores bit by bit, and the exact way back.

`Constant.storage` names a form: `csr`, `bcsr(4x4)` (with `+huffman` behind: entries and gaps coded), `huffman`,
`codebook`, `circulant(4)`, `bfloat16`, or a number format of codesign/quantize/weight_formats.py as in `pow2(4)`, whose
codes are kept. Without one, real weights take 32 bits each and integer ones as many as their range needs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np

from codesign.compress.bits import Huffman, packed, unpacked, width_of
from codesign.compress.circulant import from_rows, rows_of
from codesign.compress.codes import is_format, kept_codes, read_codes
from codesign.compress.sparse import Rows
from codesign.errors import UserError
from codesign.formats import Format

MOST_SYMBOLS = 1 << 16


@dataclass(frozen=True, eq=False)
class Stored:
    """Weights of this shape (rows, columns, C, O) or (K, N) as bytes by name, and numbers needed to read them."""

    shape: tuple[int, ...]
    arrays: Mapping[str, np.ndarray]
    numbers: Mapping[str, int] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Without the few numbers."""
        return sum(a.nbytes for a in self.arrays.values())


def matrix_of(value: np.ndarray) -> np.ndarray:
    """The matrix whose rows sparse forms keep, as ONNX has it: (O, C and taps) of a convolution, else (K, N)."""
    return value.transpose(3, 2, 0, 1).reshape(value.shape[3], -1) if value.ndim == 4 else value


def _from_matrix(matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The inverse."""
    if len(shape) == 2:
        return matrix
    high, wide, inputs, outputs = shape
    return matrix.reshape(outputs, inputs, high, wide).transpose(2, 3, 1, 0)


def encode(storage: str, value: np.ndarray, fmt: Format | None) -> Stored:
    """Weights of float32 values, or integers of a format, as a storage keeps them; UserError where it cannot."""
    if storage == "bfloat16":
        return Stored(value.shape, {"codes": (value.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)})
    if is_format(storage):
        return Stored(value.shape, kept_codes(storage, value))
    if size := _circulant(storage):
        return Stored(value.shape, {"rows": _kept(rows_of(value, size), fmt)})
    if storage not in ("codebook", "huffman"):
        return _encode_rows(storage, value, fmt)
    table, symbols = _symbols(value)
    _check_few(storage, table)
    if storage == "codebook":
        width = _whole_width(len(table))
        return Stored(value.shape, {"table": _kept(table, fmt), "indices": packed(symbols, width)}, {"width": width})
    arrays = {"table": _kept(table, fmt), **_coded("symbols", symbols, len(table))}
    return Stored(value.shape, arrays, {"entries": len(table)})


def _encode_rows(storage: str, value: np.ndarray, fmt: Format | None) -> Stored:
    high, wide, coded = _sparse(storage)
    matrix = matrix_of(value)
    rows = Rows.of(matrix, (high, wide))
    arrays = {"ia": packed(rows.ia[1:], width_of(int(rows.ia[-1])))}
    numbers = {"count": len(rows.ja), "high": high, "wide": wide}
    if not coded:
        columns = width_of(-(-matrix.shape[1] // wide) - 1)
        return Stored(value.shape, {"a": _kept(rows.a, fmt), "ja": packed(rows.ja, columns), **arrays}, numbers)
    table, symbols = _symbols(rows.a)
    _check_few(storage, table)
    gaps = _coded("gaps", rows.gaps, int(rows.gaps.max(initial=0)) + 1)
    coded_a = {"table": _kept(table, fmt), **_coded("a", symbols, len(table))}
    return Stored(value.shape, {**coded_a, **gaps, **arrays}, {**numbers, "entries": len(table)})


def decode(storage: str, s: Stored, fmt: Format | None) -> np.ndarray:
    """The weights that `encode` was given, float64."""
    if storage == "bfloat16":
        return (s.arrays["codes"].astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    if is_format(storage):
        return read_codes(storage, s.arrays, s.shape)
    if size := _circulant(storage):
        *taps, inputs, outputs = s.shape
        shape = (*taps, inputs // size, outputs // size, size)
        return from_rows(_read(s.arrays["rows"], fmt, prod(shape)).reshape(shape))
    if storage == "codebook":
        table = s.arrays["table"].astype(np.float64)
        return table[unpacked(s.arrays["indices"], s.numbers["width"], prod(s.shape))].reshape(s.shape)
    if storage == "huffman":
        table = _read(s.arrays["table"], fmt, s.numbers["entries"])
        return table[_decoded("symbols", s, prod(s.shape))].reshape(s.shape)
    return _decode_rows(storage, s, fmt)


def _decode_rows(storage: str, s: Stored, fmt: Format | None) -> np.ndarray:
    high, wide, coded = _sparse(storage)
    count, shape = s.numbers["count"], (s.shape[-1], prod(s.shape[:-1])) if len(s.shape) == 4 else s.shape
    size = (shape[0], shape[1])
    ia = np.concatenate([[0], unpacked(s.arrays["ia"], width_of(count), -(-size[0] // high))])
    if coded:
        table = _read(s.arrays["table"], fmt, s.numbers["entries"])
        a = table[_decoded("a", s, count * high * wide)].reshape(count, high, wide)
        return _from_matrix(Rows.from_gaps(size, a, _decoded("gaps", s, count), ia).dense, s.shape)
    a = _read(s.arrays["a"], fmt, count * high * wide).reshape(count, high, wide)
    ja = unpacked(s.arrays["ja"], width_of(-(-size[1] // wide) - 1), count)
    return _from_matrix(Rows(size, a, ja, ia).dense, s.shape)


def _circulant(storage: str) -> int:
    """The size of circulant blocks; 0 for another storage."""
    match = re.fullmatch(r"circulant\(([1-9]\d*)\)", storage)
    return int(match.group(1)) if match else 0


def _sparse(storage: str) -> tuple[int, int, bool]:
    """Rows and columns of a block, and whether entries and gaps are Huffman coded."""
    match = re.fullmatch(r"(?:csr|bcsr\((\d+)x(\d+)\))(\+huffman)?", storage)
    if match is None:
        raise UserError(f"storage '{storage}' is unknown")
    return int(match.group(1) or 1), int(match.group(2) or 1), match.group(3) is not None


def _symbols(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different values, and which of them each is."""
    table, symbols = np.unique(values, return_inverse=True)
    return table, symbols.reshape(-1)


def _check_few(storage: str, table: np.ndarray) -> None:
    if len(table) > MOST_SYMBOLS:
        raise UserError(f"storage '{storage}': {len(table)} different weights are too many; share or quantize first")


def _whole_width(entries: int) -> int:
    """1, 2, 4, 8 or 16 bits, which plain ONNX operators can take apart."""
    return next(w for w in (1, 2, 4, 8, 16) if entries <= 1 << w)


def _kept(values: np.ndarray, fmt: Format | None) -> np.ndarray:
    """Real numbers in float32, integers in as many bits as their format has."""
    return values.reshape(-1).astype(np.float32) if fmt is None else packed(fmt.encode(values), fmt.bits)


def _read(data: np.ndarray, fmt: Format | None, size: int) -> np.ndarray:
    if fmt is None:
        return data.astype(np.float64)
    return fmt.to_int(unpacked(data, fmt.bits, size).astype(np.uint64)).astype(np.float64)


def _coded(name: str, symbols: np.ndarray, alphabet: int) -> dict[str, np.ndarray]:
    code = Huffman.of(symbols, alphabet)
    return {f"{name}.lengths": code.lengths.astype(np.uint8), name: code.encode(symbols)}


def _decoded(name: str, s: Stored, size: int) -> np.ndarray:
    return Huffman(s.arrays[f"{name}.lengths"].astype(np.int64)).decode(s.arrays[name], size)
