"""The gamma function with the sign that is meant, in integrals and sums."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import gamma

import qed
from qed.certificates.cells import Cell
from qed.certificates.gamma_sign import signs_read
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.trace import trace
from qed.integration import measures


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_the_values_are_those_of_the_gamma_function(kind):
    with jax.enable_x64(kind == "float64"):
        traced = trace(gamma, np.zeros((), kind))
    meant = signs_read(traced)
    assert meant is not traced
    with precision(128):
        for x, value in (
            (0.5, np.sqrt(np.pi)),
            (5.0, 24.0),
            (-0.5, -2 * np.sqrt(np.pi)),
            (-1.5, 4 * np.sqrt(np.pi) / 3),
        ):
            assert float(Cell(0.0, x, x).range_of(meant, 0, 128, "f").mid()) == pytest.approx(value)
        for x in (0.0, -1.0, -2.0):  # poles
            try:
                assert not Cell(0.0, x, x).range_of(meant, 0, 128, "f").is_finite()
            except CertificateError:
                pass


def test_what_is_not_the_library_s_is_left_as_it_is():
    for traced in (trace(lambda x: jnp.sum(gamma(x)), np.zeros(3, np.float32)), trace(jnp.sin, np.float32(0))):
        assert signs_read(traced) is traced


@pytest.mark.parametrize(
    "fun, law, value",
    [
        (lambda k: gamma(k + 0.5) / gamma(k + 1), measures.Counting(1), np.inf),
        (lambda k: gamma(k) * 4.0**-k, measures.Counting(1), np.inf),
        (lambda k: 1 / gamma(k), measures.Counting(1), np.e),
        (lambda x: gamma(x), measures.Uniform(0.0, 1.0), np.inf),
        (lambda x: gamma(x), measures.Uniform(1.0, 2.0), 0.9227459506806307),  # by mpmath
    ],
)
def test_integrals_and_sums_of_the_gamma_function(fun, law, value):
    answer = qed.expect(fun, law)
    assert answer.proved and answer.lower - 1e-12 <= value <= answer.upper + 1e-12
    assert answer.check()
