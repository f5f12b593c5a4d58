"""Compression without training: steps on the real graph, each by the name that a recipe calls it."""

from __future__ import annotations

from codesign.compress.binarize import Admm, Binarize
from codesign.compress.block_term import BlockTerm
from codesign.compress.cp import Cp
from codesign.compress.filter_norm import FilterNorm
from codesign.compress.geometric_median import GeometricMedian
from codesign.compress.kronecker import Kronecker
from codesign.compress.lasso import Lasso
from codesign.compress.neurons import Apoz
from codesign.compress.patterns import Blocks, NOfM
from codesign.compress.prune import Prune
from codesign.compress.quantizing import Balanced, Quantize, Uniform
from codesign.compress.sharing import Share
from codesign.compress.slimming import Slimming
from codesign.compress.step import Step
from codesign.compress.storing import Bcsr, Circulant, Csr, HuffmanCode
from codesign.compress.surgeon import Surgeon
from codesign.compress.svd import Svd
from codesign.compress.tensor_ring import TensorRing
from codesign.compress.tensor_train import TensorTrain
from codesign.compress.thinet import ThiNet
from codesign.compress.tucker import Tucker

PRUNING = (Prune, NOfM, Blocks)
CHANNELS = (FilterNorm, GeometricMedian, Slimming, Apoz, ThiNet, Lasso, Surgeon)
LOW_RANK = (Svd, Kronecker, Cp, Tucker, TensorTrain, TensorRing, BlockTerm)
SHARING = (Share, Circulant, Csr, Bcsr, HuffmanCode)
QUANTIZING = (Quantize, Uniform, Balanced, Binarize, Admm)
STEPS: tuple[type[Step], ...] = (*PRUNING, *CHANNELS, *LOW_RANK, *SHARING, *QUANTIZING)
