"""Matrices that are symmetric and definite on the whole box: factors, inverses and solutions, number by number.

Let A(x) be symmetric, its entries affine in x, and positive definite at every point of the box
(`qed.domains.definiteness`). Then in real numbers

    A = L L^T,  L_kk^2 = d_k = det A_k / det A_(k-1)       (A_k: the leading k rows and columns),
    log|det A| = sum log d_k,    (L^-1 b)^T (L^-1 b) = b^T A^-1 b,

however A was factored: P A = L U with pivoting has other L and U, but the same sum of log|U_kk|. So the numbers of a
factor are atoms that vanish again, as soon as a program makes of them what does not depend on the pivoting; what
remains are the pivots d_k, which are concave in A, and the entries of A^-1. A factorisation reads one triangle of its
operand only, or symmetrises it: unless both triangles are the same forms nothing is taken apart. Where A is a constant
matrix of exact numbers all this is done in rational numbers, and A need not be definite.

References: Boyd and Vandenberghe, *Convex Optimization*, 2004, examples 3.1.5, 3.4 and section A.5.5; Golub and
Van Loan, *Matrix Computations*, 4th edition, chapters 3 and 4. Each function is a method of
`qed.domains.curvature.Curvature`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qed.domains import moving
from qed.domains.curvature_limits import objects
from qed.domains.curvature_moves import routed, unknowns
from qed.domains.curvature_terms import Form
from qed.graph import jaxpr
from qed.graph.dtypes import is_real
from qed.graph.tape import Cell, Context, Frame
from qed.graph.walk import Unknown, Walker

Array = np.ndarray
LARGEST = 10
"""The largest matrix that is taken apart."""


def _entries(domain: Any, x: Any) -> tuple[Form, ...] | None:
    """The entries of a square matrix of numbers, row by row, where it is not too large."""
    found = tuple(x.ravel()) if 0 < x.shape[0] == x.shape[1] <= LARGEST else ()
    return found if found and all(isinstance(form, Form) for form in found) else None


def _stacked(rule: Any, domain: Any, x: Any, context: Context) -> Sequence[Any]:
    """A rule for one matrix, applied to each of a stack of them; without a form where one of them has none."""
    stack = x.reshape((-1, *x.shape[-2:]))
    found = [rule(domain, matrix) for matrix in stack]
    if not found or any(each is None for each in found):
        return unknowns(domain, context)
    return tuple(
        objects([form for each in found for form in each[k]], variable.shape)
        for k, variable in enumerate(context.equation.outputs)
    )


def cholesky(domain: Any, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
    """The lower factor of a definite matrix; above its diagonal stands what nobody may read."""
    return _stacked(_cholesky, domain, inputs[0], context)


def _cholesky(domain: Any, matrix: Any) -> Sequence[Sequence[Form]] | None:
    entries, n, a = _entries(domain, matrix), len(matrix), domain.algebra
    if entries is None or not a.definite(entries):
        return None
    places = [(i, j) for i in range(n) for j in range(n)]
    return ([a.factor(entries, n, i, j) if j <= i else domain.opaque((), "cholesky") for i, j in places],)


def lu(domain: Any, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
    """Both factors in one matrix, the pivots, and the permutation, of a matrix that is never singular."""
    return _stacked(_lu, domain, inputs[0], context)


def _lu(domain: Any, matrix: Any) -> Sequence[Sequence[Form]] | None:
    n, a = len(matrix), domain.algebra
    entries = _entries(domain, matrix)
    if entries is None or not a.regular(entries):
        return None
    factors = [a.of(a.atom("lu", (i, j, n), entries)) for i in range(n) for j in range(n)]
    order = [a.of(a.atom("permutation", (i, n), entries)) for i in range(n)]
    pivots = [domain.opaque((), "lu") for _ in range(n)]
    for form in (*order, *pivots):
        a.note(form, 0.0, float(n - 1))
    return factors, pivots, order


def gather(domain: Any, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
    """Elements from places that are known, or in the order in which `lu` exchanged the rows."""
    found = _permuted(domain, inputs, context)
    return routed(domain, inputs, context) if found is None else found


def _permuted(domain: Any, inputs: Sequence[Any], context: Context) -> Sequence[Any] | None:
    """Rows taken in the order of a permutation by `lu`; None where it is something else.

    Which numbers an index chooses between is found by taking each of them everywhere, and which row an output belongs
    to by the permutation that changes nothing.
    """
    equation = context.equation
    which, source = np.ravel(inputs[1]), np.ravel(inputs[0])
    atoms = [form.single[0] if isinstance(form, Form) and form.single is not None else None for form in which]
    first = atoms[0] if atoms else None
    if first is None or first.kind != "permutation" or not is_real(equation.inputs[0].dtype):
        return None
    n, entries = first.data[1], first.args
    same = [a is not None and (a.kind, a.data, a.args) == ("permutation", (i, n), entries) for i, a in enumerate(atoms)]
    whole = all(form.single[1] == 1 for form in which if isinstance(form, Form) and form.single is not None)
    if len(which) != n or not all(same) or not whole or not all(isinstance(form, Form) for form in source):
        return None
    shape, dtype = np.shape(inputs[1]), equation.inputs[1].dtype

    def taken(rows: Array) -> Array | None:
        found = moving.routed(equation, [0], [None, rows.reshape(shape).astype(dtype)])
        return None if found is None else found[0]

    plain = taken(np.arange(n))
    each = [taken(np.full(n, c)) for c in range(n)]
    if plain is None or any(e is None or e.min() < 0 for e in each):
        return None
    a = domain.algebra
    flat = []
    for place in np.ndindex(plain.shape):
        choices = [int(e[place]) for e in each if e is not None]
        if len(set(choices)) != n or int(plain[place]) not in choices:
            return None
        row = choices.index(int(plain[place]))
        flat.append(a.of(a.atom("permuted", (row, n), (*entries, *(source[c] for c in choices)))))
    return (objects(flat, plain.shape),)


def triangular_solve(domain: Any, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
    """A step of solving A x = b with a factor of A."""
    if not all(isinstance(form, Form) for x in inputs for form in x.ravel()):
        return unknowns(domain, context)
    left, right = (x.reshape((-1, *x.shape[-2:])) for x in inputs)
    found = [_solved(domain, a, b, context.equation.params) for a, b in zip(left, right, strict=True)]
    if not found or any(each is None for each in found):
        return unknowns(domain, context)
    return (np.stack([each for each in found if each is not None]).reshape(inputs[1].shape),)


def _solved(domain: Any, square: Array, right: Array, params: Any) -> Array | None:
    """X with T X = B or X T = B for one matrix T."""
    lower = bool(params["lower"])
    if bool(params["transpose_a"]) == bool(params["left_side"]):
        square, lower = square.T, not lower
    columns = right.T if params["left_side"] else right
    solved = [_step(domain, square, lower, bool(params["unit_diagonal"]), list(column)) for column in columns]
    if any(column is None for column in solved):
        return None
    found = objects([form for column in solved if column is not None for form in column], columns.shape)
    return found.T if params["left_side"] else found


def _step(domain: Any, square: Array, lower: bool, unit: bool, column: list[Form]) -> list[Form] | None:
    """The solution of T x = b for a factor T and one column b, or None."""
    n, a = len(square), domain.algebra
    if n == 1:
        return column if unit else [a.divide(column[0], square[0, 0])]
    corner = square[n - 1, 0] if lower else square[0, n - 1]
    atom = corner.single[0] if corner.single is not None else None
    if atom is None or atom.kind not in ("cholesky", "lu") or atom.data[2] != n:
        return None
    entries, kind = atom.args, atom.kind

    def is_factor(turned: bool) -> bool:
        """Whether the triangle holds the factor's numbers (i, j), or with `turned` (j, i)."""
        for i in range(n):
            for j in range(n):
                if (j > i if lower else j < i) or (unit and i == j):
                    continue
                place = (j, i) if turned else (i, j)
                wanted = (
                    a.factor(entries, n, *place) if kind == "cholesky" else a.of(a.atom("lu", (*place, n), entries))
                )
                if square[i, j] is not wanted:
                    return False
        return True

    def step(name: str) -> tuple[Form, ...] | None:
        """The b of a column that is the given step of it."""
        atoms = [form.single[0] if form.single is not None and form.single[1] == 1 else None for form in column]
        rest = atoms[0].args[n * n :] if atoms[0] is not None and atoms[0].kind == name else None
        if rest is None:
            return None
        wanted = [(name, (i, n), (*entries, *rest)) for i in range(n)]
        found = [None if x is None else (x.kind, x.data, x.args) for x in atoms]
        return rest if found == wanted else None

    made = lambda name, b: [a.of(a.atom(name, (i, n), (*entries, *b))) for i in range(n)]  # noqa: E731
    if kind == "cholesky" and lower and not unit and is_factor(turned=False):
        return made("whitened", column)
    if kind == "cholesky" and not lower and not unit and is_factor(turned=True):
        b = step("whitened")
        return None if b is None else _solution(domain, entries, n, b)
    if kind == "lu" and lower and unit and is_factor(turned=False):
        b = step("permuted")
        return None if b is None else made("forward", b)
    if kind == "lu" and not lower and not unit and is_factor(turned=False):
        b = step("forward")
        return None if b is None else _solution(domain, entries, n, b)
    return None


def _solution(domain: Any, entries: tuple[Form, ...], n: int, b: Sequence[Form]) -> list[Form]:
    """A^-1 b, number by number."""
    a = domain.algebra
    rows = a.inverted(entries, n)
    domain.done += n * n
    return [a.combine([(a.multiply(x, form), a.one) for x, form in zip(row, b, strict=True)]) for row in rows]


def linear_solve(domain: Any, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
    """What the solver that a program attached to a linear system makes of its right-hand side."""
    equation = context.equation
    if equation.native is None:
        return unknowns(domain, context)
    parts = jaxpr.linear_solve(equation.native)
    start = 0
    for name, (_, count) in parts.items():
        if name == "solve":
            break
        start += count
    graph, count = parts["solve"]
    if graph is None:
        return unknowns(domain, context)
    chosen = [*range(start, start + count), *range(sum(c for _, c in parts.values()), len(inputs))]
    atoms = [equation.inputs[k] for k in chosen]
    cells = [Cell((inputs[k],), atom.shape, atom.dtype) for k, atom in zip(chosen, atoms, strict=True)]
    found = [cell.values[0] for cell in Walker([domain]).walk(graph, cells, Frame(graph, context.frame, equation))]
    return unknowns(domain, context) if any(isinstance(value, Unknown) for value in found) else tuple(found)
