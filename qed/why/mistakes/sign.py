"""The wrong sign: a loss that is smallest where the errors are largest.

A loss is a mean of errors e(r) of residuals r = prediction - target, with e(0) = 0 and e growing on both sides; or
minus a mean of log-probabilities of the labels. With the sign turned, descent makes the errors grow, and since they
have no upper bound the loss falls for ever.

In the graph the loss is followed back from its end through signs, factors and sums to the terms that are summed.
They are errors if they come from a difference with something that is not differentiated and are confirmed by their
numbers: zero where the residuals are set to zero, and larger where these are doubled. What a term is multiplied with by
the user (weights, advantages) is not looked through.

Errors are also enlarged on purpose, by what changes the data within bounds (an adversary). There the loss has a lower
bound: far ahead on the way of the run it has not fallen further, and nothing is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from qed.answer import Advice, Answer, Finding, Reason, Standing
from qed.graph.graph import Atom, Equation, Variable
from qed.why.case import STEPS, Case
from qed.why.mistakes.bernoulli import score_of
from qed.why.mistakes.flat import SAME, VIEWS, Flat, compute, literal
from qed.why.mistakes.labels import are_rows, log_probabilities
from qed.why.mistakes.softmax import sum_of_exp
from qed.why.trial import Run, Runner
from qed.why.words import number

AHEAD = 10
"""How many times as far as the run went the loss is looked at again."""

_EVEN = frozenset({"square", "integer_pow", "abs"})
_WITHIN = (
    SAME
    | _EVEN
    | {"mul", "div", "add", "sub", "min", "max", "select_n", "neg", "lt", "le", "gt", "ge", "sqrt"}
    | {"pow", "log", "log1p", "exp", "exp2", "cosh", "tanh", "logistic"}
)


@dataclass(frozen=True, eq=False)
class _Terms:
    """What is summed, with which sign, at which line; of errors also their residual."""

    total: Equation
    terms: Variable
    negative: bool
    residual: Variable | None = None


def wrong_sign(case: Case, flat: Flat, run: Run) -> list[Answer[Any]]:
    """A loss that rewards errors (QED411), where its own run shows them growing."""
    terms = _terms(flat)
    if terms is None or case.clock.left <= 0 or not _falls_below_zero(run):
        return []
    found = (_errors(flat, terms) if terms.negative else None) or _likelihood(flat, terms)
    found = found or (None if terms.negative else _of_rows(case, flat, terms))
    score = score_of(case, flat, terms.terms, terms.negative) if found is None else None
    found = found or (terms if score is not None else None)
    if found is None or (found.residual is not None and not _confirmed(case, flat, found)):
        return []
    if not _falls_further(case, flat, run, score):
        return []
    return [_answer(case, flat, found, run)]


def _falls_below_zero(run: Run) -> bool:
    """Whether the loss is negative and ten times as far from zero at the end as at the start, or falls to -inf."""
    if run.failure is not None:
        return run.failure.value == "-inf"
    return run.steps > 0 and run.settled < 10 * min(run.start, 0.0) and run.settled < run.start


def _falls_further(case: Case, flat: Flat, run: Run, score: Variable | None) -> bool:
    """Whether the loss is far lower still where the way of the run is ten times as long, or the score far larger.

    The score tells where a guard holds the logarithm: log(p + 1e-12) ends at -27.6, however wrong the prediction.
    """
    if run.failure is not None or run.last is None:
        return True
    ends = list(zip(case.prepared.parameters, run.last.parameters, strict=True))
    ahead = tuple(start + AHEAD * (end - start) for start, end in ends)
    value = float(case.runner("given").value(ahead, case.prepared.data))
    if not np.isfinite(value) or value < 3 * run.settled:
        return True
    if score is None or not value < 0.9 * run.settled:
        return False
    at_end, further = (_size(case, flat, score, at) for at in (run.last.parameters, ahead))
    return further > 3 * at_end


def _size(case: Case, flat: Flat, score: Variable, parameters: Any) -> float:
    """The root mean square of the score."""
    (value,) = compute(flat, case.prepared.join(parameters, case.prepared.data), [score])
    return float(np.sqrt(np.mean(np.square(np.asarray(value).astype(np.float64)))))


def _terms(flat: Flat) -> _Terms | None:
    """The sum that is the whole loss but for signs and plain factors."""
    atom: Atom = flat.graph.outputs[0]
    negative = False
    total = None
    for _ in range(24):
        equation = flat.maker(atom)
        if equation is None:
            return None
        if equation.primitive in SAME:
            atom = equation.inputs[0]
        elif equation.primitive == "neg":
            negative, atom = not negative, equation.inputs[0]
        elif equation.primitive == "reduce_sum":
            total, atom = equation, equation.inputs[0]
        elif equation.primitive in ("mul", "div") and (factor := _factor(equation)) is not None:
            negative, atom = negative != (factor[0] < 0), factor[1]
        else:
            break
    if total is None or not isinstance(atom, Variable) or not flat.on_parameters(atom) or not flat.on_data(atom):
        return None
    return _Terms(total, atom, negative)


def _factor(equation: Equation) -> tuple[float, Atom] | None:
    numbers = [literal(each) for each in equation.inputs]
    known = [k for k, value in enumerate(numbers) if value is not None and value != 0]
    if len(known) != 1 or (equation.primitive == "div" and known != [1]):
        return None
    return float(numbers[known[0]] or 0.0), equation.inputs[1 - known[0]]


def _errors(flat: Flat, terms: _Terms) -> _Terms | None:
    """The residual from which the terms are made, and nothing but numbers and axes on the way."""
    waiting: list[Atom] = [terms.terms]
    seen: set[Variable] = set()
    found: set[Variable] = set()
    while waiting:
        atom = waiting.pop()
        if not isinstance(atom, Variable) or atom in seen or not flat.on_parameters(atom):
            continue
        seen.add(atom)
        equation = flat.maker(atom)
        if equation is None:
            return None
        if _is_residual(flat, equation):
            found.add(atom)
        elif equation.primitive in _WITHIN | {"reduce_sum"}:
            waiting += equation.inputs
        else:
            return None
    return _Terms(terms.total, terms.terms, True, found.pop()) if len(found) == 1 else None


def _is_residual(flat: Flat, equation: Equation) -> bool:
    if equation.primitive != "sub":
        return False
    sides = [_moves(flat, atom) for atom in equation.inputs]
    return sides in ([True, False], [False, True]) and all(flat.on_data(atom) for atom in equation.inputs)


def _moves(flat: Flat, atom: Atom) -> bool:
    """Whether the value depends on parameters, other than behind a stop_gradient."""
    waiting, seen = [atom], set()
    while waiting:
        atom = waiting.pop()
        if not isinstance(atom, Variable) or atom in seen or not flat.on_parameters(atom):
            continue
        seen.add(atom)
        equation = flat.maker(atom)
        if equation is None:
            return True
        if equation.primitive != "stop_gradient":
            waiting += equation.inputs
    return False


def _likelihood(flat: Flat, terms: _Terms) -> _Terms | None:
    """Log-probabilities read at the labels: log p[c], or u[c] - log sum exp u with the sign turned."""
    equation = flat.maker(flat.core(terms.terms, VIEWS - {"stop_gradient"}))
    if equation is None:
        return None
    if not terms.negative and equation.primitive == "gather" and not flat.on_parameters(equation.inputs[1]):
        return terms if flat.core(equation.inputs[0], SAME) in log_probabilities(flat) else None
    if terms.negative and equation.primitive == "sub" and _is_log_sum_exp(flat, equation.inputs[0]):
        read, labels = flat.maker(flat.core(equation.inputs[1], VIEWS - {"stop_gradient"})), 0
        while read is not None and read.primitive == "gather" and not flat.on_parameters(read.inputs[1]):
            labels |= flat.on_data(read.inputs[1])
            read = flat.maker(flat.core(read.inputs[0], VIEWS - {"stop_gradient"}))
        return terms if labels else None
    return None


def _of_rows(case: Case, flat: Flat, terms: _Terms) -> _Terms | None:
    """Log-probabilities times rows of one 1 each."""
    equation = flat.maker(flat.core(terms.terms, SAME))
    if equation is None or equation.primitive != "mul":
        return None
    known = log_probabilities(flat)
    for mine, other in ((0, 1), (1, 0)):
        labels = equation.inputs[other]
        if flat.core(equation.inputs[mine], SAME) in known and flat.on_data(labels) and not flat.on_parameters(labels):
            (value,) = compute(flat, case.prepared.join(case.prepared.parameters, case.prepared.data), [labels])
            return terms if are_rows(np.asarray(value).astype(np.float64), equation.outputs[0].shape[-1]) else None
    return None


def _is_log_sum_exp(flat: Flat, atom: Atom) -> bool:
    waiting = [atom]
    while waiting:
        equation = flat.maker(waiting.pop())
        if equation is not None and equation.primitive == "log":
            total = flat.maker(flat.core(equation.inputs[0], VIEWS | {"abs"}))
            return total is not None and sum_of_exp(flat, total) is not None
        if equation is not None and equation.primitive in VIEWS | {"add"}:
            waiting += equation.inputs
    return False


def _confirmed(case: Case, flat: Flat, found: _Terms) -> bool:
    """Whether the terms are zero at zero residuals, positive elsewhere, and larger where these are doubled."""
    prepared, residual = case.prepared, found.residual
    assert residual is not None

    @jax.jit
    def values(parameters: Any, data: Any) -> Any:
        arrays = prepared.join(parameters, data)
        return tuple(
            compute(flat, arrays, [found.terms], {residual: (residual, lambda r, k=k: k * r)})[0] for k in (0, 1, 2)
        )

    zero, once, twice = (np.asarray(x).astype(np.float64) for x in values(prepared.parameters, prepared.data))
    return not zero.any() and bool((once >= 0).all()) and bool((twice >= once).all()) and bool((twice > once).any())


def _answer(case: Case, flat: Flat, found: _Terms, run: Run) -> Answer[Any]:
    ends = "-inf" if run.failure is not None else number(run.settled)
    what = "minus a mean of errors" if found.residual is not None else "a mean of log-probabilities of the labels"
    text = f"the loss is {what}: descent makes the errors grow, and the loss goes from {number(run.start)} to {ends}"
    reason = Reason(
        "followed back from the end of the loss",
        formula="min -mean e(r), e(0) = 0" if found.residual is not None else "min mean log p(label)",
        text="the terms are zero where the residuals are zero and grow with them: their negative has no lower bound"
        if found.residual is not None
        else "log p is at most 0 and has no lower bound; it is to be made large, its negative small",
        predicted="falls below every bound",
        observed=ends,
        standing=Standing.MEASURED,
    )
    witness = {"start": run.start, "end": run.settled if run.failure is None else "-inf", "note": "the sign is turned"}
    return Answer(
        "the loss is small where the errors are small",
        Standing.REFUTED,
        arithmetic=case.prepared.dtype,
        reasons=(reason,),
        findings=(Finding("QED411", text, found.total.span, witness),),
        advice=_turned(case),
        recheck=lambda: found.residual is None or _confirmed(case, flat, found),
    )


def _turned(case: Case) -> tuple[Advice, ...]:
    """The run with the sign turned back."""
    prepared = case.prepared
    if prepared.rule is None or case.clock.left <= 0:
        return ()
    run = Runner(lambda p, d: -prepared.loss(p, d), case.rule, case.key_position).run(
        prepared.parameters, prepared.data, STEPS, deadline=case.clock.deadline(0.4)
    )
    return (Advice("turn the sign of the loss", trial=run.trial()),) if run.steps else ()
