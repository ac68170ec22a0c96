"""The densities of a law that is compared with another: where their mass is, and what a density is multiplied by.

A part of a measure holds exp(u) up to a constant; w exp(u(x)) / Z is its density. The mass of a named family is a
closed form; of a log-density of the user's it is measured. What was meant as a logarithm, and is a density, is told.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from qed.certificates.certificate import Subject
from qed.certificates.expectation import LogMass
from qed.domains.densities import NAMED
from qed.domains.masses import log_mass
from qed.domains.precision import precision
from qed.errors import CertificateError, QedError
from qed.graph.function import read
from qed.graph.walk import TooLong
from qed.integration.measure import Measure, Part
from qed.integration.normalizer import measured_logarithm
from qed.integration.quadrature import vectorised, where_mass_is

ROOM = 1e-6
"""How narrow a ball of a mass is asked to be, of which the middle is taken and believed by nobody."""


@dataclass(frozen=True)
class Density:
    """A part of a law, its log-density in float64 once its mass was looked for, and cuts about the mass."""

    part: Part
    cuts: tuple[float, ...]
    u: Callable[[Any], Any] | None = None

    @property
    def data(self) -> tuple[str, tuple[float, ...], tuple[float, ...], str]:
        """As a certificate holds it."""
        return self.part.family, self.part.parameters, self.cuts, str(self.part.weight)

    def searched(self) -> Density:
        """The same with cuts about its mass."""
        part = self.part
        u = self.u or vectorised(NAMED[part.family].traced(part.parameters), 0)
        kept = {x for x in where_mass_is(u, part.lower, part.upper) if part.lower < x < part.upper}
        if not kept and not np.isfinite(part.lower) and not np.isfinite(part.upper):
            kept = {0.0}
        return replace(self, cuts=(part.lower, *sorted(kept), part.upper), u=u)

    def constant(self) -> float:
        """About log(weight / mass); NaN where no mass is found."""
        if self.part.family:
            with precision(64):
                mass = float(log_mass(self.part.family, self.part.parameters))
        else:
            assert self.u is not None
            mass, error, whole = measured_logarithm(self.u, self.cuts)
            mass = mass if whole and error < 1e-3 else self._enclosed()
        return math.log(float(self.part.weight)) - mass

    def _enclosed(self) -> float:
        """The middle of a ball of the logarithm of the mass, where the rules find no number; NaN where it has none."""
        own: Any = self.part.log_density
        subject = Subject(lambda x: (jnp.ones_like(x), own(x)), np.float64(0.5), x64=True)
        traced = subject.traced()
        certificate = LogMass.made(subject, traced, cuts=self.cuts, lower=-math.inf, upper=math.inf)
        try:
            ball = certificate.enclosed(traced, ROOM)
        except (CertificateError, TooLong):
            return math.nan
        return float(ball.mid()) if ball.is_finite() else math.nan


def densities_of(law: Measure, label: str) -> tuple[Density, ...]:
    """The densities of a law.

    Raises:
        QedError: QED601 for a measure that is no probability, QED603 for a density in the place of its logarithm.

    >>> from qed.integration.laws import densities_of
    >>> from qed.integration.measures import Normal
    >>> densities_of(Normal(), "p")[0].cuts
    (-inf, inf)
    """
    total = sum(w for _, w in law.atoms) + sum(part.weight for part in law.parts)
    if total != 1 or not all(part.probability for part in law.parts):
        because = "a divergence compares probabilities"
        raise QedError("QED601", f"{label} = {law} is no probability", because, "give a measure of mass 1")
    if any(part.of is not None for part in law.parts):
        what = f"the density of {label} = {law} is not known"
        because = (
            "it is an image, and not under a line m x + b with m and b of float64; "
            "only KL of two images under one map is known without one"
        )
        raise QedError("QED007", what, because, "give its log-density to from_log_density")
    return tuple(_density(part, label) for part in law.densities if part.weight > 0)


def _density(part: Part, label: str) -> Density:
    if part.log_density is None:
        return Density(part, (part.lower, part.upper))
    read(part.log_density, jnp.asarray(0.5))
    u = vectorised(Subject(part.log_density, np.float64(0.5), x64=True).traced(), 0)
    _a_logarithm(part, u, label)
    return Density(part, (part.lower, part.upper), u).searched()


def _a_logarithm(part: Part, u: Callable[[Any], Any], label: str) -> None:
    """Raise QED603 where a log-density on an infinite interval is a density: >= 0, with integral 1."""
    if np.isfinite(part.lower) and np.isfinite(part.upper):
        return

    def logarithm(x: Any) -> Any:
        with np.errstate(all="ignore"):
            return np.log(u(x))

    low, high = max(part.lower, -1e3), min(part.upper, 1e3)
    values = u(np.linspace(low, high, 4096)[1:-1]) if low < high else np.array([-1.0])
    if not (np.all(np.isfinite(values)) and np.all(values >= 0)):
        return
    places = [x for x in where_mass_is(logarithm, part.lower, part.upper) if part.lower < x < part.upper]
    mass, _, _ = measured_logarithm(logarithm, (part.lower, *places, part.upper)) if places else (np.nan, 0, 0)
    if abs(mass) < 1e-3:
        what = f"the log-density of {label} is a density"
        because = "it is never negative, and its own integral is 1, so that its exponential has no finite mass"
        raise QedError("QED603", what, because, "give the logarithm of it")
