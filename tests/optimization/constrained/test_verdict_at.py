"""What a point is under constraints, whoever found it: minima, points that are none, multipliers that are wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import qed
from qed.errors import QedError


def f(x):
    return (x[0] - 2) ** 2 + (x[1] - 1) ** 2


def g(x):
    return jnp.array([2 - x[0] - x[1], x[1] - x[0] ** 2])


RIGHT, WRONG = {"inequality": np.array([2 / 3, 2 / 3])}, {"inequality": np.array([-2 / 3, 2 / 3])}


@pytest.mark.parametrize(
    ("at", "multipliers", "kind"),
    [
        ([1.0, 1.0], None, "minimum"),
        ([1.0, 1.0], RIGHT, "minimum"),
        ([1.0, 1.0], WRONG, "not_stationary"),
        ([0.5, 0.5], None, "not_stationary"),
        ([2.0, 2.0], None, "infeasible"),
    ],
)
def test_a_point_is_called_what_it_is(at, multipliers, kind):
    answer = qed.verdict(f, jnp.array(at), inequality=g, multipliers=multipliers)
    assert answer.kind == kind
    assert answer.standing == ("PROVED" if kind == "minimum" else "MEASURED") and answer.check()
    assert ("inequality[0]" in answer.headline) == (kind == "infeasible")


def test_a_result_of_scipy_is_judged_and_so_is_what_minimize_returns():
    def value(x):
        return float((x[0] - 2) ** 2 + (x[1] - 1) ** 2)

    def rows(x):
        return np.array([2 - x[0] - x[1], x[1] - x[0] ** 2])

    found = scipy.optimize.minimize(value, [0.0, 0.0], constraints={"type": "ineq", "fun": rows})
    assert qed.verdict(f, found, inequality=g).kind == "minimum"
    answer = qed.minimize(f, jnp.array([2.0, 2.0]), inequality=g)
    assert qed.verdict(f, answer.x, inequality=g, multipliers=answer.multipliers).kind == "minimum"


def test_dependent_gradients_leave_multipliers_open_and_the_range_is_told():
    answer = qed.verdict(
        lambda x: jnp.sum((x - 2) ** 2), jnp.array([0.5, 0.5]), equality=lambda x: (x[0] + x[1] - 1,),
        inequality=lambda x: 1 - x[0] - x[1],
    )  # fmt: skip
    assert answer.kind == "minimum"
    told = " ".join(reason.text or "" for reason in answer.reasons)
    assert "rank 1 of 2" in told and "inequality from 0 to infinity" in told
    assert "Mangasarian and Fromovitz fails: they are unbounded" in told


def test_multipliers_that_do_not_fit_are_told():
    with pytest.raises(QedError, match="1 numbers for 2 rows"):
        qed.verdict(f, jnp.ones(2), inequality=g, multipliers={"inequality": np.ones(1)})
    with pytest.raises(QedError, match="without constraints"):
        qed.verdict(f, jnp.ones(2), multipliers={"inequality": np.ones(1)})


DEGENERATE = {
    "a cusp": (
        lambda x: (x[0] - 2) ** 2 + x[1] ** 2, [1.0, 0.0],
        {"inequality": lambda x: (1 - x[0]) ** 3 - x[1], "bounds": (0, None)}, "no_kkt_point",
    ),
    "one feasible point": (lambda x: x[0], [0.0, 0.0], {"equality": lambda x: (x @ x) ** 2}, "no_kkt_point"),
    "doubled rows": (
        lambda x: jnp.sum((x - 2) ** 2), [1.0, 0.0], {"equality": lambda x: (x[0] + x[1] - 1, 2 * x[0] + 2 * x[1] - 2)},
        "not_stationary",
    ),
    "a doubled circle": (
        lambda x: x[0], [0.0, 1.0], {"equality": lambda x: (x @ x - 1, 2 * (x @ x) - 2)}, "not_stationary"
    ),
    "doubled rows and wrong multipliers": (
        lambda x: jnp.sum((x - 2) ** 2), [0.5, 0.5],
        {
            "equality": lambda x: (x[0] + x[1] - 1, 2 * x[0] + 2 * x[1] - 2),
            "multipliers": {"equality": np.array([1.0, 1.0])},
        },
        "not_stationary",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DEGENERATE)
def test_points_without_multipliers_are_told_from_points_that_are_merely_not_stationary(name):
    fun, at, options, kind = DEGENERATE[name]
    answer = qed.verdict(fun, jnp.array(at), **options)
    assert answer.kind == kind, answer.headline
    if kind == "no_kkt_point":
        assert any("Fritz John" in reason.rule for reason in answer.reasons)


@pytest.mark.parametrize(
    ("fun", "constraint", "kind"),
    [
        (lambda x: x[0] ** 2 + x[1] ** 2 - 5 * (x[0] != 0), lambda x: x[0] - x[1], "kink"),
        (lambda x: jnp.sum(x**2 - 2 * jax.lax.stop_gradient(x) ** 2), lambda x: x[0] - x[1], "stop_gradient"),
        (lambda x: x[0] ** 2 + x[1], lambda x: x[1] - 2 * jax.lax.stop_gradient(x[1]), "stop_gradient"),
    ],
    ids=["a jump", "a slope of f cut off", "a slope of a row cut off"],
)
def test_gradients_that_do_not_tell_the_values_are_not_believed(fun, constraint, kind):
    answer = qed.verdict(fun, jnp.zeros(2), equality=constraint)
    assert answer.kind == kind and answer.standing == "UNKNOWN"


def test_a_row_that_only_jumps_is_not_called_constant():
    answer = qed.minimize(lambda x: x @ x, jnp.full(2, -0.5), inequality=lambda x: jnp.floor(x[0]), bounds=(-1, 2))
    assert not any("not depend" in text for text in (answer.headline, *(reason.text for reason in answer.reasons)))
    assert answer.reason in ("undecided", "kink")


def test_a_row_behind_a_stop_gradient_is_not_called_constant():
    answer = qed.minimize(lambda x: x @ x, jnp.full(2, 0.5), inequality=lambda x: jax.lax.stop_gradient(x[0]) - 1)
    assert answer.reason == "undecided" and "not depend" not in answer.headline


def test_a_second_derivative_of_one_side_tells_no_minimum():
    answer = qed.verdict(lambda x: x[0] ** 2 - 2 * x[0] * jnp.abs(x[0]) + x[1] ** 2, jnp.zeros(2),
                         inequality=lambda x: x[1] + 1)  # fmt: skip
    assert answer.kind not in ("minimum", "flat_minimum")


def test_multipliers_of_another_convention_are_named():
    """min |w - 1|^2 on w1 + w2 = 1: y = -1 for L = f - y'c."""
    for given, says in ((1.0, "the signs of L = f + y'c"), (3.0, "others balance the gradient")):
        answer = qed.verdict(
            lambda w: jnp.sum((w - 1) ** 2), jnp.full(2, 0.5), equality=lambda w: w[0] + w[1] - 1,
            multipliers={"equality": [given]},
        )  # fmt: skip
        assert answer.kind == "not_stationary" and says in answer.headline and "judged by its own" in answer.headline


@pytest.mark.parametrize(
    ("fun", "at", "options", "kind"),
    [
        (lambda x: x[0], [1.0, 0.0], {"equality": lambda x: x @ x - 1}, "maximum"),
        (lambda x: -(x @ x), [0.0, 0.0], {"inequality": lambda x: x[0]}, "maximum"),  # held with no force
        (lambda x: x[0] - x @ x, [0.0, 0.0], {"inequality": lambda x: x[0]}, "saddle"),  # f rises off the plane
    ],
)
def test_where_all_free_directions_bend_down_it_is_a_maximum(fun, at, options, kind):
    answer = qed.verdict(fun, jnp.array(at), **options)
    assert answer.kind == kind and [one.code for one in answer.findings] == (["QED303"] if kind == "saddle" else [])


def test_under_a_transformation_it_is_said_that_numbers_are_not_known():
    above, start = {"inequality": lambda x: x[0] - 1}, jnp.zeros(2)
    for ask in (
        lambda x: qed.minimize(f, x, **above).x,
        lambda x: qed.verdict(f, x, **above).fun,
        lambda y: qed.minimize(lambda x: f(x - y), np.zeros(2), **above).x,
        lambda y: qed.minimize(f, np.zeros(2), inequality=lambda x: x - y).x,
    ):
        with pytest.raises(QedError, match="traced") as caught:
            jax.eval_shape(ask, start)
        assert caught.value.code == "QED010"


def test_the_weights_of_a_conflict_balance_the_gradients_as_they_are_written():
    answer = qed.minimize(
        lambda x: 0 * x[0], jnp.zeros(2), equality=lambda x: {"circle": x @ x - 1},
        inequality=lambda x: {"far": x[0] - 2},
    )  # fmt: skip
    # at (t, 0), 2 t times the weight of the circle has to be that of the plane
    t = float(answer.headline.split("at (")[1].split(",")[0])
    assert f"equality['circle'] by {t * t - 1:.3g}" in answer.headline
    assert f"equality['circle'] (weight {-1 / (2 * t):.3g})" in answer.headline


def test_at_a_kink_no_multipliers_are_told():
    ridge = {"inequality": lambda x: x[1] - jnp.maximum(x[0], -x[0])}
    answer = qed.verdict(lambda x: x[1], jnp.zeros(2), **ridge)
    assert answer.kind == "kink" and not any("held by" in str(reason.text) for reason in answer.reasons)
