"""Training tasks as people of many trades write them, none of them with a mistake.

`healthy.py` goes through the features of the library; here it is the losses that differ: negative ones, ones that
reward an error on purpose, rows that belong together, whole numbers that are meant. Every entry makes a `qed.Problem`.
"""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax

import qed

TASKS = {}


def task(make):
    TASKS[make.__name__] = make
    return make


def normal(*shape, seed=0, scale=1.0):
    return jnp.asarray(scale * np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def whole(high, *shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).integers(0, high, shape))


def dense(*sizes, seed=0):
    pairs = pairwise(sizes)
    return [(normal(m, n, seed=seed + k, scale=m**-0.5), jnp.zeros(n)) for k, (m, n) in enumerate(pairs)]


def network(layers, x):
    for w, b in layers[:-1]:
        x = jnp.tanh(x @ w + b)
    return x @ layers[-1][0] + layers[-1][1]


# --- rewards, adversaries, energies -----------------------------------------------------------------------------


@task
def policy_gradient_with_a_baseline():
    states, actions, reward = normal(32, 4), whole(3, 32), normal(32, seed=3)

    def loss(p):
        log_p = jax.nn.log_softmax(network(p, states))
        chosen = jnp.take_along_axis(log_p, actions[:, None], 1)[:, 0]
        advantage = reward - reward.mean()
        return -jnp.mean(chosen * advantage) - 0.01 * jnp.mean(-jnp.sum(jnp.exp(log_p) * log_p, 1))

    return qed.Problem(loss, dense(4, 8, 3), step="adam:1e-3")


@task
def proximal_policy_with_an_entropy_bonus():
    states, actions, advantage = normal(32, 4), whole(3, 32), normal(32, seed=3)
    before = -1.1 * jnp.ones(32)

    def loss(p):
        log_p = jax.nn.log_softmax(network(p, states))
        ratio = jnp.exp(log_p[jnp.arange(32), actions] - before)
        gain = jnp.minimum(ratio * advantage, jnp.clip(ratio, 0.8, 1.2) * advantage)
        return -gain.mean() + 0.01 * (jnp.exp(log_p) * log_p).sum(1).mean()

    return qed.Problem(loss, dense(4, 8, 3), step=optax.chain(optax.clip_by_global_norm(0.5), optax.adam(3e-3)))


@task
def actor_against_a_frozen_critic():
    states, critic = normal(32, 3), dense(5, 8, 1, seed=5)

    def loss(p):
        return -jnp.mean(network(critic, jnp.concatenate([states, jnp.tanh(network(p, states))], 1)))

    return qed.Problem(loss, dense(3, 8, 2), step="adam:1e-2")


@task
def discriminator():
    real, fake = normal(32, 2) + 1.0, normal(32, 2, seed=2)

    def loss(p):
        return jax.nn.softplus(-network(p, real)).mean() + jax.nn.softplus(network(p, fake)).mean()

    return qed.Problem(loss, dense(2, 8, 1), step="adam:1e-2")


@task
def generator_that_saturates():
    noise, judge = normal(32, 2), dense(2, 8, 1, seed=4)

    def loss(p):
        return jnp.mean(jnp.log1p(-jax.nn.sigmoid(network(judge, network(p, noise))) + 1e-6))

    return qed.Problem(loss, dense(2, 8, 2), step="adam:1e-3")


@task
def critic_with_a_gradient_penalty():
    real, fake = normal(32, 2) + 1.0, normal(32, 2, seed=2)

    def loss(p):
        slopes = jax.vmap(jax.grad(lambda x: network(p, x)[0]))(0.5 * (real + fake))
        norms = jnp.sqrt(jnp.sum(slopes**2, 1) + 1e-12)
        return network(p, fake).mean() - network(p, real).mean() + 10.0 * jnp.mean((norms - 1.0) ** 2)

    return qed.Problem(loss, dense(2, 8, 1), step="adam:1e-2,b1=0.5")


@task
def attack_on_a_regression():
    X, w = normal(16, 4), jnp.array([1.0, -2.0, 0.5, 3.0])
    y = X @ w + normal(16, seed=3, scale=0.05)

    def loss(delta):
        return -jnp.mean((jnp.clip(X + jnp.clip(delta, -0.1, 0.1), -3, 3) @ w - y) ** 2)

    return qed.Problem(loss, normal(16, 4, seed=5, scale=1e-3), step="adam:1e-2")


@task
def attack_on_a_classifier():
    X, W = normal(16, 4), normal(4, 3, seed=1, scale=3.0)
    labels = jnp.argmax(X @ W, 1)

    def loss(delta):
        return -optax.softmax_cross_entropy_with_integer_labels((X + 0.3 * jnp.tanh(delta)) @ W, labels).mean()

    return qed.Problem(loss, jnp.zeros((16, 4)), step="adam:0.05")


@task
def energy_of_data_against_noise():
    data, noise = normal(32, 2) + 2.0, normal(32, 2, seed=2, scale=3.0)

    def loss(p):
        up, down = network(p, data), network(p, noise)
        return up.mean() - down.mean() + 0.1 * (up**2 + down**2).mean()

    return qed.Problem(loss, dense(2, 8, 1), step="adam:1e-2")


@task
def score_matching():
    x, noise = normal(32, 2), normal(32, 2, seed=2)

    def loss(p):
        return jnp.mean(jnp.sum((network(p, x + 0.3 * noise) * 0.3 + noise) ** 2, 1))

    return qed.Problem(loss, dense(2, 16, 2), step="adam:3e-3")


@task
def growth_of_wealth():
    returns = 0.01 + normal(60, 5, scale=0.05)
    return qed.Problem(lambda w: -jnp.mean(jnp.log1p(returns @ jax.nn.softmax(w))), jnp.zeros(5), step=1.0)


@task
def first_principal_component():
    X = normal(40, 4) * jnp.array([3.0, 1.0, 0.5, 0.2])
    return qed.Problem(lambda w: -jnp.mean((X @ (w / jnp.linalg.norm(w))) ** 2), jnp.ones(4), step=0.05)


# --- rows that belong together ----------------------------------------------------------------------------------


@task
def pairs_of_views_contrasted():
    one, two = normal(24, 6), normal(24, 6) + normal(24, 6, seed=2, scale=0.1)

    def loss(p):
        a, b = (network(p, x) for x in (one, two))
        a, b = (z / jnp.linalg.norm(z, axis=1, keepdims=True) for z in (a, b))
        return optax.softmax_cross_entropy_with_integer_labels(a @ b.T / 0.1, jnp.arange(24)).mean()

    return qed.Problem(loss, dense(6, 8, 4), step="adam:1e-2")


@task
def triplets_with_a_margin():
    a, p, n = (normal(32, 4, seed=k) for k in (0, 1, 2))

    def loss(w):
        far = [jnp.sum((network(w, a) - network(w, x)) ** 2, 1) for x in (p, n)]
        return jnp.maximum(far[0] - far[1] + 0.2, 0.0).mean()

    return qed.Problem(loss, dense(4, 8, 3), step="adam:1e-2")


@task
def siamese_with_a_stopped_branch():
    one, two = normal(24, 6), normal(24, 6) + normal(24, 6, seed=2, scale=0.1)

    def unit(z):
        return z / (jnp.linalg.norm(z, axis=1, keepdims=True) + 1e-6)

    def loss(p):
        a, b = (network(p["base"], x) for x in (one, two))
        a, b = ((z - z.mean(0)) / jnp.sqrt(z.var(0) + 1e-5) for z in (a, b))
        return -jnp.mean(jnp.sum(unit(network(p["head"], a)) * jax.lax.stop_gradient(unit(b)), 1))

    return qed.Problem(loss, {"base": dense(6, 8, 4), "head": dense(4, 4)}, step="sgd:0.05,momentum=0.9")


@task
def variances_and_covariances_of_the_batch():
    one, two = normal(32, 6), normal(32, 6) + normal(32, 6, seed=2, scale=0.1)

    def loss(p):
        total = 0.0
        views = [network(p, x) for x in (one, two)]
        for z in views:
            centred = z - z.mean(0)
            c = centred.T @ centred / 31
            total += jnp.maximum(0, 1 - jnp.sqrt(z.var(0) + 1e-4)).mean() + ((c - jnp.diag(jnp.diag(c))) ** 2).sum() / 4
        return 25 * jnp.mean((views[0] - views[1]) ** 2) + total

    return qed.Problem(loss, dense(6, 8, 4), step="adam:1e-3")


@task
def attention_among_the_rows():
    X, y = normal(24, 4), normal(24, seed=1)

    def loss(p):
        weights = jax.nn.softmax((X @ p["q"]) @ (X @ p["k"]).T / 2.0)
        return jnp.mean(((weights @ X) @ p["v"] - y) ** 2)

    at = {"q": normal(4, 4, seed=2), "k": normal(4, 4, seed=3), "v": normal(4, seed=4)}
    return qed.Problem(loss, at, step="adam:1e-2")


@task
def distance_of_sorted_samples():
    noise, data = normal(48), jnp.sort(2.0 + 0.5 * normal(48, seed=1))
    return qed.Problem(lambda p: jnp.mean((jnp.sort(p[0] + p[1] * noise) - data) ** 2), jnp.array([0.0, 1.0]), step=0.1)


@task
def list_of_documents_ranked():
    X, relevance = normal(6, 8, 4), whole(4, 6, 8)

    def loss(w):
        return -jnp.mean(jnp.sum(jax.nn.softmax(relevance * 1.0) * jax.nn.log_softmax(X @ w), 1))

    return qed.Problem(loss, jnp.zeros(4), step=0.3)


# --- likelihoods ------------------------------------------------------------------------------------------------


@task
def evidence_below_zero():
    x, eps = normal(32, 4, scale=0.05), normal(32, 2, seed=2)

    def loss(p):
        mean, log_s = jnp.split(network(p["in"], x), 2, axis=1)
        out = network(p["out"], mean + jnp.exp(log_s) * eps)
        fit = 0.5 * ((x - out) / 0.05) ** 2 + jnp.log(0.05)
        return fit.sum(1).mean() + 0.5 * (mean**2 + jnp.exp(2 * log_s) - 1 - 2 * log_s).sum(1).mean()

    return qed.Problem(loss, {"in": dense(4, 8, 4), "out": dense(2, 8, 4)}, step="adam:3e-3")


@task
def density_of_narrow_data():
    x = 5.0 + normal(50, scale=1e-3)

    def loss(p):
        return jnp.mean(0.5 * ((x - p["m"]) * jnp.exp(-p["s"])) ** 2 + p["s"])

    return qed.Problem(loss, {"m": jnp.array(5.0), "s": jnp.array(0.0)}, step="adam:0.02")


@task
def noise_that_depends_on_the_input():
    x = normal(40, 2)
    y = jnp.sin(x[:, 0])

    def loss(p):
        mean, log_s = network(p, x).T
        return jnp.mean(0.5 * ((y - mean) * jnp.exp(-log_s)) ** 2 + log_s)

    return qed.Problem(loss, dense(2, 16, 2), step="adam:3e-3")


@task
def counts_of_a_poisson_variable():
    X = normal(50, 3)
    y = jnp.asarray(np.random.default_rng(4).poisson(40.0, 50))
    return qed.Problem(
        lambda p: jnp.mean(jnp.exp(X @ p["w"] + p["b"]) - y * (X @ p["w"] + p["b"])),
        {"w": jnp.zeros(3), "b": jnp.array(2.0)},
        step="adam:0.02",
    )


@task
def survival_with_censoring():
    X, seen = normal(40, 3), whole(2, 40) > 0
    time = jnp.asarray(np.random.default_rng(3).exponential(2.0, 40), jnp.float32)
    at_risk = time[None, :] >= time[:, None]

    def loss(w):
        risk = X @ w
        total = jax.nn.logsumexp(jnp.where(at_risk, risk[None, :], -jnp.inf), axis=1)
        return -jnp.sum(jnp.where(seen, risk - total, 0.0)) / seen.sum()

    return qed.Problem(loss, jnp.zeros(3), step=0.1)


@task
def gaussian_process():
    x = jnp.linspace(0, 3, 20)
    y = jnp.sin(2 * x) + 0.05 * normal(20)

    def loss(p):
        k = jnp.exp(p["a"] - 0.5 * (x[:, None] - x[None, :]) ** 2 * jnp.exp(p["l"])) + jnp.exp(p["n"]) * jnp.eye(20)
        c = jnp.linalg.cholesky(k)
        z = jax.scipy.linalg.solve_triangular(c, y, lower=True)
        return 0.5 * z @ z + jnp.log(jnp.diag(c)).sum()

    return qed.Problem(loss, {"a": jnp.array(0.0), "l": jnp.array(0.0), "n": jnp.array(-2.0)}, step="adam:0.03")


@task
def coupling_flow():
    x = normal(48, 2) * jnp.array([1.0, 0.1]) + 1.0

    def loss(p):
        a, b = x[:, :1], x[:, 1:]
        s, t = jnp.split(network(p["one"], a), 2, axis=1)
        b = b * jnp.exp(s) + t
        r, u = jnp.split(network(p["two"], b), 2, axis=1)
        a = a * jnp.exp(r) + u
        return jnp.mean(jnp.sum(0.5 * (a**2 + b**2) - s - r, 1))

    return qed.Problem(loss, {"one": dense(1, 8, 2), "two": dense(1, 8, 2, seed=7)}, step="adam:1e-2")


@task
def mixture_by_gradient():
    x = jnp.concatenate([normal(30) - 2, normal(30, seed=1) + 2])

    def loss(p):
        log = jax.nn.log_softmax(p["w"]) - 0.5 * ((x[:, None] - p["m"]) * jnp.exp(-p["s"])) ** 2 - p["s"]
        return -jnp.mean(jax.nn.logsumexp(log, axis=1))

    return qed.Problem(loss, {"w": jnp.zeros(2), "m": jnp.array([-1.0, 1.0]), "s": jnp.zeros(2)}, step=0.05)


# --- labels and targets -----------------------------------------------------------------------------------------


@task
def smoothed_labels():
    X, y = normal(32, 4), optax.smooth_labels(jax.nn.one_hot(whole(5, 32), 5), 0.1)
    return qed.Problem(lambda p: optax.softmax_cross_entropy(network(p, X), y).mean(), dense(4, 5), step=0.3)


@task
def several_labels_a_row():
    X, y = normal(32, 4), whole(2, 32, 6)
    return qed.Problem(lambda p: optax.sigmoid_binary_cross_entropy(network(p, X), y).mean(), dense(4, 6), step=0.3)


@task
def grades_as_numbers():
    X, y = normal(40, 4), whole(10, 40).astype(jnp.float32)
    return qed.Problem(lambda p: jnp.mean((network(p, X)[:, 0] - y) ** 2), dense(4, 8, 1), step="adam:0.01")


@task
def grades_as_an_expectation():
    X, y = normal(40, 4), whole(5, 40)

    def loss(p):
        expected = jax.nn.softmax(network(p, X)) @ jnp.arange(5.0)
        return jnp.mean((expected - y) ** 2)

    return qed.Problem(loss, dense(4, 5), step=0.1)


@task
def rows_weighted_by_how_often_they_were_seen():
    X, labels, times = normal(40, 4), whole(4, 40), whole(4, 40, seed=5)

    def loss(p):
        log_p = jax.nn.log_softmax(network(p, X))
        return -jnp.sum(times[:, None] * log_p * jax.nn.one_hot(labels, 4)) / times.sum()

    return qed.Problem(loss, dense(4, 4), step=0.2)


@task
def spread_towards_all_classes_by_level():
    X, labels, level = normal(40, 4), whole(4, 40), whole(4, 40, seed=3)

    def loss(p):
        log_p = jax.nn.log_softmax(network(p, X))
        return -jnp.mean(log_p[jnp.arange(40), labels]) - 0.05 * jnp.mean(jnp.sum(level[:, None] * log_p, 1))

    return qed.Problem(loss, dense(4, 4), step=0.1)


@task
def quantiles():
    X, y = normal(60, 3), normal(60, seed=1)

    def loss(w):
        r = y - X @ w["w"] - w["b"]
        return jnp.mean(jnp.maximum(0.9 * r, -0.1 * r))

    return qed.Problem(loss, {"w": jnp.zeros(3), "b": jnp.zeros(())}, step=0.05)


@task
def ratings_in_a_table_with_gaps():
    users, items, rating = whole(20, 60), whole(12, 60, seed=1), whole(5, 60, seed=2) + 1.0

    def loss(p):
        u, v = p["user"][users], p["item"][items]
        return jnp.mean((jnp.sum(u * v, 1) + 3.0 - rating) ** 2) + 0.01 * (jnp.mean(u**2) + jnp.mean(v**2))

    at = {"user": normal(30, 3, scale=0.3), "item": normal(20, 3, seed=3, scale=0.3)}
    return qed.Problem(loss, at, step="adam:0.02")


# --- whole numbers ----------------------------------------------------------------------------------------------


@task
def images_in_bytes():
    images, labels = whole(256, 32, 6, 6).astype(jnp.uint8), whole(3, 32)

    def loss(p, images):
        x = images.reshape(32, -1).astype(jnp.float32) / 255.0
        return optax.softmax_cross_entropy_with_integer_labels(network(p, x), labels).mean()

    return qed.Problem(loss, dense(36, 8, 3), (images,), step="adam:3e-3")


@task
def minutes_of_the_first_day():
    minutes, y = whole(1440, 40), normal(40, seed=1)

    def loss(w, minutes):
        day, minute = minutes // 1440, minutes % 1440
        x = jnp.stack([day, jnp.sin(minute * (2 * jnp.pi / 1440)), jnp.cos(minute * (2 * jnp.pi / 1440))], 1)
        return jnp.mean((x @ w - y) ** 2)

    return qed.Problem(loss, jnp.zeros(3), (minutes,), step=0.2)


@task
def decades_of_young_people():
    ages, y = whole(9, 40).astype(jnp.uint8), normal(40, seed=1)

    def loss(w, ages):
        return jnp.mean((w["decade"][ages // 10] + w["age"] * ages / 100 - y) ** 2)

    return qed.Problem(loss, {"decade": jnp.zeros(10), "age": jnp.zeros(())}, (ages,), step=0.2)


@task
def padded_tokens_with_a_mask():
    tokens = whole(11, 8, 6)

    def loss(p, tokens):
        x = p["table"][tokens[:, :-1]] + p["place"][jnp.arange(5) // 2]
        log_p = jax.nn.log_softmax(jnp.tanh(x) @ p["table"].T)
        told = jnp.take_along_axis(log_p, tokens[:, 1:, None], 2)[..., 0]
        mask = (tokens[:, 1:] != 0) & (jnp.arange(5) < 4)
        return -jnp.sum(told * mask) / mask.sum()

    at = {"table": normal(40, 6, scale=0.3), "place": normal(3, 6, seed=1, scale=0.3)}
    return qed.Problem(loss, at, (tokens,), step="adam:0.01")


@task
def nearest_code_passed_straight_through():
    x = normal(32, 4)

    def loss(p):
        z = x @ p["in"]
        nearest = p["codes"][jnp.argmin(((z[:, None] - p["codes"]) ** 2).sum(-1), 1)]
        passed = z + jax.lax.stop_gradient(nearest - z)
        held = jax.lax.stop_gradient
        return (
            jnp.mean((passed @ p["out"] - x) ** 2)
            + jnp.mean((held(z) - nearest) ** 2)
            + 0.25 * jnp.mean((z - held(nearest)) ** 2)
        )

    at = {"in": normal(4, 2), "codes": normal(8, 2, seed=1), "out": normal(2, 4, seed=2)}
    return qed.Problem(loss, at, step="adam:0.01")


# --- what is held, decayed, clipped, scaled -----------------------------------------------------------------------


@task
def low_rank_adapter_of_a_frozen_layer():
    X, y = normal(32, 6), normal(32, 3, seed=1)

    def loss(p):
        held = jax.lax.stop_gradient(p["w"])
        return jnp.mean((X @ (held + p["a"] @ p["b"]) - y) ** 2)

    at = {"w": normal(6, 3, seed=2), "a": normal(6, 2, seed=3), "b": jnp.zeros((2, 3))}
    return qed.Problem(loss, at, step="adam:0.01")


@task
def weights_that_are_a_vector_decayed():
    X, ids, w = normal(60, 4), whole(5, 60), jnp.array([8.0, -6.0, 5.0, 7.0])
    y = X @ w + normal(5, seed=3)[ids]

    def loss(p):
        return jnp.mean((X @ p["w"] + p["table"][ids] @ p["v"] - y) ** 2)

    at = {"w": jnp.ones(4), "table": normal(5, 2), "v": normal(2, seed=4)}
    return qed.Problem(loss, at, step=optax.adamw(0.05, weight_decay=0.5))


@task
def decay_on_all_of_a_tiny_model():
    X, y = normal(40, 4), normal(40, seed=1)
    return qed.Problem(
        lambda p: jnp.mean((network(p, X)[:, 0] - y) ** 2), dense(4, 6, 1), step=optax.adamw(3e-3, weight_decay=0.01)
    )


@task
def clipping_that_is_felt_now_and_then():
    X, y = normal(40, 4), normal(40, seed=1)
    rule = optax.chain(optax.clip_by_global_norm(0.7), optax.sgd(0.1))
    return qed.Problem(lambda p: jnp.mean((network(p, X)[:, 0] - y) ** 2), dense(4, 6, 1), step=rule)


@task
def fine_tuning_from_a_good_start():
    X, w = normal(40, 4), jnp.array([1.0, -2.0, 0.5, 3.0])
    y = X @ w + 0.01 * normal(40, seed=1)
    return qed.Problem(lambda v: jnp.mean((X @ v - y) ** 2), w + 1e-3, step="adam:0.01")


@task
def fine_tuning_that_is_thrown_out_and_comes_back():
    X, layers = normal(60, 4), dense(4, 16, 1)
    y = network(layers, X) + 0.01 * normal(60, 1, seed=9)
    return qed.Problem(lambda p: jnp.mean((network(p, X) - y) ** 2), layers, step="adam:0.05")


@task
def columns_of_different_scales_for_adam():
    scales = jnp.array([1.0, 100.0, 1e4])
    X = normal(50, 3) * scales
    y = X @ (jnp.array([1.0, 2.0, -1.0]) / scales)
    return qed.Problem(lambda w, X: jnp.mean((X @ w - y) ** 2), jnp.zeros(3), (X,), step="adam:1e-4")


@task
def columns_scaled_inside_the_model():
    scales = jnp.array([1.0, 100.0, 1e4])
    X = normal(50, 3) * scales
    y = X @ (jnp.array([1.0, 2.0, -1.0]) / scales)

    def loss(w, X):
        return jnp.mean(((X - X.mean(0)) / X.std(0) @ w - y) ** 2)

    return qed.Problem(loss, jnp.zeros(3), (X,), step=0.1)


@task
def a_rare_column():
    rare = jnp.zeros(4000).at[7].set(1.0)
    X = jnp.stack([normal(4000), rare], 1)
    y = X @ jnp.array([1.0, 0.5]) + 0.1 * normal(4000, seed=1)
    return qed.Problem(lambda w, X: jnp.mean((X @ w - y) ** 2), jnp.zeros(2), (X,), step=0.2)


@task
def heat_in_si_units():
    times, truth = jnp.linspace(0.0, 3600.0, 30), 1.1e-5
    seen = 293.0 + 80.0 * jnp.exp(-truth * 40.0 * times) + 0.1 * normal(30)

    def loss(p):
        return jnp.mean((293.0 + 80.0 * jnp.exp(-jnp.exp(p) * 40.0 * times) - seen) ** 2)

    return qed.Problem(loss, jnp.array(-12.0), step="adam:0.01")


@task
def groups_and_instances_normalised():
    images, y = normal(8, 5, 5, 4), normal(8, seed=1)

    def normalised(x, axes):
        return (x - x.mean(axes, keepdims=True)) / jnp.sqrt(x.var(axes, keepdims=True) + 1e-5)

    def loss(p, images):
        x = normalised(images @ p["one"], (1, 2)) * p["scale"] + p["offset"]
        x = normalised(jnp.tanh(x).reshape(8, 5, 5, 2, 3) * 1.0, (1, 2, 4)).reshape(8, 5, 5, 6)
        return jnp.mean((x.mean((1, 2)) ** 2 @ p["two"] + jnp.tanh(x).std((1, 2)) @ p["two"] - y) ** 2)

    at = {"one": normal(4, 6), "scale": jnp.ones(6), "offset": jnp.zeros(6), "two": normal(6, seed=2)}
    return qed.Problem(loss, at, (images,), step=optax.adamw(3e-3))


@task
def batch_norm_with_running_averages():
    X, y = normal(32, 4), normal(32, seed=1)

    def loss(p, running, X):
        h = X @ p["w"]
        mean, var = h.mean(0), h.var(0)
        out = jax.nn.relu((h - mean) / jnp.sqrt(var + 1e-5) * p["scale"] + p["offset"]) @ p["v"]
        after = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, running, (mean, var))
        return jnp.mean((out - y) ** 2), after

    at = {"w": normal(4, 8), "scale": jnp.ones(8), "offset": jnp.zeros(8), "v": normal(8, seed=2, scale=0.3)}
    return qed.Problem(loss, at, ((jnp.zeros(8), jnp.ones(8)), X), has_aux=True, step="adam:0.01")


@task
def inner_steps_of_other_tasks():
    X, Y = normal(5, 10, 2), normal(5, 10, seed=1)

    def error(w, x, y):
        return jnp.mean((x @ w - y) ** 2)

    def loss(w):
        def one(x, y):
            for _ in range(2):
                inner = w - 0.1 * jax.grad(error)(w, x[:5], y[:5])
            return error(inner, x[5:], y[5:])

        return jax.vmap(one)(X, Y).mean()

    return qed.Problem(loss, jnp.ones(2), step=0.1)


@task
def soft_means():
    x = jnp.concatenate([normal(20, 2) - 3, normal(20, 2, seed=1) + 3])

    def loss(centres):
        far = ((x[:, None] - centres) ** 2).sum(-1)
        return jnp.mean(jnp.sum(jax.nn.softmax(-far) * far, 1))

    return qed.Problem(loss, normal(2, 2, seed=2), step=0.1)
