"""How many bits a function loses in value and gradient, judged in balls at points that qed did not choose.

The truth is the real-number meaning of the function as written: its graph, constants exact, evaluated in balls with
as many bits as it takes; the gradient is a central difference there,

    df/dx_i = (f(x + h e_i) - f(x - h e_i)) / 2h + O(h^2),      h = 2^-(bits/4) |x_i|,

so that no rule of differentiation is trusted. Bits lost = log2(1 + relative error / unit), unit = half an ulp of 1 (24
means everything in float32, 53 in float64). The error of a gradient is relative to the largest entry of the same
argument, that of a number to the number, never below the smallest normal one: results may be flushed to zero. Beyond
the largest number the truth is the infinity of its sign.

A case is *broken* where more than 6 bits are lost at some point, *fixed* where at most 3 are lost at every point, and
*worse* where a point, or the worst point, loses over 1 bit more than before (and more than 3, as below that a bit is
the luck of rounding).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.domains.ball import Ball, precision
from qed.domains.balls import Balls, objects
from qed.domains.precision import flint
from qed.graph.trace import trace
from qed.graph.walk import Unknown, Walker

BROKEN, FIXED, WORSE = 6.0, 3.0, 1.0
STEPS = (300, 1200, 6000, 60000)
"""Bits of the reference arithmetic, tried in turn until value and gradient are known to 90 bits."""
SMALLEST = 2.0**-1070
"""What is below it, is 0."""


@dataclass(frozen=True)
class Stability:
    """A function of the corpus, and where it is judged.

    Args:
        name, group: what it is called, and the list that it belongs to.
        fun: scalar function of one or more arrays, all of them differentiated.
        points: argument tuples for both dtypes; `wide` those that only float64 reaches.
        limit: the value where the formula has none is its limit from the right, in all arguments.
        conventions: by the index of a point, (value, gradient) where they are agreed upon; None is not judged.
        exact: another formula for the reference, where that of `fun` is not what is meant; its convention is named in
            the corpus.
    """

    name: str
    group: str
    fun: Callable[..., Any]
    points: tuple[tuple[Any, ...], ...]
    wide: tuple[tuple[Any, ...], ...] = ()
    limit: bool = False
    conventions: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    exact: Callable[..., Any] | None = None

    def at(self, dtype: str) -> list[tuple[np.ndarray, ...]]:
        """The points as arrays of a dtype."""
        points = self.points + (self.wide if dtype == "float64" else ())
        return [tuple(np.asarray(a, np.float64).astype(dtype) for a in point) for point in points]


@dataclass(frozen=True)
class Truth:
    """The exact value and gradient at a point, as balls; None where there is none."""

    value: Any
    gradient: tuple[Any, ...] | None


@dataclass(frozen=True)
class Loss:
    """Bits lost at each point; NaN where nothing is judged."""

    value: tuple[float, ...]
    gradient: tuple[float, ...]

    def worst(self, what: str) -> float:
        """The largest number of bits lost, 0 where nothing is judged."""
        judged = [bits for bits in getattr(self, what) if not math.isnan(bits)]
        return max(judged, default=0.0)


def table(group: str) -> tuple[dict[str, Stability], Callable[..., Any]]:
    """An empty table of a group and the decorator that fills it; points may be single numbers or arrays."""
    cases: dict[str, Stability] = {}

    def case(*points: Any, wide: Sequence[Any] = (), **options: Any) -> Any:
        def keep(fun: Callable[..., Any]) -> Callable[..., Any]:
            both = [tuple(p if isinstance(p, tuple) else (p,) for p in group) for group in (points, wide)]
            cases[fun.__name__] = Stability(fun.__name__, group, fun, *both, **options)
            return fun

        return keep

    return cases, case


# --- the truth -----------------------------------------------------------------------------------------------------


def truths(case: Stability, dtype: str, gradients: bool = True) -> list[Truth]:
    """The exact values and gradients of a case at its points, or the values alone."""
    points = case.at(dtype)
    with jax.enable_x64(dtype == "float64"):
        traced = trace(case.exact or case.fun, *points[0])
        return [
            _agreed(*case.conventions[index])
            if index in case.conventions
            else _truth(traced, point, case.limit, gradients)
            for index, point in enumerate(points)
        ]


def _agreed(value: Any, gradient: Any) -> Truth:
    with precision(STEPS[0]):
        number = None if value is None else flint().arb(value)
        arrays = None if gradient is None else tuple(_exact(np.asarray(g, float)) for g in gradient)
    return Truth(number, arrays)


def _truth(traced: Any, point: Sequence[np.ndarray], limit: bool, gradients: bool) -> Truth:
    value = None
    for bits in STEPS:
        with precision(bits):
            arrays = [_exact(np.asarray(a)) for a in point]
            found = _walk(traced, arrays, bits)
            if found is None and limit and bits >= STEPS[2]:
                arrays = _beside(arrays, bits)
                found = _walk(traced, arrays, bits)
            if found is None or not _known(found):
                continue
            if not gradients:
                return Truth(found, None)
            value, gradient = found, _gradient(traced, arrays, bits)
            if gradient is not None and all(_array_known(g) and _above_the_step(g, bits) for g in gradient):
                return Truth(value, gradient)
    return Truth(value, None)


def _known(ball: Any) -> bool:
    return ball.rel_accuracy_bits() > 90 or ball.abs_upper() < SMALLEST


def _array_known(balls: Any) -> bool:
    sizes = [ball.abs_lower() for ball in balls.ravel()]
    return all(_known(b) or any(b.rad() < size * 2.0**-90 for size in sizes) for b in balls.ravel())


def _above_the_step(balls: Any, bits: int) -> bool:
    """Whether slopes are larger than what a central difference leaves of a slope that is 0, or as good as 0."""
    least = 2.0 ** -(bits // 4) if bits < 4000 else 0.0
    return all(b.abs_upper() < SMALLEST or abs(b.mid()) > least for b in balls.ravel())


def _exact(array: np.ndarray) -> Any:
    return objects([flint().arb(float(v)) for v in np.ravel(array)], np.shape(array))


def _beside(arrays: Sequence[Any], bits: int) -> list[Any]:
    tiny = flint().arb(2) ** -(bits // 10)
    return [np.asarray(a + tiny, object) for a in arrays]


def _walk(traced: Any, arrays: Sequence[Any], bits: int) -> Any:
    given = [Balls(a) for a in arrays]
    (cell,) = Walker([Ball(bits)]).run(traced.graph, given)[:1]
    found = cell.values[0]
    if isinstance(found, Unknown):
        raise TypeError(f"no reference: {found}")
    number = Ball(bits).number(found)
    return None if number.doubt else number.array.item()


def _gradient(traced: Any, arrays: Sequence[Any], bits: int) -> tuple[Any, ...] | None:
    found = []
    for k, array in enumerate(arrays):
        slopes = np.empty(array.shape, object)
        for index in np.ndindex(*array.shape):
            size = abs(array[index]) if array[index] != 0 else flint().arb(1)
            step = flint().arb(2) ** -(bits // 4) * size.mid()
            ends = []
            for sign in (1, -1):
                moved = array.copy()
                moved[index] = array[index] + sign * step
                ends.append(_walk(traced, [*arrays[:k], moved, *arrays[k + 1 :]], bits))
            if ends[0] is None or ends[1] is None:
                return None
            slopes[index] = (ends[0] - ends[1]) / (2 * step)
        found.append(slopes)
    return tuple(found)


# --- the loss ------------------------------------------------------------------------------------------------------


def losses(fun: Callable[..., Any], case: Stability, dtype: str, exact: Sequence[Truth], jit: bool = True) -> Loss:
    """Bits that a function, compiled or not, loses at the points of a case."""
    return lost(evaluated(fun, case, dtype, jit), dtype, exact)


def lost(found: Sequence[tuple[Any, tuple[Any, ...]]], dtype: str, exact: Sequence[Truth]) -> Loss:
    """Bits lost by values and gradients at the points where the truth is known."""
    values, gradients = [], []
    for (value, gradient), truth in zip(found, exact, strict=True):
        with precision(STEPS[0]):
            values.append(math.nan if truth.value is None else _lost(value, objects([truth.value], ()), dtype))
            judged = truth.gradient is not None
            pairs = zip(gradient, truth.gradient or (), strict=judged)
            gradients.append(max((_lost(g, t, dtype) for g, t in pairs), default=0.0) if judged else math.nan)
    return Loss(tuple(values), tuple(gradients))


def evaluated(
    fun: Callable[..., Any], case: Stability, dtype: str, jit: bool = True
) -> list[tuple[Any, tuple[Any, ...]]]:
    """Value and gradient at every point of a case, compiled once."""
    points = case.at(dtype)
    with jax.enable_x64(dtype == "float64"):

        def pair(*args: Any) -> Any:
            return fun(*args), jax.grad(fun, argnums=tuple(range(len(args))))(*args)

        both = jax.jit(pair) if jit else pair
        found = [both(*map(jnp.asarray, point)) for point in points]
        return [(np.asarray(value), tuple(map(np.asarray, gradient))) for value, gradient in found]


def _lost(found: np.ndarray, exact: np.ndarray, dtype: str) -> float:
    """Bits lost by an array, relative to its largest exact entry."""
    info = np.finfo(dtype)
    digits = info.nmant + 1
    if not exact.size:
        return 0.0
    sizes = [abs(e.mid()) for e in exact.ravel()]
    largest = float(info.max)
    scale = flint().arb(float(info.tiny))
    for size in sizes:
        scale = scale if size < scale else size
    worst = 0.0
    for f, e in zip(np.asarray(found, np.float64).ravel(), exact.ravel(), strict=True):
        if abs(e.mid()) > largest * (1 + 2.0**-digits):
            sign = 1.0 if e > 0 else -1.0
            worst = max(worst, 0.0 if f == sign * np.inf or abs(f) == largest else digits)
        elif not np.isfinite(f):
            worst = digits
        elif abs(f) <= info.tiny and abs(e.mid()) <= float(info.tiny):
            continue  # flushed to zero, or not
        else:
            error = float(abs(flint().arb(float(f)) - e.mid()) / scale)
            worst = max(worst, min(float(digits), math.log2(1 + error * 2.0**digits)))
    return worst


# --- the verdict ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """One case in one dtype: bits lost before and after, and what follows."""

    name: str
    group: str
    dtype: str
    before: Loss
    after: Loss

    def broken(self, what: str) -> bool:
        """Whether it loses more than 6 bits as written."""
        return self.before.worst(what) > BROKEN

    def fixed(self, what: str) -> bool:
        """Whether it loses at most 3 bits, rewritten."""
        return self.after.worst(what) <= FIXED

    def worse(self, what: str) -> bool:
        """Whether rewriting costs more than 1 bit somewhere."""
        pairs = zip(getattr(self.before, what), getattr(self.after, what), strict=True)
        return any(after > FIXED and after > before + WORSE for before, after in pairs)


def verdict(case: Stability, dtype: str, stabilized: Callable[..., Any], exact: Sequence[Truth]) -> Verdict:
    """Judge a case as written and as rewritten."""
    before = losses(case.fun, case, dtype, exact)
    return Verdict(case.name, case.group, dtype, before, losses(stabilized, case, dtype, exact))


def same_bits(case: Stability, dtype: str, stabilized: Callable[..., Any]) -> tuple[bool, bool]:
    """Whether value, and gradient, of a control are the same bit for bit at every point.

    A function right as written may have a derivative that is not: JAX's s (1 - s) for a sigmoid s near 1.
    """
    pairs = list(zip(evaluated(case.fun, case, dtype), evaluated(stabilized, case, dtype), strict=True))
    value = all(np.array_equal(v, w, equal_nan=True) for (v, _), (w, _) in pairs)
    slopes = [(a, b) for (_, g), (_, h) in pairs for a, b in zip(g, h, strict=True)]
    return value, all(np.array_equal(a, b, equal_nan=True) for a, b in slopes)
