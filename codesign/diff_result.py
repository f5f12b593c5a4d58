"""What `codesign diff` found, as plain data: the rows, the layers that add most noise, the first that diverges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from codesign.compare import Exact, Place
from codesign.diff import Networks, Row
from codesign.graph import Dequantize
from codesign.ops.layout import Reshape, Transpose

WORST = 3
LEAST = 1e-12  # of the signal's power: float64 itself
SAME_ELEMENTS = (Dequantize, Reshape, Transpose)


@dataclass(frozen=True)
class Sources:
    """Where the columns come from: what the float network is, on how many samples; the RTL, or why there is none."""

    real: str
    samples: int
    rtl_samples: int
    rtl_missing: str


def describe(
    networks: Networks, rows: Sequence[Row], ties: Sequence[int], sources: Sources, stalled: str = ""
) -> dict[str, Any]:
    """The result for `--json`, the manifest and the tables; `failed` says in one line what diverges, "" if nothing."""
    worst = sorted((r for r in rows if _adds(r) > LEAST), key=lambda r: -_adds(r))[:WORST]
    first = _first(rows)
    return {
        "source": _origin(sources),
        "float": sources.real,
        "samples": sources.samples,
        "ties": list(ties),
        "rtl": {
            "samples": sources.rtl_samples,
            "edges": sum(r.rtl.edges for r in rows if r.rtl),
            "values": sum(r.rtl.exact.values for r in rows if r.rtl),
            "missing": sources.rtl_missing,
        },
        "worst": [r.tensor for r in worst],
        "rows": [_row(networks, r) for r in rows],
        "first": first,
        "failed": f"first divergence: {told(first)}" if first else stalled,
    }


def _adds(r: Row) -> float:
    return r.added.relative if r.added else 0.0


def _origin(sources: Sources) -> str:
    rtl = f"simulated (verilator) on {sources.rtl_samples}" if sources.rtl_samples else "not simulated"
    return f"float64 and integer emulator on {sources.samples} samples, RTL {rtl}"


def _row(networks: Networks, r: Row) -> dict[str, Any]:
    node = networks.quantized.by_name.get(r.tensor)
    moved = node is not None and isinstance(node.op, SAME_ELEMENTS) and r.tensor not in networks.quantized.outputs
    return {
        "tensor": r.tensor,
        "layer": r.layer,
        "type": str(r.type.format or "real"),
        "shape": list(r.type.shape),
        "same_elements": moved,
        "sqnr_db": round(r.noise.sqnr_db, 2) if r.noise else None,
        "own_sqnr_db": round(r.added.sqnr_db, 2) if r.added else None,
        "largest_error": {"error": r.noise.error, **_place(r.noise.largest)} if r.noise else None,
        "integers": r.integers,
        "integer": _exact(r.integer) if r.integer else None,
        "fused_into": r.fused_into,
        "rtl": {"edges": r.rtl.edges, **_exact(r.rtl.exact)} if r.rtl else None,
    }


def _place(p: Place) -> dict[str, Any]:
    return {"sample": p.sample, "index": list(p.index), "wanted": p.wanted, "got": p.got}


def _exact(e: Exact) -> dict[str, Any]:
    first = _place(e.first) if e.first else None
    return {"values": e.values, "differing": e.differing, "ties": e.ties, "first": first}


def _first(rows: Sequence[Row]) -> dict[str, Any] | None:
    """The first row where integer and quantized, or RTL and integer, differ."""
    for r in rows:
        about = {"tensor": r.tensor, "layer": r.layer}
        if r.integer and r.integer.first:
            return {**about, "between": ["quantized", "integer"], "edge": "", **_place(r.integer.first)}
        if r.rtl and r.rtl.exact.first:
            return {**about, "between": ["integer", "RTL"], "edge": r.rtl.edge, **_place(r.rtl.exact.first)}
    return None


def told(first: Mapping[str, Any]) -> str:
    """A first divergence in one line."""
    wanted, got = first["between"]
    layer = f" (layer '{first['layer']}')" if first["layer"] else ""
    edge = f", {first['edge']}" if first["edge"] else ""
    place = f"sample {first['sample']}, index ({', '.join(map(str, first['index']))})"
    values = f"is {first['got']:.9g} ({got}), should be {first['wanted']:.9g} ({wanted})"
    return f"tensor '{first['tensor']}'{layer}{edge}: {place} {values}"
