"""Laws of vectors, the multivariate normal and Dirichlet's, by their parameters: for divergences and entropies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.domains.precision import precision
from qed.domains.vector_laws import Rows, fault, pivots
from qed.errors import CertificateError
from qed.integration.measure import wrong

MOST = 64
"""Vectors of at most this many entries."""


@dataclass(frozen=True)
class VectorLaw:
    """A law of vectors: its family, and its parameters as rows (`qed.domains.vector_laws`)."""

    family: str
    rows: Rows

    @property
    def dimension(self) -> int:
        """The length of the vectors."""
        return len(self.rows[0])

    def __str__(self) -> str:
        return f"{self.family} of {self.dimension}"


def MultivariateNormal(mean: Any, covariance: Any) -> VectorLaw:
    """The normal law of vectors with this mean and this covariance matrix.

    Raises:
        QedError: QED007 where the shapes do not fit, or the covariance is not symmetric and positive definite.

    >>> import qed
    >>> p = qed.measures.MultivariateNormal([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
    >>> q = qed.measures.MultivariateNormal([1.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
    >>> qed.kl(p, q).value
    0.5
    """
    centre, matrix = _numbers(mean, 1, "the mean"), _numbers(covariance, 2, "the covariance")
    law = _law("MultivariateNormal", (_row(centre), *map(_row, matrix)))
    try:
        with precision(512) as library:
            pivots([[library.arb(float(x)) for x in row] for row in matrix], "covariance")
    except CertificateError as error:
        msg = "the covariance"
        raise wrong(msg, error.why, "give a positive definite matrix") from None
    return law


def Dirichlet(concentration: Any) -> VectorLaw:
    """Dirichlet's law of vectors of probabilities, with the density proportional to prod x_i^(a_i - 1).

    Raises:
        QedError: QED007 where the concentrations are not at least two positive numbers.

    >>> import qed
    >>> qed.entropy(qed.measures.Dirichlet([1.0, 1.0])).value
    0.0
    """
    return _law("Dirichlet", (_row(_numbers(concentration, 1, "the concentration")),))


def _law(family: str, rows: Rows) -> VectorLaw:
    if why := fault(family, rows):
        raise wrong(family, why, "give parameters of a law")
    if len(rows[0]) > MOST:
        because = f"it has {len(rows[0])} coordinates"
        raise wrong(family, because, f"give at most {MOST}")
    return VectorLaw(family, rows)


def _numbers(values: Any, axes: int, name: str) -> np.ndarray:
    try:
        found = np.asarray(values)
        found = found.astype(np.float64) if found.dtype.kind in "fiu" or str(found.dtype) == "bfloat16" else None
    except Exception as error:  # a tracer, or whatever an object raises that is no array
        raise wrong(name, f"it is a {type(values).__name__}", "give an array of numbers") from error
    if found is None or found.ndim != axes or not found.size:
        raise wrong(name, f"it has not {axes} axes of real numbers", "give an array of numbers")
    return found


def _row(values: Any) -> tuple[float, ...]:
    return tuple(float(x) for x in values)
