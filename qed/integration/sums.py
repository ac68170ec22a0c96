"""Bounds of a sum over whole numbers, found by balls: with a proved tail there is no second rule to compare with.

The ball is computed once to find the bounds, and again, from the certificate alone, when they are verified.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from qed.certificates.certificate import Subject
from qed.certificates.expectation import UNDEFINED, Expectation
from qed.certificates.found import Undefined
from qed.certificates.series import SumData
from qed.errors import CertificateError
from qed.graph.trace import Traced
from qed.graph.walk import TooLong
from qed.integration.constants import room_of_constants
from qed.integration.images import Layout
from qed.integration.measure import Measure

ROOM = 16
"""The bounds are this many radii away from the middle of the ball, so that they can be proved again."""
LEAST = 1e-320
"""The bounds are at least this far from the middle of a ball, which may be smaller than float64 can tell from 0."""
WIDE = 1e-2
"""Bounds wider than this, in parts of the value, say nothing."""


def sums_of(measure: Measure | Layout) -> tuple[SumData, ...]:
    """The parts on whole numbers as a certificate holds them.

    >>> from qed.integration.measures import Poisson
    >>> from qed.integration.sums import sums_of
    >>> sums_of(Poisson(2.0))
    (('Poisson', (2.0,), 0.0, inf, '1', True),)
    """
    return tuple(
        (one.family, one.parameters, one.lower, one.upper, str(one.weight), one.probability) for one in measure.sums
    )


def summed(
    subject: Subject, traced: Traced, layout: Layout, atoms: Any, parts: Any, size: float, tol: float | None
) -> tuple[Expectation, float] | str:
    """A certificate that was verified and the value it is about, or why there is none.

    Args:
        subject: the function that returns f and the log-densities of parts without a family.
        traced: the same, traced.
        layout: the parts of a measure, some of them on whole numbers.
        atoms: the atoms, as a certificate holds them.
        parts: the densities, as a certificate holds them.
        size: about how large their share is.
        tol: how wide the bounds may be to each side.
    """
    first = Expectation.made(subject, traced, atoms=atoms, parts=parts, sums=sums_of(layout), lower=0.0, upper=0.0,
                             functions=layout.functions)  # fmt: skip
    found = _bounds(first, traced, 1e-10 * (size or 1.0) if parts else 0.0, tol)
    if isinstance(found, str):
        return found
    value, lower, upper = found
    certificate = replace(first, lower=lower, upper=upper).sealed()
    try:
        certificate.verify()
    except (CertificateError, TooLong) as error:
        return str(error)
    return certificate, value


def _bounds(
    certificate: Expectation, traced: Traced, room: float, tol: float | None
) -> tuple[float, float, float] | str:
    """A value and bounds about it, both infinite where that is proved; or why there are none."""
    try:
        ball, _ = certificate.enclosed(traced, room)
    except Undefined:
        return np.nan, *UNDEFINED
    except CertificateError as error:
        return f"{error.node}: {error.why}"
    except TooLong as error:
        return str(error)
    if not ball.is_finite():
        if ball.is_nan():
            return "the sum is not enclosed"
        infinite = np.inf if ball > 0 else -np.inf
        return infinite, infinite, infinite
    value, radius = float(ball.mid()), float(ball.rad())
    half = max(ROOM * radius, 1e-14 * abs(value), 0.0 if ball.is_exact() else LEAST)
    half = half if tol is not None else max(half, room_of_constants(traced, abs(value)))
    if tol is not None:
        half = tol if tol >= half else half
    if half > max(WIDE * abs(value), tol or 1e-6):
        return f"the sum is only known as {ball.str(6)}"
    return value, value - half, value + half
