"""Training runs with nothing wrong, each of a kind that a careless tool calls sick.

Every entry makes a `qed.Problem`; `test_healthy.py` asks `qed.why` and wants silence. The shapes are small, because
compiling is what costs.
"""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax

import qed

CASES = {}


def case(make):
    CASES[make.__name__] = make
    return make


def rng(seed=0):
    return np.random.default_rng(seed)


def features(rows=40, columns=4, seed=0):
    return jnp.asarray(rng(seed).standard_normal((rows, columns)), jnp.float32)


def targets(rows=40, columns=4, seed=0):
    x = np.asarray(features(rows, columns, seed))
    return jnp.asarray(x @ np.arange(1, columns + 1) + 0.1 * rng(seed + 1).standard_normal(rows), jnp.float32)


def classes(rows=40, count=3, seed=0):
    return jnp.asarray(rng(seed).integers(0, count, rows))


def squares(w, X, y):
    return jnp.mean((X @ w["w"] + w["b"] - y) ** 2)


def line(step, **more):
    at = {"w": jnp.zeros(4), "b": jnp.zeros(())}
    return qed.Problem(squares, at, (features(), targets()), step=step, **more)


# --- regressions ----------------------------------------------------------------------------------------------


@case
def linear_regression():
    return line("sgd:0.1")


@case
def linear_regression_just_below_the_limit():
    X = np.asarray(features())
    A = np.c_[X, np.ones(len(X))]
    return line(0.99 / np.linalg.eigvalsh(A.T @ A / len(X))[-1])


@case
def logistic_regression():
    X, y = features(), (targets() > 0).astype(jnp.float32)

    def loss(w):
        return jnp.mean(jax.nn.softplus(-(2 * y - 1) * (X @ w)))

    return qed.Problem(loss, jnp.zeros(4), step=0.5)


@case
def separable_classes_whose_weights_grow_for_ever():
    X = jnp.array([[1.0], [-1.0]])
    Y = jnp.eye(2)
    return qed.Problem(lambda w: -jnp.mean(jnp.sum(Y * jax.nn.log_softmax(X @ w), 1)), jnp.zeros((1, 2)), step=1.0)


@case
def weight_decay_by_the_rule():
    return line("adamw:1e-2,wd=0.1")


@case
def weight_decay_in_the_loss():
    def loss(w, X, y):
        return squares(w, X, y) + 0.05 * sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(w))

    return qed.Problem(loss, {"w": jnp.ones(4), "b": jnp.zeros(())}, (features(), targets()), step=0.1)


# --- step rules -----------------------------------------------------------------------------------------------


@case
def heavy_ball_beyond_the_limit_of_plain_descent():
    return line("sgd:1.2,momentum=0.9")


@case
def nesterov_momentum():
    return line("sgd:0.1,momentum=0.9,nesterov")


@case
def adam():
    return line("adam:0.02")


@case
def clipping():
    return line(optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1)))


@case
def warm_up_and_cosine_decay():
    return line(optax.adam(optax.warmup_cosine_decay_schedule(0.0, 0.05, 50, 400)))


@case
def no_step_rule_at_all():
    return line(None)


# --- networks -------------------------------------------------------------------------------------------------


def network(seed=0, sizes=(4, 8, 1)):
    draw = rng(seed)
    return [
        (jnp.asarray(draw.standard_normal((m, n)) / np.sqrt(m), jnp.float32), jnp.zeros(n)) for m, n in pairwise(sizes)
    ]


def forward(w, x):
    *hidden, (W, b) = w
    for V, c in hidden:
        x = jnp.tanh(x @ V + c)
    return x @ W + b


@case
def network_at_the_edge_of_stability():
    """2.01 times 2/lambda_max on the digits: measured, it ends below the step at half the limit."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    X = jnp.asarray(digits.data[:300] / 16, jnp.float32)
    Y = jax.nn.one_hot(digits.target[:300], 10)
    w = network(0, (64, 16, 10))

    def loss(w):
        return -jnp.mean(jnp.sum(Y * jax.nn.log_softmax(forward(w, X)), 1))

    flat, rebuild = jax.flatten_util.ravel_pytree(w)
    product = jax.jit(lambda v: jax.jvp(jax.grad(lambda f: loss(rebuild(f))), (flat,), (v,))[1])
    v = jnp.asarray(rng(0).standard_normal(flat.size), jnp.float32)
    for _ in range(40):
        v = product(v / jnp.linalg.norm(v))
    return qed.Problem(loss, w, step=float(2.01 * 2 / jnp.linalg.norm(v)))


@case
def layers_in_a_list_of_pairs():
    X, y = features(), targets() / 5
    return qed.Problem(lambda w: jnp.mean((forward(w, X)[:, 0] - y) ** 2), network(), step=0.05)


@case
def recurrent_network():
    X = jnp.asarray(rng().standard_normal((8, 12, 2)), jnp.float32)
    y = jnp.sum(X[:, -2:, 0], 1)
    w = {"in": 0.5 * jnp.ones((2, 4)), "loop": 0.3 * jnp.eye(4), "out": jnp.ones(4) / 4}

    def loss(w):
        def cell(h, x):
            return jnp.tanh(x @ w["in"] + h @ w["loop"]), None

        last, _ = jax.lax.scan(cell, jnp.zeros((8, 4)), jnp.swapaxes(X, 0, 1))
        return jnp.mean((last @ w["out"] - y) ** 2)

    return qed.Problem(loss, w, step=0.05)


@case
def attention_with_a_mask_of_minus_infinity():
    X = jnp.asarray(rng().standard_normal((6, 4)), jnp.float32)
    w = {"q": jnp.eye(4), "k": jnp.eye(4), "v": jnp.eye(4)}
    allowed = jnp.tril(jnp.ones((6, 6), bool))

    def loss(w):
        scores = jnp.where(allowed, (X @ w["q"]) @ (X @ w["k"]).T / 2, -jnp.inf)
        return jnp.mean((jax.nn.softmax(scores) @ X @ w["v"] - jnp.roll(X, 1, 0)) ** 2)

    return qed.Problem(loss, w, step=0.1)


@case
def attention_with_an_added_bias_of_minus_infinity():
    X = jnp.asarray(rng().standard_normal((6, 4)), jnp.float32)
    bias = jnp.where(jnp.tril(jnp.ones((6, 6), bool)), 0.0, -jnp.inf)

    def loss(w, bias):
        scores = X @ w @ X.T + bias
        weights = jnp.exp(scores - jax.nn.logsumexp(scores, axis=1, keepdims=True))
        return jnp.mean((weights @ X - jnp.roll(X, 1, 0)) ** 2)

    return qed.Problem(loss, jnp.eye(4), (bias,), step=0.1)


@case
def dropout_with_a_key():
    def loss(w, X, y, key):
        kept = jax.random.bernoulli(key, 0.8, X.shape)
        return jnp.mean(((X * kept / 0.8) @ w - y) ** 2)

    return qed.Problem(loss, jnp.zeros(4), (features(), targets()), key=jax.random.key(0), step=0.05)


@case
def dropout_with_a_key_among_the_arguments():
    def loss(w, X, y, key):
        kept = jax.random.bernoulli(key, 0.8, X.shape)
        return jnp.mean(((X * kept / 0.8) @ w - y) ** 2)

    return qed.Problem(loss, jnp.zeros(4), (features(), targets(), jax.random.PRNGKey(0)), step=0.05)


@case
def normalised_layers():
    X, y = features(), targets() / 5

    def loss(w):
        h = X @ w["W"]
        h = (h - h.mean(1, keepdims=True)) * jax.lax.rsqrt(h.var(1, keepdims=True) + 1e-5)
        return jnp.mean((jax.nn.gelu(h * w["g"]) @ w["v"] - y) ** 2)

    return qed.Problem(loss, {"W": network()[0][0], "g": jnp.ones(8), "v": jnp.ones(8) / 8}, step=0.05)


@case
def embedding_of_token_ids():
    ids, y = classes(40, 5), classes(40, 2, 1)

    def loss(w):
        z = w["table"][ids] @ w["out"]
        return optax.losses.softmax_cross_entropy_with_integer_labels(z, y).mean()

    return qed.Problem(loss, {"table": 0.1 * jnp.ones((5, 3)), "out": jnp.eye(3, 2)}, step=0.2)


# --- guards: non-finite numbers that go nowhere ----------------------------------------------------------------


@case
def fully_guarded_where():
    x = jnp.array([0.0, 1.0, 2.0, 4.0])

    def loss(w):
        z = w * x
        safe = jnp.where(z > 0, z, 1.0)
        return jnp.mean((jnp.where(z > 0, jnp.log(safe), 0.0) - 1.0) ** 2)

    return qed.Problem(loss, jnp.float32(1.0), step=0.1)


@case
def infinite_branch_of_data_that_is_never_chosen():
    x = jnp.array([0.0, 1.0, 2.0, 4.0])

    def loss(w):
        return jnp.mean((w * jnp.where(x > 0, 1 / x, 0.0) - 1.0) ** 2)

    return qed.Problem(loss, jnp.float32(0.0), step=0.1)


@case
def maximum_that_starts_from_minus_infinity():
    X = features()

    def loss(w):
        best = jax.lax.reduce(X * w, jnp.float32(-jnp.inf), jax.lax.max, (1,))
        return jnp.mean((best - 1.0) ** 2)

    return qed.Problem(loss, jnp.ones(4), step=0.05)


@case
def missing_values_masked_before_use():
    X = np.array(features())
    X[3, 1] = X[7, 0] = np.nan
    X, y = jnp.asarray(X), targets()
    return qed.Problem(lambda w: jnp.mean((jnp.nan_to_num(X) @ w - y) ** 2), jnp.zeros(4), step=0.1)


@case
def running_best_that_starts_at_infinity():
    x = jnp.linspace(0.5, 2.0, 6)

    def loss(w):
        def body(best, v):
            return jnp.minimum(best, (w * v - 1.0) ** 2), None

        best, _ = jax.lax.scan(body, jnp.float32(jnp.inf), x)
        return best + jnp.mean((w * x - 1.0) ** 2)

    return qed.Problem(loss, jnp.float32(0.3), step=0.1)


@case
def square_root_with_a_floor():
    return qed.Problem(lambda w: jnp.sqrt(jnp.sum(w**2) + 1e-6), jnp.zeros(3), step=1e-4)


# --- dtypes ---------------------------------------------------------------------------------------------------


@case
def bfloat16_parameters():
    def loss(w, X, y):
        return jnp.mean((X @ w - y).astype(jnp.float32) ** 2)

    at = jnp.zeros(4, jnp.bfloat16)
    return qed.Problem(loss, at, (features().astype(jnp.bfloat16), targets().astype(jnp.bfloat16)), step=0.1)


@case
def bfloat16_all_through():
    def loss(w, X, y):
        return jnp.mean((X @ w - y) ** 2)

    at = jnp.zeros(4, jnp.bfloat16)
    return qed.Problem(loss, at, (features().astype(jnp.bfloat16), targets().astype(jnp.bfloat16)), step=0.1)


@case
def float16_parameters():
    def loss(w, X, y):
        return jnp.mean((X @ w - y).astype(jnp.float32) ** 2)

    return qed.Problem(loss, jnp.zeros(4, jnp.float16), (features(), targets()), step=0.1)


@case
def mixed_dtypes():
    at = {"w": jnp.zeros(4, jnp.bfloat16), "b": jnp.zeros((), jnp.float32)}
    return qed.Problem(squares, at, (features(), targets()), step=0.1)


# --- pytrees --------------------------------------------------------------------------------------------------


@case
def scalar_python_float():
    return qed.Problem(lambda w: (w - 3.0) ** 2, 0.5, step=0.1)


@case
def numpy_parameters():
    def loss(w, X, y):
        return jnp.mean((X @ w - y) ** 2)

    return qed.Problem(loss, np.zeros(4, np.float32), (np.asarray(features()), np.asarray(targets())), step=0.1)


@case
def tuple_of_parameters():
    def loss(w, X, y):
        return jnp.mean((X @ w[0] + w[1] - y) ** 2)

    return qed.Problem(loss, (jnp.zeros(4), jnp.zeros(())), (features(), targets()), step=0.1)


@jax.tree_util.register_dataclass
@dataclass
class Line:
    slope: jax.Array
    offset: jax.Array


@case
def dataclass_of_parameters():
    def loss(w, X, y):
        return jnp.mean((X @ w.slope + w.offset - y) ** 2)

    return qed.Problem(loss, Line(jnp.zeros(4), jnp.zeros(())), (features(), targets()), step=0.1)


@case
def equinox_module():
    import equinox

    model = equinox.nn.MLP(4, "scalar", 8, 1, key=jax.random.key(0))
    y = targets() / 5

    def loss(model, X):
        return jnp.mean((jax.vmap(model)(X) - y) ** 2)

    return qed.Problem(loss, model, (features(),), step=0.05)


@case
def linen_module():
    import flax.linen

    model = flax.linen.Dense(1)
    X, y = features(), targets()
    at = model.init(jax.random.key(0), X)
    return qed.Problem(lambda w: jnp.mean((model.apply(w, X)[:, 0] - y) ** 2), at, step=0.1)


@case
def nnx_module():
    from flax import nnx

    model = nnx.Linear(4, 1, rngs=nnx.Rngs(0))
    X, y = features(), targets()
    return qed.Problem(lambda m: jnp.mean((m(X)[:, 0] - y) ** 2), model, step=0.1)


# --- ways to write a loss -------------------------------------------------------------------------------------


@case
def auxiliary_output():
    def loss(w, X, y):
        residual = X @ w - y
        return jnp.mean(residual**2), {"residual": residual, "inverse": 1 / (residual - residual)}

    return qed.Problem(loss, jnp.zeros(4), (features(), targets()), has_aux=True, step=0.1)


@case
def jitted_loss():
    loss = jax.jit(lambda w, X, y: jnp.mean((X @ w - y) ** 2))
    return qed.Problem(loss, jnp.zeros(4), (features(), targets()), step=0.1)


@case
def vmapped_loss():
    def one(w, x, y):
        return (x @ w - y) ** 2

    def loss(w, X, y):
        return jnp.mean(jax.vmap(one, in_axes=(None, 0, 0))(w, X, y))

    return qed.Problem(loss, jnp.zeros(4), (features(), targets()), step=0.1)


@case
def partial_of_a_loss():
    def loss(w, X, y, power):
        return jnp.mean(jnp.abs(X @ w - y) ** power)

    return qed.Problem(partial(loss, power=2), jnp.zeros(4), (features(), targets()), step=0.1)


# --- shapes of the loss ---------------------------------------------------------------------------------------


@case
def log_likelihood_below_zero():
    """The loss passes through zero, so that nothing may be relative to its value."""
    y = 0.01 * targets()

    def loss(w):
        return jnp.mean(0.5 * ((y - w["mean"]) / jnp.exp(w["log_sd"])) ** 2 + w["log_sd"])

    return qed.Problem(loss, {"mean": jnp.zeros(()), "log_sd": jnp.zeros(())}, step=0.01)


@case
def start_at_the_minimiser():
    return qed.Problem(lambda w: 5.0 + jnp.sum(w**2), jnp.zeros(3), step=0.1)


@case
def start_at_a_rounded_minimiser():
    X, y = features(), targets()
    w = jnp.asarray(np.linalg.lstsq(np.asarray(X), np.asarray(y), rcond=None)[0])
    return qed.Problem(lambda w: jnp.mean((X @ w - y) ** 2), w, step=0.1)


@case
def start_at_a_minimum_of_zero():
    X = features()
    return qed.Problem(lambda w: jnp.mean((X @ w - X @ jnp.arange(1.0, 5.0)) ** 2), jnp.arange(1.0, 5.0), step=0.1)


@case
def constant_loss():
    return qed.Problem(lambda w: 0.0 * jnp.sum(w) + 2.0, jnp.ones(3), step=0.1)


@case
def loss_that_ignores_a_parameter():
    return qed.Problem(lambda w: (w["used"] - 1.0) ** 2, {"used": jnp.zeros(()), "unused": jnp.ones(3)}, step=0.1)


@case
def linear_loss_without_curvature():
    return qed.Problem(lambda w: jnp.sum(w), jnp.ones(3), step=0.1)


@case
def negative_curvature_at_the_start():
    return qed.Problem(lambda w: jnp.sum((w**2 - 1.0) ** 2), jnp.full(3, 0.1), step=0.05)


@case
def saddle_beside_the_way():
    return qed.Problem(lambda w: w[0] ** 2 - w[1] ** 2 + w[1] ** 4, jnp.array([1.0, 1e-3]), step=0.05)


@case
def absolute_values():
    """A kink is no instability: the curvature is zero wherever it exists, and the loss ends in a jitter."""
    y = targets()
    return qed.Problem(lambda w: jnp.mean(jnp.abs(features() @ w - y)), jnp.zeros(4), step=0.05)


@case
def noisy_plateau():
    """Already as good as it gets; every step draws its noise anew."""
    X, y = features(), targets()

    def loss(w, key):
        return jnp.mean((X @ w - y + jax.random.normal(key, y.shape)) ** 2)

    w = jnp.asarray(np.linalg.lstsq(np.asarray(X), np.asarray(y), rcond=None)[0])
    return qed.Problem(loss, w, key=jax.random.key(1), step=0.01)


@case
def large_losses_in_large_units():
    """Salaries: the loss is of order 1e10, and the step suits it."""
    X, y = features(), 1e5 * targets()
    return qed.Problem(lambda w: jnp.mean((X @ w - y) ** 2), jnp.zeros(4), step=0.1)


@case
def tiny_losses_in_tiny_units():
    X, y = features(), 1e-5 * targets()
    return qed.Problem(lambda w: jnp.mean((X @ w - y) ** 2), jnp.zeros(4), step=0.1)


# --- plateaus: noise is no rise -------------------------------------------------------------------------------


def noisy(seed):
    X, y = features(), targets()
    w = jnp.asarray(np.linalg.lstsq(np.asarray(X), np.asarray(y), rcond=None)[0])

    def loss(w, key):
        return jnp.mean((X @ w - y + jax.random.normal(key, y.shape)) ** 2)

    return qed.Problem(loss, w, key=jax.random.key(seed), step=0.01)


@case
def noisy_plateau_that_begins_with_a_lucky_draw():
    """Of twenty keys, the one whose first draw is lowest."""
    first = [float(noisy(s).loss(noisy(s).at, jax.random.split(jax.random.key(s))[1])) for s in range(20)]
    return noisy(int(np.argmin(first)))


@case
def plateau_in_bfloat16():
    X, y = features().astype(jnp.bfloat16), targets().astype(jnp.bfloat16)
    exact = np.linalg.lstsq(np.asarray(features()), np.asarray(targets()), rcond=None)[0]

    def loss(w):
        return jnp.mean((X @ w - y) ** 2)

    return qed.Problem(loss, jnp.asarray(exact).astype(jnp.bfloat16), step=0.3)


@case
def plateau_of_a_difference_of_large_numbers():
    """The loss is 0 within the rounding of its terms, which are of order 1000."""
    X = 100 * features()

    def loss(w):
        z = X @ w
        return jnp.mean(jax.nn.logsumexp(jnp.stack([z, z + 1e-3], 1), 1) - z) + jnp.mean(w**2)

    return qed.Problem(loss, jnp.full(4, 2e-4), step=0.1)


# --- odd, and right ------------------------------------------------------------------------------------------


@case
def loss_that_is_a_python_number():
    return qed.Problem(lambda w: 1.0, jnp.ones(3), step=0.1)


@case
def static_arguments():
    def loss(w, X, n, how, nothing, more):
        value = jnp.sum((X @ w) ** 2) / n + more["shift"]
        return value if how == "mean" and nothing is None else 2 * value

    return qed.Problem(loss, jnp.ones(4), (features(), 40, "mean", None, {"shift": 2.0}), step=0.1)


@case
def loop_with_fixed_bounds():
    return qed.Problem(lambda w: jax.lax.fori_loop(0, 5, lambda i, c: 0.9 * c, jnp.sum(w**2)), jnp.ones(3), step=0.1)


@case
def derivative_rule_of_ones_own():
    @jax.custom_vjp
    def square(x):
        return x**2

    square.defvjp(lambda x: (x**2, x), lambda x, g: (2 * x * g,))
    return qed.Problem(lambda w: jnp.sum(square(w)), jnp.ones(3), step=0.1)


@case
def double_precision_data_closed_over():
    X = rng().standard_normal((10, 3))
    return qed.Problem(lambda w: jnp.mean((X @ w - X.sum(1)) ** 2), jnp.zeros(3), step=0.1)


@case
def complex_numbers_inside():
    goal = jnp.fft.fft(jnp.arange(4.0))
    return qed.Problem(lambda w: jnp.sum(jnp.abs(jnp.fft.fft(w) - goal) ** 2), jnp.zeros(4), step=0.01)


@case
def equinox_dropout_with_a_key():
    import equinox

    first, second = jax.random.split(jax.random.key(0))
    layers = [equinox.nn.Linear(4, 4, key=first), equinox.nn.Dropout(0.1), equinox.nn.Linear(4, 1, key=second)]

    y = targets() / 5

    def loss(model, X, key):
        return jnp.mean((jax.vmap(model)(X, key=jax.random.split(key, 40))[:, 0] - y) ** 2)

    return qed.Problem(loss, equinox.nn.Sequential(layers), (features(),), key=jax.random.key(0), step=0.05)
