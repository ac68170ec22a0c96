"""Advice that is printed as code mends what it is given for, when it is followed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.why.pasted import pasted

ROWS = jnp.array([[0.0, 0.0], [3.0, 4.0]])

# what is printed, what it replaces, the argument, the value and the derivative of its sum
FORMS = [
    ("norm(w, axis=1)", "sqrt(sum(w * w, axis=1))", ROWS, [0, 5], [[0, 0], [0.6, 0.8]]),
    ("norm(w - w[0], axis=(0, 1))", "sqrt(sum(...))", ROWS, 5, [[-0.6, -0.8], [0.6, 0.8]]),
    ("root_of_squares(w[0] ** 2 + w[1] ** 2, 0, w[0], w[1])", "sqrt(...)", jnp.zeros(2), 0, [0, 0]),
    ("2 / (1 + rectified_power(w))", "sqrt(jnp.maximum(w, 0))", jnp.array([-1.0, 0.0]), [2, 2], [0, 0]),
    ("3 - xlogy(w, w)", "w * jnp.log(w)", jnp.array([0.0, 1.0]), [3, 3], [0, -1]),
]


@pytest.mark.parametrize(("after", "before", "at", "value", "slope"), FORMS)
def test_a_guarded_form_is_code_whose_derivative_is_finite(after, before, at, value, slope):
    code = compile(pasted(after, before), "advice", "eval")

    def loss(w):
        found = eval(code, {"jnp": jnp, "w": w})
        return jnp.sum(found), found

    gradient, found = jax.grad(loss, has_aux=True)(at)
    np.testing.assert_allclose(found, value, rtol=1e-6)
    np.testing.assert_allclose(gradient, slope, rtol=1e-6)


def test_lengths_that_overflow_are_scaled_and_what_cannot_be_written_stays():
    assert not np.isfinite(jax.grad(jnp.linalg.norm)(jnp.zeros(3))).any()  # why the name alone is no advice
    code = pasted("1 / norm(w)", "1 / sqrt(sum(w * w))", overflow=True)
    found = eval(code, {"jax": jax, "jnp": jnp, "w": jnp.array([3e30, 4e30])})
    assert found == pytest.approx(2e-31, rel=1e-6)
    for after, before in [("norm(w) + 1", "norm(w) + 1"), ("norm(...)", "sqrt(...)"), ("layers.norm(w)", "sqrt(w)")]:
        assert pasted(after, before) == after
