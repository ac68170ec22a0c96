"""Class numbers where one-hot rows belong, and the other way round.

The cross-entropy of a row with class c among K is -log p_c, or -sum over k of y_k log p_k with the one-hot row y. Given
the class numbers c = 0, 1, ... in place of y, broadcasting makes it

    -c (log p_0 + ... + log p_{K-1}),

a weight on *all* classes: rows of class 0 count for nothing, the others pull towards the uniform distribution, and the
label is never learned. Given one-hot rows where class numbers belong, log p is read at 0 and at 1 for every row.

Both are seen in the graph (a product of log-probabilities with something stretched along the classes; an index that is
the labels themselves) and confirmed by the labels: whole numbers from 0 to K - 1 that pass 1, or rows of one 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.answer import Answer, Finding, Reason, Standing
from qed.graph.graph import Atom, Equation, Variable
from qed.why.case import Case
from qed.why.mistakes.flat import SAME, VIEWS, Flat, compute
from qed.why.mistakes.softmax import softmaxes, sum_of_exp
from qed.why.mistakes.tried import advice

CLASSES = 3
"""With two classes, numbers and weights cannot be told apart."""

_INDEX = VIEWS | {"select_n", "add", "lt", "concatenate", "clamp"}


@dataclass(frozen=True, eq=False)
class _Mixed:
    """Where log-probabilities meet labels of the wrong kind: 'numbers' as weights, or 'rows' as an index."""

    equation: Equation
    logarithms: Variable
    labels: Atom
    kind: str


def labels_of_the_wrong_kind(case: Case, flat: Flat) -> list[Answer[Any]]:
    """Class numbers used as weights, or one-hot rows used as class numbers (QED610)."""
    for found in _candidates(flat):
        classes = found.logarithms.shape[-1]
        labels = _labels(case, flat, found)
        if labels is not None and (_are_numbers if found.kind == "numbers" else are_rows)(labels, classes):
            return [_answer(case, flat, found, labels)]
    return []


def log_probabilities(flat: Flat, axis: int = -1) -> set[Variable]:
    """The values u - log sum exp u or log softmax u, the sum over one axis, that depend on parameters."""
    found = set()
    known = dict(softmaxes(flat))
    for equation in flat.graph.equations:
        out = equation.outputs[0]
        if equation.primitive == "log" and flat.on_parameters(out):
            of = flat.core(equation.inputs[0], SAME)
            if isinstance(of, Variable) and of in known and tuple(known[of][1]) == (axis % len(out.shape),):
                found.add(out)
        if equation.primitive != "sub" or len(out.shape) < 2 or not flat.on_parameters(out):
            continue
        log = flat.maker(flat.core(equation.inputs[1]))
        total = None if log is None or log.primitive != "log" else flat.maker(flat.core(log.inputs[0]))
        summed = None if total is None else sum_of_exp(flat, total)
        along = (axis % len(out.shape),)
        if (
            summed is not None
            and tuple(int(a) for a in summed[1]) == along
            and summed[0].inputs[0] is equation.inputs[0]
        ):
            found.add(out)
    return found


def _candidates(flat: Flat) -> Iterator[_Mixed]:
    known = log_probabilities(flat)
    if not known:
        return
    for equation in flat.graph.equations:
        if equation.primitive == "mul":
            for mine, other in ((0, 1), (1, 0)):
                logarithms, labels = flat.core(equation.inputs[mine], SAME), equation.inputs[other]
                if isinstance(logarithms, Variable) and logarithms in known and _summed(flat, equation, logarithms):
                    source = _stretched(flat, labels, logarithms.shape)
                    if source is not None:
                        yield _Mixed(equation, logarithms, source, "numbers")
        elif equation.primitive == "gather":
            operand = flat.core(equation.inputs[0], SAME)
            source = _indexing(flat, equation.inputs[1])
            if isinstance(operand, Variable) and operand in known and source is not None:
                if source.shape == operand.shape:
                    yield _Mixed(equation, operand, source, "rows")


def _summed(flat: Flat, equation: Equation, logarithms: Variable) -> bool:
    """Whether the product is summed over the classes, and it and its logarithms are used for nothing else.

    Where the labels are read elsewhere, weights on all classes beside them may be a term of their own.
    """
    if len(flat.uses.get(logarithms, ())) != 1:
        return False
    users = flat.uses.get(equation.outputs[0], ())
    while len(users) == 1 and users[0].primitive in SAME | {"neg"}:
        users = flat.uses.get(users[0].outputs[0], ())
    last = len(equation.outputs[0].shape) - 1
    return len(users) == 1 and users[0].primitive == "reduce_sum" and last in {int(a) for a in users[0].params["axes"]}


def _stretched(flat: Flat, atom: Atom, shape: tuple[int, ...]) -> Atom | None:
    """The data of one number a row that an operand stretches along the classes; None where it is no such thing."""
    if not flat.on_data(atom) or flat.on_parameters(atom):
        return None
    core = flat.core(atom)
    return core if core.shape in (shape[:-1], (*shape[:-1], 1)) and shape[-1] >= CLASSES else None


def _indexing(flat: Flat, atom: Atom) -> Variable | None:
    """The one array of data that an index shows, element by element."""
    waiting, found = [atom], set()
    while waiting:
        atom = waiting.pop()
        if not isinstance(atom, Variable) or not flat.depends(atom):
            continue
        equation = flat.maker(atom)
        if equation is None:
            found.add(atom)
        elif equation.primitive in _INDEX:
            waiting += equation.inputs
        else:
            return None
    return found.pop() if len(found) == 1 and not flat.on_parameters(atom) else None


def _labels(case: Case, flat: Flat, found: _Mixed) -> np.ndarray | None:
    prepared = case.prepared
    if case.clock.left <= 0:
        return None
    (value,) = compute(flat, prepared.join(prepared.parameters, prepared.data), [found.labels])
    return np.asarray(value).astype(np.float64)


def _are_numbers(labels: np.ndarray, classes: int) -> bool:
    whole = bool((labels == np.round(labels)).all())
    return whole and labels.min() == 0 and 2 <= labels.max() < classes and len(np.unique(labels)) > 2


def are_rows(labels: np.ndarray, classes: int) -> bool:
    """Whether labels are rows of one 1 among zeros, of at least three classes, not all of the first two."""
    ones = bool(np.isin(labels, (0.0, 1.0)).all())
    return classes >= CLASSES and ones and bool((labels.sum(-1) == 1).all()) and bool(labels[..., 2:].any())


def _answer(case: Case, flat: Flat, found: _Mixed, labels: np.ndarray) -> Answer[Any]:
    classes = found.logarithms.shape[-1]
    if found.kind == "numbers":
        text = f"class numbers 0 to {int(labels.max())} are used as weights on all {classes} classes"
        note, cure = "the class number, as a weight", f"give one-hot labels: jax.nn.one_hot(labels, {classes})"
        number, rows = int(labels.max()), np.eye(classes)[labels.reshape(found.logarithms.shape[:-1]).astype(int)]
        shown = (
            f"a row of class {number} adds {number} times the sum of all {classes} log-probabilities, class 0 nothing"
        )
    else:
        text = f"one-hot rows are used as class numbers: of {classes} classes only 0 and 1 are ever read"
        note, cure = "one-hot rows, as class numbers", "give class numbers: labels.argmax(-1)"
        rows = labels
        shown = (
            f"each row of {classes} labels reads the log-probability of class 0 {classes - 1} times and of class 1 once"
        )
    target = found.equation.outputs[0]
    one_hot = jnp.asarray(rows)
    instead = {target: (found.logarithms, lambda v: _spread(v * one_hot.astype(v.dtype), target))}
    reason = Reason(
        "cross-entropy of a row",
        formula="-sum y_k log p_k with one 1 in y",
        text=shown,
        predicted="one log-probability a row, that of its label",
        observed=found.kind,
        standing=Standing.MEASURED,
    )
    return Answer(
        "each row is compared with its own label",
        Standing.REFUTED,
        arithmetic=case.prepared.dtype,
        reasons=(reason,),
        findings=(
            Finding("QED610", text, found.equation.span, {"classes": classes, "kind": found.kind, "note": note}),
        ),
        advice=advice(case, flat, instead, cure),
        recheck=lambda: _labels(case, flat, found) is not None,
    )


def _spread(terms: Any, target: Variable) -> Any:
    """The terms in the shape of what they replace; a gather gives one number for each label."""
    if terms.shape == target.shape:
        return terms.astype(target.dtype)
    return jnp.broadcast_to(jax.numpy.sum(terms, -1, keepdims=True), target.shape).astype(target.dtype)
