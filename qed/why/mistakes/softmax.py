"""Softmax taken of a softmax: the loss gets probabilities where it asks for logits.

The probabilities p of K classes lie in [0, 1]. Softmax of *them* is at most

    e^1 / (e^1 + (K - 1) e^0) = e / (e + K - 1),

reached where p is one-hot: 0.73 for two classes, 0.23 for ten. The cross-entropy of a row therefore never falls below
log(1 + (K - 1) / e), however right the model is, and its gradient is faint throughout.

In the graph a softmax is exp(u) / sum(exp(u)), u with or without its maximum taken off; a cross-entropy or a second
softmax of it reads the quotient again through a maximum, an exp and a sum over the same axes. Both are
looked for by their equations, whoever wrote them, and the probabilities are then evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from qed.answer import Advice, Answer, Finding, Reason, Standing
from qed.graph.graph import Atom, Equation, Variable
from qed.span import Span
from qed.why.case import Case
from qed.why.mistakes.flat import SAME, VIEWS, Flat, compute
from qed.why.mistakes.tried import advice
from qed.why.words import number

_LIMITS = VIEWS | {"max", "select_n"}


@dataclass(frozen=True, eq=False)
class _Twice:
    """A softmax (of `logits`, giving `probabilities`) that is the argument of another, whose exp gives `again`."""

    logits: Atom
    probabilities: Variable
    first: Span | None
    again: Variable
    total: Variable
    axes: tuple[int, ...]
    second: Span | None


def softmax_twice(case: Case, flat: Flat) -> list[Answer[Any]]:
    """The first softmax of a softmax in the loss (QED607), confirmed by its numbers."""
    for found in _candidates(flat):
        largest = _largest(case, flat, found)
        if largest is not None:
            return [_answer(case, flat, found, *largest)]
    return []


def _candidates(flat: Flat) -> Iterator[_Twice]:
    known_ones = dict(softmaxes(flat))
    for equation in flat.graph.equations:
        summed = sum_of_exp(flat, equation)
        if summed is None:
            continue
        exp, axes = summed
        source = flat.core(unshifted(flat, exp.inputs[0]), SAME)
        known = known_ones.get(source) if isinstance(source, Variable) else None
        if known is None or known[1] != axes or not isinstance(source, Variable):
            continue
        if not flat.on_parameters(source) or not _normalises(flat, equation, exp, source):
            continue
        logits, _, first = known
        yield _Twice(logits, source, first, exp.outputs[0], equation.outputs[0], axes, exp.span)


def softmaxes(flat: Flat) -> Iterator[tuple[Variable, tuple[Atom, tuple[int, ...], Span | None]]]:
    """(probabilities, (logits, axes, line)) of every softmax."""
    for equation in flat.graph.equations:
        if equation.primitive != "div":
            continue
        total = flat.maker(flat.core(equation.inputs[1]))
        summed = None if total is None else sum_of_exp(flat, total)
        if summed is None or flat.core(equation.inputs[0], SAME) is not summed[0].outputs[0]:
            continue
        yield equation.outputs[0], (unshifted(flat, summed[0].inputs[0]), summed[1], equation.span)


def sum_of_exp(flat: Flat, equation: Equation) -> tuple[Equation, tuple[int, ...]] | None:
    """(the equation exp u, the axes), where an equation is a sum of exp u."""
    if equation.primitive != "reduce_sum":
        return None
    exp = flat.maker(flat.core(equation.inputs[0], SAME))
    if exp is None or exp.primitive != "exp":
        return None
    return exp, tuple(equation.params["axes"])


def unshifted(flat: Flat, atom: Atom) -> Atom:
    """x, where the atom is x minus a maximum of x."""
    minus = flat.maker(atom)
    if minus is None or minus.primitive != "sub":
        return atom
    found = _maximum(flat, minus.inputs[1])
    whole = flat.core(minus.inputs[0], SAME)
    return minus.inputs[0] if found is not None and flat.core(found, SAME) is whole else atom


def _maximum(flat: Flat, atom: Atom) -> Atom | None:
    """x, where the atom is the maximum of x along an axis, guarded against infinities or not."""
    waiting = [atom]
    while waiting:
        equation = flat.maker(waiting.pop())
        if equation is None:
            continue
        if equation.primitive == "reduce_max":
            return equation.inputs[0]
        if equation.primitive in _LIMITS:
            waiting += equation.inputs[1:] if equation.primitive == "select_n" else equation.inputs
    return None


def _normalises(flat: Flat, total: Equation, exp: Equation, source: Variable) -> bool:
    """Whether the sum makes a softmax (exp / sum) or a cross-entropy (something of the argument, less log sum)."""
    waiting, seen = list(total.outputs), set()
    while waiting:
        value = waiting.pop()
        for user in flat.uses.get(value, ()):
            if user in seen:
                continue
            seen.add(user)
            if user.primitive == "div" and flat.core(user.inputs[0], SAME) is exp.outputs[0]:
                return True
            if user.primitive == "sub":
                other = user.inputs[0] if user.inputs[1] is value else user.inputs[1]
                if flat.needs(other, source):
                    return True
            elif user.primitive in VIEWS or user.primitive in ("log", "abs", "add"):
                waiting += user.outputs
    return False


def _largest(case: Case, flat: Flat, found: _Twice) -> tuple[int, float] | None:
    """(classes, the largest probability after the second softmax), or None where the numbers say otherwise."""
    prepared = case.prepared
    shape = found.probabilities.shape
    classes = math.prod(shape[axis] for axis in found.axes)
    if classes < 2 or case.clock.left <= 0:
        return None

    @jax.jit
    def values(parameters: Any, data: Any) -> Any:
        return compute(flat, prepared.join(parameters, data), [found.probabilities, found.again])

    first, exp = (np.asarray(x).astype(np.float64) for x in values(prepared.parameters, prepared.data))
    sums = first.sum(axis=found.axes)
    if not np.isfinite(exp).all() or first.min() < 0 or first.max() > 1.01 or np.abs(sums - 1).max() > 0.02:
        return None
    again = exp / exp.sum(axis=found.axes, keepdims=True)
    return classes, float(again.max())


def _answer(case: Case, flat: Flat, found: _Twice, classes: int, largest: float) -> Answer[Any]:
    top, floor = math.e / (math.e + classes - 1), math.log1p((classes - 1) / math.e)
    text = f"softmax gets probabilities, not logits: of {classes} classes its result never exceeds {top:.3f}"
    where = f" (made at {found.first})" if found.first is not None and found.first != found.second else ""
    finding = Finding(
        "QED607",
        text,
        found.second,
        {"classes": classes, "largest": largest, "bound": top, "note": f"gets probabilities{where}, not logits"},
    )
    reason = Reason(
        "softmax of numbers between 0 and 1",
        formula="e / (e + K - 1)",
        with_numbers=f"e / (e + {classes - 1}) = {top:.4g}",
        predicted=top,
        observed=largest,
        span=found.first,
        standing=Standing.MEASURED,
        text=f"softmax of probabilities of {classes} classes is at most {top:.4g}, here {number(largest)}; "
        f"a cross-entropy of it cannot fall below {floor:.4g} in any row",
    )
    return Answer(
        "softmax is applied to logits",
        Standing.REFUTED,
        arithmetic=case.prepared.dtype,
        reasons=(reason,),
        findings=(finding,),
        advice=_tried(case, flat, found),
        recheck=lambda: _largest(case, flat, found) is not None,
    )


def _tried(case: Case, flat: Flat, found: _Twice) -> tuple[Advice, ...]:
    """The run with the logits in place of the probabilities."""
    if not isinstance(found.logits, Variable) or found.logits.shape != found.probabilities.shape:
        return ()
    instead = {found.probabilities: (found.logits, lambda value: value.astype(found.probabilities.dtype))}
    return advice(case, flat, instead, "drop the first softmax: hand the logits on")
