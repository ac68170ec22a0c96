"""A sum of squares, read from the graph, and the Gauss-Newton matrix in the place of its Hessian.

Of f(x) = c sum r_i(x)^2 the second derivative is

    H = 2 c J'J + 2 c sum r_i Hess r_i,   J = dr/dx,

and the first term needs first derivatives alone. Where the residuals are small, or nearly linear, it is nearly H; it is
never indefinite, and where residuals are many a row of J costs a small part of a product with H. Where its steps become
slow, since r does not vanish, H takes over. The second term is the Hessian of the function w'r(x) at w = 2 c r: where
a residual is a sum of terms of few parameters each, as a sum of peaks is, it is sparse although J'J is dense, and a few
products give it. Reference: Nocedal and Wright, *Numerical Optimization*, 2006, section
10.3; Dennis, Gay and Welsch, *An adaptive nonlinear least-squares algorithm*, ACM TOMS 7, 1981 (the change from one to
the other).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.calculus.hessian import cut
from qed.calculus.sparse import SparseHessian, TooDense, sparse_hessian
from qed.errors import QedError
from qed.graph.function import Function, read
from qed.graph.graph import Atom, Equation, Graph, Literal, Variable
from qed.graph.jaxpr import evaluate

Array = np.ndarray
TOGETHER = 8
"""How many columns of J are computed side by side."""
LARGEST = 1 << 22
"""How many numbers J holds at most."""
STEPS, FALL = 10, 0.01
"""Over how many steps f has to fall by which part, so that the matrix of first derivatives is kept."""
MANY = 100
"""Over how many trials f has to fall by a part `FALL`, so that a run goes on that has lost its first gradient."""
LEFT = 1e-12
"""Which part of a sum of squares may be left where a run ends that does not halve it in `STEPS` steps."""


@dataclass(frozen=True, eq=False)
class SumOfSquares:
    """f = c sum r^2; made by `sum_of_squares`.

    Args:
        function: f.
        residuals: the graph of r, with the inputs of that of f.
        factor: c.
        run: (parameters, data) -> 2 c J'J and 2 c r, compiled.
    """

    function: Function
    residuals: Graph
    factor: float
    run: Callable[..., Any]

    def matrix(self, x: Array) -> Array:
        """2 c J'J at a vector, float64."""
        return self._run(cut(x, self.function.parameters))[0]

    def _run(self, parameters: tuple[Any, ...]) -> tuple[Array, Any]:
        found, weights = self.run(parameters, self.function.data)
        found = np.asarray(found, np.float64)
        return (found + found.T) / 2, weights

    @cached_property
    def bend(self) -> SparseHessian | None:
        """The Hessian of w'r(x), w its first data; None where it cannot be had."""
        function, graph = self.function, self.residuals
        shape = graph.outputs[0]

        def weighted(parameters: Any, weights: Any) -> Any:
            found = evaluate(graph, function.join(parameters, function.data))[0]
            return jnp.sum(weights * found.ravel())

        weights = np.zeros(int(np.prod(shape.shape, dtype=np.int64)), shape.dtype)
        try:
            found = sparse_hessian(read(weighted, function.parameters, weights), varying=True, most=function.size**2)
        except (TooDense, NotImplementedError, QedError):
            return None
        return found if found.symmetric else None

    def whole(self, x: Array) -> Array | None:
        """The Hessian at a vector, float64; None where the products of its second term are not known."""
        bend = self.bend
        if bend is None:
            return None
        parameters = cut(x, self.function.parameters)
        first, weights = self._run(parameters)
        return first + bend(parameters, (weights, *bend.function.data[1:])).toarray()


class Slow:
    """Whether f fell by less than `FALL` of itself in the last `STEPS` steps.

    Example:
        >>> slow = Slow()
        >>> [slow.halted(f) for f in [8.0, 4.0, 2.0]].count(True), any(slow.halted(1.0) for _ in range(11))
        (0, True)
    """

    def __init__(self) -> None:
        self.seen: list[float] = []

    def halted(self, f: float) -> bool:
        """Take in the value of a step."""
        self.seen.append(f)
        return len(self.seen) > STEPS and self.seen[-1 - STEPS] - f < FALL * abs(self.seen[-1 - STEPS])

    def at_zero(self, f: float, tol: float) -> bool:
        """Whether f, at least 0, has no more than tol and a part `LEFT` of its first value left, and falls slowly."""
        return len(self.seen) > STEPS and f <= min(tol, LEFT * self.seen[0]) and f > 0.5 * self.seen[-1 - STEPS]


class Creeping:
    """Whether a run on a sum of squares creeps: f fell by less than `FALL` of itself in the last `MANY` trials.

    It ends there once the gradient is no more than a given part of that of its start.

    Example:
        >>> run = Creeping()
        >>> any(run.halted(1.0 / k, 1.0 / k, 1e-2) for k in range(1, 2 * MANY))  # f halves
        False
        >>> any(run.halted(1.0, 5e-3, 1e-2) for _ in range(MANY + 1))
        True
    """

    def __init__(self) -> None:
        self.seen: list[float] = []
        self.began = 0.0

    def halted(self, f: float, size: float, part: float) -> bool:
        """Take in a trial: the value of the point that the run has, the size of its gradient, and which part is little.

        Never less than `part` itself is asked of the gradient.
        """
        self.began = self.began if self.seen else max(1.0, size)
        self.seen.append(f)
        if len(self.seen) <= MANY or size > part * self.began:
            return False
        before = self.seen[-1 - MANY]
        return before - f < FALL * abs(before)


def sum_of_squares(function: Function) -> SumOfSquares | None:
    """The squares of which a function that was read is the sum; None where it is none, or J is too large.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.function import read
        >>> t = jnp.arange(3.0)
        >>> squares = sum_of_squares(read(lambda x: 0.5 * jnp.sum((x[0] + x[1] * t - 1.0) ** 2), jnp.ones(2)))
        >>> squares.factor, squares.matrix(np.ones(2)).tolist()
        (0.5, [[3.0, 3.0], [3.0, 5.0]])
        >>> sum_of_squares(read(lambda x: jnp.sum(x**4), jnp.ones(2))) is None
        True
    """
    found = _squared(function.graph, function.graph.outputs[0])
    if found is None:
        return None
    factor, residual = found
    n = function.size
    if not factor > 0 or n * int(np.prod(residual.shape, dtype=np.int64)) > LARGEST:
        return None
    graph = replace(function.graph, outputs=(residual,))

    def run(parameters: Any, data: Any) -> Any:
        def residuals(p: Any) -> Any:
            return evaluate(graph, function.join(p, data))[0].ravel()

        found, push = jax.linearize(residuals, parameters)
        rows = jax.lax.map(push, _axes(function.parameters), batch_size=min(n, TOGETHER))
        return 2 * factor * rows @ rows.T, 2 * factor * found

    return SumOfSquares(function, graph, factor, jax.jit(run))


def _axes(parameters: Sequence[Any]) -> tuple[Any, ...]:
    """The unit vectors, as arrays like the parameters with one axis more."""
    n = sum(int(np.prod(p.shape, dtype=np.int64)) for p in parameters)
    rows = [cut(row, parameters) for row in np.eye(n)]
    return tuple(jnp.asarray(np.stack(parts)) for parts in zip(*rows, strict=True))


def _squared(graph: Graph, atom: Atom) -> tuple[float, Variable] | None:
    """(c, r) with the atom c sum r^2; None where it is nothing of this kind."""
    made = {output: equation for equation in graph.equations for output in equation.outputs}
    factor = 1.0
    while isinstance(atom, Variable) and atom in made:
        equation = made[atom]
        step = _scaled(equation)
        if step is not None:
            factor, atom = factor * step[0], step[1]
        elif equation.primitive == "reduce_sum" and atom.shape == ():
            root = _root(made.get(equation.inputs[0])) if isinstance(equation.inputs[0], Variable) else None
            return None if root is None else (factor, root)
        elif equation.primitive == "dot_general" and atom.shape == ():
            left, right = equation.inputs
            return (factor, left) if left is right and isinstance(left, Variable) else None
        else:
            return None
    return None


def _scaled(equation: Equation) -> tuple[float, Atom] | None:
    """(a, y) of an equation that computes a y with a number a."""
    if equation.primitive == "convert_element_type":
        return 1.0, equation.inputs[0]
    if equation.primitive not in ("mul", "div"):
        return None
    left, right = equation.inputs
    if isinstance(right, Literal) and np.shape(right.value) == ():
        value = float(right.value)
        return (value if equation.primitive == "mul" else 1 / value, left) if value else None
    if isinstance(left, Literal) and np.shape(left.value) == () and equation.primitive == "mul":
        return float(left.value), right
    return None


def _root(equation: Equation | None) -> Variable | None:
    """What an equation squares."""
    if equation is None:
        return None
    first = equation.inputs[0]
    squares = equation.primitive == "square" or (
        equation.primitive == "integer_pow" and equation.params["y"] == 2
    ) or (equation.primitive == "mul" and equation.inputs[1] is first)  # fmt: skip
    return first if squares and isinstance(first, Variable) else None
