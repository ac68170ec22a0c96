"""Whether a proved KKT point is the global minimum: f convex, what holds the point concave or affine.

A Hessian that bends the wrong way at the point itself ends the search before it begins. Shapes are found by the rules
of `qed.calculus.shapes` on the box of the bounds, and checked by the certificate (`qed.certificates.convex_optimum`).
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from qed.calculus.hessian import shaped
from qed.calculus.shapes.found import terms
from qed.calculus.shapes.rules import Rules
from qed.certificates.convex_optimum import ConvexOptimum
from qed.certificates.convexity import rows_of
from qed.certificates.convexity_rules import Row
from qed.certificates.kkt_point import KKTPoint
from qed.certificates.problem_terms import affine
from qed.domains.curvature_terms import Form
from qed.errors import CertificateError
from qed.optimization.constrained.polish import KKT
from qed.optimization.constrained.problem import Constrained

Array = np.ndarray
OPERATIONS = 200_000
"""How many operations between numbers are taken apart at most."""
SECONDS = 2.0
"""How long shapes are looked for by cutting the box."""


def globally(problem: Constrained, kkt: KKT, point: KKTPoint) -> ConvexOptimum | str:
    """A certificate that a KKT point is the global minimum; or what is missing for it, in words."""
    wrong = _bends_wrongly(problem, kkt, point)
    if wrong:
        return wrong
    assert point.subject is not None
    traced = point.subject.traced()
    found = terms(traced, *sides(problem, traced), OPERATIONS)
    if found is None:
        return "f and the constraints could not be taken apart into terms"
    algebra, forms = found
    if algebra.lost is not None:
        return f"somewhere within the bounds it may be undefined: {algebra.lost}"
    quick, shapes = Rules(algebra), []
    for number in (0, *(1 + i for i in point.rows)):
        form, name = forms[number], "f" if number == 0 else problem.names[number - 1]
        if affine(form):
            continue
        if 0 < number <= problem.equalities:
            return f"{name} is an equality that is not affine"
        proof = proof_of(quick, form if number == 0 else algebra.scale(form, -1))
        if proof is None:
            if form.lost is not None:
                return f"{name} may be undefined somewhere within the bounds: {form.lost}"
            return f"{name} was not found to be {'convex' if number == 0 else 'concave'} within the bounds"
        shapes.append((number, proof))
    made = ConvexOptimum.of(point, shapes)
    try:
        made.verify()
    except CertificateError as error:
        return f"the proof of convexity was not confirmed: {error.node}: {error.why}"
    return made


def proof_of(quick: Rules, form: Form) -> tuple[Row, ...] | None:
    """The rows of a proof that a term is convex, by rules, else by cutting the box; None where none was found."""
    step = quick.convex(form)
    if step is None:
        deep = Rules(quick.a, deep=True, deadline=time.thread_time() + SECONDS)
        deep.top = form
        step = deep.convex(form)
    return None if step is None else rows_of(step)


def sides(problem: Constrained, traced: Any) -> tuple[list[Array], list[Array]]:
    """The bounds as arrays of the argument's shapes."""
    return shaped(problem.bounds.lower, traced.parameters), shaped(problem.bounds.upper, traced.parameters)


def _bends_wrongly(problem: Constrained, kkt: KKT, point: KKTPoint) -> str:
    """The words where a Hessian at the point shows that a function has not the shape; empty where none does."""
    x, nothing = kkt.seen.x, np.zeros(problem.rows)

    def least(H: Array) -> bool:
        return float(np.linalg.eigvalsh(H)[0]) < -1e-9 * max(float(np.abs(H).max()), 1e-300)

    if least(problem.hessian(x, nothing)):
        return "f is not convex at the point itself"
    for i in (i for i in point.rows if i >= problem.equalities):
        if least(problem.hessian(x, np.eye(problem.rows)[i], 0.0)):
            return f"{problem.names[i]} is not concave at the point itself"
    return ""
