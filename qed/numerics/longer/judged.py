"""What a rewritten graph still loses at points of all magnitudes, beside the same graph in longer numbers.

At each point (`probes`) both are evaluated. The point counts against the graph where so many bits of a result are wrong
(`Limits`) and one of these is true

- a difference that can cancel did (`candidates`): |a - b| is at most 2^-CANCELLED of the larger of both; or
- a function with a steep slope met a rounded number: |x f'(x) / f(x)| is at least 2^CANCELLED, as for the logarithm
  near 1 and the arccosine near 1; or
- a square of 16-bit numbers left their range; or
- it overflowed: the result is no number or infinite, and is a number of the dtype in truth, where the function is.

A single zero of a smooth function is met by chance: it costs k bits at about one point in 2^k. So some points count
for nothing, and the fewer bits are lost, the more points are asked for.

A rewriting is right at most points where the original is not, and may round more often where it is, or leave some of
what was lost: `left` counts among the points at which both differ. Beside a zero of the function it counts nothing.
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
from qed.numerics.longer.candidates import STEEP, SUMS, is_short_square
from qed.numerics.longer.numbers import in_numpy
from qed.numerics.rewriting.session import Rewritten

KEPT = 4.0
"""A result that has no more bits than these right has lost too many, whatever its dtype."""
CANCELLED = 6.0
BROKEN, WRONG, MORE = 6.0, 3.0, 1.0
"""Bits that are lost where something is broken; that a rewritten result may lose; that it may lose more than before."""
FEW = 3.0
"""At how many probes a rewritten result may lose over 3 bits; fewer are chance."""
STEP = 1 / 8
"""By how much of themselves inputs move where it is seen whether a result is beside a zero."""
MOST = 64
"""At so many points, evenly chosen among those where something can be lost, the truth is computed."""


Limits = tuple[tuple[float, float], ...]
"""Pairs: how many bits a result must have lost to count, and how many points must count; one pair is enough."""


@dataclass(frozen=True)
class Judgement:
    """What a graph lost at some points to some nodes or by overflow.

    Args:
        points: at how many points, an array counting by its share of numbers, by the first of the limits.
        needed: whether there were enough points.
        blamed: the nodes.
    """

    points: float
    needed: bool
    blamed: tuple[Node, ...]


NOTHING = Judgement(0.0, False, ())


def judged(
    short: Rewritten,
    truth: Callable[[list[np.ndarray]], list[np.ndarray] | None],
    nodes: Sequence[Node],
    points: Sequence[np.ndarray],
    normwise: int,
    limits: Limits,
    cancelled: float = CANCELLED,
) -> Judgement:
    """Compare a graph with its evaluation in longer numbers, at those points where one of the three can be.

    Args:
        short: the rewritten graph in the program's dtype.
        truth: the same in longer numbers at some points; NaN where it is not known.
        nodes: what may have lost digits.
        points: one array an input, points along its first axis.
        normwise: from which output on an array is judged by its largest element (gradients are).
        limits: how many bits at how many points are enough.
        cancelled: how many bits a node must have lost.
    """
    count = len(short.outputs)
    operands = [child for node in nodes for child in node.children]
    function = short.builder.function([*short.outputs, *operands], short.inputs, effects=False)
    found = in_numpy(function, points)
    real = [i for i in range(count) if is_real(found[i].dtype)]
    rest = iter(found[count:])
    causes = [_cause(node, [as_wide(next(rest)) for _ in node.children], cancelled) for node in nodes]
    infinite = [~np.all(np.isfinite(_flat(found[i])), axis=1) for i in real]
    if not real:
        return NOTHING
    undefined = np.any(infinite, axis=0)  # most of these points are outside of the function's domain
    groups = [np.flatnonzero(np.any(causes, axis=0) & ~undefined), np.flatnonzero(undefined)]
    parts = [_some(group) for group in groups]
    weights = np.concatenate([np.full(len(p), len(g) / max(1, len(p))) for g, p in zip(groups, parts, strict=True)])
    chosen = np.concatenate(parts)
    true = truth([x[chosen] for x in points]) if len(chosen) else None
    if true is None:
        return NOTHING
    lost = [_bits(found[i][chosen], true[i], i >= normwise) for i in real]
    defined = [np.all(np.isfinite(_flat(true[i])), axis=1) for i in real if i < normwise]
    burst = np.max([_burst(found[i][chosen], true[i]) for i in real], axis=0) * np.all(defined, axis=0)
    digits = -np.log2(unit_roundoff(found[real[0]].dtype)) - KEPT
    counts, blamed = list[float](), dict[Node, None]()
    for bits, _ in limits:
        share = np.max([_share(each >= min(bits, digits)) for each in lost], axis=0)
        guilty = [share * cause[chosen] for cause in causes]
        counts.append(float(np.sum(np.max([burst, *guilty], axis=0) * weights)))
        blamed |= {node: None for node, each in zip(nodes, guilty, strict=True) if each.any()}
    needed = any(count >= least for count, (_, least) in zip(counts, limits, strict=True))
    return Judgement(counts[0], needed, tuple(blamed))


@dataclass(frozen=True)
class Left:
    """What a graph leaves of what was lost, beside the function as written: at how many points, by shares of numbers.

    Args:
        wrong: it loses over `WRONG` bits, and the function over `BROKEN` or fewer than the graph; beside no zero.
        beside: the same, beside zeros too.
        worse: it loses over `WRONG` bits, and the function fewer by over `MORE`; beside no zero.
        mended: the function loses over `BROKEN` bits or is no number, and the graph at most `WRONG`.
        apart: at how many points they differ by over `WRONG` bits, or one is no number.
        milder: the function loses over `WRONG` bits, and the graph fewer by over `MORE`; beside no zero.
        burst: the graph is no number, and the function is one.
    """

    wrong: float = 0.0
    beside: float = 0.0
    worse: float = 0.0
    mended: float = 0.0
    apart: int = 0
    milder: float = 0.0
    burst: float = 0.0

    def keeps(self, longer: bool) -> bool:
        """Whether the function as written loses less than the graph does, as far as these points show.

        Where a result cancels, what is left of both is noise, and each of them loses less at about as many points.

        Args:
            longer: whether there are longer numbers, which are better where each of both is right at some points.
        """
        if self.worse <= 2 * self.milder and not self.burst:
            return False
        if longer:
            return self.worse >= FEW and not self.mended and self.wrong - self.worse < FEW
        return self.worse >= FEW and self.worse > self.mended


def left(
    short: Rewritten,
    written: Callable[..., Sequence[Any]],
    truth: Callable[[list[np.ndarray]], list[np.ndarray] | None],
    points: Sequence[np.ndarray],
    normwise: int,
    most: int = MOST,
) -> Left:
    """Compare a graph with the function as written at those points where they differ.

    Args:
        short: the rewritten graph in the program's dtype.
        written: the function as written, or its derivative, with the outputs of the graph.
        truth: the same in longer numbers.
        points: one array an input.
        normwise: from which output on an array is judged by its largest element.
        most: at how many points the truth is computed.
    """
    found, others = (in_numpy(function, points) for function in (short.function, written))
    real = [i for i, x in enumerate(found) if is_real(x.dtype)]
    if not real:
        return Left()
    suspected = _apart(found, others, normwise)
    chosen = _some(suspected, most)
    true = truth([x[chosen] for x in points]) if len(chosen) else None
    if true is None:
        return Left(apart=len(suspected))
    wrong, worse, better, milder, bursts = [], [], [], [], []
    for i in real:
        ours, theirs = (_bits(x[i][chosen], true[i], i >= normwise) for x in (found, others))
        known = np.isfinite(_flat(true[i]))
        lost, burst = (known & ~np.isfinite(_flat(x[i][chosen])) for x in (found, others))
        broken = (theirs > BROKEN) | ~np.isfinite(_flat(others[i][chosen]))
        wrong.append((ours > WRONG) & (broken | (ours > theirs + MORE)))
        worse.append(~burst & (lost | ((ours > WRONG) & (ours > theirs + MORE))))
        milder.append(~lost & known & (burst | ((theirs > WRONG) & (theirs > ours + MORE))))
        bursts.append(lost & ~burst)
        better.append(known & ~lost & broken & (ours <= WRONG))
    weight = len(suspected) / len(chosen)
    if not any(map(np.any, [*wrong, *worse])):
        return Left(mended=_most(better) * weight, apart=len(suspected))
    chance = _beside_zeros(short.function, [x[chosen] for x in points], [found[i][chosen] for i in real], real)
    kinds = (wrong, worse, milder)
    first, third, fifth = ([each & ~beside for each, beside in zip(kind, chance, strict=True)] for kind in kinds)
    counted = [_most(kind) * weight for kind in (first, wrong, third, better, fifth)]
    wrong_apart, beside, worse_apart, mended, milder_apart = counted
    return Left(wrong_apart, beside, worse_apart, mended, len(suspected), milder_apart, _most(bursts) * weight)


def _apart(found: Sequence[Any], others: Sequence[Any], normwise: int) -> np.ndarray:
    """At which points some results differ by over `WRONG` bits, or one of two is no number."""
    real = [i for i, x in enumerate(found) if is_real(x.dtype)]
    bursts = [np.any(np.isfinite(_flat(found[i])) != np.isfinite(_flat(others[i])), axis=1) for i in real]
    differ = [np.any(_bits(found[i], others[i], i >= normwise) > WRONG, axis=1) for i in real]
    return np.flatnonzero(np.any([*bursts, *differ], axis=0))


def _most(masks: Sequence[np.ndarray]) -> float:
    """The number of points, by the result that has the most of them."""
    return max(float(_share(mask).sum()) for mask in masks)


def _beside_zeros(
    function: Callable[..., Sequence[Any]], points: Sequence[np.ndarray], found: Sequence[np.ndarray], real: list[int]
) -> list[np.ndarray]:
    """Which numbers of some results change their sign when the inputs move by `STEP` of themselves."""
    rng, count = np.random.default_rng(0), len(found[0])
    moved = []
    for x in points:
        signs = [1, -1, *(rng.choice([-1, 1], x.shape) for _ in range(2))]
        with np.errstate(over="ignore"):
            each = [(x * (1 + STEP * sign)).astype(x.dtype) if is_real(x.dtype) else x for sign in signs]
        moved.append(np.concatenate(each))
    others = [_flat(each).reshape(4, count, -1) for each in in_numpy(function, moved)]
    return [np.any(np.sign(others[i]) * np.sign(_flat(x)) < 0, axis=0) for i, x in zip(real, found, strict=True)]


def _some(places: np.ndarray, most: int = MOST) -> np.ndarray:
    """At most so many of some places, evenly chosen."""
    return places[np.unique(np.linspace(0, len(places) - 1, min(most, len(places))).astype(int))]


def _flat(array: Any) -> np.ndarray:
    found = as_wide(array)
    return found.reshape(len(found), -1)


def _bits(found: Any, truth: Any, normwise: bool) -> np.ndarray:
    """The bits that every number has lost, at each point; 0 where it is not finite, or the truth is not known."""
    a, b, unit = _flat(found), _flat(truth), unit_roundoff(found.dtype)
    info = jnp.finfo(found.dtype)
    size = np.maximum(np.abs(b), float(info.tiny))
    with np.errstate(all="ignore"):
        size = np.maximum(size, size.max(axis=1, keepdims=True, initial=0.0)) if normwise else size
        lost = np.log2(1 + np.abs(a - b) / (unit * size))
    return np.where(np.isfinite(a) & (np.abs(b) <= float(info.max)) & ~np.isnan(lost), lost, 0.0)


def _burst(found: Any, truth: Any) -> np.ndarray:
    """The share of the numbers that are NaN or infinite and should not be, at each point."""
    a, b = _flat(found), _flat(truth)
    return _share(~np.isfinite(a) & (np.abs(b) <= float(jnp.finfo(found.dtype).max) / 2))


def _share(mask: np.ndarray) -> np.ndarray:
    return mask.mean(axis=1) if mask.shape[1] else np.zeros(len(mask))


def _cause(node: Node, operands: Sequence[np.ndarray], least: float) -> np.ndarray:
    """At which points a node may have multiplied the errors of its operands."""
    if is_short_square(node):
        info, size = jnp.finfo(node.dtype), np.abs(operands[0]) ** max(2, node.params.get("y", 2))
        out = (size > float(info.max)) | ((size < float(info.tiny)) & (size > 0))
        return np.any((out & np.isfinite(operands[0])).reshape(len(size), -1), axis=1)
    if node.operation not in STEEP and node.operation not in SUMS:  # a loop
        return np.ones(len(operands[0]), bool)
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


__all__ = ["Judgement", "Left", "Limits", "condition", "judged", "left"]
