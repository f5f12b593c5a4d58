"""The command `compress`: arguments -> flow, and its tables."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from codesign import show
from codesign.arguments import command, positive
from codesign.errors import UserError


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
    p.add_argument("--recipe", type=Path, metavar="R", help="a .yaml file with the steps in order")
    p.add_argument(
        "--budget", metavar="B",
        help="in place of a recipe, search one that stays within this and uses least of it, as in "
        "lut=40000,bram36=120,fps=2000,accuracy-drop=1.0 (points): ranks, sparsities, widths of each layer by Optuna",
    )  # fmt: skip
    p.add_argument("--trials", type=_count, default=60, metavar="N", help="with --budget: networks to try (60)")
    p.add_argument(
        "--study", metavar="URL",
        help="with --budget: the data base of the search, which several processes may share and later ones go on with "
        "(a SQLite file beside OUT)",
    )  # fmt: skip
    p.add_argument(
        "--calibration-labels", type=Path, metavar="C",
        help="with --budget: classes of the calibration samples, by which networks are chosen; without them, by how "
        "often they answer as the model does",
    )  # fmt: skip
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
    if a.budget is not None:
        return _search(a, options)
    if a.study is not None or a.calibration_labels is not None:
        raise UserError("--study and --calibration-labels belong to a search; give its --budget")
    with show.steps() as progress:
        return compress_model(a.model, a.output, options, progress)


def _search(a: argparse.Namespace, options: Any) -> dict[str, Any]:
    from codesign.flow_search import SearchOptions, search_model

    if a.recipe is not None:
        raise UserError("--budget searches a recipe; leave --recipe out")
    wanted = SearchOptions(a.budget, a.calibration_labels, a.study, a.trials)
    with show.steps() as progress:
        return search_model(a.model, a.output, options, wanted, progress)


def _count(text: str) -> int:
    if not (text.isdecimal() and 0 < int(text) < 1_000_000):
        raise argparse.ArgumentTypeError(f"{text} is not a positive whole number")
    return int(text)


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
    if "front" in r:
        tried = f"{len(r['trials'])} networks tried, chosen by {r['selected_by']} on the calibration samples"
        show.OUT.print(f"{tried}; recipe: {r['recipe']}; Pareto front: {r['front']['html']}")
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
