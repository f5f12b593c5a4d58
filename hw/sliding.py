"""Where the beats of a sliding window stand in the stream of an image."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from codesign.arithmetic import window_count
from hw.stream import StreamType

Pair = tuple[int, int]


@dataclass(frozen=True)
class Sliding:
    """Windows over (rows, columns, channels), lanes dividing channels. Distances are in input beats."""

    input: StreamType
    kernel: Pair
    stride: Pair
    dilation: Pair

    def __post_init__(self) -> None:
        if len(self.input.shape) != 3 or self.input.shape[2] % self.input.lanes:
            raise ValueError(f"Window takes (rows, columns, channels), lanes dividing channels: {self.input}")
        if min(*self.kernel, *self.stride, *self.dilation, *self.counts) < 1:
            raise ValueError(f"no window of {self.kernel}, dilation {self.dilation}, fits into {self.input}")

    @property
    def counts(self) -> Pair:
        """Rows and columns of windows."""
        rows, columns, _ = self.input.shape
        return window_count((rows, columns), self.kernel, self.stride, self.dilation)

    @property
    def positions(self) -> int:
        """Pixels of a window."""
        return prod(self.kernel)

    @property
    def pixel(self) -> int:
        """Beats a pixel."""
        return self.input.shape[2] // self.input.lanes

    @property
    def row(self) -> int:
        """Beats a row of the image."""
        return self.input.shape[1] * self.pixel

    @property
    def steps(self) -> Pair:
        """From a window to the one below, and to the next one in its row."""
        return self.stride[0] * self.row, self.stride[1] * self.pixel

    @property
    def taps(self) -> Pair:
        """From a window's pixel to the one below, and to the next one in its row."""
        return self.dilation[0] * self.row, self.dilation[1] * self.pixel

    @property
    def reach(self) -> Pair:
        """Rows and columns from a window's first to its last, both included."""
        rows, columns = ((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))
        return rows, columns

    @property
    def span(self) -> int:
        """From a window's first beat to its last, both included."""
        return (self.reach[0] - 1) * self.row + self.reach[1] * self.pixel

    @property
    def after_row(self) -> int:
        """From the last window of a row to the first of the next."""
        return self.steps[0] - (self.counts[1] - 1) * self.steps[1]

    @property
    def after_image(self) -> int:
        """From the first window of the last row to the first of the next image."""
        return self.input.beats - (self.counts[0] - 1) * self.steps[0]

    @property
    def leftover(self) -> int:
        """Beats of the image after the last window's last."""
        last = (self.counts[0] - 1) * self.steps[0] + (self.counts[1] - 1) * self.steps[1]
        return self.input.beats - last - self.span
