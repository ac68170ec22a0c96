"""A function at a point, in the forms that judging it needs: a program, enclosures on boxes, vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np

from qed.calculus.bounding.boxes import OnBoxes
from qed.calculus.bounding.by_terms import OnTerms
from qed.calculus.compiling import made_for
from qed.calculus.hessian import flatten
from qed.calculus.points.result import Direction
from qed.calculus.shares import shares
from qed.calculus.stopped import of_values
from qed.certificates.certificate import Certificate
from qed.certificates.smooth_boxes import SmoothBoxes
from qed.domains.cost import count
from qed.domains.widened import Widened, compiled
from qed.graph.function import Function
from qed.graph.trace import is_float
from qed.progress import Progress

Array = np.ndarray
Stronger = Callable[[Array], Certificate | None]
Derivatives = Callable[[Array], tuple[Array, Array]]
WIDEST, IN_BALLS = 200_000, 600_000
"""How many numbers an equation, and a run, may hold for a function of many parameters to be computed in balls."""
PRODUCT = 1e-3
"""How many numbers of a run an operation counts for: in balls products of matrices are made as such."""


@dataclass(frozen=True, eq=False)
class Case:
    """A function and a point; vectors are the floating-point arrays of the argument laid end to end.

    Args:
        fun, x, args: what was given.
        function: it, traced and checked.
        enclosed: its term, by which derivatives are enclosed instead of by the graph.
        progress: called with (what, done, total).
        stronger: of a minimum, the vector, a verified certificate that proves more than that it is one; or None.
        derivatives: the gradient and the Hessian at a vector, in floats.
    """

    fun: Callable[..., Any]
    x: Any
    args: tuple[Any, ...]
    function: Function
    enclosed: OnTerms | None = None
    progress: Progress | None = None
    stronger: Stronger | None = None
    derivatives: Derivatives | None = None

    def tell(self, what: str, done: int = 0, total: int = 0) -> None:
        """Say what is done now."""
        if self.progress is not None:
            self.progress(what, done, total)

    @cached_property
    def point(self) -> Array:
        """The point, exact."""
        return flatten(self.function.parameters)

    @cached_property
    def values(self) -> Function:
        """The function without its stop_gradients: what is differentiated are its values."""
        return of_values(self.function)

    @cached_property
    def boxes(self) -> OnBoxes | OnTerms:
        """Enclosures by intervals."""
        return self.enclosed or OnBoxes.of(self.function.traced)

    def by_terms(self) -> Case | None:
        """The same with enclosures by the term of the program, or None where it is no smooth one."""
        terms = OnTerms.near(OnBoxes.of(self.function.traced), self.point)
        return None if terms is None else replace(self, enclosed=terms)

    @property
    def weight(self) -> int:
        """How many numbers the widest equation has."""
        return self.boxes.weight if isinstance(self.boxes, OnBoxes) else self.boxes.boxes.weight

    @cached_property
    def is_cheap_in_balls(self) -> bool:
        """Whether balls take seconds, not minutes: few numbers at each equation and, loops run through, in all."""
        if self.weight > WIDEST:
            return False
        cost = count(self.function.graph, self.function.traced.free)
        numbers = max(self.function.graph.numbers(), cost.bytes / np.dtype(self.function.dtype).itemsize)
        return numbers + PRODUCT * cost.value <= IN_BALLS

    @cached_property
    def balls(self) -> SmoothBoxes:
        """Enclosures by balls."""
        return SmoothBoxes(self.function.traced)

    @cached_property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the arrays."""
        return tuple(tuple(np.shape(p)) for p in self.function.parameters)

    def pieces(self, vector: Array) -> list[Array]:
        """A vector as arrays of those shapes."""
        ends = np.cumsum([int(np.prod(shape, dtype=np.int64)) for shape in self.shapes])
        return [part.reshape(shape) for part, shape in zip(np.split(vector, ends[:-1]), self.shapes, strict=True)]

    def tree(self, vector: Array) -> Any:
        """A vector as a tree like the argument; leaves that are no floating-point arrays are the argument's own."""
        leaves, structure = jax.tree.flatten(self.x)
        parts = iter(self.pieces(vector))
        return jax.tree.unflatten(structure, [next(parts) if is_float(leaf) else leaf for leaf in leaves])

    def vector(self, tree: Any) -> Array:
        """A tree like the argument as a vector."""
        return flatten([leaf for leaf in jax.tree.leaves(tree) if is_float(leaf)])

    @cached_property
    def value(self) -> Callable[[Array], float]:
        """The function of a vector, computed in float64."""
        function = self.function
        by = partial(made_for, function, calls=50)
        run = compiled(lambda leaves: Widened()(function.graph, function.join(leaves))[0], by)
        return lambda vector: float(run(self.pieces(vector)))

    def direction(self, vector: Array, curvature: float, why: str = "", **derivatives: Any) -> Direction:
        """A direction with the names of its parameters."""
        unit = vector / np.linalg.norm(vector)
        named = shares(unit, self.function.paths, self.shapes)
        return Direction(self.tree(unit), curvature, named, why, **derivatives)
