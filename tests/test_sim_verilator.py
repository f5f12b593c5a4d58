"""The Verilated engine on small hand-written designs, good and broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.errors import UserError
from sim.compare import first_difference
from sim.simulator import ProtocolError, Simulator, Stalled
from sim.stalls import Stalls
from sim.toolchain import ToolMissing, find_verilator
from sim.verilator import build
from tests.sim_designs import BEATS, adder, chain, deadlock, random_frames, words_of


@pytest.fixture(scope="module")
def two_lanes() -> Simulator:
    return build(chain(2), taps=True)


@pytest.mark.parametrize("lanes", [1, 2, 4, 7, 20])
def test_words_of_any_width(lanes: int) -> None:
    x = random_frames(30, lanes)
    result = build(chain(lanes)).run([words_of(x)], 30, Stalls(1))
    assert np.array_equal(result.outputs[0], words_of(x + np.uint8(2)))


def test_timing_without_stalls(two_lanes: Simulator) -> None:
    """Two register stages: the last of five beats leaves six cycles after the first entered."""
    result = two_lanes.run([words_of(random_frames(8, 2))], 8)
    assert (result.latency_cycles, result.interval_cycles) == (BEATS + 2, BEATS)
    assert list(result.first_in_cycle) == [BEATS * k for k in range(8)]
    assert result.cycles == 8 * BEATS + 2


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**63), st.floats(0, 0.49), st.floats(0, 0.49), st.integers(1, 30 * BEATS - 1))
def test_stalls_and_reset_change_no_word(seed: int, idle: float, pressure: float, reset_after: int) -> None:
    x = random_frames(30, 2, seed % 1000)
    result = build(chain(2), taps=True).run([words_of(x)], 30, Stalls(seed, idle, pressure), reset_after)
    edges = {k: words_of(x + np.uint8(k)) for k in range(3)}
    assert first_difference(chain(2), result, [words_of(x + np.uint8(2))], edges) is None


def test_stalls_cost_about_their_rate(two_lanes: Simulator) -> None:
    x = words_of(random_frames(4000, 2))
    for stalls in (Stalls(1, idle=0.3, pressure=0), Stalls(1, idle=0, pressure=0.3)):
        cycles = two_lanes.run([x], 4000, stalls).cycles
        assert 1 / 0.8 < cycles / (4000 * BEATS) < 1 / 0.6


def test_same_seed_same_cycles(two_lanes: Simulator) -> None:
    x = words_of(random_frames(50, 2))
    cycles = [two_lanes.run([x], 50, Stalls(seed)).cycles for seed in (1, 1, 2)]
    assert cycles[0] == cycles[1] != cycles[2]


def test_two_inputs() -> None:
    a, b = random_frames(40, 1, 1), random_frames(40, 1, 2)
    result = build(adder()).run([words_of(a), words_of(b)], 40, Stalls(3))
    assert np.array_equal(result.outputs[0], (a.astype(np.uint32) + b))


def test_state_that_survives_reset_is_found() -> None:
    simulator, x = build(chain(2, reset=False)), words_of(random_frames(4, 2))
    simulator.run([x], 4)
    with pytest.raises(ProtocolError, match=r"output 'y'.*tlast"):
        simulator.run([x], 4, reset_after=BEATS + 4)


def test_tlast_in_the_wrong_place() -> None:
    simulator = build(chain(2, last_at=BEATS - 1))
    with pytest.raises(ProtocolError, match="tlast should be clear at frame 0, beat 3 of 5 beats"):
        simulator.run([words_of(random_frames(4, 2))], 4)


def test_deadlock_names_ports_and_the_blocked_edge() -> None:
    x = words_of(random_frames(4, 1))
    with pytest.raises(Stalled, match=r"input 'x' is not accepted after frame 1, 4 of 5.*build with taps"):
        build(deadlock(7)).run([x], 4, watchdog_cycles=1000)
    with pytest.raises(Stalled, match=r"edge 1 \(first -> y\) is blocked after frame 1, 2 of 5 beats"):
        build(deadlock(7), taps=True).run([x], 4, watchdog_cycles=1000)


def test_first_difference_names_the_stage_and_values() -> None:
    design, x = chain(2, second_step=3), random_frames(4, 2)
    result = build(design, taps=True).run([words_of(x)], 4)
    edges = {k: words_of(x + np.uint8(k)) for k in range(3)}
    found = first_difference(design, result, [words_of(x + np.uint8(2))], edges)
    assert found is not None
    assert (found.source, found.frame, found.beat, found.lane) == ("second", 0, 0, 0)
    want = int(x[0, 0, 0]) + 2
    assert f"is {(want + 2) % 256}, should be {want % 256}" in str(found)


def test_a_wrong_edge_is_found_in_the_middle_of_a_frame(two_lanes: Simulator) -> None:
    x = random_frames(4, 2)
    result = two_lanes.run([words_of(x)], 4)
    golden = words_of(x + np.uint8(1))
    golden[2, 3, 0] ^= 0x100
    found = first_difference(chain(2), result, [words_of(x + np.uint8(2))], {1: golden})
    assert found is not None
    assert (found.stream, found.frame, found.beat, found.lane, found.index) == (
        "edge 1 (first -> second)", 2, 3, 1, 7,
    )  # fmt: skip


@pytest.mark.parametrize("suffix", [".vcd", ".fst"])
def test_waveform(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    build(chain(2), waves=path).run([words_of(random_frames(3, 2))], 3)
    content = path.read_bytes()
    if suffix == ".vcd":
        assert b"m_axis_tvalid" in content and b"edge1_data" in content
    else:  # the first block is the header (kind 0), 329 bytes; the rest has the changes
        assert content[:9] == b"\0" + (329).to_bytes(8, "big") and len(content) > 500


def test_other_waveform_is_refused() -> None:
    with pytest.raises(UserError, match=r"ends in .fst or .vcd"):
        build(chain(2), waves=Path("out.ghw"))


def test_progress_ends_with_all_frames(two_lanes: Simulator) -> None:
    seen: list[tuple[int, int]] = []
    two_lanes.run([words_of(random_frames(900, 2))], 900, progress=lambda *a: seen.append(a))
    assert len(seen) > 1 and seen[-1] == (900, 900)


@pytest.mark.parametrize(
    "words", [np.zeros((3, BEATS, 1), np.uint32), np.zeros((4, BEATS, 2), np.uint32), np.zeros((4, BEATS, 1))]
)
def test_words_of_another_shape_are_refused(two_lanes: Simulator, words: np.ndarray) -> None:
    with pytest.raises(ValueError, match="input 'x' takes uint32 words"):
        two_lanes.run([words], 4)


def test_cache_serves_the_second_build(monkeypatch: pytest.MonkeyPatch) -> None:
    first = build(chain(2), taps=True).library
    monkeypatch.setattr("sim.verilator._make_library", lambda *_: pytest.fail("built again"))
    assert build(chain(2), taps=True).library == first


def test_missing_tools_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CODESIGN_VERILATOR", "no-such-verilator")
    with pytest.raises(ToolMissing, match="no-such-verilator"):
        find_verilator()
    monkeypatch.delenv("CODESIGN_VERILATOR")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"g\+\+ is missing.*apt-get install g\+\+ make"):
        build(chain(2))


def test_an_old_verilator_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "verilator"
    program.write_text("#!/bin/sh\necho 'Verilator 5.006 2023-01-22 rev (Debian)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("CODESIGN_VERILATOR", str(program))
    with pytest.raises(ToolMissing, match=r"5\.006.*5\.036 or newer"):
        find_verilator()


def test_a_failed_build_leaves_no_cache_entry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CODESIGN_CACHE", str(tmp_path))
    monkeypatch.setattr("sim.verilator._make_runtime", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        build(chain(2))
    assert not [p for p in (tmp_path / "verilator").iterdir() if p.is_dir()]
