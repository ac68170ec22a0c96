"""The problem: what the user hands to `qed.why`, and the checks that it can be read at all.

A `Problem` is a plain record; nothing is computed by making one. `prepare` traces the loss, names its
parameters and its data, and refuses what cannot be answered, each time with what happened, because of what, and what
to do instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any

from qed.errors import QedError

LATER = ("train_step", "state", "batches", "recording", "bounds", "equality", "inequality")


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
        train_step, state, batches, recording, bounds, equality, inequality: named by the contract, not
            answered by this version; giving one raises QED009.

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
        for field in fields(self):
            if field.name in LATER and getattr(self, field.name) is not None:
                raise QedError(
                    "QED009",
                    f"Problem({field.name}=...) is not answered by this version",
                    "qed.why reads a loss, its parameters and its data so far",
                    "give loss, at, args and step",
                )
        if self.loss is None or not callable(self.loss):
            given = "nothing" if self.loss is None else f"a {type(self.loss).__name__}"
            raise QedError(
                "QED007",
                "the problem has no loss function",
                f"loss is {given}",
                "give loss=a function of the parameters",
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
