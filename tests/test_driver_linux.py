"""The driver on Linux without PYNQ: a file in the place of /dev/mem."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boards.driver import Accelerator, DriverError, LinuxDevice
from boards.overlay import BASE_ADDRESS
from codesign.flow import Build
from tests.driver_rig import GoldenBoard, expected, samples

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
