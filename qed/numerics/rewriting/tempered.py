"""Exponents that have a temperature: u = s/T, u = beta s, u = -|x|^2 / (2 h^2).

A factor of the exponent of a sum that has one value for each sum is its temperature, or its inverse. A function that is
differentiated in the temperature needs forms of its own, since d/dT weighs the s themselves and not their differences
(`free_energy`): where T varies, softmax(s/T) and s/T - log sum exp(s/T) are operations of s and T.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from qed.graph.build import Node
from qed.numerics.rewriting import kernels
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.difference_terms import ONE, Monomial, common, power_of, scaled, times
from qed.numerics.rewriting.free_energy import TEMPERED_SOFTMAX
from qed.numerics.rewriting.picks import taken
from qed.numerics.rewriting.scales import source_of, spread_along
from qed.numerics.rewriting.signs import MOVES, Signs

Axes = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Exponent:
    """An exponent u = c s, or s / c.

    Args:
        s: what varies along the axes of the sum.
        c: the scale, a number or one for each sum.
        divides: whether s is divided by c.
        sources: the powers in u of what c is made of, by the number of the node without its moves.
    """

    s: Node
    c: Node
    divides: bool
    sources: Mapping[int, int]


class Scales:
    """Reads exponents.

    Args:
        difference: how nodes are read, and where new ones are made.
    """

    def __init__(self, difference: Difference) -> None:
        self.difference = difference
        self.signs = Signs()

    def source(self, node: Node, kept: tuple[int, ...] | None = None) -> Node | None:
        """What a factor is without its moves, if that is one number, or an array that is put back along axes."""
        source = source_of(node)
        if source.shape == ():
            return source
        reduced = None if kept is None else tuple(n for n in kept if n != 1)
        return source if reduced == source.shape and spread_along(node, source, kept or ()) else None

    def __call__(self, u: Node, axes: Axes, wanted: Mapping[int, int] | None = None) -> Exponent | None:
        """The exponent of a sum along axes; None where there is no scale, or none that is wanted.

        Args:
            u: the exponent.
            axes: along which it is summed.
            wanted: by source, the powers with which the sum is multiplied; only their inverses are scales.
        """
        moves: list[Node] = []
        v = u
        while v.operation in MOVES and v.operation != "stop_gradient" and len(v.children) == 1:
            moves.append(v)
            v = v.children[0]
        kept = None if moves else tuple(1 if axis in axes else n for axis, n in enumerate(u.shape))
        found = self._read(v, kept, wanted)
        if found is None or not moves:
            return found
        return replace(found, s=taken(self.difference.builder, moves[::-1], found.s))

    def _read(self, u: Node, kept: tuple[int, ...] | None, wanted: Mapping[int, int] | None) -> Exponent | None:
        read = self.difference.terms(u)
        shared = common(read) if read else ONE
        of_scale: dict[int, int] = {}
        parts: list[tuple[Node, int]] = []
        for number, power in shared:
            source = self.source(self.difference.node(number), kept)
            if source is None or (u.shape == () and wanted is None) or not self._serves(source, power, wanted):
                continue
            of_scale[number] = power
            parts.append((source, power))
        if not parts or not any(self.signs.varies(source) for source, _ in parts):
            return None
        rest = scaled(read, Fraction(1), tuple((number, -power) for number, power in sorted(of_scale.items())))
        if any(number in of_scale for monomial in rest for number, _ in monomial) or set(rest) == {ONE}:
            return None
        s = self.difference.algebra.filled(self.difference.plain(rest, u), u.shape)
        divides = all(power < 0 for _, power in parts)
        sources: dict[int, int] = {}
        for source, power in parts:
            sources[source.number] = sources.get(source.number, 0) + power
        return Exponent(s, self._scale(parts, divides), divides, sources)

    @staticmethod
    def _serves(source: Node, power: int, wanted: Mapping[int, int] | None) -> bool:
        if wanted is None:
            return True
        outer = wanted.get(source.number, 0)
        return outer * power < 0 and abs(outer) >= abs(power)

    def _scale(self, parts: list[tuple[Node, int]], divides: bool) -> Node:
        """The product of the powers, or of their inverses."""
        shape = max((source.shape for source, _ in parts), key=len)
        terms = self.difference.terms
        monomial: Monomial = ONE
        for source, power in parts:
            filled = self.difference.algebra.filled(source, shape)
            monomial = times(monomial, power_of(terms.monomial(filled), -power if divides else power))
        return self.difference.monomial(monomial, parts[0][0])


def softmax_of(scales: Scales, u: Node, axes: Axes) -> Node:
    """softmax(u) along axes, of its scale where it has one that is differentiated in."""
    found = scales(u, axes)
    if found is None:
        return scales.difference.emit(kernels.SOFTMAX, u, axes=axes)
    return scales.difference.emit(TEMPERED_SOFTMAX, found.s, found.c, axes=axes, divides=found.divides, shape=u.shape)
