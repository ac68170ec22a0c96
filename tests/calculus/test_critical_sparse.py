"""Critical points of many variables with a sparse Hessian: proved, and what is none, or flat, is not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.certificates.banded import count_below, least_eigenvalue
from qed.certificates.sparse_critical import SparseCritical
from qed.errors import CertificateError

N = 110


def chain(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def membrane(u):
    v = jnp.pad(u, 1)
    return 0.5 * (jnp.sum(jnp.diff(v, axis=0) ** 2) + jnp.sum(jnp.diff(v, axis=1) ** 2)) + jnp.sum(u**4 / 4 - 0.01 * u)


def springs(x):
    stretched = jnp.sqrt(1 + (x[1:] - x[:-1]) ** 2) - 1
    return -jnp.sum(stretched) - jnp.sum(jnp.cosh(x))


def test_a_chain_of_many_variables_is_at_a_minimum():
    answer = qed.critical_point(chain, jnp.ones(N))
    assert answer.proved and answer.kind == "minimum" and answer.distance == 0 and answer.positive == N
    assert isinstance(answer.certificate, SparseCritical) and answer.check()


def test_an_energy_on_a_grid():
    u = np.zeros((11, 11))
    for _ in range(6):
        v = np.pad(u, 1)
        slope = 4 * u - v[2:, 1:-1] - v[:-2, 1:-1] - v[1:-1, 2:] - v[1:-1, :-2] + u**3 - 0.01
        u = u - np.linalg.solve(hessian_of_membrane(u), slope.ravel()).reshape(u.shape)
    answer = qed.critical_point(membrane, jnp.asarray(u, jnp.float32))
    assert answer.proved and answer.kind == "minimum" and 0 < answer.distance < 1e-5
    least = np.linalg.eigvalsh(hessian_of_membrane(np.asarray(answer.point)))[0]
    assert 0.8 * least <= answer.certificate.curvature <= least


def hessian_of_membrane(u):
    n = len(u)
    second = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    return np.kron(second, np.eye(n)) + np.kron(np.eye(n), second) + np.diag(3 * u.ravel() ** 2)


@pytest.mark.slow
def test_a_maximum():
    answer = qed.critical_point(springs, jnp.zeros(N))
    assert answer.proved and answer.kind == "maximum" and answer.negative == N and answer.check()


def test_what_is_no_extremum_is_not_proved_to_be_one():
    saddle = qed.critical_point(lambda x: chain(x) - 800 * (x[0] - 1) ** 2, jnp.ones(N))
    assert saddle.proved and saddle.kind == "saddle" and saddle.negative == 1 and saddle.check()
    assert saddle.directions[0].curvature < 0 and saddle.findings[0].code == "QED303"
    flat = qed.critical_point(lambda x: jnp.sum((x[1:] - x[:-1]) ** 2) + jnp.sum(x**4), jnp.zeros(N))
    assert not (flat.proved and flat.kind == "minimum")


def test_gradients_and_curvatures_may_be_smaller_or_larger_than_the_roots_of_floats():
    with jax.enable_x64(True):
        beside = qed.critical_point(lambda x: jnp.sum(x**2) + 1e-200 * x[0], jnp.zeros(N))
        assert beside.proved and 5e-201 < beside.distance < 1e-200
        for unit in (1e-200, 1e300):
            answer = qed.critical_point(lambda x, u=unit: u * jnp.sum(x**2), jnp.zeros(N))
            assert answer.kind == "minimum" or answer.standing == "UNKNOWN"


@pytest.mark.parametrize(
    "change",
    [
        {"curvature": 0.6},
        {"shift": 0.6},
        {"negative": 1},
        {"negative": 30},
        {"radius": 0.5},
        {"center": (1.0,) * (N - 1) + (1.01,)},
    ],
)
def test_altered_certificates_are_not_believed(change):
    made = SparseCritical.about(
        chain, jnp.ones(30), (), center=[1.0] * 30, radius=1e-7, negative=0, shift=0.4, curvature=0.39, distance=0.0
    )
    assert made.verify()
    content = {k: v for k, v in vars(made).items() if k != "seal"} | change
    with pytest.raises(CertificateError):
        SparseCritical(**content).sealed().verify()


def test_eigenvalues_are_bounded_and_counted():
    rng = np.random.default_rng(0)
    for _ in range(30):
        n, width = int(rng.integers(2, 40)), int(rng.integers(0, 4))
        dense = np.diag(rng.uniform(-1, 6, n))
        for d in range(1, min(width, n - 1) + 1):
            side = rng.standard_normal(n - d)
            dense += np.diag(side, d) + np.diag(side, -d)
        mixed = rng.permutation(n)
        dense = dense[np.ix_(mixed, mixed)]
        rows, columns = np.nonzero(np.triu(dense))
        spread = 10.0 ** rng.integers(-12, -1) * rng.random(len(rows))
        values = dense[rows, columns]
        own = np.linalg.eigvalsh(dense)
        least = own[0]
        for shift in rng.uniform(own[0] - 0.1, own[-1] + 0.1, 3):
            found = count_below(rows, columns, values - spread, values + spread, n, shift)
            assert found is not None
            k, e = found
            assert np.sum(own < shift - e - 1e-12) <= k <= np.sum(own < shift + e + 1e-12)
        for shift in (least - 0.1, least + 0.01, 0.0):
            bound = least_eigenvalue(rows, columns, values - spread, values + spread, n, shift)
            assert bound <= least + 1e-12 and (shift > least or np.isfinite(bound))
