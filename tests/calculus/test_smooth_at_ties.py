"""Library functions whose bodies have a tie at a point where they are smooth: softplus at 0, sinc at 0."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.calculus.gradient.kept import differentiable
from qed.certificates.library import smooth
from qed.graph.trace import trace

SMOOTH = {
    "softplus": jax.nn.softplus,
    "by the sum's rule": lambda t: jnp.logaddexp(t, -t) + jnp.logaddexp2(0.0, 3 * t),
    "sinc": jnp.sinc,
    "a call in a call": lambda t: jnp.logaddexp(jnp.logaddexp(t, 0.0), jax.nn.log_sigmoid(-t)),
    "checkpointed": jax.checkpoint(lambda t: jax.nn.softplus(2 * t)),
    "scanned": lambda t: jax.lax.scan(lambda c, a: (jnp.logaddexp(c, a * t), None), 0 * t, jnp.array([1.0, -1.0]))[0],
    "mish": jax.nn.mish,
}


LONG = ("a call in a call", "checkpointed", "scanned", "mish")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in SMOOTH]
)
def test_derivatives_in_float64_are_those_of_jax(name):
    f = SMOOTH[name]
    with jax.enable_x64(True):
        graph = trace(f, jnp.zeros(())).graph
        run = differentiable(graph)
        ours, theirs = (lambda t: run(graph, [t])[0]), f
        for _ in range(3):
            ours, theirs = jax.grad(ours), jax.grad(theirs)
            assert float(ours(0.0)) == pytest.approx(float(theirs(0.0)), abs=1e-12)


@pytest.fixture(scope="module")
def labelled():
    rng = np.random.default_rng(7)
    return jnp.asarray(rng.normal(size=(30, 3)), jnp.float32), jnp.asarray(rng.integers(0, 2, 30), jnp.float32)


def test_the_curvature_of_logistic_regression_at_zero_weights(labelled):
    x, y = labelled

    def loss(w):
        return jnp.mean(jax.nn.softplus(x @ w) - y * (x @ w))

    truth = np.linalg.eigvalsh(np.asarray(x, np.float64).T @ np.asarray(x, np.float64) / (4 * len(x)))
    answer = qed.spectrum(loss, jnp.zeros(3, jnp.float32), k=1)
    assert abs(answer.eigenvalues[0] - truth[-1]) <= answer.errors[0] + 1e-6 * truth[-1]
    assert "no second derivative" not in answer.headline


def test_newtons_method_from_zero_weights(labelled):
    x, y = labelled
    answer = qed.rate(lambda w: jnp.mean(jnp.logaddexp(0.0, x @ w) - y * (x @ w)), jnp.zeros(3), method="newton")
    assert answer.kind in ("quadratic", "finite")


def test_a_top_of_sinc_is_a_maximum():
    answer = qed.critical_point(lambda v: jnp.sum(jnp.sinc(v)), jnp.zeros(2))
    assert answer.kind == "maximum"
    assert qed.spectrum(lambda v: jnp.sum(jnp.sinc(v)), jnp.zeros(2), k=1).eigenvalues[0] == pytest.approx(
        -(np.pi**2) / 3, rel=1e-4
    )


def test_what_bends_at_a_tie_has_no_second_derivative_still():
    answer = qed.spectrum(lambda v: jnp.sum(jax.nn.relu(v) ** 2 + jax.nn.softplus(v)), jnp.zeros(2))
    assert answer.value is None
    assert "no second derivative" in answer.headline


@pytest.mark.parametrize(
    ("name", "coefficients"),
    [
        ("softplus", (np.log(2), 1 / 2, 1 / 8, 0, -1 / 192)),
        ("sinc", (1, 0, -(np.pi**2) / 6, 0, np.pi**4 / 120)),
        ("base two", (1, 1 / 2, np.log(2) / 8, 0, -(np.log(2) ** 3) / 192)),
    ],
)
def test_the_series_at_a_tie(name, coefficients):
    f = {**SMOOTH, "base two": lambda t: jnp.logaddexp2(0.0, t)}[name]
    with jax.enable_x64(True):
        answer = qed.taylor(f, 0.0, order=4)
    assert answer.standing is qed.Standing.MEASURED
    assert answer.coefficients == pytest.approx(coefficients, abs=1e-12)


def test_the_remainder_of_a_series_at_a_tie_is_proved():
    answer = qed.taylor(lambda t: jnp.logaddexp(t, -t), 0.0, order=3, radius=0.5)
    assert answer.standing is qed.Standing.PROVED
    assert answer.check()
    t = np.linspace(-0.5, 0.5, 101)
    left = np.logaddexp(t, -t) - np.log(2) - t**2 / 2
    assert answer.certificate.lower <= left.min() <= left.max() <= answer.certificate.upper


def test_a_corner_has_no_series():
    answer = qed.taylor(lambda t: jnp.logaddexp(t, 0.0) + jnp.maximum(t, 0.0), 0.0, order=2)
    assert answer.standing is qed.Standing.UNKNOWN


def test_a_rule_that_calls_itself_logaddexp_is_not_believed():
    @jax.custom_jvp
    def logaddexp(a, b):
        return jnp.maximum(a, b)

    logaddexp.defjvps(lambda t, _, a, b: t / 2, lambda t, _, a, b: t / 2)
    answer = qed.taylor(lambda t: logaddexp(t, -t), 0.0, order=2)
    assert answer.standing is qed.Standing.UNKNOWN


def test_higher_derivatives_decide_at_a_tie():
    answer = qed.critical_point(lambda t: jax.nn.softplus(t) - t / 2 - t**2 / 8, 0.0)
    assert (answer.kind, answer.nature) == ("degenerate", "maximum")


def test_the_sum_of_base_two_is_its_body_where_that_is_proved():
    """The body has log 2 as a float32 number; away from a tie it is smooth, and the remainder is the body's."""
    answer = qed.taylor(lambda t: jnp.logaddexp2(t, 2.0), jnp.float32(4.0), order=3, radius=0.25)
    assert answer.standing is qed.Standing.PROVED
    assert answer.check()


def test_only_what_is_the_same_real_number_is_read_otherwise():
    traced = trace(lambda t: jax.scipy.special.log_ndtr(t) + jnp.logaddexp2(t, 0.0), np.float32(-10.0))
    assert smooth(traced) is traced
