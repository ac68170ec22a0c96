"""Integrals on the line and in few dimensions as JAX programs, with derivatives in all that they depend on.

An interval is cut into panels, evenly and where the integrand has corners and jumps; on each of them Gauss's rule of
eight points (Davis and Rabinowitz, *Methods of Numerical Integration*, 1984, section 2.7). The points of a panel move
with its ends: the derivative of the sum is Leibniz's rule, boundary terms included. In more dimensions one coordinate
is integrated inside the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.integration.traced.lines import Line, far
from qed.integration.traced.switches import roots

NODES = np.polynomial.legendre.leggauss(8)
OFFSET, NEAR = 0.0917, 1e-3
"""In widths of a panel: by how much panels are shifted, so that no end is a round number; and what lies at an end."""
DEEP = 200.0
"""Terms whose logarithm is this far below the largest one count for nothing."""
SHARE = 1e-6
"""What may lie at points too large for the precision, in parts of all."""
PANELS = {1: 96, 2: 20, 3: 8}
"""How many panels a coordinate has, by the number of dimensions."""


def panels(line: Line, count: int, h: Callable[[Any], Any] | None) -> Any:
    """The ends of the panels in w: evenly spaced, at corners of the weight, and where h(x) changes a sign.

    A fixed end that lies at a moving one moves with it: between the two there would be a panel without points, and the
    derivative would miss one side of a jump.
    """
    lower, upper = jnp.asarray(line.lower, jnp.result_type(float)), jnp.asarray(line.upper, jnp.result_type(float))
    width = (upper - lower) / count
    inner = lower + width * (jnp.arange(1, count) + OFFSET)
    corners = [_within(jnp.asarray(corner, inner.dtype), lower, upper)[None] for corner in line.corners]
    fixed = jnp.concatenate([inner, *corners])
    if h is not None:
        grid = jnp.sort(jnp.concatenate([lower[None], inner, inner + width / 2, upper[None]]))
        found = jnp.clip(roots(lambda w: h(line.point(w)), jnp.clip(grid, lower, upper), upper), lower, upper)
        found = found.astype(inner.dtype)
        away = jax.lax.stop_gradient(jnp.abs(fixed[:, None] - found[None, :]))
        fixed = jnp.where(away.min(1) < NEAR * jax.lax.stop_gradient(width), found[away.argmin(1)], fixed)
        fixed = jnp.concatenate([fixed, found])
    return jnp.sort(jnp.concatenate([lower[None], fixed, upper[None]]))


def _within(x: Any, lower: Any, upper: Any) -> Any:
    """x, or the end where it lies there or beyond: with the derivative of the end alone, not half of it."""
    return jnp.where(x <= lower, lower, jnp.where(x >= upper, upper, x))


def nodes(line: Line, count: int, h: Callable[[Any], Any] | None) -> tuple[Any, Any]:
    """Points x and the logarithms of their weights."""
    ends = panels(line, count, h)
    half = (ends[1:] - ends[:-1])[:, None] / 2
    w = (ends[1:] + ends[:-1])[:, None] / 2 + half * NODES[0].astype(ends.dtype)
    empty = half <= 0
    logs = line.log_weight(w) + jnp.log(jnp.where(empty, 1.0, half) * NODES[1].astype(ends.dtype))
    x = line.point(w) if line.beyond is None else jnp.where(line.beyond(w), jnp.inf, line.point(w))
    return x.ravel(), jnp.where(empty, -jnp.inf, logs).ravel()


def summed(f: Callable[[Any], Any], x: Any, logs: Any) -> Any:
    """The sum of f exp(logs); where the weight is 0, f is not looked at. NaN where too much lies at infinite points."""
    weights = jnp.exp(logs)
    used = weights > 0
    lost, used = used & ~jnp.isfinite(x), used & jnp.isfinite(x)
    inner = jnp.where(jnp.isfinite(x), x, 0.0)[jnp.argmax(jnp.where(used, logs, -jnp.inf))]
    values = jax.vmap(f)(jnp.where(used, x, jax.lax.stop_gradient(inner)))
    terms = jnp.where(used, values, 0.0) * weights
    return jnp.sum(terms) * _whole(f, terms, weights, lost) + _known(logs)


def _known(logs: Any) -> Any:
    """0, or NaN where the weights are: the points do not hold the measure."""
    return jnp.where(jnp.any(jnp.isnan(logs)), jnp.nan, 0.0)


def _whole(f: Callable[[Any], Any], terms: Any, weights: Any, lost: Any) -> Any:
    """1, or NaN where the points too large for the precision may matter: they have a mass, or f is large there."""
    terms, weights = jax.lax.stop_gradient((terms, weights))
    mass = jnp.sum(jnp.where(lost, weights, 0.0))
    most = jnp.exp(jnp.asarray(far(weights), weights.dtype))
    at = jnp.abs(jax.lax.stop_gradient(f(most))) * mass
    small = (mass <= SHARE * jnp.sum(weights)) & (at <= SHARE * jnp.sum(jnp.abs(terms)))
    return jnp.where((mass > 0) & ~small, jnp.nan, 1.0)


def log_summed(u: Callable[[Any], Any], x: Any, logs: Any) -> Any:
    """The logarithm of the sum of exp(u + logs)."""
    used = logs > -jnp.inf
    safe = jax.lax.stop_gradient(jnp.where(used, x, x[jnp.argmax(logs)]))
    sizes = jax.lax.stop_gradient(jax.vmap(u)(safe) + logs)
    sizes = jnp.where(used & ~jnp.isnan(sizes), sizes, -jnp.inf)
    used &= ~(sizes < jnp.max(sizes) - DEEP)  # what overflows there has no derivative
    values = jax.vmap(u)(jnp.where(used, x, safe[jnp.argmax(sizes)]))
    terms = jnp.where(used, values + logs, -jnp.inf)
    return jax.scipy.special.logsumexp(terms) + _known(logs)
