"""Quadratic functions with exact rational coefficients: their Hessian, and whether it is positive semidefinite.

Q = L D L^T with rational numbers and symmetric pivoting: Q is positive semidefinite exactly if no pivot is negative,
and where all remaining diagonal entries are 0 the remaining matrix is 0 (Golub and Van Loan, *Matrix Computations*,
4th edition, section 4.2). No tolerance enters. The digits of rational pivots grow with every step, so that matrices of
more than a few rows are eliminated in balls first, which decides those that are definite; and of those that are not, an
eigenvector of the rounded matrix, taken as exact, mostly shows it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from qed.domains.precision import flint, precision

if TYPE_CHECKING:
    from qed.domains.curvature_algebra import Algebra
    from qed.domains.curvature_terms import Atom, Form, Terms

FEW = 6
"""Up to so many rows exact numbers are quick."""


@dataclass(eq=False)
class Quadratic:
    """sum of q[i, j] x_i x_j over i <= j, plus linear[i] x_i, plus a constant; indices are those of atoms."""

    q: dict[tuple[int, int], Any] = field(default_factory=dict)
    linear: dict[int, Any] = field(default_factory=dict)
    constant: Any = 0

    @property
    def variables(self) -> list[int]:
        """The atoms in the quadratic part."""
        return sorted({i for pair, c in self.q.items() if c != 0 for i in pair})

    def hessian(self, zero: Any, variables: list[int] | None = None) -> list[list[Any]]:
        """The matrix of second derivatives."""
        names = self.variables if variables is None else variables
        return [[self._entry(i, j, zero) for j in names] for i in names]

    def _entry(self, i: int, j: int, zero: Any) -> Any:
        c = self.q.get((min(i, j), max(i, j)), zero)
        return 2 * c if i == j else c

    @property
    def convex(self) -> bool:
        """Whether it is convex on the whole space."""
        zero = flint().fmpq(0)
        return direction_below(self.hessian(zero), zero) is None


def quadratic(a: Terms, form: Form) -> Quadratic | None:
    """A form as a polynomial of degree 2 in the variables, or None where it is none.

    >>> from qed.domains.curvature_quadratics import quadratic
    >>> from qed.domains.curvature_algebra import Algebra
    >>> a = Algebra()
    >>> x, y = a.variable(0, "x", (-1.0, 1.0)), a.variable(1, "y", (-1.0, 1.0))
    >>> q = quadratic(a, a.add(a.multiply(x, y), a.unary("square", x)))
    >>> q.hessian(a.zero), q.convex
    ([[2, 1], [1, 0]], False)
    """
    total = Quadratic(constant=form.constant)
    for atom, c in form.terms:
        if atom.kind == "variable":
            total.linear[atom.index] = total.linear.get(atom.index, 0) + c
            continue
        pair = _factors(atom)
        if pair is None or not all(_rational_affine(u) for u in pair):
            return None
        _add_product(total, *pair, c)
    return total


def _factors(atom: Atom) -> tuple[Form, Form] | None:
    if atom.kind == "product":
        return atom.args[0], atom.args[1]
    return (atom.args[0], atom.args[0]) if atom.name == "square" else None


def _rational_affine(form: Form) -> bool:
    return all(atom.kind == "variable" for atom, _ in form.terms)


def _add_product(total: Quadratic, u: Form, v: Form, c: Any) -> None:
    total.constant = total.constant + c * u.constant * v.constant
    for form, other in ((u, v), (v, u)):
        for atom, k in form.terms:
            total.linear[atom.index] = total.linear.get(atom.index, 0) + c * k * other.constant
    for s, k in u.terms:
        for t, m in v.terms:
            pair = (min(s.index, t.index), max(s.index, t.index))
            total.q[pair] = total.q.get(pair, 0) + c * k * m


def bordered(a: Terms, q: Quadratic) -> tuple[list[int], list[list[Any]]]:
    """Its variables x, and the matrix M of exact numbers with q(x) = z^T M z for z = (x, 1)."""
    names = sorted({*q.variables, *(i for i, c in q.linear.items() if c != 0)})
    rows = [[c / 2 for c in row] for row in q.hessian(a.zero, names)]
    border = [a.q(q.linear.get(i, 0)) / 2 for i in names]
    matrix = [[*row, b] for row, b in zip(rows, border, strict=True)]
    matrix.append([*border, a.zero + q.constant])
    return names, matrix


def gram_is_definite(a: Terms, q: Quadratic) -> bool:
    """Whether the quadratic is a sum of squares of affine functions plus a nonnegative constant."""
    return direction_below(bordered(a, q)[1], a.zero) is None


def is_hyperbolic(a: Algebra, form: Form) -> bool:
    """Whether a quadratic, positive on the whole box, has one positive direction only: then its root is concave.

    With z = (x, 1), q = z^T M z and q(p) > 0, M has no second positive eigenvalue exactly if M p p^T M / q(p) - M is
    positive semidefinite; the box lies in one of the two convex cones in which q > 0, where q(y)^(1/2) q(z)^(1/2) is at
    most y^T M z (Garding, "An inequality for hyperbolic polynomials", 1959).
    """
    q = quadratic(a, form)
    if q is None or not q.variables or not a.positive(form):
        return False
    names, m = bordered(a, q)
    inside = {v.index: a.rational(_inside(v.lower, v.upper)) for v in a.variables}
    point = [*(inside[i] for i in names), a.one]
    image = [sum((c * p for c, p in zip(row, point, strict=True)), a.zero) for row in m]
    value = sum((c * p for c, p in zip(image, point, strict=True)), a.zero)
    if not value > 0:
        return False
    rows = [[x * y / value - c for y, c in zip(image, row, strict=True)] for x, row in zip(image, m, strict=True)]
    return direction_below(rows, a.zero) is None


def _inside(low: float, high: float) -> float:
    """A number between two ends."""
    return max(low, min(high, 0.0)) if math.isinf(high - low) else low / 2 + high / 2


def direction_below(matrix: list[list[Any]], zero: Any) -> list[Any] | None:
    """None for a positive semidefinite matrix of exact numbers, else a vector d with d^T M d < 0.

    >>> from fractions import Fraction
    >>> from qed.domains.curvature_quadratics import direction_below
    >>> direction_below([[Fraction(1), Fraction(1)], [Fraction(1), Fraction(1)]], Fraction(0)) is None
    True
    >>> direction_below([[Fraction(0), Fraction(1)], [Fraction(1), Fraction(3)]], Fraction(0))
    [Fraction(1, 1), Fraction(-1, 3)]
    """
    n = len(matrix)
    if n > FEW:
        told, below = _by_rounding(matrix)
        if told:
            return below
    m = [list(row) for row in matrix]
    left = list(range(n))
    done: list[tuple[int, dict[int, Any]]] = []

    def back(d: dict[int, Any]) -> list[Any]:
        """The vector that makes the eliminated coordinates best."""
        for pivot, row in reversed(done):
            d[pivot] = -sum((c * d[j] for j, c in row.items() if j in d), zero)
        return [d.get(i, zero) + zero for i in range(n)]

    while left:
        bad = next((i for i in left if m[i][i] < 0), None)
        if bad is not None:
            return back({bad: zero + 1, **{j: zero for j in left if j != bad}})
        k = max(left, key=lambda i: m[i][i])
        if m[k][k] == 0:
            for i in left:
                for j in left:
                    if i != j and m[i][j] != 0:  # d = (-s, 1) in (i, j) with s so large that it is negative
                        s = (m[j][j] + 1) / (2 * m[i][j])
                        return back({**dict.fromkeys(left, zero), i: -s, j: zero + 1})
            return None
        row = {j: m[k][j] / m[k][k] for j in left if j != k and m[k][j] != 0}
        left.remove(k)
        for i, c in row.items():
            for j, e in row.items():
                m[i][j] = m[i][j] - c * e * m[k][k]
        done.append((k, row))
    return None


def _by_rounding(matrix: list[list[Any]]) -> tuple[bool, list[Any] | None]:
    """Whether rounded numbers decide it, and then what `direction_below` returns: both are proved, or nothing is."""
    exact = [[(int(numerator), int(denominator)) for numerator, denominator in map(_parts, row)] for row in matrix]
    try:
        rounded = np.array([[p / q for p, q in row] for row in exact])
    except OverflowError:
        return False, None
    if not np.all(np.isfinite(rounded)):
        return False, None
    values, vectors = np.linalg.eigh(rounded)
    definite, way = False, vectors[:, 0].tolist()
    if values[0] >= -1e-12 * float(np.abs(values).max()):
        definite, way = _by_balls(exact)
    if definite or way is None:
        return definite, None
    one = 0 * next((c for row in matrix for c in row if not isinstance(c, int)), Fraction(0)) + 1  # exact, not floats
    below = [p * one / q for p, q in (float(v).as_integer_ratio() for v in way)]
    image = [sum((c * w for c, w in zip(row, below, strict=True)), 0 * one) for row in matrix]
    return (True, below) if sum((v * w for v, w in zip(image, below, strict=True)), 0 * one) < 0 else (False, None)


def _parts(value: Any) -> tuple[Any, Any]:
    """Numerator and denominator of a rational number of either library, or of an integer."""
    return (value.numerator, value.denominator) if hasattr(value, "numerator") else (value.p, value.q)


def _by_balls(matrix: list[list[tuple[int, int]]]) -> tuple[bool, list[float] | None]:
    """Whether elimination in balls of 200 bits shows all pivots to be positive; else where one is negative, roughly."""
    n = len(matrix)
    with precision(200) as library:
        m = [[library.arb(library.fmpq(p, q)) for p, q in row] for row in matrix]
        for k in range(n):
            if not m[k][k] > 0:
                if not m[k][k] < 0:
                    return False, None
                way = [0.0] * k + [1.0] + [0.0] * (n - k - 1)
                for i in range(k - 1, -1, -1):
                    way[i] = -sum(float((m[i][j] / m[i][i]).mid()) * way[j] for j in range(i + 1, k + 1))
                return False, way
            for i in range(k + 1, n):
                share = m[k][i] / m[k][k]
                for j in range(i, n):
                    m[i][j] = m[i][j] - share * m[k][j]
    return True, None
