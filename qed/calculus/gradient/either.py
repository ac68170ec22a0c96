"""Value and gradient in the mode that a function has: reverse, or forward where a loop does not know its length.

Reverse mode keeps what a loop computed to walk it back, and JAX does so for loops of known length only. Forward mode
needs nothing kept: the derivative along each of n unit directions is carried along,

    g_i = d/dt f(x + t e_i) at t = 0,          n derivatives instead of one walk back.

So for few parameters such a function has its gradient too. Reference: Griewank and Walther, *Evaluating Derivatives*,
2008, chapter 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

LARGEST = 256
"""With how many parameters forward mode is used where there is no other."""
SIGN = "Reverse-mode differentiation"
"""What JAX's message says where a loop cannot be walked back."""


def value_and_gradient(fun: Callable[..., Any]) -> Callable[..., Any]:
    """As `jax.value_and_grad`, in the first argument; by forward mode where that alone is to be had.

    Raises:
        ValueError: when called, as JAX raises it, with more than 256 parameters.

    Example:
        >>> import jax.numpy as jnp
        >>> halved = lambda x: jax.lax.while_loop(lambda c: jnp.sum(c) > 1.0, lambda c: 0.5 * c, x)
        >>> f, g = value_and_gradient(lambda x: jnp.sum(halved(x) ** 2))(jnp.array([3.0, 1.0]))
        >>> float(f), g.tolist()
        (0.625, [0.375, 0.125])
    """
    reverse = jax.value_and_grad(fun)

    def both(x: Any, *rest: Any) -> Any:
        try:
            return reverse(x, *rest)
        except ValueError as error:
            if SIGN not in str(error) or not is_small(x):
                raise
        return fun(x, *rest), jax.jacfwd(fun)(x, *rest)

    return both


def is_small(x: Any) -> bool:
    """Whether a tree holds few enough numbers for forward mode."""
    return sum(int(np.size(leaf)) for leaf in jax.tree.leaves(x)) <= LARGEST
