"""`codesign hls`: its arguments."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from codesign import show
from codesign.arguments import command
from codesign.errors import UserError


def add_hls(commands: Any) -> None:
    p = command(
        commands, "hls", _hls, _shown,
        "Write a project for Vitis or Vivado HLS (by hls4ml) of the integer network that the RTL is made from, every "
        "format exact; with --emulate, compile it with g++ and compare every word with the integer emulator.",
        "Examples: codesign hls build -o project;  codesign hls build -o project --emulate --inputs x.npy;  "
        "codesign hls build --read-report project",
    )  # fmt: skip
    p.add_argument("build", type=Path, metavar="BUILD", help="a folder made by `codesign compile`")
    p.add_argument("-o", "--output", type=Path, metavar="PROJECT", help="the HLS project's folder, which is made")
    p.add_argument(
        "--emulate", action="store_true", help="compile with g++ and compare; the first layer that differs is named"
    )
    p.add_argument("--inputs", type=Path, metavar="X", help="with --emulate: samples, else seeded ones are taken")
    p.add_argument(
        "--backend", default="vitis", choices=("vitis", "vivado", "catapult", "quartus"), help="hls4ml's (vitis)"
    )
    p.add_argument(
        "--io", choices=("parallel", "stream"), default="",
        help="whole tensors at once, or AXI streams (stream where windows slide over images, else parallel)",
    )  # fmt: skip
    p.add_argument(
        "--read-report", type=Path, metavar="PROJECT", help="add the csynth.xml of a synthesized project to the report"
    )


def _hls(a: argparse.Namespace) -> dict[str, Any]:
    from codesign.flow import Build
    from codesign.flow_hls import HlsOptions, hls_build, read_hls_report

    if a.read_report is not None:
        if a.output or a.emulate or a.inputs:
            raise UserError("--read-report reads a project that exists; it goes without -o, --emulate and --inputs")
        return read_hls_report(Build.open(a.build), a.read_report)
    if a.inputs and not a.emulate:
        raise UserError("--inputs are samples for --emulate, which is not given")
    with show.steps() as progress:
        return hls_build(Build.open(a.build), a.output, a.inputs, HlsOptions(a.backend, a.io, a.emulate), progress)


def _shown(r: dict[str, Any]) -> None:
    if "layers" in r:
        own = sum(layer["own"] for layer in r["layers"])
        show.OUT.print(f"{len(r['layers'])} layers, {own} of them extensions ({r['source']})")
    if "project" in r:
        show.OUT.print(f"HLS project: {r['project']}")
    if "emulated" in r:
        e = r["emulated"]
        show.OUT.print(f"{e['samples']} samples ({e['inputs']}), {e['words']} words, {e['mismatches']} mismatches")
    if "csynth" in r:
        show.OUT.print(_csynth(r["csynth"]))


def _csynth(c: dict[str, Any]) -> str:
    used = ", ".join(f"{c[k]:g} {k.upper()}" for k in ("lut", "ff", "dsp", "bram36") if k in c)
    cycles = [f"{c[k]} cycles" if c[k] is not None else "unknown" for k in ("latency_cycles", "interval_cycles")]
    return f"{c['source']}: latency {cycles[0]}, a frame every {cycles[1]}; {used}"
