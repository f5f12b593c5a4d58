"""The driver without a simulation: its batches, its packing, its rules, and its ways of failing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boards import driver, stopwatch
from boards.driver import Accelerator, DriverError
from boards.overlay import BASE_ADDRESS
from codesign.flow import Build
from codesign.formats import Binary, Format, Int
from hw.stream import StreamType, pack, unpack
from tests import models
from tests.driver_rig import GoldenBoard, compiled, expected, samples

SOURCE = Path(driver.__file__).read_text()


def test_one_file_for_python_3_8_with_numpy_and_pynq_alone() -> None:
    tree = ast.parse(SOURCE, feature_version=(3, 8))
    names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    assert not [
        n
        for n in ast.walk(tree)
        if isinstance(n, ast.ImportFrom) and n.module not in ("__future__", "functools", "typing")
    ]
    assert names - set(sys.stdlib_module_names) == {"numpy", "pynq"}
    newer = (ast.Match, ast.TryStar) if sys.version_info >= (3, 11) else (ast.Match,)
    assert not [n for n in ast.walk(tree) if isinstance(n, newer)]
    assert driver.BASE == BASE_ADDRESS
    ast.parse(Path(stopwatch.__file__).read_text(), feature_version=(3, 8))


def test_results_equal_run_in_batches(build: Build) -> None:
    board = GoldenBoard(build)
    x = samples(build, 130)
    (want,) = expected(build, x)
    with Accelerator(build.path / "manifest.json", board) as accelerator:
        for size in (1, 7, 64, 130):
            got = np.concatenate([accelerator.run(x[0][k : k + size]) for k in range(0, 130, size)])
            np.testing.assert_array_equal(got, want)
            assert got.dtype == want.dtype


def test_a_call_costs_two_register_accesses_and_no_buffer(build: Build) -> None:
    board = GoldenBoard(build)
    accelerator = Accelerator(build.path / "manifest.json", board)
    x = samples(build, 64)[0]
    accelerator.run(x)
    taken = board.next
    board.accesses.clear()
    accelerator.run(x)
    assert board.accesses == ["start", "status"] and board.next == taken


def test_what_is_no_input_is_refused(build: Build) -> None:
    accelerator = Accelerator(build.path / "manifest.json", GoldenBoard(build))
    x = samples(build, 3)[0]
    for wrong in (x[:, :1], x[0], x[:0]):
        with pytest.raises(DriverError, match=r"input 'x' must be \(samples, 2, 8, 8\)"):
            accelerator.run(wrong)
    with pytest.raises(DriverError, match="NaN"):
        accelerator.run(np.where(x == x[0, 0, 0, 0], np.nan, x))
    with pytest.raises(DriverError, match="beyond float32"):
        accelerator.run(x.astype(np.float64) * 1e300)


def test_another_build_is_refused(build: Build) -> None:
    board = GoldenBoard(build)
    board.registers["identity1"] ^= 1
    with pytest.raises(DriverError, match=r"of another build: its identity is .*load the bitstream that belongs to it"):
        Accelerator(build.path / "manifest.json", board)


def test_a_second_process_is_told_who_has_the_board(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    script = f"from boards.driver import _claim; f = _claim({str(lock)!r}); print('mine', flush=True); input()"
    other = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "mine\n"
    with pytest.raises(DriverError, match=f"in use by process {other.pid}; wait for it, or end it"):
        driver._claim(str(lock))
    other.kill()
    other.wait()
    driver._claim(str(lock)).close()


def test_values_outside_of_an_assumed_format_are_refused_as_run_does(tmp_path: Path) -> None:
    m = models.Model(1, 6)
    model = m.save(tmp_path / "open.onnx", m.add("MatMul", "x", m.weight(6, 4), name="fc"))
    build = compiled(model, tmp_path / "build")
    assert build.manifest["assumed_inputs"]
    accelerator = Accelerator(build.path / "manifest.json", GoldenBoard(build))
    x = samples(build, 5)
    np.testing.assert_array_equal(accelerator.run(*x), expected(build, x)[0])
    with pytest.raises(DriverError, match=r"input 'x' leaves its format: .*-32768..32767"):
        accelerator.run(x[0] * 1000)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_frames_are_packed_as_the_streams_are(data: st.DataObject) -> None:
    bits = data.draw(st.integers(1, 40))
    fmt: Format = data.draw(st.sampled_from([Int.of(bits, False), Int.of(bits, True), Binary()]))
    stream = StreamType((data.draw(st.integers(1, 4)), data.draw(st.integers(1, 6))), fmt)
    stream = stream.with_lanes(
        data.draw(st.sampled_from([n for n in range(1, stream.size + 1) if not stream.size % n]))
    )
    beat_bytes = -(-stream.beat_bits // 8)
    port = {
        "element_bits": fmt.bits, "lanes": stream.lanes, "binary": stream.binary, "shape": list(stream.shape),
        "frame_bytes": stream.beats * beat_bytes, "beat_bytes": beat_bytes, "beats": stream.beats,
        "signed": fmt.signed,
    }  # fmt: skip
    memory = np.full(port["frame_bytes"] * 5 + 16, 0xA5, np.uint8)

    class Device:
        def buffer(self, size: int) -> tuple:
            return memory[:size], 0, None, None

    frames = driver._Frames(port, Device(), 5)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    values = rng.integers(fmt.lo, fmt.hi, (3, *stream.shape), endpoint=True)
    if stream.binary:
        values = np.where(values >= 0, 1, -1)
    words = pack(values, stream)
    want = np.ascontiguousarray(words).view(np.uint8)[..., :beat_bytes]
    codes = ((values + 1) // 2 if stream.binary else values).astype(frames.kind)
    for call in frames.packing(codes):
        call()
    np.testing.assert_array_equal(frames.bytes[:3], want)
    for call in frames.unpacking(3):
        call()
    np.testing.assert_array_equal(frames.values[:3], unpack(words, stream))
    assert (memory[port["frame_bytes"] * 3 :] == 0xA5).all()
