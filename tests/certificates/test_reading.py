"""An answer says that a library function is read as another where its certificate reads it so, and only there."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import log_ndtr

import qed
from qed.answer import Answer
from qed.certificates import library
from qed.certificates.reading import as_read
from qed.graph.trace import trace


def corner(w):
    return jnp.sum(jnp.abs(w)) - jnp.sum(log_ndtr(w))


@pytest.mark.slow
def test_the_certificate_decides():
    answer = qed.minimize(corner, jnp.array([0.5], np.float32))
    assert answer.proved and answer.certificate.reads_meant
    assert any(reason.rule == library.RULE for reason in answer.reasons)
    smooth = qed.minimize(lambda w: jnp.sum(w**2) - jnp.sum(log_ndtr(w)), jnp.array([0.5], np.float32))
    assert smooth.proved and not smooth.certificate.reads_meant
    assert not any(reason.rule == library.RULE for reason in smooth.reasons)


def test_parts_are_asked():
    traced = trace(corner, np.zeros(1, np.float32))
    shape = qed.convexity(corner, (jnp.array([0.5], np.float32), jnp.array([2.0], np.float32)))
    assert any(reason.rule == library.RULE for reason in shape.reasons)
    plain = Answer("f is 1", "MEASURED")
    assert as_read(plain, traced).reasons == ()
    whole = Answer("f is 1", "MEASURED", answers=(shape,))
    assert [reason.rule for reason in as_read(whole, traced).reasons] == [library.RULE]
