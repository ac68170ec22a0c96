"""Points where slopes say nothing: a stop_gradient cuts them off, a value jumps, or a gradient does.

Multipliers are prices by slopes. Each of these is looked for by values a little aside, and ends what can be said.
"""

from __future__ import annotations

import numpy as np

from qed.optimization.constrained.portfolio import Solved
from qed.optimization.constrained.problem import Constrained
from qed.optimization.constrained.residuals import row_scales
from qed.optimization.constrained.told import Told
from qed.optimization.solution import Ending

Array = np.ndarray


def cut_off(problem: Constrained, best: Solved) -> Told | None:
    """Whether a stop_gradient cuts slopes off: at the point or a little aside, from where curvatures come."""
    if not problem.stopped or not best.kkt.seen.finite:
        return None
    rng = np.random.default_rng(0)
    for far in (0.0, 0.1):
        x = best.kkt.seen.x
        here = problem.at(problem.bounds.project(x + far * (1 + np.abs(x)) * rng.standard_normal(problem.n)))
        way = 1e-5 * (1 + np.abs(here.x)) * rng.standard_normal(problem.n)
        ends = [np.array([f, *c]) for f, c in (problem.values(here.x + way), problem.values(here.x - way))]
        observed, promised = (ends[0] - ends[1]) / 2, np.array([here.g @ way, *(here.J @ way)])
        size = np.array([np.abs(here.g) @ np.abs(way), *(abs(here.J) @ np.abs(way))])
        most = 1e-3 * np.maximum(size, np.abs(observed)) + 1e-9 + 100 * problem.eps * np.abs(ends[0])
        found = np.flatnonzero(here.finite & np.isfinite(observed) & (np.abs(observed - promised) > most))
        if len(found):
            name = "f" if found[0] == 0 else problem.names[int(found[0]) - 1]
            text = f"A stop_gradient is in the way: along a direction the values of {name} do not follow its gradient."
            return Told(Ending.STOP_GRADIENT, text, "the whole gradient")
    return None


def jump(problem: Constrained, best: Solved) -> Told | None:
    """Whether f or a row that holds the point jumps there: slopes say nothing of what lies beyond."""
    if not problem.cornered or not best.kkt.seen.finite:
        return None
    here, rng = best.kkt.seen, np.random.default_rng(0)
    slopes, values = np.array([np.abs(here.g).max(initial=0.0), *row_scales(here)]), np.array([here.f, *here.c])
    at_work = np.array([True, *((np.arange(problem.rows) < problem.equalities) | (here.c <= 1e-6 * row_scales(here)))])
    size = np.maximum(1.0, np.abs(values))

    def beyond(move: Array) -> tuple[Array, Array]:
        """How far the values are off the tangent, and how far a slope ten times as steep would carry them."""
        move = problem.bounds.project(here.x + move) - here.x
        f, c = problem.values(here.x + move)
        off = np.array([f, *c]) - values - np.array([here.g @ move, *(here.J @ move)])
        return off, 10 * slopes * np.abs(move).sum()

    for _ in range(4):
        way = (1 + np.abs(here.x)) * rng.choice([-1.0, 1.0], problem.n)
        off, steep = beyond(1e-7 * way)
        near, less = beyond(1e-10 * way)
        noise = np.abs(near - beyond(1.1e-10 * way)[0])
        # a jump is as large from nearby, and is there again a little aside; a cusp is not
        stays = (np.abs(near) > 0.5 * np.abs(off)) & (np.abs(near) > 10 * noise)
        small = np.maximum(1e-10, 100 * problem.eps) * size + less
        jumps = (np.abs(off) > max(1e-5, 100 * problem.eps) * size + steep) | (stays & (np.abs(near) > small))
        found = np.flatnonzero(at_work & np.isfinite(off) & np.isfinite(near) & jumps)
        if len(found):
            name = "f" if found[0] == 0 else problem.names[int(found[0]) - 1]
            by = np.abs(off[found[0]])
            text = f"A jump: {name} changes by {by:.3g} beside the point; multipliers say nothing there."
            return Told(Ending.KINK, text, "the problem on one side of the jump")
    return None


def corner_at(
    problem: Constrained, best: Solved, reach: float = 1e-7, least: float = 1e-3, known: bool = True
) -> Told | None:
    """Whether some gradient jumps at the point: multipliers of one side of a corner say nothing of the other.

    Args:
        problem: the problem.
        best: the point.
        reach: how far aside it is looked, relative to 1 + |x|.
        least: the smallest change, relative, that is a jump.
        known: whether to look only where a primitive may have a corner; a root of a sum of squares has one, too.
    """
    if (known and not problem.cornered) or not best.kkt.seen.finite:
        return None
    here, rng = best.kkt.seen, np.random.default_rng(0)
    jumps = np.zeros(problem.rows + 1)
    for _ in range(4):
        near = problem.at(here.x + reach * (1 + np.abs(here.x)) * rng.choice([-1.0, 1.0], problem.n))
        if near.finite:
            change = abs(near.J - here.J)
            rows = change.max(axis=1).toarray() if hasattr(change, "nnz") else change.max(axis=1, initial=0.0)
            jumps = np.maximum(jumps, [np.abs(near.g - here.g).max(initial=0.0), *np.ravel(rows)])
    jumps /= np.maximum(1.0, [np.abs(here.g).max(initial=0.0), *row_scales(here)])
    at_work = np.array([True, *((np.arange(problem.rows) < problem.equalities) | (here.c <= 1e-6 * row_scales(here)))])
    worst = int(np.argmax(np.where(at_work, jumps, 0.0)))
    if not at_work[worst] or jumps[worst] <= least:
        return None
    name = "f" if worst == 0 else problem.names[worst - 1]
    where = "at the point" if reach <= 1e-7 else f"within {reach:.0e} of where the solvers stopped"
    text = f"A kink: the gradient of {name} jumps {where}, by {jumps[worst]:.3g}; multipliers say nothing there."
    return Told(Ending.KINK, text, "the one-sided derivatives, or the problem written without the corner")
