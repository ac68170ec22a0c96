"""Questions of every kind with answers by independent means: what is asked, of what, and the truth.

The truths are closed forms in the functions of `math` and SciPy; none of them was computed by qed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.nn import softplus
from scipy import special, stats

from qed.integration import measures as m
from tests.integration.corpus import PROBLEMS
from tests.integration.many.problems import PROBLEMS as MANY

E, PI, INF = math.e, math.pi, math.inf
N = m.Normal()


@dataclass(frozen=True)
class Question:
    """A verb of qed, its arguments, the truth, and the kind of difficulty."""

    kind: str
    name: str
    verb: str
    arguments: tuple[Any, ...]
    truth: float


def _bell(x: Any, at: float, k: float) -> Any:
    """A bell of the width 1/k and of the area sqrt(pi); its numbers are held by float32, as all here are."""
    return k * jnp.exp(-(((x - at) * k) ** 2))


ROOT = math.sqrt(PI)
HIDDEN = [
    ("needle in [0, 1]", lambda x: _bell(x, 0.3125, 2.0**20), m.Uniform(0.0, 1.0), ROOT),
    ("needle on a slope", lambda x: x + _bell(x, 0.6875, 2.0**16), m.Uniform(0.0, 1.0), 0.5 + ROOT),
    ("needle on the line", lambda x: _bell(x, 321.0, 2.0**6), m.Lebesgue(), ROOT),
    ("two needles", lambda x: _bell(x, -1024.0, 8.0) + _bell(x, 2047.0, 16.0), m.Lebesgue(), 2 * ROOT),
    ("far and narrow law", jnp.cos, m.Normal(1e4, 2.0**-8), math.cos(1e4) * math.exp(-(2.0**-17))),
    ("bump in the tail", lambda x: jnp.exp(60 * (x - 30)), N, 1.0),
    ("late step", lambda x: jnp.where(x > 20.0, jnp.exp(x - 20.0), 0.0), m.Exponential(2.0), 2 * math.exp(-40.0)),
    ("thin slab", lambda x: jnp.where(jnp.abs(x - 5) < 2.0**-12, 2048.0, 0.0), m.Uniform(0.0, 16.0), 1 / 16),
    ("rare mode", lambda x: x, m.mixture([1 - 2.0**-20, 2.0**-20], [N, m.Normal(2.0**20, 1.0)]), 1.0),
]
HEAVY = [
    ("barely finite", lambda x: x, m.Pareto(1.0625, 1.0), 17.0),
    ("barely infinite", lambda x: x, m.Pareto(1.0, 1.0), INF),
    ("root of Cauchy", lambda x: jnp.sqrt(jnp.abs(x)), m.Cauchy(), math.sqrt(2)),
    ("Cauchy mean", lambda x: x, m.Cauchy(), math.nan),
    ("Student mean of size", jnp.abs, m.StudentT(1.5), 2 * math.sqrt(1.5) * special.gamma(1.25) /
     (math.sqrt(PI) * special.gamma(0.75) * 0.5)),
    ("half-Cauchy mean", lambda x: x, m.HalfCauchy(1.0), INF),
    ("inverse gamma mean", lambda x: x, m.InverseGamma(1.25, 1.0), 4.0),
    ("inverse gamma square", lambda x: x * x, m.InverseGamma(2.0, 1.0), INF),
    ("log-normal moment", lambda x: x**4, m.LogNormal(0.0, 1.0), math.exp(8.0)),
    ("log-normal mgf", jnp.exp, m.LogNormal(0.0, 1.0), INF),
    ("Weibull stretched", lambda x: x, m.Weibull(0.5, 1.0), 2.0),
    ("logistic mgf", lambda x: jnp.exp(x / 2), m.Logistic(), PI / 2),
    ("logistic infinite", jnp.exp, m.Logistic(), INF),
]  # fmt: skip
DISCRETE = [
    ("Poisson square", lambda k: k * k, m.Poisson(3.0), 12.0),
    ("Poisson tail", lambda k: jnp.where(k > 30, 1.0, 0.0), m.Poisson(3.0), float(stats.poisson.sf(30, 3.0))),
    ("Poisson inverse", lambda k: 1 / (1 + k), m.Poisson(2.0), (1 - math.exp(-2)) / 2),
    ("Poisson mgf", lambda k: jnp.exp(k), m.Poisson(2.0), math.exp(2 * (E - 1))),
    ("Poisson of a large mean", lambda k: k, m.Poisson(1e4), 1e4),
    ("geometric mean", lambda k: k, m.Geometric(0.25), 3.0),
    ("geometric infinite", lambda k: 2.0**k, m.Geometric(0.5), INF),
    ("geometric infinite by exp", lambda k: jnp.exp(k), m.Geometric(0.5), INF),
    ("negative binomial mean", lambda k: k, m.NegativeBinomial(2.5, 0.25), 7.5),
    ("binomial large", lambda k: k * k, m.Binomial(1000, 0.25), 1000 * 0.1875 + 62500.0),
    ("Basel", lambda k: 1 / (k * k), m.Counting(1, INF), PI**2 / 6),
    ("Apery", lambda k: k**-3.0, m.Counting(1, INF), float(special.zeta(3.0))),
    ("harmonic", lambda k: 1 / k, m.Counting(1, INF), INF),
    ("zeta 1.5", lambda k: k**-1.5, m.Counting(1, INF), float(special.zeta(1.5))),
    ("halves", lambda k: 2.0**-k, m.Counting(0, INF), 2.0),
    ("constant", lambda k: 0 * k + 1.0, m.Counting(0, INF), INF),
]
MIXED = [
    ("zero-inflated Poisson", lambda k: jnp.where(k == 0, 1.0, 0.0),
     m.mixture([0.25, 0.75], [m.Dirac(0.0), m.Poisson(2.0)]), 0.25 + 0.75 * math.exp(-2.0)),
    ("hurdle", lambda x: x, m.mixture([0.5, 0.5], [m.Dirac(0.0), m.LogNormal(0.0, 1.0)]), math.exp(0.5) / 2),
    ("censored mean", lambda x: x, m.pushforward(N, lambda x: jnp.maximum(x, 0.0)), 1 / math.sqrt(2 * PI)),
    ("censored atom", lambda x: jnp.where(x == 0, 1.0, 0.0), m.pushforward(N, lambda x: jnp.maximum(x, 0.0)), 0.5),
    ("clipped at both", lambda x: x * x, m.pushforward(N, lambda x: jnp.clip(x, -1.0, 1.0)),
     2 * stats.norm.sf(1.0) + stats.norm.cdf(1) - stats.norm.cdf(-1) - 2 * stats.norm.pdf(1.0)),
    ("spike and slab square", lambda x: x * x, m.mixture([0.75, 0.25], [m.Dirac(0.0), m.Normal(0.0, 3.0)]), 2.25),
    ("spike and Cauchy", lambda x: x * x, m.mixture([0.5, 0.5], [m.Dirac(1.0), m.Cauchy()]), INF),
    ("atoms and length", lambda x: x, m.add([m.Lebesgue(0.0, 1.0), m.Dirac(0.5), m.Dirac(2.0)]), 3.0),
    ("rationals have no length", lambda x: jnp.where(x == 0.5, 1e6, 1.0), m.Uniform(0.0, 1.0), 1.0),
]  # fmt: skip
NORMALISERS = [
    ("tiny", lambda x: -x * x / 2 - 5000.0, (), -5000 + math.log(2 * PI) / 2),
    ("huge", lambda x: 4e4 - x**4, (), 4e4 + math.log(2 * special.gamma(1.25))),
    ("quartic", lambda x: -(x**4), (), math.log(2 * special.gamma(1.25))),
    ("needle", lambda x: -(((x - 3) * 2.0**20) ** 2), (), math.log(PI) / 2 - 20 * math.log(2)),
    ("far", lambda x: -((x - 1e6) ** 2) / 2, (), math.log(2 * PI) / 2),
    ("gamma", lambda x: 1.5 * jnp.log(x) - x, (m.Lebesgue(0.0, INF),), float(special.gammaln(2.5))),
    ("gamma large", lambda x: 999 * jnp.log(x) - x, (m.Lebesgue(0.0, INF),), float(special.gammaln(1000.0))),
    ("beta small", lambda x: -0.75 * jnp.log(x) - 0.75 * jnp.log1p(-x), (m.Lebesgue(0.0, 1.0),),
     float(special.betaln(0.25, 0.25))),
    ("student", lambda x: -1.5 * jnp.log1p(x * x / 2), (),
     math.log(2 * PI) / 2 + float(special.gammaln(1.0) - special.gammaln(1.5))),
    ("logistic posterior", lambda x: -softplus(-x) - softplus(x), (), 0.0),
    ("separable logistic data", lambda x: -3 * softplus(-x), (), INF),
    ("improper", lambda x: -jnp.log1p(jnp.abs(x)), (), INF),
    ("flat", lambda x: 0.0 * x, (), INF),
    ("growing", lambda x: x * x - 2 * x, (), INF),
    ("two far masses", lambda x: jnp.logaddexp(-((x - 500) ** 2) / 2, -((x + 500) ** 2) / 2), (),
     math.log(2 * math.sqrt(2 * PI))),
    ("von Mises", lambda x: 5 * jnp.cos(x), (m.Lebesgue(-PI, PI),), math.log(2 * PI * float(special.iv(0, 5.0)))),
]  # fmt: skip
DIVERGENCES = [
    ("normals", N, m.Normal(1.0, 2.0), math.log(2) + 2 / 8 - 0.5),
    ("normals, near", N, m.Normal(2.0**-26, 1.0), 2.0**-53),
    ("normal, Laplace", N, m.Laplace(), math.log(2) + math.sqrt(2 / PI) - math.log(2 * PI * E) / 2),
    ("Laplace, normal", m.Laplace(), N, math.log(2 * PI) / 2 + 1 - math.log(2 * E)),
    ("Cauchy, normal", m.Cauchy(), N, INF),
    ("normal, uniform", N, m.Uniform(-40.0, 40.0), INF),
    ("uniform, normal", m.Uniform(-1.0, 1.0), N, math.log(2 * PI) / 2 + 1 / 6 - math.log(2)),
    ("uniforms", m.Uniform(0.25, 0.75), m.Uniform(0.0, 1.0), math.log(2)),
    ("uniforms, wrong way", m.Uniform(0.0, 1.0), m.Uniform(0.25, 0.75), INF),
    ("Cauchys", m.Cauchy(), m.Cauchy(1.0, 2.0), math.log((3.0**2 + 1.0) / 8.0)),
    ("exponential, gamma", m.Exponential(1.0), m.Gamma(2.0, 1.0), float(np.euler_gamma)),
    ("gammas, near", m.Gamma(2.0, 3.0), m.Gamma(2.0, 3.0 * (1 + 2.0**-20)), 2.0**-40 - 2.0**-59 / 3 + 2.0**-81),
    ("exponential, Pareto shifted away", m.Exponential(1.0), m.Pareto(1.0, 1.0), INF),
    ("Pareto, exponential", m.Pareto(3.0, 1.0), m.Exponential(1.0), math.log(3.0) - 4 / 3 + 1.5),
    ("Pareto, exponential, infinite", m.Pareto(1.0, 1.0), m.Exponential(1.0), INF),
    ("betas", m.Beta(2.0, 3.0), m.Beta(0.5, 0.5),
     float(special.betaln(0.5, 0.5) - special.betaln(2, 3) + 1.5 * special.digamma(2) + 2.5 * special.digamma(3)
           - 4 * special.digamma(5))),
    ("Poissons", m.Poisson(2.0), m.Poisson(3.0), 2 * math.log(2 / 3) + 1),
    ("geometrics", m.Geometric(0.5), m.Geometric(0.25), math.log(2.0) + math.log(0.5 / 0.75)),
    ("Poisson, geometric", m.Poisson(1.0), m.Geometric(0.5),
     -1 - float(sum(stats.poisson.pmf(k, 1.0) * special.gammaln(k + 1.0) for k in range(60))) + 2 * math.log(2.0)),
    ("geometric, Poisson", m.Geometric(0.5), m.Poisson(1.0),
     float(sum(0.5 ** (k + 1) * ((k + 1) * math.log(0.5) + 1 + math.lgamma(k + 1.0)) for k in range(200)))),
    ("vectors", [0.5, 0.25, 0.25], [0.25, 0.25, 0.5], math.log(2) / 4),
    ("vectors, infinite", [0.5, 0.5], [1.0, 0.0], INF),
    ("spike alone", m.mixture([0.5, 0.5], [m.Dirac(0.0), N]), N, INF),
    ("spike in both", m.mixture([0.5, 0.5], [m.Dirac(0.0), N]), m.mixture([0.25, 0.75], [m.Dirac(0.0), N]),
     0.5 * math.log(2) + 0.5 * math.log(2 / 3)),
    ("student, normal", m.StudentT(3.0), N, math.log(math.sqrt(2 * PI)) + 1.5 - float(stats.t(3).entropy())),
    ("student, normal, infinite", m.StudentT(2.0), N, INF),
    ("half-normal, exponential", m.HalfNormal(1.0), m.Exponential(1.0),
     math.sqrt(2 / PI) - math.log(PI * E / 2) / 2),
    ("logistic, Laplace", m.Logistic(), m.Laplace(), math.log(2.0) + 2 * math.log(2.0) - 2.0),
]  # fmt: skip


def _all() -> list[Question]:
    found = [Question("line", name, "expect", (f, mu), truth) for name, f, mu, truth in PROBLEMS]
    for kind, rows in (("hidden", HIDDEN), ("heavy", HEAVY), ("discrete", DISCRETE), ("mixed", MIXED)):
        found += [Question(kind, name, "expect", (f, mu), truth) for name, f, mu, truth in rows]
    found += [Question("normalizer", name, "normalizer", (u, *on), truth) for name, u, on, truth in NORMALISERS]
    found += [Question("kl", name, "kl", (p, q), truth) for name, p, q, truth in DIVERGENCES]
    chosen = {name: one for name, one in MANY.items() if name.endswith(("d = 2", "d = 4"))}
    found += [Question("many", name, one.verb, (one.fun, one.measure), one.true) for name, one in chosen.items()]
    return found


QUESTIONS = _all()
"""Every question; NaN is the truth of an integral that is undefined."""
