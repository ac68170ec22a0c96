"""1 - F of distribution functions, and the mean resultant length I_1/I_0 with its derivative, judged in balls."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import betainc, gammainc, gammaincc, i0, i0e, i1, i1e

import qed
from tests.numerics.judging import worst


def resultant(k):
    return i1(k) / i0(k)


def resultant_scaled(k):
    return i1e(k) / i0e(k)


def circular_variance(k):
    return 1 - i1e(k) / i0e(k)


def information(k):
    a = i1e(k) / i0e(k)
    return 1 - a * a - a / k


def gamma_survival(x):
    return 1 - gammainc(2.0, x)


def gamma_by_survival(x):
    return 1 - gammaincc(2.0, x)


def beta_survival(x):
    return 1 - betainc(2.0, 3.0, x)


CONCENTRATIONS = np.array([1e-3, 0.5, 5.0, 11.9, 12.1, 60.0, 1e4], "float32")


@pytest.mark.parametrize(
    ("fun", "points", "value", "slope"),
    [
        (resultant, CONCENTRATIONS[:6], 3, 3),
        (resultant_scaled, np.array([0.5, 23.9, 24.1, 1e6]), 3, 3),
        (circular_variance, np.array([-30.0, *CONCENTRATIONS], "float32"), 3, 3),
        (information, CONCENTRATIONS, 3, 6),
        (gamma_survival, np.array([0.5, 20.0, 40.0], "float32"), 5, 5),  # as many as JAX's own Q
        (gamma_by_survival, np.array([1e-3, 0.5], "float32"), 5, 5),
        (beta_survival, np.array([0.25, 0.9999], "float32"), 3, 5),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_bits_lost(fun, points, value, slope):
    with jax.enable_x64(points.dtype == np.float64):
        lost = worst(fun, qed.stabilize(fun), points)
    assert lost[0] <= value and lost[1] <= slope, lost


def test_what_is_no_ratio_of_one_argument_stays():
    def mixed(k):
        return i1e(k) / i0e(2 * k)

    plan, _ = qed.stabilize(mixed).plan((jnp.float32(2.0),), {})
    assert not any("bessel_ratio" in change.after for change in plan.stable.short.changes)


def test_the_order_of_a_gamma_tail_has_no_formula_and_is_differentiated_all_the_same():
    with jax.enable_x64(True):
        stable = qed.stabilize(lambda a: 1 - gammainc(a, 20.0))
        assert float(stable(jnp.float64(2.0))) == pytest.approx(21 * np.exp(-20.0), rel=1e-12)
        assert float(jax.grad(stable)(jnp.float64(2.0))) == pytest.approx(1.135275691129069e-07, rel=1e-9)
