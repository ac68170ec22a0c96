"""Eigenvalues of sparse Hessians: proved by their numbers, close and equal ones too, and wrong ones refused."""

import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.certificates.sparse_spectrum import SparseSpectrum
from qed.errors import CertificateError

N = 200
AT = np.random.default_rng(3).integers(-16, 17, N).astype(np.float32) / 16


def waves(x):
    return jnp.sum(jnp.cos(x[1:] - 2 * x[:-1])) + jnp.sum(x**4) / 4


def hessian(x):
    bent = -np.cos(x[1:] - 2 * x[:-1])
    found = np.diag(3 * x**2)
    for i, c in enumerate(bent):
        found[i : i + 2, i : i + 2] += c * np.array([[4, -2], [-2, 1]])
    return found


@pytest.mark.parametrize("which", ["magnitude", "smallest"])
def test_eigenvalues_are_proved_by_their_numbers(which):
    answer = qed.spectrum(waves, jnp.asarray(AT), which=which, k=6)
    own = np.linalg.eigvalsh(hessian(AT.astype(float)))
    expected = own[:6] if which == "smallest" else own[np.argsort(-np.abs(own), kind="stable")[:6]]
    assert answer.proved and answer.check() and np.max(answer.errors) < 1e-7
    assert np.all(np.abs(answer.eigenvalues - expected) <= answer.errors + 1e-12)
    assert answer.certificate.ranks == tuple(int(np.argmin(np.abs(own - v))) for v in expected)


def test_equal_eigenvalues_have_numbers_of_their_own():
    answer = qed.spectrum(lambda x: jnp.sum(x**2) - 2 * jnp.sum(x[:3] ** 2), jnp.zeros(N), which="smallest", k=3)
    assert not answer.proved or (
        np.allclose(answer.eigenvalues, -2.0) and sorted(answer.certificate.ranks) == [0, 1, 2]
    )


@pytest.mark.parametrize(
    "change",
    [{"values": (4.5,)}, {"errors": (1e-17,)}, {"errors": (-1e-9,)}, {"ranks": (1,)}, {"ranks": (-1,)}, {"ranks": ()}],
)
def test_altered_certificates_are_not_believed(change):
    rows = [4.0, 4.0 - 2**-20, 2.0]  # of the Hessian
    made = SparseSpectrum.about(
        lambda x: jnp.sum(jnp.array([2.0, 2.0 - 2**-21, 1.0]) * x**2), jnp.zeros(3), (), values=rows[:1], errors=[1e-9],
        ranks=[2],
    )  # fmt: skip
    assert made.verify()
    content = {k: v for k, v in vars(made).items() if k != "seal"} | change
    with pytest.raises(CertificateError):
        SparseSpectrum(**content).sealed().verify()
