"""The iterates of a method, in float64, and the point without slope that they lead to.

Gradient descent, the heavy ball and Nesterov's method take steps of one size, with the constants that are the best for
the curvatures from m to L (Polyak, *Introduction to Optimization*, 1987, section 3.2):

    2 / (L + m);      4 / (sqrt L + sqrt m)^2 with the momentum ((sqrt k - 1) / (sqrt k + 1))^2;
    1 / L with the momentum (sqrt k - 1) / (sqrt k + 1),      k = L / m.

Newton's method needs none. The limit is found by Newton's method too, from where a run ended: its last step must be
short, so that a run towards infinity, whose gradient fades, has none.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from qed.optimization.bounds import Bounds
from qed.optimization.objective import Wide
from qed.optimization.step import StepRule

Array = np.ndarray
POLISH = 80
"""How many Newton steps the limit is refined by."""
STILL = 1e-9
"""Which part of the first step is none."""
ROUNDED, NEAR = 1e-14, 1e-7
"""Which part of the largest singular value is rounding, and how long the last step to the limit may be."""


def at(wide: Wide, x: Array) -> tuple[float, Array]:
    """Value and gradient."""
    seen = wide.at(x)
    return seen.f, seen.g


def descended(wide: Wide, x: Array, steps: int) -> Array:
    """A point farther down: damped Newton steps, and steps against the gradient where they do not go down."""
    f, g = at(wide, x)
    for _ in range(min(steps, POLISH)):
        values, vectors = np.linalg.eigh(wide.matrix(x))
        shrunk = np.maximum(np.abs(values), 1e-8 * max(float(np.max(np.abs(values))), 1e-300))
        direction, t = -vectors @ ((vectors.T @ g) / shrunk), 1.0
        while t > 1e-12:
            value, slope = at(wide, x + t * direction)
            if value < f and np.all(np.isfinite(slope)):
                break
            t /= 2
        else:
            return x
        x, f, g = x + t * direction, value, slope
    return x


def polished(wide: Wide, x: Array) -> Array | None:
    """The point without slope that Newton's method finds from here; None where its steps do not become small."""
    _, g = at(wide, x)
    size = float(np.linalg.norm(g))
    for _ in range(POLISH):
        if size == 0:
            return x
        move = np.linalg.lstsq(wide.matrix(x), g, rcond=ROUNDED)[0]
        _, slope = at(wide, x - move)
        now = float(np.linalg.norm(slope))
        if not now < size:
            break
        x, g, size = x - move, slope, now
    left = np.linalg.lstsq(wide.matrix(x), g, rcond=ROUNDED)[0]
    return x if float(np.linalg.norm(left)) <= NEAR * max(1.0, float(np.linalg.norm(x))) else None


def limit_of(wide: Wide, x: Array, steps: int) -> Array | None:
    """The point without slope that the run leads to."""
    found = polished(wide, x)
    return polished(wide, descended(wide, x, steps)) if found is None else found


def minimum_within(wide: Wide, region: Bounds, m: float, steps: int) -> bool:
    """Whether the minimum is in a region where no curvature is below m: within 2 |grad f(c)| / m of the limit c."""
    limit = limit_of(wide, wide.start, steps)
    if limit is None:
        return False
    away = 2 * float(np.linalg.norm(at(wide, limit)[1])) / m
    return bool(np.all(limit - away >= region.lower) and np.all(limit + away <= region.upper))


def constants(name: str, positive: Array, scale: float) -> tuple[StepRule, float]:
    """The rule and its step that are the best for the curvatures."""
    if not positive.size:
        return StepRule("sgd"), 1.0 / scale
    low, high = float(positive[0]), float(positive[-1])
    root = math.sqrt(high / low)
    if name == "heavy ball":
        factor = (root - 1) / (root + 1)
        return StepRule("sgd", None, (("momentum", factor**2),)), 4 / (math.sqrt(high) + math.sqrt(low)) ** 2
    if name == "nesterov":
        return StepRule("sgd", None, (("momentum", (root - 1) / (root + 1)), ("nesterov", True))), 1 / high
    return StepRule("sgd"), 2 / (low + high)


def fixed(wide: Wide, x: Array, rule: StepRule, step: float, steps: int) -> list[Array]:
    """The points of a method whose step and momentum are fixed."""
    path, velocity = [x], np.zeros_like(x)
    for _ in range(steps):
        _, g = at(wide, x)
        velocity = rule.momentum * velocity + g
        x = x - step * (g + rule.momentum * velocity if rule.nesterov else velocity)
        path.append(x)
    return path


def newton(wide: Wide, x: Array, steps: int) -> list[Array]:
    """The points of Newton's method, up to one that is not finite."""
    path = [x]
    for _ in range(steps):
        _, g = at(wide, x)
        x = x - np.linalg.lstsq(wide.matrix(x), g, rcond=1e-14)[0]
        path.append(x)
        if not np.all(np.isfinite(x)):
            break
    return path


def cycling(wide: Wide, path: list[Array]) -> bool:
    """Whether the iterates of a run still move at its end, and lie no lower than halfway."""
    moves = float(np.linalg.norm(path[-1] - path[-2])) > STILL * float(np.linalg.norm(path[1] - path[0]))
    return moves and not at(wide, path[-1])[0] < at(wide, path[len(path) // 2])[0]


def ran_away(wide: Wide, path: list[Array]) -> str | None:
    """What a run did that went up in longer and longer steps; None of one that did not.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> wide = Wide(read(lambda x: jnp.log1p(x[0] ** 2), np.array([1.5])))
    >>> ran_away(wide, newton(wide, wide.start, 4))
    'in 4 steps f rises from 1.179 to 7.622, and the last of them is 22.6 long, the first 3.9'
    """
    moves = [float(np.linalg.norm(b - a)) for a, b in pairwise(path)]
    first, last = at(wide, path[0])[0], at(wide, path[-1])[0]
    if not (last > first and moves[-1] >= moves[0] > 0):
        return None
    return (
        f"in {len(moves)} steps f rises from {first:.4g} to {last:.4g}, and the last of them is {moves[-1]:.3g} long, "
        f"the first {moves[0]:.3g}"
    )
