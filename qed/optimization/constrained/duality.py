"""Lower bounds of f under the constraints, from multipliers: how far a point can be from the least value at most.

For any y, y >= 0 for the rows of g, f(x) >= L(x) = f(x) - y'c(x) wherever the constraints hold; where L is convex its
least value on the bounds is bounded by a tangent (`qed.certificates.weak_duality`). This asks for no isolated point, no
unique multipliers and no strict complementarity: it proves how low f can be where nothing proves where.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import scipy

from qed.answer import Answer
from qed.calculus.shapes.found import terms
from qed.calculus.shapes.rules import Rules
from qed.calculus.shapes.strong import strong_constant
from qed.certificates.certificate import Subject
from qed.certificates.convexity import rows_of
from qed.certificates.problem_terms import affine
from qed.certificates.ray import Ray
from qed.certificates.stacked import stacked
from qed.certificates.weak_duality import WeakDuality, combined
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_terms import Form
from qed.errors import CertificateError, QedError
from qed.graph.walk import TooLong
from qed.optimization.constrained.convexity import OPERATIONS, proof_of, sides
from qed.optimization.constrained.polish import KKT
from qed.optimization.constrained.problem import Constrained, Seen
from qed.standing import Standing

Array = np.ndarray
SHORT = 20
"""With up to so many parameters multipliers are tried as short fractions, too; with more, at last."""
LONGEST = 4.0
"""Seconds of processor time after which no other multipliers are tried."""
CLOSE, NOTHING = 1e-6, 1e-8
"""A bound that is farther below f, relative, is not told; with one this close no lower point is looked for."""


@dataclass(frozen=True, eq=False)
class Parts:
    """A problem taken apart: its functions as terms within the bounds."""

    problem: Constrained
    subject: Subject
    traced: Any
    algebra: Algebra
    forms: Sequence[Form]

    def bound(self, weights: Sequence[Fraction], objective: int, x: Array) -> WeakDuality | None:
        """A certificate with the largest bound found of objective f - sum w_i c_i; None where none is proved."""
        phi = combined(self.algebra, self.forms, weights, objective)
        strong, rows = 0.0, ()
        if not affine(phi):
            strong, step = strong_constant(Rules(self.algebra), phi)
            rows = rows_of(step) if step is not None else proof_of(Rules(self.algebra), phi) or ()
        for proof in dict.fromkeys((rows, ())):
            made = WeakDuality.about(
                self.subject.fun, self.subject.at, self.subject.args, box=sides(self.problem, self.traced),
                objective=objective, equalities=self.problem.equalities, weights=[str(w) for w in weights],
                point=x.tolist(), bound=1.0, rows=proof, strong=strong if proof else 0.0,
            )  # fmt: skip
            found = self._verified(made)
            if found is not None:
                return found
        return None

    def _verified(self, made: WeakDuality) -> WeakDuality | None:
        """The certificate with the bound that its fields prove, if that says something."""
        for known in ((self.algebra, self.forms), None):  # ranges of the second may be a little wider
            try:
                bound = made.proved(self.traced, known)
                if np.isfinite(bound) and (made.objective or bound > 0):
                    found = replace(made, bound=bound).sealed()
                    found.verify()
                    return found
                break
            except CertificateError:
                continue
        if made.objective or made.rows:
            return None
        try:  # the infimum may be 0
            made = replace(made, bound=0.0).sealed()
            made.verify()
        except CertificateError:
            return None
        return made


def parts(problem: Constrained) -> Parts | None:
    """The problem taken apart; None where that is not possible, or something may be undefined."""
    fun, _, args, equality, inequality, _ = problem.asked
    subject = Subject(stacked(fun, equality, inequality), problem.asked[1], tuple(args))
    traced = subject.traced()
    found = terms(traced, *sides(problem, traced), OPERATIONS)
    return None if found is None or found[0].lost is not None else Parts(problem, subject, traced, *found)


def endless(problem: Constrained, seen: Seen, direction: Array | None) -> Ray | None:
    """A certificate that f falls for ever along a ray; None where none is proved.

    Tried are the direction that was seen, if any, and the one along which f falls fastest at the point of those that
    the affine rows and the bounds leave open; with short numbers first, since rows have to hold exactly.
    """
    apart = parts(problem)
    if apart is None or not seen.finite or problem.sparse:
        return None
    ways = [way for way in (direction, _open_way(apart, seen)) if way is not None]
    sizes = [float(np.abs(way).max(initial=0.0)) for way in ways]
    units = [way / size for way, size in zip(ways, sizes, strict=True) if 1e-300 < size < np.inf]
    near = [seen.x, np.round(seen.x * 8) / 8] if np.abs(seen.x).max(initial=0.0) < 1e6 else []
    for start in (*near, problem.start, problem.bounds.project(np.zeros(problem.n))):
        for way in (way for unit in units for way in (np.round(unit), np.round(unit * 8) / 8, unit)):
            if not _seems_to_fall(problem, problem.bounds.project(start), way):
                continue
            made = Ray.about(
                apart.subject.fun, apart.subject.at, apart.subject.args, box=sides(problem, apart.traced),
                equalities=problem.equalities, start=problem.bounds.project(start).tolist(), direction=way.tolist(),
            )  # fmt: skip
            try:
                made.verify()
            except CertificateError:
                continue
            return made
    return None


def _seems_to_fall(problem: Constrained, start: Array, way: Array) -> bool:
    """Whether at a few points of a ray the rows hold and f falls."""
    values = []
    for t in (0.0, 1.0, 64.0, 4096.0):
        f, c = problem.values(start + t * way)
        off = np.concatenate([np.abs(c[: problem.equalities]), -c[problem.equalities :]])
        if not np.isfinite(f) or off.max(initial=0.0) > 1e-9 * (1 + t):
            return False
        values.append(f)
    return values[-1] < values[-2]


def _open_way(apart: Parts, seen: Seen) -> Array | None:
    """The direction of numbers up to 1 along which f falls fastest and affine rows and bounds hold for ever."""
    problem = apart.problem
    rows = np.array([affine(form) for form in apart.forms[1:]], bool)
    equal = np.arange(problem.rows) < problem.equalities
    ends = [
        (0.0 if np.isfinite(a) else -1.0, 0.0 if np.isfinite(b) else 1.0)
        for a, b in zip(problem.bounds.lower, problem.bounds.upper, strict=True)
    ]
    across, above = seen.J[rows & equal], -seen.J[rows & ~equal]
    found = scipy.optimize.linprog(
        seen.g, above if len(above) else None, np.zeros(len(above)) if len(above) else None,
        across if len(across) else None, np.zeros(len(across)) if len(across) else None, bounds=ends,
    )  # fmt: skip
    return found.x if found.status == 0 and found.fun < -1e-9 else None


def least_value(problem: Constrained, kkt: KKT) -> Answer[float] | None:
    """What `bounded_below` answers, asked once for a point; None where the program is beyond its means or was moved."""
    if problem.moved:
        return None
    key = ("least value", kkt.seen.x.tobytes(), kkt.multipliers.y.tobytes())
    if key not in problem.looked:
        try:
            problem.looked[key] = bounded_below(problem, kkt)
        except (TypeError, ValueError, TooLong, QedError, MemoryError, np.linalg.LinAlgError):
            problem.looked[key] = None
    return problem.looked[key]


def nowhere_lower(problem: Constrained, kkt: KKT) -> float | None:
    """By how much f may be lower somewhere under the constraints, where that is proved to be next to nothing."""
    found = least_value(problem, kkt)
    gap = np.inf if found is None or found.value is None else abs(kkt.seen.f - found.value)
    return gap if gap <= NOTHING * max(1.0, abs(kkt.seen.f)) else None


def bounded_below(problem: Constrained, kkt: KKT) -> Answer[float] | None:
    """The answer that f is nowhere under the constraints lower than a bound close to its value at a KKT point.

    None where no such bound was proved.
    """
    if problem.sparse or not kkt.seen.finite:
        return None
    y = np.where(np.arange(problem.rows) < problem.equalities, kkt.multipliers.y, np.maximum(kkt.multipliers.y, 0.0))
    H = problem.hessian(kkt.seen.x, y)
    if float(np.linalg.eigvalsh(H)[0]) < -1e-9 * max(float(np.abs(H).max()), 1e-300):
        return None  # L is not convex
    apart = parts(problem)
    if apart is None:
        return None
    f, best, began = kkt.seen.f, None, time.thread_time()
    for digits in (12, 1000, 2**53) if problem.n <= SHORT else (2**53, 1000):
        if (problem.n > SHORT and best is not None) or time.thread_time() - began > LONGEST:
            break
        made = apart.bound([Fraction(float(v)).limit_denominator(digits) for v in y], 1, kkt.seen.x)
        if made is not None and (best is None or made.bound > best.bound):
            best = made
        if best is not None and f - best.bound <= 1e-12 * max(1.0, abs(f)):
            break
    if best is None or f - best.bound > CLOSE * max(1.0, abs(f)):
        return None
    claim = f"f is at least {best.bound:.17g} wherever the constraints hold"
    above = (
        f"{f - best.bound:.1e} above" if f >= best.bound else f"{best.bound - f:.1e} below: it violates them a little"
    )
    text = f"Wherever the constraints hold f is at least {best.bound:.10g}; the value found is {above}."
    return Answer(
        claim, Standing.PROVED, best.bound, arithmetic="reals", certificate=best, headline=text,
        subject=problem.objective.title(),
    )  # fmt: skip
