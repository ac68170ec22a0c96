"""Checks of rows about a symmetric matrix, affine in the variables: definite on the box, pivots, w^T A^-1 w, spectra.

The matrix is read off its entries' values at rational points. It is bounded below as the search bounds it, and called
definite by Sylvester's criterion: all leading determinants, by python-flint, are positive. A sum of u v (A^-1)_ij is
written in monomials of the variables, entry by entry of the inverse, where the search takes the factors as they are.
References: see `qed.calculus.shapes.matrices` and `qed.domains.definiteness`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from qed.certificates.convexity_forms import evaluated, semidefinite
from qed.certificates.convexity_signs import own_logarithm, sign_on
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_terms import Atom, Form
from qed.domains.precision import flint
from qed.errors import CertificateError

if TYPE_CHECKING:
    from qed.certificates.convexity_rules import Check

CORNERS = 4096
Rows = list[list[Any]]


def definite_matrix(a: Algebra, entries: Sequence[Form]) -> str | None:
    """None where a matrix is symmetric, affine and positive definite on the whole box, else what is wrong."""
    n = math.isqrt(len(entries))
    if any(entries[i * n + j] is not entries[j * n + i] for i in range(n) for j in range(n)):
        return "the matrix is not symmetric"
    atoms = {atom for form in entries for atom, _ in form.terms}
    if any(atom.kind != "variable" for atom in atoms) or any(form.lost is not None for form in entries):
        return "an entry of the matrix is not affine"
    variables = sorted(atoms, key=lambda atom: atom.index)
    origin = _at(a, entries, n, {})
    base, mixed = origin, []
    for variable in variables:
        there = _at(a, entries, n, {variable: a.one})
        slope = [[x - y for x, y in zip(r, s, strict=True)] for r, s in zip(there, origin, strict=True)]
        low, high = (a.rational(e) if math.isfinite(e) else None for e in (variable.lower, variable.upper))
        up, down = semidefinite(slope), semidefinite([[-x for x in row] for row in slope])
        if up or down:
            end = low if up else high
            if end is None:
                return "it has no bound where a variable goes to infinity"
            base = _plus(base, slope, end)
        elif low is None or high is None:
            return "it has no bound where a variable goes to infinity"
        else:
            mixed.append((slope, low, high))
    if _by_determinants(_least(a, base, mixed, n)):
        return None
    few = 2 ** len(mixed) <= CORNERS
    if few and all(_by_determinants(_corner(base, mixed, sides)) for sides in product((1, 2), repeat=len(mixed))):
        return None
    return "it is not definite on the whole box"


def _at(a: Algebra, entries: Sequence[Form], n: int, point: Mapping[Atom, Any]) -> Rows:
    values = [evaluated(form, point, a) for form in entries]
    return [values[i * n : (i + 1) * n] for i in range(n)]


def _plus(base: Rows, rows: Rows, c: Any) -> Rows:
    return [[x + c * y for x, y in zip(r, s, strict=True)] for r, s in zip(base, rows, strict=True)]


def _corner(base: Rows, mixed: Sequence[Any], sides: Sequence[int]) -> Rows:
    for one, side in zip(mixed, sides, strict=True):
        base = _plus(base, one[0], one[side])
    return base


def _least(a: Algebra, base: Rows, mixed: Sequence[Any], n: int) -> Rows:
    """The middle, less radius times the row sums of magnitudes on the diagonal."""
    for slope, low, high in mixed:
        base = _plus(base, slope, (low + high) / 2)
        for i in range(n):
            base[i][i] = base[i][i] - (high - low) / 2 * sum((abs(x) for x in slope[i]), a.zero)
    return base


def _by_determinants(rows: Rows) -> bool:
    mat = flint().fmpq_mat
    return all(mat(k, k, [x for row in rows[:k] for x in row[:k]]).det() > 0 for k in range(1, len(rows) + 1))


def matrices_are_definite(a: Algebra) -> None:
    """Check every matrix that the program was taken apart with.

    Raises CertificateError for one that is not definite on the whole box.
    """
    for entries, claimed in a.matrices.values():
        wrong = definite_matrix(a, entries) if claimed else None
        if wrong is not None:
            raise CertificateError("function", f"a factored matrix: {wrong}")


def _require_definite(step: Check, entries: Sequence[Form]) -> None:
    wrong = definite_matrix(step.a, entries)
    step.require(wrong is None, str(wrong))


def _pivot(step: Check) -> None:
    atom, sign = step.atom
    step.require(atom.kind == "pivot" and sign < 0, "it is no negative multiple of a pivot")
    _require_definite(step, atom.args)
    step.premises([])


# --- w^T A^-1 w ---------------------------------------------------------------------------------------------------


def _fraction(step: Check) -> None:
    a, pieces = step.a, _pieces(step, step.form)
    entries = pieces[0][1].args
    step.require(all(inverse.args == entries for _, inverse, _ in pieces), "the inverses are of different matrices")
    _require_definite(step, entries)
    squares: set[tuple[int, Any]] = set()
    for _, inverse, (u, v) in pieces:
        if inverse.data[0] == inverse.data[1] and _line(u) == _line(v):
            squares.add((inverse.data[0], _line(u)))
    total: dict[tuple[Any, Any], Any] = {}
    for c, inverse, (u, v) in pieces:
        i, j = inverse.data[:2]
        if not ((i, _line(u)) in squares and (j, _line(v)) in squares):
            u, v = v, u
        for (k, x), (m, y) in product(_monomials(a, u), _monomials(a, v)):
            for place in (((i, k), (j, m)), ((j, m), (i, k))):
                total[place] = total.get(place, a.zero) + c * x * y / 2
    names = sorted({place for pair in total for place in pair})
    rows = [[total.get((p, q), a.zero) for q in names] for p in names]
    step.require(semidefinite(rows), "it is no sum of w^T A^-1 w")
    step.premises([])


def _pieces(step: Check, form: Form) -> list[tuple[Any, Atom, tuple[Form, Form]]]:
    """(coefficient, entry of the inverse, two affine factors) of all products in a form."""
    one = step.a.number(1)
    step.require(form.constant == 0 and bool(form.terms), "it has a constant")
    found = []
    waiting = [(c, atom, ()) for atom, c in form.terms]
    while waiting:
        c, atom, factors = waiting.pop(0)
        if atom.kind == "inverse":
            u, v = (*factors, one, one)[:2]
            found.append((c, atom, (u, v)))
            continue
        step.require(atom.kind == "product" and len(factors) < 2, "a term is no product with the inverse")
        first, second = atom.args
        if not (first.affine and second.constant == 0 and not second.affine):
            first, second = second, first
        step.require(first.affine and second.constant == 0, "a factor is not affine")
        waiting += [(c * k, each, (*factors, first)) for each, k in second.terms]
    return found


def _line(form: Form) -> Any:
    """An affine function up to a factor."""
    if not form.terms:
        return ()
    lead = form.terms[0][1]
    return (*((atom.index, str(c / lead)) for atom, c in form.terms), str(form.constant / lead))


def _monomials(a: Algebra, form: Form) -> list[tuple[int, Any]]:
    """The coefficients of an affine function, by number of the atom; -1 is the constant."""
    return [(-1, form.constant + a.zero), *((atom.index, c) for atom, c in form.terms)]


# --- eigenvalues --------------------------------------------------------------------------------------------------


def _of_spectrum(step: Check) -> None:
    """The same function of every eigenvalue, or log-sum-exp of all of them."""
    terms = step.form.terms
    sums = [(atom, c) for atom, c in terms if atom.kind == "log_sum_exp"]
    if sums:
        _exponentials(step, *sums[0])
    elif terms and all(atom.kind == "product" for atom, _ in terms):
        _entropy(step)
    else:
        _functions(step)
    step.premises([])


def _eigenvalue(step: Check, form: Form) -> tuple[Atom, Any]:
    step.require(len(form.terms) == 1 and form.terms[0][0].kind == "spectrum", "it is no function of one eigenvalue")
    return form.terms[0]


def _all_of_one(step: Check, forms: Sequence[Form]) -> tuple[str, Any]:
    """The kind of spectrum whose every value occurs once in k * value + c, and k."""
    found = [_eigenvalue(step, form) for form in forms]
    atom, k = found[0]
    kind, _, rows, columns = atom.data
    step.require(all(arg.affine and arg.lost is None for arg in atom.args), "an entry is not affine")
    same = all(x.args == atom.args and x.data[0] == kind and x.data[2:] == atom.data[2:] and m == k for x, m in found)
    step.require(same and all(f.constant == forms[0].constant for f in forms), "the multiples differ")
    step.require(sorted(x.data[1] for x, _ in found) == list(range(min(rows, columns))), "an eigenvalue is missing")
    if kind == "symmetric":
        entries = [atom.args[i * columns : (i + 1) * columns] for i in range(rows)]
        mirrored = all(entries[i][j] is entries[j][i] for i in range(rows) for j in range(i))
        step.require(rows == columns and mirrored, "it is not symmetric")
    return kind, k


def _exponentials(step: Check, atom: Atom, k: Any) -> None:
    step.require(k > 0 and all(w == atom.data[0] for w in atom.data), "the weights differ")
    rest = step.a.combine(((step.form, 1 / k), (step.a.of(atom), -step.a.one)))
    kind, m = _all_of_one(step, [step.a.add(arg, rest) for arg in atom.args])
    step.require(kind == "symmetric" or m > 0, "it falls in the singular values")


def _entropy(step: Check) -> None:
    """c times the sum of l log l over all eigenvalues, none below 0."""
    own = [own_logarithm(atom) for atom, _ in step.form.terms]
    step.require(all(u is not None and step.a.nonnegative(u) for u in own), "a term is not l log l of an l >= 0")
    c = step.form.terms[0][1]
    step.require(step.form.constant == 0 and c > 0 and all(d == c for _, d in step.form.terms), "the multiples differ")
    kind, _ = _all_of_one(step, [u for u in own if u is not None])
    step.require(kind == "symmetric", "l log l falls near 0")


def _functions(step: Check) -> None:
    terms = step.form.terms
    atom, c = terms[0]
    step.require(step.form.constant == 0 and atom.kind == "unary", "it is no sum of a function of eigenvalues")
    same = all(each.kind == "unary" and each.data == atom.data and d == c for each, d in terms)
    step.require(same, "the functions differ")
    kind, k = _all_of_one(step, [each.args[0] for each, _ in terms])
    for each, _ in terms:
        low, high = step.a.range(each.args[0])
        bend, slope = (sign_on(atom.data, low, high, order) for order in (2, 1))
        step.require(bend is not None and bend * (1 if c > 0 else -1) >= 0, "f'' has not that sign on the range")
        rises = slope is not None and slope * (1 if (c > 0) == (k > 0) else -1) >= 0
        step.require(kind == "symmetric" or rises, "it falls in the singular values")


MATRICES: Mapping[str, Callable[[Check], None]] = {
    "function of the spectrum": _of_spectrum,
    "matrix fraction": _fraction,
    "pivot": _pivot,
}
"""By rule: the check of a row about a matrix."""
