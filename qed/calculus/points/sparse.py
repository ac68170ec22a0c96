"""A strict local minimum, or maximum, of thousands of variables whose Hessian has few entries: proved.

Where the graph is sparse (`qed.domains.patterns`), the term of the function has short terms, whose jets are enclosed
together. Newton's method on the middle of the enclosures, with a banded Cholesky factorisation, comes to the critical
point; inverse iteration with the factor gives the least curvature; the certificate (`qed.certificates.sparse_minimum`)
does the proof.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg

from qed.answer import Answer, Reason
from qed.calculus.expanding.words import outward
from qed.calculus.points import words
from qed.calculus.points.case import Case
from qed.calculus.points.result import CriticalPoint, Kind
from qed.calculus.shapes.found import terms
from qed.certificates.banded import WIDEST, banded, bandwidth
from qed.certificates.sparse_minimum import SparseMinimum, length, size_of
from qed.domains.curvature_jets import Rough
from qed.domains.curvature_stacked import SparseJet, StackedJets
from qed.domains.interval import Interval
from qed.domains.patterns import TooDense, hessian_pattern
from qed.errors import CertificateError, QedError
from qed.standing import Standing

Array = np.ndarray
MOST, PER_VARIABLE, OPERATIONS = 20_000, 48, 400_000
"""How many variables, entries of the Hessian a variable, and operations between numbers there may be."""
NEAR = 2.0**-10
STEPS = 8


def sparse_extremum(case: Case, common: dict[str, Any]) -> Answer[CriticalPoint] | None:
    """The proved answer; None where the Hessian is not sparse, not definite, or not enclosed."""
    found = _enclosed(case)
    if found is None:
        return None
    jets, form, low, high = found
    n, center = case.function.size, case.point
    for _ in range(STEPS):
        at = jets.sparse(form, center, center)
        factored = _factored(at, n)
        if factored is None:
            return None
        sign, place, factor = factored
        slope = (at.slope[0] + at.slope[1]) / 2
        step = np.empty(n)
        step[:] = scipy.linalg.cho_solve_banded((factor, True), sign * slope[np.argsort(place)])[place]
        moved = center - step
        if np.any(moved <= low) or np.any(moved >= high):
            return None
        if size_of(jets.sparse(form, moved, moved)) >= size_of(at):
            break
        center = moved
    least = _least(factor, n)
    if not 0 < least < np.inf:
        return None
    slope = size_of(jets.sparse(form, center, center))
    radius = max(8 * slope / least, 1e-9 * (1 + float(np.max(np.abs(center)))))
    certificate = _certified(case, center, radius, sign, least, slope)
    return None if certificate is None else _answer(case, certificate, center, sign, common)


def _enclosed(case: Case) -> tuple[StackedJets, Any, Array, Array] | None:
    """The term about the point, where the pattern of the Hessian is sparse."""
    n, function = case.function.size, case.function
    if n > MOST:
        return None
    fixed = [None if i in set(function.traced.free) else leaf for i, leaf in enumerate(function.traced.leaves)]
    try:
        hessian_pattern(function.graph, fixed, function.traced.free, most=PER_VARIABLE * n)
    except (TooDense, NotImplementedError, QedError):
        return None
    radius = NEAR * max(float(np.max(np.abs(case.point))), 1.0)
    low, high = case.point - radius, case.point + radius
    made = terms(function.traced, case.pieces(low), case.pieces(high), OPERATIONS)
    if made is None or len(made[1]) != 1 or made[0].lost is not None or made[1][0].lost is not None:
        return None
    algebra, (form,) = made
    if len(algebra.variables) != n:
        return None
    jets = StackedJets(Interval(), algebra.variables)
    try:
        with np.errstate(all="ignore"):
            jets.sparse(form, low, high)
    except Rough:
        return None
    return jets, form, low, high


def _factored(jet: SparseJet, n: int) -> tuple[int, Array, Array] | None:
    """(sign, places, L) with sign H = L L' in the places."""
    place, width = bandwidth(jet.rows, jet.columns, n)
    if width > WIDEST:
        return None
    matrix = banded(jet.rows, jet.columns, (jet.second[0] + jet.second[1]) / 2, n, place, width)
    if not np.all(np.isfinite(matrix)):
        return None
    for sign in (1, -1):
        try:
            return sign, place, scipy.linalg.cholesky_banded(sign * matrix, lower=True)
        except np.linalg.LinAlgError:
            continue
    return None


def _least(factor: Array, n: int) -> float:
    """The least eigenvalue of L L', a little above it, by inverse iteration; 0 where floats do not hold it."""
    v = np.random.default_rng(0).standard_normal(n)
    value = np.inf
    for _ in range(60):
        most = float(np.max(np.abs(v)))
        if not 0 < most < np.inf:
            return 0.0
        v /= most
        v /= np.linalg.norm(v)
        image = scipy.linalg.cho_solve_banded((factor, True), v)
        before, value = value, 1 / float(v @ image)
        v = image
        if abs(before - value) <= 1e-4 * value:
            break
    return value


def _certified(case: Case, center: Array, radius: float, sign: int, least: float, slope: float) -> Any:
    """A certificate that verifies, with a shift as near the least eigenvalue as one of a few allows."""
    for share in (0.9, 0.5):
        shift = share * least
        curvature = 0.98 * shift
        away = length(center - case.point)
        distance = 0.0 if away == 0 and slope == 0 else float(np.nextafter((away + slope / curvature) * 1.001, np.inf))
        made = SparseMinimum.about(
            case.fun, case.x, case.args, center=center.tolist(), radius=radius, sign=sign, shift=shift,
            curvature=curvature, distance=distance,
        )  # fmt: skip
        try:
            made.verify()
        except CertificateError as error:
            if error.node != "curvature":
                return None
            continue
        return made
    return None


def _answer(case: Case, made: Any, center: Array, sign: int, common: dict[str, Any]) -> Answer[CriticalPoint]:
    n = case.function.size
    kind = Kind.MINIMUM if sign > 0 else Kind.MAXIMUM
    counts = (0, n) if sign > 0 else (n, 0)
    bound = f"above {outward(made.curvature, -1)}" if sign > 0 else f"below {outward(-made.curvature, 1)}"
    value = CriticalPoint(
        kind, point=case.tree(center), distance=made.distance, negative=counts[0], positive=counts[1],
        curvatures=None, **common,
    )  # fmt: skip
    text = f"all {n:,} curvatures near the point are {bound}: Cholesky of the enclosed sparse Hessian, and its residual"
    where = f"a strongly convex function has one minimum, within |grad f| / m: {words.place(made.distance)}"
    proved = Standing.PROVED
    reasons = (
        Reason("second-derivative test", "H - m I = L L' + E, |E| < m", bound, standing=proved, text=text),
        Reason("strong convexity", "|x* - c| <= |grad f(c)| / m", standing=proved, text=where),
        words.rounding(common["gradient"], common["rounding"]),
    )
    return Answer(
        words.claim(kind, made.distance, *counts),
        Standing.PROVED,
        value,
        arithmetic="reals",
        certificate=made,
        reasons=reasons,
        headline=f"{words.headline(kind, made.distance, *counts)[:-1]}, {bound}.",
    )
