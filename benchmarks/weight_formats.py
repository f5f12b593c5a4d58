"""What each weight format costs in accuracy on the keyword and the digit network; activations have 8 bits.

    .venv/bin/python -m benchmarks.weight_formats

Writes the table into docs/quantization.md. All layers get the same format; everything is fitted to the calibration
samples, accuracy is of the others (see benchmarks/cases.py).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.cases import CASES, Case, answers, percent
from benchmarks.pages import put_between
from codesign.graph import Graph
from codesign.importer import import_model
from codesign.quantize import quantize, read_precision

PAGE = Path(__file__).parent.parent / "docs/quantization.md"
START, END = "<!-- table of benchmarks/weight_formats.py -->", "<!-- end of table -->"
FORMATS = (
    "int8", "int4", "int3", "int2", "ternary", "binary", "pow2(4)", "csd(8, digits=2)", "fp8_e4m3", "fp8_e5m2",
    "bfp(8, block=16)", "posit(8, 0)",
)  # fmt: skip
NETWORKS = {"kws": "kws_dscnn_float", "mnist": "mnist-8"}


def main() -> None:
    cases = {name: CASES[name]() for name in NETWORKS}
    graphs = {name: import_model(case.model).graph for name, case in cases.items()}
    rows = ["float", *FORMATS]
    head = [f"| weights | {' | '.join(f'{NETWORKS[n]}, % | SQNR, dB' for n in cases)} |", "|---" * 5 + "|"]
    table = "\n".join([*head, *(_row(text, cases, graphs) for text in rows)]) + "\n"
    put_between(PAGE, START, END, table)


def _row(text: str, cases: dict[str, Case], graphs: dict[str, Graph]) -> str:
    cells = [cell for name in cases for cell in _cells(text, cases[name], graphs[name])]
    row = f"| {text} | {' | '.join(cells)} |"
    print(row, flush=True)
    return row


def _cells(text: str, case: Case, graph: Graph) -> tuple[str, str]:
    """Accuracy in percent, and the noise at the output on the calibration samples."""
    if text == "float":
        return f"{percent(answers(graph, case), case):.2f}", ""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "precision.yaml"
        file.write_text(f"'*': {{weights: '{text}', activations: uint8}}\n")
        precision = read_precision(str(file))
    found = quantize(graph, {graph.inputs[0].name: case.calibration}, precision)
    return f"{percent(answers(found.graph, case), case):.2f}", f"{min(found.report.outputs.values()):.1f}"


if __name__ == "__main__":
    main()
