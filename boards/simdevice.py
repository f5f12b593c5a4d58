"""A PYNQ device whose registers and memory are the simulated system: `pynq.Overlay` and the driver run on it as is.

Time passes with accesses: an access to a register takes the clocks that the bus takes, and a read of `status` while a
run is under way waits for its end, at most `patience_cycles`, as a driver that looks later would.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pynq.buffer import PynqBuffer  # pyright: ignore[reportMissingImports]
from pynq.pl_server.device import Device  # pyright: ignore[reportMissingImports]
from pynqmetadata.frontends import Metadata  # pyright: ignore[reportMissingImports]
from pynqmetadata.views.runtime import RuntimeMetadataParser  # pyright: ignore[reportMissingImports]

from boards.overlay import BASE_ADDRESS, RANGE_BYTES
from codesign.errors import UserError
from sim.system import Dram, SystemSimulator, system_library

DDR_BASE, DDR_BYTES = 0x1000_0000, 64 << 20
_SLCR, _AFI = 0xF800_0000, 0xF800_8000
_ALIGNMENT = 64
# Registers as a boot loader leaves them: PLLs of 2000, 1600 and 1000 MHz from a crystal of 50, clocks at 100 MHz.
_BOOTED = {
    **{_SLCR + o: fdiv << 12 for o, fdiv in ((0x100, 40), (0x104, 32), (0x108, 20))},
    **{_SLCR + o: 1 << 20 | 10 << 8 for o in (0x170, 0x180, 0x190, 0x1A0)},
    **{_AFI + 0x1000 * k + o: 1 for k in range(4) for o in (0x00, 0x14)},
}


class Ram:
    """Contiguous memory, given out from the bottom on; freed all at once, with the device."""

    def __init__(self, device: SimDevice) -> None:
        self.device, self.base_address, self.idx, self.next = device, DDR_BASE, 0, 0

    def allocate(self, shape: tuple[int, ...], dtype: Any, cacheable: int = 1, **_: Any) -> PynqBuffer:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        begin = -(-self.next // _ALIGNMENT) * _ALIGNMENT
        if begin + size > DDR_BYTES:
            raise MemoryError(f"{size} bytes do not fit into the {DDR_BYTES} of the simulated memory")
        self.next = begin + size
        memory = self.device.system.memory[begin : begin + size]
        return PynqBuffer(
            shape, dtype, buffer=memory.data, device=self.device, device_address=DDR_BASE + begin, bo=0,
            coherent=not cacheable,
        )  # fmt: skip


class SimDevice(Device):
    """A board with the system of a build in its logic; becomes PYNQ's active device.

    `accesses` counts the accelerator's registers read and written. With `logic` off nothing is simulated: every run is
    done at once and does nothing, so that a driver's own time can be taken.
    """

    _probe_priority_ = 1000  # only where it is made by hand

    @classmethod
    def _probe_(cls) -> list[Device]:
        return []

    def __init__(
        self, build: Path, manifest: Mapping[str, Any], dram: Dram | None = None, patience_cycles: int = 5_000_000
    ) -> None:
        super().__init__("simulated")
        if "missing" in manifest["system"]:
            raise UserError(f"{build} has no system: {manifest['system']['missing']}")
        self.name, self.arch, self.index = "simulated", "armv7l", 0
        self.capabilities = {"REGISTER_RW": True, "MEMORY_MAPPED": False, "CALLABLE": False}
        self.offsets, self.status = manifest["system"]["registers"], manifest["system"]["status"]
        self.patience_cycles, self.clock_mhz = patience_cycles, manifest["estimated"]["clock_mhz"]
        library = system_library(build, manifest["system"], manifest["rtl"])
        self.system = SystemSimulator(library, DDR_BASE, DDR_BYTES, self.offsets["start"], dram)
        self.ram, self.pages = Ram(self), dict(_BOOTED)
        self.bitfile_name: str | None = None
        self.timestamp: Any = None
        self.accesses, self.logic = 0, True
        Device.active_device = self

    # ---- what PYNQ asks of a device ----
    @property
    def default_memory(self) -> Ram:
        return self.ram

    def get_memory(self, description: Any) -> Ram:
        return self.ram

    def flush(self, bo: int, offset: int, address: int, size: int) -> None:
        """Memory and caches are one here."""

    invalidate = flush

    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> RuntimeMetadataParser:
        parser = RuntimeMetadataParser(Metadata(input=f"{os.path.splitext(bitfile_name)[0]}.hwh"))
        parser.mem_dict["PSDDR"] = {
            "base_address": DDR_BASE, "size": DDR_BYTES, "raw_type": 1, "used": 1, "streaming": False, "idx": 0,
            "tag": "PSDDR", "type": "DDR4", "fullpath": "PSDDR", "addr_range": DDR_BYTES, "phys_addr": DDR_BASE,
        }  # fmt: skip
        return parser

    def download(self, bitstream: Any, parser: Any = None) -> None:
        """What the logic is was said by the build; the reset is that of a fresh bitstream."""
        self.system.reset()
        self.post_download(bitstream, parser, self.name)

    def read_registers(self, address: int, length: int) -> bytes:
        return b"".join(self._read(address + k).to_bytes(4, "little") for k in range(0, length, 4))[:length]

    def write_registers(self, address: int, data: bytes) -> None:
        for k in range(0, len(data), 4):
            self._write(address + k, int.from_bytes(bytes(data[k : k + 4]), "little"))

    # ---- the bus ----
    def _read(self, address: int) -> int:
        if not BASE_ADDRESS <= address < BASE_ADDRESS + RANGE_BYTES:
            return self.pages.get(address, 0)
        self.accesses += 1
        if not self.logic:
            return 1 << self.status["done"]
        if address == BASE_ADDRESS + self.offsets["status"]:
            return self.system.poll(address, 1 << self.status["busy"], self.patience_cycles)
        return self.system.read(address)

    def _write(self, address: int, value: int) -> None:
        if not BASE_ADDRESS <= address < BASE_ADDRESS + RANGE_BYTES:
            self.pages[address] = value
            return
        self.accesses += 1
        if self.logic:
            self.system.write(address, value)
