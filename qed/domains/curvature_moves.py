"""Sums and moves of arrays of forms: what goes where, and what is added up.

Every equation here takes each number of its output from one place of its inputs, or adds several. The places are found
by moving the numbers of the places themselves (`qed.domains.moving`), so that each primitive is described once. Each
function is a method of `qed.domains.curvature.Curvature`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from qed import facts
from qed.domains import moving
from qed.domains.curvature_cases import TooLarge, by_cases
from qed.domains.curvature_limits import infinite_sum, objects
from qed.domains.curvature_terms import Form
from qed.domains.enclosing import coarser
from qed.domains.windows import pooled
from qed.graph.dtypes import is_real
from qed.graph.walk import Context

Array = np.ndarray

SAME = frozenset(
    """copy device_put layout_constraint name optimization_barrier reduce_precision relayout reshard
    sharding_constraint stage stop_gradient tie with_memory_space_constraint real""".split()
)
INDEXED = frozenset("gather dynamic_slice dynamic_update_slice roll stack tile unstack split".split())


def linear(domain: Any, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
    """Moves, sums, conversions."""
    name, params, equation = context.equation.primitive, context.equation.params, context.equation
    if name == "reduce_precision" and coarser(equation):
        return unknowns(domain, context)
    if name in SAME:
        return tuple(inputs[: len(equation.outputs)])
    if name == "convert_element_type":
        exact = is_real(equation.outputs[0].dtype) or np.dtype(equation.inputs[0].dtype).kind in "biu"
        return (inputs[0] if exact else domain.unknown(equation, context),)
    if name == "add_any":
        return (domain.nary(facts.ARITHMETIC["add"], inputs, context),)
    if name == "zeros_like":
        return (domain.numbers(np.zeros(equation.outputs[0].shape)),)
    if name == "reduce_sum":
        return (reduced(domain, partial(total, domain), inputs[0], context),)
    if name == "cumsum":
        return (cumulated(domain, lambda x, y: domain.algebra.add(x, y), inputs[0], context),)
    if name == "reduce_window_sum":
        index = pooled(equation.inputs[0].shape, params)
        flat, zero = np.ravel(inputs[0]).tolist(), domain.algebra.number(0)
        rows = [[flat[i] if i >= 0 else zero for i in row] for row in index.reshape((-1, index.shape[-1]))]
        return (objects([total(domain, row) for row in rows], equation.outputs[0].shape),)
    if name in moving.MOVES:
        return (moving.MOVES[name](inputs[0], 0, params),)
    if name == "pad":
        return (moving.pad(0, params)(*inputs),)
    if name == "concatenate":
        return (moving.concatenated(0, params)(*inputs),)
    return routed(domain, inputs, context) if name in INDEXED else unknowns(domain, context)


def index(domain: Any, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
    """Elements taken from places that are known."""
    return routed(domain, inputs, context) if context.equation.primitive in INDEXED else unknowns(domain, context)


def unknowns(domain: Any, context: Context) -> Sequence[Any]:
    """No form for any output."""
    return (domain.unknown(context.equation, context),) * len(context.equation.outputs)


def routed(domain: Any, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
    """Numbers from places that are known."""
    moved = _moved(context.equation)
    forms = [form for k, x in enumerate(inputs) if k not in moved for form in np.ravel(x)]
    if not moved or not all(isinstance(form, Form) for form in forms):
        return unknowns(domain, context)
    flat = np.concatenate([np.ravel(inputs[k]) for k in moved])
    given = context.equation.params.get("fill_value")
    fill = domain._number(float("nan") if given is None else np.asarray(given).item())

    def taken(values: Sequence[int]) -> list[Any]:
        routes = moving.routed(context.equation, moved, _placed(context.equation, moved, values))
        if routes is None:
            raise TooLarge
        return [flat[i] if i >= 0 else fill for r in routes for i in r.ravel()]

    made = by_cases(domain.algebra, forms, taken)
    if made is None:
        return unknowns(domain, context)
    sizes = [int(np.prod(v.shape, dtype=int)) for v in context.equation.outputs]
    ends = np.cumsum([0, *sizes])
    return tuple(
        objects(made[low:high], v.shape)
        for low, high, v in zip(ends[:-1], ends[1:], context.equation.outputs, strict=True)
    )


def _moved(equation: Any) -> list[int]:
    """The operands whose elements are moved: real numbers; where there are none, all that is no index."""
    real = [k for k, atom in enumerate(equation.inputs) if is_real(atom.dtype)]
    if real:
        return real
    count = {"dynamic_update_slice": 2, "stack": len(equation.inputs)}.get(equation.primitive, 1)
    return list(range(count))


def _placed(equation: Any, moved: Sequence[int], values: Sequence[int]) -> list[Any]:
    """The operands of an equation that are not moved, as arrays of integers."""
    found: list[Any] = []
    start = 0
    for k, atom in enumerate(equation.inputs):
        if k in moved:
            found.append(None)
            continue
        size = int(np.prod(atom.shape, dtype=int))
        found.append(np.array(values[start : start + size]).reshape(atom.shape).astype(atom.dtype))
        start += size
    return found


def integers(domain: Any, x: Any) -> Array | None:
    """A whole array of known integers, or None."""
    forms = np.ravel(x)
    if not all(isinstance(form, Form) and not form.terms for form in forms):
        return None
    return np.array([int(form.constant.p) for form in forms], np.int64).reshape(np.shape(x))


def scatter(domain: Any, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
    """Elements put, or added, at places that are known."""
    operand, where, updates = inputs[0], integers(domain, inputs[1]), inputs[2]
    equation = context.equation
    if where is None or equation.native is None or operand.size >= moving.COUNTABLE:
        return unknowns(domain, context)
    targets = moving.scatter_targets(equation, where.astype(equation.inputs[1].dtype)).ravel()
    flat = operand.ravel().copy()
    adds = equation.primitive != "scatter"
    met = targets[targets >= 0]
    if not adds and len(np.unique(met)) < len(met):  # which of two writes to one place stays is not defined
        return unknowns(domain, context)
    for target, update in zip(targets.tolist(), updates.ravel(), strict=True):
        if target < 0:
            continue
        add = lambda x, y: domain.algebra.add(x, y)  # noqa: E731
        flat[target] = domain._apply(add, (flat[target], update)) if adds else update
    return (flat.reshape(operand.shape),)


def total(domain: Any, row: Sequence[Any]) -> Any:
    """The sum of a row."""
    if all(isinstance(x, Form) for x in row):
        return domain.algebra.total([(x, domain.algebra.one) for x in row])
    return infinite_sum(row) or domain.opaque([x for x in row if isinstance(x, Form)], "an infinity")


def reduced(domain: Any, rule: Any, x: Array, context: Context) -> Array:
    """A rule applied to the numbers along the axes of a reduction."""
    axes = tuple(context.equation.params["axes"])
    shape = context.equation.outputs[0].shape
    rows = np.moveaxis(x, axes, range(x.ndim - len(axes), x.ndim)).reshape((int(np.prod(shape)), -1))
    domain.done += x.size
    return objects([rule(list(row)) for row in rows], shape)


def cumulated(domain: Any, rule: Any, x: Array, context: Context) -> Array:
    """A rule applied from one end of an axis to the other."""
    params = context.equation.params
    lines = np.moveaxis(x, params["axis"], -1)
    found = np.empty(lines.shape, object)
    step = -1 if params.get("reverse") else 1
    for place in np.ndindex(lines.shape[:-1]):
        total = None
        out = []
        for form in lines[place][::step]:
            total = form if total is None else domain._apply(rule, (total, form))
            out.append(total)
        found[place][::step] = out
    return np.moveaxis(found, -1, params["axis"])
