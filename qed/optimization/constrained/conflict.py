"""Constraints that nothing satisfies: which of them are in conflict, and a proof.

Affine rows and bounds: Farkas' lemma. Nothing satisfies them exactly if weights w, z >= 0 (w of any sign for rows of h)
make sum w_i c_i(x) + z_l'(x - lower) + z_u'(upper - x) a negative constant. A vertex of the set of such weights names a
smallest set of constraints in conflict (Gleeson and Ryan, *Identifying minimally infeasible subsystems of
inequalities*, ORSA J. Comput. 2, 1990); its weights are then solved for in rational numbers. Elsewhere the weights are
those of the point where the violation is least, and the proof, where sum w_i c_i is concave, is that of
`qed.certificates.weak_duality`. That each constraint but one of the set can be satisfied is tried, one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import scipy

from qed.answer import Reason
from qed.certificates.problem_terms import affine, coefficients
from qed.certificates.weak_duality import WeakDuality
from qed.domains.curvature_terms import Form
from qed.domains.precision import precision
from qed.errors import QedError
from qed.findings import Finding
from qed.graph.walk import TooLong
from qed.optimization.constrained.duality import Parts, parts
from qed.optimization.constrained.polish import KKT
from qed.optimization.constrained.problem import Constrained
from qed.optimization.constrained.proof import Said
from qed.optimization.constrained.restoration import Restored, restored
from qed.optimization.constrained.told import Told
from qed.optimization.solution import Ending
from qed.standing import Standing

Array = np.ndarray
MANY = 2000
"""With more rows and bounds no linear program is asked."""
TRIED = 60
"""Of a larger set it is not tried whether each of its constraints is needed."""


@dataclass(frozen=True, eq=False)
class Conflict:
    """Constraints that nothing satisfies.

    Args:
        certificate: the proof.
        weights: (name, weight) of the constraints in conflict; weighted, they add up to something negative.
        smallest: whether for each of them a point was found that satisfies all others of the set.
        least: minus the largest value of the weighted sum; 0 where it comes near to 0 and stays below.
    """

    certificate: WeakDuality
    weights: tuple[tuple[str, float], ...]
    smallest: bool
    least: float


def conflict(problem: Constrained, near: Restored | None, kkt: KKT) -> Conflict | None:
    """A proof that nothing satisfies the constraints; None where none was found.

    Args:
        problem: the problem.
        near: where the violation is least, if that was found.
        kkt: the best point, with multipliers.
    """
    apart = parts(problem)
    if apart is None:
        return None
    case = _Case(problem, apart)
    found = case.linear() or (None if near is None or not near.violation > 0 else case.nearest(near))
    return found or case.by_multipliers(kkt)


def unsatisfiable(problem: Constrained, words: Told, kkt: KKT) -> tuple[Told, Said] | None:
    """The words about constraints that are proved to be in conflict, and what is said; None where none is proved.

    Args:
        problem: the problem.
        words: what was told of it: that no point was found that satisfies the constraints.
        kkt: the best point, which violates them.
    """
    try:
        found = conflict(problem, words.near or restored(problem, kkt.seen.x), kkt)
    except (TypeError, ValueError, TooLong, QedError):
        return None
    if found is None:
        return None
    listed = [f"{w:.6g} {name}" if w != 1 else name for name, w in found.weights]
    named = ", ".join(name for name, _ in found.weights[:6])
    named += f" and {len(listed) - 6} more" if len(listed) > 6 else ""
    bounded = problem.bounds.open or any("bound of" in name for name, _ in found.weights)  # said by their names
    inside = "" if bounded else " within the bounds"
    alone = len(found.weights) == 1
    text = (
        f"Infeasible: nothing satisfies {named}{inside}."
        if alone
        else f"Infeasible: nothing satisfies all of {named}{inside}."
    )
    total = " + ".join(listed[:6]).replace("+ -", "- ") + (" + ..." if len(listed) > 6 else "")
    least = f"at most {-found.least:.6g}" if found.least else "below 0"
    formula = "sum w_i c_i >= 0 where the constraints hold (w_i >= 0 for g)"
    if any("bound of" in name for name, _ in found.weights):
        total += " (a bound stands for its slack)"
    because = f"{total} is {least}{inside or ' everywhere'}, and would be at least 0 where the constraints held"
    farkas = Reason(
        "Farkas' lemma", formula, least, standing=Standing.PROVED, unpredicted="it is a theorem", text=because
    )
    reasons = [farkas]
    if found.smallest and not alone:
        text_of = "a smallest set: for each of them, a point was found that satisfies all others of the set"
        reasons.append(
            Reason("deletion filter", standing=Standing.MEASURED, unpredicted="points were looked for", text=text_of)
        )
    finding = Finding("QED504", f"nothing satisfies {named}")
    claim = f"no x satisfies the constraints: {total} is {least}{inside or ' everywhere'}"
    said = Said(claim, Standing.PROVED, found.certificate, text, (*reasons,), (finding,))
    return Told(Ending.INFEASIBLE, text, near=words.near), said


@dataclass(frozen=True, eq=False)
class _Case:
    """A problem, and the same taken apart."""

    problem: Constrained
    parts: Parts

    @property
    def forms(self) -> Sequence[Form]:
        """The terms of f and the rows."""
        return self.parts.forms

    # --- affine rows ---

    def linear(self) -> Conflict | None:
        """By Farkas' lemma for the affine rows and the bounds."""
        problem, n = self.problem, self.problem.n
        rows = [i for i in range(problem.rows) if affine(self.forms[1 + i])]
        bounds = np.isfinite(problem.bounds.lower).sum() + np.isfinite(problem.bounds.upper).sum()
        if not rows or len(rows) + bounds > MANY:
            return None
        exact = [coefficients(self.forms[1 + i], n) for i in rows]
        A = np.array([[_float(c) for c in slopes] for slopes, _ in exact])
        b = np.array([_float(constant) for _, constant in exact])
        fixed = problem.bounds.lower == problem.bounds.upper  # their numbers are in the constants
        low, high = (
            np.where(fixed, np.nan, np.where(np.isfinite(side), side, np.nan))
            for side in (problem.bounds.lower, problem.bounds.upper)
        )
        signed = np.array([i >= problem.equalities for i in rows])
        support = _farkas(A, b, signed, low, high)
        if support is None:
            return None
        chosen, at_low, at_high = support
        exactly = _weights([exact[k] for k in chosen], signed[chosen], at_low, at_high, problem)
        if exactly is None:
            return None
        w, zl, zu = exactly
        weights = [Fraction(0)] * problem.rows
        for k, value in zip(chosen, w, strict=True):
            weights[rows[k]] = value
        names = [(problem.names[rows[k]], float(value)) for k, value in zip(chosen, w, strict=True)]
        names += [(f"lower bound of {problem.parameters[j]}", float(z)) for j, z in zip(at_low, zl, strict=True)]
        names += [(f"upper bound of {problem.parameters[j]}", float(z)) for j, z in zip(at_high, zu, strict=True)]
        smallest = _irreducible(A, b, signed, low, high, support)
        return self._proved(weights, names, smallest, problem.start)

    # --- any rows ---

    def nearest(self, near: Restored) -> Conflict | None:
        """By the weights of the point where the violation is least."""
        problem = self.problem
        w, scales = near.weights, near.scales
        chosen = [int(i) for i in np.flatnonzero(np.abs(w) > 1e-6)]
        smallest = True
        for i in list(chosen):
            others = [k for k in chosen if k != i]
            apart = self._nearest(near.x, others) if others else None
            if apart is not None and apart.violation > 1e-6 and apart.stationary <= 1e-5:
                chosen, w, scales = others, apart.weights, apart.scales
            else:
                smallest &= not others or (apart is not None and apart.violation <= 1e-9)
        w = np.where(np.isin(np.arange(problem.rows), chosen), w / scales, 0.0)
        w = np.where(np.arange(problem.rows) < problem.equalities, w, np.maximum(w, 0.0))
        return self._by_weights(w, chosen, smallest, near.x)

    def by_multipliers(self, kkt: KKT) -> Conflict | None:
        """By the multipliers of a point: where constraints are in conflict, they grow towards such weights."""
        y = kkt.multipliers.y
        chosen = [int(i) for i in np.flatnonzero(np.abs(y) > 1e-3 * np.abs(y).max(initial=0.0))]
        w = np.where(np.isin(np.arange(self.problem.rows), chosen), y, 0.0)
        w = np.where(np.arange(self.problem.rows) < self.problem.equalities, w, np.maximum(w, 0.0))
        return self._by_weights(w, chosen, False, kkt.seen.x)

    def _by_weights(self, w: Array, chosen: Sequence[int], smallest: bool, x: Array) -> Conflict | None:
        """The conflict by weights, as short fractions where these do."""
        unit = float(np.abs(w).max(initial=0.0))
        if not 0 < unit < np.inf:
            return None
        for digits in (12, 1000, 2**53):
            weights = [Fraction(float(v / unit)).limit_denominator(digits) for v in w]
            names = [(self.problem.names[i], float(weights[i])) for i in chosen if weights[i]]
            found = self._proved(weights, names, smallest, x)
            if found is not None:
                return found
        return None

    def _nearest(self, x: Array, rows: list[int]) -> Restored | None:
        """The point of least violation of some rows, of three starts."""
        move = 0.1 * (1 + np.abs(x)) * np.random.default_rng(0).standard_normal(len(x))
        best: Restored | None = None
        for start in (x, self.problem.start, self.problem.bounds.project(x + move)):
            found = restored(self.problem, start, rows)
            if found is not None and (best is None or found.violation < best.violation):
                best = found
            if best is not None and best.violation <= 1e-9:
                break
        return best

    # --- proofs ---

    def _proved(
        self, weights: Sequence[Fraction], names: Sequence[tuple[str, float]], smallest: bool, x: Array
    ) -> Conflict | None:
        """The conflict, if its certificate verifies, or None."""
        made = self.parts.bound(weights, 0, x)
        return None if made is None else Conflict(made, tuple(names), smallest, made.bound)


def _float(value: Any) -> float:
    return int(value.p) / int(value.q)


Support = tuple[list[int], list[int], list[int]]


def _farkas(A: Array, b: Array, signed: Array, low: Array, high: Array) -> Support | None:
    """A smallest set of rows, lower and upper bounds in conflict; None where a point satisfies all."""
    m, n = A.shape
    at_low, at_high = np.flatnonzero(np.isfinite(low)), np.flatnonzero(np.isfinite(high))
    free = np.flatnonzero(~signed)
    unit = np.eye(n)
    columns = np.hstack([A.T, -A[free].T, unit[:, at_low], -unit[:, at_high]])
    last = np.concatenate([b, -b[free], -low[at_low], high[at_high]])
    scale = np.maximum(np.abs(np.vstack([columns, last])).max(axis=0), 1e-300)
    matrix, right = np.vstack([columns, last]) / scale, np.concatenate([np.zeros(n), [-1.0]])
    found = scipy.optimize.linprog(np.ones(matrix.shape[1]), A_eq=matrix, b_eq=right, method="highs-ds")
    if found.status != 0:
        return None
    w = found.x
    used = w > 1e-9 * float(w.max(initial=0.0))
    rows = sorted({*np.flatnonzero(used[:m]).tolist(), *free[used[m : m + len(free)]].tolist()})
    rest = used[m + len(free) :]
    return rows, at_low[rest[: len(at_low)]].tolist(), at_high[rest[len(at_low) :]].tolist()


def _weights(
    rows: Sequence[tuple[list[Any], Any]], signed: Array, at_low: Sequence[int], at_high: Sequence[int],
    problem: Constrained,
) -> tuple[list[Fraction], list[Fraction], list[Fraction]] | None:  # fmt: skip
    """The weights of a smallest set in conflict, exact, the largest 1; None where they are not unique, or no proof."""
    with precision(100) as flint:
        numbers = sorted({j for slopes, _ in rows for j, c in enumerate(slopes) if c != 0} | {*at_low, *at_high})
        width = len(rows) + len(at_low) + len(at_high)
        entries = [
            [
                *(slopes[j] for slopes, _ in rows), *(flint.fmpq(int(k == j)) for k in at_low),
                *(flint.fmpq(-int(k == j)) for k in at_high),
            ]
            for j in numbers
        ]  # fmt: skip
        solved, rank = flint.fmpq_mat(len(numbers), width, [c for row in entries for c in row]).rref()
        if rank != width - 1:
            return None
        pivots = [next(k for k in range(width) if solved[i, k] != 0) for i in range(rank)]
        loose = next(k for k in range(width) if k not in pivots)
        found = [flint.fmpq(int(k == loose)) for k in range(width)]
        for i, k in enumerate(pivots):
            found[k] = -solved[i, loose]
        ends = [*problem.bounds.lower[list(at_low)].tolist(), *problem.bounds.upper[list(at_high)].tolist()]
        shifts = [flint.fmpq(*end.as_integer_ratio()) for end in ends]
        shifts = [-c if k < len(at_low) else c for k, c in enumerate(shifts)]
        constants = [*(constant for _, constant in rows), *shifts]
        total = sum((w * c for w, c in zip(found, constants, strict=True)), flint.fmpq(0))
        if total == 0:
            return None
        largest = max(abs(w) for w in found) * (1 if total < 0 else -1)
        exact = [Fraction(int(w.p), int(w.q)) for w in (w / largest for w in found)]
    must = [*signed.tolist(), *([True] * (len(at_low) + len(at_high)))]
    if any(w < 0 for w, sign in zip(exact, must, strict=True) if sign):
        return None
    first, second = len(rows), len(rows) + len(at_low)
    return exact[:first], exact[first:second], exact[second:]


def _irreducible(A: Array, b: Array, signed: Array, low: Array, high: Array, support: Support) -> bool:
    """Whether all but one of a set of constraints can be satisfied, whichever one is left out."""
    rows, at_low, at_high = support
    n = A.shape[1]
    members = [(0, k) for k in rows] + [(1, k) for k in at_low] + [(2, k) for k in at_high]
    if len(members) > TRIED:
        return False
    for out in members:
        kept = [k for kind, k in members if kind == 0 and (kind, k) != out]
        ends: list[Any] = [[None, None] for _ in range(n)]
        for kind, k in members:
            if kind and (kind, k) != out:
                ends[k][kind - 1] = float((low if kind == 1 else high)[k])
        equal, more = [k for k in kept if not signed[k]], [k for k in kept if signed[k]]
        found = scipy.optimize.linprog(
            np.zeros(n), -A[more] if more else None, b[more] if more else None, A[equal] if equal else None,
            -b[equal] if equal else None, bounds=ends,
        )  # fmt: skip
        if found.status != 0:
            return False
    return True
