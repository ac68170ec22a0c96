"""Programs written to make a proof say something false: every parameter of a primitive, and what has no value."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import qed
from qed.domains.ball import Ball
from qed.domains.ball_ends import BallEnds, Ends
from qed.domains.balls import Balls
from qed.domains.interval import Interval
from qed.domains.intervals import Intervals
from qed.domains.precision import precision
from qed.graph.trace import trace
from qed.graph.walk import Unknown, Walker
from tests.conftest import LAW_SCALE
from tests.laws.random_operations import OPERATIONS

DRAWS = max(4, round(4 * LAW_SCALE))  # of fewer, every one may be without a value: then the test says nothing
DOMAINS = {"intervals": (Interval, Intervals), "balls": (Ball, Balls), "ends of balls": (BallEnds, Ends)}


def enclosed(traced, kind, low, high):
    """Float64 bounds of the output on a box, or None where there is no rule or no value."""
    domain, numbers = DOMAINS[kind][0](), DOMAINS[kind][1]
    with precision(120):
        box = numbers.between(low, high)
    value = Walker([domain]).run(traced.graph, [box])[0].values[0]
    if isinstance(value, Unknown):
        return None
    with precision(120):
        value = domain.number(value)
        return None if value.doubt.undefined is not None else value.bounds


@pytest.mark.parametrize("kind", DOMAINS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_whatever_the_parameters_are_the_enclosure_contains_the_values(name, kind):
    rng = np.random.default_rng(sorted(OPERATIONS).index(name))
    found = 0
    for _ in range(DRAWS):
        fun, shape = OPERATIONS[name](rng)
        middle = rng.integers(-4, 5, shape).astype(np.float32) / 2
        traced = trace(fun, jnp.asarray(middle))
        for width in (0.0, 0.5):
            bounds = enclosed(traced, kind, middle - width, middle + width)
            if bounds is None:
                continue
            found += 1
            for _ in range(1 if width == 0 else 3):
                x = middle + width * rng.integers(-1, 2, shape).astype(np.float32)
                value = np.asarray(fun(jnp.asarray(x)), np.float64)
                assert np.all(bounds[0] <= value), (name, x, value, bounds)
                assert np.all(value <= bounds[1]), (name, x, value, bounds)
    assert found or name == "gather"


NOWHERE = {
    "branch": lambda x: lax.cond(jnp.log(x) > 0, lambda: 1.0, lambda: 2.0),
    "switch": lambda x: lax.switch(jnp.log(x).astype(int), [lambda: 1.0, lambda: 2.0]),
    "gather": lambda x: jnp.arange(6.0).at[jnp.log(x).astype(int)].get(mode="clip"),
    "slice": lambda x: lax.dynamic_slice(jnp.arange(6.0), (jnp.log(x).astype(int),), (1,))[0],
    "choice": lambda x: jnp.where(jnp.sqrt(x) > 0, 1.0, 2.0),
}


@pytest.mark.parametrize("name", NOWHERE)
def test_what_depends_on_an_undefined_index_is_undefined(name):
    answer = qed.enclose(NOWHERE[name], (-1.0, 2.0))
    assert answer.standing == "UNKNOWN" and "undefined" in answer.missing[0].what


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: jnp.arctan2(x, 2.0),
        lambda x: 2.0**x,
        lambda x: x**x,
        lambda x: jnp.vander(jnp.stack([x, x + 1]), 3).sum(),
        lambda x: jnp.stack([x, x]).at[0].power(2.0).sum(),
    ],
)
def test_a_range_is_proved_only_where_the_certificate_verifies(fun):
    answer = qed.enclose(fun, (1.0, 2.0))
    assert answer.standing == "UNKNOWN" or answer.check()


def test_an_element_of_a_series_is_no_list_of_coefficients():
    weights = jnp.arange(1.0, 4.0)
    loop = lambda x: lax.scan(lambda c, v: (jnp.sin(c * v), None), x, x * weights)[0]  # noqa: E731
    assert qed.taylor(loop, 0.3, order=2, radius=0.05).check()
    assert qed.taylor(lambda x: jnp.cumsum(x * weights) @ weights, 0.3, order=1, radius=0.1).check()


def test_a_polygamma_of_a_constant_is_a_series_too():
    fun = lambda x: jax.scipy.special.digamma(x.astype(jnp.int32).astype(jnp.float32)) + x  # noqa: E731
    assert qed.taylor(fun, 2.5, order=1, radius=0.25).standing in ("PROVED", "UNKNOWN")


@pytest.mark.parametrize(
    "draw",
    [
        lambda x: jax.random.uniform(lax.cond(x > 0, lambda: jax.random.PRNGKey(0), lambda: jax.random.PRNGKey(1))),
        lambda x: (x.astype(jnp.int32) << 1).astype(jnp.float32),
        lambda x: jax.random.uniform(jax.random.key(0)) * x,
    ],
)
@pytest.mark.parametrize("kind", DOMAINS)
def test_bits_of_undecided_integers_have_no_rule(draw, kind):
    """Not an error: a domain's number of bits is no method."""
    traced = trace(draw, jnp.float32(0.5))
    bounds = enclosed(traced, kind, np.float64(-1.5), np.float64(1.5))
    assert bounds is None or bounds[0] <= draw(jnp.float32(0.5)) <= bounds[1]


def test_texts_say_no_more_than_was_proved():
    answer = qed.taylor(jnp.exp, 0.0, order=1, radius=0.123456789)
    assert "|t| <= 0.123456789," in answer.claim and "0.123456789" in answer.headline
    assert "float32 number nearest" in qed.taylor(jnp.exp, 0.1, order=1, radius=0.5).claim
    assert "nearest" not in qed.taylor(jnp.exp, 0.5, order=1, radius=0.5).claim
    wide = qed.enclose(lambda x: x, (0.33333338, 0.66666662))
    assert "between 0.333333 and 0.666667" in wide.headline
    narrow = qed.enclose(lambda x: x, (0.33333352, 0.66666649))
    assert "between 0.333333 and 0.666667" in narrow.headline
