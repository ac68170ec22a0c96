"""Programs that once broke `qed.why`: each with what it has to say about them."""

import jax
import jax.numpy as jnp
import pytest

import qed
from qed.domains.backward import record


def asked(loss, at, step=None, **more):
    return qed.why(qed.Problem(loss, at=at, step=step, budget=20, **more))


@jax.custom_vjp
def fixed_point(a):
    def far(c):
        return jnp.abs(c[0] - jnp.cos(a * c[0])) > 1e-5

    return jax.lax.while_loop(far, lambda c: (jnp.cos(a * c[0]), c[1] + 1), (0.5, 0))[0]


def _forward(a):
    x = fixed_point(a)
    return x, (a, x)


def _backward(residual, g):
    a, x = residual
    return (g * (-x * jnp.sin(a * x)) / (1 + a * jnp.sin(a * x)),)


fixed_point.defvjp(_forward, _backward)


def test_a_reverse_rule_alone_is_enough_for_the_curvature():
    answer = asked(lambda a: (fixed_point(a) - 0.8) ** 2, jnp.float32(0.7), 0.1)
    assert answer.findings == ()
    assert answer.value.steepest_curvature is not None


@jax.custom_vjp
def once(x):
    return jnp.sum(x**2)


def _twice_not(x, g):
    return (g * jax.pure_callback(lambda x: 2 * x, jax.ShapeDtypeStruct(x.shape, x.dtype), x),)


once.defvjp(lambda x: (once(x), x), _twice_not)


def test_a_gradient_without_derivative_leaves_the_curvature_unknown():
    answer = asked(once, jnp.ones(3), 0.1)
    assert answer.findings == ()
    assert any("curvature" in missing.what for missing in answer.missing)


def test_a_singular_vector_has_no_derivative_where_values_meet():
    answer = asked(lambda w: jnp.sum(jnp.linalg.svd(jnp.eye(3) * w)[0]), jnp.float32(1.0))
    assert [finding.code for finding in answer.findings] == ["QED104"]


def test_an_overflow_that_a_division_swallows_is_the_cause_and_not_the_logarithm_of_its_zero():
    def loss(z):
        p = jnp.exp(z)
        return -jnp.log(p[0] / p.sum())

    answer = asked(loss, jnp.array([88.0, 89.0]), 0.1)
    assert [finding.code for finding in answer.findings] == ["QED201"]
    assert answer.findings[0].span.text.strip() == "p = jnp.exp(z)"
    assert answer.check()


@pytest.mark.filterwarnings("error")
def test_complex_numbers_are_compared_without_a_warning():
    answer = asked(lambda w: jnp.abs(jnp.fft.fft(w * 3e38)).sum(), jnp.ones(4))
    assert answer.refuted


def test_code_without_a_source_is_named_by_its_primitive():
    names = {}
    exec("import jax.numpy as jnp\ndef loss(w):\n    return jnp.log(w).sum()\n", names)
    answer = asked(names["loss"], jnp.zeros(3))
    assert answer.headline == "The loss is -inf at the start: log is taken at its pole. Certain: replayed."


@pytest.mark.slow
def test_a_long_loop_over_large_arrays_is_replayed_without_keeping_it(monkeypatch):
    def loss(w):
        def step(x, t):
            x = x * w + 0.1
            return jnp.where(t == 40, jnp.log(x - x), x), None

        return jnp.sum(jax.lax.scan(step, w, jnp.arange(50))[0])

    monkeypatch.setattr("qed.why.finite.record", lambda *args, **more: record(*args, **{**more, "most": 10_000}))
    answer = asked(loss, jnp.ones(100) / 2)
    assert [(finding.code, finding.witness["loop_steps"]) for finding in answer.findings] == [("QED205", [40])]


def test_a_replay_that_does_not_end_says_so(monkeypatch):
    def loss(w):
        return jnp.sum(jnp.log(jax.lax.scan(lambda x, t: (x * 0, None), w, jnp.arange(100))[0]))

    monkeypatch.setattr("qed.why.diagnose._REPLAY", -1e9)
    answer = qed.why(qed.Problem(loss, at=jnp.ones(3), budget=1e-6))
    assert "not known" in answer.headline
    assert "which equation makes the number" in [missing.what for missing in answer.missing]
