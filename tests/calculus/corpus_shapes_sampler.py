"""Labels of the corpus contradicted by segments, by code that shares nothing with qed.

A label is contradicted if f((a + b)/2) lies above the mean of f(a) and f(b) by more than roundings explain (convex), or
below (concave); it is supported if what it excludes was seen: a segment bent up for a label that is not concave, one
bent down for a label that is not convex. Evaluation is JAX's in float64, or the case's `exact` in Fractions.
"""

from __future__ import annotations

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from tests.calculus.corpus_shapes import AFFINE, CONCAVE, CONVEX, Case

SCALES = (1.0, 0.3, 0.03)
ROUNDINGS = 2e-11


def ends(case: Case) -> tuple[np.ndarray, np.ndarray, object]:
    """The box flattened, in float64, and the function that rebuilds a point."""
    lower, upper = case.box
    full = max((lower, upper), key=lambda side: sum(np.size(leaf) for leaf in jax.tree.leaves(side)))
    back = ravel_pytree(jax.tree.map(lambda leaf: jnp.asarray(leaf, float), full))[1]
    return *(flat(side, full, sign) for side, sign in ((lower, -1), (upper, 1))), back


def flat(side, full, sign) -> np.ndarray:
    """One side of a box as a vector; None and scalars are broadcast."""
    if side is None:
        side = sign * np.inf
    wide = jax.tree.broadcast(side, full)
    leaves = [
        np.broadcast_to(a, np.shape(b)).ravel()
        for a, b in zip(jax.tree.leaves(wide), jax.tree.leaves(full), strict=True)
    ]
    return np.concatenate(leaves).astype(float)


def points(rng, lower, upper, count) -> np.ndarray:
    """Points of the box, from many magnitudes where it has no end."""
    n = lower.size
    scale = 4.0 ** rng.uniform(-2, 1.5, (count, 1))
    inside = lower + (upper - lower) * rng.random((count, n)) if np.all(np.isfinite(upper - lower)) else None
    if inside is not None:
        return inside
    free = scale * rng.standard_normal((count, n))
    low = np.where(np.isfinite(lower), lower + np.abs(free), free)
    return np.where(
        np.isfinite(lower), np.minimum(low, upper), np.where(np.isfinite(upper), upper - np.abs(free), free)
    )


def segments(case: Case, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of points: the case's own first, then at random, along coordinates too, shorter and shorter."""
    rng = np.random.default_rng(seed)
    lower, upper, _ = ends(case)
    a, b = points(rng, lower, upper, count), points(rng, lower, upper, count)
    single = rng.random((count, 1)) < 0.3
    only = np.eye(lower.size)[rng.integers(0, lower.size, count)] > 0
    b = np.where(single & ~only, a, b)
    b = a + (b - a) * rng.choice(SCALES, (count, 1))
    given = [
        [np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(end)]).astype(float) for end in pair]
        for pair in case.segments
    ]
    if given:
        a, b = (
            np.concatenate([np.stack(side), rest]) for side, rest in zip(zip(*given, strict=True), (a, b), strict=True)
        )
    return a, b


def bends(case: Case, count: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(mean of the ends minus the middle, what roundings may make of it), a segment each."""
    a, b = segments(case, count, seed)
    with jax.enable_x64(True):
        back = ends(case)[2]
        several = jax.jit(jax.vmap(lambda v: case.fun(back(v), *case.args)))
        values = [np.asarray(several(jnp.asarray(v)), float) for v in (a, b, (a + b) / 2)]
    if case.exact is not None:
        return _exactly(case, a, b)
    fa, fb, middle = values
    bend = (fa + fb) / 2 - middle
    size = np.abs(fa) + np.abs(fb) + np.abs(middle)
    kept = np.isfinite(bend)
    return bend[kept], (ROUNDINGS * size)[kept]


def _exactly(case, a, b):
    found = []
    for x, y in list(zip(a, b, strict=True))[:300]:
        p, q = ([Fraction(float(v)) for v in side] for side in (x, y))
        middle = [(u + v) / 2 for u, v in zip(p, q, strict=True)]
        found.append(float((case.exact(p) + case.exact(q)) / 2 - case.exact(middle)))
    return np.array(found), np.zeros(len(found))


def contradiction(case: Case, count: int = 4000, seed: int = 0) -> str | None:
    """What the sampler has against the label, or None."""
    bend, noise = bends(case, count, seed)
    if bend.size < 0.5 * min(count, 300):
        return f"only {bend.size} of {count} segments have values"
    up, down = bool(np.any(bend > noise)), bool(np.any(bend < -noise))
    seen = f"bends from {bend.min():.3g} to {bend.max():.3g}"
    expected = {CONVEX: (True, False), CONCAVE: (False, True), AFFINE: (False, False)}.get(case.label, (True, True))
    return None if (up, down) == expected else f"labelled {case.label}, but {seen}"
