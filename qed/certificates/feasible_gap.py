"""The certificate of a small duality gap: a point that satisfies the constraints, and how low f can be under them.

With the lower bound b of `qed.certificates.weak_duality` and a point p, rational numbers, that satisfies the bounds and
all rows, b <= min f <= f(p) <= `most`. Nothing is asked of the gradients at p: rows may be written twice, hold with no
force, or have no slope. Affine rows are exact at p, h(p) = 0 in rational numbers; of others balls enclose the value,
which shows h(p) = 0 only where nothing is rounded. Reference: Boyd and Vandenberghe, *Convex Optimization*, 2004,
section 5.1.3.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Self, final

import numpy as np

from qed.certificates.certificate import Boxed, Certificate
from qed.certificates.problem_terms import affine, coefficients, defined, problem_terms
from qed.certificates.weak_duality import WeakDuality
from qed.domains.ball_boxes import BITS, BallBoxes, NotSmooth
from qed.domains.precision import precision
from qed.errors import CertificateError, QedError
from qed.graph.trace import Traced

Array = np.ndarray


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class FeasibleGap(Boxed):
    """The JSON text of a `WeakDuality` of the same function and box, a point as fractions, and a bound of f there.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.feasible_gap import FeasibleGap
    >>> from qed.certificates.stacked import stacked
    >>> from qed.certificates.weak_duality import WeakDuality
    >>> twice = stacked(lambda x: x, None, lambda x: (x - 1, 2 * x - 2))
    >>> bound = WeakDuality.about(
    ...     twice, jnp.float32(0.0), (), box=([-jnp.inf], [jnp.inf]), objective=1, equalities=0, weights=["1", "0"],
    ...     point=[0.0], bound=1.0,
    ... )
    >>> FeasibleGap.of(bound, ["1"], 1.0).verify()
    True
    """

    kind: ClassVar[str] = "feasible gap"
    lower: str
    point: tuple[str, ...]
    most: float

    @classmethod
    def of(cls, bound: WeakDuality, point: Sequence[Any], most: float) -> Self:
        """The certificate of a bound and a point."""
        assert bound.subject is not None
        box: Any = (bound.box_lower, bound.box_upper)
        text = json.dumps(bound.to_json(), sort_keys=True)
        return cls.on_box(bound.subject, box, lower=text, point=tuple(map(str, point)), most=float(most))

    def inner(self) -> WeakDuality:
        """The lower bound.

        Raises CertificateError where the text is of none.
        """
        try:
            found = Certificate.from_json(self.lower)
        except (QedError, ValueError, TypeError) as error:
            raise CertificateError("lower", f"it is no certificate: {error}") from None
        if not isinstance(found, WeakDuality) or found.function != self.function or found.x64 != self.x64:
            raise CertificateError("lower", "it is no lower bound of this function")
        found.whole()
        if found.objective != 1 or (found.box_lower, found.box_upper) != (self.box_lower, self.box_upper):
            raise CertificateError("lower", "it is about another problem")
        return found

    def prove(self, traced: Traced) -> None:
        """Prove the lower bound, that the point satisfies the constraints, and the value there."""
        bound = self.inner()
        bound.prove(traced)
        low, high = self.ends(traced)
        try:
            point = [Fraction(text) for text in self.point]
        except (ValueError, ZeroDivisionError):
            raise CertificateError("point", "it is no vector of fractions") from None
        if len(point) != len(low):
            raise CertificateError("point", f"it has {len(point)} numbers, and x has {len(low)}")
        for p, a, b in zip(point, low.tolist(), high.tolist(), strict=True):
            if not (a == -np.inf or (np.isfinite(a) and p >= Fraction(a))) or not (
                b == np.inf or (np.isfinite(b) and p <= Fraction(b))
            ):
                raise CertificateError("point", "it is outside the bounds")
        algebra, forms = problem_terms(traced, *self.sides(traced))
        defined(algebra, forms)
        for row, form in enumerate(forms[1:]):
            self._holds(traced, row, at(form, point) if affine(form) else None, point, bound.equalities)
        if not value(traced, 0, point)[1] <= self.most:
            raise CertificateError("most", "the value at the point may be larger")

    def _holds(
        self, traced: Traced, row: int, exact: Fraction | None, point: Sequence[Fraction], equalities: int
    ) -> None:
        """Raise CertificateError where a row may be violated at the point."""
        least, most = (exact, exact) if exact is not None else value(traced, 1 + row, point)
        if not least >= 0 or (row < equalities and not most <= 0):
            raise CertificateError("point", f"row {row} may be violated there")


def at(form: Any, point: Sequence[Fraction]) -> Fraction:
    """The value of an affine term at a point, exact."""
    slopes, constant = coefficients(form, len(point))
    used = ((fraction(c), p) for c, p in zip(slopes, point, strict=True) if c != 0)
    return fraction(constant) + sum((c * p for c, p in used), Fraction(0))


def fraction(number: Any) -> Fraction:
    """A rational number of python-flint as one of Python."""
    return Fraction(int(number.p), int(number.q))


def value(traced: Traced, row: int, point: Sequence[Fraction]) -> tuple[float, float]:
    """Floating-point numbers between which f, row 0, or another row lies at a point."""
    low, high = np.array([_below(p) for p in point]), np.array([-_below(-p) for p in point])
    try:
        ends: Any = BallBoxes(traced, row).range(low, high)
    except NotSmooth as error:
        raise CertificateError("point", str(error)) from None
    with precision(BITS):
        found = float(ends[0].lower()), float(ends[1].upper())
        exact = tuple(end.rad() == 0 and float(end.mid()) == end for end in ends)
    return (
        found[0] if exact[0] else float(np.nextafter(found[0], -np.inf)),
        found[1] if exact[1] else float(np.nextafter(found[1], np.inf)),
    )


def _below(p: Fraction) -> float:
    """The largest floating-point number that is not above p, or the one below it."""
    near = float(p)
    return near if Fraction(near) <= p else float(np.nextafter(near, -np.inf))
