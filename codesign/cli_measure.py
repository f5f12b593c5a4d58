"""`codesign measure`: arguments -> boards.measure, and what people see of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.table import Table

from codesign import measured, show
from codesign.arguments import command


def add_measure(commands: Any) -> None:
    p = command(
        commands, "measure", _measure, _show,
        "Run the driver on samples and say how long an inference takes: percentiles, and the parts packing, fabric, "
        "transfer and unpacking, the fabric by the design's own counters. Outputs are compared with the integer "
        "emulator. With --device sim the board is simulated, down to its registers and memory, and the result says so.",
        "Examples: codesign measure build --device sim;  codesign measure build --device ssh://xilinx@192.168.2.99",
    )  # fmt: skip
    p.add_argument("build", type=Path, metavar="BUILD", help="a folder made by `codesign compile`")
    p.add_argument(
        "--device", default="sim", metavar="D",
        help="sim: the simulated board (default); ssh://USER@HOST[:PORT]; local: the board it runs on",
    )  # fmt: skip
    p.add_argument("--inputs", type=Path, metavar="X", help=".npy with what the model takes; else random samples")
    p.add_argument("--count", type=_whole, default=200, metavar="N", help="inferences to time (200)")
    p.add_argument("--batch", type=_whole, default=64, metavar="B", help="samples a batch (64)")
    p.add_argument(
        "--memory", metavar="ADDRESS:BYTES",
        help="for a board whose Linux has no PYNQ: memory that it leaves alone, as in 0x1f000000:0x1000000",
    )  # fmt: skip
    p.add_argument("--identity", type=Path, metavar="FILE", help="for ssh: a private key, not your own or your agent's")


def _whole(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 to 1000000")
    return int(text)


def _measure(a: argparse.Namespace) -> dict[str, Any]:
    from boards.measure import Plan, measure_build
    from codesign.build import damage_told, record
    from codesign.flow import Build

    build = Build.open(a.build)
    plan = Plan(a.count, a.batch, a.memory, a.identity)
    with show.steps() as progress, damage_told(a.build):
        found = measure_build(a.build, build.manifest, build.network, a.device, a.inputs, plan, progress)
    record(a.build, "measured", found)
    return found


def _show(r: dict[str, Any]) -> None:
    show.OUT.print(f"Microseconds of a call; {r['source']}")
    table = Table()
    table.add_column("")
    for head in measured.heads(r):
        table.add_column(head, justify="right")
    for k, row in enumerate(measured.rows(r)):
        table.add_row(*row, end_section=k == len(measured.PERCENTILES) - 1)
    show.OUT.print(table)
    for sentence in measured.sentences(r):
        show.OUT.print(sentence)
