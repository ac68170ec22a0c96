"""Series of primitives that choose among elements, multiply along axes, or have no rule but JAX's own derivative.

A maximum, a sort or a pooling takes whole elements; which ones is decided at t = 0, and as long as that does not change
the primitive is linear: every coefficient goes the way of the first derivative there,

    (select(u))_k = D select(u_0) u_k,

at a tie with the weights that JAX gives it. A product along an axis is a tree of products of series; a cumulative one
an associative scan of them. Where only JAX's own derivative exists, the k-th coefficient is the k-times nested
derivative of t -> f(u(t)) over k!.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.domains.coefficients import Coefficients, Lost
from qed.domains.enclosures import Enclosures, moved
from qed.domains.series import SeriesArithmetic, convolve
from qed.graph import jaxpr
from qed.graph.dtypes import is_inexact
from qed.graph.graph import Equation
from qed.graph.tape import Context

if TYPE_CHECKING:
    from qed.domains.taylor import Series, Taylor


def native(domain: Taylor, context: Context) -> Any:
    """The JAX equation; Lost where the coefficients are no JAX arrays."""
    if not domain.numbers.native or context.equation.native is None:
        raise Lost
    return context.equation.native


def gather_with_zeros(numbers: Coefficients) -> Callable[..., Any]:
    """How a gather is applied to coefficients: what lies outside of the array contributes zero."""

    def apply(equation: Equation, row: Sequence[Any], context: Context) -> tuple[Any, ...]:
        if not numbers.native or equation.native is None or "fill_value" not in equation.native.params:
            return numbers.apply(equation, row, context)
        return jaxpr.bind(equation.native, row, fill_value=0)

    return apply


def declared_linear(domain: Taylor, xs: Sequence[Series], context: Context) -> Sequence[Series]:
    """`linear_call`: linear in its last operands, for constant residuals before them."""
    params = context.equation.params
    residuals = len(xs) - len(params["callee"].in_avals) + params.get("num_res", 0) if "callee" in params else None
    count = params.get("num_res", residuals)
    if count is None or any(x.moves for x in xs[:count]):
        raise Lost
    return domain.by_coefficient(xs, [i >= count for i in range(len(xs))], context)


def chosen(domain: Taylor, xs: Sequence[Series], context: Context) -> list[Series]:
    """Every coefficient through the derivative of the choice at the leading one."""
    if not domain.numbers.native:
        return _decided(domain, xs, context)
    equation = native(domain, context)
    moving = [i for i, x in enumerate(xs) if x.moves]
    floats = [j for j, v in enumerate(context.equation.outputs) if is_inexact(v.dtype)]
    leading = [x.leading for x in xs]

    def select(*values: Any) -> list[Any]:
        full = list(leading)
        for i, value in zip(moving, values, strict=True):
            full[i] = value
        outs = jaxpr.bind(equation, full)
        return [outs[j] for j in floats]

    first = jaxpr.bind(equation, leading)
    rows: list[list[Any]] = [[value] for value in first]
    if not floats:
        return [domain.series(row) for row in rows]
    _, along = _linearised(select, [leading[i] for i in moving])
    for k in range(1, domain.order + 1):
        terms = [xs[i].terms[k] for i in moving]
        there = any(term is not None for term in terms)
        tangents = [jnp.zeros_like(leading[i]) if t is None else t for i, t in zip(moving, terms, strict=True)]
        outs = along(*tangents) if there else [None] * len(floats)
        for j, out in zip(floats, outs, strict=True):
            rows[j].append(out)
    return [domain.series(row) for row in rows]


def _decided(domain: Taylor, xs: Sequence[Series], context: Context) -> list[Series]:
    """Maxima, minima and orders of enclosures, where it is decided which element comes first."""
    primitive, numbers = context.equation.primitive, domain.numbers
    if primitive in ("sort", "top_k") and isinstance(numbers, Enclosures):
        return _ordered(domain, numbers, xs, context)
    if primitive not in ("reduce_max", "reduce_min") or not isinstance(numbers, Enclosures):
        raise Lost
    (x,), axes = xs, tuple(context.equation.params["axes"])
    kept = [i for i in range(x.leading.ndim) if i not in axes]
    shape = tuple(x.leading.shape[i] for i in kept)

    def flat(a: Any) -> Any:
        return np.transpose(a, (*kept, *axes)).reshape((*shape, -1))

    rows = [moved(term, flat) for term in x.terms]
    best = numbers.winner(rows[0], -1, primitive == "reduce_max")
    return [domain.series([moved(row, lambda a: np.take_along_axis(a, best, -1)[..., 0]) for row in rows])]


def _ordered(domain: Taylor, numbers: Enclosures, xs: Sequence[Series], context: Context) -> list[Series]:
    """Rows in the order of their keys, which is the same on the whole segment."""
    params, outputs = context.equation.params, context.equation.outputs
    descending = context.equation.primitive == "top_k"
    axis = (params.get("axis", -1) if descending else params["dimension"]) % xs[0].leading.ndim
    if not descending and params["num_keys"] != 1:
        raise Lost
    order = numbers.order(xs[0].leading, axis, descending)
    if descending:
        order = np.take(order, np.arange(params["k"]), axis)
    rows = [domain.series([moved(t, lambda a: np.take_along_axis(a, order, axis)) for t in x.terms]) for x in xs]
    if descending:
        rows.append(domain.series([numbers.certain(numbers.enclosing.lift(order), outputs[1])]))
    return rows


def _linearised(fun: Callable[..., Any], at: Sequence[Any]) -> tuple[Any, Callable[..., Any]]:
    try:
        return jax.linearize(fun, *at)
    except (NotImplementedError, ValueError, TypeError) as error:
        raise Lost(why="JAX has no derivative of") from error


def nested(domain: Taylor, xs: Sequence[Series], context: Context) -> list[Series]:
    """The k-th derivative of t -> f(u(t)) by k nested derivatives, over k!."""
    equation = native(domain, context)
    floats = [j for j, v in enumerate(context.equation.outputs) if is_inexact(v.dtype)]
    rows: list[list[Any]] = [[value] for value in jaxpr.bind(equation, [x.leading for x in xs])]
    real = jnp.zeros((), next(v.dtype for v in context.equation.outputs if is_inexact(v.dtype))).real.dtype

    def curve(t: Any) -> list[Any]:
        outs = jaxpr.bind(equation, [_horner(x.terms, t) for x in xs])
        return [outs[j] for j in floats]

    derivative = curve
    try:
        for k in range(1, domain.order + 1):
            derivative = _derivative(derivative)
            for j, out in zip(floats, derivative(jnp.zeros((), real)), strict=True):
                rows[j].append(out / math.factorial(k))
    except (NotImplementedError, ValueError, TypeError) as error:
        raise Lost(why="JAX has no derivative of that order of") from error
    return [domain.series(row) for row in rows]


def _derivative(fun: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda t: jax.jvp(fun, (t,), (jnp.ones_like(t),))[1]


def _horner(terms: Sequence[Any], t: Any) -> Any:
    if all(term is None for term in terms[1:]):
        return terms[0]
    total: Any = None
    for term in reversed(terms):
        total = None if total is None else (total * t).astype(total.dtype)
        total = term if total is None else total if term is None else total + term
    return total


def modulus(domain: Taylor, x: Series, context: Context) -> Series:
    """|z| = sqrt(re^2 + im^2) and z / |z| of a complex series."""
    native(domain, context)
    arithmetic = SeriesArithmetic(domain.numbers)
    z = [None if term is None else jnp.asarray(term) for term in x.terms]
    re = arithmetic.given([None if term is None else term.real for term in z])
    im = arithmetic.given([None if term is None else term.imag for term in z])
    length = arithmetic.call("sqrt", arithmetic.sum(arithmetic.square(re), arithmetic.square(im), 1))
    if context.equation.primitive == "abs":
        return domain.shaped(length, context)
    return domain.shaped(arithmetic.quotient(arithmetic.given(z), length), context)


# --- along axes -----------------------------------------------------------------------------------------------


def accumulated(domain: Taylor, xs: Sequence[Series], context: Context) -> Sequence[Series]:
    """reduce_prod, cumprod and cumlogsumexp of one operand."""
    if not domain.numbers.native:
        return (_multiplied(domain, xs[0], context),)
    native(domain, context)
    (x,) = xs
    params, (variable,) = context.equation.params, context.equation.outputs
    (atom,) = context.equation.inputs
    if context.equation.primitive == "reduce_prod":
        return (_product(domain, x, tuple(params["axes"]), variable),)
    full = [domain.numbers.zeros(atom) if term is None else term for term in x.terms]
    combine = _times if context.equation.primitive == "cumprod" else _log_add_exp
    terms = jax.lax.associative_scan(
        lambda a, b: combine(domain, a, b), full, reverse=bool(params["reverse"]), axis=params["axis"]
    )
    (first,) = domain.numbers.apply(context.equation, [x.leading], context)
    return (domain.series((first, *(domain.numbers.shaped(term, variable) for term in terms[1:]))),)


def _multiplied(domain: Taylor, x: Series, context: Context) -> Series:
    """A product of enclosures along axes, one after the other."""
    if context.equation.primitive != "reduce_prod":
        raise Lost
    axes, (variable,) = tuple(context.equation.params["axes"]), context.equation.outputs
    kept = [i for i in range(x.leading.ndim) if i not in axes]

    def row(a: Any, i: int) -> Any:
        return np.transpose(a, (*kept, *axes)).reshape((*variable.shape, -1))[..., i]

    count = math.prod(x.leading.shape[i] for i in axes)
    total: list[Any] = [domain.numbers.rational(Fraction(1))] + [None] * domain.order
    for i in range(count):
        total = _times(domain, total, [moved(term, lambda a, i=i: row(a, i)) for term in x.terms])
    return domain.series([None if t is None else domain.numbers.shaped(t, variable) for t in total])


def _product(domain: Taylor, x: Series, axes: tuple[int, ...], variable: Any) -> Series:
    """Halves multiplied with each other until one is left."""
    ndim = x.leading.ndim
    kept = [axis for axis in range(ndim) if axis not in axes]

    def flat(term: Any) -> Any:
        count = math.prod(term.shape[axis] for axis in axes)
        return term.transpose((*axes, *kept)).reshape((count, *variable.shape))

    terms: list[Any] = [None if term is None else flat(term) for term in x.terms]
    while (count := terms[0].shape[0]) > 1:
        half = count // 2
        low = [None if term is None else term[:half] for term in terms]
        high = [None if term is None else term[half : 2 * half] for term in terms]
        rest = [None if term is None else term[2 * half :] for term in terms]
        terms = _times(domain, low, high)
        if count % 2:
            pairs = zip(terms, rest, strict=True)
            terms = [None if a is None and b is None else _joined(a, b, half, variable) for a, b in pairs]
    if terms[0].shape[0] == 0:
        return domain.series((jnp.ones(variable.shape, variable.dtype),))
    return domain.series([None if term is None else domain.numbers.shaped(term[0], variable) for term in terms])


def _joined(a: Any, b: Any, half: int, variable: Any) -> Any:
    a = jnp.zeros((half, *variable.shape), variable.dtype) if a is None else a
    b = jnp.zeros((1, *variable.shape), variable.dtype) if b is None else b
    return jnp.concatenate([a, b])


def _times(domain: Taylor, a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
    orders = range(domain.order + 1)
    return [convolve(domain.numbers, lambda j, k=k: (a[j], b[k - j]), range(k + 1)) for k in orders]


def _log_add_exp(domain: Taylor, a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
    """max + log(1 + exp(min - max)), the larger one decided on the leading coefficients."""
    arithmetic = SeriesArithmetic(domain.numbers)
    mask = a[0] >= b[0]
    high = arithmetic.given([jnp.where(mask, x, y) for x, y in zip(a, b, strict=True)])
    low = arithmetic.given([jnp.where(mask, y, x) for x, y in zip(a, b, strict=True)])
    difference = arithmetic.call("exp", arithmetic.sum(low, high, -1))
    node = arithmetic.sum(high, arithmetic.call("log1p", difference), 1)
    return [jnp.zeros_like(a[0]) if node[k] is None else node[k] for k in range(domain.order + 1)]


def scattered_product(domain: Taylor, xs: Sequence[Series], context: Context) -> Sequence[Series]:
    """operand times the updates written into an array of ones, where no place is written twice."""
    equation = native(domain, context)
    operand, indices, updates = xs
    params = equation.params
    if not updates.moves:
        return domain.by_coefficient(xs, [True, False, False], context)
    if not params["unique_indices"]:
        raise Lost(why="unless its indices are declared unique there is no derivative of")
    keywords = {key: params[key] for key in ("indices_are_sorted", "unique_indices", "mode")}

    def written(fill: Any, update: Any) -> Any:
        return jax.lax.scatter(
            jnp.full_like(operand.leading, fill), indices.leading, update, params["dimension_numbers"], **keywords
        )

    terms = [None if term is None else written(1 if k == 0 else 0, term) for k, term in enumerate(updates.terms)]
    product = _times(domain, operand.terms, terms)
    return (domain.series(product),)
