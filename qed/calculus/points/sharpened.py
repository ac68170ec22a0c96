"""Curvatures that float64 loses because terms of them cancel: the Hessian at a point, in balls of many bits.

The intervals of float64 about 1e16 x^2 + x^2 - 1e16 x^2 hold the second derivative 2 and 0 as well. A curvature is
called zero up to rounding where the rounding is that of the Hessian, and not where large terms have hidden it. So where
the enclosure is wider than the Hessian explains, the derivatives are taken again with `BITS` bits, Newton's steps too.
That tells nothing where the next float64 numbers have other curvatures, as at the float nearest to the root 1/3 of
(3 x - 1)^4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qed.calculus.points.case import Case
from qed.calculus.points.located import RADII, Local, Located, newton
from qed.certificates.critical_point import CriticalPoint as Certificate
from qed.certificates.critical_point import inertia
from qed.certificates.smooth_boxes import SmoothBoxes
from qed.domains.intervals import Intervals
from qed.domains.precision import precision
from qed.errors import CertificateError

Array = np.ndarray
BITS = 400
WORK = 100_000
"""Up to how many numbers times second derivatives it is done."""
STEPS = 6
UNITS = 1e4
"""How many roundings of the largest curvature each row of an enclosure may be wide for nothing to be hidden in it."""
NEAR = 64 * float(np.finfo(float).eps)
"""Which part of the point its distance from the root may be, after Newton's steps."""
RESOLVED = 0.25
"""Which part of the curvature nearest to 0 curvatures may change by, from one float64 number to the next."""
HIDDEN = 1e-7
"""Which part of the largest curvature the same may be where there are too many numbers for balls."""


def hides(at: Local) -> bool:
    """Whether an enclosure is wider than the Hessian in it explains."""
    return at.spread() > UNITS * len(at.matrix) * float(np.finfo(float).eps) * _largest(at)


def affordable(case: Case) -> bool:
    """Whether balls of many bits take a moment."""
    n = case.function.size
    return case.enclosed is None and case.function.graph.numbers() * n * (n + 1) // 2 <= WORK


def hopeless(at: Local) -> bool:
    """Whether a curvature that counts may be hidden in an enclosure."""
    return at.spread() > HIDDEN * _largest(at)


def _largest(at: Local) -> float:
    return float(np.max(np.abs(at.matrix), initial=0.0))


def sharpened(case: Case, point: Array) -> tuple[Array, Local] | None:
    """Where Newton's steps lead, and the derivatives there; None where it tells nothing.

    Raises:
        NotSmooth: where a rule is missing.

    >>> from qed.graph.function import read
    >>> fun = lambda x: 1e16 * x**2 + (x - 1) ** 2 - 1e16 * x**2
    >>> found = sharpened(Case(fun, 1.5, (), read(fun, 1.5)), np.array([1.5]))
    >>> found[0].tolist(), found[1].matrix.tolist()
    ([1.0], [[2.0]])
    """
    balls = SmoothBoxes(case.function.traced, bits=BITS)
    here = _local(balls, point)
    for _ in range(STEPS):
        moved = point - newton(here)
        if not np.all(np.isfinite(moved)) or np.array_equal(moved, point):
            break
        there = _local(balls, moved)
        if not np.linalg.norm(there.gradient) < np.linalg.norm(here.gradient):
            break
        point, here = moved, there
    beside = _local(balls, point * (1 + 2 * float(np.finfo(float).eps)))
    if np.any(np.abs(newton(here)) > NEAR * np.max(np.abs(point), initial=0.0)):  # no root, or one of higher order
        return None
    sizes = np.abs(np.linalg.eigvalsh(here.matrix))
    changed = float(np.linalg.norm(beside.matrix - here.matrix))
    if not here.smooth or changed > RESOLVED * float(np.min(sizes, initial=np.inf, where=sizes > 0)):
        return None
    return point, here


def proved(case: Case, point: Array, at: Local) -> Located | None:
    """The critical point near, where balls prove it and the signs of its curvatures; None where they do not."""
    signs = inertia(SmoothBoxes(case.function.traced, bits=BITS).forms(point, point, np.eye(len(point))))
    if signs is None or sum(signs) != len(point):
        return None
    step = np.abs(newton(at))
    size = np.maximum(np.abs(point), 1e-3 * np.max(np.abs(point), initial=0.0) or 1.0)
    for share in RADII:
        radius = np.maximum(share * size, 4 * step)
        certificate = Certificate.about(
            case.fun, case.x, case.args, center=point.tolist(), radius=radius.tolist(), signs=signs,
            distance=float(np.linalg.norm(np.abs(point - case.point) + radius)) * (1 + 1e-12),
        )  # fmt: skip
        try:
            certificate.verify()
        except CertificateError:
            continue
        return Located(point, radius, signs, at)
    return None


def _local(balls: SmoothBoxes, point: Array) -> Local:
    n = len(point)
    _, rows = balls.series(point, point, np.eye(n), 1)
    forms = balls.forms(point, point, np.eye(n))
    with precision(BITS):
        value = _ends([rows[0][0]], (1,))
        slope = _ends([row[1] for row in rows], (n,))
        hessian = _ends([x for row in forms for x in row], (n, n))
    smooth = all(bool(np.all(np.isfinite(end))) for part in (value, slope, hessian) for end in part.parts)
    return Local(value, slope, hessian, smooth)


def _ends(balls: Sequence[Any], shape: tuple[int, ...]) -> Intervals:
    """Float64 bounds of balls, equal where they are one float64 number."""
    ends = np.array([[float(ball.lower()), float(ball.upper())] for ball in balls])
    exact = np.array([ball.is_exact() and ball == float(ball.mid()) for ball in balls])
    low = np.where(exact, ends[:, 0], np.nextafter(ends[:, 0], -np.inf))
    high = np.where(exact, ends[:, 1], np.nextafter(ends[:, 1], np.inf))
    return Intervals(low.reshape(shape), high.reshape(shape))
