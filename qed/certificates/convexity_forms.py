"""Quadratic forms for those who verify: the Hessian from values at rational points, its sign by plain elimination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_terms import Atom, Form
from qed.domains.precision import flint
from qed.errors import CertificateError

if TYPE_CHECKING:
    from qed.certificates.convexity_rules import Check


def hessian_of(step: Check, form: Form) -> tuple[list[Atom], list[list[Any]]]:
    """The variables of a polynomial of degree 2, and its matrix of second derivatives."""
    names, _, _, rows = taken_apart(step, form)
    return names, rows


def taken_apart(step: Check, form: Form) -> tuple[list[Atom], Any, list[Any], list[list[Any]]]:
    """A polynomial of degree 2: its variables; at 0 its value, its slopes, and its matrix of second derivatives.

    Every term c p q is the product of two affine forms, whose slopes p_i = p(e_i) - p(0) come from their values:

        (c p q)(0) = c p(0) q(0),   slope_i = c (p(0) q_i + q(0) p_i),   curvature_ij = c (p_i q_j + q_i p_j).
    """
    variables: dict[int, Atom] = {}
    a, terms = step.a, []
    for atom, c in form.terms:
        quadratic = atom.kind == "product" or atom.name == "square"
        for inner in atom.args if quadratic else (a.of(atom),):
            for each, _ in inner.terms:
                step.require(each.kind == "variable", "it is no polynomial of degree 2 in the variables")
                variables[each.index] = each
        terms.append(
            (c, [_affine(part, a) for part in ((atom.args[0], atom.args[-1]) if quadratic else (a.of(atom),))])
        )
    names = [variables[i] for i in sorted(variables)]
    place = {name.index: k for k, name in enumerate(names)}
    value, slopes = form.constant, [a.zero for _ in names]
    rows = [[a.zero] * len(names) for _ in names]
    for c, factors in terms:
        (p, p_slopes), (q, q_slopes) = factors[0], factors[1] if len(factors) > 1 else (a.one, {})
        value = value + c * p * q
        for i, s in p_slopes.items():
            slopes[place[i]] = slopes[place[i]] + c * s * q
            for j, t in q_slopes.items():
                rows[place[i]][place[j]] = rows[place[i]][place[j]] + c * s * t
                rows[place[j]][place[i]] = rows[place[j]][place[i]] + c * s * t
        for j, t in q_slopes.items():
            slopes[place[j]] = slopes[place[j]] + c * p * t
    return names, value, slopes, rows


def _affine(form: Form, a: Algebra) -> tuple[Any, dict[int, Any]]:
    """The value at 0 and the slopes of an affine form of the variables, from its values at 0 and e_i."""
    origin = evaluated(form, {}, a)
    return origin, {v.index: evaluated(form, {v: a.one}, a) - origin for v, _ in form.terms}


def evaluated(form: Form, point: Mapping[Atom, Any], a: Algebra) -> Any:
    """The value of a polynomial at a rational point; a variable that the point leaves out is 0."""
    total = form.constant
    for atom, c in form.terms:
        if atom.kind == "variable":
            total = total + c * point.get(atom, a.zero)
            continue
        factors = [evaluated(arg, point, a) for arg in atom.args]
        total = total + c * (factors[0] * factors[-1])
    return total


@dataclass(frozen=True)
class _Noted:
    """A form that the algebra has taken for a sum of squares."""

    a: Algebra

    def require(self, holds: bool, why: str) -> None:
        """Raise unless a condition holds."""
        if not holds:
            raise CertificateError("function", why)


def squares_are_sums(a: Algebra) -> None:
    """Every form that the ranges of an algebra take for a sum of squares is one.

    Raises CertificateError for one that is not.
    """
    noted: Any = _Noted(a)
    for form, sums in list(a.squares.items()):
        if sums and not semidefinite(border(noted, form)):
            noted.require(False, "a form that was taken for a sum of squares is none")


def definite(step: Check, form: Form, bordered: bool) -> bool:
    """Whether the matrix of second derivatives is positive semidefinite; `bordered`: the form is a sum of squares."""
    return semidefinite(border(step, form) if bordered else hessian_of(step, form)[1])


def border(step: Check, form: Form) -> list[list[Any]]:
    """Twice the matrix M with q(x) = z^T M z for z = (x, 1)."""
    _, value, slopes, rows = taken_apart(step, form)
    return [[*row, b] for row, b in zip(rows, slopes, strict=True)] + [[*slopes, 2 * value]]


def positive_eigenvalues(rows: Sequence[Sequence[Any]]) -> int:
    """How many eigenvalues of a symmetric matrix of exact numbers are positive.

    All roots of its characteristic polynomial are real, and then Descartes' rule of signs is exact.

    >>> from qed.domains.precision import flint
    >>> q = flint().fmpq
    >>> positive_eigenvalues([[q(0), q(1)], [q(1), q(0)]]), positive_eigenvalues([[q(-1)]])
    (1, 0)
    """
    n = len(rows)
    polynomial = flint().fmpq_mat(n, n, [x for row in rows for x in row]).charpoly()
    signs = [c > 0 for c in polynomial.coeffs() if c != 0]
    return sum(a != b for a, b in pairwise(signs))


def semidefinite(rows: Sequence[Sequence[Any]]) -> bool:
    """Elimination in the given order: no pivot is negative, and beside a zero pivot there are only zeros.

    >>> from fractions import Fraction
    >>> semidefinite([[Fraction(1), Fraction(1)], [Fraction(1), Fraction(1)]])
    True
    """
    m = [list(row) for row in rows]
    for k in range(len(m)):
        pivot = m[k][k]
        if pivot < 0 or (pivot == 0 and any(m[k][j] != 0 for j in range(k, len(m)))):
            return False
        if pivot == 0:
            continue
        for i in range(k + 1, len(m)):
            if m[i][k] != 0:
                share = m[i][k] / pivot
                for j in range(k + 1, len(m)):
                    m[i][j] = m[i][j] - share * m[k][j]
    return True
