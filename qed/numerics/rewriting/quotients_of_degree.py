"""Quotients of homogeneous functions over a sum of even powers, of numbers whose powers leave the range.

::

    N(x) / D(x) = s^(n - d) N(x/s) / D(x/s),        D = c_1 x_1^d + c_2 x_2^d + ...,        c_i > 0

for N of degree n in the x_i that D is a sum of powers of, and any s > 0 (Euler). With s a power of two near the largest
|x_i|, D(x/s) is of moderate size, and scaling is exact: (a c + b d)/(c^2 + d^2), the real part of a quotient of complex
numbers, x y/(x^2 + y^2) and x/(x^2 + y^2) are right where c^2 is 0 or infinite. Where D and the numerators are numbers
with all their digits, and far from the ends of the range, s is 1 and nothing is rounded otherwise than it was.

This is done in the end, to what the other rewritings left: they read quotients as they are written.

References: Smith, *Algorithm 116: complex division*, Communications of the ACM 5, 1962; Higham, *Accuracy and Stability
of Numerical Algorithms*, 2002, section 27.8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Builder, Node, Operation, reachable
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.change import Only
from qed.numerics.rewriting.homogeneous import degrees
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.length_ratios import EXPONENTIALS, Factors, factors_of
from qed.numerics.rewriting.lengths import power_of_two
from qed.numerics.rewriting.table import Replacement, Table

EULER = Law("f(x) = s**k f(x / s)", "s > 0, f homogeneous of degree k")
LARGEST = 64
"""Nodes of a numerator that are made anew, of other operands."""
HIGHEST = 8
"""The highest power in a denominator."""


def scale_beside(below: Any, *values: Any, count: int) -> Any:
    """1/s for a power of two s near the largest of some numbers; 1 where nothing has to be scaled.

    Args:
        below: D.
        values: the numerators, then the numbers x.
        count: how many numerators there are.

    Example:
        >>> import jax.numpy as jnp
        >>> x, y = jnp.float32([2.0, 3e25, 3e-25]), jnp.float32([1.0, 1e25, 0.0])
        >>> (1 / scale_beside(x * x + y * y, x * y, x, y, count=1)).tolist() == [1.0, 2.0**85, 2.0**-81]
        True
    """
    above, parts = values[:count], values[count:]
    size = jnp.abs(parts[0])
    for part in parts[1:]:
        size = jnp.maximum(size, jnp.abs(part))
    info = jnp.finfo(below.dtype)
    far = float(info.max) ** (1 / 3)
    inside = (below >= 1 / far) & (below <= far)
    for each in above:
        inside = inside & (jnp.abs(each) >= float(info.tiny) / float(info.eps) ** 2) & (jnp.abs(each) <= info.max)
    return jax.lax.stop_gradient(jnp.where(inside, 1, power_of_two(size)[1]).astype(below.dtype))


@jax.custom_jvp
def scaled(x: Any, scale: Any) -> Any:
    """x/s, as a choice: products of x and s are not to be multiplied out with what they are multiplied with."""
    return jnp.where(scale == 1, x, x * scale)


@scaled.defjvp
def _scaled_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    return scaled(*primals), tangents[0] * primals[1]


def scaled_back(value: Any, scale: Any, *, power: int) -> Any:
    """value scale^power, a factor after the other."""
    for _ in range(abs(power)):
        value = value * scale if power > 0 else value / scale
    return value


SCALE = Operation("quotient_scale", scale_beside, whole=True)
SCALED = Operation("scaled_by", scaled, whole=True)
SCALED_BACK = Operation("scaled_back", scaled_back)


class Quotients(Table):
    """Quotients of homogeneous functions, on the nodes of one builder.

    Args:
        builder: where new nodes are made.
        only: which nodes may be rewritten; default all.

    Example:
        >>> import jax.numpy as jnp
        >>> import qed
        >>> f, x, y = lambda x, y: x * y / (x * x + y * y), jnp.float32(3e25), jnp.float32(1e25)
        >>> round(float(f(x, y)), 6), round(float(qed.stabilize(f)(x, y)), 6)
        (nan, 0.3)
    """

    name = "guards"

    def __init__(self, builder: Builder, only: Only | None = None) -> None:
        super().__init__(builder, only)
        self.made: dict[int, Factors] = {}

    def rules(self) -> Mapping[str, Callable[[Node], Replacement | None]]:
        """The table."""
        return dict.fromkeys(("mul", "div"), self._quotient)

    def _quotient(self, node: Node) -> Replacement | None:
        if self.builder.flows is not None and self.builder.flows(node) is not False:
            return None
        number, read = self._factors(node)
        for below, power in read:
            found = self._parts(below, node) if power < 0 else None
            value = None if found is None else self._scaled(read, below, found[0], found[1], node)
            if value is not None:
                self.made[value.number] = read
                return self.difference.algebra.times(number, value), (EULER,), None
        return None

    def _factors(self, node: Node) -> tuple[float, Factors]:
        """The factors of a product, those of quotients that are scaled already among them."""
        number, read = factors_of(self.difference, node)
        while any(each.number in self.made for each, _ in read):
            powers = dict[int, tuple[Node, int]]()
            for each, power in read:
                for part, k in self.made.get(each.number, [(each, 1)]):
                    powers[part.number] = part, powers.get(part.number, (part, 0))[1] + k * power
            read = [pair for pair in powers.values() if pair[1]]
        return number, read

    def _parts(self, below: Node, like: Node) -> tuple[list[Node], int] | None:
        """The numbers that a denominator is a sum of even powers of, and the power."""
        if below.operation not in ("add", "add_any") or below.shape != like.shape or below.dtype != like.dtype:
            return None
        polynomial = self.difference.terms(below)
        powers = {monomial[0][1] if len(monomial) == 1 else 0 for monomial in polynomial}
        if len(polynomial) < 2 or len(powers) != 1 or min(polynomial.values()) <= 0:
            return None
        power = powers.pop()
        if power <= 0 or power % 2 or power > HIGHEST:
            return None
        parts = [self.difference.node(monomial[0][0]) for monomial in polynomial]
        if any(each.operation in EXPONENTIALS for each in parts):
            return None
        usable = all(each.shape == below.shape and each.dtype == below.dtype for each in parts)
        return (parts, power) if usable else None

    def _scaled(self, read: Factors, below: Node, parts: Sequence[Node], k: int, like: Node) -> Node | None:
        factors = [each for each, _ in read]
        within = reachable(factors, parts)
        if len(within) > LARGEST:
            return None
        known = degrees(parts, factors, range(len(parts)))
        every = tuple(range(len(like.shape)))
        degree = dict[int, int]()
        for each in factors:
            found = known[each.number]
            whole = found is not None and found.power == round(found.power) and found.axes == every
            degree[each.number] = round(found.power) if found is not None and whole and each.shape == like.shape else 0
        above = [each for each, power in read if power > 0 and degree[each.number] > 0]
        if degree[below.number] != k or not above:
            return None
        scale = self.difference.emit(SCALE, below, *above, *parts, shape=like.shape, dtype=like.dtype, count=len(above))
        new = self.builder.anew(within, {part.number: self.difference.emit(SCALED, part, scale) for part in parts})
        value: Node | None = None
        for each, power in read:
            for _ in range(power):
                part = new[each.number] if degree[each.number] else each
                value = part if value is None else self.difference.emit(stable.MUL, value, part)
        assert value is not None
        for each, power in read:
            for _ in range(-power):
                value = self.difference.emit(stable.DIV, value, new[each.number] if degree[each.number] else each)
        total = sum(power * degree[each.number] for each, power in read)
        return self.difference.emit(SCALED_BACK, value, scale, power=-total)


__all__ = ["EULER", "SCALE", "SCALED_BACK", "Quotients", "scale_beside"]
