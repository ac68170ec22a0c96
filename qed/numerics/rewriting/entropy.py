"""One term of a relative entropy, a log(a / b) - a + b, with all its digits near a = b.

::

    a log(a / b) - a + b = b psi(d / b),    d = a - b,    psi(t) = (1 + t) log(1 + t) - t = t^2/2 - t^3/6 + ...

Its derivatives are log(a / b) and -d / b. For small t < 0 the series of psi is summed, for small t > 0 that of

    b psi(t) = a chi(d / a),    chi(w) = -log(1 - w) - w = w^2/2 + w^3/3 + ...

in both of which no term cancels another.

Reference: Csiszar, *Why least squares and maximum entropy?*, Annals of Statistics 19, 1991.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from qed.numerics import logspace

TERMS = {True: 56, False: 26}
"""How many terms of the series, for float64 and for shorter formats."""


def _near(t: Any) -> Any:
    return (t >= -0.5) & (t <= 1)


def _psi(t: Any) -> Any:
    """(1 + t) log(1 + t) - t, for -1/2 <= t <= 0: the sum over k >= 2 of (-t)^k / (k (k - 1))."""
    total = jnp.zeros_like(t)
    for k in range(TERMS[t.dtype == jnp.float64], 1, -1):
        total = (-1) ** k / (k * (k - 1)) + total * t
    return total * t * t


def _chi(w: Any) -> Any:
    """-log(1 - w) - w, for 0 <= w <= 1/2: the sum over k >= 2 of w^k / k."""
    total = jnp.zeros_like(w)
    for k in range(TERMS[w.dtype == jnp.float64], 1, -1):
        total = 1 / k + total * w
    return total * w * w


@jax.custom_jvp
def relative_entropy(a: Any, b: Any, d: Any) -> Any:
    """a log(a / b) - a + b, from d = a - b.

    Example:
        >>> import jax.numpy as jnp
        >>> a, b = jnp.float32(0.5), jnp.float32(0.5001)
        >>> print(f"{relative_entropy(a, b, a - b):.4g}", f"{a * jnp.log(a / b) - a + b:.1g}")  # (a - b)^2 / 2b
        1e-08 0
    """
    ratio = d / b
    near = _near(ratio)
    below, above = near & (ratio < 0), near & (ratio >= 0)
    over = d / jnp.where(above, a, 1)
    small = b * _psi(jnp.where(below, ratio, 0).astype(ratio.dtype))
    small = small + a * _chi(jnp.where(above, over, 0).astype(ratio.dtype))
    log = jnp.log(jnp.where(near | (a == 0), 1, a / b))
    return jnp.where(near, small, a * log - d)


@relative_entropy.defjvp
def _relative_entropy_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    a, b, d = primals
    along_a, along_b, _ = tangents
    near = _near(d / b)
    ratio = jnp.where(near, d / b, 0).astype(d.dtype)
    slope = jnp.where(near, logspace.log1p(ratio), jnp.log(jnp.where(near, 1, a / b)))
    return relative_entropy(a, b, d), slope * along_a - (d / b) * along_b
