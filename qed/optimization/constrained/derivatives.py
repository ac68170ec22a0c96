"""Values, Jacobian, and Hessian of the Lagrangian of a constrained problem, compiled once, of float64 vectors.

Up to `SMALL` parameters one compiled call gives value, rows, gradient and Jacobian, another the Hessian. Beyond, the
places that can be other than zero are found from the graphs and coloured, and entries are read from a few products
(`qed.calculus.sparse`): multipliers are data of the Lagrangian, so that one pattern serves every y. Where neither is
sparse, matrices are filled all the same and factorised as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse

from qed.calculus.compiling import quickly
from qed.calculus.gradient.kept import in_float64
from qed.calculus.sparse import TooDense, full_hessian, sparse_hessian, sparse_jacobian
from qed.domains.widened import widen
from qed.errors import QedError
from qed.graph.function import Function, read

Array = np.ndarray
SMALL, MEDIUM = 200, 2000
"""Up to so many parameters everything is dense; up to so many what is not sparse is held dense."""


@dataclass(frozen=True, eq=False)
class Derivatives:
    """Functions of a float64 vector x (and multipliers y): made by `derivatives_of`.

    Args:
        values: x -> (f, c).
        first: x -> (gradient of f, Jacobian of c).
        second: (x, y, weight) -> Hessian of weight f - y'c.
        sparse: whether Jacobian and Hessian are scipy.sparse.csr_array.
        why: how they are held, in a sentence.
    """

    values: Callable[[Array], tuple[float, Array]]
    first: Callable[[Array], tuple[Array, Any]]
    second: Callable[[Array, Array, float], Any]
    sparse: bool
    why: str


def derivatives_of(objective: Function, constraints: Sequence[Function]) -> Derivatives:
    """The derivatives of a problem: dense for few parameters, sparse where the graphs allow it."""
    functions = [objective, *constraints]
    outputs = [in_float64(function) for function in functions]
    with jax.enable_x64(True):
        data = tuple(tuple(widen(a) for a in function.data) for function in functions)
    n = objective.size

    def both(x: Any, data: Any) -> tuple[Any, Any]:
        found = [one(x, given) for one, given in zip(outputs, data, strict=True)]
        rows = [jnp.ravel(a) for part in found[1:] for a in part]
        return found[0][0], jnp.concatenate(rows) if rows else jnp.zeros(0)

    def lagrangian(x: Any, y: Any, weight: Any, data: Any) -> Any:
        f, c = both(x, data)
        return weight * f - jnp.vdot(y, c)

    count = sum(function.graph.count() for function in functions)
    return _dense(both, lagrangian, data, count) if n <= SMALL else _large(both, lagrangian, data, objective)


def _plain(function: Callable[..., Any], *arguments: Any) -> Any:
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, function(*arguments))


def _either(reverse: Callable[..., Any], forward: Callable[..., Any]) -> Callable[..., Any]:
    """The first way of differentiating that the program allows (a while loop has no reverse derivative)."""
    ways = [reverse, forward]

    def call(*arguments: Any) -> Any:
        while len(ways) > 1:
            try:
                return _plain(ways[0], *arguments)
            except (TypeError, ValueError, NotImplementedError):  # what JAX raises where a rule is missing
                del ways[0]
        try:
            return _plain(ways[0], *arguments)
        except (TypeError, ValueError, NotImplementedError) as error:
            because = "a constrained problem is solved with first and second derivatives, and JAX has no rule for one"
            raise QedError("QED007", "the problem cannot be differentiated", f"{because}: {error}", "") from error

    return call


def _dense(both: Callable[..., Any], lagrangian: Callable[..., Any], data: Any, count: int) -> Derivatives:
    def together(x: Any, data: Any) -> Any:
        f, c = both(x, data)
        return jnp.concatenate([f[None], c])

    def reverse(x: Any, data: Any) -> Any:
        value, pull = jax.vjp(lambda p: together(p, data), x)
        return value, jax.vmap(lambda e: pull(e)[0])(jnp.eye(len(value)))

    def forward(x: Any, data: Any) -> Any:
        return together(x, data), jax.jacfwd(together)(x, data)

    first = _either(quickly(reverse, count), quickly(forward, count))
    twice, forwards = jax.hessian(lagrangian), jax.jacfwd(jax.jacfwd(lagrangian))
    second = _either(quickly(twice, count), quickly(forwards, count))
    known: list[Any] = [None, None]

    def seen(x: Array) -> Any:
        if known[0] is None or not np.array_equal(known[0], x):
            known[:] = [np.array(x, np.float64), first(np.asarray(x, np.float64), data)]
        return known[1]

    def hessian(x: Array, y: Array, weight: float) -> Array:
        found = second(np.asarray(x, np.float64), np.asarray(y, np.float64), np.float64(weight), data)
        return (found + found.T) / 2

    return Derivatives(
        lambda x: (float(seen(x)[0][0]), np.array(seen(x)[0][1:])),
        lambda x: (np.array(seen(x)[1][0]), np.array(seen(x)[1][1:])),
        hessian, False, "first and second derivatives in two compiled calls",
    )  # fmt: skip


def _large(both: Callable[..., Any], lagrangian: Callable[..., Any], data: Any, objective: Function) -> Derivatives:
    n = objective.size
    with jax.enable_x64(True):
        x0 = np.concatenate([np.ravel(np.asarray(p)).astype(np.float64) for p in objective.parameters])
        m = int(jax.eval_shape(both, x0, data)[1].shape[0])
        whole = read(lagrangian, x0, np.ones(m), np.float64(1.0), data)
        rows = read(lambda x, data: both(x, data)[1], x0, data, scalar=False)
        try:
            jacobian = sparse_jacobian(rows, varying=True)
        except TooDense as error:
            because = f"the Jacobian of {m:,} rows and {n:,} parameters is too dense: {error}"
            raise QedError("QED009", "the problem is too large", because, "use fewer rows or parameters") from error
        try:
            hessian = sparse_hessian(whole, varying=True, most=n * n if n <= MEDIUM else n * n // 4)
        except TooDense as error:
            if n > MEDIUM:
                because = f"the Hessian of {n:,} parameters is too dense to be factorised: {error}"
                raise QedError("QED009", "the problem is too large", because, "use fewer parameters") from error
            hessian = full_hessian(whole)
    values = jax.jit(both)
    gradient = jax.jit(lambda x, data: jax.grad(lambda p: both(p, data)[0])(x))
    sparse = hessian.worthwhile or n > MEDIUM

    def first(x: Array) -> tuple[Array, Any]:
        with jax.enable_x64(True):
            J = jacobian((jnp.asarray(x, np.float64),), rows.data).astype(np.float64)
        return _plain(gradient, np.asarray(x, np.float64), data), J if sparse else J.toarray()

    def second(x: Array, y: Array, weight: float) -> Any:
        arguments = (np.asarray(y, np.float64), np.float64(weight), data)
        with jax.enable_x64(True):
            given = tuple(jnp.asarray(a) for a in jax.tree.leaves(arguments))
            found = hessian((jnp.asarray(x, np.float64),), (*given, *whole.data[len(given) :])).astype(np.float64)
        found = found if hessian.symmetric else scipy.sparse.csr_array((found + found.T) / 2)
        return found if sparse else found.toarray()

    def plain(x: Array) -> tuple[float, Array]:
        f, c = _plain(values, np.asarray(x, np.float64), data)
        return float(f), c

    why = (
        f"the Hessian of the Lagrangian has {hessian.entries:,} entries, read from {hessian.products:,} products, "
        f"the Jacobian {jacobian.entries:,}, from {jacobian.products:,}"
    )
    return Derivatives(plain, first, second, sparse, why)
