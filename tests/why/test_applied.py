"""What scripts do with their updates: climbing, updates that are not applied, states that begin anew, plans over."""

import contextlib
import io

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import qed
from qed.why.identify import captured, identify
from qed.why.script import why_script
from qed.why.seen import Updated

LOOP = """
import jax, jax.numpy as jnp, optax
X = jnp.array([[1.0, 0.2], [0.4, -1.0], [-0.3, 0.5]])
def loss(w): return jnp.mean((X @ w - 1.0) ** 2)
w = jnp.array([0.5, -0.3])
optimizer = RULE
state = optimizer.init(w)
for _ in range(40):
AGAIN
    value, gradient = jax.value_and_grad(loss)(w)
    update, state = optimizer.update(gradient, state, w)
    NAME = optax.apply_updates(w, update)
"""
HEALTHY = {"RULE": "optax.adam(0.02)", "AGAIN": "", "NAME": "w"}


def codes_of(folder, text):
    (folder / "train.py").write_text(text)
    with contextlib.redirect_stdout(io.StringIO()):
        answer = why_script(folder / "train.py")
    return [finding.code for finding in answer.findings], answer


def falls(advice):
    return advice.trial is not None and advice.trial.end < advice.trial.start


def loop(**changes):
    text = LOOP
    for name, value in {**HEALTHY, **changes}.items():
        text = text.replace(name, value)
    return text


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({}, []),
        ({"NAME": "new"}, ["QED419"]),
        ({"AGAIN": "    state = optimizer.init(w)"}, ["QED420"]),
        ({"RULE": "optax.adam(optax.cosine_decay_schedule(0.02, 8))"}, ["QED421"]),
        ({"RULE": "optax.adam(optax.cosine_decay_schedule(0.02, 40))"}, []),
        ({"RULE": "optax.adam(optax.cosine_decay_schedule(0.5, 15))"}, []),  # over, and at rest
        ({"RULE": "optax.sgd(0.1)", "AGAIN": "    state = optimizer.init(w)"}, []),  # nothing to forget
        ({"RULE": "optax.MultiSteps(optax.adam(0.02), 8)"}, []),
    ],
    ids=["healthy", "not applied", "anew", "plan over", "plan lasts", "at rest", "no state", "accumulated"],
)
def test_what_a_script_does_with_its_updates(changes, codes, tmp_path):
    found, answer = codes_of(tmp_path, loop(**changes))
    assert found == codes, str(answer)
    assert bool(codes) == answer.refuted
    if codes in (["QED420"], ["QED421"]):
        assert falls(answer.advice[0])


CLIENTS = """
import jax, jax.numpy as jnp, optax
X = jax.random.normal(jax.random.key(0), (4, 20, 3))
Y = X @ jnp.array([1.0, -2.0, 0.5])
def loss(w, x, y): return jnp.mean((x @ w - y) ** 2)
local, w = optax.sgd(0.05, momentum=0.5), jnp.zeros(3)
@jax.jit
def client(w, x, y):
    state = local.init(w)
    value, gradient = jax.value_and_grad(loss)(w, x, y)
    update, state = local.update(gradient, state)
    return w + update, value
for _ in range(10):
    found = [client(w, X[k], Y[k]) for k in range(4)]
    w = sum(new for new, _ in found) / 4
"""


def test_clients_whose_updates_are_averaged_are_left_alone(tmp_path):
    found, answer = codes_of(tmp_path, CLIENTS)
    assert found == [], str(answer)


CLIMB = """
import jax, jax.numpy as jnp
X = jnp.array([[1.0, 0.2], [0.4, -1.0], [-0.3, 0.5]])
def f(w): return FUNCTION
w = jnp.array([0.5, -0.3])
for _ in range(120):
    value, gradient = jax.value_and_grad(f)(w)
    w = w + 0.5 * gradient
"""


def test_a_loss_that_is_climbed_is_told_and_a_likelihood_is_not(tmp_path):
    found, answer = codes_of(tmp_path, CLIMB.replace("FUNCTION", "jnp.mean((X @ w - 1.0) ** 4)"))
    assert found[0] == "QED418" and "uphill" in str(answer.headline), str(answer)
    assert falls(answer.advice[0])
    found, answer = codes_of(tmp_path, CLIMB.replace("FUNCTION", "-jnp.mean((X @ w - 1.0) ** 2)"))
    assert found == [] and "it climbs" in str(answer.headline), str(answer)


def test_a_rule_that_climbs_is_told_of_a_problem_too():
    def loss(w):
        return jnp.sum((w - 2.0) ** 2)

    for rule, told in ((optax.scale(0.2), True), (optax.scale(-0.2), False), (optax.sgd(1.3), False)):
        answer = qed.why(qed.Problem(loss, jnp.zeros(2), step=rule))
        assert ("QED418" in [finding.code for finding in answer.findings]) == told, str(answer)


def test_a_reward_that_is_climbed_to_rest_is_left_alone():
    def reward(w):  # between 0.01 and 100, at rest at both ends
        return jnp.sum(100.0 / (1 + jnp.exp(-w)))

    answer = qed.why(qed.Problem(reward, jnp.full(1, -9.0), step=optax.scale(0.2)))
    assert "QED418" not in [finding.code for finding in answer.findings], str(answer)


def test_steps_are_identified_up_to_the_rounding_of_the_parameters():
    w, g = np.array([1000.0, -2000.0], np.float32), np.array([0.3, 0.5], np.float32)
    points = [w]
    for _ in range(3):
        points.append((points[-1] - np.float32(0.02) * g).astype(np.float32))
    assert str(identify(points, [g] * 3).rule).startswith("sgd:0.0")
    lost = [np.float32(1000.0) + np.zeros(2, np.float32)] * 3  # an update of 1e-5 beside 1000 is lost
    assert identify(lost, [g] * 2).rule is None


def test_an_update_that_16_bits_round_away_is_taken_for_the_rule():
    w, g = jnp.ones(3, jnp.bfloat16), jnp.full(3, 0.5, jnp.bfloat16)
    rule = optax.sgd(1e-3)
    update, _ = rule.update((g,), rule.init((w,)), (w,))
    seen = [Updated(rule, (g,), rule.init((w,)), (w,), update)]
    assert captured([(w,), (w,)], [(g,), (g,)], seen).rule is not None
    large, _ = optax.sgd(1.0).update((g,), rule.init((w,)), (w,))
    seen = [Updated(rule, (g,), rule.init((w,)), (w,), large)]
    assert captured([(w,), (w,)], [(g,), (g,)], seen).rule is None


def test_an_index_outside_its_array_is_named():
    table = jnp.ones(4)
    answer = qed.why(qed.Problem(lambda w: jnp.sum(w * jnp.take(table * w, jnp.array([0, 5]))), jnp.ones(()), step=0.1))
    assert "index 5 is outside an axis of 4 (its last is 3)" in str(answer)
    assert "an index outside its array" in str(answer.headline)


def test_where_nine_tenths_of_the_limit_explode_too_smaller_steps_are_tried():
    def loss(w):  # curvature 1 at the start, 56 at the minimum: nine tenths of 2 / 1 are far too much there
        return jnp.sum(w**6 / 6 + w**2 / 2 - 20 * w)

    answer = qed.why(qed.Problem(loss, jnp.zeros(1), step=5.0))
    assert answer.findings[0].code == "QED401", str(answer)
    assert any(a.trial is not None and a.trial.finite and a.trial.end < -20 for a in answer.advice), str(answer)


SUMMED = """
import jax, jax.numpy as jnp, optax, numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(320, 12)).astype("float32"); Y = (X @ rng.normal(size=(12, 4))).argmax(1)
def dense(k, a, b): return {"w": jax.random.normal(k, (a, b)) * (2 / a) ** .5, "b": jnp.zeros(b)}
k = jax.random.split(jax.random.key(0), 4)
p = {"enc": dense(k[0], 12, 48), "mid": dense(k[1], 48, 48), "head": dense(k[2], 48, 4)}
def apply(layer, x): return x @ layer["w"] + layer["b"]
def net(p, x): return apply(p["head"], jax.nn.relu(apply(p["mid"], jax.nn.relu(apply(p["enc"], x)))))
def loss(p, x, y): return optax.softmax_cross_entropy_with_integer_labels(net(p, x), y).sum()
step = jax.jit(jax.value_and_grad(loss))
for s in [*range(0, 320, 32)] * 2:
    value, g = step(p, X[s:s+32], Y[s:s+32])
    p = jax.tree.map(lambda a, b: a - 0.1 * b, p, g)
"""


def test_what_a_note_says_follows_the_sentence_that_nothing_is_wrong(tmp_path):
    text = loop().replace("return jnp.mean", "b = jax.lax.stop_gradient(w['b']); w = w['w']; return b + jnp.mean")
    text = text.replace("w = jnp.array([0.5, -0.3])", "w = {'w': jnp.array([0.5, -0.3]), 'b': jnp.zeros(())}")
    found, answer = codes_of(tmp_path, text)
    assert found == ["QED102"] and not answer.refuted
    assert "Nothing speaks against" in str(answer.headline) and "Worth knowing" in str(answer.headline)


def test_a_second_moment_that_goes_up_and_down_near_its_limit_is_compared_with_a_tenth():
    k = jax.random.split(jax.random.key(0), 4)
    data = jax.random.normal(k[0], (64, 4))
    labels = jnp.sin(2 * data[:, 0]) * data[:, 1]

    def loss(p):
        return jnp.mean((jnp.tanh(jnp.tanh(data @ p[0]) @ p[1]) @ p[2] - labels) ** 2)

    w = (jax.random.normal(k[1], (4, 16)), jax.random.normal(k[2], (16, 16)) / 4, jax.random.normal(k[3], (16,)) / 4)
    for rate, told in ((2.0, True), (0.01, False)):
        answer = qed.why(qed.Problem(loss, w, step=optax.adam(rate)))
        assert ("QED401" in [finding.code for finding in answer.findings]) == told, str(answer)


@pytest.mark.slow
def test_where_the_growth_on_later_batches_ends_in_a_number_the_step_comes_first(tmp_path):
    found, answer = codes_of(tmp_path, SUMMED)
    assert found[0] == "QED401" and "stops being finite at step" in str(answer.headline), str(answer)
    assert any(code.startswith("QED20") for code in found[1:])


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("rate", [0.01, 3e-3, 1e-3])
def test_a_rate_is_read_through_the_rounding_of_16_bits(dtype, rate):
    random = np.random.default_rng(0)
    points, gradients = [[jnp.asarray(random.normal(size=60), dtype), jnp.zeros(8, dtype)]], []
    for _ in range(3):
        gradients.append([jnp.asarray(random.normal(size=p.shape), dtype) for p in points[-1]])
        points.append([(p - rate * g).astype(dtype) for p, g in zip(points[-1], gradients[-1], strict=True)])
    found = identify(points, gradients)
    assert found.rule is not None and found.rule.rate == pytest.approx(rate, rel=0.2), found


def test_other_steps_within_the_rounding_tell_no_rate():
    random = np.random.default_rng(1)
    start = [jnp.asarray(random.normal(size=60), jnp.bfloat16), jnp.zeros(8, jnp.bfloat16)]
    gradient = [jnp.asarray(random.normal(size=p.shape), jnp.bfloat16) for p in start]
    signs = [(p - 1e-3 * jnp.sign(g)).astype(p.dtype) for p, g in zip(start, gradient, strict=True)]  # as Adam's
    assert identify([start, signs], [gradient]).rule is None
    still = [start[0], start[1] + jnp.asarray(1e-3, jnp.bfloat16)]
    assert identify([start, still], [gradient]).rule is None


def test_a_loss_that_stands_is_told_before_its_digits(tmp_path):
    text = """
import jax, jax.numpy as jnp
X = jax.random.normal(jax.random.key(0), (32, 3)).astype(jnp.float16)
w = jnp.ones(3, jnp.float16)
def loss(w): return jnp.mean((X @ w - 0.5) ** 2) * 1e-4
for _ in range(15):
    w = w - 1e-3 * jax.grad(loss)(w)
    jax.jit(jax.value_and_grad(loss))(w)
"""
    codes, answer = codes_of(tmp_path, text)
    assert "Nothing moves the loss" in answer.headline or "nothing moves its loss" in answer.headline, (codes, answer)
