"""The spectrum of a Hessian, as the value of `qed.spectrum`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from qed.answer import Answer
from qed.calculus.spectra import told
from qed.calculus.spectra.blocks import Block, blocks
from qed.calculus.spectra.density import Density
from qed.calculus.spectra.gauss_newton import GaussNewton, gauss_newton
from qed.calculus.spectra.holding import holding
from qed.calculus.spectra.products import Products
from qed.errors import QedError

Array = np.ndarray


def whole(name: str, number: Any, instead: int, least: int = 1) -> None:
    """Raise QED007 where a number that was given is no whole number, or less than the least.

    >>> whole("probes", 0, 10)
    Traceback (most recent call last):
    ...
    qed.errors.QedError: probes=0 is not possible
      because it is a whole number, at least 1
      instead give probes=10
    """
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < least:
        because = f"it is a whole number, at least {least}"
        raise QedError("QED007", f"{name}={number!r} is not possible", because, f"give {name}={instead}")


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
    tree: Callable[[Array], Any] = field(default=lambda vector: vector, repr=False)

    def density(self, probes: int = 10, steps: int = 60) -> Answer[Density]:
        """The distribution of all eigenvalues, from probes x steps products; the error is that of their mean."""
        whole("probes", probes, 10)
        whole("steps", steps, 60)
        return self._holding(told.distribution(self._product(), probes, steps, self.seed))

    @cached_property
    def trace(self) -> Answer[float]:
        """The sum of all eigenvalues, within an interval that holds it with a probability of 99 %; 120 products."""
        return self._holding(told.trace(self._product(), self.seed))

    @cached_property
    def diagonal(self) -> Answer[Any]:
        """All H_ii as a tree like the argument, each within its interval with a probability of 99 %; 120 products."""
        return self._holding(told.diagonal(self._product(), self.tree, self.seed))

    @cached_property
    def log_determinant(self) -> Answer[float]:
        """log det H within an interval of 99 %; UNKNOWN where not all curvatures are known to be positive."""
        return self._holding(told.log_determinant(self._product(), self.seed))

    def condition(self, most: int = 200) -> Answer[float]:
        """The largest curvature over the smallest in size, from one run of Lanczos with at most `most` products.

        The value is a ratio that is taken; the error goes up to a bound that fails with a probability of 1e-6. UNKNOWN
        where curvatures are of both signs or the smallest cannot be told from 0.
        """
        whole("most", most, 200)
        return self._holding(told.condition(self._product(), most, self.seed))

    def gauss_newton(self, k: int = 5) -> Answer[GaussNewton]:
        """The largest eigenvalues of the Gauss-Newton matrix, and the largest of what the Hessian has beside it.

        UNKNOWN where the loss is no sum of squared errors, cross-entropies or Poisson losses of a network's values;
        where it is, the matrix is the Fisher information of that model.
        """
        whole("k", k, 5)
        return self._holding(gauss_newton(self._product(), k, self.seed))

    def blocks(self, most: int = 60) -> Answer[tuple[Block, ...]]:
        """The curvatures within each array or layer alone, beside those of the whole; QED307 where they differ in sign.

        Positive blocks do not make a minimum: a direction that changes two layers together may still be one of descent.
        """
        whole("most", most, 60)
        return self._holding(blocks(self._product(), most, self.seed))

    def _holding(self, answer: Answer[Any]) -> Answer[Any]:
        return holding(answer, self._product())

    def _product(self) -> Products:
        if self.source is None:
            msg = "this spectrum was read from data and knows no function: ask qed.spectrum again"
            raise ValueError(msg)
        return self.source
