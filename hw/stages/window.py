"""The windows of a convolution or a pooling, made of an image's stream."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from amaranth.lib import wiring

from codesign.arithmetic import windows
from codesign.cost import Cost
from hw.flow import skid_flow
from hw.halts import Course, Flow, Halts, Start, Times
from hw.sliding import NO_BORDER, Border, Pair, Sliding
from hw.stages.window_parallel import ParallelForm
from hw.stages.window_serial import SerialForm
from hw.stream import StreamType


@dataclass(frozen=True)
class Window:
    """(rows, columns, C) -> the elements of every window; L of them a beat, for L input lanes.

    Dense: (rows, columns, kernel rows * kernel columns * C), in the order of a convolution's weights.
    Channelwise: (rows, columns, C / L, kernel rows * kernel columns, L).
    Parallel: all positions of a window a beat, of one channel group; dense takes all channels in one group.
    Border: what windows see around the image, which needs no beats (parallel: as few as one side has).
    """

    input: StreamType
    kernel: Pair
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    channelwise: bool = False
    parallel: bool = False
    border: Border = NO_BORDER

    def __post_init__(self) -> None:
        form = self.form  # refuses what does not fit the image
        if self.parallel and not self.channelwise and form.sliding.pixel > 1:
            raise ValueError(f"a dense parallel Window takes all channels of a pixel in a beat: {self.input}")

    @property
    def sliding(self) -> Sliding:
        """The geometry, in beats."""
        return Sliding(self.input, self.kernel, self.stride, self.dilation, self.border)

    @property
    def form(self) -> SerialForm | ParallelForm:
        """The circuit that makes the windows."""
        return ParallelForm(self.sliding) if self.parallel else SerialForm(self.sliding, self.channelwise)

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.input,)

    @property
    def outputs(self) -> tuple[StreamType, ...]:
        sliding, lanes, positions = self.sliding, self.input.lanes, self.sliding.positions
        inner = (sliding.pixel, positions, lanes) if self.channelwise else (positions * self.input.shape[2],)
        out_lanes = lanes * positions if self.parallel else lanes
        return (StreamType((*sliding.counts, *inner), sliding.seen, out_lanes),)

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        around = [(0, 0), *zip(self.border.before, self.border.after, strict=True), (0, 0)]
        image = np.pad(frames[0].astype(np.int64), around, constant_values=self.border.value)
        view = windows(image, self.kernel, self.stride, self.dilation)
        if self.channelwise:
            view = view.reshape(*view.shape[:-1], -1, self.input.lanes)  # (n, rows, columns, kh, kw, groups, L)
            view = view.transpose(0, 1, 2, 5, 3, 4, 6)
        return (np.ascontiguousarray(view).reshape(len(view), *self.outputs[0].shape),)

    def schedule(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        return (self.form.schedule(arrive[0]),)

    def accepts(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        """Cycle in which each input beat is taken, when the reader never waits."""
        return (self.form.accepts(arrive[0]),)

    def flow(self, arrive: Times, leave: Times, start: Start) -> Flow:
        form = self.form
        if isinstance(form, ParallelForm):
            return form.flow(arrive[0], leave[0])
        return skid_flow(self, arrive, leave[0], start)

    def course(self, arrive: Times, halts: Halts) -> Course:
        assert isinstance(self.form, SerialForm)
        return self.form.course(arrive[0], halts)

    def cost(self) -> Cost:
        return self.form.cost()

    def rtl(self) -> wiring.Component:
        return self.form.rtl()
