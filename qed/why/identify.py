"""Which step rule a training loop uses, read from what it did: parameters and gradients of the first steps.

Nothing is read from closures or by name. With w_k the parameters, g_k the gradients and d_k = w_{k+1} - w_k, gradient
descent and heavy-ball momentum satisfy

    d_0 = -s g_0,        d_k = -s g_k + b d_{k-1}

so that s and b follow from two steps by least squares, and a third step checks them. Where another rule was at work but
the optax transformation that made the updates was seen, and its updates are what moved the parameters, that is the rule
(`captured`). Every other rule is *not identified*: its limit is then unknown, and said to be.

A step is what the parameters were rounded to: d_k is known to half a unit in the last place of w_k, and a misfit of
that size speaks against nothing. Where the step is not larger (parameters of 16 bits), each number still confines the
rate of gradient descent to an interval, s |g_i| = |d_i| up to the roundings; a rate in all of them is told where they
leave little else, the shortest decimal of them.

A rule is *uphill* where its steps are +s g: it climbs. The multiple is fitted alike.

Reference: Polyak, *Some methods of speeding up the convergence of iteration methods*, 1964.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from qed.graph.trace import is_float
from qed.optimization.step import StepRule

CLOSE = 2e-3
NOISE = 1e-5
BEYOND_ROUNDING = 4.0
"""How many times as large as its rounding a step is that tells its rule."""

SLACK = 4.0
"""Units by which a gradient of 16 bits may differ from the one that the loop compiled with what stands around it."""
WIDE = 1.25
"""The largest ratio of the ends of an interval that tells a rate."""


@dataclass(frozen=True)
class Identified:
    """What the first steps show.

    Args:
        rule: the step rule, or None where they do not fit gradient descent with or without momentum.
        words: what was seen, in a sentence.
        residual: the relative misfit of the best fit.
        climbs: whether the steps go along the gradient.
    """

    rule: StepRule | None
    words: str
    residual: float
    climbs: bool = False


def flat(tree: Any) -> np.ndarray:
    """The float leaves of a pytree as one float64 vector; a plain number as the array that it becomes."""
    arrays = [leaf if hasattr(leaf, "dtype") else jnp.asarray(leaf) for leaf in jax.tree.leaves(tree) if is_float(leaf)]
    leaves = [np.asarray(leaf).astype(np.float64).ravel() for leaf in arrays]
    return np.concatenate(leaves) if leaves else np.zeros(0)


def identify(points: Sequence[Any], gradients: Sequence[Any]) -> Identified:
    """Fit the step rule to consecutive points and the gradients at them.

    Args:
        points: w_0, w_1, ... as pytrees of one structure; two or more.
        gradients: g_0, g_1, ... at those points.

    Example:
        >>> import numpy as np
        >>> w, g = np.array([1.0, 2.0]), np.array([0.5, -1.0])
        >>> str(identify([w, w - 0.1 * g], [g]).rule)
        'sgd:0.1'
    """
    w = [flat(p) for p in points]
    g = [flat(x) for x in gradients]
    steps = [b - a for a, b in pairwise(w) if a.shape == b.shape]
    rounded = [rounding(point) for point in points]
    if not steps or not all(np.isfinite(x).all() for x in (*steps, *g[: len(steps)])):
        return Identified(None, "the first steps were not seen", float("inf"))
    if not np.linalg.norm(steps[0]):
        zero = "the gradient is exactly 0 and " if g and not g[0].any() else ""
        return Identified(None, f"{zero}the first step does not change the parameters", 0.0)
    scale = float(g[0] @ g[0])
    if not scale and not g[0].any():
        return Identified(None, "the gradient is exactly 0 at the first step, and the parameters change", 0.0)
    rate = -float(steps[0] @ g[0]) / scale if scale else 0.0
    apart = misfit(steps[0], -rate * g[0], rounded[0])
    if np.linalg.norm(steps[0]) < BEYOND_ROUNDING * rounded[0]:
        through = _through_rounding(w, g, _epsilons(points[0]))
        if through is not None:
            return Identified(StepRule("sgd", through), "gradient descent, as far as the rounding shows", apart)
        return Identified(None, "the first step is lost in the rounding of the parameters", apart)
    if rate < 0 and apart <= CLOSE:
        climb = StepRule("optax", transformation=optax.sgd(_round(rate)))
        steady = len(steps) < 2 or len(g) < 2 or misfit(steps[1], -rate * g[1], rounded[1]) <= CLOSE
        return Identified(climb if steady else None, f"the first step is +{-rate:.3g} times the gradient", apart, True)
    if rate <= 0 or apart > CLOSE:
        return Identified(None, _sign_like(steps[0], g[0]), apart)
    if len(steps) < 2 or len(g) < 2:
        return Identified(StepRule("sgd", _round(rate)), "one step of gradient descent", apart)
    basis = np.stack([-g[1], steps[0]], axis=1)
    (again, momentum), *_ = np.linalg.lstsq(basis, steps[1], rcond=None)
    apart = misfit(steps[1], basis @ np.array([again, momentum]), rounded[1])
    plain = misfit(steps[1], -rate * g[1], rounded[1])
    if plain <= CLOSE:
        return Identified(StepRule("sgd", _round(rate)), "two steps of gradient descent", plain)
    if apart <= CLOSE and abs(again - rate) <= 1e-2 * rate and 0 < momentum < 1:
        if len(steps) > 2 and len(g) > 2 and (misfit(steps[2], -rate * g[2] + momentum * steps[1], rounded[2]) > CLOSE):
            return Identified(None, "momentum, but not the heavy ball (Nesterov's variant, perhaps)", apart)
        rule = StepRule("sgd", _round(rate), (("momentum", _round(float(momentum))),))
        return Identified(rule, "gradient descent with heavy-ball momentum", apart)
    if misfit(steps[1], again * -g[1], rounded[1]) <= CLOSE:
        return Identified(None, f"gradient descent whose step changes ({rate:.3g}, then {again:.3g})", apart)
    return Identified(None, "no multiple of gradient and previous step", apart)


@dataclass(frozen=True)
class Captured:
    """A transformation that a script used, as a step rule for the diagnosis; or why it is none.

    Args:
        rule: the rule, on tuples of the float leaves of the parameters; None where it cannot be used.
        words: why not.
    """

    rule: StepRule | None
    words: str = ""


def captured(points: Sequence[Any], gradients: Sequence[Any], updates: Sequence[Any]) -> Captured:
    """The transformation whose updates were seen, if they are what moved the parameters.

    Args:
        points: w_0, w_1, ... as pytrees of one structure.
        gradients: g_0, g_1, ... at those points.
        updates: what was seen of the updates, each with transformation, gradient, state, parameters and change.
    """
    if not updates or len(points) < 2:
        return Captured(None, "its updates were not seen")
    first, gradient = updates[0], flat(gradients[0])
    if flat(first.gradient).shape != gradient.shape or misfit(flat(first.gradient), gradient) > CLOSE:
        return Captured(None, "its updates were not made from the gradient of this loss alone")
    change, moved, rounded = flat(first.change), flat(points[1]) - flat(points[0]), rounding(points[0])
    if np.linalg.norm(change) > BEYOND_ROUNDING * rounded and not moved.any():
        return Captured(None, "its updates do not move the parameters, or not at once")
    felt = np.abs(gradient) > NOISE * np.abs(gradient).max(initial=0.0)  # Adam makes a full step of rounding errors
    felt = felt if change.shape == moved.shape == felt.shape else np.ones(0, bool)
    apart = change.shape != moved.shape or misfit(change[felt], moved[felt], rounded) > 10 * CLOSE
    if apart or (moved.any() and not change.any()):
        return Captured(None, "its updates are not what moved the parameters")
    count = sum(is_float(leaf) for leaf in jax.tree.leaves(points[0]))
    leaves, tree = jax.tree.flatten(first.gradient)
    given = None if first.parameters is None else jax.tree.flatten(first.parameters)
    if len(leaves) != count or (given is not None and len(given[0]) != count):
        return Captured(None, "its updates have another structure than the parameters")

    def init(params: Any) -> Any:
        return first.state

    inner = optax.with_extra_args_support(first.transformation)

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        at = None if given is None or params is None else jax.tree.unflatten(given[1], params)
        if "grad" in extra:  # what a line search asks for, in the user's own structure
            extra |= {"grad": jax.tree.unflatten(tree, extra["grad"])}
        if "value_fn" in extra:
            loss = extra["value_fn"]
            extra |= {"value_fn": lambda tree: loss(tuple(jax.tree.leaves(tree)))}
        change, state = inner.update(jax.tree.unflatten(tree, updates), state, at, **extra)
        return tuple(jax.tree.leaves(change)), state

    return Captured(StepRule("optax", transformation=optax.GradientTransformationExtraArgs(init, update)))


def in_proportion(update: Any) -> bool:
    """Whether half the gradient makes half the step, as it does in gradient descent, and does not behind a clipping.

    Args:
        update: what was seen of an update, with transformation, gradient, state, parameters and change.
    """
    half = jax.tree.map(lambda g: g / 2 if is_float(g) else g, update.gradient)
    try:
        step, _ = update.transformation.update(half, update.state, update.parameters)
    except Exception:  # a rule that asks for more than a gradient: it is taken for what its steps show
        return True
    whole, other = flat(update.change), flat(step)
    return whole.shape != other.shape or misfit(whole, 2 * other) <= CLOSE


def misfit(seen: np.ndarray, fitted: np.ndarray, rounded: float = 0.0) -> float:
    """|seen - fitted| / |seen|, but for what rounding explains."""
    size = float(np.linalg.norm(seen))
    return max(0.0, float(np.linalg.norm(seen - fitted)) - rounded) / size if size else 0.0


def _through_rounding(points: Sequence[np.ndarray], gradients: Sequence[np.ndarray], eps: np.ndarray) -> float | None:
    """The one rate whose steps, rounded, are the steps seen; None where there is none, or many."""
    low, high = 0.0, math.inf
    for (before, after), g in zip(pairwise(points), gradients, strict=False):
        if not before.shape == after.shape == g.shape == eps.shape:
            return None
        size = np.abs(g).max(initial=0.0)
        unsure = SLACK * eps * (np.abs(g) + size * 2.0**-4)  # the loop compiles its gradient otherwise
        felt = np.abs(g) > 4 * unsure
        step = (before - after)[felt] * np.sign(g[felt])
        half = eps[felt] / 2 * np.maximum(np.abs(before), np.abs(after))[felt] + eps[felt] / 2 * np.abs(step)
        least, most = np.abs(g)[felt] - unsure[felt], np.abs(g)[felt] + unsure[felt]
        low = max(low, float(np.max((step - half) / most, initial=0.0)))
        high = min(high, float(np.min((step + half) / least, initial=math.inf)))
    if not 0 < low <= high <= WIDE * low:
        return None
    return next(rate for digits in range(1, 18) if low <= (rate := float(f"{(low + high) / 2:.{digits}g}")) <= high)


def _epsilons(point: Any) -> np.ndarray:
    """The machine epsilon of each number of a point."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(point) if is_float(leaf)]
    return np.concatenate([np.full(leaf.size, float(jnp.finfo(leaf.dtype).eps)) for leaf in leaves])


def rounding(point: Any) -> float:
    """How far w + u is from what it is rounded to, at most: half a unit in the last place of each number."""
    halves = [
        np.abs(np.asarray(leaf).astype(np.float64)).ravel() * float(jnp.finfo(jnp.asarray(leaf).dtype).eps) / 2
        for leaf in jax.tree.leaves(point)
        if is_float(leaf)
    ]
    return float(np.linalg.norm(np.concatenate(halves))) if halves else 0.0


def _sign_like(step: np.ndarray, gradient: np.ndarray) -> str:
    large = np.abs(gradient) > 1e-3 * np.abs(gradient).max()
    sizes = np.abs(step[large])
    if sizes.size and sizes.min() > 0.9 * sizes.max() and (np.sign(step[large]) == -np.sign(gradient[large])).all():
        return f"the first step is {sizes.max():.3g} times the sign of the gradient, as Adam's is"
    return "the first step is no multiple of the gradient"


def _round(x: float) -> float:
    return float(f"{x:.4g}")
