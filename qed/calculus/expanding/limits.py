"""Whether the Taylor coefficients around a point come to those at it, where a program stands at a tie.

Let c_k(t) be the coefficients of the program at a + t d, for t not 0, where it is smooth. If f is n times continuously
differentiable on the line near a, then c_k(t) comes to c_k(0) as t comes to 0, k = 0..n. A program at a tie returns
the coefficients of the branch that it takes there, whatever the others say, and a comparison of values sees a corner
only if it is larger than their rounding. So c_k(t) is computed in float64 at t = +-10^-2, ..., +-10^-12, and

    jump       c_k(t) - c_k(-t) is the same number at three of them one after another, and no less at smaller ones
    elsewhere  c_k(t) - c_k(0) is, though c_k(t) and c_k(-t) agree
    no limit   no difference to c_k(0) is small, as of x^2 sin(1/x) for k = 1 or of |x|^1.5 for k = 2.

What is left of the polynomial is of order n + 1 only if c_(n+1)(t) does not grow without an end, as that of |x|^1.5
does for n = 1. Near a removable singularity c_k(t) is mostly rounding, which grows as t^-k. That tells nothing, and
is told apart by how fast it grows: c_k(t) of |t|^p grows by less than t^-1, where c_(k-1) has a limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.calculus.gradient.beside import GROWTH
from qed.calculus.gradient.ties import first_tie
from qed.calculus.hessian import flatten
from qed.domains.smooth_calls import is_smooth_call
from qed.domains.taylor import expand
from qed.domains.widened import Widened, is_narrow, widen
from qed.graph.dtypes import unit_roundoff
from qed.graph.function import Function
from qed.graph.tape import Unknown
from qed.graph.trace import trace

Array = np.ndarray
STEPS = 10.0 ** -np.arange(2.0, 13.0)
"""How far from the point, relative to its size, coefficients are asked."""
SAME, STEADY = 3, 0.01
"""At how many steps one after another a jump is the same number, and up to which share of it."""
SMALL = 0.1
"""Of which part of it differences at two larger steps show that there is none."""
SMALLEST = 1e-9
"""Relative to the coefficients: a smaller jump is not looked for; where equations are run in their own dtype, 1e-4."""
NARROW = 1e-4
SETTLED = 1e-3
"""Relative: a coefficient that comes as near as that to the one at the point has it as its limit."""
ROUNDING = 7.0
"""By which factor from step to step, on the average, differences grow that are rounding."""
HIGHEST = 8
"""Of which order at most coefficients are compared."""
ROUNDED = 1e4
"""How many roundings of its own dtype a coefficient at the point may be off by."""


def at_a_tie(function: Function) -> bool:
    """Whether the program stands at a tie: where it does not, its pieces are what its coefficients say."""
    return first_tie(function.graph, function.traced.leaves, function.traced.free) is not None


@dataclass(frozen=True)
class Limits:
    """What coefficients around a point say.

    Args:
        why: why a coefficient at the point is not the limit of those around it; "" where each is, as far as is seen.
        bounded: whether the next coefficient is not seen to grow without an end.
    """

    why: str = ""
    bounded: bool = True


def limits(function: Function, numbers: Sequence[Sequence[float]], ways: Sequence[Any]) -> Limits:
    """What the coefficients around the point, at which the program stands at a tie, say along some directions.

    Args:
        function: the program.
        numbers: for each direction the coefficients at the point, up to the order that is asked.
        ways: the directions, arrays like the parameters.

    Example:
        >>> from qed.graph.function import read
        >>> one = [(jnp.ones(()),)]
        >>> limits(read(lambda x: 1e4 + jnp.maximum(x, 3 * x), 0.0), [[1e4, 2.0, 0.0]], one).why
        'the coefficient of order 1 jumps from 1 to 3 at the point'
        >>> limits(read(lambda x: jax.nn.logsumexp(jnp.stack([x, -x])), 0.0), [[0.6931472, 0.0, 0.5]], one)
        Limits(why='', bounded=True)
        >>> limits(read(lambda x: jnp.abs(x) ** 1.5, 0.0), [[0.0, 0.0]], one)
        Limits(why='', bounded=False)
    """
    order = min(len(numbers[0]) - 1, HIGHEST)
    with jax.enable_x64(True):
        leaves = [widen(x) for x in function.traced.leaves]
        rays = [[widen(np.asarray(d)) for d in way] for way in ways]

        def moved(t: Any, direction: Any, others: Any) -> Any:
            full = list(others)
            for i, d in zip(function.traced.free, direction, strict=True):
                full[i] = full[i] + t * d
            return Widened()(function.graph, full)[0]

        line = trace(moved, jnp.zeros(()), rays[0], leaves)

        @jax.jit
        def run(t: Any, rest: Any) -> Any:
            found = expand(line.graph, [(t, jnp.ones(())), *((x,) for x in rest)], order + 1)[0]
            if isinstance(found, Unknown):
                return jnp.full(order + 2, jnp.nan)
            return jnp.stack([jnp.zeros(()) if term is None else term for term in found])

        bounded = True
        for ray, here in zip(rays, numbers, strict=True):
            found = _along(function, lambda t, ray=ray: run(t, [*ray, *leaves]), here[: order + 1], flatten(ray))
            if found.why:
                return found
            bounded = bounded and found.bounded
    return Limits("", bounded)


def _along(function: Function, run: Any, numbers: Sequence[float], ray: Array) -> Limits:
    """The same along one direction, run(t) being the coefficients at a + t d, and the next one."""
    size = float(np.max(np.abs(flatten(function.parameters)), initial=0.0)) or 1.0
    size /= float(np.max(np.abs(ray), initial=0.0)) or 1.0
    here = np.asarray(run(jnp.zeros(())))
    sides = np.asarray([[run(jnp.asarray(sign * size * h)) for h in STEPS] for sign in (1.0, -1.0)])
    epsilon = max(unit_roundoff(p.dtype) for p in function.parameters)
    smooth = any(is_smooth_call(equation, True) for equation in function.graph.walk())
    least = NARROW if is_narrow(function.graph) else SMALLEST
    with np.errstate(all="ignore"):
        powers = size ** np.arange(len(numbers))
        whole = float(np.nanmax(np.abs(np.asarray(numbers) * powers), initial=0.0))
        for k, number in enumerate(numbers):
            scale = whole / powers[k]
            rounded = ROUNDED * epsilon * max(scale, abs(number))
            compared = [(number, rounded), (here[k], least * scale)]
            why = _unlike(sides[0][:, k], sides[1][:, k], compared[:1] if smooth else compared, least * scale)
            if why:
                return Limits(f"the coefficient of order {k} {why}")
        return Limits("", not _grows(np.abs(sides[:, :, -1]).max(axis=0)))


def _unlike(right: Array, left: Array, compared: Sequence[tuple[float, float]], least: float) -> str:
    """What one coefficient does that has not the one at the point as its limit; "" where it has.

    Args:
        right: it on the one side, nearer and nearer.
        left: on the other.
        compared: what it is at the point, by the program and in float64; and by how much it must be off.
        least: by how much the two sides must be apart.
    """
    first = _steady(right - left, least)
    if first is not None:
        a, b = (float(side[first + SAME - 1]) for side in (left, right))
        digits = next(d for d in (6, 9, 17) if d == 17 or f"{a:.{d}g}" != f"{b:.{d}g}")
        return f"jumps from {a:.{digits}g} to {b:.{digits}g} at the point"
    for number, bar in compared:
        first = _steady(right - number, bar)
        if first is not None and _steady(left - number, bar) is not None:
            return f"is {number:.6g} at the point, and {float(right[first + SAME - 1]):.6g} around it"
    number, bar = compared[-1]
    off = np.fmax(np.abs(right - number), np.abs(left - number))
    if _settles(off, max(SETTLED * np.fmax(abs(number), off[0]), bar)):
        return ""
    return "around the point does not come near to that at it"


def _steady(gap: Array, least: float) -> int | None:
    """From which step on a difference is the same at some, at smaller steps no less, and at larger ones not 0.

    Of sin(t) / t the coefficients at the least steps are all wrong by the same number, where t^2 is less than rounding.

    >>> noisy, early = np.array([9.0, 0.2, 0.2, 0.2, 0.3, -50.0, 4e3]), np.array([0.2, 0.2, 0.2, 1e-9, 1e-9])
    >>> _steady(noisy, 1e-6), _steady(early, 1e-6), _steady(early[::-1], 1e-6)
    (1, None, None)
    """
    pairs = np.fmax(np.abs(gap[1:]), np.abs(gap[:-1]))
    for j in range(len(gap) - SAME + 1):
        some = gap[j : j + SAME]
        size = np.abs(some).min()
        if not (size > least and np.ptp(some) <= STEADY * np.abs(some).max()):
            continue
        if not np.any(pairs[: max(j - 1, 0)] <= SMALL * size) and not np.any(np.abs(gap[j + SAME :]) <= size / 2):
            return j
    return None


def _settles(off: Array, least: float) -> bool:
    """Whether differences become small, or are rounding from some step on.

    >>> steps = 10.0 ** -np.arange(2, 13)
    >>> noise = steps + 1e-16 / steps**5
    >>> [_settles(off, 1e-3) for off in (steps, noise, steps**0.1, steps**-0.5, abs(np.cos(1 / steps)))]
    [True, True, False, False, False]
    """
    off = off[np.isfinite(off)]
    if not len(off):
        return False
    if np.any(np.maximum(off[1:], off[:-1]) <= least):  # two: one of an oscillation may be small
        return True
    best = int(np.argmin(off))
    after = len(off) - 1 - best
    return after >= SAME and bool(off[-1] >= off[best] * ROUNDING**after)


def _grows(size: Array) -> bool:
    """Whether numbers grow without an end as points come nearer, and are no rounding.

    >>> steps = 10.0 ** -np.arange(2, 13)
    >>> [_grows(size) for size in (steps**-0.5, -np.log(steps), 1 + steps, 1e-16 / steps**2)]
    [True, True, False, False]
    """
    last = size[-2 * SAME :]
    ratios = last[1:] / last[:-1]
    return bool(np.all(ratios > 1 + GROWTH) and last[-1] < last[0] * ROUNDING ** (len(last) - 1))
