"""The build folder: written whole or not at all, opened with a clear word where something is missing."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from codesign import __version__
from codesign.errors import UserError

MANIFEST = "manifest.json"
SCHEMA = 1
NEEDED = ("model", "board", "rtl", "stages", "folding", "input_lanes", "channels", "no_fuse", "estimated", "results")


def write_whole(build: Path, fill: Callable[[Path], None]) -> None:
    """Make `build` by filling a folder beside it and renaming: an interruption leaves the old build or none."""
    parent = build.absolute().parent
    check_replaceable(build)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{build.name}.", dir=parent))
    except OSError as e:
        raise UserError(f"cannot write to {parent}: {e.strerror}; choose another output with -o") from None
    try:
        fill(fresh)
        fresh.chmod(0o755)
        put_in_place(fresh, build)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def check_replaceable(build: Path) -> None:
    """Refuse to overwrite what is not a build folder."""
    if build.is_file():
        raise UserError(f"{build} is a file; choose a folder for the build with -o")
    if build.is_dir() and any(build.iterdir()) and not (build / MANIFEST).exists():
        raise UserError(f"{build} holds other files and no {MANIFEST}; choose another output with -o")


def put_in_place(fresh: Path, build: Path) -> None:
    """Put `fresh` in the place of `build`; the old one is removed after the new one stands."""
    if not build.exists():
        os.rename(fresh, build)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{build.name}.old.", dir=build.absolute().parent))
    os.rename(build, old / build.name)
    try:
        os.rename(fresh, build)
    except OSError:
        os.rename(old / build.name, build)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def read_manifest(build: Path) -> dict[str, Any]:
    """The manifest of a build made by this version; UserError names what is wrong."""
    path = build / MANIFEST
    if not build.is_dir():
        raise UserError(f"{build} is not a build folder; make one with `codesign compile MODEL -o {build}`")
    try:
        manifest = json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `codesign compile` again") from None
    except (OSError, ValueError) as e:
        raise UserError(f"{path} cannot be read ({type(e).__name__}); run `codesign compile` again") from None
    _check(manifest, build)
    return manifest


def _check(manifest: Any, build: Path) -> None:
    if not isinstance(manifest, dict) or not isinstance(manifest.get("tool"), dict):
        raise UserError(f"{build / MANIFEST} is not a codesign manifest; run `codesign compile` again")
    made_by = manifest["tool"].get("version")
    if made_by != __version__ or manifest.get("schema") != SCHEMA:
        raise UserError(f"{build} was made by codesign {made_by}, this is {__version__}; run `codesign compile` again")
    lacking = [key for key in NEEDED if key not in manifest]
    if lacking:
        raise UserError(f"{build / MANIFEST} lacks '{lacking[0]}'; run `codesign compile` again")
    for file in (*manifest["rtl"].get("files", ["rtl/accelerator.v"]), "model.npz", "vectors"):
        if not (build / file).exists():
            raise UserError(f"{build / file} is missing; run `codesign compile` again")


def write_json(path: Path, content: Any) -> None:
    """Replace a JSON file in one step."""
    replace_file(path, (json.dumps(content, indent=1) + "\n").encode())


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file in one step; UserError where that cannot be."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_bytes(content)
        os.replace(fresh, path)
    except OSError as e:
        raise UserError(f"cannot write {path}: {e.strerror}") from None


def record(build: Path, kind: str, result: dict[str, Any]) -> None:
    """Add a result (`simulated`, `synthesized`, ...) to the manifest and to report.json."""
    manifest = read_manifest(build)
    manifest["results"][kind] = result
    write_json(build / MANIFEST, manifest)
    write_json(build / "report.json", report_of(manifest))


def report_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """What report.json holds: every number with where it comes from."""
    known = {k: manifest[k] for k in ("model", "quantization", "estimated") if k in manifest}
    return {**known, **manifest["results"]}


@contextmanager
def damage_told(build: Path) -> Iterator[None]:
    """Verilog that the tools cannot read was changed after it was made: their first complaint, in one line."""
    try:
        yield
    except RuntimeError as e:
        lines = str(e).splitlines() or [type(e).__name__]
        said = next((line.strip() for line in lines if "error" in line.lower()), lines[-1])
        raise UserError(f"the RTL in {build} cannot be built ({said}); run `codesign compile` again") from None
