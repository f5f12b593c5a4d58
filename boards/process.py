"""A long-running program: its output in a log as it comes, and gone with us when we are interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from codesign.errors import CheckFailed, UserError

_PATIENCE_S = 5.0


def run_logged(command: Sequence[str], folder: Path, log: Path, heard: Callable[[str], None]) -> None:
    """Run in `folder`, appending to `log`; `heard` gets every line. CheckFailed with the program's own error line."""
    lines: list[str] = []
    with log.open("a") as out:
        process = _started(command, folder)
        try:
            assert process.stdout is not None
            for line in process.stdout:
                out.write(line)
                lines.append(line)
                heard(line.rstrip())
            status = process.wait()
        except BaseException:
            _end(process)
            raise
    if status:
        raise CheckFailed(f"{Path(command[0]).name} ended with status {status}: {_error_line(lines)}")


def _started(command: Sequence[str], folder: Path) -> subprocess.Popen[str]:
    """In a process group of its own, so that what it starts ends with it."""
    try:
        return subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
    except OSError as e:
        raise UserError(f"{command[0]} cannot be run: {e.strerror}") from None


def _end(process: subprocess.Popen[str]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(_PATIENCE_S)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _error_line(lines: Sequence[str]) -> str:
    """The first line that reports an error, or the last that says anything."""
    told = [line.strip() for line in lines if line.strip()]
    errors = [line for line in told if line.upper().startswith("ERROR")]
    return (errors or told[-1:] or ["it said nothing"])[0]
