"""How steep the loss is at a point, in which parameters, and which step is stable there."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from qed.calculus.hessian import flatten, hessian_product, unflatten
from qed.calculus.spectrum import EigenPair, steepest
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
    """Which parameters a unit vector consists of: the axis along which it is most concentrated, with its names.

    For a matrix the rows, the columns and the single entries are looked at; for others the whole array or its
    entries. What is named explains the largest share with one name.
    """
    found: list[tuple[str, float, bool]] = []
    start = 0
    for path, value, names in zip(prepared.paths, prepared.parameters, prepared.axis_names, strict=True):
        size = int(np.prod(value.shape, dtype=np.int64))
        part = np.square(vector[start : start + size]).reshape(value.shape)
        start += size
        found += _of_array(part, path, names)
    found.sort(key=lambda item: -item[1])
    return tuple((name, share) for name, share, _ in found[:most])


def _of_array(part: np.ndarray, path: str, names: Any) -> list[tuple[str, float, bool]]:
    total = float(part.sum())
    if part.ndim == 0 or part.size == 1:
        return [(_label(path, names, part.ndim, {}, part.shape), total, False)]
    candidates = []
    for axis in range(part.ndim):
        along = part.sum(axis=tuple(i for i in range(part.ndim) if i != axis))
        uniform = total / along.size
        candidates.append((float(along.max()) - uniform, axis, along))
    _, axis, along = max(candidates, key=lambda c: (c[0], -c[1]))
    order = np.argsort(-along, kind="stable")[:3]
    if total > 0 and along[order[0]] < 0.3 * total:  # spread out: the array as a whole says more
        return [(path, total, False)]
    return [(_label(path, names, part.ndim, {axis: int(i)}, part.shape), float(along[i]), True) for i in order]


def _label(path: str, names: Any, ndim: int, where: dict[int, int], shape: tuple[int, ...]) -> str:
    for axis, index in where.items():
        if names is not None and axis < len(names) and names[axis] is not None:
            return f"{path} '{names[axis][index]}'" if ndim == 1 else names[axis][index]
    if not where:
        return path
    text = ", ".join(str(where[axis]) if axis in where else ":" for axis in range(ndim))
    return f"{path}[{text}]"
