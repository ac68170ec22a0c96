"""Whether f has a minimum elsewhere, as low as it becomes along a ray on which it nears a value from above.

That no minimum is attained is a claim about all of f, and a ray tells of its own points only: 1/(1 + x^2) -
exp(-(x - 50)^2) nears 0 along the axis and is -1 near 50, x^2/(1 + x^4) nears 0 and is 0 at 0. So f is looked at along
the line of the ray, to both sides, and at points drawn around (`qed.optimization.scattered`); Newton's method leads on
from the lowest of those that lie lower than their neighbours. On the line enclosures find narrow dips too: an interval
on which f is shown to lie above the value that the ray nears is done with, the others are halved (Moore, Kearfott and
Cloud, *Introduction to Interval Analysis*, SIAM 2009, section 6.4). Where f is lower somewhere and no minimum is found
there, as x exp(-x) is below 0, it is named, or the ray on which f falls there. The claim tells what was looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import jax
import numpy as np

from qed.answer import Answer
from qed.calculus.bounding.boxes import Gap, OnBoxes
from qed.calculus.bounding.ranging import natural
from qed.calculus.hessian import flatten
from qed.domains.intervals import Intervals
from qed.graph.trace import is_float
from qed.graph.walk import TooLong
from qed.optimization.hidden import looks
from qed.optimization.objective import Seen
from qed.optimization.point import Judged, as_tree, fall_for_ever
from qed.optimization.roundings import surely_lower
from qed.optimization.running import by_model, curvatures
from qed.optimization.scattered import Scattered, scattered
from qed.optimization.solution import Ending, Verdict

Array = np.ndarray
PARAMETERS, NUMBERS = 200, 20_000
"""How many parameters there may be, and how many numbers of the program."""
RATIO, NEAREST, FARTHEST = 1.15, 1e-2, 1e5
"""Of the distances on the line: from the point relative to max(1, |x|), from its start and the origin as they are."""
RUNS, STEPS = 4, 60
"""From how many points of the line, and of those drawn, Newton's method is run, and for how many steps."""
NEARBY = 10.0
"""How far from the origin, relative to the start, a point is that is judged where curvatures do not tell a minimum."""
AHEAD = 0.9
"""The cosine between the ray and the way to a point that lies on it."""
LOWER, NEAREST_OF = 1e-3, 3
"""Which part of the fall along the ray f is to be lower by elsewhere; from how many such points a ray is looked for."""
BENT = 1e-10
"""Which part of the largest curvature the least one has to be at a minimum."""
STILL = 1e-6
"""How long Newton's step may be at a minimum, relative to max(1, |x|)."""
LOOKED, EIGENVECTORS = (1e-5, 1e-3, 1e-2), 20
"""At which distances, relative to max(1, |x|), and along how many eigenvectors f may not be lower around a minimum."""
DOUBLINGS = 64
"""Of the distance, over which the value that the ray nears is told."""
ROUNDS, TOGETHER, MOST = 40, 128, 2000
"""How often intervals are halved, how many at once, and how many at all."""


def unless_attained(
    case: Judged, answer: Answer[Verdict], judge: Callable[[Judged], Answer[Verdict]]
) -> Answer[Verdict]:
    """An answer; where it says that no minimum is attained, with what was looked at, or what was seen elsewhere.

    A minimum as low as the ray becomes makes the point none. Of a point where curvatures do not tell a minimum, as in a
    valley of them, the judge is asked.
    """
    value = answer.value
    if value is None or value.kind is not Ending.INFIMUM_NOT_ATTAINED or value.direction is None:
        return answer
    large = len(case.here.x) > PARAMETERS or case.objective.function.graph.numbers() > NUMBERS
    if large or case.objective.dear or case.objective.curvature.kind == "products":
        return _with(answer, "Elsewhere f was not looked at.")
    way = flatten([leaf for leaf in jax.tree.leaves(value.direction) if is_float(leaf)])
    unit = way / float(np.linalg.norm(way))
    limit = _nears(case, way, unit)
    around = scattered(case.objective, case.bounds, _places(case), case.seed)
    line = _line(case, unit)
    there, valley = None, None
    for seen in _minima(case, _seeds(case, unit, limit, line, around)):
        if _rests(case, seen, unit, limit):
            there = seen
            break
        if _near(case, seen, limit) and not _ahead(case, seen, unit) and (valley is None or seen.f < valley.f):
            valley = seen
    if there is None and valley is not None and looks(case.objective):
        there = valley if _is_minimum(judge(replace(case, here=valley, ended=None))) else None
    if there is not None:
        away = float(np.linalg.norm(there.x - case.here.x))
        text = (
            f"Not a minimum: along a ray f falls on, towards {limit:.6g}, and that is attained elsewhere: at a minimum "
            f"{away:.3g} away f is {there.f:.6g}."
        )
        below = as_tree(case, there.x)
        return case.says(Ending.NOT_STATIONARY, text, direction=as_tree(case, there.x - case.here.x), below=below)
    lower = _lowest(case, limit, [seen for seen in (*line, *around.ends) if not _ahead(case, seen, unit)])
    if lower:
        return _below(case, answer, limit, lower)
    count, far = len(line) + around.drawn, around.farthest
    return _with(answer, f"Lower it was at none of {count} points, on the line of the ray and around, up to {far:.2g}.")


def _with(answer: Answer[Verdict], more: str) -> Answer[Verdict]:
    """The answer with a sentence more, in its claim too."""
    return replace(answer, claim=f"{answer.claim} {more}", headline=f"{answer.headline} {more}")


def _near(case: Judged, there: Seen, limit: float) -> bool:
    """Whether a point is as low as the ray becomes, and about as near to the origin as the start is."""
    return _as_low(case, there, limit) and float(np.linalg.norm(there.x)) <= _nearby(case)


def _ahead(case: Judged, there: Seen, unit: Array) -> bool:
    """Whether a point lies about on the ray: it looks flat where floats do not show the fall any more."""
    way = there.x - case.here.x
    return float(way @ unit) > AHEAD * float(np.linalg.norm(way))


def _nearby(case: Judged) -> float:
    return NEARBY * (1 + float(np.linalg.norm((case.here if case.start is None else case.start).x)))


def _is_minimum(answer: Answer[Verdict]) -> bool:
    return answer.value is not None and answer.value.kind in (Ending.MINIMUM, Ending.FLAT_MINIMUM)


def _as_low(case: Judged, there: Seen, limit: float) -> bool:
    return there.finite and there.f <= limit + max(_slack(case, limit), _slack(case, case.here.f))


def _lowest(case: Judged, limit: float, points: list[Seen]) -> list[Seen]:
    """The points at which f is lower than it becomes on the ray, and by more than rounding explains; lowest first."""
    slack = max(_slack(case, limit), _slack(case, case.here.f), case.noise, LOWER * (case.here.f - limit))
    low = sorted((p for p in points if p.finite and p.f < limit - slack), key=lambda seen: seen.f)
    sure = low and surely_lower(case.objective, low[0], Seen(case.here.x, limit, case.here.g), slack)
    return low if sure else []


def _below(case: Judged, answer: Answer[Verdict], limit: float, lower: list[Seen]) -> Answer[Verdict]:
    """The answer that f falls for ever from one of the nearest of some lower points; else the answer, which names one.

    Args:
        case: the point.
        answer: that no minimum is attained.
        limit: towards which f falls on the ray.
        lower: points at which f is lower, lowest first.
    """
    assert answer.value is not None
    for begin in sorted(lower, key=lambda seen: float(np.linalg.norm(seen.x - case.here.x)))[:NEAREST_OF]:
        ways = [way / float(np.linalg.norm(way)) for way in (begin.x - case.here.x, -begin.g) if np.any(way)]
        found = fall_for_ever(case, begin, ways)
        if found is not None and found.value is not None and found.value.kind is Ending.UNBOUNDED_BELOW:
            away = float(np.linalg.norm(begin.x - case.here.x))
            text = f"{found.headline} It begins {away:.3g} away; along another ray f falls towards {limit:.6g} only."
            return case.says(Ending.UNBOUNDED_BELOW, text, direction=found.value.direction)
    away = float(np.linalg.norm(lower[0].x - case.here.x))
    named = _with(answer, f"Elsewhere it is lower: {lower[0].f:.6g}, {away:.3g} away.")
    return replace(named, value=replace(answer.value, below=as_tree(case, lower[0].x)))


def _nears(case: Judged, way: Array, unit: Array) -> float:
    """The least value on the ray, as far as f is finite."""
    size = max(1.0, float(np.linalg.norm(case.here.x)))
    moves = [way, *(size * 2.0**k * unit for k in range(DOUBLINGS))]
    values = (case.objective.at(case.bounds.project(case.here.x + move)).f for move in moves)
    return min([case.here.f, *(f for f in values if np.isfinite(f))])


def _minima(case: Judged, seeds: Iterator[Seen]) -> Iterator[Seen]:
    """Where Newton's method leads from some points."""
    for seed in seeds:
        there, how, _ = by_model(case.objective, seed, case.bounds, 0.0, STEPS)
        if how != "away":
            yield there


def _places(case: Judged) -> dict[tuple[float, ...], float]:
    """The point, its start and the origin, with their sizes."""
    found = {tuple(case.here.x): max(1.0, float(np.linalg.norm(case.here.x))), tuple(np.zeros(len(case.here.x))): 1.0}
    return found if case.start is None else {**found, tuple(case.start.x): 1.0}


def _line(case: Judged, unit: Array) -> list[Seen]:
    """Points on the line of the ray, in turn: near the point, near its start and near the origin."""
    count = int(np.log(FARTHEST / NEAREST) / np.log(RATIO))
    steps = NEAREST * RATIO ** np.arange(count)
    centers = {float((np.asarray(place) - case.here.x) @ unit): size for place, size in _places(case).items()}
    ends = np.unique([c + t for c, scale in centers.items() for t in scale * np.array([*-steps, 0.0, *steps])])
    return [_at(case, t * unit) for t in ends]


def _seeds(case: Judged, unit: Array, limit: float, line: list[Seen], around: Scattered) -> Iterator[Seen]:
    """Points that lie lower than their neighbours on the line, and the lowest of those around, and of those near."""
    size = max(1.0, float(np.linalg.norm(case.here.x)))
    values = np.array([seen.f if seen.finite else np.inf for seen in line])
    dips = 1 + np.flatnonzero((values[1:-1] < values[:-2]) & (values[1:-1] <= values[2:]))
    yield from sorted((line[k] for k in dips), key=lambda seen: seen.f)[:RUNS]
    behind = [seen for seen in around.ends if float((seen.x - case.here.x) @ unit) < size]
    near = [seen for seen in behind[RUNS:] if float(np.linalg.norm(seen.x)) <= _nearby(case)]
    yield from [*behind[:RUNS], *near[:RUNS]]
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
    if not _as_low(case, there, limit):
        return False
    size, objective = max(1.0, float(np.linalg.norm(there.x))), case.objective
    found = curvatures(objective, there, case.bounds)
    zero = max(BENT, case.rounding(len(there.x)))
    if found is None or not len(found[0]) or found[0][0] <= zero * abs(found[0][-1]):  # else a valley may lead on
        return False
    (values, vectors), slope = found, case.bounds.slope(there.x, there.g)
    if float(np.linalg.norm((vectors.T @ slope) / values)) > max(STILL, 100 * objective.eps) * size:
        return False  # as far out on exp(-x), where each of Newton's steps is as long as the last
    for t in (sign * share * size for share in LOOKED for sign in (1.0, -1.0)):
        around = (objective.at(case.bounds.project(there.x + t * v)) for v in vectors.T[:EIGENVECTORS])
        if any(seen.f < there.f - _slack(case, there.f) for seen in around):
            return False
    high = there.f + max(_slack(case, there.f), _slack(case, limit), _slack(case, case.here.f))
    for sign in (1.0, -1.0):
        points = (case.bounds.project(there.x + sign * size * 2.0**-k * unit) for k in range(2, 16))
        rises = (objective.at(point).f > high for point in points if np.any(point != there.x))
        if not any(rises) and case.bounds.open:
            return False
    return True
