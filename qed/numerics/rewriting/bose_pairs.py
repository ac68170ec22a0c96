"""Pairs in Bose's statistics, (e^(u + v) - 1) / ((e^u - 1)(e^v - 1)), and other quotients whose exponentials cancel.

With S(x) = sinh(x)/x, even in x, and u = a c, v = b c,

    c (e^(u + v) - 1) / ((e^u - 1)(e^v - 1)) = ((a + b)/(a b)) S((u + v)/2) / (S(u/2) S(v/2))

from which c is gone. The derivative of the right side is a sum of two terms that cancel to e^-|u| of each, its parts
overflow, and a or b may be no number. So the right side is taken where all arguments are small; elsewhere, where
e^u - 1 and its derivative keep their digits, the quotient stays as written. Each side sees ordinary numbers where the
other one is taken.

Reference: Landau and Lifshitz, *Statistical Physics, Part 1*, 1980, section 54 (the distribution 1/(e^u - 1)).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation, reachable

if TYPE_CHECKING:
    from qed.numerics.rewriting.difference_recursion import Difference

SMALL = 0.5
"""Up to which half argument of an exponential the factors are cancelled."""

ORDINARY = (1.0, 0.7, 0.45, 0.3)
"""What the numbers are taken for, in turn, on the side that is not taken."""


def or_as_written(difference: Difference, node: Node, new: Node, halves: Sequence[Node]) -> Node | None:
    """A quotient of exponentials with its common factors cancelled where that is safe; None where nobody can tell.

    Args:
        difference: what reads the quotient.
        node: the quotient as written.
        new: the quotient with its common factors cancelled.
        halves: half of the arguments of its exponentials.
    """
    read = [difference.terms(each) for each in (node, *halves)]
    numbers = {number for polynomial in read[1:] for monomial in polynomial for number, _ in monomial}
    numbers |= {n for m in read[0] for n, _ in m if difference.known(difference.node(n)).operation != "expm1"}
    leaves = [difference.node(number) for number in sorted(numbers)]
    within = reachable([node, new, *halves], leaves)
    given = {each.number for each in leaves}
    if any(each.operation == "input" and each.number not in given for each in within):
        return None
    if any(each.shape != node.shape or each.dtype != node.dtype for each in (*leaves, new)):
        return None
    builder = difference.builder
    written, cancelled = (builder.function([each], leaves, effects=False) for each in (node, new))
    small = builder.function(halves, leaves, effects=False)

    def chosen(*values: Any, quotient: int) -> Any:
        del quotient  # it tells the operations of two quotients apart
        still = [jax.lax.stop_gradient(value) for value in values]
        taken = jnp.stack([jnp.abs(half) <= SMALL for half in small(*still)]).all(0)
        ordinary = [jnp.asarray(ORDINARY[i % len(ORDINARY)], value.dtype) for i, value in enumerate(values)]
        inside = cancelled(*(jnp.where(taken, v, o) for v, o in zip(values, ordinary, strict=True)))[0]
        outside = written(*(jnp.where(taken, o, v) for v, o in zip(values, ordinary, strict=True)))[0]
        return jnp.where(taken, inside, outside)

    return difference.emit(Operation("exponential_pair", chosen, whole=True), *leaves, quotient=node.number)


__all__ = ["or_as_written"]
