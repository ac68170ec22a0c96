"""qed.critical_point with more parameters than second derivatives are enclosed of: bounds that may fail seldom."""

# pyright: reportOptionalMemberAccess=false, reportOperatorIssue=false

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.calculus import critical
from qed.calculus.lanczos import Krylov
from qed.calculus.points import case as points_case
from qed.calculus.points import large
from qed.calculus.points.ends import above, below
from qed.calculus.points.large import ends
from qed.calculus.spectra.products import Products
from qed.domains.ball_boxes import BallBoxes
from qed.graph.function import read

N = 400
SCALES = jnp.asarray(np.linspace(1, 3, N), jnp.float32)
DATA = jnp.asarray(np.random.default_rng(0).standard_normal((40, 30)), jnp.float32)


def bowl(x):
    return jnp.sum(SCALES * x**2)


def dented(x):
    return jnp.sum(SCALES.at[7].set(-0.01) * x**2)


def linear_layers(p):
    return jnp.mean((DATA @ p["A"] @ p["B"] - DATA[:, :5]) ** 2)


def layers():
    a, b = np.zeros((30, 10)), np.zeros((10, 5))
    a[:5, :5], b[:5, :5] = np.eye(5), np.eye(5)
    a[:, 5:] = np.random.default_rng(1).standard_normal((30, 5))
    return {"A": jnp.asarray(a, jnp.float32), "B": jnp.asarray(b, jnp.float32)}


CASES = {
    "bowl": (bowl, jnp.zeros(N), "minimum"),
    "turned over": (lambda x: -bowl(x) + jnp.sum(x**4), jnp.zeros(N), "maximum"),
    "dented": (dented, jnp.zeros(N), "saddle"),
    "joined bowl": (lambda x: bowl(x) + jnp.sum(x) ** 2 / 64, jnp.zeros(N), "minimum"),
    "off": (bowl, jnp.full(N, 0.3), "not_critical"),
    "linear layers": (linear_layers, layers(), "degenerate"),
    "softmax": (lambda b: jax.nn.logsumexp(b) - jnp.mean(b), jnp.zeros(300), "degenerate"),
    "float32 thirds": (lambda x: jnp.sum((x - 1 / 3) ** 2), jnp.full(30_000, 1 / 3), "minimum"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_kind(name):
    fun, at, kind = CASES[name]
    answer = qed.critical_point(fun, at)
    assert answer.value.kind == kind
    assert answer.proved if name in ("off", "bowl", "turned over", "dented") else answer.measured
    assert answer.check()


CORNERS = {
    "of the gradient": lambda x: jnp.sum(x**2) - jnp.sum(jnp.abs(x)),
    "of one coordinate": lambda x: jnp.sum(x**2) - jnp.abs(x[5]),
    "of the Hessian": lambda x: jnp.sum(2 * jax.nn.relu(x) ** 2 - x**2 / 2),
}


@pytest.mark.parametrize("size", [3, N])
@pytest.mark.parametrize("name", CORNERS)
def test_a_corner_is_undecided(name, size):
    fun = CORNERS[name] if size > 5 or name != "of one coordinate" else lambda x: jnp.sum(x**2) - jnp.abs(x[0])
    answer = qed.critical_point(fun, jnp.zeros(size))
    assert answer.value.kind == "undecided" and [f.code for f in answer.findings] == ["QED104"]


def test_the_values_are_asked_and_not_what_a_stop_gradient_leaves_of_them():
    stopped = jax.lax.stop_gradient
    at = jnp.zeros(N)
    bowl_by_its_gradient = lambda x: jnp.sum(x**2) - 3 * stopped(x) @ x - jnp.sum(x) ** 2 / N  # noqa: E731
    answer = qed.critical_point(bowl_by_its_gradient, at)
    assert answer.kind == "maximum" and answer.curvatures[1] < -3.9
    assert qed.critical_point(lambda x: jnp.sum(x) ** 2 + x @ x - 3 * jnp.sum(stopped(jnp.abs(x))), at).unknown


@pytest.mark.parametrize(("sign", "kind"), [(1, "minimum"), (-1, "maximum")])
def test_more_steps_are_made_where_few_tell_no_sign(monkeypatch, sign, kind):
    mirror = np.random.default_rng(3).standard_normal(600)
    mirror = jnp.asarray(mirror / np.linalg.norm(mirror), jnp.float32)
    bends = jnp.asarray(np.geomspace(2e-3, 1, 600), jnp.float32)

    def fun(x):
        return sign * jnp.sum(bends * jnp.sin(x - 2 * mirror * (mirror @ x)) ** 2) / 2

    answer = qed.critical_point(fun, jnp.zeros(600))
    assert answer.measured and answer.value.kind == kind
    monkeypatch.setattr(large, "LONGER", 1)
    assert qed.critical_point(fun, jnp.zeros(600)).unknown


def test_no_more_steps_are_made_for_a_curvature_that_is_zero(monkeypatch):
    seen = []
    told = large.ends
    monkeypatch.setattr(large, "ends", lambda *given, **named: seen.append(told(*given, **named)) or seen[-1])
    mirror = np.random.default_rng(4).standard_normal(500)
    mirror = jnp.asarray(mirror / np.linalg.norm(mirror), jnp.float32)
    bends = jnp.asarray(np.r_[0.0, np.linspace(1, 3, 499)], jnp.float32)
    fun = lambda x: jnp.sum(bends * (x - 2 * mirror * (mirror @ x)) ** 2)  # noqa: E731
    assert qed.critical_point(fun, jnp.zeros(500)).value.kind == "undecided"
    assert seen[0].products <= large.STEPS + large.MORE + large.CHECKS


def test_equal_arguments_of_a_maximum_that_cancels_are_no_corner():
    answer = qed.critical_point(lambda b: jax.nn.logsumexp(b) - jnp.mean(b), jnp.zeros(3))
    assert answer.value.kind == "degenerate" and "adding one number" in answer.value.directions[0].why


def test_the_probability_is_stated_and_the_fall_is_proved():
    least = qed.critical_point(CASES["joined bowl"][0], jnp.zeros(N))
    assert "but for a probability of 1e-06" in least.headline
    fall = qed.critical_point(lambda x: CASES["joined bowl"][0](x) - 4 * x[7] ** 2, jnp.zeros(N)).reasons[0]
    assert fall.rule == "negative curvature" and fall.standing == "PROVED"


def test_what_products_do_not_tell_is_undecided():
    """A quartic bowl is flat everywhere, and no symmetry says why."""
    answer = qed.critical_point(lambda x: jnp.sum(x**4) + jnp.sum(x[:200] ** 2), jnp.zeros(N))
    assert answer.unknown and answer.value.kind == "undecided" and "curvatures lies between" in answer.missing[0].what


def test_a_dent_that_few_steps_hide_is_not_called_a_minimum():
    """One of 5000 curvatures is negative, and so near to the others that Lanczos sees it late."""
    scales = jnp.asarray(np.concatenate([[-1e-3], np.geomspace(1e-4, 1.0, 4999)]), jnp.float32)
    fun = lambda x: jnp.sum(scales * x**2) / 2 + 1e-9 * jnp.sum(x) ** 2  # noqa: E731  (joined, so by products)
    found = ends(Products(read(fun, jnp.zeros(5000))))
    assert found.lower <= -1e-3
    assert qed.critical_point(fun, jnp.zeros(5000)).value.kind in ("saddle", "undecided")


@pytest.mark.parametrize("spectrum", ["even", "crowded below", "two values", "one far below"])
def test_the_bounds_hold_on_known_spectra(spectrum, law_examples):
    values = {
        "even": np.linspace(-1, 1, 300),
        "crowded below": np.geomspace(1e-6, 1, 300),
        "two values": np.repeat([1.0, 2.0], 150),
        "one far below": np.concatenate([[-5.0], np.linspace(0, 1, 299)]),
    }[spectrum]
    failures = 0
    for seed in range(law_examples(100)):
        krylov = Krylov(lambda v: values * v, 300, 5 + seed % 20, seed)
        while krylov.step() and krylov.count < krylov.most and not krylov.closed:
            krylov.extend()
        ritz, betas = krylov.ritz()[0], np.array(krylov.betas)
        room = 1e-12 + (krylov.beside if krylov.closed else 0.0)
        if krylov.closed:
            betas[-1] = 0.0
        low, high = (bound(ritz, betas, 300, 1e-3) for bound in (below, above))
        assert low <= ritz[0] and high >= ritz[-1]
        failures += low - room > values.min() or high + room < values.max()
    assert failures <= 1


def test_products_that_are_all_zero_are_said_so():
    answer = qed.critical_point(lambda w: jax.nn.relu(w) ** 3, 0.0)
    assert answer.missing[0].what == "the Hessian takes each vector that was tried to 0"


def test_a_dear_network_is_asked_by_products_alone(monkeypatch):
    """Intervals and balls of a program of so many numbers take minutes: none is asked, and its answers are the same."""
    draw = np.random.default_rng(8)
    x, y = (jnp.asarray(draw.standard_normal((30, n)), jnp.float32) for n in (12, 3))
    w = {"a": jnp.asarray(draw.standard_normal((12, 9)), jnp.float32), "b": jnp.zeros((9, 3))}

    def fun(w, x, y):
        return jnp.mean((jnp.tanh(x @ w["a"]) @ w["b"] - y) ** 2)

    def none(*arguments):
        raise AssertionError

    monkeypatch.setattr(critical, "DEAR", 100.0)
    monkeypatch.setattr(critical, "smooth_along", none)
    answer = critical.critical_point(fun, w, x, y)
    assert answer.kind == "not_critical" and answer.measured and answer.certificate is None
    flat = critical.critical_point(lambda w, x, y: fun(w, x, 0 * y), w, x, y)
    assert flat.kind != "not_critical" and not flat.proved


def small_network(n=(12, 9, 3), rows=30):
    draw = np.random.default_rng(8)
    x, y = (jnp.asarray(draw.standard_normal((rows, size)), jnp.float32) for size in (n[0], n[-1]))
    w = {"a": jnp.asarray(draw.standard_normal(n[:2]), jnp.float32), "b": jnp.zeros(n[1:])}
    return lambda w: jnp.mean((jnp.tanh(x @ w["a"]) @ w["b"] - y) ** 2), w


def test_balls_are_asked_where_they_are_cheap_only(monkeypatch):
    fun, w = small_network()
    asked = []
    series = BallBoxes.series
    monkeypatch.setattr(BallBoxes, "series", lambda *a: asked.append(1) or series(*a))
    cheap = critical.critical_point(fun, w)
    assert cheap.proved and cheap.kind == "not_critical" and asked
    asked.clear()
    monkeypatch.setattr(points_case, "IN_BALLS", 100)
    dear = critical.critical_point(fun, w)
    assert dear.measured and dear.kind == "not_critical" and not asked
    assert "balls, which were not asked" in dear.missing[0].what
    assert dear.headline == cheap.headline
    scales = SCALES[:120].at[5].set(-1.0)
    saddle = critical.critical_point(lambda x: jnp.sum(scales * x**2) + jnp.sum(x) ** 2, jnp.zeros(120))
    assert saddle.kind == "saddle" and not asked


def test_loops_are_counted_with_their_steps():
    """A body of few numbers that runs a thousand times is not cheap in balls."""
    short, long = (
        (lambda x, count=count: jnp.sum(jax.lax.fori_loop(0, count, lambda i, y: jnp.sin(y), x))) for count in (3, 3000)
    )
    x = jnp.ones(300)
    cases = [points_case.Case(fun, x, (), read(fun, x)) for fun in (short, long)]
    assert [case.is_cheap_in_balls for case in cases] == [True, False]


def test_what_is_done_is_told():
    told = []

    def progress(*step):
        told.append(step)

    critical.critical_point(lambda x: jnp.sum(SCALES[:110] * x**2) + jnp.sum(x) ** 2, jnp.zeros(110), progress=progress)
    assert told[0] == ("whether f is smooth at the point", 0, 0)
    products = [step for step in told if step[0] == "Hessian products"]
    assert [done for _, done, _ in products] == list(range(1, len(products) + 1)) and products[0][2] > 2


def test_motions_that_are_one_direction_are_counted_once():
    """At the unit matrix turns of rows are turns of columns: 3 pairs, and not 6, are flat among 9 numbers."""
    turned = critical.critical_point(lambda s: jnp.trace(s.T @ s) / 2 - jnp.linalg.slogdet(s)[1], jnp.eye(3))
    assert turned.kind == "degenerate" and turned.flat == 3
    assert turned.headline == "Degenerate: at least 3 directions that the function does not see."


def test_a_rule_that_intervals_lack_leaves_products():
    """Of two numbers as of hundreds: x'(A + x x')^-1 x, by an LU factorisation; its Hessian at 0 is 2 A^-1."""
    a = jnp.asarray([[2.0, 1.0], [1.0, 3.0]])
    for sign, kind in ((1, "minimum"), (-1, "maximum")):
        found = critical.critical_point(
            lambda x, sign=sign: sign * x @ jnp.linalg.solve(a + jnp.outer(x, x), x), jnp.zeros(2)
        )
        assert found.kind == kind and found.measured
        assert np.sort(np.abs(found.curvatures)) == pytest.approx(np.linalg.eigvalsh(2 * np.linalg.inv(a)), rel=1e-5)


def test_steps_at_an_infinite_number_are_no_point_of_a_lattice():
    """The norm of a matrix that is 0 has the logarithm -inf, which is rounded to a power of two."""
    found = critical.critical_point(
        lambda x: jnp.sum(jnp.cosh(x)) + 0 * jnp.exp2(jnp.floor(jnp.log2(jnp.sum(x**2)))), jnp.zeros(2)
    )
    assert not found.proved


@pytest.mark.parametrize("size", [1, 2])
def test_curvatures_that_cannot_be_told_from_zero_are_said_so(size):
    found = critical.critical_point(lambda x: jnp.sum(jnp.tanh(x)), jnp.full((size,) * (size > 1), 30.0))
    begins, ends = ("the curvatures, -", "as computed, are") if size > 1 else ("f'', -", "as computed, is")
    assert found.missing[0].what.startswith(begins)
    assert found.missing[0].what.endswith(f"{ends} too uncertain for a proof in float64")


def marginal(p, y):
    """Of a Gaussian process with values y: the length exp(p1) goes to infinity where they are about constant."""
    t = jnp.linspace(0.0, 1.0, len(y), dtype=p.dtype)
    gram = jnp.exp(2 * p[0] - 0.5 * (t[:, None] - t) ** 2 * jnp.exp(-2 * p[1])) + jnp.exp(2 * p[2]) * jnp.eye(len(y))
    factor = jnp.linalg.cholesky(gram)
    z = jax.scipy.linalg.solve_triangular(factor, y, lower=True)
    return 0.5 * z @ z + jnp.sum(jnp.log(jnp.diag(factor)))


def test_a_slope_that_is_rounding_beside_a_curvature_as_small_is_no_minimum():
    level = jnp.array([2.0, 2.2, 1.9, 2.1, 1.8, 2.05, 1.95], jnp.float32)
    point = jnp.array([0.692915678024292, 7.243325710296631, -2.0227954387664795], jnp.float32)
    assert str(qed.critical_point(marginal, point, level).kind) == "undecided"
