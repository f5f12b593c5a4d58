"""The emulation of the HLS C++ beside the golden model, word for word; the first layer that differs is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from codesign.chunks import run_chunked
from codesign.formats import Binary, Int
from codesign.graph import Graph
from hw.hls.emulation import Emulation
from hw.hls.project import precision
from hw.hls.spec import HlsLayer

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Compared:
    """`mismatches` of `words`, over `samples`; `failed` names the first layer that differs, and why."""

    samples: int
    words: int
    mismatches: int
    failed: str = ""


def seeded_inputs(core: Graph, samples: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Integers that the core can get, all of them equally often."""
    rng = np.random.default_rng(seed)

    def draw(fmt: object, shape: tuple[int, ...]) -> np.ndarray:
        if isinstance(fmt, Binary):
            return rng.choice(np.array([-1.0, 1.0]), (samples, *shape))
        assert isinstance(fmt, Int)
        return rng.integers(fmt.lo, fmt.hi + 1, (samples, *shape)).astype(np.float64)

    return {i.name: draw(i.type.format, i.type.shape) for i in core.inputs}


def compare(core: Graph, emulation: Emulation, inputs: Arrays) -> Compared:
    """Every output word of every sample."""
    golden = run_chunked(core.run, dict(inputs), core.widest)
    got = emulation.run([inputs[i.name] for i in core.inputs])
    wanted = [golden[name].reshape(len(g), -1) for name, g in zip(core.outputs, got, strict=True)]
    wrong = [g != w for g, w in zip(got, wanted)]
    samples, words = len(got[0]), sum(w.size for w in wanted)
    mismatches = int(sum(w.sum() for w in wrong))
    if not mismatches:
        return Compared(samples, words, 0)
    sample = min(int(np.flatnonzero(w.any(axis=1))[0]) for w in wrong if w.any())
    return Compared(samples, words, mismatches, first_difference(core, emulation, inputs, sample))


def first_difference(core: Graph, emulation: Emulation, inputs: Arrays, sample: int) -> str:
    """In one line: the first layer whose results differ in this sample, where, both values, and what it looks like."""
    one = {k: v[sample : sample + 1] for k, v in inputs.items()}
    traced = [x for x in emulation.network.layers if x.tensor and x.kind != "Input"]
    golden = core.run(one, list(dict.fromkeys(x.tensor for x in traced if x.tensor in core.types)))
    got = emulation.trace([one[i.name] for i in core.inputs], traced)
    for layer in traced:
        if layer.tensor not in golden:
            continue
        wanted = golden[layer.tensor].reshape(-1)
        wrong = np.flatnonzero(got[layer.name] != wanted)
        if wrong.size:
            index = np.unravel_index(int(wrong[0]), core.types[layer.tensor].shape)
            pair = (int(wanted[wrong[0]]), int(got[layer.name][wrong[0]]))
            place = ", ".join(str(int(i)) for i in index)
            return (
                f"layer '{layer.origin}' ({layer.name}, {_kind(layer)}) is the first that differs from the integer "
                f"emulator: sample {sample}, index [{place}] is {pair[1]} instead of {pair[0]}{_reason(layer, *pair)}"
            )
    return f"sample {sample} differs at an output, though no layer of the HLS project does: the interface is at fault"


def _kind(layer: HlsLayer) -> str:
    return f"extension {layer.attributes['function']}" if "function" in layer.attributes else f"hls4ml's {layer.kind}"


def _reason(layer: HlsLayer, wanted: int, got: int) -> str:
    """What the two values tell, where they do."""
    for name in ("result", "accum", "sum"):
        span = layer.precision.get(name)
        if span is not None and (got - wanted) % (1 << span.bits) == 0:
            return f"; it wraps around: {precision(span)} of its {name} is too narrow"
    return ""
