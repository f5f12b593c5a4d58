"""The stopwatch on a board over SSH: samples there, results and times back."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from boards import stopwatch
from boards.deploy import files_of, remote_folder, run_check
from boards.remote import Connection, connect
from boards.target import Target
from codesign.errors import CheckFailed, UserError

SCHEME = "ssh://"


def target_of(device: str, identity: Path | None) -> Target:
    """Of ssh://user@host or ssh://user@host:port."""
    try:
        url = urlsplit(device)
        port = url.port or 22
    except ValueError:
        raise UserError(f"'{device}' names no board; write it as ssh://xilinx@192.168.2.99") from None
    return Target.parse(f"{url.username or ''}@{url.hostname or ''}", port, identity)


def measure_remote(
    build: Path, manifest: Mapping[str, Any], target: Target, samples: list[np.ndarray], arguments: list[str],
    progress: Callable[[str], None],
) -> tuple[list[np.ndarray], dict[str, Any]]:  # fmt: skip
    """The outputs for all samples, and what stopwatch.py found there; CheckFailed in its words."""
    files, folder = files_of(build, manifest), remote_folder(manifest)
    files |= {"stopwatch.py": Path(stopwatch.__file__).read_bytes()}
    files |= {f"samples_{k}.npy": _saved(x) for k, x in enumerate(samples)}
    progress(f"connecting to {target}")
    with connect(target) as board:
        progress(f"copying to {folder} on {target}")
        board.upload(folder, files)
        progress("running the driver on the board")
        found = run_check(board, folder, arguments, "stopwatch.py")
        results = manifest["system"]["host"]["results"]
        return [_loaded(board, f"{folder}/results_{k}.npy") for k in range(len(results))], found


def _saved(x: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, x)
    return file.getvalue()


def _loaded(board: Connection, path: str) -> np.ndarray:
    try:
        return np.load(io.BytesIO(board.read(path)))
    except ValueError as e:
        raise CheckFailed(f"{path} on {board.target} is no NumPy file: {e}") from None
