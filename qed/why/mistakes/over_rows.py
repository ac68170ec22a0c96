"""A softmax along the rows of the data, where its loss reads one class of each row.

The probabilities of a row's K classes add up to one: p_ik = exp(u_ik) / sum_j exp(u_ij). Along the other axis,

    q_ik = exp(u_ik) / sum_l exp(u_lk),

they add up to one over the *rows*, and say of a class which row it prefers. The cross-entropy -mean log q_{i, c_i} of N
rows is about log N at the start, and no model makes it 0: rows of one class take the probability from one another, so
that n of them cannot have less than log n each.

In the graph it is a softmax of a matrix along its first axis. That a class of each row is read shows in the derivative
of the loss in the logarithms: one number of each row is not zero, it is the same for all rows of a class, and rows
share their classes. That the columns are classes shows in the parameters: the last layer has some for each, on which
no other column depends. Where both axes are data, as in a comparison of images with captions, and in the layout
(classes, rows), there are none; and who normalises the same logits along both axes means it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.answer import Answer, Finding, Reason, Standing
from qed.graph.graph import Atom, Variable
from qed.why.case import Case
from qed.why.mistakes.flat import Flat, compute
from qed.why.mistakes.labels import log_probabilities
from qed.why.mistakes.softmax import softmaxes, unshifted
from qed.why.mistakes.tried import advice
from qed.why.words import number


def softmax_over_rows(case: Case, flat: Flat) -> list[Answer[Any]]:
    """A softmax or its logarithm along the rows, one class of each row being read (QED612)."""
    for found, logits, logarithm in _candidates(flat):
        sums = _sums(case, flat, found, logits, logarithm)
        if sums is not None:
            return [_answer(case, flat, found, logits, logarithm, sums)]
    return []


def _candidates(flat: Flat) -> Iterator[tuple[Variable, Variable, bool]]:
    """(values, logits, whether the values are logarithms) of matrices normalised along their first axis alone."""
    both = {_source(flat, value) for value in log_probabilities(flat)}
    both |= {logits for _, (logits, axes, _) in softmaxes(flat) if tuple(axes) == (1,)}
    yield from ((value, logits, logarithm) for value, logits, logarithm in _columns(flat) if logits not in both)


def _source(flat: Flat, value: Variable) -> Atom | None:
    """The logits of logarithms of probabilities that are differences."""
    made = flat.made[value]
    return unshifted(flat, made.inputs[0]) if made.primitive == "sub" else None


def _columns(flat: Flat) -> Iterator[tuple[Variable, Variable, bool]]:
    for value in log_probabilities(flat, axis=0):
        logits = _source(flat, value)
        if isinstance(logits, Variable) and _fits(flat, value, logits):
            yield value, logits, True
    for value, (logits, axes, _) in softmaxes(flat):
        if tuple(axes) == (0,) and isinstance(logits, Variable) and _fits(flat, value, logits):
            yield value, logits, False


def _fits(flat: Flat, value: Variable, logits: Variable) -> bool:
    rows, classes = (*value.shape, 0, 0)[:2]
    matrix = len(value.shape) == 2 and logits.shape == value.shape
    return matrix and rows != classes and min(rows, classes) > 1 and bool(flat.on_parameters(value))


def _sums(case: Case, flat: Flat, found: Variable, logits: Variable, logarithm: bool) -> np.ndarray | None:
    """The sums of the probabilities of each row, where one class of each row is read; else None."""
    prepared = case.prepared
    if case.clock.left <= 0:
        return None
    arrays = prepared.join(prepared.parameters, prepared.data)
    output = flat.graph.outputs[0]

    def loss(change: Any) -> tuple[Any, Any]:
        instead = {found: (found, lambda value: value + change)}
        value, mine = compute(flat, arrays, [output, found], instead)
        return jnp.sum(value), mine

    slopes, values = jax.jit(jax.grad(loss, has_aux=True))(jnp.zeros(found.shape, found.dtype))
    read, table = np.asarray(slopes) != 0, np.asarray(values).astype(np.float64)
    classes = read.sum(axis=0)
    one_each = (read.sum(axis=1) <= 1).all() and read.any(axis=1).mean() > 0.5
    if not one_each or not np.isfinite(table).all() or (classes > 0).sum() < 2 or classes.max() < 2:
        return None
    weights = np.asarray(slopes).astype(np.float64) * (1.0 if logarithm else table)
    mean = np.where(read, weights.sum(axis=0) / np.maximum(classes, 1), 0.0)
    if not np.allclose(weights, mean, rtol=0.05, atol=0.0) or not _owned(case, flat, logits, int(classes.argmax())):
        return None
    return (np.exp(table) if logarithm else table).sum(axis=1)


def _owned(case: Case, flat: Flat, logits: Variable, k: int) -> bool:
    """Whether a parameter is there on which column k of the logits depends, and no other."""
    prepared = case.prepared
    weights = np.random.default_rng(0).uniform(1.0, 2.0, logits.shape)
    mine = jnp.asarray(np.arange(logits.shape[1]) == k)

    def sums(parameters: Any) -> Any:
        (value,) = compute(flat, prepared.join(parameters, prepared.data), [logits])
        parts = jnp.where(mine, value, 0), jnp.where(mine, 0, value)
        return jnp.stack([jnp.sum(part * weights) for part in parts])

    slopes = jax.tree.leaves(jax.jit(jax.jacrev(sums))(prepared.parameters))
    return any(bool(np.any((np.asarray(s[0]) != 0) & (np.asarray(s[1]) == 0))) for s in slopes)


def _answer(
    case: Case, flat: Flat, found: Variable, logits: Variable, logarithm: bool, sums: np.ndarray
) -> Answer[Any]:
    rows, classes = found.shape
    span = flat.made[found].span
    low, high = float(sums.min()), float(sums.max())
    text = f"the softmax of {rows} rows of {classes} classes is taken along the rows, not along the classes"
    between = number(low) if number(low) == number(high) else f"{number(low)} to {number(high)}"
    reason = Reason(
        "probabilities of a row",
        formula="sum over the classes of p_k = 1",
        text=f"the probabilities of a row add up to {between}, those of a class over the {rows} rows to 1; the loss "
        "reads one class of each row",
        predicted=1.0,
        observed=high,
        span=span,
        standing=Standing.MEASURED,
    )
    cure = jax.nn.log_softmax if logarithm else jax.nn.softmax
    instead = {found: (logits, lambda u: cure(u, axis=1).astype(found.dtype))}
    witness = {
        "rows": rows,
        "classes": classes,
        "sums": [low, high],
        "note": "along the rows",
    }
    return Answer(
        "the probabilities of each row add up to 1",
        Standing.REFUTED,
        arithmetic=case.prepared.dtype,
        reasons=(reason,),
        findings=(Finding("QED612", text, span, witness),),
        advice=advice(case, flat, instead, "take the softmax along the classes: axis=-1"),
        recheck=lambda: _sums(case, flat, found, logits, logarithm) is not None,
    )
