"""The extension recipes of docs/design.md stay true: nothing is added without its case."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from dataclasses import is_dataclass
from pathlib import Path

import pytest

import codesign.ops
import hw.stages
from boards import BOARDS
from codesign.serialize import KINDS
from hw.layers import LAYERS

TESTS = "\n".join(p.read_text() for p in Path(__file__).parent.glob("test_*.py"))


def classes(package, *methods: str) -> list[type]:
    """The dataclasses of a package's modules that have all of some methods."""
    modules = [importlib.import_module(f"{package.__name__}.{m.name}") for m in pkgutil.iter_modules(package.__path__)]
    own = [c for m in modules for c in vars(m).values() if inspect.isclass(c) and c.__module__ == m.__name__]
    return [c for c in own if is_dataclass(c) and not c.__subclasses__() and all(hasattr(c, m) for m in methods)]


@pytest.mark.parametrize("op", classes(codesign.ops, "infer", "run"), ids=lambda c: c.__name__)
def test_every_operator_can_be_saved(op):
    assert KINDS.get(op.__name__) is op


@pytest.mark.parametrize("stage", classes(hw.stages, "golden", "schedule", "cost", "rtl"), ids=lambda c: c.__name__)
def test_every_stage_has_a_case(stage):
    assert f"{stage.__name__}(" in TESTS


@pytest.mark.parametrize("op", LAYERS, ids=lambda c: c.__name__)
def test_every_operator_with_hardware_can_be_saved(op):
    assert KINDS[op.__name__] is op


def test_every_board_file_is_listed():
    files = (Path(__file__).parent.parent / "boards").glob("*.py")
    files = {p.stem for p in files if "\nBOARD = Board(" in p.read_text()}
    assert {b.name.replace("-", "_") for b in BOARDS} == files
