"""Each integer operator as hardware: which foldings it has, and the chain of stages that each gives.

One row an operator in LAYERS. A folding is how many elements enter and leave a layer in a cycle.
"""

from __future__ import annotations

from codesign.errors import UserError
from codesign.graph import Graph, GraphError, Node
from codesign.ops.argmax import ArgMax
from codesign.ops.conv import Conv
from codesign.ops.elementwise import Add, Maximum, Minimum, Mul
from codesign.ops.layout import Concat
from codesign.ops.matmul import MatMul
from codesign.ops.pad import Pad
from codesign.ops.pool import GlobalMaxPool, GlobalSumPool, MaxPool, SumPool
from codesign.ops.reduce import Reduce
from codesign.ops.requant import Requant
from codesign.ops.table import Table
from codesign.ops.threshold import Threshold
from codesign.ops.weigh import Weigh
from hw.divisors import divisors
from hw.layer import Chain, Folding, Layer, border_of, input_stream, stream_of
from hw.pooling import global_stages, pool_cycles, pool_stages, reduce_foldings, reduce_stages, wide_pools
from hw.products import PRODUCT, has_window
from hw.rearrange import MOVES, concat_cycles, concat_foldings, concat_stages, moving_foldings, moving_stages
from hw.stages.activation import cheapest
from hw.stages.argmax import ArgMax as ArgMaxStage
from hw.stages.join import Add as AddStage
from hw.stages.join import Extreme
from hw.stages.join import Mul as MulStage
from hw.stages.pad import Pad as PadStage
from hw.stages.weigh import WeighStage


def layer_of(graph: Graph, node: Node) -> Layer:
    """The row of LAYERS for a node; UserError where the operator has no hardware."""
    layer = LAYERS.get(type(node.op))
    if layer is None:
        raise UserError(
            f"node '{node.label}' ({type(node.op).__name__}) has no hardware stage; "
            "keep it at the beginning or the end of the network, where the host can run it"
        )
    return layer


# --- layers with one number of lanes ---------------------------------------------------------------------------


def _even(graph: Graph, node: Node) -> list[Folding]:
    """The same lanes in and out: any divisor of the channels."""
    return [Folding(d, d) for d in divisors(graph.types[node.inputs[0]].shape[-1])]


def _to_one(graph: Graph, node: Node) -> list[Folding]:
    return [Folding(d, 1) for d in divisors(graph.types[node.inputs[0]].shape[-1])]


def _beats(graph: Graph, node: Node, folding: Folding) -> int:
    """As many cycles as the larger of input and output has beats."""
    sizes = [graph.types[i].size // folding.lanes_in for i in node.inputs]
    return max(*sizes, graph.types[node.name].size // folding.lanes_out)


def _pad_stages(graph: Graph, node: Node, folding: Folding) -> Chain:
    op = node.op
    assert isinstance(op, Pad)
    return [("pad", PadStage(input_stream(graph, node, folding), op.before, op.after, int(op.value), op.gaps))]


def borders(graph: Graph) -> dict[str, str]:
    """Padding that windows make themselves: its name, and that of the layer whose windows these are."""
    made = {n.name: border_of(graph, n) for n in graph.nodes if has_window(graph, n)}
    return {pad.name: name for name, pad in made.items() if pad is not None}


def _add_stages(graph: Graph, node: Node, folding: Folding) -> Chain:
    a, b = (stream_of(graph.types[i], folding.lanes_in) for i in node.inputs)
    return [("add", AddStage(a, b))]


def _mul_stages(graph: Graph, node: Node, folding: Folding) -> Chain:
    a, b = (stream_of(graph.types[i], folding.lanes_in) for i in node.inputs)
    return [("mul", MulStage(a, b))]


def _extreme_stages(graph: Graph, node: Node, folding: Folding) -> Chain:
    a, b = (stream_of(graph.types[i], folding.lanes_in) for i in node.inputs)
    return [("extreme", Extreme(a, b, isinstance(node.op, Minimum)))]


def _argmax_stages(graph: Graph, node: Node, folding: Folding) -> Chain:
    op = node.op
    assert isinstance(op, ArgMax)
    return [("argmax", ArgMaxStage(input_stream(graph, node, folding), largest=not op.least))]


def _activation_stages(graph: Graph, node: Node, folding: Folding) -> Chain:
    op = node.op
    assert isinstance(op, (Threshold, Table, Requant))
    try:
        return [("activation", cheapest(input_stream(graph, node, folding), op))]
    except GraphError as e:
        raise UserError(f"node '{node.label}': {e}; put a quantizer of fewer bits before it") from None


def _weigh_stages(graph: Graph, node: Node, folding: Folding) -> Chain:
    op = node.op
    assert isinstance(op, Weigh)
    return [("weigh", WeighStage(input_stream(graph, node, folding), op))]


ACTIVATION = Layer(_even, _activation_stages, _beats)
POOL = Layer(lambda graph, node: _even(graph, node) + wide_pools(graph, node), pool_stages, pool_cycles)
GLOBAL = Layer(_even, global_stages, _beats)

MOVING = Layer(moving_foldings, moving_stages, _beats)

LAYERS: dict[type, Layer] = {
    MatMul: PRODUCT,
    Conv: PRODUCT,
    Threshold: ACTIVATION,
    Table: ACTIVATION,
    Requant: ACTIVATION,
    MaxPool: POOL,
    SumPool: POOL,
    GlobalMaxPool: GLOBAL,
    GlobalSumPool: GLOBAL,
    Reduce: Layer(reduce_foldings, reduce_stages, _beats),
    Pad: Layer(_even, _pad_stages, _beats),
    Weigh: Layer(_even, _weigh_stages, _beats),
    Add: Layer(_even, _add_stages, _beats),
    Mul: Layer(_even, _mul_stages, _beats),
    **dict.fromkeys((Minimum, Maximum), Layer(_even, _extreme_stages, _beats)),
    Concat: Layer(concat_foldings, concat_stages, concat_cycles),
    ArgMax: Layer(_to_one, _argmax_stages, _beats),
    **dict.fromkeys(MOVES, MOVING),
}
