"""Falls that fade while all else is at its least: whether what looks flat, far out, still falls.

A likelihood whose model tells some rows apart, and others not, falls for ever along a direction of recession, along
which the scores of those others stay as they are (Geyer, *Likelihood inference in exponential families and directions
of recession*, Electronic J. Statistics 3, 2009). A run halts where the fall is rounding: slopes and curvatures look
like those of a flat minimum, or of a bad conditioning. The digits of the run do not meet the direction, so that far
out along them the scores of the others change, and f rises.

Newton's steps tell the two apart, in float64: towards a minimum they become shorter, by (p - 2)/(p - 1) at one of order
p; where a slope fades as exp(-t) or 1/t they stay as long or grow. So Newton's method is run from the start until the
slope is small and well above its rounding. From there f is asked at distances L, 2L, 4L, ... along its step, of length
L, at each after Newton's steps among the directions that still bend far out, which undo what digits do to the others:

    phi(t) = min over v in V of f(z + t d + v),    V the range of H far out, d across V.

No minimum is attained, as far as was looked, if phi' is negative and fades into its rounding, and phi is constant
from there on. Where only steps that do not shorten are seen, as on the curves of an ordinal model, nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from qed.answer import Answer
from qed.calculus.points.rounding import explained
from qed.optimization.bottom import at_the_bottom
from qed.optimization.bounds import Bounds
from qed.optimization.face import on_face, within
from qed.optimization.objective import Objective, Seen, Wide
from qed.optimization.point import Judged, as_tree
from qed.optimization.probing import FEW, SURE
from qed.optimization.roundings import MOST, rounding
from qed.optimization.running import curvatures
from qed.optimization.solution import Ending, Verdict

Array = np.ndarray
PARAMETERS = 100
"""How many parameters there may be."""
STEPS, SMALL = 50, 1e-6
"""How many of Newton's steps are taken from the start, and to which part of its first size the slope is to come."""
MORE, AS_LONG, LONG = 4, 0.9, 1e-4
"""How many steps are looked at from there on, and which part of the first, and of 1 + |x|, the last is at least."""
AGAIN = 2
"""How many of Newton's steps farther on they are looked at, too: the first may lead across into a valley."""
SHORT = 0.1
"""Which part of the first a step is that tells of a minimum farther on."""
NONE = 16.0
"""How many roundings, times n, a curvature may be to be none."""
FAR, BENT, DOUBLINGS = 8, 1e-8, 20
"""After how many doublings it is asked what still bends, above which part of the largest; how many there are."""
REST, STILL = 6, 1e-13
"""How many of Newton's steps are taken across, at most, and which part of 1 + |x| is none."""
LARGER, PART = 1e3, 1e-3
"""How much larger than at the start the rounding of f is, and which part of its fall, where nothing is told."""
RISE = 16.0
"""How many roundings f may rise by from one distance to the next."""
FADED = 1e-3
"""Which part of its first size a slope is that has faded."""


def recedes(case: Judged) -> Answer[Verdict] | None:
    """The answer that f falls on where a point looks flat, or may do so; None where that is not seen.

    Numbers that bounds hold stay where they are.
    """
    held = case.bounds.held(case.here.x, case.here.g)
    if len(held) > PARAMETERS or held.all() or case.objective.dear:
        return None
    try:
        objective = on_face(case.objective, held, case.here.x) if held.any() else case.objective
        objective = Wide.of(objective) or objective
        return None if objective.eps > np.finfo(np.float64).eps else _recedes(case, objective, ~held)
    except (np.linalg.LinAlgError, NotImplementedError, TypeError):  # no second derivatives, or no float64
        return None


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def _recedes(case: Judged, objective: Objective, free: Array) -> Answer[Verdict] | None:
    here = objective.at(case.here.x[free])
    start = objective.at(0.5 * here.x if case.start is None else case.start.x[free])
    if not (here.finite and start.finite):
        return None
    steps = next((steps for steps in _windows(objective, start, here) if _leads_past(objective, steps, here)), None)
    bounds = within(case.bounds, ~free)
    if steps is None or not all(_inside(bounds, at) for at in steps):
        return None
    base, way = steps[0], steps[1].x - steps[0].x
    told = _faded(objective, base, way, here.f)
    if told is not None and _inside(bounds, objective.at(base.x + 2.0**DOUBLINGS * told[0])):
        across, falls, limit = np.zeros(len(free)), *told[1:]
        across[free] = told[0]
        text = (
            f"No minimum is attained as far as was looked: along a direction ({case.named(across)}) f falls on, by "
            f"{falls[0]:.3g} at first and {falls[-1]:.3g} at last between doubling distances, towards "
            f"{limit + 0.0:.6g}, while it is at its least across what bends."
        )
        return case.says(Ending.INFIMUM_NOT_ATTAINED, text, direction=as_tree(case, across))
    if _comes_to_rest(objective, steps):
        return None
    first, last = (float(np.linalg.norm(b.x - a.x)) for a, b in (steps[:2], steps[-2:]))
    slopes = [float(np.linalg.norm(at.g)) for at in (steps[0], steps[-1])]
    text = (
        f"Undecided: Newton's steps do not shorten. {len(steps) - 1} in turn are {first:.3g} to {last:.3g} long, while "
        f"the slope fades from {slopes[0]:.2g} to {slopes[1]:.2g}: f may fall on for ever, or have its minimum far off."
    )
    return case.unknown(Ending.UNDECIDED, text, "a bound or a penalty on the parameters")


def _inside(bounds: Bounds, at: Seen) -> bool:
    return bounds.open or np.array_equal(bounds.project(at.x), at.x)


def _windows(objective: Objective, start: Seen, here: Seen) -> Iterator[list[Seen]]:
    """Newton's steps from where the slope of a run from the start is small, or its last ones; those from a point."""
    run = _run(objective, start, SMALL * float(np.abs(start.g).max()), STEPS)
    steps = _run(objective, run[-1], 0.0, MORE + AGAIN)
    for k in range(len(steps) - MORE):
        ahead = float((here.x - steps[k].x) @ (steps[k + 1].x - steps[k].x)) >= 0
        if not k or ahead:
            yield steps[k : k + MORE + 1]
    if len(steps) <= MORE:
        yield [*run, *steps[1:]][-MORE - 2 : -1]  # the last is the first by rounding
    yield _run(objective, here, 0.0, MORE)


def _leads_past(objective: Objective, steps: list[Seen], here: Seen) -> bool:
    """Whether steps that do not shorten, while f falls by more than rounding, lead past the point, as low as it is."""
    if not _stay_long(steps) or not steps[0].f - steps[-1].f > rounding(objective, here):
        return False
    base, way = steps[0], steps[1].x - steps[0].x
    high = steps[-1].f - here.f > -MORE * float(base.g @ way) + rounding(objective, here)
    aside = float((here.x - base.x) @ way) < 0 and float(here.g @ way) > float(base.g @ way)
    return not (high or aside)


def rounded_away(case: Judged) -> Answer[Verdict] | None:
    """The answer where a run led to numbers so large that f is rounding, as lgamma(y + r) - lgamma(r) is; else None."""
    start = case.objective.at(case.bounds.project(0.5 * case.here.x)) if case.start is None else case.start
    if not start.finite:
        return None
    began, blur = rounding(case.objective, start), rounding(case.objective, case.here)
    fell = start.f - case.here.f
    if not (blur > LARGER * began and blur > PART * abs(fell)):
        return _slope_rounded_away(case, fell)
    where = "half as far from 0" if case.start is None else "at the start"
    text = (
        f"Undecided: the terms of f are rounded by up to {blur:.2g} here, by {began:.2g} {where}, and all it fell "
        f"by from there is {fell:.3g}: that it looks flat may be rounding."
    )
    return case.unknown(Ending.UNDECIDED, text, "a form of f without cancellation, or a bound on the parameters")


def _slope_rounded_away(case: Judged, fell: float) -> Answer[Verdict] | None:
    """The answer where, by the rounding of its slope, f may fall by more over |x| than it fell before; else None.

    As x grows along a ray, (sum of x)^10 stays 0 on paper, and its slope is rounding 9 digits larger than the slope of
    what still falls. Where f is nowhere below what it has come to, that does not matter, nor where all curvatures are
    more than rounding: a slope s that is hidden is then worth s^2 / 2 over the least of them.
    """
    size = float(np.linalg.norm(case.here.g))
    if not case.bounds.open or not 0 < size < np.inf or case.objective.function.graph.numbers() > MOST:
        return None
    unit, near = case.here.g / size, 1 + float(np.linalg.norm(case.here.x))
    bent = np.zeros(len(unit))  # that x itself is rounded is no error of the slope here
    hidden = explained(case.objective.function, unit, bent, case.here.x)
    if not (np.isfinite(hidden) and size <= hidden and hidden * near > max(abs(fell), 1.0)):
        return None
    bends = curvatures(case.objective, case.here, case.bounds)
    if bends is not None and bends[0][0] > case.rounding(len(unit)) * abs(bends[0][-1]):
        if hidden**2 / (2 * bends[0][0]) <= max(abs(fell), 1.0):
            return None
    if at_the_bottom(case) is not None:
        return None
    text = (
        f"Undecided: rounding explains a slope of {hidden:.2g}, {size:.2g} is seen, and over a distance of {near:.2g} "
        f"such a slope lets f fall by more than all it fell by, {fell:.3g}: that it looks flat may be rounding."
    )
    return case.unknown(Ending.UNDECIDED, text, "a start from which x stays smaller, or a bound on the parameters")


def _run(objective: Objective, here: Seen, tol: float, most: int) -> list[Seen]:
    """Newton's steps, each with the sizes of the curvatures and halved until f falls; none along what does not bend."""
    points = [here]
    for _ in range(most):
        if float(np.abs(here.g).max()) <= tol:
            break
        values, vectors = _curvatures(objective, here.x)
        known = np.abs(values) > NONE * len(values) * objective.eps * float(np.abs(values).max(initial=0.0))
        step = -vectors[:, known] @ ((vectors[:, known].T @ here.g) / np.abs(values[known]))
        for k in range(30):
            there = objective.at(here.x + 0.5**k * step)
            if there.finite and there.f <= here.f:
                break
        else:
            break
        here = there
        points.append(here)
    return points


def _curvatures(objective: Objective, x: Array) -> tuple[Array, Array]:
    matrix = objective.dense(x)
    if not np.all(np.isfinite(matrix)):
        raise np.linalg.LinAlgError
    return np.linalg.eigh(matrix)


def _stay_long(steps: list[Seen]) -> bool:
    """Whether Newton's steps do not shorten while the slope fades."""
    if len(steps) <= MORE:
        return False
    lengths = [float(np.linalg.norm(b.x - a.x)) for a, b in pairwise(steps)]
    fade = all(np.linalg.norm(b.g) < np.linalg.norm(a.g) for a, b in pairwise(steps))
    far = LONG * (1 + float(np.linalg.norm(steps[0].x)))
    return fade and lengths[-1] >= max(AS_LONG * lengths[0], far)


def _comes_to_rest(objective: Objective, steps: list[Seen]) -> bool:
    """Whether farther on Newton's steps shorten while f still falls by more than rounding: a minimum is far off."""
    more, length = _run(objective, steps[-1], 0.0, STEPS), float(np.linalg.norm(steps[1].x - steps[0].x))
    blur = rounding(objective, steps[-1])
    seen = (b.x - a.x for a, b in pairwise(more) if a.f - b.f > blur)
    return any(float(np.linalg.norm(step)) <= SHORT * length for step in seen)


def _faded(objective: Objective, base: Seen, way: Array, least: float) -> tuple[Array, list[float], float] | None:
    """The direction, the falls and the limit where phi falls on, its slope fading into rounding; else None.

    Args:
        objective: the loss, in float64.
        base: a point at which the slope is seen.
        way: Newton's step there.
        least: the value that phi has to come down to.
    """
    far = objective.at(base.x + 2.0**FAR * way)
    if not far.finite:
        return None
    values, vectors = _curvatures(objective, far.x)
    bent = vectors[:, np.abs(values) > BENT * float(np.abs(values).max(initial=0.0))]
    across = way - bent @ (bent.T @ way)
    length = float(np.linalg.norm(across))
    if not length > 0.5 * float(np.linalg.norm(way)):
        return None
    points = [_rested(objective, base.x + t * across, bent) for t in (0.0, *(2.0 ** np.arange(DOUBLINGS)))]
    seen = [point for point in points if point is not None]
    if len(seen) < len(points):
        return None
    values = [at.f for at in seen]
    falls, spread = [a - b for a, b in pairwise(values)], max(values[FAR:]) - min(values[FAR:])
    blur = max(rounding(objective, base), spread)
    if not (values[0] - values[-1] > SURE * blur and values[-1] <= least + blur and min(falls) >= -blur):
        return None
    if any(-fall > RISE * rounding(objective, at) for fall, at in zip(falls, seen[1:], strict=True)):
        return None  # a penalty, however small, holds it
    if not _fade_out([float(at.g @ across) / length for at in seen], objective.cornered):
        return None
    return across / length, [fall for fall in falls if fall > blur], values[-1]


def _rested(objective: Objective, x: Array, bent: Array) -> Seen | None:
    """The point beside one at which f is at its least in some directions; None where Newton's steps do not end."""
    here = objective.at(x)
    for _ in range(REST if bent.shape[1] else 0):
        if not here.finite:
            return None
        matrix = bent.T @ objective.dense(here.x) @ bent
        step = bent @ np.linalg.solve(matrix, bent.T @ here.g)
        there = objective.at(here.x - step)
        if not there.finite:
            return None
        small = float(np.linalg.norm(step)) <= STILL * (1 + float(np.linalg.norm(x)))
        here = there if not small or there.f <= here.f else here
        if small:
            return here
    return here if here.finite else None


def _fade_out(slopes: list[float], cornered: bool) -> bool:
    """Whether slopes at 0, 1, 2, 4, ... are negative and fade into rounding, at no corner that takes all that is left.

    As exp(-ct) does, the last doubling seen is to promise a slope that is lost.

    >>> _fade_out([-np.exp(-t) for t in (0, 1, 2, 4, 8, 16)] + [-1e-9, 1e-9] * 8, True)
    True
    >>> _fade_out([-1e-4 - np.exp(-t) for t in (0, 1, 2, 4, 8)] + [0.0] * 16, True)
    False
    """
    blur = 4 * max(abs(s) for s in slopes[FAR:])
    seen = next((k for k, s in enumerate(slopes) if not -s > blur), len(slopes))
    if seen < FEW or not blur <= FADED * -slopes[0] or any(b < a for a, b in pairwise(slopes[:seen])):
        return False
    expected = -slopes[seen - 1] * (slopes[seen - 1] / slopes[seen - 2]) ** 2
    return not cornered or bool(expected <= SURE * blur)
