"""The commands that need a board or its tools: arguments -> boards, and what people see of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.table import Table

from codesign import show
from codesign.arguments import command


def add_commands(commands: Any) -> None:
    _add_bitstream(commands)


def _add_bitstream(commands: Any) -> None:
    p = command(
        commands, "bitstream", _bitstream, _show_placed,
        "Place, route and write the bitstream for the build's board, by Vivado or the open tools of openXC7. Timing "
        "and area are read back into the manifest; timing that is not met gives exit status 1. With neither installed, "
        "BUILD/bitstream can be taken to another machine.",
        "Examples: codesign bitstream build;  codesign bitstream build --tool openxc7;  codesign bitstream build "
        "--read-back",
    )  # fmt: skip
    p.add_argument("build", type=Path, metavar="BUILD", help="a folder made by `codesign compile`")
    p.add_argument("--tool", choices=("vivado", "openxc7"), help="without it, the first that is installed")
    p.add_argument(
        "--read-back", action="store_true",
        help="run nothing: read what one of the folder's scripts made, here or on another machine",
    )  # fmt: skip


def _bitstream(a: argparse.Namespace) -> dict[str, Any]:
    from boards.bitstream import make_bitstream, read_bitstream
    from codesign.build import read_manifest

    with show.steps() as progress:
        result = read_bitstream(a.build, a.tool) if a.read_back else make_bitstream(a.build, a.tool, progress)
    estimated = read_manifest(a.build)["estimated"]
    return {**result, "build": str(a.build), "estimated": {k: estimated[k] for k in show.RESOURCES}}


def _show_placed(r: dict[str, Any]) -> None:
    table = Table(title=r["source"], title_justify="left")
    for name in ("", "LUT", "FF", "DSP", "BRAM36"):
        table.add_column(name, justify="right" if name else "left")
    for title, row in (("estimated, the accelerator", r["estimated"]), ("placed, the whole chip", r)):
        table.add_row(title, *(f"{round(row[k], 1):g}" for k in show.RESOURCES))
    show.OUT.print(table)
    show.OUT.print(f"{r['clock_mhz']:g} MHz asked, {r['fmax_mhz']:.1f} MHz reached (slack {r['wns_ns']:.3f} ns)")
    show.OUT.print(f"slowest path: {r['worst_path']}")
    show.OUT.print(f"bitstream: {r['build']}/{r['bitstream']}")
