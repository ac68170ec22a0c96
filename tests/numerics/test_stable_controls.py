"""Stable code that people write: its graph stays, without a point and at one; what loses digits at a point does not."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.trace import trace
from qed.numerics.longer.weights import weights
from qed.numerics.rewriting.session import rewrite

Z = jnp.array([0.3, -1.2, 2.0, 0.7], "float32")
LABELS = jnp.array([1.0, 0.0, 1.0, 0.0], "float32")


def small(z):
    return jnp.exp(-jnp.abs(z))


def cross_entropy_of_logits(z, y):
    return jnp.mean(jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z))))


def sigmoid_by_sign(z, _):
    return jnp.where(z >= 0, 1 / (1 + small(z)), small(z) / (1 + small(z)))


def log_density_of_fixed_scale(z, _):
    return jnp.sum(jax.scipy.stats.norm.logpdf(z, 0.5, 2.0))


def bernoulli(z, y):
    return jnp.mean(-y * jax.nn.log_sigmoid(z) - (1 - y) * jax.nn.log_sigmoid(-z))


def cross_entropy_with_its_guard(p, y):
    return -jnp.sum(y * jnp.log(p + 1e-12))


def logarithm_beside_its_factor(x, y):
    return jnp.sum((x - y) * jnp.log(x - y + 2.0))


@pytest.mark.parametrize(
    "fun",
    [
        cross_entropy_of_logits,
        sigmoid_by_sign,
        log_density_of_fixed_scale,
        cross_entropy_with_its_guard,
        logarithm_beside_its_factor,
    ],
    ids=lambda f: f.__name__,
)
def test_stable_code_keeps_its_graph(fun):
    assert str(jax.make_jaxpr(qed.stabilize(fun))(Z, LABELS)) == str(jax.make_jaxpr(fun)(Z, LABELS))


def heads(z):
    q = jnp.outer(z, jnp.array([0.5, -1.0])).reshape(1, 4, 2, 1)
    return jax.nn.dot_product_attention(q, q, 2 * q)


def softmax_of_columns(z):
    rows = jnp.outer(z, jnp.arange(1.0, 4.0))
    return jax.vmap(lambda x: jax.nn.softmax(x, axis=0), in_axes=1, out_axes=0)(rows)


def weighted_exponentials(z):
    return jax.nn.logsumexp(z, b=jnp.array([0.5, 2.0, 1.0, 3.0]))


def softmax_of_standardized(z):
    x = (z - jnp.mean(z)) * jax.lax.rsqrt(jnp.var(z, ddof=1) + 1e-5)
    return jax.nn.softmax(jnp.outer(x, x))


@pytest.mark.parametrize(
    "fun", [heads, softmax_of_columns, weighted_exponentials, softmax_of_standardized], ids=lambda f: f.__name__
)
def test_a_library_softmax_keeps_its_operations_however_its_axes_lie(fun):
    assert not rewrite(trace(fun, Z).graph).changes


def test_a_choice_that_no_input_decides_is_not_guarded():
    def checked(z):
        total = jnp.sum(jnp.exp(z))
        return jnp.where(total >= 0, jnp.log(1 + total), jnp.nan) / jnp.where(z.size - 1 > 0, 1 + jnp.abs(z), 0.0)

    def guarded(z):
        return jnp.where(z > 0, jnp.log(z), 0.0)

    for fun, some in ((checked, False), (guarded, True)):
        changes = rewrite(trace(fun, Z).graph).changes
        assert any(change.rewriting == "guards" for change in changes) is some


def test_a_factor_and_a_logarithm_that_vanish_together_are_guarded():
    for fun in (lambda p, y: y * jnp.log(p), lambda p, y: y * jnp.log(p - 1e-12), lambda p, y: p * jnp.log(2 * p)):
        stable = qed.stabilize(lambda p, y, fun=fun: jnp.sum(fun(p, y)))
        assert any(c.convention == "0 log 0 = 0" for c in stable.plan((Z, LABELS), {})[0].stable.short.changes)


def test_the_value_of_a_bernoulli_likelihood_stays_in_its_own_numbers():
    plan, _ = qed.stabilize(bernoulli).plan((Z, LABELS), {})
    assert not plan.stable.value.changes and not plan.stable.value.longer


@pytest.mark.parametrize(
    ("fun", "found"),
    [
        (lambda a, y: y * a + (1 - y) * a**2, [1]),
        (lambda a, y: -y * a - jnp.sum(1.0 - y) * a, []),
        (lambda a, y: y * (1 - y) * a, []),
        (lambda a, y: y * a + (1 - y) * a + jnp.log(y), []),
        (lambda a, y: (2 - y) * a + y, []),
    ],
)
def test_a_weight_is_what_is_used_as_one(found, fun):
    assert sorted(weights(trace(fun, Z, LABELS).graph)) == found
    assert not weights(trace(fun, Z[0], LABELS[0]).graph)


@pytest.mark.parametrize("x", [8.0, -20.0, 0.3])
def test_the_derivative_of_a_saturated_tanh_has_its_digits_in_the_programs_own_numbers(x):
    stable = qed.stabilize(jnp.tanh)
    assert jax.grad(stable)(jnp.float32(x)) == pytest.approx(np.cosh(x) ** -2, rel=1e-6)
    reverse = stable.plan((jnp.float32(x),), {})[0].stable.derivative((0,)).reverse
    assert reverse is not None and not reverse.longer


def test_at_a_point_what_an_operand_loses_is_mended_too():
    def loss(z):
        return -jnp.log(jnp.exp(z)[0] / jnp.sum(jnp.exp(z)))

    z = jnp.array([200.0, -100.0, 3.0], "float32")
    stable = qed.stabilize(loss, at=z)
    assert stable(z) == 0 and jax.grad(stable)(z).tolist() == [0, 0, 0]
    assert str(jax.make_jaxpr(qed.stabilize(loss, at=Z))(Z)) == str(jax.make_jaxpr(loss)(Z))


def softsign(x):
    return jnp.sum(jnp.abs(x) / (1 + jnp.abs(x)))


def divergence(v):
    return 0.5 * jnp.sum(jnp.exp(v) - v)


@pytest.mark.parametrize(
    ("fun", "mild", "wide"),
    [(softsign, (0.4, 0.6), (0.4, 1e4)), (divergence, (0.5, 1.0), (-1e-3, 1e-3))],
    ids=lambda f: getattr(f, "__name__", None),
)
def test_in_a_box_what_loses_digits_in_the_result_and_nothing_else(fun, mild, wide):
    """Each has a sum that cancels a little anywhere; over three bits of the value or the gradient in the wide box."""
    x = jnp.full(2, 0.5)
    written = str(jax.make_jaxpr(jax.value_and_grad(fun))(x))
    for box, same in ((mild, True), (wide, False)):
        stable = qed.stabilize(fun, box=tuple(jnp.full(2, end) for end in box))
        assert (str(jax.make_jaxpr(jax.value_and_grad(stable))(x)) == written) is same
    at = qed.stabilize(fun, at=jnp.full(2, sum(mild) / 2))
    assert str(jax.make_jaxpr(jax.value_and_grad(at))(x)) == written


def test_at_a_point_an_answer_that_is_no_number_is_mended_too():
    def below(x):
        return jnp.log(1 + jnp.exp(x)) < 150

    x = jnp.float32(100.0)
    assert not below(x) and qed.stabilize(below, at=x)(x)


def test_at_a_point_a_change_has_what_it_rests_on():
    """The root of a discriminant is no change of its own; without it the sum that cancels is one no rule reads."""

    def root(a, b, c):
        return (-b + jnp.sqrt(b * b - 4 * a * c)) / (2 * a)

    near, far = (tuple(map(jnp.float32, abc)) for abc in [(1.0, 1e4, 1.0), (1.0, 3.0, 1.0)])
    assert root(*near) == 0
    assert qed.stabilize(root, at=near)(*near) == pytest.approx(-1e-4, rel=1e-6)
    assert str(jax.make_jaxpr(qed.stabilize(root, at=far))(*far)) == str(jax.make_jaxpr(root)(*far))
