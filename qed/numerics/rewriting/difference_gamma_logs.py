"""log Gamma(r + y) - log Gamma(r) - y log|r|, which is about y (y - 1) / (2 r) for a large r.

::

    log Gamma(x) - log Gamma(r) - y log r = r psi(t) - log1p(t)/2 + s(x) - s(r)        x = r + y, t = y / r
    psi(t) = (1 + t) log(1 + t) - t,        s(z) = 1/(12 z) - 1/(360 z^3) + ...

from Stirling's series, for r >= 16 and |y| <= r/2; elsewhere it is the difference as it stands. s(x) - s(r) has the
factor y; so have the derivatives in r,

    d/dy = log1p(t) - 1/(2x) + s'(x),        d/dr = (log1p(t) - t) + y/(2 x r) + s'(x) - s'(r)

Reference: NIST, *Digital Library of Mathematical Functions*, 5.11.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics import logspace
from qed.numerics.rewriting.difference_gammas import digamma as digamma_difference
from qed.numerics.rewriting.difference_gammas import lgamma as lgamma_difference
from qed.numerics.rewriting.difference_series import log_rest
from qed.numerics.rewriting.difference_terms import Polynomial, plus, product
from qed.numerics.rewriting.entropy import relative_entropy
from qed.numerics.rewriting.laws import Law

if TYPE_CHECKING:
    from qed.numerics.rewriting.difference_recursion import Difference
    from qed.numerics.rewriting.difference_rules import Found

LAW = Law(
    "lgamma(r + y) - lgamma(r) - y log(r) = r psi(y/r) - log1p(y/r)/2 + s(r + y) - s(r), s of Stirling's series",
    "r >= 16, |y| <= r/2; elsewhere as it is",
)

LEAST = 16.0
STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
"""Coefficients of z^-1, z^-3, ..."""


def _apart(u: Any, v: Any, gap: Any, power: int) -> Any:
    """u^power - v^power from gap = u - v."""
    total = jnp.zeros_like(gap)
    for j in range(power):
        total = total + u ** (power - 1 - j) * v**j
    return gap * total


def _parts(r: Any, y: Any, x: Any) -> tuple[Any, Any, Any, Any]:
    near = (r >= LEAST) & (jnp.abs(y) < 0.5 * r)
    one = jnp.ones_like(x)
    safe = jnp.where(near, r, LEAST) * one, jnp.where(near, y, 1) * one, jnp.where(near, x, LEAST + 1) * one
    return near, *safe


@jax.custom_jvp
def lgamma_log(r: Any, y: Any, x: Any) -> Any:
    """log Gamma(x) - log Gamma(r) - y log r for x = r + y.

    Example:
        >>> import jax.numpy as jnp
        >>> r, y = jnp.float32(1e6), jnp.float32(3.0)
        >>> print(f"{lgamma_log(r, y, r + y):.5g}")  # y (y - 1) / 2 r
        3e-06
    """
    near, a, d, b = _parts(r, y, x)
    u, v = 1 / b, 1 / a
    gap = -(d / a) / b
    rest = sum((c * _apart(u, v, gap, 2 * k + 1) for k, c in enumerate(STIRLING)), jnp.zeros_like(b))
    close = (relative_entropy(b, a, d) - 0.5 * logspace.log1p(d / a)) + rest
    r, y, x = (jnp.where(near, other, each) for each, other in ((r, 1.0), (y, 1.0), (x, 2.0)))
    return jnp.where(near, close, lgamma_difference(x, r, y) - y * jnp.log(jnp.abs(r))).astype(close.dtype)


@lgamma_log.defjvp
def _lgamma_log_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    r, y, x = primals
    along_r, along_y, _ = tangents
    near, a, d, b = _parts(r, y, x)
    u, v, t = 1 / b, 1 / a, d / a
    gap = -t / b
    slopes = [-(2 * k + 1) * c for k, c in enumerate(STIRLING)]
    in_y = (logspace.log1p(t) - 0.5 * u) + sum((c * u ** (2 * k + 2) for k, c in enumerate(slopes)), jnp.zeros_like(b))
    apart = sum((c * _apart(u, v, gap, 2 * k + 2) for k, c in enumerate(slopes)), jnp.zeros_like(b))
    in_r = (log_rest(1 + t, t) - 0.5 * gap) + apart
    r, y, x = (jnp.where(near, other, each) for each, other in ((r, 1.0), (y, 1.0), (x, 2.0)))
    in_y = jnp.where(near, in_y, jax.lax.digamma(x * jnp.ones_like(b)) - jnp.log(jnp.abs(r)))
    in_r = jnp.where(near, in_r, digamma_difference(x * jnp.ones_like(b), r * jnp.ones_like(b), y) - y / r)
    value = lgamma_log(*primals)
    return value, (in_r * along_r + in_y * along_y).astype(value.dtype)


LGAMMA_LOG = Operation("lgamma_minus_logarithm", lgamma_log, whole=True)


def with_logarithm(difference: Difference, polynomial: Polynomial, like: Node) -> Found | None:
    """c (lgamma(x) - lgamma(r) - (x - r) log(r)) among the terms; the others stand beside it."""
    for taken, c, r, x in _pairs(difference, polynomial):
        gap = difference.minus(x, r)
        logs = [
            difference.node(number)
            for monomial in polynomial
            for number, power in monomial
            if power == 1 and difference.node(number).operation == "log"
        ]
        log = next((each for each in logs if each.children[0] is r), None)
        if log is None:
            continue
        linear = product(gap, difference.terms.generator(log))
        rest = plus(plus(polynomial, taken, -1), linear, c)
        if len(rest) != len(polynomial) - len(taken) - len(linear):
            continue
        found = difference.sharp(gap, like)
        if found is None:
            continue
        parts = [difference.algebra.filled(each, like.shape) for each in (r, found[0], x)]
        value = difference.algebra.times(float(c), difference.emit(LGAMMA_LOG, *parts))
        if rest:
            total = plus(rest, difference.terms.generator(value))
            better = difference(total, like)
            value = better[0] if better is not None else difference.plain(total, like)
        return value, (LAW, *found[1])
    return None


def _pairs(difference: Difference, polynomial: Polynomial) -> list[tuple[Polynomial, Fraction, Node, Node]]:
    """What is taken, its factor, r and x for the differences of logarithms of gammas among the terms."""
    found: list[tuple[Polynomial, Fraction, Node, Node]] = []
    plain: list[tuple[Polynomial, Fraction, Node]] = []
    for monomial, c in polynomial.items():
        g = difference.node(monomial[0][0]) if len(monomial) == 1 and monomial[0][1] == 1 else None
        if g is not None and g.operation == "lgamma_difference":
            x, r = g.children[:2]
            found += [({monomial: c}, c, r, x), ({monomial: c}, -c, x, r)]
        elif g is not None and difference.known(g).operation == "lgamma":
            plain.append(({monomial: c}, c, difference.known(g).children[0]))
    for one, c, x in plain:
        found += [({**one, **other}, c, r, x) for other, e, r in plain if e == -c]
    return found
