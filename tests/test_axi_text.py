"""The system as Verilog, its area, and the page that describes its registers."""

from functools import reduce
from operator import or_
from pathlib import Path

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator, SimulatorContext

from codesign.errors import UserError
from codesign.formats import Int
from hw.axi.registers import as_markdown, register_map
from hw.axi.system import SYSTEM, system_verilog
from hw.pipeline import Edge, Pipeline, Placed
from hw.rtl import TOP, AxiStream, mark_last, verilog
from hw.stages.fifo import Fifo
from hw.stream import StreamType
from hw.synth import synthesize

PAGE = Path(__file__).parent.parent / "docs" / "system.md"


def pipelines(lanes: int, count: int = 1) -> Pipeline:
    """Queues of 8-bit elements side by side."""
    stream = StreamType((8 * lanes,), Int(0, 255), lanes)
    names = [f"q{k}" for k in range(count)]
    edges = [Edge(None, k, n, 0) for k, n in enumerate(names)] + [Edge(n, 0, None, k) for k, n in enumerate(names)]
    return Pipeline(
        tuple(Placed(n, Fifo(stream, 2)) for n in names), tuple(edges),
        tuple((f"x{k}", stream) for k in range(count)), tuple((f"y{k}", stream) for k in range(count)),
    )  # fmt: skip


def test_the_page_has_the_registers() -> None:
    assert as_markdown(register_map(1, 1)) in PAGE.read_text()


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (4, 4)])
def test_registers_do_not_overlap(inputs: int, outputs: int) -> None:
    registers = register_map(inputs, outputs)
    assert len({r.offset for r in registers}) == len({r.name for r in registers}) == len(registers)
    for register in registers:
        masks = [f.mask for f in register.fields]
        assert sum(masks) == reduce(or_, masks, 0) < 1 << 32


@pytest.mark.parametrize("beats", [1, 4, 5, 6, 12, 13])
def test_the_last_beat_is_marked_by_counters_of_few_bits(beats: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hw.rtl._LONG", 4)
    m, axis, asleep, marked = Module(), AxiStream("m", 8), Signal(), list[int]()
    mark_last(m, axis, beats, asleep)

    async def bench(ctx: SimulatorContext) -> None:
        ctx.set(axis.tvalid, 1)
        ctx.set(axis.tready, 1)
        for tick in range(3 + 3 * beats):
            marked.append(ctx.get(axis.tlast))
            ctx.set(asleep, tick == 2)  # in mid-frame
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert marked[3:] == 3 * [*[0] * (beats - 1), 1]


def test_the_same_build_gives_the_same_bytes() -> None:
    text = system_verilog(pipelines(4), 5)
    assert text == system_verilog(pipelines(4), 5) != system_verilog(pipelines(4), 6)
    assert f"module {SYSTEM}(" in text and "m_axi_hp0_arvalid" in text and "s_axi_gp0_awid" in text


def test_too_many_streams_are_refused() -> None:
    with pytest.raises(UserError, match="5 inputs and 5 outputs"):
        system_verilog(pipelines(1, 5), 0)


@pytest.mark.slow
def test_control_and_dma_take_less_than_2500_luts() -> None:
    pipeline = pipelines(8)
    accelerator = verilog(pipeline)
    whole = synthesize(system_verilog(pipeline, 0x0123_4567_89AB_CDEF) + accelerator, SYSTEM)
    assert whole.lut - synthesize(accelerator, TOP).lut < 2500
