"""Products with a choice of which the other case is 0, multiplied where it is not.

::

    where(c, a, 0) * b = where(c, a b, 0)            where(c, a, 0) / b = where(c, a / b, 0)

and the same of what is 0 where c does not hold because such choices are all it is made of: -u, u b, u / b, u + v and
u - v of one c, u moved or spread, and the sum of u where one truth value chooses for all of it.

Derivatives by hand or by `jax.grad` are full of them: what is not chosen has the slope 0 there, times a slope that may
be infinite or no number. 0 times that is NaN; what is not chosen is 0. The chain rule carries the 0 through several
factors before it meets the one that is infinite: in where(c, 1 / sqrt(s), 0) it is multiplied by 1 / s first, then by
1 / sqrt(s).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qed.graph.build import Node
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.scales import constant_of, decided
from qed.numerics.rewriting.signs import MOVES, Sign
from qed.numerics.rewriting.table import Replacement

SUNK = Law("where(c, a, 0) b = where(c, a b, 0)", "b is a number")
DEPTH = 8
DEEP = 12
"""Through how many operations a choice is followed."""
_SUMS = frozenset(["add", "add_any", "sub"])
_CARRIERS = frozenset(
    "mul div neg add add_any sub sqrt integer_pow square select_n log_softmax tempered_log_softmax".split()
)
"""What is infinite, or has no bounded derivative, where an operand has."""
_MOVED = frozenset(["broadcast_in_dim", "reshape", "transpose", "squeeze"])


@dataclass(frozen=True)
class _Chosen:
    """A node that is `value` where a predicate chooses case `at`, and 0 where it does not."""

    predicate: Node
    at: int
    value: Node
    choice: Node

    def agrees(self, other: _Chosen) -> bool:
        """Whether both are chosen, and 0, at the same places."""
        return (self.predicate.number, self.at) == (other.predicate.number, other.at) and (
            len(self.choice.children) == len(other.choice.children)
        )


def sunk(
    difference: Difference, unsafe: Callable[[Node], bool], node: Node, carried: bool = False
) -> Replacement | None:
    """A product or quotient of what is 0 where a choice has another case.

    Args:
        difference: the builder's differences.
        unsafe: whether an operation or its derivative may be infinite.
        node: the product or quotient.
        carried: whether only what came through other operations is asked for, and no choice itself.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import qed
        >>> f = lambda x: jnp.where(x > 0, jnp.sqrt(x), 0.0)
        >>> jax.grad(f)(-4.0).tolist(), qed.stabilize(jax.grad(f))(-4.0).tolist()
        (nan, 0.0)
    """
    if node.equation is None:
        return None
    for at in (0, 1) if node.operation == "mul" else (0,):
        factor, other = node.children[at], node.children[1 - at]
        if factor.shape != node.shape or other.shape not in (node.shape, ()) or (carried and _is_choice(factor)):
            continue
        found = _Followed(difference)(factor, DEEP)
        if found is None or not _may_burst(difference, unsafe, other, node.operation == "div"):
            continue
        pair = (found.value, other) if at == 0 else (other, found.value)
        product = difference.builder.apply(node.equation, pair)[0]
        zero = difference.algebra.filled(difference.algebra.number(0.0, node), node.shape)
        cases = [product if case == found.at else zero for case in range(len(found.choice.children) - 1)]
        equation = found.choice.equation
        if equation is None or any(case.shape != node.shape or case.dtype != node.dtype for case in cases):
            continue
        sunken = difference.builder.apply(equation, [found.predicate, *cases])[0]
        sunken.shape = node.shape
        return sunken, (SUNK,), None
    return None


def _is_choice(node: Node) -> bool:
    return (node.children[0] if node.operation == "neg" else node).operation == "select_n"


class _Followed:
    """What is chosen, followed through what keeps its zeros; every node is asked once."""

    def __init__(self, difference: Difference) -> None:
        self.difference = difference
        self._known: dict[int, _Chosen | None] = {}

    def __call__(self, node: Node, deep: int) -> _Chosen | None:
        """The choice that a node is 0 by, or None."""
        if node.number not in self._known:
            self._known[node.number] = self._read(node, deep) if deep and node.equation is not None else None
        return self._known[node.number]

    def _read(self, node: Node, deep: int) -> _Chosen | None:
        name, children = node.operation, node.children
        if name == "select_n":
            return self._choice(node)
        if name == "neg" or name in _MOVED:
            inner = self(children[0], deep - 1)
            return None if inner is None else self._moved(node, inner)
        if name == "reduce_sum":
            inner = self(children[0], deep - 1)
            return self._moved(node, inner) if inner is not None and inner.predicate.shape == () else None
        if name in _SUMS:
            first = self(children[0], deep - 1)
            second = None if first is None else self(children[1], deep - 1)
            if first is None or second is None or not first.agrees(second):
                return None
            return self._of(node, first, (first.value, second.value))
        if name in ("mul", "div"):
            for at in (0, 1) if name == "mul" else (0,):
                inner = self(children[at], deep - 1) if children[at].shape == node.shape else None
                if inner is not None:
                    factors = tuple(inner.value if i == at else child for i, child in enumerate(children))
                    return self._of(node, inner, factors)
        return None

    def _choice(self, node: Node) -> _Chosen | None:
        predicate, *cases = node.children
        others = [at for at, case in enumerate(cases) if constant_of(case) != 0]
        if len(others) != 1 or constant_of(predicate) is not None or decided(node, self.difference.sign):
            return None
        return _Chosen(one_truth_value(predicate), others[0], cases[others[0]], node)

    def _of(self, node: Node, inner: _Chosen, children: tuple[Node, ...]) -> _Chosen:
        return _Chosen(inner.predicate, inner.at, self.difference.builder.over(node, children), inner.choice)

    def _moved(self, node: Node, inner: _Chosen) -> _Chosen:
        predicate = inner.predicate
        if node.operation != "neg" and predicate.shape != ():
            made = self.difference.builder.over(node, (predicate,))
            made.dtype = predicate.dtype
            predicate = made
        value = self.difference.builder.over(node, (inner.value,))
        return _Chosen(predicate, inner.at, value, inner.choice)


def one_truth_value(predicate: Node) -> Node:
    """What chooses, without a broadcast of a single truth value."""
    spread = predicate.operation == "broadcast_in_dim" and predicate.children[0].shape == ()
    return predicate.children[0] if spread else predicate


def _may_burst(difference: Difference, unsafe: Callable[[Node], bool], node: Node, divides: bool) -> bool:
    """Whether a factor may be infinite or no number, or a divisor 0 as well."""
    if divides and constant_of(node) is None and difference.sign(node) < Sign.BOUNDED:
        return True
    stack, seen = [(node, 0)], set[int]()
    while stack:
        each, depth = stack.pop()
        if each.number in seen or depth > DEPTH:
            continue
        seen.add(each.number)
        below = each.operation == "integer_pow" and each.params["y"] < 0
        if _infinite(each) or unsafe(each) or (below and difference.sign(each.children[0]) < Sign.BOUNDED):
            return True
        if each.operation in _CARRIERS or each.operation in MOVES:
            stack.extend((child, depth + 1) for child in each.children)
    return False


def _infinite(node: Node) -> bool:
    """Whether a node is an infinite constant, as a mask has it under a logarithm of shares."""
    return node.operation == "constant" and bool(np.size(node.value) == 1 and np.all(np.isinf(node.value)))


__all__ = ["SUNK", "one_truth_value", "sunk"]
