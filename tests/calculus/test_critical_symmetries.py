"""qed.critical_point: units that are the same, dead, or can be exchanged, at points where a network fits its data."""

# pyright: reportOptionalMemberAccess=false, reportArgumentType=false

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.calculus.points.case import Case
from qed.calculus.points.symmetries import _unmoved, exchanges, motions, starts
from qed.graph.function import read

DRAW = np.random.default_rng(4)
POSITIVE = jnp.asarray(DRAW.uniform(0.5, 1.5, (6, 2)), jnp.float32)


def told(answer):
    return [reason.text for reason in answer.reasons]


def test_twins_share_what_leaves_them():
    net = lambda w: jnp.tanh(POSITIVE @ w["a"]) @ w["b"]  # noqa: E731
    w = {"a": jnp.array([[0.5, 0.5], [-0.25, -0.25]]), "b": jnp.array([[1.0], [-1.0]])}
    answer = qed.critical_point(lambda w: jnp.sum(net(w) ** 2), w)
    assert answer.kind == "degenerate"
    assert any("units 0 and 1 are the same (w['a'])" in text for text in told(answer))


def test_curvature_that_roundings_of_the_targets_leave_makes_no_saddle():
    random = np.random.default_rng(1)
    x, a, b = (jnp.asarray(random.standard_normal(shape), jnp.float32) for shape in ((6, 1), (1, 1), 2))
    net = lambda w: jnp.tanh(x @ w["a"]) @ w["b"]  # noqa: E731
    w = {"a": jnp.concatenate([a, a], 1), "b": b}
    target = net(w) * (1 - 1e-7)
    answer = qed.critical_point(lambda w: jnp.sum((net(w) - target) ** 2), w)
    assert answer.curvatures[0] < -1e-11 and answer.kind == "degenerate" and answer.nature in ("", "minimum")


@pytest.mark.slow
def test_a_dead_unit_is_named_and_living_ones_are_not():
    x = jnp.asarray(DRAW.integers(4, 12, (40, 3)) / 8, jnp.float32)
    net = lambda w: jax.nn.relu(x @ w["a"]) @ w["b"]  # noqa: E731
    w = {"a": jnp.asarray(DRAW.integers(2, 5, (3, 4)) / 4, jnp.float32).at[:, 1].set(-1.0), "b": jnp.ones((4, 1))}
    target = net(w)
    fun = lambda w: jnp.sum((net(w) - target) ** 2)  # noqa: E731
    case = Case(fun, w, (), read(fun, w))
    places = starts(case, case.point)
    found = [m.name for m in motions(case, case.point, single=False) if _unmoved(case, m, places)]
    assert [name.split(" is")[0] for name in found if "is dead" in name] == ["unit 1"]
    answer = qed.critical_point(fun, w)
    assert answer.kind == "degenerate" and any("nothing depends on w['a'][0, 1]" in text for text in told(answer))


def test_units_that_can_be_exchanged_are_counted_and_others_are_not():
    w = {"a": jnp.asarray(DRAW.standard_normal((2, 3)), jnp.float32), "b": jnp.asarray(DRAW.standard_normal((3, 1))),
         "c": jnp.asarray(DRAW.standard_normal(3), jnp.float32)}  # fmt: skip
    w = jax.tree.map(lambda a: a.astype(jnp.float32), w)

    def sentences(fun):
        case = Case(fun, w, (), read(fun, w))
        return exchanges(case, case.point)

    plain = sentences(
        lambda w: jnp.sum((jnp.tanh(POSITIVE @ w["a"] + w["c"]) @ w["b"] - 1.0) ** 2) + 0.1 * jnp.sum(w["c"])
    )
    assert len(plain) == 1 and "exchanging the 3 units between w['a'] and w['b']" in plain[0] and "3! = 6" in plain[0]
    unequal = jnp.array([1.0, 2.0, 3.0])
    assert not sentences(lambda w: jnp.sum((jnp.tanh(POSITIVE @ w["a"] + w["c"]) * unequal @ w["b"]) ** 2))


def test_a_point_that_only_symmetries_move_is_a_minimum():
    ring = lambda t: -jnp.sum(jnp.cos(jnp.roll(t, -1) - t))  # noqa: E731
    for turns, nature in ((1, "minimum"), (3, "maximum")):
        answer = qed.critical_point(ring, jnp.asarray(2 * np.pi * turns * np.arange(10) / 10, jnp.float32))
        assert answer.kind == "degenerate" and answer.nature == nature and answer.check()
        assert any("Morse-Bott" in reason.text for reason in answer.reasons) and "not a strict one" in answer.headline
    broken = lambda t: (t[0] - t[1]) ** 2 - 1e-15 * (t[0] + t[1] - 2) ** 6  # noqa: E731
    along = lambda t: t[2] ** 2 - (t[0] * t[1]) ** 2  # noqa: E731 - each of two ways changes nothing, both together do
    valley = lambda t: t[0] ** 2 + t[1] ** 2 * jnp.exp(t[2])  # noqa: E731 - no motion, not convex, nowhere below 0
    for sign, nature in ((1, "minimum"), (-1, "maximum")):
        answer = qed.critical_point(lambda t, sign=sign: sign * valley(t), np.zeros(3))
        assert answer.proved and answer.nature == nature and answer.check() and "nearby" in answer.headline
    assert qed.critical_point(broken, np.ones(2)).nature == "neither"
    assert qed.critical_point(along, np.zeros(3)).nature == "neither"


@pytest.mark.parametrize(
    ("fun", "at", "nature", "said"),
    [
        (lambda x: (x @ x - 1) ** 2, jnp.array([0.6, 0.8, 0.0]), "minimum", "turning x[0] and x[1] into each other"),
        (lambda x: -((x @ x - 1) ** 2), jnp.array([1.0, 0.0]), "maximum", "turning x[0] and x[1] into each other"),
        (lambda u: jnp.sum((u @ u.T - jnp.eye(2)) ** 2), jnp.eye(2), "minimum", "turning u[0, :] and u[1, :]"),
        (
            lambda p: jnp.sum((p["u"] @ p["v"] - jnp.diag(jnp.array([2.0, 1.0]))) ** 2),
            {"u": jnp.eye(2), "v": jnp.diag(jnp.array([2.0, 1.0]))},
            "minimum",
            "adding unit 0 to unit 1",
        ),
        (
            lambda p: jnp.sum((p["u"] @ p["v"] - jnp.ones((3, 3))) ** 2),  # a zero where more is flat than is moved
            {"u": jnp.eye(2)[jnp.zeros(3, int)], "v": jnp.eye(2)[:, jnp.zeros(3, int)]},
            "minimum",  # f is a square and 0 there
            "adding unit 0 to unit 1",
        ),
        (lambda x: (x[0] - x[1]) ** 2 - jnp.sin(5 * jnp.pi * (x[0] + x[1])) ** 6, jnp.zeros(2), "neither", ""),
        (
            lambda w: (w[0, 0] - w[0, 1]) ** 2 + (w[1, 0] - w[1, 1]) ** 2 - (jnp.sum(w[0]) * jnp.sum(w[1])) ** 6,
            jnp.zeros((2, 2)),
            "",
            "are zero",
        ),
        (lambda x: (x @ x - 1) ** 2 + 1e-3 * (x[0] - 1) ** 4, jnp.array([1.0, 0.0]), "minimum", ""),
    ],
    ids=["sphere", "maximum", "rows", "product", "rank one of two", "period", "one by one", "broken"],
)
def test_what_is_turned_and_mixed_is_no_strict_extremum(fun, at, nature, said):
    answer = qed.critical_point(fun, at)
    assert str(answer.value.kind) == "degenerate" and answer.value.nature == nature
    assert any(said in (reason.text or "") for reason in answer.reasons)
    assert said or not any("changes nothing" in (reason.text or "") for reason in answer.reasons)


def test_what_is_only_saturated_is_no_symmetry():
    """Slopes of e^-200 are 0 in float32: to add a number to all logits changes nothing, to add it to one does."""
    for fun, flat in ((lambda w: jnp.tanh(w[0]) * w[2] - w[2], ()), (lambda w: -jax.nn.log_softmax(w)[0], ("adding",))):
        answer = qed.critical_point(fun, np.array([150.0, -50.0, 0.0], np.float32))
        names = [way.why for way in answer.value.directions if way.why]
        assert [name.split()[0] for name in names if "w[1] nearby" not in name] == list(flat), answer
