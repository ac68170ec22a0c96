"""Sixty integrals on the line with references by closed forms of other libraries: (name, function, measure, truth)."""

import math

import jax
import jax.numpy as jnp
import scipy.special as sp
from scipy import stats

from qed.integration import measures as m

E, PI, G = math.e, math.pi, 0.9159655941772190
N, INF = m.Normal(), math.inf

PROBLEMS = [
    *[(f"normal moment {k}", lambda x, k=k: x**k, N, float(sp.factorial2(k - 1))) for k in (2, 4, 6, 8)],
    *[(f"normal mgf {t}", lambda x, t=t: jnp.exp(t * x), N, math.exp(t * t / 2)) for t in (0.5, 1.0, 3.0, -2.0)],
    *[(f"normal cf {t}", lambda x, t=t: jnp.cos(t * x), N, math.exp(-t * t / 2)) for t in (0.5, 1.0, 2.0)],
    ("normal odd", lambda x: x**3, N, 0.0),
    ("normal moved", lambda x: x * x, m.Normal(3.0, 2.0), 13.0),
    ("normal narrow", lambda x: x * x, m.Normal(1.0, 2.0**-20), 1 + 2.0**-40),
    ("normal far", lambda x: x, m.Normal(4096.0, 1.0), 4096.0),
    ("normal abs", jnp.abs, N, math.sqrt(2 / PI)),
    ("normal relu", lambda x: jnp.maximum(x, 0.0), N, 1 / math.sqrt(2 * PI)),
    ("normal step", lambda x: jnp.where(x > 1.0, 1.0, 0.0), N, stats.norm.sf(1.0)),
    ("normal far step", lambda x: jnp.where(x > 6.0, 1.0, 0.0), N, stats.norm.sf(6.0)),
    ("normal band", lambda x: jnp.where(jnp.abs(x) < 0.5, 1.0, 0.0), N, 1 - 2 * stats.norm.sf(0.5)),
    ("normal logistic", jax.nn.sigmoid, N, 0.5),
    ("normal erf", lambda x: jax.lax.erf(x) ** 2, N, 2 / PI * math.asin(2 / 3)),
    ("normal sin squared", lambda x: jnp.sin(x) ** 2, N, (1 - math.exp(-2)) / 2),
    ("normal gauss", lambda x: jnp.exp(-x * x), N, 1 / math.sqrt(3)),
    ("normal rational", lambda x: 1 / (1 + x * x), N, math.sqrt(PI / 2) * math.exp(0.5) * math.erfc(math.sqrt(0.5))),
    ("normal constant", lambda x: 0 * x + 7.0, N, 7.0),
    ("normal infinite", lambda x: jnp.exp(x * x), N, INF),
    ("exponential mean", lambda x: x, m.Exponential(4.0), 0.25),
    ("exponential cube", lambda x: x**3, m.Exponential(2.0), 0.75),
    ("exponential mgf", lambda x: jnp.exp(x / 2), m.Exponential(1.0), 2.0),
    ("exponential infinite", lambda x: jnp.exp(2 * x), m.Exponential(1.0), INF),
    ("exponential cos", jnp.cos, m.Exponential(1.0), 0.5),
    ("exponential late", lambda x: jnp.where(x > 20.0, 1.0, 0.0), m.Exponential(1.0), math.exp(-20.0)),
    ("exponential root", jnp.sqrt, m.Exponential(1.0), math.sqrt(PI) / 2),
    ("exponential log", jnp.log, m.Exponential(1.0), float(sp.digamma(1.0))),
    ("gamma mean", lambda x: x, m.Gamma(3.0, 2.0), 1.5),
    ("gamma square", lambda x: x * x, m.Gamma(2.5, 1.0), 2.5 * 3.5),
    ("gamma singular", lambda x: x, m.Gamma(0.5, 1.0), 0.5),
    ("gamma inverse", lambda x: 1 / x, m.Gamma(3.0, 1.0), 0.5),
    ("gamma inverse infinite", lambda x: 1 / x, m.Gamma(1.0, 1.0), INF),
    ("laplace abs", jnp.abs, m.Laplace(), 1.0),
    ("laplace square", lambda x: x * x, m.Laplace(1.0, 2.0), 9.0),
    ("laplace infinite", lambda x: jnp.exp(x), m.Laplace(), INF),
    ("student square", lambda x: x * x, m.StudentT(5.0), 5 / 3),
    ("student fourth", lambda x: x**4, m.StudentT(7.0), 3 * 49 / (5 * 3)),
    ("student infinite", lambda x: x * x, m.StudentT(2.0), INF),
    ("cauchy bounded", lambda x: 1 / (1 + x * x), m.Cauchy(), 0.5),
    ("cauchy step", lambda x: jnp.where(x > 1.0, 1.0, 0.0), m.Cauchy(), 0.25),
    ("cauchy log", lambda x: jnp.log(1 + jnp.abs(x)), m.Cauchy(), 2 / PI * (PI / 4 * math.log(2) + G)),
    ("cauchy infinite", lambda x: x * x, m.Cauchy(), INF),
    ("uniform power", lambda x: x**4, m.Uniform(-1.0, 3.0), 12.2),
    ("uniform exp", jnp.exp, m.Uniform(0.0, 1.0), E - 1),
    ("uniform floor", jnp.floor, m.Uniform(0.0, 3.0), 1.0),
    ("uniform needle", lambda x: jnp.where(jnp.abs(x - 0.375) < 2.0**-13, 4096.0, 0.0), m.Uniform(0.0, 1.0), 1.0),
    ("uniform peak", lambda x: jnp.exp(-(((x - 0.375) * 4096) ** 2)), m.Uniform(0.0, 1.0), math.sqrt(PI) / 4096),
    ("uniform fast", lambda x: jnp.cos(100 * x), m.Uniform(0.0, 1.0), math.sin(100.0) / 100),
    ("beta mean", lambda x: x, m.Beta(2.0, 3.0), 0.4),
    ("beta square", lambda x: x * x, m.Beta(1.0, 1.0), 1 / 3),
    ("length sin", jnp.sin, m.Lebesgue(0.0, PI), 1 - math.cos(PI)),
    ("length gauss", lambda x: jnp.exp(-x * x), m.Lebesgue(), math.sqrt(PI)),
    ("length power", lambda x: x**-2, m.Lebesgue(1.0, INF), 1.0),
    ("length harmonic", lambda x: 1 / x, m.Lebesgue(1.0, INF), INF),
    ("length root", lambda x: 1 / jnp.sqrt(x), m.Lebesgue(0.0, 1.0), 2.0),
    ("length pole", lambda x: 1 / x, m.Lebesgue(0.0, 1.0), INF),
    ("length sech", lambda x: 1 / jnp.cosh(x), m.Lebesgue(), PI),
    ("quartic", lambda x: x * x, m.from_log_density(lambda x: -(x**4)), sp.gamma(0.75) / sp.gamma(0.25)),
    ("double well", lambda x: x, m.from_log_density(lambda x: -((x * x - 4) ** 2)), 0.0),
    ("far wells", lambda x: jnp.where(x > 0, 1.0, 0.0), m.from_log_density(lambda x: -((x * x - 64) ** 2)), 0.5),
    ("spike", lambda x: x * x, m.mixture([0.25, 0.75], [m.Dirac(2.0), N]), 1.75),
    ("spike missed by a density", lambda x: jnp.where(x == 0, 1.0, 0.0), m.mixture([0.5, 0.5], [m.Dirac(0.0), N]), 0.5),
    ("two normals", lambda x: x, m.mixture([0.5, 0.5], [m.Normal(-50.0, 0.125), m.Normal(70.0, 0.125)]), 10.0),
    ("bernoulli", lambda x: 3 * x + 1, m.Bernoulli(0.25), 1.75),
    ("binomial", lambda x: x * x, m.Binomial(10, 0.5), 27.5),
    ("categorical", lambda x: x, m.Categorical([0.25, 0.25, 0.5]), 1.25),
]  # fmt: skip
