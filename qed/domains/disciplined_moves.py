"""Moves, sums, extremes and products of arrays of marks: methods of `qed.domains.disciplined.Disciplined`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qed import facts
from qed.domains import array_peaks as peaks
from qed.domains import array_shapes as shapes
from qed.domains import moving
from qed.domains.array_shapes import AFFINE, CONCAVE, CONVEX, LOG_CONVEX, LOGS, NOTHING, ROOT, Shaped
from qed.domains.contraction import of_product
from qed.domains.curvature_moves import INDEXED, SAME
from qed.domains.enclosing import coarser
from qed.domains.known import Known
from qed.graph.dtypes import is_extended, is_real
from qed.graph.graph import Equation
from qed.graph.walk import Context

Array = np.ndarray


def linear(domain: Any, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
    """Moves, sums, conversions."""
    equation = context.equation
    name, params, x = equation.primitive, equation.params, inputs[0]
    if name == "reduce_precision" and coarser(equation):
        return (domain.nothing(equation.outputs[0]),)
    if name in SAME:
        return tuple(inputs[: len(equation.outputs)])
    if name == "convert_element_type":
        real = is_real(equation.outputs[0].dtype) and is_real(equation.inputs[0].dtype)
        return (x if real else domain.nothing(equation.outputs[0]),)
    if name == "add_any":
        return (domain.nary(facts.ARITHMETIC["add"], inputs, context),)
    if not is_real(equation.outputs[0].dtype):
        return tuple(domain.nothing(v) for v in equation.outputs)
    if name == "reduce_sum":
        axes = params["axes"]
        marks = AFFINE | ROOT | LOG_CONVEX
        bits = shapes.all_of(domain.settled(x).bits, axes, marks) if x.bits.size else NOTHING
        return (domain.made(np.broadcast_to(bits, equation.outputs[0].shape), peak=peaks.total(x, axes)),)
    if name == "cumsum":
        return (_along(domain, domain.settled(x).bits & (AFFINE | ROOT | LOG_CONVEX), params),)
    if name in moving.MOVES:
        move = lambda array: moving.MOVES[name](array, 0, params)  # noqa: E731
        peak = None if x.peak is None else x.peak.moved(move)
        return (domain.made(move(domain.settled(x).bits), peak=peak),)
    if name == "pad":
        return (domain.made(moving.pad(0, params)(*(domain.settled(v).bits for v in inputs))),)
    if name == "concatenate":
        return (domain.made(moving.concatenated(0, params)(*(domain.settled(v).bits for v in inputs))),)
    return index(domain, inputs, context)


def _along(domain: Any, bits: Array, params: Mapping[str, Any]) -> Shaped:
    """The marks that all numbers from one end of an axis to each have."""
    axis = params["axis"]
    bits = np.flip(bits, axis) if params.get("reverse") else bits
    found = np.bitwise_and.accumulate(bits, axis=axis)
    return domain.made(np.flip(found, axis) if params.get("reverse") else found)


def index(domain: Any, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
    """Elements taken from places that are known."""
    equation = context.equation
    nothing = tuple(domain.nothing(v) for v in equation.outputs)
    if equation.primitive not in INDEXED or any(is_extended(atom.dtype) for atom in equation.inputs):
        return nothing
    moved = [k for k, atom in enumerate(equation.inputs) if is_real(atom.dtype)]
    others = [None if k in moved else x.range for k, x in enumerate(inputs)]
    if not moved or any(not isinstance(x, Known) for x in others if x is not None):
        return nothing
    routes = moving.routed(equation, moved, [None if x is None else x.array for x in others])
    if routes is None:
        return nothing
    flat = np.concatenate([domain.settled(inputs[k]).bits.ravel() for k in moved])
    return tuple(domain.made(np.where(r >= 0, flat[np.maximum(r, 0)], NOTHING)) for r in routes)


def reduce(domain: Any, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
    """Extremes, and products of positive numbers."""
    equation = context.equation
    name, params, x = equation.primitive, equation.params, inputs[0]
    marks = {"max": CONVEX | LOG_CONVEX | ROOT, "min": CONCAVE | shapes.LOG_CONCAVE, "prod": LOGS}
    kind = name.removeprefix("reduce_").removeprefix("cum")
    if len(equation.outputs) != 1 or not is_real(equation.outputs[0].dtype) or not x.bits.size:
        return tuple(domain.nothing(v) for v in equation.outputs)
    if name == "cumlogsumexp":
        return (_along(domain, domain.settled(x).bits & CONVEX, params),)
    if kind not in marks:
        return (domain.nothing(equation.outputs[0]),)
    bits = domain.settled(x).bits
    if name.startswith("cum"):
        return (_along(domain, bits & marks[kind], params),)
    peak = peaks.peak_of(x, params["axes"]) if kind == "max" else None
    return (domain.made(shapes.all_of(bits, params["axes"], marks[kind]), peak=peak),)


def bilinear(domain: Any, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
    """Products with constants, and lengths."""
    x, y = inputs
    out = context.equation.outputs[0]
    if not is_real(out.dtype) or not x.bits.size or not y.bits.size:
        return (domain.nothing(out),)
    base, low, high = _of_one(x, y)
    if base is not None and _with_itself(context.equation):
        square = domain.unary(facts.card("square"), base, replace(context, others={"ranges": (None,)}))
        bits = shapes.scaled(domain.settled(square).bits, low, high, np.asarray(True))
        return (domain.made(np.full(out.shape, np.bitwise_and.reduce(bits, axis=None) & (AFFINE | ROOT))),)
    if of_product(context.equation) is None:
        return (domain.nothing(out),)
    for c, u in ((x, y), (y, x)):
        if c.fixed and c.defined:
            low, high = c.ends
            every = np.bitwise_and.reduce(domain.settled(u).bits, axis=None)
            bits = shapes.scaled(np.asarray(every), np.min(low), np.max(high), np.asarray(True))
            return (domain.made(np.full(out.shape, bits)),)
    return (domain.nothing(out),)


def _with_itself(equation: Equation) -> bool:
    """Whether a product of an array with itself is a sum of the squares of its elements."""
    if equation.primitive != "dot_general":
        return False
    (left, right), (first, second) = equation.params["dimension_numbers"]
    together = tuple(left) == tuple(right) and tuple(first) == tuple(second)
    return together and len(left) + len(first) == len(equation.inputs[0].shape)


def _of_one(x: Shaped, y: Shaped) -> tuple[Shaped | None, Any, Any]:
    """The array of which both are multiples, and bounds of the product of the factors."""
    if x is y:
        return x, np.asarray(1.0), np.asarray(1.0)
    for one, other in ((x, y), (y, x)):
        if one.times is not None and one.times[0] is other:
            return one.times
    return None, None, None
