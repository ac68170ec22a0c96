"""What is found of one part of an integral: two balls, and why there is none.

An integral may be infinite, at one end or beside a number; at two such places with opposite signs it is undefined.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qed.domains.precision import flint
from qed.errors import CertificateError

BOTH = "it diverges to +inf at one place and to -inf at another: the integral is undefined"


class Undefined(CertificateError):
    """Both ends of a part diverge, with opposite signs."""


class Unbounded(CertificateError):
    """The integrand is not bounded, or not defined, on a cell that is too small to be halved: near `place`."""

    def __init__(self, node: str, place: float) -> None:
        super().__init__(node, f"the integrand is not bounded near {place!r}")
        self.place = place


def infinity(sign: int) -> Any:
    """A ball of +inf or -inf."""
    return flint().arb.pos_inf() if sign > 0 else flint().arb.neg_inf()


@dataclass(frozen=True)
class Found:
    """Balls of the integrals of f exp(u) and exp(u)."""

    of_f: Any
    mass: Any

    def __add__(self, other: Found) -> Found:
        return Found(self.of_f + other.of_f, self.mass + other.mass)

    @property
    def finite(self) -> bool:
        """Whether both are bounded."""
        return bool(self.of_f.is_finite() and self.mass.is_finite())
