"""Memory in, memory out: any length and alignment under stalls; errors and resets end cleanly and leave no trace."""

from __future__ import annotations

import random

import pytest
from amaranth.sim import SimulatorContext

from codesign.errors import UserError
from hw.axi.shell import refuse_too_many
from tests.axi_memory import BASE, SIZE, HpPort, Ram
from tests.axi_rig import IDENTITY, Cpu, Rig, simulate

SHAPES = [(1, 1, 1), (8, 8, 8), (6, 3, 2), (40, 20, 5), (24, 12, 24), (26, 13, 26)]  # frame, input beat, output beat


def filled(seed: int, stall: float = 0.3) -> Ram:
    return Ram(seed, stall, data=bytearray(random.Random(seed).randbytes(SIZE)))


async def check_run(cpu: Cpu, ram: Ram, frames: int, rng: random.Random) -> None:
    """Frames from and to random addresses: what arrives is equal, and nothing else in memory changes."""
    size = frames * cpu.rig.frame_bytes
    count = len(cpu.rig.ports[0])
    room = SIZE // (2 * count)
    sources = [k * room + rng.randrange(room - size) for k in range(count)]
    targets = [SIZE // 2 + k * room + rng.randrange(room - size) for k in range(count)]
    wanted = bytearray(ram.data)
    for source, target in zip(sources, targets, strict=True):
        wanted[target : target + size] = ram.data[source : source + size]
    status = await cpu.run(frames, [BASE + s for s in sources], [BASE + t for t in targets])
    assert status == 2, f"status {status:#x}"
    assert ram.data == wanted
    assert await cpu.read("frames_done") == frames


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_frames_arrive_at_any_address(shape: tuple[int, int, int]) -> None:
    frame, source, target = shape
    rng, ram = random.Random(frame), filled(frame)

    async def script(cpu: Cpu, ports: list[HpPort]) -> None:
        for stall in (0.0, 0.3, 0.6):
            ram.stall = stall
            for frames in (1, rng.randrange(2, 20), rng.randrange(1, max(2, 1200 // frame))):
                await check_run(cpu, ram, frames, rng)

    simulate(Rig(frame, [source], [target]), ram, script, seed=frame)


def test_two_inputs_and_outputs_share_nothing() -> None:
    rng, ram = random.Random(2), filled(2)

    async def script(cpu: Cpu, ports: list[HpPort]) -> None:
        for _ in range(3):
            await check_run(cpu, ram, rng.randrange(1, 20), rng)
        cpu.accesses = 0
        await cpu.run(1, [BASE, BASE + 64], [BASE + 128, BASE + 256])
        assert cpu.accesses > 5  # four addresses, start, status

    simulate(Rig(12, [4, 12], [3, 6]), ram, script)


def test_several_reads_are_under_way_and_bursts_are_long() -> None:
    ram = filled(3, stall=0.0)
    ram.latency = 60

    async def script(cpu: Cpu, ports: list[HpPort]) -> None:
        await cpu.run(400, [BASE], [BASE + SIZE // 2])
        assert ports[0].reads == ports[0].writes == 400 * 8 // 128
        assert ports[0].most_reads >= 4
        # A word a clock but for the start and the end: twice the latency of memory.
        assert await cpu.read("busy_cycles") < 400 + 2 * ram.latency + 30

    simulate(Rig(8, [8], [8]), ram, script)


@pytest.mark.parametrize("way", ["read", "write"])
def test_an_error_response_ends_the_run_and_the_next_is_right(way: str) -> None:
    rng, ram = random.Random(4), filled(4)

    async def script(cpu: Cpu, ports: list[HpPort]) -> None:
        target = BASE + SIZE // 2 + 3
        start = BASE + 5 if way == "read" else target
        await cpu.write("interrupt_enable", 2)
        for byte in (0, 130, 200, 1990):  # in the first burst, in others, in the last
            bad = (start + byte) & ~7
            ram.bad = lambda address, bad=bad: address == bad
            status = await cpu.run(100, [BASE + 5], [target])
            assert status == 2 | 1 << (8 if way == "read" else 12), hex(status)
            assert cpu.ctx.get(cpu.rig.shell.irq) and await cpu.read("interrupt_flag") == 2
            await cpu.write("interrupt_flag", 3)
            assert await cpu.read("interrupt_flag") == 0 and not cpu.ctx.get(cpu.rig.shell.irq)
            assert not any(port.r.queue or port.b.queue or port.addresses for port in ports)
            ram.bad = lambda address: False
            await check_run(cpu, ram, rng.randrange(1, 40), rng)
            await cpu.write("interrupt_flag", 3)

    simulate(Rig(20, [4], [5]), ram, script)


def test_a_soft_reset_at_any_time_drains_and_the_next_run_is_right() -> None:
    rng, ram = random.Random(5), filled(5)

    async def script(cpu: Cpu, ports: list[HpPort]) -> None:
        for _ in range(12):
            target = BASE + SIZE // 2 + rng.randrange(64)
            before, size = bytes(ram.data), 50 * 20
            await cpu.write("source0", BASE + 1)
            await cpu.write("destination0", target)
            await cpu.write("start", 50)
            await cpu.pause(300)
            await cpu.write("control", 1)
            while await cpu.status("busy"):
                pass
            assert await cpu.read("status") == 0 and await cpu.read("interrupt_flag") == 0
            assert not any(port.r.queue or port.b.queue or port.addresses for port in ports)
            # What was written is right, the rest untouched.
            at = target - BASE
            moved = ram.data[at : at + size]
            right = before[1 : 1 + size]
            old = before[at : at + size]
            assert all(byte in (r, o) for byte, r, o in zip(moved, right, old, strict=True))
            assert ram.data[:at] == before[:at] and ram.data[at + size :] == before[at + size :]
            await check_run(cpu, ram, rng.randrange(1, 8), rng)

    simulate(Rig(20, [5], [4]), ram, script)


def test_a_reset_waits_for_memory_that_does_not_answer() -> None:
    ram = filled(6)

    async def script(cpu: Cpu, ports: list[HpPort]) -> None:
        await cpu.write("source0", BASE)
        await cpu.write("destination0", BASE + SIZE // 2)
        await cpu.write("start", 50)
        await cpu.ctx.tick().repeat(60)
        ram.frozen = True
        await cpu.write("control", 1)
        await cpu.ctx.tick().repeat(100)
        assert await cpu.status("busy")
        ram.frozen = False
        await cpu.ctx.tick().repeat(300)
        assert await cpu.read("status") == 0

    simulate(Rig(20, [4], [4]), ram, script)


def test_a_frame_of_the_wrong_length_is_an_error() -> None:
    ram = filled(7)

    async def script(cpu: Cpu, ports: list[HpPort]) -> None:
        cpu.ctx.set(cpu.rig.late, 1)
        assert await cpu.run(10, [BASE], [BASE + SIZE // 2]) == 2 | 1 << 16
        cpu.ctx.set(cpu.rig.late, 0)
        await check_run(cpu, ram, 7, random.Random(7))

    simulate(Rig(20, [4], [4]), ram, script)


def test_start_while_busy_is_refused_and_no_frames_end_at_once() -> None:
    ram = filled(8)

    async def script(cpu: Cpu, ports: list[HpPort]) -> None:
        assert await cpu.run(0, [BASE], [BASE + SIZE // 2]) == 2
        assert ports[0].reads == ports[0].writes == 0
        await cpu.write("start", 100)
        await cpu.write("start", 1)
        assert await cpu.wait() == 6
        assert await cpu.read("frames_done") == 100
        assert await cpu.run(1, [BASE], [BASE + SIZE // 2]) == 2

    simulate(Rig(20, [4], [4]), ram, script)


def test_registers_and_identity() -> None:
    async def script(cpu: Cpu, ports: list[HpPort]) -> None:
        identity = [await cpu.read(f"identity{k}") for k in range(4)]
        assert sum(word << 32 * k for k, word in enumerate(identity)) == IDENTITY
        assert await cpu.read("version") == 1
        at = cpu.rig.registers["source0"].offset
        await cpu.write("source0", 0x1234_5678)
        await cpu.write_burst(at, [0xAABB_CCDD], strobes=0b0110, data_first=True)
        assert await cpu.read("source0") == 0x12BB_CC78
        await cpu.write_burst(0xFF0, [1])
        assert await cpu.read_burst(0xFF0, 1) == [0]
        # A burst of the identity, wrapping inside its 16 bytes, and one that stays at one address.
        assert await cpu.read_burst(0x40, 4) == identity
        assert await cpu.read_burst(0x48, 4, burst=2) == [*identity[2:], *identity[:2]]
        assert await cpu.read_burst(0x44, 3, burst=0) == [identity[1]] * 3
        await cpu.write_burst(0x9C, [5, 6], data_first=True)  # no register, then destination0
        assert await cpu.read("destination0") == 6

    simulate(Rig(8, [8], [8]), filled(9), script)


TO_RUN = 3  # clocks from the data of `start` on GP0 to the run: bridge, register, sequencer


@pytest.mark.parametrize("stall", [0.0, 0.5])
def test_counters_equal_the_simulators_count(stall: float) -> None:
    ram = filled(10, stall)
    rig = Rig(12, [4, 6], [3, 12])
    shell = rig.shell
    seen = dict.fromkeys(("clock", "blocked", "hungry", "start", "answer", "frames"), 0)
    left = [0, 0]  # beats that each input still has to give
    starts: list[list[int]] = [[], []]
    ends: list[list[int]] = [[], []]

    async def watch(ctx: SimulatorContext) -> None:
        names = [(getattr(shell, f"{letter}{k}"), letter, k) for letter in "sm" for k in range(2)]
        last = [shell.ends0, shell.ends1, shell.last0, shell.last1]
        signals = [s for port, _, _ in names for s in (port.valid, port.ready)]
        answers = [getattr(shell, f"write{k}").b for k in range(2)]
        answered = [s for b in answers for s in (b.valid, b.ready)]
        inside, w = [False, False], rig.bridge.axi.w
        while True:
            _, _, *v, w_valid, w_ready, at, frames, b0, b1, b2, b3 = await ctx.tick().sample(
                *signals, *last, w.valid, w.ready, rig.bridge.axi.aw.payload.addr[:12], w.payload.data, *answered
            )
            seen["clock"] += 1
            if w_valid and w_ready and at == rig.registers["start"].offset:
                seen.update({"start": seen["clock"], "frames": frames, "hungry": 0, "blocked": 0})
            if seen["clock"] == seen["start"] + TO_RUN:
                left[:] = [seen["frames"] * p.beats for p in rig.ports[0]]
            if (b0 and b1) or (b2 and b3):
                seen["answer"] = seen["clock"]
            hungry = False
            for k in range(2):
                hungry |= bool(left[k] and not v[2 * k] and v[2 * k + 1])
                if v[2 * k] and v[2 * k + 1]:
                    left[k] -= 1
                    if not inside[k]:
                        starts[k].append(seen["clock"])
                    inside[k] = not v[8 + k]
                if v[4 + 2 * k] and v[5 + 2 * k] and v[10 + k]:
                    ends[k].append(seen["clock"])
            seen["hungry"] += hungry
            seen["blocked"] += any(v[4 + 2 * k] and not v[5 + 2 * k] for k in range(2))

    async def script(cpu: Cpu, ports: list[HpPort]) -> None:
        for frames in (1, 30):
            for record in (*starts, *ends):
                record.clear()
            await check_run(cpu, ram, frames, random.Random(frames))
            first, final = (
                [pick(pair) for pair in zip(*record, strict=True)] for record, pick in ((starts, min), (ends, max))
            )
            latencies = [b - a + 1 for a, b in zip(first, final, strict=True)]
            assert await cpu.read("latency_last") == latencies[-1]
            assert await cpu.read("latency_slowest") == max(latencies)
            assert await cpu.read("output_stalls") == seen["blocked"]
            assert await cpu.read("input_stalls") == seen["hungry"]
            # from the first clock of the run to the one behind the last answer of memory
            assert await cpu.read("busy_cycles") == seen["answer"] - (seen["start"] + TO_RUN) + 2

    simulate(rig, ram, script, watch=watch)


def test_more_streams_than_ports_are_refused() -> None:
    with pytest.raises(UserError, match="5 inputs and 1 outputs, and the chip has 4"):
        refuse_too_many(5, 1)
