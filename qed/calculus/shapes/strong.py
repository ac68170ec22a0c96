"""A constant of strong convexity: an m > 0 for which f - m |x|^2 / 2 is convex.

Proposed are the smallest eigenvalue of the quadratic part, and a lower bound of the smallest eigenvalue of the second
derivatives of all smooth terms together, enclosed on pieces of the box (what is not smooth has to be convex by itself).
Both come from float64 and prove nothing: the proof is one of convexity, of f - m |x|^2 / 2 (Boyd and Vandenberghe,
*Convex Optimization*, 2004, section 9.1.2).
"""

from __future__ import annotations

import time

import numpy as np

from qed.calculus.shapes.groups import has_kink
from qed.calculus.shapes.rules import Rules
from qed.certificates.convexity import less_a_square
from qed.domains.curvature_jets import Jets, Rough
from qed.domains.curvature_proof import Step
from qed.domains.curvature_quadratics import quadratic
from qed.domains.curvature_terms import Form
from qed.domains.interval import Interval
from qed.domains.intervals import Intervals

SHARES = (1.0, 1.0 - 2.0**-40, 1.0 - 2.0**-20, 0.5)
FEW, SECONDS, MOST = 8, 3.0, 20_000
"""With how many variables second derivatives are enclosed at most, for how long their sign is looked for, and how many
products of two slopes they may take."""


def strong_constant(rules: Rules, form: Form) -> tuple[float, Step | None]:
    """A constant m > 0 for which f - m |x|^2 / 2 is proved convex, with the proof; 0 where none was found."""
    quick = _of_quadratic(rules, form)
    curved = _of_second_derivatives(rules, form, quick[0])
    return curved if curved[0] > quick[0] else quick


def _of_quadratic(rules: Rules, form: Form) -> tuple[float, Step | None]:
    a = rules.a
    chosen = [(atom, c) for atom, c in form.terms if quadratic(a, a.of(atom)) is not None]
    q = quadratic(a, a.form(chosen, a.zero))
    if q is None or not chosen:
        return 0.0, None
    names = [v.index for v in a.variables]
    matrix = np.array([[float(int((0 + c).p) / int((0 + c).q)) for c in row] for row in q.hessian(a.zero, names)])
    if not matrix.size or not np.all(np.isfinite(matrix)):
        return 0.0, None
    least = float(np.linalg.eigvalsh(matrix)[0])
    for m in (least * share for share in SHARES):
        if m <= 1e-12 * float(np.abs(matrix).max()):
            break
        step = rules.convex(less_a_square(a, form, m))
        if step is not None:
            return m, step
    return 0.0, None


def _of_second_derivatives(rules: Rules, form: Form, least: float) -> tuple[float, Step | None]:
    """By enclosures of the second derivatives on the box, cut where it is finite."""
    a = rules.a
    smooth = [(atom, c) for atom, c in form.terms if not has_kink(a.of(atom))]
    if not 0 < len(a.variables) <= FEW or all(quadratic(a, a.of(atom)) is not None for atom, _ in smooth):
        return 0.0, None
    if _work(form) * len(a.variables) ** 2 > MOST:
        return 0.0, None
    bound = _eigenvalue_below(rules, a.form(smooth, a.zero))
    for m in (bound * share for share in SHARES[2:]):
        if not m > max(least, 1e-12 * (1.0 + abs(bound))) * (1 + 1e-6):
            break
        deep = Rules(a, deep=True, deadline=time.thread_time() + SECONDS)
        deep.top = less_a_square(a, form, m)
        step = deep.convex(deep.top)
        if step is not None:
            return m, step
    return 0.0, None


def _work(form: Form) -> int:
    """How many operations the second derivatives take, in products of two slopes."""
    waiting, seen, count = [form], set(), 0
    while waiting:
        for atom, _ in waiting.pop().terms:
            if atom in seen:
                continue
            seen.add(atom)
            count += len(atom.args) ** 2
            waiting += atom.args
    return count


def _eigenvalue_below(rules: Rules, form: Form) -> float:
    """About the least eigenvalue of the second derivatives on the box, in float64 and not surely; 0 for none."""
    variables = rules.a.variables
    low, high = np.array([v.lower for v in variables]), np.array([v.upper for v in variables])
    if form.lost is not None:
        return 0.0
    pieces = max(1, int(64 ** (1 / len(variables)))) if np.all(np.isfinite(high - low)) else 1
    axes = [np.linspace(a, b, pieces + 1) if pieces > 1 else np.array([a, b]) for a, b in zip(low, high, strict=True)]
    lows = np.stack(np.meshgrid(*(axis[:-1] for axis in axes), indexing="ij"), -1).reshape(-1, len(variables))
    highs = np.stack(np.meshgrid(*(axis[1:] for axis in axes), indexing="ij"), -1).reshape(-1, len(variables))
    boxes = {v: Intervals(lows[:, k], highs[:, k]) for k, v in enumerate(variables)}
    try:
        with np.errstate(all="ignore"):
            jet = Jets(Interval(), boxes).of(form)
    except Rough:
        return 0.0
    places = {v.index: k for k, v in enumerate(variables)}
    below, above = np.zeros((2, len(lows), len(variables), len(variables)))
    for (i, j), value in jet.second.items():
        p, q = places[i], places[j]
        below[:, p, q] = below[:, q, p] = np.broadcast_to(value.lower, len(lows))
        above[:, p, q] = above[:, q, p] = np.broadcast_to(value.upper, len(lows))
    diagonal = np.arange(len(variables))
    above[:, diagonal, diagonal] = below[:, diagonal, diagonal]
    if not (np.all(np.isfinite(below)) and np.all(np.isfinite(above))):
        return 0.0
    middle, radius = below / 2 + above / 2, (above - below) / 2
    middle[:, diagonal, diagonal] -= radius.sum(-1)
    return float(np.linalg.eigvalsh(middle)[:, 0].min())
