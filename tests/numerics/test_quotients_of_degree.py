"""N(x)/D(x), both homogeneous: right where the powers of x leave the range, and as it was elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.certificates.programs import lines_of
from qed.certificates.real_polynomials import NotProved
from qed.certificates.rewrite_identity import prove
from qed.graph.trace import trace
from qed.numerics.rewriting.quotients_of_degree import scale_beside
from qed.numerics.rewriting.session import rewrite

QUOTIENTS = {
    "imaginary part": lambda x: (x[1] * x[2] - x[0] * x[3]) / (x[2] ** 2 + x[3] ** 2),
    "part of a line": lambda x: (x[0] * x[3] + x[2] * x[1]) / (x[2] * x[2] + 2.5 * x[3] * x[3]),
    "sine of twice the angle": lambda x: 2 * x[2] * x[3] / (x[3] ** 2 + x[2] ** 2),
    "cosine of twice the angle": lambda x: (x[2] - x[3]) * (x[2] + x[3]) / (x[2] ** 2 + x[3] ** 2),
    "inversion": lambda x: x[2] / (x[2] ** 2 + x[3] ** 2 + (x[2] + x[3]) ** 2),
    "fourth powers": lambda x: x[0] * x[2] ** 3 * x[3] / (x[2] ** 4 + x[3] ** 4),
    "two of them": lambda x: x[0] * x[2] ** 2 / (3 * x[2] ** 2 + x[3] ** 2) + x[3] * x[2] / (x[2] ** 2 + x[3] ** 2),
    "arrays": lambda x: jnp.sum(jnp.array([1.0, -2.0]) * x[2:] * x[:1:-1] / (x[2:] ** 2 + 2 * x[:1:-1] ** 2)),
}
OTHERS = {
    "a number": lambda x: x[2] / (1 + x[2] ** 2),
    "two powers": lambda x: x[2] * x[3] / (x[2] ** 2 + x[3]),
    "a difference": lambda x: x[2] * x[3] / (x[2] ** 2 - x[3] ** 2),
    "nothing above": lambda x: x[0] / (x[2] ** 2 + x[3] ** 2),
    "exponentials": lambda x: jnp.exp(x[2]) / (jnp.exp(x[2]) ** 2 + jnp.exp(x[3]) ** 2),
    "added up": lambda x: x[2] * x[3] / (x[2] ** 2 + x[3] ** 2 + 1e-6),
}
POINTS = [np.array([0.75, -2.5, *pair], np.float32) for pair in ([3e19, 1.25e19], [-2e-12, 7e-13], [0.5, 3.0])]


def nodes(found):
    return [line[0] for line in lines_of(found.outputs, found.inputs)[0]]


def near(x):
    return np.array([x[0], x[1], x[2], np.nextafter(x[2], np.float32(9e37))], np.float32)


@pytest.fixture(scope="module", params=QUOTIENTS)
def quotient(request):
    function = QUOTIENTS[request.param]
    return request.param, function, rewrite(trace(function, POINTS[0]).graph)


def test_a_quotient_is_scaled(quotient):
    assert "quotient_scale" in nodes(quotient[2])


@pytest.mark.parametrize("far", [1.0, 2.0**20, 2.0**-30])
def test_values_and_gradients_far_out(quotient, far):
    _, function, found = quotient
    run = jax.jit(jax.value_and_grad(lambda x: found.function(x)[0]))
    for point in POINTS:
        x = point * np.array([1, 1, far, far], np.float32)
        with jax.enable_x64(True):
            value, slope = jax.value_and_grad(function)(jnp.asarray(x, jnp.float64))
        if np.max(np.abs(slope)) > 1e38:
            continue
        given, along = run(x)
        np.testing.assert_allclose(given, float(value), rtol=2e-6)
        np.testing.assert_allclose(along, slope, rtol=0, atol=4e-6 * float(np.max(np.abs(slope))) + 1e-37)


def test_the_gradient_as_written(quotient):
    found = rewrite(trace(jax.grad(quotient[1]), POINTS[0]).graph)
    x = POINTS[0]
    with jax.enable_x64(True):
        slope = jax.grad(quotient[1])(jnp.asarray(x, jnp.float64))
    given = found.function(x)[0]
    np.testing.assert_allclose(given, slope, rtol=0, atol=4e-6 * float(np.max(np.abs(slope))) + 1e-37)


def test_the_identity_is_proved(quotient):
    _, _, found = quotient
    for change in found.changes:
        if "quotient_scale" in change.after:
            before, after = (lines_of([node], found.inputs) for node in (change.old, change.new))
            prove(*before, *after)
            wrong = [(op, reads, {"power": 7}.items() if op == "scaled_back" else params, shape)
                     for op, reads, params, shape in after[0]]  # fmt: skip
            with pytest.raises(NotProved):
                prove(*before, wrong, after[1])


def test_ordinary_numbers_keep_their_bits():
    function = QUOTIENTS["part of a line"]
    stable = rewrite(trace(function, POINTS[0]).graph).function
    for x in np.random.default_rng(3).normal(size=(20, 4)).astype(np.float32):
        assert float(stable(x)[0]) == float(function(x))


@pytest.mark.parametrize("name", OTHERS)
def test_others_stay(name):
    assert "quotient_scale" not in nodes(rewrite(trace(OTHERS[name], POINTS[0]).graph))


def test_a_gradient_that_cancels():
    function, x = QUOTIENTS["sine of twice the angle"], near(POINTS[0])
    with jax.enable_x64(True):
        slope = jax.grad(function)(jnp.asarray(x, jnp.float64))
    np.testing.assert_allclose(jax.jit(jax.grad(qed.stabilize(function)))(x), slope, rtol=2e-6)


def test_zeros_and_infinities_are_those_of_the_program():
    function = jax.jit(qed.stabilize(lambda x, y: x * y / (x * x + y * y)))
    for x, y in [(0.0, 0.0), (np.inf, 1.0), (np.nan, 1.0)]:
        assert np.isnan(function(np.float32(x), np.float32(y)))
    assert function(np.float32(0.0), np.float32(2e25)) == 0


def test_the_scale_is_a_power_of_two():
    x = jnp.float32([1e-30, 5.0, 1e30])
    assert np.all(np.frexp(np.asarray(scale_beside(x * x, x, x, count=1)))[0] == 0.5)
