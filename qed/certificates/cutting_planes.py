"""The certificate of a least value by tangents: a convex function that has corners, or is flat, where it is least.

A convex f lies above its tangents, f(y) >= f(p_k) + g_k'(y - p_k) for points p_k about which it is smooth, with the
slopes g_k there, and so above each mean of them. With weights w_k >= 0, sum w_k = 1, and the point x,

    f(y) >= a + r'(y - x),    a = sum w_k (f(p_k) + g_k'(x - p_k)),    r = sum w_k g_k,

of which the least value on a box is taken number by number; where r_j = 0 the j-th number may be any. That r_j = 0
exactly for numbers without bounds does not ask for exact weights: the weights of the first of the points are the
solution of the equations sum w_k g_kj = 0, sum w_k = 1, in balls, given those of the others; that it exists and is
positive is seen in balls (Boyd and Vandenberghe, *Convex Optimization*, 2004, section 3.1.3; Rockafellar, *Convex
Analysis*, 1970, theorem 25.1: where a convex function has a derivative that is its one subgradient).

The bound holds for y in the box with |y_j - x_j| <= reach; inf is all of the box.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Self, final

import numpy as np

from qed.certificates.certificate import Boxed, Certificate, vector
from qed.certificates.convexity import Convexity
from qed.certificates.disciplined import DisciplinedConvexity
from qed.domains.ball_boxes import BITS, BallBoxes, NotSmooth
from qed.domains.precision import precision
from qed.errors import CertificateError, QedError
from qed.graph.trace import Traced

Array = np.ndarray
BESIDE = 2.0**-100
"""How far about a point a function has to be smooth for its tangent there, at least."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class CuttingPlanes(Boxed):
    """f >= bound on a box, within reach of x, and f(x) <= most.

    `shape` is the JSON text of a `Convexity` or a `DisciplinedConvexity` of the same function and box; `points` are
    where the tangents touch, each with the fraction of `weights`; the weights of the first `solved` points are not
    read, but solved for.

    >>> import jax.numpy as jnp
    >>> from qed.calculus.shapes.arrays import of_arrays
    >>> from qed.certificates.cutting_planes import CuttingPlanes
    >>> f = lambda x: jnp.abs(x - 1 / 3)
    >>> shape = of_arrays(f, jnp.float32(0.25), (), ([-np.inf], [np.inf]))
    >>> CuttingPlanes.of(shape, [0.25], [[0.0], [1.0]], ["0", "0"], solved=2, bound=-1e-9, most=0.1).verify()
    True
    """

    kind: ClassVar[str] = "cutting planes"
    reads_meant: ClassVar[bool] = True
    shape: str
    point: tuple[float, ...]
    points: tuple[tuple[float, ...], ...]
    weights: tuple[str, ...]
    solved: int
    reach: float
    bound: float
    most: float

    @classmethod
    def of(
        cls, shape: Convexity | DisciplinedConvexity, point: Sequence[float], points: Sequence[Sequence[float]],
        weights: Sequence[Any], *, solved: int, bound: float, most: float, reach: float = np.inf,
    ) -> Self:  # fmt: skip
        """The certificate of points and weights that were found."""
        assert shape.subject is not None
        return cls.on_box(
            shape.subject, (shape.box_lower, shape.box_upper), shape=json.dumps(shape.to_json(), sort_keys=True),
            point=tuple(map(float, point)), points=tuple(tuple(map(float, p)) for p in points),
            weights=tuple(map(str, weights)), solved=int(solved), reach=float(reach), bound=float(bound),
            most=float(most),
        )  # fmt: skip

    def inner(self) -> Convexity | DisciplinedConvexity:
        """The proof of the shape.

        Raises CertificateError where the text is of none, or of another function or box.
        """
        try:
            found = Certificate.from_json(self.shape)
        except (QedError, ValueError, TypeError) as error:
            raise CertificateError("shape", f"it is no certificate: {error}") from None
        if not isinstance(found, Convexity | DisciplinedConvexity):
            raise CertificateError("shape", "it is no proof of convexity")
        if found.function != self.function or found.x64 != self.x64:
            raise CertificateError("shape", "it is of another function")
        found.whole()
        if found.claim not in ("convex", "affine"):
            raise CertificateError("shape", f"a function that is {found.claim} may lie below its tangents")
        if (found.box_lower, found.box_upper) != (self.box_lower, self.box_upper):
            raise CertificateError("shape", "it is about another box")
        return found

    def prove(self, traced: Traced) -> None:
        """Prove the shape, the bound, and the value at the point."""
        self.inner().prove(traced)
        least, most = self.proved(traced)
        if not least >= self.bound:
            raise CertificateError("bound", f"at least {least!r} is proved")
        if not most <= self.most:
            raise CertificateError("most", "the value at the point may be larger")

    def proved(self, traced: Traced) -> tuple[float, float]:
        """The largest bound that the tangents of a convex function prove, rounded down, and f(x), rounded up.

        Raises CertificateError where they prove none.
        """
        low, high = self.ends(traced)
        x = vector(self.point, len(low), "point")
        points = [vector(p, len(low), "points") for p in self.points]
        if not self.reach > 0:
            raise CertificateError("reach", f"{self.reach!r} is not positive")
        if any(np.any(p < low) or np.any(p > high) for p in (x, *points)):
            raise CertificateError("points", "one is not in the box")
        boxes = BallBoxes(traced)
        tangents = [_tangent(boxes, p) for p in points]
        with precision(BITS) as library:
            near = [self._ends(library, j, x, low, high) for j in range(len(x))]
            free = [j for j, (a, b) in enumerate(near) if a is None or b is None]
            weights = self._weights(library, tangents, free)
            middle = tangents[0][0].mid()  # the weights add up to 1: what all values share is no part of their doubt
            total = middle
            for w, p, (value, slopes) in zip(weights, points, tangents, strict=True):
                away = [library.arb(float(a)) - library.arb(float(b)) for a, b in zip(x, p, strict=True)]
                total += w * sum((g * d for g, d in zip(slopes, away, strict=True)), value - middle)
            for j, (a, b) in enumerate(near):
                if self.solved and j in free:
                    continue  # 0, by the equations
                r = sum((w * slopes[j] for w, (_, slopes) in zip(weights, tangents, strict=True)), library.arb(0))
                total += _least(library, r, a, b, j)
            if not total.is_finite():
                raise CertificateError("points", "the tangents have no finite mean")
            least = float(np.nextafter(float(total.lower()), -np.inf))
        try:
            _, upper = boxes.range(x, x)
        except NotSmooth as error:
            raise CertificateError("point", str(error)) from None
        with precision(BITS):
            return least, float(np.nextafter(float(upper.upper()), np.inf))

    def _ends(self, library: Any, j: int, x: Array, low: Array, high: Array) -> tuple[Any, Any]:
        """The least and the largest y_j - x_j; None where there is none."""
        found = []
        for end, sign in ((float(low[j]), -1), (float(high[j]), 1)):
            bound = None if not np.isfinite(end) else library.arb(end) - library.arb(float(x[j]))
            if np.isfinite(self.reach):
                far = sign * library.arb(self.reach)
                bound = (
                    far if bound is None else library.arb.max(bound, far) if sign < 0 else library.arb.min(bound, far)
                )
            found.append(bound)
        return found[0], found[1]

    def _weights(self, library: Any, tangents: list[tuple[Any, list[Any]]], free: list[int]) -> list[Any]:
        """The weights as balls: the fractions, and before them the solution of the equations."""
        try:
            given = [Fraction(text) for text in self.weights]
        except (ValueError, ZeroDivisionError):
            raise CertificateError("weights", "they are no fractions") from None
        if len(given) != len(tangents) or not given:
            raise CertificateError("weights", f"there are {len(given)} for {len(tangents)} points")
        count = self.solved
        if any(w < 0 for w in given[count:]):
            raise CertificateError("weights", "one is negative")
        if count == 0:
            if sum(given) != 1:
                raise CertificateError("weights", f"their sum is {float(sum(given))}")
            return [library.arb(library.fmpq(w.numerator, w.denominator)) for w in given]
        if count != len(free) + 1 or count > len(given):
            raise CertificateError("solved", f"{len(free) + 1} equations do not give {count} weights")
        rest = [library.arb(library.fmpq(w.numerator, w.denominator)) for w in given[count:]]
        rows = [[slopes[j] for _, slopes in tangents] for j in free] + [[library.arb(1)] * len(tangents)]
        right = []
        for i, row in enumerate(rows):
            known = sum((g * w for g, w in zip(row[count:], rest, strict=True)), library.arb(0))
            right.append(library.arb(int(i == len(free))) - known)
        matrix = library.arb_mat(count, count, [g for row in rows for g in row[:count]])
        try:
            solution = matrix.solve(library.arb_mat(count, 1, right))
        except ZeroDivisionError:
            raise CertificateError("solved", "the equations are not seen to have one solution") from None
        first = [solution[k, 0] for k in range(count)]
        if not all(w > 0 for w in first):
            raise CertificateError("solved", "a weight is not seen to be positive")
        return [*first, *rest]


def _tangent(boxes: BallBoxes, p: Array) -> tuple[Any, list[Any]]:
    """Balls of the value and the slopes at a point about which the function is smooth."""
    beside = np.maximum(BESIDE, np.spacing(np.abs(p)))
    try:
        (low, high), rows = boxes.series(p - beside, p + beside, np.eye(len(p)), 1)
    except NotSmooth as error:
        raise CertificateError("points", str(error)) from None
    with precision(BITS):
        return low.union(high), [row[1] for row in rows]


def _least(library: Any, r: Any, low: Any, high: Any, j: int) -> Any:
    """A ball below which r d does not fall for low <= d <= high; inside `precision`."""
    if r == 0:
        return library.arb(0)
    if low is not None and high is not None:
        return library.arb.min(r * low, r * high)
    if low is not None and r >= 0:
        return r * low
    if high is not None and r <= 0:
        return r * high
    raise CertificateError("points", f"the mean of the tangents falls for ever in number {j}")
