"""Certificates of global minima of convex problems hold for what they say, and for nothing that differs from it."""

import json
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from qed.calculus.shapes.found import terms
from qed.calculus.shapes.rules import Rules
from qed.certificates.certificate import Certificate
from qed.certificates.convex_optimum import ConvexOptimum
from qed.certificates.convexity import rows_of
from qed.certificates.kkt_point import KKTPoint
from qed.certificates.stacked import stacked
from qed.errors import CertificateError


def f(x):
    return jnp.exp(x[0]) + x[1] ** 2


def point(fun, at, center, rows, equalities=0, bounds=None):
    return KKTPoint.about(
        fun, jnp.array(at, float), (), equalities=equalities, rows=rows, center=center, radius=[1e-7] * len(center),
        distance=1e-5, value=(-1e3, 1e3), bounds=bounds,
    )  # fmt: skip


def shape(fun, number, sign=1):
    """The rows of a proof that sign times f (0) or a row (1, ...) is convex."""
    traced = KKTPoint.about(fun, jnp.zeros(2), (), equalities=0, rows=[], center=[0, 0], radius=[1, 1], distance=1,
                            value=(0, 0)).subject.traced()  # fmt: skip
    algebra, forms = terms(traced, [np.full(2, -np.inf)], [np.full(2, np.inf)], 1000)
    step = Rules(algebra).convex(algebra.scale(forms[number], sign))
    return number, rows_of(step)


DISC = stacked(f, lambda x: x[1] - 1, lambda x: (x[0] + 5 - x[1] ** 2, x[0] + 100))
"""At its minimum x = (-4, 1), y = 2 + 2 exp(-4) for the equality and exp(-4) for the first row of g."""


def made():
    e = float(np.exp(-4.0))
    inner = point(DISC, [-4.0, 1.0], [-4.0, 1.0, 2 + 2 * e, e], (0, 1), 1)
    return ConvexOptimum.of(inner, [shape(DISC, 0), shape(DISC, 2, -1)])


def test_it_verifies_and_comes_back_from_json():
    assert made().verify()
    assert Certificate.from_json(made().to_json()).verify(DISC, jnp.zeros(2))


def altered(name):
    one = made()
    inner = one.inner()
    kkt = json.dumps
    return {
        "function": lambda: {"function": "0" * 64},
        "box": lambda: {"box_lower": ((-200.0, -np.inf),)},
        "upper end": lambda: {"box_upper": ((9.0, np.inf),)},
        "no point": lambda: {"point": "{}"},
        "no text": lambda: {"point": "["},
        "a point with another multiplier": lambda: {
            "point": kkt(replace(inner, center=(-4.0, 1.0, 2.0, 0.5)).sealed().to_json())
        },
        "a point with a broken seal": lambda: {"point": kkt(replace(inner, distance=1e-4).to_json())},
        "a point of other bounds": lambda: {"point": kkt(replace(inner, lower=(-5.0, -5.0)).sealed().to_json())},
        "without the shape of f": lambda: {"shapes": one.shapes[1:]},
        "without the shape of a row": lambda: {"shapes": one.shapes[:1]},
        "shapes exchanged": lambda: {"shapes": ((0, one.shapes[1][1]), (2, one.shapes[0][1]))},
        "a row convex, not concave": lambda: {"shapes": (one.shapes[0], shape(stacked(f, f, lambda x: x[1] ** 2), 2))},
    }[name]()


@pytest.mark.parametrize(
    "name",
    [
        "function", "box", "upper end", "no point", "no text", "a point with another multiplier",
        "a point with a broken seal", "a point of other bounds", "without the shape of f", "without the shape of a row",
        "shapes exchanged", "a row convex, not concave",
    ],
)  # fmt: skip
def test_a_false_claim_is_not_believed_with_or_without_a_fresh_seal(name):
    changed = replace(made(), **altered(name))
    for one in (changed, changed.sealed()):
        with pytest.raises(CertificateError):
            one.verify()


CURVED = stacked(lambda x: x[0] + 2 * x[1], lambda x: x @ x - 5)
HOLE = stacked(lambda x: x[0] ** 2 + (x[1] + 3) ** 2, None, lambda x: x @ x - 1)


@pytest.mark.parametrize(
    ("fun", "center", "equalities", "shapes"),
    [
        (CURVED, [-1, -2, -0.5], 1, lambda: ()),
        (CURVED, [-1, -2, -0.5], 1, lambda: [shape(CURVED, 1)]),
        (stacked(lambda x: x[0] ** 2 + x[1] ** 2 + jnp.cos(x[0]), lambda x: x[1]), [0, 0, 0], 1,
         lambda: [shape(stacked(lambda x: x @ x), 0)]),
        (stacked(lambda x: (x[0] + 3) ** 2 + x[1] ** 2 + 6 * x[0], None, lambda x: x @ x + x[0] - 0.5),
         [0.3660254037844386, 0, 7.3301270189221935], 0, lambda: [shape(HOLE, 0)]),
    ],
    ids=["a circle", "a circle called convex", "another function's shape", "a hole"],
)  # fmt: skip
def test_the_global_minimum_of_what_is_not_convex_is_not_proved(fun, center, equalities, shapes):
    inner = point(fun, center[:2], center, (0,), equalities)
    with pytest.raises(CertificateError, match=r"affine|shapes|rows|multiplier|center|nothing"):
        ConvexOptimum.of(inner, shapes()).verify()
