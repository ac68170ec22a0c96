"""What a point of many parameters is, where no matrix can be decomposed: the least curvature, then how far f can fall.

If all curvatures among the parameters that no bound holds are at least c > 0, the point without slope near x and what f
falls by to it are, by the quadratic model,

    |p| <= |g| / c,     g'H^-1 g / 2 <= |g|^2 / (2 c),     H p = -g,

and p itself is had by factors, or by conjugate gradients with a residual r, whose error is at most |r| / c. A sparse H
has no curvature below c if H - c I has positive pivots. Otherwise a run of Lanczos from a random start bounds the
spectrum but for a stated probability (qed.calculus.points.ends).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.answer import Answer
from qed.calculus.points.large import FAILURE, ends
from qed.calculus.points.words import all_curvatures
from qed.calculus.spectra.products import Products
from qed.errors import QedError
from qed.graph.function import read
from qed.optimization.factorisation import Factor, factorised
from qed.optimization.point import Judged, as_tree, falls, jumped
from qed.optimization.solution import Ending, Verdict
from qed.optimization.trust_region import conjugate_step

Array = np.ndarray
STEEP = 1e-4
"""With a larger slope, relative to 1 or f, curvatures do not say what a point is."""
TURNS, SHARE = 20, 0.5
"""Steps of inverse iteration, and at which part of the curvature that they find the matrix is factorised again."""
MOST, RESIDUAL = 300, 1e-3
"""Products of the conjugate gradients that look for the point without slope, and what they may leave of g."""


@dataclass(frozen=True, eq=False)
class Lowest:
    """The least curvature among some parameters.

    Args:
        lower: no curvature is less, or it is negative.
        seen: v'Hv of the least that was seen, and `along` its v.
        highest: the largest that was seen; NaN where it was not asked.
        rounding: below which size a curvature is none.
        how: what the bound rests on, in words.
        solve: the solution p of H p = b, and a bound of its error.
    """

    lower: float
    seen: float
    along: Array
    highest: float
    rounding: float
    how: str
    solve: Any


class Within:
    """Products with the block of H of some parameters; counted as those of the whole."""

    def __init__(self, products: Products, free: Array) -> None:
        self.products, self.free = products, free
        self.size, self.dtype, self.function = len(free), products.dtype, products.function

    @property
    def count(self) -> int:
        """How many products were made."""
        return self.products.count

    def _full(self, vector: Array) -> Array:
        full = np.zeros(self.products.size, vector.dtype)
        full[self.free] = vector
        return full

    def __call__(self, vector: Array) -> Array:
        """As a search has it."""
        return self.products(self._full(vector))[self.free]

    def exact(self, vector: Array) -> Array:
        """In float64."""
        return self.products.exact(self._full(vector))[self.free]

    def rounding(self, vector: Array) -> float:
        """What the product may be off by."""
        return self.products.rounding(self._full(vector))


def among_many(case: Judged) -> Answer[Verdict] | None:
    """The answer on a point of many parameters with hardly a slope; None where the curvatures do not tell it."""
    here, box = case.here, case.bounds
    if case.left > STEEP * max(1.0, abs(here.f)):
        return None
    free = np.flatnonzero(~box.held(here.x, here.g))
    if not len(free):
        text = f"A minimum in the box: all {len(here.x):,} parameters are held by bounds, and the slopes press on them."
        return case.says(Ending.MINIMUM, text, decrease=0.0)
    slope = box.slope(here.x, here.g)[free]
    try:
        lowest = _by_factors(case, free)
        lowest = _by_products(case, free) if lowest is None else lowest
    except (NotImplementedError, FloatingPointError, QedError, MemoryError):
        return None
    told: dict[str, Any] = {"lowest": lowest.seen, "highest": lowest.highest}
    if lowest.seen < -lowest.rounding:
        way = np.zeros(len(here.x))
        way[free] = lowest.along
        if not falls(case, [way]):
            return None
        text = (
            f"Not a minimum: the gradient is {case.left:.3g}, the curvature along one direction {lowest.seen:.3g}, "
            "and f falls along it."
        )
        still = case.left <= 1e-6 * abs(lowest.seen)
        kind = Ending.SADDLE if still else Ending.NOT_STATIONARY
        return case.says(kind, text, direction=as_tree(case, way), **told)
    if not lowest.lower > 0:
        return None
    step, error = lowest.solve(-slope)
    length, near = float(np.linalg.norm(step)) + error, 1 + float(np.linalg.norm(here.x))
    gain = -0.5 * float(slope @ step) + 0.5 * float(np.linalg.norm(slope)) * error
    if not (length <= 1e-6 * near or (gain <= case.noise and length <= 1e-5 * near)):
        return None
    if (jump := jumped(case, gain, told)) is not None:
        return jump
    count, inside = len(here.x) - len(free), "" if box.open else " in the box"
    held = f"{count:,} parameters are held by bounds, and of the others " if count else ""
    text = (
        f"A minimum{inside}, about {length:.2g} away: {held}{all_curvatures(len(free))} at least "
        f"{lowest.lower:.3g}{lowest.how}; by the quadratic model f can fall by {gain:.2g}, and its values are rounded "
        f"by {case.noise:.2g}."
    )
    return case.says(Ending.MINIMUM, text, decrease=gain, **told)


def _by_factors(case: Judged, free: Array) -> Lowest | None:
    """By the pivots of the sparse matrix; None where it is not sparse, or not positive definite."""
    if case.objective.curvature.kind != "sparse":
        return None
    matrix = case.objective.matrix(case.here.x)
    matrix = matrix if len(free) == matrix.shape[0] else matrix[free][:, free]
    factor = factorised(matrix)
    if factor is None:
        return None
    value, along = _inverse_iteration(factor, len(free), case.seed)
    size = float(abs(matrix).sum(axis=1).max())
    if not value > case.rounding(len(free)) * size or factorised(matrix, -SHARE * value) is None:
        return None

    def solve(b: Array) -> tuple[Array, float]:
        found = factor.solve(b)
        return found, float(np.linalg.norm(b - matrix @ found)) / (SHARE * value)

    how = ": less that on its diagonal the sparse Hessian still has positive pivots"
    return Lowest(SHARE * value, value, along, float("nan"), case.rounding(len(free)) * size, how, solve)


def _inverse_iteration(factor: Factor, n: int, seed: int) -> tuple[float, Array]:
    """v'Hv of the direction to which the inverse draws, and the direction."""
    v = np.random.default_rng(seed).standard_normal(n)
    v, value = v / np.linalg.norm(v), np.inf
    for _ in range(TURNS):
        w = factor.solve(v)
        length = float(np.linalg.norm(w))
        if not 0 < length < np.inf:
            return 0.0, v
        value, v = 1 / length, w / length
    return value, v


def _by_products(case: Judged, free: Array) -> Lowest:
    """By a run of Lanczos among the free parameters."""
    fun, x, args = case.asked
    products: Any = Products(read(fun, x, *args))
    products = products if len(free) == products.size else Within(products, free)
    found = ends(products, seed=case.seed)

    def solve(b: Array) -> tuple[Array, float]:
        step = conjugate_step(products.exact, -b, np.inf, tolerance=RESIDUAL, most=MOST).step
        return step, float(np.linalg.norm(products.exact(step) - b)) / found.lower

    how = f", but for a probability of {FAILURE:g}"
    return Lowest(found.lower, found.lowest, found.down, found.highest, found.resolution, how, solve)
