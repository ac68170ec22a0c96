"""The limit itself: difference quotients of a function of one number, their best step, and the tangent.

With u the unit roundoff of the program's arithmetic, the central quotient is off by about

    |f'''| h^2 / 6   (truncation)   +   u |f| / h   (rounding),

which is least at h = (3 u |f| / |f'''|)^(1/3). The tangent y = f(a) + f'(a)(x - a) is left as f''(a)/2 (x - a)^2.
Reference: Nocedal and Wright, *Numerical Optimization* (2nd ed. 2006), section 8.1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from qed.calculus.hessian import flatten, unflatten
from qed.graph.dtypes import unit_roundoff
from qed.graph.function import Function


@dataclass(frozen=True)
class Quotient:
    """A step and what the quotients over it are."""

    step: float
    forward: float
    central: float
    error: float


@dataclass(frozen=True)
class Limit:
    """Difference quotients that approach a derivative.

    Args:
        derivative: the number that they approach.
        rows: for h = 1, 0.1, ...
        step: the best step of the central quotient as predicted; None where the third derivative is not known or zero.
        predicted: the error expected at it; observed: the error there.
        roundoff: u |f|, what one evaluation is off by.
    """

    derivative: float
    rows: tuple[Quotient, ...]
    roundoff: float
    step: float | None = None
    predicted: float | None = None
    observed: float | None = None

    @property
    def best(self) -> Quotient | None:
        """The row with the smallest error."""
        finite = [row for row in self.rows if math.isfinite(row.error)]
        return min(finite, key=lambda row: row.error, default=None)

    @property
    def table(self) -> str:
        """The rows as text."""
        lines = ["       h   (f(x+h)-f(x))/h   (f(x+h)-f(x-h))/2h     error"]
        for row in self.rows:
            forward, central = (_shown(n) for n in (row.forward, row.central))
            lines.append(f"{row.step:8.0e}   {forward:>15}   {central:>18}   {_shown(row.error, 2):>7}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Tangent:
    """The tangent line at a point, and how far the curve is from it beside the point.

    Args:
        at, value, slope: the line is y = value + slope (x - at).
        distance: how far beside the point the curve was compared with it.
        predicted: f''(a)/2 h^2; observed: f(a + h) minus the line; within: what rounding and the third order allow.
    """

    at: float
    value: float
    slope: float
    distance: float | None = None
    predicted: float | None = None
    observed: float | None = None
    within: float | None = None

    @property
    def text(self) -> str:
        """The line as an equation."""
        return f"y = {self.value:.6g} {'-' if self.slope < 0 else '+'} {abs(self.slope):.6g} (x {_minus(self.at)})"


def values_at(function: Function, points: np.ndarray) -> np.ndarray:
    """The program's values at points of its one parameter, in its own arithmetic; NaN where it has none."""
    (parameter,) = function.parameters
    wanted = np.asarray(points).astype(parameter.dtype).reshape(-1, *parameter.shape)

    def value(x: Any) -> Any:
        return function.value((x,))

    try:
        found = jax.jit(jax.vmap(value))(wanted)
    except Exception:  # what cannot be mapped is evaluated point by point
        found = [value(x) for x in wanted]
    return np.asarray(found, np.float64)


def limit(function: Function, at: float, derivative: float, third: float | None) -> Limit:
    """Difference quotients at `at`, beside the derivative that the rules give.

    Example:
        >>> from qed.graph.function import read
        >>> found = limit(read(lambda x: x * x * x, 1.0), 1.0, 3.0, 6.0)
        >>> found.rows[0].central, 1e-3 < found.step < 1e-2
        (4.0, True)
    """
    dtype = function.parameters[0].dtype
    last = {2: 3, 4: 6}.get(np.dtype(dtype).itemsize, 11)
    steps = [10.0**-k for k in range(last + 1)]
    roundoff = unit_roundoff(dtype)
    center = float(values_at(function, np.array([at]))[0])
    best = None
    if third:
        best = (3 * roundoff * abs(center) / abs(third)) ** (1 / 3) or None
    rows = _quotients(function, at, center, derivative, [*steps, *([best] if best else [])], dtype)
    if best is None or third is None:
        return Limit(derivative, tuple(rows), roundoff * abs(center))
    predicted = abs(third) * best**2 / 6 + roundoff * abs(center) / best
    return Limit(derivative, tuple(rows[:-1]), roundoff * abs(center), best, predicted, rows[-1].error)


def _quotients(
    function: Function, at: float, center: float, derivative: float, steps: list[float], dtype: Any
) -> list[Quotient]:
    right = np.asarray([at + h for h in steps]).astype(dtype)
    left = np.asarray([at - h for h in steps]).astype(dtype)
    values = values_at(function, np.concatenate([right, left]))
    above, below = values[: len(steps)], values[len(steps) :]
    ahead, behind = right.astype(np.float64) - at, at - left.astype(np.float64)
    with np.errstate(all="ignore"):
        forward, central = (above - center) / ahead, (above - below) / (ahead + behind)
    rows = zip(steps, forward, central, strict=True)
    return [Quotient(h, float(f), float(c), abs(float(c) - derivative)) for h, f, c in rows]


def tangent(function: Function, at: float, slope: float, second: float | None, third: float | None) -> Tangent:
    """The tangent line, and how the curve leaves it, at the distance where that is measured best."""
    value = float(values_at(function, np.array([at]))[0])
    if second is None or third is None or not math.isfinite(value):
        return Tangent(at, value, slope)
    roundoff = unit_roundoff(function.parameters[0].dtype) * max(abs(value), abs(slope * at))
    scale = max(1.0, abs(at))
    h = min((24 * roundoff / abs(third)) ** (1 / 3), 0.1 * scale) if third and roundoff else 0.1 * scale
    dtype = function.parameters[0].dtype
    place = float(np.asarray(at + h).astype(dtype))
    h = place - at
    observed = float(values_at(function, np.array([place]))[0]) - (value + slope * h)
    within = abs(third) * abs(h) ** 3 / 3 + 8 * roundoff
    return Tangent(at, value, slope, h, second * h * h / 2, observed, within)


def derivatives_by_jax(function: Function, at: float) -> tuple[float | None, float | None]:
    """The second and third derivative of a function of one number by forward mode, where JAX has them."""
    (parameter,) = function.parameters

    def along(inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda x: jax.jvp(inner, (x,), (np.ones(parameter.shape, parameter.dtype),))[1]

    second = along(along(lambda x: function.value((x,))))
    try:
        x = np.asarray(at, parameter.dtype).reshape(parameter.shape)
        two, three = jax.jit(lambda x: (second(x), along(second)(x)))(x)
    except (TypeError, ValueError, NotImplementedError):
        return None, None
    found = (float(np.asarray(two)), float(np.asarray(three)))
    return found if all(map(math.isfinite, found)) else (None, None)


def _shown(number: float, digits: int = 8) -> str:
    return "undefined" if math.isnan(number) else f"{number:.{digits}g}"


def _minus(number: float) -> str:
    return f"+ {abs(number):.6g}" if number < 0 else f"- {number:.6g}"


def smallest_errors(function: Function, slopes: np.ndarray) -> np.ndarray:
    """For each parameter, how far the central quotients are from a derivative: at the step 0.1, and at the best below.

    At a corner that was overlooked no step comes near: the quotient is the mean of the two sides.
    """
    start = flatten(function.parameters)
    last = 3 if max(unit_roundoff(p.dtype) for p in function.parameters) > 1e-4 else 5
    steps = np.array([10.0**-k for k in range(1, last + 1)])
    value = jax.jit(lambda p: function.value(p))
    errors = np.full((start.size, len(steps)), np.inf)
    for i, k in itertools.product(range(start.size), range(len(steps))):
        ends = []
        for sign in (1, -1):
            moved = start.copy()
            moved[i] += sign * steps[k] * max(1.0, abs(start[i]))
            parts = unflatten(moved, function.parameters)
            ends.append((float(flatten(parts)[i]), float(value(parts))))
        (right, above), (left, below) = ends
        error = abs((above - below) / (right - left) - slopes[i]) if right != left else np.inf
        errors[i, k] = error if math.isfinite(error) else np.inf
    first = np.where(np.isfinite(errors[:, 0]), errors[:, 0], 0.0)
    return np.stack([first, errors.min(axis=1)], axis=1)
