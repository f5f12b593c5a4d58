"""An HLS project: hls4ml's ModelGraph made from our layers, checked, and written the same every time."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codesign.errors import UserError
from codesign.formats import Int
from hw.hls.spec import TOP, HlsLayer, HlsNetwork

BACKENDS = {"vitis": "Vitis", "vivado": "Vivado", "catapult": "Catapult", "quartus": "Quartus"}
AP_TYPES = ("vitis", "vivado")
STAMP = "codesign"  # instead of hls4ml's random one


@dataclass(frozen=True)
class Device:
    """What the project is synthesized for; no part: hls4ml's default for the back end."""

    part: str | None
    clock_mhz: float

    @property
    def period_ns(self) -> float:
        return 1e3 / self.clock_mhz


def check_backend(backend: str, network: HlsNetwork) -> None:
    """UserError where hls4ml's back end lacks what the network needs."""
    if backend in AP_TYPES:
        return
    if network.io != "io_parallel":
        raise UserError(f"the {backend} back end takes --io parallel only here; its streams have other types")
    for layer in network.layers:
        if layer.kind in ("DepthwiseConv2D", "Conv2D"):
            raise UserError(
                f"node '{layer.origin}' (Conv): convolutions are laid out here for vitis and vivado only; hls4ml's "
                f"{backend} back end has other forms of them"
            )


def convert(network: HlsNetwork, backend: str, device: Device, folder: Path, trace: bool = True) -> Any:
    """hls4ml's ModelGraph for a folder, every format in it compared with the network's own."""
    require_hls4ml()
    from hls4ml.model.graph import ModelGraph

    from hw.hls.extension import register

    check_backend(backend, network)
    with quiet():
        register(BACKENDS[backend])
        config = _config(network, backend, device, folder, trace)
        try:
            model = ModelGraph.from_layer_list(
                config, [_layer(x, backend) for x in network.layers], list(network.inputs), list(network.outputs)
            )
        except UserError:
            raise
        except Exception as e:  # hls4ml raises plain exceptions for what it cannot do
            raise UserError(f"hls4ml does not take the network ({type(e).__name__}: {e})") from None
    _check_formats(model, network)
    return model


def write(model: Any, folder: Path) -> None:
    """The project in `folder`: byte for byte the same for the same network."""
    with quiet():
        model.write()
    stamp = str(model.config.get_config_value("Stamp"))
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".sh", ".yml", ".tcl", ".py", ".cpp", ".h")):
        text = path.read_text()
        fixed = text.replace(f"'{stamp}'", STAMP).replace(stamp, STAMP)  # YAML quotes one that looks like a number
        fixed = fixed.replace(str(folder), ".")
        if fixed != text:
            path.write_text(fixed)


def write_test_data(folder: Path, inputs: list[np.ndarray], outputs: list[np.ndarray]) -> None:
    """Golden words for the project's own test bench: one frame a line, tensors one after the other."""
    for name, arrays in (("tb_input_features", inputs), ("tb_output_predictions", outputs)):
        rows = np.concatenate([a.reshape(len(a), -1) for a in arrays], axis=1).astype(np.int64)
        np.savetxt(folder / "tb_data" / f"{name}.dat", rows, fmt="%d")


def digest(folder: Path) -> str:
    """Of everything that the emulation is compiled from."""
    sums = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and "tb_data" not in p.parts):
        sums.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return sums.hexdigest()[:24]


def require_hls4ml() -> None:
    """UserError where the optional dependency is not installed."""
    try:
        with quiet():
            import hls4ml  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError as e:
        raise UserError(f"hls4ml is missing ({e}), which HLS projects need: pip install 'codesign[hls]'") from None


def _layer(layer: HlsLayer, backend: str) -> dict[str, Any]:
    """As hls4ml's converters hand layers over."""
    own: dict[str, Any] = {"name": layer.name, "class_name": layer.kind, **layer.attributes}
    if layer.kind == "Input":
        return {**own, "input_shape": list(layer.shape)}
    if "sum" in layer.precision:
        own["sum_type"] = _cpp_type(layer.precision["sum"], backend)
    return {**own, "inputs": list(layer.inputs)}


def _config(network: HlsNetwork, backend: str, device: Device, folder: Path, trace: bool) -> dict[str, Any]:
    """The defaults are of one bit, so that a format left to them could not go unnoticed."""
    from hls4ml.backends import get_backend

    chosen = BACKENDS[backend]
    config = get_backend(chosen).create_initial_config(
        part=device.part, clock_period=device.period_ns, io_type=network.io
    )
    names = {
        x.name: {
            "Precision": {k: precision(v) for k, v in x.precision.items()},
            "ReuseFactor": x.reuse,
            **({"Strategy": x.strategy.capitalize()} if x.strategy else {}),
            "Trace": bool(trace and x.tensor and x.kind != "Input"),
        }
        for x in network.layers
    }
    model = {"Precision": {"default": precision(Int(0, 1))}, "ReuseFactor": 1, "Strategy": "Latency"}
    return {
        **config, "OutputDir": str(folder), "ProjectName": TOP, "Backend": chosen, "TraceOutput": trace,
        "HLSConfig": {"Model": model, "LayerName": names},
    }  # fmt: skip


def precision(span: Int) -> str:
    """As hls4ml writes integer types."""
    return f"ap_{'' if span.signed else 'u'}int<{span.bits}>"


def _cpp_type(span: Int, backend: str) -> str:
    if backend in AP_TYPES:
        return precision(span)
    return f"ac_int<{span.bits}, {str(span.signed).lower()}>"


def _check_formats(model: Any, network: HlsNetwork) -> None:
    """UserError where hls4ml gave something another format, factor or place than it was told."""
    wanted = network.by_name
    for layer in model.get_layers():
        own = wanted.get(layer.name)
        if own is None:  # a copy of a stream
            continue
        for name, span in own.precision.items():
            if name in ("sum", "bias"):
                continue
            found = _found(layer, name)
            if found is not None and (found.width, found.signed) != (span.bits, span.signed):
                raise UserError(f"hls4ml gave '{own.origin}' {found} for its {name}; exact is {precision(span)}")
        if layer.get_attr("reuse_factor") != own.reuse:
            raise UserError(f"hls4ml gave '{own.origin}' the reuse factor {layer.get_attr('reuse_factor')}")
    missing = set(wanted) - {x.name for x in model.get_layers()}
    if missing - {x.name for x in network.layers if x.kind == "Reshape"}:
        raise UserError(f"hls4ml dropped the layers {', '.join(sorted(missing))}")


def _found(layer: Any, name: str) -> Any:
    """The precision that hls4ml settled on."""
    if name == "result":
        return layer.get_output_variable().type.precision
    kind = layer.get_attr(f"{name}_t")
    return None if kind is None else kind.precision


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """hls4ml prints and warns on its way; what matters is checked afterwards."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        level = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(level)


def layer_table(network: HlsNetwork) -> list[Mapping[str, Any]]:
    """What became of every layer: hls4ml's own or an extension, its formats, its reuse factor."""
    return [
        {
            "name": x.name,
            "layer": x.origin,
            "kind": x.attributes.get("function", x.kind),
            "own": "function" in x.attributes,
            "formats": {k: precision(v) for k, v in x.precision.items()},
            "reuse": x.reuse,
        }
        for x in network.layers
    ]
