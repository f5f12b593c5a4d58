"""Compression without training: steps on the real graph, each by the name that a recipe calls it."""

from __future__ import annotations

from codesign.compress.binarize import Admm, Binarize
from codesign.compress.neurons import Apoz
from codesign.compress.patterns import Blocks, NOfM
from codesign.compress.prune import Prune
from codesign.compress.quantizing import Balanced, Quantize, Uniform
from codesign.compress.sharing import Share
from codesign.compress.step import Step
from codesign.compress.storing import Bcsr, Circulant, Csr, HuffmanCode

PRUNING = (Prune, NOfM, Blocks, Apoz)
SHARING = (Share, Circulant, Csr, Bcsr, HuffmanCode)
QUANTIZING = (Quantize, Uniform, Balanced, Binarize, Admm)
STEPS: tuple[type[Step], ...] = (*PRUNING, *SHARING, *QUANTIZING)
