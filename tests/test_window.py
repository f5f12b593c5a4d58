"""The sliding window: golden against sliding_window_view, RTL against golden and schedule, rate and memory."""

from dataclasses import replace

import numpy as np
import pytest
from amaranth.back import rtlil
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from codesign.formats import Int
from hw.memory import in_blocks, ram_cost
from hw.sliding import NO_BORDER, Border
from hw.stages.pad import Pad
from hw.stages.window import Window
from hw.stages.window_parallel import ParallelForm
from hw.stages.window_serial import SerialForm
from hw.stream import StreamType
from hw.synth import synthesize
from hw.yosys import verilog_from_rtlil
from sim.formal import prove_stream_rules
from tests.stage_harness import check_schedule, check_stage, random_frames
from tests.test_movement_stages import interval

UNHURRIED = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
SOME = settings(max_examples=12, deadline=None, suppress_health_check=UNHURRIED)
MANY = settings(max_examples=300, deadline=None, suppress_health_check=UNHURRIED)


@st.composite
def geometries(draw: st.DrawFn, largest: int = 7, bordered: bool = False) -> Window:
    """Serial windows of any kernel, stride, dilation; rows and columns left over or not; bordered or not."""
    sizes, few = st.integers(1, largest), st.integers(1, 3)
    lanes = draw(st.integers(1, 2))
    shape = (draw(sizes), draw(sizes), lanes * draw(few))
    kernel, stride = ((draw(st.integers(1, 4)), draw(st.integers(1, 4))) for _ in range(2))
    dilation = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    channelwise, stream = draw(st.booleans()), StreamType(shape, Int(-8, 7), lanes)
    wide = [st.integers(0, (k - 1) * d) if bordered else st.just(0) for k, d in zip(kernel, dilation, strict=True)] * 2
    top, left, bottom, right = (draw(w) for w in wide)
    border = Border((top, left), (bottom, right), draw(st.sampled_from([0, -8, 9])))
    try:
        window = Window(stream, kernel, stride, dilation, channelwise, border=border)
        _ = in_parallel(window)
    except ValueError:
        reject()
    assume(bool(border) == bordered)
    return window


@pytest.mark.parametrize("border", [NO_BORDER, Border((0, 1), (1, 0), 9)])
def test_what_block_ram_gives_takes_a_clock_more(border: Border) -> None:
    window = Window(StreamType((3, 70, 4), Int(-256, 255), 4), (2, 2), border=border)
    assert isinstance(form := window.form, SerialForm) and in_blocks(form.depth, form.sliding.input.beat_bits)
    frames = random_frames(window, 2)
    check_stage(window, frames, seeds=(None, 1))
    check_schedule(window, frames, seeds=(None, 1))


@pytest.mark.parametrize("border", [NO_BORDER, Border((1, 1), (1, 1), 0)])
def test_enables_that_several_registers_tell(border: Border) -> None:
    window = Window(StreamType((4, 4, 128), Int(0, 15), 128), (3, 3), border=border, parallel=True)
    assert isinstance(form := window.form, ParallelForm) and form.enable_groups > 1
    frames = random_frames(window, 2)
    check_stage(window, frames, seeds=(None, 1))
    check_schedule(window, frames, seeds=(None, 1))


def in_parallel(window: Window) -> Window:
    """The same windows, whole."""
    stream, channelwise = window.input, window.channelwise
    lanes = stream.lanes if channelwise else stream.shape[2]
    return replace(window, input=stream.with_lanes(lanes), channelwise=channelwise, parallel=True)


@SOME
@given(geometries(), st.integers(1, 99))
def test_serial(window: Window, seed: int) -> None:
    frames = random_frames(window, 4, seed)
    check_stage(window, frames, seeds=(None, seed))
    check_schedule(window, frames, seeds=(None, seed))


@SOME
@given(geometries(), st.integers(1, 99))
def test_parallel(window: Window, seed: int) -> None:
    test_one = in_parallel(window)
    frames = random_frames(test_one, 4, seed)
    check_stage(test_one, frames, seeds=(None, seed))
    check_schedule(test_one, frames, seeds=(None, seed))


@SOME
@given(geometries(largest=5, bordered=True), st.integers(1, 99))
def test_serial_with_a_border(window: Window, seed: int) -> None:
    test_serial.hypothesis.inner_test(window, seed)  # type: ignore[attr-defined]


@SOME
@given(geometries(largest=5, bordered=True), st.integers(1, 99))
def test_parallel_with_a_border(window: Window, seed: int) -> None:
    test_parallel.hypothesis.inner_test(window, seed)  # type: ignore[attr-defined]


@SOME
@given(geometries(bordered=True))
def test_the_golden_of_a_border_is_padding_before(window: Window) -> None:
    border = window.border
    pad = Pad(window.input, border.before, border.after, border.value)
    bare = replace(window, input=pad.outputs[0], border=NO_BORDER)
    x = random_frames(window, 3)[0]
    assert window.outputs == bare.outputs
    np.testing.assert_array_equal(window.golden(x)[0], bare.golden(*pad.golden(x))[0])


@SOME
@given(geometries())
def test_golden_is_the_sliding_window_view(window: Window) -> None:
    x = random_frames(window, 3)[0]
    reach = [(k - 1) * d + 1 for k, d in zip(window.kernel, window.dilation, strict=True)]
    (down, right), (over, along) = window.stride, window.dilation
    view = sliding_window_view(x, reach, axis=(1, 2))  # type: ignore[call-overload]
    view = view[:, ::down, ::right, :, ::over, ::along]
    n, rows, columns, channels = view.shape[:4]
    if window.channelwise:
        lanes = window.input.lanes
        wanted = view.reshape(n, rows, columns, channels // lanes, lanes, -1).swapaxes(-1, -2)
    else:
        wanted = np.moveaxis(view, 3, 5).reshape(n, rows, columns, -1)
    np.testing.assert_array_equal(window.golden(x)[0], wanted)
    np.testing.assert_array_equal(in_parallel(window).golden(x)[0].reshape(n, -1), window.golden(x)[0].reshape(n, -1))


@MANY
@given(geometries(largest=20))
def test_interval_is_that_of_the_busier_side(window: Window) -> None:
    busier = max(window.inputs[0].beats, window.outputs[0].beats)
    assert interval(window) <= busier * (1 + 1 / 32) + 2
    whole = in_parallel(window)
    assert interval(whole) == whole.inputs[0].beats


@pytest.mark.parametrize(("rows", "columns"), [(28, 28), (34, 34), (96, 96)])
def test_the_ring_keeps_the_kernels_rows_and_little_more(rows: int, columns: int) -> None:
    form = Window(StreamType((rows, columns, 16), Int(0, 15), 4), (3, 3)).form
    assert isinstance(form, SerialForm)
    bits, row = form.sliding.input.beat_bits, form.sliding.row
    assert form.depth < 6 * row < form.sliding.input.beats
    assert ram_cost(form.depth, bits).bram36 <= ram_cost(4 * row + 3, bits).bram36


def test_what_does_not_fit_is_refused() -> None:
    image = StreamType((4, 4, 4), Int(0, 1), 2)
    for make in (
        lambda: Window(image, (5, 1)),
        lambda: Window(image, (2, 2), dilation=(4, 1)),
        lambda: Window(image, (2, 2), parallel=True),
        lambda: Window(StreamType((16, 4), Int(0, 1)), (1, 1)),
    ):
        with pytest.raises(ValueError):
            make()


IMAGE = StreamType((16, 16, 4), Int(-8, 7), 2)
BORDERED = {
    "serial": Window(IMAGE, (3, 3), border=Border((1, 1), (1, 1), -8)),
    "channelwise": Window(IMAGE, (3, 3), (2, 2), channelwise=True, border=Border((0, 0), (1, 1), 3)),
    "whole": Window(IMAGE.with_lanes(4), (5, 5), parallel=True, border=Border((2, 2), (2, 2))),
}


@pytest.mark.parametrize("name", BORDERED)
def test_a_border_takes_no_more_than_its_beats(name: str) -> None:
    window = BORDERED[name]
    pad = Pad(window.input, window.border.before, window.border.after, window.border.value)
    apart = replace(window, input=pad.outputs[0], border=NO_BORDER)
    assert window.cost().lut < pad.cost().lut + apart.cost().lut
    assert interval(window) <= max(interval(apart), interval(pad))


@pytest.mark.parametrize("name", ["channelwise", "whole"])
def test_stream_rules_with_a_border(name: str) -> None:
    image = StreamType((2, 3, 1), Int(0, 3), 1)
    window = replace(BORDERED[name], input=image, kernel=(2, 2), border=Border((1, 0), (0, 1), 1))
    prove_stream_rules(rtlil.convert(window.rtl(), name="top", emit_src=False), depth=12, patience_s=5)


@pytest.mark.slow
@pytest.mark.parametrize("name", BORDERED)
def test_estimate_of_a_border_against_synthesis(name: str) -> None:
    cost, text = BORDERED[name].cost(), rtlil.convert(BORDERED[name].rtl(), name="stage")
    found = synthesize(verilog_from_rtlil(text), "stage")
    assert cost.lut == pytest.approx(found.lut_paired, rel=0.25, abs=12)
    assert cost.ff == pytest.approx(found.ff, rel=0.15, abs=12)
