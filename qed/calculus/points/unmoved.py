"""Motions that leave a function as it is, looked at in many digits.

In float64 tanh(w) is 1 from w = 19 on, and the softmax of a large logit is 1: it looks as if nothing depended on them,
or as if they could be scaled. A motion is believed here only where the values before and after it cannot be told apart
by balls of 600 bits, at the point and beside it. A moved point is rounded; by off = eps |w| it changes the value by up
to off |grad f| + off^2 |H|, which is allowed, but where one coordinate alone has moved: no other is rounded by that.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from qed.calculus.points.case import Case
from qed.calculus.points.symmetries import MOVES, Motion, starts, symmetries
from qed.calculus.points.translations import translations
from qed.certificates.smooth_boxes import SmoothBoxes
from qed.domains.ball_boxes import NotSmooth
from qed.domains.precision import precision

Array = np.ndarray
BITS = 600
"""tanh(200) is 1 - 2 e^-400, which takes 577 of them."""
ROUNDINGS = 1e3
"""How many times what rounding makes of the value is allowed."""
TOGETHER = 5
"""From how many straight lines on the plane that they span is asked first."""
DIRECTIONS = 4
"""Along how many directions the slope and the curvature are asked for."""


def seen(case: Case, center: Array, flat: Array) -> list[Motion]:
    """The motions with flat generators that leave f as it is.

    Args:
        case: the function.
        center: the critical point.
        flat: the flat directions, orthonormal columns.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> p, flat = np.array([30.0, 0.0]), np.array([[1.0], [0.0]])
    >>> for f in (lambda x: jnp.tanh(x[0]) + x[1] ** 2, lambda x: jnp.maximum(-x[0], 0.0) + x[1] ** 2):
    ...     [motion.name for motion in seen(Case(f, p, (), read(f, p)), p, flat)]
    []
    ['nothing depends on x[0] nearby']
    """
    balls = SmoothBoxes(case.function.traced, bits=BITS)
    places = [_Place(balls, center), _Place(balls, starts(case, center)[1][0])]
    left_out: set[str] = set()
    while True:
        found = symmetries(case, center, flat, left_out)
        found += [line for line in translations(case, center, flat, found) if line.name not in left_out]
        lines = [motion for motion in found if motion.straight and not motion.single]
        believed = len(lines) >= TOGETHER and not any(p.moves(m) for p in places for m in _mixed(lines))
        asked = [m for m in found if not m.single and not (believed and m in lines)]
        wrong = {m.name for m in asked if any(p.moves(m) for p in places[: 1 + m.everywhere])}
        one = [motion for motion in found if motion.single]
        at = [p for p in places if p.matter(one)]
        wrong |= {m.name for m in one if any(p.matter([m]) for p in at)}
        if not wrong:
            return found
        left_out |= wrong


def _mixed(lines: Sequence[Motion]) -> list[Motion]:
    """Two motions along lines of the plane that many lines span, in directions drawn at random.

    Where f changes along one of the lines it changes along almost every direction of the plane.
    """
    units = np.array([line.generator / np.linalg.norm(line.generator) for line in lines])
    drawn = np.random.default_rng(0).standard_normal((2, len(lines))) @ units
    return [Motion("", v, lambda at, t, v=v: at + t * v, straight=True) for v in drawn]


class _Place:
    """A point, the function's value there, and what rounding makes of it."""

    def __init__(self, balls: SmoothBoxes, point: Array) -> None:
        self.balls, self.point = balls, point

    @cached_property
    def value(self) -> tuple[Any, Any]:
        return self.balls.range(self.point, self.point)

    @cached_property
    def rounding(self) -> Any:
        """What rounding the point may change the value by, and more; no float64, where e^-800 would be 0."""
        directions = np.random.default_rng(0).standard_normal((DIRECTIONS, len(self.point)))
        _, rows = self.balls.series(self.point, self.point, directions, 2)
        off = float(np.finfo(float).eps) * float(np.linalg.norm(self.point))
        with precision(self.balls.bits):
            slope, bent = (max(abs(row[k]).upper() for row in rows) for k in (1, 2))
            return (slope * off + bent * (len(self.point) * off * off)) * ROUNDINGS

    def apart(self, moved: Array) -> Any:
        """How far the value at another point is away at least."""
        (low, high), (below, above) = self.value, self.balls.range(moved, moved)
        with precision(self.balls.bits):
            return max((below - high).lower(), (low - above).lower())

    def matter(self, motions: Sequence[Motion]) -> bool:
        """Whether f is another number after single coordinates have moved."""
        moved = self.point
        for motion, t in zip(motions, np.resize(MOVES, len(motions)), strict=True):
            moved = motion.move(moved, t)
        try:
            return len(motions) > 0 and bool(self.apart(moved) > 0)
        except NotSmooth:
            return False

    def moves(self, motion: Motion) -> bool:
        """Whether a motion changes f by more than rounding does."""
        try:
            away = [self.apart(motion.move(self.point, t)) for t in MOVES]
            return any(a > 0 and a > self.rounding for a in away)
        except NotSmooth:
            return False
