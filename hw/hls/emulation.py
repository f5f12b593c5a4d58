"""The HLS C++ compiled with g++ and run on samples: the project's own bridge functions, called through ctypes."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codesign.cache import cache_folder
from codesign.errors import UserError
from hw.hls.project import digest
from hw.hls.spec import TOP, HlsLayer, HlsNetwork

# An assertion that ends the process would say less than the comparison does.
FLAGS = ("-std=c++17", "-O2", "-fPIC", "-w", "-fno-gnu-unique", "-DNDEBUG")
# Where the back ends keep their simulated types.
INCLUDE = ("ap_types", "ac_types", "ac_types/include", "ac_math/include", "ac_simutils/include", "nnet_utils")
STACK_BYTES = 512 << 20  # a thread's: layers keep whole tensors on the stack


@dataclass(frozen=True)
class Emulation:
    """A compiled project. Samples travel as float64, which holds every integer here exactly."""

    network: HlsNetwork
    library: Path

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Integers in, integers out, one array (samples, size) for each output layer."""
        return _in_thread(lambda: self._run(_flat(inputs), self._function()))

    def trace(self, inputs: Sequence[np.ndarray], traced: Sequence[HlsLayer]) -> dict[str, np.ndarray]:
        """The results of layers on one sample, by the layer's name."""
        return _in_thread(lambda: self._trace(_flat(inputs), traced))

    def _run(self, inputs: list[np.ndarray], function: Any) -> list[np.ndarray]:
        layers = self.network.by_name
        samples = len(inputs[0])
        outputs = [np.zeros((samples, _size(layers[n]))) for n in self.network.outputs]
        with silent():
            for k in range(samples):
                function(*(a[k].ctypes.data for a in (*inputs, *outputs)))
        return outputs

    def _trace(self, inputs: list[np.ndarray], traced: Sequence[HlsLayer]) -> dict[str, np.ndarray]:
        library = self._load()
        library.allocate_trace_storage(ctypes.c_size_t(8))
        self._run([a[:1] for a in inputs], self._function())
        data = (_Trace * len(traced))()
        library.collect_trace_output(data)
        sizes = {x.name: _size(x) for x in traced}
        found = {}
        for entry in data:
            name = entry.name.decode()
            pointer = ctypes.cast(entry.data, ctypes.POINTER(ctypes.c_double))
            found[name] = np.ctypeslib.as_array(pointer, (sizes[name],)).copy()
        library.free_trace_storage()
        return found

    def _function(self) -> Any:
        function = getattr(self._load(), f"{TOP}_double")
        function.restype = None
        count = len(self.network.inputs) + len(self.network.outputs)
        function.argtypes = [ctypes.c_void_p] * count
        return function

    def _load(self) -> Any:
        return ctypes.CDLL(str(self.library))


class _Trace(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("data", ctypes.c_void_p))


def build(network: HlsNetwork, project: Path) -> Emulation:
    """Compile a written project, once for the same content. UserError where there is no compiler."""
    compiler = find_compiler()
    name = f"{digest(project)}_{_version(compiler)}"
    folder = cache_folder("hls") / name
    if not folder.exists():
        work = Path(tempfile.mkdtemp(prefix="making_", dir=folder.parent))
        try:
            _compile(compiler, project, work, folder)
            with contextlib.suppress(OSError):  # another process was faster
                work.rename(folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return Emulation(network, folder / "emulation.so")


def find_compiler() -> str:
    compiler = shutil.which("g++")
    if compiler is None:
        raise UserError(
            "g++ is missing, which the HLS emulation needs (Debian: apt-get install g++; Fedora: dnf install gcc-c++; "
            "macOS: xcode-select --install)"
        )
    return compiler


def _version(compiler: str) -> str:
    done = subprocess.run([compiler, "-dumpfullversion"], capture_output=True, text=True)
    return f"{done.stdout.strip()}_{''.join(FLAGS).replace('-', '')}".replace("=", "").replace("+", "p")


def _compile(compiler: str, project: Path, work: Path, final: Path) -> None:
    """The library in `work`, with the weights that it reads when it is first called from `final`."""
    weights = project / "firmware" / "weights"
    shutil.copytree(weights, work / "weights", ignore=shutil.ignore_patterns("*.h")) if weights.exists() else None
    include = [f"-Ifirmware/{p}" for p in INCLUDE]
    defines = [f'-DWEIGHTS_DIR="{final / "weights"}"']
    sources = [f"firmware/{TOP}.cpp", f"{TOP}_bridge.cpp"]

    def one(source: str) -> str:
        target = str(work / f"{Path(source).stem}.o")
        _call([compiler, *FLAGS, *include, *defines, "-c", source, "-o", target], project)
        return target

    with ThreadPoolExecutor() as pool:
        objects = list(pool.map(one, sources))
    _call([compiler, "-shared", "-Wl,-Bsymbolic", *objects, "-o", str(work / "emulation.so")], project)
    for path in objects:
        Path(path).unlink()


def _call(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        first = next((x for x in done.stderr.splitlines() if "error" in x), done.stderr.strip()[-300:])
        raise UserError(f"g++ does not compile the HLS project: {first}")


def _flat(inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [np.ascontiguousarray(a.reshape(len(a), -1), dtype=np.float64) for a in inputs]


def _size(layer: HlsLayer) -> int:
    return int(np.prod(layer.shape, dtype=np.int64))


def _in_thread(work: Callable[[], Any]) -> Any:
    """The result of `work`, done on a large stack."""
    found: list[Any] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as e:  # handed on below
            failed.append(e)

    before = threading.stack_size(STACK_BYTES)
    try:
        thread = threading.Thread(target=run)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    if failed:
        raise failed[0]
    return found[0]


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Standard output of C++ goes nowhere meanwhile: simulated streams print what they think of themselves."""
    sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
