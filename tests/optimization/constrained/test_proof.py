"""What is proved of a KKT point: global where the problem is convex, measured where it is degenerate."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.certificates.convex_optimum import ConvexOptimum
from qed.certificates.kkt_point import KKTPoint


def bowl(x):
    return x[0] ** 2 + x[1] ** 2


def bent(x):
    return (x[0] - 2) ** 2 + jnp.exp(x[1])


GLOBAL = {
    "quadratic program": (bent, {"inequality": lambda x: jnp.array([1 - x[0], x[1] + 1])}, 1 + np.exp(-1)),
    "disc": (lambda x: x[0] + x[1], {"inequality": lambda x: 2 - bowl(x)}, -2.0),
    "linear program": (lambda x: -x[0] - 2 * x[1],
                       {"inequality": lambda x: jnp.array([4 - x[0] - x[1], 3 - x[1]]), "bounds": (0.0, None)}, -7.0),
    "entropy": (lambda x: jnp.sum(x * jnp.log(x)), {"equality": lambda x: jnp.sum(x) - 1, "bounds": (0.0, 1.0)},
                -np.log(2)),
}  # fmt: skip
"""Convex problems of two numbers, with the least value."""


@pytest.mark.parametrize("name", GLOBAL)
def test_the_minimum_of_a_convex_problem_is_proved_to_be_global(name):
    f, options, least = GLOBAL[name]
    answer = qed.minimize(f, jnp.array([0.5, 0.25]), **options)
    assert answer.proved and answer.check() and isinstance(answer.certificate, ConvexOptimum)
    inner = answer.certificate.inner()
    assert inner.least <= least <= inner.most and inner.most - inner.least < 1e-9
    assert answer.headline.startswith("The global minimum under the constraints")


def test_a_minimum_of_another_problem_is_proved_to_be_local():
    answer = qed.minimize(lambda x: x[0] + 2 * x[1], jnp.array([-1.0, -1.0]), equality=lambda x: bowl(x) - 5)
    assert answer.proved and answer.check() and isinstance(answer.certificate, KKTPoint)
    assert answer.certificate.distance < 1e-6
    assert any("equality that is not affine" in reason.text for reason in answer.reasons)


@pytest.mark.parametrize(
    ("f", "options", "why"),
    [
        (bowl, {"inequality": lambda x: x[0]}, "no force"),
        (bowl, {"inequality": lambda x: x[0] + x[1] - 2, "bounds": (1.0, None)}, "no force|dependent|singular"),
        (lambda x: bowl(x - 2), {"inequality": lambda x: jnp.stack([2 - x[0] - x[1], 4 - 2 * x[0] - 2 * x[1]])},
         "dependent|no force"),
        (lambda x: x[0] ** 2 + x[1] ** 4, {"equality": lambda x: x[0]}, "bend up|singular|not decide"),
    ],
    ids=["weakly active", "weakly active bounds", "written twice", "flat"],
)  # fmt: skip
def test_what_is_degenerate_stays_measured_and_says_why(f, options, why):
    answer = qed.minimize(f, jnp.array([1.5, 1.0]), **options)
    assert answer.measured and answer.check()
    if answer.reason == "minimum":
        assert any(re.search(why, reason.text) for reason in answer.reasons)
