"""Checks of rows about several terms of a sum: are they convex together?

References: see `qed.calculus.shapes.groups`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

from qed.certificates.convexity_forms import definite
from qed.certificates.convexity_signs import logarithm_of, own_logarithm
from qed.domains.curvature_proof import digest
from qed.domains.curvature_shifts import dealt_out

if TYPE_CHECKING:
    from qed.certificates.convexity_rules import Check


def _affine(step: Check) -> None:
    step.require(step.form.affine, "the form is not affine")
    step.premises([])


def _sum(step: Check) -> None:
    parts = [(atom, c) for atom, c in step.form.terms if not atom.affine]
    step.premises([("convex", step.a.form(((atom, c),), step.a.zero)) for atom, c in parts])


def _groups(step: Check) -> None:
    """The terms of the sum are dealt out to the premises; the numbers say which term belongs to which premise."""
    terms, owners = step.form.terms, [int(n) for n in step.row[4]]
    step.require(len(owners) == len(terms), "it does not deal out every term")
    step.require(all(n >= 0 or atom.affine for n, (atom, _) in zip(owners, terms, strict=True)), "a term is left out")
    forms = []
    for k in range(len(step.row[3])):
        mine = tuple(term for n, term in zip(owners, terms, strict=True) if n == k)
        forms.append(step.a.form(mine, step.a.zero))
    step.require(all(n < len(forms) for n in owners), "a term belongs to no premise")
    step.premises([("convex", form) for form in forms])


def _log_sum_exp(step: Check) -> None:
    """k log-sum-exp(u) + s = k log-sum-exp(u + s/k)."""
    atoms = [(atom, c) for atom, c in step.form.terms if atom.kind == "log_sum_exp" and c > 0]
    step.require(bool(atoms), "it is no log-sum-exp")
    numbers = step.row[3]
    for atom, k in atoms:
        rest = step.a.combine(((step.form, 1 / k), (step.a.of(atom), -step.a.one)))
        moved = [step.a.add(arg, rest) for arg in atom.args]
        names = [digest(form, step.memo) for form in moved]
        if [step.rows[n][2] for n in numbers if 0 <= n < step.place] == names:
            step.premises([("convex", form) for form in moved])
            return
    step.fail("the premises are not about its exponents")


def _log_sum_exps(step: Check) -> None:
    """A sum of k (log-sum-exp(u) + s) = k log-sum-exp(u + s) and of a rest."""
    a = step.a
    shifts, rest = dealt_out(a, step.form)
    step.require(bool(shifts) and all(k > 0 for _, k, _ in shifts), "it has no log-sum-exp")
    parts = [pair for atom, k, moved in shifts for pair in ((a.of(atom), k), (moved, k))]
    step.require(a.combine([*parts, (rest, a.one)]) is step.form, "the parts do not add up to the form")
    forms = [a.add(arg, moved) for atom, _, moved in shifts for arg in atom.args]
    step.premises([("convex", form) for form in [*forms, rest]])


def _relative_entropy(step: Check) -> None:
    """k u log u less u log v_1, u log v_2, ... with coefficients that sum to k at most."""
    terms = step.form.terms
    own = [(atom, c, u) for atom, c in terms if (u := own_logarithm(atom)) is not None and c > 0]
    step.require(len(own) == 1 and len(terms) > 1 and step.form.constant == 0, "it is not one u log u and others")
    (atom, _, u), total = own[0], sum((c for _, c in terms), step.a.zero)
    step.require(u.affine and step.a.nonnegative(u) and total >= 0, "u may be negative, or more is taken away")
    for other, c in terms:
        if other is atom:
            continue
        step.require(c < 0 and other.kind == "product", "a term is no -c u log v")
        inside = [logarithm_of(v) for w, v in (other.args, other.args[::-1]) if w is u]
        step.require(any(v is not None and v.affine for v in inside), "a term is no -c u log v of an affine v")
    step.premises([])


def _sum_of_largest(step: Check) -> None:
    terms = step.form.terms
    step.require(bool(terms) and all(atom.kind == "order" for atom, _ in terms), "it is no sum of order statistics")
    args = terms[0][0].args
    step.require(all(atom.args == args for atom, _ in terms), "the order statistics are of different numbers")
    weights = [step.a.zero] * len(args)
    for atom, c in terms:
        weights[atom.data[0]] = c
    step.require(all(x <= y for x, y in pairwise(weights)), "a coefficient falls")
    step.require(weights[0] >= 0 or all(arg.affine for arg in args), "a coefficient is negative")
    step.premises([("convex", arg) for arg in args])


def _spectrum(step: Check) -> None:
    """Weighted eigenvalues of an affine symmetric matrix, singular values of an affine one (von Neumann; Ky Fan)."""
    terms = step.form.terms
    step.require(bool(terms) and all(atom.kind == "spectrum" for atom, _ in terms), "it is no sum of eigenvalues")
    first = terms[0][0]
    kind, _, rows, columns = first.data
    same = all((a.data[0], a.data[2:], a.args) == (kind, first.data[2:], first.args) for a, _ in terms)
    step.require(same and step.form.constant == 0, "the eigenvalues are of different matrices")
    step.require(all(arg.affine and arg.lost is None for arg in first.args), "an entry is not affine")
    weights = {atom.data[1]: c for atom, c in terms}
    row = [weights.get(k, step.a.zero) for k in range(min(rows, columns))]
    if kind == "symmetric":
        entries = [first.args[i * columns : (i + 1) * columns] for i in range(rows)]
        step.require(all(entries[i][j] is entries[j][i] for i in range(rows) for j in range(i)), "it is not symmetric")
        step.require(all(x <= y for x, y in pairwise(row)), "a weight falls")
    else:
        step.require(kind == "singular" and all(x >= y for x, y in pairwise(row)) and row[-1] >= 0, "a weight rises")
    step.premises([])


def _quadratic_form(step: Check) -> None:
    step.require(definite(step, step.form, bordered=False), "the matrix of second derivatives is not semidefinite")
    step.premises([])


GROUPS: Mapping[str, Callable[[Check], None]] = {
    "affine": _affine,
    "groups": _groups,
    "log-sum-exp": _log_sum_exp,
    "log-sum-exps": _log_sum_exps,
    "quadratic form": _quadratic_form,
    "relative entropy": _relative_entropy,
    "spectrum": _spectrum,
    "sum": _sum,
    "sum of largest": _sum_of_largest,
}
"""By rule: the check of a row about several terms."""
