"""Powers of lengths, quotients beyond the range, shares of two weighted exponentials, powers of a softmax."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.trace import trace
from tests.numerics.judging import exact, lost


def dipole_field(x):
    return jnp.sum(x * jnp.array([1.0, -2.0, 0.5])) * x / jnp.linalg.norm(x) ** 2


def inverted(x):
    return 2 * x / jnp.sum(jnp.square(x))


def attraction(x):
    return x[0] / jnp.sqrt(jnp.vdot(x, x)) ** 3


def of_rows(x):
    return jnp.sum(x / jnp.linalg.norm(x, axis=1, keepdims=True) ** 2, axis=0)


def fourth_norm(x):
    return jnp.sum(x**4) ** 0.25


def level_of_ratio(x):
    return 10 * jnp.log(x[0] / x[1])


def likelihood_ratio(x):
    return 2 * jnp.log(1 + x[0] ** 2 / 3) - 2 * jnp.log(1 + x[1] ** 2 / 3)


def posterior(x):
    a, b = 0.125 * jnp.exp(x[0]), 0.875 * jnp.exp(x[1])
    return a / (a + b)


def collision(z):
    p = jax.nn.softmax(z)
    return -jnp.log(jnp.sum(p**3)) / 2


def effective_number(x):
    return jnp.sum(jnp.exp(x)) ** 2 / jnp.sum(jnp.exp(2 * x))


def black_body(x):
    return 0.5 * (2 * x) ** 4 / (jnp.exp(2 * x) - 1)


def magnet(x):
    return 2 * jnp.log(jnp.sinh(3 * x) / (3 * x))


def over_sinh(x):
    return jnp.log(x / jnp.sinh(x))


def log_cosh_loss(x):
    return jnp.mean(jnp.logaddexp(x, -x) - jnp.log(2.0))


def between_two_bends(x):
    return jnp.log((1 + jnp.exp(x[0] - x[1])) / (1 + jnp.exp(x[0] - x[2])))


def judged(f, g, x):
    """The most bits that g loses at x, of the exact values of f."""
    x = jnp.asarray(x, jnp.float32)
    read = trace(f, x)
    return max(lost(jax.jit(g)(x), exact(read.graph, read.leaves), np.float32))


VALUES = [
    (dipole_field, [1e-25, 2e-25, -3e-25]),
    (dipole_field, [1e25, 2e24, -3e25]),
    (dipole_field, [0.1, -0.2, 0.3]),
    (inverted, [1e-25, 3e-25]),
    (inverted, [1e25, 3e25]),
    (attraction, [1e-11, 2e-11]),
    (of_rows, [[1e-21, 2e-21], [1e22, 1.0]]),
    (level_of_ratio, [1e25, 1e-25]),
    (level_of_ratio, [-1e-30, -1e20]),
    (level_of_ratio, [1.0, 1.0001]),
    (likelihood_ratio, [1e22, 2.0]),
    (likelihood_ratio, [2.0, 1e25]),
    (posterior, [90.0, 95.0]),
    (collision, [25.0, 1.0, 0.0]),
    (effective_number, [-200.0, -201.0]),
    (black_body, 48.0),
    (black_body, 1e-3),
    (magnet, 70.0),
    (magnet, 0.01),
    (over_sinh, -0.3),
    (log_cosh_loss, [1e-3, 2e-4]),
    (log_cosh_loss, [30.0, -2.0]),
]
GRADIENTS = [
    (level_of_ratio, [1e25, 1e-25]),
    (likelihood_ratio, [1e20, 2.0]),
    (posterior, [40.0, 0.0]),
    (posterior, [-40.0, 3.0]),
    (collision, [25.0, 1.0, 0.0]),
    (collision, [0.1, 0.3, 0.2]),
    (effective_number, [50.0, 1.0, 2.0]),
    (black_body, 48.0),
    (black_body, -0.5),
    (magnet, -70.0),
    (magnet, 0.01),
    (over_sinh, 1.5),
    (between_two_bends, [60.0, 3.0, 25.0]),
    (between_two_bends, [-20.0, 1.0, 5.0]),
]
BY_JAX = [
    (lambda x: jnp.linalg.norm(x, 3), [1e-15, 2e-15]),
    (fourth_norm, [1e-15, 2e-15]),
    (fourth_norm, [1e15, 2e15]),
    (fourth_norm, [1.0, -2.0]),
    (level_of_ratio, [1e25, 1e-25]),
]


@pytest.mark.parametrize(("f", "x"), VALUES)
def test_a_value_keeps_its_digits(f, x):
    """Every number of stabilize(f)."""
    assert judged(f, qed.stabilize(f), x) <= 3


@pytest.mark.parametrize(("f", "x"), GRADIENTS)
def test_a_gradient_keeps_its_digits(f, x):
    """Every number of grad(stabilize(f))."""
    assert judged(jax.grad(f), jax.grad(qed.stabilize(f)), x) <= 3


@pytest.mark.parametrize(("f", "x"), BY_JAX)
def test_a_gradient_taken_before_keeps_its_digits(f, x):
    """Every number of stabilize(grad(f))."""
    assert judged(jax.grad(f), qed.stabilize(jax.grad(f)), x) <= 3


def test_what_a_length_does_not_divide_twice_is_left_alone():
    """A direction, and a product of two of them."""
    for f in (lambda x: x / jnp.linalg.norm(x), lambda x: jnp.dot(x[0], x[1]) / jnp.linalg.norm(x[0])):
        assert "(a / |x|) (b / |x|)" not in str(qed.stabilize(f).rewrites(jnp.ones((2, 3))))


def test_sums_of_squares_in_a_shorter_dtype_are_those_of_centred_numbers():
    """What float16 squares round off is all of a variance."""

    def normalised(x):
        mean = jnp.mean(x, dtype=jnp.float32)
        variance = jnp.mean(jnp.square(x), dtype=jnp.float32) - mean * mean
        return (x - mean) / jnp.sqrt(variance)

    x = np.float16([100.5, 101, 100, 99.5])
    np.testing.assert_allclose(qed.stabilize(normalised)(x), np.float64([1, 3, -1, -3]) / np.sqrt(5), rtol=1e-5)


def test_a_rounded_logarithm_of_two_is_no_other():
    """logaddexp(x, -x) less a number near log 2."""
    number = np.float32(0.693)
    found = qed.stabilize(lambda x: jnp.logaddexp(x, -x) - number)(jnp.float32(1e-4))
    assert float(found) == pytest.approx(5e-9 + np.log(2.0) - float(number), rel=1e-6)
