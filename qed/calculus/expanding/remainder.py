"""Bounds of what a Taylor polynomial leaves on a segment: found with intervals, verified with flint's series of balls.

    f(a + t d) - sum c_k t^k  in  sum (C_k - c_k) t^k + C_{n+1}(S) t^{n+1},   |t| <= r

with C_k the enclosure of the true coefficient at the point and C_{n+1}(S) that of the next one on the segment S between
a - r d and a + r d. Both come from the Taylor domain over intervals. S is cut into overlapping pieces, which makes the
enclosure tighter. The bounds are widened by a small part of themselves, so that other code with other roundings can
confirm them; only what it confirms is called proved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qed.answer import Enclosed
from qed.certificates.taylor_remainder import TaylorRemainder
from qed.domains.enclosures import Enclosures
from qed.domains.interval import Interval
from qed.domains.intervals import Intervals
from qed.domains.taylor import Taylor
from qed.errors import CertificateError
from qed.graph.function import Function
from qed.graph.tape import Unknown

PIECES = 8
WIDER = (1 / 16, 1 / 2, 2.0, 8.0, 32.0)
"""The parts of their own width, or size, by which bounds are widened, one after the other, until they are confirmed."""

APART = 2.0**-80
"""By which part of the largest a coefficient is widened where intervals know it more exactly than balls do: a zero."""


class NotEnclosed(Exception):
    """No bound is known: the Unknown says why, or a text does."""

    def __init__(self, why: str, unknown: Unknown | None = None) -> None:
        super().__init__(why)
        self.unknown = unknown


def bounds(
    function: Function,
    slopes: Sequence[Any],
    coefficients: Sequence[float],
    radius: float,
    pieces: int = PIECES,
    sides: tuple[int, ...] = (1, -1),
) -> Enclosed:
    """An enclosure of f(a + t d) - sum c_k t^k for all |t| <= radius, or for one sign of t only.

    Raises:
        NotEnclosed: where a primitive has no interval rule, or the function may not be smooth on the segment.

    Example: the remainder of 1 + t + t^2/2 for exp is at most e^r r^3/6

        >>> import jax.numpy as jnp
        >>> from qed.graph.function import read
        >>> found = bounds(read(jnp.exp, 0.0), (1.0,), (1.0, 1.0, 0.5), 0.1)
        >>> bool(found.upper >= 0.1**3 / 6) and bool(found.upper < 2.1e-4) and bool(found.lower < -1.5e-4)
        True
    """
    order = len(coefficients) - 1
    true = centre(function, slopes, order)
    errors = [term - Intervals.point(float(c)) for term, c in zip(true, coefficients, strict=True)]
    low, high = np.inf, -np.inf
    for sign in sides:
        lagrange: Any = None
        for piece in _pieces(radius, pieces):
            last = _enclosed(function, slopes, piece if sign > 0 else -piece, order + 1)[-1]
            lagrange = last if lagrange is None else lagrange.hull(last)
        side = _summed((*errors, lagrange), radius, sign)
        low, high = min(low, float(side.lower)), max(high, float(side.upper))
    if not (np.isfinite(low) and np.isfinite(high)):
        raise NotEnclosed("the enclosure of the next coefficient is not finite")  # noqa: EM101
    return Enclosed(low, high)


def certified(
    function: Function, at: Any, args: tuple[Any, ...], direction: Any, slopes: Sequence[Any],
    coefficients: Sequence[float], radius: float,
) -> TaylorRemainder:  # fmt: skip
    """The bounds with a certificate that was verified once; widened until it is.

    Raises:
        NotEnclosed: where there are no bounds, or where balls do not confirm them.
    """
    found = bounds(function, slopes, coefficients, radius)
    true = [(float(c.lower), float(c.upper)) for c in centre(function, slopes, len(coefficients) - 1)]
    largest = max(map(abs, coefficients), default=0.0)
    why = ""
    width = max(found.upper - found.lower, float(np.finfo(float).tiny))
    apart, left = 0.0, list(WIDER)
    while left:
        wider = left[0]
        size = width if wider < 1 else max(width, abs(found.lower), abs(found.upper))
        margin = wider * size
        certificate = TaylorRemainder.about(
            function.fun,
            at,
            args,
            direction=direction,
            radius=radius,
            polynomial=coefficients,
            coefficients=[(low - apart, high + apart) for low, high in true],
            remainder=(found.lower - margin, found.upper + margin),
        )
        try:
            certificate.verify()
        except CertificateError as error:
            why = f"{error.node}: {error.why}"
            if error.node == "upper":
                del left[0]
            elif error.node.startswith("coefficients") and not apart:
                apart = APART * largest
            else:
                break
        else:
            return certificate
    message = f"series of balls do not confirm the remainder: {why}"
    raise NotEnclosed(message)


def centre(function: Function, slopes: Sequence[Any], order: int) -> list[Intervals]:
    """Enclosures of the true coefficients at the point."""
    return _enclosed(function, slopes, Intervals.point(0.0), order)


def _pieces(radius: float, count: int) -> list[Intervals]:
    """Overlapping intervals that cover [0, radius]."""
    width = radius / count
    ends = [((i - 1 / 16) * width, radius if i == count - 1 else (i + 17 / 16) * width) for i in range(count)]
    return [Intervals(low, high) for low, high in ends]


def _enclosed(function: Function, slopes: Sequence[Any], t: Intervals, order: int) -> list[Intervals]:
    """The coefficients of s -> f(a + (t + s) d) for every t of an interval."""
    directions = [Intervals.point(np.asarray(slope).astype(np.float64)) for slope in slopes]
    points = [
        Intervals.point(np.asarray(function.traced.leaves[i]).astype(np.float64)) + t * d
        for i, d in zip(function.traced.free, directions, strict=True)
    ]
    return enclosed(function, points, directions, order)


def enclosed(
    function: Function, points: Sequence[Intervals], directions: Sequence[Intervals], order: int
) -> list[Intervals]:
    """The coefficients of s -> f(x + s d) for all points x and directions d of enclosures, one for each parameter.

    Raises:
        NotEnclosed: where a primitive has no rule, or the function may not be smooth.
    """
    domain = Taylor(order, Enclosures(Interval()))
    values: list[Any] = [
        domain.constant(variable, leaf)
        for variable, leaf in zip(function.graph.inputs, function.traced.leaves, strict=True)
    ]
    for i, point, d in zip(function.traced.free, points, directions, strict=True):
        values[i] = domain.series((point, d)[: order + 1])
    found = domain.walk(function.graph, values)[0]
    if isinstance(found, Unknown):
        raise NotEnclosed(str(found), found)
    zero = Intervals.point(0.0)
    terms = [zero if term is None else term for term in found.terms]
    if any(term.doubt for term in terms):
        raise NotEnclosed("a value may be undefined on the segment")  # noqa: EM101
    return terms


def _summed(coefficients: Sequence[Intervals], radius: float, sign: int) -> Intervals:
    """The range of sum C_k t^k over t = sign s, 0 <= s <= radius."""
    total, power = Intervals.point(0.0), Intervals.point(1.0)
    for k, coefficient in enumerate(coefficients):
        span = power if k == 0 else Intervals(0.0, power.upper)
        term = coefficient * span
        total = total + (term if sign**k > 0 else -term)
        power = power * Intervals.point(radius)
    return total
