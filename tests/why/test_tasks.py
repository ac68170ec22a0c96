"""What people of many trades train is left in peace, and so is what they evaluate; some mistakes in other words."""

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.trace import trace
from qed.why.mistakes.batch import statistics_of_the_batch
from qed.why.script import why_script

_spec = importlib.util.spec_from_file_location("training_tasks", Path(__file__).with_name("tasks.py"))
tasks = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tasks)
normal, whole = tasks.normal, tasks.whole

QUICK = (
    "attack_on_a_classifier", "attack_on_a_regression", "density_of_narrow_data", "distance_of_sorted_samples",
    "fine_tuning_from_a_good_start", "fine_tuning_that_is_thrown_out_and_comes_back", "growth_of_wealth",
    "list_of_documents_ranked", "low_rank_adapter_of_a_frozen_layer", "minutes_of_the_first_day", "quantiles",
    "spread_towards_all_classes_by_level", "weights_that_are_a_vector_decayed",
)  # fmt: skip
NOTES = {"low_rank_adapter_of_a_frozen_layer": {"QED102"}}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else (pytest.mark.slow,)) for n in tasks.TASKS]
)
def test_a_task_is_left_in_peace(name):
    answer = qed.why(tasks.TASKS[name]())
    notes = {finding.code for finding in answer.findings if finding.level == "note"}
    assert [finding for finding in answer.findings if finding.level != "note"] == [], str(answer)
    assert notes <= NOTES.get(name, {"QED402"}), str(answer)
    assert answer.value.verdict == "healthy"


W = normal(4, 2)


def share_explained(x, y):
    return 1 - jnp.sum((y - x @ W) ** 2) / jnp.sum((y - y.mean(0)) ** 2)


def correlation(x, y):
    a, b = x @ W - (x @ W).mean(0), y - y.mean(0)
    return (a * b).sum(0) / jnp.sqrt((a**2).sum(0) * (b**2).sum(0))


def covariance(x, y):
    centred = x @ W - (x @ W).mean(0)
    return centred.T @ centred / 31


def moments_of_one_series(x, y):
    mean, deviation = x.mean(0), x.std(0)
    z = (x - mean) / deviation
    smooth = jnp.stack([z[:-2], z[1:-1], z[2:]], -1) @ jnp.array([0.2, 0.6, 0.2])
    return jnp.pad(smooth, ((1, 1), (0, 0))) * deviation + mean


def similarities(x, y):
    z = x @ W - (x @ W).mean(0)
    z = z / jnp.linalg.norm(z, axis=1, keepdims=True)
    return z @ z.T


def attention_of_a_set(x, y):
    z = (x - x.mean(0)) / x.std(0) @ W
    return jax.nn.softmax(z @ z.T) @ z


def centred_cloud(x, y):
    h = jnp.tanh((x - x.mean(0)) @ W)
    return h + h.max(0)


def advantages(x, y):
    value = x @ W
    return (value - value.mean(0)) / value.std(0)


SCORES = [
    share_explained, correlation, covariance, moments_of_one_series, similarities, attention_of_a_set, centred_cloud,
    advantages,
]  # fmt: skip


def through_two_layers(x, y):
    for _ in range(2):
        z = x @ W
        x = jax.nn.relu((z - z.mean(0)) * jax.lax.rsqrt(z.var(0) + 1e-5)) @ W.T
    return x


def normalised_inputs(x, y):
    return (x - x.mean(0)) / x.std(0) @ W


def evaluated(function):
    traced = trace(function, normal(32, 4), normal(32, 2, seed=1))
    return [(f.code, str(f.level)) for answer in statistics_of_the_batch(traced, "f") for f in answer.findings]


@pytest.mark.parametrize("function", SCORES)
def test_scores_and_sets_are_no_batch_statistics(function):
    assert evaluated(function) == []


@pytest.mark.parametrize("function", [through_two_layers, normalised_inputs])
def test_batch_statistics_in_other_words_are_told(function):
    assert [code for code, _ in evaluated(function)] == ["QED416"]


X, LABELS = normal(60, 3), whole(5, 60)


def likelihood_of_rows(w):
    return jnp.mean(jnp.sum(jax.nn.one_hot(LABELS, 5) * jax.nn.log_softmax(X @ w), 1))


def rewarded_log_cosh(w):
    return -jnp.mean(jnp.log(jnp.cosh(X @ w[:, 0] - LABELS)))


def numbers_and_the_logarithm_of_a_softmax(w):
    return -jnp.mean(LABELS[:, None] * jnp.log(jax.nn.softmax(X @ w)))


@pytest.mark.parametrize(
    ("loss", "code"),
    [
        (likelihood_of_rows, "QED411"),
        (rewarded_log_cosh, "QED411"),
        (numbers_and_the_logarithm_of_a_softmax, "QED610"),
    ],
)
def test_a_mistake_in_other_words_is_named(loss, code):
    answer = qed.why(qed.Problem(loss, 0.1 * normal(3, 5, seed=2), step=0.1))
    assert code in {finding.code for finding in answer.findings}, str(answer)


def test_whole_images_that_become_black_are_told():
    images = np.asarray(whole(200, 40, 9))

    def loss(w, images):
        return jnp.mean(((images.reshape(40, -1) // 256 * 1.0) @ w - 1.0) ** 2)

    answer = qed.why(qed.Problem(loss, jnp.zeros(9), (images,), step=0.1))
    assert answer.findings[0].code == "QED212", str(answer)


GAME = """
import jax
import jax.numpy as jnp
import optax

def net(p, x):
    return jnp.tanh(x @ p["a"] + p["b"]) @ p["c"]

def make(seed, count):
    a, c = jax.random.split(jax.random.key(seed))
    return {"a": 0.3 * jax.random.normal(a, (2, 8)), "b": jnp.zeros(8), "c": 0.3 * jax.random.normal(c, (8, count))}

def critic(d, g, real, z):
    return jnp.mean(net(d, net(g, z))) - jnp.mean(net(d, real))

def generator(g, d, z):
    return -jnp.mean(net(d, net(g, z)))

@jax.jit
def step(g, d, of_g, of_d, key):
    z, real = jax.random.normal(key, (2, 32, 2))
    _, slope = jax.value_and_grad(critic)(d, g, real + 2, z)
    change, of_d = rule.update(slope, of_d)
    d = jax.tree.map(lambda a: jnp.clip(a, -0.5, 0.5), optax.apply_updates(d, change))
    value, slope = jax.value_and_grad(generator)(g, d, z)
    change, of_g = rule.update(slope, of_g)
    return optax.apply_updates(g, change), d, of_g, of_d, value

g, d, rule = make(1, 2), make(2, COUNT), optax.adam(1e-3, b1=0.5)
of_g, of_d, key = rule.init(g), rule.init(d), jax.random.key(0)
for k in range(40):
    g, d, of_g, of_d, value = step(g, d, of_g, of_d, jax.random.fold_in(key, k))
"""


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_a_game_of_two_networks_is_read_as_two_losses(count, tmp_path):
    path = tmp_path / "train.py"
    path.write_text(GAME.replace("COUNT", str(count)))
    answer = why_script(path)
    assert answer.findings == (), str(answer)
    assert answer.meta["script_steps"] == 40
