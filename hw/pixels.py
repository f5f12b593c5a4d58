"""Several pixels a clock: neighbouring columns of an image are one wide pixel, which is the same stream.

A convolution of single pixels is a convolution of wide ones, whose weights are zero where a result does not look.
Only its gates can profit: there a zero costs nothing, and pixels share sums.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hw.divisors import divisors
from hw.sliding import NO_BORDER, Border, Pair
from hw.stages.window import Window
from hw.stream import StreamType

MOST = 16  # results side by side


@dataclass(frozen=True)
class Wide:
    """Windows over (rows, columns, C) with a border, `pixels` results of each a beat.

    kernel, stride and dilation of single pixels; `counts`: rows and columns of results.
    """

    image: StreamType
    kernel: Pair
    stride: Pair
    dilation: Pair
    border: Border
    counts: Pair
    pixels: int

    @property
    def taken(self) -> int:
        """Columns of a wide pixel: as many as one beat of results moves on."""
        return self.stride[1] * self.pixels

    @property
    def before(self) -> int:
        """Wide columns of border in front."""
        return -(-self.border.before[1] // self.taken)

    @property
    def reach(self) -> int:
        """Wide columns from the one that a beat of results stands at to the last that it reads."""
        last = self.stride[1] * (self.pixels - 1) - self.border.before[1] + (self.kernel[1] - 1) * self.dilation[1]
        return last // self.taken

    @property
    def after(self) -> int:
        """Wide columns of border behind."""
        return self.counts[1] // self.pixels + self.reach - self.image.shape[1] // self.taken

    @property
    def fits(self) -> bool:
        """Whether rows are whole numbers of wide pixels, and end no later than their windows."""
        if self.image.shape[1] % self.taken or self.counts[1] % self.pixels or self.after < 0:
            return False
        try:
            _ = self.window
        except ValueError:  # a border as wide as the kernel
            return False
        return True

    @property
    def stream(self) -> StreamType:
        """The image, a wide pixel a beat."""
        rows, columns, channels = self.image.shape
        lanes = self.taken * channels
        return StreamType((rows, columns // self.taken, lanes), self.image.format, lanes)

    @property
    def window(self) -> Window | None:
        """Whole windows of wide pixels; None where those are the image's own."""
        wide, rows = (self.kernel[0], self.before + self.reach + 1), self.border
        border = Border((rows.before[0], self.before), (rows.after[0], self.after), rows.value)
        if wide == (1, 1) and self.stride[0] == 1 and not border:
            return None
        stride, dilation = (self.stride[0], 1), (self.dilation[0], 1)
        return Window(self.stream, wide, stride, dilation, parallel=True, border=border if border else NO_BORDER)

    @property
    def cycles(self) -> int:
        """Clocks a frame: of its beats, the border of one side included, or of its results."""
        if self.window is None:
            return self.stream.beats
        return max(self.window.sliding.stretched.input.beats, self.counts[0] * self.counts[1] // self.pixels)

    def weights(self, w: np.ndarray) -> np.ndarray:
        """(kernel rows, kernel columns, C, F) -> (wide window, results * F)."""
        rows, taps, channels, filters = w.shape
        columns = self.before + self.reach + 1
        wide = np.zeros((rows, columns * self.taken, channels, self.pixels, filters), w.dtype)
        for result in range(self.pixels):
            first = self.before * self.taken - self.border.before[1] + self.stride[1] * result
            wide[:, first : first + (taps - 1) * self.dilation[1] + 1 : self.dilation[1], :, result] = w
        return wide.reshape(-1, self.pixels * filters)


def widths(wide: Wide) -> list[int]:
    """How many results a beat may carry, beyond one."""
    return [n for n in divisors(wide.counts[1]) if 1 < n <= MOST and replace(wide, pixels=n).fits]
