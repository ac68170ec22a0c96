"""`qed.watch`: the same updates, the recorded numbers, the file, and what a killed process leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import qed
from qed.errors import QedError
from qed.optimization.recording import is_recording, read, runs
from tests.conftest import OPTIMIZED

RULES = {
    "sgd": optax.sgd(0.1),
    "momentum": optax.sgd(0.1, momentum=0.9),
    "adam": optax.adam(1e-2),
    "clipped adamw": optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-2)),
    "plateau": optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau()),
    "accumulating": optax.MultiSteps(optax.adam(1e-2), 3).gradient_transformation(),
}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "run.qedrec"


def parameters(dtype=jnp.float32):
    key = jax.random.key(0)
    return {"layer": (jax.random.normal(key, (5, 3)).astype(dtype), [jnp.ones(3, dtype)]), "scale": jnp.ones((), dtype)}


def loss(w, x):
    return jnp.mean((jnp.tanh(x @ w["layer"][0]) * w["scale"] + w["layer"][1][0]) ** 2).astype(jnp.float32)


DATA = jax.random.normal(jax.random.key(1), (40, 8, 5))


def bits(tree):
    return [np.asarray(x).tobytes() for x in jax.tree.leaves(tree)]


@pytest.mark.parametrize(
    ("rule", "dtype"),
    [*((rule, jnp.float32) for rule in RULES), ("momentum", jnp.bfloat16), ("accumulating", jnp.bfloat16)],
)
def test_the_updates_are_the_same_bit_for_bit(file, rule, dtype):
    plain = optax.with_extra_args_support(RULES[rule])
    watched = qed.watch(RULES[rule], path=file, every=8)
    w = parameters(dtype)
    states = [plain.init(w), watched.init(w)]
    updates = [jax.jit(update, compiler_options=OPTIMIZED) for update in (plain.update, watched.update)]
    slope = jax.jit(jax.value_and_grad(loss))
    for x in DATA[:20]:
        value, g = slope(w, x.astype(dtype))
        (u, states[0]), (v, states[1]) = (
            update(g, s, w, value=value) for update, s in zip(updates, states, strict=True)
        )
        assert bits(u) == bits(v) and bits(states[0]) == bits(states[1].inner)
        w = optax.apply_updates(w, u)
    assert read(file).steps.tolist() == list(range(16))


def scan(tx, w, data=DATA, function=loss):
    def step(carry, x):
        w, state = carry
        value, g = jax.value_and_grad(function)(w, x)
        u, state = tx.update(g, state, w, value=value)
        return (optax.apply_updates(w, u), state), (value, g, u, w)

    return jax.jit(lambda carry: jax.lax.scan(step, carry, data))((w, tx.init(w)))


def norms(trees):
    return np.stack([np.sqrt(np.square(np.asarray(x, np.float64)).reshape(len(x), -1).sum(1)) for x in trees], 1)


def test_the_rows_are_what_happened(file):
    tx = qed.watch(optax.sgd(0.1, momentum=0.5), path=file, every=16)
    (_, state), (value, g, u, w) = scan(tx, parameters())
    assert read(file).steps.tolist() == list(range(32))
    tx.flush(state)
    recording = read(file)
    assert recording.steps.tolist() == list(range(40)) and recording.moved_at.tolist() == [15, 31, 39]
    assert [leaf.path for leaf in recording.leaves] == ["['layer'][0]", "['layer'][1][0]", "['scale']"]
    assert [leaf.shape for leaf in recording.leaves] == [(5, 3), (3,), ()]
    np.testing.assert_array_equal(recording.value, value)
    assert recording.valued.all() and not recording.nonfinite.any()
    gs, us, ws = (jax.tree.leaves(tree) for tree in (g, u, w))
    for name, leaves in (("gradient", gs), ("update", us), ("parameter", ws)):
        np.testing.assert_allclose(getattr(recording, name), norms(leaves), rtol=1e-5)
    flat = [np.concatenate([np.asarray(x, np.float64).reshape(40, -1) for x in xs], 1) for xs in (gs, us)]
    wanted = ((flat[0][1:] - flat[0][:-1]) * flat[1][:-1]).sum(1) / np.square(flat[1][:-1]).sum(1)
    np.testing.assert_allclose(recording.curvature[1:], wanted, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(recording.descent, (flat[0] * flat[1]).sum(1), rtol=1e-4, atol=1e-6)
    assert np.isnan(recording.curvature[0]) and (recording.moved[0] == 1).all() and np.isnan(recording.moved[2]).all()


def test_curvature_along_the_step_of_a_quadratic(file):
    tx = qed.watch(optax.sgd(0.1), path=file, every=10)
    scan(tx, jnp.ones(4), jnp.zeros(10), lambda w, x: 1.5 * jnp.sum(w**2))
    np.testing.assert_allclose(read(file).curvature[1:], 3.0, rtol=1e-5)
    tx = qed.watch(optax.sgd(0.1), path=file, every=10, curvature=False)
    scan(tx, jnp.ones(4), jnp.zeros(10), lambda w, x: 1.5 * jnp.sum(w**2))
    assert np.isnan(read(file).curvature).all() and (read(file).descent < 0).all()


@pytest.mark.parametrize("place", ["inside", "around"])
def test_accumulation(file, place):
    tx = qed.watch(optax.sgd(0.1), path=file, every=5)
    if place == "inside":
        tx = optax.MultiSteps(tx, 4).gradient_transformation()
    else:
        tx = qed.watch(optax.MultiSteps(optax.sgd(0.1), 4).gradient_transformation(), path=file, every=5)
    scan(tx, parameters())
    (recording,) = runs(file)
    assert recording.steps.tolist() == list(range(10 if place == "inside" else 40))
    moving = recording.total("update") > 0
    assert moving.all() if place == "inside" else moving.sum() == 10


@pytest.fixture
def sparse(monkeypatch):
    """As if a model of four numbers were a large one; the parameters of these tests then have a row in five steps."""
    monkeypatch.setattr("qed.optimization.watch.EVERY_STEP", 4)


def test_rows_of_large_models_are_apart_and_say_the_same(file, tmp_path, sparse, monkeypatch):
    tx = qed.watch(optax.adam(1e-2), path=file, every=40)
    (_, state), (_, _, u, w) = scan(tx, parameters())
    tx.flush(state)
    recording = read(file)
    assert recording.stride == 5 and recording.steps.tolist() == [0, 5, 10, 15, 20, 25, 30, 35]
    monkeypatch.undo()
    tx = qed.watch(optax.adam(1e-2), path=tmp_path / "dense", every=40)
    (_, state), (_, _, v, x) = scan(tx, parameters())
    tx.flush(state)
    assert bits(u) == bits(v) and bits(w) == bits(x)
    dense = read(tmp_path / "dense")
    for name in ("value", "descent", "before", "after", "gradient", "update", "parameter"):
        here, there = getattr(recording, name), getattr(dense, name)[::5]
        np.testing.assert_allclose(here, there, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(recording.curvature, dense.curvature[::5], rtol=1e-2, atol=1e-2)


def test_the_first_bad_number_between_two_rows_makes_a_row(file, sparse):
    def breaks(w, x):
        return jnp.sum(jnp.sqrt(w["a"] - x)) + jnp.sum(w["b"] ** 2)

    tx = qed.watch(optax.sgd(0.0), path=file, every=100)
    w = {"a": jnp.ones(4), "b": jnp.ones(12)}
    scan(tx, w, jnp.linspace(0.0, 2.0, 23)[:15], breaks)
    recording = read(file)
    assert recording.steps.tolist() == [0, 4, 8, 11] and recording.nonfinite[-1].tolist() == [3, 0]


def test_rows_apart_outside_jit_and_without_a_loss(file, sparse):
    tx = qed.watch(optax.sgd(0.1), path=file, every=8)
    w, state = parameters(), None
    state = tx.init(w)
    for x in DATA[:12]:
        updates, state = tx.update(jax.grad(loss)(w, x), state, w)
        w = optax.apply_updates(w, updates)
    tx.flush(state)
    assert read(file).steps.tolist() == [0, 5, 10] and np.isfinite(read(file).curvature[1:]).all()


def test_large_models_keep_no_copy_for_the_curvature_unless_asked(file, monkeypatch):
    monkeypatch.setattr("qed.optimization.watch.KEPT", 3)
    assert qed.watch(optax.sgd(0.1), path=file).init(jnp.ones(4)).ring.step is None
    assert qed.watch(optax.sgd(0.1), path=file, curvature=True).init(jnp.ones(4)).ring.step is not None
    scan(qed.watch(optax.sgd(0.1), path=file, every=10), jnp.ones(4), jnp.zeros(10), lambda w, x: jnp.sum(w**2))
    assert "curvature=True" in next(m.settle for m in qed.why(qed.Problem(recording=file)).missing)


def test_the_first_number_that_is_not_finite_is_written_at_once(file):
    def breaks(w, x):
        return jnp.sum(jnp.sqrt(w["a"] - x)) + jnp.sum(w["b"] ** 2)

    tx = qed.watch(optax.sgd(0.0), path=file, every=100)
    w = {"a": jnp.ones(2), "b": jnp.ones(3)}
    scan(tx, w, jnp.linspace(0.0, 2.0, 21)[:15], breaks)
    recording = read(file)
    bad = recording.nonfinite.any(axis=1)
    assert np.flatnonzero(bad).tolist() == [len(recording.steps) - 1] and recording.steps[-1] == 10
    assert recording.nonfinite[-1].tolist() == [3, 0]


def test_norms_beyond_the_squares_of_float32(file):
    tx = qed.watch(optax.sgd(1e-38), path=file, every=1)
    scan(tx, jnp.ones(4), jnp.array([3e38]), lambda w, x: jnp.sum(0.5 * x * w))
    recording = read(file)
    np.testing.assert_allclose(recording.gradient, 3e38, rtol=1e-5)
    assert not recording.nonfinite.any()


def test_runs_in_one_file_are_told_apart(file):
    tx = qed.watch(optax.sgd(0.1), path=file, every=5)
    init, update = jax.jit(tx.init), jax.jit(tx.update)
    for steps, w in ((10, jnp.ones(2)), (5, 2 * jnp.ones(2)), (15, 3 * jnp.ones(2))):
        state = init(w)
        for _ in range(steps):
            _, state = update(w, state, w)
        jax.block_until_ready(state)
    both = [tx.init(jnp.ones(2)), tx.init(jnp.ones(3))]
    for _ in range(5):
        both = [tx.update(jnp.ones(2 + i), state, jnp.ones(2 + i))[1] for i, state in enumerate(both)]
    jax.block_until_ready(both)
    found = runs(file)
    assert [len(run.steps) for run in found] == [10, 5, 15, 5, 5]
    assert len({run.run for run in found}) == 5 and not any(run.valued.any() for run in found)
    assert read(file, 0).parameter[0, 0] == pytest.approx(np.sqrt(2))
    with pytest.raises(QedError, match="no run 7"):
        read(file, 7)


def test_torn_lines_are_skipped_and_closed(file):
    tx = qed.watch(optax.sgd(0.1), path=file, every=5)
    scan(tx, parameters())
    whole = file.read_bytes()
    file.write_bytes(whole[:-40])
    assert is_recording(file)
    assert read(file).steps.tolist() == list(range(35)) and read(file).torn == 1
    scan(qed.watch(optax.sgd(0.1), path=file, every=5), parameters())
    assert [len(run.steps) for run in runs(file)] == [35, 40]


def test_any_pytree(file):
    tx = qed.watch(optax.sgd(0.1), path=file, every=1)
    w = {
        "complex": jnp.ones(2) + 1j,
        "none": None,
        "masked": optax.MaskedNode(),
        "empty": jnp.zeros((0,)),
        "x": jnp.ones(1),
    }
    updates, state = tx.update(w, tx.init(w), w)
    assert jax.tree.structure(updates) == jax.tree.structure(w)
    jax.block_until_ready(state)
    recording = read(file)
    assert [leaf.path for leaf in recording.leaves] == ["['complex']", "['empty']", "['x']"]
    np.testing.assert_allclose(recording.gradient[0], [2.0, 0.0, 1.0])
    tx.update(w, tx.init(w))  # without parameters
    with pytest.raises(QedError, match="do not match"):
        tx.update({"x": jnp.ones(1)}, state)


def test_gradients_pass_through_a_training_step(file):
    def after(w, tx):
        state, start = tx.init(w), w
        for _ in range(3):
            u, state = tx.update(jax.grad(lambda w: jnp.sum(w**4))(start), state, start)
            start = optax.apply_updates(start, u)
        return jnp.sum(start**2)

    tx = optax.sgd(0.01)
    wanted = jax.grad(after)(jnp.ones(3), tx)
    np.testing.assert_array_equal(
        jax.jit(jax.grad(partial(after, tx=qed.watch(tx, path=file, every=2))))(jnp.ones(3)), wanted
    )


def test_vmap_is_refused_and_not_mixed_up(file):
    tx = qed.watch(optax.sgd(0.1), path=file, every=2)
    with pytest.raises((NotImplementedError, ValueError)):
        jax.vmap(lambda w: tx.update(w, tx.init(w), w))(jnp.ones((3, 2)))


def test_what_cannot_be_recorded(file, tmp_path):
    for wrong, code in (
        (lambda: qed.watch(0.1, path=file), "QED005"),
        (lambda: qed.watch(optax.sgd(0.1), path=file, every=0), "QED007"),
        (lambda: qed.watch(optax.sgd(0.1), path=tmp_path), "QED000"),
        (lambda: qed.watch(optax.sgd(0.1), path=tmp_path / "none" / "run.qedrec"), "QED000"),
        (lambda: qed.watch(optax.sgd(0.1), path=file).flush(optax.sgd(0.1).init(jnp.ones(2))), "QED007"),
    ):
        with pytest.raises(QedError) as caught:
            wrong()
        assert caught.value.code == code
    assert not is_recording(file)


def test_a_disk_that_fails_does_not_stop_the_training(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    tx = qed.watch(optax.sgd(0.1), path=folder / "run.qedrec", every=5)
    folder.rmdir()
    with pytest.warns(RuntimeWarning, match=r"cannot write .*run\.qedrec"):
        (_, state), _ = scan(tx, parameters())
        jax.block_until_ready(state)


KILLED = """
import sys, jax, jax.numpy as jnp, optax, qed
tx = qed.watch(optax.sgd(0.1), path=sys.argv[1], every=50)
w = jnp.ones(3)
state = tx.init(w)
@jax.jit
def step(w, state):
    u, state = tx.update(w, state, w)
    return optax.apply_updates(w, u), state
for i in range(10**9):
    w, state = step(w, state)
    if i % 10 == 0:
        jax.block_until_ready(w); print(i, flush=True)
"""


def test_a_killed_process_loses_at_most_the_last_steps(file):
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    with subprocess.Popen([sys.executable, "-c", KILLED, file], stdout=subprocess.PIPE, env=environment) as child:
        deadline = time.monotonic() + 30
        for line in child.stdout:
            last = int(line)
            if last >= 170 or time.monotonic() > deadline:
                break
        child.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        last = max([last, *(int(line) for line in child.stdout.read().split())])
    assert last >= 170
    assert len(read(file).steps) > last - 50


def test_the_committed_benchmark_keeps_its_promise():
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "training.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["limit"] == 1.03 and record["machine"]["shared"] is True
    assert record["results"]["qed.watch"]["10 ms, convolution"]["ratio"] <= record["limit"]
    assert record["results"]["qed.watch"]["0.1 ms"]["microseconds_more"] > 0
