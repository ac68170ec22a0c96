"""The splitting lemma, by power series: what f is on the curve on which it is least, or without slope, across a line.

Let v be a flat direction at a critical point and w_k the directions that bend, with curvatures l_k. Near the point the
equations w_k . grad f = 0 have one solution s(t) for each t v, a power series in t, and the reduced function

    g(t) = f(p + t v + sum_k s_k(t) w_k)

has a minimum, a maximum or neither at 0 as f has at p, if v is the only flat direction (Poston and Stewart,
*Catastrophe Theory and its Applications*, 1978, section 4.5; the equations are those of Lyapunov and Schmidt). So the
first of its coefficients that is not zero decides. With more flat directions a curve still shows where f falls or
rises; there the form of lowest degree is minimised over the flat directions.

The solution is found order by order: where s is right below t^j, the coefficient of t^j of w_k . grad f is l_k times
what s_k lacks. These gradients are read from f itself, for f(c + t^M w) - f(c) = t^M w . grad f(c) up to t^(2M). An
error of s is squared in g, so that s below t^M gives the coefficients of g below t^(2M).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from qed.calculus.points.case import Case
from qed.calculus.points.line import LOST, SAFETY, Line
from qed.certificates.smooth_boxes import SmoothBoxes
from qed.domains.ball_boxes import BITS, NotSmooth
from qed.domains.balls import objects
from qed.domains.precision import precision

Array = np.ndarray
ORDERS = (4, 7)
"""Below which powers of t the curve is looked for: coefficients of g below twice these, the twelfth at last."""
WORK = 30_000
"""How many numbers of the program may be computed with at each order."""
AGAIN = 2
"""How many steps more are made with the whole series; each leaves about 1e-16 of what was wrong."""
STARTS = 30
"""From how many directions a form is minimised."""
NEGATIVE = 1e-10
"""Below minus which part of its largest coefficient a form is taken to be negative somewhere."""


@dataclass(frozen=True, eq=False)
class Reduced:
    """The first term of g that is not zero.

    Args:
        order, coefficient: of it; 0 where none is known not to be zero.
        direction: v.
    """

    direction: Array
    order: int = 0
    coefficient: float = 0.0


def reduced(case: Case, point: Array, v: Array, others: Array, curvatures: Array, highest: int = 12) -> Reduced | None:
    """The first term of the reduced function; None where the program is too long for it.

    Args:
        case: the function.
        point: the critical point.
        v: a flat direction.
        others: the eigenvectors that bend, as columns.
        curvatures: their eigenvalues.
        highest: up to which order it is looked for.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> x, v, w = np.zeros(2), np.array([1.0, 0.0]), np.array([[0.0], [1.0]])
    >>> f = lambda x: (x[1] - x[0] ** 2) ** 2 - x[0] ** 6
    >>> for f in (f, lambda x: (x[1] - jnp.sin(x[0] ** 2)) ** 2 + x[0] ** 7):
    ...     found = reduced(Case(f, x, (), read(f, x)), x, v, w, np.array([2.0]))
    ...     print(found.order, found.coefficient)
    6 -1.0
    7 1.0
    """
    if case.function.graph.numbers() * (1 + len(curvatures)) > WORK:
        return None
    off = SAFETY * float(np.finfo(float).eps) * float(np.linalg.norm(point))  # as far as the point is rounded
    curve = _Curve(case, point, v, others, curvatures)
    for below in ORDERS:
        line = curve.up_to(min(below, highest // 2 + 1))
        if line.bends and not curve.lost(2, line.middle[2]):
            return Reduced(v)
        for order in range(3, len(line.middle)):
            sure = line.nonzero(order)
            if sure is None and abs(line.middle[order]) > SAFETY * line.brought(order, off):
                return Reduced(v)
            if sure:
                lost = curve.lost(order, line.middle[order])
                return Reduced(v) if lost else Reduced(v, order, line.middle[order])
        if 2 * below > highest:
            break
    return Reduced(v)


class _Curve:
    """The curve c(t) = p + t v + sum_k s_k(t) w_k: coefficients (n, M), exact numbers of many bits."""

    def __init__(self, case: Case, point: Array, v: Array, others: Array, curvatures: Array) -> None:
        self.case, self.direction, self.others, self.curvatures = case, v, others, curvatures
        with precision(BITS) as library:
            number = library.arb
            self.coefficients = np.array([[number(float(a)), number(float(b))] for a, b in zip(point, v, strict=True)])
            self.steps = np.zeros(2)
            self.others = np.array([[number(float(a)) for a in row] for row in others]).reshape(others.shape)

    def up_to(self, below: int) -> Line:
        """The coefficients of g below t^(2 M), M = below, after the curve was found below t^M."""
        last = 2 * below - 1
        with precision(BITS) as library:
            wide = np.array([[library.arb(0)] * (below - self.coefficients.shape[1])] * len(self.coefficients))
            known = self.coefficients.shape[1] if self.coefficients.shape[1] > 2 else 0
            self.coefficients = np.concatenate([self.coefficients, wide.reshape(len(wide), -1)], axis=1)
        for j in [*range(known, below), *[below - 1] * AGAIN] if len(self.curvatures) else []:
            self._step(below, j)
        (row,) = self.case.balls.along(self.coefficients[None], last)
        doubt = self._doubt(2 * below)
        with precision(BITS):
            radius = tuple(float(c.rad()) + d for c, d in zip(row, doubt, strict=True))
            return Line(self.direction, tuple(float(c.mid()) for c in row), radius)

    def _step(self, below: int, j: int) -> None:
        """Newton's step, with the Hessian at p, for the coefficients of 1, t, ..., t^j."""
        rows = self.case.balls.along(self._beside(below), 2 * below - 1)
        self.steps = np.zeros(below)
        with precision(BITS) as library:
            for k, bend in enumerate(self.curvatures):
                for i in range(j + 1):
                    off = ((rows[k + 1][below + i] - rows[0][below + i]) / library.arb(float(bend))).mid()
                    self.coefficients[:, i] -= np.array([off * w for w in self.others[:, k]])
                    self.steps[i] = np.hypot(self.steps[i], float(off))
            exact = [c.mid() for c in self.coefficients.ravel()]
            self.coefficients = objects(exact, self.coefficients.shape)

    def _doubt(self, count: int) -> list[float]:
        """How far the coefficients of g may be off by what s lacks: its last steps, times what it is."""
        if not len(self.curvatures):
            return [0.0] * count
        known = len(self.steps)
        with precision(BITS):
            moved = self.others.T @ self.coefficients
            size = [float(np.linalg.norm([float(c) for c in column])) for column in moved.T]
        growth = max((s ** (1 / i) for i, s in enumerate(size[1:], 1)), default=0.0)
        size[0] = 0.0  # the point itself
        wide = [*(a + b for a, b in zip(size, self.steps, strict=True)), *(growth**i for i in range(known, count))]
        most = SAFETY * float(np.max(np.abs(self.curvatures)))
        return [most * sum(self.steps[i] * wide[k - i] for i in range(min(known, k + 1))) for k in range(count)]

    def _beside(self, below: int) -> Array:
        """The curve, and the curves c(t) + t^M w_k."""
        with precision(BITS) as library:
            curves = np.full((1 + len(self.curvatures), len(self.coefficients), below + 1), library.arb(0), object)
            curves[:, :, :-1] = self.coefficients
            curves[1:, :, -1] = self.others.T
        return curves

    def lost(self, order: int, coefficient: float) -> bool:
        """Whether a coefficient may be what the digits of the program leave of a difference."""
        function = self.case.function
        try:
            rows = SmoothBoxes(function.traced, bits=53 if "64" in function.dtype else 24).along(
                self.coefficients[None], order
            )
        except NotSmooth:
            return True
        return abs(coefficient) <= LOST * float(rows[0][order].rad())


def falling(case: Case, point: Array, flat: Array, others: Array, curvatures: Array) -> tuple[Reduced, Reduced] | None:
    """Of curves over several flat directions one with the lowest and one with the highest first term; None for none.

    Only terms of the lowest order that occurs are compared; an odd one takes both signs.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> x, flat, w = np.zeros(3), np.eye(3)[:, :2], np.eye(3)[:, 2:]
    >>> f = lambda x: (x[2] - x[0] ** 2 - x[1] ** 2) ** 2 + x[0] ** 6 - x[1] ** 6
    >>> low, high = falling(Case(f, x, (), read(f, x)), x, flat, w, np.array([2.0]))
    >>> low.order, low.coefficient, high.coefficient
    (6, -1.0, 1.0)
    """
    count = flat.shape[1]
    if case.function.graph.numbers() * (1 + len(curvatures)) * count > WORK:
        return None
    signs = [s for s in itertools.product((0, 1, -1), repeat=count) if any(s) and next(c for c in s if c) > 0]
    units = [np.array(s) / np.linalg.norm(s) for s in signs]

    def along(unit: Array, highest: int) -> Reduced:
        found = reduced(case, point, flat @ unit, others, curvatures, highest)
        return Reduced(flat @ unit) if found is None else found

    found = [along(unit, 6) for unit in units]
    orders = [r.order for r in found if r.order]
    if not orders:
        return None
    order = min(orders)
    terms = {tuple(unit): r for unit, r in zip(units, found, strict=True)}
    rows = _powers(np.array(units), order)
    random = np.random.default_rng(0)
    while np.linalg.matrix_rank(rows) < rows.shape[1]:
        unit = random.standard_normal(count)
        unit /= np.linalg.norm(unit)
        if len(terms) > 2 * rows.shape[1] + len(units):
            return None
        terms[tuple(unit)] = along(unit, order)
        rows = np.vstack([rows, _powers(unit[None], order)])
    values = np.array([r.coefficient if r.order == order else 0.0 for r in terms.values()])
    form = np.linalg.lstsq(rows, values, rcond=None)[0]
    for sign in (1.0, -1.0):
        best, unit = _least(sign * form, order, count)
        if best < -NEGATIVE * float(np.max(np.abs(values))):
            terms[tuple(unit)] = along(unit, order)
    sure = [r for r in terms.values() if r.order == order]
    return min(sure, key=lambda r: r.coefficient), max(sure, key=lambda r: r.coefficient)


def _powers(units: Array, order: int) -> Array:
    """The products of `order` coordinates of each row.

    >>> _powers(np.array([[2.0, 3.0]]), 2).tolist()
    [[4.0, 6.0, 9.0]]
    """
    chosen = itertools.combinations_with_replacement(range(units.shape[1]), order)
    return np.stack([np.prod(units[:, list(c)], axis=1) for c in chosen], axis=1)


def _least(form: Array, order: int, count: int) -> tuple[float, Array]:
    """The least value of a form on the sphere that is found, and where."""
    random = np.random.default_rng(1)

    def value(u: Array) -> Any:
        return float(_powers((u / np.linalg.norm(u))[None], order)[0] @ form)

    found = [scipy.optimize.minimize(value, random.standard_normal(count)) for _ in range(STARTS)]
    best = min(found, key=lambda r: r.fun)
    return float(best.fun), best.x / np.linalg.norm(best.x)
