"""`qed.why` of a problem with constraints: the point, where a solver ends from there, and the prices."""

import jax.numpy as jnp
import pytest

import qed
from qed.errors import QedError


def cost(x, centre):
    return (x[0] - centre) ** 2 + (x[1] - 1) ** 2


def room(x, centre):
    return {"room": 2 - x[0] - x[1]}


def test_a_solution_is_told_with_its_price():
    answer = qed.why(qed.Problem(cost, at=jnp.array([1.5, 0.5]), args=(2.0,), inequality=room))
    assert answer.proved and answer.check() and answer.verdict == "healthy" and not answer.findings
    assert "inequality['room'] costs 1" in answer.answers[-1].headline


def test_of_another_point_it_is_told_what_it_is_and_where_a_solver_ends():
    problem = qed.Problem(
        lambda x, c: (cost(x, c), "more"), at=jnp.zeros(2), args=(2.0,), inequality=room, has_aux=True
    )
    answer = qed.why(problem)
    assert answer.proved and answer.check() and answer.verdict == "healthy"
    assert (
        answer.headline.startswith("The point itself: Not a KKT point") and "From there: The global" in answer.headline
    )


def test_constraints_in_conflict_are_found():
    answer = qed.why(qed.Problem(cost, at=jnp.zeros(2), args=(2.0,), inequality=lambda x, c: (x[0] - 1, -x[0])))
    assert answer.proved and answer.check() and answer.verdict == "undecided"
    assert [finding.code for finding in answer.findings] == ["QED504"]


def test_bounds_alone_are_constraints_too():
    answer = qed.why(qed.Problem(cost, at=jnp.zeros(2), args=(2.0,), bounds=(1.0, 1.5)))
    assert answer.verdict == "healthy" and "upper bound of x[0]" in answer.answers[-1].headline


def test_a_step_rule_under_constraints_is_refused():
    with pytest.raises(QedError, match="together with step") as caught:
        qed.why(qed.Problem(cost, at=jnp.zeros(2), args=(2.0,), bounds=(1.0, 1.5), step=0.1))
    assert caught.value.code == "QED009"
