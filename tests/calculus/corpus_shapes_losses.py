"""A third set of held-out shapes: losses of learning and of statistics as their users write them.

Written before any of its functions was given to the prover. References: Boyd and Vandenberghe, *Convex Optimization*
(2004), sections 3.1 to 3.5 and 7.1; McCullagh and Nelder, *Generalized Linear Models* (1989); Barron, *A general and
adaptive robust loss function* (2019); Cox (1972); Plackett (1975); Pratt, *Concavity of the log likelihood* (1981).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tests.calculus.corpus_shapes import CONVEX, LINE, NEITHER, Case, draw, one_hot, over, signs

X, Y, SIGN = draw(6, 3, seed=61), draw(6, seed=62), signs(6, seed=63)
COUNTS = np.array([2.0, 0.0, 1.0, 4.0, 0.0, 3.0], np.float32)
CLASSES = one_hot(6, 3)
FREE, FREE33 = over(*LINE, 3), over(*LINE, 3, 3)
KEYS = draw(4, 2, seed=64)
LIKELIHOODS = np.abs(draw(5, 3, seed=65)) + 0.25


def clipped_cross_entropy(w):
    p = jnp.clip(jax.nn.sigmoid(X @ w), 1e-4, 1 - 1e-4)
    return -jnp.mean(jnp.where(SIGN > 0, jnp.log(p), jnp.log(1 - p)))


def weighted_logistic(p):
    weight = jnp.where(SIGN == 1, 3.0, 1.0)
    return jnp.sum(weight * jax.nn.softplus(-SIGN * (X @ p["w"] + p["b"])))


def contrastive(queries, keys):
    return -jnp.mean(jnp.diag(jax.nn.log_softmax(queries @ keys.T / 0.5, axis=1)))


def bradley_terry(r):
    won, lost = np.array([0, 1, 2, 0]), np.array([1, 2, 3, 3])
    return -jnp.sum(jnp.log(jax.nn.sigmoid(r[won] - r[lost])))


def plackett_luce(s):
    return sum(jax.scipy.special.logsumexp(s[i:]) - s[i] for i in range(4))


def cox(w):
    eta = X @ w
    at_risk = jnp.log(jnp.cumsum(jnp.exp(eta)[::-1])[::-1])
    return -jnp.sum(jnp.where(COUNTS > 0, eta - at_risk, 0.0))


def cox_efron_free(w):
    eta = X @ w
    return jnp.sum(jax.lax.cumlogsumexp(eta, reverse=True) - eta)


def censored_normal(w):
    r = Y - X @ w
    return jnp.sum(jnp.where(COUNTS > 0, 0.5 * r**2, -jax.scipy.stats.norm.logcdf(r)))


def ordinal(w):
    z = X @ w
    return -jnp.sum(jnp.log(jax.nn.sigmoid(1.0 - z) - jax.nn.sigmoid(-1.0 - z)))


def three_quantiles(w):
    r = Y - X @ w
    return jnp.sum(jax.vmap(lambda q: jnp.mean(jnp.maximum(q * r, (q - 1) * r)))(jnp.array([0.25, 0.5, 0.75])))


def expectile(w):
    r = Y - X @ w
    return jnp.mean(jnp.where(r < 0, 0.25, 0.75) * r**2)


def general_robust(w):
    r = Y - X @ w
    return jnp.sum(0.5 / 1.5 * ((r**2 / 0.5 + 1) ** 0.75 - 1))


def smooth_hinge(w):
    m = SIGN * (X @ w)
    return jnp.mean(jnp.where(m <= 0, 0.5 - m, jnp.where(m < 1, 0.5 * (1 - m) ** 2, 0.0)))


def kernel_machine(alpha):
    gram = X @ X.T
    return 0.5 * alpha @ gram @ alpha + jnp.sum(jnp.maximum(0.0, 1 - SIGN * (gram @ alpha)))


def kernel_ridge(alpha):
    gram = jnp.exp(-jnp.sum((X[:, None] - X[None]) ** 2, axis=-1))
    return jnp.sum((gram @ alpha - Y) ** 2) + 0.1 * alpha @ gram @ alpha


def machine_dual(alpha):
    signed = SIGN[:, None] * X
    return 0.5 * alpha @ (signed @ signed.T) @ alpha - jnp.sum(alpha)


def dropped_out(w):
    kept = jax.random.bernoulli(jax.random.PRNGKey(3), 0.5, X.shape)
    return jnp.mean((jnp.where(kept, X / 0.5, 0.0) @ w - Y) ** 2)


def batch_normalised(w):
    z = X @ w
    return jnp.mean(((z - z.mean()) / jnp.sqrt(z.var() + 1e-3) - Y) ** 2)


def prediction_entropy(W):
    logp = jax.nn.log_softmax(X @ W, axis=1)
    return -jnp.mean(jnp.sum(jnp.exp(logp) * logp, axis=1))


def critic_with_penalty(w):
    return jnp.mean(X[:3] @ w) - jnp.mean(X[3:] @ w) + 10 * (jnp.linalg.norm(w) - 1) ** 2


def expected_logistic(p):
    noise = np.array([-1.5, -0.5, 0.5, 1.5], np.float32)
    return jnp.mean(jax.nn.softplus(-(p["mean"] + p["scale"] * noise)))


def normal_divergence(p):
    return 0.5 * jnp.sum(jnp.exp(2 * p["log_scale"]) + p["mean"] ** 2 - 1 - 2 * p["log_scale"])


def mixture_by_softmax(a):
    return -jnp.sum(jnp.log(LIKELIHOODS @ jax.nn.softmax(a)))


def mixture_of_two_means(m):
    z = -0.5 * (Y[:, None] - m) ** 2
    return -jnp.sum(jax.nn.logsumexp(z, axis=1) - jnp.log(2.0))


def soft_threshold_objective(x):
    prox = jnp.sign(x) * jnp.maximum(jnp.abs(x) - 1, 0)
    return jnp.sum(0.5 * (x - prox) ** 2 + jnp.abs(prox))


def input_convex_network(x):
    z = jax.nn.softplus(draw(4, 2, seed=66) @ x)
    return jnp.sum(jax.nn.softplus(np.abs(draw(3, 4, seed=67)) @ z + draw(3, 2, seed=68) @ x))


def inertia(c):
    return jnp.sum(jnp.min(jnp.sum((X[:, None] - c[None]) ** 2, axis=-1), axis=1))


def huber_with_scale(p):
    r, s = Y - X @ p["w"], p["s"]
    size = jnp.abs(r)
    return 6 * s + jnp.sum(jnp.where(size <= 1.5 * s, r**2 / s, 3.0 * size - 2.25 * s))


SCALED = (
    {"w": np.full(3, -4.0, np.float32), "s": np.float32(0.25)},
    {"w": np.full(3, 4.0, np.float32), "s": np.float32(4.0)},
)
ANY_NORMAL = (
    {"mean": np.full(2, -np.inf, np.float32), "log_scale": np.full(2, -np.inf, np.float32)},
    {"mean": np.full(2, np.inf, np.float32), "log_scale": np.full(2, np.inf, np.float32)},
)

LEARNING = [
    Case(
        "cross-entropy with smoothed labels",
        CONVEX,
        lambda W: optax.softmax_cross_entropy(X @ W, optax.smooth_labels(CLASSES, 0.25)).mean(),
        FREE33,
        "log-sum-exp of affine, minus affine (the labels' sum being 1 is not needed: it is positive)",
    ),
    Case(
        "cross-entropy with a number inside the logarithm",
        NEITHER,
        lambda W: -jnp.mean(jnp.sum(CLASSES * jnp.log(jax.nn.softmax(X @ W) + 1e-4), axis=1)),
        FREE33,
        "bounded and not constant",
        segments=((np.outer([9.0, 9, 9], [1, -1, 0]).ravel(), np.outer([0.0, 0, 0], [1, -1, 0]).ravel()),),
    ),
    Case("cross-entropy of clipped probabilities", NEITHER, clipped_cross_entropy, FREE, "bounded and not constant"),
    Case(
        "logistic regression with class weights and intercept",
        CONVEX,
        weighted_logistic,
        ({"w": np.full(3, -np.inf, np.float32), "b": -np.inf}, {"w": np.full(3, np.inf, np.float32), "b": np.inf}),
        "positive weights of softplus of affine",
    ),
    Case(
        "one against the rest",
        CONVEX,
        lambda W: optax.sigmoid_binary_cross_entropy(X @ W, CLASSES).sum(),
        FREE33,
        "sums of softplus of affine",
    ),
    Case("contrastive loss of one side", CONVEX, lambda q: contrastive(q, KEYS), over(*LINE, 4, 2), "lse - affine"),
    Case(
        "contrastive loss of both sides",
        NEITHER,
        lambda p: contrastive(p["q"], p["k"]),
        (
            {"q": over(-2, 2, 4, 2)[0], "k": over(-2, 2, 4, 2)[0]},
            {"q": over(-2, 2, 4, 2)[1], "k": over(-2, 2, 4, 2)[1]},
        ),
        "bilinear inside: the Hessian at 0 has no diagonal blocks",
    ),
    Case("ratings by Bradley and Terry", CONVEX, bradley_terry, over(*LINE, 4), "softplus of differences"),
    Case("rankings by Plackett and Luce", CONVEX, plackett_luce, over(*LINE, 4), "log-sum-exps minus affine"),
    Case("partial likelihood by cumulative sums", CONVEX, cox, FREE, "logs of sums of exponentials, minus affine"),
    Case("partial likelihood by cumlogsumexp", CONVEX, cox_efron_free, FREE, "log-sum-exps minus affine"),
    Case(
        "temperature, its inverse",
        CONVEX,
        lambda b: jnp.mean(jax.nn.logsumexp(b * X, axis=1) - b * X[:, 0]),
        (0.1, 10.0),
        "log-sum-exp of affine, minus affine",
    ),
    Case("loss with fixed dropout", CONVEX, dropped_out, FREE, "squares of affine"),
    Case("linear model behind a normalised batch", NEITHER, batch_normalised, FREE, "bounded and not constant"),
    Case("entropy of predictions", NEITHER, prediction_entropy, FREE33, "bounded and not constant"),
    Case("critic with a penalty on its slope", NEITHER, critic_with_penalty, FREE, "(|w| - 1)^2 has a summit at 0"),
    Case("kernel machine, singular kernel", CONVEX, kernel_machine, over(*LINE, 6), "a'XX'a and hinges"),
    Case("kernel ridge", CONVEX, kernel_ridge, over(*LINE, 6), "squares and a definite form"),
    Case("dual of a support vector machine", CONVEX, machine_dual, over(0.0, 1.0, 6), "|sum a y x|^2/2 - sum a"),
    Case("hinge with a rounded corner", CONVEX, smooth_hinge, FREE, "slopes -1, m - 1, 0"),
    Case("prox by soft threshold", CONVEX, soft_threshold_objective, over(*LINE, 3), "Huber's function"),
    Case("network convex in its input", CONVEX, input_convex_network, over(*LINE, 2), "convex increasing of convex"),
    Case("inertia of two means", NEITHER, inertia, over(-2.0, 2.0, 2, 3), "a minimum of squares; symmetric in the two"),
    Case(
        "masked factorisation in one factor",
        CONVEX,
        lambda V: jnp.sum(jnp.where(CLASSES > 0, X @ V - draw(6, 3, seed=69), 0.0) ** 2) + 0.1 * jnp.sum(V**2),
        FREE33,
        "squares of affine",
    ),
]

STATISTICS = [
    Case(
        "negative binomial regression",
        CONVEX,
        lambda w: jnp.sum((COUNTS + 2.0) * jnp.log(2.0 + jnp.exp(X @ w)) - COUNTS * (X @ w)),
        FREE,
        "log(2 + e^u) is convex",
    ),
    Case(
        "zero-inflated Poisson, a zero",
        NEITHER,
        lambda eta: -jnp.log(0.5 + 0.5 * jnp.exp(-jnp.exp(eta))),
        LINE,
        "between 0 and log 2, not constant",
    ),
    Case(
        "probit regression",
        CONVEX,
        lambda w: -jnp.sum(jax.scipy.special.log_ndtr(SIGN * (X @ w))),
        over(-1.0, 1.0, 3),
        "the normal distribution function is log-concave",
    ),
    Case("censored normal regression", CONVEX, censored_normal, over(-1.0, 1.0, 3), "squares, and -log ndtr of affine"),
    Case("ordinal regression", CONVEX, ordinal, over(-1.0, 1.0, 3), "masses of intervals are log-concave (Pratt 1981)"),
    Case("three quantiles at once", CONVEX, three_quantiles, FREE, "maxima of affine functions"),
    Case("expectiles", CONVEX, expectile, FREE, "slopes 2 a r, continuous at r = 0"),
    Case(
        "power of a Charbonnier penalty below one half",
        NEITHER,
        lambda w: jnp.sum(((Y - X @ w) ** 2 + 0.25) ** 0.375),
        FREE,
        "it grows like |r|^(3/4)",
    ),
    Case("general robust loss", CONVEX, general_robust, FREE, "f'' = (1 + r^2)(1 + 2 r^2)^(-5/4)"),
    Case("divergence of normals in the log-scale", CONVEX, normal_divergence, ANY_NORMAL, "exp and a square"),
    Case(
        "expected logistic loss of a normal",
        CONVEX,
        expected_logistic,
        ({"mean": -np.inf, "scale": 0.0}, {"mean": np.inf, "scale": np.inf}),
        "softplus of affine",
    ),
    Case(
        "mixture in its weights",
        CONVEX,
        lambda p: -jnp.sum(jnp.log(LIKELIHOODS @ p)),
        over(0.0625, 1.0, 3),
        "-log of affine",
    ),
    Case("mixture in its logits", NEITHER, mixture_by_softmax, over(-4.0, 4.0, 3), "a difference of log-sum-exps"),
    Case("mixture in its means", NEITHER, mixture_of_two_means, over(-3.0, 3.0, 2), "symmetric with a saddle"),
    Case("Huber's regression with its scale", CONVEX, huber_with_scale, SCALED, "the perspective of Huber's function"),
    Case(
        "divergence of distributions on a box from 0",
        CONVEX,
        lambda p: jnp.sum(jax.scipy.special.kl_div(p, np.array([0.25, 0.5, 0.25], np.float32))),
        over(0.0, 1.0, 3),
        "p log p, p log q and affine",
    ),
    Case(
        "chi-squared in both",
        CONVEX,
        lambda p: jnp.sum((p[0] - p[1]) ** 2 / p[1]),
        over(0.125, 2.0, 2, 3),
        "square over linear",
    ),
    Case(
        "Hellinger in both",
        CONVEX,
        lambda p: jnp.sum((jnp.sqrt(p[0]) - jnp.sqrt(p[1])) ** 2),
        over(0.125, 2.0, 2, 3),
        "p + q - 2 sqrt(pq), geometric means being concave",
    ),
    Case(
        "Jensen and Shannon in both",
        CONVEX,
        lambda p: jnp.sum(p[0] * jnp.log(p[0] / (0.5 * (p[0] + p[1]))) + p[1] * jnp.log(p[1] / (0.5 * (p[0] + p[1])))),
        over(0.125, 1.0, 2, 2),
        "relative entropies of linear arguments",
    ),
    Case(
        "Itakura and Saito too far",
        NEITHER,
        lambda q: jnp.sum(1 / q + jnp.log(q) - 1),
        over(0.25, 4.0, 2),
        "f'' = (2 - q)/q^3",
    ),
    Case(
        "Poisson deviance of scikit-learn",
        CONVEX,
        lambda mu: jnp.mean(2 * (jax.scipy.special.xlogy(COUNTS, COUNTS / mu) - COUNTS + mu)),
        over(0.125, 8.0, 6),
        "-y log mu + mu",
    ),
    Case(
        "nonnegative factorisation by divergence, one factor",
        CONVEX,
        lambda H: jnp.sum(LIKELIHOODS @ H - np.float32(2.0) * jnp.log(LIKELIHOODS @ H)),
        over(0.125, 2.0, 3, 2),
        "affine minus log of affine",
    ),
]
