"""The distance of two points of a hyperboloid, which is small where its formula takes the arccosh of nearly 1.

::

    c = sqrt(1 + |x|^2) sqrt(1 + |y|^2) - <x, y> = 1 + t,    t = (|x - y|^2 - e^2) / 2,    e = <x - y, x + y> / (a + b)
    arccosh c = 2 arcsinh sqrt(t / 2)                        a = sqrt(1 + |x|^2), b = sqrt(1 + |y|^2), e = a - b

Its derivative in x is ((x - y) - x e / a) / sqrt(t (t + 2)). Where t > 1, the formula stays as it stands.

Reference: Nickel and Kiela, *Learning continuous hierarchies in the Lorentz model of hyperbolic geometry*, 2018.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.difference_rules import Found
from qed.numerics.rewriting.difference_terms import ONE, Monomial, Polynomial, plus, product, times
from qed.numerics.rewriting.laws import Law

LORENTZ = Law(
    "arccosh(sqrt(1 + a.a) sqrt(1 + b.b) - a.b) = 2 arcsinh(sqrt(t/2)), t = ((a - b).(a - b) - e**2)/2, "
    "e = (a - b).(a + b) / (sqrt(1 + a.a) + sqrt(1 + b.b))",
    "always",
)


def lorentz_distance(x: Any, y: Any, c: Any, axes: tuple[int, ...]) -> Any:
    """arccosh(c) for c = sqrt(1 + |x|^2) sqrt(1 + |y|^2) - <x, y>, the sums along axes.

    Example:
        >>> import jax.numpy as jnp
        >>> x, y = jnp.float32(1.0), jnp.float32(1.0001)
        >>> c = jnp.sqrt(1 + x * x) * jnp.sqrt(1 + y * y) - x * y
        >>> print(f"{lorentz_distance(x, y, c, ()):.4g}")
        7.072e-05
    """

    def parts(x: Any, y: Any) -> tuple[Any, ...]:
        a, b = (jnp.sqrt(1 + jnp.sum(v * v, axis=axes)) for v in (x, y))
        e = jnp.sum((x - y) * (x + y), axis=axes) / (a + b)
        return a, b, e, 0.5 * (jnp.sum((x - y) ** 2, axis=axes) - e * e)

    def value_of(x: Any, y: Any, c: Any) -> Any:
        t = parts(x, y)[3]
        near = c < 2
        close = 2 * jnp.arcsinh(jnp.sqrt(0.5 * jnp.where(near, jnp.maximum(t, 0), 1)))
        return jnp.where(near, close, jnp.arccosh(jnp.where(near, 2, c))).astype(c.dtype)

    found = jax.custom_jvp(value_of)

    @found.defjvp
    def rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
        x, y, c = primals
        a, b, e, t = parts(x, y)
        near = c < 2
        below = jnp.where(near, jnp.sqrt(t) * jnp.sqrt(t + 2), jnp.sqrt(jnp.where(near, 3, c - 1)) * jnp.sqrt(c + 1))
        wide = [jnp.expand_dims(v, axes) for v in (a, b, e)]
        gap = x - y
        in_x = jnp.where(jnp.expand_dims(near, axes), gap - x * (wide[2] / wide[0]), x * (wide[1] / wide[0]) - y)
        in_y = jnp.where(jnp.expand_dims(near, axes), y * (wide[2] / wide[1]) - gap, y * (wide[0] / wide[1]) - x)
        tangent = jnp.sum(in_x * tangents[0] + in_y * tangents[1], axis=axes) / below
        return found(x, y, c), tangent.astype(c.dtype)

    return found(x, y, c)


DISTANCE = Operation("lorentz_distance", lorentz_distance, whole=True)


def lorentz(difference: Difference, node: Node) -> Found | None:
    """The distance of two points, as vectors or as numbers."""
    polynomial = difference.terms(node.children[0])
    if len(polynomial) != 2 or sorted(polynomial.values()) != [-1, 1]:
        return None
    (roots,) = (m for m, c in polynomial.items() if c == 1)
    (dot,) = (m for m, c in polynomial.items() if c == -1)
    squares: list[Polynomial] = []
    for number, power in roots:
        g = difference.known(difference.node(number))
        if g.operation not in ("sqrt", "root_of_squares") or power not in (1, 2):
            return None
        squares += _factors(difference, g.children[0]) * power
    if len(squares) != 2 or any(square.get(ONE) != 1 for square in squares):
        return None
    first, second = (_vector(difference, plus(square, {ONE: square[ONE]}, -1)) for square in squares)
    found = _inner(difference, dot)
    if first is None or second is None or found is None:
        return None
    (x, axes), (y, other) = first, second
    if axes != other or found[1] != axes or found[0] != times(x[0], y[0]):
        return None
    shape = x[1]
    parts = [difference.algebra.filled(difference.monomial(m, node), shape) for m in (x[0], y[0])]
    value = difference.emit(DISTANCE, *parts, node.children[0], axes=axes, shape=node.shape)
    return value, (LORENTZ,)


def _factors(difference: Difference, node: Node) -> list[Polynomial]:
    """1 + |x|^2, or both factors of (1 + |x|^2) (1 + |y|^2)."""
    polynomial = difference.terms(node)
    if len(polynomial) != 1:
        return [polynomial]
    ((monomial, c),) = polynomial.items()
    inner = [difference.terms.inside(difference.node(number)) for number, power in monomial for _ in range(power)]
    return [each for each in inner if each is not None] if c == 1 else []


_Vector = tuple[tuple[Monomial, tuple[int, ...]], tuple[int, ...]]


def _vector(difference: Difference, square: Polynomial) -> _Vector | None:
    """x, its shape and the axes, where a polynomial is |x|^2."""
    if len(square) != 1:
        return None
    ((monomial, c),) = square.items()
    found = _inner(difference, monomial) if c == 1 else None
    if found is None or any(power % 2 for _, power in found[0]):
        return None
    return (tuple((number, power // 2) for number, power in found[0]), found[2]), found[1]


def _inner(difference: Difference, monomial: Monomial) -> tuple[Monomial, tuple[int, ...], tuple[int, ...]] | None:
    """What is summed, the axes and the shape, where a monomial is a sum; itself, where it is none."""
    g = difference.node(monomial[0][0])
    if len(monomial) != 1 or monomial[0][1] != 1 or g.operation not in ("reduce_sum", "dot_general"):
        return monomial, (), g.shape
    if g.operation == "reduce_sum":
        summed, axes, shape = difference.terms(g.children[0]), tuple(g.params["axes"]), g.children[0].shape
    elif all(len(child.shape) == 1 for child in g.children):
        summed, axes, shape = product(*map(difference.terms, g.children)), (0,), g.children[0].shape
    else:
        return None
    if len(summed) != 1 or set(summed.values()) != {1}:
        return None
    return next(iter(summed)), axes, shape


__all__ = ["DISTANCE", "LORENTZ", "lorentz", "lorentz_distance"]
