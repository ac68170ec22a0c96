"""A measure on the line as what Lebesgue's decomposition makes of it: point masses and densities.

    mu(A) = sum of w_i over x_i in A  +  sum over k of w_k int_A exp(u_k(x)) dx

A mixture of a spike and a slab, a zero-inflated law and an empirical distribution are ordinary measures in this form.
A part that is a probability is known up to its constant only: it is divided by its own integral wherever it is used.
Reference: Halmos, *Measure Theory*, Springer 1974, section 32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from qed.errors import QedError

__all__ = ["Measure", "Part", "chance_of", "end_of", "measure_of", "real", "seconds_of", "shares_of", "wrong"]


@dataclass(frozen=True)
class Part:
    """A part with a density: a named family with its parameters, or a log-density of the user's.

    `weight` is its total mass where it is a probability; otherwise a factor of exp(log-density). A part that is
    `counting` has its density against the measure that counts whole numbers, from `lower` to `upper`. The
    family "Image" is that of the image of the part `of` under the map `image` (`qed.integration.images`).
    """

    family: str
    parameters: tuple[float, ...]
    lower: float
    upper: float
    probability: bool = True
    weight: Fraction = Fraction(1)
    log_density: Callable[..., Any] | None = None
    counting: bool = False
    of: Part | None = None
    image: Callable[..., Any] | None = None

    @property
    def cut(self) -> bool:
        """Whether it is what an interval leaves of a named law, w exp(log-density) / mass of the whole law."""
        plain = self.log_density is None and self.of is None and not self.counting
        return plain and not self.probability and self.family not in ("", "Uniform")


@dataclass(frozen=True)
class Measure:
    """A measure on the line: atoms (place, mass), parts with a density, and its name.

    >>> from qed.integration.measures import Dirac, Normal, mixture
    >>> spike_and_slab = mixture([0.25, 0.75], [Dirac(0.0), Normal(0.0, 1.0)])
    >>> spike_and_slab.atoms, spike_and_slab.parts[0].family
    (((0.0, Fraction(1, 4)),), 'Normal')
    """

    atoms: tuple[tuple[float, Fraction], ...] = ()
    parts: tuple[Part, ...] = ()
    name: str = "measure"

    @property
    def probability(self) -> bool:
        """Whether its mass is 1, exactly."""
        whole = sum(w for _, w in self.atoms) + sum(part.weight for part in self.parts) == 1
        return whole and all(part.probability for part in self.parts)

    @property
    def densities(self) -> tuple[Part, ...]:
        """The parts with a density on the line."""
        return tuple(part for part in self.parts if not part.counting)

    @property
    def sums(self) -> tuple[Part, ...]:
        """The parts on whole numbers."""
        return tuple(part for part in self.parts if part.counting)

    def __str__(self) -> str:
        return self.name


def wrong(what: str, because: str, instead: str) -> QedError:
    """The error of an argument that makes no measure: QED007."""
    return QedError("QED007", what, because, instead)


def real(value: Any, name: str) -> float:
    """A finite number, exactly."""
    try:
        found = float(np.asarray(value).item()) if not isinstance(value, complex) else math.nan
    except (TypeError, ValueError):
        msg = f"{name} is no number"
        raise wrong(msg, f"it is a {type(value).__name__}", "give one real number") from None
    if not math.isfinite(found):
        msg = f"{name} = {found}"
        raise wrong(msg, "a parameter is a finite number", f"give {name} as a real number")
    return found


def end_of(value: Any, name: str) -> float:
    """An end of an interval, which may be infinite; a number in any case."""
    try:
        return float(value)
    except (TypeError, ValueError):
        msg = f"an end of {name} is no number"
        raise wrong(msg, f"it is a {type(value).__name__}", "give a number, or math.inf") from None


def chance_of(p: Any, name: str) -> Fraction:
    """A probability, exactly."""
    found = Fraction(real(p, name))
    if not 0 <= found <= 1:
        msg = f"{name} = {float(found)}"
        raise wrong(msg, "a probability lies between 0 and 1", f"give {name} in [0, 1]")
    return found


def seconds_of(budget: Any) -> float:
    """A budget, which is a positive number of seconds."""
    if isinstance(budget, bool) or not isinstance(budget, int | float) or not 0 < budget < math.inf:
        msg = f"budget={budget!r} is no budget"
        raise wrong(msg, "it is a positive number of seconds", "give budget=20.0")
    return float(budget)


def shares_of(values: Sequence[float], name: str) -> list[Fraction]:
    """Numbers that add up to 1, divided by their exact sum."""
    found = [Fraction(real(v, name)) for v in np.asarray(values, float).ravel()]
    if (least := min(found, default=Fraction(0))) < 0:
        chance_of(float(least), name)
    total = sum(found, Fraction(0))
    if abs(float(total) - 1) > 1e-5:
        msg = f"{name} add up to {float(total):g}"
        raise wrong(msg, "they must add up to 1", "divide them by their sum")
    return [w / total for w in found]


def measure_of(found: Any) -> Measure:
    """The argument, if it is a measure on the line."""
    if not isinstance(found, Measure):
        msg = f"a {type(found).__name__} is no measure"
        raise wrong(msg, "it must be made by qed.measures", "give Normal(0.0, 1.0), say")
    return found
