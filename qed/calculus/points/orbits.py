"""Critical points that a group of motions moves about: minima that are not alone.

Let motions g_t leave f as it is, with generators at a critical point p that are independent and span the null space of
the Hessian. They move p over a surface M of critical points with that tangent space, on which f is f(p), and across M
the Hessian is regular: near p f is f(p) plus a quadratic form with the signs of the other curvatures (the Morse-Bott
lemma: Banyaga and Hurtubise, *A proof of the Morse-Bott lemma*, Expo. Math. 22, 2004). Where all of these are positive
p is a minimum, not a strict one. That f is the same on M is looked at in balls, which hold what it differs by to 30
digits, at points that all motions together lead to. Motions of single coordinates are left out: what a saturated
function does not show to 180 digits (`unmoved`) may still be there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from qed.answer import Reason
from qed.calculus.points.case import Case
from qed.calculus.points.located import Local
from qed.calculus.points.symmetries import MOVES, Motion
from qed.domains.ball_boxes import NotSmooth
from qed.domains.precision import precision
from qed.standing import Standing

Array = np.ndarray
ROUNDINGS = 1e3
"""How many times the square of a rounding f may change along an orbit of points that are rounded."""
REACHES = (1.0, 1.0, 0.5, 0.5, 0.1, 0.1)
"""How long all motions together are followed."""
EXACT = 2.0**-95
"""How exact values in balls are taken to be, in relation to their size."""


def nature(case: Case, center: Array, at: Local, motions: Sequence[Motion], signs: tuple[int, int, int]) -> str:
    """What a point is whose flat directions are all motions: 'minimum', 'maximum', or '' where that is not told.

    Args:
        case: the function.
        center: the critical point.
        at: the derivatives there.
        motions: what leaves the function as it is, their generators independent and flat.
        signs: how many curvatures are negative, positive and zero.

    >>> import jax.numpy as jnp
    >>> from qed.calculus.points.located import local
    >>> from qed.calculus.points.symmetries import symmetries
    >>> from qed.graph.function import read
    >>> p, flat = np.ones(2), np.ones((2, 1)) / np.sqrt(2)
    >>> for f in (lambda x: (x[0] - x[1]) ** 2, lambda x: (x[0] - x[1]) ** 2 - 1e-15 * (x[0] + x[1] - 2) ** 6):
    ...     case = Case(f, p, (), read(f, p))
    ...     nature(case, p, local(case.boxes, p, p), symmetries(case, p, flat), (0, 1, 1))
    'minimum'
    ''
    """
    negative, positive, flat = signs
    if (
        len(motions) != flat
        or bool(negative) == bool(positive)
        or not all(m.everywhere and not m.single for m in motions)
    ):
        return ""
    try:
        if not _same(case, center, at, motions):
            return ""
    except NotSmooth:
        return ""
    return "minimum" if positive else "maximum"


def _same(case: Case, center: Array, at: Local, motions: Sequence[Motion]) -> bool:
    """Whether f is the same where all motions lead from the point, but for what the rounding of points makes of it."""
    steep = float(np.max(np.abs(np.linalg.eigvalsh(at.matrix))))
    slope = float(np.linalg.norm(np.maximum(np.abs(at.slope.lower), np.abs(at.slope.upper))))
    low, high = case.balls.range(center, center)
    for moved in _orbit(center, motions):
        below, above = case.balls.range(moved, moved)
        off = float(np.finfo(float).eps) * float(np.linalg.norm(moved))
        with precision(case.balls.bits):
            most = max(float((above - low).upper()), float((high - below).upper()))
        if not most <= ROUNDINGS * (off * (steep * off + slope) + EXACT * float(abs(high).upper())):
            return False
    return True


def _orbit(center: Array, motions: Sequence[Motion]) -> Iterator[Array]:
    """Points of the surface that the point is moved over: by each motion alone, and by all, for drawn times."""
    for motion in motions:
        yield from (motion.move(center, t) for t in MOVES)
    random = np.random.default_rng(0)
    for reach in REACHES * (len(motions) > 1):
        moved = center
        for motion in motions:
            moved = motion.move(moved, reach * random.uniform(-1.0, 1.0))
        yield moved


def told(found: str) -> Reason:
    """The reason."""
    sign = "positive" if found == "minimum" else "negative"
    text = (
        f"moving along the flat directions changes nothing, and the other curvatures are {sign}: the point is a "
        f"{found}, not a strict one (Morse-Bott lemma)"
    )
    why = "moved along, in balls"
    return Reason("an orbit of critical points", "f(g_t p) = f(p)", why, standing=Standing.MEASURED, text=text,
                  unpredicted="a sign is asked for, not a number")  # fmt: skip
