"""log(a^k + b^k) and a^k / (a^k + b^k), where a^k or b^k overflows: survival and response curves with a steep exponent.

With a the base of the larger power, b that of the smaller, and p = (b/a)^k in (0, 1]::

    log(a^k + b^k) = k log a + log1p(p)        a^k / (a^k + b^k) = 1 / (1 + p)        b^k / (a^k + b^k) = p / (1 + p)

for positive bases; elsewhere the formula stays as it is. p is the quotient of the powers where both are numbers of the
format, else the power of the quotient, and no exponential of k log(b/a), which would lose log2 |k log(b/a)| bits.
The derivative is that of the quotients: k da/a and k db/b with those weights.

Reference: Hill, *The possible effects of the aggregation of the molecules of haemoglobin*, 1910; Kalbfleisch and
Prentice, *The Statistical Analysis of Failure Time Data*, 2002, for the loglogistic distribution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from qed.graph.build import Node, Operation
from qed.numerics import logspace
from qed.numerics.rewriting.forms import Form, Term
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.scales import constant_of

if TYPE_CHECKING:
    from qed.numerics.rewriting.recursion import Logarithm

LOG_SUM = Law("log(a**k + b**k) = k log(a) + log1p((b/a)**k)", "a, b > 0; elsewhere as it is")
SHARE = Law("a**k / (a**k + b**k) = 1 / (1 + (b/a)**k)", "a, b > 0; elsewhere as it is")


def _parts(a: Any, b: Any, k: Any) -> tuple[Any, Any, Any, Any, Any]:
    """Whether both are positive, them there (else 1), whether a^k is the larger power, and p."""
    usable = (a > 0) & (b > 0)
    x, y = (jnp.where(usable, v, 1).astype(a.dtype) for v in (a, b))
    first = (x >= y) == (k >= 0)
    high, low = jnp.where(first, x, y), jnp.where(first, y, x)
    above, below, info = high**k, low**k, jnp.finfo(a.dtype)
    formed = (above < info.max) & (below > info.tiny)
    apart = jnp.where(formed, below, 1) / jnp.where(formed, above, 1)
    return usable, x, y, first, jnp.where(formed, apart, (low / high) ** k)


def _weights(first: Any, p: Any) -> tuple[Any, Any]:
    """a^k and b^k over their sum."""
    top, rest = 1 / (1 + p), p / (1 + p)
    return jnp.where(first, top, rest), jnp.where(first, rest, top)


def _elsewhere(usable: Any, a: Any, b: Any, f: Any) -> Any:
    """f(a, b), evaluated at 1 where both are positive."""
    return f(jnp.where(usable, 1, a).astype(a.dtype), jnp.where(usable, 1, b).astype(a.dtype))


def _plain_log(a: Any, b: Any, k: Any) -> Any:
    return jnp.where(b == 1, logspace.log1p(a**k), jnp.log(a**k + jnp.where(b == 1, 1, b) ** k)).astype(a.dtype)


def _plain_share(a: Any, b: Any, k: Any) -> Any:
    return a**k / (a**k + b**k)


@jax.custom_jvp
def log_sum_of_powers(a: Any, b: Any, k: Any) -> Any:
    """log(a^k + b^k).

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{log_sum_of_powers(jnp.float32(1e3), jnp.float32(1.0), jnp.float32(20.0)):.6g}")
        138.155
    """
    usable, x, y, first, p = _parts(a, b, k)
    inside = k * jnp.log(jnp.where(first, x, y)) + logspace.log1p(p)
    return jnp.where(usable, inside, _elsewhere(usable, a, b, lambda u, v: _plain_log(u, v, k))).astype(a.dtype)


def _log_sum_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    a, b, k = primals
    usable, x, y, first, p = _parts(a, b, k)
    of_a, of_b = _weights(first, p)
    inside = k * of_a / x, k * of_b / y, of_a * jnp.log(x) + of_b * jnp.log(y)
    outside = _slopes(_plain_log, usable, a, b, k)
    slopes = [jnp.where(usable, near, far) for near, far in zip(inside, outside, strict=True)]
    return log_sum_of_powers(*primals), _along(slopes, tangents, a)


@jax.custom_jvp
def share_of_powers(a: Any, b: Any, k: Any) -> Any:
    """a^k / (a^k + b^k)."""
    usable, x, y, first, p = _parts(a, b, k)
    u, total = x**k, x**k + y**k
    formed = (total > 0) & (total < jnp.inf)
    inside = jnp.where(formed, jnp.where(formed, u, 0) / jnp.where(formed, total, 1), _weights(first, p)[0])
    outside = _elsewhere(usable, a, b, lambda u, v: _plain_share(u, v, k))
    return jnp.where(usable, inside, outside).astype(a.dtype)


def _share_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    a, b, k = primals
    usable, x, y, first, p = _parts(a, b, k)
    of_a, of_b = _weights(first, p)
    both = of_a * of_b
    inside = both * k / x, -both * k / y, both * _log_quotient(x, y)
    outside = _slopes(_plain_share, usable, a, b, k)
    slopes = [jnp.where(usable, near, far) for near, far in zip(inside, outside, strict=True)]
    return share_of_powers(*primals), _along(slopes, tangents, a)


@jax.custom_jvp
def log_share_of_powers(a: Any, b: Any, k: Any) -> Any:
    """log(a^k / (a^k + b^k))."""
    usable, x, y, first, p = _parts(a, b, k)
    inside = jnp.where(first, 0, k * _log_quotient(x, y)) - logspace.log1p(p)
    outside = _elsewhere(usable, a, b, lambda u, v: jnp.log(_plain_share(u, v, k)))
    return jnp.where(usable, inside, outside).astype(a.dtype)


def _log_share_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    a, b, k = primals
    usable, x, y, first, p = _parts(a, b, k)
    of_b = _weights(first, p)[1]
    inside = of_b * k / x, -of_b * k / y, of_b * _log_quotient(x, y)
    outside = _slopes(lambda u, v, e: jnp.log(_plain_share(u, v, e)), usable, a, b, k)
    slopes = [jnp.where(usable, near, far) for near, far in zip(inside, outside, strict=True)]
    return log_share_of_powers(*primals), _along(slopes, tangents, a)


def _log_quotient(x: Any, y: Any) -> Any:
    """log(x / y) of positive numbers: by their difference where they are near."""
    near = (x < 2 * y) & (y < 2 * x)
    close = logspace.log1p(jnp.where(near, x - y, 0) / y)
    return jnp.where(near, close, jnp.log(x) - jnp.log(y)).astype(x.dtype)


def _slopes(f: Any, usable: Any, a: Any, b: Any, k: Any) -> tuple[Any, ...]:
    """The derivatives of a formula as it stands, taken at 1 where it is not used."""
    at = [jnp.where(usable, 1, v).astype(a.dtype) for v in (a, b)]
    at.append(jnp.broadcast_to(k, at[0].shape).astype(a.dtype))
    found = []
    for i in range(3):
        alone = lambda v, i=i: f(*at[:i], v, *at[i + 1 :])  # noqa: E731
        found.append(jax.jvp(alone, (at[i],), (jnp.ones_like(at[i]),))[1])
    return tuple(found)


def _along(slopes: Any, tangents: Any, like: Any) -> Any:
    """The sum over what varies: a slope that is no number counts only where its argument does."""
    total = jnp.zeros_like(like)
    for slope, tangent in zip(slopes, tangents, strict=True):
        if not isinstance(tangent, SymbolicZero):
            total = total + slope * tangent
    return total.astype(like.dtype)


log_sum_of_powers.defjvp(_log_sum_slope, symbolic_zeros=True)
share_of_powers.defjvp(_share_slope, symbolic_zeros=True)
log_share_of_powers.defjvp(_log_share_slope, symbolic_zeros=True)

LOG_SUM_OF_POWERS = Operation("log_sum_of_powers", log_sum_of_powers, whole=True)
SHARE_OF_POWERS = Operation("share_of_powers", share_of_powers, whole=True)
LOG_SHARE_OF_POWERS = Operation("log_share_of_powers", log_share_of_powers, whole=True)


def _bases(log: Logarithm, a: Node, b: Node) -> tuple[Node, Node, Node] | None:
    """(x, y, k), where two nodes are x^k and y^k, or one of them is 1."""
    powers = [node if node.operation == "pow" and node.equation is not None else None for node in (a, b)]
    known = next((node for node in powers if node is not None), None)
    if known is None:
        return None
    k, found = known.children[1], []
    for node, power in zip((a, b), powers, strict=True):
        if power is not None and power.children[1] is k:
            found.append(power.children[0])
        elif constant_of(node) == 1:
            found.append(log.algebra.number(1.0, node))
        else:
            return None
    return found[0], found[1], k


def log_of_sum(log: Logarithm, node: Node) -> Form | None:
    """log(x^k + y^k), where no rule knows the logarithm of either."""
    found = _bases(log, *node.children)
    if found is None:
        return None
    x, y, k = found
    pair = (x, y) if x.shape == node.shape else (y, x)
    value = log.emit(LOG_SUM_OF_POWERS, *(log.algebra.filled(each, node.shape) for each in (*pair, k)))
    return Form((Term(value),), node.shape, laws=(LOG_SUM,))


def share(log: Logarithm, a: Node, b: Node) -> tuple[Node, Node, Node] | None:
    """(x, y, k), where a = x^k and b = x^k + y^k."""
    if b.operation != "add" or b.equation is None or a not in b.children:
        return None
    found = _bases(log, a, b.children[1] if a is b.children[0] else b.children[0])
    if found is None:
        return None
    x, y, k = (log.algebra.filled(each, b.shape) for each in found)
    return x, y, k


def log_of_share(log: Logarithm, node: Node) -> Form | None:
    """log(x^k / (x^k + y^k))."""
    found = share(log, *node.children)
    if found is None:
        return None
    return Form((Term(log.emit(LOG_SHARE_OF_POWERS, *found)),), node.shape, laws=(SHARE,))
