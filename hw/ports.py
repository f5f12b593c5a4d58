"""What the stages' circuits share: their ports, and the elements of a beat as signed values."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Shape, Value, ValueLike, unsigned
from amaranth.lib import stream
from amaranth.lib.wiring import In, Member, Out

from codesign.formats import Binary, Format
from hw.pipeline import Stage
from hw.stream import StreamType


def stage_ports(stage: Stage) -> dict[str, Member]:
    """The members of a stage's signature: `i` and `o`, numbered where there are several."""
    return {
        **{name: In(beat_signature(s)) for name, s in _named("i", stage.inputs)},
        **{name: Out(beat_signature(s)) for name, s in _named("o", stage.outputs)},
    }


def beat_signature(of: StreamType) -> stream.Signature:
    """The stream of one beat a transfer."""
    return stream.Signature(unsigned(of.beat_bits))


def _named(letter: str, streams: tuple[StreamType, ...]) -> list[tuple[str, StreamType]]:
    if len(streams) == 1:
        return [(letter, streams[0])]
    return [(f"{letter}{k}", s) for k, s in enumerate(streams)]


def elements(payload: Value, of: StreamType) -> list[Value]:
    """The values of a beat's elements, lane 0 first."""
    bits = of.format.bits
    return [element(payload[k * bits : (k + 1) * bits], of.format) for k in range(of.lanes)]


def element(code: Value, fmt: Format) -> Value:
    """The integer that a code stands for, signed where the format is."""
    if isinstance(fmt, Binary):
        return Cat(Const(1, 1), ~code).as_signed()
    return code.as_signed() if fmt.signed else code.as_unsigned()


def value_shape(fmt: Format) -> Shape:
    """Of a signal that holds the format's integers."""
    return Shape(fmt.bits + isinstance(fmt, Binary), fmt.signed)


def encode(value: ValueLike, fmt: Format) -> Value:
    """The code of a value that lies in the format's range."""
    value = Value.cast(value)
    if isinstance(fmt, Binary):
        return ~value[-1]
    return resize(value, fmt.bits)


def resize(value: Value, bits: int) -> Value:
    """The value's two's complement in `bits` bits, sign extended or cut."""
    if len(value) >= bits:
        return value[:bits]
    fill = value[-1] if value.shape().signed else Const(0, 1)
    return Cat(value, *[fill] * (bits - len(value)))
