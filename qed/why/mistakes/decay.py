"""Weight decay on norms and offsets.

Decoupled decay shrinks a parameter by rate * weight_decay of itself at every step. In a matrix that is a preference for
small functions. The scale of a normalisation is no such thing: what follows it undoes it, and pulled towards zero
together with the offsets it pulls the signal itself to zero. The custom is to decay what has two axes or more; a vector
that is itself a matrix of weights with one column (a product reads it) is decayed on purpose, and is not looked at.

What shrinks is found by a step with gradient zero, the rest by a trial: the same rule that sees zeros in place of the
parameters with fewer than two axes, and so does not decay them. It is told only where that run ends clearly lower.

Reference: Loshchilov and Hutter, *Decoupled weight decay regularization*, 2019; Goyal et al., *Accurate, large
minibatch SGD*, 2017, section 5.3 (no decay on scale and offset of batch normalisation).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from qed.answer import Advice, Answer, Finding, Reason, Standing
from qed.graph.graph import Atom
from qed.optimization.step import StepRule
from qed.why.case import STEPS, Case
from qed.why.mistakes.flat import VIEWS, Flat
from qed.why.mistakes.tried import clearly_lower
from qed.why.trial import SMALL, Run, Runner
from qed.why.words import number, plural

PULL = 0.05
"""The share that the decay takes from a parameter over the run, below which it is not looked at."""


def decay_on_offsets(case: Case, graph: Flat, run: Run) -> list[Answer[Any]]:
    """Parameters with fewer than two axes that are decayed to the run's harm (QED413)."""
    prepared = case.prepared
    weights = _weights(graph)
    flat = [
        k
        for k, (position, p) in enumerate(zip(prepared.traced.free, prepared.parameters, strict=True))
        if p.ndim < 2 and graph.graph.inputs[position] not in weights
    ]
    mixed = 0 < len(flat) < len(prepared.parameters)
    if prepared.rule is None or not mixed or prepared.size > SMALL or case.clock.left <= 0 or run.steps == 0:
        return []
    if prepared.rule.rule in ("sgd", "adam", "rmsprop"):  # given as text: without decay
        return []
    shrinks = _shrinks(case)
    decayed = [k for k in flat if shrinks[k] * run.steps > PULL]
    if not decayed:
        return []
    spared = _spared(case, flat)
    if spared is None or not clearly_lower(spared, run):
        return []
    return [_answer(case, run, spared, decayed, max(shrinks[k] for k in decayed))]


def _weights(graph: Flat) -> set[Atom]:
    """The inputs that a product of matrices, a convolution or a look-up reads as they are, in another shape perhaps."""
    read = ("conv_general_dilated", "dot_general", "gather")
    return {
        graph.core(atom, VIEWS | {"slice"})
        for equation in graph.graph.equations
        if equation.primitive in read
        for atom in equation.inputs
    }


def _shrinks(case: Case) -> list[float]:
    """The share of each array of parameters that a step with gradient zero takes away; 0 where it does not shrink."""
    rule, parameters = (case.prepared.rule or case.rule).optax(), case.prepared.parameters
    ones, zero = tuple(map(jnp.ones_like, parameters)), tuple(map(jnp.zeros_like, parameters))
    none = [0.0] * len(parameters)
    if case.scheduled and case.schedule is not None:
        return none
    try:
        state = rule.init(parameters)
        change, doubled = (rule.update(zero, state, at)[0] for at in (ones, tuple(2 * p for p in ones)))
    except Exception:  # it asks for more than gradient, state and parameters
        return none
    found = []
    for one, two in zip(jax.tree.leaves(change), jax.tree.leaves(doubled), strict=True):
        a, b = (np.asarray(x).astype(np.float64) for x in (one, two))
        proportional = a.size > 0 and np.allclose(b, 2 * a, rtol=1e-2, atol=1e-12)
        found.append(float(-a.mean()) if proportional and (a < 0).all() else 0.0)
    return found


def _spared(case: Case, flat: list[int]) -> Run | None:
    """The run in which the parameters of the given numbers are not decayed."""
    prepared, given = case.prepared, case.prepared.rule
    assert given is not None
    inner = optax.with_extra_args_support(given.optax())

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        seen = params if params is None else tuple(jnp.zeros_like(p) if k in flat else p for k, p in enumerate(params))
        return inner.update(updates, state, seen, **extra)

    spared = replace(given, transformation=optax.GradientTransformationExtraArgs(inner.init, update))
    rule = spared if spared.rule == "optax" else StepRule("optax", transformation=spared.transformation)
    run = Runner(case.loss("given"), rule, case.key_position).run(
        prepared.parameters, prepared.data, STEPS, deadline=case.clock.deadline(0.4)
    )
    return run if run.steps and not run.cut else None


def _answer(case: Case, run: Run, spared: Run, decayed: list[int], share: float) -> Answer[Any]:
    paths = [case.prepared.paths[k] for k in decayed]
    names = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    ends = "is not finite" if run.failure is not None else f"ends at {number(run.settled)}"
    text = (
        f"weight decay pulls norms and offsets to zero ({names}): "
        f"the run {ends}, without that at {number(spared.settled)}"
    )
    reason = Reason(
        "a step with gradient zero",
        formula="w <- (1 - rate weight_decay) w",
        text=f"each step takes {share:.3g} of {names} away; the run in which only arrays of two axes and more "
        f"are decayed ends at {number(spared.settled)}",
        predicted=spared.settled,
        observed=run.settled,
        standing=Standing.MEASURED,
    )
    witness = {"parameters": paths, "share": share, "end": run.settled, "spared": spared.settled}
    what = "decay arrays of two axes and more only: mask=lambda p: jax.tree.map(lambda a: a.ndim > 1, p)"
    return Answer(
        f"the decay of what has fewer than two axes does no harm in {plural(run.steps, 'step')}",
        Standing.REFUTED,
        arithmetic=case.prepared.dtype,
        reasons=(reason,),
        findings=(Finding("QED413", text, None, witness),),
        advice=(Advice(what, trial=spared.trial()),),
        recheck=lambda: any(_shrinks(case)[k] > 0 for k in decayed),
    )
