"""Squared distances of all pairs from a matrix of products: |x_i|^2 + |y_j|^2 - 2 <x_i, y_j> = |x_i - y_j|^2.

The left side is how tables of distances are written, since a matrix product is fast. Two points near each other and
far from the origin lose all digits of their distance in it. The right side subtracts first.

Each term is read as a sum of products whose factors are indexed by the axes of the result: the label of an axis of a
factor is the axis of the result along which it runs, or one of the axes that are summed. A diagonal, however it is
taken, has the same label twice, so that the diagonal of x x' is seen to be the sum of the squares of x.

References: Chan, Golub and LeVeque, *Algorithms for computing the sample variance*, 1983; Higham, *Accuracy and
Stability of Numerical Algorithms*, 2002, section 1.7 (cancellation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, count, permutations
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.graph.build import Node, Operation, reachable
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.difference_rules import Found
from qed.numerics.rewriting.difference_terms import Monomial, Polynomial
from qed.numerics.rewriting.known_values import value_of
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.scales import constant_of

PAIRWISE = Law("sum(x_i**2) + sum(y_j**2) - 2 sum(x_i y_j) = sum((x_i - y_j)**2)", "always")

Label = "int | None"
Labels = tuple["int | None", ...]
"""For each axis of a factor: an axis of the result, a summed axis (negative), or None for an axis of length 1."""

Factors = Mapping[tuple[int, Labels], int]
"""Powers of factors: (number of a node, its labels) -> power."""

AT_ONCE = 2**22
"""How many numbers all the differences may be; more are taken one summed index at a time."""
MOST_TERMS = 6
LARGEST_INDEX = 2**20


@dataclass(frozen=True)
class Products:
    """coefficient * sum over some axes of a product of factors.

    Args:
        factors: the powers of the factors.
        coefficient: a rational number.
        summed: the labels of the axes that are summed, and their lengths.
    """

    factors: Factors
    coefficient: Fraction
    summed: Mapping[int, int]


def squared_distances(difference: Difference, polynomial: Polynomial, like: Node) -> Found | None:
    """c (|x_i|^2 + |y_j|^2 - 2 <x_i, y_j>) + rest as c |x_i - y_j|^2 + rest.

    Args:
        difference: the reader of nodes and the maker of new ones.
        polynomial: a sum of at least three terms.
        like: the node that it is read from.
    """
    if not 3 <= len(polynomial) <= MOST_TERMS or len(like.shape) < 1:
        return None
    reading = _Reading(difference, like)
    read = {m: found for m, c in polynomial.items() if (found := reading.term(m, c)) is not None}
    for three in combinations(read, 3):
        for m, n, k in permutations(three):
            first, second, cross = read[m], read[n], read[k]
            c = first.coefficient
            if m > n or second.coefficient != c or cross.coefficient != -2 * c:
                continue
            value = reading.distance(first, second, cross)
            if value is None:
                continue
            value = difference.algebra.times(float(c), value)
            rest = {key: number for key, number in polynomial.items() if key not in (m, n, k)}
            if rest:
                value = difference.emit(stable.ADD, value, difference.plain(rest, like))
            return value, (PAIRWISE,)
    return None


def sum_of_squares(difference: Difference, node: Node) -> tuple[Node, tuple[int, ...]] | None:
    """x and the axes, where a node is the sum of x^2 along them: a product of matrices, or its diagonal.

    Args:
        difference: the reader of nodes and the maker of new ones.
        node: a node of at least one axis, or a number.
    """
    reading = _Reading(difference, node)
    found = reading.products(node)
    root = None if found is None else _root(found.factors)
    if found is None or root is None or found.coefficient != 1 or not _everywhere(root, list(found.summed)):
        return None
    rank = len(node.shape)
    places = {label: rank + i for i, label in enumerate(found.summed)}
    axes = tuple(places.values())
    x = reading.aligned(root, places)
    shape = (*node.shape, *found.summed.values())
    return difference.algebra.filled(x, shape), axes


class _Reading:
    """Terms of the shape of one node, as sums of products."""

    def __init__(self, difference: Difference, like: Node) -> None:
        self.difference, self.like = difference, like
        self.fresh = count(1)

    def term(self, monomial: Monomial, coefficient: Fraction) -> Products | None:
        """A monomial of one generator that is a sum of products, wherever its elements were moved to."""
        if len(monomial) != 1 or monomial[0][1] != 1:
            return None
        found = self.products(self.difference.node(monomial[0][0]))
        return None if found is None else Products(found.factors, coefficient * found.coefficient, found.summed)

    def products(self, node: Node) -> Products | None:
        """A node, of no more axes than the one that is read, as a sum of products."""
        offset = len(self.like.shape) - len(node.shape)
        labels = tuple(offset + i if n != 1 else None for i, n in enumerate(node.shape))
        return None if offset < 0 else self._summed(node, labels)

    def _summed(self, node: Node, labels: Labels) -> Products | None:
        node, moved = self._source(node, labels)
        if moved is None:
            return None
        if node.operation == "dot_general":
            return self._product(node, moved)
        if node.operation != "reduce_sum" or node.equation is None:
            return None
        inner, axes = node.children[0], node.params["axes"]
        summed = {axis: -next(self.fresh) for axis in axes}
        kept = iter(moved)
        below = tuple(summed[axis] if axis in summed else next(kept) for axis in range(len(inner.shape)))
        if inner.operation == "select_n":
            return self._masked(inner, below, set(summed.values()))
        lengths = {summed[axis]: inner.shape[axis] for axis in axes}
        return self._monomials([(inner, below)], lengths)

    def _product(self, node: Node, labels: Labels) -> Products | None:
        (contracted, batched) = node.params["dimension_numbers"]
        x, y = node.children
        if node.dtype != x.dtype or x.dtype != y.dtype:
            return None
        new = [-next(self.fresh) for _ in contracted[0]]
        placed: list[tuple[Node, Labels]] = []
        offset = len(batched[0])
        for side, child in enumerate((x, y)):
            free = [i for i in range(len(child.shape)) if i not in contracted[side] and i not in batched[side]]
            own: dict[int, int | None] = dict(zip(contracted[side], new, strict=True))
            own.update(zip(batched[side], labels[: len(batched[side])], strict=True))
            own.update(zip(free, labels[offset : offset + len(free)], strict=True))
            offset += len(free)
            placed.append((child, tuple(own[i] for i in range(len(child.shape)))))
        lengths = {label: x.shape[axis] for label, axis in zip(new, contracted[0], strict=True)}
        return self._monomials(placed, lengths)

    def _masked(self, chosen: Node, labels: Labels, summed: set[int]) -> Products | None:
        """sum over one axis of where(i == j, g, 0): the diagonal of g."""
        predicate, other, g = chosen.children
        if len(chosen.shape) != 2 or len(summed) != 1 or constant_of(other) != 0:
            return None
        mask = self._constant(predicate)
        if mask is None or mask.shape != chosen.shape or mask.shape[0] != mask.shape[1]:
            return None
        if not np.array_equal(mask, np.eye(len(mask), dtype=mask.dtype)):
            return None
        (label,) = (each for each in labels if each not in summed)
        return self._summed(g, (label, label))

    def _monomials(self, parts: Sequence[tuple[Node, Labels]], lengths: Mapping[int, int]) -> Products | None:
        factors: dict[tuple[int, Labels], int] = {}
        coefficient = Fraction(1)
        pending = [(node, labels, 1) for node, labels in parts]
        while pending:
            node, labels, power = pending.pop()
            source, moved = self._source(node, labels)
            if moved is None or len(factors) > MOST_TERMS:
                return None
            polynomial = self.difference.terms(source)
            if polynomial == self.difference.terms.generator(source):
                named = [label for label in moved if label is not None]
                if len(set(named)) < len(named):
                    return None
                key = (source.number, moved)
                factors[key] = factors.get(key, 0) + power
                continue
            if len(polynomial) != 1:
                return None
            ((monomial, number),) = polynomial.items()
            coefficient *= number**power
            for generator, exponent in monomial:
                inner = self.difference.node(generator)
                if inner.shape and len(inner.shape) != len(source.shape):
                    return None
                below = (label if n != 1 else None for n, label in zip(inner.shape, moved, strict=False))
                pending.append((inner, tuple(below), power * exponent))
        return Products({key: power for key, power in factors.items() if power}, coefficient, lengths)

    # --- what moves elements ---

    def _source(self, node: Node, labels: Labels) -> tuple[Node, Labels | None]:
        """What a node takes its elements from, and the labels of that; None where they have none."""
        found: Labels | None = labels
        while found is not None:
            below = self._below(node, found)
            if below is None:
                break
            node, found = node.children[0], below
        return node, found

    def _below(self, node: Node, labels: Labels) -> Labels | None:
        """The labels of the operand of what moves elements; None of anything else."""
        if not node.children:
            return None
        shape, name = node.children[0].shape, node.operation
        if name in ("copy", "name"):
            return labels
        if name == "broadcast_in_dim":
            at = node.params["broadcast_dimensions"]
            return tuple(labels[axis] if n != 1 else None for n, axis in zip(shape, at, strict=True))
        if name == "transpose":
            places = dict(zip(node.params["permutation"], labels, strict=True))
            return tuple(places[axis] for axis in range(len(shape)))
        if name in ("reshape", "squeeze"):
            kept = [(n, label) for n, label in zip(node.shape, labels, strict=True) if n != 1]
            if [n for n, _ in kept] != [n for n in shape if n != 1]:
                return None
            rest = iter(label for _, label in kept)
            return tuple(None if n == 1 else next(rest) for n in shape)
        if name == "gather" and node.equation is not None:
            return self._diagonal(node, labels)
        return None

    def _diagonal(self, node: Node, labels: Labels) -> Labels | None:
        """The labels of a square matrix whose diagonal is gathered."""
        matrix, index = node.children
        numbers = node.params["dimension_numbers"]
        n = matrix.shape[0] if len(matrix.shape) == 2 else 0
        if matrix.shape != (n, n) or node.shape != (n,) or tuple(node.params["slice_sizes"]) != (1, 1):
            return None
        if tuple(numbers.collapsed_slice_dims) != (0, 1) or tuple(numbers.start_index_map) != (0, 1):
            return None
        places = self._constant(index)
        right = np.repeat(np.arange(n)[:, None], 2, axis=1)
        return (labels[0], labels[0]) if places is not None and np.array_equal(places, right) else None

    def _constant(self, node: Node) -> Any:
        """The numbers of a node that depends on no input."""
        if np.prod(node.shape) > LARGEST_INDEX or any(n.operation == "input" for n in reachable([node])):
            return None
        return value_of(self.difference.builder, node)

    # --- the distance ---

    def distance(self, first: Products, second: Products, cross: Products) -> Node | None:
        """sum (x - y)^2, where these are sum x^2, sum y^2 and sum x y."""
        x, y = _root(first.factors), _root(second.factors)
        if x is None or y is None or x == y or not cross.summed:
            return None
        names = list(cross.summed)
        for one in permutations(first.summed):
            for other in permutations(second.summed):
                if len(one) != len(names) or len(other) != len(names):
                    continue
                a, b = _named(x, dict(zip(one, names, strict=True))), _named(y, dict(zip(other, names, strict=True)))
                if _times(a, b) == dict(cross.factors) and _everywhere(a, names) and _everywhere(b, names):
                    return self._distance(a, b, names)
        return None

    def _distance(self, a: Factors, b: Factors, names: Sequence[int]) -> Node:
        shared = {key: power for key, power in a.items() if b.get(key) == power}
        rest_a = {key: power for key, power in a.items() if key not in shared}
        rest_b = {key: power for key, power in b.items() if key not in shared}
        rank = len(self.like.shape)
        axes = tuple(range(rank, rank + len(names)))
        places = {name: rank + i for i, name in enumerate(names)}
        x, y, by = (self.aligned(factors, places) for factors in (rest_a, rest_b, shared))
        return self.difference.emit(SQUARED_DISTANCES, x, y, by, axes=axes, shape=self.like.shape)

    def aligned(self, factors: Factors, places: Mapping[int, int]) -> Node:
        """A product of factors, its axes those of the result and then the summed ones."""
        rank = len(self.like.shape) + len(places)
        value: Node | None = None
        for (number, labels), power in sorted(factors.items(), key=lambda item: -item[1]):
            at = tuple(None if each is None else places.get(each, each) for each in labels)
            node = self.difference.node(number)
            shape = [1] * rank
            for n, axis in zip(node.shape, at, strict=True):
                if axis is not None:
                    shape[axis] = n
            moved = self.difference.emit(ALIGNED, node, at=at, rank=rank, shape=tuple(shape))
            moved = self.difference.power(moved, abs(power))
            if value is None:
                value = moved if power > 0 else self.difference.emit(stable.DIV, self._one(), moved)
            else:
                value = self.difference.emit(stable.MUL if power > 0 else stable.DIV, value, moved)
        return value if value is not None else self._one()

    def _one(self) -> Node:
        return self.difference.algebra.number(1.0, self.like)


def _root(factors: Factors) -> Factors | None:
    if not factors or any(power % 2 for power in factors.values()):
        return None
    return {key: power // 2 for key, power in factors.items()}


def _named(factors: Factors, names: Mapping[int, int]) -> Factors:
    return {
        (number, tuple(None if label is None else names.get(label, label) for label in labels)): power
        for (number, labels), power in factors.items()
    }


def _times(first: Factors, second: Factors) -> Factors:
    keys = dict.fromkeys([*first, *second])
    powers = {key: first.get(key, 0) + second.get(key, 0) for key in keys}
    return {key: power for key, power in powers.items() if power}


def _everywhere(factors: Factors, names: Sequence[int]) -> bool:
    """Whether each summed axis is an axis of some factor, so that its length is that of the sum."""
    return set(names) <= {label for _, labels in factors for label in labels}


def aligned(x: Any, at: Labels, rank: int) -> Any:
    """An array with its axes put where they belong, the others of length 1."""
    kept = [i for i, place in enumerate(at) if place is not None]
    order = sorted(kept, key=lambda i: at[i] or 0)
    moved = jnp.squeeze(x, tuple(i for i in range(jnp.ndim(x)) if i not in kept))
    moved = jnp.transpose(moved, [kept.index(i) for i in order])
    taken = {at[i] for i in kept}
    return jnp.expand_dims(moved, tuple(i for i in range(rank) if i not in taken))


def squared_distances_of(x: Any, y: Any, by: Any, axes: tuple[int, ...]) -> Any:
    """sum (by (x - y))^2 over the last axes; of many numbers one index at a time, so that they are never all there.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.float32([[1e4, 0.0], [1e4, 1.0]])
        >>> print(squared_distances_of(x[:, None], x[None], jnp.float32(1.0), (2,)))
        [[0. 1.]
         [1. 0.]]
    """
    shape = np.broadcast_shapes(x.shape, y.shape, jnp.shape(by))
    if np.prod(shape, dtype=float) <= AT_ONCE or len(axes) != 1:
        return jnp.sum((by * (x - y)) ** 2, axis=axes)
    each = [jnp.moveaxis(jnp.broadcast_to(v, (*v.shape[:-1], shape[-1])), -1, 0) for v in (x, y)]
    scaled = jnp.ndim(by) == len(shape)
    weights = jnp.moveaxis(jnp.broadcast_to(by, (*by.shape[:-1], shape[-1])), -1, 0) if scaled else None

    @jax.checkpoint
    def step(total: Any, taken: Any) -> tuple[Any, None]:
        one, other, weight = taken
        return total + ((by if weight is None else weight) * (one - other)) ** 2, None

    return jax.lax.scan(step, jnp.zeros(shape[:-1], x.dtype), (*each, weights))[0]


ALIGNED = Operation("aligned", aligned, whole=True)
SQUARED_DISTANCES = Operation("squared_distances", squared_distances_of, whole=True)
