"""The command line: arguments -> flow, progress, errors. Exit status 0 done, 1 a check failed, 2 the input's fault."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codesign import __version__, show
from codesign.arguments import Parser, command, positive, rate
from codesign.cli_board import add_commands as add_board_commands
from codesign.cli_compress import add_compress
from codesign.cli_hls import add_hls
from codesign.cli_measure import add_measure
from codesign.errors import CheckFailed, UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        result = arguments.handler(arguments)
    except CheckFailed as e:
        return _fail(f"check failed: {e}", 1)
    except UserError as e:
        return _fail(str(e), 2)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    try:
        _print(arguments, result)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _fail(f"check failed: {result['failed']}", 1) if result.get("failed") else 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _fail(message: str, status: int) -> int:
    print(f"codesign: {' '.join(message.split())}", file=sys.stderr)
    return status


def _print(arguments: argparse.Namespace, result: dict[str, Any]) -> None:
    for warning in result.get("warnings", []):
        print(f"codesign: note: {warning}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(result))
    else:
        arguments.show(result)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="codesign",
        description="From a trained, quantized network (QONNX) to an accelerator for a Zynq-7020 whose RTL equals "
        "it bit for bit.",
        epilog="A first session:  codesign compile model.onnx -o build;  codesign simulate build --inputs x.npy;  "
        "codesign synth build;  codesign report build.   x.npy holds what the model takes, with a leading sample axis.",
    )
    parser.add_argument("--version", action="version", version=f"codesign {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in (_add_inspect, add_compress, _add_compile, _add_run, _add_simulate, _add_diff, _add_synth):
        add(commands)
    add_hls(commands)
    _add_report(commands)
    add_board_commands(commands)
    add_measure(commands)
    return parser


def _add_inspect(commands: Any) -> None:
    p = command(
        commands, "inspect", _inspect, show.inspection,
        "Layers, parameters, multiply-accumulates, formats, memory and an energy estimate of a model, before and "
        "after fusion. Nothing is written.",
        "Examples: codesign inspect model.onnx;  codesign inspect model.onnx --savings;  codesign inspect model.onnx "
        "--why conv1",
    )  # fmt: skip
    p.add_argument("model", type=Path, metavar="MODEL", help="an ONNX or QONNX file")
    p.add_argument("--why", metavar="LAYER", help="what each fusion did or did not do at this layer, and why")
    _add_fusions(p)


def _add_compile(commands: Any) -> None:
    p = command(
        commands, "compile", _compile, show.compiled,
        "Make a build folder: integer model, Verilog, bench, vectors, manifest. Each rewrite of the network is checked "
        "against the network before it.",
        "Examples: codesign compile model.onnx -o build --target-fps 20000;  codesign compile model.onnx -o build "
        "--board zedboard --target-fps max;  codesign compile float.onnx -o build --calibration x.npy --precision w4a8",
    )  # fmt: skip
    p.add_argument(
        "model", type=Path, metavar="MODEL", help="an ONNX file: quantized (QDQ, QONNX), or float with --calibration"
    )
    p.add_argument("-o", "--output", type=Path, required=True, metavar="BUILD", help="the build folder to make")
    p.add_argument("--board", default="pynq-z2", help="pynq-z1, pynq-z2, arty-z7-20, zedboard or zybo-z7-20")
    p.add_argument("--clock-mhz", type=positive, default=100.0, metavar="MHZ", help="clock of the logic (100)")
    p.add_argument(
        "--target-fps", type=rate, metavar="N|max",
        help="frames a second to reach within the board's budget, or max; without it, the fastest folding that takes "
        "at most a quarter of the budget",
    )  # fmt: skip
    p.add_argument(
        "--budget", metavar="B",
        help="use no more than this of the board, as in lut=20000,bram36=40; a mixed precision is chosen to fit it (at "
        "--target-fps; without a rate, folded as far as possible)",
    )  # fmt: skip
    p.add_argument(
        "--style", choices=("auto", "folded", "unrolled", "table"), default="auto",
        help="how products are made: folded over cycles, every weight as gates, or neurons as truth tables (auto: the "
        "cheapest that keeps the rate)",
    )  # fmt: skip
    _add_fusions(p)
    p.add_argument(
        "--calibration", type=Path, metavar="X",
        help="quantize a float model by these samples: .npy or .npz with some hundred of what the model takes",
    )  # fmt: skip
    p.add_argument(
        "--precision", metavar="P",
        help="with --calibration: int8 (as without this), w4a8 (weights of 4, activations of 8 bits), or a .yaml file "
        "of layer patterns, or mixed: chosen for each layer by measured sensitivity, within the budget",
    )  # fmt: skip
    p.add_argument(
        "--observer", choices=("measured", "min-max", "percentile", "mse", "entropy"),
        help="with --calibration: how ranges are chosen (measured)",
    )  # fmt: skip
    p.add_argument(
        "--without", action="append", default=[], choices=("equalize", "rounding", "bias"),
        help="with --calibration: leave out a step (equalized channels, learned rounding, corrected biases)",
    )  # fmt: skip
    p.add_argument(
        "--evaluation", type=Path, metavar="E",
        help="with --calibration and --labels: other samples, on which accuracy is compared before and after",
    )  # fmt: skip
    p.add_argument("--labels", type=Path, metavar="L", help=".npy of class numbers, one for each sample of E")


def _add_fusions(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--no-fuse", action="append", default=[], metavar="NAME",
        help="switch a fusion off by name, several by commas, or all that can be; `codesign inspect` lists them",
    )  # fmt: skip
    p.add_argument(
        "--savings", action="store_true",
        help="also lay the network out at the same rate without each fusion, and say what each saves (slower)",
    )  # fmt: skip


def _add_run(commands: Any) -> None:
    p = command(
        commands, "run", _run, show.ran,
        "Run the bit-exact integer emulator: what the hardware computes, at the speed of matrix products. Given a "
        "model file instead of a build folder, run that as it is, in float64.",
        "Examples: codesign run build --inputs x.npy -o y.npy;  codesign run model.onnx --inputs x.npy -o y.npy",
    )  # fmt: skip
    _add_build_and_samples(p)
    p.add_argument("-o", "--output", type=Path, required=True, metavar="Y", help=".npy for the results")
    p.add_argument("--labels", type=Path, help=".npy of class numbers: records accuracy and confusion for the report")
    p.add_argument(
        "--ties",
        action="store_true",
        help="also list the samples that come so close to a rounding tie "
        "that a float32 executor of the model may differ (slower)",
    )


def _add_simulate(commands: Any) -> None:
    p = command(
        commands, "simulate", _simulate, show.simulated,
        "Simulate the generated Verilog on samples and compare every word with the integer emulator; a difference is "
        "named by stage, index and values (exit status 1).",
        "Example: codesign simulate build --inputs x.npy --stall-seed 1 --waves out.fst",
    )  # fmt: skip
    _add_build_and_samples(p)
    p.add_argument("-o", "--output", type=Path, metavar="Y", help=".npy for the results of the simulated hardware")
    p.add_argument(
        "--engine",
        choices=("verilator", "cocotb"),
        default="verilator",
        help="cocotb is slower and also resets in mid-frame and watches every edge",
    )
    p.add_argument("--stall-seed", type=int, metavar="N", help="random idle gaps and back-pressure from this seed")
    p.add_argument("--waves", type=Path, metavar="FILE", help="write a waveform, .fst or .vcd (GTKWave, Surfer)")


def _add_diff(commands: Any) -> None:
    p = command(
        commands, "diff", _diff, show.difference,
        "Where accuracy is lost, or two stages of the path disagree: every tensor as float against quantized against "
        "integer against simulated Verilog. The first that diverges without reason is named (exit status 1).",
        "Example: codesign diff build --inputs x.npy",
    )  # fmt: skip
    _add_build_and_samples(p)
    p.add_argument("--no-rtl", action="store_true", help="compare the networks only; nothing is simulated")


def _add_synth(commands: Any) -> None:
    p = command(
        commands, "synth", _synth, show.synthesized,
        "Synthesize for the xc7z020 with Yosys (no vendor tool) and set the utilisation beside the estimate.",
        "Example: codesign synth build --json",
    )  # fmt: skip
    p.add_argument("build", type=Path, metavar="BUILD", help="a folder made by `codesign compile`")


def _add_report(commands: Any) -> None:
    p = command(
        commands, "report", _report, show.reported,
        "Write one self-contained HTML page with everything known of a build, each number with its origin.",
        "Example: codesign report build",
    )  # fmt: skip
    p.add_argument("build", type=Path, metavar="BUILD", help="a folder made by `codesign compile`")


def _add_build_and_samples(p: argparse.ArgumentParser) -> None:
    p.add_argument("build", type=Path, metavar="BUILD", help="a folder made by `codesign compile`")
    p.add_argument(
        "--inputs", type=Path, required=True, metavar="X",
        help=".npy with what the model takes, real values, shape (samples, ...); .npz by name for several inputs",
    )  # fmt: skip


# The flow is imported where it is used: `--help` and a mistyped option answer at once.


def _inspect(a: argparse.Namespace) -> dict[str, Any]:
    from codesign.flow import inspect

    return inspect(a.model, a.no_fuse, a.savings, a.why)


def _compile(a: argparse.Namespace) -> dict[str, Any]:
    from codesign.calibration import Calibration
    from codesign.flow import Options, compile_model
    from codesign.words import warnings_of

    quantization = Calibration(a.calibration, a.precision, a.observer, tuple(a.without), a.evaluation, a.labels)
    options = Options(a.board, a.clock_mhz, a.target_fps, tuple(a.no_fuse), a.budget, quantization, a.savings, a.style)
    with show.steps() as progress:
        manifest = compile_model(a.model, a.output, options, progress)
    return {"build": str(a.output), "warnings": warnings_of(manifest.get("quantization", {})), **manifest}


def _run(a: argparse.Namespace) -> dict[str, Any]:
    from codesign.flow import Build, run_build
    from codesign.reference import run_model

    if a.build.is_file():
        return run_model(a.build, a.inputs, a.output, a.labels)
    return run_build(Build.open(a.build), a.inputs, a.output, a.labels, a.ties)


def _simulate(a: argparse.Namespace) -> dict[str, Any]:
    from codesign.flow import Build, simulate_build

    with show.frames() as progress:
        return simulate_build(Build.open(a.build), a.inputs, a.output, a.engine, a.stall_seed, a.waves, progress)


def _diff(a: argparse.Namespace) -> dict[str, Any]:
    from codesign.flow import Build, diff_build

    with show.frames() as progress:
        return diff_build(Build.open(a.build), a.inputs, not a.no_rtl, progress)


def _synth(a: argparse.Namespace) -> dict[str, Any]:
    from codesign.flow import Build, synthesize_build

    with show.steps() as progress:
        progress("synthesizing with Yosys")
        return synthesize_build(Build.open(a.build))


def _report(a: argparse.Namespace) -> dict[str, Any]:
    from codesign.report import write_report

    return {"report": str(write_report(a.build))}


if __name__ == "__main__":
    sys.exit(main())
