"""Sizes of the circuits of folded products, TFC over its whole folding range, and binary networks as whole designs.

    .venv/bin/python -m benchmarks.circuits [-o docs/circuits-folded.md] [--synthesize] [--simulate]

Sites are counted on netlists, as they are written. Whole designs are synthesized stage by stage and simulated only
where asked for (an hour on two cores); else their rows are estimates alone. TFC needs ../shared/data.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.binary import BOARD, CLOCK_MHZ, NETWORKS, Network, tfc
from benchmarks.pages import figure, save, table
from codesign.cost import Cost
from codesign.formats import Binary, Format, Int
from hw.arith.product import Product
from hw.arith.sums import sums_of
from hw.fold import Space
from hw.fuse import fuse
from hw.lower import lower
from hw.netlist.cells import Lut, Netlist
from hw.netlist.chains import added, popcount
from hw.netlist.heap import Heap
from hw.netlist.products import Gated, add_gated

WIDE = 40  # bits of accumulators that never wrap here
RANGE = (1, 2, 4, 8, 16, 32, 64, 128, 196, 256, 392, 512, 784, 1024, 1568, 3136, 6272, 12544, 25088, 50176)
BARS = {(2, 2): 3.6, (4, 2): 6.7, (4, 4): 13.3, (8, 4): 26.5, (8, 8): 52.7}  # LUT a product, shared/MICROARCHITECTURE


def sites(n: Netlist) -> int:
    return sum(isinstance(cell, Lut) for cell in n.cells)


# --- circuits ---------------------------------------------------------------------------------------------------


def counted(x: Format, w: Format, folds: int, neurons: int, synapses: int) -> float:
    """Sites a synapse of a product with random weights."""
    rng, shape = np.random.default_rng(0), (folds, neurons, synapses)
    weights = rng.choice([-1, 1], shape) if isinstance(w, Binary) else rng.integers(w.lo, w.hi + 1, shape)
    product = Product(x, w, weights.astype(np.int64))
    copies = 1 if folds > 64 else neurons  # weights in a memory: the circuit is that of one neuron
    return sums_of(product, WIDE).luts / (copies * synapses)


def popcounts() -> str:
    rows = []
    for size in (64, 256, 576, 1024):
        n = Netlist()
        popcount(n, n.input("x", size))
        rows.append((str(size), f"{sites(n) / size:.2f}", f"{counted(Binary(), Binary(), 65, 1, size):.2f}"))
    return table(("bits", "popcount, LUT a bit", "XNOR and popcount, weights as signals, LUT a synapse"), rows)


def products() -> str:
    """Weights as signals, in one heap, and as counts of every pair of bit planes that are added then."""
    rows = []
    for (a, w), bar in BARS.items():
        merged = counted(Int.of(a, signed=False), Int.of(w, signed=True), 65, 1, 64)
        rows.append((f"{a} × {w}", f"{merged:.2f}", f"{planes_apart(a, w, 64):.2f}", f"{bar:.1f}"))
    return table(("bits", "one heap", "planes counted apart", "bar"), rows)


def planes_apart(a: int, w: int, synapses: int) -> float:
    """Sites a product of Σ 2^(i+j) · bitcount(x_i and w_j), each count a number of its own."""
    n = Netlist()
    x, y = n.input("x", a * synapses), n.input("w", w * synapses)
    whole = Heap()
    for i in range(a):
        for j in range(w):
            plane = Heap()
            pairs = zip(x[i::a], y[j::w], strict=True)
            add_gated(n, plane, {0: [Gated(p ^ (j == w - 1), q, False) for p, q in pairs]})
            whole.add(added(n, plane, synapses.bit_length()), i + j)
    added(n, whole, (synapses * ((1 << a) - 1) * ((1 << w) - 1)).bit_length())
    return sites(n) / synapses


def places() -> str:
    """What a synapse takes with its weight, by folds."""
    kinds = (
        ("1 × 1", Binary(), Binary()),
        ("8 × 1", Int.of(8, signed=False), Binary()),
        ("2 × 2", Int.of(2, signed=False), Int(-1, 1)),
        ("4 × 4", Int.of(4, signed=False), Int.of(4, signed=True)),
    )
    columns = defaultdict[int, list[str]](list)
    for _, x, w in kinds:
        for folds in (2, 4, 8, 32, 64, 65):
            columns[folds].append(f"{counted(x, w, folds, 16, 96):.2f}")
    where = {2: "gates", 4: "gates", 8: "gates or tables", 32: "tables", 64: "tables", 65: "memory, not counted"}
    rows = [(f"{folds if folds < 65 else 'more'} ({where[folds]})", *cells) for folds, cells in columns.items()]
    return table(("folds", *(name for name, _, _ in kinds)), rows)


# --- networks ---------------------------------------------------------------------------------------------------


def sweep() -> list[tuple[int, Cost]]:
    """TFC's interval in cycles and what it costs, folding by folding, by the stages' formulas; FIFOs left out."""
    core = tfc(RANGE[0]).model.core
    space, found = Space(core, BOARD.budget.part(10)), dict[int, Cost]()
    for interval in RANGE:
        plan = space.plan(interval)
        pipeline = fuse(lower(core, plan.folding, plan.input_lanes))
        found[plan.interval_cycles] = sum((p.stage.cost() for p in pipeline.stages), Cost())
    return sorted(found.items())


def plot(points: Sequence[tuple[int, Cost]], path: Path) -> None:
    """Frames a second a LUT, over the rate."""
    rates = [CLOCK_MHZ * 1e6 / interval for interval, _ in points]
    drawn, axes = figure(figsize=(7, 4))
    axes.loglog(rates, [rate / cost.lut for rate, (_, cost) in zip(rates, points, strict=True)], "o-")
    axes.set_xlabel(f"frames a second at {CLOCK_MHZ} MHz")
    axes.set_ylabel("frames a second a LUT (estimated)")
    axes.set_title("TFC_1W1A, every folding")
    axes.grid(True, which="both", alpha=0.3)
    save(drawn, path)


def swept(path: Path) -> str:
    points = sweep()
    plot(points, path)
    rows = [
        (
            f"{k:,}",
            f"{CLOCK_MHZ * 1e6 / k:,.0f}",
            f"{c.lut:,.0f}",
            f"{c.bram36:g}",
            f"{CLOCK_MHZ * 1e6 / k / c.lut:,.1f}",
        )
        for k, c in points
    ]
    return table(("cycles a frame", "frames/s", "LUT", "BRAM36", "frames/s a LUT"), rows)


def designs(synthesize: bool, simulate: bool) -> str:
    rows = [design(make(), synthesize, simulate) for make in NETWORKS.values()]
    head = ("network", "interval", "frames/s", "TOPS", "LUT est.", "LUT paired", "FF", "BRAM36", "of the chip", "RTL")
    return table(head, rows)


def design(of: Network, synthesize: bool, simulate: bool) -> tuple[str, ...]:
    """A row; TOPS counts two operations a synapse of the frames that are computed."""
    rate = CLOCK_MHZ * 1e6 / of.timing.interval_cycles
    used = of.synthesized(print) if synthesize else None
    shown = of.simulated() if simulate else None
    words = "–"
    if shown is not None:
        words = f"{shown.frames} frames, {shown.words:,} words equal, interval {shown.interval_cycles:,}"
    cost = of.estimated if used is None else used
    return (
        of.name, f"{of.timing.interval_cycles:,}", f"{rate:,.0f}", f"{2e-12 * of.synapses * rate:.2f}",
        f"{of.estimated.lut:,.0f}", "–" if used is None else f"{used.lut:,.0f}", f"{cost.ff:,.0f}",
        f"{cost.bram36:g}", f"{cost.lut / BOARD.device.lut:.0%}", words,
    )  # fmt: skip


# --- page -------------------------------------------------------------------------------------------------------

PAGE = """# Folded products in look-up tables

Generated by `python -m benchmarks.circuits -o docs/circuits-folded.md{options}`. A LUT is a site: two functions of the
same five inputs are one LUT6_2. Circuits are counted on their netlists of primitives, weights random and seeded.

## One heap

`hw/netlist/chains.py` adds any multiset of weighted bits by carry chains over many columns, which take four bits of a
column in one site or six in two, as `hw/netlist/cover.py` lays them out; `hw/netlist/products.py` makes the partial
products inside the first full adders.

{popcounts}
Products of unsigned inputs and signed weights that are signals, 64 synapses, LUT a product. Bit planes that are counted
apart, Σ 2^(i+j) · bitcount(x_i and w_j), never take less than all partial products in one heap, so that is what is
built; signed codes go in with their top bits inverted, and what that adds is in the accumulator's first value.

{products}
## Weights

LUT a synapse, the weights included, 16 neurons of 96 synapses: up to four folds are chosen inside the gates for
nothing, and of signs up to eight; up to 64 are look-up tables of their own, in front of the same full adders; more are
read from block RAM or a table outside. LUT RAM holds as many bits a LUT as the tables do, and is not used.

{places}
## TFC over its foldings

![frames a second a LUT](circuits-folded.svg)

Estimated by the stages' formulas (window, widths, weights, thresholds, control), FIFOs apart, which this chain has none
of.

{sweep}
## Whole designs

On the xc7z020, {clock} MHz; rates are of the fabric. TOPS = 2 · synapses a frame · frames/s, so what folding leaves
idle does not count. LUT paired, FF and BRAM36 are synthesized (Yosys, pairing pass of `hw/pairing.py`) stage by stage
with every stage's ports, where a number stands under *LUT paired*; nothing is placed. Two clocks are one times the
other: at 200 MHz each would be twice as fast, which no timing here shows. The system around them is not counted.

{designs}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/circuits-folded.md"))
    parser.add_argument("--synthesize", action="store_true")
    parser.add_argument("--simulate", action="store_true")
    a = parser.parse_args()
    sections = dict(_sections(a.output.with_suffix(".svg"), a.synthesize, a.simulate))
    options = "".join(f" --{name}" for name in ("synthesize", "simulate") if getattr(a, name))
    a.output.write_text(PAGE.format(options=options, clock=CLOCK_MHZ, **sections))


def _sections(plotted: Path, synthesize: bool, simulate: bool) -> Iterator[tuple[str, str]]:
    makers = {
        "popcounts": popcounts, "products": products, "places": places, "sweep": lambda: swept(plotted),
        "designs": lambda: designs(synthesize, simulate),
    }  # fmt: skip
    for name, make in makers.items():
        text = make()
        print(text, flush=True)
        yield name, text


if __name__ == "__main__":
    main()
