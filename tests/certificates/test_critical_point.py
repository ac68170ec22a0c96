"""The certificates of critical points hold for what they say, and for nothing that differs from it."""

from dataclasses import replace

import jax.numpy as jnp
import pytest

from qed.certificates.critical_point import CriticalPoint
from qed.certificates.flat_direction import FlatDirection
from qed.certificates.saddle import Saddle
from qed.certificates.slope import Slope
from qed.errors import CertificateError


def bowl(x):
    return jnp.cosh(x[0]) + (x[1] - x[0]) ** 2


def certificate():
    return CriticalPoint.about(
        bowl, jnp.array([1e-3, 0.0]), (), center=[0.0, 0.0], radius=[1e-6, 1e-6], signs=(0, 2), distance=0.00101
    )


def flat():
    return FlatDirection.about(lambda x: x[0] ** 3 + x[1] ** 2, jnp.zeros(2), (), direction=[1.0, 0.0], order=3, sign=1)


def slope():
    return Slope.about(bowl, jnp.array([1.0, 0.5]), (), index=1, bound=0.999)


def saddle():
    return Saddle.about(lambda x: x[0] * x[1] + x[2] ** 4, jnp.zeros(3), (), down=[1, -1, 0], up=[1, 1, 0])


MADE = {"saddle": saddle, "critical point": certificate, "flat direction": flat, "slope": slope}
FALSE = {
    "saddle": {"function": "0" * 64, "point": (0.0, 0.0, 0.5), "down": (1.0, 0.0, 0.0), "up": (0.0, 0.0, 1.0)},
    "critical point": {
        "function": "0" * 64,
        "point": (0.5, 0.0),
        "center": (1e-3, 0.0),
        "radius": (-1e-6, 1e-6),
        "negative": 1,
        "positive": 1,
        "distance": 0.0009,
    },
    "flat direction": {
        "function": "0" * 64,
        "point": (0.0, 0.125),
        "direction": (0.0, 1.0),
        "order": 4,
        "sign": -1,
    },
    "slope": {"function": "0" * 64, "point": (0.0, 0.0), "index": 5, "bound": 1.001},
}


@pytest.mark.parametrize("name", MADE)
def test_it_verifies(name):
    assert MADE[name]().verify()


@pytest.mark.parametrize(("name", "field"), [(name, field) for name in MADE for field in FALSE[name]])
def test_a_false_claim_is_not_believed_with_or_without_a_fresh_seal(name, field):
    made = replace(MADE[name](), **{field: FALSE[name][field]})
    for changed in (made, made.sealed()):
        with pytest.raises(CertificateError):
            changed.verify()


@pytest.mark.parametrize("name", MADE)
def test_it_is_about_one_function(name):
    made = MADE[name]()
    with pytest.raises(CertificateError, match="function"):
        made.verify(lambda x: jnp.exp(bowl(x)), made.subject.at)


def test_a_box_that_is_too_large_for_the_signs_is_not_believed():
    wide = CriticalPoint.about(
        lambda x: x**4 - x**2, jnp.float32(0.0), (), center=[0.0], radius=[0.5], signs=(1, 0), distance=0.5
    )
    with pytest.raises(CertificateError):
        wide.verify()


def test_roundings_are_no_exact_zeros():
    """1/3 is no float: the slope at the nearest one is not zero, however small."""
    third = jnp.float32(1 / 3)
    made = FlatDirection.about(lambda x: (3 * x - 1) ** 4, third, (), direction=[1.0], order=4, sign=1)
    with pytest.raises(CertificateError, match="slope"):
        made.verify()
