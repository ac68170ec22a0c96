"""Sums of squares are read from the graph, and their Gauss-Newton matrix is what it should be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.function import read
from qed.optimization.bounds import bounds_of
from qed.optimization.least_squares import MANY, Creeping, Slow, sum_of_squares
from qed.optimization.objective import Objective
from qed.optimization.running import by_model

T = jnp.linspace(0.0, 2.0, 7)


def residual(x):
    return x[0] * jnp.exp(-x[1] * T) - jnp.cos(T)


def product(x):
    r = residual(x)
    return jnp.sum(r * r) / 4.0


def inner(x):
    r = residual(x)
    return 0.5 * jnp.dot(r, r)


SUMS = {
    "integer power": (lambda x: jnp.sum(residual(x) ** 2), 1.0),
    "square, scaled": (lambda x: 3.0 * jnp.sum(jnp.square(residual(x))), 3.0),
    "product": (product, 0.25),
    "mean": (lambda x: jnp.mean(residual(x) ** 2), 1 / 7),
    "inner product": (inner, 0.5),
    "square of a norm": (lambda x: 2.0 * jnp.sqrt(jnp.sum(residual(x) ** 2)) ** 2, 2.0),
    "rows summed twice": (lambda x: jnp.sum(jnp.sum(residual(x).reshape(7, 1) ** 2, axis=0)), 1.0),
    "above a constant": (lambda x: 3.0 + jnp.sum(residual(x) ** 2), 1.0),
}


@pytest.mark.parametrize("name", SUMS)
def test_the_matrix_is_that_of_first_derivatives(name):
    fun, factor = SUMS[name]
    x = jnp.array([0.7, 0.9])
    squares = sum_of_squares(read(fun, x))
    rows = jax.jacobian(residual)(x)
    assert squares.factors == pytest.approx(factor)
    np.testing.assert_allclose(squares.matrix(np.array(x)), 2 * factor * rows.T @ rows, rtol=2e-5)


def of_several_terms(x, weights):
    return jnp.sum(weights * residual(x) ** 2) + 0.1 * jnp.dot(x, x) + jnp.mean((x - 1.0) ** 4) + (x[0] * x[1]) ** 2


def test_a_sum_of_sums_of_squares_has_all_their_rows():
    weights, x = np.linspace(0.5, 2.0, 7).astype(np.float32), jnp.array([0.7, 0.9])
    squares = sum_of_squares(read(of_several_terms, x, weights))

    def rows(x):
        parts = [np.sqrt(weights) * residual(x), np.sqrt(0.1) * x, (x - 1) ** 2 / np.sqrt(2), (x[0] * x[1])[None]]
        return jnp.concatenate(parts)

    first = jax.jacobian(rows)(x)
    np.testing.assert_allclose(squares.matrix(np.array(x)), 2 * first.T @ first, rtol=2e-5)
    np.testing.assert_allclose(2 * first.T @ rows(x), jax.grad(of_several_terms)(x, weights), rtol=2e-5)
    np.testing.assert_allclose(squares.whole(np.array(x)), jax.hessian(of_several_terms)(x, weights), rtol=2e-5)


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: jnp.sum(residual(x) ** 2) - 1.0,
        lambda x: jnp.sum(np.array([1.0, -1.0], np.float32) * x**2),
        lambda x: jnp.sum(x**2) - 0.5 * x[0] ** 2,
        lambda x: jnp.sum(x**2) + jnp.sum(x[0] ** 2 + x),
        lambda x: jnp.sum(residual(x) ** 3),
        lambda x: jnp.sum(residual(x) ** 2) + x[0],
        lambda x: -jnp.sum(residual(x) ** 2),
        lambda x: jnp.dot(residual(x), T),
        lambda x: jnp.sum(residual(x) ** 2) * x[0],
        lambda x: x[0],
    ],
)
def test_what_is_no_sum_of_squares_is_none(fun):
    assert sum_of_squares(read(fun, jnp.ones(2))) is None


@pytest.mark.slow
def test_steps_of_first_derivatives_reach_the_minimum_that_newton_reaches():
    weights = jnp.linspace(0.5, 1.5, 3000)

    def misfit(x):
        return jnp.sum((x[0] * jnp.exp(-1e-2 * x[1] * weights) - jnp.exp(-weights) - 0.1 * jnp.sin(9 * weights)) ** 2)

    start = jnp.array([5.0, 700.0])
    with jax.enable_x64(True):
        objective = Objective(read(misfit, jnp.asarray(start, jnp.float64)))
        assert objective.squares is not None
        here = objective.at(np.asarray(start, np.float64))
        end, how, _ = by_model(objective, here, bounds_of(None, start), 1e-8, 100)
        whole = jax.grad(misfit)(jnp.asarray(end.x))
    assert how == "stationary" and np.abs(whole).max() < 1e-7 and objective.counts["hessians"] < 40
    assert str(qed.minimize(misfit, start, tol=1e-3).reason) == "minimum"


def peaks(x):
    at, heights, widths = np.linspace(0.0, 1.0, 400), x[::2], x[1::2]
    each = heights * widths / ((at[:, None] - np.linspace(0.0, 1.0, 20)) ** 2 + widths**2)
    return jnp.sum((jnp.sum(each, axis=1) - np.sin(9 * at)) ** 2)


def test_the_hessian_of_a_sum_of_peaks_is_made_of_first_derivatives_and_few_products():
    x = 0.2 + 0.05 * np.cos(np.arange(40.0))
    with jax.enable_x64(True):
        objective = Objective(read(peaks, jnp.asarray(x)))
        assert objective.squares is not None
        assert objective.squares.bend.products == 2 and objective.curvature.hessian.products == 40
        found, counted, first = objective.matrix(x), objective.counts["hessians"], objective.first_order(x)
        whole = np.asarray(jax.hessian(peaks)(jnp.asarray(x)))
    np.testing.assert_allclose(found, whole, rtol=0, atol=1e-13 * np.abs(whole).max())
    assert counted == 1 and np.abs(first - whole).max() > 1e-3 * np.abs(whole).max()


def test_where_the_second_term_is_as_dense_the_hessian_is_made_of_products(monkeypatch):
    weights = np.sin(np.arange(800.0 * 20)).reshape(800, 20)

    def mixed(x):
        return jnp.sum((jnp.tanh(weights @ x) - 0.3) ** 2)

    x = np.cos(np.arange(20.0))
    with jax.enable_x64(True):
        objective = Objective(read(mixed, jnp.asarray(x)))
        assert objective.squares is not None and objective.squares.bend.products == 20
        monkeypatch.setattr(type(objective.squares), "whole", None)
        found = objective.matrix(x)
        whole = np.asarray(jax.hessian(mixed)(jnp.asarray(x)))
    np.testing.assert_allclose(found, whole, rtol=0, atol=1e-12 * np.abs(whole).max())


def model(x):
    at = np.linspace(0.0, 1.0, 400)
    return jnp.sum(x[::2] * x[1::2] / ((at[:, None] - np.linspace(0.0, 1.0, 20)) ** 2 + x[1::2] ** 2), axis=1)


def test_a_run_on_squares_ends_where_less_than_the_tolerance_is_to_be_gained_slowly(monkeypatch):
    monkeypatch.setattr("qed.optimization.bottom.WORK", 0)  # ranges are not asked
    with jax.enable_x64(True):
        data = np.asarray(model(0.3 + 0.1 * np.sin(np.arange(40.0))))
        start = 0.1 + 0.02 * np.cos(np.arange(40.0))
        answer = qed.minimize(lambda x: 1e3 * jnp.sum((model(x) - data) ** 2), start, tol=1e-4)
    assert str(answer.reason) == "flat_minimum" and answer.value.fun <= 1e-4
    assert answer.counts["values"] < 400, answer.counts  # thousands without
    assert "nowhere below 0" in str(answer.headline or answer.claim)


def test_a_sum_of_squares_goes_on_while_it_halves_or_more_than_the_tolerance_is_left():
    slow, quick = Slow(), Slow()
    for k in range(20):
        slow.halted(1.0 if k == 0 else 1e-13 * 0.99**k)
        quick.halted(0.5**k)
    assert slow.at_zero(1e-13 * 0.99**20, 1e-6) and not slow.at_zero(1e-13 * 0.99**20, 1e-14)
    assert not slow.at_zero(2e-12, 1e-6) and not quick.at_zero(1e-13, 1e-6)


def test_a_run_on_squares_that_creeps_ends_and_is_called_neither_a_minimum_nor_a_failure(monkeypatch):
    monkeypatch.setattr("qed.optimization.least_squares.MANY", 15)
    monkeypatch.setattr("qed.optimization.least_squares.FALL", 0.2)
    with jax.enable_x64(True):
        data = np.sign(np.sin(9 * np.linspace(0.0, 1.0, 400)))  # peaks grow and cancel to make a jump, and f creeps
        start = 0.1 + 0.02 * np.cos(np.arange(40.0))
        answer = qed.minimize(lambda x: 1e3 * jnp.sum((model(x) - data) ** 2), start, tol=1e-3)
    assert str(answer.reason) == "undecided" and answer.unknown and not answer.proved
    assert answer.counts["values"] < 300, answer.counts
    assert "f creeps" in str(answer.headline or answer.claim) and "smaller tol" in answer.missing[0].settle


def test_a_sum_of_squares_goes_on_while_it_falls_or_its_gradient_is_as_large_as_it_was():
    falling, steep, creeping = Creeping(), Creeping(), Creeping()
    steps = range(2 * MANY)
    assert not any(falling.halted(0.999**k, 1e3 if k == 0 else 1e-9, 1e-3) for k in steps)  # by 10 % in MANY
    assert not any(steep.halted(1.0, 1e3 if k == 0 else 1.1, 1e-3) for k in steps)
    assert [creeping.halted(1.0, 1e3 if k == 0 else 0.9, 1e-3) for k in steps].index(True) == MANY
