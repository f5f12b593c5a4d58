"""AXI interfaces as bundles of ready/valid channels, seen from the master: AXI3 as on Zynq-7000, and AXI4-Lite."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

FIXED, INCR, WRAP = range(3)
GP_ID_BITS, HP_ID_BITS = 12, 6
WORD_BYTES = 8  # of an HP port
BURST_BYTES = 16 * WORD_BYTES  # LEN has four bits
LITE_ADDRESS_BITS = 12  # a page of registers


def _channel(**fields: int) -> stream.Signature:
    return stream.Signature(data.StructLayout(fields))


def _address(id_bits: int) -> stream.Signature:
    return _channel(id=id_bits, addr=32, len=4, size=3, burst=2, lock=2, cache=4, prot=3)


def axi3_read(id_bits: int, data_bits: int) -> wiring.Signature:
    """Channels ar and r; `len` is the number of beats less one."""
    return wiring.Signature(
        {"ar": Out(_address(id_bits)), "r": In(_channel(id=id_bits, data=data_bits, resp=2, last=1))}
    )


def axi3_write(id_bits: int, data_bits: int) -> wiring.Signature:
    """Channels aw, w and b; w carries its burst's ID, as AXI3 wants it."""
    beat = _channel(id=id_bits, data=data_bits, strb=data_bits // 8, last=1)
    return wiring.Signature({"aw": Out(_address(id_bits)), "w": Out(beat), "b": In(_channel(id=id_bits, resp=2))})


def both(read: wiring.Signature, write: wiring.Signature) -> wiring.Signature:
    return wiring.Signature({**dict(write.members), **dict(read.members)})


GP = both(axi3_read(GP_ID_BITS, 32), axi3_write(GP_ID_BITS, 32))
HP_READ = axi3_read(HP_ID_BITS, 8 * WORD_BYTES)
HP_WRITE = axi3_write(HP_ID_BITS, 8 * WORD_BYTES)
LITE = wiring.Signature(
    {
        "aw": Out(_channel(addr=LITE_ADDRESS_BITS)),
        "w": Out(_channel(data=32, strb=4)),
        "b": In(_channel(resp=2)),
        "ar": Out(_channel(addr=LITE_ADDRESS_BITS)),
        "r": In(_channel(data=32, resp=2)),
    }
)


def bring_out(m: Module, prefix: str, axi: wiring.PureInterface) -> list[Signal]:
    """Pins <prefix>_awaddr, <prefix>_awvalid .. for an interface of a part inside."""
    pins = []
    for name, member in axi.signature.members.items():
        channel = getattr(axi, name)
        sends = member.flow == Out
        pairs = [(Signal(name=f"{prefix}_{name}valid"), channel.valid, sends)]
        pairs += [(Signal(name=f"{prefix}_{name}ready"), channel.ready, not sends)]
        for field, layout in channel.payload.shape():
            inner = channel.payload[field]
            pairs.append((Signal(layout.width, name=f"{prefix}_{name}{field}"), inner, sends))
        m.d.comb += [pin.eq(inner) if outward else inner.eq(pin) for pin, inner, outward in pairs]
        pins += [pin for pin, _, _ in pairs]
    return pins
