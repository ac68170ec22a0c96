"""The spectrum of a Hessian, as the value of `qed.spectrum`."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from qed.answer import Answer, Measured, Reason
from qed.calculus.lanczos import Krylov
from qed.calculus.spectra import density as quadrature
from qed.calculus.spectra import trace as hutch
from qed.calculus.spectra.density import Density
from qed.calculus.spectra.products import Products
from qed.standing import Standing

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues of the Hessian at a point, each with its error.

    Args:
        eigenvalues: (k,), in the order that was asked for; in units of f per unit of x squared.
        errors: (k,): an eigenvalue lies within errors[i] of eigenvalues[i].
        eigenvectors: k unit vectors, each a tree like the argument.
        shares: per eigenvector (name, share of the squared length) of the parameters it consists of, largest first.
        size: the number of parameters.
        products: how many Hessian-vector products were spent.
        lowest, highest: the smallest and the largest Ritz value seen: the Hessian takes v'Hv at least that far apart.
    """

    eigenvalues: Array
    errors: Array
    eigenvectors: tuple[Any, ...]
    shares: tuple[tuple[tuple[str, float], ...], ...]
    size: int
    products: int
    lowest: float
    highest: float
    seed: int = 0
    source: Products | None = field(default=None, repr=False)

    def density(self, probes: int = 10, steps: int = 60) -> Density:
        """The distribution of all eigenvalues, from probes x steps further products."""
        product = self._product()
        return quadrature.density(product, self.size, probes, min(steps, self.size), self.seed, product.dtype)

    @cached_property
    def trace(self) -> Answer[float]:
        """The sum of all eigenvalues, within an interval that holds it with a probability of 99 %; 120 products."""
        product = self._product()
        found = hutch.trace(product, self.size, seed=self.seed)

        def again() -> bool:
            other = hutch.trace(product, self.size, seed=self.seed + 1)
            return abs(other.value - found.value) <= other.error + found.error + 1e-6 * abs(found.value)

        return Answer(
            f"the trace of the Hessian lies within {found.error:.3g} of {found.value:.6g}",
            Standing.MEASURED,
            found.value,
            arithmetic="float64",
            error=Measured(found.error, "Hutch++", self.seed),
            reasons=(Reason("Hutch++", with_numbers=f"{found.products} products", standing=Standing.MEASURED,
                            unpredicted="a mean has no prediction", text=f"{found.products} Hessian products, 99 %"),),
            headline=f"The trace is {found.value:.6g}, off by at most {found.error:.3g} with a probability of 99 %.",
            recheck=again,
        )  # fmt: skip

    def condition(self, most: int = 200) -> float:
        """The largest curvature over the smallest in size, as far as `most` products tell; inf where they may vanish.

        Both ends of the spectrum come from one run of Lanczos. Where they are of different sign, or the smallest is not
        told from 0 by its error, no number is known: inf.
        """
        product = self._product()
        krylov = Krylov(product, self.size, min(most, self.size), self.seed, product.dtype)
        while krylov.step() and krylov.count < krylov.most and not krylov.closed:
            krylov.extend()
        values, inner = krylov.ritz()
        room = krylov.beside * np.abs(inner[-1]) + 1e-13 * np.max(np.abs(values))
        low, high = float(values[0] - room[0]), float(values[-1] + room[-1])
        if low > 0:
            return high / low
        return float(values[0]) / float(values[-1] + room[-1]) if values[-1] + room[-1] < 0 else float("inf")

    def _product(self) -> Products:
        if self.source is None:
            msg = "this spectrum was read from data and knows no function: ask qed.spectrum again"
            raise ValueError(msg)
        return self.source
