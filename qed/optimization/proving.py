"""The proof that a minimum in a box is one, and that it is the global one where the function is convex.

In a box l <= x <= u let A be the numbers that stand at a bound with a slope that presses against it. Where the slopes
of A are proved not to be zero, the others' are zero at one point of a small box, and f bends up along the others all
over that box, this point is a strict local minimum among all points of the box l <= x <= u (Nocedal and Wright,
*Numerical Optimization*, 2006, theorem 12.6). Where f is convex on it besides, f(y) >= f(x*) + grad f(x*)'(y - x*) >=
f(x*) for each of its points y. Both certificates are those of constrained problems, without constraints.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cached_property

import numpy as np

from qed.answer import Answer, Reason
from qed.calculus.hessian import shaped
from qed.calculus.points.overall import affordable
from qed.calculus.shapes.found import terms
from qed.calculus.shapes.rules import Rules
from qed.certificates.certificate import Subject
from qed.certificates.convex_optimum import ConvexOptimum
from qed.certificates.convexity import rows_of
from qed.certificates.convexity_rules import Row
from qed.certificates.kkt_point import KKTPoint
from qed.certificates.problem_terms import affine
from qed.certificates.stacked import stacked
from qed.domains.ball_boxes import NotSmooth
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_proof import Step
from qed.domains.curvature_terms import Form
from qed.errors import CertificateError, QedError
from qed.graph.walk import TooLong
from qed.optimization.boxed_gap import by_duality
from qed.optimization.kkt_box import boxed
from qed.optimization.objective import Objective, Wide
from qed.optimization.point import Judged
from qed.optimization.solution import Ending, Verdict
from qed.standing import Standing

Array = np.ndarray
Shown = list[tuple[int, tuple[Row, ...]]]
OPERATIONS = 50_000
"""How many operations between numbers are taken apart at most."""
NEGATIVE = 1e-5
"""Which part of the largest curvature a negative one must have, to be more than rounding."""
FEW, MANY, PLAIN = 16, 8, 8
"""Up to how many numbers there are, a place where f bends down is looked for so many times at each distance; the first
places are believed as they are, the others where a chord shows it too."""
CHORD, CLEARLY = 1e-2, 1e-8
"""How long half a chord is, relative to 1 + |x|, and by which part of f it is to miss."""
SECONDS = 2.0
"""How long a proof of convexity is looked for in pieces."""
SHARES = (1e-12, 1e-10, 1e-8)
"""How large a box is tried, relative to the point."""
UNSURE = (Ending.MINIMUM, Ending.FLAT_MINIMUM)
"""What a minimum with curvatures of very different sizes may look like."""
NEAR = 1e-3
"""How far from x, relative to 1 + |x|, the minimum may be that is proved."""


def certified(case: Judged, near: Array, shown: Shown | None = None) -> KKTPoint | ConvexOptimum | None:
    """The certificate of a strict local minimum in the box near a point; None where none is found.

    Args:
        case: the point that is asked about.
        near: a vector as near to the minimum as is known.
        shown: the proof that f is convex (`convex`): then the certificate is that of the global minimum.
    """
    objective, box = case.objective, case.bounds
    if not affordable(objective.function):
        return None
    wide = Wide.of(objective)
    if wide is None and objective.eps > np.finfo(np.float64).eps:
        return None
    lower = np.flatnonzero((near <= box.lower) & ((case.here.g > 0) | (box.lower == box.upper)))
    upper = np.setdiff1d(np.flatnonzero((near >= box.upper) & (case.here.g < 0)), lower)
    free = np.setdiff1d(np.arange(len(near)), np.concatenate([lower, upper]))
    center, step = _polished(objective if wide is None else wide, box.project(near), free)
    if np.any(center[free] <= box.lower[free]) or np.any(center[free] >= box.upper[free]):
        return None
    fun, x, args = case.asked
    subject = Subject(stacked(fun), x, tuple(args))
    for share in SHARES:
        radius = np.zeros(len(center))
        radius[free] = np.maximum(share * np.maximum(np.abs(center[free]), 1e-3), 4 * step)
        try:
            made = boxed(
                subject, case.here.x, center, radius, bounds=(box.lower, box.upper), held=(lower, upper)
            )  # fmt: skip
            if made.distance > NEAR * (1 + float(np.linalg.norm(near))):
                return None
            found = made if shown is None else ConvexOptimum.of(made, shown)
            found.verify()
        except CertificateError:
            continue
        except (NotSmooth, TooLong, QedError, MemoryError, TypeError, ValueError):
            return None
        return found
    return None


def _polished(objective: Objective, x: Array, free: Array) -> tuple[Array, Array]:
    """Newton's point in the free numbers, and how far it would still be moved."""
    step = np.zeros(len(free))
    for _ in range(3):
        seen, matrix = objective.at(x), objective.matrix(x)
        matrix = matrix.toarray() if hasattr(matrix, "toarray") else matrix
        try:
            step = np.linalg.solve(matrix[np.ix_(free, free)], seen.g[free])
        except np.linalg.LinAlgError:
            break
        if not np.all(np.isfinite(step)):
            break
        moved = x.copy()
        moved[free] -= step
        if not float(np.abs(objective.at(moved).g[free]).max(initial=0.0)) < float(
            np.abs(seen.g[free]).max(initial=0.0)
        ):
            break
        x = moved
    return x, np.abs(np.where(np.isfinite(step), step, 0.0))


def convex(case: Judged) -> Shown | None:
    """The rows of a proof that f is convex on the box of the bounds, none if it is affine; None where none is found."""
    function = case.objective.function
    if not affordable(function):
        return None
    traced = function.traced if function.own is None else function.own
    lower, upper = (shaped(side, traced.parameters) for side in (case.bounds.lower, case.bounds.upper))
    found = terms(traced, lower, upper, OPERATIONS)
    if found is None or found[0].lost is not None:
        return None
    algebra, (form, *_) = found
    step = None if affine(form) else Rules(algebra).convex(form)
    if step is None and not affine(form) and not _bends_down(case):
        step = _deeply(algebra, form)
    if step is None:
        return [] if affine(form) else None
    return [(0, rows_of(step))]


def _bends_down(case: Judged) -> bool:
    """Whether the Hessian has a negative eigenvalue at one of a few points of the box."""
    x, random = case.here.x, np.random.default_rng(0)
    for k, scale in enumerate((0.1, 0.3, 1.0, 3.0) * (MANY if len(x) <= FEW else 2)):
        point = case.bounds.project(x + scale * (1 + np.abs(x)) * random.standard_normal(len(x)))
        matrix = case.objective.dense(point)
        if np.all(np.isfinite(matrix)):
            values, vectors = np.linalg.eigh(matrix)
            if values[0] < -NEGATIVE * np.max(np.abs(values)) and (k < PLAIN or _chord(case, point, vectors[:, 0])):
                return True
    return False


def _chord(case: Judged, point: Array, along: Array) -> bool:
    """Whether f lies above the middle of a chord about a point, by more than rounding."""
    step = CHORD * (1 + float(np.linalg.norm(point))) * along
    seen = [case.objective.at(end) for end in (point - step, point, point + step)]
    inside = all(np.array_equal(case.bounds.project(one.x), one.x) for one in seen)
    first, middle, last = (one.f for one in seen)
    size = max(abs(first), abs(middle), abs(last))
    return inside and middle - (first + last) / 2 > CLEARLY * size


def _deeply(algebra: Algebra, form: Form) -> Step | None:
    """A proof by cutting lines and boxes, in the seconds that there are for it."""
    rules = Rules(algebra, deep=True, deadline=time.thread_time() + SECONDS)
    rules.top = form
    return rules.convex(form)


def ill_scaled(case: Judged, answer: Answer[Verdict]) -> Answer[Verdict]:
    """The answer, PROVED where curvatures of very different sizes were taken for rounding and balls tell them apart."""
    if not answer.measured or answer.value is None or answer.value.kind not in UNSURE or not case.bounds.open:
        return answer
    if not affordable(case.objective.function) or case.objective.cornered:
        return answer
    matrix = case.objective.matrix(case.here.x)
    matrix = matrix.toarray() if hasattr(matrix, "toarray") else np.asarray(matrix, np.float64)
    sizes = np.diag(matrix)
    if not np.all(np.isfinite(matrix)) or not np.all(sizes > 0):
        return answer
    scaled = matrix / np.sqrt(np.outer(sizes, sizes))
    if float(np.linalg.eigvalsh(scaled)[0]) <= 4 * len(sizes) * np.finfo(np.float64).eps:
        return answer
    found = proved(case, answer, case.here.x)
    if not found.proved or found.value is None:
        return answer
    return replace(found, value=replace(found.value, kind=Ending.MINIMUM), findings=(), answers=())


class Everywhere:
    """The certificate of the global minimum of a convex function, looked for once near a vector.

    Args:
        case: the point that is asked about.
    """

    def __init__(self, case: Judged) -> None:
        self.case = case
        self._found: tuple[Array, KKTPoint | ConvexOptimum | None] | None = None

    @cached_property
    def shown(self) -> Shown | None:
        """The proof that f is convex."""
        return convex(self.case)

    def __call__(self, near: Array) -> KKTPoint | ConvexOptimum | None:
        """The certificate; None where f is not proved to be convex, or no minimum is found."""
        if self._found is None or not np.array_equal(self._found[0], near):
            found = None if self.shown is None else certified(self.case, near, self.shown)
            self._found = np.array(near), found
        return self._found[1]


def proved(case: Judged, answer: Answer[Verdict], near: Array, everywhere: Everywhere | None = None) -> Answer[Verdict]:
    """The answer that a point is a minimum, with its proof: in the box, and global where f is convex.

    Args:
        case: the point.
        answer: what is known of it: a minimum, measured or proved.
        near: a vector as near to the minimum as is known.
        everywhere: what was asked of it before.
    """
    everywhere = Everywhere(case) if everywhere is None else everywhere
    best, shown = everywhere(near), everywhere.shown
    found = certified(case, near) if best is None and not answer.proved else best
    if found is None:
        return answer if case.bounds.open or shown is None else by_duality(case, answer)
    point = found.inner() if isinstance(found, ConvexOptimum) else found
    where = "at the point itself" if point.distance == 0 else f"within {point.distance:.4g} of the point"
    inside = "" if case.bounds.open else " in the box"
    value = f"f is in [{point.least:.17g}, {point.most:.17g}] there"
    if isinstance(found, ConvexOptimum):
        domain = "where f is defined" if case.bounds.open else "in the box"
        headline = f"The global minimum{inside}, since f is convex: {where}."
        claim = f"the least value of f {domain} is attained {where}, at one point only; {value}"
        why = Reason(
            "convexity", "f(y) >= f(x*) + grad f(x*)'(y - x*) >= f(x*)", standing=Standing.PROVED,
            unpredicted="it is a theorem",
            text=f"f is convex{inside}, so that no point is lower than one without slope",
        )  # fmt: skip
        return replace(
            answer, claim=claim, standing=Standing.PROVED, certificate=found, seal=None, headline=headline, missing=(),
            arithmetic="reals", reasons=(why, *answer.reasons), recheck=None,
        )  # fmt: skip
    held = len(point.at_lower) + len(point.at_upper)
    pressed = f"; the {held} that bounds hold are pressed against them" if held else ""
    headline = f"A strict local minimum{inside}, {where}: f bends up along the parameters that are free{pressed}."
    claim = f"{where} lies a strict local minimum of f{inside}; {value}"
    why = Reason(
        "Krawczyk's test and signs", "grad_F f = 0, H_FF > 0, slopes at the bounds > 0", standing=Standing.PROVED,
        unpredicted="the enclosures were computed for it",
        text=f"all over a box of half-widths up to {max(point.radius):.1e}: one point without slope in the "
        f"{point.positive} free parameters, curvatures positive{pressed}",
    )  # fmt: skip
    return replace(
        answer, claim=claim, standing=Standing.PROVED, certificate=found, seal=None, headline=headline, missing=(),
        arithmetic="reals", reasons=(why, *answer.reasons), recheck=None,
    )  # fmt: skip
