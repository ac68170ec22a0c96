"""Three terms that are one square: second differences, and the square of a difference of roots.

::

    e^a - 2 e^m + e^b = 4 e^m sinh(h/2)^2        a + b = 2 m, h = a - m; the same of sinh and cosh
    sin a - 2 sin m + sin b = -4 sin(m) sin(h/2)^2        the same of cos
    a + b - 2 sqrt(a b) = (sqrt a - sqrt b)^2 = ((a - b) / (sqrt a + sqrt b))^2        a, b > 0

The derivatives of the last are 1 - sqrt(b/a) = (a - b) / (sqrt a (sqrt a + sqrt b)) in a, and the same in b.

References: Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section 1.14; Dowson and Landau, *The
Frechet distance between multivariate normal distributions*, 1982.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.difference_terms import ONE, Monomial, Polynomial, plus, scaled, times
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.smooth import SINH

if TYPE_CHECKING:
    from qed.numerics.rewriting.difference_recursion import Difference
    from qed.numerics.rewriting.difference_rules import Found

SECOND = Law("f(m + h) - 2 f(m) + f(m - h) = 4 f(m) sinh(h/2)**2, -4 f(m) sin(h/2)**2 of a sine or cosine", "always")
ROOTS = Law("a + b - 2 sqrt(a b) = ((a - b) / (sqrt(a) + sqrt(b)))**2", "a, b > 0; elsewhere as it is")

HALF_WAVES = {"exp": 4.0, "sinh": 4.0, "cosh": 4.0, "sin": -4.0, "cos": -4.0}
SIN = Operation("sin", jnp.sin)


def second_difference(difference: Difference, polynomial: Polynomial) -> Found | None:
    """c f(m + h) - 2 c f(m) + c f(m - h)."""
    items = [(difference.single(m, 1), c) for m, c in polynomial.items()]
    known = [(g, c) for g, c in items if g is not None and g.operation in HALF_WAVES]
    if len(known) != 3 or len({g.operation for g, _ in known}) != 1:
        return None
    for middle, c in known:
        (a, d), (b, e) = ((g, each) for g, each in known if g is not middle)
        x, y, m = (difference.terms(g.children[0]) for g in (a, b, middle))
        if d != e or c != -2 * d or difference.multiplied(plus(plus(x, y), m, -2)):
            continue
        gap = difference.sharp(difference.multiplied(scaled(plus(x, y, -1), Fraction(1, 2))), middle.children[0])
        if gap is None:
            return None
        name = middle.operation
        half = difference.emit(SINH if HALF_WAVES[name] > 0 else SIN, difference.algebra.times(0.5, gap[0]))
        value = difference.emit(stable.MUL, middle, difference.emit(stable.MUL, half, half))
        return difference.algebra.times(HALF_WAVES[name] * float(d), value), (SECOND, *gap[1])
    return None


def _usable(a: Any, b: Any, d: Any) -> Any:
    return (a > 0) & (b > 0) & (jnp.abs(d) < 0.5 * jnp.maximum(a, b))


@jax.custom_jvp
def square_between_roots(a: Any, b: Any, d: Any, mixed: Any) -> Any:
    """a + b + mixed for mixed = -2 sqrt(a b), from d = a - b: (sqrt a - sqrt b)^2 where a and b are near each other.

    Example:
        >>> import jax.numpy as jnp
        >>> a, b = jnp.float32(2.001), jnp.float32(2.0)
        >>> print(f"{square_between_roots(a, b, jnp.float32(1e-3), -2 * jnp.sqrt(a * b)):.4g}")
        1.25e-07
    """
    usable = _usable(a, b, d)
    plain = a + b + mixed
    a, b = (jnp.where(usable, each, 1) for each in (a, b))
    return jnp.where(usable, (d / (jnp.sqrt(a) + jnp.sqrt(b))) ** 2, plain).astype(d.dtype)


@square_between_roots.defjvp
def _square_between_roots_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    a, b, d, _ = primals
    along_a, along_b, _, along_mixed = tangents
    along_plain = along_a + along_b + along_mixed
    usable = _usable(a, b, d)
    a, b = (jnp.sqrt(jnp.where(usable, each, 1)) for each in (a, b))
    gap = d / (a + b)
    tangent = gap / a * along_a - gap / b * along_b
    value = square_between_roots(*primals)
    return value, jnp.where(usable, tangent, along_plain).astype(value.dtype)


ROOTS_SQUARED = Operation("square_between_roots", square_between_roots, whole=True)


def square_of_roots(difference: Difference, polynomial: Polynomial, like: Node) -> Found | None:
    """c (a + b - 2 sqrt(a b)), of two terms and the root of their product, or the product of their roots."""
    for mixed, e in polynomial.items():
        (m, c), (n, d) = ((each, value) for each, value in polynomial.items() if each != mixed)
        if c <= 0 and d <= 0:
            c, d, e = -c, -d, -e
            sign = -1.0
        else:
            sign = 1.0
        square = _square(difference, mixed)
        if square is None or e >= 0 or c <= 0 or d <= 0 or ONE in (m, n):
            continue
        if square[0] != times(m, n) or square[1] * e * e != 4 * c * d:
            continue
        a, b = difference.plain({m: c}, like), difference.plain({n: d}, like)
        gap = difference.sharp({m: c, n: -d}, like)
        if gap is None:
            return None
        cross = difference.plain({mixed: e}, like)
        parts = (difference.algebra.filled(each, like.shape) for each in (a, b, gap[0], cross))
        return difference.algebra.times(sign, difference.emit(ROOTS_SQUARED, *parts)), (ROOTS, *gap[1])
    return None


def _square(difference: Difference, monomial: Monomial) -> tuple[Monomial, Fraction] | None:
    """The square of a product of square roots, as one term."""
    found, coefficient = ONE, Fraction(1)
    for number, power in monomial:
        node = difference.known(difference.node(number))
        inner = difference.terms(node.children[0]) if node.operation == "sqrt" else {}
        if power != 1 or len(inner) != 1:
            return None
        ((below, value),) = inner.items()
        found, coefficient = times(found, below), coefficient * value
    return found, coefficient
