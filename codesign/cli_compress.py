"""The command `compress`: arguments -> flow, and its tables."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from codesign import show
from codesign.arguments import command, positive


def add_compress(commands: Any) -> None:
    p = command(
        commands, "compress", _compress, _show,
        "Make a float model smaller without training: prune, share, factorize, quantize or binarize its weights, step "
        "by step, and say what each step does to accuracy, file and hardware.",
        "Examples: codesign compress model.onnx -o small.onnx --recipe recipe.yaml --calibration x.npy;  then codesign "
        "compile small.onnx -o build --calibration x.npy.   recipe.yaml holds steps in order, as in "
        "steps: [{prune: {sparsity: 0.5}}, {csr: {}}]",
    )  # fmt: skip
    p.add_argument("model", type=Path, metavar="MODEL", help="a float ONNX file")
    p.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="the ONNX file to write")
    p.add_argument("--recipe", type=Path, required=True, metavar="R", help="a .yaml file with the steps in order")
    p.add_argument(
        "--calibration", type=Path, metavar="X",
        help="samples that steps may see, and by which the result is quantized to be costed: .npy or .npz",
    )  # fmt: skip
    p.add_argument("--evaluation", type=Path, metavar="E", help="other samples, on which every step is scored")
    p.add_argument("--labels", type=Path, metavar="L", help=".npy of class numbers, one for each sample of E")
    p.add_argument("--precision", default="int8", metavar="P", help="at which hardware is costed (int8)")
    p.add_argument("--board", default="pynq-z2", help="pynq-z1, pynq-z2, arty-z7-20, zedboard or zybo-z7-20")
    p.add_argument("--clock-mhz", type=positive, default=100.0, metavar="MHZ", help="clock of the logic (100)")
    p.add_argument(
        "--target-fps", type=positive, metavar="N",
        help="frames a second at which all steps are costed; without it, what the model as given reaches in a quarter "
        "of the board",
    )  # fmt: skip


def _compress(a: argparse.Namespace) -> dict[str, Any]:
    from codesign.flow_compress import CompressOptions, compress_model

    files = (a.recipe, a.calibration, a.evaluation, a.labels)
    options = CompressOptions(*files, a.precision, a.board, a.clock_mhz, a.target_fps)
    with show.steps() as progress:
        return compress_model(a.model, a.output, options, progress)


def _show(r: dict[str, Any]) -> None:
    """A row for the model as given and after each step: of the network, and of its hardware."""
    network = _table(f"{r['model']}, {r['recipe']}", *NETWORK)
    hardware = _table(f"on {r['board']}, all at one rate", *HARDWARE)
    for row in r["steps"]:
        network.add_row(row["step"], *_network(row))
        if row["hardware"] is not None:
            hardware.add_row(row["step"], *_hardware(row["hardware"]))
    show.OUT.print(network)
    if hardware.row_count:
        show.OUT.print(hardware)
    for row in r["steps"]:
        for note in row["notes"]:
            show.OUT.print(f"{row['step']}: {escape(note)}")
        if row["hardware_missing"]:
            show.OUT.print(f"{row['step']}: no hardware figures: {escape(row['hardware_missing'])}")
    show.OUT.print(ORIGIN)
    show.OUT.print(f"written: {r['output']}, {r['file_bytes']:,} bytes")


NETWORK = ("parameters", "not 0", "MACs", "weight not 0", "bytes", "accuracy", "SQNR dB")
HARDWARE = ("LUT", "FF", "BRAM36", "DSP", "cycles a frame", "latency", "µJ a frame", "accuracy")
ORIGIN = (
    "bytes: of weights and biases in the file; accuracy and SQNR (of the outputs, against the model as given): on the "
    "evaluation samples; hardware: quantized by the calibration samples, estimated by the cost formulas; µJ: estimate, "
    "45 nm ASIC table, not this chip"
)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("step")
    for name in columns:
        table.add_column(name, justify="right")
    return table


def _network(row: dict[str, Any]) -> list[str]:
    counts = [f"{row['count'][k]:,}" for k in ("parameters", "nonzero", "macs", "macs_nonzero", "bytes")]
    return [*counts, _percent(row["accuracy"]), "" if row["sqnr_db"] is None else f"{row['sqnr_db']:.1f}"]


def _hardware(h: dict[str, Any]) -> list[str]:
    figures = h["figures"]
    resources = [f"{figures['lut']:,.0f}", f"{figures['ff']:,.0f}", f"{figures['bram36']:g}", f"{figures['dsp']:g}"]
    cycles = [f"{figures[k]:,}" for k in ("interval_cycles", "latency_cycles")]
    return [*resources, *cycles, f"{h['energy_pj'] / 1e6:.3g}", _percent(h["accuracy"])]


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.2%}"
