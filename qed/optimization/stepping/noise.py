"""The noise of a mini-batch at a point: the covariance of the gradients of single examples, and the noise scale.

With the gradients g_i of the examples, their mean g and their covariance C, a batch of B drawn independently has

    E |g_B - g|^2 = tr(C) / B,           S = tr(C) / |g|^2.

S is the *noise scale*: a step with a batch of S loses half of what the whole gradient gains, and the best step is
1 / (1 + S / B) of that with all examples, where the curvature is the same along all directions. Reference: McCandlish,
Kaplan, Amodei et al., *An empirical model of large-batch training*, 2018, section 2.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from qed.answer import Reason
from qed.optimization.examples import Examples
from qed.standing import Standing

Array = np.ndarray
NUMBERS = 1 << 24
"""How many numbers the gradients of single examples take at most; beyond, some examples are drawn."""
DRAWS, BATCH = 256, 8
"""How many batches are drawn to see the noise of one, and of how many examples."""


@dataclass(frozen=True, eq=False)
class Noise:
    """How the gradients of single examples scatter at a point.

    Args:
        examples: how many there are.
        gradient: |g|, of the mean.
        trace: tr(C), with C the covariance of the examples' gradients.
        scale: S = tr(C) / |g|^2; inf where the mean is zero.
        top: the share of tr(C) along the direction in which the gradients scatter most.
        stiffest: the share of tr(C) along the direction of the largest curvature.
        predicted, observed: the mean of |g_B - g|^2 for batches of 8, by tr(C) / B and as drawn.
        each: (examples seen, parameters) the gradients themselves.
    """

    examples: int
    gradient: float
    trace: float
    scale: float
    top: float
    stiffest: float
    predicted: float
    observed: float
    each: Array

    @property
    def covariance(self) -> Array:
        """C, (n, n); of as many parameters as its matrix has room for."""
        centred = self.each - self.each.mean(0)
        return centred.T @ centred / len(centred)


def noise_at(examples: Examples, stiffest: Array, seed: int = 0) -> Noise:
    """The scatter of the examples' gradients at the point at which the loss was given.

    Args:
        examples: of a loss that is their mean.
        stiffest: the unit direction of the largest curvature.
        seed: of the examples and batches that are drawn.
    """
    rng, parameters = np.random.default_rng(seed), examples.parameters
    most = max(2, NUMBERS // max(1, len(stiffest)))
    rows = None if examples.count <= most else rng.choice(examples.count, most, replace=False)
    each = examples.each(parameters, rows)
    mean = each.mean(0)
    centred = each - mean
    trace = float(np.mean(np.sum(centred**2, axis=1)))
    size = float(np.linalg.norm(mean))
    batch = min(BATCH, examples.count)
    drawn = jnp.asarray(rng.integers(0, examples.count, (DRAWS, batch)))
    slopes = jax.jit(jax.vmap(examples.slope, (None, 0)))(parameters, drawn)
    parts = np.concatenate([np.asarray(part, np.float64).reshape(DRAWS, -1) for part in slopes], axis=1)
    observed = float(np.mean(np.sum((parts - mean) ** 2, axis=1)))
    return Noise(
        examples.count, size, trace, trace / size**2 if size > 0 else np.inf, _top(centred, trace),
        _share(centred @ stiffest, trace), trace / batch, observed, each,
    )  # fmt: skip


def _share(along: Array, trace: float) -> float:
    return float(np.mean(along**2)) / trace if trace > 0 else 0.0


def _top(centred: Array, trace: float) -> float:
    """The share of the trace along the direction of the largest variance, by power steps."""
    v = np.random.default_rng(0).standard_normal(centred.shape[1])
    for _ in range(30):
        v = centred.T @ (centred @ v)
        length = float(np.linalg.norm(v))
        if length == 0:
            return 0.0
        v /= length
    return _share(centred @ v, trace)


def told(noise: Noise, asked: bool) -> Reason:
    """The noise as a line of an answer; with how batches are tried, unless that was asked for."""
    tried = "" if asked else "; optimizer='sgd:RATE,batch=8' tries batches of several sizes"
    scale = f"{noise.scale:.4g}" if np.isfinite(noise.scale) else "infinite: the mean is zero"
    return Reason(
        "the gradients of single examples",
        "S = tr(C) / |g|^2,  E |g_B - g|^2 = tr(C) / B",
        f"tr(C) = {noise.trace:.6g}, |g|^2 = {noise.gradient**2:.6g}; batches of {min(BATCH, noise.examples)} "
        f"scatter by {noise.predicted:.4g}, drawn {noise.observed:.4g}",
        predicted=noise.predicted,
        observed=noise.observed,
        standing=Standing.MEASURED,
        role="noise",
        text=f"the loss is the mean over {noise.examples} examples, whose gradients scatter: the noise scale is "
        f"{scale} (of the scatter {noise.top:.0%} lies along one direction, {noise.stiffest:.0%} along the "
        f"stiffest){tried}",
    )
