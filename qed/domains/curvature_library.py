"""Products, orders and spectra of arrays of forms: equations that combine many numbers to one.

A matrix product is taken apart into sums of products; a sorted array into order statistics; eigenvalues and singular
values into atoms of all entries, of which some sums are convex (Ky Fan; Boyd and Vandenberghe, *Convex Optimization*,
2004, section 3.1.5). Each function is a method of `qed.domains.curvature.Curvature`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from qed.domains.contraction import of_product
from qed.domains.curvature_cases import of_integers
from qed.domains.curvature_limits import fold, objects
from qed.domains.curvature_moves import cumulated, reduced, unknowns
from qed.domains.curvature_terms import Form
from qed.domains.windows import pooled
from qed.graph.dtypes import is_real
from qed.graph.walk import Context

Array = np.ndarray
LARGEST = 10
"""Up to which size eigenvalues are known to be positive where a matrix is definite."""


class TooMany(Exception):
    """A program has more numbers than the domain takes apart."""


def bilinear(domain: Any, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
    """Products of arrays, as sums of products."""
    equation = context.equation
    forms = of_product(equation)
    if forms is None:
        return unknowns(domain, context)
    left, right = np.asarray(inputs[0], object), np.asarray(inputs[1], object)
    if not all(isinstance(form, Form) for x in (left, right) for form in x.ravel()):
        return unknowns(domain, context)
    if not left.size or not right.size:
        return (domain.numbers(np.zeros(equation.outputs[0].shape)),)
    a, b = forms[0](left), forms[1](right)
    if equation.primitive == "conv_general_dilated":  # windows reach into the padding
        zero = domain.algebra.number(0)
        a = objects([form if isinstance(form, Form) else zero for form in a.ravel()], a.shape)
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    found = np.empty((*lead, a.shape[-2], b.shape[-1]), object)
    domain.done += found.size * a.shape[-1]
    if domain.done > domain.limit:
        raise TooMany
    a, b = np.broadcast_to(a, (*lead, *a.shape[-2:])), np.broadcast_to(b, (*lead, *b.shape[-2:]))
    for place in np.ndindex(found.shape):
        row, column = a[(*place[:-2], place[-2])], b[(*place[:-2], slice(None), place[-1])]
        found[place] = _scalar_product(domain, row, column)
    return (forms[2](found),)


def _scalar_product(domain: Any, row: Array, column: Array) -> Form:
    pairs = []
    for x, y in zip(row, column, strict=True):
        if not x.terms:
            pairs.append((y, x.constant))
        elif not y.terms:
            pairs.append((x, y.constant))
        else:
            pairs.append((domain.algebra.multiply(x, y), domain.algebra.one))
    return domain.algebra.total([(form, c) for form, c in pairs if c != 0 or _dropped(domain, form)])


def _dropped(domain: Any, form: Form) -> bool:
    domain.algebra.drop(form.lost)
    return False


def reduce(domain: Any, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
    """Extremes, products, sorted arrays."""
    name, a, x = context.equation.primitive, domain.algebra, inputs[0]
    extremes = {"max": a.maximum, "min": a.minimum}
    if name in ("reduce_max", "reduce_min") and all(isinstance(form, Form) for form in x.ravel()) and x.size:
        return (reduced(domain, lambda row: extremes[name[-3:]](row), x, context),)
    if name in ("reduce_window_max", "reduce_window_min"):
        return (_windows(domain, extremes[name[-3:]], x, context),)
    if name in ("argmax", "argmin"):
        return (_position(domain, name, x, context),)
    if name == "reduce_prod":
        return (reduced(domain, lambda row: fold(a.multiply, row) if row else a.number(1), x, context),)
    if name in ("cummax", "cummin"):
        return (cumulated(domain, lambda u, v: extremes[name[-3:]]((u, v)), x, context),)
    if name == "cumprod":
        return (cumulated(domain, a.multiply, x, context),)
    if name == "cumlogsumexp":
        return (cumulated(domain, lambda u, v: a.log_sum_exp([(a.one, u), (a.one, v)]), x, context),)
    if name == "sort" and len(inputs) == 1:
        return (_along(domain, partial(_ordered, domain), x, context.equation.params["dimension"]),)
    if name == "top_k" and all(isinstance(form, Form) for form in x.ravel()):
        k, axis = int(context.equation.params["k"]), int(context.equation.params.get("axis", -1))
        return (_along(domain, lambda row: _ordered(domain, row)[::-1][:k], x, axis), unknowns(domain, context)[0])
    return unknowns(domain, context)


def _position(domain: Any, name: str, x: Array, context: Context) -> Any:
    """The place of the largest, or smallest, of integers that conditions decide."""
    if is_real(context.equation.inputs[0].dtype):
        return unknowns(domain, context)[0]
    (axis,) = context.equation.params["axes"]
    lines = np.moveaxis(x, axis, -1)
    rows = [list(row) for row in lines.reshape((-1, lines.shape[-1]))]
    good = all(isinstance(form, Form) for form in x.ravel())
    made = [of_integers(domain.algebra, name, row) for row in rows] if good else [None]
    if any(form is None for form in made):
        return unknowns(domain, context)[0]
    return objects(made, context.equation.outputs[0].shape)


def _windows(domain: Any, rule: Any, x: Array, context: Context) -> Any:
    """The largest, or smallest, number of every window; padding is no candidate."""
    index = pooled(context.equation.inputs[0].shape, context.equation.params)
    flat = np.ravel(x).tolist()
    rows = [[flat[i] for i in row if i >= 0] for row in index.reshape((-1, index.shape[-1]))]
    if not all(row and all(isinstance(form, Form) for form in row) for row in rows):
        return unknowns(domain, context)[0]
    return objects([rule(row) for row in rows], context.equation.outputs[0].shape)


def eigenvalues(domain: Any, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
    """The eigenvalues of a symmetric matrix, smallest first; its vectors have no rule."""
    x, params = inputs[0], context.equation.params
    symmetric = x.ndim == 2 and all(x[i, j] is x[j, i] for i in range(len(x)) for j in range(i))
    if symmetric and len(x) <= LARGEST and all(isinstance(form, Form) for form in x.ravel()):
        domain.algebra.definite(tuple(x.ravel()))
    if not symmetric or not params.get("sort_eigenvalues", True) or params.get("subset_by_index") is not None:
        return unknowns(domain, context)
    return _spectrum(domain, x, "symmetric", len(x), context)


def singular_values(domain: Any, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
    """The singular values of a matrix, largest first."""
    x, params = inputs[0], context.equation.params
    if x.ndim != 2 or params.get("subset_by_index") is not None:
        return unknowns(domain, context)
    return _spectrum(domain, x, "singular", min(x.shape), context)


def _spectrum(domain: Any, x: Array, kind: str, count: int, context: Context) -> Sequence[Any]:
    a, args = domain.algebra, tuple(x.ravel())
    if not all(isinstance(form, Form) for form in args) or not count:
        return unknowns(domain, context)
    values = objects([a.of(a.atom("spectrum", (kind, k, *x.shape), args)) for k in range(count)], (count,))
    lost = unknowns(domain, context)
    return tuple(values if v.shape == (count,) else u for v, u in zip(context.equation.outputs, lost, strict=True))


def _along(domain: Any, rule: Any, x: Array, axis: int) -> Array:
    if not x.size:
        return x
    lines = np.moveaxis(x, axis, -1)
    rows = [rule(list(row)) for row in lines.reshape((-1, lines.shape[-1]))]
    size = len(rows[0]) if rows else 0
    flat = objects([form for row in rows for form in row], (*lines.shape[:-1], size))
    return np.moveaxis(flat, -1, axis)


def _ordered(domain: Any, row: list[Any]) -> list[Any]:
    """The order statistics, smallest first."""
    a = domain.algebra
    if not all(isinstance(form, Form) for form in row):
        return [domain.opaque([f for f in row if isinstance(f, Form)], "sort") for _ in row]
    return a.ordered(row)
