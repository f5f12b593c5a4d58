"""The whole path, top to bottom: model -> graph -> integers -> pipeline -> RTL -> words that are equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from boards import board_named
from boards.board import Board
from codesign import __version__, arrays, serialize
from codesign.accuracy import accuracy_of
from codesign.build import (
    SCHEMA,
    check_replaceable,
    damage_told,
    read_manifest,
    record,
    report_of,
    write_json,
    write_whole,
)
from codesign.calibration import quantize_model
from codesign.chunks import run_chunked
from codesign.cost import Target, limited
from codesign.describe import describe_network
from codesign.diff import Networks, Stream, compare
from codesign.diff_result import Sources, describe
from codesign.errors import CheckFailed
from codesign.fusion import Fusion, Journal, switched_off
from codesign.graph import Graph
from codesign.host import describe_host
from codesign.importer import FUSIONS as IMPORT_FUSIONS
from codesign.importer import import_model
from codesign.inspect import inspect_model
from codesign.options import Options
from codesign.passes import PASSES, run_passes
from codesign.passes.check import near_ties
from codesign.passes.inputs import quantize_inputs
from codesign.passes.split import Model, host_layers, split
from codesign.quantize.regions import Price
from codesign.savings import described, notes_of, savings, worth_measuring
from codesign.scoring import read_scoring, score
from codesign.show_fusions import why
from codesign.unrounded import float_network
from hw.axi.describe import with_system
from hw.compare import Compare
from hw.cost import cost_of
from hw.describe import describe_limits, describe_plan, describe_rtl, describe_stages, planned
from hw.design import Design
from hw.estimate import estimates
from hw.fold import Plan
from hw.fuse import FUSIONS as STAGE_FUSIONS
from hw.pipeline import Pipeline
from hw.plan import plan_fastest, plan_for_interval, plan_modest
from hw.style import Style
from hw.synth import synthesized
from sim.check import simulate
from sim.cocotb_run import copy_bench
from sim.edges import frames_within, record_edges, why_not
from sim.vectors import write_vectors

FUSIONS: tuple[Fusion, ...] = (*IMPORT_FUSIONS, *PASSES, *STAGE_FUSIONS)
Progress = Callable[[str], None]


def inspect(model: Path, off: Sequence[str], with_savings: bool, layer: str | None) -> dict[str, Any]:
    """A model before and after fusion; what each fusion saves on the default board; what they say of a layer."""
    options, names_off = Options(no_fuse=tuple(off)), switched_off(off, FUSIONS)
    board = board_named(options.board)
    compare = Compare(board.budget, None, names_off)
    found, saved = inspect_model(model, names_off, compare), {}
    notes = found.fused
    if found.core is not None and (with_savings or layer is not None):
        plan, pipeline = choose_folding(found.core, board, options)
        notes = {**notes, **{f.name: f.notes for f in pipeline.fused}}
        if with_savings:
            design = Design.beside(board.budget, plan, pipeline)
            saved = savings(found.source, worth_measuring(FUSIONS, names_off, notes), names_off, compare, design)
    told = described(FUSIONS, names_off, notes, saved)
    layers = [x.name for x in (*found.before, *found.after)]
    asked = {"why": why(layer, told, layers)} if layer is not None else {}
    return {**found.to_dict(), "fusions": told, **asked}


def compile_model(model: Path, build: Path, options: Options, progress: Progress) -> dict[str, Any]:
    """The build folder of a model; its manifest."""
    board, off = board_named(options.board), switched_off(options.no_fuse, FUSIONS)
    target = target_of(board, options)
    check_replaceable(build)
    progress(f"importing {model.name}")
    imported = import_model(model)
    scoring = read_scoring(options.quantization, imported.graph)
    compare = Compare(target.budget, target.interval_cycles, off)
    price = Price(partial(cost_of, off=off), target, off, compare)
    source, real, quantization = quantize_model(imported.graph, options.quantization, price, progress)
    progress("fusing to integers, with a check after every pass")
    graph, checks = run_passes(source, off, compare)
    network, results = split(graph), {}
    if scoring is not None:
        progress(f"scoring {len(scoring.labels)} samples")
        quantization["accuracy"], results["accuracy"] = score(imported.graph, network, scoring)
    progress("choosing the parallelism")
    plan, pipeline = choose_folding(network.core, board, options)
    notes, saved = {**notes_of(imported.fused, checks), **{f.name: f.notes for f in pipeline.fused}}, {}
    if options.savings:
        progress("laying the network out without each fusion")
        names = worth_measuring(FUSIONS, off, notes)
        saved = savings(source, names, off, compare, Design.beside(target.budget, plan, pipeline))
    progress(f"generating the RTL of {len(pipeline.stages)} stages")
    shown = describe_network(source, network)
    host = describe_host(network)
    texts, system = with_system(pipeline, {"core": shown["core"], "host": host})
    manifest = {
        "schema": SCHEMA,
        "tool": {"name": "codesign", "version": __version__},
        "model": {"file": model.name, "sha256": imported.model_hash, "notes": [*imported.notes, *host_layers(network)]},
        "board": {**board.describe(), "budget": asdict(target.budget)},
        **shown,
        **({"quantization": quantization} if quantization else {}),
        "passes": [c.to_dict() for c in checks],
        "no_fuse": sorted(off),
        "fusions": described(FUSIONS, off, notes, saved),
        "rtl": describe_rtl(pipeline),
        "system": {**system, "host": host},
        "stages": describe_stages(pipeline),
        **describe_plan(plan),
        "estimated": {**estimates(pipeline, options.clock_mhz), **describe_limits(plan)},
        "results": results,
    }
    progress("writing the build folder")
    stored = {"source": source, "model": network, **({"float": real} if real else {})}
    write_whole(build, lambda folder: _fill(folder, stored, network, pipeline, texts, manifest))
    return manifest


def target_of(board: Board, options: Options) -> Target:
    """The board at the clock, rate and budget that the user asked for."""
    clock_hz = options.clock_mhz * 1e6
    rate = None if isinstance(options.target_fps, str) else options.target_fps
    if rate is not None and rate > clock_hz:
        raise CheckFailed(f"{rate} frames a second: one frame a cycle is the most, {clock_hz:.0f}")
    target = board.target(clock_hz, rate)
    return replace(target, budget=limited(target.budget, options.budget)) if options.budget else target


def choose_folding(core: Graph, board: Board, options: Options) -> tuple[Plan, Pipeline]:
    """The plan for the rate that the user asked for; CheckFailed says what binds where there is none."""
    target, off, style = target_of(board, options), switched_off(options.no_fuse, FUSIONS), Style.of(options)
    if target.interval_cycles is not None:
        return plan_for_interval(core, target.budget, target.interval_cycles, off, style)
    plan = plan_fastest if options.target_fps == "max" or options.budget is not None else plan_modest
    return plan(core, target.budget, off, style)


def _fill(
    folder: Path, stored: Mapping[str, Graph | Model], network: Model, pipeline: Pipeline, texts: Mapping[str, str],
    manifest: dict[str, Any],
) -> None:  # fmt: skip
    """Every file of a build folder."""
    for name in ("rtl", "sim", "vectors"):
        (folder / name).mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "model.txt").write_text(f"{network.before}\n{network.core}\n{network.after}")
    for name, graph in stored.items():
        serialize.save(graph, folder / f"{name}.npz")
    write_vectors(folder / "vectors", pipeline)
    copy_bench(folder)
    if "mixed" in manifest.get("quantization", {}):
        (folder / "precision.yaml").write_text("\n".join(manifest["quantization"]["mixed"]["file"]) + "\n")
    write_json(folder / "manifest.json", manifest)
    write_json(folder / "report.json", report_of(manifest))


@dataclass(frozen=True)
class Build:
    """An opened build folder."""

    path: Path
    manifest: Mapping[str, Any]
    network: Model

    @classmethod
    def open(cls, path: Path) -> Build:
        return cls(path, read_manifest(path), serialize.load(path / "model.npz"))

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline that the RTL was made from."""
        return planned(self.network.core, self.manifest)

    def read(self, inputs: Path) -> tuple[dict[str, np.ndarray], list[str]]:
        """Samples by input name, and warnings about them."""
        feeds = arrays.read_inputs(inputs, self.network.before.inputs)
        return feeds, arrays.check_range(self.network.before, self.manifest["assumed_inputs"], feeds)


def run_build(
    build: Build, inputs: Path, outputs: Path, labels: Path | None = None, ties: bool = False
) -> dict[str, Any]:
    """The bit-exact integer emulator on a sample file.

    With labels, its accuracy goes into the report; with ties, lists the samples in which a value before rounding
    lies so close to a tie that a float32 executor of the model may round it the other way.
    """
    feeds, warnings = build.read(inputs)
    results = build.network.run(feeds)
    arrays.write_outputs(outputs, results, build.network.after.types)
    summary: dict[str, Any] = {
        "samples": len(next(iter(feeds.values()))),
        "outputs": list(results),
        "warnings": warnings,
    }
    if ties:
        near = near_ties(serialize.load(build.path / "source.npz"), feeds)
        summary["ties"] = np.flatnonzero(near).tolist()
    if labels is not None:
        scored = accuracy_of(next(iter(results.values())), arrays.read_labels(labels, summary["samples"]))
        files = {"inputs": inputs.name, "labels": labels.name}
        record(build.path, "accuracy", {"source": "integer emulator", **files, **scored})
        summary["accuracy"] = scored["accuracy"]
    return summary


def simulate_build(
    build: Build, inputs: Path, outputs: Path | None, engine: str, stall_seed: int | None, waves: Path | None,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:  # fmt: skip
    """The generated RTL on a sample file: CheckFailed names where it first differs from the integer emulator."""
    feeds, warnings = build.read(inputs)
    network = build.network
    before = run_chunked(network.to_core, feeds, network.before.widest)
    integers = {i.name: before[i.name] for i in network.core.inputs}
    golden = run_chunked(network.core.run, integers, network.core.widest)
    with damage_told(build.path):
        shown = simulate(build.path, build.pipeline, before, golden, engine, stall_seed, waves, progress)
    if outputs is not None:
        results = build.network.from_core({**before, **shown.outputs})
        arrays.write_outputs(outputs, results, build.network.after.types)
    result = {
        "source": f"simulated ({engine}), every output word compared with the integer emulator",
        **shown.described(build.manifest["estimated"]["clock_mhz"]),
        "stall_seed": stall_seed,
    }
    record(build.path, "simulated", result)
    return {**result, "warnings": warnings}


def diff_build(build: Build, inputs: Path, with_rtl: bool, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Float, quantized, integer and RTL tensor by tensor; `failed` names the first that diverges."""
    feeds, warnings = build.read(inputs)
    stored = serialize.load(build.path / "float.npz") if (build.path / "float.npz").exists() else None
    quantized = quantize_inputs(serialize.load(build.path / "source.npz"), Journal())
    real, meaning = float_network(quantized, stored)
    networks = Networks(real, quantized, build.network)
    missing = why_not() if with_rtl else "switched off by --no-rtl"
    streams, stalled = ([], "") if missing else _recorded(build, feeds, progress)
    rows, ties = compare(networks, feeds, streams)
    recorded = len(streams[0].got) if streams else 0
    sources = Sources(meaning, len(next(iter(feeds.values()))), recorded, missing or stalled)
    result = describe(networks, rows, ties, sources, stalled)
    record(build.path, "diff", result)
    return {**result, "warnings": warnings}


def _recorded(
    build: Build, feeds: Mapping[str, np.ndarray], progress: Callable[[int, int], None]
) -> tuple[list[Stream], str]:
    """All edges of the RTL on as many samples as are quickly simulated; or why the design does not get that far."""
    pipeline, samples = build.pipeline, len(next(iter(feeds.values())))
    count = frames_within(pipeline, build.manifest["estimated"]["interval_cycles"], samples)
    before = build.network.to_core({k: v[:count] for k, v in feeds.items()})
    outputs = build.network.core.run({i.name: before[i.name] for i in build.network.core.inputs})
    try:
        with damage_told(build.path):
            return record_edges(build.path, pipeline, before, outputs, progress), ""
    except CheckFailed as e:
        return [], str(e)


def synthesize_build(build: Build) -> dict[str, Any]:
    """Utilisation by Yosys beside the estimate, and what its netlist says of the clock."""
    rtl = build.manifest["rtl"]
    file = build.path / rtl["files"][0]
    with damage_told(build.path):
        result = synthesized(file, rtl["top"], build.manifest["estimated"]["clock_mhz"])
    record(build.path, "synthesized", result)
    return {**result, "estimated": {k: build.manifest["estimated"][k] for k in ("lut", "ff", "dsp", "bram36")}}
