"""What the values beside a point say of a gradient: whether the program jumps there, and what slope its values have.

Where a program stands at a tie, automatic differentiation returns the slope of the branch that is taken, which may be
taken at that point only: where(x == 0, 1, expm1(x) / x) is smooth, with the slope 1/2 at 0, and the slope that is
returned is that of the constant 1. At a jump, as that of floor at 2, no derivative exists, and 0 is returned. Neither
is seen by a comparison of derivatives; the values at x + h v and x - h v see both,

    jump     |f(x +/- h v) - f(x)| does not shrink with h
    slope    Richardson's quotient of f along a coordinate, with its error bar (`differences`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
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
                    seen.append(near)
            if not seen:
                return None
        if max(abs(near - here) for near in seen) <= 4 * self._noise():
            return None
        values = [float(f"{value:.9g}") for value in (here, *seen)]  # the step itself moves the later digits
        return min(values), max(values)

    def corner(self, seed: int = 0) -> bool:
        """Whether the slopes along directions v, w and v + w do not add up, for a few random ones and w = -v.

        f(x + h (v + w)) - f(x + h v) - f(x + h w) + f(x) is h times what is missing, and of the order of h^2 where f is
        smooth: the step is made ten times as long.
        """
        noise = 8 * self._noise()
        steps = (SMALL / 100, SMALL / 10)
        for k in range(AROUND):
            v, w = (self._moves(steps, seed + i) for i in (k, k + AROUND))
            for other in ([-1.0 * m for m in v], w):
                near, far = (abs(self._bend(a, b)) for a, b in zip(v, other, strict=True))
                if noise < near and 5 * near < far < 20 * near:
                    return True
        return False

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

    def _noise(self) -> float:
        function = self.function
        inputs = [np.asarray(a).astype(np.float64) if is_inexact(a.dtype) else a for a in function.traced.leaves]
        return noise(lambda *arrays: jnp.asarray(Widened()(function.graph, arrays)[0]), inputs)

    def slope(self, element: int) -> tuple[float, float]:
        """The slope of the values in one parameter, all parameters counted through; and its error bar.

        The bar is as wide as the slopes of the two sides are apart: a central quotient at a corner is their mean.
        """
        starts = np.cumsum([0, *(p.size for p in self.point)])
        which = int(np.searchsorted(starts, element, side="right")) - 1
        place = np.unravel_index(element - starts[which], self.point[which].shape)
        size = abs(float(self.point[which][place])) or 1.0

        def along(parameters: Any, data: Any) -> Any:
            def value(t: Any) -> Any:
                moved = list(parameters)
                moved[which] = jnp.asarray(moved[which]).at[place].add(t)
                return self._evaluate(moved, data)

            right, left = value(SMALL * size), value(-SMALL * size)
            bend = jnp.abs(right - 2 * value(0.0) + left) / (SMALL * size)
            return *richardson(value, size), bend

        number, bar, bend = (float(v) for v in compiled(along)(self.point, list(self.function.data)))
        bar = max(bar, ROUNDED * abs(self.at(self.point)) / size)
        return number, bar if bend <= 100 * SMALL * abs(number) else max(bar, bend)
