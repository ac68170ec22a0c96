"""Minimising under constraints: classics with known minima and multipliers, degenerate cases, bad input.

The problems are from Hock and Schittkowski, *Test Examples for Nonlinear Programming Codes*, 1981, by their numbers.
"""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.errors import QedError
from qed.optimization.constrained import uno

R2, R3, R7 = 2**0.5, 3**0.5, 7**0.5
CUBIC = float(max(np.roots([2.0, 0.0, 1.0, -5.0]).real))
"""The real root of 2 x^3 + x = 5: at the minimum of HS11 the multiplier is 2 x^2."""


@dataclass(frozen=True)
class Case:
    """A problem with its least value, and, where they are known by hand, the point and the multipliers."""

    f: Any
    start: Any
    least: float
    h: Any = None
    g: Any = None
    bounds: Any = None
    at: Any = None
    y: Any = None
    slow: bool = True


def quadratic(x):
    return (x[0] - 2) ** 2 + (x[1] - 1) ** 2


def box3(x):
    return -x[0] * x[1] * x[2]


def rosen_suzuki(x):
    return x[0] ** 2 + x[1] ** 2 + 2 * x[2] ** 2 + x[3] ** 2 - 5 * x[0] - 5 * x[1] - 21 * x[2] + 7 * x[3]


def rosen_suzuki_rows(x):
    a, b, c, d = x
    return jnp.array(
        [
            8 - a**2 - b**2 - c**2 - d**2 - a + b - c + d,
            10 - a**2 - 2 * b**2 - c**2 - 2 * d**2 + a + d,
            5 - 2 * a**2 - b**2 - c**2 - 2 * a + b + d,
        ]
    )


def powell_rows(x):
    return jnp.array([x @ x - 10, x[1] * x[2] - 5 * x[3] * x[4], x[0] ** 3 + x[1] ** 3 + 1])


def hs76(x):
    a, b, c, d = x
    return a**2 + b**2 / 2 + c**2 + d**2 / 2 - a * c + c * d - a - 3 * b + c - d


def hs76_rows(x):
    a, b, c, d = x
    return jnp.array([5 - a - 2 * b - c - d, 4 - 3 * a - b - 2 * c + d, b + 4 * c - 1.5])


def hs35(x):
    a, b, c = x
    return 9 - 8 * a - 6 * b - 4 * c + 2 * a**2 + 2 * b**2 + c**2 + 2 * a * b + 2 * a * c


def hs100(x):
    a, b, c, d, e, f, g = x
    first = (a - 10) ** 2 + 5 * (b - 12) ** 2 + c**4 + 3 * (d - 11) ** 2
    return first + 10 * e**6 + 7 * f**2 + g**4 - 4 * f * g - 10 * f - 8 * g


def hs100_rows(x):
    a, b, c, d, e, f, g = x
    return jnp.array(
        [
            127 - 2 * a**2 - 3 * b**4 - c - 4 * d**2 - 5 * e,
            282 - 7 * a - 3 * b - 10 * c**2 - d + e,
            196 - 23 * a - b**2 - 6 * f**2 + 8 * g,
            -4 * a**2 - b**2 + 3 * a * b - 2 * c**2 - 5 * f + 11 * g,
        ]
    )


CASES = {
    "HS6": Case(
        lambda x: (1 - x[0]) ** 2, [-1.2, 1.0], 0.0, h=lambda x: 10 * (x[1] - x[0] ** 2), at=[1, 1], y=[0], slow=False
    ),
    "HS7": Case(
        lambda x: jnp.log(1 + x[0] ** 2) - x[1], [2.0, 2.0], -R3, h=lambda x: (1 + x[0] ** 2) ** 2 + x[1] ** 2 - 4,
        at=[0, R3], y=[-0.5 / R3], slow=False,
    ),
    "HS9": Case(
        lambda x: jnp.sin(jnp.pi * x[0] / 12) * jnp.cos(jnp.pi * x[1] / 16), [0.0, 0.0], -0.5,
        h=lambda x: 4 * x[0] - 3 * x[1],
    ),
    "HS10": Case(
        lambda x: x[0] - x[1], [-10.0, 10.0], -1.0, g=lambda x: -3 * x[0] ** 2 + 2 * x[0] * x[1] - x[1] ** 2 + 1,
        at=[0, 1], y=[0.5],
    ),
    "HS11": Case(
        lambda x: (x[0] - 5) ** 2 + x[1] ** 2 - 25, [4.9, 0.1], -8.4984642, g=lambda x: x[1] - x[0] ** 2,
        y=[2 * CUBIC**2],
    ),
    "HS12": Case(
        lambda x: x[0] ** 2 / 2 + x[1] ** 2 - x[0] * x[1] - 7 * x[0] - 7 * x[1], [0.0, 0.0], -30.0,
        g=lambda x: 25 - 4 * x[0] ** 2 - x[1] ** 2, at=[2, 3], y=[0.5], slow=False,
    ),
    "HS14": Case(
        quadratic, [2.0, 2.0], 9 - 2.875 * R7, h=lambda x: x[0] - 2 * x[1] + 1,
        g=lambda x: 1 - x[0] ** 2 / 4 - x[1] ** 2, at=[(R7 - 1) / 2, (R7 + 1) / 4], slow=False,
    ),
    "HS15": Case(
        lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2, [-2.0, 1.0], 306.5,
        g=lambda x: jnp.array([x[0] * x[1] - 1, x[0] + x[1] ** 2]), bounds=(None, jnp.array([0.5, jnp.inf])),
        at=[0.5, 2], y=[700, 0], slow=False,
    ),
    "HS21": Case(
        lambda x: 0.01 * x[0] ** 2 + x[1] ** 2 - 100, [-1.0, -1.0], -99.96, g=lambda x: 10 * x[0] - x[1] - 10,
        bounds=(jnp.array([2.0, -50.0]), 50.0), at=[2, 0], y=[0],
    ),
    "HS22": Case(
        quadratic, [2.0, 2.0], 1.0, g=lambda x: jnp.array([2 - x[0] - x[1], x[1] - x[0] ** 2]), at=[1, 1],
        y=[2 / 3, 2 / 3], slow=False,
    ),
    "HS24": Case(
        lambda x: ((x[0] - 3) ** 2 - 9) * x[1] ** 3 / (27 * R3), [1.0, 0.5], -1.0,
        g=lambda x: jnp.array([x[0] / R3 - x[1], x[0] + R3 * x[1], 6 - x[0] - R3 * x[1]]), bounds=(0, None), at=[3, R3],
    ),
    "HS28": Case(
        lambda x: (x[0] + x[1]) ** 2 + (x[1] + x[2]) ** 2, [-4.0, 1.0, 1.0], 0.0,
        h=lambda x: x[0] + 2 * x[1] + 3 * x[2] - 1, at=[0.5, -0.5, 0.5], y=[0],
    ),
    "HS29": Case(
        box3, [1.0, 1.0, 1.0], -16 * R2, g=lambda x: 48 - x[0] ** 2 - 2 * x[1] ** 2 - 4 * x[2] ** 2, y=[1 / R2]
    ),
    "HS31": Case(
        lambda x: 9 * x[0] ** 2 + x[1] ** 2 + 9 * x[2] ** 2, [1.0, 1.0, 1.0], 6.0, g=lambda x: x[0] * x[1] - 1,
        bounds=(jnp.array([-10.0, 1.0, -10.0]), jnp.array([10.0, 10.0, 1.0])), at=[1 / R3, R3, 0], y=[6],
    ),
    "HS34": Case(
        lambda x: -x[0], [0.0, 1.05, 2.9], -np.log(np.log(10)), bounds=(0, jnp.array([100.0, 100.0, 10.0])),
        g=lambda x: jnp.array([x[1] - jnp.exp(x[0]), x[2] - jnp.exp(x[1])]), at=[np.log(np.log(10)), np.log(10), 10],
    ),
    "HS35": Case(
        hs35, [0.5, 0.5, 0.5], 1 / 9, g=lambda x: 3 - x[0] - x[1] - 2 * x[2], bounds=(0, None),
        at=[4 / 3, 7 / 9, 4 / 9], y=[2 / 9], slow=False,
    ),
    "HS36": Case(
        box3, [10.0, 10.0, 10.0], -3300.0, g=lambda x: 72 - x[0] - 2 * x[1] - 2 * x[2],
        bounds=(0, jnp.array([20.0, 11.0, 42.0])), at=[20, 11, 15], y=[110],
    ),
    "HS37": Case(
        box3, [10.0, 10.0, 10.0], -3456.0, bounds=(0, 42), at=[24, 12, 12], y=[144, 0],
        g=lambda x: jnp.array([72 - x[0] - 2 * x[1] - 2 * x[2], x[0] + 2 * x[1] + 2 * x[2]]),
    ),
    "HS39": Case(
        lambda x: -x[0], [2.0] * 4, -1.0, at=[1, 1, 0, 0], y=[1, 1],
        h=lambda x: jnp.array([x[1] - x[0] ** 3 - x[2] ** 2, x[0] ** 2 - x[1] - x[3] ** 2]),
    ),
    "HS40": Case(
        lambda x: -jnp.prod(x), [0.8] * 4, -0.25,
        h=lambda x: jnp.array([x[0] ** 3 + x[1] ** 2 - 1, x[0] ** 2 * x[3] - x[2], x[3] ** 2 - x[1]]),
    ),
    "HS42": Case(
        lambda x: jnp.sum((x - jnp.arange(1.0, 5.0)) ** 2), [1.0] * 4, 28 - 10 * R2,
        h=lambda x: jnp.array([x[0] - 2, x[2] ** 2 + x[3] ** 2 - 2]), at=[2, 2, 0.6 * R2, 0.8 * R2],
        y=[2, 1 - 3 / (0.6 * R2)],
    ),
    "HS43": Case(rosen_suzuki, [0.0] * 4, -44.0, g=rosen_suzuki_rows, at=[0, 1, 2, -1], y=[1, 0, 2], slow=False),
    "HS48": Case(
        lambda x: (x[0] - 1) ** 2 + (x[1] - x[2]) ** 2 + (x[3] - x[4]) ** 2, [3.0, 5.0, -3.0, 2.0, -2.0], 0.0,
        h=lambda x: jnp.array([jnp.sum(x) - 5, x[2] - 2 * (x[3] + x[4]) + 3]), at=[1] * 5, y=[0, 0],
    ),
    "HS52": Case(
        lambda x: (4 * x[0] - x[1]) ** 2 + (x[1] + x[2] - 2) ** 2 + (x[3] - 1) ** 2 + (x[4] - 1) ** 2, [2.0] * 5,
        1859 / 349, h=lambda x: jnp.array([x[0] + 3 * x[1], x[2] + x[3] - 2 * x[4], x[1] - x[4]]),
    ),
    "HS63": Case(
        lambda x: 1000 - x[0] ** 2 - 2 * x[1] ** 2 - x[2] ** 2 - x[0] * x[1] - x[0] * x[2], [2.0] * 3, 961.7151721,
        h=lambda x: jnp.array([8 * x[0] + 14 * x[1] + 7 * x[2] - 56, x @ x - 25]), bounds=(0, None),
    ),
    "HS66": Case(
        lambda x: 0.2 * x[2] - 0.8 * x[0], [0.0, 1.05, 2.9], 0.5181632741, bounds=(0, jnp.array([100.0, 100.0, 10.0])),
        g=lambda x: jnp.array([x[1] - jnp.exp(x[0]), x[2] - jnp.exp(x[1])]),
    ),
    "HS71": Case(
        lambda x: x[0] * x[3] * (x[0] + x[1] + x[2]) + x[2], [1.0, 5.0, 5.0, 1.0], 17.0140173, h=lambda x: x @ x - 40,
        g=lambda x: jnp.prod(x) - 25, bounds=(1, 5), at=[1, 4.7429994, 3.8211503, 1.3794082], slow=False,
    ),
    "HS76": Case(hs76, [0.5] * 4, -4.681818182, g=hs76_rows, bounds=(0, None)),
    "HS78": Case(jnp.prod, [-2.0, 1.5, 2.0, -1.0, -1.0], -2.91970041, h=powell_rows),
    "HS100": Case(hs100, [1.0, 2.0, 0.0, 4.0, 0.0, 1.0, 1.0], 680.6300573, g=hs100_rows),
}  # fmt: skip


def solve(case, **options):
    start = jnp.array(case.start)
    return qed.minimize(case.f, start, equality=case.h, inequality=case.g, bounds=case.bounds, **options)


NAMED = [pytest.param(name, marks=pytest.mark.slow if case.slow else ()) for name, case in CASES.items()]


@pytest.mark.parametrize("name", NAMED)
def test_classics_are_solved_to_the_last_digits_with_their_multipliers(name):
    case = CASES[name]
    answer = solve(case)
    assert answer.reason in ("minimum", "flat_minimum")
    assert answer.measured or (answer.proved and answer.reason == "minimum" and answer.check())
    assert answer.verdict.residuals.largest <= 1e-9
    np.testing.assert_allclose(answer.fun, case.least, rtol=1e-7, atol=1e-8)
    if case.at is not None:
        np.testing.assert_allclose(answer.x, case.at, rtol=1e-5, atol=1e-5)
    if case.y is not None:
        y = answer.multipliers.inequality if case.h is None else answer.multipliers.equality
        np.testing.assert_allclose(np.ravel(y), case.y, rtol=1e-6, atol=1e-7)
    assert answer.check()


@pytest.mark.parametrize("engine", ["slsqp", "trust-constr", *(["uno-sqp", "uno-ipm"] if uno.available() else [])])
def test_each_solver_by_itself_ends_at_the_same_digits(engine):
    answer = solve(CASES["HS43"], method=engine)
    assert answer.value.method == engine
    assert answer.verdict.residuals.largest <= 1e-9
    np.testing.assert_allclose(answer.multipliers.inequality, [1, 0, 2], atol=1e-8)


def test_multipliers_have_the_shape_of_what_the_constraints_return():
    answer = qed.minimize(
        lambda x, price: x["a"] @ price + x["b"] ** 2, {"a": jnp.ones(2), "b": jnp.float32(1.0)}, jnp.array([2.0, 3.0]),
        equality=lambda x, price: {"sum": x["a"].sum() - x["b"]}, inequality=lambda x, price: (x["a"], 5.0 - x["b"]),
    )  # fmt: skip
    assert answer.reason == "minimum"
    assert float(answer.x["b"]) == pytest.approx(0.0, abs=1e-6)
    assert float(answer.multipliers.equality["sum"]) == pytest.approx(0.0, abs=1e-6)
    found = answer.multipliers.inequality
    np.testing.assert_allclose(found[0], [2.0, 3.0], atol=1e-6)
    assert found[1].shape == ()


def test_the_price_is_the_slope_of_the_least_value():
    def least(b):
        return solve(Case(quadratic, [2.0, 2.0], 0, g=lambda x: jnp.array([2 - x[0] - x[1] - b, x[1] - x[0] ** 2])))

    slope = (least(1e-3).fun - least(-1e-3).fun) / 2e-3
    assert float(least(0.0).multipliers.inequality[0]) == pytest.approx(slope, rel=1e-4)


DEGENERATE = {
    "duplicate rows": (
        lambda x: jnp.sum((x - 2) ** 2), {"equality": lambda x: (x[0] + x[1] - 1, 2 * x[0] + 2 * x[1] - 2)}, "minimum"
    ),
    "in conflict": (lambda x: x @ x, {"inequality": lambda x: {"high": x[0] - 1, "low": -x[0]}}, "infeasible"),
    "in conflict with a bound": (
        lambda x: x @ x, {"inequality": lambda x: x[0] - 6, "bounds": (0, 5), "max_steps": 30}, "infeasible"
    ),
    "curved and in conflict": (jnp.sum, {"equality": lambda x: (x @ x - 1, x[0] + x[1] - 3)}, "infeasible"),
    "no multiplier exists": (lambda x: x[0], {"equality": lambda x: (x @ x) ** 2}, "no_kkt_point"),
    "a cusp": (
        lambda x: (x[0] - 2) ** 2 + x[1] ** 2,
        {"inequality": lambda x: (1 - x[0]) ** 3 - x[1], "bounds": (0, None), "max_steps": 200}, "no_kkt_point",
    ),
    "no end": (lambda x: x[0] - x[1] ** 2, {"inequality": lambda x: x[0]}, "unbounded_below"),
    "a saddle at the start": (
        lambda x: x[0] ** 2 - (x[1] - 1) ** 2 + (x[1] - 1) ** 4, {"equality": lambda x: x[0] - 1.0}, "minimum"
    ),
    "one point is feasible": (lambda x: x[0] + x[1] ** 2, {"inequality": lambda x: -((x[0] - 1) ** 2)}, "no_kkt_point"),
    "complementarity": (
        lambda x: (x[0] - 1) ** 2 + (x[1] - 1) ** 2 + x[0], {"inequality": lambda x: -x[0] * x[1], "bounds": (0, None)},
        "minimum",
    ),
    "a face of solutions": (
        lambda x: -x[0] - x[1], {"inequality": lambda x: 4 - x[0] - x[1], "bounds": (0, None)}, "flat_minimum"
    ),
    "a corner": (lambda x: x[0] + 0.1 * x[1], {"inequality": lambda x: x[0] - jnp.abs(x[1] - 0.5)}, "kink"),
    "a row without x that fails": (lambda x: x @ x, {"equality": lambda x: (x[0] - 1, jnp.float32(1))}, "infeasible"),
    "a row without x that holds": (lambda x: x @ x, {"equality": lambda x: (x[0] - 1, jnp.float32(0))}, "minimum"),
}  # fmt: skip
SLOW = ("curved and in conflict", "no multiplier exists", "a cusp", "complementarity", "one point is feasible")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in DEGENERATE]
)
def test_degenerate_problems_are_called_what_they_are(name):
    fun, options, kind = DEGENERATE[name]
    answer = qed.minimize(fun, jnp.array([1.0, 1.0]), **options)
    assert answer.reason == kind, answer.headline
    assert answer.unknown == (kind in ("undecided", "kink"))
    if not answer.unknown:
        assert answer.check()
    told = answer.headline + " ".join(reason.text or "" for reason in answer.reasons)
    if name == "in conflict":
        assert "inequality['high']" in answer.headline and "inequality['low']" in answer.headline
    if name == "in conflict with a bound":
        assert "upper bound of x[0]" in answer.headline and "x[1]" not in answer.headline
    if "without x" in name:
        assert "equality[1] does not depend on" in told


def test_outside_the_domain_solvers_step_back_and_it_is_told_where():
    def f(x):
        return x[0] - jnp.log(x[0])

    answer = qed.minimize(f, jnp.array([5.0]), inequality=lambda x: 10.0 - x[0])
    assert answer.reason == "minimum"
    assert float(answer.x[0]) == pytest.approx(1.0)
    with pytest.raises(QedError) as caught:
        qed.minimize(lambda x: x @ x, jnp.array([-5.0]), inequality=lambda x: jnp.sqrt(x[0]))
    assert caught.value.code == "QED006"
    assert caught.value.what == "inequality is nan at the start"
    assert "sqrt" in caught.value.because


def test_without_uno_the_solvers_of_scipy_take_over(monkeypatch):
    monkeypatch.setattr(uno, "available", lambda: False)
    answer = solve(CASES["HS22"])
    assert answer.value.method == "slsqp"
    np.testing.assert_allclose(answer.multipliers.inequality, [2 / 3, 2 / 3], atol=1e-9)


def test_more_starts_find_the_lower_of_two_minima():
    problem = {"inequality": lambda x: 4 - x[0] ** 2}
    assert qed.minimize(lambda x: x[0] + x[0] ** 2 * 0 - x[0] ** 2, jnp.array([1.0]), **problem).fun == pytest.approx(
        -2
    )
    assert qed.minimize(lambda x: x[0] - x[0] ** 2, jnp.array([1.0]), starts=6, **problem).fun == pytest.approx(-6)


@pytest.mark.slow
@pytest.mark.parametrize("n", [500, 240])
def test_many_parameters_are_solved_and_proved_by_sparse_matrices(n, monkeypatch):
    """LUKVLE1 of Luksan and Vlcek, *Sparse and partially separable test problems*, 1999; the smaller by SciPy alone."""
    if n == 240:
        monkeypatch.setattr(uno, "available", lambda: False)

    def f(x):
        return jnp.sum(100 * (x[:-1] ** 2 - x[1:]) ** 2 + (x[:-1] - 1) ** 2)

    def h(x):
        a, b, c = x[:-2], x[1:-1], x[2:]
        return 3 * b**3 + 2 * c - 5 + jnp.sin(b - c) * jnp.sin(b + c) + 4 * b - a * jnp.exp(a - b) - 3

    answer = qed.minimize(f, jnp.where(jnp.arange(n) % 2 == 0, -1.2, 1.0), equality=h)
    assert answer.reason == "minimum" and answer.proved and answer.certificate.kind == "sparse KKT point"
    assert answer.fun == pytest.approx(6.2324586, rel=1e-7)
    assert answer.multipliers.equality.shape == (n - 2,)
    assert any(f"{3 * n - 2:,} entries" in (reason.text or "") for reason in answer.reasons)


@pytest.mark.slow
def test_inequalities_and_bounds_of_a_sparse_problem_hold_with_force_in_its_proof():
    """A string over an obstacle, its first end held up by a bound."""
    n = 202
    obstacle = 0.3 * np.sin(6 * np.arange(0, n, 2) / n) ** 2 - 0.1
    answer = qed.minimize(
        lambda x: n * jnp.sum((x[1:] - x[:-1]) ** 2) + x[0] ** 2 + x[-1] ** 2 + 0.1 * jnp.sum(x), jnp.zeros(n),
        inequality=lambda x: x[::2] - obstacle, bounds=(jnp.full(n, -0.3).at[0].set(0.01), None),
    )  # fmt: skip
    made = answer.certificate
    assert answer.proved and made.kind == "sparse KKT point" and answer.check()
    assert made.at_lower == (0,) and 0 < len(made.rows) < n // 2


@pytest.mark.skipif(not uno.available(), reason="the count is Uno's")
def test_beside_the_solution_the_first_step_sees_how_the_constraint_bends():
    """Maratos: the slope at the start is almost the constraint's, and so the multiplier is known there."""
    answer = qed.minimize(lambda x: 10 * (x @ x - 1) - x[0], jnp.array([1.1, 0.1]), equality=lambda x: x @ x - 1)
    assert answer.proved and answer.counts["values"] <= 7


def test_a_flat_kkt_point_that_is_no_minimum_is_left():
    """HS41: at x = 0 every first and second derivative says nothing, and f falls to third order."""
    answer = qed.minimize(
        lambda x: 2 - x[0] * x[1] * x[2], jnp.array([2.0, 2.0, 2.0, 2.0]),
        equality=lambda x: x[0] + 2 * x[1] + 2 * x[2] - x[3], bounds=(0, jnp.array([1.0, 1.0, 1.0, 2.0])),
    )  # fmt: skip
    assert answer.reason == "minimum"
    assert answer.fun == pytest.approx(52 / 27)
