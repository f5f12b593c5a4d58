"""Everything known of a build on one self-contained HTML page: every number with where it comes from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from codesign import timing_table
from codesign.build import read_manifest
from codesign.diff_table import html_diff
from codesign.errors import UserError
from codesign.hls_table import html_hls
from codesign.html import Html, bar, folded, join, number, page, section, table, tag
from codesign.measured import card, html_measured
from codesign.show_fusions import html_fusions
from codesign.words import accuracy_compared, calibrated_on, channels_of, limits_of, warnings_of

Values = Mapping[str, Any]
RESOURCES = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram36": "BRAM36"}
COMMANDS = {
    "accuracy": "codesign run BUILD --inputs x.npy -o y.npy --labels labels.npy",
    "simulated": "codesign simulate BUILD --inputs x.npy",
    "synthesized": "codesign synth BUILD",
}


def write_report(build: Path) -> Path:
    """Write BUILD/report.html in one step; its path. UserError where the build is incomplete or not writable."""
    manifest = read_manifest(build)
    path, fresh = build / "report.html", build / ".report.html.new"
    try:
        network = (build / "model.txt").read_text()
    except OSError:
        raise UserError(f"{build / 'model.txt'} is missing; run `codesign compile` again") from None
    try:
        fresh.write_text(report(manifest, network), encoding="utf-8")
        os.replace(fresh, path)
    except OSError as e:
        raise UserError(f"cannot write {path}: {e.strerror}") from None
    return path


def report(m: Values, network: str) -> str:
    """The page for a manifest and the text of the fused network."""
    return page(
        f"{m['model']['file']} on {m['board']['title']}",
        _header(m),
        _cards(m),
        _numbers(m),
        html_measured(m["results"].get("measured")),
        _device(m),
        _stages(m),
        _quantization(m.get("quantization")),
        _confusion(m["results"].get("accuracy")),
        html_diff(m["results"].get("diff")),
        html_hls(m),
        _streams(m),
        _network(m, network),
    )


TIMING = (("clock", "Clock, wires estimated"), ("path", "Worst path"), ("rule", "Pipeline rule"))


def _header(m: Values) -> Html:
    tool, board = m["tool"], m["board"]
    where = f"{board['title']} ({board['part']}) at {m['estimated']['clock_mhz']:g} MHz"
    notes = [*m["model"]["notes"]]
    notes += [f"the model does not quantize '{n}': taken as fixed<16,6>" for n in m["assumed_inputs"]]
    return tag(
        "header",
        tag("h1", m["model"]["file"]),
        tag("p", f"{where} · {tool['name']} {tool['version']}", class_="soft"),
        tag("p", "sha256 of the model ", tag("code", m["model"]["sha256"]), class_="soft"),
        *(tag("p", f"Note: {n}", class_="soft") for n in notes),
    )


def _cards(m: Values) -> Html:
    """The four numbers that most people came for."""
    results, e = m["results"], m["estimated"]
    scored, shown, built = (results.get(k) for k in ("accuracy", "simulated", "synthesized"))
    timing = shown if shown and "fabric_fps" in shown else e
    area = _sites(built or e)
    cards = [
        _card("Accuracy", f"{scored['accuracy']:.2%}", f"{scored['samples']:,} samples, {scored['source']}")
        if scored
        else _missing("Accuracy", "accuracy"),
        _card("Mismatches", f"{shown['mismatches']:,}", f"{shown['samples']:,} samples, RTL against integer emulator")
        if shown
        else _missing("Mismatches", "simulated"),
        _card("Rate of the fabric", f"{timing['fabric_fps']:,.0f} /s", f"{_origin(timing, e, 'simulated')}, "
              f"latency {timing['latency_us']:g} µs"),
        _card("LUT", f"{area['lut']:,.0f}", f"{'synthesized' if built else 'estimated'}, paired, "
              f"{area['lut'] / m['board']['device']['lut']:.1%} of the device"),
        *([_card(*card(results["measured"]))] if "measured" in results else []),
    ]  # fmt: skip
    return tag("div", *cards, class_="cards")


def _sites(values: Values) -> Values:
    """With LUTs as estimates and limits count them: paired."""
    return {**values, "lut": values.get("lut_paired", values["lut"])}


def _origin(values: Values, estimated: Values, otherwise: str) -> str:
    return "estimated" if values is estimated else otherwise


def _card(title: str, value: str, origin: str) -> Html:
    return tag("div", title, tag("strong", value), tag("small", origin), class_="card")


def _missing(title: str, kind: str) -> Html:
    return tag("div", title, tag("strong", "–"), tag("small", tag("code", COMMANDS[kind])), class_="card")


def _numbers(m: Values) -> Html:
    """Estimated, simulated and synthesized side by side; the whole chip placed, and the board, where they are known."""
    results = m["results"]
    kinds = ["estimated", "simulated", "synthesized", *(k for k in ("placed", "deployed") if k in results)]
    estimated = {("lut_paired" if key == "lut" else key): value for key, value in m["estimated"].items()}
    columns = [estimated, *(_with_timing(results.get(kind)) for kind in kinds[1:])]
    head = ["", *(_column(kind, values) for kind, values in zip(kinds, columns, strict=True))]
    rows = [
        ("Latency", "latency_cycles", "{:,} cycles"),
        (f"Latency at {m['estimated']['clock_mhz']:g} MHz", "latency_us", "{:,g} µs"),
        ("Interval between frames", "interval_cycles", "{:,} cycles"),
        ("Clock reached", "fmax_mhz", "{:,.1f} MHz"),
        *((title, key, "{}") for key, title in TIMING if any(key in (values or ()) for values in columns)),
        ("Rate of the fabric alone", "fabric_fps", "{:,.0f} frames/s"),
        ("Samples compared", "samples", "{:,}"),
        ("Words compared", "words", "{:,}"),
        ("Mismatches", "mismatches", "{:,}"),
        *((title, key, "{:,.0f}") for key, title in (("lut", "LUT"), ("lut_paired", "LUT, paired"), ("ff", "FF"))),
        *((title, key, "{:,g}") for key, title in (("dsp", "DSP"), ("bram36", "BRAM36"), ("carry4", "CARRY4"))),
    ]
    body = [(title, *(_value(values, key, form) for values in columns)) for title, key, form in rows]
    return section("Numbers, and where they come from", table(head, body, class_="numbers"))


def _column(kind: str, values: Values | None) -> Html:
    if values is None:
        return join((kind, tag("small", "not yet: ", tag("code", COMMANDS[kind]))))
    stalls = f", stall seed {values['stall_seed']}" if values.get("stall_seed") is not None else ""
    return join((kind, tag("small", values["source"].removeprefix(kind).strip() + stalls)))


def _with_timing(values: Values | None) -> Values | None:
    """A column, static timing in words."""
    if values is None or not (t := values.get("timing")):
        return values
    path = f"{timing_table.path(t['worst'])}; {timing_table.ends(t['worst'])}"
    return {**values, "clock": timing_table.clock(t), "path": path, "rule": timing_table.rule(t)}


def _value(values: Values | None, key: str, form: str) -> Html:
    known = values is not None and key in values
    return number(form.format(values[key]) if known and values else "")


def _device(m: Values) -> Html:
    """What a design takes of the device, against the limits that leave room for place and route."""
    board, synthesized = m["board"], m["results"].get("synthesized")
    rows = []
    for key, title in RESOURCES.items():
        for kind, values in (("estimated", m["estimated"]), ("synthesized", synthesized)):
            if values is not None:
                values = _sites(values)
                share, limit = values[key] / board["device"][key], board["limits"][key]
                color = "red" if share > limit else "green" if kind == "synthesized" else ""
                counts = [number(f"{values[key]:,.0f}"), number(f"{share:.1%}")]
                label = title if kind == "estimated" else ""
                rows.append((label, kind, *counts, number(f"{limit:.0%}"), bar(share, limit, color)))
    head = ("resource", "origin", "used", "of the device", "limit", "")
    notes = [tag("p", line, class_="soft") for line in (limits_of(m["estimated"]), *channels_of(m["channels"]))]
    return section("Use of the device", table(head, rows, class_="use"), *notes)


def _stages(m: Values) -> Html:
    """Folding, cycles and estimated resources of every stage, as bars of the largest."""
    stages = m["stages"]
    most = {key: max((s["estimated"][key] for s in stages), default=0) for key in RESOURCES}
    slowest = max((s["interval_cycles"] for s in stages), default=0)
    head = ("stage", "lanes in → out", "bits", "cycles a frame", *RESOURCES.values())
    rows = [
        (
            join((s["name"], tag("small", " · ".join((s["kind"], *s["layers"])), class_="under"))),
            f"{_each(s['inputs'], 'lanes')}\u00a0→\u00a0{_each(s['outputs'], 'lanes')}",
            f"{_each(s['inputs'], 'element_bits')}\u00a0→\u00a0{_each(s['outputs'], 'element_bits')}",
            _measure(s["interval_cycles"], slowest, "" if s["interval_cycles"] == slowest else "green"),
            *(_measure(s["estimated"][key], most[key]) for key in RESOURCES),
        )
        for s in stages
    ]
    note = "All estimated. A bar compares a stage with the largest of its column; cycles of faster stages are green."
    return section("Stages", tag("p", note, class_="soft"), table(head, rows))


def _each(streams: Sequence[Values], key: str) -> str:
    return ", ".join(str(s[key]) for s in streams)


def _measure(value: float, most: float, kind: str = "") -> Html:
    return join((f"{value:,.10g}", bar(value / most, kind=kind))) if value else Html("0")


def _quantization(q: Values | None) -> Html:
    """What a float network's quantization cost, layer by layer, the worst first; nothing where it came quantized."""
    if q is None:
        return Html("")
    worst = sorted(q["layers"], key=lambda r: -r["noise_share"])
    rows = [
        (r["layer"], r["weights"], r["activations"], number(f"{r['sqnr_db']:.1f}"), _share(r["noise_share"]))
        for r in worst
    ]
    rows.append(("(the network's inputs)", "", "", number(""), _share(q["input_share"])))
    steps = ", ".join(q["steps"]) or "none"
    outputs = ", ".join(f"{name} {db:.1f} dB" for name, db in q["outputs"].items())
    return section(
        "Quantization",
        *([tag("p", f"{accuracy_compared(q['accuracy'])}.")] if "accuracy" in q else []),
        *(tag("p", f"Note: {w}") for w in warnings_of(q)),
        tag("p", f"Precision {q['precision']}, ranges by {q['observer']}, steps: {steps}; on {calibrated_on(q)}. "
            f"Signal to quantization noise of the outputs: {outputs}.", class_="soft"),
        tag("p", "The share of a layer is that of the outputs' error when it alone is quantized.", class_="soft"),
        table(("layer", "weights", "activations", "SQNR, dB", "share of the outputs' error"), rows),
    )  # fmt: skip


def _share(share: float) -> Html:
    return join((f"{share:.1%}", bar(share)))


def _confusion(scored: Values | None) -> Html:
    """Labels down, answers across; Html of nothing where no labels were given."""
    if scored is None:
        return Html("")
    counts = scored["confusion"]
    rows = [
        (tag("td", tag("strong", str(label))), *(_count(n, sum(row), label == k) for k, n in enumerate(row)))
        for label, row in enumerate(counts)
    ]
    text = (
        f"{scored['accuracy']:.2%} of {scored['samples']:,} samples right ({scored['source']}, labels "
        f"{scored['labels']}). A row is a true class, a column the answer."
    )
    matrix = table(["", *map(str, range(len(counts)))], rows, class_="confusion")
    return section("Confusion", tag("p", text, class_="soft"), matrix)


def _count(n: int, total: int, right: bool) -> Html:
    """A cell as strong as its share of the row."""
    strength = 0.12 + 0.55 * n / total if n else 0.0
    color = "60,160,110" if right else "200,70,60"
    return tag("td", str(n) if n else "·", style=f"background:rgba({color},{strength:.2f})")


def _streams(m: Values) -> Html:
    """Ports of the accelerator, and the streams between its stages."""
    rtl = m["rtl"]
    ports = [
        (direction, tag("code", p["port"]), p["name"], _shape(p), *map(str, (p["port_bits"], p["lanes"], p["beats"])))
        for direction in ("inputs", "outputs")
        for p in rtl[direction]
    ]
    head = ("", "port", "tensor", "shape", "tdata bits", "lanes", "beats a frame")
    edges = [
        (str(e["index"]), e["source"], e["target"], *map(str, (e["data_bits"], e["lanes"], e["beats"], e["depth"])))
        for e in rtl["edges"]
    ]
    inner = table(("edge", "from", "to", "bits a beat", "lanes", "beats a frame", "FIFO depth"), edges)
    clock = f"Verilog module {rtl['top']} in {', '.join(rtl['files'])}; clock {rtl['clock']}, reset {rtl['reset']}."
    about = tag("p", clock, class_="soft")
    return section("Streams", about, table(head, ports), folded(f"{len(edges)} streams between the stages", inner))


def _shape(stream: Values) -> str:
    return f"{'×'.join(map(str, stream['shape']))} of {stream['element_bits']} bits"


def _network(m: Values, network: str) -> Html:
    checks = [(c["name"], *(str(c[k]) for k in ("nodes", "samples", "ties"))) for c in m["passes"]]
    head = ("pass", "operators left", "samples compared, seeded", "of these at a rounding tie")
    return section(
        "Network",
        tag("p", "After each of these passes the network gave the same results as before it.", class_="soft"),
        table(head, checks),
        html_fusions(m["fusions"]),
        folded("Before fusion: the network as imported", _text("\n".join(m["graph"]["before"]))),
        folded("After fusion: host and accelerator", _text(network)),
        folded("The accelerator alone: integers only", _text("\n".join(m["graph"]["core"]))),
    )


def _text(text: str) -> Html:
    return tag("pre", text)
