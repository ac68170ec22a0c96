"""Certificates of rays hold for what they say, and for nothing that differs from it."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from qed.certificates.certificate import Certificate
from qed.certificates.ray import Ray
from qed.certificates.stacked import stacked
from qed.errors import CertificateError

INF = np.inf


def falls(x):
    return x[0] * x[1] - (x[0] + x[1]) ** 3


FUN = stacked(falls, lambda x: x[0] - 2 * x[1], lambda x: x[0] ** 2 - x[1] + 1)


def ray(fun=FUN, start=(2.0, 1.0), direction=(2.0, 1.0), equalities=1, box=((-1.0, -INF), (INF, INF))):
    return Ray.about(
        fun, jnp.zeros(2), (), box=([box[0]], [box[1]]), equalities=equalities, start=start, direction=direction
    )


def test_it_verifies_and_comes_back_from_json():
    assert ray().verify() and Certificate.from_json(ray().to_json()).verify(FUN, jnp.zeros(2))


@pytest.mark.parametrize(
    "fields",
    [
        {"function": "0" * 64}, {"start": (2.0, 1.5)}, {"start": (-2.0, -1.0)}, {"direction": (-2.0, -1.0)},
        {"direction": (2.0, 1.5)}, {"direction": (0.0, 0.0)}, {"direction": (np.nan, 1.0)}, {"equalities": 3},
        {"box_upper": ((9.0, INF),)}, {"box_lower": ((3.0, -INF),)},
    ],
    ids=str,
)  # fmt: skip
def test_a_false_claim_is_not_believed_with_or_without_a_fresh_seal(fields):
    changed = replace(ray(), **fields)
    for one in (changed, changed.sealed()):
        with pytest.raises(CertificateError):
            one.verify()


@pytest.mark.parametrize(
    "fun",
    [
        stacked(lambda x: (x[0] + x[1]) ** 2),
        stacked(lambda x: jnp.exp(-x[0])),
        stacked(lambda x: x[0] - 2 * x[1]),
        stacked(lambda x: -x[0], None, lambda x: 5 * x[0] - x[0] ** 2),
        stacked(lambda x: -x[0] / (1 + x[1] ** 2)),
    ],
    ids=["rises", "has a limit", "rests", "leaves", "no polynomial"],
)
def test_what_has_a_least_value_on_the_ray_or_leaves_is_not_proved(fun):
    with pytest.raises(CertificateError):
        ray(fun, equalities=0, box=((-INF, -INF), (INF, INF))).verify()
