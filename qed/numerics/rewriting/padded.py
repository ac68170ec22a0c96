"""Sums of elements that are put among zeros, added where they stand at the same place.

::

    pad(a) + (pad'(b) + pad(c)) = pad'(b) + pad(a + c)

The gradient of a function of an array that is used element by element, x[0] - x[1] sin(x[0]), is a sum of arrays, each
with one element that is not 0. What cancels cancels between those of one place. So it does in that of a negative log
likelihood, softmax(u) - pad(1): at its place 1 - p is the sum of the other shares.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from qed.graph.build import Node
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.complements import LESS_ONE_AT, OTHERS
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.difference_rules import Found
from qed.numerics.rewriting.difference_terms import ONE
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.scales import constant_of

PADDED = Law("pad(a) + pad(b) = pad(a + b)", "both at the same place among zeros")
MOST = 64
"""How many summands are looked at."""
SUMS = ("add", "add_any")


def at_one_place(difference: Difference, node: Node, without: Callable[[Node], Found | None]) -> Found | None:
    """A sum of arrays of which some are zeros with elements at one place, where the sum of those has a rule.

    Args:
        difference: the builder's differences.
        node: the sum.
        without: a sum without cancellation, or None.
    """
    if node.operation not in SUMS or not any(child.operation == "pad" for child in node.children):
        return None
    parts = _summands(node)
    found = _of_label(difference, parts)
    if found is not None:
        return found
    groups: dict[tuple, list[Node]] = {}
    for part in parts:
        if part.operation == "pad" and part.equation is not None and constant_of(part.children[1]) == 0:
            key = (tuple(part.params["padding_config"]), part.children[0].shape)
            groups.setdefault(key, []).append(part)
    for pads in groups.values():
        inner = _inner([pad.children[0] for pad in pads]) if 2 <= len(pads) < MOST else None
        found = None if inner is None else without(_added(difference, inner[0]))
        if inner is None or found is None or pads[0].equation is None:
            continue
        value = difference.algebra.filled(found[0], inner[0][0].shape)
        if inner[1] is not None:
            value = difference.algebra.filled(value, inner[1].shape)
        put = difference.builder.apply(pads[0].equation, [value, pads[0].children[1]])[0]
        rest = [part for part in parts if all(part is not pad for pad in pads)]
        return _added(difference, [*rest, put]), (PADDED, *found[1])
    return None


def _of_label(difference: Difference, parts: list[Node]) -> Found | None:
    """c (softmax(u) - pad(1)), the 1 as a number or as the sum of that softmax."""
    if len(parts) != 2:
        return None
    for pad, whole in (parts, parts[::-1]):
        read = difference.terms(whole)
        if pad.operation != "pad" or pad.equation is None or len(read) != 1 or constant_of(pad.children[1]) != 0:
            continue
        ((monomial, c),) = read.items()
        p = difference.node(monomial[0][0]) if len(monomial) == 1 and monomial[0][1] == 1 else whole
        if p.operation != "softmax" or p.shape != whole.shape or len(p.shape) != 1 or pad.children[0].shape != (1,):
            continue
        put = _inner([pad.children[0]])
        if put is None or _number(difference, put[0][0], p) != -c:
            continue
        one = difference.algebra.filled(difference.algebra.number(1.0, whole), (1,))
        place = difference.builder.apply(pad.equation, [one, pad.children[1]])[0]
        value = difference.emit(LESS_ONE_AT, p.children[0], place, **p.params)
        return difference.algebra.times(float(c), value), (PADDED, OTHERS)
    return None


def _number(difference: Difference, node: Node, p: Node) -> Fraction | None:
    """The number that a node is, where the sum of a softmax is 1."""
    read = difference.terms(node)
    if len(read) != 1:
        return None
    ((monomial, c),) = read.items()
    total = difference.node(monomial[0][0]) if len(monomial) == 1 and monomial[0][1] == 1 else None
    if total is not None and total.operation == "reduce_sum" and tuple(total.params["axes"]) == (0,):
        inner = difference.terms(total.children[0])
        return c * next(iter(inner.values())) if list(inner) == [difference.terms.monomial(p)] else None
    return c if monomial == ONE else None


def _summands(node: Node) -> list[Node]:
    found, stack = [], [node]
    while stack and len(found) + len(stack) <= MOST:
        top = stack.pop()
        if top.operation in SUMS and len(top.children) == 2:
            stack.extend(reversed(top.children))
        else:
            found.append(top)
    return [*found, *reversed(stack)]


def _inner(children: list[Node]) -> tuple[list[Node], Node | None] | None:
    """What is added, and how it is repeated: numbers where one number is put in an array of one element."""
    if all(child.operation in ("broadcast_in_dim", "reshape") and child.children[0].shape == () for child in children):
        return [child.children[0] for child in children], children[0]
    return children, None


def _added(difference: Difference, parts: list[Node]) -> Node:
    total = parts[0]
    for part in parts[1:]:
        total = difference.emit(stable.ADD, total, part)
    return total


__all__ = ["PADDED", "at_one_place"]
