"""What looks flat far out still falls, where Newton's steps do not shorten; minima that look alike stay minima."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.function import read
from qed.optimization.objective import Objective
from qed.optimization.receding import _run, _stay_long
from qed.optimization.solution import Ending

DTYPES = [pytest.param(jnp.float32, id="float32"), pytest.param(jnp.float64, id="float64")]
NEVER_LOST = jnp.array([[0, 2], [1, 3], [0, 1], [1, 0], [2, 3], [3, 4], [4, 2], [0, 4]])  # 0 and 1 beat the others
ONE_COLUMN = np.array([[29.0, -13], [58, -26], [29, -13], [58, -26], [3, 7], [1, 2], [2, 5]])
TOLD = np.array([0.0, 0, 1, 1, 1, 1, 1])  # the first four are not told apart, the others are along (13, 29)
AMOUNTS = np.array([[1.0, 0.3], [1, -0.4], [0, 0.2], [0, 0.9], [0, -0.6]])
PLACES = np.linspace(-1.0, 1.0, 7)
COUNTS = np.array([0.0, 0, 3, 1, 2])  # none in the group of the first column


def games(p):
    return -jnp.mean(jax.nn.log_sigmoid(p[NEVER_LOST[:, 0]] - p[NEVER_LOST[:, 1]]))


def told_apart(p, penalty=0.0):
    scores = jnp.asarray(ONE_COLUMN / 16, p.dtype) @ p
    return jnp.mean(jax.nn.softplus(scores) - jnp.asarray(TOLD, p.dtype) * scores) + penalty * (p @ p)


def counts(p):
    rates = jnp.asarray(AMOUNTS, p.dtype) @ p
    return jnp.sum(jnp.exp(rates) - jnp.asarray(COUNTS, p.dtype) * rates)


def doses(p):  # of a probit model: none of three at dose 0 and half of them at dose 1
    low, high = jax.scipy.stats.norm.logcdf(-p[0]), p[0] + p[1]
    return -3 * low - jax.scipy.stats.norm.logcdf(high) - jax.scipy.stats.norm.logcdf(-high)


def ordered(p):
    cuts, scores = jnp.array([p[0], p[0] + jnp.exp(p[1])]), p[2] * jnp.array([-3.0, -2.5, 0.2, 0.4, 2.0, 5.0], p.dtype)
    below = jax.nn.sigmoid(cuts[:, None] - scores)
    return -jnp.sum(jnp.log(jnp.concatenate([below[0, :2], (below[1] - below[0])[2:4], 1 - below[1, 4:]])))


NO_MINIMUM = {
    "games, float32": (games, 5, jnp.float32),
    "games": (games, 5, jnp.float64),
    "told apart, float32": (told_apart, 2, jnp.float32),
    "told apart": (told_apart, 2, jnp.float64),
    "counts, float32": (counts, 2, jnp.float32),
    "doses, float32": (doses, 2, jnp.float32),
}


@pytest.mark.parametrize("name", NO_MINIMUM)
def test_a_model_that_tells_some_rows_apart_has_no_minimum(name):
    f, n, dtype = NO_MINIMUM[name]
    with jax.enable_x64(True):
        answer = qed.minimize(f, jnp.zeros(n, dtype))
    assert str(answer.reason) == "infimum_not_attained", answer.headline
    assert answer.measured


@pytest.mark.parametrize("dtype", DTYPES)
def test_where_f_falls_along_a_curve_no_minimum_is_claimed(dtype):
    with jax.enable_x64(True):
        answer = qed.minimize(ordered, jnp.array([0.0, 0.0, 0.3], dtype))
    assert answer.unknown or str(answer.reason) == "infimum_not_attained", answer.headline


MINIMA = {
    "penalty": (lambda p: told_apart(p, 1e-9), [0.0, 0.0]),
    "power 10": (lambda x: jnp.sum((x - jnp.arange(1.0, 4.0)) ** 10), [3.0, -1.0, 5.0]),
    "exp and a slight slope": (lambda x: jnp.exp(x[0]) - 1e-10 * x[0] + (x[1] - x[0]) ** 2, [0.0, 0.0]),
    "a floor": (lambda x: jnp.maximum(jnp.exp(-x[0]), 1e-9) + (x[1] - 1) ** 2, [0.0, 0.0]),
    "far and singular": (lambda x: (x[0] - 900) ** 2 + (x[1] + x[2] - 3 * x[0]) ** 2, [0.0, 0.0, 1.0]),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", MINIMA)
def test_minima_that_look_alike_stay(name, dtype):
    f, x = MINIMA[name]
    with jax.enable_x64(True):
        answer = qed.minimize(f, jnp.array(x, dtype))
    assert str(answer.reason) in ("minimum", "flat_minimum"), answer.headline


@pytest.mark.parametrize("power", [4, 6, 10])
def test_newtons_steps_shorten_towards_a_minimum(power):
    with jax.enable_x64(True):
        objective = Objective(read(lambda x: jnp.sum(x**power), jnp.array([1.0, 2.0])))
        steps = _run(objective, objective.at(objective.start), 0.0, 4)
        lengths = [float(np.linalg.norm(b.x - a.x)) for a, b in pairwise(steps)]
    assert not _stay_long(steps)
    assert np.allclose(np.array(lengths[1:]) / lengths[:-1], (power - 2) / (power - 1))


def test_newtons_steps_do_not_shorten_as_exp_fades():
    with jax.enable_x64(True):
        objective = Objective(read(lambda x: jnp.exp(-x[0]) + x[1] ** 2, jnp.zeros(2)))
        assert _stay_long(_run(objective, objective.at(objective.start), 0.0, 4))


def test_where_f_has_become_rounding_it_is_not_called_flat():
    lgamma = jax.scipy.special.gammaln
    with jax.enable_x64(True):
        answer = qed.minimize(lambda p: lgamma(3 + jnp.exp(p[0])) - lgamma(jnp.exp(p[0])) - 3 * p[0], jnp.zeros(1))
    assert answer.unknown or str(answer.reason) in ("infimum_not_attained", "not_stationary"), answer.headline


def test_in_a_box_without_an_end_f_falls_on_too():
    box = jnp.array([0.0, 0.0]), jnp.array([jnp.inf, jnp.inf])
    answer = qed.minimize(lambda x: jnp.exp(-x[0]) + (x[1] - x[0] / 9 - 1) ** 2, jnp.array([0.5, 0.5]), bounds=box)
    assert str(answer.reason) == "infimum_not_attained", answer.headline


@pytest.mark.slow
def test_a_length_that_goes_to_infinity_is_no_minimum_though_all_curvatures_are_positive():
    """The kernel becomes a constant as exp(-2 p[1]): curvatures of 5e-14 are positive in float64 at every point."""
    rng = np.random.default_rng(5)
    x, y = jnp.asarray(rng.normal(size=(20, 4)), jnp.float32)[:6, 0], jnp.asarray(rng.normal(size=20), jnp.float32)[:6]

    def loss(p):
        kernel = jnp.exp(p[0]) * jnp.exp(-0.5 * (x[:, None] - x) ** 2 / jnp.exp(2 * p[1]))
        low = jnp.linalg.cholesky(kernel + (jnp.exp(p[2]) + 1e-3) * jnp.eye(6))
        return 0.5 * y @ jax.scipy.linalg.cho_solve((low, True), y) + jnp.sum(jnp.log(jnp.diag(low)))

    answer = qed.minimize(loss, jnp.zeros(3))
    assert answer.x[1] > 5 and answer.reason in ("infimum_not_attained", "undecided", "noise_floor")


@pytest.mark.parametrize(
    "held",
    [lambda a: 1e-19 * a**2, lambda a: 1e-13 * jnp.sqrt(4 + a**2), lambda a: 1e-12 * jnp.log1p(a**2)],
    ids=["square", "length", "logarithm"],
)
def test_a_penalty_however_small_holds_what_falls(held):
    with jax.enable_x64(True):
        answer = qed.minimize(lambda x: jax.nn.softplus(-x[0]) + (x[1] - 2) ** 2 + held(x[0]), jnp.zeros(2))
    assert answer.reason not in ("infimum_not_attained", "unbounded_below")


def scaled_product(p):  # 0 along p1 = 1/p0 as p0 goes to 0, and nowhere 0
    return (p[0] * p[1] - 2) ** 2 + 0.03 * p[0] ** 2


def widths(p):  # a bump that is to be 2 everywhere: it becomes ever wider
    return jnp.mean((p[0] * jnp.exp(-jnp.asarray(PLACES**2, p.dtype) * jnp.exp(-p[1])) - 2) ** 2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("fun", "x"),
    [(scaled_product, [0.004, 480.0]), (widths, [2.0, 17.5])],
    ids=["scaled product", "widths"],
)
def test_of_a_point_that_is_all_that_is_known_too(fun, x, dtype):
    with jax.enable_x64(True):
        answer = qed.verdict(fun, jnp.array(x, dtype))
    assert str(answer.value.kind) == "infimum_not_attained"


def test_a_minimum_far_along_a_coordinate_is_no_infimum():
    with jax.enable_x64(True):  # f falls by more and more towards it
        answer = qed.verdict(lambda p: 1e-14 * (p[0] - 3e6) ** 2 + (p[1] - 1) ** 2, jnp.array([50.0, 1.0]))
    assert str(answer.value.kind) != "infimum_not_attained"


def light_tails(p):  # of Student's t: the degrees of freedom exp(p2) go to infinity
    half, rest = jnp.exp(p[2]) / 2, ((1.5 * jnp.asarray(PLACES, p.dtype) - p[0]) * jnp.exp(-p[1])) ** 2
    terms = jax.scipy.special.gammaln(half + 0.5) - jax.scipy.special.gammaln(half) - 0.5 * p[2] - p[1]
    return -jnp.mean(terms - (half + 0.5) * jnp.log1p(rest / (2 * half)))


def test_where_curvatures_are_rounding_no_minimum_is_claimed():
    found = qed.minimize(light_tails, jnp.array([0.2, 0.1, 0.5]))
    assert found.unknown or str(found.reason) == "infimum_not_attained"
    again = qed.verdict(light_tails, found.x)
    assert again.unknown or str(again.value.kind) in ("infimum_not_attained", "not_stationary")


@pytest.mark.parametrize("dtype", DTYPES)
def test_newtons_step_to_a_point_that_bends_otherwise_tells_no_minimum(dtype):
    with jax.enable_x64(True):  # f is -x^6 on the curve y = x^2; beside it the curvatures are positive
        for x in ([1e-3, 0.0], [-1e-2, 0.0], [2e-3, 1e-6]):
            answer = qed.verdict(lambda x: 3 * (x[1] - x[0] ** 2) ** 2 - x[0] ** 6, jnp.array(x, dtype))
            assert str(answer.value.kind) not in ("minimum", "flat_minimum")


@pytest.mark.parametrize("dtype", DTYPES)
def test_where_f_is_0_all_around_there_are_no_corners(dtype):
    def well(x):
        return -jnp.sum(jnp.where(x == 0, 0.0, jnp.exp(-2 / jnp.where(x == 0, 1.0, x) ** 2)))

    with jax.enable_x64(True):
        answer = qed.verdict(well, jnp.zeros(2, dtype))
    assert str(answer.value.kind) in ("infimum_not_attained", "not_stationary", "undecided")


FACES = {
    "exponential": lambda x: jnp.exp(-x[0]) + (x[1] + 2) ** 2 - 4,
    "separable": lambda x: jnp.sum(jax.nn.softplus(-jnp.array([1.0, 2.0, 3.0]) * x[0])) + x[1],
    "ridge": lambda x: jnp.log1p(jnp.exp(-x[0] - x[2])) + (x[0] - x[2]) ** 2 + 2 * x[1],
}
HELD = {
    "quartic": lambda x: (x[0] - 1) ** 4 + (x[1] + 2) ** 2 + x[2] ** 2,
    "flat": lambda x: (x[0] + x[2] - 1) ** 2 + jnp.exp(x[1]),
    "corner": lambda x: jnp.maximum(x[0], 0.0) ** 2 + x[1] + (x[2] - 1) ** 2,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FACES, *HELD])
def test_on_a_face_of_a_box(name):
    """x[1] is pressed against 0; among the others f falls on, or does not."""
    lower, upper = np.array([-np.inf, 0.0, -np.inf], np.float32), np.array([np.inf, 5.0, np.inf], np.float32)
    answer = qed.minimize((FACES | HELD)[name], jnp.array([2.0, 1.0, 0.5]), bounds=(lower, upper))
    if name in HELD:
        assert answer.value.reason in (Ending.MINIMUM, Ending.FLAT_MINIMUM)
    else:
        assert answer.value.reason in (Ending.INFIMUM_NOT_ATTAINED, Ending.UNDECIDED) and not answer.proved
        if answer.measured:
            assert float(answer.value.verdict.direction[1]) == 0.0
