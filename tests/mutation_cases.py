"""What becomes of a damaged model: refused in one line, or equal to onnx's reference evaluator."""

from __future__ import annotations

import signal
import sys
import traceback
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from boards import board_named
from codesign.errors import CheckFailed, UserError
from codesign.flow import Options, choose_folding
from codesign.graph import Graph
from codesign.importer import import_model
from codesign.passes import run_passes
from codesign.passes.check import near_ties
from codesign.passes.split import Model, split
from hw.lower import lower
from tests.mutation_reference import reference
from tests.mutations import mutant

SECONDS = 10  # of the processor's time: 3 are wanted, a busy machine whose cores share a unit takes twice as long
MEBIBYTES = 1024
SAMPLES = 4
REFUSED = "refused at import"  # one line
REAL = "runs as float, refused for hardware"  # equal, then one line
TOO_LARGE = "runs as float, does not fit the board"
COMPILED = "compiled"  # and equal
UNCHECKED = "runs, but the reference evaluator cannot"
FAILED = "FAILED"

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Outcome:
    """`kind`: one of the above; `ties`: samples that differ where a value lies at a rounding tie."""

    seed: int
    kind: str
    detail: str = ""
    ties: int = 0
    mebibytes: int = 0


class TooLong(BaseException):
    """Not an Exception, so that nothing takes it for a defect of the model."""


def outcome(seed: int, folder: Path) -> Outcome:
    """Write the mutant into a folder with other files in and around it, and try it."""
    path = lay_out(seed, folder)
    signal.signal(signal.SIGPROF, _too_long)
    _reset_peak()
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            kind, detail, ties = _tried(path)
    except TooLong:
        kind, detail, ties = FAILED, f"more than {SECONDS} s\n{traceback.format_exc(limit=-6)}", 0
    except BaseException:
        kind, detail, ties = FAILED, traceback.format_exc(limit=-6), 0
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    peak = _peak_mebibytes()
    if peak > MEBIBYTES:
        kind, detail = FAILED, f"{peak} MiB; {detail}"
    return Outcome(seed, kind, detail, ties, peak)


def lay_out(seed: int, folder: Path) -> Path:
    """The model's folder `case`, with data beside the model; secrets outside."""
    case = folder / "case"
    case.mkdir(exist_ok=True)
    for file in (case / "weights.bin", folder / "secret.bin"):
        file.write_bytes(bytes(range(1, 65)) * 8)
    if not (case / "link.bin").is_symlink():
        (case / "link.bin").symlink_to(folder / "secret.bin")
    path = case / "model.onnx"
    path.write_bytes(mutant(seed).data)
    return path


def _too_long(*_: object) -> None:
    raise TooLong


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _peak_mebibytes() -> int:
    line = next(s for s in Path("/proc/self/status").read_text().splitlines() if s.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def _tried(path: Path) -> tuple[str, str, int]:
    """The kind of outcome, a detail and the number of ties."""
    try:
        with only_files_in(path.parent):
            graph = import_model(path).graph
    except UserError as e:
        return REFUSED, one_line(e), 0
    feeds = samples_for(graph)
    found = graph.run(feeds)
    network, kind, detail = _compiled(graph)
    try:
        expected = _expected(path, graph, feeds)
    except Exception as e:
        return UNCHECKED, f"{type(e).__name__}: {e}; {kind} {detail}", 0
    ties = compare(graph, feeds, found, expected)
    if network is not None:
        ties += compare(graph, feeds, network.run(feeds), expected)
    return kind, detail, ties


def _compiled(graph: Graph) -> tuple[Model | None, str, str]:
    """All that `codesign compile` does before it writes RTL."""
    try:
        network = split(run_passes(graph)[0])
        plan, _ = choose_folding(network.core, board_named("pynq-z2"), Options())
        lower(network.core, plan.folding, plan.input_lanes)
    except UserError as e:
        return None, REAL, one_line(e)
    except CheckFailed as e:
        assert not str(e).startswith("pass '"), e
        return None, TOO_LARGE, one_line(e)
    return network, COMPILED, ""


def one_line(error: Exception) -> str:
    assert str(error).strip() and "\n" not in str(error), str(error)
    return str(error)


def samples_for(graph: Graph) -> Arrays:
    """Odd multiples of 1/1024: exact in the format that is taken for inputs without a quantizer; seldom ties."""
    rng = np.random.default_rng(5)
    draws = {i.name: rng.standard_normal((SAMPLES, *i.type.shape)) for i in graph.inputs}
    return {k: ((2 * np.rint(v * 512) + 1) / 1024).astype(np.float32) for k, v in draws.items()}


def _expected(path: Path, graph: Graph, feeds: Arrays) -> Arrays:
    """The reference's results, a sample at a time."""
    evaluator = reference(path, graph.outputs)
    infos = {i.name: i.type.tensor_type for i in onnx.load(path, load_external_data=False).graph.input}
    rows: dict[str, list[np.ndarray]] = {o: [] for o in graph.outputs}
    for n in range(SAMPLES):
        one = {k: _as_declared(v[n], infos[k]) for k, v in feeds.items()}
        for name, value in zip(graph.outputs, evaluator.run(list(graph.outputs), one), strict=True):
            rows[name].append(np.asarray(value).reshape(graph.types[name].shape))
    return {k: np.stack(v) for k, v in rows.items()}


def _as_declared(sample: np.ndarray, declared: Any) -> np.ndarray:
    """One sample, with the sample axis where the model has one, in the model's type."""
    kind = onnx.helper.tensor_dtype_to_np_dtype(declared.elem_type)
    value = sample.astype(np.float64 if kind.kind not in "iu" else kind)
    return value[None] if len(declared.shape.dim) > sample.ndim else value


def compare(graph: Graph, feeds: Arrays, found: Mapping[str, np.ndarray], expected: Arrays) -> int:
    """AssertionError where results differ other than at ties; the number of samples at ties."""
    near, differing = np.zeros(SAMPLES, dtype=bool), np.zeros(SAMPLES, dtype=bool)
    for name, wanted in expected.items():
        a, b = (v.astype(np.float64).reshape(SAMPLES, -1) for v in (found[name], wanted))
        size = np.abs(b[np.isfinite(b)]).max(initial=1e-3)
        differing |= ~np.isclose(a, b, rtol=1e-5, atol=1e-5 * size, equal_nan=True).all(axis=1)
    if differing.any():
        near = near_ties(graph, feeds)
    wrong = np.flatnonzero(differing & ~near)
    assert not wrong.size, f"sample {wrong[0]}: {[(found[k][wrong[0]], expected[k][wrong[0]]) for k in expected]}"
    return int(differing.sum())


class only_files_in:
    """A context in which opening a file elsewhere raises; Python's own modules aside."""

    folder: Path | None = None
    hooked = False

    def __init__(self, folder: Path) -> None:
        self.to = folder

    def __enter__(self) -> None:
        if not only_files_in.hooked:
            sys.addaudithook(_watch)
            only_files_in.hooked = True
        only_files_in.folder = self.to.resolve()

    def __exit__(self, *_: object) -> None:
        only_files_in.folder = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    folder = only_files_in.folder
    if event != "open" or folder is None or not isinstance(arguments[0], (str, bytes, Path)):
        return
    file = Path(arguments[0].decode() if isinstance(arguments[0], bytes) else arguments[0]).resolve()
    if folder not in file.parents and file.suffix not in (".py", ".pyc", ".so"):
        only_files_in.folder = None  # what follows belongs to the report
        raise AssertionError(f"opened {file}")
