"""Where a log-density is large: local ascent from many starts, in a box or on the whole space."""

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


def batched(traced: Traced, output: int = 0) -> Callable[[Any], Array]:
    """An output as a function of rows of float64."""

    @jax.jit
    def call(x: Any) -> Any:
        return jax.vmap(lambda one: Widened()(traced.graph, placed(traced, [one]))[output])(x)

    def evaluate(x: Any) -> Array:
        rows = np.atleast_2d(np.asarray(x, np.float64))
        found = []
        with jax.enable_x64(True):
            for start in range(0, len(rows), BATCH):
                part = rows[start : start + BATCH]
                size = 1 << max(5, int(len(part) - 1).bit_length())
                padded = np.resize(part, (size, rows.shape[1]))  # few sizes, few compilations
                found.append(np.asarray(call(padded), np.float64)[: len(part)])
        return np.concatenate(found) if found else np.zeros(0)

    return evaluate


def ascended(u: Callable[[Any], Array], start: Array, low: Array, high: Array) -> tuple[Array, float]:
    """A local maximum near a start, and its value; derivatives by differences, all in one call."""
    n = len(start)
    wide = np.where(np.isfinite(high - low), high - low, 1.0 + np.abs(start))

    def negative(x: Array) -> tuple[float, Array]:
        h = 1e-6 * np.maximum(np.abs(x), 1e-3 * wide)
        rows = np.concatenate([x[None], x + np.diag(h), x - np.diag(h)])
        values = u(np.clip(rows, low, high))
        with np.errstate(all="ignore"):
            steps = np.clip(x + h, low, high) - np.clip(x - h, low, high)
            slope = (values[1 : n + 1] - values[n + 1 :]) / np.where(steps > 0, steps, 1.0)
        if not np.isfinite(values[0]):
            return 1e300, np.zeros(n)
        return -float(values[0]), -np.where(np.isfinite(slope), slope, 0.0)

    bounds = [(a if np.isfinite(a) else None, b if np.isfinite(b) else None) for a, b in zip(low, high, strict=True)]
    with np.errstate(all="ignore"):
        found = optimize.minimize(
            negative, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": STEPS}
        )
    return np.asarray(found.x), -float(found.fun)
