"""A recipe: steps in the order in which they are applied, from a YAML file or a Python list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

import yaml

from codesign.compress import STEPS
from codesign.compress.step import Step
from codesign.errors import UserError
from codesign.yaml_file import read_yaml

KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "str": ((str,), "text"),
    "bool": ((bool,), "true or false"),
}


def read_recipe(path: Path) -> tuple[Step, ...]:
    """The steps of a YAML file, as in `steps: [{prune: {sparsity: 0.5}}, {csr: {}}]`; UserError says what is wrong."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as e:
        raise UserError(f"cannot read {path}: {getattr(e, 'strerror', None) or e}") from None
    content = read_yaml(path.name, text)
    if not isinstance(content, dict) or set(content) != {"steps"} or not isinstance(content["steps"], list):
        raise UserError(f"{path.name} must hold one list, as in steps: [{{prune: {{sparsity: 0.5}}}}]")
    return recipe_of(content["steps"], path.name)


def recipe_of(
    entries: Sequence[Mapping[str, Mapping[str, Any] | None] | str], source: str = "recipe"
) -> tuple[Step, ...]:
    """The steps of a list like [{"prune": {"sparsity": 0.5}}, "csr"]; `source`: named where something is wrong."""
    if not entries:
        raise UserError(f"{source} holds no step; known are {', '.join(s.name for s in STEPS)}")
    steps = []
    for number, entry in enumerate(entries, 1):
        try:
            steps.append(_step(entry))
        except UserError as e:
            raise UserError(f"{source}, step {number}: {e}") from None
    return tuple(steps)


def written(steps: Sequence[Step]) -> str:
    """The YAML file of some steps; what has its usual value is left out."""
    entries = [{s.name: {f.name: getattr(s, f.name) for f in _told(s)}} for s in steps]
    return yaml.safe_dump({"steps": entries}, sort_keys=False, default_flow_style=None, width=120)


def step_named(name: str) -> type[Step]:
    """The class of a step; UserError names those that there are."""
    found = {s.name: s for s in STEPS}.get(name)
    if found is None:
        raise UserError(f"'{name}' is no step; known are {', '.join(s.name for s in STEPS)}")
    return found


def _told(step: Step) -> list[Field]:
    every = fields(step)  # type: ignore[arg-type]
    return [f for f in every if f.default is MISSING or getattr(step, f.name) != f.default]


def _step(entry: Any) -> Step:
    if isinstance(entry, str):
        entry = {entry: None}
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise UserError("a step is its name and its parameters, as in {prune: {sparsity: 0.5}}")
    ((name, parameters),) = entry.items()
    kind = step_named(str(name))
    parameters = {} if parameters is None else parameters
    if not isinstance(parameters, Mapping):
        raise UserError(f"'{name}' takes parameters by name, as in {{{name}: {{layers: \"*\"}}}}")
    return kind(**_checked(kind, parameters))


def _checked(kind: type[Step], given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a step's constructor, each of its field's type."""
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    for name in given:
        if name not in known:
            raise UserError(f"'{kind.name}' has no parameter '{name}'; it has {', '.join(known)}")
    missing = [f.name for f in known.values() if f.default is MISSING and f.name not in given]
    if missing:
        raise UserError(f"'{kind.name}' needs '{missing[0]}'")
    return {name: _typed(kind.name, known[name], value) for name, value in given.items()}


def _typed(step: str, field: Field, value: Any) -> Any:
    types, words = KINDS[str(field.type)]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise UserError(f"'{step}': {field.name} is {value!r}; it must be {words}")
    return float(value) if field.type == "float" else value
