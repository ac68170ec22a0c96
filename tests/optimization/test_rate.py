"""`qed.rate`: the factor that the curvatures predict is the one that the iterates show."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.errors import QedError

SPACE = qed.Box(jnp.full(2, -jnp.inf), jnp.full(2, jnp.inf))
X = jnp.asarray(np.random.default_rng(0).standard_normal((30, 3)), jnp.float32)
SIGNS = jnp.sign(X[:, 0] + 0.3)


def valley(w):
    return 50 * w[0] ** 2 + 0.5 * w[1] ** 2


def logistic(w):
    return jnp.mean(jax.nn.softplus(-SIGNS * (X @ w))) + 0.05 * w @ w


@pytest.mark.parametrize(("method", "predicted"), [("gradient", 99 / 101), ("heavy-ball", 9 / 11), ("nesterov", 0.9)])
def test_the_factor_of_a_narrow_valley(method, predicted):
    answer = qed.rate(valley, jnp.ones(2), method=method, steps=150)
    assert answer.kind == "linear"
    assert answer.predicted == pytest.approx(predicted, rel=1e-6)
    assert answer.observed == pytest.approx(predicted, rel=1.5e-2)  # double roots bring a factor of k
    assert answer.condition == pytest.approx(100, rel=1e-6)
    assert answer.check()


@pytest.mark.parametrize("method", ["gradient", "nesterov"])
def test_a_loss_that_is_no_quadratic_keeps_to_the_curvatures_at_its_minimum(method):
    answer = qed.rate(logistic, jnp.zeros(3), method=method, steps=40)
    assert answer.observed == pytest.approx(answer.predicted, abs=0.03)
    assert answer.errors[-1] < 1e-8


def test_newton_multiplies_its_digits():
    regular = qed.rate(logistic, jnp.zeros(3), method="newton", steps=8)
    assert regular.kind == "quadratic"
    assert regular.predicted == 2.0
    assert regular.observed == pytest.approx(2.0, abs=0.3)


def test_newton_is_cubic_where_the_third_derivative_vanishes():
    """Of x^2 + x^4 a step leaves 8 x^3 / (2 + 12 x^2)."""
    answer = qed.rate(lambda x: x**2 + x**4, 1.0, method="newton", steps=8)
    assert answer.kind == "cubic" and answer.observed == pytest.approx(3.0, abs=0.05)
    assert "more than the order 2" in answer.headline


def quartic(x):
    return x**4


def test_without_curvature_there_is_no_factor():
    answer = qed.rate(quartic, jnp.asarray(1.0), method="gradient", steps=200)
    assert answer.kind == "sublinear"
    assert answer.predicted is None
    assert answer.observed == pytest.approx(2.0, abs=0.1)  # x' = -4 x^3: x ~ k^(-1/2)
    bound = answer.reasons[1]
    assert 0 < bound.observed <= 1
    assert qed.rate(quartic, jnp.asarray(1.0), method="nesterov", steps=50).unknown


def test_a_flat_valley_counts_the_curvatures_above_zero():
    rows = jnp.array([[1.0, 2.0, 3.0], [0.0, 1.0, 1.0]])
    answer = qed.rate(lambda w: jnp.sum((rows @ w - 1) ** 2), jnp.ones(3), method="gradient", steps=100)
    assert answer.kind == "linear"
    assert answer.observed == pytest.approx(answer.predicted, rel=1e-3)


def test_constants_on_a_region_prove_a_factor():
    answer = qed.rate(valley, jnp.ones(2), method="gradient", steps=50, region=SPACE)
    assert answer.bound == pytest.approx(99 / 101, rel=1e-6)
    assert answer.observed <= answer.bound * (1 + 1e-9)
    assert [each.proved for each in answer.answers] == [True] * 4  # convex, smooth, a factor a step, the worst case
    assert all(each.check() for each in answer.answers)
    curved = qed.rate(logistic, jnp.zeros(3), steps=30, region=(jnp.full(3, -jnp.inf), jnp.full(3, jnp.inf)))
    assert curved.observed < curved.bound < 1


def mixed(w):
    return w[0] ** 4 + w[1] ** 2


def test_a_power_is_told_only_where_something_other_than_curvature_is_left():
    """13 curvatures from 1e-6 to 1: a power fits a hundred steps better than a factor; in x^4 + y^2 x^4 is left."""
    sizes = 10.0 ** jnp.linspace(-6, 0, 13)
    for method, slowest in (("gradient", (1e6 - 1) / (1e6 + 1)), ("nesterov", 0.999)):
        answer = qed.rate(lambda w: jnp.sum(sizes * w[:13] ** 2) / 2, jnp.ones(14), method=method)
        assert answer.kind == "linear" and answer.predicted == pytest.approx(slowest, rel=1e-9)
        assert "too few" in answer.headline and "zero" not in answer.headline
    power = qed.rate(mixed, jnp.ones(2))
    assert power.kind == "sublinear" and power.predicted is None
    tiny = qed.rate(lambda w: 1e-10 * w[0] ** 2 + w[1] ** 2, jnp.ones(2), steps=20)
    assert tiny.kind == "linear" and tiny.predicted is None and "nearly" in tiny.headline


@pytest.mark.parametrize(
    ("fun", "start", "kind", "observed"),
    [
        (mixed, [0.0, 1.0], "finite", 1),
        (mixed, [1.0, 1.0], "linear", 2 / 3),
        (lambda w: w @ w, [1.0, 1.0], "finite", 1),
    ],
)
def test_an_order_of_newton_is_told_only_where_three_errors_show_it(fun, start, kind, observed):
    answer = qed.rate(fun, jnp.array(start), method="newton")
    assert (answer.kind, answer.predicted) == (kind, None)
    assert answer.observed == pytest.approx(observed, rel=1e-6)


def test_a_start_at_the_limit_shows_no_rate_and_a_start_far_away_no_order():
    assert qed.rate(jnp.cosh, jnp.asarray(0.0), method="newton").unknown
    assert qed.rate(jnp.cosh, jnp.asarray(0.0)).unknown
    far = qed.rate(lambda w: jnp.exp(w) - w, jnp.asarray(9.0), method="newton", steps=5)  # about one a step
    assert far.kind == "linear" and "nearer" in far.headline and "singular" not in far.headline


@pytest.mark.parametrize(
    "fun", [lambda x: jnp.exp(-x), lambda x: -(x**2), lambda x: x**3, lambda x: jnp.sqrt(x) * jnp.nan]
)
def test_a_run_that_leads_to_no_minimum_is_unknown(fun):
    answer = qed.rate(fun, jnp.asarray(1.0), method="gradient", steps=30)
    assert answer.unknown or answer.kind in ("none", "sublinear")
    if fun(1.0) != 1.0:
        assert answer.unknown


@pytest.mark.parametrize(("given", "code"), [({"method": "adam"}, "QED007"), ({"steps": 2}, "QED007")])
def test_bad_input_is_refused(given, code):
    with pytest.raises(QedError) as error:
        qed.rate(valley, jnp.ones(2), **given)
    assert error.value.code == code


def huber(x):
    return jnp.sum(jnp.where(jnp.abs(x) < 1, x * x / 2, jnp.abs(x) - 0.5))


@pytest.mark.parametrize("far", [lambda x: x[0] + 2 * x[1], huber])
def test_where_f_is_linear_nothing_is_predicted(far):
    answer = qed.rate(far, jnp.array([30.0, -20.0]), method="gradient", steps=7)
    assert answer.standing == "UNKNOWN" and answer.missing


def test_a_region_of_one_number_a_side_is_that_of_all_parameters():
    """(x + y)^2 + x^2 + y^2 has L = 6; read as a function of one number it has L = 4."""

    def f(x):
        return jnp.sum(x) ** 2 + jnp.sum(x**2)

    answer = qed.rate(f, jnp.array([1.0, 2.0]), method="gradient", steps=5, region=(-jnp.inf, jnp.inf))
    assert any("constant 6.0000" in str(part.claim) for part in answer.answers)
    assert not any("4.0000" in str(part.claim) for part in answer.answers)


def test_constants_of_a_region_say_nothing_of_a_minimum_outside():
    """Curvatures from 1 to 1.24 on [2, 3], and a slope of 10 from the ridge at 0: a step of 2/(m + L) leaps over."""

    def f(x):
        return x**2 / 2 + 10 * jnp.sqrt(x**2 + 0.01)

    answer = qed.rate(f, jnp.asarray(2.5), method="gradient", steps=400, region=(2.0, 3.0))
    assert answer.value.bound is None and any("not in the region" in each.what for each in answer.missing)


@pytest.mark.parametrize("fun", [lambda x: jnp.log1p(x[0] ** 2), lambda x: jnp.sqrt(1 + x[0] ** 2)])
def test_newton_that_runs_away_has_no_rate(fun):
    answer = qed.rate(fun, jnp.array([1.5]), method="newton", steps=6)
    assert answer.unknown
    assert "does not converge from this start" in answer.missing[0].what
    assert "f rises from" in answer.missing[0].what
