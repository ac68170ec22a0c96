"""Slopes that rounding hides, values that overflow: gradient and value in balls, of as many bits as its parts need.

Far out, tanh is -1 to all digits that a float has, and its slope there, 4 exp(2x), is lost in 1 - tanh^2. In balls of
more bits it has a sign. Reference: Johansson, *Arb: efficient arbitrary-precision midpoint-radius interval arithmetic*,
IEEE Trans. Comput. 66, 2017.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.domains.ball_boxes import BallBoxes, NotSmooth
from qed.domains.precision import precision
from qed.graph.walk import TooLong
from qed.optimization.objective import Objective, Seen

Array = np.ndarray
MOST, WORK = 32, 20_000
"""For how many parameters, and how many numbers of the program times the parameters, balls are asked."""
ROUNDINGS = 100
"""How many roundings of a value a slope may be and still be hidden."""
PRECISIONS = (128, 512, 2048)


@dataclass(frozen=True, eq=False)
class Fine:
    """A gradient as balls know it.

    Args:
        unit: its direction.
        logarithm: of its length, to the base 10.
    """

    unit: Array
    logarithm: float


def looks(objective: Objective) -> bool:
    """Whether the function is small enough to be asked in balls."""
    function = objective.function
    loops = any(equation.primitive in ("while", "scan") for equation in function.graph.walk())
    return not loops and function.size <= MOST and function.graph.numbers() * function.size <= WORK


def _balls(objective: Objective, x: Array, directions: Array, bits: int) -> list[Any] | None:
    try:
        rows = BallBoxes(objective.function.traced, bits=bits).series(x, x, directions, 1)[1]
    except (NotSmooth, NotImplementedError, TooLong):
        return None
    return [row[1] for row in rows]


def fine_gradient(objective: Objective, x: Array) -> Fine | None:
    """The direction of the gradient, each of its parts known well or negligible; None where balls do not tell it.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.function import read
        >>> objective = Objective(read(lambda x: jnp.tanh(x[0]), jnp.array([-20.0])))
        >>> fine = fine_gradient(objective, np.array([-20.0]))
        >>> float(objective.at(np.array([-20.0])).g[0]), fine.unit.tolist(), round(fine.logarithm, 2)
        (0.0, [1.0], -16.77)
    """
    if not looks(objective):
        return None
    for bits in PRECISIONS:
        found = _balls(objective, x, np.eye(len(x)), bits)
        if found is None:
            return None
        with precision(bits) as flint:
            known = [abs(part).abs_lower() for part in found]
            most = max(known)
            if all(float(part.abs_upper()) == 0.0 and part == 0 for part in found):
                return None
            if not most > 0:
                continue
            if all(part.rad() <= most * flint.arb(1e-6) for part in found):
                parts = np.array([float(part.mid() / most) for part in found])
                length = float(np.linalg.norm(parts))
                return Fine(parts / length, float(most.log()) / math.log(10) + math.log10(length))
    return None


def highest(objective: Objective, x: Array) -> float:
    """An upper bound of the value at a point in balls, which no number overflows; inf where they do not tell it.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.function import read
        >>> objective = Objective(read(lambda x: x[0] + x[1] / jnp.exp(x[0]), jnp.zeros(2)))
        >>> objective.at(np.array([-800.0, 0.0])).f, highest(objective, np.array([-800.0, 0.0]))
        (nan, -800.0)
    """
    try:
        point = objective.rounded(x)
        return float(BallBoxes(objective.function.traced).range(point, point)[1])
    except (NotSmooth, NotImplementedError, TooLong):
        return np.inf


def slope_sign(objective: Objective, x: Array, direction: Array) -> tuple[int, float] | None:
    """The sign of the slope along a direction and the logarithm of its size to the base 10; None where not told."""
    for bits in PRECISIONS:
        found = _balls(objective, x, direction[None], bits)
        if found is None:
            return None
        with precision(bits):
            if found[0].abs_lower() > 0:
                return (1 if found[0] > 0 else -1), float(abs(found[0]).log()) / math.log(10)
    return None


def hidden_gradient(objective: Objective, here: Seen) -> Fine | None:
    """The gradient in balls, where it and the one in floats are no more than rounding of f, or of a value of size 1."""
    size = max(1.0, float(np.linalg.norm(here.x)))
    seen = ROUNDINGS * objective.eps * max(1.0, abs(here.f))
    if float(np.linalg.norm(here.g)) * size > seen:
        return None
    fine = fine_gradient(objective, here.x)
    return fine if fine is not None and fine.logarithm + math.log10(size) <= math.log10(seen) else None
