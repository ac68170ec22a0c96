"""The step of Newton's method: the minimum of the second-order model in a ball.

    minimise  m(p) = g'p + p'H p / 2   over   |p| <= radius

p is the solution if and only if (H + shift I) p = -g with H + shift I positive semidefinite, shift >= 0 and
shift (radius - |p|) = 0. Where H can be factorised the shift is found by Newton's method on 1/|p| = 1/radius, held
between bounds (Moré and Sorensen, *Computing a trust region step*, SIAM J. Sci. Stat. Comput. 4, 1983); in the hard
case, where g has no part along the lowest eigenvector, that eigenvector is added. Where H is known by its products
only, conjugate gradients go on until they leave the ball or meet negative curvature (Steihaug, *The conjugate gradient
method and trust regions in large scale optimization*, SIAM J. Numer. Anal. 20, 1983).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from qed.optimization.factorisation import Factor, Matrix, factorised
from qed.optimization.pieces import add, length_of_sum

Array = np.ndarray
EASY, HARD = 0.1, 0.1
"""How exactly the radius is met, and how much of the best decrease may be missing in the hard case (relative)."""
FLAT = 1e-3
"""Which part of the decrease the lowest eigenvector has to bring to be added: along what does not bend, rounding alone
would carry a point far off, as what is added to the scores of all classes alike, which changes no probability."""
ROUNDS = 60
ROUNDED = 10.0
"""How many roundings of the largest row a curvature may be away from what was computed."""
LEFT = 0.01
"""Which part of its slope a step may leave that is taken for the minimum of a singular model."""


@dataclass(frozen=True, eq=False)
class ModelStep:
    """A step and what the model says of it.

    Args:
        step: p.
        predicted: the decrease -m(p), never negative but by rounding.
        shift: the multiplier of the ball; 0 where p is Newton's own step. NaN from conjugate gradients.
        inside: whether p lies inside the ball.
        definite: whether H was found positive definite. From conjugate gradients: whether no direction of negative
            curvature was met, which proves nothing.
        work: how many factorisations or products it took.
    """

    step: Array
    predicted: float
    shift: float
    inside: bool
    definite: bool
    work: int


def exact_step(matrix: Matrix, gradient: Array, radius: float, eps: float = 2.0**-52) -> ModelStep:
    """The model's minimum in the ball, by factorisations.

    Where H is singular as far as its roundings let one know, and the model has minima inside the ball, it is one of
    the short ones: along directions without curvature and slope the model promises nothing.

    Args:
        matrix: H, symmetric, dense or sparse.
        gradient: g, not NaN.
        radius: positive.
        eps: the relative distance of the numbers in which H was computed.

    Example:
        >>> import numpy as np
        >>> found = exact_step(np.diag([2.0, 4.0]), np.array([2.0, 4.0]), 10.0)
        >>> found.step.round(9).tolist(), round(found.predicted, 9), found.inside
        ([-1.0, -1.0], 3.0, True)
        >>> away = exact_step(np.diag([2.0, -1.0]), np.zeros(2), 3.0)  # a saddle: along the second axis
        >>> abs(away.step).round(3).tolist(), round(away.predicted, 6)
        ([0.0, 3.0], 4.5)
        >>> exact_step(np.diag([2.0, 0.0]), np.array([2.0, 0.0]), 3.0).step.round(9).tolist()
        [-1.0, 0.0]
        >>> exact_step(np.ones((2, 2)), np.ones(2), 3.0).step.round(9).tolist()
        [-0.5, -0.5]
    """
    g = np.asarray(gradient, np.float64)
    size = float(np.linalg.norm(g))
    diagonal, rows = matrix.diagonal(), np.asarray(abs(matrix).sum(axis=1)).ravel()
    norm = float(rows.max(initial=0.0))
    if np.any(idle := (rows == 0) & (g == 0)) and not np.all(idle):
        return _of_the_others(matrix, g, radius, ~idle, eps)
    factor = factorised(matrix)
    definite = factor is not None
    work, best, shift = 1, None, 0.0
    low = max(0.0, -float(diagonal.min(initial=0.0)), size / radius - norm)
    high = size / radius + norm * (1 + 1e-12) + 1e-300
    p = None if factor is None else -factor.solve(g)
    if factor is None or factor.least <= 10 * ROUNDED * eps * norm:
        work += 1
        short = _without_slope(matrix, g, ROUNDED * eps * norm, radius)
        if short is not None:
            found = _made(matrix, g, short, 0.0, bool(np.linalg.norm(short) < radius), definite, work)
            whole = None if p is None or np.linalg.norm(p) > radius else _made(matrix, g, p, 0.0, True, definite, work)
            return found if whole is None or not whole.predicted > (1 + FLAT) * found.predicted else whole
    if p is not None and np.linalg.norm(p) <= radius * (1 + EASY):
        return _made(matrix, g, p, 0.0, bool(np.linalg.norm(p) < radius), True, work)
    for _ in range(ROUNDS):
        if factor is None:
            low = max(low, shift)
        else:
            p = -factor.solve(g)
            length = float(np.linalg.norm(p))
            if best is None or abs(length - radius) < abs(float(np.linalg.norm(best)) - radius):
                best = p
            if abs(length - radius) <= EASY * radius:
                return _made(matrix, g, p, shift, False, definite, work)
            if length < radius:
                high = min(high, shift)
                full, lowest = _lengthened(matrix, factor, p, shift, radius)
                if full is not None:
                    longer, own = (_made(matrix, g, each, shift, False, definite, work) for each in (full, p))
                    return longer if longer.predicted > (1 + FLAT) * own.predicted else replace(own, inside=True)
                low = max(low, shift - lowest)
            else:
                low = max(low, shift)
            shift = _better(factor, p, length, radius, shift)
        if not low < shift < high:
            with np.errstate(invalid="ignore", over="ignore"):  # of a matrix whose rows overflow
                shift = max(np.sqrt(low * high), low + 0.01 * (high - low))
        factor = factorised(matrix, shift)
        work += 1
    p = -g * (radius / size) if best is None and size else np.zeros_like(g) if best is None else best
    return _made(matrix, g, p * min(1.0, radius / max(float(np.linalg.norm(p)), 1e-300)), shift, False, definite, work)


def _without_slope(matrix: Matrix, g: Array, shift: float, radius: float) -> Array | None:
    """A short step in the ball after which the model has no slope; None where none is seen with so small a shift.

    Of p = -(H + shift I)^-1 g the slope that is left is -shift p, and where H + shift I is positive definite no other
    step in the ball is lower by more than shift (radius^2 - |p|^2) / 2.
    """
    factor = factorised(matrix, shift)
    if factor is None:
        return None
    p = -factor.solve(g)
    length = float(np.linalg.norm(p))
    return p if length <= radius and shift * length <= LEFT * float(np.linalg.norm(g)) else None


def _of_the_others(matrix: Matrix, g: Array, radius: float, used: Array, eps: float) -> ModelStep:
    """The step in the parameters that the model depends on; the others stay where they are."""
    part = exact_step(matrix[used][:, used], g[used], radius, eps)
    step = np.zeros_like(g)
    step[used] = part.step
    return replace(part, step=step, definite=False)


def _better(factor: Factor, p: Array, length: float, radius: float, shift: float) -> float:
    """One step of Newton's method on 1/|p(shift)| = 1/radius."""
    if length == 0.0:
        return -1.0
    slope = float(p @ factor.solve(p))
    return shift + length**2 / slope * (length - radius) / radius if slope > 0 else -1.0


def _lengthened(matrix: Matrix, factor: Factor, p: Array, shift: float, radius: float) -> tuple[Array | None, float]:
    """In the hard case p + t z, z near the lowest eigenvector; and z'(H + shift I) z, which bounds the lowest shift."""
    z = np.random.default_rng(0).standard_normal(len(p))
    for _ in range(4):
        z = factor.solve(z / np.linalg.norm(z))
    z /= np.linalg.norm(z)
    lowest = float(z @ (matrix @ z)) + shift
    t = _to_the_edge(p, z, radius)
    other = _to_the_edge(p, -z, radius)
    t = t if abs(t) <= abs(other) else -other
    decrease = float(p @ (matrix @ p)) + shift * float(p @ p) + shift * radius**2
    return (p + t * z if t * t * lowest <= HARD * decrease else None), lowest


def _to_the_edge(p: Array, direction: Array, radius: float) -> float:
    """The largest t with |p + t direction| <= radius, for |p| <= radius."""
    a, b = float(direction @ direction), float(p @ direction)
    c = radius**2 - float(p @ p)
    root = np.sqrt(max(b * b + a * c, 0.0))
    return c / (b + root) if b > 0 else (root - b) / a


def _made(matrix: Matrix, g: Array, p: Array, shift: float, inside: bool, definite: bool, work: int) -> ModelStep:
    predicted = -float(g @ p) - 0.5 * float(p @ (matrix @ p))
    return ModelStep(p, predicted, float(shift), inside, definite, work)


def conjugate_step(
    product: Callable[[Array], Array],
    gradient: Array,
    radius: float,
    *,
    tolerance: float = 0.1,
    most: int | None = None,
) -> ModelStep:
    """A step in the ball by conjugate gradients, never worse than the best along the gradient.

    Args:
        product: v -> H v.
        gradient: g.
        radius: positive.
        tolerance: of the residual, relative to the gradient.
        most: how many products at most; by default 2 n + 10.

    Example:
        >>> import numpy as np
        >>> found = conjugate_step(lambda v: np.array([2.0, 4.0]) * v, np.array([2.0, 4.0]), 10.0, tolerance=1e-9)
        >>> found.step.round(9).tolist(), found.inside, found.work
        ([-1.0, -1.0], True, 2)
    """
    g = np.asarray(gradient, np.float64)
    p, r = np.zeros_like(g), g.copy()  # r = g + H p
    d, rr = -r, float(r @ r)
    goal = tolerance**2 * rr
    work, inside, definite = 0, True, True
    for _ in range(2 * len(g) + 10 if most is None else most):
        if rr <= goal or rr == 0.0:
            break
        hd = np.asarray(product(d), np.float64)
        work += 1
        bend = float(d @ hd)
        if not np.isfinite(bend):
            break
        t = rr / bend if bend > 0 else np.inf
        definite = definite and bend > 0
        if bend <= 0 or length_of_sum(p, t, d) >= radius:
            t, inside = _to_the_edge(p, d, radius), False
            add(p, t, d)
            add(r, t, hd)
            break
        add(p, t, d)
        add(r, t, hd)
        rr, before = float(r @ r), rr
        d *= rr / before
        d -= r
    return ModelStep(p, -0.5 * float(p @ (g + r)), float("nan"), inside, definite, work)
