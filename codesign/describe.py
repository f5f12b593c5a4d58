"""A compiled network as plain data for the manifest."""

from __future__ import annotations

from typing import Any

from codesign.graph import Graph, TensorType
from codesign.passes.inputs import assumed_inputs
from codesign.passes.split import Model


def describe_network(source: Graph, network: Model) -> dict[str, Any]:
    """Inputs and outputs as the user knows them, the integers at the accelerator's border, the host's work."""
    before, core, after = network.before, network.core, network.after
    return {
        "inputs": [_tensor(i.name, i.type) for i in before.inputs],
        "outputs": [_tensor(o, after.types[o]) for o in after.outputs],
        "core": {
            "inputs": [_tensor(i.name, i.type) for i in core.inputs],
            "outputs": [_tensor(o, core.types[o]) for o in core.outputs],
        },
        "assumed_inputs": assumed_inputs(before),
        "host": {"before": str(before).splitlines(), "after": str(after).splitlines()},
        "graph": {"before": str(source).splitlines(), "core": str(core).splitlines()},
    }


def _tensor(name: str, t: TensorType) -> dict[str, Any]:
    if not t.is_integer:
        return {"name": name, "shape": list(t.shape), "type": "float32"}
    meaning = {"scale": list(t.scale), "zero_point": list(t.zero_point)}
    return {"name": name, "shape": list(t.shape), "type": str(t.format), **meaning}
