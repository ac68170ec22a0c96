"""Tangents of a convex function bound it from below; what is altered, or does not hold, is refused by name."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.calculus.shapes.arrays import of_arrays
from qed.certificates.certificate import Certificate
from qed.certificates.cutting_planes import CuttingPlanes
from qed.errors import CertificateError

OPEN = [np.full(2, -np.inf)], [np.full(2, np.inf)]
X = jnp.zeros(2)
CORNERS = [[1.0, 0.1], [-1.0, 0.1], [-0.2, -1.0], [0.1, 1.0]]


def kinked(x):
    return jnp.abs(x[0]) + 3 * jnp.abs(x[1]) + jax.lax.stop_gradient(0.5 * x[0] + x[1] / 3) + 1 / 3


SHAPE = of_arrays(kinked, X, (), OPEN)


def made(points=CORNERS, weights=("0", "0", "0", "1/8"), solved=3, bound=0.3333, most=0.3334, shape=SHAPE, **more):
    return CuttingPlanes.of(shape, [0.0, 0.0], points, weights, solved=solved, bound=bound, most=most, **more)


def test_the_weights_that_are_solved_for_leave_no_slope():
    """The thirds are no numbers of float64, and the slope behind stop_gradient is one of the values."""
    assert made().verify()
    assert Certificate.from_json(json.dumps(made().to_json())).verify(kinked, X)
    bound, most = made().proved(SHAPE.subject.traced())
    assert 0 < most - bound < 1e-14


@pytest.mark.parametrize(
    ("wrong", "node"),
    [
        (lambda: made(bound=0.3334), "bound"),
        (lambda: made(most=0.3333), "most"),
        (lambda: made(points=[[1.0, 1.0]] * 4), "solved"),  # one tangent four times
        (lambda: made(points=[*CORNERS[:2], [0.2, 0.1], CORNERS[3]]), "solved"),  # none of them rises with x[1]
        (lambda: made(points=[*CORNERS[:3], [0.0, 1.0]]), "points"),  # a corner has no tangent
        (lambda: made(solved=2), "solved"),
        (lambda: made(weights=["0", "0", "0", "-1/4"]), "weights"),
        (lambda: made(weights=["0", "0", "0", "2"]), "solved"),
        (lambda: made(weights=["1/4"] * 3), "weights"),
        (lambda: made(weights=["1/2", "1/4", "1/4", "1/4"], solved=0), "weights"),
        (lambda: made(weights=["1/4"] * 4, solved=0), "points"),  # falls for ever without the equations
        (lambda: made(weights=["1/4"] * 4, solved=0, reach=10.0), "bound"),
        (lambda: made(reach=-1.0), "reach"),
        (lambda: replace(made(), shape="{}").sealed(), "shape"),
        (lambda: made(shape=of_arrays(lambda x: -kinked(x), X, (), OPEN)), "shape"),
        (lambda: replace(made(), box_lower=((-1.0, -1.0),)).sealed(), "shape"),
        (lambda: replace(made(), bound=0.3).sealed().to_json(), None),
    ],
)
def test_what_does_not_hold_is_refused(wrong, node):
    if node is None:
        assert Certificate.from_json(wrong()).verify(kinked, X)
        with pytest.raises(CertificateError):
            Certificate.from_json(wrong()).verify(lambda x: kinked(x) - 1, X)
        return
    with pytest.raises(CertificateError) as caught:
        wrong().verify()
    assert caught.value.node == node, str(caught.value)


def test_a_bound_within_reach_asks_for_no_equations():
    weights = ["1/8", "1/5", "11/20", "1/8"]
    near = made(weights=weights, solved=0, reach=1e-3, bound=0.33)
    assert near.verify()
    with pytest.raises(CertificateError):
        made(weights=weights, solved=0, reach=10.0, bound=0.33).verify()
