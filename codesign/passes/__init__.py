"""The pipeline of passes, in order; a check follows every pass."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from codesign.graph import Graph
from codesign.passes.argmax import lift_argmax
from codesign.passes.check import Check, check_equal
from codesign.passes.first_layer import fuse_input
from codesign.passes.fuse import fuse_activations
from codesign.passes.integerize import integerize
from codesign.passes.layout import simplify_layout
from codesign.passes.sink import sink


@dataclass(frozen=True)
class Pass:
    """A named rewrite; `required`: the hardware path needs it, so it cannot be switched off."""

    name: str
    rewrite: Callable[[Graph], Graph]
    required: bool = False


PASSES = (
    Pass("sink", sink),
    Pass("integerize", integerize, required=True),
    Pass("argmax", lift_argmax),
    Pass("activations", fuse_activations, required=True),
    Pass("layout", simplify_layout, required=True),
    Pass("input", fuse_input),
)


def run_passes(graph: Graph, off: Collection[str] = ()) -> tuple[Graph, list[Check]]:
    """Apply every pass that is not off; the result and what each pass's check found."""
    checks = []
    for p in PASSES:
        if p.name in off:
            continue
        changed = p.rewrite(graph)
        checks.append(check_equal(p.name, graph, changed))
        graph = changed
    return graph, checks
