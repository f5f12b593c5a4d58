"""What every compression step saves on MNIST and keyword spotting, in the file, in hardware and in accuracy.

    .venv/bin/python -m benchmarks.compress [mnist] [kws] [-o docs/compression.md]

Steps see the calibration samples of benchmarks/cases.py only (500 MNIST training images, KWS 0-199); accuracy is that
of others (the first 2,000 MNIST test images, KWS 200-999). Hardware: quantized to 8 bits where the step leaves weights
real (activations to 8 bits always), estimated at one rate for all rows of a network. Measured rows are kept in
build/compress_NETWORK.json, so that an interrupted run goes on; remove those files after a change of the code.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES, Case
from codesign.compress.recipe import recipe_of, step_named
from codesign.compress.report import Meter, Scored
from codesign.compress.step import Data, rounded
from codesign.errors import UserError
from codesign.flow_compress import BoardCosts, CompressOptions
from codesign.importer import import_model

KEPT = Path(__file__).parent.parent / "build"
MOST_SCORED = 2000
RATES = {"mnist": 2000.0, "kws": 2000.0}  # frames a second
MODELS = {"mnist": "mnist-8 (5,994 parameters)", "kws": "DS-CNN (kws_dscnn_float)"}
HALF = {"sparsity": 0.5}
WIDE = "@pointwise, @fc"  # of the DS-CNN: its depthwise layers have no weights to spare
KWS: tuple[tuple[Any, ...], ...] = (
    ({"prune": {**HALF, "layers": WIDE}}, {"csr": {"layers": WIDE}}),
    ({"blocks": {"sparsity": 0.25, "layers": "@pointwise"}},),
    ({"svd": {"share": 0.8, "layers": WIDE, "responses": True}},),
    ({"quantize": {"weights": "int4"}},),
    ({"admm": {"weights": "int3"}},),
    ({"quantize": {"weights": "ternary", "layers": WIDE}},),
    ({"admm": {"weights": "ternary", "layers": WIDE}},),
    *(({"binarize": {"method": m, "layers": WIDE}},) for m in ("plain", "admm", "hashing", "two-step")),
)
MNIST: tuple[tuple[Any, ...], ...] = (
    ({"prune": HALF}, "csr"),
    ({"prune": {**HALF, "scope": "global"}}, "csr"),
    ({"prune": {"sparsity": 0.7}}, {"csr": {"huffman": True}}),
    ("n-of-m", "csr"),
    ({"blocks": HALF}, "bcsr"),
    ({"apoz": {"sparsity": 0.25}},),
    ({"filter-norm": {"sparsity": 0.25}},),
    ({"geometric-median": {"sparsity": 0.25}},),
    ({"thinet": {"sparsity": 0.25}},),
    ({"lasso": {"sparsity": 0.25}},),
    ({"surgeon": {"sparsity": 0.25}},),
    ({"svd": {"share": 0.7}},),
    ({"svd": {"share": 0.7, "responses": True}},),
    ({"svd": {"share": 0.7, "form": "separable", "layers": "@conv"}},),
    ({"kronecker": {"share": 0.7, "responses": True}},),
    ({"cp": {"share": 0.7, "layers": "@conv"}},),
    ({"tucker": {"share": 0.7, "layers": "@conv"}},),
    ({"tensor-train": {"share": 0.7}},),
    ({"tensor-ring": {"share": 0.7, "layers": "@conv"}},),
    ({"block-term": {"share": 0.7, "layers": "@conv"}},),
    ({"share": {"bits": 4}},),
    ({"share": {"bits": 4, "start": "density"}},),
    ({"share": {"bits": 4, "start": "random"}},),
    ({"prune": HALF}, {"share": {"bits": 4}}, "huffman"),
    ({"circulant": {"block": 4}},),
    ({"quantize": {"weights": "bfloat16"}},),
    ({"quantize": {"weights": "fp8_e4m3"}},),
    ({"quantize": {"weights": "posit(8, 0)"}},),
    ({"quantize": {"weights": "bfp(4, block=16)"}},),
    ({"quantize": {"weights": "int4"}},),
    ({"quantize": {"weights": "int4"}}, "huffman"),
    ({"quantize": {"weights": "pow2(4)"}},),
    ({"quantize": {"weights": "csd(8, digits=2)"}},),
    ({"uniform": {"bits": 4}},),
    ({"uniform": {"bits": 4, "stochastic": True}},),
    ({"balanced": {"bits": 4}},),
    ({"quantize": {"weights": "ternary"}},),
    ({"admm": {"weights": "ternary"}},),
    ({"binarize": {"method": "plain"}},),
    ({"binarize": {"method": "admm"}},),
    ({"binarize": {"method": "hashing"}},),
    ({"binarize": {"method": "two-step"}},),
)
RECIPES = {"mnist": MNIST, "kws": KWS}
HEAD = (
    "recipe", "parameters", "not 0", "bytes", "LUT", "BRAM36", "DSP", "cycles", "latency", "µJ", "accuracy", "8 bits",
)  # fmt: skip


class Bench:
    """One network, its meter, and the rows that are kept."""

    def __init__(self, name: str) -> None:
        case: Case = CASES[name]()
        self.name, self.graph = name, rounded(import_model(case.model).graph)
        i = self.graph.inputs[0].name
        scored = Scored({i: case.x[:MOST_SCORED]}, case.labels[:MOST_SCORED])
        self.data = Data({i: case.calibration})
        options = replace(CompressOptions(None), target_fps=RATES[name])
        self.samples = len(scored.samples[i])
        self.meter = Meter(self.graph, scored, BoardCosts(self.graph, self.data, scored, options))

    def row(self, entries: tuple[Any, ...]) -> dict[str, Any]:
        """Of a recipe; why it cannot be applied where that is so."""
        file = KEPT / f"compress_{self.name}.json"
        kept = json.loads(file.read_text()) if file.exists() else {}
        key = json.dumps([self.name, entries])
        if key not in kept:
            kept[key] = self._measured(entries)
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps(kept))
            print(key, kept[key].get("accuracy"), flush=True)
        return kept[key]

    def _measured(self, entries: tuple[Any, ...]) -> dict[str, Any]:
        graph = self.graph
        try:
            for step in recipe_of(entries) if entries else ():
                graph = rounded(step.apply(graph, self.data)[0])
        except UserError as e:
            return {"refused": str(e)}
        return self.meter.row(graph, None, ()).to_dict()


def cells(row: dict[str, Any], title: str) -> list[str]:
    if "refused" in row:
        return [title, row["refused"], *[""] * (len(HEAD) - 2)]
    count, h = row["count"], row["hardware"]
    parts = [f"{count[k]:,}" for k in ("parameters", "nonzero", "bytes")]
    if h is None:
        return [title, *parts, row["hardware_missing"], *[""] * 5, f"{row['accuracy']:.2%}", ""]
    f = h["figures"]
    hardware = [f"{f['lut']:,.0f}", f"{f['bram36']:g}", f"{f['dsp']:g}", f"{f['interval_cycles']:,}"]
    hardware += [f"{f['latency_cycles']:,}", f"{h['energy_pj'] / 1e6:.3g}"]
    return [title, *parts, *hardware, f"{row['accuracy']:.2%}", f"{h['accuracy']:.2%}"]


def titled(entries: tuple[Any, ...]) -> str:
    """A recipe in a cell."""
    parts = []
    for entry in entries:
        name, given = next(iter(entry.items())) if isinstance(entry, dict) else (entry, {})
        parts.append(f"{name}({', '.join(f'{k}={v}' for k, v in given.items())})" if given else name)
    return "; ".join(parts)


def table(bench: Bench) -> list[str]:
    rows = [cells(bench.row(()), "as given"), *(cells(bench.row(r), titled(r)) for r in RECIPES[bench.name])]
    rule = "|".join(["---", *["---:"] * (len(HEAD) - 1)])
    return [f"| {' | '.join(HEAD)} |", f"|{rule}|", *(f"| {' | '.join(r)} |" for r in rows)]


def page(names: list[str]) -> str:
    """The document."""
    lines = INTRODUCTION.strip().splitlines()
    for name in names:
        bench = Bench(name)
        lines += [
            "",
            f"## {MODELS[name]}",
            "",
            f"{bench.samples:,} samples scored, {RATES[name]:g} frames a second.",
            "",
        ]
        lines += table(bench)
    used = dict.fromkeys(
        next(iter(e)) if isinstance(e, dict) else e for name in names for r in RECIPES[name] for e in r
    )
    lines += ["", "## Methods", "", "| step | paper |", "|---|---|"]
    lines += [f"| `{s}` | {step_named(s).paper} |" for s in used]
    return "\n".join(lines) + "\n"


INTRODUCTION = """
# Compression without training

`codesign compress MODEL -o OUT.onnx --recipe R --calibration X` applies the steps of a recipe in order and says what
each does; `--budget lut=40000,bram36=120,fps=2000,accuracy-drop=1.0` searches one. OUT is an ONNX file like any other:
`codesign compile OUT.onnx -o BUILD --calibration X` makes the accelerator, in which weights that were quantized stay
the integers that they are, and zeros stay zeros. Layers are chosen by patterns of their names, several by commas, or by
kind: `@conv`, `@pointwise`, `@depthwise`, `@fc`.

```yaml
steps:
- svd: {share: 0.7, layers: "@fc", responses: true}
- blocks: {sparsity: 0.5, layers: "@conv"}
- quantize: {weights: int4, layers: "@fc*"}
- huffman: {layers: "@fc"}
```

What a file keeps: real weights in float32, integers behind QONNX's `Quant`, codebooks and bfloat16 by plain operators
that any runtime reads; CSR, BCSR, Huffman codes, circulant rows and the codes of pow2, csd, small floats, block floats
and posits by one operator of this tool's own domain (`codesign::Weights`), which only its importer reads. Zeros alone
save nothing in the folded hardware; blocks of them do (`blocks`), as do channels, ranks and widths.

The tables are written by `python -m benchmarks.compress -o docs/compression.md`. *parameters*, *not 0*, *bytes*: of
weights and biases, counted. *LUT* to *latency*: estimated by the cost formulas, for the pynq-z2 at 100 MHz, at one rate
for all rows; *cycles*: from frame to frame. *µJ*: estimate a frame, 45 nm ASIC table, not this chip; multiplications by
zero are counted. *accuracy*: of the network itself; *8 bits*: of its integers, activations of 8 bits, weights as the
step leaves them or of 8 bits. Steps see calibration samples only, accuracy is that of others. Methods that work by the
samples (ADMM, hashing, two-step, responses) also correct biases; plain signs do not. `slimming` needs batch
normalizations, which both networks have folded into their weights. In place of hardware figures stands why there are
none.
"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NETWORK", help=", ".join(RATES))
    parser.add_argument("-o", "--output", type=Path)
    a = parser.parse_args()
    text = page([n for n in RATES if n in (a.names or RATES)])
    print(text) if a.output is None else a.output.write_text(text)
