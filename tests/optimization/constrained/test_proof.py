"""What is proved of a KKT point: global where the problem is convex, measured where it is degenerate."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.certificates.convex_optimum import ConvexOptimum
from qed.certificates.feasible_gap import FeasibleGap
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
        (bowl, {"equality": lambda x: {"third": 3 * x[0] - 1, "twice": 6 * x[0] - 2, "nothing": 0.0}}, "dependent"),
    ],
    ids=["weakly active", "weakly active bounds", "written twice", "flat", "no float meets it"],
)  # fmt: skip
def test_what_is_degenerate_is_proved_by_a_gap_and_says_what_is_missing_to_be_alone(f, options, why):
    answer = qed.minimize(f, jnp.array([1.5, 1.0]), **options)
    assert answer.proved and answer.check() and isinstance(answer.certificate, FeasibleGap)
    if answer.reason == "minimum":
        assert any(re.search(why, reason.text) for reason in answer.reasons)
    (below,) = answer.answers
    assert below.proved and below.check() and answer.fun - 1e-6 <= below.value <= answer.fun + 1e-12


CONFLICTS = {
    "rows": ({"inequality": lambda x: {"need": x[0] + x[1] - 3, "room": 2 - x[0] - x[1], "free": x[0] + 9}},
             ("['need']", "['room']")),
    "a row and bounds": ({"inequality": lambda x: x[0] + x[1] - 3, "bounds": (None, 1.0)},
                         ("inequality", "upper bound")),
    "a circle and a line": ({"equality": lambda x: (x @ x - 1, x[0] + x[1] - 3)}, ("equality[0]", "equality[1]")),
    "one row": ({"inequality": lambda x: -1 - x @ x}, ("inequality",)),
    "a row without x": ({"inequality": lambda x: jnp.stack([x[0], jnp.float32(-1.0)])}, ("inequality[1]",)),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFLICTS)
def test_constraints_in_conflict_are_named_and_the_conflict_is_proved(name):
    options, named = CONFLICTS[name]
    answer = qed.minimize(bowl, jnp.array([1.0, 0.5]), **options)
    assert answer.reason == "infeasible" and answer.proved and answer.check()
    assert all(each in answer.headline for each in named)
    assert "free" not in answer.headline
    assert [finding.code for finding in answer.findings] == ["QED504"]


def test_a_conflict_that_is_not_proved_is_told_as_far_as_was_looked():
    answer = qed.minimize(bowl, jnp.array([1.0, 1.0]), inequality=lambda x: jnp.tanh(x[0]) * jnp.tanh(x[1]) - 1.5,
                          bounds=(None, 3.0), max_steps=50)  # fmt: skip
    assert answer.reason in ("infeasible", "undecided") and not answer.refuted
    if answer.proved:
        assert answer.check()


@pytest.mark.parametrize(
    ("f", "options"),
    [
        (lambda x: x[0] - x[1] ** 2, {"inequality": lambda x: x[0]}),
        (lambda x: -x[0] - x[1], {"equality": lambda x: x[0] - 2 * x[1], "bounds": (0.0, None)}),
    ],
    ids=["a parabola", "a linear program"],
)
def test_what_falls_for_ever_is_proved_along_a_ray(f, options):
    answer = qed.minimize(f, jnp.ones(2), **options)
    assert answer.reason == "unbounded_below" and answer.proved and answer.check()
    assert [finding.code for finding in answer.findings] == ["QED306"]


UNATTAINED = {
    "fading": (lambda x: jnp.exp(-x[0]) + x[1] ** 2, {"inequality": lambda x: x[0]}),
    "fading beside a strict minimum": (lambda x: jnp.log1p(jnp.exp(-x[0])), {"equality": lambda x: x[1]}),
    "far out along a hyperbola": (lambda x: x[0], {"inequality": lambda x: jnp.array([x[0] * x[1] - 1, x[0]])}),
}


@pytest.mark.parametrize("name", UNATTAINED)
def test_a_least_value_that_is_not_attained_is_no_minimum(name):
    f, constraints = UNATTAINED[name]
    answer = qed.minimize(f, jnp.full(2, 0.5), **constraints)
    assert answer.reason not in ("minimum", "flat_minimum") and not answer.proved
    assert answer.reason == "infimum_not_attained" or name == "far out along a hyperbola"


def test_a_conflict_within_the_tolerance_of_solvers_is_proved():
    box = (jnp.zeros(2), jnp.ones(2))
    answer = qed.minimize(lambda x: x @ x, jnp.full(2, 0.5), equality=lambda x: x[0] + x[1] - 2 - 1e-6, bounds=box)
    assert answer.reason == "infeasible" and answer.proved


def test_an_infinite_slope_hides_no_violation():
    answer = qed.minimize(lambda x: x @ x, jnp.full(2, 0.5), inequality=lambda x: jnp.sqrt(x[0]) - x[0] - 0.26)
    assert "satisfies the constraints was found" not in answer.headline


def test_fixed_parameters_may_violate_a_constraint():
    fixed = jnp.full(2, 0.5)
    answer = qed.minimize(lambda x: x @ x, fixed, inequality=lambda x: 0.75 - x[0] - x[1], bounds=(fixed, fixed))
    assert answer.reason == "infeasible" and answer.proved


def test_what_another_start_satisfies_is_not_called_infeasible():
    def apart(x):
        return -((x[0] + 1) ** 2) * (x[0] - 2) ** 2 - 0.5 + (x[0] + 1) / 4  # feasible at 2, nearly so at -1

    answer = qed.minimize(lambda x: x @ x, jnp.array([-1.5]), inequality=apart, bounds=(-2.0, 3.0))
    assert answer.reason != "infeasible"
    plateau = qed.minimize(bowl, jnp.zeros(2), inequality=lambda x: jnp.exp(-((x[0] - 1000) ** 2)) - 1, max_steps=30)
    assert plateau.unknown and "neither slope nor bend" in plateau.headline
