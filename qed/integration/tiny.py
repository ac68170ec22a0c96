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
    if not certificate.parts or certificate.sums or not probabilities:
        return None
    cuts = [part[2] for part in certificate.parts]
    try:
        if (level := _level(values, cuts)) is not None and certificate.lower <= level <= certificate.upper:
            return _constant(certificate, traced, level)
        if not most < SMALL * weight:
            return None
        signs = _signs(values, cuts)
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
    of_parts = [set(np.sign(one).tolist()) for one in _sampled(values, cuts)]
    empty = [signs <= {0.0} for signs in of_parts]
    return set().union(*of_parts) if all(empty) == any(empty) else set()


def _sampled(values: Sequence[Callable[[Any], np.ndarray]], cuts: Sequence[Sequence[float]]) -> list[np.ndarray]:
    """The integrand of each part at many places."""
    wide, found = np.sinh(np.linspace(-14.0, 14.0, 2**12)), []
    for f, ends in zip(values, cuts, strict=True):
        x = np.concatenate([wide, np.linspace(max(ends[0], -1e3), min(ends[-1], 1e3), 2**12)])
        found.append(f(x[(x > ends[0]) & (x < ends[-1])]))
    return found


def _level(values: Sequence[Callable[[Any], np.ndarray]], cuts: Sequence[Sequence[float]]) -> float | None:
    """The number that the integrand is at many places of all parts; None where it is not one."""
    seen = np.concatenate(_sampled(values, cuts))
    return float(seen[0]) if seen.size and np.all(seen == seen[0]) else None


def _constant(certificate: Expectation, traced: Traced, level: float) -> tuple[Expectation, float] | None:
    """The claim that the mean is one number: an impossible event, or a sure one."""
    found = replace(certificate, lower=level, upper=level).sealed()
    found.verify()
    return found, level


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
