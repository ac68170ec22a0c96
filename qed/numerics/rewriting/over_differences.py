"""What is divided by a difference of two exponentials and multiplied by one of them, by Bose's function.

::

    exp(x) / (exp(x) - exp(y)) = -b(y - x)        exp(y) / (exp(x) - exp(y)) = b(x - y),        b(d) = 1/(exp(d) - 1)
    exp(x) / expm1(x) = -b(-x)                    exp(x) B(x) = B(-x),                              B(x) = x/expm1(x)

The derivative of log(exp(x) - exp(y)) that a user takes by `jax.grad`, of the logarithm of the probability of an
interval, is made of such quotients; both exponentials may be out of range where the quotient is an ordinary number.
The difference x - y is the one that the difference of the exponentials was made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qed.graph.build import Node
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.bose import BERNOULLI, BOSE
from qed.numerics.rewriting.forms import Algebra
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.scales import constant_of

OVER_DIFFERENCE = Law("exp(b) / (exp(a) - exp(b)) = 1 / (exp(a - b) - 1)", "a != b, as for the original")
DEEP = 6
"""Through how many operations factors are followed."""


def over_difference(algebra: Algebra, node: Node) -> Node | None:
    """A product or a quotient with factors exp(x)/(exp(x) - exp(y)), or None."""
    parts = _factors(node, algebra, DEEP)
    above, negative, paired = parts.above, parts.negative, False
    below: list[Node] = []
    found: list[Node] = []
    bernoullis = [each for each in above if _is_bernoulli(each)]
    for place, divisor in enumerate((*parts.below, *parts.inverse, *bernoullis)):
        divides, multiplies = place < len(parts.below), place >= len(parts.below) + len(parts.inverse)
        read = _read(divisor, divides)
        power = None if read is None or divisor.shape != node.shape else _power(above, read)
        if read is None or power is None:
            below += [divisor] if divides else []
            found += [] if divides or multiplies else [divisor]
            continue
        first, d = power.children[0] is read[0], read[2]
        operation = BERNOULLI if multiplies else BOSE
        found.append(algebra.emit(operation, algebra.filled(algebra.negative(d) if first else d, node.shape)))
        negative = negative != (first and not multiplies)
        above, paired = _without(_without(above, power), divisor) if multiplies else _without(above, power), True
    if not paired:
        return None
    value = found[0]
    for factor in (*found[1:], *above):
        value = algebra.emit(stable.MUL, value, factor)
    for other in below:
        value = algebra.emit(stable.DIV, value, other)
    return algebra.filled(algebra.negative(value) if negative else value, node.shape)


@dataclass(frozen=True)
class _Factors:
    """A product: its sign, what is multiplied, what divides, and the factors 1 / expm1(v)."""

    negative: bool
    above: tuple[Node, ...]
    below: tuple[Node, ...] = ()
    inverse: tuple[Node, ...] = ()


def _is_bernoulli(node: Node) -> bool:
    """Whether a node is v / expm1(v), of which exp(v) makes the same of -v."""
    return node.operation == "bernoulli" and node.equation is None


def _read(divisor: Node, divides: bool) -> tuple[Node, Node | None, Node] | None:
    """x, y (None: 0) and x - y of a divisor exp(x) - exp(y), or of a factor that has it."""
    if not divides or divisor.operation == "expm1":
        return divisor.children[0], None, divisor.children[0]
    if (
        divisor.operation != "exp_difference"
        or divisor.equation is not None
        or divisor.children[0] is divisor.children[1]
    ):
        return None
    x, y, d = divisor.children
    return x, y, d


def _without(nodes: tuple[Node, ...], node: Node) -> tuple[Node, ...]:
    """A product without one factor, which it may have more than once."""
    place = next((i for i, each in enumerate(nodes) if each is node), len(nodes))
    return nodes[:place] + nodes[place + 1 :]


def _power(above: Sequence[Node], read: tuple[Node, Node | None, Node]) -> Node | None:
    """exp(x) or exp(y) among what is multiplied."""
    return next((n for n in above if n.operation == "exp" and n.children[0] in read[:2]), None)


def _factors(node: Node, algebra: Algebra, deep: int) -> _Factors:
    if node.equation is None and node.operation == "bose":
        return _Factors(False, (), (), (node,))
    if node.equation is None and node.operation == "over_bose":  # a / (b expm1(v))
        a, b, v = node.children
        return _Factors(False, (a,), () if constant_of(b) == 1 else (b,), (algebra.emit(BOSE, v),))
    if deep == 0 or node.operation not in ("mul", "div", "neg"):
        return _Factors(False, (node,))
    read = [_factors(child, algebra, deep - 1) for child in node.children]
    if node.operation == "div":
        a, b = read
        if b.inverse:
            b = _Factors(False, (node.children[1],))
        return _Factors(a.negative != b.negative, a.above + b.below, a.below + b.above, a.inverse)
    negative = (node.operation == "neg") != (sum(each.negative for each in read) % 2 == 1)
    above, below, inverse = (
        tuple(n for each in read for n in getattr(each, name)) for name in ("above", "below", "inverse")
    )
    return _Factors(negative, above, below, inverse)


__all__ = ["OVER_DIFFERENCE", "over_difference"]
