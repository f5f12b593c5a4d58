"""What `codesign measure` found, as rows that terminal and report share, and as a section of the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codesign.html import Html, bar, join, section, table, tag

Values = Mapping[str, Any]
PERCENTILES = {"median_us": "median", "p95_us": "95 %", "p99_us": "99 %", "max_us": "most"}
PARTS = {
    "packing_us": "host: packing", "fabric_us": "fabric", "transfer_us": "transfer", "registers_us": "host: registers",
    "unpacking_us": "host: unpacking",
}  # fmt: skip
BOUNDS = {"fabric": "the fabric", "ddr": "memory (4.2 GB/s)", "driver": "the driver, which waits for each batch"}


def heads(r: Values) -> tuple[str, str]:
    """Of the columns."""
    return "one sample", f"a batch of {r['batch_size']}"


def rows(r: Values) -> list[tuple[str, str, str]]:
    """Percentiles of a whole call, then the medians of its parts, in microseconds."""
    single, batch = r["single"], r["batch"]
    whole = [(title, f"{single[key]:,.1f}", f"{batch[key]:,.1f}") for key, title in PERCENTILES.items()]
    parts = [(title, f"{single['split'][k]:,.1f}", f"{batch['split'][k]:,.1f}") for k, title in PARTS.items()]
    return [*whole, *parts]


def sentences(r: Values) -> list[str]:
    """What stands below the table."""
    rates, single = r["rates"], r["single"]
    told = [
        f"{r['samples']} samples ({r['inputs']}) equal the integer emulator; {single['calls']} calls of one sample and "
        f"{r['batch']['calls']} of a batch were timed, behind {r['warm_up_calls']} of each that do not count.",
        f"By the design's own counters one sample takes {single['latency_cycles']:,} clocks in the accelerator and "
        f"{single['busy_cycles']:,} with its transfers.",
        f"Rate end to end {rates['end_to_end_fps']:,} /s, bound by {BOUNDS[rates['bound_by']]}: fabric with transfers "
        f"{rates['fabric_fps']:,} /s, memory {rates['ddr_fps']:,} /s, driver {rates['driver_fps']:,} /s.",
    ]
    if "cortex_a9" in r:
        a9 = r["cortex_a9"]
        told.append(
            f"On the board's own processor one sample would take about {a9['single_us']:,.0f} µs, of them "
            f"{a9['driver_single_us']:,.0f} in the driver, and batches give about {a9['fps']:,} /s ({a9['source']})."
        )
    return told


def html_measured(r: Values | None) -> Html:
    """The section; nothing where nothing was measured."""
    if r is None:
        return Html("")
    most = r["single"]["max_us"], r["batch"]["max_us"]
    body = []
    for title, *values in rows(r):
        cells = [join((v, bar(float(v.replace(",", "")) / m))) for v, m in zip(values, most, strict=True)]
        body.append((title, *cells))
    return section(
        "Measured",
        tag("p", f"Microseconds of a call. {r['source']}.", class_="soft"),
        table(("", *heads(r)), body),
        *(tag("p", s, class_="soft") for s in sentences(r)),
    )


def card(r: Values) -> tuple[str, str, str]:
    """Title, value and origin of the number that most people came for."""
    single = r["single"]
    return "Latency, measured", f"{single['median_us']:,.1f} µs", f"{r['device']}, median of {single['calls']} calls"
