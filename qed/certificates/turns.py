"""What goes by turns in one residue class: k mod m and (-1)^k are numbers for all k = n j + r.

    (a k + c) mod m = (a r + c) mod m      where m divides a n,

for whole a and c with a k + c > 0, as the remainder that a program takes has the sign of what is divided. With these
numbers in their place a term is smooth in k, and Euler and Maclaurin's formula holds for the sum over the class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qed.certificates.crossings import activation
from qed.domains.ball_series import SeriesOfBalls
from qed.domains.balls import objects
from qed.domains.doubt import NONE
from qed.domains.far import Expansion
from qed.domains.known import Known
from qed.domains.precision import flint
from qed.graph.walk import Context


class Turns:
    """Puts the numbers of the class of `first` modulo n in the place of remainders and powers of -1, and notes where.

    Args:
        n: the modulus.
        first: the first place, at least 1; the others are first + n, first + 2n, ...
    """

    def __init__(self, n: int, first: int) -> None:
        self.n, self.first = n, first
        self.noted: dict[tuple[Any, ...], int] = {}

    def __call__(self, context: Context, inputs: Sequence[Any]) -> Known | None:
        """The number that an equation gives, in expansions; None where it is none."""
        name = context.equation.primitive
        if name not in ("rem", "pow") or (line := _line(inputs[0 if name == "rem" else 1])) is None:
            return None
        a, c = line
        m = _whole(inputs[1]) if name == "rem" else 2 if _whole(inputs[0]) == -1 else None
        if m is None or m < 1 or (a * self.n) % m or not (a > 0 and a * self.first + c > 0):
            return None
        left = (a * self.first + c) % m
        number = left if name == "rem" else 1 - 2 * left
        self.noted[activation(context.equation, context.frame)] = number
        return Known(np.asarray(number, np.float64))

    def in_series(self, context: Context, outputs: Sequence[Any]) -> Sequence[Any]:
        """The same in power series: a number is a series without other powers."""
        number = self.noted.get(activation(context.equation, context.frame))
        if number is None or len(outputs) != 1 or not isinstance(outputs[0], SeriesOfBalls) or outputs[0].shape:
            return outputs
        series = objects([flint().arb_series([number])], ())
        return [replace(outputs[0], array=series, doubt=NONE)]


def _line(x: Any) -> tuple[int, int] | None:
    """The whole numbers a and c of a value that is a k + c for all k; None where it is none."""
    if not isinstance(x, Expansion) or x.twice or set(x.terms) != {(1, 0)}:
        return None
    (s,) = x.terms.values()
    at, over = s.at.coeffs(), s.over.coeffs()
    if any(not one.is_zero() for one in (*at[2:], *over[2:])):
        return None
    found = [at[j] if j < len(at) else flint().arb(0) for j in range(2)]
    if not all(one.is_exact() and one.is_integer() and abs(one) < 2**53 for one in found):
        return None
    if len(over) > 1 and not (over[1].is_exact() and over[1] == found[1]):
        return None
    a, c = (int(float(one)) for one in found)
    return a, c


def _whole(x: Any) -> int | None:
    """A known whole number."""
    if not isinstance(x, Known) or x.array.shape:
        return None
    value = float(np.asarray(x.array).astype(np.float64))
    return int(value) if np.isfinite(value) and value.is_integer() else None
