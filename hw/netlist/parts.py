"""Parts that several sums have in common: sums are added that hold the most of what two of them share."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from hw.arith.digits import digit_count, digits_in
from hw.netlist.sums import SIGNS, Part, Place, Sums, Term, width

BIT, MADE = 0.53, 0.44  # look-up tables that a bit costs in the heap of a sum, and of a part, about
SPREAD = 0.1  # of two parts that save as much the one that takes fewer bits away leaves more to save
LEAST, MOST = 2, 12  # terms of a part: one of many is late


def grow(s: Sums, a: Place, b: Place) -> Part | None:
    """The best of the parts on the way from what two sums have in common to what the most of them have."""
    places = [a, b]
    terms = _together(s, [t for t in s.terms(a.column) if _holds(s, b, t)], places)
    found: Part | None = None
    while len(terms) >= LEAST:
        score = _score(s, terms, len(places))
        if score > 0 and (found is None or score > found.score):
            found = Part(score, tuple(terms), tuple(places))
        place = _next(s, terms, [p.column for p in places])
        if place is None:
            break
        places.append(place)
        terms = [t for t in terms if _holds(s, place, t)]
    return None if found is None else _checked(s, found)


def _checked(s: Sums, part: Part) -> Part | None:
    """The part without the terms that exclude each other somewhere."""
    terms = _together(s, part.terms, part.places)
    score = _score(s, terms, len(part.places)) if len(terms) >= LEAST else 0.0
    return Part(score, tuple(terms), part.places) if score > 0 else None


def _holds(s: Sums, place: Place, term: Term) -> bool:
    """Whether a sum has room for a part's term at a place."""
    weight = s.columns[place.column].get(term.node, 0)
    return (term.shift - place.down, term.sign * place.sign) in digits_in(weight)


def _next(s: Sums, terms: Sequence[Term], used: Sequence[int]) -> Place | None:
    """Where the most of these terms stand, in a sum that is not used."""
    count = s.often(terms)
    count[used] = 0
    best = int(count.argmax())
    column, down, sign = np.unravel_index(best, count.shape)
    return Place(int(column), int(down) - s.reach, SIGNS[sign]) if count.flat[best] >= LEAST else None


def _together(s: Sums, terms: Sequence[Term], places: Sequence[Place]) -> list[Term]:
    """Terms that can all be taken out of all places: of those of one node as many as go together."""
    by_node: defaultdict[int, list[Term]] = defaultdict(list)
    for term in terms:
        by_node[term.node].append(term)
    twice = len({place.column for place in places}) < len(places)
    found: list[Term] = []
    for own in by_node.values():
        if len(own) == 1 and not twice:
            found += own
            continue
        sets: list[list[Term]] = []
        for k in range(len(own)):
            sets.append([])
            for term in own[k:] + own[:k]:
                if _fit(s, [*sets[-1], term], places):
                    sets[-1].append(term)
        found += max(sets, key=len)
    return found


def _fit(s: Sums, terms: Sequence[Term], places: Sequence[Place]) -> bool:
    """Whether terms of one node can all be taken out of all places."""
    node, rest, taken = terms[0].node, dict[int, int](), Counter[int]()
    for column, down, sign in places:
        for term in terms:
            if term.shift < down:
                return False
            rest[column] = rest.get(column, s.columns[column][node]) - (term.sign * sign << term.shift - down)
            taken[column] += 1
    return all(digit_count(v) == digit_count(s.columns[c][node]) - taken[c] for c, v in rest.items())


def _score(s: Sums, terms: Sequence[Term], places: int) -> float:
    """What a part saves, a little less for the bits that it takes away."""
    if len(terms) > MOST:
        return 0.0
    bits = sum(width(s.ranges[term.node]) for term in terms)
    lowest = min(term.shift for term in terms)
    span = sum((s.ranges[t.node][1] - s.ranges[t.node][0]) << t.shift - lowest for t in terms)
    gain = BIT * places * (bits - span.bit_length()) - MADE * bits
    return gain / (places * bits) ** SPREAD if gain > 0 else 0.0
