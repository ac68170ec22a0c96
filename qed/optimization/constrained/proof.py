"""The proof that a KKT point found in float64 is near a true one, and that this is a strict local minimum.

The solver's point, polished, is the center of a box; how far Newton's method would still move it says how small the
box may be. Everything else is the certificate's (`qed.certificates.kkt_point`), in other arithmetic. Where the theorem
asks for something that the point does not have, nothing is tried, and what is missing is told: a constraint that holds
the point with no force, gradients that are dependent, a Lagrangian that does not bend.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.answer import Answer, Reason
from qed.certificates.certificate import Subject
from qed.certificates.convex_optimum import ConvexOptimum
from qed.certificates.kkt_point import KKTPoint
from qed.certificates.sparse_kkt import SparseKKT
from qed.certificates.stacked import stacked
from qed.domains.ball_boxes import NotSmooth
from qed.domains.padded_jets import PaddedBoxes
from qed.errors import CertificateError, QedError
from qed.findings import Finding
from qed.graph.walk import TooLong
from qed.optimization.constrained.convexity import globally
from qed.optimization.constrained.curvature import Curvature
from qed.optimization.constrained.degeneracy import Named, complementarities, degeneracies
from qed.optimization.constrained.duality import endless, least_value
from qed.optimization.constrained.nearby import fades, falls_on, lower_nearby
from qed.optimization.constrained.outward import outward, rises_outward
from qed.optimization.constrained.polish import KKT, Active, active_set
from qed.optimization.constrained.problem import Constrained
from qed.optimization.constrained.residuals import row_scales
from qed.optimization.constrained.sparse_proof import MOST, sparse_proof
from qed.optimization.constrained.told import Told
from qed.optimization.constrained.uniqueness import dependent
from qed.optimization.kkt_box import boxed
from qed.optimization.solution import FOUND, Ending
from qed.standing import Standing

Array = np.ndarray
NEAR = 1e-3
"""A KKT point is called the one of x within this distance, relative to 1 + |x|."""
LARGEST = 150
"""How many numbers and active rows there may be for a proof."""
FAR = 1e5
"""How far, relative to where it began, a run may go and still have found a minimum that is not proved."""
SHARES = (1e-12, 1e-10, 1e-8, 1e-6)
"""How large a box is tried, in relation to the point and the multipliers; of a long program only the last."""
LONG, TOO_LONG = 5e6, 4e7
"""A program is long, or too long, where enclosing its second derivatives takes about so many intervals."""


@dataclass(frozen=True, eq=False)
class Proof:
    """A certificate, or why there is none."""

    certificate: KKTPoint | SparseKKT | None
    why: str = ""


@dataclass(frozen=True, eq=False)
class Said:
    """What is said of a point: claim, standing, certificate, the sentence that leads, reasons, findings, and parts."""

    claim: str
    standing: Standing
    certificate: Any = None
    headline: str | None = None
    reasons: tuple[Reason, ...] = ()
    findings: tuple[Finding, ...] = ()
    answers: tuple[Answer[Any], ...] = ()


def proof(problem: Constrained, kkt: KKT, bend: Curvature | None, point: Array) -> Proof:
    """Prove that a strict local minimum lies near a point.

    Args:
        problem: what was minimised.
        kkt: a polished KKT point.
        bend: the curvature there.
        point: where the claim is about, a vector: x as it is returned.
    """
    active = active_set(problem, kkt)
    why = _missing(problem, kkt, bend, active)
    if why:
        return Proof(None, why)
    fun, _, args, equality, inequality, _ = problem.asked
    subject = Subject(stacked(fun, equality, inequality), problem.tree(point), tuple(args))
    try:
        subject.traced()
    except (TypeError, ValueError) as error:
        return Proof(None, f"f and the constraints do not go into one vector: {error}")
    center, held = _center(problem, kkt, active)
    if problem.sparse:
        far = sparse_proof(problem, kkt, active, subject, problem.rounded(point), center, held)
        return Proof(None, far) if isinstance(far, str) else Proof(far)
    step, ends = _step(problem, kkt, active, held)
    n, why = problem.n, "no box was tried"
    size = np.abs(center)
    floor = np.concatenate([np.full(n, _unit(size[:n])), np.full(len(size) - n, _unit(size[n:]))])
    effort = PaddedBoxes(subject.traced()).weight * len(center) ** 2
    if effort > TOO_LONG:
        return Proof(None, "the program is too long for its second derivatives to be enclosed")
    for share in SHARES[-1:] if effort > LONG else SHARES:
        radius = np.where(held, 0.0, np.maximum(share * np.maximum(size, floor), 4 * step))
        try:
            made = boxed(
                subject, problem.rounded(point), center, radius, bounds=(problem.bounds.lower, problem.bounds.upper),
                held=(active.lower, active.upper), rows=active.rows.tolist(), equalities=problem.equalities,
            )  # fmt: skip
            made.verify()
        except NotSmooth as error:
            return Proof(None, str(error))
        except CertificateError as error:
            why = f"{error.node}: {error.why}"
            continue
        except (TooLong, QedError, MemoryError) as error:
            return Proof(None, str(error))
        return Proof(made)
    if ends[0] <= 1e-8 * ends[1]:
        ratio = f"singular values from {ends[0]:.2g} to {ends[1]:.2g}"
        return Proof(None, f"the KKT system is nearly singular ({ratio}), so that the point may not be alone")
    return Proof(None, f"the enclosures do not decide it ({why})")


def proved(problem: Constrained, kkt: KKT, bend: Curvature | None, point: Array, words: Told) -> Said:
    """What is said of a minimum: its claim, standing and certificate, and the reasons for them."""
    named = _causes(problem, kkt, words)
    causes, why_so = tuple(one.finding for one in named), tuple(one.reason for one in named)
    if words.kind is not Ending.MINIMUM:
        code = None if causes and words.kind is Ending.FLAT_MINIMUM else FOUND.get(words.kind)
        findings = (*(() if code is None else (Finding(code, words.text),)), *causes)
        standing = Standing.MEASURED if words.settle is None else Standing.UNKNOWN
        below = _below(problem, kkt) if words.kind in (Ending.FLAT_MINIMUM, Ending.INFIMUM_NOT_ATTAINED) else ()
        return Said(words.text, standing, reasons=why_so, findings=findings, answers=below)
    found = proof(problem, kkt, bend, point)
    made = found.certificate
    if made is None or made.distance > NEAR * (1 + float(np.linalg.norm(point))):
        why = found.why or f"the KKT point that is proved is {made.distance if made else 0.0:.3g} away"
        reasons = (_open(why), *why_so)
        return Said(words.text, Standing.MEASURED, reasons=reasons, findings=causes, answers=_below(problem, kkt))
    where = "at x" if made.distance == 0 else f"within {made.distance:.2g} of x"
    claim = (
        f"{where} lies a KKT point, the only one in a box about it with these constraints active; it satisfies the "
        f"constraints and is a strict local minimum under them, and f is in [{made.least:.17g}, {made.most:.17g}] there"
    )
    text = (
        f"A minimum under the constraints: {where} lies a KKT point, alone in its box and a strict local minimum among "
        "all points that satisfy them."
    )
    test = _test(made)
    signs_of = Reason(
        "strict complementarity", "y_A > 0, c_i > 0 elsewhere", standing=Standing.PROVED,
        unpredicted="the enclosures were computed for it",
        text="all over the box multipliers of active inequalities and bounds are positive, and all else has slack",
    )  # fmt: skip
    measured = Reason("second order", text=words.text, role="checked")
    best = globally(problem, kkt, made) if isinstance(made, KKTPoint) else "it is not tried for sparse problems"
    if isinstance(best, str) or not isinstance(made, KKTPoint):
        local = Reason("global", text=f"that no other minimum is lower is not proved: {best}", role="open")
        return Said(claim, Standing.PROVED, made, text, (test, signs_of, measured, local))
    return _everywhere(problem, best, made, where, (test, signs_of, measured))


def _test(made: KKTPoint | SparseKKT) -> Reason:
    """Why there is one KKT point in the box, and why it is a strict local minimum."""
    signs = f"{len(made.rows)} negative and {made.positive} positive eigenvalues of [[H, -J'], [-J, 0]]"
    follows = "so that the active gradients are independent and the Lagrangian bends up along them"
    if isinstance(made, SparseKKT):
        text = (
            f"all over a box of half-width {max(made.radius):.1e} there are {signs}, all of size {made.curvature:.3g} "
            f"at least, {follows}; the slope of the Lagrangian at its center is so small that one KKT point lies inside"
        )
        formula = "|grad L(p) - grad L(q)| >= m |p - q|, |grad L(c)| < m r: one solution in the box"
        return Reason(
            "one critical point", formula, standing=Standing.PROVED, text=text,
            unpredicted="the enclosures were computed for it",
        )  # fmt: skip
    return Reason(
        "Krawczyk's test", "grad f - J'y = 0, c_A = 0: one solution in the box", standing=Standing.PROVED,
        unpredicted="the enclosures were computed for it",
        text=f"Krawczyk's test on the KKT system: one solution in a box of half-widths up to {max(made.radius):.1e}; "
        f"all over it {signs}, {follows}",
    )  # fmt: skip


def _causes(problem: Constrained, kkt: KKT, words: Told) -> tuple[Named, ...]:
    """What is degenerate at a minimum, or is why a point has no multipliers."""
    if words.kind in (Ending.MINIMUM, Ending.FLAT_MINIMUM):
        return degeneracies(problem, kkt)
    return complementarities(problem, kkt) if words.kind is Ending.NO_KKT_POINT else ()


def _everywhere(
    problem: Constrained, best: ConvexOptimum, made: KKTPoint, where: str, reasons: tuple[Reason, ...]
) -> Said:
    """The words about the global minimum of a convex problem."""
    width = made.most - made.least
    claim = (
        f"the least value of f under the constraints is in [{made.least:.17g}, {made.most:.17g}], and is attained "
        f"{where}"
    )
    gap = f"a duality gap of at most {width:.1e}"
    convex = "f and the constraints that hold it are convex" if made.rows else "f is convex"
    text = f"The global minimum under the constraints: {convex}. It lies {where}; {gap}."
    bent = "f is convex" if dict(best.shapes).get(0) else "f is affine"
    rows = "the equalities are affine" if problem.equalities else ""
    held = "the inequalities that hold it are concave" if len(made.rows) > problem.equalities else ""
    shapes = ", ".join(part for part in (bent, rows, held) if part)
    why = Reason(
        "weak duality", "f(x) >= f(x) - y'c(x) = L(x) >= L(x*) = f(x*)", gap, standing=Standing.PROVED,
        unpredicted="it is a theorem",
        text=f"{shapes} within the bounds: f(x) >= f(x) - y'c(x) >= f(x*) wherever the constraints hold; {gap}",
    )  # fmt: skip
    return Said(claim, Standing.PROVED, best, text, (why, *reasons))


def unbounded(problem: Constrained, kkt: KKT, words: Told) -> tuple[Told, Said] | None:
    """The words about a ray along which f is proved to fall for ever, and what is said; None where none is proved."""
    if words.kind not in (Ending.UNBOUNDED_BELOW, Ending.BUDGET_SPENT, Ending.UNDECIDED):
        return None
    try:
        ray = endless(problem, kkt.seen, words.direction)
    except (TypeError, ValueError, TooLong, QedError, MemoryError, np.linalg.LinAlgError):
        return None
    if ray is None:
        return None
    moves = [f"{name} + {d:.6g} t" for name, d in zip(problem.parameters, ray.direction, strict=True) if d]
    shown = ", ".join(moves[:6]) + (", ..." if len(moves) > 6 else "")
    claim = f"f has no least value under the constraints: it falls to -infinity along a feasible ray ({shown})"
    text = f"Unbounded below: along a ray of feasible points ({shown}) f falls to -infinity."
    exact = Reason(
        "polynomials on the ray", "f(p + t d), c(p + t d) in rational numbers", standing=Standing.PROVED,
        unpredicted="the coefficients are exact",
        text="on the ray f is a polynomial with a negative leading coefficient, rows of h are 0, and rows of g have no "
        "negative coefficient",
    )  # fmt: skip
    said = Said(claim, Standing.PROVED, ray, text, (exact,), (Finding("QED306", text),))
    return Told(Ending.UNBOUNDED_BELOW, text, direction=np.array(ray.direction)), said


def onward(problem: Constrained, kkt: KKT, words: Told, said: Said) -> tuple[Told, Said]:
    """The words about a minimum that is not proved, unless f falls on and on along a ray from it."""
    if said.certificate is not None or words.kind not in (Ending.MINIMUM, Ending.FLAT_MINIMUM):
        return words, said
    far, x = falls_on(problem, kkt), np.abs(kkt.seen.x).max(initial=0.0)
    ran = x > FAR * (1 + np.abs(problem.start).max(initial=0.0))
    lower = lower_nearby(problem, kkt, np.ones(problem.n) / problem.n**0.5) if problem.cornered else None
    if far is None and not ran and lower is None:
        return words, said
    below = said.answers or _below(problem, kkt)
    if lower is None and far is not None and below and fades(problem, kkt, far[2], below[0].value):
        text = (
            f"No minimum is attained as far as was looked: along a feasible ray f falls on, to {far[1]:.6g} at "
            f"{far[0]:.3g}, towards {below[0].value:.6g}, below which it is proved not to fall."
        )
        return Told(Ending.INFIMUM_NOT_ATTAINED, text, direction=far[2]), Said(
            text, Standing.MEASURED, reasons=said.reasons, answers=below
        )
    out = outward(problem, kkt, None if far is None else far[2]) if lower is None else None
    if out is not None:
        return out, Said(out.text, Standing.MEASURED, reasons=said.reasons, findings=_found(out), answers=said.answers)
    if far is None and lower is None and rises_outward(problem, kkt):
        return words, said
    where = "x ran far out"
    if lower is not None:
        where = f"nearby, perhaps beyond a corner, a feasible point is {kkt.seen.f - lower[1]:.3g} lower"
    if far is not None:
        where = f"along a feasible ray f falls on, to {far[1]:.6g} at {far[0]:.3g}"
    text = f"Undecided: to first order no step that the constraints allow lowers f, but {where}."
    told = Told(Ending.UNDECIDED, text, "whether f attains its least value", reasons=words.reasons)
    return told, Said(text, Standing.UNKNOWN, reasons=said.reasons, answers=said.answers)


def _found(words: Told) -> tuple[Finding, ...]:
    code = FOUND.get(words.kind)
    return () if code is None else (Finding(code, words.text),)


def _below(problem: Constrained, kkt: KKT) -> tuple[Answer[Any], ...]:
    """What is proved of the least value where nothing is proved of the point."""
    found = least_value(problem, kkt)
    return () if found is None else (found,)


def _open(why: str) -> Reason:
    return Reason("not proved", text=f"not proved: {why}", role="open")


def _unit(size: Array) -> float:
    return max(1e-3 * float(size.max(initial=0.0)), 1e-6)


def _missing(problem: Constrained, kkt: KKT, bend: Curvature | None, active: Active) -> str:
    """What the theorem asks for and the point does not have; empty if nothing is seen."""
    count = len(active.rows) + len(active.lower) + len(active.upper)
    most = MOST if problem.sparse else LARGEST
    if problem.n + len(active.rows) > most:
        return f"a proof encloses the second derivatives of at most {most} numbers and multipliers"
    if problem.eps > 1e-15:
        return "part of the program runs in its own dtype only"
    weak = _weak(problem, kkt, active)
    if weak:
        return f"{weak} holds the point with no force (multiplier and slack are both 0 up to rounding)"
    loose = dependent(problem, kkt)
    if loose is not None:
        return f"the gradients of what holds the point are dependent (rank {loose.rank} of {loose.count})"
    if not problem.free[: problem.equalities].all():
        return "an equality does not depend on the parameters"
    if bend is None or not bend.lowest > bend.zero:
        return "" if bend is not None and count >= problem.n else "the Lagrangian does not bend up along all directions"
    return ""


def _weak(problem: Constrained, kkt: KKT, active: Active) -> str:
    """The name of a row or bound that holds the point with a multiplier of 0 up to rounding; empty if there is none."""
    found, small = kkt.multipliers, 1e-9 * max(1.0, float(np.abs(kkt.seen.g).max(initial=0.0)))
    scales, names = row_scales(kkt.seen), problem.parameters
    for i in active.rows[active.rows >= problem.equalities]:
        if found.y[i] * scales[i] <= small:
            return problem.names[i]
    fixed = problem.bounds.lower == problem.bounds.upper
    for numbers, z, name in ((active.lower, found.lower, "lower"), (active.upper, found.upper, "upper")):
        for j in numbers[~fixed[numbers]]:
            if z[j] <= small:
                return f"the {name} bound of {names[j]}"
    return ""


def _center(problem: Constrained, kkt: KKT, active: Active) -> tuple[Array, Array]:
    """The numbers of x and the multipliers, and which of them do not vary."""
    x = kkt.seen.x.copy()
    x[active.lower], x[active.upper] = problem.bounds.lower[active.lower], problem.bounds.upper[active.upper]
    center = np.concatenate([x, kkt.multipliers.y[active.rows]])
    held = np.zeros(len(center), bool)
    held[active.lower] = held[active.upper] = True
    return center, held


def _step(problem: Constrained, kkt: KKT, active: Active, held: Array) -> tuple[Array, tuple[float, float]]:
    """How far Newton's method would still move each number, in size; and the ends of the system's singular values."""
    n, k = problem.n, len(active.rows)
    free = ~held[:n]
    y = np.zeros(problem.rows)
    y[active.rows] = kkt.multipliers.y[active.rows]
    H, J = problem.hessian(kkt.seen.x, y), kkt.seen.J[np.ix_(active.rows, np.flatnonzero(free))]
    matrix = np.block([[H[np.ix_(free, free)], -J.T], [J, np.zeros((k, k))]])
    right = np.concatenate([(kkt.seen.g - kkt.seen.J.T @ y)[free], kkt.seen.c[active.rows]])
    found = np.zeros(n + k)
    if not len(right):
        return found, (1.0, 1.0)
    try:
        singular = np.linalg.svd(matrix, compute_uv=False)
        solved = np.abs(np.linalg.solve(matrix, right))
    except np.linalg.LinAlgError:
        return found, (0.0, 1.0)
    found[~held] = np.where(np.isfinite(solved), solved, 0.0)
    return found, (float(singular[-1]), float(singular[0]))
