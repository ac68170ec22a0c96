"""Expectations that are tiny: bounds that are close in parts of the value, where bounds around 0 were proved first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from qed.certificates.expectation import Expectation
from qed.certificates.integral_parts import BITS, value_on, weight_of
from qed.certificates.relative import CLOSE, SMALL, share
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.trace import Traced
from qed.graph.walk import TooLong
from qed.integration.constants import room_of_constants

GOALS = (1e-10, 1e-6, 1e-3)
"""The radii in parts of the value that are tried."""
LEAST = 1e-300
"""Smaller values are left to bounds around 0."""


def refined(
    certificate: Expectation, traced: Traced, values: Sequence[Callable[[Any], np.ndarray]]
) -> tuple[Expectation, float] | None:
    """The same claim with bounds close to a tiny value, verified; None where it is not tiny, or of no one sign.

    Args:
        certificate: one that was verified.
        traced: the function of it.
        values: the integrand of each part in float64.
    """
    weight = sum(float(Fraction(part[3])) for part in certificate.parts)
    most = max(abs(certificate.lower), abs(certificate.upper))
    probabilities = all(part[4] for part in certificate.parts)
    if not certificate.parts or certificate.sums or not probabilities or not most < SMALL * weight:
        return None
    signs = _signs(values, [part[2] for part in certificate.parts])
    try:
        if signs == {0.0}:
            return _nothing(certificate, traced)
        if signs not in ({0.0, 1.0}, {1.0}, {0.0, -1.0}, {-1.0}):
            return None
        ball = next((one for goal in GOALS if (one := _ball(certificate, traced, goal)) is not None), None)
        if ball is None or not LEAST < abs(float(ball.mid())) < SMALL * weight:
            return None
        value = float(ball.mid())
        half = max(16 * float(ball.rad()), 1e-13 * abs(value), room_of_constants(traced, abs(value)))
        if half > CLOSE * weight / 4 or half > abs(value) / 8:
            return None
        found = replace(certificate, lower=value - half, upper=value + half).sealed()
        found.verify()
    except (CertificateError, TooLong):
        return None
    return found, value


def _signs(values: Sequence[Callable[[Any], np.ndarray]], cuts: Sequence[Sequence[float]]) -> set[float]:
    """The signs of the integrand at many places; none where one part is 0 at all of them, and another is not."""
    wide = np.sinh(np.linspace(-14.0, 14.0, 2**12))
    of_parts = []
    for f, ends in zip(values, cuts, strict=True):
        inner = np.linspace(max(ends[0], -1e3), min(ends[-1], 1e3), 2**12)
        x = np.concatenate([wide, inner])
        of_parts.append(set(np.sign(f(x[(x > ends[0]) & (x < ends[-1])])).tolist()))
    empty = [signs <= {0.0} for signs in of_parts]
    return set().union(*of_parts) if all(empty) == any(empty) else set()


def _nothing(certificate: Expectation, traced: Traced) -> tuple[Expectation, float] | None:
    """The claim that the integral is 0, where the balls add up to 0 itself: an impossible event."""
    ball, _ = certificate.enclosed(traced)
    if not ball == 0:
        return None
    found = replace(certificate, lower=0.0, upper=0.0).sealed()
    found.verify()
    return found, 0.0


def _ball(certificate: Expectation, traced: Traced, goal: float) -> Any:
    """A ball of the expectation whose radius is about `goal` in parts of it; None where it is wider."""
    following = 1
    with precision(BITS) as library:
        total = library.arb(0)
        for k, (x, weight) in enumerate(certificate.atoms):
            total += weight_of(weight, f"atoms[{k}]") * value_on(traced, 0, x, x, f"atoms[{k}]")
        for k, part in enumerate(certificate.parts):
            total += share(certificate.seen(traced, k), part, 0 if part[0] else following, f"parts[{k}]", goal)
            following += not part[0]
        return total if total.is_finite() and total.rad() < 4 * goal * abs(total).lower() else None
