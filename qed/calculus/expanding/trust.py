"""How far the quadratic model can be trusted: where the remainder reaches a tenth of the predicted decrease.

Along t -> f(a + t d), downhill, the model predicts the decrease p(t) = -(c_1 t + c_2 t^2), and |f - model| <= |R(t)|.
The model is trusted as far as |R(t)| <= p(t) / 10 (the agreement that trust-region methods ask for: Nocedal and Wright,
*Numerical Optimization*, 2006, section 4.1). R is enclosed with intervals where every primitive has a rule; else the
radius is read off from the program's values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from qed.answer import Reason, Standing
from qed.calculus.expanding.coefficients import along, curve
from qed.calculus.expanding.model import TaylorModel, Trust
from qed.calculus.expanding.remainder import NotEnclosed, bounds
from qed.calculus.expanding.words import outward
from qed.calculus.hessian import flatten, unflatten
from qed.errors import QedError
from qed.graph.function import Function

SHARE = 0.1


def trust(function: Function, model: TaylorModel, slopes: Sequence[Any] | None) -> Trust | None:
    """The radius along a direction (downhill on it), by default the negative gradient; None where the slope is zero.

    Example: for exp at 0, downhill to the left, t^3/6 is a tenth of t - t^2/2 near t = 0.64

        >>> import jax.numpy as jnp
        >>> from qed.graph.function import read
        >>> found = trust(read(jnp.exp, 0.0), TaylorModel((1.0, 1.0, 0.5), 2, 0.0), (jnp.ones(()),))
        >>> found.proved, 0.55 < found.radius < 0.7, abs(found.predicted / found.observed - 1) < 0.1
        (True, True, True)
    """
    vector = flatten(slopes) if slopes is not None else -np.ravel(np.asarray(model.coefficients[1], np.float64))
    size = float(np.linalg.norm(vector))
    if not 0 < size < math.inf:
        return None
    ray = unflatten(vector / size, function.parameters)
    c = [float(np.asarray(term)) for term in along(function, 2)(function.parameters, ray)]
    if c[1] > 0:
        ray, c = unflatten(-vector / size, function.parameters), [c[0], -c[1], c[2]]
    if not all(map(math.isfinite, c)) or c[1] == 0:
        return None
    value = curve(function, ray)

    def predicted(t: float) -> float:
        return -(c[1] * t + c[2] * t * t)

    def observed(t: float) -> float:
        return c[0] - float(np.asarray(value(np.float64(t))))

    start = -c[1] / max(abs(c[2]), abs(c[1]))
    proved = _largest(lambda t: _enclosed(function, ray, c, t), predicted, start)
    radius = proved or _largest(lambda t: abs(observed(t) - predicted(t)), predicted, start)
    if radius is None:
        return None
    return Trust(radius, flatten(ray), predicted(radius), observed(radius), proved is not None)


def _enclosed(function: Function, ray: Sequence[Any], c: Sequence[float], t: float) -> float:
    try:
        found = bounds(function, ray, c, t, pieces=3, sides=(1,))
    except (NotEnclosed, QedError):
        return math.inf
    return max(abs(found.lower), abs(found.upper))


def _largest(error: Callable[[float], float], predicted: Callable[[float], float], start: float) -> float | None:
    """The largest t, to a hundredth, up to which the error is at most a tenth of the prediction."""

    def good(t: float) -> bool:
        return error(t) <= SHARE * predicted(t)

    low = start
    for _ in range(12):
        if good(low):
            break
        low /= 4
    else:
        return None
    high = low
    for _ in range(12):
        if not good(high * 2):
            break
        high *= 2
    low, high = high, high * 2
    while high - low > 0.01 * low:
        middle = (low + high) / 2
        low, high = (middle, high) if good(middle) else (low, middle)
    return low


def reason(found: Trust, by_default: bool) -> Reason:
    """The sentence about it."""
    along = "the negative gradient" if by_default else "the direction, downhill"
    how = "by intervals" if found.proved else "by the program's values: intervals do not reach it"
    return Reason(
        "trust in the quadratic model",
        "|R(t)| <= (predicted decrease) / 10",
        f"t <= {outward(found.radius, -1)}",
        predicted=found.predicted,
        observed=found.observed,
        role="safe",
        standing=Standing.MEASURED,
        text=f"up to {outward(found.radius, -1, 3)} along {along} the remainder is at most 10 % of the predicted "
        f"decrease ({how}); there the model predicts {found.predicted:.4g}, "
        f"the program decreases by {found.observed:.4g}",
    )
