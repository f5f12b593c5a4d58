"""The pipeline of passes, in order; a check follows every pass."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from codesign.errors import UserError
from codesign.graph import Graph
from codesign.passes.argmax import lift_argmax
from codesign.passes.check import Check, Checker
from codesign.passes.first_layer import fuse_input
from codesign.passes.fuse import fuse_activations
from codesign.passes.inputs import quantize_inputs
from codesign.passes.integerize import integerize
from codesign.passes.joins import fuse_joins
from codesign.passes.layout import simplify_layout
from codesign.passes.sink import sink


@dataclass(frozen=True)
class Pass:
    """A named rewrite; `required`: the hardware path needs it, so it cannot be switched off.

    `exact`: the result must equal what was there before; only the choice of an input format, which the model
    leaves open, is not.
    """

    name: str
    rewrite: Callable[[Graph], Graph]
    required: bool = False
    exact: bool = True


PASSES = (
    Pass("inputs", quantize_inputs, required=True, exact=False),
    Pass("sink", sink),
    Pass("integerize", integerize, required=True),
    Pass("joins", fuse_joins, required=True),
    Pass("argmax", lift_argmax),
    Pass("activations", fuse_activations, required=True),
    Pass("layout", simplify_layout, required=True),
    Pass("input", fuse_input),
)


def run_passes(graph: Graph, off: Collection[str] = ()) -> tuple[Graph, list[Check]]:
    """Apply every pass that is not off; the result and what each pass's check found."""
    _check_names(off)
    checks, checker = [], Checker(graph)
    for p in PASSES:
        if p.name in off:
            continue
        graph = p.rewrite(graph)
        if p.exact:
            checks.append(checker.check(p.name, graph))
        else:
            checker = checker.moved_to(graph)
    return graph, checks


def _check_names(off: Collection[str]) -> None:
    switchable = [p.name for p in PASSES if not p.required]
    for name in off:
        if name not in switchable:
            raise UserError(f"--no-fuse {name}: fusions that can be switched off are {', '.join(switchable)}")
