"""A question about an integral in many dimensions: the function of a vector, the product measure, and their checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np

from qed.certificates.certificate import Subject
from qed.errors import QedError
from qed.graph.function import Function, read
from qed.integration.measure import Part
from qed.integration.product import Product
from qed.integration.words import claim, noun

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Question:
    """fun(x, *args) for a vector x, against a product measure.

    `logarithm` says that fun is a log-density u, and that log of the integral of exp(u) is asked for.
    """

    function: Function
    fun: Callable[..., Any]
    measure: Product
    args: tuple[Any, ...]
    tol: float | None
    budget: float
    seed: int
    logarithm: bool = False

    @classmethod
    def asked(
        cls, fun: Any, measure: Product, args: tuple[Any, ...], tol: float | None = None, budget: float = 20.0,
        seed: int = 0, logarithm: bool = False,
    ) -> Question:  # fmt: skip
        """The question, its arguments looked at.

        Raises:
            QedError: QED007 for a tolerance or a budget that is none; and what `qed.graph.function.read` refuses.
        """
        for value, name in ((tol, "tol"), (budget, "budget")):
            if value is None and name == "tol":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < np.inf:
                raise QedError(
                    "QED007", f"{name}={value!r} is no {name}", "it is a positive number", f"give {name}=1.0"
                )
        return cls(read(fun, example(measure), *args), fun, measure, args, tol, float(budget), seed, logarithm)

    @property
    def subject(self) -> Subject:
        """The function of x alone, as a certificate is about it."""
        fun, args = self.fun, self.args

        def of_point(x: Any) -> Any:
            return fun(x, *args)

        of_point.__name__ = self.function.name
        return Subject(of_point, example(self.measure))

    def box(self) -> tuple[Array, Array, Fraction] | None:
        """Of a measure that is uniform on a finite box: its ends, and the exact density; None for another measure."""
        found = [
            uniform(one.parts[0]) if not one.atoms and len(one.parts) == 1 else None for one in self.measure.factors
        ]
        if any(one is None for one in found):
            return None
        kept = [one for one in found if one is not None]
        density = Fraction(1)
        for one in kept:
            density *= one[2]
        return np.array([one[0] for one in kept]), np.array([one[1] for one in kept]), density

    def claim(self, says: str) -> str:
        """A sentence about the number that is asked for."""
        if self.logarithm:
            return f"the integral of exp({self.function.name}) against {self.measure} {says}"
        return claim(noun(self.fun, self.measure.probability), self.function.name, self.measure, says)

    @property
    def noun(self) -> str:
        """What the number is called."""
        if self.logarithm:
            return "The log of the normalising constant"
        return f"The {noun(self.fun, self.measure.probability)}"


def uniform(part: Part) -> tuple[float, float, Fraction] | None:
    """The ends and the exact density of a part that is a multiple of length on a finite interval."""
    plain = part.family == "Uniform" and not getattr(part, "counting", False) and part.log_density is None
    if not plain or not (np.isfinite(part.lower) and np.isfinite(part.upper)):
        return None
    length = Fraction(part.upper) - Fraction(part.lower)
    return part.lower, part.upper, part.weight / length if part.probability else part.weight


def example(measure: Product) -> Any:
    """A point within the support, as the function is traced at it."""
    low, high = measure.ends
    both, above = np.isfinite(low) & np.isfinite(high), np.isfinite(low)
    with np.errstate(all="ignore"):
        inner = np.where(
            both, low / 2 + high / 2, np.where(above, low + 0.5, np.where(np.isfinite(high), high - 0.5, 0.5))
        )
    return jnp.asarray(inner, jnp.result_type(float))
