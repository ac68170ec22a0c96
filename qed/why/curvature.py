"""How steep the loss is at a point, in which parameters, and which step is stable there."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from qed.calculus.hessian import flatten, hessian_product, unflatten
from qed.calculus.lanczos import EigenPair, steepest
from qed.calculus.shares import shares as named
from qed.optimization.step import StepRule
from qed.why.prepare import Prepared

DIRECTIONS, FEWEST, ROOM = 30, 6, 512 << 20
"""How many directions the search keeps, how many at least, and how many bytes they may take."""


def fits(size: int) -> bool:
    """Whether the directions that the search needs at least, of so many float64 numbers each, may be kept."""
    return 8 * FEWEST * size <= ROOM


@dataclass(frozen=True, eq=False)
class Steepness:
    """The steepest curvature at a point and what follows from it for a step rule.

    Args:
        pair: the eigenpair with its residual bound.
        limit: the largest stable step there; inf where the curvature is not positive, None without a rule
            whose limit has a closed form.
        growth: by which factor one step of the user's multiplies an error in the stiffest direction.
        shares: (name, share of the squared norm) of the parameters that make up the direction, largest first.
        product: v -> H v at this point.
    """

    pair: EigenPair
    limit: float | None
    growth: float | None
    shares: tuple[tuple[str, float], ...]
    product: Callable[[np.ndarray], np.ndarray]

    @property
    def relative_residual(self) -> float:
        """The residual as a fraction of the eigenvalue."""
        return self.pair.residual / abs(self.pair.value) if self.pair.value else math.inf


class Curvature:
    """Measures steepness with one compiled Hessian-vector product."""

    def __init__(self, prepared: Prepared, loss: Callable[..., Any], seed: int = 0) -> None:
        self.prepared = prepared
        self.seed = seed
        self._product = hessian_product(loss, equations=prepared.graph.count())
        self._gradient = jax.jit(jax.grad(loss))

    def gradient(self, parameters: Sequence[Any], data: Sequence[Any]) -> tuple[Any, ...]:
        """The gradient at a point."""
        return self._gradient(tuple(parameters), tuple(data))

    def product(self, parameters: Sequence[Any], data: Sequence[Any]) -> Callable[[np.ndarray], np.ndarray]:
        """v -> H v at a point."""
        current, values = tuple(parameters), tuple(data)
        return lambda vector: flatten(self._product(current, values, unflatten(vector, current)))

    def at(
        self,
        parameters: Sequence[Any],
        data: Sequence[Any],
        rule: StepRule | None,
        *,
        stop: Callable[[], bool] = lambda: False,
        seed: int | None = None,
    ) -> Steepness:
        """The steepness at a point."""
        current, product = tuple(parameters), self.product(parameters, data)
        size = sum(int(np.prod(p.shape, dtype=np.int64)) for p in current)
        try:
            most = max(FEWEST, min(DIRECTIONS, ROOM // (8 * max(1, size))))
            pair = steepest(product, size, most=most, stop=stop, seed=self.seed if seed is None else seed)
        except NotImplementedError:
            pair = EigenPair(math.nan, math.inf, np.zeros(size), 0, math.nan, finite=False)
        known = rule is not None and rule.is_gradient_descent and pair.finite
        limit = rule.limit(pair.value) if known and rule is not None else None
        growth = rule.growth(pair.value) if known and rule is not None else None
        return Steepness(pair, limit, growth, shares(pair.vector, self.prepared) if pair.finite else (), product)


def shares(vector: np.ndarray, prepared: Prepared, most: int = 3) -> tuple[tuple[str, float], ...]:
    """Which parameters a unit vector consists of, with the user's names (`qed.calculus.shares`)."""
    shapes = [np.shape(value) for value in prepared.parameters]
    return named(vector, prepared.paths, shapes, prepared.axis_names, most)
