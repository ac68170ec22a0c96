"""What numbers of a factored matrix make together: pivots, determinants, entries of the inverse.

For a symmetric positive definite A with leading blocks A_k, elimination without exchanges has the pivots
d_k = det A_k / det A_(k-1) > 0; then L_kk^2 = d_k in A = L L^T, log|det A| = sum log d_k = sum log|U_kk| in P A = L U,
and the sum of the (L^-1 b)_k^2 is b^T A^-1 b. A constant matrix of exact numbers is inverted in rational numbers.
Each function is a method of `qed.domains.curvature_algebra.Algebra`.

References: Golub and Van Loan, *Matrix Computations*, 4th edition, chapters 3 and 4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qed.domains import definiteness
from qed.domains.curvature_terms import Atom, Form

if TYPE_CHECKING:
    from qed.domains.curvature_algebra import Algebra

Entries = tuple[Form, ...]


def definite(a: Algebra, entries: Entries) -> bool:
    """Whether a matrix is symmetric, affine in the variables, and positive definite on the whole box."""
    key = tuple(id(form) for form in entries)
    if key not in a.matrices:
        a.matrices[key] = (entries, definiteness.definite(a, entries, math.isqrt(len(entries))))
    return a.matrices[key][1]


def regular(a: Algebra, entries: Entries) -> bool:
    """Whether a matrix is surely not singular: definite on the box, or constant with another determinant than 0."""
    if all(not form.terms for form in entries):
        return definiteness.inverse(_rows(entries), a.zero)[0] is not None
    return definite(a, entries)


def _rows(entries: Sequence[Form]) -> list[list[Any]]:
    n = math.isqrt(len(entries))
    return [[form.constant for form in entries[i * n : (i + 1) * n]] for i in range(n)]


def inverted(a: Algebra, entries: Entries, n: int) -> list[list[Form]]:
    """The entries of the inverse of a regular matrix."""
    if all(not form.terms for form in entries):
        found, _ = definiteness.inverse(_rows(entries), a.zero)
        assert found is not None
        return [[a.number(c) for c in row] for row in found]
    made = {(i, j): a.of(a.atom("inverse", (i, j, n), entries)) for i in range(n) for j in range(i, n)}
    return [[made[min(i, j), max(i, j)] for j in range(n)] for i in range(n)]


def pivot(a: Algebra, entries: Entries, n: int, k: int) -> Form:
    """The k-th pivot (from 0) of a definite matrix, which depends on its leading block alone."""
    block = tuple(entries[i * n + j] for i in range(k + 1) for j in range(k + 1))
    if k and all(not form.terms for form in block):
        smaller = tuple(entries[i * n + j] for i in range(k) for j in range(k))
        return a.number(definiteness.inverse(_rows(block), a.zero)[1] / definiteness.inverse(_rows(smaller), a.zero)[1])
    if k and not definite(a, block):
        return a.lose(a.of(a.opaque(block, "pivot")))
    return a.of(a.atom("pivot", (k + 1,), block)) if k else entries[0]


def factor(a: Algebra, entries: Entries, n: int, i: int, j: int) -> Form:
    """The number (i, j), j <= i, of the Cholesky factor of a definite matrix."""
    if i == j:
        return a.unary("sqrt", pivot(a, entries, n, i))
    return a.of(a.atom("cholesky", (i, j, n), entries))


def log_determinant(a: Algebra, entries: Entries, n: int) -> Form:
    """log|det A| of a regular matrix."""
    if all(not form.terms for form in entries):
        return a.unary("log", a.number(abs(definiteness.inverse(_rows(entries), a.zero)[1])))
    return a.combine([(a.unary("log", pivot(a, entries, n, k)), a.one) for k in range(n)])


def gathered(a: Algebra, form: Form) -> Form | None:
    """A sum in which all log|U_kk|, or all (L^-1 b)_k^2, are replaced by their sum; None without such ones."""
    groups: dict[Any, list[tuple[Atom, Any]]] = {}
    for atom, c in form.terms:
        key = _family(atom)
        if key is not None:
            groups.setdefault(key, []).append((atom, c))
    for (name, n, args), members in groups.items():
        scale = members[0][1]
        if len(members) != n or any(c != scale for _, c in members):
            continue
        whole = log_determinant(a, args, n) if name == "log" else _squares(a, args, n)
        rest = [(a.of(atom), -c) for atom, c in members]
        return a.total([(form, a.one), *rest, (whole, scale)])
    return None


def _squares(a: Algebra, args: Entries, n: int) -> Form:
    """b^T A^-1 b."""
    b, rows = args[n * n :], inverted(a, args[: n * n], n)
    parts = [(a.multiply(a.multiply(rows[i][j], b[i]), b[j]), a.one) for i in range(n) for j in range(n)]
    return a.combine(parts)


def _family(atom: Atom) -> Any:
    """(what, n, operands) of a term log|U_kk| or (L^-1 b)_k^2."""
    inner = atom.args[0].single if atom.kind == "unary" else None
    if inner is None or inner[1] != 1:
        return None
    if atom.name == "log" and inner[0].name == "abs" and inner[0].args[0].single is not None:
        one, c = inner[0].args[0].single
        if one.kind == "lu" and c == 1 and one.data[0] == one.data[1]:
            return "log", one.data[2], one.args
    if atom.name == "square" and inner[0].kind == "whitened":
        return "square", inner[0].data[1], inner[0].args
    return None
