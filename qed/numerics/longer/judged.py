"""What a rewritten graph still loses at points of all magnitudes, beside the same graph in longer numbers.

At each point (`probes`) both are evaluated. The point counts against the graph where at least `LOST` bits of a result
are wrong and either

- a difference that can cancel did (`candidates`): |a - b| is at most 2^-CANCELLED of the larger of both; or
- a function with a steep slope met a rounded number: |x f'(x) / f(x)| is at least 2^CANCELLED, as for the logarithm
  near 1 and the arccosine near 1; or
- it overflowed: the result is no number or infinite, and is a number of the dtype in truth, where the function is.

A single zero of a smooth function is met by chance: it costs k bits at about one point in 2^k. So some points count
for nothing, and `LEAST` of `probes.COUNT` are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from qed import facts
from qed.graph.build import Node
from qed.graph.dtypes import as_wide, is_real, unit_roundoff
from qed.numerics.longer.candidates import STEEP
from qed.numerics.longer.numbers import in_numpy
from qed.numerics.rewriting.session import Rewritten

LOST = 12.0
KEPT = 4.0
"""A result that has no more bits than these right has lost too many, whatever its dtype."""
CANCELLED = 6.0
LEAST = 4
MOST = 64
"""At so many points, evenly chosen among those where something can be lost, the truth is computed."""


@dataclass(frozen=True)
class Judgement:
    """At how many points a graph lost digits to some nodes or overflowed, an array counting by its share of numbers."""

    points: float
    blamed: tuple[Node, ...]


def judged(
    short: Rewritten,
    truth: Callable[[list[np.ndarray]], list[np.ndarray] | None],
    nodes: Sequence[Node],
    points: Sequence[np.ndarray],
    normwise: int,
    bits: tuple[float, float] = (LOST, CANCELLED),
) -> Judgement:
    """Compare a graph with its evaluation in longer numbers, at those points where one of the three can be.

    Args:
        short: the rewritten graph in the program's dtype.
        truth: the same in longer numbers at some points; NaN where it is not known.
        nodes: what may have lost digits.
        points: one array an input, points along its first axis.
        normwise: from which output on an array is judged by its largest element (gradients are).
        bits: how many a result must have lost, and how many a node.
    """
    count = len(short.outputs)
    operands = [child for node in nodes for child in node.children]
    function = short.builder.function([*short.outputs, *operands], short.inputs, effects=False)
    found = in_numpy(function, points)
    real = [i for i in range(count) if is_real(found[i].dtype)]
    rest = iter(found[count:])
    causes = [_cause(node, [as_wide(next(rest)) for _ in node.children], bits[1]) for node in nodes]
    infinite = [~np.all(np.isfinite(_flat(found[i])), axis=1) for i in real]
    suspected = np.flatnonzero(np.any([*causes, *infinite], axis=0)) if real else np.zeros(0, int)
    chosen = suspected[np.unique(np.linspace(0, len(suspected) - 1, min(MOST, len(suspected))).astype(int))]
    true = truth([x[chosen] for x in points]) if len(chosen) else None
    if true is None:
        return Judgement(0, ())
    pairs = [(found[i][chosen], true[i]) for i in real]
    lost = np.max([_lost(*pair, i >= normwise, bits[0]) for i, pair in zip(real, pairs, strict=True)], axis=0)
    defined = [np.all(np.isfinite(_flat(true[i])), axis=1) for i in real if i < normwise]
    burst = np.max([_burst(*pair) for pair in pairs], axis=0) * np.all(defined, axis=0)
    guilty = [lost * cause[chosen] for cause in causes]
    harmed = np.max([burst, *guilty], axis=0).sum() * len(suspected) / len(chosen)
    return Judgement(float(harmed), tuple(n for n, g in zip(nodes, guilty, strict=True) if g.any()))


def _flat(array: Any) -> np.ndarray:
    found = as_wide(array)
    return found.reshape(len(found), -1)


def _lost(found: Any, truth: Any, normwise: bool, bits: float) -> np.ndarray:
    """The share of the numbers of a result that have lost digits, at each point."""
    a, b, unit = _flat(found), _flat(truth), unit_roundoff(found.dtype)
    info = jnp.finfo(found.dtype)
    size = np.maximum(np.abs(b), float(info.tiny))
    with np.errstate(all="ignore"):
        size = np.maximum(size, size.max(axis=1, keepdims=True, initial=0.0)) if normwise else size
        wrong = np.abs(a - b) >= (2.0 ** min(bits, -np.log2(unit) - KEPT) - 1) * unit * size
    return _share(wrong & np.isfinite(a) & (np.abs(b) <= float(info.max)))


def _burst(found: Any, truth: Any) -> np.ndarray:
    """The share of the numbers that are NaN or infinite and should not be, at each point."""
    a, b = _flat(found), _flat(truth)
    return _share(~np.isfinite(a) & (np.abs(b) <= float(jnp.finfo(found.dtype).max) / 2))


def _share(mask: np.ndarray) -> np.ndarray:
    return mask.mean(axis=1) if mask.shape[1] else np.zeros(len(mask))


def _cause(node: Node, operands: Sequence[np.ndarray], least: float) -> np.ndarray:
    """At which points a node may have multiplied the errors of its operands."""
    rank = max(a.ndim for a in operands)
    a, *others = (x.reshape(x.shape[0], *(1,) * (rank - x.ndim), *x.shape[1:]) for x in operands)
    with np.errstate(all="ignore"):
        if node.operation in STEEP:
            bits = np.log2(np.abs(condition(node.operation, a, *others)))
        else:
            b = others[0] if node.operation == "sub" else -others[0]
            bits = np.log2(np.maximum(np.abs(a), np.abs(b)) / np.abs(a - b))
    bits = np.where(np.isnan(bits), 0.0, bits)
    return np.any((bits >= least).reshape(len(bits), -1), axis=1)


def condition(name: str, x: np.ndarray, *others: np.ndarray) -> np.ndarray:
    """By how much a function multiplies a relative error of x: x f'(x) / f(x), f' from its fact card.

    >>> condition("log", np.array([np.e])).round(9), condition("pow", np.array([2.0]), np.array([3.0])).round(9)
    (array([1.]), array([3.]))
    """
    if name in facts.ARITHMETIC:
        form = facts.ARITHMETIC[name]
        slope = form.partials[0]
        assert slope is not None
        value = facts.NUMPY.call(name, x, *others)
        at = dict(zip((*form.arguments, "z"), (x, *others, value), strict=True))
        return x * slope.evaluate(arithmetic=facts.NUMPY, **at) / value
    card = facts.card(name)
    assert card is not None
    value = card.numpy(x)
    return x * card.derivative.evaluate(arithmetic=facts.NUMPY, x=x, y=value) / value


__all__ = ["Judgement", "condition", "judged"]
