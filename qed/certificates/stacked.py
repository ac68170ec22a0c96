"""Several functions of one argument as one: f, h and g laid end to end, (f, h_1, ..., h_p, g_1, ..., g_q).

A constrained problem is three functions, and a certificate is about one: this one. The rows of h and g stand in the
order of the leaves of what they return, each read in row-major order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def stacked(fun: Callable[..., Any], equality: Any = None, inequality: Any = None) -> Callable[..., Any]:
    """The function x, *args -> (f, h..., g...) that certificates of constrained problems are about.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.stacked import stacked
    >>> stacked(lambda x: x @ x, None, lambda x: (x[0], x[1:] - 1))(jnp.array([1.0, 2.0, 4.0])).tolist()
    [21.0, 1.0, 1.0, 3.0]
    """

    def together(x: Any, *args: Any) -> Any:
        parts = [one(x, *args) for one in (fun, equality, inequality) if one is not None]
        return jnp.concatenate([jnp.ravel(jnp.asarray(leaf)) for part in parts for leaf in jax.tree.leaves(part)])

    return together
