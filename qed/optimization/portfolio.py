"""What is tried from the same start where the chosen method has spent its steps, or where no test tells its point.

No method is the best on every function. Newton's model is true in a small ball only where a valley is narrow and
curved or the terrain waves, and its radius means nothing where parameters are of very different sizes. BFGS looks at
gradients along whole steps and walks through waves; and in the units of the start, x = S u with S = diag |x0|,

    g_u = S g,    H_u = S H S,

one radius fits all parameters. So, in this order, each from the start and each for as many steps again: BFGS (L-BFGS
where a matrix is too large); Newton's method in the units of the start; and Newton's method on from the lowest point
found. Where Newton's method comes to rest at a point of which no test tells what it is, as on the plateau of a sum of
squares whose bump has moved away from the data, it goes on with a finer tolerance, and if that does not show a minimum
the first two are tried too, for a few steps. Reference: Gould, Orban
and Toint, *CUTEst: a constrained and unconstrained testing environment*, Comput. Optim. Appl. 60, 2015, on whose
problems the gap between the best method and the best of all is seen; Dennis and Schnabel, *Numerical Methods for
Unconstrained Optimization and Nonlinear Equations*, 1983, section 7.1 (scaling).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from qed.answer import Reason
from qed.optimization.bounds import Bounds
from qed.optimization.objective import Objective, Seen
from qed.optimization.roundings import rounding
from qed.optimization.running import DENSE, Ended, by_model, run, small

Array = np.ndarray
CHEAP = 3
"""How many steps with a gradient alone one with a Hessian is counted as."""
FEW, LOWER = 200, 1e-6
"""Steps of each method from a start of whose end no test tells what it is, and how much lower, relative, is lower."""
FINER, FURTHER = 1e-4, 50
"""By what factor the tolerance is made finer where within it no test tells what a point is, and for how many steps."""
BESIDE = (1e-1, 1e-2, 1e-3)
"""How far beside a saddle it is begun again, relative to max(1, |x|)."""
UNLIKE = 100.0
"""From which ratio of the numbers of a start its units are worth a try."""


class InUnits(Objective):
    """An objective whose parameters are measured in given units, x = S u; it counts where the other does."""

    def __init__(self, other: Objective, units: Array) -> None:
        self.other, self.units = other, units
        self.function, self.counts, self.sizes = other.function, other.counts, []
        self.scatter, self.together, self.squares = other.scatter, None, None
        self.curvature, self._last, self.idle = other.curvature, None, np.zeros((len(units), 0))

    def at(self, x: Array, owned: bool = False) -> Seen:
        """Value and gradient at u."""
        seen = self.other.at(x * self.units)
        return Seen(seen.x / self.units, seen.f, seen.g * self.units)

    def matrix(self, x: Array) -> Any:
        """S H S at u."""
        found = self.other.matrix(x * self.units)
        if not hasattr(found, "nnz"):
            return found * np.outer(self.units, self.units)
        return found.multiply(self.units[:, None]).multiply(self.units[None, :]).tocsr()


def solve(objective: Objective, start: Seen, bounds: Bounds, tol: float, most: int) -> tuple[Ended, tuple[Reason, ...]]:
    """Newton's method, and where its steps are spent the others; which of them ended lowest, and the words for it.

    Args:
        objective: the loss.
        start: in the box, with a finite value and gradient.
        bounds: the box.
        tol: for the largest part of the projected gradient.
        most: steps with a Hessian that each method has.
    """
    first = run(objective, start, bounds, "newton", tol, most)
    if first.how != "budget":
        return first, ()
    tried = {"newton": first}
    search = "bfgs" if len(start.x) <= DENSE else "l-bfgs"
    tried[search] = run(objective, start, bounds, search, tol, CHEAP * most)
    best = _lowest(objective, tried)
    if tried[best].how != "stationary":
        units = _units(start)
        if units is not None and objective.curvature.kind != "products":
            tried["newton, in the units of the start"] = _in_units(objective, start, bounds, units, tol, most)
            best = _lowest(objective, tried)
        tried["newton, from the lowest"] = run(objective, tried[best].here, bounds, "newton", tol, most)
        best = _lowest(objective, tried)
    return replace(tried[best], steps=sum(each.steps for each in tried.values())), (_words(objective, tried),)


def by_gradients(
    objective: Objective, start: Seen, bounds: Bounds, tol: float, most: int
) -> tuple[Ended, tuple[Reason, ...]]:
    """L-BFGS, where a Hessian is dear; Newton's method from where it ends with a slope left."""
    first = run(objective, start, bounds, "l-bfgs", tol, most)
    if first.how in ("stationary", "away") or not first.here.finite:
        return first, ()
    on = run(objective, first.here, bounds, "newton", tol, most)
    tried = {"l-bfgs": first, "newton, from there": on}
    best = tried[_lowest(objective, tried)]
    return replace(best, steps=first.steps + on.steps), (_words(objective, tried),)


def elsewhere(
    objective: Objective, start: Seen, first: Ended, bounds: Bounds, tol: float
) -> Iterator[tuple[Ended, tuple[Reason, ...]]]:
    """Ever lower points without slope by other methods from the same start, one after the other, and the words."""
    if not start.finite or len(start.x) > DENSE or objective.curvature.kind == "products":
        return
    units, known = _units(start), first.here.f
    roads = {"bfgs": lambda: run(objective, start, bounds, "bfgs", tol, CHEAP * FEW)}
    if objective.adaptive and objective.small_squares is not None:
        roads = {"newton, by second derivatives alone": lambda: _alone(objective, start, bounds, tol), **roads}
    if units is not None:
        roads["newton, in the units of the start"] = lambda: _in_units(objective, start, bounds, units, tol, FEW)
    tried = {"newton": first}
    for name, road in roads.items():
        objective.sizes = []
        tried[name] = road()
        best = tried[_lowest(objective, tried)]
        if best.how == "stationary" and best.here.f < known - LOWER * abs(known):
            known = best.here.f
            yield replace(best, steps=sum(each.steps for each in tried.values())), (_words(objective, tried),)


def farther(objective: Objective, first: Ended, bounds: Bounds, tol: float) -> tuple[Ended, tuple[Reason, ...]] | None:
    """Where Newton's method leads from a point within the tolerance, with a finer one; None where it is not lower.

    Where it left the point for a lower place, it goes on there as far as the tolerance asks.
    """
    if objective.curvature.kind == "products":
        return None
    finer = FINER * tol
    end = run(objective, first.here, bounds, "newton", finer, FURTHER)
    if end.here.f < first.here.f - LOWER * abs(first.here.f) and end.how == "budget":
        on = run(objective, end.here, bounds, "newton", tol, CHEAP * FEW)
        end = replace(on, steps=end.steps + on.steps)
    if not (end.here.finite and end.here.f < first.here.f and small(objective, bounds, end.here, tol)):
        return None
    text = (
        f"within the tolerance of {tol:.2g} the point may be short of the minimum: {end.steps} more steps of newton, "
        f"with {finer:.2g}, lowered f by {first.here.f - end.here.f:.2g}, to {end.here.f:.8g}"
    )
    reason = Reason("a finer tolerance", text=text, role="method")
    return replace(end, how="stationary", steps=first.steps + end.steps), (reason,)


def past_a_saddle(
    objective: Objective, first: Ended, bounds: Bounds, tol: float, along: Array
) -> tuple[Ended, tuple[Reason, ...]] | None:
    """Where Newton's method leads from points beside a saddle, to both sides along a direction; None where not lower.

    Along a straight line f may rise although it bends downwards, since a narrow valley turns.
    """
    size, enough = max(1.0, float(np.linalg.norm(first.here.x))), rounding(objective, first.here)
    if len(first.here.x) > DENSE or objective.curvature.kind == "products" or not np.any(along):
        return None
    unit = along / float(np.linalg.norm(along))
    for t in (sign * share * size for share in BESIDE for sign in (1.0, -1.0)):
        begin = objective.at(bounds.project(first.here.x + t * unit))
        if not begin.finite:
            continue
        end = run(objective, begin, bounds, "newton", tol, FEW)
        if end.here.finite and end.here.f < first.here.f - enough:
            text = f"a saddle, left along its direction in a valley that turns: f is lower there, {end.here.f:.8g}"
            words = (Reason("past a saddle", text=text, role="method"),)
            return replace(end, steps=first.steps + end.steps, escapes=first.escapes + 1), words
    return None


def _words(objective: Objective, tried: dict[str, Ended]) -> Reason:
    told = "; ".join(f"{name}: f = {each.here.f:.8g} after {each.steps} steps" for name, each in tried.items())
    text = f"{told}. The point is that of {_lowest(objective, tried)}"
    return Reason("methods one after the other", text=text, role="method")


def _lowest(objective: Objective, tried: dict[str, Ended]) -> str:
    """Whose point is the lowest; of those as low up to noise, one without slope."""
    known = {name: each for name, each in tried.items() if not np.isnan(each.here.f)}
    least = min(each.here.f for each in known.values())
    low = {name: each for name, each in known.items() if each.here.f <= least + objective.noise(least)}
    return min(low, key=lambda name: (low[name].how != "stationary", low[name].here.f))


def _units(start: Seen) -> Array | None:
    """The sizes of the start's numbers where they are unlike; 1 for a zero."""
    sizes = np.abs(start.x)
    known = sizes[sizes > 0]
    if not len(known) or known.max() < UNLIKE * known.min():
        return None
    return np.where(sizes > 0, sizes, 1.0)


def _alone(objective: Objective, start: Seen, bounds: Bounds, tol: float) -> Ended:
    """Newton's method where a run chose between two models of a sum of squares: the road is another."""
    objective.adaptive = False
    try:
        return run(objective, start, bounds, "newton", tol, FEW)
    finally:
        objective.adaptive = True


def _in_units(objective: Objective, start: Seen, bounds: Bounds, units: Array, tol: float, most: int) -> Ended:
    """Newton's method in units, and on without them from where it ends, so that the tolerance is the user's."""
    inside = InUnits(objective, units)
    box = Bounds(bounds.lower / units, bounds.upper / units)
    end, _, taken = by_model(inside, inside.at(start.x / units), box, tol * float(units.min()), most)
    there = objective.at(bounds.project(end.x * units))
    if not there.finite:
        return Ended(start, "stuck", taken, 0)
    last = run(objective, there, bounds, "newton", tol, max(most - taken, 50))
    return replace(last, steps=last.steps + taken)
