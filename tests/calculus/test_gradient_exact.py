"""Where float64 has no digits of a derivative, ball arithmetic decides."""

import jax
import jax.numpy as jnp
import pytest

import qed
from qed.calculus.gradient import exact


def squash(factor):
    """Its body cancels at huge numbers: 1/(1 + |x|) - |x|/(1 + |x|)^2 = 1/(1 + |x|)^2."""

    @jax.custom_jvp
    def f(x):
        return x / (1 + jnp.abs(x))

    f.defjvp(lambda p, t: (f(p[0]), factor * t[0] / (1 + jnp.abs(p[0])) ** 2))
    return lambda x: jnp.sum(f(x) + 1e-30 * x)


@pytest.mark.parametrize(("wide", "size"), [(True, 1e30), (False, 1e15)])
@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "agrees"), (1.001, "disagrees")])
def test_the_digits_that_float64_loses(wide, size, factor, verdict):
    with jax.enable_x64(wide):
        answer = qed.check_gradient(squash(factor), jnp.array([size, -3 * size]))
        repeated = answer.check()
    assert answer.value.verdict == verdict
    assert repeated
    if verdict == "disagrees":
        culprit = answer.value.culprits[0]
        assert culprit.expected == pytest.approx(size**-2, rel=1e-7)
        assert culprit.found == pytest.approx(1.001 * size**-2, rel=1e-7)


def test_a_site_that_is_too_large_stays_undecided(monkeypatch):
    monkeypatch.setattr(exact, "LARGEST", 1)
    with jax.enable_x64(True):
        assert qed.check_gradient(squash(1.001), jnp.array([1e30])).value.verdict == "undecided"
