"""The commands that need a board or its tools: arguments -> boards, and what people see of it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from rich.table import Table

from codesign import show
from codesign.arguments import command


def add_commands(commands: Any) -> None:
    _add_bitstream(commands)
    _add_deploy(commands)


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
    p.add_argument(
        "--ip", action="store_true",
        help="no bitstream: package the accelerator with its AXI4-Stream ports for a block design of your own",
    )  # fmt: skip


def _add_deploy(commands: Any) -> None:
    p = command(
        commands, "deploy", _deploy, _show_deployed,
        "Copy bitstream, driver and golden frames to a board over SSH, run them through the accelerator there and "
        "compare every beat. What the board has already is not sent again. Needs `codesign bitstream` before. With "
        "--jtag the logic is programmed over a cable instead; its processing system must have booted.",
        "Examples: codesign deploy build --host xilinx@192.168.2.99;  codesign deploy build --jtag",
    )  # fmt: skip
    p.add_argument("build", type=Path, metavar="BUILD", help="a folder made by `codesign compile`")
    p.add_argument("--host", metavar="USER@HOST", help="the board; its key must be in ~/.ssh/known_hosts")
    p.add_argument("--port", type=int, default=22, metavar="N", help="of its SSH server (22)")
    p.add_argument("--identity", type=Path, metavar="FILE", help="a private key, instead of your own keys and agent")
    p.add_argument(
        "--memory", metavar="ADDRESS:BYTES",
        help="for a Linux without PYNQ: memory that it leaves alone, as in 0x1f000000:0x1000000",
    )  # fmt: skip
    p.add_argument(
        "--jtag", action="store_true",
        help="program over a cable by openFPGALoader; with --host, look at the identity afterwards",
    )  # fmt: skip


def _deploy(a: argparse.Namespace) -> dict[str, Any]:
    from boards.deploy import BEFORE_JTAG, by_jtag, deploy
    from boards.target import Target
    from codesign.errors import UserError

    target = Target.parse(a.host, a.port, a.identity) if a.host else None
    if a.jtag:
        print(f"codesign: note: {BEFORE_JTAG}", file=sys.stderr, flush=True)
    elif target is None:
        raise UserError("name the board with --host USER@HOST, or program it over a cable with --jtag")
    with show.steps() as progress:
        if a.jtag or target is None:
            return by_jtag(a.build, target, progress)
        return deploy(a.build, target, a.memory, progress)


def _show_deployed(r: dict[str, Any]) -> None:
    show.OUT.print(r["source"])
    if "words" in r:
        new = f"sent {', '.join(r['sent'])}" if r["sent"] else "nothing to send, the board has it all"
        show.OUT.print(f"{r['folder']} on {r['host']}: {new}")
        show.OUT.print(f"{r['frames']} frames, {r['words']} beats compared, {r['mismatches']} mismatches")
        show.OUT.print(
            f"the last frame took {r['latency_last']} cycles behind the others, by the design's own counter; "
            f"FCLK0 {r['fclk0_mhz']:g} MHz"
        )
    elif r["checked"]:
        show.OUT.print(f"identity {r['identity']} is that of the build; FCLK0 {r['fclk0_mhz']:g} MHz")
    else:
        show.OUT.print(f"the identity was not looked at (no --host): {r['how']}")


def _bitstream(a: argparse.Namespace) -> dict[str, Any]:
    from boards.bitstream import make_bitstream, package_ip, read_bitstream
    from codesign.build import read_manifest

    if a.ip:
        return package_ip(a.build)
    with show.steps() as progress:
        result = read_bitstream(a.build, a.tool) if a.read_back else make_bitstream(a.build, a.tool, progress)
    estimated = read_manifest(a.build)["estimated"]
    return {**result, "build": str(a.build), "estimated": {k: estimated[k] for k in show.RESOURCES}}


def _show_placed(r: dict[str, Any]) -> None:
    if "ip" in r:
        show.OUT.print(f"{r['vlnv']} in {r['ip']}; in Vivado: set_property ip_repo_paths {r['ip']} [current_project]")
        return
    table = Table(title=r["source"], title_justify="left")
    for name in ("", "LUT", "FF", "DSP", "BRAM36"):
        table.add_column(name, justify="right" if name else "left")
    for title, row in (("estimated, the accelerator", r["estimated"]), ("placed, the whole chip", r)):
        table.add_row(title, *(f"{round(row[k], 1):g}" for k in show.RESOURCES))
    show.OUT.print(table)
    show.OUT.print(f"{r['clock_mhz']:g} MHz asked, {r['fmax_mhz']:.1f} MHz reached (slack {r['wns_ns']:.3f} ns)")
    show.OUT.print(f"slowest path: {r['worst_path']}")
    show.OUT.print(f"bitstream: {r['build']}/{r['bitstream']}")
