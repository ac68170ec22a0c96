"""One random key for all steps of a script: its draws are the same numbers each time, and the run may fit them.

A step that is meant to draw anew (dropout, noise, sampled latents) minimises E L(w, e) over the draws e. If every step
is given one key, e is one array, and what is minimised is L(w, e) of that array: at its minimum it lies below E L, as a
training error lies below its expectation. The parameters may adapt to one mask, and be bad under every other.

That the key is the same is read off the first steps: all draws of the loss are made from one key, and what that key is
computed from is the same in each of them. It is told only where it does harm, in trial runs on the data of one step:
with a new key at each step the run ends lower, in the mean over fresh draws, than with the one key. A key that is
meant to stay (random features, a fixed projection) is not told: with new keys at each step such a loss hardly falls.

Reference: Kleywegt, Shapiro and Homem-de-Mello, "The sample average approximation method for stochastic discrete
optimization", SIAM Journal on Optimization 12, 2002.
"""

from __future__ import annotations

import functools
import operator
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from qed.answer import Advice, Answer, Finding, Reason, Standing
from qed.errors import QedError
from qed.findings import Level
from qed.graph.dtypes import is_extended
from qed.graph.graph import Atom, Equation, Variable
from qed.why.case import DEFAULT_BUDGET, STEPS
from qed.why.mistakes.flat import VIEWS, Flat, compute, flatten
from qed.why.prepare import Prepared, prepare
from qed.why.problem import Problem
from qed.why.trial import Run, Runner
from qed.why.words import number

FEWEST = 3
"""Steps that have to be given one key."""
SHORT = 20
"""Runs with fewer steps are not judged."""
FRESH = 64
"""Keys over which a loss is averaged."""
ERRORS = 4.0
"""Standard deviations of one draw by which the loss lies below its mean where a run has fitted its draws."""
SHARE = 0.15
"""The share of the budget that a trial run may take."""
FALLS = 0.5
"""The share of the run's own fall that new keys must reach in the mean: less, and the draws are meant to stay."""
HIDDEN = 0.25
"""The share of what the fit hides (the mean over fresh draws, less the loss with the one key) that new keys mend."""
SMALL_GAP = 0.02
"""What the fit hides is not worth a word below this share of the fall of the loss and of its end."""
WARNED = 0.25
"""The share of the better end by which the worse one lies above it, from which it is a warning."""

_FROM_A_KEY = VIEWS | {"random_wrap", "random_unwrap", "random_split", "random_fold_in", "slice", "random_clone"}


@dataclass(frozen=True)
class _Mean:
    """A loss over fresh draws: its mean, and the standard deviation of one draw."""

    mean: float
    deviation: float


@dataclass(frozen=True, eq=False)
class Drawn:
    """How the loss of a script draws its random numbers.

    Args:
        prepared: the problem of the first step.
        flat: its graph.
        count: how many steps were compared.
        same: whether each of them draws the same numbers.
    """

    prepared: Prepared
    flat: Flat
    count: int
    same: bool


def drawn(problems: Sequence[Problem]) -> Drawn | None:
    """How the first steps draw; None where they do not, or cannot be compared."""
    try:
        first, *others = (prepare(problem) for problem in problems)
    except QedError:
        return None
    flat = flatten(first.graph, first.traced.free)
    bits = functools.reduce(operator.or_, (flat.depends(e.inputs[0]) for e in _draws(flat)), 0)
    if not _draws(flat) or bits & flat.free:
        return None
    return Drawn(first, flat, len(problems), all(_same_inputs(first, other, bits) for other in others))


def one_key(seen: Drawn, steps: int) -> Answer[Any] | None:
    """A key that is the same at every step, to the run's harm (QED611).

    Args:
        seen: how the first steps draw.
        steps: how many the script made.
    """
    root = _root(seen.flat)
    if not seen.same or seen.count < FEWEST or steps < SHORT or root is None or seen.flat.own_rules:
        return None
    return _judged(seen, root, min(steps, STEPS))


def without_fit(answer: Answer[Any]) -> Answer[Any]:
    """The diagnosis without what its trial runs fitted: they repeat the draws of one step, the script does not."""
    parts = tuple(replace(part, findings=_others(part.findings)) for part in answer.answers)
    return replace(answer, answers=parts, findings=_others(answer.findings))


def _others(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding.code != "QED611")


def _root(flat: Flat) -> Variable | None:
    """The one key that all draws of the loss are made from, by splitting and folding; None where there are several."""
    roots: set[Variable] = set()
    if any(e.call is not None and any(is_extended(a.dtype) for a in e.inputs) for e in flat.graph.equations):
        return None  # draws inside a loop or a branch
    for equation in _draws(flat):
        atom: Atom = equation.inputs[0]
        key = atom
        while (maker := flat.maker(atom)) is not None and maker.primitive in _FROM_A_KEY:
            atom = maker.inputs[0]
            key = atom if _is_one_key(atom) else key
        if not isinstance(key, Variable) or not _is_one_key(key):
            return None
        roots.add(key)
    return roots.pop() if len(roots) == 1 else None


def _draws(flat: Flat) -> list[Equation]:
    return [equation for equation in flat.graph.equations if equation.primitive == "random_bits"]


def _is_one_key(atom: Atom) -> bool:
    return isinstance(atom, Variable) and is_extended(atom.dtype) and atom.shape == ()


def _same_inputs(one: Prepared, other: Prepared, bits: int) -> bool:
    """Whether two steps are given the same in the inputs named by the bits."""
    mine, theirs = (p.join(p.parameters, p.data) for p in (one, other))
    if len(mine) != len(theirs):
        return False
    return all(
        np.array_equal(_bits(a), _bits(b)) for i, (a, b) in enumerate(zip(mine, theirs, strict=True)) if bits >> i & 1
    )


def _bits(leaf: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if is_extended(leaf.dtype) else leaf)


def _judged(seen: Drawn, root: Variable, steps: int) -> Answer[Any] | None:
    """The run with one key beside the run with a new one at each step, both in the mean over fresh draws."""
    prepared, flat = seen.prepared, seen.flat
    output, data = flat.graph.outputs[0], list(prepared.data)
    (key,) = compute(flat, prepared.join(prepared.parameters, data), [root])
    cut = replace(
        flat,
        graph=replace(flat.graph, inputs=(*flat.graph.inputs, root)) if root not in flat.graph.inputs else flat.graph,
        made={v: e for v, e in flat.made.items() if v is not root},
    )

    def loss(parameters: Any, data: Any) -> Any:
        arrays = prepared.join(parameters, data[:-1])
        if root in flat.graph.inputs:
            arrays[flat.graph.inputs.index(root)] = data[-1]
            return compute(cut, arrays, [output])[0]
        return compute(cut, [*arrays, data[-1]], [output])[0]

    fresh = jax.random.split(jax.random.fold_in(key, 0), FRESH)

    @jax.jit
    def losses(parameters: Any) -> Any:
        return jax.lax.map(lambda k: loss(parameters, [*data, k]), fresh)

    def mean(parameters: Any) -> _Mean:
        values = np.asarray(losses(parameters)).astype(np.float64)
        return _Mean(float(np.mean(values)), float(np.std(values)))

    assert prepared.rule is not None
    budget = SHARE * (prepared.problem.budget or DEFAULT_BUDGET)
    runs = []
    for position in (None, len(data)):
        runner = Runner(loss, prepared.rule, position)
        run = runner.run(prepared.parameters, [*data, key], steps, deadline=time.monotonic() + budget)
        if run.failure is not None or run.last is None or run.cut:
            return None
        runs.append(run)
    one, new = runs
    assert one.last is not None and new.last is not None
    start, end, better = (mean(p) for p in (prepared.parameters, one.last.parameters, new.last.parameters))
    return _told(seen, (one, new), start, end, better)


def _told(seen: Drawn, runs: tuple[Run, Run], start: _Mean, end: _Mean, better: _Mean) -> Answer[Any] | None:
    one, new = runs
    own, hidden, mended = one.start - one.end, end.mean - one.end, end.mean - better.mean
    fitted = own > 0 and hidden > max(ERRORS * end.deviation, SMALL_GAP * min(own, abs(one.end)))
    sure = mended > ERRORS * max(end.deviation, better.deviation) / FRESH**0.5
    if not (fitted and sure and mended > HIDDEN * hidden and start.mean - better.mean > FALLS * own):
        return None
    text = (
        f"every step draws the same numbers, from one key, and the run fits them: with that key the loss goes "
        f"{number(one.start)} -> {number(one.end)}, and over new keys it is {number(end.mean)} there in the mean; with "
        f"a new key at each step it ends at {number(better.mean)} in the mean"
    )
    reasons = (
        Reason(
            "the key of the first steps",
            text=f"all draws are made from one key, which is the same in each of the first {seen.count} steps",
            predicted="another key at each step",
            observed="the same key",
            standing=Standing.MEASURED,
        ),
        Reason(
            "two runs, each judged by the mean over fresh draws",
            "L(w, e) < E L(w, e) where w was fitted to e",
            text=f"in {one.steps} steps on the data of the first one, over {FRESH} fresh draws: one key ends at "
            f"{number(end.mean)} (one draw scatters by {number(end.deviation)}), new keys at {number(better.mean)}",
            predicted=one.end,
            observed=end.mean,
            standing=Standing.MEASURED,
        ),
    )
    grave = mended > WARNED * abs(better.mean)
    witness = {"seen": one.end, "expected": end.mean, "new_keys": better.mean}
    return Answer(
        "the loss of the run holds for new draws" if grave else "the loss of the run was compared with new draws",
        Standing.REFUTED if grave else Standing.MEASURED,
        arithmetic=seen.prepared.dtype,
        reasons=reasons,
        findings=(Finding("QED611", text, _draws(seen.flat)[0].span, witness, Level.WARNING if grave else None),),
        advice=(Advice("a new key at each step: key, subkey = jax.random.split(key)", trial=new.trial()),),
    )
