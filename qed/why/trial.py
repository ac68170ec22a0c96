"""Running the user's training, and trying advice: the same compiled step with other numbers.

One step is compiled once per form of the loss: the size of the step, the clipping norm and the data are
arguments of it, so that most advice is tried without compiling anything. The loop is driven from Python: it stops at
the first non-finite number, when the time is over, and keeps the parameters at which that happened.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from qed.answer import Trial
from qed.optimization.step import StepRule

SMALL = 5_000_000

Loss = Callable[[Sequence[Any], Sequence[Any]], Any]


@dataclass(frozen=True, eq=False)
class Failure:
    """The first non-finite number of a run.

    Args:
        step: how many updates had been made.
        where: 'loss', 'gradient' or 'parameters' (the update itself overflowed).
        value: 'nan', 'inf' or '-inf'.
        parameters: the parameters at which it appears.
    """

    step: int
    where: str
    value: str
    parameters: tuple[Any, ...]
    data: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Reached:
    """A point of a run: after how many updates, the parameters, and the state of the step rule."""

    step: int
    parameters: tuple[Any, ...]
    state: Any


@dataclass(frozen=True, eq=False)
class Run:
    """What happened in one run.

    Args:
        losses: the loss before the first step and after each; the last one may be non-finite.
        failure: the first non-finite number, or None.
        best: (step, parameters) of the lowest loss seen.
        last: where the loss was last finite, with the state of the rule there; None where it never was.
        lowest: where the loss was lowest, with the state of the rule there. Both are kept for small models only.
        cut: True where the time was over before the last step.
        noise: how far the loss at the start scatters by rounding and by the random key; measured only where the
            run ends higher than it began.
        first: the seconds of the first evaluation, compiling included.
        norms: the norm of the gradient at each of the losses.
        passed: the points that were asked for, of small models.
    """

    losses: tuple[float, ...]
    failure: Failure | None
    best: tuple[int, tuple[Any, ...]]
    cut: bool
    seconds: float
    noise: float = 0.0
    first: float = 0.0
    last: Reached | None = None
    lowest: Reached | None = None
    norms: tuple[float, ...] = ()
    passed: tuple[Reached, ...] = ()

    @property
    def pace(self) -> float:
        """Seconds a step, compiling left out."""
        return (self.seconds - self.first) / max(1, len(self.losses) - 1)

    @property
    def steps(self) -> int:
        """How many updates were made."""
        return len(self.losses) - 1

    @property
    def start(self) -> float:
        """The loss before the first step."""
        return self.losses[0]

    @property
    def end(self) -> float:
        """The loss after the last step; nan where the run failed."""
        return self.losses[-1] if self.failure is None else math.nan

    @property
    def settled(self) -> float:
        """The median loss of the last tenth of the run: `end` without its jitter; inf where the run failed."""
        if self.failure is not None:
            return math.inf
        tail = self.losses[-max(1, len(self.losses) // 10) :]
        return float(np.median(tail))

    @property
    def rises(self) -> int:
        """After how many steps the loss was higher than before."""
        return sum(b > a for a, b in zip(self.losses, self.losses[1:], strict=False))

    def trial(self) -> Trial:
        """The record of the run that an advice carries."""
        count = len(self.losses)
        kept = sorted({round(i) for i in np.linspace(0, count - 1, min(count, 41))})
        losses = tuple(self.losses[i] for i in kept)
        return Trial(self.steps, self.start, self.losses[-1], self.rises, self.failure is None, losses, self.seconds)


@dataclass(eq=False)
class Runner:
    """The compiled step of one form of the loss.

    Args:
        loss: ``loss(parameters, data)``.
        rule: the step rule.
        key_position: the position in `data` of a random key that is split before every step, or None.
    """

    loss: Loss
    rule: StepRule
    key_position: int | None = None
    _step: Any = field(default=None, repr=False)
    _init: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        optimizer = optax.with_extra_args_support(self.rule.optax())

        @jax.jit
        def step(parameters: Any, state: Any, data: Any, scale: Any, clip: Any) -> Any:
            loss, gradient = jax.value_and_grad(lambda p, d: jnp.asarray(self.loss(p, d)))(parameters, data)
            norm = jnp.sqrt(sum(jnp.sum(jnp.square(g.astype(jnp.float32))) for g in gradient))
            finite = jnp.stack([jnp.all(jnp.isfinite(g)) for g in gradient]).all()
            factor = jnp.where(norm > clip, clip / norm, 1.0)
            clipped = tuple(jnp.where(norm > clip, (g * factor).astype(g.dtype), g) for g in gradient)
            change: Any
            extra = {"value": loss, "grad": clipped, "value_fn": lambda p: jnp.asarray(self.loss(p, data))}
            change, state = optimizer.update(clipped, state, parameters, **extra)
            new = tuple((p + scale * u).astype(p.dtype) for p, u in zip(parameters, change, strict=True))
            sound = jnp.stack([jnp.all(jnp.isfinite(p)) for p in new]).all()
            report = jnp.stack([norm.astype(jnp.float32), finite.astype(jnp.float32), sound.astype(jnp.float32)])
            return new, state, loss, report

        self._step = step
        self._init = optimizer.init

    def run(
        self,
        parameters: Sequence[Any],
        data: Sequence[Any],
        steps: int,
        *,
        scale: float = 1.0,
        warm: int = 0,
        clip: float = math.inf,
        keep: Sequence[int] = (),
        deadline: float = math.inf,
        progress: Callable[[int, int], None] | None = None,
    ) -> Run:
        """Run `steps` updates.

        Args:
            parameters: the start.
            data: the data.
            steps: how many updates.
            scale: multiplies every update, that is the learning rate.
            warm: over how many steps the scale rises to that, linearly.
            clip: the largest gradient norm; larger gradients are scaled down.
            keep: the steps at which the point is to be kept.
            deadline: `time.monotonic()` at which to stop.
            progress: called now and then with (done, steps).
        """
        begun = time.monotonic()
        current, values = tuple(parameters), list(data)
        key = None if self.key_position is None else values[self.key_position]
        state = self._init(current)
        losses: list[float] = []
        norms: list[float] = []
        passed: list[Reached] = []
        best, last, lowest = (0, current), None, None
        small = sum(p.size for p in current) <= SMALL
        failure, cut, first = None, False, 0.0
        for k in range(steps + 1):
            if key is not None:
                key, values[self.key_position] = jax.random.split(key)  # type: ignore[index]
            before = state
            risen = scale * min(1.0, (k + 1) / warm) if warm else scale
            new, state, loss, report = self._step(current, before, tuple(values), risen, clip)
            norm, finite, sound = (float(x) for x in np.asarray(report))
            norms.append(norm)
            value = float(loss)
            losses.append(value)
            first = first or time.monotonic() - begun
            if value < losses[best[0]] or not math.isfinite(losses[best[0]]):
                best, lowest = (k, current), Reached(k, current, before) if small else None
            last = Reached(k, current, before) if small and finite and math.isfinite(value) else last
            if k in keep and last is not None and last.step == k:
                passed.append(last)
            failure = _failure(k, value, finite, sound, current, tuple(values), last=k == steps)
            if failure is not None or k == steps:
                break
            if time.monotonic() > deadline and k:
                cut = True
                break
            if progress is not None and k % 16 == 0:
                progress(k, steps)
            current = new
        return Run(
            tuple(losses),
            failure,
            best,
            cut,
            time.monotonic() - begun,
            0.0,
            first,
            last,
            lowest,
            tuple(norms),
            tuple(passed),
        )

    def initial(self, parameters: Sequence[Any]) -> Any:
        """The state of the step rule at the start."""
        return self._init(tuple(parameters))

    def value(self, parameters: Sequence[Any], data: Sequence[Any]) -> float:
        """The loss at a point, by the compiled step."""
        current = tuple(parameters)
        return float(self._step(current, self._init(current), tuple(data), 0.0, math.inf)[2])

    def update(self, parameters: Sequence[Any], data: Sequence[Any]) -> tuple[np.ndarray, ...]:
        """What the first step adds to the parameters, in float64."""
        current = tuple(parameters)
        new = self._step(current, self._init(current), tuple(data), 1.0, math.inf)[0]
        wide = [np.asarray(p).astype(np.float64) for p in (*new, *current)]
        return tuple(a - b for a, b in zip(wide[: len(new)], wide[len(new) :], strict=True))

    def noise(self, parameters: Sequence[Any], data: Sequence[Any], start: float, count: int = 8) -> float:
        """How far the loss at one point scatters: under other random keys, and under parameters one rounding off."""
        rng, values, seen = np.random.default_rng(0), list(data), []
        key = None if self.key_position is None else values[self.key_position]
        for _ in range(count):
            if key is not None:
                key, values[self.key_position] = jax.random.split(key)  # type: ignore[index]
            seen.append(self.value([_one_rounding_off(p, rng) for p in parameters], values))
        finite = [value for value in seen if math.isfinite(value)]
        return max(finite) - min(finite) + max(0.0, max(finite) - start) if finite else 0.0


def _one_rounding_off(array: Any, rng: np.random.Generator) -> Any:
    signs = rng.choice((-1.0, 1.0), array.shape)
    return (array + array * jnp.asarray(signs * float(jnp.finfo(array.dtype).eps), array.dtype)).astype(array.dtype)


def _failure(
    step: int,
    loss: float,
    finite: float,
    sound: float,
    current: tuple[Any, ...],
    data: tuple[Any, ...],
    last: bool,
) -> Failure | None:
    if not math.isfinite(loss):
        return Failure(step, "loss", str(loss), current, data)
    if not finite:
        return Failure(step, "gradient", "non-finite", current, data)
    if not sound and not last:
        return Failure(step, "parameters", "non-finite", current, data)
    return None
