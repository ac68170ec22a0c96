"""Whether f falls for ever as a number of x grows, along whatever curve the constraints leave.

Where a run went far out, as on x_0 x_1 >= 1 for f = x_0, no ray need be feasible: the way out is a curve. So the number
that went farthest is held at values s_1 < s_2 < ... that grow fourfold (or faster), and the least value f*(s_k) of the
others is looked for, each from the last. If f* falls each time and by parts of which none is more than half the last,
it tends to a number that no point on this way attains; if the parts do not shrink, f has no least value there. Anything
between stays open. Nothing of this is proved: each f*(s_k) is a value at a feasible point, and that is all.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qed.answer import Reason
from qed.optimization.bounds import Bounds
from qed.optimization.constrained.polish import KKT
from qed.optimization.constrained.portfolio import ask, engines, weighed
from qed.optimization.constrained.problem import Constrained
from qed.optimization.constrained.told import Told
from qed.optimization.solution import Ending
from qed.standing import Standing

Array = np.ndarray
FACTOR, FEWEST, MOST, BEYOND, FARTHEST = 4.0, 8, 20, 64.0, 1e30
"""By what the distances grow at least at which the number is held, how many they are, how far beyond the run they
reach, and up to where a run is followed."""
FAR = 100.0
"""A number that went less far, relative to 1 + its size at the start, is not looked at."""
SHRINK, KEPT = 0.5, 0.9
"""Parts by which f falls shrink if each is at most so much of the last, and do not shrink if each is at least so much
of it; told of the last `LOOKED` ratios."""
LOOKED, STEPS, CLEAR = 4, 100, 1e2


def outward(problem: Constrained, kkt: KKT, far: Array | None = None) -> Told | None:
    """The words where f falls for ever as a number grows, under the constraints; None where that was not seen.

    Args:
        problem: the problem.
        kkt: where the run ended.
        far: the direction in which it goes on, where one is known; else from the start to the end of the run.
    """
    if problem.sparse:
        return None
    way = kkt.seen.x - problem.start if far is None else far
    size = 1.0 + np.abs(problem.start)
    relative = np.abs(way) / size
    j = int(np.argmax(np.where(np.isfinite(relative), relative, 0.0)))
    if (far is None and not relative[j] >= FAR) or not relative[j] > 0:
        return None
    last = BEYOND * min(max(abs(kkt.seen.x[j] - problem.start[j]) / size[j], 1.0), FARTHEST)
    count = int(np.clip(np.ceil(np.log(last) / np.log(FACTOR)), FEWEST, MOST))
    growth = max(FACTOR, last ** (1 / count))
    places = problem.start[j] + np.sign(way[j]) * size[j] * growth ** np.arange(1, count + 1)
    found = _least_values(problem, j, places)
    if found is None:
        return None
    places, values = found
    parts = -np.diff(values)
    if not np.all(parts > CLEAR * problem.eps * np.abs(values[1:])) or not np.all(parts > 0):
        return None
    ratios = (parts[1:] / parts[:-1])[-LOOKED:]
    name = problem.parameters[j]
    looked = f"with {name} held at {len(places)} values from {places[0]:.4g} to {places[-1]:.4g}, the least value found"
    unit = np.eye(problem.n)[j] * np.sign(way[j])
    if np.all(ratios <= SHRINK):
        q = float(ratios[-1])
        limit = float(values[-1] - parts[-1] * q / (1 - q))
        limit = 0.0 if abs(limit) <= 1e-2 * abs(values[-1]) else limit
        text = (
            f"No minimum is attained as far as was looked: {looked} falls each time, to {values[-1]:.6g}, by parts "
            f"that shrink, towards some {limit:.4g}."
        )
        kind, formula = Ending.INFIMUM_NOT_ATTAINED, "f*(s) = min {f(x) : x_j = s} falls, by parts that shrink"
    elif np.all(ratios >= KEPT):
        text = f"Unbounded below as far as was looked: {looked} falls each time, to {values[-1]:.6g}, by parts that "
        text += "do not shrink."
        kind, formula = Ending.UNBOUNDED_BELOW, "f*(s) = min {f(x) : x_j = s} falls, by parts that do not shrink"
    else:
        return None
    told = ", ".join(
        f"{v:.6g} at {s:.4g}" for s, v in list(zip(places, values, strict=True))[:: max(1, len(places) // 4)]
    )
    seen = Reason(
        "least values outward", formula, told, standing=Standing.MEASURED, unpredicted="it was observed", text=told
    )
    return Told(kind, text, reasons=(seen,), direction=unit)


def _least_values(problem: Constrained, j: int, places: Array) -> tuple[Array, Array] | None:
    """The places within the bounds and the least value found at each; None where one is not found."""
    low, high = problem.bounds.lower, problem.bounds.upper
    places = places[(places >= low[j]) & (places <= high[j])]
    if len(places) < LOOKED + 2:
        return None
    values, x = [], problem.start.copy()
    engine = engines(problem)[0]
    for place in places:
        ends = Bounds(low.copy(), high.copy())
        ends.lower[j] = ends.upper[j] = place
        held = replace(problem, bounds=ends, moved=True)
        x = ends.project(x)
        found = None
        if problem.n > 1:
            outcome = ask(held, x, STEPS, engine)
            found = weighed(held, outcome, 1e-7) if held.at(outcome.x).finite else None
            if found is None or not found.held:
                return None
            x = found.kkt.seen.x
        f, c = problem.values(x)
        first = problem.equalities
        off = np.max(np.concatenate([np.abs(c[:first]), -c[first:]]) / problem.units, initial=0.0)
        if not np.isfinite(f) or not off <= 1e-9:
            return None
        values.append(f)
    return places, np.array(values)


def rises_outward(problem: Constrained, kkt: KKT) -> bool:
    """Whether the Lagrangian rises from a far point onward about as it fell on the way from the start to it.

    Then x is large because the problem is: (x - 1e6)^2 has its minimum where it has it.
    """
    x, found = kkt.seen.x, kkt.multipliers
    way = x - problem.start

    def lagrangian(t: float) -> float:
        point = x + t * way
        f, c = problem.values(point)
        return f - float(found.y @ c) - float((found.lower - found.upper) @ (t * way))

    if not np.all(np.isfinite(way)):
        return False
    here, fallen = lagrangian(0.0), problem.values(problem.start)[0] - kkt.seen.f
    least = 1e-2 * fallen
    return bool(
        fallen > 0 and lagrangian(-1.0) - here > least and all(lagrangian(t) - here > least * t * t for t in (0.1, 1.0))
    )
