"""Damaged ONNX files end in one line, or compile and equal onnx's reference evaluator; in time, in memory."""

from __future__ import annotations

import multiprocessing
import os
import resource
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from codesign import cli
from codesign.errors import UserError
from codesign.importer import import_model
from tests.mutation_bases import BASES
from tests.mutation_cases import (
    COMPILED,
    FAILED,
    MEBIBYTES,
    SECONDS,
    UNCHECKED,
    Outcome,
    compare,
    lay_out,
    only_files_in,
    outcome,
    samples_for,
)
from tests.mutation_graphs import PLACES
from tests.mutations import mutant
from tests.onnx_models import saved
from tests.onnx_refusals import external

CHUNK, FAST, ALL = 50, 300, 10_000

PROGRESS = tuple(f"codesign: {verb} " for verb in ("importing", "fusing", "choosing", "generating", "writing"))


class Worker:
    """A process that tries one mutant after the other; killed and replaced where it hangs or dies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, self.folder), daemon=True)
        self.process.start()

    def outcome(self, seed: int) -> Outcome:
        self.connection.send(seed)
        try:
            if self.connection.poll(60 + SECONDS):  # the first answer waits for the imports
                return self.connection.recv()
        except (EOFError, OSError):
            pass
        self.stop()
        self._start()
        return Outcome(seed, FAILED, "the process hung or died")

    def stop(self) -> None:
        self.process.kill()
        self.process.join()


def _serve(connection: Connection, folder: Path) -> None:
    """Answer seeds with outcomes; an allocation far beyond the limit raises instead of filling the machine."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    most = size + 2 * (MEBIBYTES << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    while True:
        connection.send(outcome(connection.recv(), folder))


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENBLAS_NUM_THREADS", "1")
        found = Worker(tmp_path_factory.mktemp("mutants"))
    yield found
    found.stop()


def _try(worker: Worker, first: int) -> None:
    outcomes = [worker.outcome(seed) for seed in range(first, first + CHUNK)]
    bad = [f"seed {o.seed} ({mutant(o.seed).story}): {o.kind}: {o.detail}" for o in outcomes if o.kind == FAILED]
    bad += [f"seed {o.seed} ({mutant(o.seed).story}): {o.kind}: {o.detail}" for o in outcomes if o.kind == UNCHECKED]
    assert not bad, "\n".join(bad)
    counts = Counter(o.kind for o in outcomes)
    assert counts[COMPILED] and len(counts) > 1, counts  # else the mutations are too mild or too harsh


@pytest.mark.parametrize("first", range(0, FAST, CHUNK))
def test_mutants(worker: Worker, first: int) -> None:
    _try(worker, first)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(FAST, ALL, CHUNK))
def test_more_mutants(worker: Worker, first: int) -> None:
    _try(worker, first)


@pytest.mark.parametrize("base", BASES)
def test_undamaged_models_compile_or_run(base, tmp_path: Path) -> None:
    """What the mutations start from is whole, so that the refusals are the mutations' doing."""
    graph = import_model(saved(base(), tmp_path)).graph
    assert all(np.isfinite(v).all() for v in graph.run(samples_for(graph)).values())


def test_mutants_are_the_same_every_time() -> None:
    assert [mutant(s) for s in range(30)] == [mutant(s) for s in range(30)]
    assert len({mutant(s).data for s in range(100)}) > 80


@pytest.mark.parametrize("seed", range(16))
def test_command_line(seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = lay_out(seed, tmp_path)
    status = cli.main(["compile", str(path), "-o", str(tmp_path / "build")])
    lines = capsys.readouterr().err.splitlines()
    refusals = [line for line in lines if not line.startswith(PROGRESS)]
    assert status in (0, 2)
    assert len(refusals) == (status == 2)
    assert (tmp_path / "build").exists() == (status == 0)


@pytest.mark.parametrize("place", PLACES)
def test_files_outside_of_the_models_folder_are_never_read(place: str, tmp_path: Path) -> None:
    path = lay_out(0, tmp_path)
    path.write_bytes(external(place).SerializeToString())
    with only_files_in(path.parent):
        try:
            import_model(path)
        except UserError as e:
            assert "'w'" in str(e)


def test_the_watch_sees_a_file_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "case").mkdir()
    (tmp_path / "secret.bin").write_bytes(b"1")
    with pytest.raises(AssertionError, match="secret"), only_files_in(tmp_path / "case"):
        (tmp_path / "case" / ".." / "secret.bin").read_bytes()


def test_a_wrong_result_is_seen(tmp_path: Path) -> None:
    graph = import_model(saved(BASES[2](), tmp_path)).graph
    feeds = samples_for(graph)
    found = graph.run(feeds)
    assert compare(graph, feeds, found, found) == 0
    with pytest.raises(AssertionError, match="sample"):
        compare(graph, feeds, {k: v + 0.25 for k, v in found.items()}, found)
