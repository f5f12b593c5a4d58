"""Which number formats the layers of a network get: a preset by name, or a YAML file by layer pattern."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from codesign.errors import UserError
from codesign.formats import Int
from codesign.quantize.weight_formats import WeightFormat, weight_format
from codesign.yaml_file import read_yaml


@dataclass(frozen=True)
class Activations:
    """Affine (`uint8`: unsigned codes and a zero point) or symmetric (`int8`: signed codes around 0)."""

    name: str
    format: Int
    affine: bool


@dataclass(frozen=True)
class Rule:
    """Formats of the layers whose name matches the pattern: of the weights, and of what the layer gives."""

    pattern: str
    weights: WeightFormat
    activations: Activations


@dataclass(frozen=True)
class Precision:
    """For every layer the first rule that matches; `inputs`: the format of what the network is given."""

    name: str
    rules: tuple[Rule, ...]
    inputs: Activations

    def rule_for(self, layer: str) -> Rule:
        """The first rule that matches a layer's name."""
        for rule in self.rules:
            if fnmatchcase(layer, rule.pattern):
                return rule
        raise UserError(f"{self.name}: no pattern matches layer '{layer}'; end the file with a '*' entry")

    def check_used(self, layers: Iterable[str]) -> None:
        """Refuse a pattern that matches no layer: it is a slip of the pen."""
        layers = list(layers)
        for rule in self.rules:
            if not any(fnmatchcase(layer, rule.pattern) for layer in layers):
                raise UserError(
                    f"{self.name}: pattern '{rule.pattern}' matches no layer; the layers are {', '.join(layers)}"
                )


def activations(text: str) -> Activations:
    """`uint8`, `int4`, ... up to 16 bits; UserError otherwise."""
    match = re.fullmatch(r"(u?)int(\d{1,2})", text)
    bits = int(match.group(2)) if match else 0
    if match is None or not (2 if not match.group(1) else 1) <= bits <= 16:
        raise UserError(f"activation format '{text}' is unknown; known are uint1..uint16 and int2..int16")
    affine = bool(match.group(1))
    return Activations(text, Int.of(bits, signed=not affine, narrow=not affine), affine)


MIXED = "mixed"  # no precision of its own: chosen by sensitivity (codesign.quantize.mixed)
KNOWN = f"int8, w4a8 (wXaY: weights of X, activations of Y bits), {MIXED}"
INPUTS = "uint8"  # what comes from outside keeps 8 bits in every preset


def read_precision(text: str) -> Precision:
    """A preset's name or the path of a YAML file; UserError says what is wrong with it."""
    preset = re.fullmatch(r"w(\d{1,2})a(\d{1,2})", "w8a8" if text == "int8" else text)
    if preset:
        bits, acts = preset.groups()
        weights = "binary" if bits == "1" else f"int{bits}"
        entry = {"weights": weights, "activations": f"uint{acts}"}
        return Precision(text, (_rule(text, "*", entry),), activations(INPUTS))
    if not text.endswith((".yaml", ".yml")):
        raise UserError(f"precision '{text}' is unknown; give {KNOWN} or a .yaml file")
    return _from_file(Path(text))


def _from_file(path: Path) -> Precision:
    try:
        return precision_of(path.name, path.read_text())
    except OSError as e:
        raise UserError(f"cannot read {path}: {e.strerror}") from None
    except UnicodeDecodeError as e:
        raise UserError(f"{path} is not a YAML file: {e}") from None


def precision_of(name: str, text: str) -> Precision:
    """The precision that the text of a file means; UserError says what is wrong with it, `name` in front."""
    content = read_yaml(name, text)
    inputs = content.pop("inputs", INPUTS) if isinstance(content, dict) else INPUTS
    if not isinstance(content, dict) or not content:
        raise UserError(f"{name} must map layer patterns to formats, as in '*': {{weights: int8, activations: uint8}}")
    rules = tuple(_rule(name, pattern, entry) for pattern, entry in content.items())
    return Precision(name, rules, _located(name, "inputs", activations, inputs))


def _rule(file: str, pattern: Any, entry: Any) -> Rule:
    if not isinstance(entry, dict) or not entry or set(entry) - {"weights", "activations"}:
        raise UserError(f"{file}, '{pattern}': an entry is {{weights: FORMAT, activations: FORMAT}}")
    weights = _located(file, pattern, weight_format, entry.get("weights", "int8"))
    return Rule(str(pattern), weights, _located(file, pattern, activations, entry.get("activations", "uint8")))


def _located(file: str, pattern: Any, parse: Any, text: Any) -> Any:
    """parse(text), with the place in the file in front of what is wrong."""
    try:
        return parse(str(text))
    except UserError as e:
        raise UserError(f"{file}, '{pattern}': {e}") from None
