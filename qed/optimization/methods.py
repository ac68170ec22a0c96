"""The methods of `qed.minimize`: their names, what a step of each costs, and how fast the one that ran was.

Two choices make a method: where the direction comes from (second derivatives, gradients remembered, the gradient
itself) and how far it is followed (a radius, a search, a fixed share of the last step). Names that others use for
the same are understood.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from qed.answer import Reason
from qed.errors import QedError
from qed.standing import Standing

COSTS = {
    "newton": "a Hessian a step, n^2 numbers at most, and its factors or products with it; near a minimum the digits "
    "double, whatever the condition k",
    "trust-exact": "a dense Hessian a step, n^2 numbers, and about n^3/3 operations for each factorisation; near a "
    "minimum the digits double, whatever the condition k",
    "trust-krylov": "no matrix: a product with the Hessian, about two gradients, for each of some sqrt k directions a "
    "step; near a minimum faster than by any factor a step",
    "l-bfgs": "a gradient or two a step and 20 n numbers (from 100,000 parameters on 10 n, in float32); "
    "near a minimum a factor a step, better than the gradient's",
    "bfgs": "a gradient or two a step and n^2 numbers; near a minimum faster than by any factor a step",
    "gradient": "a gradient or two a step and nothing kept; near a minimum a factor of at best (k - 1)/(k + 1) a step",
    "heavy-ball": "a gradient or two a step and n numbers; on a quadratic a factor of at best "
    "(sqrt k - 1)/(sqrt k + 1) a step, with the best constants",
    "nesterov": "two gradients a step and n numbers; a factor of about 1 - 1/sqrt k a step, and for convex f "
    "f - f* <= 2 L |x0 - x*|^2 / k^2 after k steps",
}
METHODS = tuple(COSTS)
ALIASES = {
    "lbfgs": "l-bfgs", "l-bfgs-b": "l-bfgs", "gradient-descent": "gradient", "momentum": "heavy-ball",
    "trust-region": "newton", "newton-cg": "trust-krylov",
}  # fmt: skip


def named(method: Any) -> str:
    """The name of a method, however it is spelled.

    Raises:
        QedError: QED007, with the names that there are.

    Example:
        >>> named("L_BFGS"), named("heavy ball"), named("trust-region")
        ('l-bfgs', 'heavy-ball', 'newton')
    """
    name = method.strip().lower().replace("_", "-").replace(" ", "-") if isinstance(method, str) else method
    name = ALIASES.get(name, name) if isinstance(name, str) else None
    if name not in METHODS:
        because = (
            f"there are {', '.join(METHODS)}; of optax, a transformation or a text such as 'sgd:0.1' or 'adam:1e-2'"
        )
        raise QedError("QED007", f"method={method!r} is not known", because, "method=None, which chooses")
    return name


def seen(method: str, sizes: Sequence[float]) -> tuple[Reason, ...]:
    """What a step costs, and by what factor the gradient shrank in the second half of the run."""
    found = [Reason("price", text=f"{method} takes {COSTS[method]}", role="cost")] if method in COSTS else []
    known = np.array([s for s in sizes if s > 0 and math.isfinite(s)])
    if len(known) >= 5:
        half = len(known) // 2
        factor = float((known[-1] / known[half]) ** (1 / (len(known) - 1 - half)))
        text = (
            f"over the last {len(known) - 1 - half} of {len(known) - 1} steps the gradient was multiplied by "
            f"{factor:.3g} a step, from {known[half]:.2g} to {known[-1]:.2g}"
        )
        found.append(
            Reason(
                "the rate that was seen", observed=factor, standing=Standing.MEASURED, text=text, role="rate",
                unpredicted="qed.rate predicts it by the curvatures at the limit",
            )
        )  # fmt: skip
    return tuple(found)
