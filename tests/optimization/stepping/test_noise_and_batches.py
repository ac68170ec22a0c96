"""The noise of batches, said by `qed.step_size`: measured, predicted, and only of a loss that is a mean."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.errors import QedError
from qed.optimization.examples import Examples, examples_of

RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.standard_normal((64, 3)) * np.array([1.0, 1.0, 2.0]), jnp.float32)
Y = jnp.asarray(np.asarray(X) @ np.array([1.0, -2.0, 0.5]) + RNG.standard_normal(64), jnp.float32)


def loss(w, X, y):
    return 0.5 * jnp.mean((X @ w - y) ** 2)


def test_the_noise_scale_is_that_of_the_gradients_of_single_examples():
    answer = qed.step_size(loss, jnp.zeros(3), X, Y)
    each = -np.asarray(Y, float)[:, None] * np.asarray(X, float)
    noise, mean = answer.value.noise, each.mean(0)
    trace = np.mean(np.sum((each - mean) ** 2, axis=1))
    assert noise.examples == 64
    assert noise.trace == pytest.approx(trace, rel=1e-4)
    assert noise.scale == pytest.approx(trace / (mean @ mean), rel=1e-4)
    assert noise.observed == pytest.approx(noise.predicted, rel=0.3)
    assert noise.predicted == pytest.approx(trace / 8, rel=1e-4)
    np.testing.assert_allclose(noise.covariance, np.cov(each.T, bias=True), rtol=1e-3, atol=1e-4)
    assert noise.top == pytest.approx(np.linalg.eigvalsh(noise.covariance)[-1] / trace, rel=1e-2)
    assert not answer.value.batches


def test_batches_are_tried_with_equally_many_gradients_and_the_floor_is_that_of_the_scatter():
    answer = qed.step_size(loss, jnp.zeros(3), X, Y, optimizer="sgd:0.05,batch=4")
    runs = answer.value.batches
    assert {run.batch for run in runs} == {1, 4, 8, 64}
    assert {run.gradients for run in runs} == {256}
    assert all(run.steps * run.batch == 256 for run in runs)
    assert all(run.end < run.start for run in runs)
    (given,) = [run for run in runs if run.batch == 4]
    assert given.step == 0.05
    longer = {run.batch: run.step for run in runs}  # the later of two rates is that of the noise scale
    assert longer[1] < 0.05 < longer[8] < longer[64]
    floors = answer.value.floors
    assert [(floor.batch, floor.step) for floor in floors] == [(4, 0.05), (4, 0.025), (16, 0.05)]
    for floor in floors:
        assert floor.observed == pytest.approx(floor.predicted, rel=0.2)
    assert floors[2].observed == pytest.approx(floors[0].observed / 4, rel=0.2)


def a_sum(w, X, y):
    return 0.5 * jnp.sum((X @ w - y) ** 2)


def across_rows(w, X, y):
    z = X @ w
    return jnp.mean(((z - jnp.mean(z)) - y) ** 2)


@pytest.mark.parametrize("fun", [a_sum, across_rows])
def test_a_loss_that_is_no_mean_over_its_rows_has_no_noise_scale(fun):
    assert examples_of(fun, jnp.ones(3), (X, Y), 1000) is None
    answer = qed.step_size(fun, jnp.ones(3), X, Y, optimizer="sgd:0.001,batch=8")
    assert answer.value.noise is None
    assert not answer.value.batches
    assert answer.missing[0].code == "QED007"


def test_a_batch_without_rows_is_refused():
    with pytest.raises(QedError) as error:
        qed.step_size(lambda w: jnp.sum(w**2), jnp.ones(2), optimizer="sgd:0.1,batch=8")
    assert error.value.code == "QED007"
    with pytest.raises(QedError):
        qed.step_size(loss, jnp.ones(3), X, Y, optimizer="sgd:0.1,batch=none")


def test_a_penalty_leaves_the_loss_a_mean_and_integers_are_no_parameters():
    def penalised(w, X, y):
        return loss(w["w"], X, y) + w["k"] * jnp.sum(w["w"] ** 2)

    found = Examples(penalised, {"w": jnp.ones(3), "k": 2}, (X, Y))
    assert found.is_mean()
    slope = jax.grad(lambda w: penalised({"w": w, "k": 2}, X, Y))(jnp.ones(3))
    np.testing.assert_allclose(found.each(found.parameters).mean(0), slope, rtol=1e-4)
