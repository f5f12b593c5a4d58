"""The report page: well formed, self-contained, harmless whatever the names are, complete or honest about gaps."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from codesign import __version__
from codesign.build import SCHEMA
from codesign.errors import UserError
from codesign.report import report, write_report

VOID = ("meta", "br")
HOSTILE = "</pre><script>alert('x')</script>&\"<b>"


class Page(HTMLParser):
    """Collects what a browser would show; fails on a tag that does not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.shown = ""
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(v) for k, v in attrs if k in ("src", "href", "srcset") or k.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.shown += data


def stream(lanes: int) -> dict[str, Any]:
    return {"shape": [4, 4, 8], "beats": 16, "lanes": lanes, "element_bits": 4, "signed": False, "binary": False}


def manifest(**results: Any) -> dict[str, Any]:
    """What `codesign compile` writes, for a network of two stages."""
    counts = {"lut": 53_200, "ff": 106_400, "dsp": 220, "bram36": 140}
    cost = {"lut": 120.5, "ff": 80.0, "dsp": 2.0, "bram36": 0.5}
    port = {"name": "x", "port": "s_axis", "port_bits": 32, **stream(8)}
    edge = {"index": 0, "source": "x", "target": "conv1_matvec", "data_bits": 32, "depth": 2, **stream(8)}
    stage = {"kind": "MatVec", "inputs": [stream(8)], "outputs": [stream(2)], "estimated": cost}
    return {
        "schema": SCHEMA,
        "tool": {"name": "codesign", "version": __version__},
        "model": {"file": "net.onnx", "sha256": "ab" * 32, "notes": ["the sample axis became 1"]},
        "board": {
            "name": "pynq-z2", "title": "PYNQ-Z2", "part": "xc7z020clg400-1", "device": counts,
            "limits": {"lut": 0.7, "ff": 0.6, "bram36": 0.9, "dsp": 0.95}, "budget": counts,
        },
        "assumed_inputs": ["x"],
        "folding": {},
        "input_lanes": {},
        "channels": {"conv1": {"blocks": 1, "of": 32, "channels": 36}, "pool": {"blocks": 4, "of": 32, "channels": 36}},
        "graph": {"before": ["input  x: real[1, 4, 4]"], "core": ["input  x: uint4[4, 4, 1]"]},
        "no_fuse": [],
        "passes": [{"name": "sink", "samples": 16, "ties": 1, "nodes": 9}],
        "fusions": [
            {"name": "sink", "text": "pools move", "notes": [{"layers": ["pool"], "applied": True, "text": "moved"}],
             "saved": {"rate_lost": "no folding"}},
        ],
        "rtl": {
            "top": "accelerator", "files": ["rtl/accelerator.v"], "clock": "aclk", "reset": "aresetn",
            "inputs": [port], "outputs": [port | {"port": "m_axis"}], "edges": [edge],
        },
        "stages": [
            {"name": "conv1_matvec", "layers": ["conv1"], "interval_cycles": 64, **stage},
            {"name": "width", "layers": [], "interval_cycles": 16, **stage},
        ],
        "estimated": {
            "source": "estimated by the stages' cost formulas and schedules", **cost, "latency_cycles": 1983,
            "interval_cycles": 64, "clock_mhz": 100.0, "latency_us": 19.83, "fabric_fps": 1_562_500.0,
            "bottleneck": "conv1",
        },
        "results": results,
    }  # fmt: skip


ACCURACY = {
    "source": "integer emulator", "labels": "labels.npy", "samples": 40, "accuracy": 0.925,
    "confusion": [[19, 1], [2, 18]],
}  # fmt: skip
SIMULATED = {
    "source": "simulated (verilator), every output word compared", "samples": 1000, "words": 4321, "mismatches": 0,
    "cycles": 9, "latency_cycles": 2079, "interval_cycles": 70, "clock_mhz": 100.0, "latency_us": 20.79,
    "fabric_fps": 1_428_571.4, "stall_seed": 5,
}  # fmt: skip
SYNTHESIZED = {
    "source": "synthesized (Yosys)", "lut": 50_000, "lut_paired": 48_690, "ff": 633, "dsp": 0, "bram36": 2.0,
    "carry4": 60,
}  # fmt: skip


PATH = {
    "stages": ["conv1", "conv1"], "start": "conv1.x[3]", "end": "conv1.y[7]", "ns": 4.321, "logic_ns": 1.2,
    "wire_ns": 3.121, "luts": 3, "levels": 4, "carry_bits": 12, "cells": [],
}  # fmt: skip
TIMING = {
    "source": "static timing", "fmax_mhz": [111.1, 231.4], "worst": PATH, "deepest": PATH, "holds": False, "ends": 1234,
    "rule": {"clock_mhz": 100, "levels": 4, "carry_bits": 32, "slow": 2, "readers": 64}, "outside": 5, "paths": [],
    "wide": 2, "nets": [], "luts": 900,
}  # fmt: skip


def test_static_timing_stands_in_the_synthesized_column() -> None:
    shown = Page(report(manifest(synthesized={**SYNTHESIZED, "timing": TIMING}), "the fused graph")).shown
    for text in ("111 to 231 MHz", "4.32 ns: logic 1.20, wires 3.12; 3 LUTs, carry chain of 12 bits", "conv1.y[7]"):
        assert text in shown
    assert "outside 4 levels, carry chains of 32 bits, 64 readers a net: 5 of 1,234 ends of paths, 2 nets" in shown
    assert "Pipeline rule" not in Page(report(manifest(synthesized=SYNTHESIZED), "the fused graph")).shown


PLACED = {"source": "placed and routed (nextpnr)", "fmax_mhz": 123.4, "lut": 3_456, "ff": 2, "dsp": 3, "bram36": 4.5}
DEPLOYED = {"source": "deployed: the board's DMA", "words": 77_777, "mismatches": 0}


def test_the_chip_and_the_board_stand_beside_the_rest_where_they_are_known() -> None:
    shown = Page(report(manifest(placed=PLACED, deployed=DEPLOYED), "the fused graph")).shown
    for text in ("123.4 MHz", "3,456", "placed", "nextpnr", "deployed", "77,777"):
        assert text in shown
    assert "placed" not in Page(report(manifest(), "the fused graph")).shown


def test_a_complete_page_shows_every_number_with_its_origin() -> None:
    page = Page(report(manifest(accuracy=ACCURACY, simulated=SIMULATED, synthesized=SYNTHESIZED), "the fused graph"))
    for text in ("92.50%", "1,983 cycles", "2,079 cycles", "20.79 µs", "50,000", "48,690", "4,321", "stall seed 5"):
        assert text in page.shown
    for text in ("estimated", "simulated", "synthesized", "PYNQ-Z2", "100 MHz", __version__, "ab" * 32):
        assert text in page.shown
    for text in (
        "conv1_matvec",
        "8\u00a0→\u00a02",
        "s_axis",
        "sink",
        "the fused graph",
        "real[1, 4, 4]",
        "became 1",
        "'x'",
    ):
        assert text in page.shown
    assert "not yet" not in page.shown


def test_missing_results_say_how_to_get_them() -> None:
    page = Page(report(manifest(), ""))
    for command in ("codesign simulate BUILD", "codesign synth BUILD", "--labels"):
        assert command in page.shown
    assert "Confusion" not in page.shown


def test_one_simulated_frame_has_a_latency_but_no_rate() -> None:
    single = {k: v for k, v in SIMULATED.items() if k not in ("interval_cycles", "fabric_fps", "latency_us")}
    page = Page(report(manifest(simulated=single), ""))
    assert "2,079 cycles" in page.shown and "1,562,500" in page.shown


def test_confusion_matrix() -> None:
    text = report(manifest(accuracy=ACCURACY), "")
    assert "Confusion" in Page(text).shown
    cells = text.split('class="confusion"')[1].split("</table>")[0]
    assert [n for n in (19, 1, 2, 18) if f">{n}</td>" in cells] == [19, 1, 2, 18]


def test_over_the_limit_is_red() -> None:
    over = report(manifest(synthesized=SYNTHESIZED), "").split("Use of the device")[1].split("Stages")[0]
    within = report(manifest(), "").split("Use of the device")[1].split("Stages")[0]
    assert 'class="red"' in over and 'class="red"' not in within


def hostile(value: Any) -> Any:
    """The same structure with every text hostile."""
    if isinstance(value, dict):
        return {k: hostile(v) for k, v in value.items()}
    if isinstance(value, list):
        return [hostile(v) for v in value]
    return value + HOSTILE if isinstance(value, str) else value


def test_hostile_names_stay_text() -> None:
    full = manifest(accuracy=ACCURACY, simulated=SIMULATED, synthesized=SYNTHESIZED)
    harmless, page = Page(report(full, "")), Page(report(hostile(full), HOSTILE))
    assert page.tags == harmless.tags and "script" not in page.tags
    assert "conv1_matvec" + HOSTILE in page.shown


def test_nothing_is_loaded_from_elsewhere() -> None:
    text = report(manifest(accuracy=ACCURACY), "")
    assert Page(text).links == []
    assert not {"script", "link", "img", "iframe"} & set(Page(text).tags)
    assert "url(" not in text and "@import" not in text and "http" not in text


def saved(folder: Path) -> Path:
    for name in ("rtl", "vectors"):
        (folder / name).mkdir()
    for name in ("rtl/accelerator.v", "model.npz", "model.txt"):
        (folder / name).write_text("kept text")
    (folder / "manifest.json").write_text(json.dumps(manifest()))
    return folder


def test_the_page_is_written_beside_the_manifest(tmp_path: Path) -> None:
    path = write_report(saved(tmp_path))
    assert path == tmp_path / "report.html" and "kept text" in path.read_text(encoding="utf-8")
    assert not list(tmp_path.glob(".*"))


def test_an_incomplete_build_is_named(tmp_path: Path) -> None:
    (saved(tmp_path) / "model.txt").unlink()
    with pytest.raises(UserError, match=r"model\.txt is missing"):
        write_report(tmp_path)
