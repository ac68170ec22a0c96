"""Right derivatives that look wrong to a checker with a step size. The half that may be looked at."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tests.calculus.gradient_corpus.case import case, positive, signs, spd


def same(fun):
    return fun, fun


@case("correct", signs((3, 4), 30), np.array([1, 0, 3]))
def softmax_cross_entropy():
    return same(lambda z, y: -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1)))


@case("correct", np.array([1000.0, 1001.0, 900.0]))
def logsumexp_of_large_numbers():
    return same(lambda x: jax.nn.logsumexp(x))


@case("correct", np.array([800.0, -800.0, 0.3]))
def softplus_by_hand_where_the_body_overflows():
    @jax.custom_jvp
    def softplus(x):
        return jnp.where(x > 30, x, jnp.log1p(jnp.exp(x)))

    @softplus.defjvp
    def softplus_jvp(primals, tangents):
        return softplus(primals[0]), jax.nn.sigmoid(primals[0]) * tangents[0]

    return lambda x: jnp.sum(softplus(x)), lambda x: jnp.sum(jax.nn.softplus(x))


@case("correct", np.array([3e-9, 2e-8]), verdict=("agrees", "undecided"), same_values=False)
def rule_is_right_where_the_body_has_no_digits():
    """(1 - cos x)/x^2 has derivative -x/12 near 0; in floating point the body there is 0 or noise."""

    @jax.custom_jvp
    def f(x):
        return (1 - jnp.cos(x)) / (x * x)

    @f.defjvp
    def f_jvp(primals, tangents):
        (x,), (t,) = primals, tangents
        return f(x), -x / 12 * t

    return lambda x: jnp.sum(f(x)), lambda x: jnp.sum(0.5 - x * x / 24)


@case("correct", np.array([0.0, 1e-7, 0.5]))
def sinc_of_the_library():
    return same(lambda x: jnp.sum(jnp.sinc(x)))


@case("correct", np.array([0.0, 0.5]), np.array([0.3, 0.2]))
def xlogy_at_zero_in_its_second_argument():
    return same(lambda y, x: jnp.sum(jax.scipy.special.xlogy(x * 0 + jnp.array([0.0, 1.0]), y + 1.0)))


@case("correct", spd(4))
def cholesky_of_a_symmetric_matrix():
    return same(lambda A: jnp.sum(jnp.log(jnp.diag(jnp.linalg.cholesky(A)))))


@case("correct", spd(4, 1), tolerance=1e-4)
def eigenvalues():
    return same(lambda A: jnp.sum(jnp.linalg.eigh(A)[0] ** 2 * jnp.arange(1.0, 5)))


@case("correct", signs((4, 3), 31), tolerance=1e-4)
def nuclear_norm():
    return same(lambda A: jnp.sum(jnp.linalg.svd(A, compute_uv=False)))


@case("correct", np.eye(4) * 3 + signs((4, 4), 32) * 0.3, signs((4,), 33))
def solve_a_linear_system():
    return same(lambda A, b: jnp.sum(jnp.linalg.solve(A, b) ** 2))


@case("correct", np.eye(4) * 3 + signs((4, 4), 34) * 0.3)
def determinant_by_lu():
    return same(lambda A: jnp.sum(jnp.log(jnp.abs(jnp.diag(jax.scipy.linalg.lu_factor(A)[0])))))


@case("correct", signs((5,), 35), tolerance=1e-5)
def cast_to_float32_and_back():
    return lambda x: jnp.sum(jnp.sin(x.astype(jnp.float32)).astype(x.dtype)), lambda x: jnp.sum(jnp.sin(x))


@case("correct", signs((5,), 36), tolerance=5e-2, same_values=False)
def through_bfloat16():
    return lambda x: jnp.sum(jnp.tanh(x.astype(jnp.bfloat16)).astype(x.dtype)), lambda x: jnp.sum(jnp.tanh(x))


@case("correct", positive((3,), 37))
def fast_oscillation():
    return same(lambda x: jnp.sum(jnp.sin(1e6 * x)))


@case("correct", np.array([1e-9, -1e-9, 0.5]))
def next_to_a_kink():
    return same(lambda x: jnp.sum(jax.nn.relu(x) + jnp.abs(x)))


@case("correct", np.array([1e-30, 3e-30]))
def logarithm_of_tiny_numbers():
    return same(lambda x: jnp.sum(jnp.log(x)))


@case("correct", np.array([1e30, 3e30]))
def logarithm_of_huge_numbers():
    return same(lambda x: jnp.sum(jnp.log(x)))


@case("correct", positive((3,), 38), tolerance=1e-5)
def cancellation():
    return same(lambda x: jnp.sum(((1e8 + x) - 1e8) ** 2))


@case("correct", np.array([0.0, 1.0, 4.0]))
def double_where():
    def fun(x):
        safe = jnp.where(x > 0, x, 1.0)
        return jnp.sum(jnp.where(x > 0, safe * jnp.sqrt(safe), 0.0))

    return same(fun)


@case("correct", signs((4, 3), 39), signs((5, 4), 40))
def dense_layer_with_a_right_rule():
    @jax.custom_vjp
    def matmul(X, W):
        return X @ W

    matmul.defvjp(lambda X, W: (X @ W, (X, W)), lambda s, g: (g @ s[1].T, s[0].T @ g))
    return lambda W, X: jnp.sum(jnp.tanh(matmul(X, W))), lambda W, X: jnp.sum(jnp.tanh(X @ W))


@case("correct", signs((7,), 41))
def activations_of_the_library():
    names = ["relu", "relu6", "gelu", "silu", "elu", "selu", "celu", "softplus", "log_sigmoid", "soft_sign"]
    names += ["leaky_relu", "hard_tanh", "hard_sigmoid", "hard_swish", "mish", "squareplus", "sparse_plus"]
    return same(lambda x: sum(jnp.sum(getattr(jax.nn, n)(0.6 * x)) for n in names))


@case("correct", signs((4, 3), 42), positive((4, 3), 43))
def losses_of_optax():
    def fun(z, p):
        p = p / jnp.sum(p, 1, keepdims=True)
        total = jnp.sum(optax.softmax_cross_entropy(z, p)) + jnp.sum(optax.sigmoid_binary_cross_entropy(z, p))
        total += jnp.sum(optax.huber_loss(z, p)) + jnp.sum(optax.log_cosh(z, p)) + jnp.sum(optax.l2_loss(z, p))
        total += jnp.sum(optax.cosine_distance(z, p)) + jnp.sum(optax.sigmoid_focal_loss(z, p))
        return total + jnp.sum(optax.kl_divergence(jax.nn.log_softmax(z), p))

    return same(fun)


@case("correct", signs((6,), 44))
def right_rule_in_a_scan_of_remat():
    @jax.custom_jvp
    def f(x):
        return jnp.sin(x)

    f.defjvp(lambda p, t: (jnp.sin(p[0]), jnp.cos(p[0]) * t[0]))

    def loss(f):
        def step(c, _):
            return jax.checkpoint(f)(c) + 0.1, None

        return lambda x: jnp.sum(jax.lax.scan(step, x, None, length=5)[0])

    return loss(f), loss(jnp.sin)


@case("correct", np.array(0.4), reverse=False)
def right_rule_in_a_while_loop():
    @jax.custom_jvp
    def f(x):
        return x * jnp.cos(x)

    f.defjvp(lambda p, t: (f(p[0]), (jnp.cos(p[0]) - p[0] * jnp.sin(p[0])) * t[0]))

    def loss(f):
        return lambda x: jax.lax.while_loop(lambda c: c[0] < 4, lambda c: (c[0] + 1, f(c[1])), (0, x))[1]

    return loss(f), loss(lambda x: x * jnp.cos(x))


@case("correct", signs((5,), 45) * 50)
def logsumexp_by_hand_with_stop_gradient():
    def loss(stop):
        def fun(x):
            m = stop(jnp.max(x))
            return m + jnp.log(jnp.sum(jnp.exp(x - m)))

        return fun

    return loss(jax.lax.stop_gradient), loss(lambda a: a)


@case("correct", signs((8,), 46))
def variance_with_a_stopped_mean():
    """The mean of squares about c is stationary in c at the mean, so that stopping it changes nothing."""

    def loss(stop):
        return lambda x: jnp.mean((x - stop(jnp.mean(x))) ** 2)

    return loss(jax.lax.stop_gradient), loss(lambda a: a)


@case("correct", np.array([0.3, 0.8]))
def implicit_differentiation_of_a_converged_iteration():
    """z = cos(a z)/2 after 60 contractions; the rule is the implicit function theorem."""

    def iterate(a):
        return jax.lax.fori_loop(0, 60, lambda _, z: jnp.cos(a * z) / 2, jnp.zeros_like(a))

    @jax.custom_vjp
    def solve(a):
        return iterate(a)

    def fwd(a):
        z = iterate(a)
        return z, (a, z)

    def bwd(saved, g):
        a, z = saved
        slope = -jnp.sin(a * z) / 2
        return (g * slope * z / (1 - slope * a),)

    solve.defvjp(fwd, bwd)
    return lambda a: jnp.sum(solve(a) ** 2), lambda a: jnp.sum(iterate(a) ** 2)


@case("correct", positive((4,), 47))
def callback_with_a_right_rule():
    def host(x):
        return jax.pure_callback(np.sqrt, jax.ShapeDtypeStruct(x.shape, x.dtype), x, vmap_method="sequential")

    @jax.custom_jvp
    def root(x):
        return host(x)

    @root.defjvp
    def root_jvp(primals, tangents):
        y = host(primals[0])
        return y, tangents[0] / (2 * y)

    return lambda x: jnp.sum(root(x)), lambda x: jnp.sum(jnp.sqrt(x))


@case("correct", signs((4,), 48))
def wrong_rule_that_is_never_differentiated():
    """A wrong rule of data, not of x: no derivative passes through it."""

    @jax.custom_jvp
    def f(c):
        return jnp.exp(c)

    f.defjvp(lambda p, t: (jnp.exp(p[0]), -7 * t[0]))

    def loss(f):
        return lambda x: jnp.sum(f(jnp.arange(4.0)) * x**2)

    return loss(f), loss(jnp.exp)


@case("correct", signs((3,), 49))
def polynomial_with_a_rule_in_horner_form():
    @jax.custom_jvp
    def p(x):
        return 1 + x * (2 + x * (3 + 4 * x))

    p.defjvp(lambda q, t: (p(q[0]), (2 + q[0] * (6 + 12 * q[0])) * t[0]))
    return lambda x: jnp.sum(p(x)), lambda x: jnp.sum(1 + 2 * x + 3 * x**2 + 4 * x**3)


@case("correct", signs((3,), 50), verdict=("agrees", "kink"))
def kink_that_is_never_crossed():
    """|x - x| is 0 for every x: the equation stands at its kink, the function has none."""
    return lambda x: jnp.sum(jnp.abs(x - x) + x**2), lambda x: jnp.sum(x**2)
