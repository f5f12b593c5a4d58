"""What cannot become integers: the host's at either end of a network, refused by name between its layers."""

import numpy as np
import pytest

from codesign.errors import UserError
from codesign.formats import Int
from codesign.ops.argmax import ArgMax
from codesign.ops.elementwise import Add
from codesign.ops.matmul import BatchMatMul, MatMul
from codesign.ops.softmax import Softmax
from codesign.ops.unary import Unary
from codesign.passes import run_passes
from codesign.passes.split import host_layers, split
from tests.pass_graphs import Net


def test_argmax_of_channels_with_their_own_offsets_stays_on_the_host():
    net = Net(4)
    product = net.add(MatMul(), net.quantize("x"), net.weights(4, 3))
    graph, _ = run_passes(net.graph(net.add(ArgMax(), net.add(Add(), product, net.constant([0.1, 0.2, 0.3])))))
    assert "ArgMax" in [type(n.op).__name__ for n in split(graph).after.nodes]


def test_real_weights_are_refused_by_name():
    net = Net(4)
    product = net.add(MatMul(), net.quantize("x"), net.constant(np.random.default_rng(0).normal(size=(4, 3))))
    with pytest.raises(UserError, match=rf"'{product}' \(MatMul\): its weights .* are not quantized"):
        split(run_passes(net.graph(product))[0])


@pytest.mark.parametrize("where", ["first", "last", "middle"])
def test_a_layer_of_real_weights_is_the_hosts_at_either_end(where):
    net, real = Net(4), np.random.default_rng(0).normal(size=(4, 4))
    x = net.add(MatMul(), "x", net.constant(real)) if where == "first" else "x"
    x = net.quantize(net.add(MatMul(), net.quantize(x), net.weights(4, 4)))
    x = net.add(MatMul(), x, net.constant(real)) if where != "first" else x
    x = net.add(MatMul(), net.quantize(x), net.weights(4, 2)) if where == "middle" else x
    before = net.graph(x)
    if where == "middle":
        with pytest.raises(UserError, match=r"its weights .* are not quantized"):
            split(run_passes(before)[0])
        return
    network, feeds = split(run_passes(before)[0]), {"x": np.random.default_rng(1).normal(size=(20, 4))}
    assert len(host_layers(network)) == 1
    np.testing.assert_allclose(network.run(feeds)[x], before.run({"x": feeds["x"].astype(np.float32)})[x])


def test_what_stays_real_between_layers_is_named():
    net = Net(4)
    softmax = net.add(Softmax(), net.add(MatMul(), net.quantize("x"), net.weights(4, 3)))
    last = net.add(MatMul(), net.quantize(softmax), net.weights(3, 2))
    with pytest.raises(UserError, match=rf"'{softmax}' \(Softmax\) stays real .* it has no form on integers"):
        split(run_passes(net.graph(last))[0])


def test_what_keeps_a_tensor_real_between_layers_is_named():
    net = Net(4, 4)
    x = net.add(MatMul(), net.quantize("x"), net.weights(4, 4))
    soft = net.add(Softmax(), net.add(Unary("tanh"), net.quantize(x)))
    late = net.quantize(net.add(MatMul(), net.quantize(net.add(Unary("relu"), soft)), net.weights(4, 2)))
    with pytest.raises(UserError, match=rf"'{soft}' \(Softmax\) stays real .* no form on integers"):
        split(run_passes(net.graph(late))[0])
    product = net.add(BatchMatMul(), net.quantize(x), net.quantize(x, scale=(0.5,)))
    with pytest.raises(UserError, match=rf"'{product}' \(BatchMatMul\).* computed, .* constants only"):
        split(run_passes(net.graph(net.add(MatMul(), net.quantize(product), net.weights(4, 2))))[0])


def test_a_layer_whose_input_stays_real_is_refused_by_name():
    net = Net(4)
    first = net.add(MatMul(), net.quantize("x"), net.weights(4, 3))
    second = net.add(MatMul(), net.add(Unary("relu"), first), net.weights(3, 2))
    with pytest.raises(UserError, match=rf"'{second}' \(MatMul\): its input .* not quantized"):
        run_passes(net.graph(second))


def test_a_model_without_quantizers_is_told_of_calibration():
    net, whole = Net(4), np.ones((4, 4))
    first = net.add(Unary("relu"), net.add(MatMul(), "x", net.constant(whole)))
    second = net.add(MatMul(), first, net.constant(whole))
    with pytest.raises(UserError, match=r"nor is the rest of the model; .* --calibration"):
        run_passes(net.graph(second))


def test_constants_of_places_are_refused_where_their_functions_take_too_much_memory():
    net = Net(64, 64, 64)
    x = net.quantize(net.add(MatMul(), net.quantize("x"), net.weights(64, 64)))
    added = net.add(Add(), x, net.constant(np.random.default_rng(0).normal(size=(64, 64, 64))))
    with pytest.raises(UserError, match="differ between places, and 262144 elements"):
        run_passes(net.graph(net.add(MatMul(), net.quantize(added, Int.of(8, False)), net.weights(64, 2))))
