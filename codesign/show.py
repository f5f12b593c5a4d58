"""Results as people read them, and progress on long work; nothing is computed here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from codesign import timing_table
from codesign.words import accuracy_compared, calibrated_on, channels_of, limits_of

WIDTH = 110  # of tables that go to a file or a log
OUT = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
MOST_LAYERS = 12  # in a table on the terminal
RESOURCES = ("lut", "ff", "dsp", "bram36")


@contextmanager
def steps() -> Iterator[Callable[[str], None]]:
    """A spinner with the step at work, on standard error; nothing where that is no terminal, so that a script
    finds there only what went wrong."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield lambda text: None
        return
    with console.status("starting") as status:
        yield lambda text: status.update(text)


@contextmanager
def frames() -> Iterator[Callable[[int, int], None]]:
    """A bar of frames done, on standard error."""
    columns = (SpinnerColumn(), TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("frames", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def compiled(m: dict[str, Any]) -> None:
    """The stages of a fresh build, and what they are estimated to take."""
    table = Table(title=f"{m['model']['file']} on {m['board']['title']}", title_justify="left")
    for name in ("stage", "kind", "lanes in", "lanes out", "LUT", "FF", "DSP", "BRAM36"):
        table.add_column(name, justify="left" if name in ("stage", "kind") else "right")
    for s in m["stages"]:
        cost = [f"{s['estimated'][r]:g}" for r in RESOURCES]
        lanes = [str(s[side][0]["lanes"]) for side in ("inputs", "outputs")]
        table.add_row(s["name"], s["kind"], *lanes, *cost)
    OUT.print(table)
    if "quantization" in m:
        _quantization(m["quantization"])
        if "mixed" in m["quantization"]:
            OUT.print(f"mixed precision: formats chosen within the budget, in {m['build']}/precision.yaml to be edited")
    _notes(m)
    _estimate(m)
    OUT.print(f"build folder: {m['build']}")


def _quantization(q: dict[str, Any]) -> None:
    """The layers that the outputs' error comes from, worst first, and what it does to the accuracy."""
    table = Table(title=f"quantized to {q['precision']}: where the outputs' error comes from", title_justify="left")
    for name in ("layer", "weights", "activations", "SQNR dB", "share of the error"):
        table.add_column(name, justify="right" if name[0] in "Ss" else "left")
    worst = sorted(q["layers"], key=lambda r: -r["noise_share"])
    for r in worst[:MOST_LAYERS]:
        table.add_row(r["layer"], r["weights"], r["activations"], f"{r['sqnr_db']:.1f}", f"{r['noise_share']:.1%}")
    table.add_row("(the network's inputs)", "", "", "", f"{q['input_share']:.1%}")
    OUT.print(table)
    if len(worst) > MOST_LAYERS:
        OUT.print(f"and {len(worst) - MOST_LAYERS} layers that bring less")
    outputs = ", ".join(f"{name} {db:.1f} dB" for name, db in q["outputs"].items())
    OUT.print(f"quantized: outputs {outputs}, measured on {calibrated_on(q)}")
    if "accuracy" in q:
        OUT.print(f"quantized: {accuracy_compared(q['accuracy'])}")


def _notes(m: dict[str, Any]) -> None:
    for note in m["model"]["notes"]:
        OUT.print(f"note: {note}")
    for name in m["assumed_inputs"]:
        OUT.print(f"note: the model does not quantize '{name}': taken as fixed<16,6>, steps of 2^-10 in -32..32")


def _estimate(m: dict[str, Any]) -> None:
    e, budget = m["estimated"], m["board"]["budget"]
    used = ", ".join(f"{e[r]:.0f} {r.upper()} ({e[r] / max(budget[r], 1):.0%} of the budget)" for r in RESOURCES)
    OUT.print(f"estimated: {used}")
    OUT.print(f"estimated: {_timing(e)}; {limits_of(e)}")
    for line in channels_of(m["channels"]):
        OUT.print(f"note: {line}")


def _timing(e: dict[str, Any]) -> str:
    text = f"latency {e['latency_cycles']} cycles"
    if "interval_cycles" not in e:
        return text
    return (
        f"{text} ({e['latency_us']:g} µs at {e['clock_mhz']:g} MHz), a frame every {e['interval_cycles']} cycles "
        f"({e['fabric_fps']:,.0f} frames/s in the fabric)"
    )


def ran(r: dict[str, Any]) -> None:
    OUT.print(f"{r['samples']} samples, outputs {', '.join(r['outputs'])}")
    if "ties" in r:
        OUT.print(f"samples near a rounding tie: {_some(r['ties'])}")
    if "accuracy" in r:
        OUT.print(f"accuracy {r['accuracy']:.2%}")


def _some(numbers: list[int]) -> str:
    """The first few of many."""
    text = ", ".join(map(str, numbers[:10])) or "none"
    return text if len(numbers) <= 10 else f"{text} ... {len(numbers)} in all (--json lists them)"


def simulated(r: dict[str, Any]) -> None:
    OUT.print(f"{r['samples']} samples, {r['words']} words compared, {r['mismatches']} mismatches")
    OUT.print(f"simulated: {_timing(r)}")


def synthesized(r: dict[str, Any]) -> None:
    table = Table(title=r["source"], title_justify="left")
    for name in ("", "LUT", "LUT paired", "FF", "DSP", "BRAM36", "CARRY4"):
        table.add_column(name, justify="right" if name else "left")
    e = r["estimated"]
    table.add_row("estimated", "", f"{e['lut']:.0f}", *(f"{e[k]:g}" for k in ("ff", "dsp", "bram36")), "")
    table.add_row("synthesized", *(f"{r[k]:g}" for k in ("lut", "lut_paired", "ff", "dsp", "bram36", "carry4")))
    OUT.print(table)
    if r.get("timing"):
        for line in timing_table.lines(r["timing"]):
            OUT.print(line, markup=False)


def reported(r: dict[str, Any]) -> None:
    OUT.print(f"report: {r['report']}")


def inspection(r: dict[str, Any]) -> None:
    from codesign.inspect import print_tables

    print_tables(r, OUT)


def difference(r: dict[str, Any]) -> None:
    from codesign.diff_table import print_diff

    print_diff(r, OUT)
