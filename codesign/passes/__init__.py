"""The pipeline of passes, in order; a check follows every pass."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from codesign.cost import Comparison
from codesign.fusion import Fusion, Journal
from codesign.graph import Graph
from codesign.passes.argmax import lift_argmax
from codesign.passes.averages import hoist_averages
from codesign.passes.check import Check, Checker
from codesign.passes.first_layer import fuse_input
from codesign.passes.fuse import fuse_activations
from codesign.passes.inputs import quantize_inputs
from codesign.passes.integerize import integerize
from codesign.passes.joins import fuse_joins
from codesign.passes.layout import simplify_layout
from codesign.passes.pieces import fuse_concats, fuse_splits
from codesign.passes.places import flatten_places
from codesign.passes.siblings import fuse_siblings
from codesign.passes.simplify import drop_identities, share_subexpressions
from codesign.passes.sink import into_parts, sink
from codesign.passes.unfused import keep_functions

Rewrite = Callable[[Graph, Journal], Graph]


@dataclass(frozen=True)
class Pass(Fusion):
    """A fusion of the graph. `exact`: the result must equal what was there before; only the choice of an input
    format, which the model leaves open, is not. `instead`: what is done where the fusion is off."""

    rewrite: Rewrite = field(kw_only=True)
    instead: Rewrite | None = field(default=None, kw_only=True)
    exact: bool = field(default=True, kw_only=True)


PASSES = (
    Pass(
        "common-subexpressions",
        "what is computed twice from the same tensors is computed once",
        rewrite=share_subexpressions,
    ),
    Pass(
        "identity",
        "operators that give back what they take are removed",
        rewrite=drop_identities,
    ),
    Pass(
        "inputs",
        "an input that reaches a product without a quantizer gets one, fixed<16,6>",
        "hardware takes integers, and the model does not say which",
        rewrite=quantize_inputs,
        exact=False,
    ),
    Pass(
        "sink",
        "maximum pools and layout move below the functions that follow them, to where numbers have few bits",
        rewrite=sink,
    ),
    Pass(
        "parts",
        "functions behind a concatenation move into its parts, each with its own scale",
        "integers of different scales cannot be joined",
        rewrite=into_parts,
    ),
    Pass(
        "averages",
        "average pools move above factors and offsets, to where numbers are integers",
        rewrite=hoist_averages,
    ),
    Pass(
        "integerize",
        "products, sums and pools move from real tensors to the integers behind them",
        "hardware computes with integers only",
        rewrite=integerize,
    ),
    Pass(
        "scale-migration",
        "both inputs of a sum get one common step, shown equal on every pair of integers",
        "integers of different steps cannot be added",
        rewrite=fuse_joins,
    ),
    Pass(
        "places",
        "a tensor whose constants differ between places becomes a vector with a function for each element",
        "hardware knows constants by channel only",
        rewrite=flatten_places,
    ),
    Pass(
        "argmax",
        "ArgMax moves below Softmax and rising functions onto the integers",
        rewrite=lift_argmax,
    ),
    Pass(
        "activations",
        "bias, batch normalization, activation and requantization become one operator, by evaluation",
        rewrite=fuse_activations,
        instead=keep_functions,
    ),
    Pass(
        "layout",
        "permutations go into the weights of the product behind them, onto the host, or cancel",
        "a permuted input is the host's work only where nothing stands between",
        rewrite=simplify_layout,
    ),
    Pass(
        "horizontal",
        "products that read the same tensor become one wider product, which shares window and input stream",
        rewrite=fuse_siblings,
    ),
    Pass(
        "split",
        "a part of a part, or of a concatenation, is taken from where it comes from",
        rewrite=fuse_splits,
    ),
    Pass(
        "concat",
        "nested concatenations become one, parts of a tensor that meet again become that tensor",
        rewrite=fuse_concats,
    ),
    Pass(
        "input",
        "what the host does to an input of few levels becomes comparisons with thresholds",
        rewrite=fuse_input,
    ),
)


def run_passes(graph: Graph, off: Collection[str] = (), compare: Comparison | None = None) -> tuple[Graph, list[Check]]:
    """Apply every pass that is not off (see `fusion.switched_off`); the result, what each did and its check found.

    `compare`: the cost model, for fusions that may make a network dearer; without it they always apply.
    """
    checks, checker = [], Checker(graph)
    for p in PASSES:
        rewrite = p.instead if p.name in off else p.rewrite
        if rewrite is None:
            continue
        journal = Journal(compare)
        graph = rewrite(graph, journal)
        if p.exact:
            checks.append(replace(checker.check(p.name, graph), notes=tuple(journal.notes)))
        else:
            checker = checker.moved_to(graph)
            checks.append(Check(p.name, 0, 0, len(graph.nodes), tuple(journal.notes)))
    return graph, checks
