"""Derivatives much nearer to a point than rounding of values lets look: what falls, what grows, what has no limit.

Near a kink the derivatives on its two sides stay apart, by the same jump at every distance. Those of |x|^1.02 at 0 do
so between 1e-9 and 1e-12, but for a seventh, and come together at last: 1.02 |x|^.02 is 1e-6 at 1e-300, and f'(0) = 0
exists. A derivative loses no digits to f(x), so it can be asked there, where an element of the point is 0; an element
that is not can be moved by some 1e-15 of itself, and three distances are all there is.

    fades    the width of the derivatives around the point falls at all distances, in both halves by a share
    grows    they do, and by no less in the second half: log|x|, not 1 - |x|^.02
    swings   quotients (f(x + h) - f(x)) / h differ, and by no less as h falls: x sin(1/x), x sin(log|x|)

A derivative whose width fades has a limit, and by l'Hospital's rule that is the slope: Rudin, *Principles of
Mathematical Analysis*, 3rd ed. 1976, theorem 5.13.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from qed.calculus.gradient.beside import Beside
from qed.calculus.gradient.differences import BARS
from qed.calculus.gradient.kinks import WIDE, rows_around
from qed.calculus.gradient.whole import Whole

Array = np.ndarray
NEARER = (1e-9, 1e-12, 1e-15, 1e-20, 1e-40, 1e-80, 1e-150, 1e-300)
"""The distances, relative, at which derivatives are asked."""
STEPS = tuple(10.0**-k for k in (*np.arange(3, 16, 0.5), 20, 30, 60, 100, 150, 200, 250, 300))
"""The steps, relative, of these quotients."""
DEEP = 1e-40
"""Where the derivatives at this distance are told apart from those at the point, they are told by the least one."""
LEAST_FALL = 0.98
"""To which part of itself at most a width falls in each half of the distances, where it fades."""
FALLEN = 1e-3
"""Which part of the first width is none."""
GROWN = 1.1
"""By which factor at least derivatives grow, from the middle distance to the least one, where they have no end."""
STEADILY = 0.95
"""Which part of the first of two increments the second is at least, where three distances tell of growth."""
SWING, SWUNG = 0.01, 0.5
"""How much quotients differ, relative, where they have no limit; and which part of it is left at lesser steps."""
FEW = 4
"""How many quotients at least are compared with as many at lesser steps."""


@dataclass(frozen=True)
class Width:
    """How far the derivatives in one parameter are apart, nearer and nearer to the point.

    Args:
        sizes: how far, at each of some distances.
        deep: whether these go down to where no rounding of the point is met.
        middles: the middle of the derivatives, at each of them.
        offs: how far they are from the one at the point, at each of them.
    """

    sizes: Array
    deep: bool
    middles: Array
    offs: Array

    @property
    def limit(self) -> tuple[float, float]:
        """What the derivatives come to, and how far that may be off: by what they still differ and still move."""
        last, moved = float(self.middles[-1]), abs(float(self.middles[-1] - self.middles[len(self.middles) // 2]))
        return last, BARS * (float(self.sizes[-1]) + moved)

    @property
    def reaches(self) -> bool:
        """Whether what they come to is, as far as is seen, the derivative at the point."""
        number, bar = self.limit
        return _falls(self.offs) or self.offs[-1] <= max(bar / BARS, WIDE * abs(number))

    @property
    def fades(self) -> bool:
        """Whether they come together, as far as these distances show it."""
        return _falls(self.sizes)

    @property
    def decided(self) -> bool:
        """Whether nothing is left of them, or they were asked where nothing is rounded."""
        return self.deep or bool(self.sizes[-1] < FALLEN * self.sizes[0])


def _falls(sizes: Array) -> bool:
    """Whether numbers fall at each step, and in each half of the steps by a share.

    >>> [_falls(np.array(sizes)) for sizes in ([2.0, 2.0, 2.0], [0.6, 0.5, 0.3], [2.1, 2.0, 1.99])]
    [False, True, False]
    """
    middle = len(sizes) // 2
    if len(sizes) < 3 or np.any(np.diff(sizes) >= 0):
        return False
    return bool(max(sizes[middle] / sizes[0], sizes[-1] / sizes[middle]) < LEAST_FALL)


@final
class Nearer:
    """The derivatives of a program nearer and nearer to its point.

    Args:
        whole: the program.
        seed: of the directions in which points lie.
    """

    def __init__(self, whole: Whole, seed: int = 0) -> None:
        self.whole = whole
        self.seed = seed

    @cached_property
    def rows(self) -> list[Array]:
        """At each distance the derivatives at some points around the point."""
        chain, point = self.whole.chain, self.whole.point
        with np.errstate(all="ignore"):
            return [rows_around(chain, point, distance, self.seed) for distance in NEARER]

    def width(self, element: int) -> Width:
        """How far derivatives in one parameter are apart, where they are finite and differ at all."""
        seen, here = [], self.whole.program[element]
        for distance, rows in zip(NEARER, self.rows, strict=True):
            found = rows[:, element]
            if not np.all(np.isfinite(found)) or not np.ptp(found) > 0:
                break
            middle, off = (np.max(found) + np.min(found)) / 2, np.max(np.abs(found - here))
            seen.append((distance, np.ptp(found), middle, off))
        if not seen:
            return Width(np.zeros(0), False, np.zeros(0), np.zeros(0))
        distances, sizes, middles, offs = np.array(seen).T
        return Width(sizes, bool(distances[-1] <= DEEP), middles, offs)

    def grows(self, element: int) -> bool | None:
        """Whether the derivatives in one parameter grow without an end; None where three distances do not tell."""
        here = self.whole.program[element]
        sizes = np.array([np.max(np.abs(rows[:, element] - here)) for rows in self.rows])
        lasting = np.isfinite(sizes) & (sizes > 0)
        sizes = sizes[: int(np.argmin(lasting))] if not lasting.all() else sizes
        if len(sizes) < 3:
            return True
        if NEARER[len(sizes) - 1] <= DEEP:
            return bool(sizes[-1] > GROWN * sizes[len(sizes) // 2])
        first, second = np.diff(sizes[:3])
        return True if second >= STEADILY * first > 0 else None


def swings(beside: Beside, element: int) -> bool:
    """Whether quotients of the values in one parameter have no limit, as far as rounding lets see.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> bent = lambda g: read(lambda x: jnp.where(x == 0, 0.0, g(jnp.where(x == 0, 1.0, x))), 0.0)
    >>> [swings(Beside(bent(g)), 0) for g in (lambda x: x * jnp.cos(1 / x), lambda x: x * abs(x) * jnp.cos(1 / x))]
    [True, False]
    """
    for found in beside.quotients(element, STEPS):
        if len(found) < 2 * FEW:
            continue
        early, late = np.array_split(np.asarray(found), 2)
        moves = np.diff(late)
        both = min(np.sum(moves[moves > 0]), -np.sum(moves[moves < 0]))  # |x|^1.02 goes one way
        if both > SWING * np.abs(found).max() and np.ptp(late) > SWUNG * np.ptp(early):
            return True
    return False
