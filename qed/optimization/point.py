"""A point that is to be judged, with what the questions about it share: words, directions, rays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.answer import Answer, Missing, Reason
from qed.calculus.points.case import Derivatives
from qed.calculus.shares import shares
from qed.findings import Finding, Level
from qed.graph.function import Function, read
from qed.graph.splice import splice
from qed.graph.trace import is_float
from qed.optimization.bounds import Bounds
from qed.optimization.objective import Objective, Seen
from qed.optimization.probing import ray
from qed.optimization.roundings import rounding, surely_lower
from qed.optimization.running import Ended, beside_flats, curvatures, lower_along
from qed.optimization.solution import FOUND, Ending, Verdict
from qed.standing import Standing

Array = np.ndarray
BOTTOM = 1e30
"""Below minus so many times its value at the start a function has no least value that could be looked for."""
FEW = 2
"""Along how many axes, and in how many random directions, a jump is looked for where Hessians are dear."""
ARRAYS, LAYERS = 100, 4
"""Of how many arrays at most those that are read last are moved alone, and how many of these at most."""
HALVINGS, FEWEST = 60, 8
"""How often an interval with a jump is halved; after fewer, its ends are too near to tell a jump from a slope."""


@dataclass(frozen=True, eq=False)
class Judged:
    """What the words about a point are made of."""

    objective: Objective
    here: Seen
    bounds: Bounds
    asked: tuple[Any, Any, tuple[Any, ...]]
    ended: Ended | None
    start: Seen | None
    noise: float
    seed: int = 0

    @property
    def function(self) -> Function | None:
        """The loss as it is read at the point; None where it has to be traced anew for that."""
        arrays = [jnp.asarray(leaf) for leaf in jax.tree.leaves(self.asked[1]) if is_float(leaf)]
        return self.objective.function.at(arrays) if np.all(np.isfinite(self.here.x)) else None

    @property
    def derivatives(self) -> Derivatives | None:
        """Gradient and Hessian at a vector in float64, where one program that is compiled has them."""
        objective = self.objective
        if objective.together is None or objective.eps > np.finfo(np.float64).eps:
            return None
        return lambda x: (objective.at(x).g, objective.dense(x))

    @property
    def left(self) -> float:
        """The largest part of the projected gradient."""
        return float(np.abs(self.bounds.slope(self.here.x, self.here.g)).max(initial=0.0))

    @property
    def reach(self) -> float:
        """How much f falls at most, by its slope, where `jumped` looks."""
        return 1e-4 * float(np.linalg.norm(self.here.g)) * max(1.0, float(np.linalg.norm(self.here.x)))

    @property
    def blur(self) -> float:
        """By how much two values may differ by what was measured of their noise, or by rounding."""
        return max(2 * self.noise, rounding(self.objective, self.here))

    def read(self) -> Function:
        """The function as it is read at the point."""
        fun, _, args = self.asked
        there = self.function
        return read(fun, as_tree(self, self.here.x), *args) if there is None else there

    def extent(self, highest: float) -> float:
        """How much f varies around x by its largest curvature, at least 1; no more than |f|, of which some is constant.

        Beside 1e12 + x^2 a fall by 1 is no small one; nor is one by 1e-13 of 1e-12 (x - 3)^2, where less than 1 is all
        that f varies by: around x, and from the start to here.
        """
        near = 1 + float(np.linalg.norm(self.here.x))
        bent = 0.5 * abs(highest) * near**2
        whole = 1.0 if self.start is None else max(abs(self.here.f), abs(self.start.f - self.here.f), bent)
        return max(min(1.0, whole), min(abs(self.here.f), bent))

    def rounding(self, n: int) -> float:
        """Up to which size, relative to the largest, a curvature among n may be rounding."""
        return 8 * n * self.objective.eps

    def shares(self, direction: Array) -> tuple[tuple[str, float], ...]:
        """(name, share) of the parameters that a direction consists of."""
        function = self.objective.function
        unit = direction / np.linalg.norm(direction)
        return shares(unit, function.paths, [np.shape(p) for p in function.parameters])

    def named(self, direction: Array) -> str:
        """The same in words."""
        told = (f"{share:.0%} {name}" for name, share in self.shares(direction) if share >= 0.05)
        return ", ".join(told) or "all parameters alike"

    def coordinate(self, i: int) -> str:
        """The name of the i-th number of x."""
        return self.shares(np.eye(1, len(self.here.x), i)[0])[0][0]

    def verdict(self, kind: Ending, **values: Any) -> Verdict:
        """The value of an answer."""
        return Verdict(kind, self.here.f, self.left, self.noise, **values)

    def says(
        self, kind: Ending, text: str, *more: Reason, parts: tuple[Answer[Any], ...] = (), level: Level | None = None,
        **values: Any,
    ) -> Any:  # fmt: skip
        """The answer that something was measured; `level` is that of its code, if it is not the usual one."""
        reasons = (Reason(str(kind), text=text, standing=Standing.MEASURED, unpredicted="it was observed"), *more)
        findings = tuple(f for part in parts for f in part.findings)
        if level is not None:
            findings = (*findings, Finding(FOUND[kind], text, level=level))
        return Answer(
            text, Standing.MEASURED, self.verdict(kind, **values), arithmetic=self.objective.function.dtype,
            reasons=reasons, headline=text, answers=parts, findings=findings, subject=self.objective.function.title(),
        )  # fmt: skip

    def unknown(self, kind: Ending, text: str, settle: str, **values: Any) -> Any:
        """The answer where what the point is stays open."""
        return Answer(
            text, Standing.UNKNOWN, self.verdict(kind, **values), arithmetic=self.objective.function.dtype,
            missing=(Missing(text, settle),), headline=text, subject=self.objective.function.title(),
        )  # fmt: skip


def fall_for_ever(case: Judged, at: Seen, directions: list[Array]) -> Answer[Verdict] | None:
    """The answer that f falls for ever along one of some rays from a point; None where it does along none."""
    broken = case.ended is not None and case.ended.how in ("budget", "stuck")
    for direction in directions:
        noise = case.objective.noise(at.f)
        found = ray(case.objective, at, direction, case.bounds, noise, broken)
        found = ray(case.objective, at, direction, case.bounds, noise) if found is None and broken else found
        if found is None:
            continue
        told = f"{found.falls[1]:.3g} at first and {found.falls[-1]:.3g} at last between doubling distances"
        if found.kind == "unbounded":
            dtype = case.objective.function.dtype
            balls = f"; at {found.balls:.3g} f is not finite in {dtype}, from there on balls were asked"
            balls = balls if np.isfinite(found.balls) else ""
            text = (
                f"Unbounded below as far as was looked: along a ray f falls by {told}, "
                f"to {found.value:.6g} at {found.distance:.3g}{balls}."
            )
            return case.says(Ending.UNBOUNDED_BELOW, text, direction=as_tree(case, direction))
        which = f" ({case.named(direction)})" if len(at.x) > 1 else ""
        text = (
            f"No minimum is attained as far as was looked: along a ray{which} f falls on, by {told}, "
            f"towards {found.value + 0.0:.6g}."
        )
        return case.says(Ending.INFIMUM_NOT_ATTAINED, text, direction=as_tree(case, direction))
    return None


def bottomless(case: Judged) -> bool:
    """Whether f is -inf, or fell in a run below minus BOTTOM times its size at the start."""
    begun = case.start is not None and case.here.f < -BOTTOM * max(1.0, abs(case.start.f))
    return bool(np.isneginf(case.here.f) or begun)


def turned(case: Judged) -> bool:
    """Whether a run that fell this far is at rest, and f is no lower farther along its way: its fall has an end."""
    if case.start is None or not case.here.finite:
        return False
    length = float(np.linalg.norm(case.here.x - case.start.x))
    still = float(np.linalg.norm(case.here.g)) * length <= 1e-6 * abs(case.here.f)
    return still and all(np.isfinite(f) and f >= case.here.f for f in farther_on(case, case.start))


def farther_on(case: Judged, start: Seen) -> Iterator[float]:
    """The values of f half as far again, and twice as far, as a run went from its start."""
    way = case.here.x - start.x
    return (case.objective.at(case.bounds.project(case.here.x + t * way)).f for t in (0.5, 1.0))


def fallen(case: Judged) -> Answer[Verdict]:
    """The answer about a run that left, along whose way no ray was found."""
    if case.start is not None and np.isfinite(case.here.f) and bottomless(case):
        text = f"Unbounded below as far as was looked: in the run f fell from {case.start.f:.6g} to {case.here.f:.6g}."
        return case.says(Ending.UNBOUNDED_BELOW, text)
    text = f"Undecided: the value reached {case.here.f:.6g} and no ray was found along which it falls for ever."
    return case.unknown(Ending.UNDECIDED, text, "a bound on the parameters")


def runs_off(case: Judged, move: Array) -> bool:
    """Whether a second step of Newton's method is no shorter than the first, as far out on x^-p or exp(-x).

    Towards a minimum of order p each is (p - 2) / (p - 1) of the one before.
    """
    length = float(np.linalg.norm(move))
    there = case.objective.at(case.bounds.project(case.here.x + move))
    found = curvatures(case.objective, there, case.bounds) if there.finite and length > 0 else None
    if found is None:
        return False
    along, unit = found[1].T @ (move / length), move / length
    slope, bend = float(there.g @ unit), float(found[0] @ along**2)
    return slope < 0 and -slope >= 0.99 * bend * length


def bends_beyond(case: Judged, move: Array, lowest: float) -> bool:
    """Whether f still bends, at least a quarter as much, twice as far as Newton's step: else it tells no minimum."""
    if float(np.linalg.norm(move)) <= 1e-6 * (1 + float(np.linalg.norm(case.here.x))):
        return True
    return bends_at(case, 2 * move, lowest)


def bends_at(case: Judged, move: Array, lowest: float) -> bool:
    """Whether f bends at least a quarter as much as it does here after a step: beside 0 on x^6 it bends otherwise."""
    there = case.objective.at(case.bounds.project(case.here.x + move))
    found = curvatures(case.objective, there, case.bounds) if there.finite else None
    return found is not None and (not len(found[0]) or float(found[0][0]) >= 0.25 * lowest)


def jumped(case: Judged, gain: float, ends: dict[str, Any]) -> Answer[Verdict] | None:
    """The answer that f, which may jump, is lower close by: by more than noise and twice the `gain` of the model."""
    if not case.objective.cornered:
        return None
    n, f = len(case.here.x), case.here.f
    noise = min(case.noise, max(4 * case.objective.noise(f), 1e-4 * max(1.0, abs(f))))  # a jump scatters values, too
    size = max(1.0, float(np.linalg.norm(case.here.x)))
    axes, random = (FEW, FEW) if case.objective.dear else (20, 8)
    for t in (1e-6, 1e-4):
        for direction in around(n, random, case.seed, axes):
            for sign in (1.0, -1.0):
                move = sign * t * size * direction / np.linalg.norm(direction)
                there = case.objective.at(case.bounds.project(case.here.x + move))
                if surely_lower(case.objective, there, case.here, 2 * noise + 2 * gain):
                    away = float(np.linalg.norm(there.x - case.here.x))
                    text = f"No minimum: by slopes and curvatures it would be one, yet {away:.2g} away f is lower."
                    return case.says(Ending.KINK, text, **ends)
    return None


def across_a_jump(case: Judged, move: Array, ends: dict[str, Any]) -> Answer[Verdict] | None:
    """The answer that f, which may jump, jumps up before x - `move`, where the model has its minimum; else None."""
    if not case.objective.cornered:
        return None
    least = case.objective.at(case.bounds.project(case.here.x - move))
    rise = least.f - case.here.f
    if not surely_lower(case.objective, case.here, least, 2 * case.noise) or jump_between(case, least) < 0.5 * rise:
        return None
    away = float(np.linalg.norm(least.x - case.here.x))
    text = f"No minimum: by slopes and curvatures it would lie {away:.2g} away, and f is higher there: it jumps."
    return case.says(Ending.KINK, text, **ends)


def jump_between(case: Judged, there: Seen) -> float:
    """By how much f differs at neighbouring floats between x and `there`; 0 where they are too near to tell that.

    The interval is halved, and the half kept over whose ends f differs more: what stays is a jump, or a slope so steep
    that the dtype does not tell it from one.
    """
    low, high = case.here, there
    for halvings in range(HALVINGS):
        middle = case.objective.at(0.5 * (low.x + high.x))
        if not middle.finite or np.array_equal(middle.x, low.x) or np.array_equal(middle.x, high.x):
            return abs(high.f - low.f) if halvings >= FEWEST else 0.0
        low, high = (low, middle) if abs(middle.f - low.f) >= abs(high.f - middle.f) else (middle, high)
    return abs(high.f - low.f)


def around(n: int, random: int, seed: int, axes: int = 20) -> Iterator[Array]:
    """The first `axes` axes of n, and so many random directions; one at a time, since n may be large.

    Example:
        >>> [direction.tolist() for direction in around(2, 0, 0)], len(list(around(1000, 8, 0)))
        ([[1.0, 0.0], [0.0, 1.0]], 28)
    """
    yield from (np.eye(1, n, i)[0] for i in range(min(n, axes)))
    rng = np.random.default_rng(seed)
    yield from (rng.standard_normal(n) for _ in range(random))


def as_tree(case: Judged, vector: Array) -> Any:
    """A vector as a tree like x."""
    return case.objective.tree(case.asked[1], vector)


def units(case: Judged) -> list[Array]:
    """Directions in the parameters that no bound holds: down the slope, and one at random."""
    free = ~case.bounds.held(case.here.x, case.here.g)
    free &= (case.here.x > case.bounds.lower) & (case.here.x < case.bounds.upper)
    random = np.random.default_rng(case.seed).standard_normal(len(free))
    found = []
    for v in (np.where(free, -case.here.g, 0.0), np.where(free, random, 0.0)):
        size = float(np.linalg.norm(v))
        if 0 < size < np.inf:
            found.append(v / size)
    return found


def falls(case: Judged, directions: list[Array]) -> bool:
    """Whether along one of some directions, to either side, f is lower by more than its noise and its roundings."""
    found = (lower_along(case.objective, case.here, d, case.bounds, case.blur / 2) for d in directions)
    return any(p is not None and surely_lower(case.objective, p, case.here, 2 * case.noise) for p in found)


def ways(case: Judged, found: tuple[Array, Array] | None) -> list[Array]:
    """Directions along which f may fall for ever: of the point, the slope, the run, and the least curvature.

    And the point with only those parameters kept that the program reads last: as they grow, so do the scores of a
    network that tells all classes apart, and its loss falls for ever. Of the point and the run also the part along what
    bends: what is added to the scores of all classes alike changes nothing, and may be most of a point.
    """
    far = [case.here.x] if case.start is None else [case.here.x, case.here.x - case.start.x]
    tried = [far[0], *_last_read(case), -case.here.g, *far[1:]]
    if found is not None and len(found[0]):
        lowest = found[1][:, 0]
        tried.append(lowest if float(case.here.g @ lowest) < 0 else -lowest)
        bends = found[0] > max(1e-10, case.rounding(len(found[0]))) * abs(float(found[0][-1]))
        if np.any(bends):
            bent = found[1][:, bends]
            tried.append(-bent @ ((bent.T @ case.here.g) / found[0][bends]))
            tried += [] if np.all(bends) else [bent @ (bent.T @ way) for way in far]
    sizes = [float(np.linalg.norm(w)) for w in tried]
    return [w / size for w, size in zip(tried, sizes, strict=True) if 0 < size < np.inf]


def _last_read(case: Judged) -> list[Array]:
    """x with all but the arrays zeroed that the program reads last: the last, the last two, and so on."""
    traced = case.objective.function.traced
    sizes = [part.size for part in case.objective.function.parameters]
    if not 1 < len(sizes) <= ARRAYS:
        return []
    graph = splice(traced.graph)
    place = {graph.inputs[i]: k for k, i in enumerate(traced.free)}
    read = dict.fromkeys(place[a] for e in graph.equations for a in e.inputs if a in place)
    offsets = np.cumsum([0, *sizes])
    kept, found = np.zeros(len(case.here.x)), []
    for k in list(read)[:0:-1][:LAYERS]:
        kept[offsets[k] : offsets[k + 1]] = case.here.x[offsets[k] : offsets[k + 1]]
        found.append(kept.copy())
    return found


def singular(case: Judged, values: Array, vectors: Array) -> str | None:
    """The sentence on a point where nothing is left to gain: neither along what bends, nor along what does not."""
    zero = max(1e-10, case.rounding(len(values))) * abs(values[-1])
    bends = values > zero
    if np.all(bends) or values[0] < -zero:
        return None
    along = vectors.T @ case.here.g
    gain = 0.5 * float(np.sum(along[bends] ** 2 / values[bends]))
    rest = -vectors[:, ~bends] @ along[~bends]
    size = float(np.linalg.norm(rest))
    extent = case.extent(float(values[-1]))
    if size > 1e-6 * extent:  # a slope along what does not bend: f falls on, or halts at an edge
        return None
    tried = [vectors[:, 0], *([rest / size] if size > 0 else [])]
    if gain > max(case.noise, 1e-9 * extent) or falls(case, tried):
        return None
    if case.bounds.open and beside_flats(case.objective, case.here, values, vectors, 1 + case.seed) is not None:
        return None
    return (
        f"A flat minimum as far as was looked: {int(np.sum(~bends))} of {len(values)} curvatures are zero up to "
        f"rounding, f did not fall along them, and in the others the quadratic model lets it fall by {gain:.2g}: "
        "f is determined, x is not."
    )


def constant(case: Judged, flat: int) -> str:
    """The sentence on a function whose value is the same at all of some points, near and far; empty where it is not."""
    n, size = len(case.here.x), max(1.0, float(np.linalg.norm(case.here.x)))
    if flat < n or np.any(case.here.g):
        return ""
    tried = [(direction, t * size) for direction in around(n, 8, case.seed) for t in (-10.0, -1.0, 1e-3, 1.0, 10.0)]
    points = [case.bounds.project(case.here.x + t * d / np.linalg.norm(d)) for d, t in tried]
    if not all(case.objective.at(point).f == case.here.f for point in points):
        return ""
    return (
        f"A flat minimum as far as was looked: f looks constant, {case.here.f:.8g} here and at all of {len(points)} "
        f"points up to {10 * size:.3g} away."
    )


def with_code(answer: Answer[Verdict]) -> Answer[Verdict]:
    """The answer with the code of what the point is, unless it has that one already."""
    code = None if answer.value is None else FOUND.get(answer.value.kind)
    if code is None or any(finding.code == code for each in answer.walk() for finding in each.findings):
        return answer
    return replace(answer, findings=(*answer.findings, Finding(code, str(answer.headline))))
