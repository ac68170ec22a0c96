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
from qed.certificates.lipschitz import Lipschitz
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
    answer = lipschitz(fun, (lower, upper), order=order, budget=20)
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
    answer = lipschitz(jnp.tanh, (-3.0, 3.0), budget=20)
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


Y = jnp.sign(X[:, 0] + 0.5)
INF = np.full(3, np.inf, np.float32)
OPEN = (-INF, INF)
TOP = float(np.linalg.eigvalsh(np.asarray(X, float).T @ np.asarray(X, float))[-1])
LOSSES = {
    "least squares": (lambda w: jnp.mean((X @ w - Y) ** 2), TOP / 6),
    "ridge regression": (lambda w: jnp.mean((X @ w - Y) ** 2) + 0.5 * jnp.sum(w**2), TOP / 6 + 1),
    "log(1 + exp)": (lambda w: jnp.mean(jnp.log(1 + jnp.exp(-Y * (X @ w)))), TOP / 48),
    "softplus": (lambda w: jnp.mean(jax.nn.softplus(-Y * (X @ w))), TOP / 48),
    "log sigmoid": (lambda w: -jnp.mean(jnp.log(jax.nn.sigmoid(Y * (X @ w)))), TOP / 48),
    "log cosh": (lambda w: jnp.mean(jnp.log(jnp.cosh(X @ w))), TOP / 12),
    "pseudo-Huber": (lambda w: jnp.mean(jnp.sqrt(1 + (X @ w - Y) ** 2)), TOP / 12),
    "Huber": (lambda w: jnp.mean(jnp.where(abs(X @ w) <= 1, (X @ w) ** 2 / 2, abs(X @ w) - 0.5)), TOP / 12),
    "squared hinge": (lambda w: jnp.mean(jax.nn.relu(1 - Y * (X @ w)) ** 2), TOP / 6),
    "tanh": (lambda w: jnp.mean(jnp.tanh(X @ w)), 0.7698004 * TOP / 12),
    "one root": (lambda w: jnp.sqrt(1 + jnp.sum(w**2)), 1.0),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_on_data_have_their_constant_on_the_whole_space(name):
    fun, truth = LOSSES[name]
    answer = lipschitz(fun, OPEN)
    assert answer.proved and answer.check()
    assert truth * (1 - 1e-6) <= answer.value <= truth * (1 + (1e-2 if name == "tanh" else 1e-5))
    assert answer.lower <= answer.value


def test_softmax_regression_has_its_constant_on_the_whole_space():
    labels = jnp.eye(3)[jnp.arange(12) % 3]
    fun = lambda w: jnp.mean(jax.nn.logsumexp(X @ w, 1) - jnp.sum(labels * (X @ w), 1))  # noqa: E731
    answer = lipschitz(fun, (np.full((3, 3), -np.inf, np.float32), np.full((3, 3), np.inf, np.float32)))
    assert answer.proved and answer.check()
    assert abs(answer.value - TOP / 24) <= 1e-5 * TOP


@pytest.mark.parametrize("fun", [jax.nn.sigmoid, jnp.tanh, jax.nn.softplus, jnp.sin, jax.nn.elu])
def test_the_line_is_a_box(fun):
    for order in (0, 1):
        answer = lipschitz(fun, (np.float32(-np.inf), np.float32(np.inf)), order=order, budget=5)
        assert answer.proved and answer.check()
        slope = jax.grad(fun) if order == 0 else jax.grad(jax.grad(fun))
        seen = np.max(np.abs(jax.vmap(slope)(np.linspace(-5, 5, 400).astype(np.float32))))
        assert seen * (1 - 1e-5) <= answer.value <= seen * 1.02


def test_a_kink_on_the_whole_space_is_told():
    answer = lipschitz(lambda w: jnp.mean(jnp.abs(X @ w)), OPEN, budget=2)
    assert answer.unknown and "the slope may jump" in answer.missing[0].what
    assert lipschitz(lambda w: jnp.mean(jnp.abs(X @ w)), OPEN, order=0).proved


@pytest.mark.parametrize("order", [0, 1])
def test_no_constant_is_negative(order):
    certificate = Lipschitz.about(
        lambda x: x * x, jnp.float32(0.0), (), box=([-1.0], [1.0]), tree=(-1,), order=order, bound=2.5
    )
    assert certificate.verify()
    for bound in (-2.5, np.nan):
        with pytest.raises(CertificateError, match="bound"):
            dataclasses.replace(certificate, bound=bound).sealed().verify()


def test_an_altered_certificate_is_refused():
    answer = lipschitz(lambda x: jnp.exp(x * x[0]).sum() * x[1], (np.ones(2), 2 * np.ones(2)))
    certificate = answer.certificate
    assert isinstance(certificate, Lipschitz)
    changes = {
        "bound": certificate.bound / 2,
        "order": 2,
        "tree": (0, -1),
        "box_upper": ((np.nan, 1.0),),
        "function": "0",
    }
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


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize(
    ("fun", "box"),
    [
        (lambda x: 3 * jnp.sign(x - 1) + x, (1.0, 2.0)),  # jumps up at the lower end
        (lambda x: x - 2 * jnp.sign(x), (-1.0, 0.0)),
        (lambda x: jnp.exp(jnp.sign(x)), (0.0, 1.0)),
        (lambda x: jnp.sign(x[0]) + x[1], (np.zeros(2), np.ones(2))),
        (lambda x: jnp.where(x > 0, x + 1, x), (0.0, 1.0)),
    ],
)
def test_a_jump_at_an_end_of_the_box_leaves_no_constant(fun, box, order):
    assert qed.lipschitz(fun, box, order=order).unknown


def test_a_bend_at_an_end_of_the_box_is_no_jump():
    answer = qed.lipschitz(lambda x: 2 * jnp.abs(x - 1) + jnp.sign(jax.nn.relu(-x)), (1.0, 2.0), order=0)
    assert answer.proved and answer.value == pytest.approx(2, rel=1e-4)


def test_an_order_of_nothing_is_a_constant():
    answer = qed.lipschitz(
        lambda x: jnp.sum(jnp.sort(x[:0])) + jnp.prod(x[:0]) * x[0], (-np.ones(2), np.ones(2)), order=0
    )
    assert answer.proved and answer.value == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize(("order", "whose"), [(0, "function"), (1, "gradient")])
def test_what_does_not_change_is_told_to_be_the_same(order, whose):
    fun = (lambda x: 3.0 + 0 * x) if order == 0 else (lambda x: 3 * x - 1)
    answer = qed.lipschitz(fun, (-2.0, 5.0), order=order)
    assert answer.proved and answer.upper < 3e-308
    assert answer.headline == f"On this box the {whose} is the same, up to a Lipschitz constant of 3e-308."
