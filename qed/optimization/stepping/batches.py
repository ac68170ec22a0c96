"""Batches of 1, 8, 64 and all examples, tried with equally many gradients; and the floor that a fixed step leaves.

Each batch B takes steps of the given rule, and once more with the step that the noise scale S makes of it,

    s_B = s (1 + S / B_0) / (1 + S / B),          B_0 the batch that the rule was given for,

with examples drawn independently. Near a minimum with curvatures l_i, and C the covariance of the examples' gradients
there, gradient steps scatter, in the eigenbasis of the Hessian, with the variances

    v_i <- (1 - s l_i)^2 v_i + s^2 C_ii / B,    and stand at a floor of    f - f* = s / (2 B) sum_i C_ii / (2 - s l_i),

which is proportional to s / B as long as s is small. The floor is seen from the minimum: many runs go side by side,
with s and B, with half the step, and with four times the batch. Reference: Bottou, Curtis and Nocedal, *Optimization
methods for large-scale machine learning*, SIAM Review 60, 2018, section 4; Mandt, Hoffman and Blei, *Stochastic
gradient descent as approximate Bayesian inference*, J. Mach. Learn. Res. 18, 2017.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from qed.answer import Reason
from qed.optimization.bounds import bounds_of
from qed.optimization.examples import Examples
from qed.optimization.objective import Objective
from qed.optimization.running import run
from qed.optimization.step import StepRule
from qed.standing import Standing

Array = np.ndarray
SIZES = (1, 8, 64)
GRADIENTS, PASSES = 16384, 4
"""How many gradients of single examples a tried run takes at most, and how many passes through the examples."""
LARGEST = 200
"""With how many parameters the floor is predicted: from the whole Hessian."""
RUNS, SETTLE, LOOK = 64, 256, 8
"""How many runs go side by side for the floor, how many steps each has, and after how many the loss is looked at."""
WORK = 1 << 26
"""How many losses of single examples the runs beside one another look at, in all."""


@dataclass(frozen=True)
class Batch:
    """A run that was tried.

    Args:
        batch: examples a step.
        step: the rate.
        steps: how many.
        gradients: of single examples, in all.
        start, end: the loss of all examples before and after; nan where a number was not finite.
    """

    batch: int
    step: float
    steps: int
    gradients: int
    start: float
    end: float


@dataclass(frozen=True)
class Floor:
    """How high above the minimum a fixed step stays.

    Args:
        batch, step: of the runs.
        predicted: the mean of f - f* over the later half of the steps, by the covariance and the curvatures.
        observed: as seen.
    """

    batch: int
    step: float
    predicted: float
    observed: float


def tried(examples: Examples, rule: StepRule, step: float, batch: int, scale: float, seed: int) -> tuple[Batch, ...]:
    """The runs with 1, 8, 64 and all examples a step.

    Args:
        examples: of a loss that is their mean.
        rule: with momentum and so on; its rate is replaced.
        step: the rate for the batch that was asked for.
        batch: that batch.
        scale: the noise scale S at the start.
        seed: of the drawing.
    """
    n = examples.count
    budget = min(max(PASSES * n, 256), max(GRADIENTS, n))
    found = []
    for size in sorted({min(b, n) for b in (*SIZES, batch, n)}):
        ratio = (1 + scale / batch) / (1 + scale / size) if math.isfinite(scale) else size / batch
        steps = max(1, budget // size)
        run = _runs(examples, rule, size, steps, seed)
        for rate in dict.fromkeys((step, step * ratio)):
            start, end = (float(value) for value in run(rate))
            found.append(Batch(size, rate, steps, steps * size, start, end if math.isfinite(end) else math.nan))
    return tuple(found)


def _runs(examples: Examples, rule: StepRule, batch: int, steps: int, seed: int) -> Callable[[float], Any]:
    """Rate -> the loss of all examples at the start and at the end, compiled."""
    moves = StepRule(rule.rule, 1.0, rule.options).optax()
    everything = jnp.arange(examples.count)
    drawn = np.random.default_rng(seed).integers(0, examples.count, (steps, batch)) if batch < examples.count else None

    def ends(rate: Any, drawn: Any) -> Any:
        def move(carried: Any, rows: Any) -> Any:
            w, state = carried
            change, state = moves.update(jax.grad(examples.loss)(w, everything if rows is None else rows), state, w)
            scaled = jax.tree.map(lambda leaf: (rate * leaf).astype(leaf.dtype), change)
            return (optax.apply_updates(w, scaled), state), None

        w = examples.parameters
        (last, _), _ = jax.lax.scan(move, (w, moves.init(w)), drawn, length=steps)
        return examples.loss(w, everything), examples.loss(last, everything)

    compiled = jax.jit(ends)
    return lambda rate: compiled(rate, drawn)


def floors(examples: Examples, objective: Objective, step: float, batch: int, seed: int) -> tuple[Floor, ...]:
    """The floors of the step and batch, of half the step, and of four times the batch; none where no minimum is near.

    Args:
        examples: of a loss that is their mean.
        objective: the same loss.
        step: of plain gradient steps.
        batch: examples a step.
        seed: of the drawing.
    """
    n = objective.function.size
    if n > LARGEST or batch >= examples.count:
        return ()
    start = objective.at(objective.start)
    ended = run(objective, start, bounds_of(None, objective.start), "newton", 1e3 * objective.eps, 200)
    here = ended.here
    if not here.finite:
        return ()
    matrix = objective.matrix(here.x)
    curvatures, vectors = np.linalg.eigh(np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix))
    if curvatures[0] < -1e-6 * abs(curvatures[-1]) or not step * curvatures[-1] < 1.9:
        return ()
    each = examples.each(objective.arrays(here.x)) @ vectors
    spread = np.var(each, axis=0)
    if float(np.linalg.norm(each.mean(0))) ** 2 > 1e-3 * float(spread.sum()):
        return ()  # the run ended where there is a slope still
    wide = min(4 * batch, examples.count)
    found = []
    for size, steps in ((batch, (step, step / 2)), (wide, (step,))):
        seen = _seen(examples, objective.arrays(here.x), size, seed)
        found += [Floor(size, s, _predicted(curvatures, spread, s, size), seen(s) - here.f) for s in steps]
    return tuple(found)


def _predicted(curvatures: Array, spread: Array, step: float, batch: int) -> float:
    """The mean over the later half of the steps of sum l v / 2, v from 0."""
    total, v = 0.0, np.zeros_like(spread)
    for k in range(SETTLE):
        v = (1 - step * curvatures) ** 2 * v + step**2 * spread / batch
        total += 0.5 * float(curvatures @ v) if k >= SETTLE // 2 and k % LOOK == LOOK - 1 else 0.0
    return total / (SETTLE // 2 // LOOK)


def _seen(examples: Examples, at: tuple[Any, ...], batch: int, seed: int) -> Callable[[float], float]:
    """Step -> the mean loss, over the later half of the steps, of runs side by side that draw their examples anew."""
    everything = jnp.arange(examples.count)
    runs = max(4, min(RUNS, WORK // (examples.count * SETTLE // LOOK), WORK // (SETTLE * batch)))
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, examples.count, (runs, SETTLE // LOOK, LOOK, batch), dtype=np.int32)

    @jax.jit
    def losses(step: Any, drawn: Any) -> Any:
        def move(w: Any, rows: Any) -> Any:
            slopes = jax.grad(examples.loss)(w, rows)
            return jax.tree.map(lambda p, g: (p - step * g).astype(p.dtype), w, slopes), None

        def block(w: Any, rows: Any) -> Any:
            w, _ = jax.lax.scan(move, w, rows)
            return w, examples.loss(w, everything)

        return jax.vmap(lambda rows: jax.lax.scan(block, at, rows)[1])(drawn)

    return lambda step: float(np.mean(np.asarray(losses(step, drawn), np.float64)[:, SETTLE // LOOK // 2 :]))


# --- in words ---------------------------------------------------------------------------------------------------


def told(runs: tuple[Batch, ...], found: tuple[Floor, ...], batch: int, scale: float) -> list[Reason]:
    """The table and the floors as lines of an answer."""
    reasons = []
    for each in runs:
        end = f"{each.end:.6g}" if math.isfinite(each.end) else "no finite number"
        text = (
            f"batch {each.batch}, step {each.step:.4g}: {each.steps} steps, {each.gradients} gradients, "
            f"loss {each.start:.6g} to {end}"
        )
        reasons.append(
            Reason(
                "the run was made", observed=each.end, standing=Standing.MEASURED, role="batch", text=text,
                unpredicted=f"a run over many steps; by the noise scale {scale:.4g} at the start its step is chosen",
            )
        )  # fmt: skip
    for each in found:
        reasons.append(
            Reason(
                "the floor of a fixed step",
                "f - f* = s/(2B) sum C_ii/(2 - s l_i)",
                f"s = {each.step:.4g}, B = {each.batch}",
                predicted=each.predicted,
                observed=each.observed,
                standing=Standing.MEASURED,
                role="floor",
                text=f"from the minimum, step {each.step:.4g} with batch {each.batch} climbs to {each.observed:.4g} "
                f"above it; the scatter of the gradients predicts {each.predicted:.4g}",
            )
        )
    if len(found) == 3 and found[0].observed > 0 and found[0].batch * 4 == found[2].batch:
        half, quarter = (found[i].observed / found[0].observed for i in (1, 2))
        reasons.append(
            Reason(
                "the floor is proportional to step / batch",
                "s / B",
                f"half the step: {half:.3g}; four times the batch: {quarter:.3g}",
                predicted=0.25,
                observed=quarter,
                standing=Standing.MEASURED,
                role="floor",
                text=f"half the step leaves {half:.3g} of the floor, four times the batch {quarter:.3g} of it",
            )
        )
    return reasons
