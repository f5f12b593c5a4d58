"""Static timing of a mapped netlist between registers: the worst path, and the pipeline rule on all paths.

The rule (MICROARCHITECTURE.md, -1 speed grade): so many levels of look-up tables, a carry chain of few enough bits
counting as one (up to 100 MHz as half a one), a ternary adder as a table and its chain. What a block RAM or multiplier
gives without an output register goes straight into registers, up to 100 MHz through two levels less. No net has more
than MOST_READERS readers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hw.blif import Instance
from hw.netlist.chains import chain_bits
from hw.netlist.clock import MOST_LEVELS, levels_at, net_ps, stretch
from hw.netlist.fanout import MOST_READERS
from hw.netlist.pipeline import CHAIN, SHORT_CHAIN
from hw.paths import Nets, Step, Wire, nets_of

SLOW_PS = 1600  # what is launched later comes from a block RAM or a multiplier without a register behind it
SLOW_LEVELS = 2  # that this counts up to 100 MHz
SOURCE = "static timing of the synthesized netlist, cells of the -1 speed grade; wires estimated, nothing is placed"
SHOWN = 8  # paths and nets that a result names


@dataclass(frozen=True)
class Rule:
    """Levels of logic and bits of a carry chain between registers; the levels that a late start and a chain count."""

    levels: int
    carry_bits: int
    slow: int
    chain: float

    @classmethod
    def at(cls, clock_mhz: float) -> Rule:
        levels = levels_at(clock_mhz)
        slow = SLOW_LEVELS if levels >= MOST_LEVELS else levels
        return cls(levels, chain_bits(levels), slow, SHORT_CHAIN if levels >= MOST_LEVELS else CHAIN)


@dataclass(frozen=True)
class Passed:
    """A cell on a path, the pins in and out, and the wire before it, which has so many readers."""

    cell: str
    pins: str
    ns: float
    wire_ns: float
    readers: int


@dataclass(frozen=True)
class Path:
    """From a register to a register: times, look-up tables, levels as the rule counts them, its longest carry chain.

    `stages`: those that the registers are in, "" where one belongs to none.
    """

    stages: tuple[str, str]
    start: str
    end: str
    ns: float
    logic_ns: float
    wire_ns: float
    luts: int
    levels: float
    carry_bits: int
    cells: tuple[Passed, ...]


@dataclass(frozen=True)
class Wide:
    """A net, how many cells read it, and one of them."""

    net: str
    readers: int
    reader: str


@dataclass(frozen=True)
class Timing:
    """`outside`: of the `ends` of paths those that the rule refuses, the first of them as `paths`; `wide`: nets between
    registers with more than MOST_READERS readers, the widest first in `nets`.

    `stretch`: how much longer wires are where `luts` of one piece are placed.
    """

    clock_mhz: float
    rule: Rule
    luts: int
    worst: Path
    deepest: Path
    ends: int
    outside: int
    paths: tuple[Path, ...]
    wide: int
    nets: tuple[Wide, ...]

    @property
    def fmax_mhz(self) -> tuple[float, float]:
        """Where the wires of all of it are as long as in one large circuit, and where they are as in a small one."""
        return tuple(1000 / (self.worst.logic_ns + k * self.worst.wire_ns) for k in (self.stretch, 1.0))  # type: ignore

    @property
    def holds(self) -> bool:
        """Whether every path and every net is inside the rule."""
        return not self.outside and not self.wide

    def described(self) -> dict[str, Any]:
        """As the manifest has it (docs/manifest.md)."""
        low, high = (round(mhz, 1) for mhz in self.fmax_mhz)
        rule = {"clock_mhz": self.clock_mhz, "readers": MOST_READERS, **asdict(self.rule)}
        return {"source": SOURCE, **asdict(self), "rule": rule, "fmax_mhz": [low, high], "holds": self.holds}

    @property
    def stretch(self) -> float:
        return stretch(self.luts)


def timing(cells: Iterable[Instance], clock_mhz: float, wire: Wire = net_ps) -> Timing | None:
    """Of the paths from register to register at a clock; None where there are none."""
    nets, rule = nets_of(cells, wire), Rule.at(clock_mhz)
    walk = _Walk(nets, rule)
    ends = [step for step in nets.ends if walk.late[step.source] >= 0]
    if not ends:
        return None
    refused = [s for s in ends if walk.levels[s.source] > rule.levels or walk.chains[s.source] > rule.carry_bits]
    refused.sort(key=lambda s: (-walk.levels[s.source], -walk.chains[s.source], nets.names[s.source]))
    worst = max(ends, key=lambda s: walk.late[s.source] + s.wire_ps + s.arc.ps)
    deepest = max(ends, key=lambda s: walk.levels[s.source])
    return Timing(
        clock_mhz,
        rule,
        sum(cell.kind.startswith("LUT") for cell in nets.cells),
        walk.path(worst, walk.latest),
        walk.path(deepest, walk.deepest),
        len(ends),
        len(refused),
        tuple(walk.refused(step) for step in refused[:SHOWN]),
        sum(late >= 0 and count > MOST_READERS for late, count in zip(walk.late, nets.readers, strict=True)),
        tuple(_wide(nets, walk)),
    )


def _wide(nets: Nets, walk: _Walk) -> list[Wide]:
    """The widest nets that come from registers."""
    reached = [k for k, late in enumerate(walk.late) if late >= 0]
    reached.sort(key=lambda k: (-nets.readers[k], nets.names[k]))
    return [Wide(nets.names[k], nets.readers[k], _reader(nets, k)) for k in reached[:SHOWN]]


def _reader(nets: Nets, net: int) -> str:
    """A cell that reads a net, by its kind, the pin, and what it gives."""
    k, pin = nets.reader.get(net, (-1, ""))
    if k < 0:
        return ""
    cell = nets.cells[k]
    given = next((cell.pins[out] for out in ("Q", "O", "O6", "O[0]", "DOA[0]") if out in cell.pins), "")
    return f"{cell.kind} {pin} ({given})"


class _Walk:
    """For every net what arrives there from registers: `late` in ps (-1: nothing), `levels`, and the longest `chains`
    on the way; and the step from which each of these comes."""

    def __init__(self, nets: Nets, rule: Rule) -> None:
        self.nets, self.rule, count = nets, rule, len(nets.names)
        self.late, self.levels, self.chains = [-1] * count, [0.0] * count, [0] * count
        self.chain = [0] * count  # that ends at the net
        self.latest, self.deepest, self.longest = ([_NOWHERE] * count for _ in range(3))
        for net in _order(nets):
            for step in nets.into[net]:
                if step.source < 0 or self.late[step.source] >= 0:
                    self._arrive(net, step)

    def _arrive(self, net: int, step: Step) -> None:
        k = step.source
        late, levels, chains, chain = step.wire_ps + step.arc.ps, self._levels(step), 0, step.bits
        if k >= 0:
            late, levels, chains = late + self.late[k], levels + self.levels[k], self.chains[k]
            chain += self.chain[k] if step.continues else 0
        if late > self.late[net]:
            self.late[net], self.latest[net] = late, step
        if levels > self.levels[net] or self.deepest[net] is _NOWHERE:
            self.levels[net], self.deepest[net] = levels, step
        if max(chain, chains) > self.chains[net] or self.longest[net] is _NOWHERE:
            self.chains[net], self.longest[net] = max(chain, chains), step
        self.chain[net] = max(self.chain[net], chain)

    def _levels(self, step: Step) -> float:
        if step.source < 0 and step.arc.ps > SLOW_PS:
            return self.rule.slow
        return step.levels * self.rule.chain if step.bits else step.levels

    def refused(self, end: Step) -> Path:
        """The path that the rule refuses."""
        return self.path(end, self.deepest if self.levels[end.source] > self.rule.levels else self.longest)

    def path(self, end: Step, came: Sequence[Step]) -> Path:
        """The path to an end along what came to each net."""
        steps = [end]
        while steps[0].source >= 0:
            steps.insert(0, came[steps[0].source])
        logic, wire = sum(s.arc.ps for s in steps), sum(s.wire_ps for s in steps)
        chains, chain = 0, 0
        for step in steps:
            chain = step.bits + (chain if step.continues else 0)
            chains = max(chains, chain)
        start, stop = self._name(steps[0], True), self._name(end, False)
        return Path(
            (_stage(start), _stage(stop)), start, stop, (logic + wire) / 1000, logic / 1000, wire / 1000,
            sum(self.nets.cells[s.cell].kind.startswith(("LUT", "INV")) for s in steps),
            sum(map(self._levels, steps)), chains, tuple(map(self._passed, steps)),
        )  # fmt: skip

    def _passed(self, step: Step) -> Passed:
        readers = self.nets.readers[step.source] if step.source >= 0 else 0
        pins = f"{step.arc.source or 'clock'} to {step.arc.target or 'clock'}"
        return Passed(self.nets.cells[step.cell].kind, pins, step.arc.ps / 1000, step.wire_ps / 1000, readers)

    def _name(self, step: Step, start: bool) -> str:
        """What a register is called: by its output."""
        cell, own = self.nets.cells[step.cell], step.arc.target if start else step.arc.source
        pin = own if start or not cell.kind.startswith("FD") else "Q"
        name = cell.pins.get(pin, own)
        return name if start or own == "D" else f"{name} ({cell.kind} {own})"


def _stage(net: str) -> str:
    """Nets are named by where they are: `stage.part.net`."""
    return net.partition(".")[0] if "." in net and net[0] != "$" else ""


_NOWHERE = Step(-1, None, -1, -1, 0)  # type: ignore[arg-type]


def _order(nets: Nets) -> list[int]:
    """The nets, each behind all that it comes from; ValueError where logic runs in a circle."""
    readers: list[list[int]] = [[] for _ in nets.names]
    waits = [0] * len(nets.names)
    for net, steps in enumerate(nets.into):
        for step in steps:
            if step.source >= 0:
                readers[step.source].append(net)
                waits[net] += 1
    order = [net for net, count in enumerate(waits) if not count]
    for net in order:
        for reader in readers[net]:
            waits[reader] -= 1
            if not waits[reader]:
                order.append(reader)
    if len(order) < len(nets.names):
        stuck = next(name for name, count in zip(nets.names, waits, strict=True) if count)
        raise ValueError(f"logic runs in a circle through {stuck}")
    return order
