"""AXI rules of every port, for all time or to a depth; and the proofs find what is broken."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from codesign.errors import CheckFailed
from hw.axi.bridge import Bridge
from hw.axi.control import Control
from hw.axi.dma import ReadEngine, WriteEngine
from hw.axi.registers import register_map
from hw.axi.signatures import bring_out
from hw.rtlil import to_rtlil
from sim.axi_rules import LITE_MASTER, LITE_SLAVE, READ_MASTER, SLAVE, WRITE_MASTER, prove_axi_rules
from sim.formal import Proof


class Pins(Elaboratable):
    """A component with its AXI interfaces as flat pins; other signals under their own names."""

    def __init__(self, part: wiring.Component, axi: dict[str, str]) -> None:
        self.part, self.m = part, Module()
        self.pins: list[Signal] = []
        for name, member in part.signature.members.items():
            inner = getattr(part, name)
            if name in axi:
                self.pins += bring_out(self.m, axi[name], inner)
            elif member.is_port:
                pin = Signal(inner.shape(), name=name)
                self.m.d.comb += inner.eq(pin) if member.flow == In else pin.eq(inner)
                self.pins.append(pin)
            else:
                self._stream(name, inner, member.flow == In)

    def _stream(self, name: str, inner: object, is_input: bool) -> None:
        for part in ("payload", "valid", "ready"):
            signal = getattr(inner, part)
            pin = Signal(signal.shape(), name=f"{name}_{part}")
            self.m.d.comb += signal.eq(pin) if is_input != (part == "ready") else pin.eq(signal)
            self.pins.append(pin)

    def elaborate(self, platform: object) -> Module:
        self.m.submodules.part = self.part
        return self.m

    def text(self) -> str:
        return to_rtlil(self, "top", self.pins, None)


# How the shell treats an engine: started when all is done, stopped until idle.
STATE = "reg was_stopped = 0; always @(posedge clk) was_stopped <= stop & ~idle & ~first;"
NEVER = ("was_stopped && !stop", "go && (!done || stop || frames == 0)")


def prove_read(depth: int = 20, patience_s: int = 20, engine: ReadEngine | None = None) -> Proof:
    text = Pins(engine or ReadEngine(3, 5), {"axi": "m"}).text()
    also = {"idle: nothing is under way": "idle && (m_arvalid || m_reads != 0)"}
    return prove_axi_rules(text, {"m": READ_MASTER}, NEVER, also, STATE, depth=depth, patience_s=patience_s)


def prove_write(depth: int = 20, patience_s: int = 20, engine: WriteEngine | None = None) -> Proof:
    text = Pins(engine or WriteEngine(3, 5), {"axi": "m"}).text()
    busy = "m_awvalid || m_wvalid || m_asked != 0 || m_waiting != 0 || m_ahead"
    also = {"idle: nothing is under way": f"idle && ({busy})"}
    return prove_axi_rules(text, {"m": WRITE_MASTER}, NEVER, also, STATE, depth=depth, patience_s=patience_s)


def prove_bridge(bridge: Bridge | None = None) -> Proof:
    text = Pins(bridge or Bridge(), {"axi": "s", "lite": "m"}).text()
    return prove_axi_rules(text, {"s": SLAVE, "m": LITE_MASTER})


def prove_control() -> Proof:
    return prove_axi_rules(Pins(Control(register_map(1, 1)), {"lite": "s"}).text(), {"s": LITE_SLAVE})


@pytest.mark.parametrize("prove", [prove_bridge, prove_control])
def test_slaves_keep_the_rules_for_all_time(prove: Callable[[], Proof]) -> None:
    assert prove().kind == "unbounded"


def test_reading_keeps_the_rules_for_all_time() -> None:
    assert prove_read().kind == "unbounded"


def spoilt(kind: type, right: str, wrong: str) -> type:
    """The class with one piece of its module's source replaced."""
    module = inspect.getmodule(kind)
    assert module is not None
    source = inspect.getsource(module)
    assert source.count(right) == 1
    names: dict[str, Any] = {"__name__": "spoilt"}
    exec(compile(source.replace(right, wrong), "spoilt", "exec", dont_inherit=True), names)
    return names[kind.__name__]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong", "rule"),
    [
        ("r.payload.last.eq(burst.left == 0)", "r.payload.last.eq(burst.left == 1)", "s: r: last with the last beat"),
        ("b.payload.id.eq(burst.id)", "b.payload.id.eq(aw.payload.id)", "s_b: payload stays while waiting"),
        ("lite.w.valid.eq(~data_sent)", "lite.w.valid.eq(1)", "m_w: valid stays until ready"),
    ],
)
def test_a_broken_bridge_is_found(right: str, wrong: str, rule: str) -> None:
    with pytest.raises(CheckFailed, match=f"'{rule}'"):
        prove_bridge(spoilt(Bridge, right, wrong)())


@pytest.mark.parametrize(
    ("right", "wrong", "rule"),
    [
        (
            "exhausted.eq(bursts.finished & (outstanding == 0) &",
            "exhausted.eq(bursts.finished &",
            "nothing is under way",
        ),
    ],
)
def test_a_broken_read_engine_is_found(right: str, wrong: str, rule: str) -> None:
    with pytest.raises(CheckFailed, match=rule):
        prove_read(engine=spoilt(ReadEngine, right, wrong)(3, 5))


@pytest.mark.slow
def test_writing_keeps_the_rules_to_a_depth() -> None:
    proof = prove_write(10, 40, WriteEngine(1, 8))
    assert proof.kind == "unbounded" or proof.depth == 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong", "rule"),
    [
        ("word.last.eq((place == 15)", "word.last.eq((place == 14)", "w: last with the last beat of the burst"),
        ("open_ & (packer.o.valid | self.stop)", "packer.o.valid | self.stop", "w: data belong to a burst"),
    ],
)
def test_a_broken_write_engine_is_found(right: str, wrong: str, rule: str) -> None:
    with pytest.raises(CheckFailed, match=rule):
        prove_write(10, 40, engine=spoilt(WriteEngine, right, wrong)(1, 8))
