"""Values of forms at points: in float64 for many points at once, to search with; in balls, to be sure.

The float64 values prove nothing. In balls (python-flint) a form is evaluated as it stands, which compares it with the
graph that it was made from: the identities of `qed.domains.curvature_algebra` are tested at every proof.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from qed.domains.curvature_terms import Atom, Form
from qed.domains.precision import flint

UNVALUED = ("forward", "lu", "opaque", "permutation", "permuted", "variable")
"""Kinds of atoms without a value of their own: what an exchange of rows in a factorisation decides, among others."""


class NoValue(Exception):
    """A form holds an atom of which only a range is known."""


class Values:
    """Float64 values of forms at many points.

    >>> import numpy as np
    >>> from qed.domains.curvature_algebra import Algebra
    >>> from qed.domains.curvature_values import Values
    >>> a = Algebra()
    >>> x = a.variable(0, "x", (0.0, 2.0))
    >>> Values({x.terms[0][0]: np.array([0.0, 2.0])}).of(a.unary("square", x)).tolist()
    [0.0, 4.0]
    """

    def __init__(self, points: dict[Atom, Any]) -> None:
        self._memo: dict[Atom, Any] = dict(points)
        self._shared: dict[Any, Any] = {}

    def number(self, c: Any) -> Any:
        """A rational number."""
        return int(c.p) / int(c.q)

    def of(self, form: Form) -> Any:
        """The values of a form."""
        total = self.number(form.constant)
        for atom, c in form.terms:
            value = self._atom(atom)
            total = total + (value if c == 1 else self.number(c) * value)
        return total

    def _atom(self, atom: Atom) -> Any:
        if atom not in self._memo:
            self._memo[atom] = self._computed(atom, [self.of(form) for form in atom.args])
        return self._memo[atom]

    def _computed(self, atom: Atom, xs: Sequence[Any]) -> Any:
        if atom.kind in UNVALUED:
            raise NoValue(atom.name)
        return self.compute(atom, xs)

    def compute(self, atom: Atom, xs: Sequence[Any]) -> Any:
        """The value of an atom at values of its operands."""
        if atom.kind == "unary":
            return atom.data.numpy(xs[0])
        if atom.kind == "number":
            return atom.lower / 2 + atom.upper / 2
        return _NUMPY[atom.kind](atom.data, xs)


def _log_sum_exp(weights: Any, xs: Sequence[Any]) -> Any:
    rows = np.array([x + np.log(int(w.p) / int(w.q)) for w, x in zip(weights, np.broadcast_arrays(*xs), strict=True)])
    top = rows.max(0)
    return top + np.log(np.exp(rows - top).sum(0))


def _select(data: Any, xs: Sequence[Any]) -> Any:
    return np.where(np.asarray(xs[0]) > 0.5, xs[2], xs[1])


def _spectrum(data: Any, xs: Sequence[Any]) -> Any:
    kind, k, rows, columns = data
    matrices = np.stack(np.broadcast_arrays(*xs), -1)
    matrices = matrices.reshape((*matrices.shape[:-1], rows, columns))
    if kind == "singular":
        return np.linalg.svd(matrices, compute_uv=False)[..., k]
    return np.linalg.eigvalsh(matrices)[..., k]


def _entry(kind: str) -> Callable[[Any, Sequence[Any]], Any]:
    """A number of the inverse, of the Cholesky factor, or of L^-1 b, of many matrices."""

    def value(data: Any, xs: Sequence[Any]) -> Any:
        n = data[-1]
        wide = np.stack(np.broadcast_arrays(*xs), -1)
        matrices, right = wide[..., : n * n].reshape((*wide.shape[:-1], n, n)), wide[..., n * n :, None]
        try:
            if kind == "inverse":
                return np.linalg.inv(matrices)[..., data[0], data[1]]
            factor = np.linalg.cholesky(matrices)
            return (
                factor[..., data[0], data[1]] if kind == "cholesky" else np.linalg.solve(factor, right)[..., data[0], 0]
            )
        except np.linalg.LinAlgError:
            return np.full(wide.shape[:-1], np.nan)

    return value


def _pivot(data: Any, xs: Sequence[Any]) -> Any:
    n = data[0]
    matrices = np.stack(np.broadcast_arrays(*xs), -1)
    matrices = matrices.reshape((*matrices.shape[:-1], n, n))
    with np.errstate(all="ignore"):  # determinants of huge or tiny entries leave the range: no value then
        return np.linalg.det(matrices) / np.linalg.det(matrices[..., : n - 1, : n - 1])


_COMPARE = {"lt": np.less, "le": np.less_equal, "eq": np.equal}
_NUMPY: dict[str, Callable[[Any, Sequence[Any]], Any]] = {
    "product": lambda data, xs: xs[0] * xs[1],
    "quotient": lambda data, xs: xs[0] / xs[1],
    "max": lambda data, xs: np.maximum.reduce(np.broadcast_arrays(*xs)),
    "log_sum_exp": _log_sum_exp,
    "select": _select,
    "compare": lambda data, xs: _COMPARE[data](xs[0], 0.0).astype(float),
    "cholesky": _entry("cholesky"),
    "inverse": _entry("inverse"),
    "pivot": _pivot,
    "spectrum": _spectrum,
    "whitened": _entry("whitened"),
    "order": lambda data, xs: np.sort(np.array(np.broadcast_arrays(*xs)), 0)[data[0]],
}


class BallValues(Values):
    """Enclosures of forms at a point, in balls of the precision in force."""

    def number(self, c: Any) -> Any:
        """A rational number."""
        return flint().arb(c)

    def compute(self, atom: Atom, xs: Sequence[Any]) -> Any:
        """The value of an atom at values of its operands."""
        arb = flint().arb
        match atom.kind:
            case "unary":
                return atom.data.ball(xs[0])
            case "number":
                return arb(atom.lower).union(arb(atom.upper))
            case "product":
                return xs[0] * xs[1]
            case "quotient":
                return xs[0] / xs[1]
            case "max":
                top = xs[0]
                for x in xs[1:]:
                    top = top.max(x)
                return top
            case "log_sum_exp":
                total = arb(0)
                for w, x in zip(atom.data, xs, strict=True):
                    total = total + arb(w) * x.exp()
                return total.log()
            case "compare":
                holds = {"lt": xs[0] < 0, "le": xs[0] <= 0, "eq": xs[0] == 0}[atom.data]
                fails = {"lt": xs[0] >= 0, "le": xs[0] > 0, "eq": xs[0] != 0}[atom.data]
                return arb(1) if holds else arb(0) if fails else arb(0).union(arb(1))
            case "select":
                return xs[2] if xs[0] == 1 else xs[1] if xs[0] == 0 else xs[1].union(xs[2])
            case "order":
                return _ranked(xs, atom.data[0])
            case "spectrum":
                return _eigenvalue(atom.data, xs)
            case "pivot" | "inverse" | "cholesky" | "whitened":
                return self._of_matrix(atom, xs)
        raise NoValue(atom.kind)

    def _of_matrix(self, atom: Atom, xs: Sequence[Any]) -> Any:
        """A number of a factor or of the inverse; what all entries of one matrix share is computed once."""
        n = atom.data[-1]
        key = (atom.kind, atom.args)
        if key not in self._shared:
            matrix = flint().arb_mat(n, n, list(xs[: n * n]))
            if atom.kind == "pivot":
                smaller = flint().arb_mat(n - 1, n - 1, [xs[i * n + j] for i in range(n - 1) for j in range(n - 1)])
                self._shared[key] = matrix.det() / smaller.det()
            elif atom.kind == "inverse":
                self._shared[key] = _solved(
                    matrix, flint().arb_mat(n, n, [int(i == j) for i in range(n) for j in range(n)])
                )
            else:
                factor = _cholesky(matrix, n)
                right = flint().arb_mat(n, 1, list(xs[n * n :])) if atom.kind == "whitened" else None
                self._shared[key] = factor if right is None else _solved(factor, right)
        found = self._shared[key]
        return found if atom.kind == "pivot" else found[atom.data[0], 0 if atom.kind == "whitened" else atom.data[1]]


def _solved(matrix: Any, right: Any) -> Any:
    try:
        return matrix.solve(right)
    except ZeroDivisionError:
        message = "a matrix that may be singular"
        raise NoValue(message) from None


def _cholesky(matrix: Any, n: int) -> Any:
    """The lower factor, row by row; a root of what may be negative is no number."""
    found = flint().arb_mat(n, n)
    for i in range(n):
        for j in range(i + 1):
            rest = matrix[i, j]
            for k in range(j):
                rest = rest - found[i, k] * found[j, k]
            found[i, j] = rest.sqrt() if i == j else rest / found[j, j]
    return found


def _ranked(xs: Sequence[Any], k: int) -> Any:
    """The k-th smallest of several balls."""
    lower = sorted((x.lower() for x in xs), key=float)[k]
    upper = sorted((x.upper() for x in xs), key=float)[k]
    return lower.union(upper)


def _eigenvalue(data: Any, xs: Sequence[Any]) -> Any:
    """The k-th eigenvalue of a symmetric matrix of balls; of A^T A for the k-th largest singular value of A."""
    kind, k, rows, columns = data
    matrix = flint().arb_mat(rows, columns, list(xs))
    if kind == "singular":
        matrix = matrix.transpose() * matrix
    try:
        found = [value.real for value in flint().acb_mat(matrix).eig(multiple=True)]
    except ValueError:
        message = "eigenvalues"
        raise NoValue(message) from None
    if kind == "symmetric":
        return _ranked(found, k)
    square = _ranked([-value for value in found], k)
    return (-square).nonnegative_part().sqrt()
