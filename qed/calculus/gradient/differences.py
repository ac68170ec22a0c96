"""A derivative from differences, with an error bar: Richardson's table.

The central difference D(h) = (f(h) - f(-h)) / 2h errs by a series in h^2. From the steps h_k = 0.03 s / 3^k,

    T[k][0] = D(h_k),   T[k][m] = T[k][m-1] + (T[k][m-1] - T[k-1][m-1]) / (9^m - 1),

each column loses one more term of the series, while rounding grows as 1/h. The bar of an entry is its distance to its
two parents, and the entry with the smallest bar is the answer: where f is smooth the bar is small, where f is
noisy, stepped or kinked it is wide, and says so.

References: Richardson (1911); Ridders, *Accurate computation of F'(x)*, Advances in Engineering Software 4 (1982).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import lax

ROWS = 7
BARS = 20.0
"""How many bars a difference must be away to be one: the bar is an estimate of the error, not a bound."""


def richardson(f: Callable[[Any], Any], size: Any) -> tuple[Any, Any]:
    """The derivative at t = 0 of a function of one number, and its error bar; under `jax.enable_x64`.

    Args:
        f: number -> number, in float64.
        size: the scale s of the steps.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> with jax.enable_x64(True):
        ...     slope, bar = richardson(lambda t: jnp.exp(2 + t), 2.0)
        >>> float(bar) < 1e-8, abs(float(slope) - 7.38905609893065) <= 20 * float(bar)
        (True, True)
    """
    steps = 0.03 * size / 3.0 ** jnp.arange(ROWS, dtype=jnp.float64)
    points = jnp.stack([steps, -steps], axis=1).reshape(-1)
    values = lax.map(f, points).reshape(ROWS, 2)
    column = (values[:, 0] - values[:, 1]) / (2 * steps)
    entries, bars = [], []
    for m in range(1, ROWS):
        after = column[1:] + (column[1:] - column[:-1]) / (9.0**m - 1)
        bars.append(jnp.maximum(jnp.abs(after - column[1:]), jnp.abs(after - column[:-1])))
        entries.append(after)
        column = after
    every, wide = jnp.concatenate(entries), jnp.concatenate(bars)
    best = jnp.argmin(jnp.where(jnp.isfinite(wide), wide, jnp.inf))
    return every[best], wide[best]
