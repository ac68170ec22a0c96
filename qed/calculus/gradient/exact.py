"""A derivative and its rule in balls, where float64 has no digits of them left.

Both sides of one element of a comparison are graphs of plain numbers. Evaluated in ball arithmetic of more and more
bits, each is enclosed as narrowly as one likes, whatever its body cancels; then their difference is zero to the
tolerance, or it is not. Only small sites are looked at so, for balls are slow. Where python-flint is not installed, or
an operation has no balls, nothing is said.

Reference: Johansson, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic", IEEE Transactions on
Computers 66 (2017).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from qed.calculus.gradient.case import Case
from qed.domains.ball import Ball, precision
from qed.errors import QedError
from qed.graph.graph import Graph
from qed.graph.jaxpr import Reader
from qed.graph.walk import TooLong, Unknown, Walker

BITS = (128, 512, 2048)
"""How many bits are tried."""

LARGEST = 20_000
"""How many numbers a graph may compute, its loops counted once."""

SHARP = 1e-16
"""The relative radius from which on more bits change no digit that is shown."""

STEPS = 5_000
"""How many equations may be executed."""


@dataclass(frozen=True)
class Exactly:
    """Both sides of an element, to all digits of float64, and whether they are one number to the tolerance."""

    expected: float
    found: float
    agrees: bool


def exactly(case: Case, element: int, probe: Any = None) -> Exactly | None:
    """What balls say of an element; None where they do not decide it.

    Args:
        case: the comparison.
        element: which number of it.
        probe: the directions; those of the comparison if they are not given.
    """
    graphs = [_graph(side, case.inputs) for side in case.sides(element, probe)]
    if any(sum(int(np.prod(v.shape)) for e in g.walk() for v in e.outputs) > LARGEST for g in graphs):
        return None
    constants = case.constants
    rounded = float(constants) if np.ndim(constants) == 0 else float(np.asarray(constants)[element])
    for bits in BITS:
        try:
            found, expected = (_ball(graph, case.inputs, bits) for graph in graphs)
        except (QedError, TooLong):
            return None
        if found is None or expected is None:
            return None
        with precision(bits):
            gap, size = abs(found - expected), abs(found) + abs(expected)
            allowed = case.local.tolerance * size + rounded
            numbers = float(expected.mid()), float(found.mid())
            if bits < BITS[-1] and not bool(found.rad() + expected.rad() <= SHARP * size):
                continue
            if bool(gap <= allowed) or (bool(gap <= rounded) and not bool(size > 0)):
                return Exactly(*numbers, agrees=True)
            if bool(gap > allowed):
                return Exactly(*numbers, agrees=False)
    return None


def _graph(side: Callable[..., Any], inputs: Sequence[Any]) -> Graph:
    with jax.enable_x64(True):
        return Reader().graph(jax.make_jaxpr(side)(*inputs))


def _ball(graph: Graph, inputs: Sequence[Any], bits: int) -> Any:
    """The ball of a graph's number; None where a domain does not know it."""
    domain = Ball(bits)
    with jax.enable_x64(True):
        (cell,) = Walker([domain], limit=STEPS).run(graph, [jax.numpy.asarray(x) for x in inputs])
    value = cell.values[0]
    if isinstance(value, Unknown):
        return None
    with precision(bits):
        value = domain.number(value)
        ball = value.array.item()
        return ball if not value.doubt and ball.is_finite() else None
