"""The gradient is the direction of steepest ascent: slopes in all directions, measured.

The slope of f at x in a unit direction d is the derivative of f(x + t d) at t = 0; where f is differentiable it is

    grad f . d = |grad f| cos(angle between grad f and d) <= |grad f|,

with equality only along the gradient. The prediction uses the gradient (one reverse sweep); the observation uses none:
each slope is its own forward derivative along d. Reference: Spivak, *Calculus on Manifolds* (1965), chapter 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.calculus.compiling import made_for
from qed.calculus.hessian import flatten, unflatten
from qed.graph.dtypes import unit_roundoff
from qed.graph.function import Function


@dataclass(frozen=True, eq=False)
class Ascent:
    """Slopes along random unit directions beside what the gradient predicts for them.

    Args:
        norm: |grad f|, the slope along the gradient as predicted.
        along: the slope along the gradient as observed.
        cosines: of the angles between the gradient and the directions.
        slopes: as observed along the directions.
        seed: of the directions.
        tolerance: how far slopes may be off by rounding.
        method: how the slopes were observed.
    """

    norm: float
    along: float
    cosines: np.ndarray
    slopes: np.ndarray
    seed: int
    tolerance: float
    method: str

    @property
    def deviation(self) -> float:
        """The largest difference between a slope and |grad f| cos(angle)."""
        return float(np.max(np.abs(self.slopes - self.norm * self.cosines)))

    @property
    def steepest(self) -> float:
        """The largest of the slopes along random directions."""
        return float(np.max(self.slopes))

    @property
    def holds(self) -> bool:
        """Whether every slope is as predicted and none is larger than |grad f|."""
        return self.deviation <= self.tolerance and self.steepest <= self.norm + self.tolerance


def ascent(function: Function, gradient: np.ndarray, count: int = 100, seed: int = 0) -> Ascent | None:
    """Slopes along random unit directions; None where the gradient is zero or not finite.

    Example:
        >>> from qed.graph.function import read
        >>> found = ascent(read(lambda x: jnp.sum(x * x), jnp.array([3.0, 4.0])), np.array([6.0, 8.0]))
        >>> found.norm, found.holds, found.steepest < 10
        (10.0, True, True)
    """
    norm = float(np.linalg.norm(gradient))
    if not 0 < norm < np.inf:
        return None
    unit = gradient / norm
    slope, method = _slope_along(function, unit)
    rng, slopes, cosines = np.random.default_rng(seed), [], []
    for _ in range(count):  # one direction at a time: all of them may not fit
        direction = rng.standard_normal(gradient.size)
        direction /= np.linalg.norm(direction)
        slopes.append(slope(direction))
        cosines.append(float(direction @ unit))
    along = slope(unit)
    if not np.all(np.isfinite([*slopes, along])):
        return None
    epsilon = max(unit_roundoff(p.dtype) for p in function.parameters)
    tolerance = norm * (200 * epsilon * np.sqrt(gradient.size) if method == "forward" else 50 * np.sqrt(epsilon))
    return Ascent(norm, along, np.array(cosines), np.array(slopes), seed, float(tolerance), method)


def _slope_along(function: Function, first: np.ndarray) -> tuple[Callable[[np.ndarray], float], str]:
    """The forward derivative along a direction; a central difference where a function has no forward derivative."""
    parameters = function.parameters

    @partial(made_for, function, calls=10)
    def compiled(direction: Any) -> Any:
        return jax.jvp(lambda p: function.value(p), (parameters,), (direction,))[1]

    def forward(direction: np.ndarray) -> float:
        return float(compiled(unflatten(direction, parameters)))

    try:
        forward(first)
    except (TypeError, ValueError, NotImplementedError):
        return _difference(function), "differences"
    return forward, "forward"


def _difference(function: Function) -> Callable[[np.ndarray], float]:
    parameters = function.parameters
    start = flatten(parameters)
    epsilon = max(unit_roundoff(p.dtype) for p in parameters)
    h = float(epsilon ** (1 / 3)) * max(1.0, float(np.linalg.norm(start)))
    value = jax.jit(lambda p: jnp.asarray(function.value(p)))

    def central(direction: np.ndarray) -> float:
        right, left = (unflatten(start + sign * h * direction, parameters) for sign in (1, -1))
        return (float(value(right)) - float(value(left))) / (2 * h)

    return central
