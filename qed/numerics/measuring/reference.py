"""What a result should have been: the real-number meaning of the graph at the same inputs, its constants exact.

*Balls* enclose it; their precision is raised until the ball is narrow beside the digits of the result's dtype. They
decide branches by themselves, and a branch that they cannot decide leaves a wide ball, so that a narrow one is a proof.
Beyond the size for balls, *float64* beside a narrower program. It is no truth: a formula that loses float32's digits
often loses float64's too (of 100 that did, 77 lost more than 6 bits there). So it is believed only where its own
running error bound (`qed.domains.rounding`), with the adjoints taken at its own numbers, is small beside the digits of
the result; elsewhere nothing is said.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.domains.ball import Ball
from qed.domains.balls import Balls
from qed.domains.bits import Format
from qed.domains.ends import floats
from qed.domains.precision import precision
from qed.errors import QedError
from qed.graph.dtypes import is_real
from qed.graph.graph import Graph
from qed.graph.walk import TooLong, Unknown, Walker

PRECISIONS = (120, 400, 1300, 4200)
"""Bits of the balls; float64 goes down to 2^-1074, its squares to half of that."""

OPERATIONS = 100_000
"""How many operations on single numbers balls are asked for, without a budget."""

SPEED = 50_000
"""Operations in a second of a budget (measured: 0.1 to 8 us each at 100 bits)."""

GUARD = 12
"""A ball is narrow where it fixes that many bits more than the dtype has."""


@dataclass(frozen=True, eq=False)
class Enclosed:
    """The outputs enclosed; None for outputs that are no real numbers.

    Args:
        balls: an array of python-flint balls per output.
        bits: the precision at which all of them were narrow.
    """

    balls: tuple[Any, ...]
    bits: int

    def middle(self, output: int) -> np.ndarray:
        """The nearest float64 numbers; 0 for balls that hold it, which are narrow beside the smallest normal number."""
        low, high = floats(self.balls[output].ravel())
        middle = np.where((low <= 0) & (high >= 0), 0.0, low / 2 + high / 2)
        return middle.reshape(self.balls[output].shape)


def enclosed(
    graph: Graph, arrays: Sequence[Any], wanted: Sequence[int], executed: int, deadline: float | None = None
) -> Enclosed | str:
    """Narrow balls about the outputs `wanted`, or what was in the way, as a sentence.

    Args:
        graph: the graph.
        arrays: one array per input.
        wanted: which outputs.
        executed: how many equations the program executed; real numbers that take far longer go another way.
        deadline: as of `time.monotonic`, after which the precision is raised no more.
    """
    problem = "no precision was enough"
    for bits in PRECISIONS:
        try:
            cells = Walker([Ball(bits)], limit=10 * executed + 1000).run(graph, arrays)
        except QedError as error:
            return f"{error.what}: {error.because}"
        except TooLong:
            return "in real numbers a loop of the program does not end where the program's does"
        found: list[Any] = [None] * len(graph.outputs)
        problem = ""
        for k in wanted:
            value = cells[k].values[0]
            if isinstance(value, Unknown):
                problem = str(value)
                break
            with precision(bits):
                balls = Ball(bits).number(value)
            problem = _wide(balls, Format.of(cells[k].dtype))
            if problem:
                break
            found[k] = balls.array
        if not problem:
            return Enclosed(tuple(found), bits)
        if deadline is not None and time.monotonic() > deadline:
            break
    return problem


def _wide(value: Balls, form: Format) -> str:
    """Why an enclosure is not narrow; '' where it is."""
    if value.doubt:
        place = value.doubt.place
        return str(place).replace("somewhere on the box", "at this point") if place else ("the value may be infinite")
    for ball in value.array.ravel():
        size = max(float(abs(ball).lower()), form.tiny)
        if not float(ball.rad()) <= size * form.unit * 2.0**-GUARD and not _accurate(ball, form):
            return f"the enclosure {ball.str(8)} stays wide"
    return ""


def _accurate(ball: Any, form: Format) -> bool:
    """The same for numbers beyond float64's range."""
    return bool(ball.is_finite()) and ball.rel_accuracy_bits() >= form.digits + GUARD


def floating(graph: Graph) -> list[int]:
    """The outputs that hold real floating-point numbers."""
    return [k for k, atom in enumerate(graph.outputs) if is_real(atom.dtype) and 0 not in atom.shape]
