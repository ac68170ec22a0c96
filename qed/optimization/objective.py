"""A loss as the loop of a minimisation sees it: one compiled call for value and gradient, counted, as float64 vectors.

The *noise* of a value is how much of it is rounding: a few units in the last place of the value, or more where values
at points that differ in the last digits scatter more. A decrease below the noise cannot be seen in values; the gradient
is still exact there, which is why acceptance then looks at gradients (Hager and Zhang, *A new conjugate gradient method
with guaranteed descent and an efficient line search*, SIAM J. Optim. 16, 2005, section 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np

from qed.calculus.compiling import made_for, work
from qed.calculus.gradient.either import value_and_gradient
from qed.calculus.gradient.kept import in_float64
from qed.calculus.hessian import cut, flatten, hessian_product, unflatten
from qed.domains.cost import count
from qed.domains.widened import is_narrow
from qed.graph.function import Function
from qed.graph.trace import is_float
from qed.graph.untraceable import not_differentiable
from qed.optimization.cornered import has_corners
from qed.optimization.differences import mended, settled
from qed.optimization.least_squares import SumOfSquares, sum_of_squares
from qed.optimization.pieces import largest
from qed.optimization.second_order import DEAR, MEDIUM, PATTERN, SMALL, SecondOrder, second_order
from qed.optimization.together import NUMBERS, Together, together

Array = np.ndarray
SCATTER = 1000.0
"""Up to how many times its last digits a value is believed to scatter."""
FEW = 200
"""Up to how many parameters a run on a sum of squares makes two matrices at a point."""
FEWER = 4
"""By what factor the products of a second term are fewer than those of the Hessian where both terms are computed."""


def _dtypes(function: Function) -> list[Any]:
    """Those of the value and of the parameters."""
    return [function.graph.outputs[0].dtype, *(p.dtype for p in function.parameters)]


@dataclass(frozen=True, eq=False)
class Seen:
    """A point with the value and the gradient there."""

    x: Array
    f: float
    g: Array

    @property
    def finite(self) -> bool:
        """Whether value and gradient are finite."""
        return bool(np.isfinite(self.f) and np.isfinite(largest(self.g)))


class Objective:
    """A function that was read, to be evaluated at vectors; counts what it is asked for.

    `sizes` are those of the gradient along a run, a number a step; `scatter` is the relative noise of values where a
    search found it to be more than a few roundings; `beyond` is the last point asked for that is not finite; `idle` are
    directions along which f is the same everywhere, and `wide` is f in float64, once they were looked for; `straight`
    is a point and a direction along which a run saw f fall for ever, as its slope says, before it halted; `often` says
    that Hessians are asked at many points, `adaptive` that a run may choose between models of squares.
    """

    often = adaptive = False
    wide: Wide | None = None

    def __init__(self, function: Function) -> None:
        self.function = function
        self.counts = {"values": 0, "hessians": 0, "products": 0}
        self.sizes: list[float] = []
        self.scatter = 0.0
        self.beyond: Array | None = None
        self.together: Together | None = None
        self.idle: Array | None = None
        self.straight: tuple[Seen, Array] | None = None
        self._last: tuple[Array, Any] | None = None
        self._products: tuple[Array, Array] = (np.zeros(0), np.zeros((0, 0)))
        self._rows = np.zeros((0, 0))
        self._spoilt: tuple[Array, Array] = (np.zeros(0), np.zeros((0, 0)))
        both = value_and_gradient(lambda p, d: function.value(p, d))
        self._compiled = made_for(function, both)

    @property
    def start(self) -> Array:
        """The point at which the function was read."""
        return flatten(self.function.parameters)

    @cached_property
    def eps(self) -> float:
        """The largest unit roundoff among the parameters' and the value's dtypes."""
        return max(float(jax.numpy.finfo(kind).eps) for kind in _dtypes(self.function))

    @cached_property
    def underflow(self) -> float:
        """Below this, 4 times the smallest normal number of the dtypes, a slope may have become 0."""
        return 4 * max(float(jax.numpy.finfo(kind).tiny) for kind in _dtypes(self.function))

    @cached_property
    def cornered(self) -> bool:
        """Whether a corner or a jump may be met between the parameters and the value."""
        return has_corners(self.function)

    def arrays(self, x: Array) -> tuple[Any, ...]:
        """A vector as the arrays of parameters."""
        return unflatten(x, self.function.parameters)

    def tree(self, like: Any, x: Array) -> Any:
        """A vector as a tree like the argument; leaves that are no floating-point arrays are taken from there."""
        leaves, structure = jax.tree.flatten(like)
        parts = iter(self.arrays(x))
        return jax.tree.unflatten(structure, [next(parts) if is_float(leaf) else leaf for leaf in leaves])

    def rounded(self, x: Array) -> Array:
        """The vector as the parameters' dtypes hold it."""
        return flatten(cut(x, self.function.parameters))

    def at(self, x: Array, owned: bool = False) -> Seen:
        """Value and gradient at a vector, rounded to the dtypes of the parameters.

        An `owned` vector is nobody else's: where nothing is rounded it is the point itself, without a copy.
        """
        seen = self._at(x, owned)
        if not seen.finite:
            self.beyond = seen.x
        return seen

    def _at(self, x: Array, owned: bool) -> Seen:
        self.counts["values"] += 1
        arrays = cut(x, self.function.parameters, copy=False)
        if self.together is not None:
            found = self._together(arrays)
            if found is not None:
                return found
        try:
            f, g = self._compiled(arrays, self.function.data)
        except (TypeError, ValueError, NotImplementedError) as error:  # what JAX raises where a rule is missing
            raise not_differentiable(error, self.function.name, self.function.span) from error
        own = owned and all(np.shares_memory(part, x) for part in arrays if part.size)
        return Seen(x if own else flatten(arrays), float(f), flatten(g))

    def foresee(self) -> None:
        """Compute the Hessian with each value from now on, where one program for all is the cheapest to have."""
        try:
            squares = self.small_squares if self.adaptive else None
            self.together = together(self.function, self.curvature.hessian, None if squares is None else squares.at)
        except NotImplementedError:  # the gradient has no derivative
            self.together = None

    def _together(self, arrays: tuple[Array, ...]) -> Seen | None:
        """Value and gradient from the program for all, whose products are kept; None where it cannot be had."""
        assert self.together is not None
        try:
            f, g, products, rows = self.together(arrays, self.function.data)
        except (TypeError, ValueError, NotImplementedError):
            self.together = None
            return None
        self.counts["hessians"] += 1
        x = flatten(arrays)
        self._products, self._rows = (x, products), rows
        return Seen(x, float(f), flatten(g))

    @cached_property
    def curvature(self) -> SecondOrder:
        """How second derivatives are held."""
        return second_order(self.function, self.often)

    def matrix(self, x: Array) -> Any:
        """The Hessian, dense or sparse."""
        found = self._known(x)
        if found is None:
            found = self._made(x)
        if not isinstance(found, np.ndarray) or len(x) > SMALL:
            return found
        if not np.all(np.isfinite(found)):
            self._spoilt = np.array(x), found
        return mended(found, x, lambda at: self.at(at).g, self.eps)

    def dense(self, x: Array) -> Array:
        """The Hessian as an array of float64."""
        found = self.matrix(x)
        return np.asarray(found.toarray() if hasattr(found, "toarray") else found, np.float64)

    def _made(self, x: Array) -> Any:
        """The matrix made of products; that of the last point is kept where it is dear."""
        if self._last is not None and np.array_equal(self._last[0], x):
            return self._last[1].copy()
        self.counts["hessians"] += 1
        found = self.squares.whole(x) if self.squares is not None and self._in_two_terms else None
        found = self.curvature.matrix(cut(x, self.function.parameters)) if found is None else found
        if self.dear:
            self._last = np.array(x), found.copy()
        return found

    @cached_property
    def _in_two_terms(self) -> bool:
        """Whether the Hessian of a sum of squares is made of 2 J'C J and the second term, whose products are few."""
        hessian = self.curvature.hessian
        n = self.function.size
        if self.squares is None or hessian is None or 2 * hessian.products < n:
            return False
        if n * count(self.function.graph, self.function.traced.free).sweep > PATTERN:  # nor was that of f looked for
            return False
        bend = self.squares.bend
        return bend is not None and FEWER * bend.products <= hessian.products

    @cached_property
    def price(self) -> float:
        """How many operations a Hessian takes, made of products with no sum of squares behind it; else 0."""
        if self.function.size > MEDIUM:
            return 0.0
        try:
            kind, hessian = self.curvature.kind, self.curvature.hessian
        except NotImplementedError:  # the gradient has no derivative
            return 0.0
        if kind != "dense" or hessian is None or self.squares is not None:
            return 0.0
        return hessian.products * count(self.function.graph, self.function.traced.free).sweep

    @property
    def dear(self) -> bool:
        """Whether a Hessian is not made at each step, and not twice at a point."""
        return self.price > DEAR

    @cached_property
    def squares(self) -> SumOfSquares | None:
        """The sum of squares that the function is, where a Gauss-Newton matrix is much cheaper than the Hessian."""
        hessian = self.curvature.hessian
        if self.curvature.kind != "dense" or hessian is None or not hessian.symmetric:
            return None
        dear = hessian.products * self.function.graph.numbers() > NUMBERS
        return sum_of_squares(self.function) if dear else None

    @cached_property
    def small_squares(self) -> SumOfSquares | None:
        """The sum of squares that the function is, where its Hessian is cheap too and it has no corners."""
        hessian = self.curvature.hessian
        dense = self.curvature.kind == "dense" and hessian is not None and hessian.symmetric
        if not dense or self.squares is not None or self.function.size > FEW or self.cornered:
            return None
        return sum_of_squares(self.function)

    def first_order(self, x: Array) -> Array:
        """The Gauss-Newton matrix of a sum of squares; it counts as a Hessian where it is not made beside one."""
        squares = self.squares or self.small_squares
        assert squares is not None
        if self._rows.size and self._known(x) is not None:
            return squares.of_rows(self._rows)
        self.counts["hessians"] += 1
        return squares.matrix(x)

    def _known(self, x: Array) -> Any:
        """The matrix from the products that come with a value, computed if need be; None if they are asked apart."""
        if self.together is None:
            return None
        arrays = cut(x, self.function.parameters)
        if not np.array_equal(self._products[0], flatten(arrays)) and self._together(arrays) is None:
            return None
        hessian = self.curvature.hessian
        assert hessian is not None
        return self.curvature.held(hessian.read(self._products[1]))

    def computes(self, x: Array) -> bool:
        """Whether the second derivatives that the program computes are finite, so that no differences were taken."""
        found: Any = self._known(x)
        if found is None and self.dear:
            found = self._made(x)
        found = self.curvature.matrix(cut(x, self.function.parameters)) if found is None else found
        return bool(np.all(np.isfinite(found.data if hasattr(found, "nnz") else found)))

    def bends(self, x: Array) -> bool:
        """Whether `matrix` is the program's own at x, or from differences that hardly change with their steps."""
        at, spoilt = self._spoilt
        if not np.array_equal(at, x):
            return True
        return settled(spoilt, x, lambda moved: self.at(moved).g, self.eps)

    @cached_property
    def _product(self) -> Any:
        function = self.function
        return hessian_product(
            lambda p, d: function.value(p, d), equations=function.graph.count(), operations=work(function)
        )

    def product(self, x: Array, direction: Array) -> Array:
        """The Hessian times a vector."""
        self.counts["products"] += 1
        at, along = (cut(vector, self.function.parameters, copy=False) for vector in (x, direction))
        return flatten(self._product(at, self.function.data, along))

    def noise(self, f: float) -> float:
        """How much of a value is rounding at least."""
        return max(4 * self.eps, self.scatter) * max(abs(f), 1e-300)

    def look_for_noise(self, seen: Seen) -> None:
        """Measure the noise at a point where a search found no sense in the values; at most `SCATTER` roundings."""
        if not self.scatter:
            found = self.measured_noise(seen) / max(abs(seen.f), 1e-300)
            self.scatter = min(found, 4 * SCATTER * self.eps)

    def measured_noise(self, seen: Seen) -> float:
        """The scatter of values at points that differ from x in their last digits, less what the gradient explains."""
        rng = np.random.default_rng(0)
        rest = []
        for _ in range(4):
            near = self.at(seen.x + 2 * self.eps * np.abs(seen.x) * rng.choice([-1.0, 1.0], len(seen.x)))
            if near.finite:
                rest.append(abs(near.f - seen.f - float(seen.g @ (near.x - seen.x))))
        return max([self.noise(seen.f), *rest])


class Wide(Objective):
    """The same function in float64, in which it may still fall where its own dtype is flat or has underflowed.

    Which derivative rules stay, `qed.calculus.gradient.kept` says.
    """

    def __init__(self, function: Function) -> None:
        super().__init__(function)
        outputs = in_float64(function)

        def value(x: Any) -> Any:
            return outputs(x)[0]

        both = value_and_gradient(value)
        fast = partial(made_for, function, calls=50, sweeps=2)
        self._wide = fast(both)
        self._wide_product = fast(lambda x, v: jax.jvp(lambda at: both(at)[1], (x,), (v,))[1])

    @staticmethod
    def of(objective: Objective) -> Wide | None:
        """The objective in float64, compiled once; None where it is so already, or is no more accurate there."""
        if objective.eps <= np.finfo(np.float64).eps or is_narrow(objective.function.graph):
            return None
        if objective.wide is None:
            objective.wide = Wide(objective.function)
        return objective.wide

    @cached_property
    def eps(self) -> float:
        """The unit roundoff of float64."""
        return float(np.finfo(np.float64).eps)

    @property
    def written(self) -> float:
        """The unit roundoff of the dtypes in which the function is written."""
        return max(float(jax.numpy.finfo(kind).eps) for kind in _dtypes(self.function))

    def at(self, x: Array, owned: bool = False) -> Seen:
        """Value and gradient at a vector of float64."""
        self.counts["values"] += 1
        with jax.enable_x64(True):
            f, g = self._wide(np.asarray(x, np.float64))
            return Seen(np.asarray(x, np.float64), float(f), np.asarray(g, np.float64))

    def matrix(self, x: Array) -> Array:
        """The Hessian, a column a product."""
        self.counts["hessians"] += 1
        with jax.enable_x64(True):
            at = np.asarray(x, np.float64)
            rows = [np.asarray(self._wide_product(at, e), np.float64) for e in np.eye(len(at))]
        found = np.array(rows).reshape(len(at), len(at))
        return (found + found.T) / 2
