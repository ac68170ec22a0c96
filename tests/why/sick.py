"""Training runs with something wrong, each with the codes that a diagnosis must give, the cause first.

Every entry makes (problem, codes, text of the user's line to blame or None). The lines are found by their text, so
that this file can be edited.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import qed

CASES = {}


def case(*codes, line=None):
    def register(make):
        CASES[make.__name__] = (make, codes, line)
        return make

    return register


def features(rows=40, columns=4, seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal((rows, columns)), jnp.float32)


def targets(rows=40, columns=4, seed=0):
    x = np.asarray(features(rows, columns, seed))
    return jnp.asarray(x @ np.arange(1, columns + 1), jnp.float32)


# --- the step is the cause ------------------------------------------------------------------------------------


@case("QED401", "QED201")
def quartic_overflows_by_its_step():
    return qed.Problem(lambda w: jnp.sum(w**4), jnp.array([2.0, 1.0]), step=1.0)


@case("QED401", "QED201")
def line_overflows_by_its_step():
    X, y = features(), targets()
    return qed.Problem(lambda w: jnp.mean((X @ w - y) ** 2), jnp.zeros(4), step=1.0)


@case("QED401")
def line_just_above_the_limit():
    X, y = features(), targets()
    top = np.linalg.eigvalsh(np.asarray(2 * X.T @ X / 40))[-1]
    return qed.Problem(lambda w: jnp.mean((X @ w - y) ** 2), jnp.zeros(4), step=float(1.01 * 2 / top))


@case("QED401")
def momentum_beyond_its_limit_where_plain_descent_is_within():
    """Nesterov's limit at momentum 0.9 is 1.357/lambda_max, below the 2/lambda_max of plain descent."""
    X, y = features(), targets()
    top = np.linalg.eigvalsh(np.asarray(2 * X.T @ X / 40))[-1]
    return qed.Problem(
        lambda w: jnp.mean((X @ w - y) ** 2), jnp.zeros(4), step=f"sgd:{1.4 / top:.6g},momentum=0.9,nesterov"
    )


@case("QED403", "QED201")
def adam_with_an_absurd_rate():
    X, y = features(), targets()
    return qed.Problem(lambda w: jnp.mean((X @ w - y) ** 2), jnp.zeros(4), step="adam:1e30")


@case("QED403")
def gradient_with_the_wrong_sign():
    @jax.custom_jvp
    def square(x):
        return x * x

    square.defjvp(lambda p, t: (p[0] * p[0], -2 * p[0] * t[0]))
    return qed.Problem(lambda w: jnp.tanh(jnp.sum(square(w))), jnp.full(3, 0.1), step=0.1)


# --- poles and ranges -----------------------------------------------------------------------------------------


@case("QED205", line="jnp.log(p)")
def log_of_zero_at_the_start():
    p = jnp.array([0.0, 0.5, 0.5])

    def loss(w):
        entropy = jnp.log(p)
        return jnp.sum(w * entropy)

    return qed.Problem(loss, jnp.ones(3), step=0.1)


@case("QED204", line="jnp.log(w - 1.0)")
def log_of_a_negative_number():
    return qed.Problem(lambda w: jnp.sum(jnp.log(w - 1.0)), jnp.array([2.0, 0.5]), step=0.1)


@case("QED204", line="jnp.sqrt(1 - jnp.sum(w**2))")
def square_root_of_a_negative_number():
    return qed.Problem(lambda w: jnp.sqrt(1 - jnp.sum(w**2)), jnp.ones(2), step=0.1)


@case("QED104", line="return jnp.sum(jnp.sqrt(w))")
def square_root_at_zero():
    def loss(w):
        return jnp.sum(jnp.sqrt(w))

    return qed.Problem(loss, jnp.array([0.0, 1.0]), step=0.1)


@case("QED104", line="jnp.linalg.norm(w)")
def norm_at_zero():
    def loss(w):
        return jnp.linalg.norm(w) + jnp.sum(w)

    return qed.Problem(loss, jnp.zeros(3), step=0.1)


@case("QED403", "QED103", line="jnp.where(x > 0, jnp.sqrt(w * x), 0.0)")
def the_where_trap():
    x = jnp.array([0.0, 1.0, 4.0])

    def loss(w):
        return jnp.sum(jnp.where(x > 0, jnp.sqrt(w * x), 0.0))

    return qed.Problem(loss, jnp.float32(1.0), step=0.1)


@case("QED103", line="jnp.log(z)")
def the_where_trap_with_a_logarithm():
    x = jnp.array([0.0, 1.0, 4.0])

    def loss(w):
        z = w * x
        return jnp.mean(jnp.where(z > 0, jnp.log(z), 0.0) ** 2)

    return qed.Problem(loss, jnp.float32(2.0), step=0.1)


@case("QED204", line="return jnp.sum(above / below)")
def zero_by_zero():
    def loss(w):
        above, below = w - w, w - jnp.flip(w)
        return jnp.sum(above / below)

    return qed.Problem(loss, jnp.array([1.0, 2.0, 3.0]), step=0.1)


@case("QED205", line="return jnp.sum(1.0 / w)")
def one_by_zero():
    def loss(w):
        return jnp.sum(1.0 / w)

    return qed.Problem(loss, jnp.array([1.0, 0.0]), step=0.1)


@case("QED205", line="column / column.std()")
def constant_column_divided_by_its_deviation():
    X = jnp.asarray(np.c_[np.ones(10) - 2, np.arange(10)], jnp.float32)

    def loss(w):
        total = 0.0
        for k in range(2):
            column = X[:, k]
            total += jnp.mean((w[k] * column / column.std() - 1.0) ** 2)
        return total

    return qed.Problem(loss, jnp.ones(2), step=0.01)


@case("QED201", line="jnp.exp(w)")
def bfloat16_overflow():
    return qed.Problem(lambda w: jnp.sum(jnp.exp(w)), jnp.array([1.0, 100.0], jnp.bfloat16), step=0.1)


@case("QED201", line="jnp.exp(w)")
def float16_overflow():
    return qed.Problem(lambda w: jnp.sum(jnp.exp(w)), jnp.array([1.0, 12.0], jnp.float16), step=1e-9)


@case("QED201", line="total = jnp.sum(w)")
def sum_beyond_the_range():
    def loss(w):
        total = jnp.sum(w)
        return total

    return qed.Problem(loss, jnp.full(8, 1e38), step=0.1)


# --- where it hides -------------------------------------------------------------------------------------------


@case("QED201", line="h = h * jnp.exp(w)")
def overflow_in_a_loop():
    def loss(w):
        def body(h, _):
            h = h * jnp.exp(w)
            return h, None

        last, _ = jax.lax.scan(body, jnp.float32(1.0), length=20)
        return last

    return qed.Problem(loss, jnp.float32(10.0), step=1e-9)


@jax.jit
def helper(z):
    return jnp.exp(3.0 * z)


@case("QED201", line="return jnp.exp(3.0 * z)")
def overflow_in_the_second_call_of_a_jitted_helper():
    def loss(w):
        return jnp.sum(helper(w)) + jnp.sum(helper(20 * w))

    return qed.Problem(loss, jnp.array([1.0, 2.0]), step=1e-9)


@case("QED201", line="jnp.cosh(w)")
def overflow_in_a_library_function():
    def loss(w):
        return jnp.sum(jnp.cosh(w))

    return qed.Problem(loss, jnp.array([1.0, 95.0]), step=1e-9)


@case("QED205", line="optax.losses.kl_divergence_with_log_targets")
def log_inside_a_library_function():
    def loss(w):
        return jnp.sum(optax.losses.kl_divergence_with_log_targets(jnp.log(jnp.maximum(w, 0)), jnp.zeros(2)))

    return qed.Problem(loss, jnp.array([0.0, 1.0]), step=1e-3)


@case("QED201", line="chosen = jnp.exp(w)")
def overflow_in_a_branch():
    def loss(w):
        def high(w):
            chosen = jnp.exp(w)
            return chosen

        return jax.lax.cond(w > 1, high, lambda w: w, w)

    return qed.Problem(loss, jnp.float32(100.0), step=1e-9)


@case("QED201", line="jnp.exp(x @ w)")
def overflow_under_vmap():
    X = 100 * features()

    def loss(w):
        return jnp.mean(jax.vmap(lambda x: jnp.exp(x @ w))(X))

    return qed.Problem(loss, jnp.ones(4), step=1e-9)


# --- well-known accidents -------------------------------------------------------------------------------------


@case("QED204", line="jax.nn.softmax(scores)")
def attention_row_that_may_look_at_nothing():
    allowed = jnp.array([[True, False], [False, False]])
    X = features(2, 2)

    def loss(w):
        scores = jnp.where(allowed, X @ w, -jnp.inf)
        return jnp.mean(jax.nn.softmax(scores) @ X)

    return qed.Problem(loss, jnp.eye(2), step=0.1)


@case("QED205", line="jnp.log(p[1])")
def logarithm_of_a_softmax_that_underflows():
    def loss(w):
        p = jax.nn.softmax(w)
        return -jnp.log(p[1])

    return qed.Problem(loss, jnp.array([200.0, 0.0, 1.0]), step=0.1)


@case("QED205", line="(1 - y) * jnp.log(1 - p)")
def cross_entropy_by_hand_of_a_saturated_sigmoid():
    y = jnp.array([0.0, 1.0, 0.0])

    def loss(w):
        p = jax.nn.sigmoid(w)
        return -jnp.mean(y * jnp.log(p) + (1 - y) * jnp.log(1 - p))

    return qed.Problem(loss, jnp.array([40.0, 0.0, 1.0]), step=0.1)


@case("QED104", line="jnp.std(w)")
def deviation_of_equal_numbers():
    def loss(w):
        return jnp.std(w) + jnp.sum(w)

    return qed.Problem(loss, jnp.ones(3), step=0.1)


@case("QED204", line="u = w / jnp.sqrt(jnp.sum(w**2))")
def direction_of_a_zero_vector():
    def loss(w):
        u = w / jnp.sqrt(jnp.sum(w**2))
        return jnp.sum((u - 1) ** 2)

    return qed.Problem(loss, jnp.zeros(3), step=0.1)


@case("QED204", line="jnp.linalg.cholesky(A * w)")
def cholesky_of_an_indefinite_matrix():
    A = jnp.array([[1.0, 2.0], [2.0, 1.0]])
    return qed.Problem(lambda w: jnp.sum(jnp.linalg.cholesky(A * w)), jnp.float32(1.0), step=0.1)


@case("QED201", line="jnp.log(1e-30 * w)")
def gradient_that_overflows_though_the_logarithm_does_not():
    """The derivative of log at 1e-37 is finite; 1e20 times it is not: an overflow, no kink."""
    return qed.Problem(lambda w: 1e20 * jnp.log(1e-30 * w), jnp.float32(1e-7), step=1e-30)


@case("QED201", "QED306")
def loss_without_a_minimum():
    """Minus a square falls for ever: no smaller step cures that, and none is blamed."""
    return qed.Problem(lambda w: -jnp.sum(w**2), jnp.ones(3), step=0.1)
