"""Moves, sums and conversions of enclosures: the primitives that are linear over the reals.

What only moves elements is done to every array that an enclosure is made of (`qed.domains.moving`), sums are the
numbers' own. A conversion between floating-point formats is the identity: a proof is about the real numbers that a
program means.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from qed.domains import moving
from qed.domains.doubt import Doubt, either
from qed.domains.intervals import combined
from qed.domains.known import Known, flattened
from qed.domains.windows import pooled, read
from qed.graph.dtypes import is_real
from qed.graph.walk import Context

Base: Any = object  # of a part of `qed.domains.enclosing.Enclosing`, whose methods it uses

_SAME = """copy device_put layout_constraint name optimization_barrier relayout reshard
    sharding_constraint stage stop_gradient tie with_memory_space_constraint""".split()
_ROUTED = "roll stack tile unstack".split()


class Linear(Base):
    """The rules of the class `linear` for a domain of enclosures."""

    def linear(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Moves, sums, and conversions."""
        name, params = context.equation.primitive, context.equation.params
        if name in _SAME:
            return self.same(inputs, context)
        if name == "add_any":
            return (self.combine("add", self.aligned(inputs, context)),)
        if name == "convert_element_type":
            return (self.converted(inputs[0], context),)
        if name == "zeros_like":
            return (self.lift(np.zeros(context.equation.outputs[0].shape)),)
        values = [self.number(x) for x in inputs]
        if name == "reduce_sum":
            return (self.summed(values[0], self.axes(values[0], context)),)
        if name == "cumsum":
            return (self.cumulated("add", values[0], context),)
        if name == "reduce_window_sum":
            index = pooled(context.equation.inputs[0].shape, params)
            return (values[0].map(lambda x: read(x, self.batch, index, 0)).sum(-1),)
        return self.moved(name, values, context)

    def moved(self, name: str, values: Sequence[Any], context: Context) -> Sequence[Any]:
        """Primitives that only move elements."""
        params = context.equation.params
        if name in moving.MOVES:
            return (values[0].map(lambda x: moving.MOVES[name](x, self.batch, params)),)
        if name == "pad":
            return (combined(moving.pad(self.batch, params), *values),)
        if name == "concatenate":
            return (combined(moving.concatenated(self.batch, params), *values),)
        if name == "split":
            pieces = moving.splits(params["sizes"], self.batch + params["axis"])
            return tuple(values[0].map(piece) for piece in pieces)
        if name in _ROUTED:
            routes = moving.routed(context.equation, range(len(values)), [None] * len(values))
            if routes is not None:
                return tuple(self.taken(values, route) for route in routes)
        return (self.unknown(context.equation, context),) * len(context.equation.outputs)

    def taken(self, values: Sequence[Any], index: np.ndarray) -> Any:
        """The elements at `index` of all values laid end to end."""
        return combined(lambda *xs: moving.taken(xs, self.batch, index), *values)

    def axes(self, value: Any, context: Context) -> tuple[int, ...]:
        """The axes of a reduction, behind the batch."""
        return tuple(self.batch + axis for axis in context.equation.params["axes"])

    def summed(self, x: Any, axes: tuple[int, ...]) -> Any:
        """The sum over axes."""
        return flattened(x, axes).sum(-1)

    def cumulated(self, name: str, x: Any, context: Context) -> Any:
        """Partial sums, products, maxima or minima along an axis."""
        params = context.equation.params
        axis = self.batch + params["axis"]
        rows = [x.map(lambda a, k=k: np.take(a, k, axis)) for k in range(x.shape[axis])]
        if params.get("reverse"):
            rows = rows[::-1]
        for k in range(1, len(rows)):
            rows[k] = self.combine(name, [rows[k - 1], rows[k]])
        if not rows:
            return x
        return combined(lambda *xs: np.stack(xs, axis), *(rows[::-1] if params.get("reverse") else rows))

    def converted(self, x: Any, context: Context) -> Any:
        """The identity; to integers the part before the point; to truth values x != 0."""
        source, target = context.equation.inputs[0].dtype, context.equation.outputs[0].dtype
        if is_real(target) or (np.dtype(source).kind == "b" and np.dtype(target).kind != "b"):
            return x if not isinstance(x, Known) else self.number(x)
        value = self.number(x)
        lower, upper = value.bounds
        doubt = Doubt(either(value.doubt.undefined, value.doubt.infinite), None, value.doubt.place)
        if np.dtype(target).kind == "b":
            zero = (lower <= 0) & (upper >= 0)
            return self.numbers.between(np.where(zero, 0.0, 1.0), np.where(zero & (lower == upper), 0.0, 1.0), doubt)
        if not is_real(source):
            return self.numbers.between(lower, upper, doubt)
        ends = jnp.iinfo(np.dtype(target))
        beyond = (lower <= float(ends.min) - 1) | (upper >= float(ends.max) + 1)
        doubt = doubt | Doubt(beyond)
        return self.numbers.between(np.trunc(lower), np.trunc(upper), doubt)

    def same(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The identity; a barrier has as many outputs as inputs."""
        return tuple(inputs[: len(context.equation.outputs)])
