"""A bitstream onto a board and the check run there, over SSH; or into its logic over JTAG."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from boards import board_named
from boards.bitstream import BIT, FOLDER, HWH
from boards.process import run_logged
from boards.remote import Connection, connect
from boards.target import Target
from codesign.build import MANIFEST, read_manifest, record
from codesign.errors import CheckFailed, UserError

PROGRAM = "openFPGALoader"
BEFORE_JTAG = (
    "the processing system must have booted, from its card or flash: the logic's clock is FCLK0, and a boot later on "
    "may replace what is loaded now; `measure` goes over SSH"
)
_CHECK_S = 300
# Succeeds where board.sh needs no password to become root.
_FREE = '[ "$(id -u)" = 0 ] || [ -n "$CODESIGN_WITHOUT_ROOT" ] || sudo -n true'
_SCRIPTS = ("driver.py", "check.py", "board.sh")
_HERE = Path(__file__).parent

Progress = Callable[[str], None]


def deploy(build: Path, target: Target, memory: str | None, progress: Progress) -> dict[str, Any]:
    """Copy, run the check on the board, record what it found; `failed` where words differ or the clock is too fast."""
    manifest = read_manifest(build)
    files, folder = files_of(build, manifest), remote_folder(manifest)
    arguments = ["--memory", memory] if memory else []
    progress(f"connecting to {target}")
    with connect(target) as board:
        progress(f"copying to {folder} on {target}")
        sent = board.upload(folder, files)
        progress("running the check on the board")
        found = run_check(board, folder, arguments)
    source = f"checked on {target.host} through {found['device']} ({found['software']}, Python {found['python']})"
    result = {"source": source, "host": str(target), "folder": folder, "sent": sent, **found}
    record(build, "deployed", result)
    failed = _difference(found, result) or _too_fast(found, manifest)
    return {**result, "failed": failed, "warnings": _timing_notes(manifest)}


def by_jtag(build: Path, target: Target | None, progress: Progress) -> dict[str, Any]:
    """Program the logic over a cable, then look at its identity over SSH where a board is given."""
    manifest = read_manifest(build)
    files, folder = files_of(build, manifest), remote_folder(manifest)
    program = shutil.which(PROGRAM)
    if program is None:
        raise UserError(f"{PROGRAM} is not on PATH (Debian: apt install openfpgaloader); or deploy with --host")
    board = board_named(manifest["board"]["name"])
    progress("programming over JTAG")
    log = build / FOLDER / "jtag.log"
    run_logged([program, *board.jtag, str(build / FOLDER / BIT)], build, log, lambda line: None)
    if target is None:
        how = f"copy {', '.join(_SCRIPTS)}, {MANIFEST} and clock.json to the board, there: sudo sh board.sh --loaded"
        return {"source": f"programmed over JTAG by {PROGRAM}", "checked": False, "how": how}
    progress(f"looking at the identity over {target}")
    with connect(target) as connection:
        connection.upload(folder, {name: files[name] for name in files if name not in (BIT, HWH)})
        found = run_check(connection, folder, ["--loaded"])
    result = {"source": f"programmed over JTAG, identity read over {target}", "checked": True, **found}
    record(build, "deployed", result)
    return {**result, "failed": _too_fast(found, manifest)}


def remote_folder(manifest: Mapping[str, Any]) -> str:
    """Where a build lies on a board, below the user's home; another build lies elsewhere."""
    return f"codesign/{manifest['system']['identity'][:16]}"


def run_check(board: Connection, folder: str, arguments: list[str], script: str = "check.py") -> dict[str, Any]:
    """What the script found; as root, which the registers need. CheckFailed in its own words."""
    command = " ".join(["sh", "board.sh", script, "--attended", *map(shlex.quote, arguments)])
    lines: list[str] = []
    given = "" if board.run(_FREE, _CHECK_S) == 0 else f"{board.ask_password() or ''}\n"
    status = board.run(f"cd {shlex.quote(folder)} && {command}", _CHECK_S, given, lines.append)
    try:
        found = json.loads(lines[-1])
    except (IndexError, ValueError):
        said = next((line for line in reversed(lines) if line.strip()), "it said nothing")
        raise CheckFailed(f"{script} on {board.target} ended with status {status}: {said}") from None
    if "error" in found:
        raise CheckFailed(f"{board.target}: {found['error']}")
    return found


def files_of(build: Path, manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """Everything that the board gets, by name."""
    paths = {name: build / FOLDER / name for name in (BIT, HWH)}
    missing = [p for p in paths.values() if not p.is_file()]
    if missing:
        raise UserError(f"{missing[0]} is missing; make it with `codesign bitstream {build}`")
    paths |= {name: _HERE / name for name in _SCRIPTS}
    paths |= {p.name: p for side in ("inputs", "outputs") for p in sorted((build / "vectors").glob(f"{side}_*.npy"))}
    return {
        **{name: path.read_bytes() for name, path in paths.items()},
        MANIFEST: (build / MANIFEST).read_bytes(),
        "clock.json": json.dumps({"clock_hz": _clock_mhz(manifest) * 1e6}).encode(),
    }


def _clock_mhz(manifest: Mapping[str, Any]) -> float:
    """What FCLK0 is to be: the clock that timing was met for."""
    board = board_named(manifest["board"]["name"])
    return board.fclk(manifest["estimated"]["clock_mhz"] * 1e6).hz / 1e6


def _difference(found: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """What to tell where the board does not give what the build does."""
    if found["mismatches"]:
        first = found["first"]
        return (
            f"{found['mismatches']} of {found['words']} beats on {result['host']} differ; first: output "
            f"{first['output']}, frame {first['frame']}, beat {first['beat']}: wanted 0x{first['wanted']}, "
            f"got 0x{first['got']}"
        )
    return ""


def _too_fast(found: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    clock = _clock_mhz(manifest)
    if found["fclk0_mhz"] <= clock * 1.001:
        return ""
    return f"FCLK0 is {found['fclk0_mhz']:g} MHz, and the design was made for {clock:g} MHz"


def _timing_notes(manifest: Mapping[str, Any]) -> list[str]:
    failed = manifest["results"].get("placed", {}).get("failed")
    return [f"this bitstream does not meet its {failed}"] if failed else []
