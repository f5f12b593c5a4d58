"""HLS projects that equal the integer emulator, beside plain hls4ml on the same files: how many outputs differ, why.

    .venv/bin/python -m benchmarks.hls_exact [NAME ...] [-o docs/hls.md]

Exact: `codesign compile`, then `codesign hls --emulate`, every output word compared. Plain: hls4ml's own path from the
same file (qonnx's cleanup, and the transformations that hls4ml asks for), its own defaults, then the same with wider
ones; its outputs compared with the model's own meaning, in float64. Needs ../shared/data and g++; takes a while.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cases import DATA, digits, kws, squeezenet
from codesign.calibration import Calibration
from codesign.errors import UserError
from codesign.flow import Build, Options, compile_model
from codesign.flow_hls import HlsOptions, hls_build
from hw.hls.project import quiet

MODELS = DATA / "models"
ABOUT = Path(__file__).parent / "hls_exact.md"
WIDER = "fixed<32,16>"
RATE = 100.0  # frames a second of the calibrated network: a given rate spares the search for one
QUICK = ("equalize", "rounding", "bias")  # steps of quantization that change no arithmetic, only which numbers it has


@dataclass(frozen=True)
class Case:
    """A model's file and samples for it; `calibration`: of a float one. `plain`: whether hls4ml's own path is tried."""

    file: str
    samples: Callable[[], np.ndarray]
    calibration: Callable[[], np.ndarray] | None = None
    plain: bool = True


def vectors(name: str, count: int) -> np.ndarray:
    """The samples that come with a model, over and over, with noise of a few steps on the repetitions."""
    with np.load(MODELS / f"bench/{name}_vectors.npz") as stored:
        x = stored["x"].astype(np.float32)
    many = np.concatenate([x] * -(-count // len(x)))[:count]
    many[len(x) :] += np.random.default_rng(0).normal(0, x.std() / 4, many[len(x) :].shape).astype(np.float32)
    return many


def jets(count: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1.5, (count, 16)).astype(np.float32)


CASES = {
    "digits": Case("bench/digits_mlp_w4a4_qonnx.onnx", lambda: vectors("digits_mlp_w4a4", 1000)),
    "synth16": Case("bench/synth16_mlp_w6a6_qonnx.onnx", lambda: vectors("synth16_mlp_w6a6", 1000)),
    "tfc": Case("mnist/TFC_1W1A.onnx", lambda: digits("t10k")[:1000] / 255),
    "jets": Case("jets/qkeras_jettagging.onnx", lambda: jets(1000)),
    "cnn": Case("bench/mnist_cnn_w4a4_qonnx.onnx", lambda: digits("t10k")[:200] / 255),
    "kws": Case("kws/kws_dscnn_int8_qdq.onnx", lambda: kws().x[:100], plain=False),
    "squeezenet": Case(
        "cifar10/squeezenet_cifar10.onnx", lambda: squeezenet().x[:100], lambda: squeezenet().calibration[:32], False
    ),
}


@dataclass
class Found:
    """What one model gave: lines of text."""

    exact: str = ""
    plain: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join(CASES))
    parser.add_argument("-o", "--output", type=Path)
    a = parser.parse_args()
    found = {name: measured(CASES[name]) for name in a.names or CASES}
    text = page(found)
    print(text)
    if a.output:
        a.output.write_text(ABOUT.read_text().rstrip() + "\n\n" + text)


def page(found: dict[str, Found]) -> str:
    head = ("model", "io", "layers (extensions)", "samples", "words", "mismatches")
    lines = ["## Shown equal", "", f"| {' | '.join(head)} |", f"|---|---|{'---:|' * 4}"]
    lines += [f.exact for f in found.values()]
    lines += ["", "## Plain hls4ml on the same files", ""]
    for name, f in found.items():
        lines += [f"**{CASES[name].file}**", "", *f.plain, ""] if f.plain else []
    return "\n".join(lines).rstrip() + "\n"


def measured(case: Case) -> Found:
    x, result = case.samples(), Found()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build = built(case, folder)
        np.save(folder / "x.npy", x)
        result.exact = exact(case, build, folder / "x.npy")
        print(result.exact, flush=True)
        if case.plain:
            result.plain = plain(MODELS / case.file, x, partial(real_outputs, build))
    return result


def built(case: Case, folder: Path) -> Build:
    calibration, rate = Calibration(), None
    if case.calibration is not None:
        np.save(folder / "calibration.npy", case.calibration())
        calibration = Calibration(folder / "calibration.npy", observer="min-max", without=QUICK)
        rate = RATE
    options = Options(target_fps=rate, quantization=calibration)
    compile_model(MODELS / case.file, folder / "build", options, lambda _: None)
    return Build.open(folder / "build")


def exact(case: Case, build: Build, x: Path) -> str:
    """A row of the table; a refusal is a row too."""
    try:
        r = hls_build(build, None, x, HlsOptions(emulate=True), lambda _: None)
    except UserError as e:
        return f"| {case.file} | refused: {e} | | | | |"
    e, own = r["emulated"], sum(layer["own"] for layer in r["layers"])
    counts = (f"{len(r['layers'])} ({own})", f"{e['samples']:,}", f"{e['words']:,}", f"{e['mismatches']:,}")
    return f"| {case.file} | {r['io']} | {' | '.join(counts)} |"


def real_outputs(build: Build, x: np.ndarray) -> np.ndarray:
    """What the model means, (samples, size)."""
    (given,) = build.network.before.inputs
    return next(iter(build.network.run({given.name: x}).values())).reshape(len(x), -1)


def plain(path: Path, x: np.ndarray, exactly: Callable[[np.ndarray], np.ndarray]) -> list[str]:
    """hls4ml's own path, with its own defaults and with wider ones: a line each, also for inputs cut off as there."""
    lines = []
    for title, chosen in (("its own defaults", None), (f"`{WIDER}` by default", WIDER)):
        try:
            got, bits, told = plain_outputs(path, x, chosen)
            cut = exactly((np.floor(x.astype(np.float64) * 2.0**bits) / 2.0**bits).astype(np.float32))
            lines.append(f"- {title}: {difference(got, exactly(x))}{told}; {after_cut(got, cut, bits)}")
        except Exception as e:  # hls4ml raises plain exceptions: what it says is the finding
            lines.append(f"- {title}: refused, “{' '.join(str(e).split())[:200]}”")
            break
    return lines


def difference(got: np.ndarray, wanted: np.ndarray) -> str:
    far = np.abs(got - wanted)
    answers = int((got.argmax(1) != wanted.argmax(1)).sum())
    return (
        f"{int((far > 1e-9).sum()):,} of {wanted.size:,} outputs differ, the largest by {far.max():.3g} (they span "
        f"{wanted.min():.3g} to {wanted.max():.3g}); {answers:,} of {len(wanted):,} answers change"
    )


def after_cut(got: np.ndarray, cut: np.ndarray, bits: int) -> str:
    """How much of the difference is that it cuts the inputs off."""
    left = int((np.abs(got - cut) > 1e-9).sum())
    return f"where the exact network, too, gets the inputs cut off to {bits} fraction bits, {left:,} differ"


def plain_outputs(path: Path, x: np.ndarray, chosen: str | None) -> tuple[np.ndarray, int, str]:
    """What hls4ml's compiled library gives, the fraction bits of its input, and what its conversion left open."""
    import hls4ml

    with tempfile.TemporaryDirectory() as folder, quiet(), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model, has_windows = prepared(path)
        default = {"default_precision": chosen} if chosen else {}
        config = hls4ml.utils.config_from_onnx_model(model, granularity="name", backend="Vitis", **default)
        project = hls4ml.converters.convert_from_onnx_model(
            model, output_dir=folder, backend="Vitis", io_type="io_stream" if has_windows else "io_parallel",
            hls_config=config,
        )  # fmt: skip
        told = left_open(project, [str(w.message) for w in said if "hls4ml" in w.filename])
        project.compile()
        images = x.transpose(0, 2, 3, 1) if has_windows else x
        bits = project.get_input_variables()[0].type.precision.fractional
        return np.asarray(project.predict(np.ascontiguousarray(images))).reshape(len(x), -1), bits, told


def prepared(path: Path) -> tuple[Any, bool]:
    """The model after what hls4ml asks for: products without Gemm, channels last."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.channels_last import ConvertToChannelsLastAndClean
    from qonnx.transformation.gemm_to_matmul import GemmToMatMul
    from qonnx.util.cleanup import cleanup_model

    model = cleanup_model(ModelWrapper(str(path))).transform(GemmToMatMul())
    has_windows = bool(model.get_nodes_by_op_type("Conv"))
    if has_windows:
        model = model.transform(ConvertToChannelsLastAndClean(make_input_channels_last=True))
    return cleanup_model(model), has_windows


def left_open(project: Any, said: list[str]) -> str:
    """The layers whose formats are the default, the tables in place of functions, and hls4ml's own warnings."""
    fallback = str(project.config.backend.convert_precision_string(project.config.model_precision["default"]))
    kinds = {x.name: {k: str(v.precision) for k, v in x.types.items()} for x in project.get_layers()}
    default = [n for n, types in kinds.items() if fallback in types.values()]
    tables = [x.name for x in project.get_layers() if x.class_name == "Softmax"]
    parts = [f"formats left to the default in {', '.join(f'`{n}`' for n in default)}"] if default else []
    parts += [f"a table in place of the function in {', '.join(f'`{n}`' for n in tables)}"] if tables else []
    parts += [f"hls4ml warns “{' '.join(text.split())}”" for text in dict.fromkeys(said)]
    return f"; {'; '.join(parts)}" if parts else ""


if __name__ == "__main__":
    main()
