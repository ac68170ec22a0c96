"""1 - p for a p that is an entry of a softmax, or a power of one: the sum of the others, not what 1 leaves.

::

    1 - p_i = sum_(j != i) p_j = -expm1(log p_i)          1 - p_i^q = -expm1(q log p_i)

A p near 1 has lost the digits of 1 - p when it was rounded; its logarithm -log1p(sum_(j != i) exp(u_j - u_i)) has them
(`log_softmax`). Of a whole array of them at most one is above 1/2 in each row, and there the others are added up; where
p_i <= 1/2 the subtraction is exact. Focal losses, truncated and generalised cross-entropies are made of these.

Reference: Lin, Goyal, Girshick, He and Dollar, *Focal loss for dense object detection*, 2017; Sterbenz, *Floating-Point
Computation*, 1974, for the exact subtraction.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.kernels import softmax
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.log_softmax import entry
from qed.numerics.rewriting.scales import source_of, spread_along
from qed.numerics.rewriting.smooth import EXPM1

if TYPE_CHECKING:
    from qed.numerics.rewriting.forms import Form
    from qed.numerics.rewriting.recursion import Logarithm
    from qed.numerics.rewriting.tempered import Scales

OTHERS = Law("1 - softmax(a)_i = the sum of the others", "always")
BESIDE_ENTRY = Law("1 - a = -expm1(log(a))", "a > 0")


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def beside_softmax(u: Any, axes: tuple[int, ...]) -> Any:
    """1 - softmax(u) along axes.

    Example:
        >>> import jax.numpy as jnp
        >>> print(beside_softmax(jnp.array([40.0, 0.0]), (0,)))
        [4.248354e-18 1.000000e+00]
    """
    p = softmax(u, axes)
    most = p > 0.5
    others = jnp.sum(jnp.where(most, 0, p), axis=axes, keepdims=True)
    return jnp.where(most, others, 1 - p).astype(p.dtype)


@beside_softmax.defjvp
def _beside_softmax_slope(axes: tuple[int, ...], primals: Any, tangents: Any) -> tuple[Any, Any]:
    _, slope = jax.jvp(lambda u: softmax(u, axes), primals, tangents)
    return beside_softmax(primals[0], axes), -slope


BESIDE_SOFTMAX = Operation("beside_softmax", lambda u, axes: beside_softmax(u, axes), whole=True)

LESS_ONE_AT = Operation(
    "softmax_less_one_at",
    lambda u, place, axes: jnp.where(place == 0, softmax(u, axes), -beside_softmax(u, axes)).astype(u.dtype),
    whole=True,
)
"""softmax(u), less 1 where a place is not 0."""


def beside_one(log: Logarithm, scales: Scales, p: Node) -> tuple[Node, Form] | None:
    """1 - p of a softmax, of entries of it, or of a power of those, and the form of p."""
    base = p.children[0] if p.operation == "pow" else p
    form = log.gained(base)
    if form is None:
        return None
    found = entry(scales, form)
    if found is None:
        u = _rows(form) if base is p else None
        return None if u is None else (log.emit(BESIDE_SOFTMAX, u[0], axes=u[1]), replace(form, laws=(OTHERS,)))
    exponent = found if base is p else log.emit(stable.MUL, p.children[1], found)
    value = log.algebra.negative(log.emit(EXPM1, exponent))
    return log.algebra.filled(value, p.shape), replace(form, laws=(BESIDE_ENTRY, *form.laws))


def _rows(form: Form) -> tuple[Node, tuple[int, ...]] | None:
    """u and axes, where a form is u - log(sum(exp(u))) along them, the sum taken as it stands."""
    if len(form.terms) != 2:
        return None
    (u, total) = sorted(form.terms, key=lambda term: -term.coefficient)
    outer = source_of(total.node)
    if (u.coefficient, total.coefficient) != (1, -1) or outer.operation != "log" or len(outer.children) != 1:
        return None
    summed = source_of(outer.children[0])
    if summed.operation != "reduce_sum" or summed.children[0].operation != "exp":
        return None
    axes = tuple(summed.params["axes"])
    kept = tuple(1 if i in axes else n for i, n in enumerate(u.node.shape))
    same = summed.children[0].children[0] is u.node and form.shape == u.node.shape
    put = spread_along(outer.children[0], summed, kept) and spread_along(total.node, outer, kept)
    return (u.node, axes) if same and put else None


__all__ = ["BESIDE_ENTRY", "BESIDE_SOFTMAX", "LESS_ONE_AT", "OTHERS", "beside_one", "beside_softmax"]
