"""A linear solve judged by its residual: whether `solve` solves what `matvec` multiplies.

`jax.lax.custom_linear_solve` differentiates x = A^-1 b by dx = A^-1 (db - dA x), and takes the user's `solve` W for
A^-1, at the point and in the derivative. A wrong W with a transpose that is wrong likewise goes unnoticed there:
forward and reverse derivatives agree, on another function than the inverse. So W is held against A itself,

    A W A v = A v  for a direction v,       A W b = b  for the right-hand side of the program,

in float64. The first holds of every generalised inverse, so that singular systems whose right-hand sides lie in the
range of A are right; for a regular A it says W = A^-1. An iterative W is right to its tolerance only.

Reference: Ben-Israel and Greville, *Generalized Inverses*, 2nd ed., Springer 2003, chapter 1 (A W A = A).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from qed.calculus.gradient.implicit import LARGEST, loops
from qed.domains.widened import Widened, compiled
from qed.graph import jaxpr
from qed.graph.dtypes import is_real, unit_roundoff
from qed.graph.graph import Equation, Graph
from qed.graph.jaxpr import Reader, evaluate

ACCEPTED = 1e-3
"""The relative residual that the tolerance of an iterative solver explains; JAX's own have 1e-5."""

CONVERGED = 1e-2
"""The relative residual from which on an iterative solver has not solved the system."""

BACKWARD = 1e-11
"""The backward error that a direct solver in float64 may have, relative to the sizes of A's terms."""

ROUNDED = 1e3
"""How many unit roundoffs an inverse may be off that was computed beforehand in the program's dtype."""

Linear = Callable[[Sequence[Any], Sequence[Any]], list[Any]]


def parts(equation: Equation) -> tuple[dict[str, Linear], int]:
    """(matvec and solve as functions of (all operands, vector), where the right-hand side begins)."""
    functions: dict[str, Linear] = {}
    start = 0
    for name, (graph, count) in jaxpr.linear_solve(equation.native).items():
        if graph is not None:
            functions[name] = lambda all_, x, g=graph, s=slice(start, start + count): evaluate(g, [*all_[s], *x])
        start += count
    return functions, start


def judged(equation: Equation) -> bool:
    """Whether a solve is the user's, or iterates; the direct solvers of JAX's own are verified by the tests."""
    graph = jaxpr.linear_solve(equation.native)["solve"][0]
    start = parts(equation)[1]
    real = all(is_real(atom.dtype) for atom in equation.inputs[start:])
    return graph is not None and real and (graph.span is not None or loops(graph) > 0)


def iterative(equation: Equation) -> bool:
    """Whether the solve loops."""
    graph = jaxpr.linear_solve(equation.native)["solve"][0]
    return graph is not None and loops(graph) > 0


def backward_error(equation: Equation) -> float:
    """What rounding explains of a residual, relative to the sizes of A's terms."""
    return BACKWARD + ROUNDED * max(unit_roundoff(atom.dtype) for atom in equation.outputs)


def product(equation: Equation) -> Graph:
    """What the solve is compared with: value b, derivative A, as a graph of the equation's operands."""
    functions, start = parts(equation)

    def body(*operands: Any) -> list[Any]:
        right = list(operands[start:])
        moved = functions["matvec"](operands, right)
        return [m + lax.stop_gradient(b - m) for m, b in zip(moved, right, strict=True)]

    return _traced(body, [*equation.inputs])


def composed(equation: Equation) -> Graph:
    """(A W b, A W A v), as a graph of the equation's operands and v."""
    functions, start = parts(equation)
    count = len(equation.inputs)

    def rule(*everything: Any) -> list[Any]:
        operands, v = everything[:count], list(everything[count:])
        multiply, solve = functions["matvec"], functions["solve"]
        values = multiply(operands, solve(operands, list(operands[start:])))
        return [*values, *multiply(operands, solve(operands, multiply(operands, v)))]

    return _traced(rule, [*equation.inputs, *equation.inputs[start:]])


def _traced(function: Callable[..., list[Any]], atoms: Sequence[Any]) -> Graph:
    shapes = [jax.ShapeDtypeStruct(atom.shape, atom.dtype) for atom in atoms]
    return Reader().graph(jax.make_jaxpr(function)(*shapes))


def dense(equation: Equation) -> Callable[..., Any] | None:
    """The solution with A formed densely: what the program means; None where A is too large."""
    right = equation.inputs[parts(equation)[1] :]
    sizes = [int(np.prod(atom.shape, dtype=np.int64)) for atom in right]
    if sum(sizes) > LARGEST:
        return None
    (graph, count), start = jaxpr.linear_solve(equation.native)["matvec"], parts(equation)[1]
    if graph is None:
        return None
    cuts = np.cumsum(sizes)[:-1].tolist()

    def apart(x: Any) -> list[Any]:
        return [p.reshape(a.shape) for p, a in zip(jnp.split(x, cuts), right, strict=True)]

    def joined(arrays: Sequence[Any]) -> Any:
        return jnp.concatenate([jnp.ravel(a) for a in arrays])

    def solution(widened: Widened, values: Sequence[Any]) -> list[Any]:
        inner = Widened(widened.keep)
        matrix = jax.vmap(lambda e: joined(inner(graph, [*values[:count], *apart(e)])))(jnp.eye(sum(sizes))).T
        return apart(jnp.linalg.solve(matrix, joined(values[start:])))

    return solution


def terms(equation: Equation, operands: Sequence[Any], x: Sequence[Any] | None = None) -> np.ndarray:
    """For each row i of A the size of the terms a_ij x_j, by random signs of the x_j; x is W b if it is not given."""
    all_parts, start = jaxpr.linear_solve(equation.native), parts(equation)[1]
    places = dict(zip(all_parts, np.cumsum([0, *(count for _, count in all_parts.values())]).tolist(), strict=False))

    def apply(name: str, values: Sequence[Any], vector: Sequence[Any]) -> list[Any]:
        graph, count = all_parts[name]
        assert graph is not None
        return Widened()(graph, [*values[places[name] : places[name] + count], *vector])

    def sizes(values: Any, signs: Any, given: Any) -> Any:
        at = apply("solve", values, list(values[start:])) if given is None else given
        found = apply("matvec", values, [a * s for a, s in zip(at, signs, strict=True)])
        return jnp.concatenate([jnp.ravel(jnp.abs(f)) for f in found])

    random = np.random.default_rng(0)
    rows = [[random.choice([-1.0, 1.0], atom.shape) for atom in equation.inputs[start:]] for _ in range(6)]
    fast = compiled(sizes)
    return np.max([fast(list(operands), signs, x) for signs in rows], axis=0)
