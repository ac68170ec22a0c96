"""Momentum with the constants of quadratics, outside quadratics: a function on which it goes round for ever.

For curvatures from m to L, k = L / m, the heavy ball

    x+ = x - s f'(x) + b (x - x-),    s = 4 / (sqrt L + sqrt m)^2,    b = ((sqrt k - 1) / (sqrt k + 1))^2

converges on every quadratic, fastest of all. A cycle p -> q -> r -> p of three points says what f' has to be there,

    f'(p) = ((p - q) + b (p - r)) / s,    and so on around,

and with f'(0) = 0 there is a function of one variable with these slopes, m <= f'' <= L almost everywhere and its
minimum at 0, if and only if between neighbours among the four points f' rises by at least m and at most L times their
distance: join them by straight lines. From k of about 18 on there are such cycles; for k = 25 one is found in Lessard,
Recht and Packard, *Analysis and design of optimization algorithms via integral quadratic constraints*, SIAM J. Optim.
26, 2016, section 4.6. They are looked for on a grid, and checked in fractions.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from qed.answer import Answer, Reason
from qed.standing import Standing

GRID, WIDE = 601, 3.0
"""How many places the second and the third point of a cycle are tried at, and how far from 0; the first is 1."""


@dataclass(frozen=True)
class Cycle:
    """A function of one variable on which the heavy ball goes round.

    Args:
        low, high: the function's curvatures lie between them.
        step, momentum: of the heavy ball.
        points: p, q, r; the method comes from r to p, goes to q, to r, and to p again.
    """

    low: float
    high: float
    step: float
    momentum: float
    points: tuple[float, float, float]

    def knots(self) -> list[tuple[Fraction, Fraction]]:
        """The points with f' there, and (0, 0), in ascending order: f' is linear between them."""
        p, q, r = (Fraction(x) for x in self.points)
        s, b = Fraction(self.step), Fraction(self.momentum)
        slopes = (((x - after) + b * (x - before)) / s for x, after, before in ((p, q, r), (q, r, p), (r, p, q)))
        return sorted([(Fraction(0), Fraction(0)), *zip((p, q, r), slopes, strict=True)])

    def derivative(self, x: float) -> float:
        """f'(x); beyond the knots with the slope `low`."""
        known = [(float(a), float(g)) for a, g in self.knots()]
        (first, start), (last, end) = known[0], known[-1]
        if x <= first or x >= last:
            return start + self.low * (x - first) if x <= first else end + self.low * (x - last)
        return float(np.interp(x, [a for a, _ in known], [g for _, g in known]))

    def holds(self) -> bool:
        """Whether it is such a function, and the three steps lead around it, in exact arithmetic."""
        known = self.knots()
        low, high, values = Fraction(self.low), Fraction(self.high), dict(known)
        if len(values) < 4 or not 0 < low < high or not self.step > 0 or not self.momentum >= 0:
            return False
        for (a, slope), (b, after) in pairwise(known):
            if not low * (b - a) <= after - slope <= high * (b - a):
                return False
        p, q, r = (Fraction(x) for x in self.points)
        s, m = Fraction(self.step), Fraction(self.momentum)
        return all(
            x - s * values[x] + m * (x - before) == after for before, x, after in ((r, p, q), (p, q, r), (q, r, p))
        )


def cycle(low: float, high: float, step: float, momentum: float) -> Cycle | None:
    """A cycle of the heavy ball on a function with curvatures from `low` to `high`; None where none was found.

    Example:
        >>> found = cycle(1.0, 25.0, 1 / 9, 4 / 9)
        >>> found.holds(), cycle(1.0, 10.0, 4 / (1 + 10**0.5) ** 2, 0.27)
        (True, None)
    """
    places = np.linspace(-WIDE, WIDE, GRID)
    q, r = np.meshgrid(places, places)
    points = np.stack([np.zeros_like(q), np.ones_like(q), q, r])
    slopes = np.zeros_like(points)
    for k, after, before in ((1, 2, 3), (2, 3, 1), (3, 1, 2)):
        slopes[k] = ((points[k] - points[after]) + momentum * (points[k] - points[before])) / step
    order = np.argsort(points, axis=0)
    gaps = np.diff(np.take_along_axis(points, order, 0), axis=0)
    rises = np.diff(np.take_along_axis(slopes, order, 0), axis=0)
    room = np.min(np.where(gaps > 0, np.minimum(rises - low * gaps, high * gaps - rises), -np.inf), axis=0)
    best = np.unravel_index(int(np.argmax(room)), room.shape)
    found = Cycle(low, high, step, momentum, (1.0, float(q[best]), float(r[best])))
    return found if found.holds() else None


def refuted(low: float, high: float, step: float, momentum: float) -> Answer[Any] | None:
    """The answer that the heavy ball with these constants does not converge on all functions with these curvatures."""
    found = cycle(low, high, step, momentum)
    if found is None:
        return None
    claim = (
        f"from every pair of points the heavy ball with the step {step:.6g} and the momentum {momentum:.6g} converges "
        f"on every function whose curvatures lie between {low:.6g} and {high:.6g}"
    )
    shown = " -> ".join(f"{x:.4g}" for x in (*found.points, found.points[0]))
    reason = Reason(
        "a function on which it goes round (Lessard, Recht and Packard 2016)",
        "f' linear between the knots",
        "f' is " + ", ".join(f"{float(g):.6g} at {float(a):.4g}" for a, g in found.knots()),
        role="witness",
        text=f"on a function of one variable with its minimum at 0 the points are {shown}, for ever: the constants are "
        "those of quadratics",
    )
    return Answer(
        claim, Standing.REFUTED, found, arithmetic="reals", reasons=(reason,), recheck=found.holds,
        headline=f"Not {claim}.",
    )  # fmt: skip
