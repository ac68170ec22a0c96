"""What `qed.why` says of a recording: ten runs that go wrong, and healthy ones about which it stays silent."""

import functools
import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import qed
from qed.errors import QedError
from qed.optimization.recording import runs
from qed.report import exit_code
from qed.report.text import text


def train(path, loss, w, tx, steps, *, every=20, valued=True, batches=None):
    """Train under scan and record; the loss takes (w, batch)."""
    watched = qed.watch(tx, path=path, every=every)
    data = jnp.zeros((steps,)) if batches is None else batches

    def step(carry, batch):
        w, state = carry
        value, slope = jax.value_and_grad(loss)(w, batch)
        more = {"value": value} if valued else {}
        updates, state = watched.update(slope, state, w, **more)
        return (optax.apply_updates(w, updates), state), value

    (w, state), _ = jax.jit(lambda carry: jax.lax.scan(step, carry, data))((w, watched.init(w)))
    watched.flush(state)
    return qed.why(qed.Problem(recording=path))


def codes(answer):
    return [finding.code for finding in answer.findings]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "run.qedrec"


def bowl(w, batch):
    return 0.5 * jnp.sum(jnp.array([10.0, 1.0]) * w["a"] ** 2) + 0.5 * jnp.sum(w["b"] ** 2)


ZERO = {"a": jnp.zeros(2), "b": jnp.ones(3)}
POINT = {"a": jnp.ones(2), "b": jnp.ones(3)}


def test_divergence_without_the_loss_ends_in_overflow(file):
    answer = train(file, bowl, POINT, optax.sgd(0.5), 90, valued=False)
    assert codes(answer)[:2] == ["QED410", "QED210"] and answer.refuted
    start = float(jnp.sqrt(sum(jnp.sum(g**2) for g in jax.tree.leaves(jax.grad(bowl)(POINT, None)))))
    assert answer.findings[0].witness["start"] == pytest.approx(start, rel=1e-6)  # the first number, no median
    assert answer.findings[0].witness["rate_times_curvature"] == pytest.approx(5.0, rel=1e-3)
    assert answer.findings[1].witness["leaves"] == ["['a']"]
    assert answer.verdict == "nonfinite" and exit_code(answer) == 1


def test_divergence_with_the_loss(file):
    answer = train(file, bowl, POINT, optax.sgd(0.25), 60)
    assert codes(answer) == ["QED403"] and answer.verdict == "diverges"
    assert answer.findings[0].witness["start"] == pytest.approx(float(bowl(POINT, None)), rel=1e-6)
    assert answer.findings[0].witness["rate_times_curvature"] == pytest.approx(2.5, rel=1e-3)
    assert answer.check()


def test_the_first_nan_names_its_step_and_leaf(file):
    def loss(w, batch):
        return jnp.sum(w["a"] ** 2) + jnp.sum(jnp.sqrt(w["b"] - 0.05)) + jnp.sum(w["c"] ** 2)

    w = {"a": jnp.ones(2), "b": jnp.full(3, 0.1), "c": jnp.ones(2)}
    answer = train(file, loss, w, optax.sgd(0.01), 50, every=100)
    witness = answer.findings[0].witness
    assert codes(answer) == ["QED210"] and witness["leaves"] == ["['b']"]
    assert answer.first_bad_step == witness["step"]
    assert any("line" in missing.what for missing in answer.missing)


def test_parameters_that_no_longer_move_in_bfloat16(file):
    w = {"w": jnp.full((8, 8), 1.0, jnp.bfloat16)}

    def loss(w, batch):
        return jnp.sum(0.01 * w["w"].astype(jnp.float32))

    answer = train(file, loss, w, optax.sgd(0.1), 100)
    assert codes(answer) == ["QED404"]
    assert answer.findings[0].witness["moved"] == 0
    assert not codes(train(file, loss, jax.tree.map(lambda x: x.astype(jnp.float32), w), optax.sgd(0.1), 100))


def chain(depth, squash):
    keys = jax.random.split(jax.random.key(0), depth)
    w = {f"layer{i}": jax.random.normal(key, (8, 8)) / 3 for i, key in enumerate(keys)}
    x = jax.random.normal(jax.random.key(1), (16, 8))

    def loss(w, batch):
        h = x
        for name in sorted(w):
            h = squash(h @ w[name])
        return jnp.mean((h - 1.0) ** 2)

    return loss, w


def test_a_vanishing_chain(file):
    loss, w = chain(9, jax.nn.sigmoid)
    answer = train(file, loss, w, optax.sgd(0.1), 60)
    assert codes(answer) == ["QED405"] and answer.findings[0].witness["leaf"] == "['layer0']"


def test_an_exploding_chain(file):
    w = {name: jnp.ones((4, 4)) for name in "abcd"}

    def loss(w, batch):
        small = sum(jnp.sum(w[name] ** 2) for name in "bcd")
        return 25 * jnp.sum(w["a"] ** 2) + 1e-3 * small

    answer = train(file, loss, w, optax.sgd(0.1), 20, valued=False)
    assert codes(answer) == ["QED410", "QED406"] and answer.findings[1].witness["leaf"] == "['a']"


HEALTHY = (
    "gradient descent", "converged", "tanh, Adam", "tanh, clipped AdamW", "bfloat16", "mini-batches",
    "warm-up and cosine", "one batch, accumulated", "leaving a saddle", "stopped while leaving it",
    "a loss that rises from nothing", "a loss that rises",
)  # fmt: skip


@functools.cache
def healthy():
    """Made when the first of them is asked for: collecting the tests compiles nothing."""
    tanh = chain(3, jnp.tanh)
    x = jax.random.normal(jax.random.key(2), (64, 8))
    noisy = jax.random.normal(jax.random.key(3), (200, 16, 8))

    def fit(w, batch):
        return jnp.mean((batch @ w["w"] + w["b"] - jnp.sin(batch[:, 0])) ** 2)

    line = {"w": jnp.zeros(8), "b": jnp.zeros(())}
    half = jax.tree.map(lambda v: v.astype(jnp.bfloat16), tanh[1])
    cosine = optax.warmup_cosine_decay_schedule(0.0, 0.1, 20, 200)

    def saddle(w, batch):
        return jnp.sum((w["a"] @ w["b"] - jnp.eye(4)) ** 2)

    def follow(w, batch):
        return jnp.mean((w["b"] - batch) ** 2) + 0.1 * jnp.mean(w["a"] ** 2)

    def plays_against_another(w, batch):
        return batch * jnp.sum(w["a"]) + 0.0 * jnp.sum(w["b"])

    small = {"a": 1e-3 * jnp.eye(4), "b": 1e-3 * jnp.eye(4)}
    return {
        "gradient descent": (bowl, POINT, optax.sgd(0.1), None),
        "converged": (bowl, POINT, optax.sgd(0.15, momentum=0.5), None),
        "tanh, Adam": (*tanh, optax.adam(1e-2), None),
        "tanh, clipped AdamW": (*tanh, optax.chain(optax.clip_by_global_norm(0.1), optax.adamw(1e-2)), None),
        "bfloat16": (tanh[0], half, optax.adam(1e-2), None),
        "mini-batches": (fit, line, optax.sgd(0.05), noisy),
        "warm-up and cosine": (fit, line, optax.sgd(cosine), noisy),
        "one batch, accumulated": (fit, line, optax.MultiSteps(optax.sgd(0.1), 4), jnp.tile(x, (200, 1, 1))),
        "leaving a saddle": (saddle, small, optax.sgd(0.05), None),
        "stopped while leaving it": (saddle, jax.tree.map(lambda v: 1e-6 * v, small), optax.sgd(0.08), None),
        "a loss that rises from nothing": (plays_against_another, ZERO, optax.sgd(-0.01), jnp.ones(200)),
        "a loss that rises": (follow, POINT, optax.adam(3e-2), jnp.linspace(1.0, 5.0, 200) ** 2 / 3),
    }


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_recording_is_silent(file, name):
    assert set(HEALTHY) == set(healthy())
    loss, w, tx, batches = healthy()[name]
    for answer in (train(file, loss, w, tx, 200, batches=batches), without_the_loss(file)):
        assert not codes(answer), text(answer)
        assert answer.measured and answer.verdict == "healthy" and exit_code(answer) == 0
        assert len(answer.answers) >= 3


def without_the_loss(file):
    """The same recording as if the loss had not been passed."""
    import qed.why.recorded as recorded

    unvalued = [
        replace(run, valued=np.zeros_like(run.valued), value=np.full_like(run.value, np.nan)) for run in runs(file)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorded, "runs", lambda path: tuple(unvalued))
        return recorded.explain(file)


def test_the_edge_is_told_with_its_spread(file):
    answer = train(file, bowl, POINT, optax.sgd(0.1999), 200)
    said = " ".join(text(answer).split())
    assert "rate x curvature along the step: 2 (2 to 2 in 80 %" in said and "at the edge of stability" in said
    noise = jax.random.normal(jax.random.key(0), (200, 5))

    def only_noise(w, batch):
        return jnp.sum(batch * w)

    said = text(train(file, only_noise, jnp.ones(5), optax.sgd(1e-3), 200, batches=noise))
    assert "batches" in said


def test_the_answer_is_strict_json(file):
    answer = train(file, bowl, POINT, optax.sgd(0.5), 90)
    data = json.loads(json.dumps(answer.to_json(), allow_nan=False))
    assert data["standing"] == "REFUTED" and qed.Answer.from_json(data).claim == answer.claim
    assert np.isfinite(answer.findings[0].witness["start"])


def test_a_recording_stands_alone():
    with pytest.raises(QedError, match="together with loss") as caught:
        qed.why(qed.Problem(lambda w: w, recording="run.qedrec"))
    assert caught.value.code == "QED009"
    with pytest.raises(QedError, match="no path") as caught:
        qed.why(qed.Problem(recording=3))
    assert caught.value.code == "QED007"


def test_no_file_and_no_recording(file):
    with pytest.raises(QedError) as caught:
        qed.why(qed.Problem(recording=file))
    assert caught.value.code == "QED000"
    file.write_text("step,loss\n1,2\n")
    with pytest.raises(QedError, match="is no recording") as caught:
        qed.why(qed.Problem(recording=file))
    assert caught.value.code == "QED007"


def test_each_run_of_a_file_can_be_asked_for(file):
    train(file, bowl, POINT, optax.sgd(0.5), 90, valued=False)
    train(file, bowl, POINT, optax.sgd(0.05), 60)
    last = qed.why(qed.Problem(recording=file))
    assert last.verdict == "healthy" and f"{file.name}:0" in last.missing[-1].settle and "run 2 of 2" in last.subject
    first = qed.why(qed.Problem(recording=f"{file}:0"))
    assert codes(first)[0] == "QED410" and f"{file.name}:1" in first.missing[-1].settle
    with pytest.raises(QedError, match="there is no run 2"):
        qed.why(qed.Problem(recording=f"{file}:2"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda header: header.pop("stride"), "no stride"),
        (lambda header: header.update(schema="qed/recording/0"), "qed/recording/0"),
        (lambda header: header.update(columns=["loss"]), "rows hold loss"),
    ],
)
def test_a_recording_in_another_format_is_refused(file, change, said):
    train(file, bowl, POINT, optax.sgd(0.05), 60)
    header, *blocks = file.read_text().splitlines()
    changed = json.loads(header)
    change(changed)
    former = "\n".join([json.dumps(changed), *blocks]) + "\n"
    file.write_text(former)
    with pytest.raises(QedError, match="in another format") as caught:
        qed.why(qed.Problem(recording=file))
    assert caught.value.code == "QED007" and said in caught.value.because
    train(file, bowl, POINT, optax.sgd(0.05), 60)  # appended in this one: that run can be read
    assert len(runs(file)) == 1


def test_a_plateau_names_the_step_at_which_it_begins(file):
    answer = train(file, bowl, POINT, optax.sgd(0.1), 200)
    losses = np.array([5.0 * (k == 0) + 2.0 * 0.81**k for k in range(200)])  # rates 1 - 0.1 * 10 and 1 - 0.1
    (course,) = [a for a in answer.answers if "plateau" in a.claim]
    since = int(course.claim.split("since about step ")[1].split(";")[0])
    assert losses[since] <= 0.01 * losses[0] < losses[since // 3] and not codes(answer)
    assert "the gradient norm goes from" in course.claim
    assert course.claim.startswith(f"the loss goes from {float(bowl(POINT, None)):.6g} to ")
    file.unlink()
    short = train(file, bowl, POINT, optax.sgd(0.01), 60)
    assert not any("plateau" in a.claim for a in short.answers)
