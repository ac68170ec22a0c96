"""A sum of squares, read from the graph, and the Gauss-Newton matrix in the place of its Hessian.

Of f(x) = sum c_i r_i(x)^2 the second derivative is

    H = 2 J'C J + 2 sum c_i r_i Hess r_i,   J = dr/dx,  C = diag(c_i),

and the first term needs first derivatives alone. Where the residuals are small, or nearly linear, it is nearly H; it is
never indefinite, and where residuals are many a row of J costs a small part of a product with H. Where its steps become
slow, since r does not vanish, H takes over. The second term is the Hessian of the function w'r(x) at w = 2 C r: where
a residual is a sum of terms of few parameters each, as a sum of peaks is, it is sparse although J'J is dense, and a few
products give it. Reference: Nocedal and Wright, *Numerical Optimization*, 2006, section
10.3; Dennis, Gay and Welsch, *An adaptive nonlinear least-squares algorithm*, ACM TOMS 7, 1981 (the change from one to
the other).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.calculus.compiling import made_for
from qed.calculus.hessian import cut
from qed.calculus.sparse import MATRICES, SparseHessian, TooDense, sparse_hessian
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
    """f = sum of c_i r_i^2, and a constant that is not negative; made by `sum_of_squares`.

    Args:
        function: f.
        residuals: the graph of the arrays whose numbers, or powers of them, are r_i, with the inputs of that of f.
        factors: c_i, none negative; one number where they are the same.
        run: (parameters, data) -> 2 J'C J and 2 C r, compiled.
        at: (parameters, data) -> r.
    """

    function: Function
    residuals: Graph
    factors: Any
    run: Callable[..., Any]
    at: Callable[..., Any]

    def matrix(self, x: Array) -> Array:
        """2 J'C J at a vector, float64."""
        return self._run(cut(x, self.function.parameters))[0]

    def of_rows(self, rows: Array) -> Array:
        """2 J'C J, where the derivatives of r by each parameter are known."""
        rows = np.asarray(rows, np.float64)
        return (2 * self.factors * rows) @ rows.T

    def _run(self, parameters: tuple[Any, ...]) -> tuple[Array, Any]:
        found, weights = self.run(parameters, self.function.data)
        found = np.asarray(found, np.float64)
        return (found + found.T) / 2, weights

    @cached_property
    def bend(self) -> SparseHessian | None:
        """The Hessian of w'r(x), w its first data; None where it cannot be had."""
        function = self.function

        def weighted(parameters: Any, weights: Any) -> Any:
            return jnp.sum(weights * self.at(parameters, function.data))

        outputs = self.residuals.outputs
        weights = np.zeros(sum(map(_size, outputs)), np.result_type(*(output.dtype for output in outputs)))
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
        >>> squares.factors, squares.matrix(np.ones(2)).tolist()
        (0.5, [[3.0, 3.0], [3.0, 5.0]])
        >>> sum_of_squares(read(lambda x: jnp.sum(x**3), jnp.ones(2))) is None
        True
    """
    terms = _squares(function)
    if not terms:
        return None
    n, count = function.size, sum(_size(term.root) for term in terms)
    if n * count > LARGEST or not all(np.all(np.asarray(term.factor) >= 0) for term in terms):
        return None
    graph = replace(function.graph, outputs=tuple(term.root for term in terms))
    same = all(np.ndim(term.factor) == 0 and term.factor == terms[0].factor for term in terms)
    factors = terms[0].factor if same else np.concatenate([term.factors() for term in terms])

    def residuals(parameters: Any, data: Any) -> Any:
        found = evaluate(graph, function.join(parameters, data))
        powers = [each.ravel() ** term.power for each, term in zip(found, terms, strict=True)]
        return jnp.concatenate(powers) if len(powers) > 1 else powers[0]

    def run(parameters: Any, data: Any) -> Any:
        found, push = jax.linearize(lambda p: residuals(p, data), parameters)
        rows = jax.lax.map(push, _axes(function.parameters), batch_size=min(n, TOGETHER))
        twice = 2 * factors if same else np.asarray(2 * factors, found.dtype)
        return (twice * rows) @ rows.T, twice * found

    return SumOfSquares(function, graph, factors, made_for(function, run, MATRICES, n), residuals)


def _size(atom: Atom) -> int:
    return int(np.prod(atom.shape, dtype=np.int64))


def _axes(parameters: Sequence[Any]) -> tuple[Any, ...]:
    """The unit vectors, as arrays like the parameters with one axis more."""
    n = sum(int(np.prod(p.shape, dtype=np.int64)) for p in parameters)
    rows = [cut(row, parameters) for row in np.eye(n)]
    return tuple(jnp.asarray(np.stack(parts)) for parts in zip(*rows, strict=True))


KEEPS_THE_SUM = ("convert_element_type", "copy", "reduce_sum", "reshape", "squeeze")
"""Primitives after which the sum of all numbers is the same."""


@dataclass(frozen=True, eq=False)
class Term:
    """factor * sum of root^(2 power); the factor is a number, or one for each number of the root."""

    factor: Any
    root: Variable
    power: int = 1

    def factors(self) -> Array:
        """The factor of each number of the root."""
        return np.broadcast_to(np.asarray(self.factor, np.float64), self.root.shape).ravel()


def _squares(function: Function) -> list[Term]:
    """The terms of which f is the sum, but for a constant that is not negative; empty where it is no such sum."""
    graph = function.graph
    made = {output: equation for equation in graph.equations for output in equation.outputs}
    given = zip(graph.inputs, function.join(function.parameters, function.data), strict=True)
    known = {atom: value for k, (atom, value) in enumerate(given) if k not in function.traced.free}
    found: list[Term] = []
    open_: list[tuple[Any, Atom]] = [(1.0, graph.outputs[0])]
    while open_:
        factor, atom = open_.pop()
        if isinstance(atom, Literal):
            if not np.all(np.asarray(atom.value) * factor >= 0):
                return []
            continue
        equation = made.get(atom)
        if equation is None or not jnp.issubdtype(atom.dtype, jnp.floating) or len(found) + len(open_) > LARGEST:
            return []
        first = equation.inputs[0]
        step = _scaled(equation, known)
        root = _root(equation)
        under = None if root is None else made.get(root[0])
        if step is not None:
            open_.append((factor * step[0], step[1]))
        elif equation.primitive in KEEPS_THE_SUM and np.ndim(factor) == 0:
            open_.append((factor, first))
        elif equation.primitive == "add" and all(each.shape == atom.shape for each in equation.inputs):
            open_.extend((factor, each) for each in reversed(equation.inputs))
        elif under is not None and root is not None and under.primitive == "sqrt" and root[1] == 1:
            open_.append((factor, under.inputs[0]))  # the square of a norm
        elif root is not None:
            found.append(Term(factor, *root))
        elif equation.primitive == "dot_general" and atom.shape == () and first is equation.inputs[1]:
            assert isinstance(first, Variable)
            found.append(Term(factor, first))
        else:
            return []
    return found


def _scaled(equation: Equation, known: Mapping[Variable, Any]) -> tuple[Any, Atom] | None:
    """(a, y) of an equation that computes a y with a number a, or with known numbers of y's shape."""
    if equation.primitive not in ("mul", "div"):
        return None
    shape = equation.outputs[0].shape

    def number(atom: Atom) -> Any:
        value = atom.value if isinstance(atom, Literal) else known.get(atom)
        if (
            value is None
            or np.shape(value) not in ((), shape)
            or not np.issubdtype(np.asarray(value).dtype, np.floating)
        ):
            return None
        return float(value) if np.ndim(value) == 0 else np.asarray(value, np.float64)

    left, right = equation.inputs
    value = number(right)
    if value is not None and left.shape == shape and np.all(value != 0):
        return value if equation.primitive == "mul" else 1 / value, left
    value = number(left) if equation.primitive == "mul" else None
    return (value, right) if value is not None and right.shape == shape else None


def _root(equation: Equation) -> tuple[Variable, int] | None:
    """(y, k) of an equation that computes y^(2 k)."""
    first = equation.inputs[0]
    power = 2 if equation.primitive == "square" else equation.params["y"] if equation.primitive == "integer_pow" else 0
    power = 2 if equation.primitive == "mul" and equation.inputs[1] is first else power
    return (first, power // 2) if power > 0 and power % 2 == 0 and isinstance(first, Variable) else None
