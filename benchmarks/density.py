"""Arithmetic density: dense networks that fill the chip, binary, 4-bit and 8-bit, unrolled and folded.

    .venv/bin/python -m benchmarks.density [NAME ..] [--synthesize] [--simulate]

Each is an ordinary model (seeded random weights, thresholds or requantization behind every layer) that goes the way of
`compile`: weights, control, functions, memories and FIFOs are all in it. TOPS = 2 * synapses a frame * frames a second.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import onnx

from benchmarks.binary import BOARD, Network, network
from codesign.cost import Budget, Cost
from examples.cnv import QONNX, Builder, dense

PLANNED = 60_000  # LUTs: before gates are built, wide layers are estimated up to 1.5 times too large


@dataclass(frozen=True)
class Filled:
    """Dense layers between `widths` elements of `bits`, a frame every `interval` cycles, in `luts` at most, FFs alike.

    `goal`: TOPS at 200 MHz and 85 % of the LUTs (MICROARCHITECTURE).
    """

    name: str
    bits: int
    widths: tuple[int, ...]
    interval: int
    goal: float
    luts: int = BOARD.budget.lut

    @property
    def synapses(self) -> int:
        return sum(a * b for a, b in pairwise(self.widths))

    @property
    def budget(self) -> Budget:
        of = BOARD.budget
        return replace(of, lut=self.luts, ff=of.ff * self.luts // of.lut)

    def network(self) -> Network:
        proto = dense(self.widths) if self.bits == 1 else quantized(self.widths, self.bits)
        x = np.random.default_rng(1).uniform(0, 1, (64, self.widths[0])).astype(np.float32)
        x = x * 2 - 1 if self.bits == 1 else x * (1 << self.bits)
        return replace(network(self.name, proto, self.interval, self.synapses, x), budget=self.budget)


def quantized(widths: Sequence[int], bits: int) -> onnx.ModelProto:
    """Dense layers of symmetric Gaussian weights of so many bits, ReLU and as many unsigned bits behind each."""
    b = Builder()

    def quant(name: str, x: str, scale: float, signed: bool) -> str:
        values = [b.constant(f"{name}.{k}", v) for k, v in (("scale", scale), ("zero", 0), ("bits", bits))]
        return b.add("Quant", name, x, *values, domain=QONNX, signed=int(signed), narrow=0, rounding_mode="ROUND")

    x, top = quant("input", "x", 1.0, False), float((1 << (bits - 1)) - 1)
    for k, (inputs, neurons) in enumerate(pairwise(widths)):
        weights = np.clip(b.rng.normal(scale=top / 2.5, size=(inputs, neurons)).round(), -top, top)
        sums = b.add("MatMul", f"fc{k}", x, quant(f"fc{k}.quant", b.constant(f"fc{k}.weight", weights), 1.0, True))
        step = 2.0 ** round(np.log2(np.sqrt(inputs) * top / 2.5))
        x = quant(f"fc{k}.act", b.add("Relu", f"fc{k}.relu", sums), step, False)
    return b.model("dense", (1, widths[0]), x, (1, widths[-1]))


DESIGNS = {
    d.name: d
    for d in (
        Filled("binary constant", 1, (256, 256, 128), 1, 25.0, PLANNED),
        Filled("binary folded", 1, (256, 256, 256, 256, 128), 4, 10.0),
        Filled("INT4 constant", 4, (64, 140, 64), 1, 5.0, PLANNED),
        Filled("INT4 folded", 4, (128, 128, 128, 64), 16, 1.2, 35_000),
        Filled("INT8 constant", 8, (64, 72), 1, 1.3, PLANNED),
        Filled("INT8 folded", 8, (128, 128, 128, 96), 64, 0.35, 39_000),
    )
}


def tops(design: Filled, clock_mhz: float) -> float:
    return 2 * design.synapses / design.interval * clock_mhz * 1e6 / 1e12


def line(design: Filled, used: Cost, kind: str) -> str:
    """A design's figures, and its TOPS scaled to the page's measure."""
    share = used.lut / BOARD.device.lut
    scaled = tops(design, 200) * 0.85 / share
    return (
        f"{design.name}: {kind} {used.lut:,.0f} LUT ({share:.0%}), {used.ff:,.0f} FF, {used.dsp:.0f} DSP, "
        f"{used.bram36:g} BRAM36; {used.lut / (design.synapses / design.interval):.2f} LUT a synapse and cycle; "
        f"{tops(design, 100):.2f} TOPS at 100 MHz; at 200 MHz and 85 % of the LUTs {scaled:.2f} (goal {design.goal})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*DESIGNS, []])
    parser.add_argument("--synthesize", action="store_true")
    parser.add_argument("--simulate", action="store_true")
    arguments = parser.parse_args()
    for name in arguments.names or DESIGNS:
        design = DESIGNS[name]
        of = design.network()
        print(line(design, of.estimated, "estimated"), of.timing, flush=True)
        if arguments.synthesize:
            used = of.synthesized(lambda text: print(text, flush=True))
            low, high = of.fmax_mhz()
            clocks = (
                f"static timing {low:.0f} to {high:.0f} MHz, {tops(design, low):.2f} to {tops(design, high):.2f} TOPS"
            )
            print(f"{line(design, used, 'synthesized, paired')}; {clocks}", flush=True)
        if arguments.simulate:
            shown = of.simulated()
            print(
                f"{name}: simulated {shown.frames} frames, {shown.words} words equal, interval {shown.interval_cycles}"
            )


if __name__ == "__main__":
    main()
