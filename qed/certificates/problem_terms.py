"""The functions (f, h..., g...) of a constrained problem as terms on its box, for those who verify.

Every number that the program returns becomes a term (`qed.domains.curvature`) in one algebra, so that sums of
multiples of f and the rows are exact: what cancels is gone. Each is held against the program's own value in balls at
points of the box.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qed.certificates.certificate import placed
from qed.certificates.convexity import POINTS, beside_choices, inside
from qed.certificates.convexity_forms import squares_are_sums
from qed.certificates.convexity_matrices import matrices_are_definite
from qed.certificates.convexity_rules import Check, Row, check
from qed.domains.ball import Ball
from qed.domains.ball_ends import BallEnds, Ends
from qed.domains.curvature import Curvature, TooMany
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_proof import digest
from qed.domains.curvature_terms import Form
from qed.domains.curvature_values import BallValues, NoValue
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.trace import Traced
from qed.graph.walk import TooLong, Unknown, Walker

Array = np.ndarray
BITS = 120


def problem_terms(traced: Traced, lower: Sequence[Array], upper: Sequence[Array]) -> tuple[Algebra, list[Form]]:
    """The terms of f and of all rows, with ranges on the box; a term knows whether it may be undefined.

    Args:
        traced: the function (f, h..., g...) of `qed.certificates.stacked`.
        lower: the lower ends of the box, arrays as the function's argument.
        upper: the upper ends.

    Raises:
        CertificateError: where something that may be undefined has vanished, or a number is no real one.
    """
    domain = BallEnds(BITS)
    curvature = Curvature(domain.name, Algebra(domain))
    with precision(domain.bits):
        box = [Ends.between(a, b) for a, b in zip(lower, upper, strict=True)]
    try:
        (cell, *_) = Walker([domain, curvature]).run(traced.graph, placed(traced, box))
    except (TooMany, TooLong) as error:
        raise CertificateError("function", f"it has too many numbers: {error}") from None
    value = cell.values[1]
    if isinstance(value, Unknown):
        raise CertificateError("function", str(value))
    forms = list(np.ravel(value))
    if not forms or not all(isinstance(form, Form) for form in forms):
        raise CertificateError("function", "it returns what is no real number")
    defined(curvature.algebra, ())
    matrices_are_definite(curvature.algebra)
    _same_values(traced, curvature.algebra, forms, lower, upper)
    return curvature.algebra, forms


def defined(algebra: Algebra, forms: Sequence[Form]) -> None:
    """Raise CertificateError where terms, or something that vanished from them, may be undefined on the box."""
    lost = algebra.lost or next((form.lost for form in forms if form.lost is not None), None)
    if lost is not None:
        raise CertificateError("box_lower", f"{lost} may be undefined somewhere on the box")


def convex(algebra: Algebra, form: Form, rows: tuple[Row, ...], name: str) -> None:
    """Check a proof that a term is convex on the box, or raise CertificateError naming a row."""
    memo: dict[int, str] = {}
    last = len(rows) - 1
    if last < 0 or rows[last][0] != "convex" or rows[last][2] != digest(form, memo):
        raise CertificateError(name, "the last row is about another function")
    check(Check(algebra, rows, memo, last, form, set()))
    squares_are_sums(algebra)


def affine(form: Form) -> bool:
    """Whether a term is a sum of variables with rational coefficients, and surely defined."""
    return form.lost is None and all(atom.kind == "variable" for atom, _ in form.terms)


def coefficients(form: Form, size: int) -> tuple[list[Any], Any]:
    """The exact coefficients of the variables in a term, and its constant; a number without width is in the latter."""
    found: list[Any] = [form.constant * 0] * size
    for atom, c in form.terms:
        if atom.kind == "variable":
            found[int(str(atom.data)[1:])] = c
    return found, form.constant


def _same_values(
    traced: Traced, algebra: Algebra, forms: Sequence[Form], lower: Sequence[Array], upper: Sequence[Array]
) -> None:
    """Compare the terms with the program at points of the box, in balls; raises CertificateError where they differ."""
    random, domain = np.random.default_rng(0), Ball(bits=200)
    points = [[inside(random, a, b) for a, b in zip(lower, upper, strict=True)] for _ in range(POINTS)]
    for point in (*points, *beside_choices(algebra, points[0], lower, upper)):
        (cell, *_) = Walker([domain]).run(traced.graph, placed(traced, point))
        if isinstance(cell.values[0], Unknown):
            raise CertificateError("function", f"no value in balls: {cell.values[0]}")
        with precision(200) as flint:
            value = domain.number(cell.values[0])
            if value.doubt:
                continue
            numbers = [float(x) for leaf in point for x in leaf.ravel()]
            at = {v: flint.arb(numbers[int(str(v.data)[1:])]) for v in algebra.variables}
            for form, own in zip(forms, value.array.ravel(), strict=True):
                try:
                    found = BallValues(at).of(form)
                except NoValue:
                    continue
                if not found.overlaps(own):
                    raise CertificateError("function", f"a term is {found.str(9)} where the program is {own.str(9)}")
