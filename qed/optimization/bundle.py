"""A bundle of quadratic cuts: minima at corners, found to the last digits.

From the slopes g_k seen at points p_k, and the curvature H of the pieces, f is modelled as the largest of

    q_k(y) = f(p_k) + g_k'(y - p_k) + (y - p_k)'H(y - p_k)/2,

exact for the largest of affine functions plus one quadratic function: lasso, hinge losses with and without a square,
quantiles, total variation. Its least value near x, with m |y - x|^2/2 besides, is that of a quadratic problem in
weights w >= 0, sum w = 1, of the cuts: those with w > 0 meet there, which is Newton's method along the corner. A point
that is lower is kept; else its cut is, and the model is true there from then on (Lemarechal, "Bundle methods in
nonsmooth optimization", 1978; Lewis and Wylie, "A simple Newton method for local nonsmooth optimization", 2019).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from qed.optimization.bounds import Bounds
from qed.optimization.objective import Objective, Seen
from qed.optimization.running import Ended, escape
from qed.optimization.simplex import on_simplex

Array = np.ndarray
PARAMETERS = 60
"""In how many parameters at most."""
NEAR = 1e-5
"""How far from it, relative to the point, cuts are asked again."""
DIGITS = (12, 9, 6)
"""To how many places numbers are rounded at the end, if f is no higher there."""
ENOUGH = 0.1
"""Which part of what the model promises a step has to bring."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """The lowest point of a run, its steps, and whether the model has its least value there."""

    here: Seen
    steps: int
    ended: bool


def bundle(objective: Objective, here: Seen, bounds: Bounds, most: int = 0) -> Bundle | None:
    """The lowest point that is met from a point; None where there are too many parameters, or bounds.

    A cut that is above f shows that f is not convex; then nothing more is tried.

    Args:
        objective: the function.
        here: where the run begins.
        bounds: none, so far.
        most: how many values it may take; 0 for 100 and 10 for each parameter.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> f = lambda x: jnp.abs(x[0] - 1) + 3 * jnp.abs(x[1] + 2 * x[0]) + (x[0] + x[1]) ** 2
    >>> objective = Objective(read(f, jnp.array([4.0, 4.0])))
    >>> found = bundle(objective, objective.at(objective.start), Bounds(np.full(2, -np.inf), np.full(2, np.inf)))
    >>> found.here.x.round(3).tolist()
    [0.5, -1.0]
    """
    n = len(here.x)
    if n > PARAMETERS or not bounds.open or not here.finite or objective.dear:
        return None
    seen, steps, most = 1, 0, most or 100 + 10 * n
    cuts = [_cut(objective, here, None)]
    H, weight = cuts[0].H, 0.0
    weight = max(1e-3 * float(np.linalg.norm(here.g)), 1e-8 * float(np.abs(H).max(initial=0.0)), 1e-12)
    nulls, ended = 0, False
    while seen < most:
        rows, errors = _at(cuts, here)
        w, move = _least(rows, errors, H, weight)
        promised = -float(np.max(rows @ move - errors) + 0.5 * move @ H @ move)
        left = promised + 0.5 * weight * float(move @ move)
        size, noise = float(np.abs(move).max(initial=0.0)), 4 * objective.eps * abs(here.f)
        if left <= noise or size <= objective.eps * float(np.abs(here.x).max(initial=0.0)):
            if weight > 1e-2 * max(1.0, float(np.abs(H).max(initial=0.0))):
                weight /= 100
                continue
            cuts, count = _nearer(objective, cuts, w, here, noise)
            seen += count
            ended = not count
            if ended:
                break
            continue
        there = objective.at(here.x + move)
        seen, steps = seen + 1, steps + 1
        if not there.finite:
            weight *= 10
            continue
        made = _cut(objective, there, H)
        others = [c for c, used in zip(cuts, w, strict=True) if not used > 0][-(n + 10) :]
        used = [(c, float(share)) for c, share in zip(cuts, w, strict=True) if share > 0]
        cuts = [*others, *(c for c, _ in used), made]
        H = np.sum([share * c.H for c, share in used], axis=0)
        fell = here.f - there.f
        rounding = 1e-9 * (abs(here.f) + float(np.abs(here.g) @ np.abs(move)))
        rounding += 16 * objective.eps * (1.0 + float(np.abs(here.g) @ np.abs(here.x)))
        if there.f < here.f + float(here.g @ move) - rounding or here.f < there.f - float(there.g @ move) - rounding:
            break
        if fell >= ENOUGH * promised and fell > 0:
            if fell >= 0.5 * promised or nulls == 0:
                weight = max(weight / 4, 1e-12)
            here, nulls = there, 0
            continue
        nulls += 1
        if fell > 0:
            here = there
        if nulls % 3 == 0:
            weight *= 4
    for digits in DIGITS:
        short = objective.at(np.round(here.x, digits))
        here = short if short.finite and short.f <= here.f else here
    return Bundle(here, steps, ended)


@dataclass(frozen=True, eq=False)
class Cut:
    """A point with value and slope, the curvature there without what bends down, and whether it was asked again."""

    seen: Seen
    H: Array
    near: bool = False


def _cut(objective: Objective, seen: Seen, before: Array | None, near: bool = False) -> Cut:
    """The cut at a point, with the curvature of before where it is not finite."""
    matrix = objective.matrix(seen.x)
    matrix = matrix.toarray() if hasattr(matrix, "toarray") else np.asarray(matrix)
    if not np.all(np.isfinite(matrix)):
        return Cut(seen, np.zeros_like(matrix, np.float64) if before is None else before, near)
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return Cut(seen, (vectors * np.maximum(values, 0.0)) @ vectors.T, near)


def by_cuts(objective: Objective, start: Seen, bounds: Bounds, tol: float) -> Ended | None:
    """A run by cuts of a function with corners; None where it does not end where the model says that it may.

    Cuts take the curvatures that are negative for none, so that it may end at a maximum: then None, too.
    """
    if not objective.cornered:
        return None
    found = bundle(objective, start, bounds)
    if found is None or not found.ended:
        return None
    still = float(np.abs(found.here.g).max(initial=0.0)) <= tol
    if still and escape(objective, found.here, bounds) is not None:
        return None
    return Ended(found.here, "stationary" if still else "stuck", found.steps, 0)


def _at(cuts: list[Cut], here: Seen) -> tuple[Array, Array]:
    """The slopes of the cuts at a point, and how far below f they are there; where quadratic ones are above, affine."""
    away = here.x - np.array([c.seen.x for c in cuts])
    slopes, values = np.array([c.seen.g for c in cuts]), np.array([c.seen.f for c in cuts])
    plain = values + np.sum(slopes * away, 1)
    bent = np.array([c.H @ d for c, d in zip(cuts, away, strict=True)])
    curved = plain + 0.5 * np.sum(bent * away, 1)
    below = curved <= here.f
    errors = here.f - np.where(below, curved, plain)
    return slopes + np.where(below[:, None], bent, 0.0), np.maximum(errors, 0.0)


def _nearer(objective: Objective, cuts: list[Cut], w: Array, here: Seen, noise: float) -> tuple[list[Cut], int]:
    """The cuts, those that matter and are bent asked again next to the point; and how many were."""
    found, count = [], 0
    scale = NEAR * max(1.0, float(np.abs(here.x).max(initial=0.0)))
    for cut, share in zip(cuts, w, strict=True):
        away = cut.seen.x - here.x
        far = float(np.linalg.norm(away))
        if share > 0 and not cut.near and far > scale and float(away @ cut.H @ away) > noise:
            there = objective.at(here.x + away * (scale / far))
            count += 1
            if there.finite:
                cut = _cut(objective, there, cut.H, near=True)
        found.append(cut)
    return found, count


def _least(rows: Array, errors: Array, H: Array, weight: float) -> tuple[Array, Array]:
    """The weights of the cuts, and the step to the least value of the model."""
    factor = scipy.linalg.cho_factor(H + weight * np.eye(len(H)))
    across = scipy.linalg.cho_solve(factor, rows.T)
    w = on_simplex(rows @ across, errors)
    used = np.flatnonzero(w)
    n, m = len(H), len(used)
    system = np.zeros((n + m + 1, n + m + 1))
    system[:n, :n] = H + weight * np.eye(n)
    system[n : n + m, :n], system[:n, n : n + m] = rows[used], rows[used].T
    system[n : n + m, -1], system[-1, n : n + m] = -1.0, 1.0
    right = np.concatenate([np.zeros(n), errors[used], [1.0]])
    try:
        found = np.linalg.solve(system, right)  # the same, but for the rounding of 1 / weight
    except np.linalg.LinAlgError:
        found = np.zeros(len(right))
    if np.all(found[n : n + m] > 0):
        w[used] = found[n : n + m]
        return w, found[:n]
    return w, -across @ w
