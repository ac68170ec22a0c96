"""The density of eigenvalues by stochastic Lanczos quadrature.

For a random unit vector v, v'phi(H)v has the mean tr phi(H)/n, and m steps of Lanczos from v give the Gauss quadrature
sum_i w_i phi(theta_i) of it, exact for polynomials of degree 2m - 1: nodes theta_i are the Ritz values, weights w_i the
squares of the first components of their vectors (Golub and Meurant, *Matrices, Moments and Quadrature*, 2010, chapter
11; Ubaru, Chen and Saad, SIAM J. Matrix Anal. Appl. 38, 2017). The mean over several vectors is the measure that has
the share of the eigenvalues below any t; its spread over the vectors is the error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qed.calculus.lanczos import Krylov

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Density:
    """A measure on the line that approximates the distribution of the eigenvalues.

    Args:
        nodes: places, ascending.
        weights: the share of the eigenvalues that stands at each; together 1.
        probes: how many random vectors it is the mean of.
        steps: how many steps each took.
        shares: (probes, 2): the share below 0, and the mean, per probe.
    """

    nodes: Array
    weights: Array
    probes: int
    steps: int
    shares: Array

    def below(self, t: float) -> float:
        """The share of the eigenvalues below t, about."""
        return float(np.sum(self.weights[self.nodes < t]))

    @property
    def mean(self) -> float:
        """The mean of the eigenvalues."""
        return float(np.sum(self.nodes * self.weights))

    @property
    def error(self) -> float:
        """The standard error of the mean; inf from one probe."""
        return float(np.std(self.shares[:, 1], ddof=1) / np.sqrt(self.probes)) if self.probes > 1 else float("inf")

    def smooth(self, width: float, points: int = 200) -> tuple[Array, Array]:
        """(places, density): each node spread out as a normal density of a standard deviation `width`."""
        grid = np.linspace(self.nodes[0] - 3 * width, self.nodes[-1] + 3 * width, points)
        bells = np.exp(-(((grid[:, None] - self.nodes) / width) ** 2) / 2) / (width * np.sqrt(2 * np.pi))
        return grid, bells @ self.weights


def density(
    product: Callable[[Array], Array], size: int, probes: int, steps: int, seed: int, dtype: type = np.float64
) -> Density:
    """The density from a number of probes.

    >>> found = density(lambda v: np.array([1.0, 1.0, 4.0]) * v, 3, 40, 3, 0)
    >>> found.nodes.size, bool(abs(found.mean - 2) < 4 * found.error)
    (80, True)
    """
    nodes, weights, told = [], [], []
    for probe in range(probes):
        krylov = Krylov(product, size, steps, seed + probe, dtype)
        while krylov.step() and krylov.count < krylov.most and not krylov.closed:
            krylov.extend()
        values, inner = krylov.ritz()
        share = np.square(inner[0])
        nodes.append(values)
        weights.append(share / probes)
        told.append((float(np.sum(share[values < 0])), float(np.sum(share * values))))
    order = np.argsort(np.concatenate(nodes))
    return Density(np.concatenate(nodes)[order], np.concatenate(weights)[order], probes, steps, np.array(told))
