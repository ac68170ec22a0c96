"""qed.lipschitz: constants that no pair of points exceeds, exact for quadratics, and honest at corners."""

# pyright: reportArgumentType=false, reportOperatorIssue=false, reportOptionalOperand=false
# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportOptionalSubscript=false

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.calculus.lipschitz import lipschitz
from qed.errors import CertificateError, QedError

X = jnp.asarray(np.random.default_rng(0).normal(size=(12, 3)), jnp.float32)

CASES = {
    "least squares": (lambda w: jnp.mean((X @ w - X[:, 0]) ** 2), -np.ones(3), np.ones(3)),
    "cubic": (lambda x: jnp.sum(x**3) + x[0] * x[1], -np.ones(3), np.ones(3)),
    "wave": (lambda x: jnp.sum(jnp.sin(x)), -np.ones(3), np.ones(3)),
}


@pytest.mark.parametrize(("name", "order"), [("least squares", 0), ("least squares", 1), ("cubic", 0), ("wave", 0)])
def test_no_pair_of_points_exceeds_it(name, order):
    fun, lower, upper = CASES[name]
    answer = lipschitz(fun, (lower, upper), order=order, budget=1)
    assert answer.proved
    assert answer.lower <= answer.upper == answer.value
    assert answer.upper <= 2 * answer.lower
    x, y = np.random.default_rng(1).uniform(lower, upper, (2, 200, 3)).astype(np.float32)
    value = jax.vmap(fun if order == 0 else jax.grad(fun))
    change = np.asarray(value(x) - value(y)).reshape((200, -1))
    ratio = np.linalg.norm(change, axis=1) / np.linalg.norm(x - y, axis=1)
    assert np.all(ratio <= answer.value * (1 + 1e-4))
    if name == "least squares":
        assert answer.check()


def test_one_variable():
    answer = lipschitz(jnp.tanh, (-3.0, 3.0), budget=1)
    assert answer.proved
    assert 0.7698 <= answer.value <= 2 * 0.7698  # 4 / (3 sqrt 3) at tanh x = 1 / sqrt 3


def test_least_squares_is_exact_to_rounding():
    fun, lower, upper = CASES["least squares"]
    truth = 2 * np.linalg.eigvalsh(np.asarray(X, float).T @ np.asarray(X, float) / 12)[-1]
    mean = float(jnp.float32(12)) / 12  # the program divides by 12, exactly
    assert abs(lipschitz(fun, (lower, upper)).value - truth * mean) <= 1e-6 * truth


@pytest.mark.parametrize(
    ("fun", "order"),
    [(jnp.abs, 1), (lambda x: jnp.where(x > 0, 1.0, 0.0), 0), (jnp.sqrt, 0), (jax.nn.relu, 1), (jnp.log, 0)],
)
def test_corners_jumps_and_poles_are_not_bounded(fun, order):
    low = 0.0 if fun in (jnp.sqrt, jnp.log) else -1.0
    answer = lipschitz(fun, (low, 1.0), order=order, budget=1)
    assert answer.unknown
    assert answer.missing


def test_an_altered_certificate_is_refused():
    answer = lipschitz(lambda x: x * x, (-1.0, 2.0))
    certificate = answer.certificate
    changes = {"bound": certificate.bound / 2, "order": 2, "tree": (0, -1), "box_upper": ((np.nan,),), "function": "0"}
    for name, value in changes.items():
        changed = dataclasses.replace(certificate, **{name: value})
        with pytest.raises(CertificateError):
            changed.verify()
        with pytest.raises(CertificateError):
            changed.sealed().verify()


@pytest.mark.parametrize(("order", "box"), [(2, (0.0, 1.0)), (1, (1.0, 0.0))])
def test_bad_input(order, box):
    with pytest.raises(QedError) as error:
        lipschitz(jnp.sin, box, order=order)
    assert error.value.code == "QED007"


def test_the_public_name():
    assert qed.lipschitz is lipschitz
