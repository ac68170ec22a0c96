"""A minimisation as one compiled program: L-BFGS in a `lax.while_loop`, for repeated solves, under jit and vmap too.

The loop on the host decides step by step and says why; this one is a function of the start and of the data that XLA
runs without coming back. It is optax's L-BFGS with its zoom line search, ended by the largest part of the gradient.
Under jit or vmap the numbers are not known while the program is made: the value is computed, and no verdict is given.

Reference: Nocedal and Wright, *Numerical Optimization*, 2006, algorithms 3.5, 3.6 and 7.4.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from qed.answer import Answer, Missing
from qed.graph.trace import is_float
from qed.optimization.solution import Ending, Multipliers, Solution, Verdict
from qed.standing import Standing


@partial(jax.jit, static_argnames=("fun", "most"))
def descend(fun: Callable[..., Any], x: Any, args: tuple[Any, ...], tol: Any, most: int) -> tuple[Any, Any, Any, Any]:
    """The point, the value, the gradient and the number of steps of L-BFGS from x.

    Args:
        fun: the loss.
        x: the start; its leaves that are no floats stay.
        args: data.
        tol: for the largest part of the gradient.
        most: steps.

    Example:
        >>> x, f, g, steps = descend(lambda x: jnp.sum((x - 1) ** 2), jnp.zeros(2), (), 1e-6, 100)
        >>> x.tolist(), float(f), bool(steps < 5)
        ([1.0, 1.0], 0.0, True)
    """
    leaves, tree = jax.tree.flatten(x)
    free = [i for i, leaf in enumerate(leaves) if is_float(leaf)]

    def full(parameters: Any) -> Any:
        parts = dict(zip(free, parameters, strict=True))
        return jax.tree.unflatten(tree, [parts.get(i, leaf) for i, leaf in enumerate(leaves)])

    def loss(parameters: Any) -> Any:
        return fun(full(parameters), *args)

    rule, both = optax.lbfgs(), optax.value_and_grad_from_state(loss)

    def going(carried: Any) -> Any:
        _, _, value, slope, steps, moved = carried
        large = optax.tree_utils.tree_max(jax.tree.map(lambda g: jnp.max(jnp.abs(g), initial=0.0), slope)) > tol
        return large & (steps < most) & moved & jnp.isfinite(value)

    def step(carried: Any) -> Any:
        parameters, state, value, slope, steps, _ = carried
        change, state = rule.update(slope, state, parameters, value=value, grad=slope, value_fn=loss)
        new = optax.apply_updates(parameters, change)
        value, slope = both(new, state=state)
        pairs = zip(jax.tree.leaves(new), jax.tree.leaves(parameters), strict=True)
        moved = jnp.any(jnp.stack([jnp.any(a != b) for a, b in pairs]))
        return new, state, value, slope, steps + 1, moved

    start = tuple(jnp.asarray(leaves[i]) for i in free)
    value, slope = jax.value_and_grad(loss)(start)
    carried = (start, rule.init(start), value, slope, jnp.asarray(0), jnp.asarray(True))
    found, _, value, slope, steps, _ = jax.lax.while_loop(going, step, carried)
    return full(found), value, full(slope), steps


def under_a_trace(fun: Callable[..., Any], x: Any, args: tuple[Any, ...], tol: float, most: int) -> Answer[Solution]:
    """The answer under jit or vmap: the value by compiled code, and no verdict."""
    found, value, slope, steps = descend(fun, x, args, tol, most)
    zero = jax.tree.map(jnp.zeros_like, slope)
    nothing = float("nan")
    told = Verdict(Ending.UNDECIDED, value, nothing, nothing)
    solution = Solution(
        found, value, slope, Multipliers(zero, zero), {"steps": steps}, Ending.UNDECIDED, "l-bfgs", told
    )
    missing = Missing("traced: under jit or vmap the numbers are not known", "qed.verdict on the point that comes out")
    return Answer("the point is a minimum", Standing.UNKNOWN, solution, missing=(missing,))


def verdict_under_a_trace(fun: Callable[..., Any], x: Any, args: tuple[Any, ...]) -> Answer[Verdict]:
    """The answer of `qed.verdict` under jit or vmap: value and gradient, and no verdict."""
    leaves, tree = jax.tree.flatten(x)
    free = [i for i, leaf in enumerate(leaves) if is_float(leaf)]

    def loss(parameters: Any) -> Any:
        parts = dict(zip(free, parameters, strict=True))
        return fun(jax.tree.unflatten(tree, [parts.get(i, leaf) for i, leaf in enumerate(leaves)]), *args)

    value, slope = jax.value_and_grad(loss)(tuple(jnp.asarray(leaves[i]) for i in free))
    largest: Any = optax.tree_utils.tree_max(jax.tree.map(lambda g: jnp.max(jnp.abs(g), initial=0.0), slope))
    told = Verdict(Ending.UNDECIDED, value, largest, float("nan"))
    missing = Missing(
        "traced: under jit or vmap the numbers are not known", "qed.verdict outside of the transformation"
    )
    return Answer("the point is a minimum", Standing.UNKNOWN, told, missing=(missing,))
