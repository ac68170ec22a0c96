"""Lower bounds of f under the constraints, from multipliers: how far a point can be from the least value at most.

For any y, y >= 0 for the rows of g, f(x) >= L(x) = f(x) - y'c(x) wherever the constraints hold; where L is convex its
least value on the bounds is bounded by a tangent (`qed.certificates.weak_duality`). This asks for no isolated point, no
unique multipliers and no strict complementarity: it proves how low f can be where nothing proves where.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from qed.answer import Answer
from qed.calculus.shapes.found import terms
from qed.calculus.shapes.rules import Rules
from qed.calculus.shapes.strong import strong_constant
from qed.certificates.certificate import Subject
from qed.certificates.convexity import rows_of
from qed.certificates.problem_terms import affine
from qed.certificates.stacked import stacked
from qed.certificates.weak_duality import WeakDuality, combined
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_terms import Form
from qed.errors import CertificateError
from qed.optimization.constrained.convexity import OPERATIONS, proof_of, sides
from qed.optimization.constrained.polish import KKT
from qed.optimization.constrained.problem import Constrained
from qed.standing import Standing

Array = np.ndarray
CLOSE = 1e-6
"""A bound that is farther below f, relative, is not told."""


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
            try:
                bound = made.proved(self.traced)
                if np.isfinite(bound) and (objective or bound > 0):
                    made = replace(made, bound=bound).sealed()
                    made.verify()
                    return made
            except CertificateError:
                continue
        return None


def parts(problem: Constrained) -> Parts | None:
    """The problem taken apart; None where that is not possible, or something may be undefined."""
    fun, _, args, equality, inequality, _ = problem.asked
    subject = Subject(stacked(fun, equality, inequality), problem.asked[1], tuple(args))
    traced = subject.traced()
    found = terms(traced, *sides(problem, traced), OPERATIONS)
    return None if found is None or found[0].lost is not None else Parts(problem, subject, traced, *found)


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
    f, best = kkt.seen.f, None
    for digits in (12, 1000, 2**53):
        made = apart.bound([Fraction(float(v)).limit_denominator(digits) for v in y], 1, kkt.seen.x)
        if made is not None and (best is None or made.bound > best.bound):
            best = made
        if best is not None and f - best.bound <= 1e-12 * max(1.0, abs(f)):
            break
    if best is None or f - best.bound > CLOSE * max(1.0, abs(f)):
        return None
    claim = f"f is at least {best.bound:.17g} wherever the constraints hold"
    text = (
        f"Wherever the constraints hold f is at least {best.bound:.10g}; the value found is "
        f"{max(f - best.bound, 0.0):.1e} above."
    )
    return Answer(
        claim, Standing.PROVED, best.bound, arithmetic="reals", certificate=best, headline=text,
        subject=problem.objective.title(),
    )  # fmt: skip
