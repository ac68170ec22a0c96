"""Curves along which an integral in several dimensions may diverge: the search for what a certificate is to prove.

Rays and tubes from places of interest (corners, 0, numbers that the program holds) and toward infinity are kept if the
integrand, times its Jacobian and the variable, does not fall over some steps of the variable in float64. Level sets of
values of the program are found by a change of sign along a coordinate. What is found is verified by
`qed.certificates.curved_sections`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from qed.certificates.certificate import placed
from qed.certificates.curved_sections import Crossing, Ray
from qed.certificates.named_laws import Law
from qed.certificates.patience import on_time
from qed.domains.densities import NAMED
from qed.domains.widened import Widened
from qed.graph.dtypes import is_real
from qed.graph.graph import Literal
from qed.graph.trace import Traced
from qed.integration.many.modes import batched, rowwise

Array = np.ndarray
START = 2.0**10
"""Where the tails begin."""
STEPS = (2.0**12, 2.0**20)
"""Between these the integrand is looked at,"""
FALLS = 0.03
"""and left out if it falls by more than this power."""
WINDOWS = ((0.5, 0.5625), (-0.5625, -0.5), (0.0, 0.0625), (-0.0625, 0.0))
"""The intervals of the other coordinates."""
FEW = 3
"""In more dimensions only the first two are taken."""
CENTRES, NUMBERS = 4, 2
"""How many places of interest a coordinate has at most, and how many of them are numbers that the program holds."""
MOST = 2**15
"""So many rays are looked at at most."""
SCANNED, CLOSER = 33, 6
"""Places of a coordinate at which the signs of values are looked at, and how often it is done again between two."""
REACH = 2.0**-6
"""How far the box about a level set goes, in parts of the numbers."""
VALUES = 24
"""So many values of the program are looked at at most."""


def rays(traced: Traced, factors: Sequence[Law], logarithm: bool) -> list[Ray]:
    """The rays that may diverge, the steepest first."""
    tried = list(itertools.islice(_rays(traced, factors), MOST))
    if not tried:
        return []
    size = _log_size(traced, factors, logarithm)
    levels = []
    for step in STEPS:
        points = np.array([_point(ray, step) for ray in tried])
        inside = np.all([(low <= x) & (x <= high) for (_, _, low, high), x in zip(factors, points.T, strict=True)], 0)
        with np.errstate(all="ignore"):
            found = size(points)
        exponent = np.array([_exponent(ray, len(factors)) for ray in tried])
        levels.append(np.where(inside, found + exponent * np.log(step), -np.inf))
    with np.errstate(all="ignore"):
        slope = (levels[1] - levels[0]) / np.log(STEPS[1] / STEPS[0])
    slope = np.where(np.isnan(slope) | ~np.isfinite(levels[0]), -np.inf, slope)
    order = np.argsort(-slope, kind="stable")
    return [tried[k] for k in order if slope[k] > -FALLS]


def _rays(traced: Traced, factors: Sequence[Law]) -> Iterator[Ray]:
    """All rays of the patterns."""
    count, numbers = len(factors), _numbers(traced)
    places = []
    for _, _, low, high in factors:
        found = [x for x in (0.0, low, high) if np.isfinite(x) and low <= x <= high]
        inner = [x for x in numbers if low < x < high and x not in found][:NUMBERS]
        places.append(list(dict.fromkeys([*found, *inner]))[:CENTRES])
    middle = tuple(low + 1 if np.isfinite(low) else high - 1 if np.isfinite(high) else 0.0 for *_, low, high in factors)
    for m, i in itertools.product((1, 0, -1), range(count)):
        for d in itertools.product((0.0, 1.0, -1.0), repeat=count):
            if d[i] == 0 or (m == 1 and any(x for k, x in enumerate(d) if k != i)):
                continue
            for boxes in _windows(count, i):
                yield i, True, m, START, middle, d, boxes
    for c in itertools.product(*places):
        for m, i, side in itertools.product((1, 2), range(count), (1.0, -1.0)):
            for boxes in _windows(count, i):
                yield i, False, m, START, c, tuple(side if k == i else 0.0 for k in range(count)), boxes


def _windows(count: int, i: int) -> Iterator[tuple[tuple[float, float], ...]]:
    """The intervals of the other coordinates; in many dimensions fewer."""
    each = WINDOWS if count <= FEW else WINDOWS[:2]
    return itertools.product(*(((0.0, 0.0),) if k == i else each for k in range(count)))


def _numbers(traced: Traced) -> list[float]:
    """Numbers that the program holds, and their negatives."""
    found: list[float] = []
    for equation in traced.graph.walk():
        for atom in equation.inputs:
            if isinstance(atom, Literal) and np.shape(atom.value) == () and is_real(atom.dtype):
                found += [float(atom.value), -float(atom.value)]
    for leaf in (array for _, array in traced.graph.constants):
        if np.ndim(leaf) <= 1 and np.size(leaf) <= NUMBERS and np.asarray(leaf).dtype.kind == "f":
            found += np.ravel(np.asarray(leaf, np.float64)).tolist()
    return list(dict.fromkeys(x for x in found if np.isfinite(x)))


def _point(ray: Ray, step: float) -> list[float]:
    """A point of a ray."""
    i, far, m, _, c, d, boxes = ray
    u = step if far else 1 / step
    return [c[k] + d[k] * u + (0.0 if k == i else (boxes[k][0] + boxes[k][1]) / 2 * u**m) for k in range(len(c))]


def _exponent(ray: Ray, count: int) -> float:
    """The power of the step by which the integrand is multiplied: the Jacobian, and the step of a logarithm."""
    _, far, m, *_ = ray
    return (m * (count - 1) + 1) * (1.0 if far else -1.0)


def _log_size(traced: Traced, factors: Sequence[Law], logarithm: bool) -> Callable[[Array], Array]:
    """log |f p| of rows of points."""
    f = batched(traced, 0)

    def density(x: Any) -> Any:
        laws = [(k, NAMED[name], parameters) for k, (name, parameters, _, _) in enumerate(factors) if name]
        return sum((law.log_density(x[k], *parameters) for k, law, parameters in laws), 0.0 * x[0])

    weight = rowwise(density)

    def size(points: Array) -> Array:
        values = f(points)
        return (values if logarithm else np.log(np.abs(values))) + weight(points)

    return size


def crossings(traced: Traced, factors: Sequence[Law], logarithm: bool, about: Sequence[Array]) -> list[Crossing]:
    """Boxes about places where a value of the program changes its sign, and the integrand may diverge.

    Args:
        traced: the function.
        factors: the laws.
        logarithm: whether it is a log-density.
        about: points through which lines are laid.
    """
    graph, found = traced.graph, []
    chosen = [
        k
        for k, one in enumerate(graph.equations)
        if len(one.outputs) == 1 and one.outputs[0].shape == () and is_real(one.outputs[0].dtype)
    ][:VALUES]
    if not chosen:
        return []
    outputs = tuple(graph.equations[k].outputs[0] for k in chosen)
    inner = replace(traced, graph=replace(graph, outputs=outputs))
    values = rowwise(
        lambda x: jnp.stack([jnp.asarray(v, jnp.float64) for v in Widened()(inner.graph, placed(inner, [x]))])
    )
    size = _log_size(traced, factors, logarithm)
    for point, i in itertools.product(about, range(len(factors))):
        on_time()
        low, high = factors[i][2:]
        low, high = max(low, point[i] - 4.0), min(high, point[i] + 4.0)
        line = np.tile(point, (SCANNED, 1))
        line[:, i] = low + (high - low) * (np.arange(SCANNED) + 0.5) / SCANNED
        there = values(line)
        for j, k in enumerate(chosen):
            for turn in _turns(there[:, j])[:2]:
                root = _root(values, j, line, i, turn)
                if _diverges(size, point, i, root):
                    found += _boxes(k, i, factors, point, root)
    return found


def _turns(values: Array) -> Array:
    """Before which places the sign of numbers changes."""
    with np.errstate(all="ignore"):
        return np.flatnonzero((values[:-1] * values[1:] < 0) | (values[1:] == 0))


def _root(values: Callable[[Array], Array], j: int, line: Array, i: int, turn: int) -> float:
    """About where a value changes its sign along a coordinate."""
    line = np.array(line)
    for _ in range(CLOSER):
        a, b = line[turn, i], line[turn + 1, i]
        line[:, i] = a + (b - a) * np.arange(SCANNED) / (SCANNED - 1)
        turns = _turns(values(line)[:, j])
        if not turns.size:
            break
        turn = turns[0]
    return float(line[turn, i] / 2 + line[turn + 1, i] / 2)


def _diverges(size: Callable[[Array], Array], point: Array, i: int, root: float) -> bool:
    """Whether the integrand does not fall faster than the distance rises, in float64."""
    scale = max(1.0, abs(root))
    for side in (1, -1):
        rows = np.tile(point, (2, 1))
        steps = np.array([2.0**-8, 2.0**-18]) * scale
        rows[:, i] = root + side * steps
        with np.errstate(all="ignore"):
            levels = size(rows) + np.log(steps)
            if (levels[1] - levels[0]) / np.log(steps[0] / steps[1]) > -FALLS:
                return True
    return False


def _boxes(k: int, i: int, factors: Sequence[Law], point: Array, root: float) -> list[Crossing]:
    """The crossings of a level set, from both sides."""
    boxes = []
    for j, (_, _, low, high) in enumerate(factors):
        middle = root if j == i else float(point[j])
        reach = (REACH if j == i else REACH**2) * max(abs(middle), 1.0)
        boxes.append((max(low, middle - reach), min(high, middle + reach)))
    return [(k, i, side, START * 16, tuple(boxes)) for side in (1, -1)]
