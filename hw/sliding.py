"""Where the beats of a sliding window stand in the stream of an image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from codesign.arithmetic import window_count
from codesign.formats import Format, Int, hull
from hw.stream import StreamType

Pair = tuple[int, int]


@dataclass(frozen=True)
class Border:
    """Rows and columns of `value` around an image, which windows see but no stream carries."""

    before: Pair = (0, 0)
    after: Pair = (0, 0)
    value: int = 0

    def __bool__(self) -> bool:
        return any((*self.before, *self.after))

    def around(self, fmt: Format) -> Format:
        """The format of an image with the border."""
        if not self or fmt.contains(np.array([self.value])):
            return fmt
        return hull(fmt, Int(self.value, self.value))


NO_BORDER = Border()


@dataclass(frozen=True)
class Sliding:
    """Windows over (rows, columns, channels) and a border, lanes dividing channels. Distances are in input beats,
    along the image without its border, where the last pixel of a row stands before the first of the next."""

    input: StreamType
    kernel: Pair
    stride: Pair
    dilation: Pair
    border: Border = NO_BORDER

    def __post_init__(self) -> None:
        if len(self.input.shape) != 3 or self.input.shape[2] % self.input.lanes:
            raise ValueError(f"Window takes (rows, columns, channels), lanes dividing channels: {self.input}")
        if min(*self.kernel, *self.stride, *self.dilation, *self.counts) < 1:
            raise ValueError(f"no window of {self.kernel}, dilation {self.dilation}, fits into {self.input}")
        widest = (max(ends) for ends in zip(self.border.before, self.border.after, strict=True))
        if any(wide >= reach for wide, reach in zip(widest, self.reach, strict=True)):
            raise ValueError(f"windows of {self.kernel} would see nothing but the border")

    @property
    def size(self) -> Pair:
        """Rows and columns of the image without its border."""
        return self.input.shape[0], self.input.shape[1]

    @property
    def seen(self) -> Format:
        """The format of what windows see."""
        return self.border.around(self.input.format)

    @property
    def origin(self) -> int:
        """From the first window's first position to the image's first beat."""
        return self.border.before[0] * self.row + self.border.before[1] * self.pixel

    @property
    def counts(self) -> Pair:
        """Rows and columns of windows."""
        rows, columns = (n + a + b for n, a, b in zip(self.size, self.border.before, self.border.after, strict=True))
        return window_count((rows, columns), self.kernel, self.stride, self.dilation)

    @property
    def inside(self) -> tuple[list[Pair], list[Pair]]:
        """Of every row (and column) of a window: the first row of windows that has it in the image, and the first
        after that which has not."""
        axes = zip(self.kernel, self.stride, self.dilation, self.border.before, self.size, self.counts, strict=True)
        rows, columns = (
            [(max(0, -((k * d - a) // s)), min(n, (size + a - 1 - k * d) // s + 1)) for k in range(kernel)]
            for kernel, s, d, a, size, n in axes
        )
        return rows, columns

    @property
    def stretched(self) -> Sliding:
        """The same without a border, but as many rows and columns of it behind the image's own as do for both sides:
        they stand before the next row, and the next image, as well."""
        sides = zip(self.size, self.border.before, self.border.after, strict=True)
        rows, columns = (n + max(a, b) for n, a, b in sides)
        image = replace(self.input, shape=(rows, columns, self.input.shape[2]), format=self.seen)
        return replace(self, input=image, border=NO_BORDER)

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
        return max(0, self.input.beats - self.last_first - self.span)

    @property
    def last_first(self) -> int:
        """From the image's first beat to the last window's first position."""
        return sum((n - 1) * step for n, step in zip(self.counts, self.steps, strict=True)) - self.origin
