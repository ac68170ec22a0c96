"""Longer numbers: where they are used, under which transformations, and where they are not."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.trace import trace
from qed.numerics.longer.fallback import Longer
from qed.numerics.longer.judged import Left, left
from qed.numerics.longer.lengthened import lengthened
from qed.numerics.longer.numbers import in_numpy
from qed.numerics.longer.probes import probes
from qed.numerics.rewriting.change import Change
from qed.numerics.rewriting.session import rewrite
from tests.numerics import scoring
from tests.numerics.corpus_stability_eighth import EIGHTH, EIGHTH_CONTROLS
from tests.numerics.corpus_stability_fifth import FIFTH
from tests.numerics.corpus_stability_ninth import NINTH, NINTH_CONTROLS
from tests.numerics.corpus_stability_seventh import SEVENTH
from tests.numerics.corpus_stability_sixth import SIXTH


def moments(x, y):
    """A Gram determinant: |x|^2 |y|^2 - (x.y)^2."""
    return jnp.dot(x, x) * jnp.dot(y, y) - jnp.dot(x, y) ** 2


A, B = jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 2.0, 3.001])


def gram(x, y):
    a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return np.sum(np.cross(a, b) ** 2), 2 * (np.dot(b, b) * a - np.dot(a, b) * b)


@pytest.fixture(scope="module")
def stable():
    return qed.stabilize(moments)


def test_a_determinant_and_its_gradient_keep_their_digits(stable):
    value, slope = gram(A, B)
    assert abs(float(moments(A, B)) / value - 1) > 1e-3
    for fun in (stable, jax.jit(stable)):
        assert float(fun(A, B)) == pytest.approx(value, rel=2e-7)
    for grad in (jax.grad(stable), jax.jit(jax.grad(stable)), jax.grad(jax.jit(stable))):
        assert np.asarray(grad(A, B)) == pytest.approx(slope, rel=1e-6, abs=1e-6 * np.abs(slope).max())


def test_it_maps_and_loops(stable):
    rows = jnp.stack([B, B * 2])
    wanted = [gram(A, row)[0] for row in rows]
    assert np.asarray(jax.jit(jax.vmap(stable, (None, 0)))(A, rows)) == pytest.approx(wanted, rel=2e-7)
    slopes = jax.vmap(jax.grad(stable), (None, 0))(A, rows)
    assert np.asarray(slopes[1]) == pytest.approx(gram(A, rows[1])[1], rel=1e-5)

    def summed(a):
        return jax.lax.scan(lambda total, row: (total + stable(a, row), None), jnp.float32(0), rows)[0]

    assert float(summed(A)) == pytest.approx(sum(wanted), rel=4e-7)
    assert np.asarray(jax.grad(summed)(A)) == pytest.approx(sum(gram(A, row)[1] for row in rows), rel=1e-5)


def test_x64_may_be_on(stable):
    with jax.enable_x64(True):
        found = stable(A, B)
        assert found.dtype == np.float32 and float(found) == pytest.approx(gram(A, B)[0], rel=2e-7)
        assert jax.grad(stable)(A, B).dtype == np.float32


def test_half_precision_is_rounded_once(stable):
    short = A.astype(jnp.bfloat16), jnp.array([1.0, 2.0, 3.02], jnp.bfloat16)
    found = stable(*short)
    assert found.dtype == jnp.bfloat16
    assert float(found) == pytest.approx(gram(*short)[0], rel=2**-8)


def test_several_results_have_a_matrix_as_derivative():
    def both(x, y):
        return jnp.stack([moments(x, y), jnp.sum(x)]), x

    stable = qed.stabilize(both)
    value, slope = gram(A, B)
    assert float(stable(A, B)[0][0]) == pytest.approx(value, rel=2e-7)
    for of in (jax.jacrev, jax.jacfwd):
        first, second = of(stable)(A, B)
        assert np.asarray(first) == pytest.approx(np.stack([slope, np.ones(3)]), rel=1e-5)
        assert np.asarray(second) == pytest.approx(np.eye(3))


def test_a_second_derivative_is_that_of_the_program(stable):
    found = jax.hessian(stable)(A, B)
    b = np.asarray(B, np.float64)
    assert np.asarray(found) == pytest.approx(2 * (np.dot(b, b) * np.eye(3) - np.outer(b, b)), rel=1e-5)


def rewritten(stable, *args):
    found = stable.rewrites(*args).value
    assert found is not None
    return found


def test_what_is_replaced_is_told(stable):
    found = rewritten(stable, A, B)
    assert any("in 288 bits" in rewrite.after for rewrite in found.rewrites)
    assert found.value.before > 10 > 2 > found.value.after
    (span,) = {rewrite.span.line for rewrite in found.rewrites if rewrite.where == "value"}
    assert "jnp.dot(x, y) ** 2" in Path(__file__).read_text().splitlines()[span - 1]


def test_float64_is_used_where_it_is_enough():
    stable = qed.stabilize(lambda x: x[0] * x[3] - x[1] * x[2])
    x = jnp.array([1.0, 2.0, 2.001, 4.002])
    told = [rewrite.after for rewrite in rewritten(stable, x).rewrites]
    assert any("in float64" in after for after in told) and not any("288 bits" in after for after in told)
    assert float(stable(x)) == pytest.approx(float(np.linalg.det(np.asarray(x, np.float64).reshape(2, 2))), rel=1e-5)


def test_at_a_point_only_what_is_lost_there():
    same = (A, jnp.array([3.0, -1.0, 0.5]))
    assert qed.stabilize(moments, at=same)(*same) == moments(*same)
    assert not rewritten(qed.stabilize(moments, at=same), *same).rewrites
    assert float(qed.stabilize(moments, at=(A, B))(A, B)) == pytest.approx(gram(A, B)[0], rel=2e-7)


def test_at_a_point_of_float32_float64_may_not_do():
    case = SIXTH["commutator_of_rotations"]
    point = case.at("float32")[0]
    loss = scoring.losses(qed.stabilize(case.fun, at=point), case, "float32", scoring.truths(case, "float32"))
    assert loss.value[0] < 3  # 9 bits in float64


def network(w, x, y):
    hidden = jnp.tanh(x @ w["first"])
    return jnp.mean((hidden @ w["second"] - y) ** 2)


def linear(w, x, y):
    return jnp.mean((w[0] * x + w[1] - y) ** 2)


def penalised(w, x, y):
    return jnp.mean(jnp.square(jnp.exp(w[0] * x) + w[1] - y)) + 0.1 * jnp.sum(w * w)


@pytest.mark.parametrize(("fun", "w"), [(linear, jnp.ones(2)), (penalised, jnp.ones(2))])
def test_the_loss_of_a_model_stays_as_it_is(fun, w):
    x, y = jnp.arange(5.0), jnp.arange(5.0) ** 2
    stable = qed.stabilize(fun)
    assert stable(w, x, y) == fun(w, x, y)
    assert not [r for r in rewritten(stable, w, x, y).rewrites if r.where == "value"]


def test_a_network_is_not_for_longer_numbers():
    w = {"first": jnp.ones((3, 8)), "second": jnp.ones(8)}
    args = w, jnp.ones((5, 3)), jnp.zeros(5)
    assert lengthened(trace(network, *args).graph) is None
    assert qed.stabilize(network)(*args) == network(*args)


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: x + jax.lax.reduce_precision(jnp.exp(x), 8, 7),
        lambda x: jnp.exp(x.astype(jnp.bfloat16)).astype(jnp.float32) - 1,
        lambda x: jax.lax.while_loop(lambda c: c < 3, lambda c: jnp.exp(c) - x, x),
        lambda x: jax.lax.fori_loop(0, 300, lambda _, c: jnp.exp(c) - x, x),
        lambda x: x * jnp.ones((64, 64)),
    ],
)
def test_graphs_that_have_no_longer_form(fun):
    assert lengthened(trace(fun, jnp.float32(1)).graph) is None


def test_the_probes_are_the_same_again():
    graph = trace(lambda x, n: x * n, jnp.zeros(3, jnp.float32), 2).graph
    for one, other in zip(probes(graph), probes(graph), strict=True):
        assert np.array_equal(one, other) and len(one) >= 512
    assert not np.array_equal(probes(graph)[0], probes(graph, seed=1)[0])


def test_integers_are_taken_as_bits():
    x = np.array([5, 6, 12], np.int32)
    found = in_numpy(lambda x: [x & 4, x | 3, x ^ 1, ~x, jnp.logical_not(x > 5)], [x])
    assert [each.tolist() for each in found[:4]] == [[4, 4, 4], [7, 7, 15], [4, 7, 13], [-6, -7, -13]]
    assert found[4].tolist() == [True, False, False]


OPEN = {
    "value": {"index_of_theil", "polynomial_of_rump", "recurrence_of_muller", "series_of_an_exponential"},
    "gradient": {"series_of_an_exponential", "uncertainty_of_the_best_class"},
}
"""Of the fifth, seventh, eighth and ninth set, what loses over 6 bits in float32 as written and over 3 rewritten."""
OPEN_IN_FLOAT64 = {
    "value": {
        "dice_loss",
        "index_of_theil",
        "information_of_a_nearly_fair_coin",
        "inverse_of_softplus",
        "kepler_near_a_parabola",
        "network_of_a_tree",
        "occupation_of_holes",
        "polynomial_of_rump",
        "recurrence_of_muller",
        "series_of_an_exponential",
    },
    "gradient": {
        "information_of_a_nearly_fair_coin",
        "jensen_gap_of_exp",
        "kepler_near_a_parabola",
        "series_of_an_exponential",
        "uncertainty_of_the_best_class",
    },
}
"""Of the fifth to the ninth set, the same in float64."""


def judged(cases, dtype, open_):
    for name, case in cases:
        verdict = scoring.verdict(case, dtype, qed.stabilize(case.fun), scoring.truths(case, dtype))
        for what, known in open_.items():
            assert name in known or not verdict.broken(what) or verdict.fixed(what), verdict
            assert not verdict.worse(what), verdict


@pytest.mark.slow
def test_the_last_sets_are_mended_in_float32():
    assert len(FIFTH) >= 40 <= len(SEVENTH) and not set(SEVENTH) & (set(FIFTH) | set(SIXTH) | set(EIGHTH))
    chosen = [*list(FIFTH.items())[::20], *list(SEVENTH.items())[::20], *list(EIGHTH.items())[::16]]
    judged([*chosen, *list(NINTH.items())[::18]], "float32", OPEN)


@pytest.mark.slow
def test_controls_of_the_last_sets_are_left_alone():
    for k, case in enumerate([*list(EIGHTH_CONTROLS.values())[::2], *list(NINTH_CONTROLS.values())[1::4]]):
        dtype = ("float32", "float64")[k % 2]
        assert scoring.same_bits(case, dtype, qed.stabilize(case.fun))[0], case.name


@pytest.mark.slow
def test_the_last_five_sets_are_mended_in_float64():
    assert len(SIXTH) >= 40 <= len(EIGHTH) and not set(SIXTH) & (set(FIFTH) | set(EIGHTH))
    chosen = (list(cases.items())[k::20] for k, cases in enumerate((FIFTH, SIXTH, SEVENTH, EIGHTH, NINTH)))
    judged([case for cases in chosen for case in cases], "float64", OPEN_IN_FLOAT64)


def filtered(p, r):
    """Variances of a state after each of some measurements: v - v^2 / (v + r)."""
    return jax.lax.scan(lambda v, _: (v - v * v / (v + r), None), p, None, length=5)[0]


def penalty(g):
    """Where the norm of a gradient is to be 1."""
    return (jnp.sqrt(jnp.sum(g * g)) - 1) ** 2


def growth(f, p):
    """What a bet of a share f brings in the long run, f and p in (0, 1)."""
    return p * jnp.log(1 + f) + (1 - p) * jnp.log(1 - f)


@pytest.mark.parametrize(
    ("fun", "point"),
    [
        (filtered, (1.0, 1e-4)),
        (penalty, ([0.6000001, 0.8],)),
        (growth, (1e-3, 0.55)),
    ],
)
def test_loops_unit_vectors_and_small_domains_are_probed(fun, point):
    case = scoring.Stability(fun.__name__, "longer", fun, (point,))
    verdict = scoring.verdict(case, "float64", qed.stabilize(fun), scoring.truths(case, "float64"))
    assert verdict.before.worst("value") > 6 or verdict.before.worst("gradient") > 6
    assert verdict.fixed("value") and verdict.fixed("gradient"), verdict


def test_a_layer_is_not_a_small_matrix():
    square = jnp.array([[0.5, 1.0], [2.0, 0.25]])
    assert lengthened(trace(lambda x: jnp.exp(x @ square), jnp.ones(2)).graph) is not None
    assert lengthened(trace(lambda w, x: jnp.exp(x @ w), square, jnp.ones(2)).graph) is not None
    assert lengthened(trace(lambda w, x: jnp.exp(x @ w), jnp.ones((9, 9)), jnp.ones(9)).graph) is None
    assert lengthened(trace(lambda x: jnp.exp(x @ jnp.ones((9, 8))), jnp.ones(9)).graph) is None


def test_what_a_rewriting_leaves_is_counted():
    graph = trace(lambda x: jnp.exp(x) - 1, jnp.float32(1)).graph
    points = [np.linspace(0.5, 8.0, 100, dtype=np.float32)]
    exact = lambda points: [np.expm1(points[0].astype(np.float64))]  # noqa: E731
    right, wrong = (lambda x, m=m: [jnp.exp(x) - 1 + m * jnp.exp(x)] for m in (0.0, 1e-4))
    plain = rewrite(graph, rewritings=())
    assert left(plain, right, exact, points, 1) == Left()
    worse = left(replace(plain, function=wrong), right, exact, points, 1)
    assert worse == Left(100, 100, 100, 0, 100) and worse.keeps(True) and worse.keeps(False)
    better = left(plain, wrong, exact, points, 1)
    assert better == Left(mended=100, apart=100) and not better.keeps(False)


def test_what_rewriting_makes_worse_is_kept_as_written():
    def worsened(x):
        """A graph for which there are no longer numbers: its loop has no end that is known before."""
        once = jax.lax.fori_loop(0, 1000, lambda _, c: c * 0.5, x)
        return jnp.exp(x) + once

    graph = trace(worsened, jnp.float32(1)).graph
    fallback = Longer(graph, lambda graph: None, frozenset(["guards"]))
    wrong = replace(rewrite(graph, rewritings=()), function=lambda x: [jnp.exp(x) * (1 + 1e-5)])
    assert fallback.wider is None
    kept = fallback.value(wrong, lambda moving: (None, None))
    assert kept.kept and float(kept.function(jnp.float32(2))[0]) == float(worsened(jnp.float32(2)))
    same = replace(wrong, function=lambda x: [jnp.exp(x) * (1 + 1e-7)], changes=(Change(None, "", "", "", ""),))
    assert fallback.value(same, lambda moving: (None, None)) is same


def test_a_loop_is_in_float64():
    def integrals(a):
        """1/n - a times the one before: unstable where a > 1."""
        return jax.lax.fori_loop(1, 7, lambda n, y: 1 / n - a * y, jnp.log((a + 1) / a))

    stable = qed.stabilize(integrals)
    for fun in (stable, jax.jit(stable)):
        assert float(fun(jnp.float32(5))) == pytest.approx(0.02432490582, rel=1e-6)
    assert float(jax.grad(stable)(jnp.float32(5))) == pytest.approx(-0.0041434468, rel=1e-5)


def test_a_step_that_cannot_cancel_stays_as_it_is():
    def step(x):
        """Newton's, damped: for x - c x = (1 - c) x there is an identity, and nothing to mend."""
        return x - 0.1 * (x**3 + x) / (3 * x**2 + 1)

    stable = qed.stabilize(step)
    found = rewritten(stable, jnp.float32(0.7)).rewrites
    assert all(each.where != "value" for each in found) and stable(0.7) == step(0.7)
    assert str(jax.make_jaxpr(stable)(0.7)).count("select_n") == 0
    far = jnp.float32(1e15)  # the derivative by JAX divides by a square there that is infinite
    assert np.isnan(jax.grad(step)(far)) and float(jax.grad(stable)(far)) == pytest.approx(29 / 30, rel=1e-6)


def test_a_layer_norm_by_hand_is_answered():
    """The range of a sum of infinities of both signs is anything, and no pair of NaN."""

    def normalised(x):
        m = jnp.mean(x)
        return (x - m) * jax.lax.rsqrt(jnp.var(x) + 1e-5)

    x = jnp.array([1, 2, -0.5], jnp.float32)
    assert np.allclose(qed.stabilize(normalised)(x), normalised(x), rtol=1e-6)


def test_a_multiple_of_a_unit_vector_is_scaled_far_from_all_probes():
    """x / sqrt(mean(x^2)) is sqrt(3) times the unit vector; no probe is so large that a square overflows."""
    stable = qed.stabilize(lambda x: x / jnp.sqrt(jnp.mean(x**2)))
    for size in (1e25, 1e-25):
        found = stable(jnp.array([1 * size, 2 * size, -0.1 * size], jnp.float32))
        assert np.allclose(found, np.sqrt(3 / 5.01) * np.array([1, 2, -0.1]), rtol=1e-6)


def test_what_is_worse_at_some_points_and_milder_at_as_many_is_no_reason_to_keep_a_function_as_written():
    """Where a result cancels, what is left of both is noise."""
    noise, worse = Left(worse=5.5, milder=3.0, apart=30), Left(worse=5.5, milder=1.0, apart=30)
    assert not noise.keeps(longer=False) and not noise.keeps(longer=True)
    assert worse.keeps(longer=False) and worse.keeps(longer=True)
    assert not Left(worse=5.5, mended=6.0, milder=1.0).keeps(longer=False)
    assert Left(worse=5.5, milder=3.0, burst=1.0).keeps(longer=False)


def test_a_loop_back_whose_carry_stays_as_it_is_keeps_its_outputs():
    def spread(x):
        (total, squares), _ = jax.lax.scan(lambda c, v: ((c[0] + v, c[1] + v * v), None), (0 * x[0], 0 * x[0]), x)
        return jnp.sqrt(squares / 4 - (total / 4) ** 2)

    x = jnp.array([1000.0, 1001.0, 1000.5, 1000.25], jnp.float32)
    for slope in (jax.grad(qed.stabilize(spread)), qed.stabilize(jax.grad(spread))):
        away = np.asarray(x, np.float64) - np.asarray(x, np.float64).mean()
        np.testing.assert_allclose(slope(x), away / (4 * np.sqrt(np.mean(away**2))), rtol=2e-6)
