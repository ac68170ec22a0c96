"""Maxima, order statistics and positions of enclosures.

The k-th smallest of numbers x_i in [a_i, b_i] lies between the k-th smallest a_i and the k-th smallest b_i, since order
statistics do not fall when a number grows. Which element it is, is decided where the intervals do not overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qed.domains.doubt import NONE, Doubt, moved
from qed.domains.intervals import combined
from qed.domains.known import flattened
from qed.domains.windows import pooled, read
from qed.graph.walk import Context

Base: Any = object  # of a part of `qed.domains.enclosing.Enclosing`, whose methods it uses

Array = np.ndarray
_CUMULATIVE = {"cummax": "max", "cummin": "min", "cumprod": "mul"}


class Ordering(Base):
    """The rules of the class `reduce` for a domain of enclosures."""

    def reduce(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Maxima, minima, products, positions, sorted arrays."""
        name, equation = context.equation.primitive, context.equation
        values = [self.number(x) for x in inputs]
        if name in _CUMULATIVE:
            return (self.cumulated(_CUMULATIVE[name], values[0], context),)
        if name in ("reduce_max", "reduce_min"):
            return (self.extremum(values[0], name[-3:], self.axes(values[0], context)),)
        if name == "reduce_prod":
            return (self.product(values[0], self.axes(values[0], context)),)
        if name in ("reduce_window_max", "reduce_window_min"):
            index = pooled(equation.inputs[0].shape, equation.params)
            if np.any(index < 0):  # a padding counts as -inf, and a window may be all padding
                return (self.unknown(equation, context),)
            return (self.extremum(values[0].map(lambda x: read(x, self.batch, index, 0)), name[-3:], (-1,)),)
        if name in ("argmax", "argmin"):
            return (self.position(values[0], name == "argmin", self.axes(values[0], context)[0]),)
        if name == "sort":
            return self.sorted(values, context)
        if name == "top_k":
            return self.largest(values[0], context)
        return (self.unknown(equation, context),) * len(equation.outputs)

    def extremum(self, x: Any, kind: str, axes: Sequence[int]) -> Any:
        """The maximum or minimum over axes."""
        rows = flattened(x, [axis % x.ndim for axis in axes])
        if not rows.shape[-1]:
            return self.numbers.point(np.full(rows.shape[:-1], -np.inf if kind == "max" else np.inf))
        return self.folded(kind, rows)

    def product(self, x: Any, axes: Sequence[int]) -> Any:
        """The product over axes."""
        rows = flattened(x, axes)
        return self.folded("mul", rows) if rows.shape[-1] else self.numbers.point(np.ones(rows.shape[:-1]))

    def folded(self, name: str, rows: Any) -> Any:
        """An associative operation over the last axis, pairwise."""
        while (n := rows.shape[-1]) > 1:
            half = n // 2
            pair = [rows.map(lambda a, s=s: a[..., s]) for s in (slice(0, half), slice(half, 2 * half))]
            done = self.combine(name, pair)
            rest = rows.map(lambda a, start=2 * half: a[..., start:])
            rows = combined(lambda a, b: np.concatenate([a, b], -1), done, rest) if n % 2 else done
        return rows.map(lambda a: a[..., 0])

    def position(self, x: Any, smallest: bool, axis: int) -> Any:
        """Where the first maximum stands; undecided: between the first and the last candidate."""
        lower, upper = (-x.bounds[1], -x.bounds[0]) if smallest else x.bounds
        lower, upper = np.moveaxis(lower, axis, -1), np.moveaxis(upper, axis, -1)
        count = lower.shape[-1]
        best = np.max(lower, -1, keepdims=True)
        first = np.argmax(lower, -1)[..., None]  # the first with the greatest lower end: nothing after it wins a tie
        place = np.arange(count)
        candidate = (upper > best) | ((upper == best) & (place <= first)) | (place == first)
        low = np.min(np.where(candidate, place, count), -1)
        high = np.max(np.where(candidate, place, -1), -1)
        lost = moved([x.doubt], [x.shape], lambda mask: np.any(mask, axis))
        return self.numbers.between(low.astype(float), high.astype(float), Doubt(lost.undefined, None, lost.place))

    def sorted(self, values: Sequence[Any], context: Context) -> Sequence[Any]:
        """Sorted keys, and their companions where the order is decided."""
        params = context.equation.params
        axis = self.batch + params["dimension"]
        if params["num_keys"] != 1:
            return (self.unknown(context.equation, context),) * len(values)
        rows = [value.map(lambda x: np.moveaxis(x, axis, -1)) for value in values]
        lower, upper = rows[0].bounds
        order, decided = _order(lower, upper, params["is_stable"])
        outs = [self.statistics(rows[0])]
        if np.all(decided) and not rows[0].doubt:
            outs = [row.map(lambda x: np.take_along_axis(x, order, -1)) for row in rows]
        else:
            outs += [self.anywhere(row) for row in rows[1:]]
        if rows[0].doubt.undefined is not None:
            lost = _along(rows[0].doubt)
            outs = [replace(out, doubt=out.doubt | lost) for out in outs]
        return tuple(out.map(lambda x: np.moveaxis(x, -1, axis)) for out in outs)

    def statistics(self, row: Any) -> Any:
        """All order statistics along the last axis, ascending."""
        lower, upper = row.bounds
        return self.numbers.between(np.sort(lower, -1), np.sort(upper, -1), _along(row.doubt))

    def anywhere(self, row: Any) -> Any:
        """Each element may be any of its row."""
        lower, upper = row.bounds
        if not lower.shape[-1]:
            return row
        low, high = np.min(lower, -1, keepdims=True), np.max(upper, -1, keepdims=True)
        return self.numbers.between(
            np.broadcast_to(low, row.shape), np.broadcast_to(high, row.shape), _along(row.doubt)
        )

    def largest(self, x: Any, context: Context) -> Sequence[Any]:
        """The k largest along the last axis, and where they stood."""
        params = context.equation.params
        if params.get("axis", -1) not in (-1, len(context.equation.inputs[0].shape) - 1):
            return (self.unknown(context.equation, context),) * 2
        k, count = params["k"], x.shape[-1]
        lower, upper = x.bounds
        order, decided = _order(-upper, -lower, True)
        if np.all(decided) and not x.doubt:
            row = x.map(lambda a: np.take_along_axis(a, order, -1)[..., :k])
        else:
            row = self.statistics(x).map(lambda a: a[..., ::-1][..., :k])
        doubt = Doubt(row.doubt.undefined, None, row.doubt.place)
        low = np.where(decided[..., None], order[..., :k], 0).astype(float)
        high = np.where(decided[..., None], order[..., :k], max(count - 1, 0)).astype(float)
        return row, self.numbers.between(low, high, doubt)


def _order(lower: Array, upper: Array, stable: bool) -> tuple[Array, Array]:
    """The order of intervals along the last axis, and in which rows it is decided."""
    order = np.argsort(lower, -1, kind="stable")
    low, high = np.take_along_axis(lower, order, -1), np.take_along_axis(upper, order, -1)
    apart = high[..., :-1] < low[..., 1:]
    if stable:
        equal = (high[..., :-1] == low[..., :-1]) & (low[..., :-1] == low[..., 1:]) & (low[..., 1:] == high[..., 1:])
        apart = apart | equal
    return order, np.all(apart, -1)


def _along(doubt: Doubt) -> Doubt:
    """What is doubtful of one element is doubtful of all of its row."""
    if not doubt:
        return NONE

    def spread(mask: Array | None) -> Array | None:
        return None if mask is None else np.broadcast_to(np.any(mask, -1, keepdims=True), mask.shape)

    return Doubt(spread(doubt.undefined), spread(doubt.infinite), doubt.place)
