"""What `pip install` gives: a wheel with every file of the packages, and a command that works anywhere."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.test_layers import LAYERS, MODULES, REPOSITORY, imported_packages

EXAMPLE = REPOSITORY / "examples" / "digits_mlp_w1a2.onnx"
# Copied to BUILD/ or to a board, where they run beside files of their own.
COPIED = ("sim/test_build.py", "boards/check.py", "boards/stopwatch.py")
RUNTIME_EXTRAS = ("hls", "pynq", "deploy", "compress")  # of commands that say what is missing where one is not there
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]


def run(*command: str | Path, cwd: Path) -> str:
    """Standard output of a command that sees no PYTHONPATH; fails with all it wrote."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built from a copy, so that no build/ left in the checkout can leak into it."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for layer in filter(lambda layer: (REPOSITORY / layer).is_dir(), LAYERS):
        shutil.copytree(REPOSITORY / layer, source / layer, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    run(*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source, cwd=folder)
    return next(folder.glob("*.whl"))


def test_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    paths = [path for layer in LAYERS for path in (REPOSITORY / layer).rglob("*") if path.is_file()]
    assert packed == {p.relative_to(REPOSITORY).as_posix() for p in paths if "__pycache__" not in p.parts}


def test_every_import_is_a_declared_dependency(wheel: Path) -> None:
    (metadata,) = importlib.metadata.distributions(path=[str(wheel)])
    optional = [f'extra == "{name}"' for name in RUNTIME_EXTRAS]
    wanted = [x for x in metadata.requires or () if "extra ==" not in x or any(o in x for o in optional)]
    declared = {re.split(r"[^\w.-]", line)[0] for line in wanted}
    files = [file for name in declared for file in importlib.metadata.files(name) or ()]
    known = {*LAYERS, *sys.stdlib_module_names, "", *(file.parts[0].removesuffix(".py") for file in files)}
    sources = [source for module, source in MODULES.items() if module not in COPIED]
    undeclared = {package for source in sources for package in imported_packages(source)} - known
    assert not undeclared


def test_installed_wheel_compiles_the_example(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", "--without-pip", "env", cwd=tmp_path)
    programs, pins = tmp_path / "env" / "bin", REPOSITORY / "pins.txt"
    run(*PIP, "--python", programs / "python", "install", "--constraint", pins, wheel, cwd=tmp_path)
    assert "compile" in run(programs / "codesign", "--help", cwd=tmp_path)
    run(programs / "codesign", "compile", EXAMPLE, "-o", "BUILD", cwd=tmp_path)
    assert (tmp_path / "BUILD" / "manifest.json").is_file()
