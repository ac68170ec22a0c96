"""A point and a lower bound prove the least value; what is altered, or does not hold, is refused by name."""

import json
from dataclasses import replace
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest

from qed.certificates.certificate import Certificate
from qed.certificates.feasible_gap import FeasibleGap, value
from qed.certificates.stacked import stacked
from qed.certificates.weak_duality import WeakDuality
from qed.errors import CertificateError
from qed.optimization.constrained.gap import moved

THIRD = stacked(lambda x: x[0] + x[1], lambda x: 3 * x[0] - 1, lambda x: (x[1], 2 * x[1], 2 - x @ x))


def bound(**content):
    fields = {"objective": 1, "equalities": 1, "weights": ["1/3", "1", "0", "0"], "point": [0.0, 0.0], "bound": 0.333}
    return WeakDuality.about(THIRD, jnp.zeros(2), (), box=([[-2.0, -2.0]], [[2.0, 2.0]]), **(fields | content))


def test_a_point_in_rational_numbers_meets_what_no_float_meets():
    made = FeasibleGap.of(bound(), [Fraction(1, 3), 0], 0.3334)
    assert made.verify()
    assert Certificate.from_json(json.dumps(made.to_json())).verify(THIRD, jnp.zeros(2))


@pytest.mark.parametrize(
    ("made", "node"),
    [
        (lambda: FeasibleGap.of(bound(), [1 / 3, 0], 0.3334), "point"),  # the float beside it violates the equality
        (lambda: FeasibleGap.of(bound(), ["1/3", "-1e-30"], 0.3334), "point"),
        (lambda: FeasibleGap.of(bound(), ["1/3", "3/2"], 2.0), "point"),  # outside the disc
        (lambda: FeasibleGap.of(bound(), ["1/3", "5"], 6.0), "point"),  # outside the bounds
        (lambda: FeasibleGap.of(bound(), ["1/3"], 0.3334), "point"),
        (lambda: FeasibleGap.of(bound(), ["1/3", "x"], 0.3334), "point"),
        (lambda: FeasibleGap.of(bound(), ["1/3", "0"], 0.3333), "most"),
        (lambda: FeasibleGap.of(bound(bound=0.34), ["1/3", "0"], 0.3334), "bound"),
        (lambda: FeasibleGap.of(bound(weights=["1/3", "-1", "0", "0"]), ["1/3", "0"], 0.3334), "weights"),
        (lambda: FeasibleGap.of(bound(objective=0, weights=["1", "0", "0", "0"]), ["1/3", "0"], 0.3334), "lower"),
        (lambda: replace(FeasibleGap.of(bound(), ["1/3", "0"], 1.0), lower="{}").sealed(), "lower"),
        (lambda: replace(FeasibleGap.of(bound(), ["1/3", "0"], 1.0), box_upper=((9.0, 9.0),)).sealed(), "lower"),
        (lambda: replace(FeasibleGap.of(bound(), ["1/3", "0"], 1.0), most=0.5), "seal"),
    ],
)
def test_what_does_not_hold_is_refused_by_name(made, node):
    with pytest.raises(CertificateError) as caught:
        made().verify()
    assert caught.value.node == node


def test_the_value_at_a_point_is_enclosed():
    traced = bound().subject.traced()
    assert value(traced, 0, [Fraction(1, 4), Fraction(1, 2)]) == (0.75, 0.75)
    low, high = value(traced, 0, [Fraction(1, 3), Fraction(0)])
    assert Fraction(low) <= Fraction(1, 3) <= Fraction(high) and high - low <= 4 * np.spacing(1 / 3)


def test_equations_that_say_the_same_vanish_and_those_in_conflict_are_seen():
    rows = [[Fraction(3), Fraction(1), Fraction(1)], [Fraction(6), Fraction(2), Fraction(2)]]
    x, y = moved(rows, [Fraction(0.3), Fraction(0.1)])
    assert 3 * x + y == 1
    assert moved([*rows, [Fraction(3), Fraction(1), Fraction(2)]], [Fraction(0), Fraction(0)]) is None
