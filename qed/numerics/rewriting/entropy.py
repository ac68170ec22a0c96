"""One term of a relative entropy, a log(a / b) - a + b, with all its digits near a = b.

::

    a log(a / b) - a + b = b psi(d / b),    d = a - b,    psi(t) = (1 + t) log(1 + t) - t = t^2/2 - t^3/6 + ...

Its derivatives are log(a / b) and -d / b. For small t the series is summed.

Reference: Csiszar, *Why least squares and maximum entropy?*, Annals of Statistics 19, 1991.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from qed.numerics import logspace

SERIES = 0.3
"""Up to which |t| the series of psi is summed."""
TERMS = 44


def _psi(t: Any) -> Any:
    """(1 + t) log(1 + t) - t, for |t| <= SERIES: sum over k >= 2 of (-t)^k / (k (k - 1))."""
    total = jnp.zeros_like(t)
    for k in range(TERMS if t.dtype == jnp.float64 else 22, 1, -1):
        total = (-1) ** k / (k * (k - 1)) + total * t
    return total * t * t


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
    near = jnp.abs(ratio) <= SERIES
    small = b * _psi(jnp.where(near, ratio, 0).astype(ratio.dtype))
    log = jnp.log(jnp.where(near | (a == 0), 1, a / b))
    return jnp.where(near, small, a * log - d)


@relative_entropy.defjvp
def _relative_entropy_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    a, b, d = primals
    along_a, along_b, _ = tangents
    near = jnp.abs(d / b) <= SERIES
    ratio = jnp.where(near, d / b, 0).astype(d.dtype)
    slope = jnp.where(near, logspace.log1p(ratio), jnp.log(jnp.where(near, 1, a / b)))
    return relative_entropy(a, b, d), slope * along_a - (d / b) * along_b
