"""Every operator's HLS form equals the emulator, and what hls4ml would compute otherwise is avoided."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.errors import UserError
from codesign.formats import Int
from codesign.graph import Graph, Input, TensorType
from codesign.ops.elementwise import Add
from hw.hls import emulation
from hw.hls.check import compare, seeded_inputs
from hw.hls.lower import ROWS, lower
from hw.hls.products import reuse_factor
from hw.hls.project import Device, convert, write
from hw.hls.spec import Names, weights_span
from hw.layers import LAYERS
from tests.hls_graphs import CASES, SHAPE, Sketch, conv, everything

DEVICE = Device("xc7z020clg400-1", 100.0)


def emulated(graph: Graph, folder: Path, io: str, interval: int, backend: str = "vitis") -> emulation.Emulation:
    network = lower(graph, io, interval)
    write(convert(network, backend, DEVICE, folder), folder)
    return emulation.build(network, folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    "io, backend, interval",
    (
        ("io_parallel", "vitis", 100),
        ("io_stream", "vitis", 1),
        ("io_parallel", "vivado", 1),
        ("io_stream", "vivado", 10_000),
    ),
)
def test_every_operator_equals_the_emulator(io: str, backend: str, interval: int, tmp_path) -> None:
    graph = everything()
    compared = compare(graph, emulated(graph, tmp_path, io, interval, backend), seeded_inputs(graph, 50))
    assert compared.words == 50 * sum(graph.types[o].size for o in graph.outputs)
    assert not compared.mismatches, compared.failed


def test_every_operator_with_a_stage_has_an_hls_form_and_a_case() -> None:
    tried = {type(n.op) for n in everything().nodes}
    assert set(LAYERS) <= set(ROWS) and set(ROWS) <= tried
    assert len(lower(everything(), "io_stream", 100).outputs) == len(CASES)


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=4))
def test_weights_are_never_of_a_width_that_hls4ml_reads_otherwise(values: list[int]) -> None:
    span = weights_span(np.array(values))
    assert span.lo <= min(values) and span.hi >= max(values) and span.bits > 1
    assert not (span.signed and span.bits == 2 and min(values) < -1)


@settings(deadline=None)  # the first one imports hls4ml
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2000))
def test_reuse_factors_are_what_hls4ml_computes_with(inputs: int, outputs: int, cycles: int) -> None:
    from hls4ml.backends import get_backend

    valid = get_backend("Vitis").get_valid_reuse_factors(inputs, outputs)
    wanted = [f for f in valid if f <= max(1, cycles)]
    assert reuse_factor(inputs, outputs, cycles, inputs * outputs) == max(wanted)


@given(st.lists(st.text(max_size=40), max_size=8))
def test_names_are_identifiers_and_differ_in_lower_case(wishes: list[str]) -> None:
    names = Names()
    made = [names.fresh(w, "conv") for w in wishes]
    assert len({m.lower() for m in made}) == len(made)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", m) for m in made)


def test_a_stream_with_too_many_readers_is_refused_by_name() -> None:
    s = Sketch()
    x = s.x()
    s.outputs = [s.add(Add(), x, s.x()) for _ in range(8)]
    assert len(lower(s.graph(), "io_parallel", 100).outputs) == 8
    with pytest.raises(UserError, match=r"'x0' is read 8 times; hls4ml copies a stream 7 times.*--io parallel"):
        lower(s.graph(), "io_stream", 100)


def test_a_large_convolution_in_io_parallel_is_refused_by_name() -> None:
    s = Sketch()
    s.outputs = [conv(s, -1, 1, 3, 3, 16, 4, x=s.x((64, 64, 16)))]
    with pytest.raises(UserError, match=r"\(Conv\): hls4ml writes out each of the 553,536 window.*--io stream"):
        lower(s.graph(), "io_parallel", 100)
    assert lower(s.graph(), "io_stream", 100).layers


def test_numbers_beyond_float64_are_refused_by_name() -> None:
    graph = Graph((Input("wide", TensorType(SHAPE, Int(-(2**60), 2**60))),), (), ("wide",))
    with pytest.raises(UserError, match=r"'wide' has 62 bits; .* at most 53"):
        lower(graph, "io_parallel", 100)
