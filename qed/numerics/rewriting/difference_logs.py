"""Logarithms minus their linear part: c (log u - (u^k - 1)/k), of which value and slope vanish together at u = 1.

With v = u^k it is c/k (log v - (v - 1)), the rest of a Taylor series in v - 1, which is found without cancellation.
More terms of its own sign may stand beside it, as in the divergence of two normal distributions::

    log(t/s) + (s^2 + (m - n)^2)/(2 t^2) - 1/2 = (m - n)^2/(2 t^2) + (r - 1 - log r)/2,      r = s^2/t^2

and log(1 + v) - v/(1 + v), which derivatives of n log(1 + v/n) in n are, is the same of b = 1/(1 + v). A difference of
logarithms over the difference of their arguments, ``(log x - log y)/(x - y)``, does not vanish: log1p(t)/(y t) for
t = (x - y)/y, with a derivative in which nothing cancels. log(sinh(x)/x), the free energy of a magnet, is small near 0
and nearly linear where sinh overflows.

Reference: Kullback, *Information Theory and Statistics*, 1959, chapter 9; Higham, *Accuracy and Stability of Numerical
Algorithms*, 2002, section 1.14.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics import logspace
from qed.numerics.rewriting import difference_laws as laws
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.difference_rules import Found
from qed.numerics.rewriting.difference_series import LOG_LESS, LOG_REST, remainder
from qed.numerics.rewriting.difference_terms import ONE, Monomial, Polynomial, logarithm_of, plus, power_of, times
from qed.numerics.rewriting.laws import Law

if TYPE_CHECKING:
    from qed.numerics.rewriting.difference_recursion import Difference


def _log_over(x: Any, y: Any, d: Any) -> Any:
    """(log x - log y) / d from d = x - y; 1/y where d is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> print(_log_over(jnp.float32(2.0), jnp.float32(2.0), jnp.float32(1e-9)))
        0.5
    """
    near = (jnp.abs(d) <= 0.5 * jnp.abs(y)) & jnp.isfinite(d)
    below = jnp.where(near, y, 1)
    inside = remainder("log1p", 1)(jnp.where(near, d / below, 0)) / below
    x, y, d = (jnp.where(near, 1, each) for each in (x, y, d))
    ratio = x / y
    fits = jnp.isfinite(ratio) & (ratio != 0)
    apart = jnp.log(jnp.where(fits, x, 1) / jnp.where(fits, y, 1))
    beyond = jnp.log(jnp.where(fits, 1, x)) - jnp.log(jnp.where(fits, 1, y))
    return jnp.where(near, inside, jnp.where(fits, apart, beyond) / d).astype(inside.dtype)


LOG_OVER = Operation("log_difference_over", _log_over, whole=True)
"""A difference of logarithms over that of their arguments: the reciprocal of the logarithmic mean."""


@jax.custom_jvp
def log_sinhc(x: Any) -> Any:
    """log(sinh(x)/x), 0 at 0, without the sinh.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.float32(200.0)
        >>> print(f"{log_sinhc(x):.6g} {jax.grad(log_sinhc)(x):.6g}", jnp.log(jnp.sinh(x) / x))
        194.009 0.995 inf
    """
    near, small, large = _parts_of_sinhc(x)
    inside = logspace.log1p(small * small * remainder("sinh", 3)(small))
    far = large - jnp.log(2 * large) + logspace.log1p(-jnp.exp(-2 * large))
    return jnp.where(near, inside, far).astype(x.dtype)


def _parts_of_sinhc(x: Any) -> tuple[Any, Any, Any]:
    size = jnp.abs(x)
    near = size < 1
    return near, jnp.where(near, x, 0).astype(x.dtype), jnp.where(near, 1, size).astype(x.dtype)


@log_sinhc.defjvp
def _log_sinhc_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    """coth x - 1/x = (cosh x - sinh(x)/x) / sinh x, as rests of Taylor series near 0."""
    (x,), (t,) = primals, tangents
    near, small, large = _parts_of_sinhc(x)
    square = small * small
    above = remainder("cosh", 2)(small) - remainder("sinh", 3)(small)
    inside = small * above / (1 + square * remainder("sinh", 3)(small))
    far = jnp.sign(x) * (1 / jnp.tanh(large) - 1 / large)
    return log_sinhc(x), jnp.where(near, inside, far).astype(x.dtype) * t


LOG_SINHC = Operation("log_sinhc", log_sinhc, whole=True)
SINHC = Law("log(sinh(a)/a) = |a| - log|2 a| + log(1 - exp(-2 |a|))", "always")


def log_of_sinhc(difference: Difference, polynomial: Polynomial) -> Found | None:
    """log(sinh(u)/u) and the negative of it."""
    ((monomial, coefficient),) = polynomial.items()
    for number, power in monomial:
        g = difference.node(number)
        u = difference.terms(g.children[0]) if g.operation == "sinh" and abs(power) == 1 else {}
        if len(u) != 1 or ONE in u:
            continue
        ((m, c),) = u.items()
        if coefficient * c**power == 1 and times(monomial, power_of(m, power)) == ((number, power),):
            return difference.algebra.times(float(power), difference.emit(LOG_SINHC, g.children[0])), (SINHC,)
    return None


def _is_log1p(node: Node) -> bool:
    """Whether a node is log(1 + v), by itself or as a library call of that name."""
    call = node.equation.call if node.equation is not None else None
    return "log1p" in (node.operation, getattr(call, "name", ""))


def log_slope(difference: Difference, polynomial: Polynomial, like: Node) -> Found | None:
    """c (log(1 + v) - v/(1 + v)) and perhaps one more term: the derivative of n log(1 + v/n) in n.

    With b = 1/(1 + v) it is -c (log b - (b - 1)).
    """
    for monomial, c in polynomial.items():
        g = difference.node(monomial[0][0]) if len(monomial) == 1 and monomial[0][1] == 1 else None
        u = difference.terms(g.children[0]) if g is not None and _is_log1p(g) else {}
        if len(u) != 1 or ONE in u or len(polynomial) > 3:
            continue
        ((v, a),) = u.items()
        for n, e in polynomial.items():
            for number, power in n if e == -a * c else ():
                whole = difference.terms.inside(difference.node(number)) if power == -1 else None
                if whole != plus({ONE: Fraction(1)}, u) or times(n, ((number, 1),)) != v:
                    continue
                one = difference.algebra.number(1.0, like)
                b = difference.emit(stable.DIV, one, difference.node(number))
                rest = difference.emit(LOG_REST, b, difference.plain({n: e / c}, like))
                value = difference.algebra.times(-float(c), rest)
                others = {m: f for m, f in polynomial.items() if m not in (monomial, n)}
                if others:
                    value = difference.emit(stable.ADD, difference.plain(others, like), value)
                return value, (laws.LOG_SLOPE,)
    return None


def log_rest(
    difference: Difference, polynomial: Polynomial, monomial: Monomial, c: Fraction, like: Node
) -> Found | None:
    """The polynomial, where its term c * monomial is the logarithm of such a sum; else None."""
    g = difference.node(monomial[0][0]) if len(monomial) == 1 and monomial[0][1] == 1 else None
    if g is None or g.operation not in ("log", "log_ratio", "log_difference"):
        return None
    for read in (difference.terms, difference.deep):
        u = logarithm_of(g, read)
        for given in (polynomial, difference.terms.expanded(polynomial, 1)):
            for k in (1, -1, 2, -2) if len(u) == 1 else (1,):
                found = _power(difference, given, (monomial, c), u, k, like) if given else None
                if found is not None:
                    return found
    return None


def _power(
    difference: Difference, polynomial: Polynomial, log: tuple[Monomial, Fraction], u: Polynomial, k: int, like: Node
) -> Found | None:
    c = log[1]
    v = u
    if len(u) == 1:
        v = {power_of(_signless(difference, m) if k % 2 == 0 else m, k): a**k for m, a in u.items()}
    below = plus(v, {ONE: Fraction(1)}, -1)
    if any(m not in polynomial for m in below):
        return None
    others = plus(plus(polynomial, {log[0]: c}, -1), below, c / k)
    if others and (len(others) >= len(polynomial) - 1 or not difference.adds(others)):
        return None
    if others and (min(others.values()) > 0) != (c / k < 0):
        return None
    gap = difference.sharp(below, like)
    if gap is None:
        return None
    known = difference.plain({log[0]: Fraction(k)}, like)
    value = difference.algebra.times(float(c / k), difference.emit(LOG_LESS, known, gap[0]))
    if others:
        value = difference.emit(stable.ADD, difference.plain(others, like), value)
    return value, (laws.LOG_REST, *gap[1])


def _signless(difference: Difference, monomial: Monomial) -> Monomial:
    """A monomial with x in the place of |x|."""
    found = ONE
    for number, power in monomial:
        node = difference.node(number)
        inner = difference.terms(node.children[0]) if node.operation == "abs" else {}
        plain = len(inner) == 1 and set(inner.values()) == {1}
        found = times(found, power_of(next(iter(inner)), power) if plain else ((number, power),))
    return found
