"""Boxes: prefixes, whole numbers, what is no box."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.domains.box import spread
from qed.errors import QedError


def test_whole_numbers_are_ends_and_the_argument_is_a_float():
    example, lower, upper = spread((np.array([-1, 0]), 2))
    assert example.dtype == jnp.result_type(float)
    assert lower[0].tolist() == [-1, 0] and upper[0].tolist() == [2, 2] and lower[0].dtype == np.float64
    answer = qed.enclose(lambda x: jnp.sum(x * x), (jnp.zeros(2, int), jnp.ones(2, int)))
    assert str(answer.standing) == "PROVED" and 2.0 in answer.value


def test_a_whole_number_that_float64_would_round_is_refused():
    with jax.enable_x64(True), pytest.raises(QedError, match="no floating-point number"):
        spread((np.array([0]), np.array([2**60 + 1])))


@pytest.mark.parametrize("end", [np.array([True]), np.array([1 + 1j])])
def test_what_is_no_real_number_is_refused(end):
    with pytest.raises(QedError, match="no floating-point number"):
        spread((end, end))


def test_a_number_stands_for_all_numbers_below():
    _, lower, upper = spread(({"a": -1.0, "b": None}, {"a": jnp.ones(2), "b": jnp.ones(1)}))
    assert [end.tolist() for end in lower] == [[-1, -1], [-np.inf]] and upper[0].tolist() == [1, 1]
