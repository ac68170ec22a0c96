"""What the values beside a point say of a gradient: whether the program jumps there, and what slope its values have.

Where a program stands at a tie, automatic differentiation returns the slope of the branch that is taken, which may be
taken at that point only: where(x == 0, 1, expm1(x) / x) is smooth, with the slope 1/2 at 0, and the slope that is
returned is that of the constant 1. At a jump, as that of floor at 2, no derivative exists, and 0 is returned. Neither
is seen by a comparison of derivatives; the values at x + h v and x - h v see both,

    jump     |f(x +/- h v) - f(x)| does not shrink with h, and nothing between it and 0 is met down to the least h
    slope    Richardson's quotient of f along a coordinate, with its error bar (`differences`)
    corner   (f(x + h v) - 2 f(x) + f(x - h v)) / h does not shrink with h
    steep    |f(x + h v) - f(x)| / h grows without an end as h shrinks.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any, final

import jax.numpy as jnp
import numpy as np

from qed import facts
from qed.calculus.compiling import made_for
from qed.calculus.gradient.differences import richardson
from qed.calculus.gradient.kinks import AROUND, DISTANCES, perturbed
from qed.calculus.gradient.noise import noise
from qed.domains.widened import Widened, compiled, widen
from qed.facts.structure import COMPARED
from qed.graph.dtypes import is_inexact
from qed.graph.function import Function
from qed.graph.graph import Equation, Graph

LEAST_JUMP = 1e-9
"""Relative to the values: a smaller jump is not looked for."""

SMALL = 1e-4
"""The step, relative, at which the slopes from the two sides are compared."""

ROUNDED = 2.0**-38
"""What rounding of the values in float64 makes of the quotient with the smallest step, per value over size."""

LADDER = tuple(10.0**-k for k in (*np.arange(12.5, 17, 0.5), *range(17, 31), 60, 100, 150, 200, 250, 300))
"""The steps at which a gap is looked at: below 1e-16 a zero moves, and other numbers stay."""

STEEP = tuple(10.0**-k for k in (*range(6, 16), 20, 30, 60, 100, 150, 200, 250, 300))
"""The steps, relative, at which a quotient is looked at."""

BETWEEN = 0.05
"""The share of a gap from which on, and up to the rest of which, a smaller gap is neither that gap nor none."""

RUNGS = 5
"""At how many steps a quotient is to grow, each time by a share of at least `GROWTH`, to grow without an end."""

GROWTH = 0.02
"""By which share a quotient is to grow from one of these steps to the next."""

ORDERED = frozenset({"argmax", "argmin", "sort", "top_k", "approx_top_k"})
"""Primitives that put numbers in order."""


def jumping(equation: Equation) -> bool:
    """Whether an equation is discontinuous somewhere: a rounding, a comparison, a cast to integers, an order."""
    name = equation.primitive
    real = any(is_inexact(atom.dtype) for atom in equation.inputs)
    if name in COMPARED or name in ORDERED:
        return real
    if name == "convert_element_type":
        return real and not is_inexact(equation.outputs[0].dtype)
    if name in facts.CARDS:
        return bool(facts.CARDS[name].jumps)
    return name in facts.ARITHMETIC and facts.ARITHMETIC[name].jump is not None


def may_jump(graph: Graph) -> bool:
    """Whether the program holds an equation that is discontinuous somewhere."""
    return any(jumping(equation) for equation in graph.walk())


@final
class Beside:
    """The values of a program around its point, in float64.

    Args:
        function: the function, read.

    Example:
        >>> from qed.graph.function import read
        >>> beside = Beside(read(lambda x: jnp.floor(x) + x, 2.0))
        >>> beside.jump()
        (3.0, 4.0)
        >>> slope, bar = Beside(read(lambda x: jnp.where(x == 0, 1.0, jnp.expm1(x) / x), 0.0)).slope(0)
        >>> abs(slope - 0.5) < 1e-6 and bar < 1e-6
        True
    """

    def __init__(self, function: Function) -> None:
        self.function = function
        self.point = [np.asarray(p).astype(np.float64) for p in function.parameters]
        by = partial(made_for, function, calls=10, sweeps=1)
        self._value = compiled(self._evaluate, by)

    def _evaluate(self, parameters: Any, data: Any) -> Any:
        return Widened()(self.function.graph, self.function.join([widen(p) for p in parameters], data))[0]

    def at(self, point: list[Any]) -> float:
        """The value at a point."""
        return float(self._value(list(point), list(self.function.data)))

    def jump(self, seed: int = 0) -> tuple[float, float] | None:
        """The least and the greatest value beside the point and at it, where the program jumps; None where not."""
        here, seen = self.at(self.point), []
        for k in range(AROUND):
            for sign in (1.0, -1.0):
                near, far = (self.at(perturbed(self.point, sign * d, seed + k)) for d in DISTANCES)
                gap, wide = abs(near - here), abs(far - here)
                if gap > LEAST_JUMP * (abs(near) + abs(here)) and 0.5 * wide < gap < 2 * wide < np.inf:
                    if self._continuous(gap, sign, seed + k):
                        return None
                    seen.append(near)
            if not seen:
                return None
        if max(abs(near - here) for near in seen) <= 4 * self._noise:
            return None
        values = [float(f"{value:.9g}") for value in (here, *seen)]  # the step itself moves the later digits
        return min(values), max(values)

    def _continuous(self, gap: float, sign: float, seed: int) -> bool:
        """Whether smaller steps along a direction make smaller gaps: 1 / log x falls to 0, and sigmoid(1e14 x) - 1/2.

        Two that differ are asked for: where two jumps meet, one of them may stay at the smallest steps.
        """
        here = self.at(self.point)
        smaller = (abs(self.at(perturbed(self.point, sign * h, seed)) - here) / gap for h in LADDER)
        met = sorted(share for share in smaller if BETWEEN < share < 1 - BETWEEN)
        return len(met) > 1 and met[-1] - met[0] > BETWEEN

    def corner(self, seed: int = 0) -> bool:
        """Whether the slopes along directions v, w and v + w do not add up, for a few random ones and w = -v.

        f(x + h (v + w)) - f(x + h v) - f(x + h w) + f(x) is h times what is missing, and of the order of h^2 where f is
        smooth: the step is made ten times as long.
        """
        noise = 8 * self._noise
        steps = (SMALL / 100, SMALL / 10)
        for k in range(AROUND):
            v, w = (self._moves(steps, seed + i) for i in (k, k + AROUND))
            for other in ([-1.0 * m for m in v], w):
                near, far = (abs(self._bend(a, b)) for a, b in zip(v, other, strict=True))
                if noise < near and 5 * near < far < 20 * near:
                    return True
        return False

    def smooth(self, element: int, width: float) -> bool:
        """Whether the values have one slope where derivatives around the point lie `width` apart, in one parameter.

        As x^2 sin(1 / x) at 0: what is missing to h times one slope is far less than h times that width, along the
        parameter, along random directions, and for the sums of two.
        """
        which, place, size = self._element(element)
        steps = (SMALL / 10, SMALL / 100)
        allowed = 0.01 * width * size
        ends = np.cumsum([0, *(p.size for p in self.point)])
        unit = np.zeros(ends[-1])
        unit[ends[which] + np.ravel_multi_index(place, self.point[which].shape) if place else ends[which]] = size
        pairs = [([h * unit for h in steps], [-h * unit for h in steps])]
        for k in range(AROUND):
            v, w = (self._moves(steps, i) for i in (k, k + AROUND))
            pairs += [(v, [-1.0 * m for m in v]), (v, w)]
        if 8 * self._noise > allowed * steps[-1]:
            return False
        return all(abs(self._bend(a, b)) <= allowed * h for v, w in pairs for h, a, b in zip(steps, v, w, strict=True))

    def _moves(self, steps: Sequence[float], seed: int) -> list[np.ndarray]:
        """The same move at several lengths, over all parameters."""
        here = np.concatenate([p.ravel() for p in self.point])
        return [np.concatenate([np.ravel(p) for p in perturbed(self.point, h, seed)]) - here for h in steps]

    def _bend(self, v: np.ndarray, w: np.ndarray) -> float:
        """f(x + v + w) - f(x + v) - f(x + w) + f(x)."""
        ends = np.cumsum([p.size for p in self.point])[:-1]

        def moved(by: np.ndarray) -> float:
            return self.at([p + m.reshape(p.shape) for p, m in zip(self.point, np.split(by, ends), strict=True)])

        return moved(v + w) - moved(v) - moved(w) + moved(0 * v)

    @cached_property
    def _noise(self) -> float:
        function = self.function
        inputs = [np.asarray(a).astype(np.float64) if is_inexact(a.dtype) else a for a in function.traced.leaves]
        return noise(lambda *arrays: jnp.asarray(Widened()(function.graph, arrays)[0]), inputs)

    def _element(self, element: int) -> tuple[int, tuple[Any, ...], float]:
        """(the array, the place in it, the size) of one parameter, all counted through."""
        starts = np.cumsum([0, *(p.size for p in self.point)])
        which = int(np.searchsorted(starts, element, side="right")) - 1
        place = np.unravel_index(element - starts[which], self.point[which].shape)
        return which, place, abs(float(self.point[which][place])) or 1.0

    def quotients(self, element: int, steps: Sequence[float] = STEEP) -> tuple[list[float], list[float]]:
        """(f(x + h e) - f(x)) / h in one parameter, h falling, on either side; as long as rounding is far less."""
        which, place, size = self._element(element)
        here = self.at(self.point)
        least = 64 * max(self._noise, 2.0**-53 * abs(here))
        sides = []
        for sign in (1.0, -1.0):
            found: list[float] = []
            for step in steps:
                moved = [p.copy() for p in self.point]
                moved[which][place] += sign * size * step
                apart, gap = float(moved[which][place] - self.point[which][place]), self.at(moved) - here
                if not apart or not abs(gap) > least or not np.isfinite(gap):
                    break
                found.append(gap / apart)
            sides.append(found)
        return sides[0], sides[1]

    def steep(self, element: int) -> bool:
        """Whether |f(x + h e) - f(x)| / h grows without an end as h shrinks, on a side, in one parameter."""
        for side in self.quotients(element):
            grown = [abs(quotient) for quotient in side]
            if len(grown) >= RUNGS and all((1 + GROWTH) * a < b < np.inf for a, b in itertools.pairwise(grown)):
                return True
        return False

    def slope(self, element: int) -> tuple[float, float]:
        """The slope of the values in one parameter, all parameters counted through; and its error bar.

        The bar is as wide as the slopes of the two sides are apart: a central quotient at a corner is their mean.
        """
        which, place, size = self._element(element)

        def along(parameters: Any, data: Any) -> Any:
            def value(t: Any) -> Any:
                moved = list(parameters)
                moved[which] = jnp.asarray(moved[which]).at[place].add(t)
                return self._evaluate(moved, data)

            bends = [
                jnp.abs(value(h * size) - 2 * value(0.0) + value(-h * size)) / (h * size) for h in (SMALL, SMALL / 10)
            ]
            return *richardson(value, size), *bends

        number, bar, far, near = (float(v) for v in compiled(along)(self.point, list(self.function.data)))
        rounded = ROUNDED * abs(self.at(self.point)) / size
        bar = max(bar, rounded, near if near > max(0.3 * far, 100 * rounded) else 0.0)
        return number, bar if far <= 100 * SMALL * abs(number) else max(bar, far)
