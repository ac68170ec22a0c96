"""A mixture to sample from: the measure itself, and Student laws about the modes of the integrand.

    q(x) = a_0 pi(x) + sum_k a_k t_nu(x; m_k, S_k),      integral of g = sum_k a_k E_k[ g / q ]

with points of each law apart, and one quotient for all of them (the balance heuristic; Veach and Guibas, SIGGRAPH
1995; Owen and Zhou, "Safe and effective importance sampling", JASA 95, 2000). With a_0 > 0 the weight pi / q is
bounded. A law about a mode is fitted to its neighbourhood by a few rounds of weighted moments (Cappe et al.,
"Population Monte Carlo", JCGS 13, 2004).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special, stats

Array = np.ndarray
FREEDOM = 5.0
"""Degrees of freedom of the laws about modes: heavier tails than the integrand's, where those are normal."""
ROUNDS = 4
"""How often a law about a mode is fitted."""
DRAWS = 1024
"""Points of one fit."""


@dataclass(frozen=True, eq=False)
class Student:
    """A multivariate Student law."""

    mean: Array
    root: Array
    freedom: float = FREEDOM

    @classmethod
    def of(cls, mean: Array, covariance: Array, freedom: float = FREEDOM) -> Student:
        """The law with this centre and scale matrix."""
        n = len(mean)
        size = np.trace(covariance) / n
        return cls(mean, np.linalg.cholesky(covariance + 1e-10 * size * np.eye(n)), freedom)

    def points(self, u: Array) -> Array:
        """Rows of the cube [0, 1]^(n + 1) carried onto the law."""
        z = special.ndtri(u[:, :-1])
        chi = stats.chi2.ppf(u[:, -1], self.freedom)
        return self.mean + (z @ self.root.T) * np.sqrt(self.freedom / chi)[:, None]

    def log_density(self, x: Array) -> Array:
        """At rows."""
        n, v = len(self.mean), self.freedom
        z = np.linalg.solve(self.root, (x - self.mean).T)
        constant = special.gammaln((v + n) / 2) - special.gammaln(v / 2) - n / 2 * math.log(v * math.pi)
        constant -= float(np.sum(np.log(np.abs(np.diag(self.root)))))
        return constant - (v + n) / 2 * np.log1p(np.sum(z * z, 0) / v)

    def wider(self, factor: float, freedom: float) -> Student:
        """The same about the same centre, wider."""
        return Student(self.mean, factor * self.root, freedom)


@dataclass(frozen=True, eq=False)
class Base:
    """The measure, divided by its mass: points from the cube, and the log-density at rows."""

    points: Callable[[Array], Array]
    log_density: Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class Mixture:
    """Laws with their shares; the measure first, if it is among them."""

    laws: tuple[Any, ...]
    shares: tuple[float, ...]

    def log_density(self, x: Array) -> Array:
        """At rows."""
        terms = np.stack([law.log_density(x) + math.log(a) for law, a in zip(self.laws, self.shares, strict=True)])
        return np.asarray(special.logsumexp(terms, axis=0))


def fitted(target: Callable[[Array], Array], law: Student, low: Array, high: Array, seed: int) -> Student:
    """A law about a mode, fitted to a log-density near it."""
    n = len(law.mean)
    engine = stats.qmc.Sobol(n + 1, rng=np.random.default_rng(seed))
    for _ in range(ROUNDS):
        x = law.points(np.clip(engine.random(DRAWS), 1e-12, 1 - 1e-12))
        inside = np.all((x >= low) & (x <= high), axis=1)
        logs = np.where(inside, target(np.clip(x, low, high)), -np.inf) - law.log_density(x)
        logs = np.where(np.isfinite(logs), logs, -np.inf)
        if logs.max() == -np.inf:
            return law
        weights = np.exp(logs - logs.max())
        weights = np.minimum(weights, 20 * weights.mean())  # a few heavy points say little about a shape
        weights /= weights.sum()
        if 1 / np.sum(weights**2) < 4 * n:
            scale = law.root @ law.root.T
            law = Student.of(x[np.argmax(logs)], scale * 0.5, law.freedom)
            continue
        mean = weights @ x
        spread = (x - mean).T @ ((x - mean) * weights[:, None])
        law = Student.of(mean, spread * (law.freedom - 2) / law.freedom * 1.1, law.freedom)
    return law


def mixture(base: Base | None, laws: Sequence[Student], masses: Sequence[float], least: float) -> Mixture:
    """The laws with shares: `least` of the measure, a part evenly, a part by the masses that they stand for."""
    rest = 1.0 - (least if base is not None else 0.0)
    if not laws:
        assert base is not None
        return Mixture((base,), (1.0,))
    part = np.exp(np.array(masses) - max(masses))
    even = np.full(len(laws), 1 / len(laws))
    shares = rest * (0.3 * even + 0.7 * part / part.sum())
    if base is None:
        return Mixture(tuple(laws), tuple(map(float, shares)))
    return Mixture((base, *laws), (least, *map(float, shares)))
