"""Certificates of minima under constraints hold for what they say, and for nothing that differs from it."""

from dataclasses import replace

import flint
import jax.numpy as jnp
import numpy as np
import pytest

from qed.certificates.certificate import Certificate
from qed.certificates.kkt_point import KKTPoint
from qed.certificates.lagrangian import by_balls, by_padded
from qed.certificates.sparse_kkt import SparseKKT
from qed.certificates.stacked import stacked
from qed.errors import CertificateError
from qed.graph.trace import trace

INF = np.inf
KINDS = {"dense": (KKTPoint, {}), "sparse": (SparseKKT, {"shift": 0.7, "curvature": 0.6})}
CHOSEN = {"kind": "dense"}


@pytest.fixture(params=list(KINDS))
def kind(request, monkeypatch):
    """Both certificates are asked: the one of Krawczyk's test, and that of sparse systems."""
    monkeypatch.setitem(CHOSEN, "kind", request.param)
    return request.param


def problem(x):
    return x[0] + 2 * x[1] + jnp.exp(-x[2])


PROBLEM = stacked(problem, lambda x: x[0] ** 2 + x[1] ** 2 - 5, lambda x: (1 - x[2], x[0] + 100))


def about(fun, at, center, rows=(), equalities=0, half=1e-9, value=(-1e3, 1e3), **more):
    """The certificate of a point with one half-width for all that varies."""
    radius = np.full(len(center), half)
    for name in ("at_lower", "at_upper"):
        radius[list(more.get(name, ()))] = 0.0
    made, own = KINDS[CHOSEN["kind"]]
    return made.about(
        fun, jnp.array(at, float), (), equalities=equalities, rows=rows, center=center, radius=radius,
        distance=2 * half * len(center), value=value, **own, **more,
    )  # fmt: skip


def made():
    y = float(np.exp(-1.0))
    return about(
        PROBLEM, [-1.0, -2.0, 1.0], [-1.0, -2.0, 1.0, -0.5, y], rows=(0, 1), equalities=1, value=(-4.7, -4.6),
        bounds=([-5.0, -INF, -INF], [INF, INF, 7.0]),
    )  # fmt: skip


FALSE = {
    "function": "0" * 64,
    "point": (-1.0, -2.0, 1.5),
    "equalities": 0,
    "rows": (0,),
    "at_lower": (0,),
    "at_upper": (2,),
    "lower": (-1.0, -INF, -INF),
    "upper": (INF, INF, 0.5),
    "center": (-1.0, -2.0, 1.0, 0.5, 0.4),
    "radius": (1e-9, 1e-9, 1e-9, 1e-9, -1e-9),
    "distance": 0.0,
    "least": -4.61,
    "most": -4.69,
}


SPARSE = {"shift": 5.0, "curvature": 0.9}


def test_it_verifies_and_comes_back_from_json(kind):
    assert made().verify()
    assert Certificate.from_json(made().to_json()).verify(PROBLEM, jnp.zeros(3))


def test_a_false_claim_is_not_believed_with_or_without_a_fresh_seal(kind):
    true = made()
    for field, value in (FALSE if kind == "dense" else FALSE | SPARSE).items():
        changed = replace(true, **{field: value})
        for one in (changed, changed.sealed()):
            with pytest.raises(CertificateError):
                one.verify()


def test_it_is_about_one_problem():
    other = stacked(problem, lambda x: x[0] ** 2 + x[1] ** 2 - 5, lambda x: (1.5 - x[2], x[0] + 100))
    with pytest.raises(CertificateError, match="function"):
        made().verify(other, jnp.zeros(3))


def bowl(x):
    return x[0] ** 2 + x[1] ** 2


ATTACKS = {
    "a maximum on the circle": lambda: about(
        stacked(lambda x: x[0] + x[1], lambda x: bowl(x) - 2), [1, 1], [1, 1, 0.5], rows=(0,), equalities=1
    ),
    "a saddle between two minima": lambda: about(
        stacked(lambda x: -(x[0] ** 2) + x[1] ** 2, lambda x: x[1]), [0, 0], [0, 0, 0], rows=(0,), equalities=1
    ),
    "a multiplier of the wrong sign": lambda: about(
        stacked(bowl, None, lambda x: 1 - x[0]), [1, 0], [1, 0, -2], rows=(0,)
    ),
    "a constraint that holds with no force": lambda: about(
        stacked(bowl, None, lambda x: x[0]), [0, 0], [0, 0, 0], rows=(0,)
    ),
    "a bound that holds with no force": lambda: about(
        stacked(bowl), [0, 0], [0, 0], at_lower=(0,), bounds=([0, -INF], [INF, INF])
    ),
    "a bound that pushes the wrong way": lambda: about(
        stacked(lambda x: bowl(x) - 4 * x[0]), [1, 0], [1, 0], at_lower=(0,), bounds=([1, -INF], [INF, INF])
    ),
    "an active row left out": lambda: about(
        stacked(bowl, None, lambda x: (x[0] - 1, x[0] + x[1] - 1)), [1, 0], [1, 0, 2], rows=(0,)
    ),
    "a violated row left out": lambda: about(stacked(bowl, None, lambda x: x[0] - 1), [0, 0], [0, 0]),
    "an equality left out": lambda: about(stacked(bowl, lambda x: x[0] - 1), [0, 0], [0, 0], equalities=1),
    "an equality called an inequality": lambda: about(
        stacked(lambda x: x[0] + x[1], lambda x: 2 - bowl(x)), [1, 1], [1, 1, -0.5], rows=(0,)
    ),
    "one constraint twice": lambda: about(
        stacked(bowl, lambda x: (x[0] - 1, 2 * x[0] - 2)), [1, 0], [1, 0, 1, 0.5], rows=(0, 1), equalities=2
    ),
    "nearly one constraint twice": lambda: about(
        stacked(bowl, lambda x: (x[0] - 1, x[0] + 1e-14 * x[1] - 1)), [1, 0], [1, 0, 1, 1], rows=(0, 1), equalities=2
    ),
    "no curvature": lambda: about(stacked(lambda x: x[0] + x[1] ** 4, lambda x: x[0]), [0, 0], [0, 0, 1], (0,), 1),
    "a corner": lambda: about(
        stacked(lambda x: jnp.abs(x[0]) - 2 * x[1], None, lambda x: -x[1]), [0, 0], [0, 0, 2], rows=(0,)
    ),
    "a constraint with a corner": lambda: about(
        stacked(lambda x: bowl(x) + x[1], None, lambda x: x[1] - jnp.abs(x[0])), [0, 0], [0, 0, 1], rows=(0,)
    ),
    "no slope at the minimum": lambda: about(stacked(lambda x: x[0] + x[1] ** 2, lambda x: bowl(x)), [0, 0],
                                             [0, 0, 1e6], rows=(0,), equalities=1),
    "a row that may be undefined": lambda: about(
        stacked(bowl, None, lambda x: jnp.sqrt(x[0]) + 1), [0, 0], [0, 0]
    ),
    "an edge of the domain": lambda: about(
        stacked(lambda x: jnp.sum(x * jnp.log(x))), [0, 1], [0, 1], at_lower=(0,), bounds=([0, 0], [INF, INF])
    ),
    "infinite bounds that hold": lambda: about(stacked(bowl), [0, 0], [0, 0], at_lower=(0,)),
    "a jump at the lower bound that holds": lambda: about(
        stacked(lambda x: x[0] + (x[0] <= 0) + x[1] ** 2), [0, 0], [0, 0], at_lower=(0,), bounds=([0, -INF], [1, INF])
    ),
    "a jump at the upper bound that holds": lambda: about(
        stacked(lambda x: lower_below(x[0])), [1], [1], at_upper=(0,), bounds=([0], [1])
    ),
    "stop_gradient": lambda: about(
        stacked(lambda x: bowl(x) - 9 * stopped(x[0])), [0, 0], [0, 0]
    ),
}  # fmt: skip


def lower_below(x):
    import jax

    return -jax.lax.cond(x < 1, lambda u: u + 1, lambda u: u, x)


def stopped(x):
    import jax

    return jax.lax.stop_gradient(x) ** 2


@pytest.mark.parametrize("name", ATTACKS)
def test_what_is_no_strict_minimum_is_not_proved(name, kind, monkeypatch):
    for own in ({},) if kind == "dense" else ({"shift": 0.7, "curvature": 0.6}, {"shift": 1e-2, "curvature": 5e-3}):
        monkeypatch.setitem(KINDS, kind, (KINDS[kind][0], own))
        with pytest.raises(CertificateError):
            ATTACKS[name]().verify()


def test_half_widths_of_the_sparse_system_are_one_number():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CHOSEN, "kind", "sparse")
        changed = replace(made(), radius=(1e-9, 1e-9, 2e-9, 1e-9, 1e-9)).sealed()
    with pytest.raises(CertificateError, match="radius"):
        changed.verify()


def test_functions_without_a_rule_in_padded_intervals_are_proved_in_balls():
    fun = stacked(lambda x: x[0] ** 1.5 + jnp.arctan(x[1]), None, lambda x: (x[0] - 4, x[1] - x[0] + 2))
    assert about(fun, [4, 2], [4, 2, 3.2, 0.2], rows=(0, 1)).verify()


@pytest.mark.parametrize("encloses", [by_padded, by_balls])
def test_slopes_and_second_derivatives_are_the_same_from_one_pass_and_from_two(encloses):
    """Of L = f - 2 c_1, in all numbers at once, and in two of them beside the slopes in all."""
    traced = trace(
        stacked(lambda x: jnp.exp(x[0] * x[1]) + x[2] ** 3, None, lambda x: (x[0] - x[2], x[0] * x[1] * x[2])),
        np.ones(3),
    )
    x, y = np.array([0.5, -0.25, 2.0]), np.array([2.0])
    low, high = x - 1e-6, x + 1e-6
    all_of_it, part = (encloses(traced, np.array([1]), np.array(free))(low, high, y, y) for free in ([0, 1, 2], [0, 2]))
    e, p = np.exp(x[0] * x[1]), x[0] * x[1]
    slopes = [[x[1] * e, x[0] * e, 3 * x[2] ** 2], [1, 0, -1], [x[1] * x[2], x[0] * x[2], p]]
    bent = np.array([[x[1] ** 2 * e, (1 + p) * e, 0], [(1 + p) * e, x[0] ** 2 * e, 0], [0, 0, 6 * x[2]]])
    bent -= 2 * np.array([[0, x[2], x[1]], [x[2], 0, x[0]], [x[1], x[0], 0]])
    for found, free in ((all_of_it, [0, 1, 2]), (part, [0, 2])):
        for balls, true in ((found.slopes, np.array(slopes)), (found.hessian, bent[np.ix_(free, free)])):
            assert balls.shape == true.shape
            for ball, number in zip(balls.ravel(), true.ravel(), strict=True):
                assert ball.overlaps(flint.arb(float(number), 1e-12)) and float(ball.rad()) < 1e-3
