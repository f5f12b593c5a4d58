"""The driver without a simulation: its host part, its packing, its rules, and its other ways of failing."""

from __future__ import annotations

import ast
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boards import driver, stopwatch
from boards.driver import Accelerator, DriverError, LinuxDevice
from boards.overlay import BASE_ADDRESS
from codesign.flow import Build
from codesign.formats import Binary, Format, Int
from codesign.graph import Constant, Dequantize, Graph, Input, Node, Op, TensorType
from codesign.host import describe_host
from codesign.ops.argmax import ArgMax
from codesign.ops.elementwise import Add, Div, Maximum, Mul, Sub
from codesign.ops.layout import Concat, Reshape, Transpose
from codesign.ops.matmul import MatMul
from codesign.ops.moves import Expand, Slice
from codesign.ops.quantize import Quantize
from codesign.ops.softmax import Softmax
from codesign.ops.threshold import Threshold
from codesign.ops.unary import Unary
from codesign.passes.split import Model
from hw.stream import StreamType, pack, unpack
from tests import models
from tests.driver_rig import GoldenBoard, compiled, expected, samples

SOURCE = Path(driver.__file__).read_text()


@pytest.fixture(scope="module")
def build(tmp_path_factory) -> Build:
    folder = tmp_path_factory.mktemp("driver")
    return compiled(models.cnn(folder / "cnn.onnx"), folder / "build")


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


# ---- packing ----
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


# ---- the host's part ----
REAL = np.random.default_rng(5).normal(0, 3, (9, 2, 3, 4)).astype(np.float32)
CODES = np.random.default_rng(6).integers(-100, 100, (9, 4))
CASES: dict[str, tuple[Op, ...]] = {
    "quantize": (Quantize(Int(-8, 7), (0.3,), (1,)),),
    "quantize per channel": (Quantize(Int(0, 15), (0.3, 0.1, 0.7, 1.5), (1, 2, 3, 4)),),
    "quantize, odd zero point after rounding": (Quantize(Int(-128, 127), (0.5,), (7,), offset_last=True),),
    "quantize downward": (Quantize(Int(-30, 30), (0.25,), rounding="FLOOR"),),
    "signs": (Quantize(Binary(), (1.0,)),),
    "staircase": (Threshold(np.linspace(-4, 4, 15)[None], Int(0, 15), np.array([0]), np.array([1])),),
    "staircase, falling by channels": (
        Threshold(np.linspace([-4, -3, -2, -1], 4, 7).T, Int(-8, 13), np.array([3, 4, 5, 6]), np.array([-1, 1, -1, 1])),
    ),
    "binary by a threshold": (Threshold(np.array([[0.25]]), Binary(), np.array([-1]), np.array([2])),),
    "binary, falling": (Threshold(np.array([[0.25]]), Binary(), np.array([1]), np.array([-2])),),
    "never and always": (Threshold(np.array([[-np.inf, 0.5, np.inf]]), Int(0, 3), np.array([0]), np.array([1])),),
    "layout": (Quantize(Int(-8, 7), (0.5,)), Transpose((1, 2, 0)), Reshape((4, 6))),
    "layout first": (Transpose((2, 0, 1)), Reshape((24,)), Quantize(Int(-8, 7), (0.5,))),
    "moves": (Slice((1, 2, 3), (1, 2, 4), (1, -2, -1)), Quantize(Int(-8, 7), (0.5,))),
    "functions": (Unary("clip", (-1.0, 2.0)), Unary("sigmoid"), Unary("sqrt"), Quantize(Int(0, 100), (0.01,))),
}


def network(before: Graph, after: Graph) -> Model:
    """Around a core that nobody runs."""
    into = [Input(o, before.types[o]) for o in before.outputs]
    outputs = [Node(i.name, _Given(i.type)) for i in after.inputs]
    return Model(before, Graph((*into,), (*outputs,), tuple(i.name for i in after.inputs)), after)


class _Given:
    def __init__(self, type: TensorType) -> None:
        self.type = type

    def infer(self, *operands: object) -> TensorType:
        return self.type

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        raise NotImplementedError


def chain(x: Input, *ops: Op, more: tuple[Node, ...] = ()) -> Graph:
    names = [x.name, *(f"n{k}" for k in range(len(ops)))]
    nodes = [Node(b, op, (a, *(n.name for n in more if n.inputs == (b,)))) for a, b, op in zip(names, names[1:], ops)]
    constants = [Node(n.name, n.op) for n in more]
    return Graph((x,), (*constants, *nodes), (names[-1],))


LOGITS = Input("logits", TensorType((4,), Int(-100, 100), (0.25,), (3,)))


def run_steps(steps: list[dict[str, Any]], arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    for step in steps:
        driver._allocate(step, arrays, 9)
    for step in steps:
        for call in driver._calls(step, arrays):
            call()
    return arrays


@pytest.mark.parametrize("name", CASES)
def test_what_comes_before_equals_the_emulator(name: str) -> None:
    before = chain(Input("x", TensorType((2, 3, 4))), *CASES[name])
    host = describe_host(network(before, chain(LOGITS, Dequantize())))
    arrays = run_steps(host["before"], {"x": REAL})
    (result,) = before.outputs
    fmt = before.types[result].format
    assert fmt is not None
    got = arrays[host["into"][0]].astype(np.int64)
    np.testing.assert_array_equal(2 * got - 1 if fmt == Binary() else got, before.run({"x": REAL})[result])


def constant(name: str, reader: str, value: object) -> Node:
    return Node(name, Constant.real(value), (reader,))


AFTER: dict[str, tuple[tuple[Op, ...], tuple[Node, ...]]] = {
    "scaled and shifted": (
        (Dequantize(), Mul(), Add(), Sub(), Div()),
        tuple(constant(f"c{k}", f"n{k}", v) for k, v in ((1, [1.5] * 4), (2, [1.0, 2, 3, 4]), (3, 0.5), (4, 0.7))),
    ),
    "softmax": ((Dequantize(), Softmax()), ()),
    "log-softmax": ((Dequantize(), Softmax(log=True)), ()),
    "largest": ((Dequantize(), ArgMax()), ()),
    "smallest": ((Dequantize(), ArgMax(least=True)), ()),
    "repeated": ((Dequantize(), Reshape((4, 1)), Expand((4, 3))), ()),
    "at least": ((Dequantize(), Maximum()), (constant("c1", "n1", [0.0, 1, 2, 3]),)),
}


@pytest.mark.parametrize("name", AFTER)
def test_what_comes_after_equals_the_emulator(name: str) -> None:
    ops, constants = AFTER[name]
    after = chain(LOGITS, *ops, more=constants)
    host = describe_host(network(chain(Input("x", TensorType((2,))), Quantize(Int(0, 3))), after))
    arrays = run_steps(host["after"], {"logits": CODES.astype(np.int32)})
    (result,) = host["results"]
    want = after.run({"logits": CODES.astype(np.float32)})[after.outputs[0]]
    got = arrays[result["of"]]
    np.testing.assert_array_equal(got.astype(result["type"]), want.astype(result["type"]))


def test_two_parts_are_joined() -> None:
    nodes = (Node("a", Dequantize(), ("logits",)), Node("b", Unary("neg"), ("a",)), Node("c", Concat(0), ("a", "b")))
    after = Graph((LOGITS,), nodes, ("c",))
    host = describe_host(network(chain(Input("x", TensorType((2,))), Quantize(Int(0, 3))), after))
    arrays = run_steps(host["after"], {"logits": CODES.astype(np.int32)})
    np.testing.assert_array_equal(arrays["c"], after.run({"logits": CODES.astype(np.float32)})["c"])


def test_a_part_that_has_no_form_is_named(build: Build, tmp_path: Path) -> None:
    after = chain(LOGITS, Dequantize(), MatMul(), more=(constant("c1", "n1", np.ones((4, 2))),))
    host = describe_host(network(chain(Input("x", TensorType((2,))), Quantize(Int(0, 3))), after))
    assert host == {"missing": "node 'n1' (MatMul): the driver has no vectorised form of it for the board's processor; "
                               "end the network before it"}  # fmt: skip
    odd = describe_host(network(chain(Input("x", TensorType((2,))), Quantize(Int(0, 3))),
                                chain(LOGITS, Dequantize(), Unary("erf"))))  # fmt: skip
    assert "node 'n1' (erf)" in odd["missing"]


# ---- Linux without PYNQ: a file in the place of /dev/mem ----
SLCR = 0xF800_0000
BIT = b"\0\x09header" + b"\xff" * 8 + b"\xaa\x99\x55\x66" + bytes(range(8))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("dev", "lib/firmware", "sys/class/fpga_manager/fpga0"):
        (tmp_path / folder).mkdir(parents=True)
    with (tmp_path / "dev/mem").open("wb") as file:
        file.truncate(1 << 32)  # a hole: takes no room
    poke(tmp_path, SLCR + 0x108, 20 << 12)  # the IO PLL: 20 times the crystal
    (tmp_path / "sys/class/fpga_manager/fpga0/state").write_text("operating\n")
    (tmp_path / "accelerator.bit").write_bytes(BIT)
    return tmp_path


def poke(root: Path, address: int, value: int) -> None:
    with (root / "dev/mem").open("r+b") as file:
        file.seek(address)
        file.write(value.to_bytes(4, "little"))


def peek(root: Path, address: int) -> int:
    with (root / "dev/mem").open("rb") as file:
        file.seek(address)
        return int.from_bytes(file.read(4), "little")


def linux(root: Path, **more: Any) -> LinuxDevice:
    given = {"memory": (0x1E00_0000, 1 << 20), "clock_hz": 100e6, "ps_clock_hz": 50e6, **more}
    return LinuxDevice(root / "accelerator.bit", root=str(root), lock=str(root / "lock"), **given)


def test_linux_loads_the_bitstream_and_sets_clock_shifters_and_reset(root: Path) -> None:
    device = linux(root)
    loaded = (root / "lib/firmware/accelerator.bit.bin").read_bytes()
    assert loaded == b"\xff" * 8 + b"\x66\x55\x99\xaa" + bytes([3, 2, 1, 0, 7, 6, 5, 4])
    assert (root / "sys/class/fpga_manager/fpga0/firmware").read_text() == "accelerator.bit.bin"
    divisors = peek(root, SLCR + 0x170)
    assert (divisors >> 8 & 63) * (divisors >> 20 & 63) == 10  # 1000 MHz to 100
    assert peek(root, SLCR + 0x900) == 0xF and peek(root, SLCR + 0x240) == 0
    assert peek(root, SLCR + 0x004) == 0x767B  # locked again
    device.close()


def test_linux_says_what_is_in_its_way(root: Path) -> None:
    (root / "sys/class/fpga_manager/fpga0/state").write_text("write error\n")
    with pytest.raises(DriverError, match="its state is 'write error'"):
        linux(root)
    (root / "accelerator.bit").write_bytes(b"not one")
    with pytest.raises(DriverError, match="no bitstream"):
        linux(root)
    (root / "dev/mem").unlink()
    with pytest.raises(DriverError, match="dev/mem: No such file or directory; run as root"):
        linux(root)


def test_linux_runs_batches_through_memory(build: Build, root: Path) -> None:
    """A thread in the place of the logic watches `start` in the file, as the logic would on the bus."""
    board, device = GoldenBoard(build), linux(root)
    for k in range(4):
        poke(root, BASE_ADDRESS + 0x40 + 4 * k, board.registers[f"identity{k}"])
    registers, memory = device.page(BASE_ADDRESS), device._map(0x1E00_0000, 1 << 20)
    offsets = build.manifest["system"]["registers"]
    registers.write(offsets["start"], 0)
    stop = threading.Event()

    def logic() -> None:
        while not stop.is_set():
            frames = registers.read(offsets["start"])
            if frames:
                board.memory = memory
                for name in ("source0", "destination0"):
                    board.registers[name] = registers.read(offsets[name]) - 0x1E00_0000 + 0x1000_0000
                board._run(frames)
                registers.write(offsets["start"], 0)
                registers.write(offsets["status"], 2)
            time.sleep(1e-4)

    watcher = threading.Thread(target=logic)
    x = samples(build, 20)
    try:
        with Accelerator(build.path / "manifest.json", device) as accelerator:
            registers.write(offsets["status"], 1)
            watcher.start()
            np.testing.assert_array_equal(accelerator.run(x[0]), expected(build, x)[0])
    finally:
        stop.set()
        watcher.join()
    assert peek(root, 0xF800_8000) & 1 == peek(root, 0xF800_8014) & 1 == 0


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
