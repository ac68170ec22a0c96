"""Functions of a symmetric definite matrix A, affine in the variables: pivots, w^T A^-1 w, functions of eigenvalues.

A pivot d_k = a - v^T A_(k-1)^-1 v of elimination is concave, since v^T B^-1 v is jointly convex in v and B > 0 (Boyd
and Vandenberghe, *Convex Optimization*, 2004, example 3.4). A sum of terms u v (A^-1)_ij with affine u, v is the sum of
g_bc u_b u_c (A^-1)_(i_b i_c) over basis elements b = (i, u); where the matrix of the g_bc is positive semidefinite, it
is a sum of w^T A^-1 w with affine vectors w, hence convex. A convex function of all eigenvalues of a symmetric matrix
that does not depend on their order is convex in the matrix (Davis, "All convex invariant functions of hermitian
matrices", 1957); of the singular values, if it does not fall in any of them (Lewis, "The convex analysis of unitarily
invariant matrix functions", 1995).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qed.calculus.shapes.powers import times_its_logarithm
from qed.calculus.shapes.signs import signs
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_proof import Step
from qed.domains.curvature_quadratics import direction_below
from qed.domains.curvature_terms import Atom, Form

if TYPE_CHECKING:
    from qed.calculus.shapes.rules import Rules

Terms = Sequence[tuple[Atom, Any]]
Known = dict[int, Step | None]
Groups = list[tuple[Form, Step]]
Piece = tuple[Any, tuple[Form, ...], Atom]
"""Coefficient, affine factors, entry of the inverse."""


def pivot(rules: Rules, form: Form, atom: Atom, sign: int) -> Step | None:
    """Minus a pivot of elimination."""
    good = sign < 0 and all(arg.affine for arg in atom.args) and rules.a.definite(atom.args)
    return Step("convex", form, "pivot", (), (), atom.place) if good else None


def fractions(rules: Rules, parts: Terms, steps: Known) -> Groups:
    """Terms with entries of one inverse, together."""
    families: dict[tuple[Form, ...], list[tuple[Atom, Any, list[Piece]]]] = {}
    for atom, c in parts:
        pieces = expanded(rules.a, atom)
        if pieces:
            families.setdefault(pieces[0][2].args, []).append((atom, c, pieces))
    found = []
    for entries, members in families.items():
        if all(steps.get(atom.index) is not None for atom, _, _ in members) or not rules.a.definite(entries):
            continue
        if not all(form.affine for form in entries):
            continue
        whole = [(c * k, factors, inverse) for _, c, pieces in members for k, factors, inverse in pieces]
        if direction_below(gram(rules.a, whole), rules.a.zero) is None:
            group = rules.a.form([(atom, c) for atom, c, _ in members], rules.a.zero)
            found.append((group, Step("convex", group, "matrix fraction", (), (), members[0][0].place)))
    return found


def expanded(a: Algebra, atom: Atom) -> list[Piece] | None:
    """A product as a sum of c u v (A^-1)_ij with at most two affine factors, all of one A; None where it is none."""
    if atom.kind == "inverse":
        return [(a.one, (), atom)]
    if atom.kind != "product":
        return None
    for u, v in (atom.args, atom.args[::-1]):
        if not u.affine or v.constant != 0:
            continue
        inner = [(c, expanded(a, each)) for each, c in v.terms]
        if not inner or any(pieces is None for _, pieces in inner):
            continue
        found = [(c * k, (u, *factors), i) for c, pieces in inner for k, factors, i in pieces or ()]
        if all(len(factors) <= 2 and i.args == found[0][2].args for _, factors, i in found):
            return found
    return None


def gram(a: Algebra, pieces: Sequence[Piece]) -> list[list[Any]]:
    """The matrix of the g_bc: which of two factors belongs to i and which to j follows from the squares that occur."""
    one = a.number(1)
    normal = []
    for c, factors, inverse in pieces:
        wide = [*factors, one, one][:2]
        (u, m), (v, k) = (a.normalised(form) if form.terms else (form, a.one) for form in wide)
        normal.append((c * m * k, u, v, inverse.data[0], inverse.data[1]))
    squares = {(i, id(u)) for _, u, v, i, j in normal if i == j and u is v}
    places: dict[tuple[int, int], int] = {}
    entries: dict[tuple[int, int], Any] = {}
    for c, u, v, i, j in normal:
        if (i, id(u)) not in squares or (j, id(v)) not in squares:
            u, v = v, u
        p, q = (places.setdefault(key, len(places)) for key in ((i, id(u)), (j, id(v))))
        for place in ((p, q), (q, p)):
            entries[place] = entries.get(place, a.zero) + c / 2
    return [[entries.get((p, q), a.zero) for q in range(len(places))] for p in range(len(places))]


# --- eigenvalues and singular values ------------------------------------------------------------------------------


def of_spectrum(rules: Rules, parts: Terms, steps: Known) -> Groups:
    """The same convex function of every eigenvalue, added up; log-sum-exp of all."""
    a = rules.a
    families: dict[Any, list[tuple[Atom, Any]]] = {}
    entropies: dict[Any, list[tuple[Atom, Any]]] = {}
    found = []
    for atom, c in parts:
        scaled = one_eigenvalue(atom.args[0]) if atom.kind == "unary" else None
        if scaled is not None:
            each, k, constant = scaled
            key = (atom.data, c, each.data[0], each.data[2:], each.args, k, constant)
            families.setdefault(key, []).append((atom, c))
        own = times_its_logarithm(atom)
        if own is not None and c > 0 and a.nonnegative(own) and one_eigenvalue(own) is not None:
            entropies.setdefault((c, own.terms[0][0].data[2:], own.terms[0][0].args), []).append((atom, c))
        if atom.kind == "log_sum_exp" and c > 0 and steps.get(atom.index) is None:
            found += _log_sum_exp(a, atom, c, parts)
    for (card, c, kind, shape, args, k, _), members in families.items():
        if len(members) != min(shape) or not all(arg.affine for arg in args):
            continue
        if all(steps.get(atom.index) is not None for atom, _ in members) or card.name == "abs":
            continue
        bounds = [signs(rules, card, atom.args[0]) for atom, _ in members]
        if _bends(bounds, c > 0) and (kind == "symmetric" or _rises(bounds, (c > 0) == (k > 0))):
            group = a.form(members, a.zero)
            found.append((group, Step("convex", group, "function of the spectrum", (), (), members[0][0].place)))
    for members in entropies.values():
        group = a.form(members, a.zero)
        if is_von_neumann(group):
            found.append((group, Step("convex", group, "function of the spectrum", (), (), members[0][0].place)))
    return found


def is_von_neumann(form: Form) -> bool:
    """Whether it is c times the sum of l log l over all eigenvalues l of one affine symmetric matrix."""
    eigenvalues = [times_its_logarithm(atom) for atom, _ in form.terms]
    first = eigenvalues[0].single if eigenvalues[0] is not None else None
    if first is None or first[0].kind != "spectrum" or first[0].data[0] != "symmetric":
        return False
    matrix = first[0].args
    found = {u.single[0].data[1] for u in eigenvalues if u is not None and u.single is not None and u.single[1] == 1}
    same = all(u is not None and u.terms[0][0].args == matrix for u in eigenvalues)
    good = same and form.constant == 0 and len({c for _, c in form.terms}) == 1
    return good and found == set(range(first[0].data[2])) and all(entry.affine for entry in matrix)


def _bends(bounds: Sequence[Any], up: bool) -> bool:
    return all(b is not None and (b[1][0] >= 0 if up else b[1][1] <= 0) for b in bounds)


def _rises(bounds: Sequence[Any], up: bool) -> bool:
    return all(b is not None and (b[0][0] >= 0 if up else b[0][1] <= 0) for b in bounds)


def one_eigenvalue(form: Form) -> tuple[Atom, Any, Any] | None:
    """(atom, k, c) of a form k * eigenvalue + c."""
    if len(form.terms) != 1 or form.terms[0][0].kind != "spectrum":
        return None
    return form.terms[0][0], form.terms[0][1], form.constant


def _log_sum_exp(a: Algebra, atom: Atom, k: Any, parts: Terms) -> Groups:
    """k log-sum-exp(u_i) + rest, where the u_i + rest/k are the same multiple of all eigenvalues."""
    rest = [(each, c / k) for each, c in parts if each.kind == "spectrum"]
    for chosen in ([], *([pair] for pair in rest)):
        moved = a.form(chosen, a.zero)
        if same_multiples([a.add(arg, moved) for arg in atom.args], atom.data):
            group = a.combine(((a.of(atom), k), (moved, k)))
            return [(group, Step("convex", group, "function of the spectrum", (), (), atom.place))]
    return []


def same_multiples(exponents: Sequence[Form], weights: Sequence[Any]) -> bool:
    """Whether exponents of one weight are k * eigenvalue + c for all eigenvalues of one affine matrix."""
    scaled = [one_eigenvalue(form) for form in exponents]
    first = scaled[0]
    if first is None or any(w != weights[0] for w in weights) or not all(arg.affine for arg in first[0].args):
        return False
    atom, k, c = first
    kind, _, rows, columns = atom.data
    if kind == "singular" and k < 0:
        return False
    wanted = {(kind, i, rows, columns) for i in range(min(rows, columns))}
    same = all(s is not None and s[0].args == atom.args and (s[1], s[2]) == (k, c) for s in scaled)
    return same and len(scaled) == len(wanted) and {s[0].data for s in scaled if s is not None} == wanted
