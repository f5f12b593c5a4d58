"""Tables, ratios and bars of unrolled networks beside their peers, and the page docs/circuits.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.mapped import ECP5_DEVICE, Mapped, Routed
from benchmarks.pages import table
from boards.board import XC7Z020
from boards.measure import DDR_BYTES_S
from hw.synth import synthesis
from hw.yosys import yosys_version

IMAGE_BYTES = 98  # of 784 bits
NO = "–"


@dataclass(frozen=True)
class Side:
    """What one program made of a network; `cycles` from the inputs' pins to the outputs'."""

    name: str
    cycles: int
    generation_s: float
    exact: str
    mapped: Mapped
    routed: Routed | None

    @property
    def estimated_ns(self) -> float:
        """Latency at the estimated clock."""
        return self.cycles * 1000 / self.mapped.clock_mhz

    @property
    def routed_ns(self) -> float | None:
        """Latency at the ECP5's clock."""
        return None if self.routed is None else self.cycles * 1000 / self.routed.fmax_mhz

    @property
    def fmax_mhz(self) -> float | None:
        return None if self.routed is None else self.routed.fmax_mhz


@dataclass(frozen=True)
class Compared:
    """A network by everyone; `seconds`: of the parts of our generation; `faster`: ours with registers for more MHz."""

    name: str
    clock_mhz: float
    ours: Side
    peers: tuple[Side, ...]
    seconds: dict[str, float]
    faster: Side | None = None

    @property
    def own(self) -> tuple[Side, ...]:
        return (self.ours,) if self.faster is None else (self.ours, self.faster)


def shown(value: float | None, digits: int = 0) -> str:
    return NO if value is None else f"{value:,.{digits}f}"


ROWS: tuple[tuple[str, Callable[[Side], str]], ...] = (
    ("LUT, paired", lambda s: shown(s.mapped.lut_paired)),
    ("LUT, cells", lambda s: shown(s.mapped.lut)),
    ("LUT, paired, selects of chains not kept apart", lambda s: shown(s.mapped.lut_paired_anyhow)),
    ("of these shift registers", lambda s: shown(s.mapped.srl)),
    ("FF", lambda s: shown(s.mapped.ff)),
    ("CARRY4", lambda s: shown(s.mapped.carry4)),
    ("logic delay, ns", lambda s: shown(s.mapped.delay_ns, 2)),
    ("cycles, pins to pins", lambda s: shown(s.cycles)),
    ("clock estimated, MHz", lambda s: shown(s.mapped.clock_mhz, 1)),
    ("latency at it, ns", lambda s: shown(s.estimated_ns)),
    ("clock on the ECP5, MHz", lambda s: shown(s.fmax_mhz, 1)),
    ("latency at it, ns", lambda s: shown(s.routed_ns)),
    ("LUT4 on the ECP5", lambda s: shown(None if s.routed is None else s.routed.luts)),
    ("generation, s", lambda s: shown(s.generation_s, 1)),
    ("Yosys (xc7z020), s", lambda s: shown(s.mapped.yosys_s)),
    ("Yosys and nextpnr (ECP5), s", lambda s: shown(None if s.routed is None else s.routed.tool_s)),
    ("exact", lambda s: s.exact),
)


@dataclass(frozen=True)
class Bar:
    """Something asked for: what it is, our figure, the better peer's, and which ratios are enough."""

    what: str
    ours: float | None
    best: float | None
    asked: str
    met: Callable[[float], bool]
    digits: int = 0

    @property
    def judged(self) -> float | None:
        """The ratio, once both are known."""
        return None if self.ours is None or self.best is None else self.ours / self.best

    @property
    def cells(self) -> tuple[str, ...]:
        verdict = NO if self.judged is None else "met" if self.met(self.judged) else "missed"
        figures = shown(self.ours, self.digits), shown(self.best, self.digits), shown(self.judged, 2)
        return self.what, *figures, self.asked, verdict


@dataclass(frozen=True)
class Limit(Bar):
    """Our figure itself is asked for."""

    @property
    def judged(self) -> float | None:
        return self.ours

    @property
    def cells(self) -> tuple[str, ...]:
        what, ours, _, _, *rest = super().cells
        return what, ours, NO, NO, *rest


def least(values: Sequence[float | None]) -> float | None:
    return None if not values or None in values else min(v for v in values if v is not None)


def greatest(values: Sequence[float | None]) -> float | None:
    return None if not values or None in values else max(v for v in values if v is not None)


def bars(c: Compared) -> list[Bar]:
    return beside_peers(c) if c.peers else alone(c)


def beside_peers(c: Compared) -> list[Bar]:
    """Ratios to the better peer of each figure, whichever that is."""
    own, others = c.ours, c.peers
    luts, clock = least([p.mapped.lut_paired for p in others]), greatest([p.fmax_mhz for p in others])
    on_ecp5, estimated = least([p.routed_ns for p in others]), least([p.estimated_ns for p in others])
    return [
        Bar("paired LUT", own.mapped.lut_paired, luts, "≤ 0.75", lambda r: r <= 0.75, 0),
        Bar("paired LUT, goal", own.mapped.lut_paired, luts, "≤ 0.65", lambda r: r <= 0.65, 0),
        Bar("clock on the ECP5, MHz", greatest([s.fmax_mhz for s in c.own]), clock, "≥ 1.5", lambda r: r >= 1.5, 1),
        Bar("latency on the ECP5, ns", own.routed_ns, on_ecp5, "≤ 1", lambda r: r <= 1, 0),
        Bar("latency estimated, ns", own.estimated_ns, estimated, "≤ 1", lambda r: r <= 1, 0),
        Limit("generation, s", own.generation_s, None, "< 10 s", lambda s: s < 10, 1),
    ]  # fmt: skip


def alone(c: Compared) -> list[Bar]:
    return [Limit("paired LUT", c.ours.mapped.lut_paired, None, "≤ 32,000", lambda n: n <= 32_000)]


def rates(c: Compared) -> str:
    """Of an image a clock, of the fabric and of the memory."""
    ddr = DDR_BYTES_S / IMAGE_BYTES / 1e6
    clocks = {"as registers are set": c.clock_mhz, "estimated": c.ours.mapped.clock_mhz, "on the ECP5": c.ours.fmax_mhz}
    rows = [
        (f"clock {name}", shown(mhz, 1), shown(mhz, 1), shown(ddr, 1), shown(None if mhz is None else min(mhz, ddr), 1))
        for name, mhz in clocks.items()
    ]
    head = ("million images a second", "MHz", "fabric", f"DDR, {IMAGE_BYTES} bytes an image", "the least")
    return table(head, rows)


def section(c: Compared) -> str:
    sides = (*c.own, *c.peers)
    figures = table(("", *(s.name for s in sides)), [(what, *(of(s) for s in sides)) for what, of in ROWS])
    asked = table(("bar", "codesign", "better peer", "ratio", "asked", ""), [bar.cells for bar in bars(c)])
    parts = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in c.seconds.items())
    share = f"{c.ours.mapped.lut_paired / XC7Z020.lut:.0%} of the chip's {XC7Z020.lut:,} LUTs (paired)."
    text = [f"## {c.name}", "", f"Ours: {share} Generation: {parts}.", "", figures, asked]
    return "\n".join([*text, *([] if c.peers else [rates(c)])])


PAGE = """# Unrolled networks beside their peers

Generated by `python -m benchmarks.unrolled --route -o docs/circuits.md`: every weight has its own gates, a sample a
clock. Both sides go through the same tools in the same run: {yosys}, `{command}`, one pass that pairs small LUTs into
sites (`hw/pairing.py`). Figures of LUT, FF, CARRY4 and delay are *synthesized*, nothing of the xc7z020 is placed.

*Ours* is the whole module of `compile --style unrolled` at a frame a clock, with its AXI4-Stream ports, the FIFO of its
results and what stops it; the peers' modules are their bare pipelines. Both round sums to the next layer's
codes; ours rounds ties to even, as the model says, the peers round them up, which costs them nothing. A peer stands
here with a shallow and a deep pipeline, and the better of all its figures counts in every line of its own. Ours stands
here with registers for 100 MHz, whose figures count, and for 200 MHz, which counts for the clock alone.

- *LUT, paired*: small LUTs share sites as O5 and O6. LUTs that drive selects of carry chains do so from O6, each from a
  site of its own; the line *not kept apart* is the count without that rule, which no slice allows.
- *Logic delay*: the worst path of the cells alone by Yosys' `sta`, LUT6_2 written out as LUT6 and LUT5, inputs from
  registers. *Clock estimated*: `hw/sta.py`, with wires estimated as in one large circuit ([timing.md](timing.md)).
- *ECP5*: placed and routed on an ECP5-85K by {nextpnr}
  (`{device}`), ours in its form of plain
  expressions. Every design stands in one and the same harness: a shift register feeds its inputs, its outputs are
  registered and folded by XOR (`benchmarks/harness.py`); its LUTs count there. One seed. – where nothing was placed, or
  the device is too small.
- *Cycles*: from an input at the pins to its result at the pins; ours simulated.
- *Seconds* are of a processor core; generation is warm: ours from the file to Verilog, the peers' from weights in
  arrays to Verilog, each after another one in the same process.
- *Exact*: ours is simulated, every word compared with the integer emulator, which is compared with the answers that
  come with the file; the peers' own model of their circuit is compared with the same network in NumPy.

{sections}"""


def page(found: Sequence[Compared]) -> str:
    command, device = synthesis("TOP"), " ".join(ECP5_DEVICE)
    sections = "\n".join(section(c) for c in found)
    by = {side.routed.by for c in found for side in (*c.own, *c.peers) if side.routed is not None}
    nextpnr = " and ".join(sorted(by)) or "nextpnr"
    return PAGE.format(yosys=yosys_version(), command=command, device=device, nextpnr=nextpnr, sections=sections)
