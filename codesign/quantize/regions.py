"""A quantized network cut at its quantizers into regions, whose costs depend on few formats each and add up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import reduce

from codesign.cost import Comparison, Cost, CostModel, Target
from codesign.errors import UserError
from codesign.graph import Graph, Input
from codesign.ops.quantize import Quantize
from codesign.passes import run_passes
from codesign.passes.split import split
from codesign.quantize.candidates import Candidates
from codesign.quantize.knobs import Knob, Setting


@dataclass(frozen=True, eq=False)
class Price:
    """What a quantized graph costs on a target, with some fusions off; `compare` chooses of the others."""

    model: CostModel
    target: Target
    off: Collection[str] = ()
    compare: Comparison | None = None

    def of(self, graph: Graph) -> Cost:
        """0 where all of it is the host's work; CheckFailed where no folding reaches the target's rate."""
        fused, _ = run_passes(graph, self.off, self.compare)
        try:
            core = split(fused).core
        except UserError:  # no layer to accelerate
            return Cost()
        return self.model(core, self.target)


@dataclass(frozen=True)
class Region:
    """Names of the tensors that a part of the network reads and gives, and the knobs that its cost depends on."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    knobs: tuple[Knob, ...]


class RegionCosts:
    """The sum of the regions' costs at any setting; each region is costed once for each of its own settings."""

    def __init__(self, given: Candidates, price: Price, progress: Callable[[str], None]) -> None:
        self.given, self.price, self.progress = given, price, progress
        self.regions = tuple(_regions(given))
        self.known: dict[tuple[Region, tuple[int, ...]], Cost] = {}

    def cost(self, setting: Setting) -> Cost:
        """The estimate for the whole network, but for what joins the regions."""
        keys = [(r, tuple(setting[k] for k in r.knobs)) for r in self.regions]
        if any(key not in self.known for key in keys):
            graph = self.given.graph(setting)
            for key in keys:
                if key not in self.known:
                    self.progress(f"choosing formats: {len(self.known)} parts of circuits costed")
                    self.known[key] = self.price.of(_cut(graph, key[0]))
        return reduce(Cost.__add__, (self.known[key] for key in keys), Cost())


def _cut(graph: Graph, region: Region) -> Graph:
    inputs = tuple(Input(i, graph.types[i]) for i in region.inputs)
    return Graph(inputs, (), ()).replace((n for n in graph.nodes if n.name not in region.inputs), region.outputs)


def _regions(given: Candidates) -> Iterator[Region]:
    """Every end (a quantizer, an output) with all that leads to it from the quantizers before."""
    graph = given.graph(given.widest)
    ends = {n.name for n in graph.nodes if isinstance(n.op, Quantize)} | set(graph.outputs)
    groups: list[tuple[set[str], set[str]]] = []  # (ends, tensors on the way), merged where ways meet
    for end in (n.name for n in graph.nodes if n.name in ends):
        way = _way(graph, end, ends)
        meeting = [g for g in groups if not way.isdisjoint(g[1])]
        groups = [g for g in groups if g not in meeting]
        groups.append(({end}.union(*(g[0] for g in meeting)), way.union(*(g[1] for g in meeting))))
    for some, way in groups:
        read = dict.fromkeys(i for n in graph.nodes if n.name in way for i in n.inputs if i not in way)
        inputs = [i for i in read if i not in graph.constants] + [i.name for i in graph.inputs if i.name in way]
        knobs = tuple(k for k in given.knobs if not given.changed(k).isdisjoint(way | set(read)))
        yield Region(tuple(inputs), tuple(sorted(some)), knobs)


def _way(graph: Graph, end: str, ends: set[str]) -> set[str]:
    """The tensors from the quantizers before an end (left out) to it (counted), but constants."""
    todo, seen = [end], {end}
    while todo:
        name = todo.pop()
        operands = graph.by_name[name].inputs if name in graph.by_name else ()
        new = {i for i in operands if i not in ends and i not in graph.constants} - seen
        seen |= new
        todo += new
    return seen
