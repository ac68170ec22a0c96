"""Temperatures: what s/T is summed, weighted and picked in keeps the digits of its derivative in T, and is the same."""

import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.build import Builder
from qed.graph.trace import trace
from qed.numerics.rewriting import session, shifted
from tests.numerics import scoring

SCORES = [[1.0, 0.5, -1.0], [0.25, 2.0, 0.0], [0.5, -0.5, 1.5]]
ENERGIES = [1.0, 2.0, 0.5]
LABELS = jnp.array([0, 1, 2])


def naive_softmax(z, axis=-1):
    return jnp.exp(z) / jnp.sum(jnp.exp(z), axis, keepdims=True)


def reweighted(q, w, t):
    return t * jnp.log(jnp.sum(w * jnp.exp(q / t)))


CASES = {
    "free energy": (lambda q, t: t * jnp.log(jnp.sum(jnp.exp(q / t))), (ENERGIES, 0.05)),
    "by the library": (lambda q, t: t * jax.nn.logsumexp(q / t), (ENERGIES, 0.05)),
    "of a mean, by its inverse": (lambda q, b: jnp.log(jnp.mean(jnp.exp(b * q))) / b, (ENERGIES, 1e-3)),
    "with weights": (reweighted, (ENERGIES, [0.2, 0.3, 0.5], 0.02)),
    "minima of rows": (lambda c, t: jnp.sum(-t * jax.nn.logsumexp(-c / t, axis=1)), (SCORES, 0.05)),
    "softplus": (lambda x, b: jnp.log(1 + jnp.exp(b * x)) / b, (2.0, 30.0)),
    "maximum of two": (lambda a, b, t: t * jnp.log(jnp.exp(a / t) + jnp.exp(b / t)), (2.0, 1.0, 0.03)),
    "minimum of four": (lambda a, b, c, d, t: -t * jnp.log(
        jnp.exp(-a / t) + jnp.exp(-b / t) + jnp.exp(-c / t) + jnp.exp(-d / t)), (-3.0, 40.0, 2.0, 5.0, 0.02)),
    "average": (lambda q, t: jnp.sum(naive_softmax(q / t) * q), (ENERGIES, 0.02)),
    "average by the library": (lambda q, t: jnp.sum(jax.nn.softmax(q / t) * q), (ENERGIES, 0.02)),
    "width of a kernel": (lambda d, h: naive_softmax(-(d**2) / (2 * h**2))[0], ([0.1, 0.2, 0.4], 0.05)),
    "diagonal": (lambda s, t: jnp.mean(jax.nn.logsumexp(s / t, axis=1) - jnp.diag(s) / t), (SCORES, 0.05)),
    "identity": (lambda s, t: -jnp.sum(jnp.eye(3) * jnp.log(naive_softmax(s / t))), (SCORES, 0.05)),
    "mask": (lambda s, t: jnp.sum(jnp.log(jnp.sum(jnp.exp(s / t) * jnp.eye(3), 1) / jnp.sum(jnp.exp(s / t), 1))),
             (SCORES, 0.01)),
    "labels": (lambda s, t: jnp.sum(jax.nn.log_softmax(s / t)[jnp.arange(3), LABELS]), (SCORES, 0.05)),
    "data": (lambda z, y: -jnp.sum(y * jnp.log(naive_softmax(z))), ([40.0, 0.0, -3.0], [1.0, 0.0, 0.0])),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_temperature_keeps_its_digits(name):
    function, point = CASES[name]
    case = scoring.Stability(name, "temperatures", function, (point,))
    truths = scoring.truths(case, "float32")
    verdict = scoring.verdict(case, "float32", qed.stabilize(function), truths)
    assert verdict.broken("gradient")
    assert verdict.fixed("value") and verdict.fixed("gradient"), verdict


# --- soundness -----------------------------------------------------------------------------------------------------

EXPONENTS = [lambda s, t, r: s / t, lambda s, t, r: t * s, lambda s, t, r: -s / t, lambda s, t, r: (s - 2 * r) / t,
             lambda s, t, r: -(s**2) / (2 * t**2), lambda s, t, r: s / t + r, lambda s, t, r: s * r / t,
             lambda s, t, r: s[:, ::-1].T / t, lambda s, t, r: s / (t + r[0, 0] ** 2),
             lambda s, t, r: s / jnp.sum(r**2, 1, keepdims=True)]  # fmt: skip
SUMS = [lambda z, a, r: jnp.log(jnp.sum(jnp.exp(z), a)), lambda z, a, r: jax.nn.logsumexp(z, axis=a),
        lambda z, a, r: jnp.log(jnp.mean(jnp.exp(z), a)), lambda z, a, r: jnp.log(jnp.sum(r**2 * jnp.exp(z), a)),
        lambda z, a, r: jnp.log(jnp.exp(z) @ (0.25 * jnp.ones(3))), lambda z, a, r: jax.nn.softplus(z[0])]  # fmt: skip
OUTSIDE = [lambda v, t: t * v, lambda v, t: v / t, lambda v, t: t * jnp.mean(v), lambda v, t: t**2 * (v + 1 / t),
           lambda v, t: t * (2 * v - jnp.log(3.0)), lambda v, t: 2 * t**2 * v[::-1]]  # fmt: skip
PICKS = [lambda z: jnp.diag(z), lambda z: z[0], lambda z: z[:, 1], lambda z: z[LABELS, LABELS[::-1]], lambda z: z[1, 2],
         lambda z: jnp.take_along_axis(z, LABELS[:, None], 1)[:, 0], lambda z: jnp.max(z, 1),
         lambda z: jnp.sum(z * jnp.eye(3)[::-1], 1)]  # fmt: skip


def drawn(draw):
    """A random function of s, t and r in which t, or its inverse, scales s in an exponent."""
    exponent, total, outside, pick = (draw.choice(each) for each in (EXPONENTS, SUMS, OUTSIDE, PICKS))
    axis, weight = draw.choice([0, 1]), jnp.array([0.5, -1.0, 2.0])
    programs = [
        lambda s, t, r: jnp.sum(weight * outside(total(exponent(s, t, r), axis, r), t)),
        lambda s, t, r: jnp.sum(weight * (total(exponent(s, t, r), axis, r) - pick(exponent(s, t, r)))),
        lambda s, t, r: jnp.sum(weight * (jnp.log(jnp.sum(jnp.exp(s / t), axis)) - pick(s) / t)),
        lambda s, t, r: jnp.sum(weight * pick(jnp.log(naive_softmax(exponent(s, t, r), axis)))),
        lambda s, t, r: jnp.sum(weight * jax.nn.log_softmax(exponent(s, t, r), axis)) * t,
        lambda s, t, r: jnp.sum(pick(jax.nn.softmax(exponent(s, t, r), axis)) * weight) / t,
        lambda s, t, r: jnp.sum(naive_softmax(exponent(s, t, r), axis) @ r),
    ]
    return draw.choice(programs)


@pytest.mark.parametrize("seed", range(24))
def test_what_has_a_temperature_is_the_same_function(seed):
    function = drawn(random.Random(seed))
    values = np.random.default_rng(seed)
    with jax.enable_x64(True):
        s, r = jnp.asarray(values.normal(size=(3, 3))), jnp.asarray(values.normal(size=(3, 3)))
        for t in (jnp.float64(0.8), jnp.float64(-1.3)):
            both = [jax.value_and_grad(f, (0, 1, 2))(s, t, r) for f in (function, qed.stabilize(function))]
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10), *both)


def test_a_weight_of_zero_has_its_derivative():
    def energy(w, q, t):
        return t * jnp.log(jnp.sum(w * jnp.exp(q / t)))

    w, q, t = jnp.array([0.25, 0.0, -0.1]), jnp.array(ENERGIES), jnp.float32(0.8)
    both = [jax.grad(f, (0, 1, 2))(w, q, t) for f in (energy, qed.stabilize(energy))]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), *both)
    far = jax.grad(qed.stabilize(lambda q, t: energy(jnp.array([0.2, 0.0, 0.5]), q, t)))(1e3 * q, t)
    np.testing.assert_array_equal(far, [1.0, 0.0, 0.0])


def test_an_infinite_energy_is_infinite():
    q, t = jnp.array([1.0, jnp.inf, 2.0]), jnp.float32(0.5)
    for f in (CASES["free energy"][0], CASES["by the library"][0]):
        assert qed.stabilize(f)(q, t) == jnp.inf
        np.testing.assert_allclose(qed.stabilize(f)(q, -t), f(q, -t), rtol=1e-6)


COMPILED = {
    "mean": lambda s, t: jnp.log(jnp.mean(jnp.exp(s * t))),
    "norm": lambda s, t: jnp.sum(jnp.exp(s) ** t) ** (1 / t),
    "energy": lambda s, t: t * jnp.log(jnp.sum(jnp.exp((s * s[::-1] + s) / t))),
}


@pytest.mark.parametrize("name", COMPILED)
def test_a_compiler_that_rounds_an_exponent_twice_changes_nothing(name):
    function, values = COMPILED[name], np.random.default_rng(0)
    with jax.enable_x64(True):
        both = [jax.jit(jax.value_and_grad(f, 1)) for f in (function, qed.stabilize(function))]
        for _ in range(40):
            s, t = jnp.asarray(values.normal(size=(3, 4))), jnp.asarray(values.uniform(0.3, 2))
            np.testing.assert_allclose(*(f(s, t) for f in both), rtol=1e-9)


def test_entries_of_other_rows_are_no_log_softmax():
    def function(z):
        return jnp.log(jnp.sum(jnp.exp(z), 1)) - z[0]

    z = jnp.array(SCORES)
    np.testing.assert_allclose(qed.stabilize(function)(z), function(z), rtol=1e-5)
    graph = trace(function, z).graph
    assert not any("a_i" in change.identity for change in session.rewrite(graph).changes)


def test_what_a_library_shifts_is_read():
    def read(function):
        graph = trace(function, jnp.ones((2, 3))).graph
        builder = Builder()
        (node,) = builder.inline(graph, builder.inputs(graph))
        found = shifted.logsumexp_of(node) or shifted.log_softmax_of(node) or shifted.softmax_of(node)
        return None if found is None else found[1]

    assert read(lambda z: jax.nn.logsumexp(z, axis=1)) == (1,)
    assert read(lambda z: jax.nn.log_softmax(z, axis=0)) == (0,)
    assert read(jax.nn.softmax) == (1,)
    assert read(lambda z: z - jax.nn.logsumexp(z)) is None
    assert read(lambda z: jnp.exp(z - jnp.max(z)) / jnp.sum(jnp.exp(z))) is None


def test_growth_over_its_rate_keeps_its_derivatives_far_out_and_near_zero():
    def growth(m, q):
        return (jnp.exp(m * q) - 1) / q

    case = scoring.Stability("growth", "temperatures", growth, ((-30.0, 1.5), (3.0, 1e-5), (3.0, 12.0)))
    verdict = scoring.verdict(case, "float32", qed.stabilize(growth), scoring.truths(case, "float32"))
    assert verdict.broken("value") and verdict.fixed("value") and verdict.fixed("gradient"), verdict
    assert qed.stabilize(growth).rewrites(jnp.float32(2.0), jnp.float32(0.5)).proved


def test_an_entry_far_below_the_others_leaves_these_alone():
    """Masked logits: what s_j - s_0 rounds off is larger than the differences of the others."""
    functions = (
        lambda z: 1 - jax.nn.softmax(z)[0],
        lambda z: jnp.log1p(-jax.nn.softmax(z)[0]),
        lambda z: jnp.log(jax.nn.softmax(z)[0]),
        lambda z: jnp.log(jnp.sum(jnp.exp(z))) - z[0],
    )
    stable = jax.jit(lambda z: [jax.value_and_grad(qed.stabilize(f))(z) for f in functions])
    p = np.exp([0.0, 1.0, 2.0]) / np.sum(np.exp([0.0, 1.0, 2.0]))
    for mask in (-1e4, -1e8, -1e9, -1e30, float(np.finfo(np.float32).min), -np.inf):
        rest, log_of_rest, log, minus = stable(jnp.array([mask, 0.0, 1.0, 2.0], np.float32))
        assert rest[0] == 1 and log_of_rest[0] == 0 and log[0] == -minus[0]
        np.testing.assert_allclose(log[0], mask, rtol=1e-3)
        np.testing.assert_array_equal([rest[1], log_of_rest[1]], np.zeros((2, 4)))
        np.testing.assert_allclose([log[1], -minus[1]], [[1, *-p]] * 2, rtol=1e-6)


@pytest.mark.parametrize(
    "weights",
    [
        lambda z, m: jnp.where(m, jnp.exp(z), 0.0),
        lambda z, m: jnp.exp(jnp.where(m, z, -jnp.inf)),
        lambda z, m: jnp.exp(z) * m,
    ],
)
def test_shares_of_nothing_stay_no_numbers(weights):
    def shares(z, m):
        return weights(z, m) / jnp.sum(weights(z, m), axis=1, keepdims=True)

    z, m = jnp.array([[1.0, 200.0], [3.0, 4.0]]), jnp.array([[True, True], [False, False]])
    found = qed.stabilize(shares)(z, m)
    assert found[0].tolist() == [0, 1] and np.all(np.isnan(found[1]))
    kept = qed.stabilize(lambda z, m: jnp.sum(jnp.where(m, shares(z, m), 0.0) ** 2))
    assert np.all(np.isfinite(jax.grad(kept)(z, m))) and float(kept(z, m)) == 1
