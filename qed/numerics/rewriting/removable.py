"""Removable singularities: an expression in one variable by its own Taylor series where its terms cancel.

::

    1/x - 1/tan x = x/3 + x^3/45 + ...        sin x/x^2 - cos x/x = x/3 - x^3/30 + ...        1/tanh x - 1/x = x/3 - ...

Each term is large at 0, or a quotient is 0/0, and the value is not; its derivative, by the quotient rule, cancels once
more. Whatever the expression is made of, its Laurent series at 0 is known exactly (`power_series`), and where |x| is
at most a radius that leaves the series well conditioned it is summed, value and derivative alike. Beyond, the
expression stays as it is. At 0 itself, where it is not defined, the result is the limit.

Reference: Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section 1.14.1; Kahan, *A survey of error
analysis*, 1971.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.graph.build import Builder, Node, Operation, reachable
from qed.graph.jaxpr import WRITTEN
from qed.numerics.rewriting import power_series as ps
from qed.numerics.rewriting.difference_series import SERIES
from qed.numerics.rewriting.difference_terms import spelled
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.power_series import Laurent
from qed.numerics.rewriting.scales import constant_of

SERIES_AT_ZERO = Law("an expression is the sum of its Taylor series near 0", "defined at 0 by its limit")

FIRST = 12
"""Terms with which a singularity is looked for."""
LONGEST = 120
LARGEST_CONE = 40
CONDITION = 5.0
"""The largest ratio of the sum of the absolute terms to the sum, at the radius."""

_OPERATIONS = frozenset("add add_any sub mul div neg integer_pow square sqrt rsqrt pow log exp".split()) | set(SERIES)


@dataclass(frozen=True)
class Cone:
    """The variable of an expression, how many nodes and functions it has, and whether it cancels somewhere at 0."""

    variable: Node
    size: int
    functions: int


class Removable:
    """Finds expressions with a removable singularity at 0.

    Args:
        builder: where new nodes are made.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> graph = trace(lambda x: 1 / x - 1 / jnp.tan(x), 1.0).graph
        >>> builder = Builder()
        >>> inputs = builder.inputs(graph)
        >>> new = Removable(builder)(builder.inline(graph, inputs)[0])
        >>> print(f"{builder.function([new], inputs)(jnp.float32(1e-3))[0]:.5g}")
        0.00033333
    """

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self._cones: dict[int, Cone | None] = {}
        self._series: dict[tuple[int, int], Laurent | None] = {}
        self._cancels: dict[int, bool] = {}

    def __call__(self, node: Node, functions: int = 2) -> Node | None:
        """A node equal to this one with its singularity removed, or None where it is made of fewer functions."""
        cone = self._cone(node)
        if cone is None or cone.functions < 1 or cone.variable is node or cone.size > LARGEST_CONE:
            return None
        short = self._expanded(node, cone.variable, FIRST)
        if cone.functions < functions and not self._poles(node):
            return None
        if short is None or not self._cancels.get(node.number, False) or short.order < -2:
            return None
        found = self._summed(node, cone.variable, short)
        if found is None:
            return None
        u = cone.variable
        if any(each.operation == "input" and each is not u for each in reachable([node], [u])):
            return None  # it is a function of u as it is read, and evaluated from what u is made of
        outside = self.builder.function([node], [u], effects=False)
        operation = Operation("series_near_0", _kernel(found, lambda x: outside(x)[0]), whole=True)
        return self.builder.emit(operation, u, of=node.number)

    def _poles(self, node: Node) -> bool:
        """Whether a node is a sum of terms that are infinite at 0."""
        parts = [self._series.get((child.number, FIRST)) for child in node.children]
        return node.operation != "div" and any(part is not None and part.order < 0 for part in parts)

    # --- the variable ---

    def _cone(self, node: Node) -> Cone | None:
        """The cone of a node; None for a number."""
        stack = [node]
        while stack:
            top = stack[-1]
            if top.number in self._cones:
                stack.pop()
                continue
            seen = self._seen(top)
            inner = [] if seen is None else [child for child in seen.children if child.number not in self._cones]
            if inner:
                stack.extend(inner)
                continue
            self._cones[top.number] = self._joined(top, seen)
            stack.pop()
        return self._cones[node.number]

    def _seen(self, node: Node) -> Node | None:
        """The operation that a node is; None for a leaf."""
        seen = spelled(node)
        if seen.operation not in _OPERATIONS or seen.shape != node.shape or (seen.settled and seen is node):
            return None
        return seen

    def _joined(self, node: Node, seen: Node | None) -> Cone | None:
        if constant_of(node) is not None:
            return None
        if seen is None:
            return Cone(node, 0, 0)
        found = [self._cones[child.number] for child in seen.children]
        cones = [cone for cone in found if cone is not None]
        variables = {cone.variable.number for cone in cones}
        if len(variables) != 1 or cones[0].variable.shape != node.shape or cones[0].variable.dtype != node.dtype:
            return Cone(node, 0, 0)
        functions = sum(cone.functions for cone in cones) + (seen.operation in SERIES or seen.operation == "log")
        return Cone(cones[0].variable, 1 + sum(cone.size for cone in cones), functions)

    # --- the series ---

    def _expanded(self, node: Node, variable: Node, terms: int) -> Laurent | None:
        """The series of a node whose cone is small."""
        key = (node.number, terms)
        if key not in self._series:
            self._series[key] = self._expansion(node, variable, terms)
        return self._series[key]

    def _expansion(self, node: Node, variable: Node, terms: int) -> Laurent | None:
        if node is variable:
            return ps.variable(terms)
        number = constant_of(node)
        if number is not None:
            return ps.constant(Fraction(number), terms) if np.isfinite(number) and number else None
        seen = self._seen(node)
        if seen is None:
            return None
        parts = [self._expanded(child, variable, terms) for child in seen.children]
        self._cancels[node.number] = any(self._cancels.get(child.number, False) for child in seen.children)
        name = seen.operation
        exponent = constant_of(seen.children[1]) if name == "pow" else None
        if name == "pow":
            return None if exponent is None or parts[0] is None else ps.power(parts[0], Fraction(exponent))
        if any(part is None for part in parts):
            return None
        series = [part for part in parts if part is not None]
        return self._combined(node, seen, series)

    def _combined(self, node: Node, seen: Node, series: list[Laurent]) -> Laurent | None:
        name, first = seen.operation, series[0]
        match name:
            case "add" | "add_any" | "sub":
                found = ps.total(first, series[1], -1 if name == "sub" else 1)
                if found is None or found.order > min(first.order, series[1].order):
                    self._cancels[node.number] = True
                return found
            case "mul":
                if first.order * series[1].order < 0:
                    self._cancels[node.number] = True
                return ps.product(first, series[1])
            case "div":
                if first.order > 0 and series[1].order > 0:
                    self._cancels[node.number] = True
                return ps.quotient(first, series[1])
            case "neg":
                return Laurent(first.order, tuple(-c for c in first.coefficients))
            case "integer_pow" | "square":
                return ps.power(first, Fraction(seen.params.get("y", 2)))
            case "sqrt" | "rsqrt":
                return ps.power(first, Fraction(1 if name == "sqrt" else -1, 2))
            case "log":
                return ps.logarithm(first)
            case "exp":
                return ps.exponential(first)
        return ps.composed(name, first)

    def _summed(self, node: Node, variable: Node, short: Laurent) -> Sum | None:
        """The series up to the digits of the dtype, and its radius."""
        digits = float(jnp.finfo(node.dtype).eps) / 8
        sizes = [abs(float(c)) for c in short.coefficients]
        ratios = [(size / sizes[0]) ** (1 / k) for k, size in enumerate(sizes) if k and size]
        growth = max(ratios[-3:], default=0.0)
        for radius in (2.0, 1.5, 1.0, 0.7, 0.5, 0.35, 0.25):
            if growth * radius > 0.75:
                continue
            terms = FIRST
            while terms <= LONGEST:
                series = self._expanded(node, variable, terms)
                if series is None:
                    return None
                last = _last(series, radius, digits)
                if last is None:
                    terms = terms * 2 if terms * 2 <= LONGEST or terms == LONGEST else LONGEST
                    continue
                found = Sum(series.order, tuple(float(c) for c in series.coefficients[: last + 1]), radius)
                if found.condition() <= CONDITION:
                    return found
                break
        return None


def _last(series: Laurent, radius: float, digits: float) -> int | None:
    """The last term that counts within the radius; None where the series ends too early to tell."""
    sizes = [abs(float(c)) * radius**k * (abs(series.order + k) + 1) for k, c in enumerate(series.coefficients)]
    large = [k for k, size in enumerate(sizes) if size > digits * sizes[0]]
    quiet = max(6, len(sizes) // 6)
    return large[-1] if large[-1] + quiet < len(sizes) else None


@dataclass(frozen=True)
class Sum:
    """u^order * sum of coefficients[k] u^k for |u| <= radius."""

    order: int
    coefficients: tuple[float, ...]
    radius: float

    def slope(self) -> Sum:
        """The derivative."""
        values = [(self.order + k) * c for k, c in enumerate(self.coefficients)]
        first = next((k for k, c in enumerate(values) if c), None)
        if first is None:
            return Sum(0, (0.0,), self.radius)
        return Sum(self.order - 1 + first, tuple(values[first:]), self.radius)

    def condition(self) -> float:
        """How much larger the terms are than the sum, for it and its derivative, at both ends."""
        worst = 1.0
        for each in (self, self.slope()):
            for u in (self.radius, -self.radius):
                terms = [c * u**k for k, c in enumerate(each.coefficients)]
                worst = max(worst, sum(map(abs, terms)) / max(abs(sum(terms)), 1e-300))
        return worst

    def __call__(self, u: Any) -> Any:
        """The sum at u."""
        values = self.coefficients
        even = not any(values[1::2])
        argument, kept = (u * u, values[::2]) if even else (u, values)
        total = jnp.full_like(u, kept[-1])
        for value in kept[-2::-1]:
            total = total * argument + value
        return total * jax.lax.integer_pow(u, self.order) if self.order else total


def _kernel(near: Sum, outside: Callable[[Any], Any]) -> Callable[..., Any]:
    """The sum where |u| is at most its radius, the expression elsewhere, with the derivative of each."""
    slope_near = near.slope()

    def parts(u: Any) -> tuple[Any, Any, Any]:
        u = jnp.asarray(u)
        close = jnp.abs(u) <= near.radius
        return close, jnp.where(close, u, 0).astype(u.dtype), jnp.where(close, near.radius, u).astype(u.dtype)

    @jax.custom_jvp
    def value_of(u: Any) -> Any:
        close, small, large = parts(u)
        return jnp.where(close, near(small), outside(large))

    @value_of.defjvp
    def rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
        close, small, large = parts(primals[0])
        with jax.named_scope(WRITTEN):  # of which the derivative may be rewritten
            far = jax.jvp(outside, (large,), (jnp.ones_like(large),))[1]
        return value_of(*primals), jnp.where(close, slope_near(small), far) * tangents[0]

    return lambda u, of: value_of(u)
