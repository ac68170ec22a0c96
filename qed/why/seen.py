"""What the recorder writes down: evaluations of a gradient, updates, calls, and how a loss curve looks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.graph.dtypes import is_real
from qed.graph.jaxpr import concrete

HOST = 1 << 16
"""Arrays with more numbers than this are looked at where they are, by a compiled reduction."""


@dataclass(frozen=True, eq=False)
class Differentiated:
    """One evaluation of a gradient, with concrete arrays.

    Args:
        fun: the function that was differentiated.
        args, kwargs: what it was called with.
        argnum: which argument it was differentiated in.
        has_aux: whether it returns (value, auxiliary).
        value: the loss.
        gradient: the gradient in that argument.
    """

    fun: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    argnum: int
    has_aux: bool
    value: float
    gradient: Any

    @property
    def at(self) -> Any:
        """The parameters."""
        return self.args[self.argnum]

    @classmethod
    def met(
        cls, fun: Callable[..., Any], args: Any, kwargs: Any, argnum: int, has_aux: bool, value: float
    ) -> Differentiated:
        """One whose gradient is known to be finite, and was not evaluated again."""
        note = cls(fun, args, kwargs, argnum, has_aux, value, None)
        note.__dict__["finite"] = True
        return note

    def without_gradient(self) -> Differentiated:
        """The same, knowing only whether the gradient is finite."""
        light = replace(self, gradient=None)
        light.__dict__["finite"] = self.finite
        return light

    @cached_property
    def given_finite(self) -> bool:
        """Whether what the loss was called with is finite."""
        return all(all_finite(leaf) for leaf in jax.tree.leaves((self.args, self.kwargs)))

    @cached_property
    def finite(self) -> bool:
        """Whether loss and gradient are finite."""
        return math.isfinite(self.value) and all(all_finite(leaf) for leaf in jax.tree.leaves(self.gradient))


@dataclass(frozen=True, eq=False)
class Updated:
    """One outermost call of an optax transformation's update, with concrete arrays."""

    transformation: Any
    gradient: Any
    state: Any
    parameters: Any
    change: Any

    def as_call(self, step: int) -> Call:
        """The update alone, as a call of the script's."""
        given = (self.gradient, self.state, self.parameters)
        made = all(all_finite(leaf) for leaf in jax.tree.leaves(self.change))
        return Call(step, self.transformation.update, given, {}, (), made)


@dataclass(frozen=True, eq=False)
class Call:
    """One outermost call of the script's that differentiates something."""

    step: int
    target: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    losses: tuple[float, ...]
    finite: bool
    seen: tuple[Differentiated, ...] = ()

    @cached_property
    def born_before_the_loss(self) -> bool:
        """Whether a loss inside the call is given numbers that are not finite, while the call itself is not."""
        entered = next((note for note in self.seen if not note.finite), None)
        return entered is not None and not entered.given_finite and self._given_finite

    @cached_property
    def born_after_the_loss(self) -> bool:
        """Whether every loss and gradient inside the call is finite, and what it returns is not."""
        return bool(self.seen) and all(note.finite for note in self.seen) and self.makes_what_is_not_finite

    @property
    def makes_what_is_not_finite(self) -> bool:
        """Whether it is given finite numbers and returns others."""
        return not self.finite and self._given_finite

    @cached_property
    def _given_finite(self) -> bool:
        return all(all_finite(leaf) for leaf in jax.tree.leaves((self.args, self.kwargs)))


_finite = jax.jit(lambda x: jnp.isfinite(x).all())


def all_finite(leaf: Any) -> bool:
    """Whether an array holds only finite numbers; True for what is no float array."""
    if not concrete_real(leaf):
        return True
    if leaf.size > HOST and isinstance(leaf, jax.Array):
        return bool(_finite(leaf))
    return bool(np.isfinite(np.asarray(leaf).astype(np.float32 if leaf.dtype.itemsize < 4 else leaf.dtype)).all())


def scalars(tree: Any) -> tuple[float, ...]:
    """The single floating-point numbers in a tree."""
    leaves = jax.tree.leaves(tree)
    return tuple(float(x) for x in leaves if getattr(x, "shape", None) == () and is_real(x.dtype) and concrete(x))


def was_skipped(failed: Call, following: Call) -> bool:
    """Whether a step that was not finite was skipped: the next one begins at the same parameters."""
    return bool(failed.seen) and are_given(failed.seen[-1].at, (following.args, following.kwargs))


def are_given(parameters: Any, arguments: Any) -> bool:
    """Whether each array of the parameters is among the arguments of a call."""
    given = [np.asarray(leaf) for leaf in jax.tree.leaves(arguments) if concrete_real(leaf)]
    wanted = [np.asarray(leaf) for leaf in jax.tree.leaves(parameters) if concrete_real(leaf)]
    return all(any(np.array_equal(leaf, other) for other in given) for leaf in wanted)


def concrete_real(leaf: Any) -> bool:
    """Whether a leaf is an array of floating-point numbers that are known."""
    return is_real(getattr(leaf, "dtype", None)) and concrete(leaf)


def sustained_rise(losses: list[float], window: int = 30) -> bool:
    """Whether the loss has been rising for long: each of three windows above the one before, and far above the lowest.

    Example:
        >>> sustained_rise([2.0 ** k for k in range(100)]), sustained_rise([1.0 / (k + 1) for k in range(100)])
        (True, False)
    """
    if len(losses) < 3 * window or len(losses) % 10:
        return False
    parts = [float(np.median(losses[len(losses) - k * window : len(losses) - (k - 1) * window])) for k in (3, 2, 1)]
    return parts[0] < parts[1] < parts[2] and exploding(losses)


def exploding(losses: list[float]) -> bool:
    """Whether a loss ends far above where it began: more than ten times its own scale over its lowest value.

    A loss that merely rises (one of two adversaries, say) is not called exploding.

    Example:
        >>> exploding([0.2, 5.0, 1e6]), exploding([0.7, 0.4, 2.0]), exploding([0.0, 0.0])
        (True, False, False)
    """
    if len(losses) < 2:
        return False
    end = float(np.median(losses[-max(1, len(losses) // 10) :]))
    lowest = min(losses)
    scale = abs(losses[0] - lowest) + abs(losses[0]) + 1e-12
    return end > losses[0] and end - lowest > 10 * scale
