"""The certificate that a function is not convex: two points and their midpoint.

f is convex on a box only if f((x + y)/2) <= (f(x) + f(y))/2 for all x, y in it (Jensen's inequality at the midpoint).
Verification evaluates f at x, y and their exact midpoint in balls, to as many bits as it takes, and asks for the
strict opposite. With `concave` set the inequality is the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Self, final

import numpy as np

from qed.certificates.certificate import Boxed, Subject, flat, placed, shaped
from qed.certificates.convexity_terms import value_of_terms
from qed.certificates.library import meant
from qed.domains.ball import Ball
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.trace import Traced
from qed.graph.walk import Unknown, Walker

BITS = (120, 400, 1600)


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class ConvexityWitness(Boxed):
    """Two points of a box at which the inequality of convexity (or of concavity) fails.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.convexity_witness import ConvexityWitness
    >>> certificate = ConvexityWitness.about(
    ...     jnp.sin, jnp.float32(0.0), (), box=([-1.0], [4.0]), points=([0.0], [3.0]), gap=0.5
    ... )
    >>> certificate.verify()
    True
    """

    kind: ClassVar[str] = "convexity witness"
    reads_meant: ClassVar[bool] = True
    first: tuple[tuple[float, ...], ...]
    second: tuple[tuple[float, ...], ...]
    gap: float
    concave: bool

    @classmethod
    def about(
        cls,
        fun: Callable[..., Any],
        at: Any,
        args: tuple[Any, ...],
        *,
        box: tuple[Sequence[Any], Sequence[Any]],
        points: tuple[Sequence[Any], Sequence[Any]],
        gap: float,
        concave: bool = False,
    ) -> Self:
        """The certificate of two points; by `gap` at least the inequality fails."""
        return cls.on_box(
            Subject(fun, at, tuple(args)),
            box,
            first=flat(points[0]),
            second=flat(points[1]),
            gap=float(gap),
            concave=bool(concave),
        )

    def prove(self, traced: Traced) -> None:
        """Evaluate the function at both points and at their midpoint."""
        traced = meant(traced)
        lower, upper = self.sides(traced)
        x, y = shaped(self.first, traced, "first"), shaped(self.second, traced, "second")
        for name, point in (("first", x), ("second", y)):
            inside = all(np.all((a <= p) & (p <= b)) for a, p, b in zip(lower, point, upper, strict=True))
            if not (inside and all(np.all(np.isfinite(p)) for p in point)):
                raise CertificateError(name, "the point is not in the box")
        if not self.gap > 0:
            raise CertificateError("gap", f"{self.gap!r} is no strict inequality")
        middle = [a / 2 + b / 2 for a, b in zip(x, y, strict=True)]
        for a, b, m in zip(x, y, middle, strict=True):
            sums = zip(a.ravel().tolist(), b.ravel().tolist(), m.ravel().tolist(), strict=True)
            if any(Fraction(s) + Fraction(t) != 2 * Fraction(u) for s, t, u in sums):
                raise CertificateError("second", "the midpoint is no float64 point")
        problem = "the balls do not decide it"
        for bits in BITS:
            gap = excess(traced, x, y, middle, bits, self.concave)
            with precision(bits) as flint:
                if gap >= flint.arb(self.gap):
                    return
                problem = f"the inequality fails by {gap.str(8)}, not by {self.gap!r}"
                if gap < flint.arb(self.gap):
                    break
        raise CertificateError("gap", problem)


def excess(traced: Traced, x: Any, y: Any, middle: Any, bits: int, concave: bool = False) -> Any:
    """f(middle) - (f(x) + f(y))/2 as a ball; its negative for concavity.

    Raises CertificateError where f has no value at one of the points.
    """
    values = [value_at(traced, point, bits) for point in (x, y, middle)]
    with precision(bits):
        gap = values[2] - (values[0] + values[1]) / 2
        return -gap if concave else gap


def value_at(traced: Traced, point: Any, bits: int) -> Any:
    """The value of a function at a point, as a ball: by its graph, and where balls lose the thread by its term.

    Raises CertificateError where it has none.
    """
    domain = Ball(bits=bits)
    (cell, *_) = Walker([domain]).run(traced.graph, placed(traced, point))
    value = cell.values[0]
    if isinstance(value, Unknown):
        return value_of_terms(traced, point, bits)
    with precision(bits):
        value = domain.number(value)
        if value.shape != ():
            raise CertificateError("function", f"it returns an array of shape {value.shape}, not a number")
        if not value.doubt:
            return value.array.item()
    return value_of_terms(traced, point, bits)
