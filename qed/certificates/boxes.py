"""What certificates on boxes ask of a function: bounds, signs of slopes, convexity, stationary points; in balls.

Each question is answered on the box as a whole if balls suffice; else the box is halved, up to a depth, in the
coordinate along which the function varies most.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from qed.domains.ball_boxes import BITS, BallBoxes, Negative, NotSmooth, rounded
from qed.domains.balls import between
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.trace import Traced

Array = np.ndarray
DEPTH = 16
"""How often a box is halved to answer one question."""
COUNT = 400
"""Into how many parts it is cut at most."""


class OutOfTime(Exception):
    """A verification was to take no longer."""


class Prover:
    """A traced function, questioned on boxes; what is not proved raises CertificateError with the name given.

    OutOfTime is raised after the deadline (time.monotonic()); a box is cut into so many parts at most. Where `negative`
    is set the questions are about -f, and of an array about one component of it.
    """

    def __init__(
        self,
        traced: Traced,
        deadline: float = np.inf,
        parts: int = COUNT,
        negative: bool = False,
        component: int | None = None,
    ) -> None:
        self.f = (Negative if negative else BallBoxes)(traced, component)
        self.deadline, self.parts = deadline, parts

    # --- bounds ---

    def at_most(self, point: Array, bound: float, name: str) -> None:
        """Prove f(point) <= bound."""
        try:
            _, high = self.f.range(point, point)
        except NotSmooth as error:
            raise CertificateError(name, str(error)) from None
        with precision(BITS) as flint:
            if not high <= flint.arb(bound):
                raise CertificateError(name, f"the value may be {high.str(17)}, above {bound!r}")

    def at_least(self, lower: Array, upper: Array, bound: float, name: str, strictly: bool = False) -> None:
        """Prove f >= bound on a box, or f > bound."""

        def settled(low: Array, high: Array) -> tuple[bool, Any]:
            least: Any = None
            try:
                for form in (self._natural, self._by_slopes, self._by_curvature):
                    found, weights = form(low, high)
                    with precision(BITS) as flint:
                        least = found if least is None or found > least else least
                        goal = flint.arb(bound)
                        if least > goal if strictly else least >= goal:
                            return True, None
            except NotSmooth as error:
                with precision(BITS) as flint:
                    goal = flint.arb(bound)
                    if least is not None and (least > goal if strictly else least >= goal):
                        return True, None
                return False, (None, str(error))
            return False, (weights, f"the value may be {least.str(12)}, the bound is {bound!r}")

        self._everywhere(settled, lower, upper, name)

    def _natural(self, low: Array, high: Array) -> tuple[Any, Any]:
        """A lower bound by the natural extension."""
        return self.f.range(low, high)[0], None

    def _by_slopes(self, low: Array, high: Array) -> tuple[Any, list[float]]:
        """A lower bound by the mean value form, and how much each coordinate makes of it."""
        slopes, middle = self.f.slopes(low, high), _middle(low, high)
        total, _ = self.f.range(middle, middle)
        weights = []
        with precision(BITS) as flint:
            for slope, a, b, m in zip(slopes, low, high, middle, strict=True):
                term = slope * (between(float(a), float(b)) - flint.arb(float(m)))
                weights.append(float(abs(term).upper()) if term.is_finite() else np.inf)
                total = (total + term).lower()
        return total, weights

    def _by_curvature(self, low: Array, high: Array) -> tuple[Any, Any]:
        """A lower bound by the second order form; a term g d + h d^2/2 with h > 0 is at least -g^2/(2 h)."""
        middle = _middle(low, high)
        index = np.flatnonzero(low < high)
        total, _ = self.f.range(middle, middle)
        if not len(index):
            return total, None
        forms, slopes = self.f.forms(low, high, np.eye(self.f.size)[index]), self.f.slopes(middle, middle)
        weights = np.zeros(self.f.size)
        with precision(BITS) as flint:
            away = [between(float(low[i]), float(high[i])) - flint.arb(float(middle[i])) for i in index]
            for k, i in enumerate(index):
                square = flint.arb(0).union(abs(away[k]).upper() ** 2)
                term = (slopes[i] * away[k] + forms[k][k] * square / 2).lower()
                if forms[k][k] > 0:
                    vertex = -(abs(slopes[i]).upper() ** 2) / (2 * forms[k][k].lower())
                    term = max(term, vertex.lower(), key=float)
                mixed = [(forms[k][j] * away[k] * away[j]).lower() for j in range(k)]
                for part in (term, *mixed):
                    total = (total + part).lower()
                weights[i] = abs(float(term)) + sum(abs(float(x)) for x in mixed)
        return total, weights

    def tangent(self, lower: Array, upper: Array, point: Array, bound: float, name: str) -> None:
        """Prove that the tangent at a point is >= bound on a box."""
        try:
            value, _ = self.f.range(point, point)
            slopes = self.f.slopes(point, point)
        except NotSmooth as error:
            raise CertificateError(name, str(error)) from None
        with precision(BITS) as flint:
            total = value
            for slope, a, b, p in zip(slopes, lower, upper, point, strict=True):
                corners = [slope * (flint.arb(float(end)) - flint.arb(float(p))) for end in (a, b) if a < b]
                if corners:
                    total = total + functools.reduce(lambda a, b: a.min(b), (c.lower() for c in corners)).lower()
            if not total >= flint.arb(bound):
                raise CertificateError(name, f"the tangent reaches {total.str(17)}, below {bound!r}")

    # --- derivatives ---

    def sloped(self, lower: Array, upper: Array, i: int, down: bool, name: str) -> None:
        """Prove that the i-th partial derivative is > 0 on a box (< 0 where `down`)."""
        direction = np.eye(self.f.size)[i : i + 1]

        def settled(low: Array, high: Array) -> tuple[bool, Any]:
            try:
                slope = self.f.series(low, high, direction, 1)[1][0][1]
            except NotSmooth as error:
                return False, (None, str(error))
            return bool(slope < 0 if down else slope > 0), (None, f"the slope may be {slope.str(8)}")

        self._everywhere(settled, lower, upper, name)

    def convex(self, lower: Array, upper: Array, point: Array, free: Array, name: str) -> None:
        """Prove that the Hessian is positive definite on a box, in the free coordinates."""
        index = np.flatnonzero(free)
        if not len(index):
            return
        basis = self._basis(point, index, name)

        def settled(low: Array, high: Array) -> tuple[bool, Any]:
            try:
                forms = self.f.forms(low, high, basis)
            except NotSmooth as error:
                return False, (None, str(error))
            with precision(BITS) as flint:
                for i, row in enumerate(forms):
                    others = sum((abs(x).upper() for j, x in enumerate(row) if j != i), flint.arb(0))
                    if not row[i] > others:
                        return False, (None, f"the Hessian may not be definite: {row[i].str(8)}")
            return True, None

        self._everywhere(settled, lower, upper, name)

    def _basis(self, point: Array, index: Array, name: str) -> Array:
        """Directions in which the Hessian at a point is nearly the identity."""
        units = np.eye(self.f.size)[index]
        try:
            forms = self.f.forms(point, point, units)
        except NotSmooth as error:
            raise CertificateError(name, str(error)) from None
        matrix = np.array([[float(x.mid()) for x in row] for row in forms])
        values, vectors = np.linalg.eigh(matrix)
        if not values[0] > 0:
            raise CertificateError(name, f"the Hessian has the eigenvalue {values[0]:.3g} at its point")
        scaled = vectors.T / np.sqrt(values / values[-1])[:, None]
        scaled = scaled / 2.0 ** np.floor(np.log2(np.max(np.abs(scaled))))
        return rounded(scaled, 30) @ units

    def stationary(self, point: Array, radius: Array, box: tuple[Array, Array], free: Array, name: str) -> None:
        """Prove by Krawczyk's test that a point with slope zero lies within `radius`, in the free coordinates.

        `box` holds all points within the radius.
        """
        index = np.flatnonzero(free)
        if not len(index):
            return
        units = np.eye(self.f.size)[index]
        try:
            slopes = [s[1] for s in self.f.series(point, point, units, 1)[1]]
            forms = self.f.forms(*box, units)
        except NotSmooth as error:
            raise CertificateError(name, str(error)) from None
        if not krawczyk(slopes, forms, [float(radius[i]) for i in index]):
            raise CertificateError(name, "no stationary point is found near its point")

    # --- bounds of derivatives ---

    def gradient_within(self, lower: Array, upper: Array, bound: float, name: str) -> None:
        """Prove that the Euclidean norm of the gradient is <= bound on a box."""

        def settled(low: Array, high: Array) -> tuple[bool, Any]:
            try:
                slopes = self.f.slopes(low, high)
            except NotSmooth as error:
                return False, (None, str(error))
            with precision(BITS) as flint:
                total = flint.arb(0)
                for slope in slopes:
                    total = total + abs(slope).upper() ** 2
                done = bool(total <= flint.arb(bound) ** 2)
                return done, (None, f"the norm may be {total.sqrt().str(12)}, above {bound!r}")

        self._everywhere(settled, lower, upper, name)

    def hessian_within(self, lower: Array, upper: Array, bound: float, name: str) -> None:
        """Prove that the eigenvalues of the Hessian are between -bound and bound on a box."""

        def settled(low: Array, high: Array) -> tuple[bool, Any]:
            try:
                forms = self.f.forms(low, high, np.eye(self.f.size))
            except NotSmooth as error:
                return False, (None, str(error))
            if not all(x.is_finite() for row in forms for x in row):
                return False, (None, "the Hessian is not bounded by balls")
            done = all(self._below(forms, sign, bound) for sign in (1, -1))
            return done, (None, f"an eigenvalue may be beyond {bound!r}")

        self._everywhere(settled, lower, upper, name)

    def _below(self, forms: Any, sign: int, bound: float) -> bool:
        """Whether bound I - sign H is positive definite: V^T (bound I - sign H) V is diagonally dominant."""
        n = len(forms)
        _, basis = np.linalg.eigh(np.array([[float(x.mid()) for x in row] for row in forms]))
        with precision(BITS) as flint:
            v = flint.arb_mat(n, n, [flint.arb(float(x)) for x in basis.ravel()])
            entries = [flint.arb(bound) * int(i == j) - sign * forms[i][j] for i in range(n) for j in range(n)]
            turned = v.transpose() * flint.arb_mat(n, n, entries) * v
            for i in range(n):
                others = flint.arb(0)
                for j in range(n):
                    others = others + (abs(turned[i, j]).upper() if j != i else flint.arb(0))
                if not turned[i, i] > others:
                    return False
        return True

    # --- halving ---

    def _everywhere(
        self, settled: Callable[[Array, Array], tuple[bool, Any]], lower: Array, upper: Array, name: str
    ) -> None:
        """Settle a question on a box, or on its parts."""
        waiting, count = [(lower, upper, 0)], 0
        while waiting:
            low, high, depth = waiting.pop()
            if time.monotonic() > self.deadline:
                raise OutOfTime
            done, why = settled(low, high)
            if done:
                continue
            weights, problem = why
            wide = (
                np.asarray(weights)
                if weights is not None and np.all(np.isfinite(weights))
                else (high - low) / _scale(lower, upper)
            )
            i = int(np.argmax(np.where(low < high, wide, -1.0)))
            middle = split(float(low[i]), float(high[i]))
            count += 1
            if depth >= DEPTH or count >= self.parts or not low[i] < middle < high[i]:
                raise CertificateError(name, problem)
            left, right = high.copy(), low.copy()
            left[i] = right[i] = middle
            waiting += [(low, left, depth + 1), (right, high, depth + 1)]


def krawczyk(slopes: Sequence[Any], forms: Sequence[Sequence[Any]], radius: Sequence[float]) -> bool:
    """Whether exactly one point with slope zero is proved to lie within `radius` of a point.

    -Y grad f(p) + (I - Y H) (S - p) lies in the interior of S - p, with S = p -+ radius and Y about the inverse of H's
    middle (Krawczyk 1969).

    Args:
        slopes: balls of the slopes at the point.
        forms: balls of the Hessian on a box that holds S.
        radius: of S, in each coordinate.

    >>> from qed.certificates.boxes import krawczyk
    >>> from qed.domains.precision import precision
    >>> with precision(60) as flint:
    ...     krawczyk([flint.arb(1e-9)], [[flint.arb(2)]], [1e-9]), krawczyk([flint.arb(1)], [[flint.arb(2)]], [1e-9])
    (True, False)
    """
    n = len(slopes)
    try:
        inverse = np.linalg.inv(np.array([[float(x.mid()) for x in row] for row in forms]))
    except np.linalg.LinAlgError:
        return False
    if not np.all(np.isfinite(inverse)):
        return False
    with precision(BITS) as flint:
        y = flint.arb_mat(n, n, [flint.arb(float(v)) for v in inverse.ravel()])
        h = flint.arb_mat(n, n, [x for row in forms for x in row])
        step = y * flint.arb_mat(n, 1, list(slopes))
        one = flint.arb_mat(n, n, [flint.arb(int(i == j)) for i in range(n) for j in range(n)])
        moved = (one - y * h) * flint.arb_mat(n, 1, [flint.arb(0, r) for r in radius]) - step
        return all(bool(abs(moved[i, 0]) < flint.arb(radius[i])) for i in range(n))


def reach(point: Array, radius: float, free: Array) -> Array:
    """How far a radius reaches in each coordinate: in relation to the point, and not where nothing varies."""
    return np.where(free, radius * (1.0 + np.abs(point)), 0.0)


def around(point: Array, radius: float, free: Array) -> tuple[Array, Array]:
    """A box that holds all points within a radius.

    >>> import numpy as np
    >>> from qed.certificates.boxes import around
    >>> low, high = around(np.array([1.0, 2.0]), 1e-13, np.array([True, False]))
    >>> bool(low[0] < 1 - 2e-13), bool(low[1] == high[1] == 2.0)
    (True, True)
    """
    r = reach(point, radius, free)
    low, high = np.nextafter(point - r, -np.inf), np.nextafter(point + r, np.inf)
    return np.where(free, low, point), np.where(free, high, point)


def split(low: float, high: float) -> float:
    """Where an interval is cut: in the middle; an infinite one at 0, or at twice its finite end.

    >>> from qed.certificates.boxes import split
    >>> split(0.0, 1.0), split(float("-inf"), float("inf")), split(3.0, float("inf"))
    (0.5, 0.0, 6.0)
    """
    if np.isfinite(low) and np.isfinite(high):
        return low / 2 + high / 2
    if not np.isfinite(low) and not np.isfinite(high):
        return 0.0
    return max(2 * low, low + 1.0) if np.isfinite(low) else min(2 * high, high - 1.0)


def _scale(lower: Array, upper: Array) -> Array:
    return np.where((upper > lower) & np.isfinite(upper - lower), upper - lower, 1.0)


def _middle(lower: Array, upper: Array) -> Array:
    low, high = np.isfinite(lower), np.isfinite(upper)
    with np.errstate(all="ignore"):
        plain = lower / 2 + upper / 2
    return np.where(low & high, plain, np.where(low, lower, np.where(high, upper, 0.0)))
