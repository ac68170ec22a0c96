"""A sixth set of held-out shapes: likelihoods, entropies and robust losses.

Written before any of its functions was given to the prover, as was corpus_shapes_markets.py (see there for how the
prover first did).

References: McCullagh (1980) and Burridge (1981) for ordered categories; Cox (1972); Barndorff-Nielsen, *Information and
Exponential Families* (1978), for log-partitions; Martins and Astudillo (2016) for sparsemax; Lin, *Divergence measures
based on the Shannon entropy* (1991); Andrews (1974), Fair (1974), Geman and McClure (1985) for robust losses.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import betaln, entr, gammainc, gammaln, logsumexp
from jax.scipy.stats import norm

from tests.calculus.corpus_shapes import CONCAVE, CONVEX, LINE, NEITHER, Case, draw, one_hot, over, signs
from tests.calculus.corpus_shapes_estimation import beside

X, Y, SIGN = draw(8, 3, seed=111), draw(8, seed=112), signs(8, seed=113)
COUNTS = np.array([0, 2, 1, 0, 4, 1, 3, 0], np.float32)
GRADES = np.array([0, 1, 2, 0, 1, 2, 1, 0])
FREE3 = over(*LINE, 3)
RISKS, EVENTS = draw(40, 3, seed=114), (np.arange(40) % 3 > 0).astype(np.float32)
AT_RISK = np.tril(np.ones((40, 40), np.float32))


def ordered_categories(p):
    eta = X @ p["w"]
    ends = jnp.concatenate([jnp.array([-jnp.inf]), p["cuts"], jnp.array([jnp.inf])])
    mass = jax.nn.sigmoid(ends[GRADES + 1] - eta) - jax.nn.sigmoid(ends[GRADES] - eta)
    return -jnp.sum(jnp.log(mass))


def cox(w):
    eta = RISKS @ w
    return -jnp.sum(EVENTS * (eta - jnp.log(AT_RISK @ jnp.exp(eta))))


def gamma_shape_and_rate(p):
    a, b = p["shape"], p["rate"]
    return gammaln(a) - a * jnp.log(b) - (a - 1.0) * 0.25 + b * 1.5


def beta_shapes(p):
    return betaln(p["a"], p["b"]) + 0.5 * (p["a"] - 1.0) + 1.25 * (p["b"] - 1.0)


def negative_binomial_by_hand(w):
    mean, r = jnp.exp(X @ w), 2.0
    constants = gammaln(COUNTS + r) - gammaln(r) - gammaln(COUNTS + 1.0)
    return -jnp.sum(constants + r * jnp.log(r / (r + mean)) + COUNTS * jnp.log(mean / (r + mean)))


def no_counts_in_dispersion(r):
    return r * jnp.log1p(3.0 / r)


def sizes_to_the(power):
    return lambda w: jnp.sum(jnp.abs(Y - X @ w) ** power)


def smoothed_quantile(w):
    r = Y - X @ w
    return jnp.mean(0.75 * r + 0.5 * jax.nn.softplus(-r / 0.5))


def expectile_by_indicator(w):
    r = Y - X @ w
    return jnp.mean(jnp.abs(0.75 - (r < 0)) * r**2)


def noisy_labels(z):
    return -jnp.log(0.75 * jax.nn.sigmoid(z) + 0.125)


def truncated_normal(mean):
    return 0.5 * (1.5 - mean) ** 2 + jnp.log(norm.cdf(mean))


def truncated_poisson(eta):
    return jnp.log(jnp.expm1(jnp.exp(eta))) - 2.0 * eta


def logarithmic_series(eta):
    return jnp.log(-jnp.log1p(-jnp.exp(eta))) - 2.0 * eta


def reference_class(w):
    scores = jnp.concatenate([jnp.zeros((8, 1)), X @ w], axis=1)
    return jnp.mean(logsumexp(scores, axis=1) - jnp.sum(scores * one_hot(8, 3), axis=1))


def identity_link(w):
    rate = jnp.abs(jnp.asarray(X)) @ w + 0.125
    return jnp.sum(rate - COUNTS * jnp.log(rate))


def item_response(p):
    return jax.nn.softplus(-p["slope"] * p["ability"])


def jensen_shannon(p):
    middle = (p["p"] + p["q"]) / 2
    return 0.5 * jnp.sum(p["p"] * jnp.log(p["p"] / middle) + p["q"] * jnp.log(p["q"] / middle))


def neyman(p):
    return jnp.sum((p["p"] - p["q"]) ** 2 / p["q"])


def bhattacharyya(p):
    return -jnp.log(jnp.sum(jnp.sqrt(p["p"] * p["q"])))


def tsallis(x):
    return (jnp.sum(jnp.sqrt(x)) - 1.0) / 0.5


def binary_entropy(x):
    return entr(x) + entr(1.0 - x)


def entropy_of_softmax(z):
    p = jax.nn.softmax(z)
    return -jnp.sum(p * jax.nn.log_softmax(z))


def boltzmann(z):
    return jnp.sum(z * jax.nn.softmax(z))


def sparsemax(z):
    s = jnp.sort(z)[::-1]
    k = jnp.arange(1.0, 4.0)
    total = jnp.cumsum(s)
    inside = 1.0 + k * s > total
    size = jnp.sum(inside)
    threshold = (jnp.sum(jnp.where(inside, s, 0.0)) - 1.0) / size
    return 0.5 * jnp.sum(jnp.where(inside, s**2 - threshold**2, 0.0)) + 0.5 - z[0]


def natural_normal(p):
    return -(p["one"] ** 2) / (4.0 * p["two"]) - 0.5 * jnp.log(-2.0 * p["two"])


def mean_and_precision(p):
    return -0.5 * jnp.log(p["precision"]) + 0.5 * p["precision"] * (1.0 - p["mean"]) ** 2


def mean_and_variance(p):
    return 0.5 * jnp.log(p["variance"]) + 0.5 * (1.0 - p["mean"]) ** 2 / p["variance"]


def geman(x):
    return x**2 / (1.0 + x**2)


def andrews(x):
    return jnp.where(jnp.abs(x) < jnp.pi, 1.0 - jnp.cos(x), 2.0)


def fair(w):
    size = jnp.abs(Y - X @ w) / 1.5
    return 1.5**2 * jnp.sum(size - jnp.log1p(size))


def log_barrier(x):
    return -jnp.log(2.0 * x - x**2)


def inverse_sine_integral(x):
    return x * jnp.arcsinh(x) - jnp.sqrt(1.0 + x**2)


PAIR = beside("p q", over(0.125, 4, 3), over(0.125, 4, 3))
SHAPES = beside("a b", over(0.25, 4), over(0.25, 4))
CUTS = ({"w": FREE3[0], "cuts": np.float32([-2.0, 0.5])}, {"w": FREE3[1], "cuts": np.float32([-0.5, 2.0])})

LIKELIHOODS = [
    Case("ordered_categories", CONVEX, ordered_categories, CUTS, "log-concave masses (Prekopa)", sampled=False),
    Case("cox", CONVEX, cox, FREE3, "log-sum-exp over those at risk"),
    Case("gamma_shape_and_rate", CONVEX, gamma_shape_and_rate, beside("shape rate", *[over(0.5, 4)] * 2), "a psi' > 1"),
    Case("beta_shapes", CONVEX, beta_shapes, SHAPES, "a log-partition"),
    Case("negative_binomial_by_hand", CONVEX, negative_binomial_by_hand, over(-2, 2, 3), "softplus"),
    Case("no_counts_in_dispersion", CONCAVE, no_counts_in_dispersion, over(0.25, 8), "a perspective of log1p"),
    Case("sizes_to_1.25", CONVEX, sizes_to_the(1.25), FREE3, "powers above 1 of sizes"),
    Case("sizes_to_0.75", NEITHER, sizes_to_the(0.75), over(-2, 2, 3), "concave between kinks, convex at them"),
    Case("smoothed_quantile", CONVEX, smoothed_quantile, FREE3, "softplus and a line"),
    Case("expectile_by_indicator", CONVEX, expectile_by_indicator, FREE3, "a square with two weights"),
    Case("noisy_labels", NEITHER, noisy_labels, over(-8, 8), "between two asymptotes"),
    Case("truncated_normal", CONVEX, truncated_normal, over(-3, 3), "f'' is the variance"),
    Case("truncated_poisson", CONVEX, truncated_poisson, over(-3, 3), "log of a sum of exp(k eta)/k!"),
    Case("logarithmic_series", CONVEX, logarithmic_series, over(-4, -0.125), "log of a sum of exp(k eta)/k"),
    Case("reference_class", CONVEX, reference_class, over(*LINE, 3, 2), "log-sum-exp minus a score"),
    Case("identity_link", CONVEX, identity_link, over(0, 2, 3), "a line minus logarithms"),
    Case("item_response", NEITHER, item_response, beside("slope ability", over(0.5, 2), over(-2, 2)), "a product"),
    Case("gamma_distribution_near", CONVEX, lambda x: gammainc(2.0, x), over(0, 0.9375), "its density rises up to 1"),
    Case("gamma_distribution", NEITHER, lambda x: gammainc(2.0, x), over(0, 4), "its density rises, then falls"),
]
ENTROPIES = [
    Case("jensen_shannon", CONVEX, jensen_shannon, PAIR, "relative entropies of affine functions"),
    Case("neyman", CONVEX, neyman, PAIR, "squares over lines"),
    Case("bhattacharyya", CONVEX, bhattacharyya, PAIR, "-log of a concave function"),
    Case("tsallis", CONCAVE, tsallis, over(0, 4, 3), "square roots"),
    Case("binary_entropy", CONCAVE, binary_entropy, over(0, 1), "entropies"),
    Case("entropy_of_softmax", NEITHER, entropy_of_softmax, over(-4, 4, 3), "a maximum at 0, flat far out"),
    Case("boltzmann", NEITHER, boltzmann, over(-4, 4, 2), "u tanh(u/2) bends both ways"),
    Case("sparsemax", CONVEX, sparsemax, over(-2, 2, 3), "a conjugate; 0 where its rounding shows", sampled=False),
    Case("natural_normal", CONVEX, natural_normal, beside("one two", over(*LINE), over(-4, -0.125)), "a log-partition"),
    Case(
        "mean_and_precision",
        NEITHER,
        mean_and_precision,
        beside("mean precision", over(-2, 2), over(0.25, 4)),
        "det 1/(2 t) - r^2",
    ),
    Case(
        "mean_and_variance",
        NEITHER,
        mean_and_variance,
        beside("mean variance", over(-2, 2), over(0.25, 16)),
        "log v where r is 0",
    ),
]
ROBUST = [
    Case("geman_near", CONVEX, geman, over(-0.5, 0.5), "3 x^2 < 1"),
    Case("geman", NEITHER, geman, over(-3, 3), "3 x^2 passes 1"),
    Case("andrews_near", CONVEX, andrews, over(-1.5, 1.5), "the cosine is positive"),
    Case("andrews", NEITHER, andrews, over(-6, 6), "bounded and not constant, with a well"),
    Case("fair", CONVEX, fair, FREE3, "f'' = 1/(1 + s)^2, slope 0 at 0"),
    Case("log_barrier", CONVEX, log_barrier, over(0.0625, 1.9375), "-log x - log(2 - x)"),
    Case("inverse_sine_integral", CONVEX, inverse_sine_integral, over(*LINE), "f'' = 1/sqrt(1 + x^2)"),
]
