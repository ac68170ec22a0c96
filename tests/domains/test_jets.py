"""Interval jets hold every sampled gradient and Hessian, say where there is none, and grow with the box."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.calculus.bounding.boxes import OnBoxes
from qed.calculus.bounding.by_terms import OnTerms
from qed.domains.jet import full, pairs, spectral_bound
from qed.domains.jets import jets_on
from qed.graph.trace import trace

A = np.array([[1.0, 2.0, -1.0], [0.5, -1.0, 3.0]])

SMOOTH = {
    "quadratic": lambda x: x @ jnp.asarray(A.T @ A) @ x,
    "rosenbrock": lambda x: jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2),
    "waves": lambda x: jnp.sin(x[0] * x[1]) + jnp.cos(x[2]) ** 2 + jnp.tanh(x[0] - x[2]),
    "quotients": lambda x: x[0] / (1 + x[1] ** 2) + jnp.exp(-x[2]) / (2 + jnp.sin(x[0])),
    "logistic": lambda x: jnp.sum(jax.nn.sigmoid(jnp.asarray(A) @ x)) + jnp.log(5 + x[0] * x[1]),
    "products": lambda x: jnp.prod(x + 2) + jnp.cumprod(x)[2] + jnp.cumsum(x)[2] ** 2,
    "norms": lambda x: jnp.dot(x, x) * jnp.linalg.norm(x + 3) + jnp.vdot(jnp.asarray(A) @ x, jnp.asarray(A) @ x),
    "loop": lambda x: jax.lax.fori_loop(0, 3, lambda i, c: jnp.sin(c) + x[i] * c, x[0]),
    "places": lambda x: jnp.sum(x.at[jnp.array([0, 0])].subtract(x[1:] ** 2)) ** 2 + x[jnp.array([2, 2])][1] ** 3,
    "special": lambda x: jax.scipy.special.erf(x[0]) * jax.scipy.special.gammaln(x[1] + 3) + jnp.arctan(x[2] * x[0]),
    "power": lambda x: jnp.power(x[0] + 3.5, x[1]) + jnp.sqrt(4 + x[2]),
    "of nothing": lambda x: (
        jnp.prod(x[:0]) * x[0] ** 2 + jnp.max(x[:0], initial=2.0) * x[1] + jnp.sum(jnp.cumprod(jnp.sort(x[1:1])))
    ),
    "angle": lambda x: jnp.arctan2(x[0], x[1] + 2.5) + jnp.stack([x[0], x[2]])[1] ** 2,
}
CORNERS = {
    "maximum": lambda x: jnp.maximum(x[0] ** 2, x[1]) + jnp.abs(x[2] - 0.3) * x[0],
    "relu": lambda x: jnp.sum(jax.nn.relu(jnp.asarray(A) @ x) ** 2) + jnp.max(x),
    "where": lambda x: jnp.where(x[0] > 0.2, x[1] * x[0], jnp.sin(x[2])) + jnp.clip(x[1], -0.5, 0.5),
    "sorted": lambda x: jnp.sum(x[jnp.array([0, 2, 2])] * jnp.sort(x)),
    "steps": lambda x: jnp.floor(3 * x[0]) * x[1] + x[2],
    "logsumexp": lambda x: jax.scipy.special.logsumexp(x),
}


def boxes(count, low=-2.0, high=2.0):
    rng = np.random.default_rng(0)
    middle, width = rng.uniform(low, high, (count, 3)), rng.choice([0, 1e-6, 1e-2, 0.3, 1.0], (count, 3))
    lower, upper = np.maximum(middle - width, low), np.minimum(middle + width, high)
    points = rng.uniform(lower, upper, (12, count, 3))
    points[:4] = np.where(rng.random((4, count, 3)) < 0.5, lower, upper)
    return lower, upper, points


SLOW = ("loop", "places", "power", "norms", "relu", "quotients", "maximum")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in (*SMOOTH, *CORNERS)])
def test_derivatives_lie_in_their_enclosures(name):
    fun = {**SMOOTH, **CORNERS}[name]
    lower, upper, points = boxes(25)
    with jax.enable_x64(True):
        jet = jets_on(trace(fun, np.zeros(3)), [lower], [upper], loewner=True)
        derivatives = jax.jit(jax.vmap(jax.vmap(lambda x: (*jax.value_and_grad(fun)(x), jax.hessian(fun)(x)))))
        values, slopes, hessians = map(np.asarray, derivatives(points))
    i, j, _ = pairs(3)
    for found, enclosure in ((values, jet.value), (slopes, jet.slope), (hessians[..., i, j], jet.hessian)):
        slack = 1e-8 * (1 + np.abs(found))
        inside = (found >= enclosure.lower - slack) & (found <= enclosure.upper + slack)
        assert np.all(inside | np.isnan(found))
    finite = np.isfinite(jet.hessian.lower) & np.isfinite(jet.hessian.upper)
    assert np.all(finite) if name in SMOOTH else not np.all(finite)
    assert np.all(np.isfinite(jet.slope.lower)) or name in ("where", "steps")


@pytest.mark.parametrize("name", SMOOTH)
def test_least_and_most_lie_below_and_above(name):
    lower, upper, _ = boxes(25)
    with jax.enable_x64(True):
        traced = trace(SMOOTH[name], np.zeros(3))
        jet = jets_on(traced, [lower], [upper], loewner=True)
        middle = (lower + upper) / 2
        point = jets_on(traced, [middle], [middle])
    rng = np.random.default_rng(1)
    directions = rng.normal(size=(50, 3))
    i, j, diagonal = pairs(3)
    weights = directions[:, i] * directions[:, j] * np.where(diagonal, 1.0, 2.0)

    def ends(packed):
        ends = np.stack([packed.lower[:, None] * weights, packed.upper[:, None] * weights])
        return ends.min(0).sum(-1), ends.max(0).sum(-1)

    true_low, true_high = ends(point.hessian)
    slack = 1e-6 * (1 + np.abs(true_low))
    assert np.all(ends(jet.least)[0] <= true_high + slack)
    assert np.all(ends(jet.most)[1] >= true_low - slack)


@pytest.mark.parametrize(
    ("fun", "lower", "upper"),
    [
        (lambda x: jnp.abs(x[0]), 0.0, 1.0),
        (lambda x: jnp.abs(x[0]), -1.0, 0.0),
        (lambda x: jnp.sqrt(x[0] * x[0]), 0.0, 0.0),
        (lambda x: jnp.sqrt(x[0] * x[0]), -1.0, 1.0),
        (lambda x: jnp.maximum(x[0], 0.0) ** 2, -1.0, 1.0),
        (lambda x: jnp.floor(x[0]) * 0.0 + jnp.floor(x[0]), 0.5, 1.0),
        (lambda x: x[0].astype(int).astype(float), 0.5, 1.5),
        (lambda x: jnp.where(x[0] > 0, x[0], -x[0]), -1.0, 1.0),
        (lambda x: jax.lax.cond(x[0] > 0, lambda t: t, lambda t: -t, x[0]), -1.0, 1.0),
        (lambda x: jnp.cbrt(x[0]), 0.0, 0.0),
        (lambda x: jnp.array([1.0, -1.0])[(x[0] > 0).astype(int)] * x[0], -1.0, 1.0),
    ],
)
def test_a_corner_or_jump_in_the_closed_box_is_never_smooth(fun, lower, upper):
    with jax.enable_x64(True):
        jet = jets_on(trace(fun, np.zeros(1)), [np.array([[lower]])], [np.array([[upper]])])
    assert np.isinf(jet.hessian.lower[0, 0])


def test_declared_derivatives_are_not_believed():
    @jax.custom_jvp
    def f(x):
        return x * x

    f.defjvp(lambda p, t: (f(p[0]), -7 * t[0]))
    with jax.enable_x64(True):
        traced = trace(lambda x: f(x[0]) + jax.lax.stop_gradient(x[0] ** 3), np.zeros(1))
        jet = jets_on(traced, [np.array([[1.0]])], [np.array([[1.0]])])
    assert (jet.slope.lower[0, 0], jet.hessian.upper[0, 0]) == (5.0, 8.0)


def test_two_calls_of_one_cached_function_are_two_values():
    @jax.jit
    def square(t):
        return t * t

    with jax.enable_x64(True):
        traced = trace(lambda x: square(x[0]) - square(x[1]), np.zeros(2))
        jet = jets_on(traced, [np.array([[1.0, 2.0]])], [np.array([[1.0, 2.0]])])
    assert jet.slope.lower.tolist() == [[2.0, -4.0]]
    assert full(jet.hessian.lower, 2).tolist() == [[[2.0, 0.0], [0.0, -2.0]]]


def test_norm_of_an_interval_matrix_bounds_every_matrix_in_it():
    rng = np.random.default_rng(2)
    i, _, _ = pairs(4)
    lower = rng.normal(size=(20, len(i)))
    upper = lower + rng.random(lower.shape)
    from qed.domains.intervals import Intervals

    bound = spectral_bound(Intervals(lower, upper), 4)
    for t in rng.random((30, *lower.shape)):
        norms = np.linalg.norm(full(lower + t * (upper - lower), 4), 2, axis=(1, 2))
        assert np.all(norms <= bound * (1 + 1e-12))


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: jax.nn.logsumexp(x) + jnp.sum(x * x) / 2 - x[0] * x[1],
        lambda x: jax.nn.logsumexp(jnp.concatenate([x, x[:3] - 2 * x[3:6], jnp.ones(2)])) + jnp.exp(x[0] * x[2]),
        lambda x: jax.nn.logsumexp(jnp.arange(24.0).reshape(4, 6) @ x / 9 - 1) * jnp.cosh(x[5]) + jnp.sum(x[::2] ** 3),
    ],
    ids=["one number each", "differences", "rows of data"],
)
def test_second_derivatives_of_terms_on_a_box_are_those_of_the_program(fun):
    x = np.linspace(-0.25, 0.5, 6)
    jet = OnTerms.near(OnBoxes.of(trace(fun, x)), x)(x[None], x[None])
    with jax.enable_x64(True):
        slope, second = np.asarray(jax.grad(fun)(x)), np.asarray(jax.hessian(fun)(x))[np.triu_indices(6)]
    for ends, true in ((jet.slope, slope), (jet.hessian, second)):
        assert np.all(ends.lower - 1e-13 <= true) and np.all(true <= ends.upper + 1e-13)
        assert np.max(ends.upper - ends.lower) < 1e-11
