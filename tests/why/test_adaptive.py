"""Adam, RMSProp, schedules and optax objects: healthy runs in peace, sick ones told, and nothing unknown made up."""

import contextlib
import io
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import qed
from qed.why.script import why_script

rng = np.random.default_rng(0)
X = jnp.asarray(rng.standard_normal((40, 4)), jnp.float32)
Y = X @ jnp.array([1.0, -2.0, 3.0, 0.5]) + 0.1 * jnp.asarray(rng.standard_normal(40), jnp.float32)


def line(step):
    return qed.why(qed.Problem(lambda w, X, y: jnp.mean((X @ w - y) ** 2), jnp.ones(4), (X, Y), step=step))


def network(step):
    draw = np.random.default_rng(1)
    at = [jnp.asarray(draw.standard_normal(shape) / 2, jnp.float32) for shape in ((4, 8), (8, 8), (8, 1))]

    def loss(w, X, y):
        return jnp.mean((jnp.tanh(jnp.tanh(X @ w[0]) @ w[1]) @ w[2] - jnp.sin(y)[:, None]) ** 2)

    return qed.why(qed.Problem(loss, at, (X, Y), step=step))


def codes(answer):
    return tuple(finding.code for finding in answer.findings)


def judged(answer):
    """The answer to the step question."""
    (found,) = [part for part in answer.answers if "times" in part.meta]
    return found


def words(answer):
    return " ".join(str(answer).split())


WARM_UP = optax.warmup_cosine_decay_schedule(0.0, 0.05, 50, 400)
CLIPPED = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(WARM_UP, weight_decay=1e-3))


# --- healthy --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "step", ["adam:0.3", "adam:3", "rmsprop:0.01", "adamw:0.01,wd=0.1", optax.adam(WARM_UP), CLIPPED]
)
def test_a_healthy_adaptive_run_is_silent_and_its_limit_is_measured(step):
    answer = line(step)
    assert answer.findings == (), words(answer)
    assert answer.standing == "MEASURED"
    found = judged(answer)
    assert 0 <= found.meta["times"] < 1
    assert found.value > 0
    assert found.meta["at_step"] == (400 if isinstance(step, str) else 225)
    assert not any("stability limit" in item.what for item in answer.missing)
    assert found.check()


@pytest.mark.parametrize("step", ["adam:0.01", "adam:0.1", "rmsprop:0.01"])
def test_a_network_at_the_edge_gets_a_note_at_most(step):
    answer = network(step)
    assert set(codes(answer)) <= {"QED402"}, words(answer)
    assert answer.value.verdict == "healthy"
    assert judged(answer).meta["times"] > 0.3


def test_the_first_step_of_adam_is_far_beyond_any_limit_and_silent():
    """At the start the second moment is that of one gradient; the prediction is that of a sign-like step."""
    answer = line("adam:0.3")
    assert answer.findings == ()
    (first,) = [r for r in judged(answer).reasons if r.rule == "the first step, predicted"]
    assert "|g|_1" in first.text
    g = jax.grad(lambda w: jnp.mean((X @ w - Y) ** 2))(jnp.ones(4))
    s = jnp.sign(g)
    change = -0.3 * jnp.abs(g).sum() + 0.3**2 / 2 * s @ (2 * X.T @ X / 40) @ s
    assert first.predicted == pytest.approx(answer.losses[0] + float(change), rel=1e-4)
    assert first.observed == pytest.approx(first.predicted, rel=1e-4)


def test_rmsprop_settles_at_its_limit_as_theory_says():
    """Its second moment shrinks until the step is just stable: prediction 1, observation 1 within a thousandth."""
    answer = line("rmsprop:0.1")
    assert judged(answer).meta["times"] == pytest.approx(1, rel=1e-3)
    assert set(codes(answer)) <= {"QED402"}


def test_negative_curvature_is_descent():
    answer = qed.why(qed.Problem(lambda w: jnp.sum(jnp.cos(w / 30)), jnp.array([0.1, 0.2]), step="adam:0.001"))
    assert answer.findings == ()
    assert judged(answer).meta["times"] == 0
    assert "not positive" in words(answer)


# --- optax objects that are gradient descent -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (optax.sgd(0.1, momentum=0.9), "sgd:0.1,momentum=0.9"),
        (optax.sgd(0.05, momentum=0.9, nesterov=True), "sgd:0.05,momentum=0.9,nesterov"),
        (optax.chain(optax.clip_by_global_norm(1e3), optax.sgd(0.1)), "sgd:0.1"),
    ],
)
def test_an_object_gets_the_limit_of_the_text(step, text):
    given, spelled = line(step), line(text)
    assert given.step_limit == pytest.approx(spelled.step_limit)
    assert given.step_limit is not None
    assert given.findings == ()


def test_an_object_beyond_its_limit_is_told():
    answer = line(optax.sgd(1.0, momentum=0.9, nesterov=True))
    assert codes(answer)[0] == "QED401"
    assert "times the local limit" in answer.headline


def test_the_limit_is_not_given_where_clipping_rules_the_start():
    """It is measured where the run ends, and the gradient is no longer clipped."""
    answer = line(optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1)))
    assert answer.findings == ()
    assert judged(answer).meta["at_step"] == 400
    assert judged(answer).meta["clipped"] == 1


def test_a_rule_that_takes_signs_stays_unknown_with_what_was_seen():
    answer = line(optax.lion(0.01))
    assert answer.findings == ()
    (missing,) = [item.what for item in answer.missing if "stability limit" in item.what]
    assert "its update" in missing
    assert "does not feel the gradient" in missing


@pytest.mark.parametrize("step", [optax.adagrad(0.3), optax.adabelief(0.1), optax.lamb(0.01), optax.adafactor(0.01)])
def test_other_rules_are_linearised(step):
    answer = line(step)
    assert answer.findings == (), words(answer)
    (found,) = [part for part in answer.answers if "radius" in part.meta]
    assert 0 <= found.meta["radius"] < 1 + 2e-3
    assert found.standing == "MEASURED"
    assert found.check()
    assert not any("stability limit" in item.what for item in answer.missing)


def test_a_rule_without_a_formula_that_is_too_large_is_told_by_how_much():
    """Two momenta after each other: their limit has no formula here; what is found by Arnoldi is tried."""

    def rule(rate):
        return optax.chain(optax.trace(0.5), optax.sgd(rate, momentum=0.9))

    answer = line(rule(1.0))
    assert codes(answer)[0] == "QED401", words(answer)
    limit = 1.0 / judged(answer).meta["times"]
    assert line(rule(0.9 * limit)).findings == ()
    assert codes(line(rule(5 * limit)))[0] == "QED401"
    assert answer.check()


def test_accumulated_gradients_are_judged_as_the_rule_inside():
    answer = line(optax.MultiSteps(optax.sgd(0.9), 2).gradient_transformation())
    assert codes(answer)[0] == "QED401"
    assert judged(answer).meta["times"] == pytest.approx(1.24, rel=1e-2)
    assert line(optax.MultiSteps(optax.sgd(0.5), 2).gradient_transformation()).findings == ()


def test_the_limit_of_a_planned_rate_is_judged_along_the_way():
    """At the end the rate is zero and nothing can be unstable; on the way it was."""
    answer = line(optax.adam(optax.warmup_cosine_decay_schedule(0.0, 30.0, 50, 400)))
    assert set(codes(answer)) <= {"QED402"}
    found = judged(answer)
    assert found.meta["times"] > 1
    assert 0 < found.meta["crossing"] <= found.meta["at_step"] < 400
    assert f"passes this limit at step {found.meta['crossing']}" in words(answer)


def test_a_line_search_that_asks_for_the_loss_is_given_it():
    answer = line(optax.lbfgs())
    assert answer.losses[-1] < 0.01
    assert "asks for more than gradient" in words(answer)


# --- sick -----------------------------------------------------------------------------------------------------


def test_a_run_that_ends_higher_at_its_limit_is_told():
    answer = line("rmsprop:10")
    assert codes(answer) == ("QED401",)
    assert "at the local limit all the time" in answer.headline
    assert answer.check()
    assert answer.advice


def test_a_decay_beyond_the_limit_is_told():
    answer = line("adamw:0.01,wd=250")
    assert codes(answer)[0] == "QED401"
    assert judged(answer).meta["times"] == pytest.approx(1.25, rel=1e-2), "the decay alone: 0.01 * 250 / 2"


def test_a_schedule_that_crosses_the_limit_is_told_with_the_step():
    peak, reach = 2.0, 50
    answer = line(optax.sgd(optax.warmup_cosine_decay_schedule(0.0, peak, reach, 400)))
    assert codes(answer)[0] == "QED401"
    limit = 2 / float(jnp.linalg.eigvalsh(2 * X.T @ X / 40)[-1])
    crossing = next(k for k in range(reach + 1) if peak * k / reach > limit)
    assert judged(answer).meta["crossing"] == crossing
    assert f"at step {crossing};" in words(answer)
    assert judged(answer).meta["limit"] == pytest.approx(limit, rel=1e-3)


def test_a_schedule_that_passes_the_limit_without_harm_is_a_note():
    answer = line(optax.sgd(optax.warmup_cosine_decay_schedule(0.0, 1.0, 50, 400)))
    assert codes(answer) == ("QED402",)
    assert answer.value.verdict == "healthy"


# --- scripts --------------------------------------------------------------------------------------------------

HEAD = """
import jax
import jax.numpy as jnp
import numpy as np
import optax
rng = np.random.default_rng(0)
X = jnp.asarray(rng.standard_normal((32, 4)), jnp.float32)
y = X @ jnp.array([1.0, -2.0, 3.0, 0.5])

def loss(w, x, y):
    return jnp.mean((x @ w["w"] + w["b"] - y) ** 2)

w = {"w": jnp.zeros(4), "b": jnp.zeros(())}
"""

LOOP = """
state = tx.init(w)

@jax.jit
def train_step(w, state, x, y):
    value, g = jax.value_and_grad(loss)(w, x, y)
    change, state = tx.update(g, state, w)
    return optax.apply_updates(w, change), state, value

for k in range(60):
    w, state, value = train_step(w, state, ROWS)
"""


@pytest.fixture
def ask(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(text):
        path = tmp_path / "train.py"
        path.write_text(HEAD + text)
        with contextlib.redirect_stdout(io.StringIO()):
            return why_script(path)

    return run


def unknown(answer):
    return " ".join(item.what for item in answer.missing if "stability limit" in item.what)


def test_a_script_with_adam_is_told_its_limit(ask):
    answer = ask("tx = optax.adamw(0.05, weight_decay=1e-3)" + LOOP.replace("ROWS", "X, y"))
    assert answer.findings == ()
    assert judged(answer).meta["rate"] == pytest.approx(0.05, rel=1e-3)
    assert unknown(answer) == ""
    assert "other batches" not in words(answer)


def test_a_script_with_batches_is_judged_on_the_first_and_says_so(ask):
    answer = ask("tx = optax.adam(0.05)" + LOOP.replace("ROWS", "X[k % 4 * 8:][:8], y[k % 4 * 8:][:8]"))
    assert answer.findings == ()
    assert judged(answer).value > 0
    assert "other batches" in words(answer)


@pytest.mark.slow
def test_batches_that_the_loss_closes_over_are_noticed(ask):
    loop = """
def main(w):
    state = tx.init(w)
    for k in range(40):
        batch = {"x": X[k % 4 * 8:][:8], "y": y[k % 4 * 8:][:8]}
        value, g = jax.value_and_grad(lambda w: loss(w, batch["x"], batch["y"]))(w)
        change, state = tx.update(g, state)
        w = optax.apply_updates(w, change)
main(w)
"""
    assert "other batches" in words(ask("tx = optax.rmsprop(0.01)" + loop))
    assert "other batches" not in words(ask("tx = optax.rmsprop(0.01)" + loop.replace("k % 4", "0")))
    outside = loop.replace("def main(w):", "if True:").replace("main(w)", "")
    assert "other batches" in words(ask("tx = optax.rmsprop(0.01)" + outside)), "global data that changed"


def test_a_script_whose_schedule_is_too_large(ask):
    answer = ask("tx = optax.sgd(optax.linear_schedule(0.01, 4.0, 40))" + LOOP.replace("ROWS", "X, y"))
    assert codes(answer)[0] == "QED401"
    assert judged(answer).meta["crossing"] > 2


def test_hand_written_adam_stays_unknown(ask):
    answer = ask(
        """
m = v = jnp.zeros(4)
w = w["w"]
for k in range(1, 40):
    g = jax.grad(lambda w: jnp.mean((X @ w - y) ** 2))(w)
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    w = w - 0.05 * m / (1 - 0.9**k) / (jnp.sqrt(v / (1 - 0.999**k)) + 1e-8)
"""
    )
    assert answer.findings == ()
    assert "as Adam's is" in unknown(answer)


def test_gradients_changed_by_hand_are_not_judged_by_the_transformation(ask):
    changed = "tx.update(jax.tree.map(lambda a: 0.1 * a + 0.01, g), "
    loop = LOOP.replace("ROWS", "X, y").replace("tx.update(g, ", changed)
    answer = ask("tx = optax.adam(0.05)" + loop)
    assert answer.findings == ()
    assert "not made from the gradient of this loss alone" in unknown(answer)


@pytest.mark.parametrize("made", ["", ".gradient_transformation()"])
def test_accumulated_gradients_of_a_script_are_judged(ask, made):
    answer = ask(f"tx = optax.MultiSteps(optax.adam(0.05), 2){made}" + LOOP.replace("ROWS", "X, y"))
    assert answer.findings == ()
    assert judged(answer).meta["rate"] == pytest.approx(0.05, rel=1e-3)
    assert unknown(answer) == ""


def test_two_adversaries_with_their_own_adam_are_left_alone(ask):
    answer = ask(
        """
one, two = optax.adam(0.05), optax.adam(0.05)
p, q = jnp.array([0.5]), jnp.array([0.5])
s, t = one.init(p), two.init(q)
def player(p, q):
    return jnp.sum(jnp.tanh(p) * q) + 0.5
for k in range(60):
    a, s = one.update(jax.grad(player)(p, q), s, p)
    b, t = two.update(-jax.grad(player, argnums=1)(p, q), t, q)
    p, q = p + a, q + b
"""
    )
    assert answer.findings == ()


def test_a_trial_that_contradicts_the_script_is_not_believed(ask):
    """Each batch alone drives the rule away, all of them together do not: no finding."""
    answer = ask(
        "tx = optax.sgd(0.3, momentum=0.9, nesterov=True)"
        + LOOP.replace("ROWS", "*((4 * X, y) if k == 0 else (0.1 * X, 0.1 * y))")
    )
    assert answer.findings == (), words(answer)
