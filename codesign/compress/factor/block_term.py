"""Block term decompositions: a sum of Tucker-2 blocks (De Lathauwer, 2008; for convolutions Wang & Cheng, 2016)."""

from __future__ import annotations

import numpy as np

from codesign.compress.factor.tucker import Tucker2, tucker2


def block_terms(kernel: np.ndarray, blocks: int, inner: int, outer: int) -> Tucker2:
    """kernel (rows, columns, C, O) -> (blocks, C, inner), (blocks, rows, columns, inner, outer), (blocks, outer, O).

    Greedy, a block of what the blocks before leave; alternating least squares (`refined`) improves them together.
    """
    rest, found = kernel, []
    for _ in range(blocks):
        block = tucker2(rest, inner, outer)
        rest = rest - np.einsum("ca,hwab,bo->hwco", *block, optimize=True)
        found.append(block)
    first, core, last = zip(*found)
    return np.stack(first), np.stack(core), np.stack(last)
