"""The cost model against Yosys and the simulator: refits its constants, tries them on designs they never saw.

    .venv/bin/python -m benchmarks.cost_model [--fit | --fit-gates] [-o docs/cost_model.md] [--no-simulation]
        [--no-stages] [--large]

The constants (`hw/fitted.json`) are fitted by least squares of relative errors to single stages of seeded random
parameters (`benchmarks/cost_stages.py`), and tried on whole networks (`benchmarks/cost_designs.py`), which share no
stage with them. `--fit` writes the constants; `--fit-gates` only those of products' formulas, which need no synthesis
(half a minute), and ends. Everything synthesized is kept in the user's cache, by content: the first run takes about two
hours on two cores. Designs from ../shared/data are left out where it is not there.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.batches import synthesized
from benchmarks.cost_designs import FITTED, Design, designs, fitted_designs
from benchmarks.cost_fit import Point, errors, fit
from benchmarks.cost_stages import samples
from benchmarks.pages import figure, save, table
from codesign.cost import Cost
from hw.arith.folded_cost import counted_products, formula_products
from hw.estimate import estimate_cost
from hw.fitted import FILE, replaced
from hw.pipeline import Stage, counted
from hw.stages.channelwise import ChannelwiseMac
from hw.stages.matvec import MatVec
from hw.stages.unrolled import Unrolled
from hw.synth import SYNTHESIS, Utilisation
from hw.yosys import yosys_version

LUT_BAR, FF_BAR = 0.10, 0.15
GATES = 200.0  # fewer gates of a product weigh nothing among foldings
OF_GATES = r"product\.|unrolled\."  # constants that only these formulas use


# --- fit --------------------------------------------------------------------------------------------------------


def points() -> list[Point]:
    """Single stages as synthesized; and products' formulas, by which foldings are chosen, against their gates."""
    found = list(samples())
    used = synthesized([s.stage for s in found], lambda text: print(text, flush=True))
    stages = [Point(s.family, partial(counted, s.stage), cost_of(u)) for s, u in zip(found, used, strict=True)]
    return stages + all_gates() + [network(d) for d in fitted_designs()]


def all_gates() -> list[Point]:
    """Of all stages that have products in gates."""
    return [p for s in samples() for p in gates(s.stage)]


def network(d: Design) -> Point:
    """What neighbours save together."""
    return Point("networks", partial(estimate_cost, d.pipeline), cost_of(d.synthesized))


def gates(stage: Stage) -> list[Point]:
    """The formula for a product's gates, where it has one."""
    if isinstance(stage, Unrolled):
        return [Point("gates, unrolled", stage.cost, stage.counted(), GATES)]
    if isinstance(stage, (MatVec, ChannelwiseMac)) and not stage.folded.multipliers:
        name = f"gates, {stage.folded.product.place.name.lower()}"
        return [Point(name, partial(formula_products, stage.folded), counted_products(stage.folded), GATES)]
    return []


def cost_of(used: Utilisation) -> Cost:
    return Cost(used.lut_paired, used.ff, used.dsp, used.bram36)


def refit(to: Sequence[Point], free: str = "") -> None:
    """Writes the constants, of which those may change whose names begin so."""
    before = json.loads(FILE.read_text())
    with replaced(before):
        now = fit(to, before, free)
    FILE.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n")
    for name in sorted(name for name in now if re.match(free, name)):
        print(f"{name}: {before[name]:g} -> {now[name]:g}")


def refit_gates() -> None:
    """The constants of products' formulas, and the errors before and after."""
    to = all_gates()
    print(families(to))
    refit(to, OF_GATES)
    with replaced(json.loads(FILE.read_text())):
        print(families(to))


# --- page -------------------------------------------------------------------------------------------------------


def families(to: Sequence[Point]) -> str:
    """Mean and worst errors of the stages fitted to."""
    by_name = defaultdict[str, list[np.ndarray]](list)
    for point, error in zip(to, np.abs(errors(to)), strict=True):
        by_name[point.name].append(error)
    rows = []
    for name, found in by_name.items():
        (lut, ff), (worst_lut, worst_ff) = np.mean(found, axis=0), np.max(found, axis=0)
        rows.append((name, f"{len(found)}", f"{lut:.1%}", f"{worst_lut:.0%}", f"{ff:.1%}", f"{worst_ff:.0%}"))
    return table(("stages", "count", "LUT, mean", "LUT, worst", "FF, mean", "FF, worst"), rows)


def tried(found: Sequence[Design]) -> str:
    head = ("design", "LUT est.", "Yosys", "", "FF est.", "Yosys", "", "DSP", "BRAM36")
    return table(head, [row(d) for d in found])


def row(d: Design) -> tuple[str, ...]:
    e, u = d.estimated, d.synthesized
    return (
        d.name, f"{e.lut:,.0f}", f"{u.lut_paired:,}", f"{e.lut / u.lut_paired - 1:+.1%}",
        f"{e.ff:,.0f}", f"{u.ff:,}", f"{e.ff / u.ff - 1:+.1%}", both(e.dsp, u.dsp), both(e.bram36, u.bram36),
    )  # fmt: skip


def both(estimated: float, found: float) -> str:
    return f"{found:g}" if estimated == found else f"**{estimated:g}, not {found:g}**"


def timed(found: Sequence[Design]) -> str:
    rows = []
    for d in found:
        e, s = d.timing, d.simulated
        pairs = ((e.latency_cycles, s.latency_cycles), (e.interval_cycles, s.interval_cycles))
        rows.append((d.name, *(cell for a, b in pairs for cell in (f"{a:,}", f"{b:,}", f"{a - b:+d}"))))
    return table(("design", "latency est.", "simulated", "", "interval est.", "simulated", ""), rows)


def summary(found: Sequence[Design]) -> str:
    lut = np.array([abs(d.estimated.lut / d.synthesized.lut_paired - 1) for d in found])
    ff = np.array([abs(d.estimated.ff / d.synthesized.ff - 1) for d in found])
    exact = sum((d.estimated.dsp, d.estimated.bram36) == (d.synthesized.dsp, d.synthesized.bram36) for d in found)
    inside = f"{sum(lut <= LUT_BAR)} within {LUT_BAR:.0%}", f"{sum(ff <= FF_BAR)} within {FF_BAR:.0%}"
    return (
        f"{len(found)} designs. LUT: {inside[0]}, mean {lut.mean():.1%}, worst {lut.max():.1%}. "
        f"FF: {inside[1]}, mean {ff.mean():.1%}, worst {ff.max():.1%}. DSP and BRAM exact: {exact}."
    )


def plot(found: Sequence[Design], path: Path) -> None:
    """Estimated over synthesized."""
    drawn, all_axes = figure(ncols=2, figsize=(9, 4.3))
    pairs = {
        "LUT (paired)": [(d.synthesized.lut_paired, d.estimated.lut) for d in found],
        "flip-flops": [(d.synthesized.ff, d.estimated.ff) for d in found],
    }
    for axes, bar, (name, values) in zip(all_axes, (LUT_BAR, FF_BAR), pairs.items(), strict=True):
        used, made = np.array(sorted(values)).T
        ends = np.array([used[0] / 1.3, used[-1] * 1.3])
        axes.loglog(used, made, "o")
        axes.loglog(ends, ends, "k-", linewidth=0.8)
        axes.fill_between(ends, ends * (1 - bar), ends * (1 + bar), alpha=0.2)
        axes.set_xlabel(f"{name}, synthesized")
        axes.set_ylabel("estimated")
        axes.set_title(f"{name}, band: {bar:.0%}")
        axes.grid(True, which="both", alpha=0.3)
    save(drawn, path)


PAGE = """# The cost model

Generated by `python -m benchmarks.cost_model -o docs/cost_model.md{options}`. Since the last `--fit` of all
constants those of width converters, crops, pads, concatenations, reorders, gathers, pool trees, serial windows,
requantizations, replayed vectors, walks over blocks of zeros and counters were fitted again, each to its own stages.

A LUT is a site: two functions of at most five inputs in all share one, as `hw/synth.py` pairs them after Yosys
(`lut_paired`). Estimates stand for that number; what `compile` shows is their sum over the stages and FIFOs
(`hw/estimate.py`). Flip-flops, DSP48E1s and memories follow from the stages' structure, gates of products are counted
on their netlists, and the rest are formulas whose constants stand in `hw/fitted.json`, fitted by `--fit` to single
stages of seeded random parameters. Synthesized: {yosys}, `{command}`.

## Designs that nothing was fitted to

The form of some formulas was repaired with stages of these designs in view; no constant is fitted to them. What
neighbours save together, an amount an edge, is fitted to {fitted} random networks that are not among them.

Random networks of the tests beside them, at rates drawn from the seed, synthesized whole, not by this program: 100 to
143 at 956220e, LUT 5.4 % off in the mean, 37 of 44 within 10 %, one 49 % off, whose twelve lanes look regular
functions up in tables of 370 words. Since then tables of more than 64 words are estimated by what is in them (that
one: 18 %) and the amount an edge is fitted to more networks, thirteen of these among them: 200 to 208, to which nothing
was fitted, are 1.5 % off in the mean, 4.8 % at worst, FF 3.8 and 10.8 %, DSP and BRAM exact (at 3d9a0fc). Known to be
off: folded products of a few inputs and hundreds of neurons with ternary weights (3-400-2: 14 % too low; why was not
found); long tables with few ones (512 words, one in seven: 53 sites for 37), which synthesis makes of more cells than
random ones; and small tables beside a path that is longer than theirs, such as one from block RAM, which leaves it the
time for more small cells.

`kws_dscnn_int8_qdq` at 160,000 cycles a frame (`--large`, at 57221da): 2,726 LUT estimated, 2,700 synthesized (+1 %; at
df73b7a about 3,000 and 2,421, +24 %: the design itself takes more since), FF -5 %, DSP and BRAM exact. Known to be off:
a constant negative factor of unsigned numbers of 17 bits and more right behind an accumulator, which is fused with it,
takes 2 to 5 DSP48E1s where 1 or 2 are estimated, as Yosys takes the constant's sign bits for digits.
The latency of a first frame that arrives without a pause counts what full FIFOs hold up, and was exact on 60 of 60
random networks whose branches meet (seeds 0 to 59 of `tests/test_branching.py`), intervals too. It has a limit: where a
few beats go around thousands of times, as in one of nine such networks of 32 x 32 images, what is found by a fixed
amount of work (a few seconds) stands, which is near it (there, by a quarter of that work, 33,115 cycles of 33,150 that
the same rules give without the limit).

{summary}

![estimated and synthesized](cost_model.svg)

{tried}
{timed}{stages}"""

STAGES = """## Stages that the constants are fitted to

Single stages of seeded random parameters, each with its ports as those of a chip; a stage of fewer than 25 counts as
one of 25. *gates*: the formulas for products by which foldings are compared before any gates are built, against these
gates; fewer than 200 count as 200.

{}"""

TIMED = """Cycles from a frame's first input to its last output, and from frame to frame, by the stages' schedules and
in simulation of the RTL (Verilator, no stalls), every output word compared with the emulator's.

{}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true", help="fit the constants first, and write them")
    parser.add_argument("--fit-gates", action="store_true", help="fit those of products' formulas, write them, and end")
    parser.add_argument("--no-simulation", action="store_true", help="leave cycles out")
    parser.add_argument("--large", action="store_true", help="try designs of many thousand LUTs, too")
    parser.add_argument("--no-stages", action="store_true", help="leave out the stages that constants are fitted to")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    if arguments.fit_gates:
        return refit_gates()
    if arguments.fit and arguments.no_stages:
        parser.error("--fit needs the stages")
    to = [] if arguments.no_stages else points()
    if arguments.fit:
        refit(to)
    with replaced(json.loads(FILE.read_text())):
        text = page(to, list(designs(arguments.large)), arguments)
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


def page(to: Sequence[Point], found: Sequence[Design], arguments: argparse.Namespace) -> str:
    if arguments.output:
        plot(found, arguments.output.with_suffix(".svg"))
    left_out = [name for name in ("no_simulation", "no_stages") if getattr(arguments, name)]
    options = "".join(f" --{name.replace('_', '-')}" for name in (*left_out, *["large"] * arguments.large))
    return PAGE.format(
        options=options, yosys=yosys_version(), command=SYNTHESIS, summary=summary(found), tried=tried(found),
        fitted=len(FITTED),
        timed="" if arguments.no_simulation else TIMED.format(timed(found)),
        stages=STAGES.format(families(to)) if to else "",
    )  # fmt: skip


if __name__ == "__main__":
    main()
