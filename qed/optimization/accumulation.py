"""Gradient accumulation as one update: k calls that are given one gradient are one call of the rule inside.

A rule that accumulates averages the gradients of k calls and makes one update of them; the other calls change no
parameter. With the same gradient at each call the average is that gradient, so that k calls together are the update of
the rule inside. How many calls that is, is found by making them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

LONGEST = 256


def accumulated(
    update: Callable[..., Any], state: Any, like: Sequence[Any], counters: Sequence[int]
) -> tuple[Callable[..., Any], int]:
    """As many calls as one update needs, as one call; and how many they are.

    Args:
        update: ``update(gradient, state, parameters)``.
        state: a state at which the accumulation begins.
        like: arrays of the shapes of the parameters.
        counters: which leaves of the state count the calls.

    Returns:
        (update, calls); calls is 0 where more than 256 calls would be needed.

    Example:
        >>> import optax
        >>> rule, w = optax.MultiSteps(optax.sgd(0.1), 3), (jnp.zeros(2),)
        >>> whole, calls = accumulated(rule.update, rule.init(w), w, [0])
        >>> calls, [round(float(x), 3) for x in whole((jnp.ones(2),), rule.init(w), w)[0][0]]
        (3, [-0.1, -0.1])
    """
    one, after = jax.jit(update), state
    gradient = tuple(jnp.full_like(leaf, 1e-3) for leaf in like)
    calls, again = 0, True
    while again and calls < LONGEST:
        calls += 1
        _, after = one(gradient, after, tuple(like))
        leaves = jax.tree.leaves(after)
        again = any(int(leaves[i]) for i in counters)
    if again:
        return update, 0

    def whole(gradient: Any, state: Any, parameters: Any) -> Any:
        def call(carried: Any, _: Any) -> Any:
            state, total = carried
            change, state = update(gradient, state, parameters)
            return (state, jax.tree.map(jnp.add, total, change)), None

        still = jax.tree.map(jnp.zeros_like, gradient)
        (state, change), _ = jax.lax.scan(call, (state, still), None, length=calls)
        return change, state

    return whole, calls
