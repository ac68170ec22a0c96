"""What rounding does to Hessian products, however their terms cancel.

A product is as exact as float64 only where nothing large cancels in it. The softmax of (0, 1, 2, 30) is 1 - 3e-12 at
its last place, s (1 - s) is then 3e-12 with the rounding error of 1, and so is the Hessian of log-sum-exp; that of
1e16 x^2 + x^2 - 1e16 x^2 is computed as 0 at each point. So the equations of the product itself, with its point and
its vector as numbers like all others, are walked through

- in intervals (`qed.domains.interval`), which hold the product of real numbers, underflow included. They are short
  where a program is shallow, and cheap where it is small;
- otherwise with roundings that are drawn at random and larger than they are (`qed.domains.jittered`): also those of a
  program that no arithmetic but its own can run.

With E the errors of the products as a matrix, and e a vector of independent random numbers of mean 0 and variance 1,
|E e|^2 has the mean |E|_F^2, by which no eigenvalue and no entry is further off (Weyl; Horn and Johnson, *Matrix
Analysis*, 2nd ed., 2013, corollary 4.3.15). The numbers are of random signs and sizes: products with 1 and -1 do not
round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.calculus.compiling import seldom
from qed.calculus.gradient.kept import differentiable
from qed.calculus.hessian import flatten, unflatten
from qed.calculus.lanczos import length
from qed.domains.cost import Count, count
from qed.domains.interval import Interval
from qed.domains.intervals import Intervals
from qed.domains.jittered import WIDER, Jittered
from qed.domains.widened import Widened, widen
from qed.errors import QedError
from qed.graph.dtypes import unit_roundoff
from qed.graph.function import Function
from qed.graph.trace import Traced, trace
from qed.graph.walk import TooLong, Unknown, Walker

Array = np.ndarray
Product = Callable[[Any, Any], Any]
OPERATIONS, STEPS = 2e6, 2500
"""How many operations intervals are asked for, and in how many equations, the steps of loops counted one by one."""
LONG = 4000
"""Up to how many equations the product with random roundings is compiled."""
SHORT = 1e-6
"""Which part of a product its error may be for intervals to be taken as they are."""
PROBES, DRAWS = 2, 4
SAFETY = 10.0
"""By how much errors that were drawn at random are multiplied."""


def probes(rows: int, size: int, seed: int) -> Array:
    """Random vectors as rows: signs times numbers between 1/2 and 3/2, scaled to a variance of 1.

    >>> found = probes(4, 1000, 0)
    >>> bool(abs(np.mean(found**2) - 1) < 0.1), bool(np.min(np.abs(found)) > 0.4)
    (True, True)
    """
    rng = np.random.default_rng(seed)
    return rng.choice([-1.0, 1.0], (rows, size)) * rng.uniform(0.5, 1.5, (rows, size)) / np.sqrt(13 / 12)


class Roundings:
    """How far products in float64 are from those of real numbers.

    Args:
        product: (point, direction) -> the product, tuples of arrays; traced under `jax.enable_x64`.
        point: the point.
        unit: the unit roundoff, if the products are computed in another format; intervals are not asked then.

    >>> from qed.graph.function import read
    >>> lost = Roundings.of(read(lambda x: 1e16 * x**2 + x**2 - 1e16 * x**2, 1.0))
    >>> low, high = lost.bounds(np.ones((1, 1)))
    >>> bool(low[0, 0] <= 2.0 <= high[0, 0]), bool(2.0 <= lost.size < 10.0)
    (True, True)
    """

    def __init__(self, product: Product, point: Sequence[Any], unit: float | None = None) -> None:
        self.point = tuple(point)
        self.unit = unit
        self.count = sum(p.size for p in self.point)
        self.product = product

    @classmethod
    def of(cls, function: Function) -> Roundings:
        """Those of the Hessian products of a function at its point."""
        with jax.enable_x64(True):
            point = tuple(widen(p) for p in function.parameters)
            data = tuple(widen(leaf) for leaf in function.data)

        run = differentiable(function.graph)

        def value(p: Any) -> jax.Array:
            return run(function.graph, function.join(p, data))[0]

        return cls(lambda p, v: jax.jvp(jax.grad(value), (p,), (v,))[1], point)

    @classmethod
    def in_its_arithmetic(cls, function: Function) -> Roundings:
        """Those of the Hessian products that the program makes itself, its own derivative rules among them."""

        def product(p: Any, v: Any) -> Any:
            return jax.jvp(jax.grad(function.value), (p,), (v,))[1]

        unit = max((unit_roundoff(p.dtype) for p in function.parameters if p.size), default=2.0**-53)
        return cls(product, function.parameters, unit)

    @cached_property
    def _traced(self) -> Traced | None:
        with jax.enable_x64(True) if self.unit is None else nullcontext():
            try:
                return trace(self.product, self.point, self.point)
            except (TypeError, ValueError, NotImplementedError):  # no product, or none that can be followed
                return None

    @cached_property
    def _work(self) -> Count:
        return Count() if self._traced is None else count(self._traced.graph, ())

    def bounds(self, vectors: Array) -> tuple[Array, Array] | None:
        """Bounds of the products with the rows of (count, n); None where intervals are too dear, or have no rule."""
        traced, rows = self._traced, len(vectors)
        if (
            traced is None
            or self.unit is not None
            or self._work.value * rows > OPERATIONS
            or self._work.equations > STEPS
        ):
            return None
        given = [Intervals.point(np.asarray(p)[None]) for p in self.point]
        shapes = [np.empty((rows, *p.shape)) for p in self.point]
        columns = np.split(np.asarray(vectors, np.float64), np.cumsum([p.size for p in self.point])[:-1], axis=1)
        given += [Intervals.point(part.reshape(like.shape)) for part, like in zip(columns, shapes, strict=True)]
        try:
            with jax.enable_x64(True), np.errstate(all="ignore"):
                cells = Walker([Interval(1)], limit=STEPS).run(traced.graph, given)
        except (TooLong, QedError, NotImplementedError):
            return None
        found = [cell.values[0] for cell in cells]
        if any(isinstance(one, Unknown) for one in found):
            return None
        ends = [
            np.concatenate([np.broadcast_to(end(one), like.shape).reshape(rows, -1) for one, like in pairs], axis=1)
            for end in (lambda one: one.lower, lambda one: one.upper)
            for pairs in [list(zip(found, shapes, strict=True))]
        ]
        return (ends[0], ends[1]) if np.all(np.isfinite(ends)) else None

    @cached_property
    def size(self) -> float:
        """By how much an eigenvalue or an entry may be off; 0 where it is not asked."""
        if self._traced is None or not self.count:
            return 0.0
        found = self.bounds(probes(PROBES, self.count, 0))
        if found is None:
            return self._drawn
        wide = max(length(high - low) for low, high in zip(*found, strict=True))
        most = max(length((high + low) / 2) for low, high in zip(*found, strict=True))
        return wide if wide <= SHORT * most else min(wide, self._drawn or wide)

    def beside(self, vectors: Array, images: Array) -> Array:
        """How far the products `images` with `vectors`, one a row, may be from the real ones."""
        found = self.bounds(vectors)
        if found is None:
            return np.full(len(vectors), self.size) * [float(np.linalg.norm(v)) for v in vectors]
        away = np.maximum(found[1] - images, images - found[0])
        errors = np.array([length(row) for row in away])
        sizes = [length(np.asarray(image, float)) for image in images]
        for i in np.flatnonzero(errors > SHORT * np.array(sizes)):
            errors[i] = min(errors[i], self.size * float(np.linalg.norm(vectors[i])))
        return errors

    @cached_property
    def _drawn(self) -> float:
        """The same from roundings that are drawn at random; 0 where the product is too long to compile."""
        if self._traced is None or self._traced.graph.count() > LONG:
            return 0.0
        graph = self._traced.graph
        found = []
        with jax.enable_x64(True), np.errstate(all="ignore"):
            plain = seldom(lambda inputs: Widened()(graph, inputs))
            unit = 2.0**-53 if self.unit is None else self.unit
            drawn = seldom(lambda draw, inputs: Jittered(draw, unit)(graph, inputs))
            for draw, probe in enumerate(probes(DRAWS, self.count, 1)):
                inputs = (*self.point, *unflatten(probe, self.point))
                away = flatten(drawn(jnp.int64(draw), inputs)) - flatten(plain(inputs))
                found.append(length(away))
        size = SAFETY / WIDER * length(np.array(found)) / float(np.sqrt(DRAWS))
        return size if np.isfinite(size) else float("inf")
