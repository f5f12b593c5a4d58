"""What Vitis HLS or Vivado HLS say of a project after `csynth_design`: their csynth.xml."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from codesign.errors import UserError
from hw.hls.spec import TOP

RESOURCES = {"LUT": "lut", "FF": "ff", "DSP": "dsp", "DSP48E": "dsp", "BRAM_18K": "bram18", "URAM": "uram"}


def find_report(project: Path) -> Path:
    """The report of the top function, the newest where a project has several solutions."""
    if not project.is_dir():
        raise UserError(f"{project} is no folder; give the HLS project that `codesign hls BUILD -o PROJECT` wrote")
    names = (f"{TOP}_csynth.xml", "csynth.xml")
    found = [p for name in names for p in project.rglob(name) if p.parent.name == "report"]
    if not found:
        raise UserError(
            f"{project} holds no syn/report/{TOP}_csynth.xml; synthesize it first: "
            "vitis-run --tcl build_prj.tcl --mode hls (or vivado_hls -f build_prj.tcl)"
        )
    return max(found, key=lambda p: p.stat().st_mtime)


def read_report(path: Path) -> dict[str, Any]:
    """Latency and interval in cycles, clocks in ns, resources used; `source` names the tool and its version."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as e:
        raise UserError(f"{path} is not a csynth.xml of Vitis or Vivado HLS ({e})") from None
    top = _text(root, path, "UserAssignments/TopModelName")
    if top != TOP:
        raise UserError(f"{path} is the report of '{top}', not of '{TOP}'")
    timing, area = "PerformanceEstimates", "AreaEstimates"
    target = float(_text(root, path, "UserAssignments/TargetClockPeriod"))
    interval = _cycles(root, path, f"{timing}/SummaryOfOverallLatency/Interval-max")
    used = {RESOURCES[e.tag]: int(e.text or 0) for e in _node(root, path, f"{area}/Resources") if e.tag in RESOURCES}
    result = {
        "source": f"synthesized to RTL by {_tool(root, path)}; latency and resources are its estimates",
        "part": _text(root, path, "UserAssignments/Part"),
        "clock_mhz": round(1e3 / target, 6),
        "target_period_ns": target,
        "estimated_period_ns": float(_text(root, path, f"{timing}/SummaryOfTimingAnalysis/EstimatedClockPeriod")),
        "latency_cycles": _cycles(root, path, f"{timing}/SummaryOfOverallLatency/Worst-caseLatency"),
        "interval_cycles": interval,
        **used,
        "bram36": used.get("bram18", 0) / 2,
    }
    if interval:
        result["fabric_fps"] = 1e9 / target / interval
    return result


def _node(root: ElementTree.Element, path: Path, place: str) -> ElementTree.Element:
    node = root.find(place)
    if node is None:
        raise UserError(f"{path} has no {place}; is it a csynth.xml of Vitis or Vivado HLS?")
    return node


def _text(root: ElementTree.Element, path: Path, place: str) -> str:
    return (_node(root, path, place).text or "").strip()


def _cycles(root: ElementTree.Element, path: Path, place: str) -> int | None:
    """None where the tool could not tell ("undef": a loop without a bound)."""
    text = _text(root, path, place)
    return int(text) if text.isdigit() else None


def _tool(root: ElementTree.Element, path: Path) -> str:
    version = _text(root, path, "ReportVersion/Version")
    vivado = root.find("AreaEstimates/Resources/DSP48E") is not None
    return f"{'Vivado' if vivado else 'Vitis'} HLS {version}"
