"""The one layer kind that hls4ml gets from here, through its public extension API: a function of templates/codesign.h.

Imported only where hls4ml is needed: it is an optional dependency.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hls4ml.backends import get_backend
from hls4ml.backends.template import FunctionCallTemplate, LayerConfigTemplate
from hls4ml.model.layers import Layer, layer_map, register_layer

from codesign.errors import UserError
from hw.hls.spec import EXTENSION

TEMPLATES = Path(__file__).parent / "templates"
ELEMENTWISE = ("threshold", "requant", "table", "affine")


class CodesignOperator(Layer):
    """`function`: the C++ template; `sizes`: constants of its configuration; `parameters`: its arrays by name."""

    def initialize(self) -> None:
        self.add_output_variable(self.get_attr("out_shape"))
        for name, values in self.get_attr("parameters").items():
            self.add_weights_variable(name, data=np.asarray(values, dtype=np.float64))


class ConfigTemplate(LayerConfigTemplate):
    """The struct that carries sizes and types."""

    def __init__(self) -> None:
        super().__init__(CodesignOperator)

    def format(self, node: Any) -> str:
        lines = [f"static const {_kind(v)} {k} = {_literal(v)};" for k, v in node.get_attr("sizes").items()]
        lines.append(f"static const unsigned reuse = {node.get_attr('reuse_factor')};")
        lines += [f"typedef {node.get_weights(p).type.name} {p}_t;" for p in node.get_attr("parameters")]
        if node.get_attr("sum_type"):
            lines.append(f"typedef {node.get_attr('sum_type')} sum_t;")
        body = "".join(f"    {line}\n" for line in lines)
        return f"struct config{node.index} {{\n{body}}};\n"


class CallTemplate(FunctionCallTemplate):
    """The call in the top function."""

    def __init__(self) -> None:
        super().__init__(CodesignOperator)

    def transform(self, model: Any, node: Any) -> Any:
        is_stream = model.config.get_config_value("IOType") == "io_stream"
        self.include_header = [f"nnet_utils/codesign{'_stream' if is_stream else ''}.h"]
        return super().transform(model, node)

    def format(self, node: Any) -> str:
        function, inputs = node.get_attr("function"), [node.get_input_variable(i) for i in node.inputs]
        out, each = node.get_output_variable(), function in ELEMENTWISE
        types = [*([f"codesign::{function}"] if each else []), *(i.type.name for i in inputs), out.type.name]
        given = [*(i.name for i in inputs), out.name, *(node.get_weights(p).name for p in node.get_attr("parameters"))]
        name = "each" if each else function
        return f"codesign::{name}<{', '.join(types)}, config{node.index}>({', '.join(given)});"


def _kind(value: int | bool) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "bool"
    return "unsigned" if 0 <= value < 1 << 31 else "long long"


def _literal(value: int | bool) -> str:
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    return f"{value}" if _kind(value) == "unsigned" else f"{value}LL"


def register(backend_name: str) -> None:
    """Make the layer known to hls4ml and to one of its back ends; UserError where the name is taken by another."""
    known = layer_map.get(EXTENSION)
    if known is not None and known is not CodesignOperator:
        raise UserError(
            f"another extension of hls4ml has registered a layer named {EXTENSION}, which is this tool's name; "
            "run without that extension"
        )
    backend = get_backend(backend_name)
    _check_sources(backend)
    if known is None:
        register_layer(EXTENSION, CodesignOperator)
    if backend_name not in _registered:
        backend.register_template(ConfigTemplate)
        backend.register_template(CallTemplate)
        for path in sorted(TEMPLATES.glob("*.h")):
            backend.register_source(path)
        _registered.add(backend_name)


_registered: set[str] = set()


def _check_sources(backend: Any) -> None:
    """UserError where another extension has a file of the same name."""
    own = {p.name: p for p in TEMPLATES.glob("*.h")}
    for place, path in backend.get_custom_source().items():
        name = Path(place).name
        if name in own and Path(path) != own[name]:
            raise UserError(f"another extension of hls4ml has registered a file named {name}; run without it")
