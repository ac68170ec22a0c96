"""Bounds of functions with poles: they hold the values at many places, and what is unknown stays so."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.certificates.cells import walked
from qed.domains.one_sided import ANY, OneSided, Side
from qed.domains.tail_arrays import Forms
from qed.errors import CertificateError
from qed.graph.trace import trace

LINE = Side(-np.inf, np.inf, thin=ANY)
BOUNDED = {
    "a double pole": (lambda x: 3 / (jnp.cos(x) - 1), LINE, (-np.inf, -1.5)),
    "a square": (lambda x: jnp.tan(x) ** 2 - 2, LINE, (-2, np.inf)),
    "a size": (lambda x: 1 + jnp.abs(jnp.tan(x)), LINE, (1, np.inf)),
    "a power": (lambda x: -(jnp.sin(2 * x) ** -2), LINE, (-np.inf, -1)),
    "on an interval": (lambda x: (x - 1) / jnp.square(x) + jnp.exp(-x), Side(1, 4, thin=ANY), (0, np.inf)),
    "larger of two": (lambda x: jnp.maximum(x, 2) * jnp.tanh(x), LINE, (-np.inf, np.inf)),
    "a root": (lambda x: jnp.sqrt(x * x) + 5, LINE, (5, np.inf)),
}


def bounds(fun, support):
    with jax.enable_x64(True):
        traced = trace(fun, np.float64(0.5))
    return walked(traced, OneSided(), support, 0, "f")


@pytest.mark.parametrize("name", BOUNDED)
def test_the_bounds_hold_the_values(name):
    fun, support, (lower, upper) = BOUNDED[name]
    found = bounds(fun, support)
    least, most = max(support.lower, -50), min(support.upper, 50)
    values = np.asarray(jax.vmap(fun)(np.linspace(least, most, 1000)))  # none is a pole
    assert all(found.lower - 1e-6 <= v <= found.upper + 1e-6 for v in values)
    assert lower - 1e-12 <= found.lower <= lower or found.lower == pytest.approx(lower, abs=1e-12)
    assert found.upper >= upper - 1e-12
    assert np.isinf(found.upper) == np.isinf(upper) and np.isinf(found.lower) == np.isinf(lower)


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: 1 / jnp.sin(x),
        lambda x: jnp.tan(x) - jnp.tan(x),
        lambda x: jnp.log(x),
        lambda x: jnp.tan(jnp.maximum(x, 2.0)),  # a pole may be met on a half-line
        lambda x: jnp.sin(1 / x**2),
        lambda x: 1 / (0 * jnp.cos(x)),
        lambda x: jnp.where(x > 0, 1.0, -1.0),
        lambda x: 1 / jnp.minimum(x, 0.0),  # 0 on a half-line
        lambda x: (x + 1) ** -2 + 1 / jnp.square(jnp.maximum(x, 0.0) * x),
        lambda x: 1 / jnp.abs(jnp.abs(x) - x),
        lambda x: 1 / jnp.abs(jnp.cos(x) ** 2 + jnp.sin(x) ** 2 - 1),  # 0 everywhere
    ],
)
def test_what_could_be_no_number_is_undecided(fun):
    with pytest.raises(CertificateError):
        bounds(fun, LINE)


def test_0_times_infinity_at_single_points_is_let_pass():
    found = bounds(lambda x: jnp.abs(jnp.sin(x)) / x**4, LINE)
    assert found.lower == 0 and found.infinite
    assert bounds(lambda x: -jnp.abs(x) * jnp.square(jnp.tan(x)), LINE).upper == 0


def test_of_a_vector_null_sets_may_hold_poles():
    def least(fun):
        with jax.enable_x64(True):
            traced = trace(fun, np.zeros(2))
        entries = np.empty(2, object)
        entries[:] = [Side(0.0, 1.0, thin=ANY, on=frozenset({k})) for k in range(2)]
        return walked(traced, OneSided(), Forms(entries), 0, "f").lower

    assert least(lambda v: 1 / jnp.abs(v[0] - v[1])) == pytest.approx(1)
    assert least(lambda v: jnp.sum(v**2) ** -1.5) == 0
    assert least(lambda v: -2 * jnp.log(jnp.abs(v[0] - v[1]))) == pytest.approx(0, abs=1e-9)
    for fun in (lambda v: 1 / jnp.abs(v[0] - v[0]), lambda v: 1 / (v[0] - v[1]), lambda v: 1 / (v[0] * (v[1] - v[1]))):
        with pytest.raises(CertificateError):
            least(fun)
