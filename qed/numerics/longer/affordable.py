"""At how many points a function can be compared with the truth in a moment, where longer numbers are not for it.

A number costs some microseconds in balls, and an equation as much as a thousand numbers in NumPy: small functions are
compared at as many points as others are, large ones at fewer, and very large ones not at all. Nor are those that do
more than compute: loops that need not end, random numbers, callbacks.
"""

from __future__ import annotations

from qed import facts
from qed.graph.calls import Inline, Scan
from qed.graph.graph import Equation, Graph
from qed.numerics.longer.judged import MOST

NUMBERS = 60_000
"""How many numbers are computed in balls."""
LEAST = 8
"""At how few points nothing is seen."""
EQUATIONS = 400

_OF_NUMBERS = frozenset(facts.Class) - {facts.Class.CALL}


def affordable(graph: Graph) -> int:
    """At how many points a function is compared; 0 where it is not.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> affordable(trace(lambda x: jnp.exp(x), jnp.ones((30, 100))).graph)
        20
    """
    if graph.count() > EQUATIONS or not all(map(_computes, graph.walk())):
        return 0
    points = min(MOST, NUMBERS // max(1, _numbers(graph)))
    return points if points >= LEAST else 0


def _computes(equation: Equation) -> bool:
    if equation.call is not None:
        return isinstance(equation.call, Inline | Scan)
    return facts.classify(equation.primitive) in _OF_NUMBERS and not equation.primitive.startswith("random")


def _numbers(graph: Graph) -> int:
    """How many numbers a run computes, loops step by step."""
    total = 0
    for equation in graph.equations:
        steps = equation.call.length if isinstance(equation.call, Scan) else 1
        inner = equation.call.graphs if equation.call is not None else ()
        total += steps * sum(map(_numbers, inner)) if inner else sum(_size(v.shape) for v in equation.outputs)
    return total


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


__all__ = ["affordable"]
