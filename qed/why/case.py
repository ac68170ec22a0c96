"""One case under diagnosis: the prepared problem, the clock, and what was compiled for it.

Compiling is the main cost of a diagnosis, so that every form of the loss is compiled once and kept here: the user's own
and, where it was needed, its stable rewriting. The data and the size of the step are arguments of what is compiled.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from qed.optimization.adaptive import identify_update, multipliers
from qed.optimization.local import LocalRule
from qed.optimization.step import RULES, StepRule
from qed.progress import Progress
from qed.why.curvature import Curvature, Steepness
from qed.why.prepare import Prepared
from qed.why.trial import SMALL, Reached, Run, Runner

STEPS = 400
WARM = 10
PLANNED = 2000
PROBED = 20_000_000
DEFAULT_BUDGET = 60.0


@dataclass(frozen=True, eq=False)
class Form:
    """A loss in another form: what to call, and what was changed."""

    function: Callable[..., list[Any]]
    changes: tuple[Any, ...]


@dataclass(eq=False)
class Clock:
    """The time that the answer may take."""

    budget: float = DEFAULT_BUDGET
    begun: float = field(default_factory=time.monotonic)

    @property
    def spent(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.begun

    @property
    def left(self) -> float:
        """Seconds left; negative when the time is over."""
        return self.budget - self.spent

    def deadline(self, share: float) -> float:
        """The time at which a part that may use this share of what is left must stop."""
        return time.monotonic() + max(0.0, self.left) * share


@dataclass(eq=False)
class Case:
    """What the questions share.

    Args:
        prepared: the problem.
        clock: the time it may take.
        progress: called with (what, done, total).
        locals: the linear rules that the step rule was found to be, by the step of the run.
        unread: the points where it was found to be none.
    """

    prepared: Prepared
    clock: Clock
    progress: Progress | None = None
    locals: dict[int, LocalRule] = field(default_factory=dict)
    unread: dict[int, Reached] = field(default_factory=dict)
    _runners: dict[str, Runner] = field(default_factory=dict)

    @cached_property
    def rule(self) -> StepRule:
        """The step rule; without one, gradient descent that takes no step.

        An optax transformation that is gradient descent with a constant rate is recognised as that, by probing it.
        """
        given = self.prepared.rule or StepRule("sgd", 0.0)
        if given.rule != "optax" or self.clock.left <= 0 or self.prepared.size > SMALL or self.scheduled:
            return given
        parameters = self.prepared.parameters
        gradient = self.curvature("given").gradient(parameters, self.prepared.data)
        if not all(np.isfinite(np.asarray(g).astype(np.float64)).all() for g in gradient):
            return given
        found = identify_update(given.optax(), given.optax().init(parameters), parameters, gradient)
        plain = found.plain if isinstance(found, LocalRule) else None
        return given if plain is None else replace(plain, transformation=given.transformation)

    @property
    def scheduled(self) -> bool:
        """Whether the rate changes by plan."""
        return self.schedule is not None and float(np.ptp(self.schedule)) > 1e-6

    @cached_property
    def planned(self) -> np.ndarray:
        """The steps at which a schedule is looked at: all of the run and more, or some where the model is large."""
        count = min(PLANNED, max(20, PROBED // max(1, self.prepared.size)))
        return np.unique(np.linspace(0, PLANNED - 1, count).astype(int))

    @cached_property
    def schedule(self) -> np.ndarray | None:
        """The share of its largest rate that the rule takes at the planned steps; None where that is not known."""
        if self.prepared.rule is None or self.prepared.rule.rule in RULES:
            return np.ones(len(self.planned))
        if self.prepared.size > SMALL:
            return None
        optimizer, parameters = self.prepared.rule.optax(), self.prepared.parameters
        try:
            state = optimizer.init(parameters)
        except Exception:
            return None
        return multipliers(optimizer, state, parameters, self.planned)

    @cached_property
    def waypoints(self) -> tuple[int, ...]:
        """The steps at which a planned rate is judged: half way to its peak, there, and half way to the end."""
        if not self.scheduled or self.schedule is None:
            return ()
        peak = min(int(self.planned[int(np.argmax(self.schedule))]), STEPS)
        return tuple(sorted({k for k in (peak // 2, peak, (peak + STEPS) // 2) if WARM <= k < STEPS}))

    @cached_property
    def rewritten(self) -> Any:
        """The loss in a stable form, value and gradient, or None where nothing is to be rewritten."""
        from qed.numerics.rewriting.derivative import Stable

        stable = Stable(self.prepared.graph)
        moving = self.prepared.traced.free
        changes = stable.value.changes
        if not changes and moving and not stable.value.builder.effects:
            try:
                changes = stable.derivative(moving).rewritten.changes
            except (NotImplementedError, TypeError, ValueError):  # no derivative
                return None
        return Form(stable, changes) if changes else None

    @cached_property
    def key_position(self) -> int | None:
        """The position of the random key among the data, where the problem has one."""
        if self.prepared.problem.key is None:
            return None
        last = len(self.prepared.traced.leaves) - self.prepared.closed_over - 1
        return self.prepared.data_positions.index(last)

    def loss(self, form: str) -> Callable[..., Any]:
        """The loss in the given form: 'given' or 'rewritten'."""
        if form == "given":
            return self.prepared.loss
        function, join = self.rewritten.function, self.prepared.join
        return lambda parameters, data: function(*join(parameters, data))[0]

    def runner(self, form: str) -> Runner:
        """The compiled step of a form."""
        if form not in self._runners:
            given = self.prepared.rule or StepRule("sgd", 0.0)
            self._runners[form] = Runner(self.loss(form), given, self.key_position)
        return self._runners[form]

    def run(
        self,
        form: str,
        label: str,
        *,
        data: Sequence[Any] | None = None,
        scale: float = 1.0,
        warm: int = 0,
        clip: float = math.inf,
        steps: int = STEPS,
        share: float = 0.4,
    ) -> Run:
        """Run a form of the loss from the start."""
        progress = self.progress
        values = self.prepared.data if data is None else data
        run = self.runner(form).run(
            self.prepared.parameters,
            values,
            steps,
            scale=scale,
            warm=warm,
            clip=clip,
            keep=self.waypoints if scale == 1.0 and not warm else (),
            deadline=self.clock.deadline(share),
            progress=None if progress is None else lambda done, total: progress(label, done, total),
        )
        if run.failure is not None or not run.settled > run.start:
            return run
        return replace(run, noise=self.runner(form).noise(self.prepared.parameters, values, run.start))

    def again(self, form: str, run: Run, scale: float = 1.0) -> Run:
        """The same run once more, without a deadline."""
        return self.runner(form).run(self.prepared.parameters, self.prepared.data, max(run.steps, 1), scale=scale)

    def curvature(self, form: str) -> Curvature:
        """The Hessian-vector product of a form, compiled once."""
        name = f"curvature:{form}"
        if name not in self.__dict__:
            self.__dict__[name] = Curvature(self.prepared, self.loss(form))
        return self.__dict__[name]

    def steepness(
        self, form: str, parameters: Sequence[Any], data: Sequence[Any] | None = None, seed: int | None = None
    ) -> Steepness:
        """The steepest curvature of a form at a point."""
        if self.progress is not None:
            self.progress("curvature", 0, 0)
        deadline = self.clock.deadline(0.4)
        return self.curvature(form).at(
            parameters,
            self.prepared.data if data is None else data,
            self.rule if self.prepared.rule is not None else None,
            stop=lambda: time.monotonic() > deadline,
            seed=seed,
        )
