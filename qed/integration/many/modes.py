"""Where a log-density is large: local ascent from many starts, in a box or on the whole space, and its width there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from scipy import optimize

from qed.certificates.certificate import placed
from qed.domains.widened import Widened
from qed.graph.trace import Traced

Array = np.ndarray
BATCH = 2**14
"""How many points one compiled call takes at most."""
STEPS = 60
"""How many steps of local ascent."""


def rowwise(one: Callable[[Any], Any]) -> Callable[[Any], Array]:
    """A function of a vector as one of rows of float64, compiled for few sizes."""
    call = jax.jit(jax.vmap(one))

    def evaluate(x: Any) -> Array:
        rows = np.atleast_2d(np.asarray(x, np.float64))
        found = []
        with jax.enable_x64(True):
            for start in range(0, len(rows), BATCH):
                part = rows[start : start + BATCH]
                size = 2 ** (5 + 3 * max(0, -(-(int(len(part) - 1).bit_length() - 5) // 3)))
                padded = np.resize(part, (size, rows.shape[1]))  # few sizes, few compilations
                found.append(np.asarray(call(padded), np.float64)[: len(part)])
        return np.concatenate(found) if found else np.zeros(0)

    return evaluate


def batched(traced: Traced, output: int = 0) -> Callable[[Any], Array]:
    """An output of a graph as a function of rows of float64."""
    return rowwise(lambda x: Widened()(traced.graph, placed(traced, [x]))[output])


def ascended(u: Callable[[Any], Array], start: Array, low: Array, high: Array) -> tuple[Array, float]:
    """A local maximum near a start, and its value; derivatives by differences, all in one call."""
    n = len(start)
    wide = np.where(np.isfinite(high - low), high - low, 1.0 + np.abs(start))

    def negative(x: Array) -> tuple[float, Array]:
        h = 1e-6 * np.maximum(np.abs(x), 1e-3 * wide)
        rows = np.clip(np.concatenate([x[None], x + np.diag(h), x - np.diag(h)]), low, high)
        values = u(rows)
        with np.errstate(all="ignore"):
            steps = np.diagonal(rows[1 : n + 1]) - np.diagonal(rows[n + 1 :])
            slope = (values[1 : n + 1] - values[n + 1 :]) / np.where(steps > 0, steps, 1.0)
        if not np.isfinite(values[0]):
            return 1e300, np.zeros(n)
        return -float(values[0]), -np.where(np.isfinite(slope), slope, 0.0)

    bounds = [(a if np.isfinite(a) else None, b if np.isfinite(b) else None) for a, b in zip(low, high, strict=True)]
    how = {"maxiter": STEPS, "maxls": 30}
    with np.errstate(all="ignore"):
        found = optimize.minimize(negative, start, jac=True, bounds=bounds, method="L-BFGS-B", options=how)
    return np.asarray(found.x), -float(found.fun)


def widths(u: Callable[[Any], Array], mode: Array, low: Array, high: Array) -> Array:
    """In each coordinate, how far from a mode u is lower by 1/2, by bisection on a scale of steps (n,)."""
    n = len(mode)
    wide = np.where(np.isfinite(high - low), high - low, 1e3 * (1.0 + np.abs(mode)))
    steps = 2.0 ** np.arange(-36.0, 1.0)
    found = np.empty(n)
    top = u(mode[None])[0]
    for i in range(n):
        shifted = np.repeat(mode[None], 2 * len(steps), 0)
        shifted[:, i] += wide[i] * np.concatenate([steps, -steps])
        inside = (shifted[:, i] >= low[i]) & (shifted[:, i] <= high[i])
        drop = np.where(inside, top - np.nan_to_num(u(np.clip(shifted, low, high)), nan=-np.inf), np.inf)
        both = np.where(np.isfinite(drop), drop, np.inf).reshape((2, -1)).min(0)
        far = np.flatnonzero(~(both < 0.5))
        found[i] = wide[i] * steps[far[0] if far.size else -1]
    return found


def covariance(u: Callable[[Any], Array], mode: Array, low: Array, high: Array) -> Array:
    """The inverse of the curvature at a mode, by differences over its widths; diagonal where that is not definite."""
    h = widths(u, mode, low, high)
    n = len(mode)
    fits = (mode - h > low) & (mode + h < high)
    i, j = np.triu_indices(n)
    plus, minus = np.eye(n) * (0.5 * h), u(mode[None])[0]
    rows = [mode + s * plus[a] + t * plus[b] for a, b in zip(i, j, strict=True) for s, t in _SIGNS]
    values = u(np.clip(np.array(rows), low, high)).reshape((-1, 4))
    with np.errstate(all="ignore"):
        mixed = (values[:, 0] - values[:, 1] - values[:, 2] + values[:, 3]) / 4
        on = i == j
        single = u(np.clip(np.concatenate([mode + plus, mode - plus]), low, high)).reshape((2, n))
        mixed[on] = single[0] + single[1] - 2 * minus
        curve = np.zeros((n, n))
        curve[i, j] = curve[j, i] = -mixed * 4
    scaled = np.where(np.isfinite(curve), curve, 0.0)
    if np.all(fits) and np.all(np.isfinite(curve)):
        values_, vectors = np.linalg.eigh(scaled)
        if values_.min() > 1e-3 * values_.max() > 0:
            root = vectors / np.sqrt(values_)
            return (h[:, None] * (root @ root.T)) * h
    return np.diag(h * h)


_SIGNS = ((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0))
