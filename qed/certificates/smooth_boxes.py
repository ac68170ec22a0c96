"""Series of balls of a program that calls library functions which are smooth where their bodies have a tie.

On boxes, as certificates of critical points ask them, and along lines, as those of Taylor series do: of the program as
it is, and where that is not smooth, of the same real function without the tie (`qed.certificates.library.smooth`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from qed.certificates.certificate import placed
from qed.certificates.library import smooth
from qed.domains.ball_boxes import BallBoxes, NotSmooth
from qed.domains.ball_series import BallSeries
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.trace import Traced
from qed.graph.walk import Unknown, Walker

Array = np.ndarray


class SmoothBoxes(BallBoxes):
    """`BallBoxes` that ask the functions themselves where the bodies are not smooth.

    >>> import jax
    >>> from qed.graph.trace import trace
    >>> zero = np.zeros(1)
    >>> _, (row,) = SmoothBoxes(trace(jax.nn.softplus, 0.0)).series(zero, zero, np.eye(1), 4)
    >>> [round(float(c), 6) for c in row]
    [0.693147, 0.5, 0.125, 0.0, -0.005208]
    """

    @cached_property
    def _smooth(self) -> BallBoxes | None:
        other = smooth(self.traced)
        return None if other is self.traced else BallBoxes(other, self.component, self.bits)

    def _carried(self, lower: Array, upper: Array, directions: Array, order: int) -> tuple[Any, Any]:
        try:
            return super()._carried(lower, upper, directions, order)
        except NotSmooth:
            if self._smooth is None:
                raise
            return self._smooth._carried(lower, upper, directions, order)


def series_of(domain: BallSeries, traced: Traced, lines: Sequence[Any], node: str) -> Any:
    """The series of a function's one number along lines: the values of its parameters, in series of balls.

    Raises:
        CertificateError: of `node`, where the function may not be smooth there.
    """
    try:
        return _series(domain, traced, lines, node)
    except CertificateError:
        other = smooth(traced)
        if other is traced:
            raise
        return _series(domain, other, lines, node)


def _series(domain: BallSeries, traced: Traced, lines: Sequence[Any], node: str) -> Any:
    (cell, *_) = Walker([domain]).run(traced.graph, placed(traced, lines))
    value = cell.values[0]
    if isinstance(value, Unknown):
        raise CertificateError(node, str(value))
    with precision(domain.bits, domain.order + 1):
        value = domain.number(value)
    if value.shape != ():
        raise CertificateError("function", f"it returns an array of shape {value.shape}, not a number")
    if value.doubt:
        place = value.doubt.place
        raise CertificateError(node, str(place) if place else "the function may not be smooth there")
    return value.array.item()
