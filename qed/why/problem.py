"""The problem: what the user hands to `qed.why`, and the checks that it can be read at all.

A `Problem` is a plain record; nothing is computed by making one. `prepare` traces the loss, names its
parameters and its data, and refuses what cannot be answered, each time with what happened, because of what, and what
to do instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from os import PathLike
from typing import Any

from qed.errors import QedError


@dataclass(frozen=True, eq=False)
class Problem:
    """A loss at a point, with the data and the step rule that it is trained with.

    Args:
        loss: ``loss(at, *args)``, a scalar; with `has_aux`, a pair whose first part is the loss.
        at: the parameters, any pytree with floating-point leaves; derivatives are taken in these.
        args: the data, a tuple of pytrees. Arrays that the loss closes over are found in its graph.
        key: a random key, passed on after `args`; the claims then hold for this key.
        optimizer: an optax transformation; the same as giving it as `step`.
        has_aux: whether the loss returns (loss, auxiliary).
        names: a pytree like `at` whose leaves are tuples with one sequence of names per axis (or None).
        step: a number, a text such as 'sgd:0.1,momentum=0.9,nesterov', or an optax transformation; None asks only
            whether loss and gradient are finite, and how steep the curvature is.
        budget: seconds that the answer may take.
        train_step: instead of a loss, ``train_step(state, batch) -> state``, or a tuple that begins with the state.
        state: what the first step is called with.
        batches: any iterable of batches; without it each step is called with `args`.
        recording: instead of all others, the path of what `qed.watch` recorded; its last run is explained, and the
            first of ``run.qedrec:0``.
        bounds: as `qed.minimize` takes them; the answer is then what the point is under the constraints, where a
            solver ends from there, and what each constraint costs; with `step` and its like, QED009.
        equality: h, with ``h(at, *args) == 0``, likewise.
        inequality: g, with ``g(at, *args) >= 0``, likewise.

    Example:
        >>> import jax.numpy as jnp
        >>> import qed
        >>> answer = qed.why(qed.Problem(lambda x: jnp.sum(x**2), at=jnp.ones(2), step=0.1))
        >>> answer.standing == "MEASURED", answer.findings
        (True, ())
    """

    loss: Callable[..., Any] | None = None
    at: Any = None
    args: Sequence[Any] = ()
    _: KW_ONLY
    train_step: Callable[..., Any] | None = None
    state: Any = None
    batches: Any = None
    key: Any = None
    optimizer: Any = None
    has_aux: bool = False
    recording: Any = None
    names: Any = None
    step: Any = None
    bounds: Any = None
    equality: Any = None
    inequality: Any = None
    budget: float | None = None

    def check(self) -> None:
        """Raise a QedError where the fields themselves are not usable."""
        if self.constrained:
            self._check_constrained()
        if self.recording is not None:
            self._check_recording()
        elif self.train_step is not None or self.state is not None or self.batches is not None:
            self._check_step()
        elif self.loss is None or not callable(self.loss):
            given = "nothing" if self.loss is None else f"a {type(self.loss).__name__}"
            raise QedError(
                "QED007",
                "the problem has no loss function",
                f"loss is {given}",
                "give loss=a function of the parameters",
            )
        elif self.at is None:
            raise QedError(
                "QED004",
                "the problem has no parameters",
                "at is None: a derivative needs a point",
                "give at=the parameters, that is what the loss is called with first",
            )
        if not isinstance(self.args, tuple | list):
            raise QedError(
                "QED007",
                "args is not a tuple",
                f"it is a {type(self.args).__name__}",
                "write args=(X, y), or args=(X,) for one array",
            )
        if self.step is not None and self.optimizer is not None:
            raise QedError(
                "QED007",
                "both step and optimizer are given",
                "they mean the same thing",
                "give one of the two",
            )
        if self.budget is not None and not (isinstance(self.budget, int | float) and self.budget > 0):
            raise QedError(
                "QED007",
                f"the budget {self.budget!r} is no positive time",
                "it is counted in seconds",
                "give budget=60",
            )

    @property
    def constrained(self) -> bool:
        """Whether bounds or constraints are given."""
        return any(part is not None for part in (self.bounds, self.equality, self.inequality))

    def _check_constrained(self) -> None:
        """Constraints stand with a loss at a point, without a step rule."""
        beside = ("recording", "train_step", "state", "batches", "step", "optimizer")
        given = [name for name in beside if getattr(self, name) is not None]
        if given:
            raise QedError(
                "QED009",
                f"constraints or bounds are given together with {given[0]}",
                "under constraints the point is judged and solved from; a step rule has no meaning of its own there",
                f"leave out {', '.join(given)}; or leave out bounds, equality and inequality",
            )

    def _check_recording(self) -> None:
        """A recording stands alone."""
        beside = ("loss", "at", "train_step", "state", "batches", "step", "optimizer")
        given = [name for name in beside if getattr(self, name) is not None]
        if given:
            raise QedError(
                "QED009",
                f"a recording is given together with {given[0]}",
                "this version reads a recording by itself: it holds norms of a run that is over",
                f"leave out {', '.join(given)}; or leave out recording and ask about the loss",
            )
        if not isinstance(self.recording, str | PathLike):
            raise QedError(
                "QED007",
                "recording is no path",
                f"it is a {type(self.recording).__name__}",
                "give the file that qed.watch wrote: recording='run.qedrec'",
            )

    def _check_step(self) -> None:
        """The fields of a training step: train_step and state, without a loss."""
        if self.loss is not None:
            raise QedError(
                "QED009",
                "a loss and the fields of a training step are given together",
                "this version reads a loss with at, args and step, or a train_step with state and batches",
                "leave out train_step, state and batches; or leave out loss",
            )
        if self.train_step is None or not callable(self.train_step):
            raise QedError(
                "QED007",
                "state or batches are given without a train_step",
                f"train_step is {self.train_step!r}",
                "give train_step=a function (state, batch) -> (state, loss)",
            )
        if self.state is None:
            raise QedError(
                "QED007",
                "the training step has no state",
                "state is None",
                "give state=what the first step is called with",
            )
