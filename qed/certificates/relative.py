"""The share of one part of a measure, with a small error in parts of itself: tail probabilities, and what is as tiny.

    E f = int f exp(u) dx / int exp(u) dx

Where the first integral is smaller than what the second is known to, both are enclosed for themselves: the cells of the
first are halved where most of f exp(u) is lost, whatever is left open of exp(u) elsewhere; the second is the closed
form of a named density, or an integral of its own. References: see `qed.certificates.expectation`.
"""

from __future__ import annotations

from typing import Any, ClassVar, final

import jax
import numpy as np

from qed.certificates.found import Found
from qed.certificates.integral_parts import Part
from qed.certificates.series import loss
from qed.domains.masses import log_mass
from qed.errors import CertificateError
from qed.graph.trace import Traced, trace

SMALL, CLOSE = 1e-6, 1e-10
"""Expectations below this are enclosed so, and bounds that are closer than this, in parts of the mass."""


@final
class Alone(Part):
    """A part of which only int f exp(u) counts."""

    tail_room: ClassVar[float] = 0.0

    def _narrow(self, found: Found, room: float) -> bool:
        value = found.of_f
        return bool(value.is_finite() and (value.is_zero() or value.rad() < room * abs(value).lower()))

    def _lost(self, found: Found) -> float:
        return loss(found.of_f)


def share(traced: Traced, part: Any, output: int, node: str, room: float) -> Any:
    """A ball of the part's share, of a radius that is `room` in parts of it, if the cells suffice."""
    name, parameters, cuts, weight, probability = part
    Part(traced, part, output, node)  # raises where the parameters or the support are wrong
    if not probability:
        raise CertificateError(node, "it is no probability")
    above = Alone(traced, (name, parameters, cuts, weight, False), output, node).mean(room)
    if above.is_zero():
        return above
    if name:
        return above / log_mass(name, parameters).exp()
    whole = Part(traced, ("", (), cuts, "1", False), output, node, relative=True)
    whole.f = _one()
    mass = whole.mean(room)
    if not (mass.is_finite() and mass > 0):
        raise CertificateError(node, "the mass is not proved to be positive and finite")
    return above / mass


def tiny(lower: float, upper: float, weight: float) -> bool:
    """Whether bounds of an expectation ask for a small error in parts of it, the masses of the parts given."""
    same = lower > 0 or upper < 0
    return bool(same and max(abs(lower), abs(upper)) < SMALL * weight and upper - lower < CLOSE * weight)


def _one() -> Traced:
    """The number 1 as a function."""
    with jax.enable_x64(True):
        return trace(lambda x: 0 * x + 1, np.float64(0.5))
