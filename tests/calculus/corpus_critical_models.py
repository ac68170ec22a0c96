"""A fourth set of held-out critical points, written before any of them was asked about.

First asked, with 60 weights in the logistic ridge: 25 of 25 right, all without a zero curvature proved but attention at
zero. Textbook surfaces, models at the points where training starts or ends, invariant losses, matrices that are not
symmetric, and chains of a hundred variables; points that are no floats are the float32 nearest to them. References:
Poston and Stewart, *Catastrophe Theory* (1978), chapter 7 (umbilics); Styblinski and Tang (1990); Absil, Mahony and
Sepulchre, *Optimization Algorithms on Matrix Manifolds* (2008), section 4.6 (Rayleigh's quotient).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from tests.calculus.corpus_critical import Known, float32

RNG = np.random.default_rng(41)
ROWS = (RNG.integers(-8, 9, (40, 12)) / 8).astype(np.float32)
ANSWERS = np.where(RNG.random(40) < 0.5, -1, 1).astype(np.float32)
FEW = ROWS[:30, :5]
COUNTS = RNG.integers(0, 4, 30).astype(np.float32)
TOKENS = np.float32([[1.0, 0.0], [0.5, -1.0], [-1.0, 2.0]])
WELL, TOP = np.float32(-2.903534), np.float32(0.15673126)
ALTERNATING = np.tile(np.float32([1, -1]), 50)


def handkerchief(x):
    return x[0] ** 3 / 3 + x[0] * x[1] ** 2 + 2 * (x[0] ** 2 - x[1] ** 2)


def three_humps(x):
    return 2 * x[0] ** 2 - 1.05 * x[0] ** 4 + x[0] ** 6 / 6 + x[0] * x[1] + x[1] ** 2


def griewank(x):
    return 1 + jnp.sum(x**2) / 4000 - jnp.prod(jnp.cos(x / jnp.sqrt(jnp.arange(1.0, x.size + 1))))


def rastrigin(x):
    return 10 * x.size + jnp.sum(x**2 - 10 * jnp.cos(2 * jnp.pi * x))


def styblinski(x):
    return 0.5 * jnp.sum(x**4 - 16 * x**2 + 5 * x)


def logistic(w):
    return jnp.mean(jnp.logaddexp(0.0, -ANSWERS * (ROWS @ w))) + 0.05 * jnp.dot(w, w)


def poisson(w):
    eta = FEW @ w
    return jnp.mean(jnp.exp(eta) - COUNTS * eta)


def newton(fun, w, steps=20):
    """Where Newton's method ends in float64, as float32."""
    with jax.enable_x64(True):
        w = jnp.asarray(w, jnp.float64)
        step = jax.jit(lambda w: w - jnp.linalg.solve(jax.hessian(fun)(w), jax.grad(fun)(w)))
        for _ in range(steps):
            w = step(w)
        return np.asarray(w, np.float32)


def attention(p):
    scores = (TOKENS @ p["query"]) @ (TOKENS @ p["key"]).T
    return jnp.sum((jax.nn.softmax(scores) @ TOKENS - TOKENS) ** 2)


def autoencoder(p):
    return jnp.sum((TOKENS - TOKENS @ p["in"] @ p["out"]) ** 2)


def rayleigh(x):
    return jnp.sum(jnp.array([1.0, 2.0, 3.0]) * x**2) / jnp.sum(x**2)


def root_of_matrix(x):
    return jnp.sum((x @ x - jnp.diag(jnp.array([1.0, 4.0]))) ** 2)


def barrier(x):
    return jnp.trace(x) - jnp.linalg.slogdet(x)[1]


def normalised(w):
    return jnp.sum((w / jnp.linalg.norm(w) - jnp.array([1.0, 0.0])) ** 2)


def wells(x):
    return jnp.sum((x**2 - 1) ** 2) + jnp.sum((x[1:] + x[:-1]) ** 2)


def mean_field(m):
    up, down = (1 + m) / 2, (1 - m) / 2
    return -0.25 * jnp.sum(m) ** 2 + jnp.sum(up * jnp.log(up) + down * jnp.log(down))


def matrices(*names):
    return {name: jnp.zeros((2, 2)) for name in names}


MODELS = [
    Known("dog saddle", lambda x: x[0] ** 4 - 6 * x[0] ** 2 * x[1] ** 2 + x[1] ** 4, jnp.zeros(2), "degenerate",
          "the real part of (x + iy)^4", "neither"),
    Known("handkerchief", handkerchief, jnp.zeros(2), "saddle", "H = diag(4, -4)"),
    Known("handkerchief, its top", handkerchief, float32(-4.0, 0.0), "maximum", "H = diag(-4, -12)"),
    Known("three humps", three_humps, jnp.zeros(2), "minimum", "H = [[4, 1], [1, 2]]"),
    Known("Matyas", lambda x: 0.26 * jnp.sum(x**2) - 0.48 * x[0] * x[1], jnp.zeros(2), "minimum", "0.52 > 0.48"),
    Known("Griewank", griewank, jnp.zeros(6), "minimum", "H = I/2000 + diag(1/i)"),
    Known("Rastrigin", rastrigin, jnp.zeros(10), "minimum", "H = 2 + 40 pi^2"),
    Known("a hundred Styblinski-Tang", styblinski, jnp.full(100, WELL), "minimum", "f'' = 6 x^2 - 16 > 0"),
    Known("Styblinski-Tang, half at the top", styblinski, jnp.concatenate([jnp.full(50, WELL), jnp.full(50, TOP)]),
          "saddle", "f'' of both signs"),
    Known("logistic ridge by Newton", logistic, newton(logistic, np.zeros(12)), "minimum", "strongly convex"),
    Known("Poisson regression by Newton", poisson, newton(poisson, np.zeros(5)), "minimum", "strictly convex"),
    Known("attention at zero", attention, matrices("query", "key"), "saddle", "only query and key together count"),
    Known("autoencoder at zero", autoencoder, matrices("in", "out"), "saddle", "-2 X'X couples in and out"),
    Known("Rayleigh's quotient, largest", rayleigh, float32(0.0, 0.0, 2.0), "degenerate", "flat along x", "maximum"),
    Known("Rayleigh's quotient, middle", rayleigh, float32(0.0, 2.0, 0.0), "saddle", "1 < 2 < 3"),
    Known("root of a matrix", root_of_matrix, float32([1.0, 0.0], [0.0, 2.0]), "minimum", "E -> XE + EX is regular"),
    Known("barrier without symmetry", barrier, jnp.eye(2), "saddle", "tr(E E) < 0 for skew E"),
    Known("normalised weights", normalised, float32(2.0, 0.0), "degenerate", "constant along w, 0 there", "minimum"),
    Known("valley of sixth order", lambda x: (x[0] - x[1] ** 2) ** 2 + x[1] ** 6, jnp.zeros(2), "degenerate",
          "y^6 on the parabola", "minimum"),
    Known("between two parabolas", lambda x: (x[0] - x[1] ** 2) * (x[0] - 3 * x[1] ** 2) + x[2] ** 2, jnp.zeros(3),
          "degenerate", "negative between the parabolas", "neither"),
    Known("alternating wells", wells, jnp.asarray(ALTERNATING), "minimum", "both sums are 0 there, H >= 8"),
    Known("between the wells", wells, jnp.zeros(100), "saddle", "-4 + 2 (2 - 2 cos) of both signs"),
    Known("mean field below its temperature", mean_field, jnp.zeros(4), "saddle", "H = I - J/2"),
    Known("root of two", lambda x: jnp.sum((x**2 - 2) ** 2), jnp.full(3, np.float32(np.sqrt(2))), "minimum", "8 x^2"),
    Known("separated logistic", lambda w: jax.nn.softplus(-10 * w), np.float32(3.0), "not_critical", "f' < 0"),
]  # fmt: skip
