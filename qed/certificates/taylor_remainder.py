"""The certificate of a Taylor model: coefficients at a point, and how far the function is from its polynomial nearby.

Claim: along x(t) = point + t direction, the Taylor coefficient c_k of f lies in coefficients[k] for k <= n, and for all
|t| <= radius the function is defined, n + 1 times differentiable, and

    f(x(t)) - sum_{k <= n} polynomial[k] t^k  lies in  [lower, upper].

Verification, by the form of Lagrange: for a t between 0 and r there is an s between 0 and t with

    f(x(t)) = sum_{k <= n} c_k t^k + c_{n+1}(s) t^{n+1},

where c_{n+1}(s) is the coefficient about s. Balls of python-flint's power series enclose c_{n+1} on pieces of the
segment, which are halved until the claim follows (`qed.domains.ball_series`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Self, final

import numpy as np

from qed.certificates.certificate import Certificate, Subject, flat, shaped
from qed.certificates.smooth_boxes import series_of
from qed.domains.ball_series import BallSeries
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.trace import Traced

BITS = 200
PIECES = 256
"""Into how many pieces each half of the segment is cut at most."""
ROOM = 2.0**-20
"""A claim made by `about` is wider than what was found by this part of each end, which is room for the balls' radii."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class TaylorRemainder(Certificate):
    """A Taylor model of order n along a segment; point and direction are the numbers of each array of the argument.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.taylor_remainder import TaylorRemainder
    >>> certificate = TaylorRemainder.about(
    ...     jnp.exp, jnp.float32(0.0), (), direction=1.0, radius=0.5,
    ...     polynomial=(1.0, 1.0), coefficients=((1.0, 1.0), (1.0, 1.0)), remainder=(0.0, 0.25),
    ... )
    >>> certificate.verify()
    True
    """

    kind: ClassVar[str] = "taylor remainder"
    point: tuple[tuple[float, ...], ...]
    direction: tuple[tuple[float, ...], ...]
    radius: float
    order: int
    polynomial: tuple[float, ...]
    coefficients: tuple[tuple[float, float], ...]
    lower: float
    upper: float

    @classmethod
    def about(
        cls,
        fun: Callable[..., Any],
        at: Any,
        args: tuple[Any, ...],
        *,
        direction: Any,
        radius: float,
        polynomial: Sequence[float],
        coefficients: Sequence[tuple[float, float]],
        remainder: tuple[float, float],
    ) -> Self:
        """The certificate of a model that was found; `direction` has the shape of `at`.

        The ends of the remainder are moved outward by the part `ROOM` of the larger of them.
        """
        import jax

        subject = Subject(fun, at, tuple(args))
        traced = subject.traced()
        room = ROOM * max(abs(remainder[0]), abs(remainder[1]))
        return cls.made(
            subject,
            traced,
            point=flat(traced.parameters),
            direction=flat(jax.tree.leaves(direction)),
            radius=float(radius),
            order=len(polynomial) - 1,
            polynomial=tuple(map(float, polynomial)),
            coefficients=tuple((float(a), float(b)) for a, b in coefficients),
            lower=float(remainder[0]) - room,
            upper=float(remainder[1]) + room,
        )

    def prove(self, traced: Traced) -> None:
        """Prove the claim by power series of balls."""
        point = shaped(self.point, traced, "point")
        direction = shaped(self.direction, traced, "direction")
        if not (0 < self.radius < np.inf):
            raise CertificateError("radius", f"{self.radius} is no radius")
        if not (self.order >= 0 and len(self.polynomial) == len(self.coefficients) == self.order + 1):
            raise CertificateError("order", f"order {self.order} has {self.order + 1} coefficients")
        there = [np.asarray(leaf, np.float64) for leaf in traced.parameters]
        if any(not np.array_equal(a, b) for a, b in zip(point, there, strict=True)):
            raise CertificateError("point", "it is not the point that the function is given at")
        walk = _Walk(traced, point, direction, self.order)
        errors = self._coefficients(walk.at(0.0, 0.0, "point"))
        self._remainder(walk, errors)

    def _coefficients(self, series: Any) -> list[Any]:
        """Check the coefficients at the point; returns |c_k - polynomial[k]| for all k."""
        errors = []
        with precision(BITS) as flint:
            for k, ((low, high), number) in enumerate(zip(self.coefficients, self.polynomial, strict=True)):
                if not (series[k] >= flint.arb(low) and series[k] <= flint.arb(high)):
                    why = f"it is {series[k].str(17)}, not surely in [{low!r}, {high!r}]"
                    node = f"coefficients[{k}]"
                    raise CertificateError(node, why)
                errors.append(abs(series[k] - flint.arb(number)))
        return errors

    def _remainder(self, walk: _Walk, errors: list[Any]) -> None:
        for side in (1, -1):
            pieces = 1
            while True:
                problem = self._side(walk, errors, side, pieces)
                if problem is None:
                    break
                pieces *= 2
                if pieces > PIECES:
                    raise CertificateError("upper", problem)

    def _side(self, walk: _Walk, errors: list[Any], side: int, pieces: int) -> str | None:
        """Try to prove the claim for 0 <= side t <= radius with a number of pieces; what is missing, or None."""
        ends = [side * self.radius * (i / pieces) for i in range(pieces)] + [side * self.radius]
        found = []
        for a, b in pairwise(ends):
            try:
                found.append(walk.at(min(a, b), max(a, b), "radius")[self.order + 1])
            except CertificateError as error:
                return error.why
        with precision(BITS) as flint:
            r = flint.arb(self.radius)
            slack = sum((error * r**k for k, error in enumerate(errors)), flint.arb(0))
            power = (side * r) ** (self.order + 1)
            for coefficient in found:
                if not coefficient.is_finite():
                    return "the next coefficient is not bounded by balls"
                for end in (coefficient.lower() * power, coefficient.upper() * power, flint.arb(0)):
                    if not end - slack >= flint.arb(self.lower):
                        return f"the remainder reaches {(end - slack).str(8)}, below {self.lower!r}"
                    if not end + slack <= flint.arb(self.upper):
                        return f"the remainder reaches {(end + slack).str(8)}, above {self.upper!r}"
        return None


class _Walk:
    """The function along the segment, as series of balls about pieces of it."""

    def __init__(self, traced: Traced, point: Any, direction: Any, order: int) -> None:
        self.traced, self.point, self.direction = traced, point, direction
        self.domain = BallSeries(order + 1, BITS)

    def at(self, lower: float, upper: float, node: str) -> Any:
        """The series of the function's value about all t in [lower, upper]."""
        lines = [self.domain.segment(x, d, lower, upper) for x, d in zip(self.point, self.direction, strict=True)]
        return series_of(self.domain, self.traced, lines, node)
