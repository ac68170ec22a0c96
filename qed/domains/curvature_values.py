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
        if atom.kind in ("opaque", "variable"):
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


_COMPARE = {"lt": np.less, "le": np.less_equal, "eq": np.equal}
_NUMPY: dict[str, Callable[[Any, Sequence[Any]], Any]] = {
    "product": lambda data, xs: xs[0] * xs[1],
    "quotient": lambda data, xs: xs[0] / xs[1],
    "max": lambda data, xs: np.maximum.reduce(np.broadcast_arrays(*xs)),
    "log_sum_exp": _log_sum_exp,
    "select": _select,
    "compare": lambda data, xs: _COMPARE[data](xs[0], 0.0).astype(float),
    "spectrum": _spectrum,
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
        raise NoValue(atom.kind)


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
