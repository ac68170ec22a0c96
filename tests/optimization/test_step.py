"""The step rule: its grammar, and its limits against the iteration's own matrix and against runs on quadratics."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from qed.errors import QedError
from qed.optimization.step import RULES, StepRule, parse

MOMENTA = (0.0, 0.3, 0.9, 0.99)


def matrix(step, momentum, nesterov, curvature):
    """One update of (w, v) along an eigenvector, as optax.sgd makes it: v <- g + b v, w <- w - s (v or g + b v)."""
    b, h = momentum, curvature
    velocity = np.array([h, b])
    update = np.array([h, 0.0]) + b * velocity if nesterov else velocity
    return np.array([[1.0, 0.0] - step * update, velocity])


def radius(step, momentum, nesterov, curvature):
    return float(np.abs(np.linalg.eigvals(matrix(step, momentum, nesterov, curvature))).max())


def rule(rate, momentum, nesterov):
    if not momentum:
        return parse(rate)
    return parse(f"sgd:{rate!r},momentum={momentum}" + (",nesterov" if nesterov else ""))


# --- limits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", MOMENTA)
@pytest.mark.parametrize("curvature", [1e-6, 0.37, 1.0, 2.2e5])
def test_the_limit_is_where_the_spectral_radius_is_one(momentum, nesterov, curvature):
    limit = rule(0.1, momentum, nesterov).limit(curvature)
    assert radius(limit, momentum, nesterov, curvature) == pytest.approx(1.0, abs=1e-7)
    assert radius(0.999 * limit, momentum, nesterov, curvature) < 1
    assert radius(1.001 * limit, momentum, nesterov, curvature) > 1
    for fraction in np.linspace(0.01, 0.99, 23):  # stable all the way up, not only at the end
        assert radius(fraction * limit, momentum, nesterov, curvature) < 1


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", MOMENTA)
def test_the_limit_of_the_steepest_direction_is_the_limit_of_all(momentum, nesterov):
    limit = rule(0.1, momentum, nesterov).limit(7.0)
    assert all(radius(0.999 * limit, momentum, nesterov, c) < 1 for c in np.geomspace(1e-4, 7.0, 31))


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", MOMENTA)
def test_the_growth_is_the_spectral_radius(momentum, nesterov):
    for curvature in (-2.0, 0.5, 3.0, 40.0, 2.2e5):
        expected = radius(0.1, momentum, nesterov, curvature)
        if momentum == 0:  # the companion matrix has the velocity's root 0 beside the only one that counts
            expected = abs(1 - 0.1 * curvature)
        assert rule(0.1, momentum, nesterov).growth(curvature) == pytest.approx(expected, rel=1e-6)


def test_without_positive_curvature_there_is_no_limit():
    assert parse(0.1).limit(0.0) == math.inf
    assert parse("sgd:0.1,momentum=0.9").limit(-3.0) == math.inf


def test_the_formula_says_what_the_limit_computes():
    for text in ("0.1", "sgd:0.1,momentum=0.9", "sgd:0.1,momentum=0.9,nesterov"):
        given = parse(text)
        formula = given.limit_formula().replace(" lambda_max", "*lambda_max").replace("(1", "*(1").replace("(*(", "((")
        assert eval(formula, {"lambda_max": 5.0}) == pytest.approx(given.limit(5.0)), formula


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_run_on_a_quadratic_converges_below_the_limit_and_diverges_above(momentum, nesterov, seed):
    draw = np.random.default_rng(seed)
    q, _ = np.linalg.qr(draw.standard_normal((6, 6)))
    spectrum = np.geomspace(0.3, 20.0, 6)
    H = (q * spectrum) @ q.T
    limit = rule(0.1, momentum, nesterov).limit(20.0)

    def ends(step, steps=1500):
        """Along every eigenvector at once, in float64: (w, v) <- M (w, v)."""
        M = np.zeros((12, 12))
        b = momentum
        velocity = np.hstack([H, b * np.eye(6)])
        update = np.hstack([H, np.zeros((6, 6))]) + b * velocity if nesterov else velocity
        M[:6], M[6:] = np.hstack([np.eye(6), np.zeros((6, 6))]) - step * update, velocity
        state = np.concatenate([draw.standard_normal(6), np.zeros(6)])
        for _ in range(steps):
            state = M @ state
        return np.linalg.norm(state[:6])

    assert ends(0.98 * limit) < 1e-3
    assert ends(1.02 * limit) > 1e3


@pytest.mark.parametrize("text", ["sgd:{}", "sgd:{},momentum=0.9", "sgd:{},momentum=0.9,nesterov"])
def test_optax_itself_converges_below_and_diverges_above(text):
    curvature = jnp.array([0.5, 4.0])
    limit = parse(text.format(0.1)).limit(4.0)

    def last(step, steps=300):
        optimizer = parse(text.format(step)).optax()

        def one(carry, _):
            w, state = carry
            updates, state = optimizer.update(curvature * w, state, w)
            return (w + updates, state), None

        w = jnp.ones(2)
        (w, _), _ = jax.lax.scan(one, (w, optimizer.init(w)), length=steps)
        return float(jnp.abs(w).max())

    assert last(0.98 * limit) < 1e-2
    assert last(1.02 * limit) > 10


# --- grammar --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "name", "rate", "options"),
    [
        (0.5, "sgd", 0.5, {}),
        (1, "sgd", 1.0, {}),
        (np.float32(0.25), "sgd", 0.25, {}),
        (jnp.float32(0.25), "sgd", 0.25, {}),
        ("0.1", "sgd", 0.1, {}),
        ("1e-3", "sgd", 1e-3, {}),
        (" sgd : 0.1 ", "sgd", 0.1, {}),
        ("SGD:.5", "sgd", 0.5, {}),
        ("sgd:0.1,momentum=0.9", "sgd", 0.1, {"momentum": 0.9}),
        ("sgd:0.1, momentum = 0.9, nesterov", "sgd", 0.1, {"momentum": 0.9, "nesterov": True}),
        ("adam:1e-3,b1=0.8,b2=0.99,eps=1e-6", "adam", 1e-3, {"b1": 0.8, "b2": 0.99, "eps": 1e-6}),
        ("adamw:3e-4,wd=0.1", "adamw", 3e-4, {"weight_decay": 0.1}),
        ("adamw:3e-4,weight_decay=0.1", "adamw", 3e-4, {"weight_decay": 0.1}),
        ("rmsprop:0.01,decay=0.9,centered", "rmsprop", 0.01, {"decay": 0.9, "centered": True}),
    ],
)
def test_what_the_grammar_accepts(given, name, rate, options):
    read = parse(given)
    assert (read.rule, read.rate, dict(read.options)) == (name, rate, options)
    assert parse(str(read)) == read
    assert parse(read) is read


@pytest.mark.parametrize(
    "given",
    [
        "",
        "sgd",
        "sgd:",
        "sgd:fast",
        "sgd:0",
        "sgd:-0.1",
        "sgd:nan",
        "sgd:inf",
        "-1",
        "0",
        "1e",
        "--",
        "lion:0.1",
        "sgd:0.1,momentum",
        "sgd:0.1,momentum=1",
        "sgd:0.1,momentum=-0.1",
        "sgd:0.1,momentum=nan",
        "sgd:0.1,wd=0.1",
        "sgd:0.1,nesterov=true",
        "adam:0.1,momentum=0.9",
        "adamw:0.1,wd=much",
        "sgd:0.1;momentum=0.9",
        0,
        -1.0,
        math.nan,
        math.inf,
        [0.1],
        {"sgd": 0.1},
        (0.1, 0.9),
        pytest.param(object(), id="object"),
        True,
        0.1j,
    ],
)
def test_what_the_grammar_refuses(given):
    with pytest.raises(QedError) as caught:
        parse(given)
    assert caught.value.code == "QED005"
    assert caught.value.because
    assert "sgd:0.1" in caught.value.instead


def test_a_typing_mistake_in_an_option_is_answered_with_the_options():
    with pytest.raises(QedError, match="momentum=NUMBER"):
        parse("sgd:0.1,momentm=0.9")


@pytest.mark.parametrize("name", RULES)
def test_every_rule_is_an_optax_transformation_with_its_options(name):
    built = parse(f"{name}:0.1").optax()
    w = jnp.ones(2)
    updates, _ = built.update(w, built.init(w), w)
    assert bool((updates < 0).all())


def test_a_transformation_is_taken_as_it_is():
    given = optax.chain(optax.clip(1.0), optax.sgd(0.1))
    read = parse(given)
    assert read.optax() is given
    assert read.rate is None
    assert not read.is_gradient_descent
    assert str(read) == "the given optax transformation"
    assert math.isnan(StepRule("optax", transformation=given).growth(1.0))
