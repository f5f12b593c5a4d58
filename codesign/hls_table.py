"""The HLS project beside the RTL on the report page: the same network, two ways to hardware."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codesign.html import Html, folded, join, number, section, table, tag

Values = Mapping[str, Any]
ROWS = (
    ("Latency", "latency_cycles", "{:,} cycles"),
    ("Interval between frames", "interval_cycles", "{:,} cycles"),
    ("Clock", "clock_mhz", "{:g} MHz"),
    ("Rate of the fabric alone", "fabric_fps", "{:,.0f} frames/s"),
    ("LUT", "lut", "{:,.0f}"),
    ("FF", "ff", "{:,.0f}"),
    ("DSP", "dsp", "{:,g}"),
    ("BRAM36", "bram36", "{:,g}"),
)


def html_hls(m: Values) -> Html:
    """What is known of the HLS project; nothing where none was written."""
    hls = m["results"].get("hls")
    if hls is None:
        return Html("")
    return section("HLS", tag("p", f"{_emulated(hls)}.", class_="soft"), *_beside(m, hls.get("csynth")), *_layers(hls))


def _emulated(hls: Values) -> str:
    made = f"Project by {hls['source']}"
    e = hls.get("emulated")
    if e is None:
        return f"{made}; not yet compared: codesign hls BUILD --emulate"
    return f"{made}. {e['source']}: {e['mismatches']:,} of {e['words']:,} differ, on {e['samples']:,} samples"


def _beside(m: Values, csynth: Values | None) -> list[Html]:
    """Latency and resources of both, each with its source."""
    if csynth is None:
        hint = "codesign hls BUILD --read-report PROJECT"
        return [tag("p", "Not synthesized by an HLS tool, or not read back: ", tag("code", hint), class_="soft")]
    columns = (m["estimated"], m["results"].get("synthesized"), csynth)
    sources = ("", (columns[1] or {}).get("source", "not yet: codesign synth BUILD"), csynth["source"])
    titles = ("RTL, estimated", "RTL, synthesized", "HLS")
    head = ["", *(join((t, tag("small", s))) for t, s in zip(titles, sources))]
    body = [(title, *(number(_cell(c, key, form)) for c in columns)) for title, key, form in ROWS]
    return [table(head, body, class_="numbers")]


def _cell(values: Values | None, key: str, form: str) -> str:
    if values is None or key not in values:
        return ""
    return "unknown" if values[key] is None else form.format(values[key])


def _layers(hls: Values) -> list[Html]:
    """Which layers are hls4ml's own, which are this project's, and every format."""
    if not hls.get("layers"):
        return []
    rows = [
        (
            x["name"],
            x["layer"],
            x["kind"] + (" (extension)" if x["own"] else ""),
            number(str(x["reuse"])),
            ", ".join(f"{k} {v}" for k, v in x["formats"].items()),
        )
        for x in hls["layers"]
    ]
    inner = table(("layer", "of", "kind", "reuse factor", "formats"), rows)
    return [folded(f"{len(rows)} layers, with their formats", inner)]
