"""Sparse matrices: compressed rows (CSR) of single entries or of blocks (BCSR), nothing but what they store."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Rows:
    """The blocks of a matrix that are not zero, row by row: values `a` (count, rows, columns of a block), their block
    columns `ja` (count,), and where each block row starts among them, `ia` (block rows + 1,). CSR: blocks of 1x1."""

    shape: tuple[int, int]
    a: np.ndarray
    ja: np.ndarray
    ia: np.ndarray

    @classmethod
    def of(cls, matrix: np.ndarray, block: tuple[int, int] = (1, 1)) -> Rows:
        """Of a matrix; where blocks do not divide it, zeros fill the last ones."""
        rows, columns = (-(-n // b) for n, b in zip(matrix.shape, block))
        whole = np.zeros((rows * block[0], columns * block[1]), dtype=matrix.dtype)
        whole[: matrix.shape[0], : matrix.shape[1]] = matrix
        blocks = whole.reshape(rows, block[0], columns, block[1]).transpose(0, 2, 1, 3)
        used = (blocks != 0).any(axis=(2, 3))
        ia = np.concatenate([[0], used.sum(axis=1).cumsum()])
        return cls((matrix.shape[0], matrix.shape[1]), blocks[used], np.nonzero(used)[1], ia)

    @property
    def dense(self) -> np.ndarray:
        """The matrix."""
        high, wide = self.a.shape[1:]
        columns = -(-self.shape[1] // wide)
        blocks = np.zeros((len(self.ia) - 1, columns, high, wide), dtype=self.a.dtype)
        blocks[np.repeat(np.arange(len(self.ia) - 1), np.diff(self.ia)), self.ja] = self.a
        whole = blocks.transpose(0, 2, 1, 3).reshape((len(self.ia) - 1) * high, columns * wide)
        return whole[: self.shape[0], : self.shape[1]]

    @property
    def gaps(self) -> np.ndarray:
        """How far each block column lies behind the one before it in its row (the first: column -1), less one."""
        before = np.concatenate([[-1], self.ja[:-1]])
        before[self.ia[:-1][np.diff(self.ia) > 0]] = -1
        return self.ja - before - 1

    @classmethod
    def from_gaps(cls, shape: tuple[int, int], a: np.ndarray, gaps: np.ndarray, ia: np.ndarray) -> Rows:
        """The inverse of `gaps`."""
        steps = np.cumsum(gaps + 1)
        starts = np.concatenate([[0], steps])[ia[:-1]]
        return cls(shape, a, steps - np.repeat(starts, np.diff(ia)) - 1, ia)
