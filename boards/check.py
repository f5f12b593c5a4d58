"""Runs on the board, beside driver.py: golden frames through the accelerator, word by word. Python 3.8, numpy.

python3 check.py            loads accelerator.bit and compares; the last line is JSON
python3 check.py --loaded   only looks at what is loaded already, as after JTAG
"""

import argparse
import json
import os
import platform
import sys
import threading
from typing import Any

import numpy as np
from driver import BASE, Accelerator, DriverError, LinuxDevice, PynqDevice

_HERE = os.path.dirname(os.path.abspath(__file__))
_SLCR = 0xF8000000
_PLLS = {0: 0x108, 1: 0x108, 2: 0x100, 3: 0x104}  # by FPGA0_CLK_CTRL.SRCSEL: IO, ARM, DDR (UG585)


class Loaded(LinuxDevice):
    """Logic that someone else has loaded; its clock is set, and its level shifters are opened."""

    def _program(self, bitstream: Any) -> None:
        pass


def fclk0_mhz(slcr: Any, ps_clock_hz: float) -> float:
    """FCLK0 as the processing system's registers set it."""
    control = slcr.read(0x170)
    pll_hz = ps_clock_hz * (slcr.read(_PLLS[control >> 4 & 3]) >> 12 & 0x7F)
    return pll_hz / ((control >> 8 & 0x3F) * (control >> 20 & 0x3F)) / 1e6


def identity(page: Any, offsets: Any) -> str:
    return "".join(format(page.read(offsets[f"identity{k}"]), "08x") for k in (3, 2, 1, 0))


def octets(words: Any, beat_bytes: int) -> Any:
    """Words (frames, beats, n) as BUILD/vectors has them, as bytes (frames, beats, beat_bytes)."""
    return np.ascontiguousarray(words, "<u4").view(np.uint8)[..., :beat_bytes]


def run_frames(accelerator: Any, given: Any) -> Any:
    """Frames as bytes for each input -> the same of each output, without the host's part."""
    frames = len(given[0])
    for port, content in zip(accelerator._inputs, given):
        port.bytes[:frames] = content
        port.flush()
    accelerator.write("start", frames)
    accelerator._wait(frames)
    for port in accelerator._outputs:
        port.invalidate()
    return [port.bytes[:frames].copy() for port in accelerator._outputs]


def compare(accelerator: Any, folder: str) -> Any:
    """Frames, words compared, how many differ, and the first that does."""
    sides = accelerator.system["inputs"], accelerator.system["outputs"]
    given, wanted = (
        [octets(np.load(os.path.join(folder, f"{side}_{k}.npy")), p["beat_bytes"]) for k, p in enumerate(ports)]
        for side, ports in zip(("inputs", "outputs"), sides)
    )
    frames, first, differing = min(len(given[0]), accelerator.batch), None, 0
    got = run_frames(accelerator, [g[:frames] for g in given])
    for k, (g, w) in enumerate(zip(got, wanted)):
        places = np.argwhere((g != w[:frames]).any(axis=-1))
        differing += len(places)
        if first is None and len(places):
            frame, beat = (int(v) for v in places[0])
            values = (bytes(x[frame, beat][::-1]).hex() for x in (w, g))
            first = dict(zip(("output", "frame", "beat", "wanted", "got"), (k, frame, beat, *values)))
    words = frames * sum(w.shape[1] for w in wanted)
    return {"frames": frames, "words": words, "mismatches": differing, "first": first}


def check(manifest: Any, memory: Any) -> Any:
    """What the whole check found."""
    board, clock_hz = manifest["board"], manifest["clock_hz"]
    bitstream = os.path.join(_HERE, "accelerator.bit")
    if memory is None:
        import pynq

        device, kind = PynqDevice(bitstream), "pynq " + pynq.__version__
        name = type(pynq.Device.active_device).__name__
    else:
        device, kind = LinuxDevice(bitstream, memory, clock_hz, board["ps_clock_hz"]), "no pynq"
        name = "LinuxDevice"
    with Accelerator(os.path.join(_HERE, "manifest.json"), device) as accelerator:
        found = compare(accelerator, _HERE)
        clock = fclk0_mhz(device.page(_SLCR), board["ps_clock_hz"])
        return {**found, **accelerator.counters(), "fclk0_mhz": clock, "device": name, "software": kind}


def look(manifest: Any, root: str) -> Any:
    """Identity and clock of what is loaded."""
    board = manifest["board"]
    device = Loaded(None, (0, 0), manifest["clock_hz"], board["ps_clock_hz"], root=root)
    found = identity(device.page(BASE), manifest["system"]["registers"])
    clock = fclk0_mhz(device.page(_SLCR), board["ps_clock_hz"])
    device.close()
    if found != manifest["system"]["identity"]:
        raise DriverError(f"the logic has identity {found}, the build has {manifest['system']['identity']}")
    return {"identity": found, "fclk0_mhz": clock}


def leave_with_input() -> None:
    """Ends this process when its standard input does: nobody waits for it any more."""

    def watch() -> None:
        while os.read(0, 1):  # of the descriptor: a buffer's lock would be held at the end of this process
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def span(text: str) -> Any:
    address, _, size = text.partition(":")
    return int(address, 0), int(size, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loaded", action="store_true")
    parser.add_argument("--memory", type=span, help="ADDRESS:BYTES that Linux leaves alone; without PYNQ")
    parser.add_argument("--root", default="/", help="where /dev is")
    parser.add_argument("--attended", action="store_true", help="end when standard input does")
    arguments = parser.parse_args()
    if arguments.attended:
        leave_with_input()
    with open(os.path.join(_HERE, "manifest.json")) as file:
        manifest = json.load(file)
    with open(os.path.join(_HERE, "clock.json")) as file:
        manifest["clock_hz"] = json.load(file)["clock_hz"]
    try:
        found = look(manifest, arguments.root) if arguments.loaded else check(manifest, arguments.memory)
    except ImportError as e:
        found = {"error": f"{e}; without PYNQ give --memory ADDRESS:BYTES that Linux leaves alone"}
    except DriverError as e:
        found = {"error": str(e)}
    print(json.dumps({**found, "python": platform.python_version()}))
    sys.exit("error" in found)


if __name__ == "__main__":
    main()
