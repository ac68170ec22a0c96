"""The objectives of scikit-learn's linear models, as its documentation states them, as functions of the coefficients.

Constants are scikit-learn's defaults or small; data are small. Where an estimator minimises nothing (orthogonal
matching pursuit restricts the support, least angle regression follows the Lasso's path), its nearest objective stands.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from tests.calculus.corpus_shapes import CONVEX, INFINITY, NEITHER, Case, draw, one_hot, over, signs

X, Y, LABELS = draw(6, 3, seed=50), draw(6, seed=50), signs(6, seed=50)
POSITIVE = np.abs(draw(6, seed=51)) + 0.5
TASKS, ONE_HOT = draw(6, 2, seed=52), one_hot(6, 3)
W = over(-INFINITY, INFINITY, 3)
W32, W33 = over(-INFINITY, INFINITY, 3, 2), over(-INFINITY, INFINITY, 3, 3)
FIT = (X, Y)


def linear_regression(w, X, y):
    return jnp.sum((X @ w - y) ** 2)


def ridge(w, X, y):
    return jnp.sum((X @ w - y) ** 2) + 1.0 * jnp.sum(w**2)


def lasso(w, X, y):
    return jnp.sum((X @ w - y) ** 2) / (2 * len(y)) + 1.0 * jnp.sum(jnp.abs(w))


def elastic_net(w, X, y):
    return lasso(w, X, y) / 2 + jnp.sum((X @ w - y) ** 2) / (4 * len(y)) + 0.25 * jnp.sum(w**2)


def multi_task_lasso(W, X, Y):
    return jnp.sum((X @ W - Y) ** 2) / (2 * len(Y)) + jnp.sum(jnp.sqrt(jnp.sum(W**2, axis=1)))


def multi_task_elastic_net(W, X, Y):
    return multi_task_lasso(W, X, Y) + 0.25 * jnp.sum(W**2)


def logistic_regression(w, X, y):
    return 0.5 * w @ w + jnp.sum(jax.nn.softplus(-y * (X @ w)))


def sparse_logistic_regression(w, X, y):
    return jnp.sum(jnp.abs(w)) + jnp.sum(jnp.logaddexp(0.0, -y * (X @ w)))


def multinomial_logistic_regression(W, X, Y):
    z = X @ W
    return 0.5 * jnp.sum(W**2) + jnp.sum(logsumexp(z, axis=1) - jnp.sum(Y * z, axis=1))


def poisson_regression(w, X, y):
    z = X @ w
    return jnp.mean(jnp.exp(z) - y * z) + 0.5 * w @ w


def gamma_regression(w, X, y):
    z = X @ w
    return jnp.mean(y * jnp.exp(-z) + z) + 0.5 * w @ w


def tweedie_regression(w, X, y):
    """Power 3/2: the half deviance is 2 (y exp(-z/2) + exp(z/2)) up to a constant."""
    z = X @ w
    return jnp.mean(2 * y * jnp.exp(-z / 2) + 2 * jnp.exp(z / 2)) + 0.5 * w @ w


def quantile_regression(w, X, y):
    r = y - X @ w
    return jnp.mean(jnp.where(r > 0, 0.75 * r, -0.25 * r)) + jnp.sum(jnp.abs(w))


def huber_regression(w, X, y):
    """Jointly in the coefficients and the scale: sum of s + s H(r/s), the perspective of Huber's function.

    Its bend is at 1.25, whose square is exact: at 1.35 the rounded constants leave a jump, and it is not convex.
    """
    s = w["scale"]
    z = (y - X @ w["w"]) / s
    size = jnp.abs(z)
    return jnp.sum(s + s * jnp.where(size <= 1.25, z**2, 2 * 1.25 * size - 1.25**2)) + 1e-4 * jnp.sum(w["w"] ** 2)


def theil_sen(w, points):
    """The spatial median, which it takes of the fits to subsets."""
    return jnp.sum(jnp.sqrt(jnp.sum((points - w) ** 2, axis=1)))


def ransac(w, X, y):
    return jnp.sum(jnp.minimum((X @ w - y) ** 2, 1.0))


def evidence(t, X, y):
    """BayesianRidge's: minus the log marginal likelihood in the logarithms of the two precisions (one weight)."""
    noise, prior = jnp.exp(t[0]), jnp.exp(t[1])
    gram, cross = jnp.sum(X**2), jnp.sum(X * y)
    scale = prior + noise * gram
    fit = noise * jnp.sum(y**2) - (noise * cross) ** 2 / scale
    return 0.5 * (fit + jnp.log(scale) - t[1] - len(y) * t[0])


def modified_huber(w, X, y):
    m = y * (X @ w)
    return jnp.mean(jnp.where(m < -1, -4 * m, jnp.maximum(0.0, 1 - m) ** 2))


def squared_hinge(w, X, y):
    return jnp.mean(jnp.maximum(0.0, 1 - y * (X @ w)) ** 2) + 0.0001 * w @ w


def hinge(w, X, y):
    return jnp.mean(jnp.maximum(0.0, 1 - y * (X @ w))) + 0.0001 * w @ w


def perceptron(w, X, y):
    return jnp.sum(jnp.maximum(0.0, -y * (X @ w)))


def epsilon_insensitive(w, X, y):
    return jnp.mean(jnp.maximum(0.0, jnp.abs(X @ w - y) - 0.1)) + 0.0001 * w @ w


def squared_epsilon_insensitive(w, X, y):
    return jnp.mean(jnp.maximum(0.0, jnp.abs(X @ w - y) - 0.1) ** 2)


def passive_aggressive(w, X, y, before):
    """One step: near the weights before it, at a price for the hinge."""
    return 0.5 * jnp.sum((w - before) ** 2) + jnp.maximum(0.0, 1 - y[0] * (X[0] @ w))


def one_class(w, X):
    return 0.5 * w["w"] @ w["w"] + w["b"] + 2.0 * jnp.mean(jax.nn.relu(1 - (X @ w["w"] + w["b"])))


def pursuit(w, X, y):
    """The least squares of a support of one, chosen by x: min over the coordinates."""
    return jnp.min(jnp.stack([jnp.sum((X[:, i] * w[i] - y) ** 2) for i in range(3)]))


def relevance(t, y):
    """ARDRegression's, for one observation and one weight: the variance is 1 + exp(t)."""
    variance = 1 + jnp.exp(t)
    return 0.5 * (jnp.log(variance) + y**2 / variance)


HUBER = ({"scale": 0.25, "w": over(-4.0, 4.0, 3)[0]}, {"scale": 4.0, "w": over(-4.0, 4.0, 3)[1]})
ONE_CLASS = ({"b": -INFINITY, "w": over(-INFINITY, 0.0, 3)[0]}, None)

SKLEARN = [
    Case("LinearRegression", CONVEX, linear_regression, W, "squares of affine", FIT),
    Case("Ridge", CONVEX, ridge, W, "squares of affine", FIT),
    Case("RidgeClassifier", CONVEX, ridge, W, "squares of affine", (X, LABELS)),
    Case("Lasso, Lars, LassoLars", CONVEX, lasso, W, "squares and |w|", FIT),
    Case("ElasticNet", CONVEX, elastic_net, W, "squares and |w|", FIT),
    Case("MultiTaskLasso", CONVEX, multi_task_lasso, W32, "squares and norms of rows", (X, TASKS)),
    Case("MultiTaskElasticNet", CONVEX, multi_task_elastic_net, W32, "squares and norms of rows", (X, TASKS)),
    Case("LogisticRegression", CONVEX, logistic_regression, W, "softplus of affine", (X, LABELS)),
    Case("LogisticRegression l1", CONVEX, sparse_logistic_regression, W, "softplus of affine", (X, LABELS)),
    Case(
        "LogisticRegression multinomial",
        CONVEX,
        multinomial_logistic_regression,
        W33,
        "log-sum-exp minus affine",
        (X, ONE_HOT),
    ),
    Case("PoissonRegressor", CONVEX, poisson_regression, W, "exp of affine minus affine", (X, POSITIVE)),
    Case("GammaRegressor", CONVEX, gamma_regression, W, "exp of affine plus affine", (X, POSITIVE)),
    Case("TweedieRegressor", CONVEX, tweedie_regression, W, "exp of affine", (X, POSITIVE)),
    Case("QuantileRegressor", CONVEX, quantile_regression, W, "max(3r/4, -r/4)", FIT),
    Case("HuberRegressor", CONVEX, huber_regression, HUBER, "a perspective of a convex function", FIT),
    Case("TheilSenRegressor", CONVEX, theil_sen, W, "norms of affine", (X,)),
    Case("RANSACRegressor", NEITHER, ransac, W, "truncated squares", FIT),
    Case("BayesianRidge", NEITHER, evidence, over(-3.0, 3.0, 2), "a likelihood of variances", (X[:, 0], Y)),
    Case(
        "ARDRegression", NEITHER, relevance, (-5.0, 5.0), "convex where exp(t) is small, not far away", (np.float32(3),)
    ),
    Case("SGD hinge", CONVEX, hinge, W, "a maximum of affine", (X, LABELS)),
    Case("SGD squared_hinge", CONVEX, squared_hinge, W, "squares of nonnegative convex", (X, LABELS)),
    Case("SGD modified_huber", CONVEX, modified_huber, W, "slope of m: -4, -2(1 - m), 0", (X, LABELS)),
    Case("SGD epsilon_insensitive", CONVEX, epsilon_insensitive, W, "a maximum of affine", FIT),
    Case(
        "SGD squared_epsilon_insensitive", CONVEX, squared_epsilon_insensitive, W, "squares of nonnegative convex", FIT
    ),
    Case("Perceptron", CONVEX, perceptron, W, "a maximum of affine", (X, LABELS)),
    Case("PassiveAggressive", CONVEX, passive_aggressive, W, "a square and a maximum of affine", (X, LABELS, X[1])),
    Case("SGDOneClassSVM", CONVEX, one_class, ONE_CLASS, "a square, affine and maxima of affine", (X,)),
    Case("OrthogonalMatchingPursuit", NEITHER, pursuit, over(-4.0, 4.0, 3), "a minimum of parabolas", FIT),
]
