"""Where the densities of p are cut when they are compared with those of q, and where q is looked at for zeros.

Between two cuts the integrand p log(p/q) takes one way and is bounded: they are put at the ends of the densities of q,
beside jumps and corners of either, and at numbers where log p or log q is not finite. All of it is believed by nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qed.graph.trace import Traced
from qed.integration.laws import Density
from qed.integration.proposals import Share, singular_near, with_breaks
from qed.integration.quadrature import vectorised

CLOSEST = 2.0**-20
"""Cuts are not as near to a number beside which something is not bounded, in parts of it."""
POINTS = 2**16
"""At so many places q is looked at for zeros."""
Sides = tuple[tuple[Density, ...], tuple[Density, ...]]
"""The densities of p, and those of q."""


def cut_where_ways_part(
    p: Sequence[Density], q: Sequence[Density], traced: Traced, f: Callable[[Any], Any]
) -> tuple[Density, ...]:
    """The densities of p, cut at the ends of those of q, and beside where the program jumps or bends.

    Args:
        p: the densities of p, their mass searched.
        q: those of q.
        traced: the integrand.
        f: a function of arrays that is a number where cuts beside a jump are wanted.
    """
    ends = [end for other in q for end in (other.cuts[0], other.cuts[-1])]
    found = []
    for one in p:
        assert one.u is not None
        cuts = tuple(sorted({*one.cuts, *(end for end in ends if one.cuts[0] < end < one.cuts[-1])}))
        cuts = with_breaks(cuts, traced, one.u, f)
        found.append(one if cuts == one.cuts else replace(one, cuts=cuts))
    return tuple(found)


def singular_of(sides: Sides, traced: Traced, place: float) -> float | None:
    """A number near a place beside which the integrand or a density is not bounded, and which is no cut yet."""
    f = vectorised(traced, 0)
    pairs = [(f, one) for one in sides[0]] + [(np.zeros_like, one) for one in sides[1]]
    return singular_near(place, [Share(one.part, g, one.u, one.cuts, None) for g, one in pairs])


def with_cut(sides: Sides, place: float) -> Sides:
    """The same with a cut at a number, and none beside it."""

    def cut(one: Density) -> Density:
        if not one.cuts[0] < place < one.cuts[-1]:
            return one
        others = (c for c in one.cuts if not 0 < abs(c - place) <= CLOSEST * abs(place))
        return replace(one, cuts=tuple(sorted({place, *others})))

    return tuple(map(cut, sides[0])), tuple(map(cut, sides[1]))


def empty(p: Sequence[Density], q: Sequence[Density]) -> float | None:
    """A place between the cuts of a density of p where every density of q is 0 or undefined in float64."""
    for one in p:
        inner = [c for c in one.cuts if np.isfinite(c)]
        between = (np.array(inner[:-1]) + np.array(inner[1:])) / 2  # where the program takes one way
        x = np.union1d(np.linspace(inner[0], inner[-1], POINTS + 2)[1:-1], between)
        seen = np.zeros(x.shape, bool)
        for other in q:
            assert other.u is not None
            seen |= np.isfinite(other.u(x)) & (x >= other.cuts[0]) & (x <= other.cuts[-1])
        if not np.all(seen):
            return float(x[np.argmin(seen)])
    return None
