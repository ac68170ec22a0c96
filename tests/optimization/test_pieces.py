"""L-BFGS on long vectors: few pairs in float32 lead where ten in float64 do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.optimization import pieces, quasi_newton


def test_long_sums_are_the_plain_ones():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 3 * pieces.PIECE + 5))
    assert pieces.dot(a, b) == pytest.approx(float(a @ b), rel=1e-12)
    assert pieces.length_of_sum(a, 0.3, b) == pytest.approx(float(np.linalg.norm(a + 0.3 * b)), rel=1e-14)
    c = a.copy()
    pieces.add(c, 0.3, b)
    assert np.array_equal(c, a + 0.3 * b)
    assert pieces.largest(a) == float(np.abs(a).max()) and np.isnan(pieces.largest(np.array([-1.0, np.nan])))
    near = a + 1e-9
    assert np.allclose(pieces.difference(near, a), 1e-9, rtol=1e-5)


def test_few_pairs_in_float32_lead_to_the_same_point(monkeypatch):
    def valley(x):
        return jnp.sum(jnp.linspace(1.0, 1e3, 300) * (x - 1.0) ** 2) + jnp.log(jnp.sum(jnp.cosh(x)))

    with jax.enable_x64(True):
        whole = qed.minimize(valley, jnp.zeros(300), method="l-bfgs")
        monkeypatch.setattr(quasi_newton, "LONG", 100)
        few = qed.minimize(valley, jnp.zeros(300), method="l-bfgs")
    assert str(whole.reason) == str(few.reason) == "minimum"
    assert np.allclose(whole.x, few.x, atol=1e-7)
    assert few.counts["values"] <= 2 * whole.counts["values"]
    memory = quasi_newton.LimitedMemory()
    for k in range(8):
        x = np.full(200, float(k))
        memory.between((x, x), (x + 1, 2 * x + k + 2))
    assert len(memory.pairs) == quasi_newton.FEW and memory.pairs[0][0].dtype == np.float32
