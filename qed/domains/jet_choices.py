"""Jets of what chooses: maxima, selections, orders; and of products along axes.

Where it is decided, strictly, for all points of the closed box which operand is taken, the jet is that operand's. Where
it is not, the larger of two functions has for its generalised gradients those of both (Clarke, *Optimization and
Nonsmooth Analysis*, 1983, proposition 2.3.12), and no second derivative; the larger of two functions without curvature
is convex. A selection by a comparison that is not decided may jump.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from qed.domains.doubt import NONE
from qed.domains.forward import Unknown
from qed.domains.intervals import Intervals, combined
from qed.domains.jet import Jet, Part, whole
from qed.graph.dtypes import is_real
from qed.graph.walk import Context

if TYPE_CHECKING:
    from qed.domains.jets import Jets

Array = np.ndarray


def larger(domain: Jets, largest: bool, x: Jet, y: Jet, value: Intervals) -> Jet:
    """Return the larger (or smaller) of two, elementwise."""
    above, below = domain.base.certain("gt", x.value, y.value)[0], domain.base.certain("lt", x.value, y.value)[0]
    first, second = (above, below) if largest else (below, above)
    first, second = (np.broadcast_to(mask, value.shape) for mask in (first, second))
    open_ = ~(first | second)
    slope = _chosen(domain, x.slope, y.slope, first, second, "hull")
    if domain.order < 2:
        return Jet(value, slope)
    hessian = _chosen(domain, x.hessian, y.hessian, first, second, "whole")
    hessian = _filled(domain, hessian, open_, domain.size * (domain.size + 1) // 2, value.shape)
    if not domain.loewner:
        return Jet(value, slope, hessian)
    straight = x.hessian is None and y.hessian is None
    sides = []
    for name in ("least", "most"):
        part = _chosen(domain, getattr(x, name), getattr(y, name), first, second, "whole")
        kept = straight and (name == "least") == largest
        sides.append(part if kept else _filled(domain, part, open_, domain.size * (domain.size + 1) // 2, value.shape))
    return Jet(value, slope, hessian, *sides)


def _chosen(domain: Jets, x: Part, y: Part, first: Array, second: Array, otherwise: str) -> Part:
    """A derivative: x's where `first`, y's where `second`, elsewhere the hull or everything."""
    if x is None and y is None:
        return None
    zero = Intervals.point(np.zeros((1, 1, *([1] * (first.ndim - 1)))))
    x, y = zero if x is None else x, zero if y is None else y
    joined = x.hull(y)
    if otherwise == "whole":
        joined = whole(joined, np.broadcast_to(True, joined.shape))
    a, b = first[:, None], second[:, None]
    return combined(lambda u, v, w: np.where(a, u, np.where(b, v, w)), x, y, joined)


def _filled(domain: Jets, part: Part, mask: Array, count: int, shape: tuple[int, ...]) -> Part:
    """A derivative that is everything where the mask holds."""
    if not np.any(mask):
        return part
    if part is None:
        zero = np.zeros((shape[0], count, *shape[1:]))
        part = Intervals(zero, zero)
    wide = part.map(lambda a: np.broadcast_to(a, (shape[0], count, *shape[1:])))
    return whole(wide, np.broadcast_to(mask[:, None], wide.shape))


def selected(domain: Jets, inputs: Sequence[Jet], context: Context) -> Any:
    """Return the case that a predicate takes."""
    which, *cases = domain.aligned(inputs, context)
    number = domain.base.number(which.value)
    low, high = number.bounds
    if low.size and low.min() == high.max() and not number.doubt:
        return inputs[1 + int(low.min())]
    value = domain.value(inputs, context)
    if isinstance(value, Unknown) or not is_real(context.equation.outputs[0].dtype):
        return value if isinstance(value, Unknown) else domain.stepped(value)
    open_ = low != high
    if number.doubt.undefined is not None:
        open_ = open_ | number.doubt.undefined
    open_ = np.broadcast_to(open_, value.shape) & np.ones(value.shape, bool)
    counts = (domain.size, *([domain.size * (domain.size + 1) // 2] * 3))[: domain.order if not domain.loewner else 4]
    parts: list[Part] = []
    for k, count in enumerate(counts):
        columns = [case.parts[k] for case in cases]
        found: Part = None
        if any(column is not None for column in columns):
            zero = np.zeros((1, 1, *([1] * (value.ndim - 1))))
            found = Intervals(zero, zero) if columns[0] is None else columns[0]
            for place, column in enumerate(columns[1:], 1):
                column = Intervals(zero, zero) if column is None else column
                here = (low >= place)[:, None]
                found = combined(lambda a, b, here=here: np.where(here, a, b), column, found)
        parts.append(_filled(domain, found, open_, count, value.shape))
    return Jet(value, *parts)


def reduced(domain: Jets, inputs: Sequence[Jet], context: Context) -> Sequence[Any]:
    """Return maxima and products along axes, and sorted arrays."""
    name, params = context.equation.primitive, context.equation.params
    outs = domain.all(inputs, context)
    if any(isinstance(out, Unknown) for out in outs):
        return outs
    if 0 in inputs[0].value.shape[1:]:
        return [Jet(out.value) for out in outs]  # of no element: a constant
    if name in ("reduce_max", "reduce_min", "reduce_prod"):
        found = _folded(domain, name[7:], _last(inputs[0], params["axes"]))
        return (found,)
    if name in ("cummax", "cummin", "cumprod"):
        found = _cumulated(domain, name[3:], inputs[0], params)
        return (replace(found, value=outs[0].value),)
    if name == "sort" and len(inputs) == 1 and is_real(context.equation.outputs[0].dtype):
        return (_any_of_row(domain, inputs[0], params["dimension"], outs[0].value),)
    return [
        domain.stepped(out.value) if not is_real(v.dtype) else domain.lost(out.value)
        for out, v in zip(outs, context.equation.outputs, strict=True)
    ]


def _last(x: Jet, axes: Sequence[int]) -> Jet:
    """The jet with the given axes made one, the last."""
    kept = [axis for axis in range(x.value.ndim - 1) if axis not in axes]

    def move(a: Array, lead: int) -> Array:
        shape = a.shape[lead:]
        order = (*range(lead), *(lead + k for k in kept), *(lead + k for k in axes))
        size = int(np.prod([shape[k] for k in axes]))
        return np.transpose(a, order).reshape((*a.shape[:lead], *(shape[k] for k in kept), size))

    return Jet(x.value.map(lambda a: move(a, 1)), *x.map(lambda part: part.map(lambda a: move(a, 2))))


def _cut(x: Jet, place: Any) -> Jet:
    """Some elements of the last axis."""
    return Jet(x.value.map(lambda a: a[..., place]), *x.map(lambda part: part.map(lambda a: a[..., place])))


def _joined(rows: Sequence[Jet]) -> Jet:
    """Arrays laid end to end along the last axis."""
    value = combined(lambda *xs: np.concatenate(_led(xs, 1), -1), *(row.value for row in rows))
    parts: list[Part] = []
    for column in zip(*(row.parts for row in rows), strict=True):
        if all(part is None for part in column):
            parts.append(None)
            continue
        wide = []
        for part, row in zip(column, rows, strict=True):
            if part is None:
                zero = np.zeros((1, 1, *row.value.shape[1:]))
                part = Intervals(zero, zero)
            wide.append(part)
        parts.append(combined(lambda *xs: np.concatenate(_led(xs, 2), -1), *wide))
    return Jet(value, *parts)


def _led(arrays: Sequence[Array], lead: int) -> list[Array]:
    """Arrays with common leading axes."""
    shape = np.broadcast_shapes(*(a.shape[:lead] for a in arrays))
    return [np.broadcast_to(a, (*shape, *a.shape[lead:])) for a in arrays]


def _combined(domain: Jets, name: str, x: Jet, y: Jet) -> Jet:
    if name == "prod":
        value = x.value * y.value
        times = lambda a, b: a * b  # noqa: E731
        return Jet(value, *domain.of_product(x, y, times, times, False))
    value = x.value.maximum(y.value) if name == "max" else x.value.minimum(y.value)
    return larger(domain, name == "max", x, y, value)


def _folded(domain: Jets, name: str, rows: Jet) -> Jet:
    """An operation over the last axis, pairwise."""
    while (n := rows.value.shape[-1]) > 1:
        half = n // 2
        done = _combined(domain, name, _cut(rows, slice(0, half)), _cut(rows, slice(half, 2 * half)))
        rows = _joined([done, _cut(rows, slice(2 * half, n))]) if n % 2 else done
    return _cut(rows, 0)


def _cumulated(domain: Jets, name: str, x: Jet, params: Any) -> Jet:
    axis = params["axis"]
    count = x.value.shape[1 + axis]

    def row(k: int) -> Jet:
        return Jet(
            x.value.map(lambda a: np.take(a, [k], 1 + axis)),
            *x.map(lambda part: part.map(lambda a: np.take(a, [k], 2 + axis))),
        )

    order = range(count - 1, -1, -1) if params.get("reverse") else range(count)
    rows: dict[int, Jet] = {}
    total: Jet | None = None
    for k in order:
        total = row(k) if total is None else _combined(domain, name, total, row(k))
        rows[k] = total
    moved = [
        Jet(
            r.value.map(lambda a: np.moveaxis(a, 1 + axis, -1)),
            *r.map(lambda part: part.map(lambda a: np.moveaxis(a, 2 + axis, -1))),
        )
        for _, r in sorted(rows.items())
    ]
    joined = _joined(moved)
    return Jet(
        joined.value.map(lambda a: np.moveaxis(a, -1, 1 + axis)),
        *joined.map(lambda part: part.map(lambda a: np.moveaxis(a, -1, 2 + axis))),
    )


def _any_of_row(domain: Jets, x: Jet, dimension: int, value: Any) -> Jet:
    """Sorted elements: each has a generalised gradient among those of its row."""
    assert x.slope is not None
    axis = 2 + dimension
    low = np.broadcast_to(np.min(x.slope.lower, axis, keepdims=True), x.slope.shape)
    high = np.broadcast_to(np.max(x.slope.upper, axis, keepdims=True), x.slope.shape)
    found = domain.lost(value)
    return replace(found, slope=Intervals(low, high, NONE))


def horner(domain: Jets, inputs: Sequence[Jet], context: Context) -> Any:
    """Return c0 + c1 x + ... by products and sums."""
    value = domain.value(inputs, context)
    if isinstance(value, Unknown):
        return value
    x, *coefficients = domain.aligned(inputs, context)
    times = lambda a, b: a * b  # noqa: E731
    total = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        product = Jet(total.value * x.value, *domain.of_product(total, x, times, times, False))
        columns = zip(product.parts, coefficient.parts, strict=True)
        sums = [b if a is None else a if b is None else a + b for a, b in columns]
        total = Jet(product.value + coefficient.value, *sums)
    return replace(total, value=value)
