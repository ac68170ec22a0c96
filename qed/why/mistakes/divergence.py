"""A probability where a log-probability belongs: log t - p in place of log t - log p.

The divergence of a prediction p from a target t is the sum of t (log t - log p), zero at p = t and positive
elsewhere (Gibbs' inequality). Functions for it ask for log p; handed p itself they compute

    sum of t (log t - p) <= 0,    since log t <= 0 and p >= 0,

which is smallest where p puts everything on the largest t: it is minimised by being certain, not by being right.

In the graph a softmax is taken from the logarithm of an array; that both are probabilities over the same axes is then
seen in their numbers. A logarithm of anything else, such as of a measured quantity, is no target distribution, and is
left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.answer import Advice, Answer, Finding, Reason, Standing
from qed.graph.graph import Atom, Equation, Variable
from qed.why.case import Case
from qed.why.mistakes.flat import SAME, VIEWS, Flat, compute
from qed.why.mistakes.softmax import softmaxes
from qed.why.mistakes.tried import advice
from qed.why.words import number


@dataclass(frozen=True, eq=False)
class _Mixed:
    """A difference of the logarithm of `target` and of `prediction`, both probabilities along `axes`."""

    equation: Equation
    target: Atom
    logarithm: Atom
    prediction: Variable
    axes: tuple[int, ...]


def log_minus_probability(case: Case, flat: Flat) -> list[Answer[Any]]:
    """A softmax that is compared with the logarithm of a distribution (QED608), confirmed by its numbers."""
    for found in _candidates(flat):
        largest = _largest(case, flat, found)
        if largest is not None:
            return [_answer(case, flat, found, largest)]
    return []


def _candidates(flat: Flat) -> Iterator[_Mixed]:
    known = dict(softmaxes(flat))
    if not known:
        return
    for equation in flat.graph.equations:
        if equation.primitive != "sub" or not _weighted(flat, equation):
            continue
        for mine, other in ((0, 1), (1, 0)):
            prediction = flat.core(equation.inputs[mine], SAME)
            if not isinstance(prediction, Variable) or prediction not in known or not flat.on_parameters(prediction):
                continue
            target = _logarithm_of(flat, equation.inputs[other])
            if target is not None and target.shape == prediction.shape == equation.inputs[other].shape:
                yield _Mixed(equation, target, equation.inputs[other], prediction, known[prediction][1])


def _weighted(flat: Flat, equation: Equation) -> bool:
    """Whether the difference is multiplied by something else, as in t (log t - log p)."""
    users = flat.uses.get(equation.outputs[0], ())
    return any(user.primitive == "mul" and user.inputs[0] is not user.inputs[1] for user in users)


def _logarithm_of(flat: Flat, atom: Atom) -> Atom | None:
    """t, where the atom is log t, guarded against t = 0 or not."""
    waiting = [atom]
    while waiting:
        made = flat.maker(flat.core(waiting.pop(), VIEWS))
        if made is not None and made.primitive == "log":
            return made.inputs[0]
        if made is not None and made.primitive == "select_n":
            waiting += made.inputs[1:]
    return None


def _largest(case: Case, flat: Flat, found: _Mixed) -> float | None:
    """The largest of the terms t (log t - p), or None where the numbers are no probabilities."""
    prepared = case.prepared
    if case.clock.left <= 0:
        return None

    @jax.jit
    def values(parameters: Any, data: Any) -> Any:
        wanted = [found.target, found.logarithm, found.prediction]
        return compute(flat, prepared.join(parameters, data), wanted)

    t, log, p = (np.asarray(x).astype(np.float64) for x in values(prepared.parameters, prepared.data))
    for each in (t, p):
        sums = each.sum(axis=found.axes)
        if not np.isfinite(each).all() or each.min() < 0 or each.max() > 1.01 or np.abs(sums - 1).max() > 0.02:
            return None
    terms = np.where(t > 0, t * (np.where(t > 0, log, 0.0) - p), 0.0).sum(axis=found.axes)
    return float(terms.max()) if np.isfinite(terms).all() else None


def _answer(case: Case, flat: Flat, found: _Mixed, largest: float) -> Answer[Any]:
    text = "a probability is taken from a log-probability: log t - p, where a divergence has log t - log p"
    note = "a probability, where its logarithm belongs"
    reason = Reason(
        "Gibbs' inequality",
        formula="sum t (log t - log p) >= 0 >= sum t (log t - p)",
        text="a divergence is never negative; sum t (log t - p) is never positive, "
        f"here at most {number(largest)} in any row",
        predicted="at most 0",
        observed=largest,
        standing=Standing.MEASURED,
    )
    return Answer(
        "log-probabilities are compared with log-probabilities",
        Standing.REFUTED,
        arithmetic=case.prepared.dtype,
        reasons=(reason,),
        findings=(Finding("QED608", text, found.equation.span, {"largest": largest, "note": note}),),
        advice=_tried(case, flat, found),
        recheck=lambda: _largest(case, flat, found) is not None,
    )


def _tried(case: Case, flat: Flat, found: _Mixed) -> tuple[Advice, ...]:
    """The run with log p in place of p."""
    if any(user is not found.equation for user in flat.uses.get(found.prediction, ())):
        return ()
    instead = {found.prediction: (found.prediction, jnp.log)}
    return advice(case, flat, instead, "hand on the logarithm of the probabilities (jax.nn.log_softmax)")
