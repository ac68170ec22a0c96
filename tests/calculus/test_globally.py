"""qed.minimize_globally: bounds that hold, all minimisers, certificates that verify and do not survive a change."""

# pyright: reportArgumentType=false, reportOperatorIssue=false, reportOptionalOperand=false
# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportOptionalSubscript=false

import dataclasses
import time

import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.calculus.bounding.boxes import OnBoxes
from qed.calculus.bounding.forms import definite, krawczyk, mean_value, second_order
from qed.calculus.bounding.search import Search
from qed.calculus.globally import minimize_globally
from qed.certificates.certificate import Certificate
from qed.domains.intervals import Intervals
from qed.errors import CertificateError, QedError
from qed.graph.trace import trace


def camel(x):
    return (4 - 2.1 * x[0] ** 2 + x[0] ** 4 / 3) * x[0] ** 2 + x[0] * x[1] + (4 * x[1] ** 2 - 4) * x[1] ** 2


def himmelblau(x):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


CASES = {
    "camel": (camel, [-3.0, -2.0], [3.0, 2.0], -1.0316284534898774, 2),
    "himmelblau": (himmelblau, [-5.0, -5.0], [5.0, 5.0], 0.0, 4),
    "rosenbrock": (rosenbrock, [-5.0, -5.0], [10.0, 10.0], 0.0, 1),
    "a face": (lambda x: x[0] ** 2 + x[1] + jnp.exp(x[1]), [-1.0, 0.5], [2.0, 3.0], 0.5 + np.exp(0.5), 1),
    "a corner": (lambda x: x[0] - 3 * x[1] + x[0] * x[1], [0.0, 0.0], [1.0, 1.0], -3.0, 1),
    "a kink": (lambda x: jnp.abs(x[0] - 0.3) + (x[1] - 0.1) ** 2, [-1.0, -1.0], [1.0, 1.0], 0.0, 1),
    "one number": (lambda x: jnp.sum(x**4 - 2 * x**2), [-2.0], [3.0], -1.0, 2),
    "a point": (lambda x: jnp.sum(x**2), [1.0, 2.0], [1.0, 2.0], 5.0, 1),
}


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n == "camel")) for n in CASES])
def test_the_minimum_is_enclosed_and_all_minimisers_are_listed(name):
    fun, lower, upper, truth, count = CASES[name]
    box = (np.array(lower), np.array(upper))
    answer = minimize_globally(fun, box, budget=20)
    assert answer.proved
    slack = 1e-6 * (1 + abs(truth))  # float32 constants
    assert answer.lower - slack <= truth <= answer.upper + slack
    assert answer.value.finished == (answer.upper - answer.lower <= 2e-6)
    assert answer.value.finished
    assert len(answer.value.minimizers) == count
    if name not in ("a kink",):
        assert all(m.exactly_one for m in answer.value.minimizers)
    points = np.random.default_rng(0).uniform(*box, (2000, len(lower)))
    values = np.array([float(fun(jnp.asarray(p))) for p in points[:50]])
    assert np.all(values >= answer.lower - 1e-5)


@pytest.fixture(scope="module")
def found():
    return minimize_globally(himmelblau, (np.array([-5.0, -5.0]), np.array([5.0, 5.0])), budget=20)


def test_the_certificate_is_verified_again_also_from_json(found):
    assert found.check()
    again = Certificate.from_json(found.certificate.to_json())
    assert again.verify(himmelblau, np.zeros(2))
    with pytest.raises(CertificateError):
        again.verify(camel, np.zeros(2))


def altered(value):
    """Values near a field's: numbers moved, tuples shortened."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1, -value - 1]
    if isinstance(value, tuple):
        return [value[:-1], (altered(value[0])[0], *value[1:])] if value else [(1,)]
    return [value + "x"]


@pytest.mark.parametrize(
    "name", ["lower", "upper", "witness", "box_lower", "box_upper", "tree", "regions", "minimizers", "function"]
)
def test_every_altered_field_is_noticed(found, name):
    certificate = found.certificate
    for value in altered(getattr(certificate, name)):
        if name in ("lower", "upper") and abs(value) > 1 and (value < 0) == (name == "lower"):
            continue  # weaker bounds are as true
        if name == "lower" and value <= certificate.lower:
            continue
        changed = dataclasses.replace(certificate, **{name: value})
        with pytest.raises(CertificateError):
            changed.verify()
        if name == "upper" and value > certificate.upper:
            continue  # true, and the leaves above it no longer prove it
        with pytest.raises((CertificateError, ValueError)):
            changed.sealed().verify()


@pytest.mark.slow
def test_each_node_of_the_tree_is_proved(found):
    certificate = found.certificate
    kinds = {kind: place for place, (kind, _) in enumerate(certificate.tree)}
    for kind, place in kinds.items():
        for other in range(7):
            if other in (kind, 0):
                continue
            tree = list(certificate.tree)
            tree[place] = (other, tree[place][1])
            try:
                dataclasses.replace(certificate, tree=tuple(tree)).sealed().verify()
            except CertificateError:
                continue
            assert (kind, other) in ((2, 3), (3, 2)), (kind, other)  # both reasons may be true of a box


def test_when_the_budget_ends_the_bounds_hold():
    n = 6
    answer = minimize_globally(
        lambda x: 10.0 * n + jnp.sum(x**2 - 10 * jnp.cos(2 * jnp.pi * x) + jnp.sin(3 * x[0] * x[1])),
        (-5.0 * np.ones(n), 4.0 * np.ones(n)),
        budget=1.0,
    )
    assert answer.proved
    assert answer.lower <= answer.upper
    assert answer.lower <= -6.0 + 10.0 * n


UNKNOWN = {
    "log of a negative number": (lambda x: jnp.log(x), (-1.0, 1.0), "log"),
    "unbounded": (lambda x: x**3, (None, jnp.float32(1.0)), None),
    "no rule": (lambda x: jnp.real(jnp.fft.fft(x))[0], (np.zeros(2), np.ones(2)), None),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_known_is_said(name):
    fun, box, primitive = UNKNOWN[name]
    answer = minimize_globally(fun, box, budget=2)
    assert answer.unknown
    assert primitive is None or answer.missing[0].primitive == primitive


def test_an_infinite_box():
    answer = minimize_globally(lambda x: jnp.sum(jnp.cosh(x - 1)), (np.full(2, -np.inf), np.full(2, np.inf)), budget=10)
    assert answer.proved
    assert abs(answer.upper - 2.0) < 1e-6
    assert answer.value.finished


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: minimize_globally(jnp.sum, (np.ones(2), np.zeros(2))), "QED007"),
        (lambda: minimize_globally(jnp.sum, (np.zeros(2, complex), np.ones(2, complex))), "QED003"),
        (lambda: minimize_globally(jnp.exp, (np.zeros(2), np.ones(2))), "QED002"),
        (lambda: minimize_globally(jnp.sum, (np.zeros(100), np.ones(100))), "QED007"),
        (lambda: minimize_globally(jnp.sum, (np.zeros(2), np.ones(2)), tol=0.0), "QED007"),
        (lambda: minimize_globally(jnp.sum, (np.zeros(2), np.ones(2)), budget=-1), "QED007"),
    ],
)
def test_bad_input(call, code):
    with pytest.raises(QedError) as error:
        call()
    assert error.value.code == code


def test_forms_are_lower_bounds():
    rng = np.random.default_rng(1)
    function = OnBoxes.of(trace(lambda x: jnp.sin(3 * x[0]) * x[1] + x[0] ** 2 * x[1] ** 2, np.zeros(2, np.float32)))
    lower = rng.uniform(-2, 2, (60, 2))
    upper = lower + rng.choice([0.0, 1e-3, 0.3, 1.0], (60, 2))
    jet, middle = function(lower, upper, 2), (lower + upper) / 2
    centre = function.at(middle, 1)
    bounds = [
        mean_value(centre.value, jet.slope, middle, lower, upper).lower,
        second_order(centre.value, centre.slope, jet.hessian, middle, lower, upper),
        jet.value.lower,
    ]
    for t in rng.random((40, 60, 2)):
        value = function.at(lower + t * (upper - lower), 1).value.upper
        assert all(np.all(bound <= value) for bound in bounds)


def test_definite_says_yes_only_where_every_matrix_is():
    rng = np.random.default_rng(2)
    i, j = np.triu_indices(3)
    a = rng.normal(size=(200, 3, 3))
    middle = (a @ np.swapaxes(a, 1, 2))[:, i, j]
    radius = rng.random((200, 1)) * 0.3
    said = definite(Intervals(middle - radius, middle + radius), 3, np.ones((200, 3), bool))
    assert 5 < said.sum() < 195
    for signs in rng.choice([-1.0, 1.0], (50, 6)):
        entries = (middle + radius * signs)[said]
        matrix = np.zeros((len(entries), 3, 3))
        matrix[:, i, j] = matrix[:, j, i] = entries
        assert np.all(np.linalg.eigvalsh(matrix) > 0)
    # singular, with no room: a tolerance would accept it
    exact = Intervals.point(np.array([[1.0, 1.0, 1.0]]))
    assert not definite(exact, 2, np.ones((1, 2), bool))[0]


def test_krawczyk_finds_only_what_is_there():
    function = OnBoxes.of(trace(lambda x: jnp.sum(jnp.cosh(x)), np.zeros(2, np.float32)))
    free, radius = np.ones((1, 2), bool), np.full((1, 2), 1e-6)
    for point, there in ((np.zeros((1, 2)), True), (np.full((1, 2), 1e-3), False)):
        hessian = function(point - radius, point + radius, 2).hessian
        assert krawczyk(point, radius, function.at(point).slope, hessian, free)[0] == there


def test_the_search_is_deterministic_and_cheap():
    counts = set()
    for _ in range(2):
        function = OnBoxes.of(trace(camel, np.zeros(2, np.float32)))
        search = Search(function, np.array([-3.0, -2.0]), np.array([3.0, 2.0]), 1e-6, time.monotonic() + 60)
        search.run()
        counts.add(search.evaluated)
        assert search.finished
    assert len(counts) == 1
    assert counts.pop() < 639  # without curvature


def test_the_public_name():
    assert qed.minimize_globally is minimize_globally


def test_whole_numbers_are_ends_of_a_box():
    answer = minimize_globally(lambda x: jnp.sum(x**2 - x), (np.zeros(2, int), np.ones(2, int)), budget=60)
    assert answer.proved and answer.lower <= -0.5 <= answer.upper
