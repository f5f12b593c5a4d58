"""The HLS path: integer network -> hls4ml project -> g++ -> words that are equal; and a vendor's report read back."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from codesign.build import record, write_json, write_whole
from codesign.chunks import run_chunked
from codesign.errors import UserError
from codesign.flow import Build, Progress
from codesign.graph import Graph
from codesign.ops.conv import Conv
from codesign.ops.pool import MaxPool, SumPool
from hw.hls import check, emulation
from hw.hls.csynth import find_report, read_report
from hw.hls.lower import lower
from hw.hls.project import (
    Device,
    check_backend,
    convert,
    digest,
    layer_table,
    require_hls4ml,
    write,
    write_test_data,
)
from hw.hls.spec import TOP, HlsNetwork

NOTE = "codesign.json"  # in an HLS project: which build it was made from
TEST_FRAMES = 16  # golden frames for the project's own test bench
SEEDED = {True: 100, False: 1000}  # samples without --inputs, by whether the network slides windows over images


@dataclass(frozen=True)
class HlsOptions:
    """`backend`: vitis, vivado, catapult or quartus; `io`: parallel, stream, or "" for what suits the network."""

    backend: str = "vitis"
    io: str = ""
    emulate: bool = False


def hls_build(
    build: Build, project: Path | None, inputs: Path | None, options: HlsOptions, progress: Progress
) -> dict[str, Any]:
    """An HLS project of a build (where `project` names a folder that does not exist), its emulation compared."""
    _check_wishes(project, options)
    core, manifest = build.network.core, build.manifest
    io = options.io or ("stream" if _has_windows(core) else "parallel")
    progress("laying the integer network out for hls4ml")
    network = lower(core, f"io_{io}", manifest["estimated"]["interval_cycles"])
    check_backend(options.backend, network)
    words, origin, warnings = _samples(build, inputs)
    part = manifest["board"]["part"] if options.backend != "quartus" else None  # which knows no Zynq
    device = Device(part, manifest["estimated"]["clock_mhz"])
    result: dict[str, Any] = {
        "source": f"hls4ml {version('hls4ml')}, {options.backend}, io_{io}",
        "backend": options.backend,
        "io": f"io_{io}",
        "top": TOP,
        "part": device.part,
        "clock_mhz": device.clock_mhz,
        "layers": layer_table(network),
    }

    def fill(folder: Path) -> None:
        write(convert(network, options.backend, device, folder), folder)
        some = {k: v[:TEST_FRAMES] for k, v in words.items()}
        golden = core.run(some)
        write_test_data(folder, [some[i.name] for i in core.inputs], [golden[o] for o in core.outputs])
        result["sources"] = digest(folder)
        write_json(folder / NOTE, {"model": manifest["model"], **{k: result[k] for k in ("source", "sources")}})
        if options.emulate:
            result.update(_emulated(core, network, folder, words, origin, progress))

    progress("writing the HLS project")
    if project is None:
        with tempfile.TemporaryDirectory() as folder:
            fill(Path(folder))
    else:
        write_whole(project, fill)
        result["project"] = str(project)
    _record(build, result)
    return {**result, "warnings": warnings}


def read_hls_report(build: Build, project: Path) -> dict[str, Any]:
    """The vendor's csynth.xml of a project of this build, added to the build's results."""
    report = find_report(project)
    note = _note(project)
    if note.get("model", {}).get("sha256") != build.manifest["model"]["sha256"]:
        raise UserError(f"{project} was made from another model than {build.path}")
    csynth = {**read_report(report), "file": str(report)}
    known = build.manifest["results"].get("hls", {})
    same = known if known.get("sources") == note.get("sources") else {}
    result = {**same, "source": note.get("source"), "sources": note.get("sources"), "csynth": csynth}
    record(build.path, "hls", result)
    return result


def _check_wishes(project: Path | None, options: HlsOptions) -> None:
    """UserError before anything is made: no folder to write, one that exists, a tool that is missing."""
    require_hls4ml()
    if project is None and not options.emulate:
        raise UserError("nothing to do: name a folder with -o PROJECT, or compare with --emulate")
    if project is not None and project.exists():
        raise UserError(f"{project} exists already; choose another folder with -o")
    if options.emulate:
        emulation.find_compiler()


def _has_windows(core: Graph) -> bool:
    return any(isinstance(n.op, (Conv, MaxPool, SumPool)) for n in core.nodes)


def _samples(build: Build, inputs: Path | None) -> tuple[Mapping[str, np.ndarray], str, list[str]]:
    """Integers for the core: of a sample file, or seeded; and what they are."""
    core = build.network.core
    if inputs is None:
        count = SEEDED[_has_windows(core)]
        return check.seeded_inputs(core, count), f"{count} seeded samples", []
    feeds, warnings = build.read(inputs)
    before = run_chunked(build.network.to_core, feeds, build.network.before.widest)
    return {i.name: before[i.name] for i in core.inputs}, inputs.name, warnings


def _emulated(
    core: Graph, network: HlsNetwork, folder: Path, words: Mapping[str, np.ndarray], origin: str, progress: Progress
) -> dict[str, Any]:
    progress("compiling the emulation with g++")
    built = emulation.build(network, folder)
    progress(f"comparing {origin}")
    compared = check.compare(core, built, words)
    emulated = {
        "source": "HLS C++ compiled with g++, every output word compared with the integer emulator",
        "inputs": origin,
        "samples": compared.samples,
        "words": compared.words,
        "mismatches": compared.mismatches,
    }
    return {"emulated": emulated, **({"failed": compared.failed} if compared.failed else {})}


def _record(build: Build, result: dict[str, Any]) -> None:
    """Into the manifest; a vendor's report stays while the C++ is the same."""
    known = build.manifest["results"].get("hls", {})
    kept = {k: known[k] for k in ("csynth",) if k in known and known.get("sources") == result["sources"]}
    record(build.path, "hls", {**kept, **result})


def _note(project: Path) -> dict[str, Any]:
    try:
        note = json.loads((project / NOTE).read_text())
    except (OSError, ValueError):
        raise UserError(f"{project / NOTE} is missing: {project} was not made by `codesign hls`") from None
    return note if isinstance(note, dict) else {}
