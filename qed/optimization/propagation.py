"""How one step of any rule carries small errors on: the Jacobian of (parameters, state) -> (parameters, state).

A rule that is no linear rule with a frozen preconditioner (`qed.optimization.local`) is still a map of parameters and
state. Near the point (w, s) an error (dw, ds) becomes

    dg = H dw,    (du, ds') = D update (dg, ds, dw),    dw' = dw + c du,

with the Hessian H, the derivative of `update` by jvp, and c = 1, or another factor on the rate. A step that is too
large makes errors change their sign or turn, and grow: an eigenvalue beyond 1 in modulus that is not real and positive.
(One that is belongs to negative curvature, or to a run that has not arrived: descent, no instability.) The factor c
at which the outermost of them reaches 1 is the limit of the rate. Counters are held. Where the update does not
feel the gradient at all (a sign), there is no such matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.calculus.arnoldi import Ritz, outermost
from qed.calculus.hessian import flatten, unflatten
from qed.graph.trace import is_float
from qed.optimization.local import NotIdentified

BEYOND = 2e-3
"""How far beyond 1 a spectral radius is said to be beyond it."""

FINE = 1e-4
"""How far beyond 1 it is in the search for the factor: float32 products decide no finer."""


@dataclass(frozen=True, eq=False)
class Propagation:
    """Errors under one step.

    Args:
        step: after how many updates.
        ritz: the outermost of the eigenvalues that are not real and positive; 0 where all are.
        factor: the factor on the rate at which the spectral radius reaches 1, where it is beyond it; else None.
        product: (error, factor on the rate) -> the error after one step.
        size: the length of an error.
    """

    step: int
    ritz: Ritz
    factor: float | None
    product: Callable[[np.ndarray, float], np.ndarray]
    size: int

    @property
    def grows(self) -> bool:
        """Whether errors grow, beyond what the residual leaves open."""
        return self.ritz.radius - self.ritz.residual > 1 + BEYOND


def propagation(
    transformation: Any,
    state: Any,
    parameters: Sequence[Any],
    gradient: Sequence[Any],
    product: Callable[[np.ndarray], np.ndarray],
    *,
    step: int = 0,
    stop: Callable[[], bool] = lambda: False,
) -> Propagation | NotIdentified:
    """The spectral radius of one step at a state, and the limit of the rate where it is beyond 1.

    Args:
        transformation: anything with `init` and `update`.
        state: its state.
        parameters: the parameters, a sequence of arrays.
        gradient: the gradient there.
        product: v -> H v.
        step: after how many updates that is.
        stop: asked before each product; True ends the search with what is known.

    Example:
        >>> import jax.numpy as jnp
        >>> import optax
        >>> rule, w = optax.sgd(0.5), (jnp.ones(2),)
        >>> found = propagation(rule, rule.init(w), w, w, lambda v: 5.0 * v)
        >>> round(found.ritz.radius, 3), round(found.factor, 3)
        (1.5, 0.8)
    """
    try:
        carried, size = _linearised(transformation, state, tuple(parameters), tuple(gradient), product)
        alone = carried(
            np.concatenate([np.ones(flatten(parameters).size), np.zeros(size - flatten(parameters).size)]), 1.0
        )
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:80]
        return NotIdentified(f"has no derivative ({first})")
    if not np.isfinite(alone).all():
        return NotIdentified("has a derivative that is not finite there")
    ritz = outermost(lambda v: carried(v, 1.0), size, oscillating=True, stop=stop)
    if not ritz.finite or (ritz.radius > 0.5 and ritz.residual > 1e-2 * ritz.radius):
        return NotIdentified("was linearised, and its spectral radius did not settle")
    found = Propagation(step, ritz, None, carried, size)
    return Propagation(step, ritz, _factor(carried, size, stop), carried, size) if found.grows else found


def _factor(carried: Callable[[np.ndarray, float], np.ndarray], size: int, stop: Callable[[], bool]) -> float:
    """The factor on the rate at which errors cease to grow, by bisection of its logarithm."""
    low, high = 1e-6, 1.0
    for _ in range(16):
        middle = float(np.sqrt(low * high))
        grows = outermost(lambda v, c=middle: carried(v, c), size, oscillating=True, stop=stop).radius > 1 + FINE
        low, high = (low, middle) if grows else (middle, high)
        if high < 1.002 * low or stop():
            break
    return float(np.sqrt(low * high))


def _linearised(
    transformation: Any,
    state: Any,
    parameters: tuple[Any, ...],
    gradient: tuple[Any, ...],
    product: Callable[[np.ndarray], np.ndarray],
) -> tuple[Callable[[np.ndarray, float], np.ndarray], int]:
    leaves, tree = jax.tree.flatten(state)
    moving = [i for i, leaf in enumerate(leaves) if is_float(leaf)]
    floats = tuple(jnp.asarray(leaves[i]) for i in moving)
    count = flatten(parameters).size

    def update(gradient: Any, floats: Any, parameters: Any) -> Any:
        full = list(leaves)
        for i, leaf in zip(moving, floats, strict=True):
            full[i] = leaf
        change, after = transformation.update(gradient, jax.tree.unflatten(tree, full), parameters)
        out = jax.tree.leaves(after)
        return tuple(jax.tree.leaves(change)), tuple(out[i] for i in moving)

    @jax.jit
    def derivative(dg: Any, ds: Any, dw: Any) -> Any:
        return jax.jvp(update, (gradient, floats, parameters), (dg, ds, dw))[1]

    slope = derivative(parameters, tuple(map(jnp.zeros_like, floats)), tuple(map(jnp.zeros_like, parameters)))
    if not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(slope[0])):
        message = "it does not feel the gradient"
        raise ValueError(message)

    def carried(error: np.ndarray, factor: float) -> np.ndarray:
        dw, ds = error[:count], error[count:]
        dg = product(dw)
        du, after = derivative(unflatten(dg, gradient), unflatten(ds, floats), unflatten(dw, parameters))
        return np.concatenate([dw + factor * flatten(du), flatten(after)])

    return carried, count + flatten(floats).size
