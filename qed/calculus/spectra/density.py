"""The density of eigenvalues by stochastic Lanczos quadrature.

For a random unit vector v, v'phi(H)v has the mean tr phi(H)/n, and m steps of Lanczos from v give the Gauss quadrature
sum_i w_i phi(theta_i) of it, exact for polynomials of degree 2m - 1: nodes theta_i are the Ritz values, weights w_i the
squares of the first components of their vectors (Golub and Meurant, *Matrices, Moments and Quadrature*, 2010, chapter
11; Ubaru, Chen and Saad, SIAM J. Matrix Anal. Appl. 38, 2017). The mean over several vectors is the measure that has
the share of the eigenvalues below any t; its spread over the vectors is the error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh_tridiagonal

from qed.calculus.lanczos import Krylov, length

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

    @property
    def negative(self) -> float:
        """The share of the eigenvalues below 0."""
        return float(np.mean(self.shares[:, 0]))

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
        return self._error(1)

    @property
    def negative_error(self) -> float:
        """The standard error of the share below 0; inf from one probe."""
        return self._error(0)

    def _error(self, column: int) -> float:
        few = self.probes < 2
        return float("inf") if few else float(np.std(self.shares[:, column], ddof=1) / np.sqrt(self.probes))

    def smooth(self, width: float, points: int = 200) -> tuple[Array, Array]:
        """(places, density): each node spread out as a normal density of a standard deviation `width`."""
        grid = np.linspace(self.nodes[0] - 3 * width, self.nodes[-1] + 3 * width, points)
        bells = np.exp(-(((grid[:, None] - self.nodes) / width) ** 2) / 2) / (width * np.sqrt(2 * np.pi))
        return grid, bells @ self.weights


def density(
    product: Callable[[Array], Array], size: int, probes: int, steps: int, seed: int, dtype: type = np.float64
) -> Density:
    """The density from a number of probes, each with an orthogonal basis that is kept.

    >>> found = density(lambda v: np.array([1.0, 1.0, 4.0]) * v, 3, 40, 3, 0)
    >>> found.nodes.size, bool(abs(found.mean - 2) < 4 * found.error)
    (80, True)
    """
    measures = []
    for probe in range(probes):
        krylov = Krylov(product, size, steps, seed + probe, dtype)
        while krylov.step() and krylov.count < krylov.most and not krylov.closed:
            krylov.extend()
        values, inner = krylov.ritz()
        measures.append((values, np.square(inner[0])))
    return _mean(measures, steps)


def in_step(
    several: Callable[[Array], Array], size: int, probes: int, steps: int, seed: int, dtype: type = np.float32
) -> Density:
    """The density with the three-term recurrence alone: no basis is kept, and all probes take each step together.

    Without reorthogonalisation eigenvalues that have converged come again, as copies that share one weight; the
    measure is that of a matrix whose eigenvalues are as near as rounding (Greenbaum, Linear Algebra Appl. 113, 1989;
    Knizhnerman, Comput. Math. Math. Phys. 36, 1996), so that no sum of the weights changes by more.

    >>> scale = np.linspace(1.0, 3.0, 500)
    >>> one = in_step(lambda rows: rows * scale, 500, 4, 60, 0, np.float64)
    >>> two = density(lambda v: v * scale, 500, 4, 60, 0)
    >>> bool(abs(one.mean - two.mean) < 1e-9), bool(abs(one.below(2.0) - two.below(2.0)) < 0.02)
    (True, True)
    """
    rows = np.empty((probes, size), dtype)
    for i in range(probes):
        start = np.random.default_rng(seed + i).standard_normal(size)
        rows[i] = start / np.linalg.norm(start)
    before = np.zeros_like(rows)
    diagonals, besides = np.zeros((probes, steps)), np.zeros((probes, steps))
    counts = np.full(probes, steps)
    for j in range(steps):
        images = several(rows)
        for i in range(probes):
            u = images[i]
            u -= dtype(besides[i, j - 1] if j else 0.0) * before[i]
            diagonals[i, j] = float(rows[i] @ u)
            u -= dtype(diagonals[i, j]) * rows[i]
            besides[i, j] = length(u)
            scale = float(np.max(np.abs(diagonals[i, : j + 1]) + besides[i, : j + 1]))
            if besides[i, j] <= 8 * float(np.finfo(dtype).eps) * scale:
                counts[i], besides[i, j], u[:] = min(counts[i], j + 1), 0.0, 0.0  # the space is closed
            else:
                u /= dtype(besides[i, j])
        before, rows = rows, images
    measures = []
    for i, m in enumerate(counts):
        values, inner = eigh_tridiagonal(diagonals[i, :m], besides[i, : m - 1])
        measures.append((values, np.square(inner[0])))
    return _mean(measures, steps)


def _mean(measures: Sequence[tuple[Array, Array]], steps: int) -> Density:
    """The mean of measures, one per probe."""
    probes = len(measures)
    told = [(float(np.sum(share[values < 0])), float(np.sum(share * values))) for values, share in measures]
    nodes = np.concatenate([values for values, _ in measures])
    weights = np.concatenate([share / probes for _, share in measures])
    order = np.argsort(nodes)
    return Density(nodes[order], weights[order], probes, steps, np.array(told))
