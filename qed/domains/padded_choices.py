"""Comparisons and selections in padded jets: truth values as numbers between 0 and 1, known on part of the boxes.

A comparison that holds (or fails) at all points of a closed box is 1 (or 0) there with derivatives 0; elsewhere it is
[0, 1], and nothing is known of its derivatives: the value may jump. A selection takes the case that is known on a box,
with its derivatives, and the hull of both values where it is not. Where an operand is not known the truth is NaN, and
so is what it selects: it may be undefined.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qed.domains import padded
from qed.domains.known import Known
from qed.domains.padded import Pair
from qed.graph.dtypes import is_real
from qed.graph.graph import Literal
from qed.graph.walk import Context

Array = np.ndarray
COMPARISONS = frozenset("lt le gt ge eq ne".split())
LOGIC = frozenset("and or not".split())
ALONG = frozenset({"reduce_and", "reduce_or"})
CHOICES = COMPARISONS | LOGIC | ALONG | {"is_finite", "select_n"}


def followed(equation: Any, inputs: Sequence[Any]) -> bool:
    """Whether an equation is one of those, on numbers or on truth values that are not all known."""
    name = equation.primitive
    if name in ("max", "min") and is_real(equation.outputs[0].dtype):
        return neutral(equation) is not None
    if name not in CHOICES or all(isinstance(x, Known) for x in inputs):
        return False
    if name == "is_finite":
        return is_real(equation.inputs[0].dtype)
    if name == "select_n":
        return len(inputs) == 3 and not isinstance(inputs[0], Known) and is_real(equation.outputs[0].dtype)
    kinds = {np.dtype(atom.dtype).kind for atom in equation.inputs}
    return kinds == {"b"} if name not in COMPARISONS else all(is_real(atom.dtype) for atom in equation.inputs)


def settled(equation: Any, inputs: Sequence[Any]) -> Any:
    """What an equation about real numbers gives wherever they are: x != x is false, is_finite(x) true, max(-inf, x) x.

    None for others, and where a number may have no value.
    """
    name, jets = equation.primitive, [x for x in inputs if not isinstance(x, Known)]
    sure = all(not x.doubt and all(np.all(np.isfinite(end[0])) for end in x.parts) for x in jets[-1:])
    if name in ("eq", "ne") and len(jets) == 2 and inputs[0] is inputs[1] and sure:
        return Known(np.full(equation.outputs[0].shape, name == "eq"))
    if name == "is_finite" and len(jets) == 1 and sure:
        return Known(np.ones(equation.outputs[0].shape, bool))
    if name in ("max", "min") and len(jets) == 2 and is_real(equation.outputs[0].dtype):
        place = neutral(equation)
        other = None if place is None else inputs[1 - place]
        return other if other is not None and other.shape[2:] == equation.outputs[0].shape else None
    return None


def neutral(equation: Any) -> int | None:
    """Which operand of a maximum is the constant -inf (of a minimum, inf): the other one is the result."""
    far = -np.inf if equation.primitive == "max" else np.inf
    for place, atom in enumerate(equation.inputs):
        if isinstance(atom, Literal) and np.all(np.asarray(atom.value) == far):
            return place
    return None


def ends(domain: Any, equation: Any, values: Sequence[Any], context: Context) -> Pair:
    """The ends of the result, (1 + n + ..., boxes, *shape): a truth value, or the selected number."""
    name = equation.primitive
    if name in ("max", "min"):
        return values[1 - (neutral(equation) or 0)].parts
    if name in ALONG:
        axes = domain.axes(values[0], context)
        rows = [np.asarray(end)[:1] for end in values[0].parts]
        fold = np.min if name == "reduce_and" else np.max
        found = [fold(row, axis=axes)[0] for row in rows]
        return _truth(domain, found[0], found[1])
    if name == "select_n":
        return _selected(domain, *values)
    pairs = [(value.lower[0], value.upper[0]) for value in values]
    if name in COMPARISONS:
        yes, no = _compared(name, *pairs)
        lost = np.isnan(pairs[0][0] + pairs[0][1] + pairs[1][0] + pairs[1][1])
        low, high = np.where(yes, 1.0, 0.0), np.where(no, 0.0, 1.0)
        return _truth(domain, np.where(lost, np.nan, low), np.where(lost, np.nan, high))
    if name == "is_finite":  # a real number is
        bounded = np.isfinite(pairs[0][0]) & np.isfinite(pairs[0][1])
        one = np.where(bounded, 1.0, np.nan)
        return _truth(domain, one, one)
    if name == "not":
        return _truth(domain, 1.0 - pairs[0][1], 1.0 - pairs[0][0])
    fold = np.minimum if name == "and" else np.maximum
    return _truth(domain, fold(pairs[0][0], pairs[1][0]), fold(pairs[0][1], pairs[1][1]))


def _compared(name: str, x: Pair, y: Pair) -> tuple[Array, Array]:
    """Where a comparison surely holds, and where it surely fails; with NaN, neither."""
    with np.errstate(all="ignore"):
        match name:
            case "lt":
                return x[1] < y[0], x[0] >= y[1]
            case "le":
                return x[1] <= y[0], x[0] > y[1]
            case "gt":
                return x[0] > y[1], x[1] <= y[0]
            case "ge":
                return x[0] >= y[1], x[1] < y[0]
        one = (x[0] == x[1]) & (y[0] == y[1]) & (x[0] == y[0])
        apart = (x[1] < y[0]) | (x[0] > y[1])
        return (one, apart) if name == "eq" else (apart, one)


def _truth(domain: Any, low: Array, high: Array) -> Pair:
    """A truth value with its derivatives: 0 where it is decided."""
    open_ = ~(low == high)  # NaN is open, too
    found = []
    for end in (low, high):
        rows = np.zeros((domain.rows, *np.shape(low)))
        rows[1:] = np.where(open_, np.nan, 0.0)
        rows[0] = end
        found.append(rows)
    return found[0], found[1]


def _selected(domain: Any, which: Any, otherwise: Any, then: Any) -> Pair:
    """`then` where it holds, `otherwise` where it fails, elsewhere the hull, without derivatives."""
    low, high = which.lower[0], which.upper[0]
    shape = np.broadcast_shapes((domain.rows, *which.shape[1:]), otherwise.shape, then.shape)
    cases = [(np.broadcast_to(x.lower, shape), np.broadcast_to(x.upper, shape)) for x in (then, otherwise)]
    joined = padded.hull(cases[0], cases[1])
    found = []
    for k in range(2):
        lost = np.array(joined[k])
        lost[1:] = np.nan
        end = np.where(low == 1.0, cases[0][k], np.where(high == 0.0, cases[1][k], lost))
        found.append(np.where(np.isnan(low), np.nan, end))
    return found[0], found[1]
