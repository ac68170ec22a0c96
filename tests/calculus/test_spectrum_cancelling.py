"""Hessians whose terms cancel at every point, or underflow: what is told of them holds."""

# pyright: reportOptionalMemberAccess=false, reportArgumentType=false

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.calculus.spectra.cancelling import Roundings
from qed.graph.function import read

TURN = np.linalg.qr(np.random.default_rng(2).standard_normal((4, 4)))[0]

# (function, point, eigenvalues), in float64
HIDDEN = {
    "a square beside itself": (lambda x: 3e17 * x**2 + 5 * x**2 - 3e17 * x**2, 0.25, [10.0]),
    "a square of a multiple": (lambda x: (3e9 * x) ** 2 - x * x - 9e18 * x**2, 2.0, [-2.0]),
    "quartics": (lambda x: 2.0**60 * x**4 + x**4 - 2.0**60 * x**2 * x**2, 1.0, [12.0]),
    "a lost number": (lambda x: ((x + 2.0**60) - 2.0**60) ** 4, 0.5, [3.0]),
    "exponentials": (lambda x: 1e18 * jnp.exp(x) + x**2 - 1e18 * jnp.exp(x), 0.0, [2.0]),
    "two products": (lambda x: 2.0**70 * x[0] * x[1] + 2 * x[0] * x[1] - 2.0**70 * x[1] * x[0], [1.0, 2.0],
                     [-2.0, 2.0]),
    "conjugates": (lambda x: (2.0**35 * x[0] + x[1]) * (2.0**35 * x[0] - x[1]) - 2.0**70 * x[0] ** 2, [1.0, 3.0],
                   [-2.0, 0.0]),
    "a matrix": (lambda x: jnp.sum((2.0**30 * (TURN @ x)) ** 2) - 2.0**60 * jnp.sum((TURN @ x) ** 2) + jnp.sum(x**2),
                 [1.0, 2.0, 3.0, 4.0], [2.0] * 4),
    "below the numbers": (lambda x: (x**2 * 2.0**-600) * 2.0**-460, 1.0, [2.0**-1059]),
    "a tail": (lambda x: jnp.exp(-(x**2)), 27.0, [4 * 27.0**2 * 5e-324]),  # (4 x^2 - 2) e^(-729), of 2.4e-317
}  # fmt: skip


@pytest.mark.parametrize("name", HIDDEN)
def test_the_intervals_hold_what_rounding_hides(name):
    fun, at, truth = HIDDEN[name]
    truth = np.array(truth) if name != "a tail" else np.array([(4 * 27.0**2 - 2) * np.exp(-729.0)])
    with jax.enable_x64(True):
        answer = qed.spectrum(fun, jnp.asarray(at, jnp.float64), k=len(truth))
        for value, error in zip(answer.eigenvalues, answer.errors, strict=True):
            assert np.min(np.abs(truth - value)) <= error < 1e8
        trace = answer.value.trace
        assert abs(trace.value - truth.sum()) <= trace.error.error
        condition, determinant = answer.value.condition(), answer.value.log_determinant
    sizes = np.abs(truth)
    assert condition.unknown or sizes.max() <= (condition.value + condition.error.error) * sizes.min() * (1 + 1e-9)
    assert determinant.unknown or abs(determinant.value - np.sum(np.log(sizes))) <= determinant.error.error


def test_a_density_says_what_rounding_hides():
    with jax.enable_x64(True):
        answer = qed.spectrum(lambda x: 3e17 * x**2 + 5 * x**2 - 3e17 * x**2, 0.25)
        mean = answer.value.density(probes=2)
    assert abs(mean.value.mean - 10) <= mean.error.error


def test_random_roundings_tell_of_a_deep_program_what_intervals_do_not():
    layer = np.random.default_rng(3).standard_normal((4, 4)) / 1.5

    def deep(x, scale):
        z, _ = jax.lax.scan(lambda z, _: (jnp.tanh(layer @ z) + x / 8, None), x, None, 30)
        return scale * jnp.sum(z**2) + jnp.sum(x**2) - scale * jnp.sum(z * z)

    at = np.linspace(-1.0, 1.0, 4)
    with jax.enable_x64(True):
        plain, hidden = (Roundings.of(read(lambda x, s=s: deep(x, s), at)) for s in (1.0, 1e17))
        assert 0 < plain.size < 1e-9
        answer = qed.spectrum(lambda x: deep(x, 1e17), at, k=4)
    errors = np.abs(answer.eigenvalues - 2)
    assert np.all(errors <= answer.errors) and np.max(answer.errors) < 1e-15 * hidden.size / plain.size * 1e17


def test_ordinary_products_are_as_exact_as_they_were():
    matrix = np.diag([1.0, 2.0, 3.0])
    with jax.enable_x64(True):
        answer = qed.spectrum(lambda x: x @ matrix @ x / 2 + jnp.sum(jnp.cos(x)), np.ones(3), k=3)
    assert np.max(answer.errors) < 1e-13


def test_the_gauss_newton_matrix_says_what_cancels_in_it():
    rows = np.array([[1.0, 2.0], [3.0, 4.0], [0.0, 1.0]])

    def loss(w, x):
        seen = (2.0**60 * (x @ w) + x @ w) - 2.0**60 * (x @ w)
        return jnp.sum((seen - 1.0) ** 2)

    with jax.enable_x64(True):
        answer = qed.spectrum(loss, np.array([0.5, 0.25]), rows).value.gauss_newton(k=1)
    truth = np.linalg.eigvalsh(2 * rows.T @ rows)
    assert answer.unknown or np.min(np.abs(truth - answer.value.eigenvalues[0])) <= answer.value.errors[0]


@jax.custom_jvp
def from_the_host(x):
    """A sine that no arithmetic but float32 can run."""
    shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
    return jax.pure_callback(lambda v: np.sin(v).astype(np.float32), shape, x, vmap_method="sequential")


@from_the_host.defjvp
def _(at, along):
    return from_the_host(at[0]), jnp.cos(at[0]) * along[0]


def test_of_a_program_that_only_its_own_arithmetic_runs_the_errors_are_of_that_arithmetic():
    held = np.float32([0.1, 0.7, -3.3])
    at = np.float32([0.3, 1.1, 2.2])
    answer = qed.spectrum(lambda x: jnp.sum(held * from_the_host(x) * jnp.sin(x)), at, k=3)
    truth = 2 * np.float64(held) * np.cos(2 * np.float64(at))
    for value, error in zip(answer.eigenvalues, answer.errors, strict=True):
        assert np.min(np.abs(truth - value)) <= error < 1e-3
    assert abs(answer.value.trace.value - truth.sum()) <= answer.value.trace.error.error


def test_many_parameters_hide_nothing_either():
    fun = lambda x: 2.0**60 * jnp.sum(x**2) + 3 * jnp.sum(x**2) - 2.0**60 * jnp.sum(x**2)  # noqa: E731
    answer = qed.spectrum(fun, np.ones(20_001, np.float32), k=1)
    assert abs(answer.eigenvalues[0] - 6) <= answer.errors[0]


@pytest.mark.parametrize(("fun", "code"), [(jnp.log, "QED210"), (jnp.floor, "QED104")], ids=["no number", "a jump"])
def test_an_unknown_spectrum_says_its_code(fun, code):
    answer = qed.spectrum(lambda x: fun(x) * x, -1.0)
    assert answer.unknown and [finding.code for finding in answer.findings] == [code]


def test_a_linear_solve_is_linear_among_random_roundings():
    """-log|det X| at diag(d) has the curvatures 1/d_i^2 and +-1/(d_i d_j)."""
    d = np.array([1.0, 2.0, 5.0])
    found = qed.spectrum(lambda x: -jnp.linalg.slogdet(x)[1], jnp.diag(jnp.asarray(d)), k=9)
    truth = np.sort([*(d**-2), *(sign / (d[i] * d[j]) for i in range(3) for j in range(i) for sign in (1, -1))])
    for value, error in zip(found.eigenvalues, found.errors, strict=True):
        assert np.min(np.abs(truth - value)) <= error < 1e-9


@pytest.mark.parametrize(
    "fun",
    [
        pytest.param(lambda w: jnp.sum(jax.scipy.special.digamma(2 + w) * w), id="of an order that is a whole number"),
        pytest.param(lambda w: jnp.sum(jax.lax.cumlogsumexp(3 * w)), id="parts of no element", marks=pytest.mark.slow),
    ],
)
def test_programs_whose_roundings_cannot_be_drawn_everywhere(fun):
    x = jnp.array([0.5, -0.25], jnp.float32)
    with jax.enable_x64(True):
        truth = np.linalg.eigvalsh(jax.hessian(fun)(x.astype(jnp.float64)))
    answer = qed.spectrum(fun, x, k=1)
    assert np.min(np.abs(truth - answer.eigenvalues[0])) <= answer.errors[0] <= 1e-6
