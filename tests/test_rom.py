"""Read-only memory in tables: words, its primitives proven against Yosys' cells, and what it takes."""

from __future__ import annotations

import numpy as np
import pytest
from amaranth.hdl import Cat, ClockDomain, Elaboratable, Module, Signal
from amaranth.sim import Simulator, SimulatorContext
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.lookup import looked_up
from hw.netlist.circuit import Modules
from hw.rom import Rom, rom_cost, words_cost
from hw.rtlil import to_rtlil
from hw.synth import synthesize
from hw.yosys import verilog_from_rtlil
from sim.formal import prove_equal


class Table(Elaboratable):
    """Columns of bits (words, n) at an address."""

    def __init__(self, columns: np.ndarray) -> None:
        self.columns = columns
        self.address = Signal(range(len(columns)))
        self.row = Signal(columns.shape[1])

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.row.eq(Cat(looked_up(m, self.columns, self.address)))
        return m


class Registered(Elaboratable):
    """A Rom as a module by itself."""

    def __init__(self, words: list[int], width: int) -> None:
        self.rom, self.clk = Rom(words, width), Signal()
        self.address, self.data = Signal.like(self.rom.address), Signal(width)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = sync = ClockDomain("sync", reset_less=True)
        m.submodules.rom = self.rom
        m.d.comb += [sync.clk.eq(self.clk), self.rom.address.eq(self.address), self.data.eq(self.rom.data)]
        return m


def text_of(top: Elaboratable, ports: list[Signal]) -> str:
    """As Verilog with its primitives, module `top`."""
    netlists = Modules()
    return "\n".join([verilog_from_rtlil(to_rtlil(top, "top", ports, netlists)), *netlists.texts.values()])


def random_words(words: int, width: int) -> list[int]:
    return [int(w) for w in np.random.default_rng(words).integers(0, 1 << width, words)]


@pytest.mark.parametrize("words", [3, 4, 5, 16, 17, 33, 63, 64])
def test_primitives_give_every_word(words: int) -> None:
    columns = np.random.default_rng(words).random((words, 12)) < 0.5
    columns[:, 1], columns[:, 2], columns[:, 3] = True, columns[:, 0], ~columns[:, 0]
    rows = np.zeros(64, np.int64)
    rows[:words] = columns @ (1 << np.arange(12))
    table = Table(columns)
    prove_equal(text_of(table, [table.address, table.row]), lambda address, **clock: rows[address])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 70), st.integers(0, 20), st.integers(0, 99))
def test_a_word_comes_a_clock_after_its_address(depth: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    words = [int(w) for w in rng.integers(0, 1 << width, depth)]
    rom, asked = Rom(words, width), rng.integers(0, depth, 20).tolist()
    got: list[int] = []

    async def bench(ctx: SimulatorContext) -> None:
        for address in asked:
            ctx.set(rom.address, address)
            await ctx.tick()
            got.append(ctx.get(rom.data))

    simulator = Simulator(rom)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert got == [words[address] for address in asked]


@pytest.mark.parametrize(("words", "sites"), [(12, 20), (32, 20), (64, 40)])
def test_a_column_is_one_table(words: int, sites: int) -> None:
    """Two of up to five inputs share a site."""
    rom = Registered(random_words(words, 40), 40)
    found = synthesize(text_of(rom, [rom.clk, rom.address, rom.data]), "top")
    assert (found.lut_paired, found.ff) == (sites, 40)
    assert rom_cost(words, 40).ff == 40


STEPS = np.arange(256)
REGULAR = {
    "random": (np.array(random_words(512, 8)), 8),
    "even thresholds": (STEPS * 337 // 3, 16),
    "two channels' thresholds": (np.sort(np.random.default_rng(1).integers(0, 30_000, (2, 64))).ravel(), 16),
    "sigmoid": (np.round(255 / (1 + np.exp(4 - STEPS / 32))).astype(int), 8),
    "equal and opposite columns": (np.array(random_words(256, 6)) * 65 ^ 0xFC0, 12),
}


@pytest.mark.parametrize("name", REGULAR)
def test_long_tables_are_estimated_by_what_is_in_them(name: str) -> None:
    """Even thresholds take less than two thirds of what random words of as many bits do."""
    words, width = REGULAR[name][0].tolist(), REGULAR[name][1]
    rom, estimated = Registered(words, width), words_cost(words, width)
    found = synthesize(text_of(rom, [rom.clk, rom.address, rom.data]), "top")
    assert estimated.lut == pytest.approx(found.lut_paired, rel=0.2)
    assert (estimated.ff, estimated.bram36) == (found.ff, 0)
