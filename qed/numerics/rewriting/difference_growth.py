r"""Growth over its rate, (e^v - 1)/q with v = m q: the present value of a pension, the transformation of Box and Cox.

Written m R_1 exp(v), R_1 exp(v) = (e^v - 1)/v, nothing vanishes at q = 0, but the product rule in m has R_1 + v R_1',
two terms of size 1/|v| whose sum is e^v. So the derivatives are given:

    d/dm = e^v,        d/dq = m^2 R_1'(v)

Reference: Box and Cox, *An analysis of transformations*, Journal of the Royal Statistical Society B 26, 1964.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics.rewriting.difference_series import remainder
from qed.numerics.rewriting.difference_terms import ONE, Monomial, power_of, times

if TYPE_CHECKING:
    from qed.numerics.rewriting.difference_recursion import Difference


@jax.custom_jvp
def growth_over(m: Any, q: Any, v: Any) -> Any:
    """(e^v - 1)/q for v = m q.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> print(f"{jax.grad(growth_over)(jnp.float32(-40.0), jnp.float32(1.0), jnp.float32(-40.0)):.5g}")
        4.2484e-18
    """
    return m * remainder("exp", 1)(v)


@growth_over.defjvp
def _growth_over_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    m, q, v = primals
    in_v = jax.jvp(remainder("exp", 1), (v,), (jnp.ones_like(v),))[1]
    return growth_over(m, q, v), jnp.exp(v) * tangents[0] + m * (m * in_v) * tangents[1]


GROWTH_OVER = Operation("growth_over_rate", growth_over, whole=True)


def grown(difference: Difference, rest: Node, m: Monomial, like: Node) -> Node | None:
    """m R_1 exp(v), the second given, where m is a factor of v and not all of it."""
    v = rest.children[0]
    ((whole, c),) = difference.terms(v).items()
    powers, q = dict(whole), times(whole, power_of(m, -1))
    if ONE in (m, q) or any(powers.get(number, 0) * power < power * power for number, power in m):
        return None
    parts = (difference.monomial(m, like), difference.plain({q: c}, like), v)
    return difference.emit(GROWTH_OVER, *(difference.algebra.filled(each, like.shape) for each in parts))


__all__ = ["GROWTH_OVER", "grown", "growth_over"]
