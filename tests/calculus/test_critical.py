"""qed.critical_point: the kinds of known points, what is proved of them, and what cannot be decided."""

# pyright: reportArgumentType=false, reportOperatorIssue=false, reportOptionalOperand=false
# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportOptionalSubscript=false

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.calculus.bounding.boxes import OnBoxes
from qed.calculus.points import located as locating
from qed.calculus.points.inertia import inertia
from qed.calculus.points.located import local, located, refined
from qed.certificates.certificate import Certificate
from qed.domains.intervals import Intervals
from qed.errors import QedError
from qed.graph.trace import trace
from tests.calculus.corpus_critical import NETWORKS, ONE, POINTS, SEVERAL, float32, rosenbrock
from tests.calculus.corpus_critical_fresh import FRESH, KINKS
from tests.calculus.corpus_critical_later import CORNERS, LATER
from tests.calculus.corpus_critical_models import MODELS
from tests.calculus.corpus_critical_physics import PHYSICS


def ask(known):
    return qed.critical_point(known.fun, known.at, *known.args)


@pytest.mark.parametrize("known", [*ONE, *SEVERAL, *NETWORKS], ids=lambda known: known.name)
def test_the_kind_of_a_known_point(known):
    answer = ask(known)
    assert answer.value.kind == known.kind
    assert answer.value.nature in ("", known.nature)
    assert answer.check()
    if known in ONE and known.degenerate:
        assert answer.value.nature == known.nature
        assert any("second-derivative test: f'' = 0" in reason.text for reason in answer.reasons)
    if known.kind in ("minimum", "maximum", "saddle") and not answer.value.flat:
        assert answer.proved
        assert answer.value.negative + answer.value.positive == len(answer.value.curvatures)


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: jnp.minimum(3 * x[0] ** 2, -(x[0] ** 2)),
        lambda x: jnp.maximum(-3 * x[0] ** 2, x[0] ** 2),
        lambda x: jnp.sort(jnp.stack([3 * x[0] ** 2, -(x[0] ** 2)]))[0],
        lambda x: jnp.clip(-(x[0] ** 2), 3 * x[0] ** 2, 1.0),
        lambda x: jnp.abs(x[0] ** 2) - 2 * jnp.abs(-(x[0] ** 2)),
        lambda x: jnp.minimum(x[0] ** 2, x[1] ** 2),
    ],
    ids=["minimum", "maximum", "sort", "clip", "abs", "two variables"],
)
def test_the_mean_of_two_curvatures_is_not_believed_where_arguments_are_equal(fun):
    assert qed.critical_point(fun, jnp.zeros(2)).value.kind in ("undecided", "degenerate")


def test_enough_of_them_are_there():
    assert len(POINTS) >= 40


@pytest.mark.slow
def test_the_kinds_of_points_held_out():
    unproved = []
    for known in FRESH:
        answer = ask(known)
        assert answer.value.kind == known.kind, known.name
        assert answer.value.nature in ("", known.nature), known.name
        assert answer.check(), known.name
        if not known.degenerate and not answer.proved:
            unproved.append(known.name)
    assert set(unproved) <= {"Beale"}
    for known in KINKS:
        answer = ask(known)
        assert answer.value.kind in ("undecided", known.kind), known.name
        assert answer.unknown or answer.check(), known.name


@pytest.mark.parametrize(
    ("fun", "x", "nature"),
    [
        (lambda x: x[0] ** 4 - 1e-10 * x[0] ** 3 + x[1] ** 2, np.zeros(2), "neither"),
        (lambda x: (1e5 * x[0]) ** 4 - 1e-4 * (1e5 * x[0]) ** 3 + x[1] ** 2, np.zeros(2), "neither"),
        (lambda x: 1e12 * x**6 - x**4, np.zeros(()), "maximum"),
        (lambda x: x**4 - 1e11 * x**5, np.zeros(()), "minimum"),
        (lambda x: jnp.expm1(1000 * x) - 1000 * x - (1000 * x) ** 2 / 2, np.zeros(()), "neither"),
        (lambda x: (3 * x - 1) ** 4, np.float64(1) / 3, "minimum"),
        (lambda x: x[0] ** 4 + 1e-10 * x[0] ** 3 + 1e5 * x[1] ** 3 + x[1] ** 2, np.zeros(2), "neither"),
        (lambda x: 1e-9 * x[0] ** 4 + x[1] ** 2 + (10 * x[1]) ** 4, np.zeros(2), "minimum"),
        (lambda x: (3 * x - 1) ** 4, np.float32(1) / 3, "minimum"),
        (lambda x: 0.1 * x**3 + 0.2 * x**3 - 0.3 * x**3 + x**4, np.zeros(()), ""),
        (
            lambda x: (x @ jnp.array([1.0, 2.0, 3.0])) ** 4 + (x @ jnp.array([1.0, 2.0, 3.0])) ** 2,
            np.zeros(3),
            "minimum",
        ),
    ],
    ids=[
        "small cubic",
        "small cubic, other units",
        "large sextic",
        "large quintic",
        "steep",
        "rounded",
        "large cubic beside",
        "large quartic beside",
        "rounded to float32",
        "lost digits",
        "two are flat",
    ],
)
def test_the_next_derivative_does_not_depend_on_units(fun, x, nature):
    with jax.enable_x64(True):
        assert qed.critical_point(fun, x).value.nature == nature


def test_a_minimum_is_proved_where_forty_numbers_are_all_the_largest():
    answer = qed.critical_point(lambda x: jax.nn.logsumexp(x) + x @ x / 2, jnp.full(40, -1 / 40, jnp.float32))
    assert answer.proved and answer.kind == "minimum"


def test_the_claim_names_the_true_point_and_its_distance():
    answer = qed.critical_point(jnp.cos, float32(np.pi)[0])
    off = abs(float(np.float32(np.pi)) - np.pi)
    assert off <= answer.value.distance <= off * 1.001
    assert abs(float(answer.value.point) - np.pi) < 1e-15
    assert "one point within" in answer.claim


def test_a_point_that_is_the_critical_one_itself():
    answer = qed.critical_point(rosenbrock, jnp.ones(3))
    assert answer.value.distance == 0 and "the given point" in answer.claim


def test_numbers_of_numpy_are_rounded_as_the_program_takes_them():
    """In float32 the point 0.1 is 0.100000001: what is proved is about that one."""
    for x in (0.1, np.array([0.1])):
        at = qed.critical_point(lambda x: jnp.sum((x - 0.1) ** 2), x)
        away = qed.critical_point(lambda x: jnp.sum(jnp.exp(x)), x)
        assert at.proved and at.kind == "minimum" and away.proved and away.kind == "not_critical" and away.check()


def test_a_gradient_beyond_rounding_is_not_critical_and_the_next_point_is_named():
    answer = qed.critical_point(lambda x: jnp.sum((x - 1) ** 2), float32(1.0, 1.001))
    assert answer.proved and answer.value.kind == "not_critical"
    assert answer.answers[0].value.kind == "minimum" and answer.answers[0].check()
    assert abs(answer.value.distance - 0.001) < 1e-6
    assert answer.value.gradient > answer.value.rounding


def test_the_least_square_fit_in_float32_is_critical_up_to_rounding():
    rng = np.random.default_rng(3)
    data, target = rng.standard_normal((40, 4)), rng.standard_normal(40)
    w = np.linalg.lstsq(data, target, rcond=None)[0]
    loss = lambda w, data, target: jnp.mean((data @ w - target) ** 2)  # noqa: E731
    given = [jnp.asarray(a, jnp.float32) for a in (w, data, target)]
    answer = qed.critical_point(loss, *given)
    assert answer.value.kind == "minimum" and answer.proved
    assert 0 < answer.value.gradient <= answer.value.rounding


def test_symmetries_are_named_and_false_ones_are_not():
    answer = qed.critical_point(lambda p: (p["a"] * p["b"] - 2.0) ** 2, {"a": float32(1)[0], "b": float32(2)[0]})
    assert [d.why for d in answer.value.directions] == ["scaling p['a'] by c and p['b'] by 1/c changes nothing"]
    monkey = next(known for known in SEVERAL if known.name == "monkey saddle")
    assert all(not d.why for d in ask(monkey).value.directions)


def test_shifts_that_softmax_does_not_see():
    def loss(b):
        return jnp.log(jnp.sum(jnp.exp(b))) - jnp.mean(b)

    answer = qed.critical_point(loss, jnp.zeros(3))
    assert answer.value.kind == "degenerate" and answer.value.flat == 1
    assert answer.value.directions[0].why == "adding one number to all of b changes nothing"


def test_a_corner_is_undecided_with_a_code():
    leaps = lambda x: (x - 0.5) ** 2 + jnp.round(x)  # noqa: E731
    for fun, at in ((jnp.abs, 0.0), (lambda x: jnp.sum(jax.nn.relu(x) + x**2), jnp.zeros(2)), (leaps, 0.5)):
        answer = qed.critical_point(fun, at)
        assert answer.unknown and answer.value.kind == "undecided"
        assert [f.code for f in answer.findings] == ["QED104"]
    assert "jumps there; " in answer.missing[0].what and "the box" not in answer.missing[0].what


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: jnp.abs(x[0] + 1j * x[1]),
        lambda x: jnp.sum(jnp.where(x == 0, 0.0, x**3 * jnp.sin(1 / jnp.where(x == 0, 1.0, x))) + x**2),
        lambda x: jnp.sum(jnp.where(x == 0, 1.0, jnp.sin(x) / jnp.where(x == 0, 1.0, x)) + 0.1 * x**2),
    ],
    ids=["a cone", "no second derivative", "a maximum that JAX takes for a minimum"],
)
def test_curvatures_that_are_none_are_not_told(fun):
    answer = qed.critical_point(fun, jnp.zeros(2))
    assert answer.unknown and answer.value.kind == "undecided"


def test_a_value_that_is_no_number_is_undecided_with_a_code():
    answer = qed.critical_point(lambda x: jnp.log(x - 1), 0.5)
    assert answer.unknown and answer.missing[0].code == "QED210"


@pytest.mark.parametrize(
    ("at", "code"),
    [(jnp.array([1, 2]), "QED003"), ({}, "QED004"), (float32(np.nan), "QED006"), (jnp.zeros((0,)), "QED004")],
)
def test_bad_input_is_coded(at, code):
    with pytest.raises(QedError) as raised:
        qed.critical_point(lambda x: 0.0, at)
    assert raised.value.code == code


def test_a_function_with_a_wrong_rule_is_judged_by_its_values():
    @jax.custom_jvp
    def square(x):
        return x * x

    square.defjvp(lambda primals, tangents: (primals[0] ** 2, -2 * primals[0] * tangents[0]))
    answer = qed.critical_point(square, 0.0)
    assert answer.value.kind == "minimum" and answer.proved
    assert qed.critical_point(lambda x: jax.lax.stop_gradient(x**2), 1.0).value.kind == "not_critical"


def test_certificates_survive_json_and_no_change():
    for fun, at in ((lambda x: x[0] * x[1], jnp.zeros(2)), (lambda x: x**4, 0.0), (lambda x: x**2, 1.0)):
        answer = qed.critical_point(fun, at)
        data = answer.certificate.to_json()
        assert Certificate.from_json(data).verify(fun, at)
        with pytest.raises(QedError):
            dataclasses.replace(answer.certificate, point=(0.5,) * np.size(at)).sealed().verify()


def test_inertia_of_random_matrices_is_that_of_their_eigenvalues(law_examples):
    rng = np.random.default_rng(5)
    for _ in range(law_examples(200)):
        n = int(rng.integers(1, 9))
        basis, _ = np.linalg.qr(rng.standard_normal((n, n)))
        values = rng.standard_normal(n) * 10.0 ** rng.uniform(-6, 3, n)
        middle = basis @ np.diag(values) @ basis.T
        middle = (middle + middle.T) / 2
        radius = np.abs(values).min() * 10.0 ** rng.uniform(-4, 2)
        found = inertia(Intervals(middle - radius, middle + radius))
        for _ in range(4):
            noise = rng.uniform(-radius, radius, (n, n))
            inside = np.linalg.eigvalsh(middle + (noise + noise.T) / 2)
            if np.abs(inside).min() > 1e-13 * np.abs(inside).max():
                assert found in (None, (int(np.sum(inside < 0)), int(np.sum(inside > 0))))


def test_newton_and_krawczyk_find_the_nearby_point():
    function = OnBoxes.of(trace(lambda x: jnp.sum(jnp.cosh(x)) + x[0] * x[1] / 2, np.zeros(2)))
    center, at = refined(function, np.array([0.3, -0.2]))
    found = located(function, center, at)
    assert found.signs == (0, 2) and np.all(np.abs(center) <= found.radius)
    rising = OnBoxes.of(trace(lambda x: jnp.sum(jnp.exp(x)), np.zeros(2)))
    away = np.array([0.3, -0.2])
    assert located(rising, away, local(rising, away, away)) is None


@pytest.mark.slow
def test_a_box_at_the_origin_is_as_large_as_the_errors_of_the_gradient():
    """A part of |x| = 1e-16 is smaller than they are: no point would be proved."""
    i = np.arange(1.0, 4.0)
    f = OnBoxes.of(
        trace(lambda x: jnp.sum((3 - jnp.sum(jnp.cos(x)) + i * (1 - jnp.cos(x)) - jnp.sin(x)) ** 2), np.zeros(3))
    )
    x = 1e-16 * i
    found = located(f, x, local(f, x, x))
    assert found is not None
    assert found.signs == (0, 3)
    assert np.all(found.radius < 1e-12)


def test_no_larger_box_is_tried_where_the_hessian_may_be_singular(monkeypatch):
    """(x + y)^2 beside rounding: one pass tells; of x^4 + x^2 at 0 the first one proves."""
    passes, own = [], locating._locals
    monkeypatch.setattr("qed.calculus.points.located._locals", lambda *asked: passes.append(1) or own(*asked))
    for fun, many, signs in (
        (lambda x: (x[0] + x[1]) ** 2 / 3 + (x[0] + x[1]) ** 4, 1, None),
        (lambda x: x[0] ** 4 + x[0] ** 2 + x[1] ** 2, 1, (0, 2)),
    ):
        f, x = OnBoxes.of(trace(fun, np.zeros(2))), np.array([0.3, -0.3]) if signs is None else np.zeros(2)
        here = local(f, x, x)
        passes.clear()
        found = located(f, x, here)
        assert (None if found is None else found.signs) == signs
        assert len(passes) == many


def test_the_kinds_of_later_points():
    """Kinds of points that were written before any was asked about; all with curvatures that have a sign are proved."""
    for i, known in enumerate([*LATER, *MODELS, *PHYSICS]):
        answer = ask(known)
        assert answer.value.kind == known.kind, known.name
        assert answer.value.nature in ("", known.nature), known.name
        assert i % 2 or answer.check(), known.name  # every certificate is verified when it is made
        assert answer.proved or known.degenerate, known.name
    for known in CORNERS:
        answer = ask(known)
        assert answer.value.kind in ("undecided", known.kind), known.name


def test_a_tie_of_log_sum_exp_is_no_corner():
    def logistic(w):
        return jnp.mean(jnp.logaddexp(0.0, jnp.array([[1.0, 2.0], [-1.0, -2.0], [1.0, -1.0], [-1.0, 1.0]]) @ w))

    answer = qed.critical_point(logistic, jnp.zeros(2))
    assert answer.proved and answer.value.kind == "minimum" and answer.check()
    slope = qed.critical_point(jax.nn.softplus, 0.0)
    assert slope.proved and slope.value.kind == "not_critical" and slope.check()


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: jnp.logaddexp(x[0], 0.0) + jnp.maximum(x[0], 0.0) - x[0],
        lambda x: jnp.logaddexp(x[0], 0.0) - x[0] / 2 + x[0] * jnp.abs(x[0]),
        lambda x: jnp.where(x[0] < 0, jnp.logaddexp(x[0], 0.0), jnp.logaddexp(2 * x[0], 0.0) / 2),
        lambda x: jnp.logaddexp(jnp.abs(x[0]), 0.0) - x[0],
    ],
)
def test_a_corner_beside_log_sum_exp_stays_one(fun):
    answer = qed.critical_point(fun, jnp.zeros(1))
    assert answer.unknown and answer.value.kind == "undecided"


@pytest.mark.parametrize(
    ("fun", "at", "kind"),
    [
        (lambda x: 7e17 * x**2 + 3 * x**2 - 7e17 * x**2, 0.0, "minimum"),
        (lambda x: 2.0**65 * x**2 - (x - 1) ** 2 - 2.0**65 * x * x, 1.0, "maximum"),
        (lambda x: 2.0**65 * (x[0] + x[1]) ** 2 + x[0] * x[1] - 2.0**65 * (x[1] + x[0]) ** 2, [0.0, 0.0], "saddle"),
        (lambda x: 7e17 * x**2 - x**4 - 7e17 * x**2, 0.0, "degenerate"),
    ],
    ids=["minimum", "maximum", "saddle", "degenerate"],
)
def test_a_curvature_that_large_terms_hide_is_not_called_zero(fun, at, kind):
    with jax.enable_x64(True):
        answer = qed.critical_point(fun, jnp.asarray(at, jnp.float64))
    assert answer.value.kind == kind and answer.proved and answer.check()


def test_where_too_many_numbers_hide_a_curvature_nothing_is_decided():
    fun = lambda x: 7e17 * jnp.sum(x**2) + jnp.sum(x**2) - 7e17 * jnp.sum(x**2)  # noqa: E731
    with jax.enable_x64(True):
        answer = qed.critical_point(fun, jnp.zeros(60))
    assert answer.value.kind in ("minimum", "undecided")
