"""Verdicts on points of many parameters, and on functions that fall for ever."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed


@pytest.mark.slow
def test_many_parameters_are_judged_by_a_sparse_hessian_or_by_products():
    answer = qed.verdict(lambda x: jnp.sum((x - 1) ** 2 * (1 + x**2)), jnp.ones(1500))
    assert str(answer.kind) == "minimum"
    assert answer.proved
    saddle = qed.verdict(lambda x: jnp.sum(x[1:] ** 2) - x[0] ** 2 + x[0] ** 4, jnp.zeros(1200))
    assert str(saddle.kind) == "saddle"


@pytest.mark.parametrize("x", [1.0, jnp.ones(2)])
def test_a_straight_line_down_is_unbounded(x):
    answer = qed.minimize(lambda x: -jnp.sum(x), x)
    assert str(answer.reason) == "unbounded_below"


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: jnp.sqrt(1 + (x - 1e8) ** 2),  # a bowl far away
        lambda x: -jnp.minimum(x, 1e6),  # cut off
        lambda x: -x + 2 * jax.nn.relu(x - 1e12),  # turns far out
    ],
    ids=["bowl", "cut off", "turns"],
)
def test_what_ends_its_fall_far_away_is_not_unbounded(fun):
    with jax.enable_x64(True):
        assert str(qed.verdict(fun, jnp.asarray(0.0)).kind) == "not_stationary"


def test_a_minimum_of_the_model_across_a_jump_is_none():
    with jax.enable_x64(True):
        answer = qed.minimize(lambda x: jnp.where(x > 0, x**2 - 1, x**2), jnp.asarray(0.0))
        assert str(answer.reason) == "kink" and "higher there" in answer.headline
        assert str(qed.minimize(lambda x: jnp.where(x < -1, x**2 - 1, (x - 0.5) ** 2), 0.0).reason) == "minimum"


def test_where_newtons_step_overshoots_nothing_jumps():
    """From 9 Newton's step on (sqrt x - 2)^2 goes to 0, where f is higher; the corner of where is never met."""
    with jax.enable_x64(True):
        smooth = qed.verdict(lambda x: (jnp.sqrt(jnp.where(x > -1, x, 0.0)) - 2) ** 2, jnp.asarray(9.0))
        assert str(smooth.value.kind) == "not_stationary"


@pytest.mark.parametrize(
    ("fun", "x", "kind"),
    [
        (lambda x: (x[1] - x[0] ** 2) * (x[1] - 2 * x[0] ** 2), [0.0, 0.0], "saddle"),  # falls between two parabolas
        (lambda x: (x[1] - x[0] ** 2) * (x[1] - 0.5 * x[0] ** 2) + x[0] ** 4, [0.0, 0.0], "flat_minimum"),
        (lambda x: x[1] ** 2 - x[0] ** 3, [0.0, 0.0], "saddle"),  # falls along an axis, into the box
        (lambda x: x[1] ** 2 + x[0] ** 3, [0.0, 0.0], "flat_minimum"),  # would fall out of the box
        (lambda x: x[1] + x[0] * jnp.exp(-x[0]), [1.5, 0.0], "not_stationary"),  # bends down, and has a slope
    ],
    ids=["between", "above", "cubic", "out", "slope"],
)
def test_on_a_face_what_falls_to_higher_order_is_no_minimum(fun, x, kind):
    with jax.enable_x64(True):
        assert str(qed.verdict(fun, jnp.array(x), bounds=(0.0, 2.0)).kind) == kind


def test_what_many_parameters_end_at_is_told_though_the_gradient_is_no_rounding_error():
    n = 1200
    with jax.enable_x64(True):
        weights = jnp.linspace(1.0, 100.0, n)

        def coupled(x):
            return jnp.sum(weights * (x - 1.0) ** 2) + jnp.log(jnp.sum(jnp.cosh(x)))

        def apart(x):
            return jnp.sum(weights * (x - 1.0) ** 2) + jnp.sum(jnp.log(jnp.cosh(x)))

        dense, sparse = (qed.minimize(fun, jnp.zeros(n)) for fun in (coupled, apart))
        boxed = qed.minimize(coupled, jnp.zeros(n), bounds=(0.5, 0.999), method="l-bfgs")
        held = qed.minimize(coupled, jnp.zeros(n), bounds=(None, 0.5))
        assert dense.check() is True
        down = qed.verdict(lambda x: coupled(x) - 200.0 * x[3] ** 2 + x[3] ** 4, dense.x.at[3].set(0.0) + 1e-9)
    assert [str(answer.reason) for answer in (dense, sparse, boxed, held)] == ["minimum"] * 4
    assert "but for a probability" in dense.headline and "positive pivots" in sparse.headline
    assert 0 < dense.verdict.lowest and 0 < sparse.verdict.lowest <= 2 + 2
    assert "in the box" in boxed.headline and "all 1,200 parameters are held" in held.headline
    assert str(down.kind) != "minimum"


@pytest.mark.slow
def test_a_matrix_of_all_pairs_is_never_made():
    """Of 100,000 parameters it would take 80 GB."""
    with jax.enable_x64(True):
        n, weights = 100_000, jnp.linspace(1.0, 100.0, 100_000)
        answer = qed.minimize(lambda x: jnp.sum(weights * (x - 1) ** 2), jnp.zeros(n), method="l-bfgs", max_steps=2)
        corner = qed.verdict(lambda x: jnp.sum(jnp.abs(x)) + jnp.sum(x**2), jnp.full(n, 1e-3))
    assert str(answer.reason) == "budget_spent"
    assert str(corner.kind) in ("kink", "not_stationary")


def test_a_constant_is_called_constant():
    for fun in (lambda x: 3.0 + 0 * jnp.sum(x), lambda x: jnp.asarray(3.0)):
        assert "looks constant" in qed.minimize(fun, jnp.ones(2)).headline
        assert "looks constant" in qed.critical_point(fun, jnp.ones(2)).headline
    assert "looks constant" not in qed.minimize(lambda x: (x[0] - x[1]) ** 4, jnp.ones(2)).headline


def test_a_measured_minimum_of_a_convex_loss_over_many_rows_is_the_global_one():
    random = np.random.default_rng(0)
    rows = random.standard_normal((1500, 8))
    truth = (rows[:, 0] + random.logistic(size=1500) > 0) * 1.0
    w = np.zeros(8)
    for _ in range(8):  # Newton's method
        p = 1 / (1 + np.exp(-rows @ w))
        w = w - np.linalg.solve(rows.T @ (rows * (p * (1 - p))[:, None]), rows.T @ (p - truth))

    def loss(w):
        p = 1 / (1 + jnp.exp(-rows @ w))
        return -jnp.mean(truth * jnp.log(p) + (1 - truth) * jnp.log(1 - p))

    with jax.enable_x64(True):
        answer = qed.verdict(loss, jnp.asarray(w))
        assert str(answer.kind) == "minimum" and str(answer.headline).startswith(
            "The global minimum, since f is convex"
        )
        whole = answer if answer.proved else answer.answers[-1]
        assert whole.proved and whole.check()


def test_a_convex_loss_that_falls_too_slowly_to_be_seen_has_no_global_minimum_there():
    with jax.enable_x64(True):
        answer = qed.verdict(lambda w: jnp.sum(jnp.exp(w)), jnp.full(60, -800.0))
    assert "since f is convex: a flat minimum" in answer.headline and "The global minimum" not in answer.headline
