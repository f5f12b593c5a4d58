"""What can be chosen of a network's precision: the weights of each layer, and the activations that share a scale."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from codesign.quantize.precision import INPUTS, Precision, precision_of
from codesign.quantize.prepare import Prepared

WEIGHTS = ("int8", "int6", "int5", "int4", "int3", "int2")
ACTIVATIONS = ("uint8", "uint6", "uint5", "uint4", "uint3", "uint2")


@dataclass(frozen=True)
class Knob:
    """Formats to choose from, the widest first, for the weights or the results of some layers (products, labels)."""

    kind: str
    layers: tuple[str, ...]
    labels: tuple[str, ...]
    options: tuple[str, ...]


Setting = Mapping[Knob, int]  # the option of every knob


def knobs_of(found: Prepared) -> tuple[Knob, ...]:
    """One for each layer's weights, one for the layers whose results have scales that depend on each other."""
    labels = {layer.product: layer.label for layer in found.layers}
    weights = [Knob("weights", (product,), (label,), WEIGHTS) for product, label in labels.items()]
    groups: dict[str, frozenset[str]] = {}
    for family in {p.family: None for p in found.points}:
        layers = frozenset(k for p in found.points if p.family == family for k in p.layers if k)
        merged = layers.union(*(groups.get(name, ()) for name in layers))
        groups.update(dict.fromkeys(merged, merged))
    shared = dict.fromkeys(tuple(p for p in labels if p in groups[name]) for name in labels if name in groups)
    return (*weights, *(Knob("activations", ks, tuple(labels[k] for k in ks), ACTIVATIONS) for ks in shared))


def precision_text(found: Prepared, setting: Setting) -> str:
    """The precision file of a setting, for `read_precision`."""
    chosen = {(layer, k.kind): k.options[i] for k, i in setting.items() for layer in k.layers}
    content: dict[str, Any] = {"inputs": INPUTS}
    for layer in found.layers:
        formats = {kind: chosen.get((layer.product, kind)) for kind in ("weights", "activations")}
        content[glob.escape(layer.label)] = {kind: name for kind, name in formats.items() if name}
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=120)


def precision_for(found: Prepared, setting: Setting) -> Precision:
    """The precision that the file means."""
    return precision_of("mixed", precision_text(found, setting))
