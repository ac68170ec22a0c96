"""Second derivatives of logarithms of sums of many exponentials, all pairs at once, enclose those of JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.calculus.bounding.boxes import OnBoxes
from qed.calculus.bounding.by_terms import OnTerms
from qed.domains import curvature_dense, curvature_jets
from qed.graph.trace import trace

DATA = np.random.default_rng(5).normal(size=(9, 4)).astype(np.float32)
SCALES = np.array([1.0, 2.0, 0.5, 3.0, 1.0, 7.0, 1.0, 0.25, 1.0], np.float32)


def running(w):
    return jnp.sum(jax.lax.cumlogsumexp(DATA @ w)) / 4


def weighted(w):
    return jnp.log(jnp.sum(SCALES * jnp.exp(DATA @ w)))


def with_fixed_terms(w):
    """Some exponents do not depend on w, others on two of its four numbers."""
    some = jnp.concatenate([DATA[:5] @ w, DATA[5:, :2] @ w[:2], jnp.zeros(2)])
    return jax.nn.logsumexp(some) - 0.5 * (DATA[0] @ w)


HALF = np.concatenate([DATA[:5], DATA[5:] * [1, 1, 0, 0], np.zeros((2, 4))])
SUMS = {
    running: [(0.25, DATA[:k], np.ones(k)) for k in range(1, 10)],
    weighted: [(1.0, DATA, SCALES)],
    with_fixed_terms: [(1.0, HALF, np.ones(len(HALF)))],
}
"""The logarithms of sums s exp(A w) in each, with their factors."""


def second_derivatives(fun, w):
    """A^T (diag p - p p^T) A, added up in float64."""
    total = np.zeros((4, 4))
    for c, rows, scales in SUMS[fun]:
        rows = np.asarray(rows, np.float64)
        shares = scales * np.exp(rows @ w)
        shares /= shares.sum()
        total += c * rows.T @ (np.diag(shares) - np.outer(shares, shares)) @ rows
    return total


def spread(function, w, width):
    low, high = w - width, w + width
    jet = function(low[None], high[None], 2)
    n = len(w)
    lower, upper = np.zeros((n, n)), np.zeros((n, n))
    for whole, part in ((lower, jet.hessian.lower), (upper, jet.hessian.upper)):
        whole[np.triu_indices(n)] = np.asarray(part)[0]
        whole += np.triu(whole, 1).T
    return lower, upper


@pytest.mark.parametrize("fun", [running, weighted, with_fixed_terms], ids=lambda fun: fun.__name__)
def test_all_pairs_at_once(fun, monkeypatch):
    w = np.array([0.3, -1.0, 0.2, 0.7])
    function = OnTerms.near(OnBoxes.of(trace(fun, w.astype(np.float32))), w)
    points = w + 0.01 * np.random.default_rng(1).uniform(-1, 1, (5, 4))
    truth = [second_derivatives(fun, p) for p in (w, *points)]
    lower, upper = spread(function, w, 0.0)
    assert np.all(lower <= truth[0] + 1e-12) and np.all(truth[0] - 1e-12 <= upper)
    assert np.max(upper - lower) < 1e-12
    lower, upper = spread(function, w, 0.01)
    for matrix in truth[1:]:
        assert np.all(lower <= matrix) and np.all(matrix <= upper)
    for module in (curvature_dense, curvature_jets):
        monkeypatch.setattr(module, "TOGETHER", 12)
    for one, other in zip(spread(function, w, 0.01), (lower, upper), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    monkeypatch.setattr(curvature_dense, "SQUARE", 0)
    for one, other in zip(spread(function, w, 0.01), (lower, upper), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
