"""Padded intervals hold what they say: arithmetic by rationals, functions and jets by samples in balls."""

from fractions import Fraction

import flint
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qed.domains import padded
from qed.domains.padded_functions import FUNCTIONS, integer_power
from qed.domains.padded_jets import PaddedBoxes
from qed.domains.precision import precision
from qed.graph.trace import trace

TINY = 2.0**-1022
SPECIAL = [0.0, -0.0, 5e-324, -5e-324, TINY, -TINY, TINY / 2, 1e-160, -1e-160, 1.0, -1.0, 0.1, 1 / 3, 1 + 2**-52]
SPECIAL += [1e16, -1e16, 2.0**500, -1e300, 1.7976931348623157e308]
NUMBERS = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(SPECIAL))


def holds(pair, exact):
    low, high = (float(end) for end in pair)
    assert np.isnan(low) or low == -np.inf or (low < np.inf and Fraction(low) <= exact)
    assert np.isnan(high) or high == np.inf or (high > -np.inf and Fraction(high) >= exact)


def point(x):
    return np.array(x), np.array(x)


@given(a=NUMBERS, b=NUMBERS)
@example(a=5e-324, b=0.5)
@example(a=TINY, b=-5e-324)
@example(a=1.7976931348623157e308, b=1.7976931348623157e308)
def test_arithmetic(a, b):
    with np.errstate(all="ignore"):
        x, y = Fraction(a), Fraction(b)
        holds(padded.plus(point(a), point(b)), x + y)
        holds(padded.times(point(a), point(b)), x * y)
        holds(padded.squared(point(a)), x * x)
        for n in range(5):
            holds(padded.power(point(a), n), x**n)
        if a:
            holds(padded.reciprocal(point(a)), 1 / x)
        root = padded.root(point(abs(a)))
        assert Fraction(float(root[0])) ** 2 <= abs(x) <= Fraction(float(root[1])) ** 2


@given(st.lists(NUMBERS, min_size=1, max_size=40))
@example([1.0, 1e100, 1.0, -1e100])
@example([5e-324] * 7)
@example([1.7976931348623157e308] * 3)
def test_sums(xs):
    with np.errstate(all="ignore"):
        holds(padded.total(point(xs), -1), sum(map(Fraction, xs)))


def test_nothing_known_stays_nothing_known():
    nan, one = point(np.nan), point(1.0)
    half = np.array(1.0), np.array(np.nan)
    with np.errstate(all="ignore"):
        found = [
            padded.plus(nan, one), padded.times(nan, point(0.0)), padded.squared(nan), padded.power(nan, 3),
            padded.power(nan, 0), padded.reciprocal(nan), padded.root(nan), padded.hull(nan, one),
            padded.larger(nan, one), padded.modulus(half), padded.reciprocal((np.array(-1.0), np.array(1.0))),
            padded.root((np.array(-1.0), np.array(4.0))),
            *(part for rule in FUNCTIONS.values() for part in rule(nan)[:1]),
        ]  # fmt: skip
    for low, high in found:
        assert np.isnan(low) or np.isnan(high)
    assert np.isnan(found[-1][0])


BALLS = {
    "reciprocal": lambda t: 1 / t,
    "square": lambda t: t * t,
    "logistic": lambda t: 1 / (1 + (-t).exp()),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_and_their_derivatives(name):
    rng = np.random.default_rng(0)
    low = rng.uniform(-6, 6, 60) * rng.choice([1e-3, 1.0, 1.0, 5.0], 60)
    high = low + rng.choice([0.0, 1e-6, 0.3, 2.0, 7.0], 60)
    with np.errstate(all="ignore"):
        parts = FUNCTIONS[name]((low, high))
    known = ~np.isnan(parts[0][0])
    assert known.sum() > 10
    rule = BALLS.get(name, lambda t: getattr(t, name)())
    for t in rng.random((20, 60)):
        x = low + t * (high - low)
        for k in np.flatnonzero(known):
            with precision(80, 3):
                series = rule(flint.arb_series([min(max(x[k], low[k]), high[k]), 1])) if name in SERIES else None
                exact = [series[0], series[1], 2 * series[2]] if series is not None else [rule(flint.arb(x[k]))]
                for part, value in zip(parts, exact, strict=False):
                    assert not (value < flint.arb(part[0][k]) or value > flint.arb(part[1][k])), (name, x[k])


SERIES = {"cos", "sin", "exp", "log", "sqrt", "reciprocal", "square", "logistic"}


@pytest.mark.parametrize("n", [-3, -1, 0, 1, 2, 3, 7])
def test_powers(n):
    rng = np.random.default_rng(1)
    low = rng.uniform(-2, 2, 200)
    high = low + rng.choice([0.0, 0.1, 1.0], 200)
    with np.errstate(all="ignore"):
        parts = integer_power((low, high), n)
    x = low + rng.random((50, 200)) * (high - low)
    factors = (1.0, float(n), float(n * (n - 1)))
    for k, (part, factor) in enumerate(zip(parts, factors, strict=True)):
        value = factor * x ** (n - k) if factor else np.zeros_like(x)
        room = 1e-12 * (1 + np.abs(value))
        assert np.all(~(value < part[0] - room)) and np.all(~(value > part[1] + room))


SMOOTH = {
    "products": lambda x: jnp.sin(3 * x[0]) * x[1] + x[0] ** 2 * x[1] ** 2 / (2 + x[1]),
    "functions": lambda x: jnp.exp(x[0] * x[1]) * jnp.tanh(x[0] - x[1]) + jax.nn.sigmoid(x[1]) * jnp.cosh(x[0]),
    "matrix": lambda x: jnp.sum((jnp.array([[1.0, 2.0], [-0.5, 0.25]]) @ x) ** 3) + jnp.log(2 + x @ x),
    "roots": lambda x: jnp.sqrt(1 + x @ x) + jnp.log1p(x[0] ** 2) * jnp.expm1(x[1]),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_jets_hold_derivatives(name):
    fun = SMOOTH[name]
    f = PaddedBoxes(trace(fun, np.zeros(2, np.float32)))
    assert f.known
    rng = np.random.default_rng(2)
    low = rng.uniform(-1, 0.9, (40, 2))
    high = np.minimum(low + rng.choice([0.0, 1e-3, 0.2, 0.6], (40, 2)), 0.95)
    found = f(low, high)
    value_and_more = jax.jit(jax.vmap(lambda x: (fun(x), jax.grad(fun)(x), jax.hessian(fun)(x))))
    for t in rng.random((30, 40, 2)):
        value, slope, hessian = (np.asarray(a, float) for a in value_and_more(jnp.asarray(low + t * (high - low))))
        i, j = np.triu_indices(2)
        parts = zip((value, slope.T, hessian[:, i, j].T), (found.value, found.slopes, found.hessian), strict=True)
        for sampled, (a, b) in parts:
            room = 1e-4 * (1 + np.abs(sampled))  # the samples are float32
            assert np.all(a - room <= sampled) and np.all(sampled <= b + room)
    thin = f((low + high) / 2, (low + high) / 2)
    assert np.all(thin.hessian[1] - thin.hessian[0] < 1e-10)


KINKS = {
    "abs": lambda x: jnp.abs(x[0] - 0.3) * (2 + x[1]) + x[1] ** 2,
    "max": lambda x: jnp.maximum(x[0] * x[1], jnp.minimum(x[0], 1 - x[1])),
    "greatest": lambda x: jnp.max(jnp.stack([x[0], x[1] ** 2, x[0] + x[1]])) - jnp.min(x),
}


@pytest.mark.parametrize("name", KINKS)
def test_at_a_corner_the_slopes_are_those_of_the_mean_value_theorem(name):
    f = PaddedBoxes(trace(KINKS[name], np.zeros(2, np.float32)))
    assert f.known
    rng = np.random.default_rng(3)
    low = rng.uniform(-1, 1, (60, 2))
    high = low + rng.choice([1e-3, 0.3, 1.0], (60, 2))
    found, fun = f(low, high), jax.jit(jax.vmap(KINKS[name]))
    assert np.isnan(found.hessian[0]).any() and not np.isnan(found.slopes[0]).any()
    for s, t in rng.random((40, 2, 60, 2)):
        x, y = low + s * (high - low), low + t * (high - low)
        change = np.asarray(fun(jnp.asarray(y)), float) - np.asarray(fun(jnp.asarray(x)), float)
        terms = padded.times(found.slopes, ((y - x).T, (y - x).T))
        low_sum, high_sum = padded.total(terms, 0)
        assert np.all(low_sum - 1e-5 <= change) and np.all(change <= high_sum + 1e-5)


UNKNOWN = {
    "where": lambda x: jnp.where(x[0] > 0, x[0], x[1]),
    "sort": lambda x: jnp.sort(x)[0],
    "floor": lambda x: jnp.floor(x[0]),
    "to integers": lambda x: x[0].astype(int).astype(float),
    "gamma": lambda x: jax.scipy.special.gammaln(x[0] + 2),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_has_no_rule_is_not_known(name):
    f = PaddedBoxes(trace(UNKNOWN[name], np.zeros(2, np.float32)))
    assert not f.known
    assert np.isnan(f(np.zeros((1, 2)), np.ones((1, 2))).value[0]).all()


UNDEFINED = {
    "log": lambda x: jnp.log(x[0]),
    "times zero": lambda x: 0.0 * jnp.sqrt(x[0]),
    "largest": lambda x: jnp.maximum(1.0 / x[0], x[1]),
    "nan": lambda x: x[0] + jnp.nan,
    "inf": lambda x: jnp.minimum(x[0], -jnp.inf),
    "large integers": lambda x: x[0] + (jnp.array(2**31 - 1) * 1.0),
}


GUARDED = {
    "logaddexp": (lambda x: jnp.logaddexp(x[0], x[1]), lambda x: jnp.log(jnp.exp(x[0]) + jnp.exp(x[1]))),
    "logsumexp": (jax.nn.logsumexp, lambda x: jnp.log(jnp.exp(x[0]) + jnp.exp(x[1]))),
    "largest": (lambda x: jnp.maximum(-jnp.inf, x[0]), lambda x: x[0]),
    "a NaN by chance": (lambda x: jnp.where(jnp.isnan(x[0]), 1.0, x[1]), lambda x: x[1]),
}


@pytest.mark.parametrize("name", GUARDED)
def test_guards_against_what_is_no_number_are_read_for_numbers(name):
    guarded, plain = GUARDED[name]
    low, high = np.array([[0.5, -0.75]]), np.array([[0.5625, -0.6875]])
    found = PaddedBoxes(trace(guarded, np.zeros(2)))(low, high)
    for point in (low, high, low / 2 + high / 2):
        slopes = np.asarray(jax.grad(plain)(jnp.asarray(point[0])))
        assert found.value[0][0] - 1e-6 <= plain(point[0]) <= found.value[1][0] + 1e-6
        assert np.all(found.slopes[0][:, 0] - 1e-6 <= slopes) and np.all(slopes <= found.slopes[1][:, 0] + 1e-6)
    assert np.all(np.isfinite(found.hessian))


@pytest.mark.parametrize("name", UNDEFINED)
def test_where_nothing_is_defined_nothing_is_known(name):
    found = PaddedBoxes(trace(UNDEFINED[name], np.zeros(2, np.float32)))(-np.ones((1, 2)), np.ones((1, 2)))
    known = not (np.isnan(found.value[0][0]) or np.isnan(found.value[1][0]))
    assert known == (name == "large integers")


def test_an_array_read_at_places_is_enclosed():
    places, weights = np.array([2, 0, 1, -1], np.int32), np.arange(1.0, 5.0, dtype=np.float32)

    def form(x):
        return jnp.sum(weights * x[places] * x[places[::-1]])

    low, high = PaddedBoxes(trace(form, np.ones(3, np.float32))).arrays(np.ones(3), np.ones(3), 2, np.arange(3))
    gradient = np.asarray(jax.grad(form)(np.ones(3, np.float32)))
    assert low[0] <= 10 <= high[0]
    assert np.all(low[1:4] <= gradient) and np.all(gradient <= high[1:4])
    assert np.all(high - low < 1e-12)
