"""A loss that is a mean over draws of a normal number: its expectation, and the gap of an evidence lower bound.

With e_1, ..., e_n drawn from N(0, 1), what is seen is L = (1/n) sum h(e_i), and what is meant is E h(e): the two are
apart by about sd(h) / sqrt(n). Both are told, the expectation by `qed.expect`. That the loss is such a mean is read
off the graph (one draw, everything behind it) and measured: L of the draws beside the mean of h, the loss of n equal
draws. Where one key is used for all steps, the run may fit its draws: then L falls below E h by many standard errors.

If z = m + s e has the law q, and h(e) = log q(z) - log p(x, z), then -L is an evidence lower bound (ELBO):

    log p(x) = log E exp(-h(e)),      log p(x) - E[-h(e)] = KL(q || p(z | x)) >= 0.

Only an evidence does not change with q. So it is told where log E exp(-h) is the same at two points that the bound
tells apart, and nothing is said elsewhere. Reference: Blei, Kucukelbir and McAuliffe, "Variational inference: a review
for statisticians", JASA 112, 2017, section 2.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.answer import Answer, Finding, Reason, Standing
from qed.graph.graph import Equation, Variable
from qed.integration.expectation import expect
from qed.integration.measures import Normal
from qed.integration.normalizer import normalizer
from qed.why.case import Case
from qed.why.mistakes.flat import SAME, Flat, compute
from qed.why.trial import Run
from qed.why.words import number

LARGEST = 400
"""Losses with more equations behind the draw are not integrated."""
SECONDS = 8.0
"""Seconds that must be left."""
ALIKE = 2e-4
"""What is the same up to the rounding of float32, in parts of the size."""
ROUGH = 10
"""How many times more two evidences on a grid may differ before they are proved."""
FAR = 12.0
"""The grid ends there."""
APART = 50
"""How many times more the bound must change than the evidence."""
FITTED = 4.0
"""Standard errors below the expectation at which draws are fitted; or the expectation rises while the loss falls."""
DRAWS = 64
"""Of more draws nothing is told: the loss is integrated with all of them equal, one by one."""
SAMPLE = 4096
"""Draws for the standard deviation."""


@dataclass(frozen=True, eq=False)
class _Mean:
    """The loss as a function of its draws, and of one."""

    case: Case
    cut: Flat
    draw: Variable

    @property
    def count(self) -> int:
        """How many draws there are."""
        return int(np.prod(self.draw.shape))

    def at(self, parameters: Sequence[Any]) -> Callable[[Any], Any]:
        """The loss, a function of all draws."""
        arrays = self.case.prepared.join(parameters, self.case.prepared.data)
        return lambda draws: compute(self.cut, [*arrays, draws], [self.cut.graph.outputs[0]])[0]

    def one(self, parameters: Sequence[Any]) -> Callable[[Any], Any]:
        """The loss where all draws are one number: h."""
        whole = self.at(parameters)

        def h(e: Any) -> Any:
            return whole(jnp.broadcast_to(jnp.asarray(e, self.draw.dtype), self.draw.shape))

        return h


@dataclass(frozen=True)
class _Point:
    """What is known at some parameters: h, its expectation and standard deviation, and log E exp(-h) on a grid."""

    parameters: tuple[Any, ...]
    h: Callable[[Any], Any]
    mean: Answer[float]
    deviation: float
    evidence: float


def expected_loss(case: Case, flat: Flat, run: Run) -> list[Answer[Any]]:
    """What the loss is in the mean over its draws, and the gap of a bound of the evidence; QED611."""
    draw = _normal_draw(flat)
    if draw is None or case.clock.left < SECONDS or math.prod(draw.shape) > DRAWS:
        return []
    mean = _Mean(case, _cut(flat, draw), draw)
    start, end = case.prepared.parameters, run.last.parameters if run.steps and run.last is not None else None
    if not _is_a_mean(mean, start):
        return []
    first = _point(mean, start)
    if first is None:
        return []
    last = None if end is None else _point(mean, end)
    (drawn,) = compute(flat, case.prepared.join(start, case.prepared.data), [draw])
    answers = [_told(mean, first, np.asarray(drawn), run, last)]
    return answers


def _normal_draw(flat: Flat) -> Variable | None:
    """The only draw of the loss, if it is one of standard normal numbers that nothing changes before it is used."""
    bits = [e for e in flat.graph.equations if e.primitive == "random_bits"]
    inverses = [e for e in flat.graph.equations if e.primitive == "erf_inv"]
    if len(bits) != 1 or len(inverses) != 1 or flat.own_rules:
        return None
    (inverse,) = inverses
    users = flat.uses.get(inverse.outputs[0], ())
    if len(users) != 1 or users[0].primitive != "mul" or not flat.needs(inverse.inputs[0], bits[0].outputs[0]):
        return None
    factor = [flat.core(a, SAME) for a in users[0].inputs if a is not inverse.outputs[0]]
    values = [getattr(a, "value", None) for a in factor]
    if len(values) != 1 or values[0] is None or abs(float(np.asarray(values[0]).ravel()[0]) - math.sqrt(2)) > 1e-2:
        return None
    draw = users[0].outputs[0]
    behind = _behind(flat, draw)
    if flat.on_parameters(draw) or len(behind) > LARGEST or any(e.call is not None for e in behind):
        return None
    return draw


def _behind(flat: Flat, draw: Variable) -> list[Equation]:
    """The equations that need the draw."""
    reached: set[Variable] = {draw}
    found = []
    for equation in flat.graph.equations:
        if any(isinstance(a, Variable) and a in reached for a in equation.inputs):
            found.append(equation)
            reached |= set(equation.outputs)
    return found


def _cut(flat: Flat, draw: Variable) -> Flat:
    """The loss with the draw for one more input."""
    graph = replace(flat.graph, inputs=(*flat.graph.inputs, draw))
    return replace(flat, graph=graph, made={v: e for v, e in flat.made.items() if v is not draw})


def _is_a_mean(mean: _Mean, parameters: Sequence[Any]) -> bool:
    """Whether the loss of some draws is the mean of the losses of each, at two sets of them."""
    whole, each = mean.at(parameters), jax.vmap(mean.one(parameters))
    random = np.random.default_rng(0)
    for _ in range(2):
        draws = random.standard_normal(mean.draw.shape).astype(mean.draw.dtype)
        losses = np.asarray(each(jnp.asarray(draws.ravel()))).astype(np.float64)
        size = float(np.mean(np.abs(losses)))
        seen = float(whole(jnp.asarray(draws)))
        if not abs(seen - float(np.mean(losses))) <= ALIKE * size or float(np.ptp(losses)) <= ALIKE * size:
            return False if mean.count > 1 else math.isfinite(seen)
    return True


def _point(mean: _Mean, parameters: Sequence[Any]) -> _Point | None:
    h = mean.one(parameters)
    draws = np.random.default_rng(1).standard_normal(SAMPLE).astype(mean.draw.dtype)
    losses = np.asarray(jax.vmap(h)(jnp.asarray(draws))).astype(np.float64)
    found = expect(h, Normal())
    if found.unknown or found.value is None or not math.isfinite(found.value) or not np.all(np.isfinite(losses)):
        return None
    return _Point(tuple(parameters), h, found, float(np.std(losses)), _on_a_grid(h, mean.draw.dtype))


def _on_a_grid(h: Callable[[Any], Any], dtype: Any) -> float:
    """log E exp(-h) by the trapezoidal rule: whether a proof is worth its time."""
    e = np.linspace(-FAR, FAR, SAMPLE)
    values = -np.asarray(jax.vmap(h)(jnp.asarray(e, dtype))).astype(np.float64) - e * e / 2
    most = float(np.max(values))
    with np.errstate(all="ignore"):
        return most + float(np.log(np.sum(np.exp(values - most)) * (e[1] - e[0]) / math.sqrt(2 * math.pi)))


def _told(mean: _Mean, first: _Point, draws: np.ndarray, run: Run, last: _Point | None) -> Answer[Any]:
    """The answer: the loss beside its expectation, and the evidence where it is one."""
    error = first.deviation / math.sqrt(mean.count)
    assert first.mean.value is not None
    off = run.start - first.mean.value
    many = "1 draw" if mean.count == 1 else f"the mean of {mean.count} draws"
    text = (
        f"the loss is {many} of a normal number: {number(run.start)} at the start, and {number(first.mean.value)} in "
        f"expectation ({first.mean.standing}), off by {number(abs(off))}; the standard error is {number(error)}"
    )
    reasons = [
        Reason(
            "a mean over draws",
            "L = (1/n) Σ h(eᵢ),  E L = E h(e)",
            text=text,
            predicted=error,
            observed=abs(off),
            standing=Standing.MEASURED,
        )
    ]
    findings = _fitted(mean, run, first, last)
    if last is not None and last.mean.value is not None:
        ends = f"at the end it is {number(run.losses[-1])}, and {number(last.mean.value)} in expectation"
        error = last.deviation / math.sqrt(mean.count)
        reasons.append(
            Reason(
                "where the run ends",
                text=ends,
                predicted=error,
                observed=abs(run.losses[-1] - last.mean.value),
                standing=Standing.MEASURED,
            )
        )
    reasons += _bound(mean, first, last)
    told = reasons[-1].text if reasons[-1].rule == BOUND else text
    return Answer(
        text if told == text else f"{text}; {told}",
        Standing.MEASURED,
        arithmetic=mean.case.prepared.dtype,
        reasons=tuple(reasons),
        findings=findings,
        answers=tuple(point.mean for point in (first, last) if point is not None),
    )


BOUND = "an evidence lower bound and its gap"
"""The rule by which an evidence is told."""


def _bound(mean: _Mean, first: _Point, last: _Point | None) -> list[Reason]:
    """The log evidence, where it is the same at two points that the bound tells apart."""
    second = last if last is not None and _apart(first, last) else _point(mean, _shifted(first.parameters))
    if second is None or not _apart(first, second):
        return []
    a, b = (normalizer(lambda e, h=point.h: -h(e), Normal()) for point in (first, second))
    if a.unknown or b.unknown or a.value is None or b.value is None:
        return []
    if not abs(a.value - b.value) <= ALIKE * max(1.0, abs(a.value)):
        return []
    assert first.mean.value is not None and second.mean.value is not None
    gap, gaps = b.value + second.mean.value, a.value + first.mean.value
    ends = f"{number(gaps)} at the start" + (f" and {number(gap)} at the end" if second is last else "")
    return [
        Reason(
            BOUND,
            "log p(x) = log E exp(-h),  log p(x) + E h = KL(q || p(z|x))",
            text=f"minus the loss is an evidence lower bound: log p(x) = {number(a.value)}, and the gap is {ends}",
            predicted=a.value,
            observed=b.value,
            standing=Standing.MEASURED,
        )
    ]


def _apart(one: _Point, other: _Point) -> bool:
    """Whether two points seem to have one log E exp(-h), and have far other expectations."""
    assert one.mean.value is not None and other.mean.value is not None
    room = ALIKE * max(1.0, abs(one.evidence))
    off, between = abs(one.evidence - other.evidence), abs(one.mean.value - other.mean.value)
    return off <= ROUGH * room and between > APART * room


def _shifted(parameters: Sequence[Any]) -> list[Any]:
    """Other parameters, near these."""
    return [p + jnp.asarray(0.25, p.dtype) if jnp.issubdtype(p.dtype, jnp.floating) else p for p in parameters]


def _fitted(mean: _Mean, run: Run, first: _Point, last: _Point | None) -> tuple[Finding, ...]:
    """QED611, where one key serves all steps and the loss ends far below its expectation."""
    if last is None or last.mean.value is None or mean.case.key_position is not None or run.failure is not None:
        return ()
    assert first.mean.value is not None
    error = last.deviation / math.sqrt(mean.count)
    below, fell = last.mean.value - run.losses[-1], run.losses[-1] < run.start
    rose = last.mean.value - first.mean.value > ALIKE * abs(first.mean.value)
    if not (below > FITTED * error > 0 or (fell and rose and below > 0)):
        return ()
    ends = f"{number(run.start)} -> {number(run.losses[-1])}"
    text = (
        f"the run fits its {mean.count} draws: with them the loss goes {ends}, and in expectation "
        f"{number(first.mean.value)} -> {number(last.mean.value)}"
    )
    keys = [e.span for e in mean.cut.graph.equations if e.primitive == "random_bits"]
    witness = {"draws": mean.count, "seen": run.losses[-1], "expected": last.mean.value}
    return (Finding("QED611", text, keys[0] if keys else None, witness),)
