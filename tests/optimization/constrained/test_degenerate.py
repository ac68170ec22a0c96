"""Degenerate constraints, each named for what it is: redundant, without interior, complementary, just out of reach."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.certificates.stacked import stacked
from qed.certificates.weak_duality import WeakDuality
from qed.errors import CertificateError
from qed.optimization.constrained import portfolio
from qed.optimization.constrained.engine import Outcome, Said
from qed.optimization.constrained.problem import constrained


def square(x):
    return x @ x


def codes(answer):
    return [finding.code for finding in answer.findings]


REDUNDANT = {
    "a row twice": ({"inequality": lambda x: jnp.stack([x[0] - 1, 2 * x[0] - 2])}, "inequality[1]"),
    "a sum of rows": (
        {"inequality": lambda x: jnp.stack([x[0] - 1, x[1] - 1, x[0] + x[1] - 2])},
        "inequality[2]",
    ),
    "a bound as a row": ({"inequality": lambda x: x[0] - 1, "bounds": (jnp.array([1.0, -9.0]), None)}, "inequality"),
    "equations": ({"equality": lambda x: jnp.stack([x[0] + x[1] - 1, 2 * x[0] + 2 * x[1] - 2])}, "equality[1]"),
    "circles": ({"equality": lambda x: jnp.stack([x @ x + x[0] - 1, 3 * (x @ x) + 3 * x[0] - 3])}, "equality"),
}


@pytest.mark.parametrize("name", REDUNDANT)
def test_a_constraint_that_follows_from_others_is_named(name):
    rules, named = REDUNDANT[name]
    answer = qed.minimize(square, jnp.array([2.0, 1.5]), **rules)
    assert str(answer.reason) == "minimum"
    assert codes(answer) == ["QED505"]
    assert named in answer.findings[0].message.split("follows")[0]


def test_rows_that_meet_in_a_point_are_not_called_redundant():
    answer = qed.minimize(
        square, jnp.array([3.0, 3.0]), inequality=lambda x: jnp.stack([x[0] - 1, x[1] - 1, x[0] + x[1] - 2 + 1e-3])
    )
    assert codes(answer) == []
    three = qed.minimize(
        lambda x: x[0] + x[1], jnp.array([3.0, 3.0]),
        inequality=lambda x: jnp.stack([2 * x[0] + x[1], x[0] + 2 * x[1], x[0] + x[1] - 0.1 * x[0] * x[0]]),
    )  # fmt: skip
    assert str(three.reason) == "minimum"
    assert "QED505" not in codes(three)


THIN = {
    "an equality as two": lambda x: jnp.stack([x[0] - 1, 1 - x[0]]),
    "discs that touch": lambda x: jnp.stack([1 - (x[0] - 1) ** 2 - x[1] ** 2, 1 - (x[0] + 1) ** 2 - x[1] ** 2]),
}


@pytest.mark.parametrize("name", THIN)
def test_constraints_without_interior_are_named(name):
    answer = qed.minimize(lambda x: x[0] + 0 * x[1], jnp.array([0.9, 0.1]), inequality=THIN[name])
    assert codes(answer) == ["QED506"]
    assert all(part in answer.findings[0].message for part in ("inequality[0]", "inequality[1]"))


COMPLEMENTARY = {
    "a product of bounds": {"equality": lambda z: z[0] * z[1]},
    "at most 0": {"inequality": lambda z: -z[0] * z[1]},
    "a bound and a row": {"equality": lambda z: z[0] * (z[2] - z[1]), "inequality": lambda z: z[2] - z[1]},
    "a linear complementarity problem": {
        "equality": lambda z: z[:2] @ (jnp.array([[2.0, 1.0], [0.5, 2.0]]) @ z[:2] - jnp.array([1.0, 2.0])),
        "inequality": lambda z: jnp.array([[2.0, 1.0], [0.5, 2.0]]) @ z[:2] - jnp.array([1.0, 2.0]),
    },
}


@pytest.mark.parametrize("name", COMPLEMENTARY)
def test_complementarity_is_named(name):
    answer = qed.minimize(
        lambda z: (z - jnp.array([1.0, 2.0, 0.5])) @ (z - jnp.array([1.0, 2.0, 0.5])), jnp.full(3, 0.4),
        bounds=(0.0, None), **COMPLEMENTARY[name],
    )  # fmt: skip
    assert "QED507" in codes(answer), answer.headline


def test_a_product_of_free_numbers_is_no_complementarity():
    answer = qed.minimize(
        lambda z: (z - 1.0) @ (z - 1.0), jnp.array([0.9, 0.2]), equality=lambda z: jnp.stack([z[0] * z[1], z[1] ** 3])
    )
    assert "QED507" not in codes(answer)


# --- infeasible by as little as one likes ---

JUST_NOT = {
    "exp(x) <= 0": lambda x: -jnp.exp(x[0]),
    "an asymptote": lambda x: jnp.stack([x[1] - jnp.exp(-x[0]), -x[1]]),
    "softplus(x) <= 0": lambda x: -jnp.logaddexp(x[0], 0.0),
    "by 1e-9": lambda x: -(x[0] ** 2) - 1e-9,
}


@pytest.mark.parametrize("name", JUST_NOT)
def test_a_conflict_of_any_size_is_proved(name):
    answer = qed.minimize(square, jnp.ones(2), inequality=JUST_NOT[name])
    assert answer.standing == "PROVED"
    assert str(answer.reason) == "infeasible"
    assert answer.check()


def test_what_reaches_0_is_no_conflict():
    def made(rule, weight="1"):
        box = ([[-jnp.inf]], [[jnp.inf]])
        return WeakDuality.about(
            stacked(square, None, rule), jnp.ones(1), (), box=box, objective=0, equalities=0, weights=[weight],
            point=[0.0], bound=0.0,
        )  # fmt: skip

    assert made(lambda x: -jnp.exp(x[0])).verify()
    below = (lambda x: -jnp.log(0.5 + jnp.exp(x[0])), lambda x: -jnp.logaddexp(x[0], -1.0))
    for rule in (lambda x: -(x[0] ** 2), lambda x: -jnp.abs(x[0]), lambda x: x[0], lambda x: jnp.exp(x[0]), *below):
        with pytest.raises(CertificateError):
            made(rule).verify()
    with pytest.raises(CertificateError):
        made(lambda x: -jnp.exp(x[0]), "0").verify()
    closed = replace(
        made(lambda x: -x[0]), box_lower=((0.0,),), box_upper=((1.0,),), point=(0.5,)
    ).sealed()  # 0 is in the box
    with pytest.raises(CertificateError):
        closed.verify()


# --- jumps, corners, edges of the domain ---


@pytest.mark.parametrize("size", [1e-3, 1e-6, 1e-8])
def test_a_small_jump_is_no_minimum(size):
    def cost(x):
        return x @ x - size * jnp.where(x[0] > 1, 1.0, 0.0)

    answer = qed.minimize(cost, 2 * jnp.ones(2), inequality=lambda x: x[0] - 1)
    assert str(answer.reason) == "kink"
    assert answer.standing == "UNKNOWN"
    assert codes(answer) == ["QED104"]


def test_a_corner_that_the_solvers_stop_beside_is_named():
    answer = qed.minimize(
        lambda x: (x[0] - 2) ** 2 + x[1] ** 2, jnp.array([0.2, 0.1]), inequality=lambda x: 1 - jnp.sum(jnp.abs(x)),
        max_steps=400,
    )  # fmt: skip
    assert str(answer.reason) == "kink"


def test_a_corner_away_from_the_point_is_not_named():
    answer = qed.minimize(square, 2 * jnp.ones(2), inequality=lambda x: jnp.maximum(x[0] ** 2 - 1, x[0] / 9 - 1))
    assert str(answer.reason) == "minimum"
    np.testing.assert_allclose(answer.x, [1, 0], atol=1e-6)


def test_no_point_outside_the_domain_is_called_lower():
    answer = qed.minimize(square, 2 * jnp.ones(2), inequality=lambda x: jnp.sqrt(x[0] - 1))
    assert str(answer.reason) in ("flat_minimum", "undecided")


def test_a_value_that_is_only_approached_where_a_constraint_has_a_pole():
    f, g = lambda x: x[0] ** 2, lambda x: 1 / x[0] - 1
    for bounds in (None, (0.0, 5.0)):
        answer = qed.minimize(f, jnp.array([0.5]), inequality=g, bounds=bounds)
        assert str(answer.reason) == "infimum_not_attained", bounds
        assert not any("inequality 0" in (reason.text or "") for reason in answer.reasons), "it holds nothing"
        assert answer.check()
    assert str(qed.verdict(f, jnp.array([1e-9]), inequality=g).kind) == "infimum_not_attained"
    assert str(qed.verdict(f, jnp.array([0.0]), inequality=g).kind) == "nonfinite"
    closed = qed.minimize(f, jnp.array([0.5]), inequality=lambda x: 10 - 1 / x[0])
    assert str(closed.reason) == "minimum"


def test_the_edge_of_a_domain_is_told():
    answer = qed.minimize(lambda x: x[0] + jnp.sqrt(x[1]), jnp.array([1.0, 2.0]), inequality=lambda x: x[0])
    assert answer.standing == "UNKNOWN"
    assert "edge of where f is defined" in answer.headline


# --- vertices and corners of complementarity ---


def test_a_vertex_that_more_planes_meet_in_than_it_needs_is_a_minimum():
    answer = qed.minimize(
        lambda x: -x[2],
        jnp.array([0.1, 0.2, 0.0]),
        inequality=lambda x: jnp.stack([1 - x[2] - x[0], 1 - x[2] + x[0], 1 - x[2] - x[1], 1 - x[2] + x[1]]),
    )
    assert str(answer.reason) == "minimum"
    assert "f rises" in answer.headline or answer.proved


def test_a_ridge_is_a_flat_minimum():
    answer = qed.minimize(
        lambda x: -x[2], jnp.array([0.1, 0.2, 0.0]), inequality=lambda x: jnp.stack([1 - x[2] - x[0], 1 - x[2] + x[0]])
    )
    assert str(answer.reason) == "flat_minimum"
    assert answer.proved and "A flat minimum, and the least value" in answer.headline and answer.counts["values"] <= 8
    assert [part.standing for part in answer.answers] == ["PROVED"]


def test_where_the_first_solver_ends_at_a_flat_place_the_next_is_asked_too(monkeypatch):
    """The valleys of x0^2 ((x0 - 6)^2 + 1) lie at 0 and beside 6, whatever x1 is; the first is the lower one."""
    ends = {"uno-sqp": [(18 + 28**0.5) / 4, 0.5], "slsqp": [0.0, 0.5]}

    def ask(problem, start, most, engine, tolerance=0.0):
        return Outcome(engine, np.array(ends[engine]), None, Said.CONVERGED, "", 1)

    monkeypatch.setattr(portfolio, "ask", ask)
    problem = constrained(
        lambda x: x[0] ** 2 * ((x[0] - 6) ** 2 + 1), jnp.array([7.0, 0.5]), (), None, lambda x: x + 9, None
    )
    found = portfolio.run(problem, problem.start, 100, ("uno-sqp", "slsqp"))
    assert found.engine == "slsqp" and found.kkt.seen.f == 0.0
    assert [outcome.engine for outcome in found.outcomes] == ["uno-sqp", "slsqp"]


def test_where_a_single_parameter_leads_down_multipliers_are_not_said_to_be_missing():
    answer = qed.minimize(
        lambda x: x[0] + 2 * x[1],
        jnp.array([0.5, 0.5]),
        inequality=lambda x: -(1 - x[0]) * (1 - x[1]),
        bounds=(None, 1.0),
    )
    assert str(answer.reason) != "no_kkt_point"
    assert "QED503" not in codes(answer)


@pytest.mark.parametrize("f", [lambda x: x[1], lambda x: (x[0] - 3) ** 2 + (x[1] - 2) ** 2])
def test_discs_that_touch_have_no_multipliers_across(f):
    """The one feasible point is the minimum, and the gradient of f is no sum of theirs."""
    touching = lambda x: jnp.stack([1 - x @ x, 1 - (x[0] - 2) ** 2 - x[1] ** 2])  # noqa: E731
    answer = qed.minimize(f, jnp.array([0.3, 0.4]), inequality=touching, max_steps=200)
    assert (str(answer.reason), codes(answer)) == ("no_kkt_point", ["QED503"])


def test_the_tip_of_a_cone_is_a_corner_and_not_called_stationary_or_not():
    tip = lambda x: -jnp.linalg.norm(x)  # noqa: E731
    answer = qed.minimize(lambda x: jnp.sum((x - 1) ** 2), jnp.array([0.5, 0.5]), inequality=tip)
    again = qed.verdict(lambda x: jnp.sum((x - 1) ** 2), answer.x, inequality=tip)
    assert (str(answer.reason), str(again.kind)) == ("kink", "kink")


def test_where_a_constraint_bends_away_a_flat_direction_is_none():
    """x0^2 >= x1^2: from 0 the second parameter takes the first along, and f = x0^2 rises."""
    wedge = lambda x: x[0] ** 2 - x[1] ** 2  # noqa: E731
    answer = qed.minimize(lambda x: x[0] ** 2, jnp.array([0.5, 0.4]), inequality=wedge)
    assert str(answer.reason) == "minimum"
    flat = qed.minimize(lambda x: x[0] ** 2, jnp.array([0.5, 0.4]), inequality=lambda x: x[0] + 2)
    assert str(flat.reason) == "flat_minimum"


def test_from_a_point_without_multipliers_the_run_goes_on_where_a_feasible_point_is_lower():
    wedge = lambda x: x[0] ** 2 - x[1] ** 2  # noqa: E731
    f = lambda x: (x[1] - 0.5) ** 2 + x[0] ** 2  # noqa: E731
    answer = qed.minimize(f, jnp.zeros(2), inequality=wedge)
    assert str(answer.reason) == "minimum"
    assert abs(answer.fun - 0.125) < 1e-9
    assert str(qed.verdict(f, jnp.zeros(2), inequality=wedge).kind) != "no_kkt_point"


@pytest.mark.parametrize(("bend", "kind"), [(1.0, "saddle"), (-1.0, "flat_minimum")])
def test_along_a_curved_boundary_f_may_fall_by_the_fourth_power(bend, kind):
    """On x_1 = x_0^2 - b x_0^4, f = x_1 - x_0^2 is -b x_0^4; at the points inside it is above."""
    answer = qed.verdict(
        lambda x: x[1] - x[0] ** 2, jnp.zeros(2), inequality=lambda x: x[1] - x[0] ** 2 + bend * x[0] ** 4
    )
    assert answer.value.kind == kind and answer.standing == ("PROVED" if bend < 0 else "MEASURED")


def test_a_disc_and_a_plane_beyond_it_are_in_conflict_without_a_warning():
    def disc(x):
        return 1 - x @ x

    answer = qed.minimize(lambda x: x[0], jnp.zeros(2), equality=lambda x: x[0] - 3, inequality=disc)
    assert str(answer.reason) == "infeasible" and answer.proved and answer.check()


def test_a_long_chain_of_affine_rows_in_conflict_is_proved_to_be():
    def rows(x):
        return {"climb": x[1:] - x[:-1] - 0.01, "top": 5 - x[-1], "bottom": x[0]}

    answer = qed.minimize(lambda x: jnp.sum(x**2), jnp.zeros(800), inequality=rows)
    assert answer.reason == "infeasible" and answer.proved
