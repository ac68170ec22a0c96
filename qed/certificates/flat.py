"""Differences that are 0 of a higher order at a number: what x - sin x is for all x beside 0 at once.

Where a sum v of the program has the exact coefficients a_0 = ... = a_(k-1) = 0 in its power series at s, Taylor's
theorem with the remainder of Lagrange says

    v(s + t) = c t^k,        c in the ball of v^(k) / k! over all of the numbers between s and s + t,

and if that ball excludes 0, v is no more than a power to the tail domain, however its terms cancel. It is read off two
walks with power series: at s, where a coefficient is 0 only if its ball is, and over the whole of the side.

On a cell beside s, where the terms of v still cancel, the series of v over the cell is that of Taylor about its middle:
with a_k the coefficients there, A_n that of the highest order over the cell, and T the cell less its middle,

    v^(k)(x) / k!  lies in  sum_{j < n - k} C(k + j, j) a_(k+j) T^j + C(n, k) A_n T^(n-k).

Reference: Apostol, *Mathematical Analysis*, Addison-Wesley 1974, theorem 5.19.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from math import comb
from typing import Any

from qed.certificates.cells import BITS, Cell
from qed.certificates.certificate import placed
from qed.certificates.crossings import activation, number_of
from qed.domains.ball_series import BallSeries, SeriesOfBalls
from qed.domains.balls import between, objects
from qed.domains.precision import flint, precision
from qed.domains.tail_forms import Term
from qed.errors import CertificateError
from qed.graph.trace import Traced
from qed.graph.walk import Context, Entry, Unknown, Walker

ORDER = 8
"""The highest order of a zero."""
CANCELLING = frozenset({"add", "add_any", "sub"})
"""Whose terms cancel."""

Place = tuple[Any, ...]


def flat(f: Traced, s: float, side: int, start: float) -> Callable[[Context, Sequence[Any]], Term | None] | None:
    """What stands in the place of sums of f that are 0 of the second order or higher at s, for 0 < t <= 1 / start.

    None where there are none.

    Args:
        f: the function.
        s: the number.
        side: 1 above it and -1 below it.
        start: a power of 2.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.flat import zeros
    >>> from qed.graph.trace import trace
    >>> (k, c), = zeros(trace(lambda x: x - jnp.tanh(x), 0.5), 0.0, 1, 1024.0).values()
    >>> k, abs(float(c) - 1 / 3) < 1e-5
    (3, True)
    """
    arb = flint().arb
    found = {
        place: Term(c * side**k, Fraction(-k), arb(0)) for place, (k, c) in zeros(f, s, side, start).items()
    }  # fmt: skip
    return (lambda context, inputs: found.get(activation(context.equation, context.frame))) if found else None


def zeros(f: Traced, s: float, side: int, start: float) -> dict[Place, tuple[int, Any]]:
    """The order of each such sum, and the ball of its coefficient."""
    at = _sums(f, Cell(s, 0.0, 0.0).line(BITS, ORDER + 1, False))
    over = _sums(f, Cell(s, *sorted((0.0, side / start))).line(BITS, ORDER + 1, True))
    found = {}
    for place, coefficients in at.items():
        k = next((k for k, a in enumerate(coefficients) if not a.is_zero()), 0)
        if k < 2 or place not in over:
            continue
        c = over[place][k]
        if c.is_finite() and (c > 0 or c < 0):
            found[place] = k, c
    return found


def series_of(f: Traced, output: int, cell: Cell, order: int, node: str) -> Any:
    """The series of an output over the whole cell, its sums by Taylor about the middle.

    Args:
        f: the function.
        output: which of its outputs.
        cell: the cell.
        order: the highest power.
        node: what a failure is blamed on.

    Raises:
        CertificateError: where the output may not be smooth on the cell.
    """
    middle = cell.low + (cell.high - cell.low) / 2
    at = _sums(f, cell.line(BITS, order + 1, False), order)
    step = between(math.nextafter(cell.low - middle, -math.inf), math.nextafter(cell.high - middle, math.inf))

    def closer(context: Context, outputs: Sequence[Any]) -> Sequence[Any]:
        if context.equation.primitive not in CANCELLING or (over := number_of(outputs)) is None:
            return outputs
        about = at.get(activation(context.equation, context.frame))
        return outputs if about is None else [replace(outputs[0], array=objects([_about(about, over, step)], ()))]

    domain = BallSeries(order, BITS, closer=closer)
    value = Walker([domain]).run(f.graph, placed(f, [cell.line(BITS, order + 1, True)]))[output].values[0]
    if isinstance(value, Unknown):
        raise CertificateError(node, str(value))
    with precision(BITS, order + 1):
        value = domain.number(value)
    if value.doubt:
        raise CertificateError(node, "the integrand may not be smooth there")
    return value.array.item()


def _about(at: list[Any], over: Any, step: Any) -> Any:
    """A series over a cell, each coefficient by those at the middle where that is narrower."""
    n = len(at) - 1
    powers = [step**0]
    for _ in range(n):
        powers.append(powers[-1] * step)
    found = []
    for k in range(n + 1):
        value = comb(n, k) * over[n] * powers[n - k]
        for j in range(n - k):
            value += comb(k + j, j) * at[k + j] * powers[j]
        found.append(value if value.is_finite() and value.rad() < over[k].rad() else over[k])
    return flint().arb_series(found)


def _sums(f: Traced, line: SeriesOfBalls, order: int = ORDER) -> dict[Place, list[Any]]:
    """The coefficients of the sums of single numbers that are smooth there."""
    tape: list[Entry] = []
    Walker([BallSeries(order, BITS)], observe=tape.append).run(f.graph, placed(f, [line]))
    found = {}
    with precision(BITS, order + 1):
        for entry in tape:
            if entry.equation.primitive not in CANCELLING:
                continue
            series = number_of([cell.values[0] for cell in entry.outputs])
            if series is not None:
                found[activation(entry.equation, entry.frame)] = [series[k] for k in range(order + 1)]
    return found
