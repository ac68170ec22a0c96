"""A value that is approached and not attained: f falls towards a point where the problem is not defined.

Where g has a pole, as 1/x - 1 >= 0 at x = 0, the feasible set (0, 1] is not closed; f = x^2 comes as near to 0 as one
likes there and never reaches it, and a solver stops at any small x. A point where something is not finite, that a
solver asked for or that the next step leads to, is looked at beside the point that was found: all along the way
towards it f has to fall, at feasible points, and what is not finite there has to grow on and on, by steps that do not
shrink while the distance is divided by 4. (Those of sqrt(x) at 0 do: its domain is closed there.) Reference:
Rockafellar and Wets, *Variational Analysis*, 1998, theorem 1.9 (a minimum is attained where f is lower semicontinuous
and its level sets are compact).
"""

from __future__ import annotations

import numpy as np

from qed.answer import Reason
from qed.optimization.constrained.nearby import violated
from qed.optimization.constrained.polish import Active, active_set, newton, snapped
from qed.optimization.constrained.portfolio import Solved
from qed.optimization.constrained.problem import Constrained, Seen
from qed.optimization.constrained.told import Told
from qed.optimization.solution import Ending
from qed.standing import Standing

Array = np.ndarray
REACH = 1e-4
"""How far from the best point, relative to 1 + |x|, the point may lie where something is not defined."""
STEPS = 1e-2 * 4.0 ** -np.arange(7)
"""At which distances from there, relative to 1 + |x|, f is looked at."""


def limit(problem: Constrained, best: Solved) -> Told | None:
    """The words where f falls towards a point beside the best one where f or a row is not defined; else None."""
    here = best.kkt.seen
    size = 1.0 + float(np.abs(here.x).max(initial=0.0))
    for z in _candidates(problem, best):
        gap = float(np.abs(z - here.x).max(initial=0.0))
        if not 0 < gap <= REACH * size:
            continue
        f, c = problem.values(z)
        missing = np.flatnonzero(~np.isfinite([f, *c]))
        if not len(missing) or not _falls(problem, z, here, int(missing[0])):
            continue
        name = "f" if missing[0] == 0 else problem.names[int(missing[0]) - 1]
        text = (
            f"No minimum is attained as far as was looked: f falls, to {here.f:.6g} so far, towards a point {gap:.2g} "
            f"away where {name} is not defined."
        )
        reason = Reason(
            "open end", "f(z + t d) falls as t > 0 falls; z is no point of the domain", standing=Standing.MEASURED,
            unpredicted="it was observed",
            text=f"f falls at each of {len(STEPS)} feasible points between {STEPS[0] * size:.2g} and "
            f"{STEPS[-1] * size:.2g} away from there",
        )  # fmt: skip
        return Told(Ending.INFIMUM_NOT_ATTAINED, text, reasons=(reason,), direction=z - here.x)
    return None


def _candidates(problem: Constrained, best: Solved) -> list[Array]:
    """Points where something may be undefined: met by a solver, on a bound nearby, or where the next step leads."""
    kkt, met = best.kkt, [outcome.outside for outcome in best.outcomes if outcome.outside is not None]
    if best.outcomes and not met:
        return []
    active, y = active_set(problem, kkt), kkt.multipliers.y
    held = active.rows[(active.rows < problem.equalities) | (y[active.rows] > 0)]  # beside a pole no slack seems large
    active = Active(held, active.lower, active.upper)
    here = snapped(problem, kkt, active)
    step = newton(problem, kkt.seen, active, y)
    return [*met, here, *([] if step is None else [problem.bounds.project(here + step[0])])]


def _falls(problem: Constrained, z: Array, here: Seen, missing: int) -> bool:
    """Whether f falls towards z, at feasible points, where one of (f, c) grows by steps that do not shrink."""
    size, gap = 1.0 + float(np.abs(here.x).max(initial=0.0)), float(np.abs(z - here.x).max())
    seen = []
    for t in size * STEPS:
        x = z + t / gap * (here.x - z)
        f, c = problem.values(x)
        inside = np.array_equal(problem.bounds.project(x), x)
        if not (inside and np.isfinite(f) and np.all(np.isfinite(c)) and violated(problem, c) <= 1e-9):
            return False
        seen.append(np.array([f, *c]))
    steps: Array = np.diff(np.array(seen), axis=0)
    grows = np.abs(steps[-1, missing]) >= 0.9 * np.abs(steps[0, missing]) > 0
    return bool(np.all(steps[:, 0] < 0) and here.f <= seen[-1][0] and grows)
