"""Whether f has a minimum elsewhere, as low as it becomes along a ray on which it nears a value from above.

That no minimum is attained is a claim about all of f, and a ray tells of its own points only: 1/(1 + x^2) -
exp(-(x - 50)^2) nears 0 along the axis and is -1 near 50, x^2/(1 + x^4) nears 0 and is 0 at 0. So f is looked at along
the line of the ray, to both sides, and at points drawn around; Newton's method leads on from the lowest of those that
lie lower than their neighbours. On the line enclosures find narrow dips too: an interval on which f is shown to lie
above the value that the ray nears is done with, the others are halved (Moore, Kearfott and Cloud, *Introduction to
Interval Analysis*, SIAM 2009, section 6.4).
"""

from __future__ import annotations

from collections.abc import Iterator

import jax
import numpy as np

from qed.answer import Answer
from qed.calculus.bounding.boxes import Gap, OnBoxes
from qed.calculus.bounding.ranging import natural
from qed.calculus.hessian import flatten
from qed.domains.intervals import Intervals
from qed.graph.trace import is_float
from qed.graph.walk import TooLong
from qed.optimization.objective import Seen
from qed.optimization.point import Judged, as_tree
from qed.optimization.running import by_model, curvatures
from qed.optimization.solution import Ending, Verdict

Array = np.ndarray
PARAMETERS, NUMBERS = 200, 20_000
"""How many parameters there may be, and how many numbers of the program."""
RATIO, NEAREST, FARTHEST = 1.15, 1e-2, 1e5
"""Of the distances on the line: from the point relative to max(1, |x|), from its start and the origin as they are."""
DRAWN = 12
"""How many points are drawn at each of the scales 1, 4, 16, ... up to a tenth of the farthest."""
RUNS, STEPS = 4, 60
"""From how many points Newton's method is run, and for how many steps."""
BENT = 1e-10
"""Which part of the largest curvature the least one has to be at a minimum."""
STILL = 1e-6
"""How long Newton's step may be at a minimum, relative to max(1, |x|)."""
DOUBLINGS = 64
"""Of the distance, over which the value that the ray nears is told."""
ROUNDS, TOGETHER, MOST = 40, 128, 2000
"""How often intervals are halved, how many at once, and how many at all."""


def unless_attained(case: Judged, answer: Answer[Verdict]) -> Answer[Verdict]:
    """An answer; where it says that no minimum is attained and one is seen, that the point is none and where it is."""
    value = answer.value
    if value is None or value.kind is not Ending.INFIMUM_NOT_ATTAINED or value.direction is None:
        return answer
    large = len(case.here.x) > PARAMETERS or case.objective.function.graph.numbers() > NUMBERS
    if large or case.objective.dear or case.objective.curvature.kind == "products":
        return answer
    way = flatten([leaf for leaf in jax.tree.leaves(value.direction) if is_float(leaf)])
    unit = way / float(np.linalg.norm(way))
    limit = _nears(case, way, unit)
    sizes, there = case.objective.sizes, None
    try:
        there = next((seen for seen in _minima(case, unit, limit) if _rests(case, seen, unit, limit)), None)
    finally:
        case.objective.sizes = sizes
    if there is None:
        return answer
    away = float(np.linalg.norm(there.x - case.here.x))
    text = (
        f"Not a minimum: along a ray f falls on, towards {limit:.6g}, and that is attained elsewhere: at a minimum "
        f"{away:.3g} away f is {there.f:.6g}."
    )
    below = as_tree(case, there.x)
    return case.says(Ending.NOT_STATIONARY, text, direction=as_tree(case, there.x - case.here.x), below=below)


def _nears(case: Judged, way: Array, unit: Array) -> float:
    """The least value on the ray, as far as f is finite."""
    size = max(1.0, float(np.linalg.norm(case.here.x)))
    moves = [way, *(size * 2.0**k * unit for k in range(DOUBLINGS))]
    values = (case.objective.at(case.bounds.project(case.here.x + move)).f for move in moves)
    return min([case.here.f, *(f for f in values if np.isfinite(f))])


def _minima(case: Judged, unit: Array, limit: float) -> Iterator[Seen]:
    """Where Newton's method leads from the lowest points that were seen."""
    for seed in _seeds(case, unit, limit):
        there, how, _ = by_model(case.objective, seed, case.bounds, 0.0, STEPS)
        if how != "away":
            yield there


def _seeds(case: Judged, unit: Array, limit: float) -> Iterator[Seen]:
    """Points that lie lower than their neighbours on the line, and of the others the lowest; lowest first."""
    size = max(1.0, float(np.linalg.norm(case.here.x)))
    count = int(np.log(FARTHEST / NEAREST) / np.log(RATIO))
    steps = NEAREST * RATIO ** np.arange(count)
    centers = {0.0: size, -float(case.here.x @ unit): 1.0}  # the point, and that of the line nearest to the origin
    centers |= {} if case.start is None else {float((case.start.x - case.here.x) @ unit): 1.0}
    ends = np.unique([c + t for c, scale in centers.items() for t in scale * np.array([*-steps, 0.0, *steps])])
    line = [_at(case, t * unit) for t in ends]
    values = np.array([seen.f if seen.finite else np.inf for seen in line])
    dips = 1 + np.flatnonzero((values[1:-1] < values[:-2]) & (values[1:-1] <= values[2:]))
    scales = 4.0 ** np.arange(int(np.log(0.1 * FARTHEST) / np.log(4.0)))
    random = np.random.default_rng(case.seed)
    drawn = [_at(case, size * s * random.standard_normal(len(unit))) for s in scales for _ in range(DRAWN)]
    ahead = [seen for seen in drawn if seen.finite and float((seen.x - case.here.x) @ unit) < size]
    found = sorted((line[k] for k in dips), key=lambda seen: seen.f)[: RUNS - 1]
    yield from [*found, *sorted(ahead, key=lambda seen: seen.f)[: RUNS - len(found)]]
    narrow = _narrow(case, unit, limit, size)
    if narrow is not None:
        yield narrow


def _at(case: Judged, move: Array) -> Seen:
    return case.objective.at(case.bounds.project(case.here.x + move))


def _narrow(case: Judged, unit: Array, limit: float, size: float) -> Seen | None:
    """A point of the line at which f lies below a value, found by enclosures of f on ever shorter intervals."""
    function = case.objective.function
    boxes, least = OnBoxes.of(function.traced), limit - _slack(case, limit)
    steps = np.array([0.0, *(size * NEAREST * 4.0 ** np.arange(int(np.log(FARTHEST / NEAREST) / np.log(4.0)) + 1))])
    left, right = np.concatenate([steps[:-1], -steps[1:]]), np.concatenate([steps[1:], -steps[:-1]])
    looked = 0
    for _ in range(ROUNDS):
        ends = [case.here.x + t[:, None] * unit for t in (left, right)]
        low, high = np.minimum(*ends), np.maximum(*ends)
        inside = np.all((high >= case.bounds.lower) & (low <= case.bounds.upper), axis=1)
        try:
            bounds: Intervals = natural(boxes, low, high)
        except (Gap, TooLong, NotImplementedError, ValueError, MemoryError):
            return None
        open_ = np.flatnonzero(inside & ~(bounds.lower >= least))
        open_ = open_[np.argsort(bounds.lower[open_], kind="stable")][:TOGETHER]
        looked += len(open_)
        if not len(open_) or looked > MOST:
            return None
        middle = 0.5 * (left[open_] + right[open_])
        for t in middle:
            seen = _at(case, t * unit)
            if seen.finite and seen.f < least:
                return seen
        left, right = np.concatenate([left[open_], middle]), np.concatenate([middle, right[open_]])
    return None


def _slack(case: Judged, value: float) -> float:
    return 2 * case.objective.noise(value)


def _rests(case: Judged, there: Seen, unit: Array, limit: float) -> bool:
    """Whether a point is as low as the ray becomes, up to rounding, with f higher along the line to both sides."""
    if not there.finite or there.f > limit + max(_slack(case, limit), _slack(case, case.here.f)):
        return False
    size, objective = max(1.0, float(np.linalg.norm(there.x))), case.objective
    found = curvatures(objective, there, case.bounds)
    if found is None or not len(found[0]) or found[0][0] <= BENT * abs(found[0][-1]):  # else a valley may lead on
        return False
    (values, vectors), slope = found, case.bounds.slope(there.x, there.g)
    if float(np.linalg.norm((vectors.T @ slope) / values)) > max(STILL, 100 * objective.eps) * size:
        return False  # as far out on exp(-x), where each of Newton's steps is as long as the last
    for sign in (1.0, -1.0):
        points = (case.bounds.project(there.x + sign * size * 2.0**-k * unit) for k in range(2, 16))
        rises = (
            objective.at(point).f > there.f + _slack(case, there.f) for point in points if np.any(point != there.x)
        )
        if not any(rises) and case.bounds.open:
            return False
    return True
