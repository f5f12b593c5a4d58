"""Channels whose filters are small go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.compress.channel_pruning import ChannelPruning, Given, summed
from codesign.compress.channels import Family
from codesign.compress.step import one_of


@dataclass(frozen=True)
class FilterNorm(ChannelPruning):
    """`norm`: l1 or l2, of a filter with its batch normalization."""

    name: ClassVar[str] = "filter-norm"
    paper: ClassVar[str] = "Li et al., Pruning Filters for Efficient ConvNets, 2017"

    norm: str = "l1"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.name, "norm", self.norm, ("l1", "l2"))

    def importance(self, given: Given, families: Sequence[Family]) -> list[np.ndarray]:
        order = {"l1": 1, "l2": 2}[self.norm]
        return [summed(f, [(p, np.linalg.norm(given.filters(p), order, axis=1)) for p in f.layers]) for f in families]
