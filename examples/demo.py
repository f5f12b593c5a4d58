"""The whole path on two networks of this project: compile, simulate on real images with stalls, synthesize, report.

Run by `make demo`; the results stand in build/demo.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from codesign import show
from codesign.flow import Build, Options, compile_model, run_build, simulate_build, synthesize_build
from codesign.report import write_report
from examples.data import digits, mnist

HERE = Path(__file__).parent
OUT = Path("build/demo")
STALL_SEED = 7
NETWORKS = (
    # file, images, images to simulate, frames a second to reach at 100 MHz
    ("digits_mlp_w1a2.onnx", digits, 360, 1_000_000),
    ("mnist_cnn_w4a4.onnx", mnist, 200, 20_000),
)


def main() -> None:
    """Both networks, then one table."""
    rows = [run(*network) for network in NETWORKS]
    console = Console(highlight=False, width=show.WIDTH)
    table = Table(title="Simulated on test images with random stalls; pynq-z2 at 100 MHz", title_justify="left")
    for name in ("", *(r["name"] for r in rows)):
        table.add_column(name, justify="right" if name else "left")
    for label, _ in LINES:
        table.add_row(label, *(dict(LINES)[label](r) for r in rows))
    console.print(table)
    for r in rows:
        console.print(f"report: {r['report']}")


def run(file: str, data: Any, images: int, fps: float) -> dict[str, Any]:
    """One network through every command; what the table shows of it."""
    build, folder = OUT / Path(file).stem, OUT / "data"
    folder.mkdir(parents=True, exist_ok=True)
    _, _, test_x, test_y = data()
    files = {k: folder / f"{build.name}_{k}.npy" for k in ("x", "few", "y", "labels")}
    np.save(files["x"], test_x.astype(np.float32))
    np.save(files["few"], test_x[:images].astype(np.float32))
    np.save(files["labels"], test_y.astype(np.int64))
    with show.steps() as progress:
        compile_model(HERE / file, build, Options(target_fps=fps), progress)
        opened = Build.open(build)
        ran = run_build(opened, files["x"], files["y"], files["labels"])
        progress(f"simulating {images} images")
        simulated = simulate_build(opened, files["few"], None, "verilator", STALL_SEED, None, lambda *_: None)
        progress("synthesizing")
        synthesized = synthesize_build(opened)
    report = write_report(build)
    return {"name": build.name, "run": ran, "sim": simulated, "synth": synthesized, "report": report}


def _pair(resource: str, counted: str = "") -> Any:
    return lambda r: f"{r['synth']['estimated'][resource]:g} / {r['synth'][counted or resource]:g}"


LINES = (
    ("accuracy (integer emulator, all test images)", lambda r: f"{r['run']['accuracy']:.2%} of {r['run']['samples']}"),
    ("images simulated / mismatches", lambda r: f"{r['sim']['samples']} / {r['sim']['mismatches']}"),
    ("latency, cycles (simulated)", lambda r: str(r["sim"]["latency_cycles"])),
    ("interval, cycles (simulated)", lambda r: str(r["sim"]["interval_cycles"])),
    ("frames/s of the fabric at 100 MHz", lambda r: f"{r['sim']['fabric_fps']:,.0f}"),
    ("LUT, paired, estimated / synthesized", _pair("lut", "lut_paired")),
    ("FF estimated / synthesized", _pair("ff")),
    ("DSP estimated / synthesized", _pair("dsp")),
    ("BRAM36 estimated / synthesized", _pair("bram36")),
)

if __name__ == "__main__":
    main()
