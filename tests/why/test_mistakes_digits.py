"""Digits lost without a NaN: told where most of them are gone and another formula keeps them; silent elsewhere."""

import jax
import jax.numpy as jnp
import pytest

import qed
from qed.why import mistakes

SMALL = jnp.array([1e-3, 2e-3, 5e-4], jnp.float32)
LARGE = 1000.0 + jax.random.uniform(jax.random.key(0), (64,))


def versine(x):
    return jnp.sum((1 - jnp.cos(x)) / x**2)


def tail(z):
    return -jnp.log(1 - jax.nn.sigmoid(z[0])) + jnp.log(1 + z[1])


def one_pass_variance(s):
    x = s * LARGE
    return jnp.mean(x**2) - jnp.mean(x) ** 2


SICK = {
    "cancellation": (versine, SMALL, "QED203"),
    "absorbed": (tail, jnp.array([-20.0, 1e-9], jnp.float32), "QED206"),
    "sum": (one_pass_variance, jnp.float32(1.0), "QED207"),
}


@pytest.mark.parametrize("name", SICK)
def test_digits_that_are_lost_are_told_by_name(name):
    fun, x, code = SICK[name]
    answer = qed.why(qed.Problem(fun, x))
    assert code in {finding.code for finding in answer.findings}, str(answer)
    assert answer.refuted and answer.verdict == "mistake"
    part = next(a for a in answer.answers if any(f.code == code for f in a.findings))
    assert part.refuted and part.check() and "keeps its digits at the start" in part.claim


def test_the_stable_form_is_tried_with_bits_before_and_after():
    answer = qed.why(qed.Problem(tail, SICK["absorbed"][1]))
    (advice,) = answer.advice
    assert advice.standing == "TRIED" and "24 bits of the loss are lost" in advice.what
    assert "softplus" in str(advice.patch) and "log1p" in str(advice.patch)
    assert "given" not in str(advice.patch)  # the names are the user's
    assert advice.trial is not None
    assert advice.trial.start == 0.0 and advice.trial.end == pytest.approx(3.06e-9, rel=1e-3)


HEALTHY = {
    "twin of the cancellation": (lambda x: jnp.sum(2 * (jnp.sin(x / 2) / x) ** 2 + x), jnp.float32([0.1, 2.0])),
    "near its root, as any formula": (lambda x: (x * x - 2) ** 2, jnp.float32(1.4142135)),
    "variance in two passes": (lambda s: jnp.var(s * LARGE), jnp.float32(1.0)),
    "sixteen bits": (lambda x: jnp.mean((x.astype(jnp.bfloat16) * 3 - 1).astype(jnp.float32) ** 2), SMALL),
    "a masked branch": (lambda x: jnp.sum(jnp.where(x > 1, (1 - jnp.cos(x)) / x**2, x)), SMALL),
    "a small part beside a large one": (lambda x: versine(x) * 1e-4 + jnp.sum(jnp.exp(100 * x)), SMALL * 20),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_what_keeps_enough_is_left_in_peace(name):
    fun, x = HEALTHY[name]
    answer = qed.why(qed.Problem(fun, x))
    assert not [f.code for f in answer.findings if f.code.startswith("QED20")], str(answer)


# --- what the look costs --------------------------------------------------------------------------------------


@pytest.fixture
def compiled():
    """The names of what JAX compiles."""
    seen = []

    def listen(event, duration_secs, **kwargs):
        if event == "/jax/core/compile/backend_compile_duration" and duration_secs >= 0:
            seen.append(kwargs.get("fun_name", "?"))

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield seen
    jax.monitoring.unregister_event_duration_listener(listen)


def layers(w):
    h = jnp.tanh(LARGE.reshape(16, 4) / 2000 @ w["W"])
    h = (h - h.mean(1, keepdims=True)) * jax.lax.rsqrt(h.var(1, keepdims=True) + 1e-5)
    return jnp.mean((jax.nn.gelu(h) @ w["v"] - w["weak"]) ** 2)


def embedding(w):
    chosen = w["W"][jnp.arange(16) % 4] @ w["v"]
    return jnp.mean(jax.nn.softplus(chosen) - w["weak"] * chosen * (jnp.arange(16) % 2))


@pytest.mark.slow
@pytest.mark.parametrize("loss", [layers, embedding])
def test_a_healthy_loss_costs_no_more_than_a_few_programs(loss, compiled, monkeypatch):
    """Each primitive compiled by itself would be several dozen of them."""
    begun, looked = [], []
    plain = mistakes.lost_digits

    def counted(case, run):
        begun.append(len(compiled))
        found = plain(case, run)
        looked.append(len(compiled) - begun[-1])
        return found

    monkeypatch.setattr(mistakes, "lost_digits", counted)
    weights = {"W": jnp.sin(jnp.arange(32.0).reshape(4, 8)), "v": jnp.cos(jnp.arange(8.0)), "weak": jnp.asarray(0.5)}
    assert weights["weak"].weak_type
    jax.clear_caches()
    qed.why(qed.Problem(loss, weights, step=0.1))
    assert len(looked) == 1 and looked[0] <= 8, compiled[begun[0] :]
