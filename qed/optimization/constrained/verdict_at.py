"""What a point is to a constrained problem, whoever found it: the judge of `qed.minimize`, asked about any point.

Nothing that a solver says is used. Multipliers that are given are judged as they are; where none are, they are
recovered from the point. A point that is no KKT point to the digits of its dtype is told with the KKT point that
Newton's method reaches from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from qed.answer import Answer, Missing, Reason
from qed.calculus.hessian import flatten
from qed.errors import QedError
from qed.optimization.constrained.answering import because, verdict_of
from qed.optimization.constrained.corners import corner_at, cut_off
from qed.optimization.constrained.curvature import curvature
from qed.optimization.constrained.endings import degenerate, told
from qed.optimization.constrained.fritz_john import balance
from qed.optimization.constrained.gap_told import by_gap
from qed.optimization.constrained.polish import KKT, judged, polished
from qed.optimization.constrained.portfolio import LARGE, Solved, size_of_multipliers
from qed.optimization.constrained.problem import Constrained, constrained
from qed.optimization.constrained.proof import onward, proved
from qed.optimization.constrained.residuals import SOLVED, Lagrange, residuals
from qed.optimization.constrained.swallowed import swallowed
from qed.optimization.constrained.told import Told
from qed.optimization.solution import Ending, Verdict
from qed.standing import Standing

Array = np.ndarray


def verdict_at(
    fun: Callable[..., Any], x: Any, args: tuple[Any, ...], *, equality: Any, inequality: Any, bounds: Any,
    multipliers: Any,
) -> Answer[Verdict]:  # fmt: skip
    """The answer of `qed.verdict` where h(x) = 0 or g(x) >= 0 is given; see there."""
    began = time.perf_counter()
    problem = constrained(fun, x, args, equality, inequality, bounds)
    point = flatten(problem.objective.parameters)
    given = None if multipliers is None else given_multipliers(problem, multipliers)
    seen = problem.at(point)
    if given is None:
        kkt = judged(problem, seen, None)
    else:
        kkt = KKT(seen, given, residuals(problem, seen, given))
    own = max(float(jax.numpy.finfo(p.dtype).eps) for p in problem.objective.parameters)
    tol = max(SOLVED, 64 * own)
    near, settled = polished(problem, kkt)
    held = kkt.residuals.hold(tol) and (settled or size_of_multipliers(kkt) <= LARGE)
    found = Solved(kkt, held, settled, curvature(problem, kkt) if held else None, (), "")
    others = "" if given is None or held else _own(problem, kkt, tol)
    words = _away(problem, found, near, tol, others) or _swallowed(problem, kkt, tol) or told(problem, found)

    def again() -> bool:
        more = {"equality": equality, "inequality": inequality, "bounds": bounds, "multipliers": multipliers}
        value = verdict_at(fun, x, args, **more).value
        return value is not None and value.kind is words.kind

    said = proved(problem, near if near.residuals.hold(tol) else kkt, found.curvature, point, words)
    words, said = onward(problem, kkt, words, said)
    said = by_gap(problem, near if near.residuals.hold(tol) else kkt, point, words, said)
    missing = () if words.settle is None else (Missing(words.text, words.settle),)
    meta = {"seconds": time.perf_counter() - began, "dtype": problem.objective.dtype}
    return Answer(
        said.claim, said.standing, verdict_of(problem, found, words),
        arithmetic="float64" if said.certificate is None else "reals", missing=missing,
        reasons=(*said.reasons, *because(problem, found, words), *words.reasons), headline=said.headline or words.text,
        certificate=said.certificate, answers=said.answers,
        findings=() if words.kind is Ending.INFEASIBLE else said.findings,  # of the point, not of the problem
        subject=problem.objective.title(), meta=meta,
        recheck=again if said.standing is Standing.MEASURED else None,
    )  # fmt: skip


def _own(problem: Constrained, given: KKT, tol: float) -> str:
    """What is said of multipliers that are not those of the point, where it has some; else nothing."""
    if not judged(problem, given.seen, None).residuals.hold(tol):
        return ""
    multipliers = given.multipliers
    turned = Lagrange(-multipliers.y, multipliers.lower, multipliers.upper)
    signs = residuals(problem, given.seen, turned).hold(tol)
    why = "they have the signs of L = f + y'c, and here it is L = f - y'c" if signs else "others balance the gradient"
    return f"The multipliers that were given are not those of this point: {why}; without them it is judged by its own."


def _away(problem: Constrained, found: Solved, near: KKT, tol: float, others: str) -> Told | None:
    """The words where the point is no KKT point: what is violated, or how far off the nearest one is."""
    r = found.kkt.residuals
    if not found.kkt.seen.finite:
        return Told(Ending.NONFINITE, "Not finite: a value, a row or a gradient at the point is not.")
    if found.held:
        return None
    if r.feasibility > tol:
        text = f"The point violates the constraints: {r.row} by {r.feasibility:.3g}, relative to its slope."
        return Told(Ending.INFEASIBLE, text)
    if size_of_multipliers(found.kkt) > LARGE:
        return None
    cut = cut_off(problem, found) or corner_at(problem, found, 1e-5, 0.1, known=False)
    if cut is not None:
        return cut
    weights = balance(problem, found.kkt)
    if weights is not None:
        return degenerate(problem, found.kkt, weights)
    parts = {
        "the gradient is not balanced by multipliers": r.stationarity,
        "a constraint with slack has a multiplier": r.complementarity,
        "a multiplier of an inequality has the wrong sign": r.sign,
    }
    worst = max(parts, key=lambda name: parts[name])
    text = f"Not a KKT point: {worst} ({parts[worst]:.3g}, relative)."
    if others:
        text = f"{others} With them {worst} ({parts[worst]:.3g}, relative)."
        return Told(Ending.NOT_STATIONARY, text)
    reasons: tuple[Reason, ...] = ()
    if near.residuals.hold(tol) and near.residuals.largest < r.largest:
        far = float(np.abs(near.seen.x - found.kkt.seen.x).max())
        note = f"Newton's method reaches a KKT point {far:.3g} away, where f is {near.seen.f:.6g}"
        reasons = (Reason("Newton", text=note, role="instead"),)
    return Told(Ending.NOT_STATIONARY, text, reasons=reasons)


def _swallowed(problem: Constrained, kkt: KKT, tol: float) -> Told | None:
    """The words where the point satisfies a constraint in floats alone."""
    found = swallowed(problem, kkt.seen, 2 * tol)
    if found is None:
        return None
    text = (
        f"The point violates the constraints: in real numbers {found[0]} is off by {found[2]:.6g}; floats, in which it "
        f"is {found[1]:.3g}, do not show it."
    )
    return Told(Ending.INFEASIBLE, text)


def given_multipliers(problem: Constrained, given: Any) -> Lagrange:
    """Multipliers as vectors from `Solution.multipliers`, or a mapping with equality, inequality, lower, upper.

    Raises:
        QedError: QED007 where they do not fit the constraints.
    """
    parts: dict[str, Any] = {}
    for name in ("equality", "inequality", "lower", "upper"):
        parts[name] = given.get(name) if isinstance(given, Mapping) else getattr(given, name, None)
    if all(part is None for part in parts.values()):
        because = "they are those of qed.minimize, or a mapping with equality, inequality, lower, upper"
        what = f"multipliers, a {type(given).__name__}, names neither equality nor inequality"
        raise QedError("QED007", what, because, "give multipliers={'equality': y}, say, or leave them out")
    sizes = {
        "equality": problem.equalities, "inequality": problem.rows - problem.equalities,
        "lower": problem.n, "upper": problem.n,
    }  # fmt: skip
    vectors = {name: _vector(name, part, sizes[name]) for name, part in parts.items()}
    y = np.concatenate([vectors["equality"], vectors["inequality"]])
    return Lagrange(y, vectors["lower"], vectors["upper"])


def _vector(name: str, part: Any, size: int) -> Array:
    leaves = [] if part is None else jax.tree.leaves(part)
    if not leaves:
        return np.zeros(size)
    vector = np.concatenate([np.ravel(np.asarray(leaf)).astype(np.float64) for leaf in leaves])
    if len(vector) != size or not np.all(np.isfinite(vector)):
        because = f"there are {len(vector)} numbers for {size} rows" if len(vector) != size else "they are not finite"
        raise QedError("QED007", f"the multipliers of {name} do not fit", because, "give one number for each row")
    return vector
