"""The certificate of a strict local minimum under constraints: one KKT point in a small box, and its signs.

Claimed of f, h, g, bounds, and a point x, with A a set of rows of c = (h, g) and of bounds: in the box of half-widths
`radius` about `center` there is exactly one pair (x*, y*) with

    d/dx_j (f - sum_A y_i c_i) = 0 for the numbers x_j that no bound holds,    c_A(x*) = 0,    x_j* = the bound held;

multipliers of inequalities and of held bounds are positive there, the latter a little inside the bounds, too; all other
rows and bounds have slack, and the Lagrangian bends up along every direction that A leaves. So x* is feasible and a
strict local minimum (Nocedal and Wright, *Numerical Optimization*, 2006, theorem 12.6), |x* - x| <= `distance`, and
`least` <= f(x*) <= `most`.

The system is the gradient of L(x, y) = f - y'c_A set to zero, so that one pair is Krawczyk's test on its Hessian
K = [[H, -J'], [-J, 0]]. With k rows and d numbers x_j that no bound holds, K has d positive and k negative eigenvalues
exactly if the gradients of the rows are independent and H is positive on their null space (Gould, *On practical
conditions for the existence and uniqueness of solutions to the general equality quadratic programming problem*,
Math. Program. 32, 1985, lemma 3.4): the signs of K's eigenvalues prove both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, ClassVar, Self, final

import numpy as np

from qed.certificates.boxes import krawczyk
from qed.certificates.certificate import Subject
from qed.certificates.critical_point import inertia, within
from qed.certificates.held_point import Active, HeldPoint
from qed.certificates.lagrangian import Enclosed, Encloses, by_balls, by_padded
from qed.domains.ball_boxes import BITS, NotSmooth
from qed.domains.balls import between
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.trace import Traced

Array = np.ndarray


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class KKTPoint(HeldPoint):
    """A strict local minimum near x; the fields are those of `HeldPoint`.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.kkt_point import KKTPoint
    >>> from qed.certificates.stacked import stacked
    >>> circle = stacked(lambda x: x[0] + x[1], lambda x: x @ x - 2)
    >>> certificate = KKTPoint.about(
    ...     circle, -jnp.ones(2), (), equalities=1, rows=[0], center=[-1.0, -1.0, -0.5], radius=[1e-9] * 3,
    ...     distance=2e-9, value=(-2.00001, -1.99999),
    ... )
    >>> certificate.verify()
    True
    """

    kind: ClassVar[str] = "KKT point"

    @classmethod
    def about(
        cls, fun: Callable[..., Any], at: Any, args: tuple[Any, ...], *, equalities: int, rows: Sequence[int],
        center: Sequence[float], radius: Sequence[float], distance: float, value: tuple[float, float],
        at_lower: Sequence[int] = (), at_upper: Sequence[int] = (), bounds: tuple[Any, Any] | None = None,
    ) -> Self:  # fmt: skip
        """The certificate of a point that was found; without bounds all are infinite."""
        held = cls.fields_of(equalities, rows, center, radius, distance, value, at_lower, at_upper, bounds)
        return cls.at_point(Subject(fun, at, tuple(args)), **held)

    def prove(self, traced: Traced) -> None:
        """Prove that there is one such pair, the signs, how far it is, and the value."""
        active, point, center, radius = self.placed(traced)
        n = len(point)
        low, high = self.box(center, radius)
        inner = self.inward(active, low[:n], high[:n])

        def asked(encloses: Encloses) -> list[Callable[[], Enclosed]]:
            """At the center, and on the box, each computed once."""
            here = partial(encloses, center[:n], center[:n], center[n:], center[n:], 1)
            return [cache(here), cache(partial(encloses, *inner, low[n:], high[n:]))]

        rough = asked(by_padded(traced, active.rows, active.free))
        try:
            self._enclosed(rough[0](), rough[1](), active, center, radius)
        except CertificateError as error:
            fine = asked(by_balls(traced, active.rows, active.free))
            try:
                self._closer(rough[1], *fine, active, center, radius)
            except NotSmooth as other:
                raise CertificateError("radius", str(other)) from None
            except CertificateError as other:
                raise (error if other.node == "function" else other) from None
        if not within(point, center[:n], radius[:n], self.distance):
            raise CertificateError("distance", "the KKT point may be farther from the point")

    def _closer(
        self, rough: Callable[[], Enclosed], here: Callable[[], Enclosed], box: Callable[[], Enclosed], *where: Any
    ) -> None:
        """The same with slopes at the center in balls, beside the padded box, which is wide anyway, or one of balls."""
        try:
            wide = rough()
            self._enclosed(here(), wide, *where)
        except CertificateError:
            self._enclosed(here(), box(), *where)

    def _enclosed(self, here: Enclosed, box: Enclosed, active: Active, center: Array, radius: Array) -> None:
        """Raise CertificateError naming what enclosures at the center, and on the box, do not prove."""
        n = len(center) - len(active.rows)
        low, high = self.box(center, radius)
        with precision(BITS):
            y = [between(float(a), float(b)) for a, b in zip(low[n:], high[n:], strict=True)]
            at = [between(float(a), float(a)) for a in center[n:]]
        forms, slopes = _system(box, active), _slopes(here, active, at)
        chosen = np.concatenate([active.free, np.arange(n, len(center))]).astype(int)
        if len(chosen) and not krawczyk(slopes, forms, radius[chosen].tolist()):
            raise CertificateError("center", "no KKT point is found within the radius")
        if len(chosen) and inertia(forms) != (len(active.rows), len(active.free)):
            raise CertificateError("rows", "independent gradients and a Lagrangian that bends up are not proved")
        self._signs(box, active, y)
        with precision(BITS) as flint:
            if not (box.values[0] >= flint.arb(self.least) and box.values[0] <= flint.arb(self.most)):
                raise CertificateError("least", f"the value is {box.values[0].str(12)}")

    def _signs(self, box: Enclosed, active: Active, y: Sequence[Any]) -> None:
        """Bounds hold with positive multipliers, and rows that do not hold have slack."""
        with precision(BITS):
            for numbers, sign, name in ((active.lower, 1, "at_lower"), (active.upper, -1, "at_upper")):
                for j in numbers.tolist():
                    rest: Any = sign * _slope(box, active, y, j)
                    if self.lower[j] != self.upper[j] and not rest > 0:
                        raise CertificateError(name, f"the multiplier of the bound of number {j} is {rest.str(6)}")
            for i in np.setdiff1d(np.arange(len(box.values) - 1), active.rows).tolist():
                value: Any = box.values[1 + i]
                if not value > 0:
                    raise CertificateError("rows", f"row {i} is {value.str(6)}, not surely positive")


def _slope(box: Enclosed, active: Active, y: Sequence[Any], j: int) -> Any:
    """The ball of the derivative of the Lagrangian in a number of x."""
    return box.slopes[0, j] - sum((v * box.slopes[1 + i, j] for v, i in zip(y, active.rows, strict=True)), 0)


def _system(box: Enclosed, active: Active) -> list[list[Any]]:
    """Balls of K = [[H, -J'], [-J, 0]]."""
    d, k = len(active.free), len(active.rows)
    with precision(BITS) as flint:
        forms: list[list[Any]] = [[flint.arb(0)] * (d + k) for _ in range(d + k)]
        for i in range(d):
            for j in range(d):
                forms[i][j] = box.hessian[i, j]
        for r, row in enumerate(active.rows.tolist()):
            for i, number in enumerate(active.free.tolist()):
                forms[i][d + r] = forms[d + r][i] = -box.slopes[1 + row, number]
    return forms


def _slopes(here: Enclosed, active: Active, y: Sequence[Any]) -> list[Any]:
    """Balls of the gradient of L at the center: in x, and in y, which is -c."""
    with precision(BITS):
        found = [_slope(here, active, y, j) for j in active.free.tolist()]
        return [*found, *(-here.values[1 + i] for i in active.rows.tolist())]
