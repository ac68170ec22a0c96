"""Arrays of weights in [0, 1], as their use shows: y and 1 - y, each times something else.

A Bernoulli likelihood, -y log p - (1 - y) log(1 - p), and a step between two values, (1 - t) a + t b, keep their digits
for weights in [0, 1], and cancel for a "label" of a million, which nobody has. Where the digits are counted such an
input is drawn from [0, 1], its ends among it. Nothing else follows from it: the function stays what it is everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from qed.graph.build import Builder, Node, reachable
from qed.graph.dtypes import is_real
from qed.graph.graph import Graph
from qed.numerics.rewriting.scales import constant_of
from qed.numerics.rewriting.signs import MOVES

_SAME = MOVES | {"convert_element_type", "neg"}


def weights(graph: Graph) -> frozenset[int]:
    """The positions of the arrays y that a graph uses as y and 1 - y alone, both times what does not depend on y.

    A single number is not drawn from [0, 1]: a parameter may be anything, and labels come in arrays.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> one = jnp.ones(3)
        >>> sorted(weights(trace(lambda a, b, t: (1 - t) * a + t * b, one, one, one).graph))
        [2]
        >>> sorted(weights(trace(lambda x: x * (1 - x), one).graph))
        []
    """
    builder = Builder()
    inputs = builder.inputs(graph)
    users: dict[int, list[Node]] = {}
    for node in reachable([*builder.inline(graph, inputs), *builder.effects]):
        for child in dict.fromkeys(node.children):
            users.setdefault(child.number, []).append(node)
    arrays = [i for i, node in enumerate(inputs) if is_real(node.dtype) and math.prod(node.shape) > 1]
    return frozenset(i for i in arrays if _is_weight(inputs[i], users))


def _is_weight(node: Node, users: dict[int, list[Node]]) -> bool:
    if not any(user.operation in {"sub", *_SAME} for user in users.get(node.number, [])):
        return False
    depending = _above(node, users)
    times, complements = _uses(node, users, depending)
    if times is None or not times or not complements:
        return False
    others = [_uses(each, users, depending) for each in complements]
    return all(found and not more for found, more in others)


def _above(node: Node, users: dict[int, list[Node]]) -> set[int]:
    """The numbers of the nodes that depend on one, itself among them."""
    found, pending = {node.number}, [node]
    while pending:
        for user in users.get(pending.pop().number, []):
            if user.number not in found:
                found.add(user.number)
                pending.append(user)
    return found


def _uses(node: Node, users: dict[int, list[Node]], depending: set[int]) -> tuple[int | None, list[Node]]:
    """How often a value is multiplied with what does not depend on it (None: it has another use); what is 1 less it."""
    count, complements, pending = 0, list[Node](), [node]
    while pending:
        each = pending.pop()
        for user in users.get(each.number, []):
            if user.operation in _SAME:
                pending.append(user)
            elif user.operation == "mul" and sum(c.number in depending for c in user.children) == 1:
                count += 1
            elif user.operation == "sub" and constant_of(user.children[0]) == 1 and user.children[1] is each:
                complements.append(user)
            else:
                return None, []
    return count, complements


def drawn_from_unit(points: Sequence[np.ndarray], positions: frozenset[int], seed: int) -> list[np.ndarray]:
    """Points with some of the inputs in [0, 1]; others are drawn: 0 or 1, near one of them, or anywhere between."""
    found = list(points)
    for i in sorted(positions):
        rng, x = np.random.default_rng([seed, i]), points[i]
        rows = [row if np.all((row >= 0) & (row <= 1)) else _draw(rng, row.shape).astype(x.dtype) for row in x]
        found[i] = np.stack(rows) if rows else x
    return found


def _draw(rng: Any, shape: tuple[int, ...]) -> np.ndarray:
    kind = rng.integers(4)
    if kind < 2:
        return rng.integers(0, 2, shape).astype(np.float64)
    small = 10 ** -rng.uniform(0, 8, shape)
    return np.asarray(rng.random(shape) if kind == 2 else np.where(rng.random(shape) < 0.5, small, 1 - small))


__all__ = ["drawn_from_unit", "weights"]
