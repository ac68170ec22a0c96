"""Integrals in many dimensions whose values are known: Genz's families, peaks, hidden modes, heavy tails, jumps.

Reference: Genz, "A package for testing multiple integration subroutines", in Numerical Integration, Reidel 1987.
"""

import math
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.nn import logsumexp
from scipy import special, stats

from qed import measures


@dataclass(frozen=True)
class Problem:
    """What is asked ('expect', 'probability', 'normalizer'), of what, against which measure, and the truth."""

    verb: str
    fun: Any
    measure: Any
    true: float


def _on_cube(d: int) -> dict[str, Problem]:
    """Genz's families, a needle, a needle beside a hill."""
    cube = measures.Uniform(np.zeros(d), np.ones(d))
    a, c, w = np.linspace(0.3, 1.2, d), np.linspace(2.0, 8.0, d), np.linspace(0.2, 0.8, d)
    a, c, w = (np.float32(v).astype(float) for v in (a, c, w))
    fa, fc, fw = (jnp.asarray(v, jnp.float32) for v in (a, c, w))
    oscillating = np.real(np.exp(2j) * np.prod((np.exp(1j * a) - 1) / (1j * a)))
    ends = np.where(np.arange(d) < 2, w, 1.0)
    narrow, wide = 2.0**-9, 2.0**-4

    def hill(x: Any, at: float, scale: float) -> Any:
        return jnp.exp(-jnp.sum((x - at) ** 2) / (2 * scale**2)) * (2 * math.pi * scale**2) ** (-d / 2)

    return {
        "oscillatory": Problem("expect", lambda x: jnp.cos(2.0 + jnp.sum(fa * x)), cube, float(oscillating)),
        "product peak": Problem(
            "expect", lambda x: jnp.prod(1 / (fc**-2 + (x - fw) ** 2)), cube,
            float(np.prod(c * (np.arctan(c * (1 - w)) + np.arctan(c * w)))),
        ),
        "gaussian": Problem(
            "expect", lambda x: jnp.exp(-jnp.sum(fc**2 * (x - fw) ** 2)), cube,
            float(np.prod(math.sqrt(math.pi) / 2 / c * (special.erf(c * (1 - w)) + special.erf(c * w)))),
        ),
        "continuous": Problem(
            "expect", lambda x: jnp.exp(-jnp.sum(fc * jnp.abs(x - fw))), cube,
            float(np.prod((2 - np.exp(-c * w) - np.exp(-c * (1 - w))) / c)),
        ),
        "discontinuous": Problem(
            "expect", lambda x: jnp.where((x[0] > fw[0]) | (x[1] > fw[1]), 0.0, jnp.exp(jnp.sum(fa * x))), cube,
            float(np.prod(np.expm1(a * ends) / a)),
        ),
        "corner peak": Problem(
            "expect", lambda x: (1 + jnp.sum(x)) ** -(d + 1.0), cube, 1 / math.factorial(d) / (d + 1)
        ),
        "needle": Problem("expect", lambda x: hill(x, 0.4, narrow), cube, 1.0),
        "hidden needle": Problem(
            "expect", lambda x: 0.5 * hill(x, 0.25, wide / 2) + 0.5 * hill(x, 0.8, narrow), cube, 1.0
        ),
        "parity": Problem("probability", lambda x: jnp.sum(x) > d / 2, cube, 0.5),
    }  # fmt: skip


def _on_space(d: int) -> dict[str, Problem]:
    """Normal and Student laws, masses far apart in place and size, a funnel."""
    space = measures.Lebesgue(np.full(d, -np.inf), np.full(d, np.inf))
    half = d / 2 * math.log(2 * math.pi)

    def two(x: Any) -> Any:
        narrow = -jnp.sum((x + 32) ** 2) * 2.0**13 + d / 2 * 14 * math.log(2)
        return logsumexp(jnp.array([-jnp.sum((x - 3) ** 2) / 2, narrow]))

    def funnel(x: Any) -> Any:
        return -(x[0] ** 2) / 18 - jnp.sum(x[1:] ** 2) * jnp.exp(-x[0]) / 2 - (d - 1) / 2 * x[0]

    normal, student = measures.power(measures.Normal(), d), measures.power(measures.StudentT(2.5), d)
    return {
        "tiny": Problem(
            "normalizer", lambda x: -5000.0 - 32 * jnp.sum((x - 2) ** 2), space, -5000 + d / 2 * math.log(math.pi / 32)
        ),
        "huge": Problem(
            "normalizer", lambda x: 40000.0 - jnp.sum((x - 2) ** 4), space, 40000 + d * math.log(2 * math.gamma(1.25))
        ),
        "two masses": Problem("normalizer", two, space, math.log(2) + half),
        "funnel": Problem("normalizer", funnel, space, math.log(3) + half),
        "student": Problem(
            "normalizer", lambda x: -(d + 3) / 2 * jnp.log1p(jnp.sum(x * x) / 3), space,
            float(special.gammaln(1.5) - special.gammaln((3 + d) / 2) + d / 2 * math.log(3 * math.pi)),
        ),
        "square of a sum": Problem("expect", lambda x: jnp.sum(x) ** 2, normal, float(d)),
        "half-space": Problem("probability", lambda x: jnp.sum(x) > 2, normal, float(stats.norm.sf(2 / math.sqrt(d)))),
        "outside a ball": Problem(
            "probability", lambda x: jnp.sum(x * x) > 2 * d, normal, float(stats.chi2.sf(2 * d, d))
        ),
        "heavy tail": Problem("expect", lambda x: jnp.sum(x * x), student, 5.0 * d),
        "no mean": Problem("expect", lambda x: jnp.sum(jnp.abs(x)), measures.power(measures.Cauchy(), d), math.inf),
    }  # fmt: skip


PROBLEMS = {f"{name}, d = {d}": p for d in (2, 4, 8, 12, 20) for name, p in (_on_cube(d) | _on_space(d)).items()}
"""By name: 95 of them."""
