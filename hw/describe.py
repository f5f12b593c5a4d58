"""A pipeline as plain data for the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from codesign.graph import Graph
from hw.channels import Wide, widened
from hw.estimate import stage_interval
from hw.fold import Plan
from hw.fuse import fuse
from hw.layers import Folding
from hw.lower import lower
from hw.pipeline import Pipeline, counted
from hw.rtl import TOP, port_bits, port_prefixes
from hw.stream import StreamType

FIFO_RULE = (
    "every depth is the most beats that wait on the edge when frames come at the pace of the slowest stage, by the "
    "stages' schedules; branches that meet again then cannot deadlock. Drain all outputs at the same time"
)


def describe_rtl(pipeline: Pipeline) -> dict[str, Any]:
    """Top module, ports and internal edges, as `sim` and every other reader of the Verilog need them."""
    return {
        "top": TOP,
        "files": [f"rtl/{TOP}.v"],
        "clock": "aclk",
        "reset": "aresetn",
        "inputs": _ports(pipeline.inputs, "s"),
        "outputs": _ports(pipeline.outputs, "m"),
        "fifo_rule": FIFO_RULE,
        "edges": [
            {
                "index": k,
                "source": e.source or pipeline.inputs[e.source_port][0],
                "target": e.target or pipeline.outputs[e.target_port][0],
                "data_bits": pipeline.stream_from(e).beat_bits,
                "depth": e.depth,
                **_stream(pipeline.stream_from(e)),
            }
            for k, e in enumerate(pipeline.edges)
        ],
    }


def describe_stages(pipeline: Pipeline) -> list[dict[str, Any]]:
    """Name, kind, layers, streams and estimated cost of every stage."""
    return [
        {
            "name": p.name,
            "kind": getattr(p.stage, "kind", type(p.stage).__name__),
            "layers": list(p.layers),
            "parts": list(p.parts),
            "inputs": [_stream(s) for s in p.stage.inputs],
            "outputs": [_stream(s) for s in p.stage.outputs],
            "interval_cycles": stage_interval(p.stage),
            "estimated": {k: round(v, 1) for k, v in vars(counted(p.stage)).items()},
        }
        for p in pipeline.stages
    ]


def describe_plan(plan: Plan) -> dict[str, Any]:
    """What `planned` makes the pipeline of again."""
    return {
        "folding": {k: asdict(f) for k, f in plan.folding.items()},
        "input_lanes": dict(plan.input_lanes),
        "channels": {k: asdict(w) for k, w in plan.channels.items()},
    }


def planned(core: Graph, manifest: Mapping[str, Any]) -> Pipeline:
    """The pipeline that a manifest describes."""
    folding = {k: Folding(**f) for k, f in manifest["folding"].items()}
    wide = widened(core, {k: Wide(**w) for k, w in manifest["channels"].items()})
    apart = lower(wide, folding, manifest["input_lanes"])
    return fuse(apart, manifest["no_fuse"]).with_depths([e["depth"] for e in manifest["rtl"]["edges"]])


def describe_limits(plan: Plan) -> dict[str, Any]:
    """What keeps a plan from being faster: its slowest layer, and the resource that runs out first."""
    bound = {k: round(v, 1) if isinstance(v, float) else v for k, v in vars(plan.bound).items()} if plan.bound else None
    return {"bottleneck": plan.bottleneck, "bound": bound}


def _ports(streams: tuple[tuple[str, StreamType], ...], letter: str) -> list[dict[str, Any]]:
    prefixes = port_prefixes(letter, len(streams))
    return [
        {"name": name, "port": prefix, "port_bits": port_bits(s), **_stream(s)}
        for (name, s), prefix in zip(streams, prefixes, strict=True)
    ]


def _stream(s: StreamType) -> dict[str, Any]:
    return {
        "shape": list(s.shape),
        "beats": s.beats,
        "lanes": s.lanes,
        "element_bits": s.format.bits,
        "signed": s.format.signed,
        "binary": s.binary,
    }
