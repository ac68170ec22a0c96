"""Values along a line: is the gradient their slope, is there a kink, does f fall for ever.

Along x + t u the value is compared with what the gradient says. The slopes to both sides,

    right(t) = (f(x + t u) - f(x)) / t,      left(t) = (f(x) - f(x - t u)) / t,

differ by t f'' where f is smooth, which shrinks with t; at a kink the difference stays. Their mean has an error of
order t^2, estimated by halving t, beside the noise of the values over t. And along a ray the falls between points at
doubling distances tell a function that falls for ever (they do not shrink) from one that nears an infimum. A value that
is not finite says by itself neither that a number overflows nor that f ends there, as a barrier does: balls tell which.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from qed.optimization.bounds import Bounds
from qed.optimization.hidden import highest, looks
from qed.optimization.objective import Objective, Seen
from qed.optimization.roundings import rounding

Array = np.ndarray


@dataclass(frozen=True)
class Slope:
    """The slope of the values along a direction: the mean of both sides, its error, their jump; and what g says.

    `turn` is the shortest step at which the slopes to both sides, `sides`, still jump as they do at longer ones; 0
    where they never do. Where that is longer than the shortest step, a kink may lie beside the point.
    """

    observed: float
    error: float
    jump: float
    promised: float
    step: float
    turn: float = 0.0
    sides: tuple[float, float] = (0.0, 0.0)

    @property
    def disagrees(self) -> bool:
        """Whether rounding and curvature do not explain that g'u is another number."""
        size = max(abs(self.observed), abs(self.promised))
        return abs(self.observed - self.promised) > 20 * self.error + 1e-3 * size

    @property
    def kinked(self) -> bool:
        """Whether the slopes to both sides differ, however short the step."""
        return self.jump != 0.0


GROWTH = (1.05, 7.5)
"""By which factor, at least and at most, a jump of slopes grows at a cusp as steps are 8 times as short."""

FOLLOWS = (0.02, 1.5)
"""Which part of the slope of a chord from a cusp the slope at its end is, at least and at most: p for |x|^p."""


def _follows(chord: float, end: float) -> bool:
    return end == 0.0 if chord == 0.0 else FOLLOWS[0] < end / chord < FOLLOWS[1]


def slope(objective: Objective, here: Seen, direction: Array, noise: float) -> Slope | None:
    """The slope along a direction, from the step at which its error is least; None where no value is finite.

    What the gradient promises is its mean at both ends, which for a quadratic is exact however the ends are rounded. A
    jump is kept only if it is the same, to a tenth, at the three shortest steps that values resolve, each 8 apart; or
    if it grows from each to the next, at a cusp, where gradients beside it say so: between steps of f they are 0.
    """
    size = max(1.0, float(np.linalg.norm(here.x)))
    best: Slope | None = None
    gaps: list[float] = []
    jumps: list[float] = []
    jump, at_step, turn, sides = 0.0, 0.0, 0.0, (0.0, 0.0)
    for k in range(2, 22, 3):
        t = size * 2.0 ** (-k)
        right, left = (objective.at(here.x + sign * t * direction) for sign in (1.0, -1.0))
        if not (np.isfinite(right.f) and np.isfinite(left.f)):
            continue
        way = right.x - left.x
        along = float(direction @ way)
        if along <= 0:
            continue
        observed, promised = (right.f - left.f) / along, 0.5 * float((right.g + left.g) @ way) / along
        terms = max(float(np.abs(at.g) @ np.abs(at.x)) for at in (right, left))
        blur = (max(noise, objective.noise(max(abs(right.f), abs(left.f)))) + 4 * objective.eps * terms) / t
        gaps.append(observed - promised)
        jumps.append((right.f - here.f) / t - (here.f - left.f) / t)
        recent = jumps[-3:]
        if len(recent) == 3 and blur < 0.01 * abs(recent[-1]):
            grown = all(GROWTH[0] * a * a < a * b < GROWTH[1] * a * a for a, b in pairwise(recent))
            secants = (
                ((right.f - here.f) / t, float(right.g @ direction)),
                ((here.f - left.f) / t, float(left.g @ direction)),
            )
            grown = grown and all(_follows(*secant) for secant in secants)
            even = grown or max(recent) - min(recent) <= 0.1 * abs(recent[-1])
            jump, at_step = (recent[-1], t) if even else (0.0, t)
            if even:
                turn, sides = t, ((here.f - left.f) / t, (right.f - here.f) / t)
        if len(gaps) < 2 or not np.isfinite(promised):
            continue
        error = abs(gaps[-1] - gaps[-2]) + 4 * blur
        if best is None or error < best.error:
            best = Slope(observed, error, 0.0, promised, t)
    return (
        None if best is None else replace(best, jump=jump, step=at_step if jump else best.step, turn=turn, sides=sides)
    )


FEW, DOUBLINGS, FARTHER = 4, 20, 64
"""At how many doubling distances floats show a fall at least where balls are asked farther on; how many there are; and
how many where f falls between all of those by less and less, as a power of the distance does."""


STRIDE = 64.0
"""How many times as far f is asked next where it is asked as far as it is finite."""
ROUGH = 1e-3
"""Up to which part of the fall along a ray a rise may be rounding."""
SURE, FADED = 10.0, 1e-3
"""How many times its rounding f is to fall along a ray whose last slopes are rounding, and to which part of the first
the last slope that is none has to fade."""


@dataclass(frozen=True)
class Ray:
    """Falls along a ray: of f between doubling distances, the last distance, and what they say.

    At the distance `balls` f is not finite in its floats; from there on it was asked in balls.
    """

    kind: str
    distance: float
    value: float
    falls: tuple[float, ...]
    balls: float = np.inf


def ray(
    objective: Objective, here: Seen, direction: Array, bounds: Bounds, noise: float, broken: bool = False
) -> Ray | None:
    """What f does along a ray from x: 'unbounded', 'infimum', or None where it rises or nothing is told.

    'unbounded': f falls between all of twenty doubling distances, and in the second half by no less than in the first,
    and so it does much farther on (`_ends`).
    'infimum': f falls by less and less, from its largest fall in the first half on, its slope there fading until
    neither is resolved by its dtype, which a power of the distance does only farther on; where it breaks off before, as
    that of a hinge does, nothing is told.
    'unbounded' with `broken`, after a run that fell as long as it was let, too: f falls at half its first slope at
    least between all of the doubling distances, at the first few in floats, and where those are not finite in balls, in
    which no number overflows or underflows. Where balls are not finite either, as beyond a barrier, nothing is told.
    """
    t = max(1.0, float(np.linalg.norm(here.x))) / (64 if broken else 8)
    values, slopes, distances, rough = [here.f], [], [0.0], 0.0
    for k in range(FARTHER):
        if k == DOUBLINGS and not _fading(values, slopes):
            break
        point = here.x + t * direction
        if not np.allclose(bounds.project(point), point, rtol=1e-12, atol=0):
            return None
        seen = objective.at(point)
        if np.isneginf(seen.f):
            break
        if not np.isfinite(seen.f) and broken and len(values) > FEW:
            return _as_fast(objective, here, direction, bounds, values, distances)
        if not np.isfinite(seen.f):
            return None
        if seen.f > values[-1]:  # by its rounding, as in log(1 + exp z) - z
            bound = rounding(objective, seen) if seen.f - values[-1] <= ROUGH * (values[0] - values[-1]) else 0.0
            if seen.f - values[-1] > bound:
                return None
            rough = max(rough, bound)
        slope_there = float(seen.g @ direction)  # no number where a factor overflows beside one that is 0
        slopes.append(0.0 if np.isnan(slope_there) and seen.f == values[-1] else slope_there)
        values.append(min(seen.f, values[-1]))
        distances.append(t)
        t *= 2
    falls = tuple(float(a - b) for a, b in pairwise(values))
    strict = sum(1 for fall in falls if fall > 0)
    if len(falls) >= 6 and strict == len(falls) and all(s < 0 for s in slopes):
        half = len(falls) // 2
        if min(falls[half:]) >= 0.9 * max(falls[1:half]) and falls[-1] > 10 * noise:
            ends = _ends(objective, here, direction, distances[-1], 0.9 * max(falls[1:half]))
            return None if ends else Ray("unbounded", distances[-1], values[-1], falls)
    first = next((i for i, fall in enumerate(falls) if fall <= 0), len(falls))
    if not (len(falls) >= DOUBLINGS and first >= 4):
        return None
    noise = max(noise, objective.noise(values[-1]))  # from a value of 0, as -exp(-1/x^2) has, down to others
    blur = max(4 * noise if len(falls) > DOUBLINGS else 0.0, rough)  # so far out falls and slopes are rounding
    largest = int(np.argmax(falls[:first]))
    shrinking = largest < len(falls) // 2
    shrinking = shrinking and all(b <= a + blur for a, b in pairwise(falls[max(largest, 1) : first]))
    if not shrinking:
        return None
    downhill = [s < 0 or s <= blur / t for s, t in zip(slopes, distances[1:], strict=True)]
    last = max((i for i, s in enumerate(slopes) if s < 0), default=0)
    resolved = max(4 * noise, rough) / distances[last + 1]
    gone = all(downhill[: first - 1]) and all(downhill[first:])
    gone = gone and abs(slopes[last]) <= max(objective.eps * abs(slopes[0]), resolved)
    if gone or _is_lost(objective, here, slopes, distances, falls[:first]):
        return Ray("infimum", distances[-1], values[-1], falls[:first])
    return None


def _is_lost(
    objective: Objective, here: Seen, slopes: list[float], distances: list[float], falls: tuple[float, ...]
) -> bool:
    """Whether a slope that fades between all distances ends in the roundings of larger numbers, as that of log(1 + z).

    That of a program with corners may end where it does.
    """
    bound = rounding(objective, here)
    if objective.cornered or not sum(falls) > SURE * bound:
        return False
    lost = [abs(s) <= bound / t for s, t in zip(slopes, distances[1:], strict=True)]
    first = lost.index(True) if any(lost) else 0
    seen = slopes[:first]
    fades = all(s < 0 for s in seen) and all(b > a for a, b in pairwise(seen))
    return first >= FEW - 1 and all(lost[first:]) and fades and seen[-1] >= FADED * seen[0]


def _ends(objective: Objective, here: Seen, direction: Array, distance: float, least: float) -> bool:
    """Whether f falls by less than `least` over one more doubling, eps^-1/4 or eps^-1/2 times as far on.

    A bowl may be far away, and a value may be cut off far down. What is not finite there says nothing. No farther than
    that where the direction is rounded: one along which a square stays 0 leaves it in the end. A direction of short
    numbers is no other in floats, and along it f is looked at on, as far as it is finite.
    """
    for power in (0.25, 0.5):
        at = distance * objective.eps**-power
        near, far = (objective.at(here.x + t * direction).f for t in (at, 2 * at))
        if np.isfinite(near) and np.isfinite(far) and near - far < least:
            return True
    unit = direction / float(np.abs(direction).max())
    short = np.round(8 * unit) / 8
    if np.abs(short - unit).max() > 8 * objective.eps:
        return False
    t = 2.0 ** np.ceil(np.log2(distance))
    near = objective.at(here.x + t * short).f
    while np.isfinite(near) and t < 1e300:
        t *= STRIDE
        far = objective.at(here.x + t * short).f
        if far == np.inf or near - far < least:
            return True
        near = far
    return False


def _fading(values: list[float], slopes: list[float]) -> bool:
    """Whether f fell between all points, downhill at each, by at most 0.9 of the fall before between the later ones."""
    falls = [a - b for a, b in pairwise(values)]
    later = falls[len(falls) // 2 :]
    return min(falls) > 0 and max(slopes) < 0 and all(b <= 0.9 * a for a, b in pairwise(later))


def _as_fast(
    objective: Objective, here: Seen, direction: Array, bounds: Bounds, values: list[float], distances: list[float]
) -> Ray | None:
    """The ray along which f falls at half its first slope at least: in floats as far as they go, then in balls."""
    farthest = distances[1] * 2.0 ** (DOUBLINGS - 1)
    point = here.x + farthest * direction
    if not looks(objective) or not np.allclose(bounds.project(point), point, rtol=1e-12, atol=0):
        return None
    slope, seen = float(here.g @ direction), len(values)
    for k in range(1, DOUBLINGS + 1):
        if k >= seen:
            distances.append(2 * distances[-1])
            values.append(highest(objective, here.x + distances[k] * direction))
        least = -0.5 * slope * (distances[k] - distances[k - 1])
        if not (least > 10 * objective.noise(values[k]) and values[k] <= values[k - 1] - least):
            return None
    falls = tuple(float(a - b) for a, b in pairwise(values))
    return Ray("unbounded", distances[-1], values[-1], falls, distances[seen])
