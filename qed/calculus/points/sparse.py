"""A critical point of thousands of variables whose Hessian has few entries: minimum, maximum or saddle, proved.

Where the graph is sparse (`qed.domains.patterns`), the term of the function has short terms, whose jets are enclosed
together. Newton's method on the middle of the enclosures, with a sparse LU factorisation, comes to the critical point;
inverse iteration with it gives the curvature of least size; the certificate (`qed.certificates.sparse_critical`) does
the proof.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from qed.answer import Answer, Reason
from qed.calculus.expanding.words import outward
from qed.calculus.points import words
from qed.calculus.points.case import Case
from qed.calculus.points.result import CriticalPoint, Direction, Kind, kind_of
from qed.calculus.shapes.found import terms
from qed.certificates.banded import WIDEST, bandwidth, count_below
from qed.certificates.sparse_critical import SparseCritical, length, size_of
from qed.domains.curvature_jets import Rough
from qed.domains.curvature_stacked import SparseJet, StackedJets
from qed.domains.interval import Interval
from qed.domains.patterns import TooDense, hessian_pattern
from qed.errors import CertificateError, QedError
from qed.findings import Finding
from qed.standing import Standing

Array = np.ndarray
MOST, PER_VARIABLE, OPERATIONS = 20_000, 48, 400_000
"""How many variables, entries of the Hessian a variable, and operations between numbers there may be."""
NEAR = 2.0**-10
STEPS = 8
SINGULAR = 1e-11
"""A Hessian with a curvature smaller than this share of its largest entry is left alone."""


def sparse_point(case: Case, common: dict[str, Any]) -> Answer[CriticalPoint] | None:
    """The proved answer; None where the Hessian is not sparse, nearly singular, or not enclosed."""
    found = enclosed(case)
    if found is None:
        return None
    jets, form, low, high = found
    n, center = case.function.size, case.point
    at = jets.sparse(form, center, center)
    for _ in range(STEPS):
        inverse = _inverse(at, n)
        if inverse is None:
            return None
        moved = center - inverse((at.slope[0] + at.slope[1]) / 2)
        if not np.all((moved > low) & (moved < high)):
            return None
        there = jets.sparse(form, moved, moved)
        if size_of(there) >= size_of(at):
            break
        center, at = moved, there
    inverse = _inverse(at, n)
    least = 0.0 if inverse is None else least_in_size(inverse, n)
    below = count_below(at.rows, at.columns, *at.second, n, 0.0)
    if below is None or not SINGULAR * float(np.max(np.abs(at.second[1]), initial=0.0)) < least < np.inf:
        return None
    slope = size_of(at)
    radius = max(8 * slope / least, 1e-9 * (1 + float(np.max(np.abs(center)))))
    certificate = _certified(case, center, radius, below[0], least, slope)
    return None if certificate is None else _answer(case, certificate, at, center, common)


def enclosed(case: Case) -> tuple[StackedJets, Any, Array, Array] | None:
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


def middle(jet: SparseJet, n: int) -> Any:
    """The middle of the enclosed Hessian."""
    middle = (jet.second[0] + jet.second[1]) / 2
    half = scipy.sparse.csc_array((middle, (jet.rows, jet.columns)), shape=(n, n))
    return scipy.sparse.csc_matrix(half + half.T - scipy.sparse.diags_array(half.diagonal()))


def _inverse(jet: SparseJet, n: int) -> Any:
    """The product with the inverse of the middle; None where it is not narrow enough, or singular."""
    if bandwidth(jet.rows, jet.columns, n)[1] > WIDEST or not all(np.all(np.isfinite(end)) for end in jet.second):
        return None
    try:
        return scipy.sparse.linalg.splu(middle(jet, n)).solve
    except RuntimeError:  # exactly singular
        return None


def least_in_size(inverse: Any, n: int) -> float:
    """The eigenvalue of least size, a little above it, by inverse iteration; 0 where floats do not hold it."""
    v = np.random.default_rng(0).standard_normal(n)
    v /= np.linalg.norm(v)
    value = np.inf
    for _ in range(60):
        v = inverse(v)
        most = float(np.max(np.abs(v)))
        if not 1e-307 < most < 1e300:
            return 0.0
        v /= most
        grown = float(np.linalg.norm(v))
        v /= grown
        before, value = value, 1 / (most * grown)
        if abs(before - value) <= 1e-4 * value:
            break
    return value


def _certified(case: Case, center: Array, radius: float, negative: int, least: float, slope: float) -> Any:
    """A certificate that verifies, with a shift as near the least eigenvalue as one of a few allows."""
    for share in (0.9, 0.5):
        shift = share * least
        curvature = 0.98 * shift
        away = length(center - case.point)
        distance = 0.0 if away == 0 and slope == 0 else float(np.nextafter((away + slope / curvature) * 1.001, np.inf))
        made = SparseCritical.about(
            case.fun, case.x, case.args, center=center.tolist(), radius=radius, negative=negative, shift=shift,
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


def _answer(case: Case, made: Any, at: SparseJet, center: Array, common: dict[str, Any]) -> Answer[CriticalPoint]:
    n, negative = case.function.size, made.negative
    kind = kind_of(negative, n - negative)
    falls = (_falling(case, at, n),) if kind is Kind.SADDLE else ()
    value = CriticalPoint(
        kind, point=case.tree(center), distance=made.distance, negative=negative, positive=n - negative,
        curvatures=None, directions=falls, **common,
    )  # fmt: skip
    bounds = {
        Kind.MINIMUM: f"above {outward(made.curvature, -1)}",
        Kind.MAXIMUM: f"below {outward(-made.curvature, 1)}",
        Kind.SADDLE: f"at least {outward(made.curvature, -1)} in size",
    }
    bound = bounds[kind]
    how = "L D L' of the enclosed sparse Hessian at two shifts, and its residuals"
    if kind is not Kind.SADDLE:
        how = "Cholesky of the enclosed sparse Hessian, and its residual"
    where = f"|grad f(x) - grad f(y)| >= m |x - y|: one zero, within |grad f| / m: {words.place(made.distance)}"
    proved = Standing.PROVED
    reasons = (
        Reason("second-derivative test", "H - m I = L D L' + E, |E| < m", bound, standing=proved,
               text=f"all {n:,} curvatures near the point are {bound}: {how}"),
        Reason("one critical point", "|x* - c| <= |grad f(c)| / m", standing=proved, text=where),
        *(words.fall(d) for d in falls),
        words.rounding(common["gradient"], common["rounding"]),
    )  # fmt: skip
    signs = words.headline(kind, made.distance, negative, n - negative)[:-1]
    return Answer(
        words.claim(kind, made.distance, negative, n - negative),
        Standing.PROVED,
        value,
        arithmetic="reals",
        certificate=made,
        reasons=reasons,
        findings=tuple(Finding("QED303", f"f falls along {d.named()}: v'Hv = {d.curvature:.6g}") for d in falls),
        headline=f"{signs}{', all ' if kind is Kind.SADDLE else ', '}{bound}.",
    )


def _falling(case: Case, at: SparseJet, n: int) -> Direction:
    """The direction of the most negative curvature, as Lanczos finds it."""
    matrix: Any = middle(at, n)
    start = np.random.default_rng(0).standard_normal(n)
    try:
        _, vectors = scipy.sparse.linalg.eigsh(matrix, k=1, which="SA", v0=start)
        way = vectors[:, 0]
    except scipy.sparse.linalg.ArpackNoConvergence:
        way = np.eye(1, n, int(np.argmin(matrix.diagonal())))[0]
    return case.direction(way, float(way @ (matrix @ way)) / float(way @ way))
