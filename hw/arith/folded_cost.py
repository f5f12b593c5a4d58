"""What folded dot products cost."""

from __future__ import annotations

from codesign.cost import Cost
from hw.arith.folded import Folded
from hw.arith.replay import replay_cost
from hw.buffer import skid_cost


def folded_stream_cost(folded: Folded, passes: int = 1) -> Cost:
    """Of a FoldedStream."""
    x_bits = folded.lanes * folded.x.bits
    fetch = replay_cost(x_bits, folded.beats, passes) if passes > 1 else Cost(ff=x_bits)
    return fetch + skid_cost(folded.neurons * folded.y.bits)
