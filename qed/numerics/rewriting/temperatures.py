"""A temperature times the logarithm of a sum of exponentials of s/T: the free energy, whose d/dT is an entropy.

T log sum exp(s/T) is an operation of s and T (`free_energy`). A product T (a log sum exp(s/T) + b), however its sum is
written and whatever is summed or moved after it, is a F + T b.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from qed.graph.build import Builder, Node
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.change import Only
from qed.numerics.rewriting.difference_terms import ONE, Monomial, Polynomial, plus, power_of, times
from qed.numerics.rewriting.free_energy import FREE_ENERGY, FREE_ENERGY_OF_SOME, WEIGHTED_FREE_ENERGY
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.scales import constant_of, maximum_of
from qed.numerics.rewriting.shifted import log_of_sum
from qed.numerics.rewriting.signs import MOVES
from qed.numerics.rewriting.table import Replacement, Table
from qed.numerics.rewriting.tempered import Axes, Exponent, Scales

FREE = Law("t log(sum(exp(s / t))) = m + t log(sum(exp((s - m) / t))), m = max(s); d/dt is the entropy", "always")


@dataclass(frozen=True, eq=False)
class Total:
    """log sum exp(u), log mean exp(u), or log sum w exp(u) along axes; log(exp(u) + sum(exp(others))) along none."""

    u: Node
    axes: Axes
    weights: Node | None = None
    mean: bool = False
    others: tuple[Node, ...] = ()


class Temperatures(Table):
    """Products of a temperature and logarithms of sums of exponentials of it.

    Args:
        builder: where new nodes are made.
        only: which nodes may be rewritten; default all.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> from qed.numerics.rewriting.session import rewrite
        >>> f = lambda s, t: t * jnp.log(jnp.sum(jnp.exp(s / t)))
        >>> s, t = jnp.array([10.0, 11.0]), jnp.float32(0.5)
        >>> found = rewrite(trace(f, s, t).graph).function
        >>> print(f"{jax.grad(lambda t: found(s, t)[0])(t):.5g}", f"{jax.grad(f, 1)(s, t):.5g}")
        0.36533 0.36533
    """

    name = "temperature"

    def __init__(self, builder: Builder, only: Only | None = None) -> None:
        super().__init__(builder, only)
        self.scales = Scales(self.difference)

    def rules(self) -> Mapping[str, Callable[[Node], Replacement | None]]:
        """The table."""
        return {"mul": self._product, "div": self._product}

    def _product(self, node: Node) -> Replacement | None:
        first, second = node.children
        pairs = [(first, second, -1)] if node.operation == "div" else [(first, second, 1), (second, first, 1)]
        for inner, outer, power in pairs:
            read = self.difference.terms(outer)
            if len(read) != 1 or ONE in read:
                continue
            ((monomial, coefficient),) = read.items()
            scale = _Outer(self, power_of(monomial, power), inner.shape)
            found = scale.times(inner) if scale.powers else None
            if found is not None:
                value = self.difference.algebra.times(float(coefficient**power), found)
                return self.difference.algebra.filled(value, node.shape), (FREE,), None
        return None


class _Outer:
    """What a logarithm is multiplied with: a monomial, read by what its factors are without their moves."""

    def __init__(self, table: Temperatures, monomial: Monomial, shape: tuple[int, ...]) -> None:
        self.difference, self.scales = table.difference, table.scales
        self.monomial = monomial
        self.powers: dict[int, int] = {}
        self.generators: dict[int, int] = {}
        for number, power in monomial:
            source = self.scales.source(self.difference.node(number))
            if source is not None and self.scales.signs.varies(source):
                self.powers[source.number] = self.powers.get(source.number, 0) + power
                self.generators[source.number] = number

    def times(self, inner: Node) -> Node | None:
        """The monomial times a node; None where no logarithm of a sum in it has its inverse for a scale."""
        read = self.difference.terms(inner)
        rest, value = dict(read), None
        for monomial, coefficient in read.items():
            if monomial not in rest or len(monomial) != 1 or monomial[0][1] != 1:
                continue
            node = self.difference.node(monomial[0][0])
            total = self._total(node, coefficient, read)
            if total is not None:
                total = self._with_numbers(*total, coefficient, rest)
            part = self._free(total[0], node.shape) if total is not None else self._inside(node)
            if part is None:
                continue
            for used in (monomial, *(total[1] if total is not None else ())):
                rest.pop(used, None)
            part = self.difference.algebra.times(float(coefficient), self.difference.algebra.filled(part, inner.shape))
            value = part if value is None else self.difference.emit(stable.ADD, value, part)
        if value is None:
            return None
        return value if not rest else self.difference.emit(stable.ADD, value, self._others(rest, inner))

    def _with_numbers(
        self, total: Total, used: tuple[Monomial, ...], coefficient: Fraction, rest: Polynomial
    ) -> tuple[Total, tuple[Monomial, ...]]:
        """Logarithms of numbers beside a sum whose weights are one number: together a sum, or a mean, without any."""
        weight = None if total.weights is None else constant_of(total.weights)
        if total.mean or not total.axes or (total.weights is not None and weight is None):
            return total, used
        whole, logs = Fraction(1) if weight is None else Fraction(weight), []
        for monomial, other in rest.items():
            log = self.difference.node(monomial[0][0]) if len(monomial) == 1 and monomial[0][1] == 1 else None
            number = constant_of(log.children[0]) if log is not None and log.operation == "log" else None
            if number is not None and number > 0 and abs(other) == abs(coefficient):
                logs.append(monomial)
                whole *= Fraction(number) if other == coefficient else 1 / Fraction(number)
        count = math.prod(total.u.shape[axis] for axis in total.axes)
        if whole == 1:
            return Total(total.u, total.axes), (*used, *logs)
        if whole * count == 1:
            return Total(total.u, total.axes, mean=True), (*used, *logs)
        return total, used

    def _others(self, rest: Polynomial, like: Node) -> Node:
        """The monomial times what is left; scales that it divides by cancel."""
        names = {number: source for source, number in self.generators.items()}
        outside = {names.get(number, number): number for number, _ in self.monomial}
        total: Polynomial = {}
        for monomial, coefficient in rest.items():
            renamed: Monomial = ONE
            for number, power in monomial:
                source = self.scales.source(self.difference.node(number))
                same = outside.get(source.number) if source is not None else None
                renamed = times(renamed, ((number if same is None else same, power),))
            total = plus(total, {times(renamed, self.monomial): coefficient})
        return self.difference.algebra.filled(self.difference.plain(total, like), like.shape)

    def _free(self, total: Total, shape: tuple[int, ...]) -> Node | None:
        """The monomial times log sum exp(u)."""
        found = self.scales(total.u, total.axes, self.powers)
        if found is None or found.c.shape != ():
            return None
        emit, reduced = self.difference.emit, tuple(n for k, n in enumerate(total.u.shape) if k not in total.axes)
        params = {"axes": total.axes, "divides": found.divides, "shape": reduced}
        if total.weights is not None:
            value = emit(WEIGHTED_FREE_ENERGY, total.weights, found.s, found.c, **params)
        elif not total.axes:
            others = self._unscaled(total, found)
            if others is None:
                return None
            value = emit(FREE_ENERGY_OF_SOME, found.s, *others, found.c, divides=found.divides, shape=shape)
        else:
            value = emit(FREE_ENERGY, found.s, found.c, mean=total.mean, **params)
        left = self.monomial
        for source, power in found.sources.items():
            left = times(left, ((self.generators[source], power),))
        value = value if value.shape == shape else emit(stable.KEPT, value, shape=shape, to=shape)
        return self.difference.by((value, ()), left, value)[0] if left != ONE else value

    def _unscaled(self, total: Total, found: Exponent) -> list[Node] | None:
        """The other exponents, without the scale that they have to share; that of 1 is 0."""
        if not total.others:
            return [self.difference.algebra.number(0.0, found.s)]
        unscaled: list[Node] = []
        for other in total.others:
            second = None if constant_of(other) == 0 else self.scales(other, (), self.powers)
            if constant_of(other) != 0 and (second is None or second.sources != found.sources):
                return None
            unscaled.append(other if second is None else second.s)
        return unscaled

    def _inside(self, node: Node) -> Node | None:
        """The monomial times a sum or a moved array, taken inside; its scales are single numbers."""
        summed = node.operation == "reduce_sum"
        if node.equation is None or not (summed or (node.operation in MOVES and len(node.children) == 1)):
            return None
        if node.operation == "stop_gradient" or any(self.difference.node(n).shape for n, _ in self.monomial):
            return None
        inner = self.times(node.children[0])
        if inner is None:
            return None
        return self.difference.builder.apply(node.equation, [inner])[0]

    def _total(self, node: Node, coefficient: Fraction, read: Polynomial) -> tuple[Total, tuple[Monomial, ...]] | None:
        """The logarithm of a sum of exponentials that a term is, or of which it is the shift; and the other terms."""
        if node.operation == "log_mean_exp":
            return Total(node.children[0], tuple(node.params["axes"]), mean=True), ()
        if node.operation == "softplus":
            return Total(node.children[0], ()), ()
        if node.operation == "log":
            return self._shifted(node, coefficient, read)
        if node.operation not in ("shift", "weighted_shift", "shift_two"):
            return None
        for monomial, other in read.items():
            log = self.difference.node(monomial[0][0]) if len(monomial) == 1 and monomial[0][1] == 1 else None
            if log is None or other != coefficient:
                continue
            added = _added(node, log)
            if added is not None:
                return Total(added[0], (), others=tuple(added[1:])), (monomial,)
            if log.operation != "log" or log.equation is not None:
                continue
            inside = log.children[0]
            if inside.operation == "sum_exp":
                inside = inside.children[0]
            if node in inside.children and inside.operation in ("others", "weighted_sum"):
                weights = inside.children[0] if inside.operation == "weighted_sum" else None
                return Total(inside.children[-2], tuple(inside.params["axes"]), weights), (monomial,)
        return None

    def _shifted(
        self, node: Node, coefficient: Fraction, read: Polynomial
    ) -> tuple[Total, tuple[Monomial, ...]] | None:
        """What a library shifts: the logarithm of the sum, and the maximum beside it."""
        found = log_of_sum(node)
        if found is None:
            return None
        for monomial, other in read.items():
            shift = self.difference.node(monomial[0][0]) if len(monomial) == 1 and monomial[0][1] == 1 else None
            if shift is not None and other == coefficient and maximum_of(shift, node.dtype) is found[2]:
                return Total(found[0], found[1]), (monomial,)
        return None


def _added(shift: Node, rest: Node) -> list[Node] | None:
    """The exponents of a sum of exponentials added one after the other, of which these are the shift and the rest."""
    if rest.operation not in ("rest_two", "rest_split") or rest.children[2] is not shift:
        return None
    found: list[Node] = []
    for k in range(2):
        more = rest.children[3 + k] if rest.operation == "rest_split" else None
        inner = [rest.children[k]] if more is None or constant_of(more) == 0 else _added(rest.children[k], more)
        if inner is None:
            return None
        found += inner
    return found


__all__ = ["FREE", "Temperatures"]
