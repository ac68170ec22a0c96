"""Right derivatives, the half that the verb was not tuned on before it was first run."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.scipy.special as special
import numpy as np
from flax import linen
from jax.experimental.ode import odeint

from tests.calculus.gradient_corpus.case import case, positive, signs, spd


def same(fun):
    return fun, fun


def _linen_point():
    return {"params": {"Dense_0": {"kernel": signs((3, 4), 100), "bias": signs((4,), 101)},
                       "LayerNorm_0": {"scale": positive((4,), 102), "bias": signs((4,), 103)},
                       "Dense_1": {"kernel": signs((4, 1), 104), "bias": signs((1,), 105)}}}  # fmt: skip


@case("correct", _linen_point(), signs((6, 3), 106))
def flax_module():
    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            x = linen.LayerNorm()(linen.Dense(4)(x))
            return linen.Dense(1)(linen.gelu(x))

    net = Net()
    return same(lambda w, X: jnp.mean(net.apply(w, X) ** 2))


class Affine(eqx.Module):
    W: jax.Array | np.ndarray
    b: jax.Array | np.ndarray
    act: str = eqx.field(static=True, default="tanh")

    def __call__(self, x):
        return getattr(jnp, self.act)(self.W @ x + self.b)


@case("correct", Affine(signs((3, 4), 107), signs((3,), 108)), signs((5, 4), 109))
def equinox_module():
    return same(lambda m, X: jnp.sum(jax.vmap(m)(X) ** 2))


@case("correct", signs((4, 3), 110))
def custom_batching():
    @jax.custom_batching.custom_vmap
    def f(x):
        return jnp.sum(jnp.sin(x))

    @f.def_vmap
    def rule(size, batched, x):
        return jnp.sum(jnp.sin(x), 1), True

    return lambda X: jnp.sum(jax.vmap(f)(X) ** 2), lambda X: jnp.sum(jnp.sum(jnp.sin(X), 1) ** 2)


@case("correct", signs((4, 3), 111))
def right_rule_under_vmap():
    @jax.custom_jvp
    def f(x):
        return x / jnp.sqrt(1 + jnp.sum(x**2))

    @f.defjvp
    def f_jvp(primals, tangents):
        (x,), (t,) = primals, tangents
        r = jnp.sqrt(1 + jnp.sum(x**2))
        return x / r, t / r - x * jnp.sum(x * t) / r**3

    loss = lambda f: lambda X: jnp.sum(jax.vmap(f)(X) * jnp.arange(12.0).reshape(4, 3))  # noqa: E731
    return loss(f), loss(lambda x: x / jnp.sqrt(1 + jnp.sum(x**2)))


@case("correct", signs((5, 3), 112), np.array([0, 2, 2, 4]))
def embedding_that_adds():
    @jax.custom_vjp
    def embed(table, ids):
        return table[ids]

    embed.defvjp(
        lambda table, ids: (table[ids], (ids, table)),
        lambda saved, g: (jnp.zeros_like(saved[1]).at[saved[0]].add(g), None),
    )
    loss = lambda f: lambda table, ids: jnp.sum(jnp.tanh(f(table, ids)))  # noqa: E731
    return loss(embed), loss(lambda table, ids: table[ids])


@case("correct", {"used": signs((3,), 113), "empty": np.zeros((0, 4))})
def empty_array():
    @jax.custom_jvp
    def f(x):
        return jnp.sin(x)

    f.defjvp(lambda p, t: (jnp.sin(p[0]), jnp.cos(p[0]) * t[0]))
    loss = lambda f: lambda x: jnp.sum(f(x["used"])) + jnp.sum(f(x["empty"]))  # noqa: E731
    return loss(f), loss(jnp.sin)


@case("correct", np.eye(3) * 3 + 0.5 * signs((3, 3), 114), signs((3,), 115))
def linear_solve_with_its_transpose():
    def fun(A, b):
        x = jax.lax.custom_linear_solve(
            lambda v: A @ v, b, lambda _, b: jnp.linalg.solve(A, b), lambda _, b: jnp.linalg.solve(A.T, b)
        )
        return jnp.sum(x * jnp.arange(1.0, 4))

    return fun, lambda A, b: jnp.sum(jnp.linalg.inv(A) @ b * jnp.arange(1.0, 4))


@case("correct", np.array(0.7), tolerance=1e-5)
def root_by_newton():
    def solve(a):
        def newton(f, x):
            return jax.lax.fori_loop(0, 30, lambda _, x: x - f(x) / jax.grad(f)(x), x)

        return jax.lax.custom_root(
            lambda x: x**3 + a * x - 2, jnp.ones_like(a), newton, lambda g, y: y / g(jnp.ones_like(y))
        )

    def truth(a):
        step = lambda _, x: x - (x**3 + a * x - 2) / (3 * x**2 + a)  # noqa: E731
        return jax.lax.fori_loop(0, 30, step, jnp.ones_like(a)) ** 2

    return lambda a: solve(a) ** 2, truth


@case("correct", np.array([1e-9, 0.5, 60.0]))
def log_of_one_minus_exp_by_hand():
    @jax.custom_jvp
    def log1mexp(x):
        return jnp.where(x < 0.7, jnp.log(-jnp.expm1(-x)), jnp.log1p(-jnp.exp(-x)))

    log1mexp.defjvp(lambda p, t: (log1mexp(p[0]), t[0] / jnp.expm1(p[0])))
    return lambda x: jnp.sum(log1mexp(x)), lambda x: jnp.sum(jnp.log(-jnp.expm1(-x)))


@case("correct", np.array([500.0, -500.0, 0.1]), np.array([-300.0, -499.0, 0.1]))
def logaddexp_of_the_library():
    return same(lambda a, b: jnp.sum(jnp.logaddexp(a, b)))


@case("correct", signs((3, 4), 116))
def attention_with_a_mask_of_minus_infinity():
    def fun(q):
        z = q @ q.T
        z = jnp.where(jnp.tril(jnp.ones((3, 3), bool)), z, -jnp.inf)
        return jnp.sum((jax.nn.softmax(z) @ q) ** 2)

    return same(fun)


@case("correct", signs((4, 4), 117) * 0.4)
def matrix_exponential():
    return same(lambda A: jnp.sum(jax.scipy.linalg.expm(A) * jnp.arange(16.0).reshape(4, 4)))


@case("correct", signs((8,), 118))
def through_the_fourier_transform():
    return same(lambda x: jnp.sum(jnp.abs(jnp.fft.rfft(x)) ** 2 * jnp.arange(5.0)))


@case("correct", signs((9,), 119))
def sorting_and_choosing():
    def fun(x):
        top, _ = jax.lax.top_k(x, 3)
        return jnp.sum(jnp.sort(x) * jnp.arange(9.0)) + jnp.sum(top**2) + jnp.sum(x[jnp.argsort(-x)][:2] ** 3)

    return same(fun)


@case("correct", signs((2, 6, 6), 120))
def maximum_pooling():
    def fun(x):
        pooled = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2), (1, 2, 2), "VALID")
        return jnp.sum(jnp.sin(pooled)) + jnp.sum(jax.lax.cummax(x, axis=1))

    return same(fun)


@case("correct", positive((5,), 121), tolerance=1e-5)
def special_functions():
    def fun(x):
        total = jnp.sum(special.betainc(2.0, 3.0, x / 2)) + jnp.sum(special.gammainc(2.0, x)) + jnp.sum(special.i0e(x))
        total += jnp.sum(special.erfinv(x / 2)) + jnp.sum(special.gammaln(x)) + jnp.sum(special.digamma(x))
        return total + jnp.sum(special.ndtri(x / 2)) + jnp.sum(special.zeta(x + 2, 1.0 + 0 * x))

    return same(fun)


@case("correct", (np.array([1e-15, 3.0]), np.array([1e-15, 4.0])))
def hypot_of_the_library():
    return same(lambda x: jnp.sum(jnp.hypot(x[0], x[1])))


@case("correct", spd(5, 7) / 5, tolerance=1e-3)
def nearly_equal_eigenvalues():
    fun = lambda A: jnp.sum(jnp.linalg.eigh(A + 1e3 * jnp.eye(5))[0][:2])  # noqa: E731
    return same(fun)


@case("correct", signs((6,), 122), tolerance=1e-3)
def hilbert_matrix():
    i = np.arange(6)
    H = 1.0 / (i[:, None] + i + 1)
    return same(lambda b: jnp.sum(jnp.linalg.solve(jnp.asarray(H, b.dtype), b) ** 2))


@case("correct", np.array([0.0, 2.0]))
def power_at_zero():
    return same(lambda x: jnp.sum(x**3 + jnp.power(x + 1.0, 2.5)))


@case("correct", {"W": signs((4, 4), 123) * 0.4, "U": signs((4, 2), 124)}, signs((6, 2), 125))
def recurrent_network_with_a_right_rule():
    @jax.custom_vjp
    def act(x):
        return jnp.tanh(x)

    act.defvjp(lambda x: (jnp.tanh(x), jnp.tanh(x)), lambda y, g: (g * (1 - y * y),))

    def loss(act):
        def fun(w, xs):
            step = lambda h, x: (act(w["W"] @ h + w["U"] @ x), None)  # noqa: E731
            return jnp.sum(jax.lax.scan(jax.checkpoint(step), jnp.zeros(4, xs.dtype), xs)[0] ** 2)

        return fun

    return loss(act), loss(jnp.tanh)


@case("correct", signs((20,), 126))
def dropout_with_its_own_mask():
    def fun(x):
        keep = jax.random.bernoulli(jax.random.key(0), 0.5, x.shape)
        return jnp.sum(jnp.where(keep, x * 2, 0.0) ** 2)

    return same(fun)


@case("correct", signs((6,), 127))
def gumbel_softmax():
    def fun(x):
        noise = jax.random.gumbel(jax.random.key(1), x.shape, x.dtype)
        return jnp.sum(jax.nn.softmax((x + noise) / 0.5) * jnp.arange(6.0))

    return same(fun)


@case("correct", np.array([1e-25, -2e-25]))
def right_rule_at_tiny_numbers():
    @jax.custom_jvp
    def f(x):
        return jnp.expm1(x)

    f.defjvp(lambda p, t: (jnp.expm1(p[0]), jnp.exp(p[0]) * t[0]))
    return lambda x: jnp.sum(f(x)), lambda x: jnp.sum(jnp.expm1(x))


@case("correct", np.array([1e30, -3e30]))
def right_rule_at_huge_numbers():
    @jax.custom_jvp
    def f(x):
        return x / (1 + jnp.abs(x))

    f.defjvp(lambda p, t: (f(p[0]), t[0] / (1 + jnp.abs(p[0])) / (1 + jnp.abs(p[0]))))
    return lambda x: jnp.sum(f(x) + 1e-30 * x), lambda x: jnp.sum(x / (1 + jnp.abs(x)) + 1e-30 * x)


@case("correct", positive((4,), 128))
def rule_by_the_difference_of_logarithms():
    """The body cancels (log(1e6 + x) - log(1e6)); the rule is the closed form."""

    @jax.custom_jvp
    def f(x):
        return jnp.log(1e6 + x) - jnp.log(jnp.asarray(1e6, x.dtype))

    f.defjvp(lambda p, t: (f(p[0]), t[0] / (1e6 + p[0])))
    return lambda x: 1e6 * jnp.sum(f(x)), lambda x: 1e6 * jnp.sum(jnp.log1p(x / 1e6))


@case("correct", np.array([3.0, 4.0]), verdict=("agrees", "undecided"))
def rule_of_a_function_that_overflows_inside():
    """log cosh by the closed form of its rule; the body overflows in float32 beyond 88 and not here."""

    @jax.custom_jvp
    def f(x):
        return jnp.log((jnp.exp(20 * x) + jnp.exp(-20 * x)) / 2) / 20

    f.defjvp(lambda p, t: (f(p[0]), jnp.tanh(20 * p[0]) * t[0]))
    return lambda x: jnp.sum(f(x)), lambda x: jnp.sum(jnp.log(jnp.cosh(x * 20.0)) / 20)


@case("correct", signs((4,), 129))
def rules_by_defjvps_and_symbolic_zeros():
    @jax.custom_jvp
    def f(a, b):
        return a * jnp.sin(b)

    f.defjvps(lambda t, y, a, b: t * jnp.sin(b), lambda t, y, a, b: t * a * jnp.cos(b))

    @jax.custom_jvp
    def g(a, b):
        return a * b

    def g_jvp(primals, tangents):
        (a, b), (ta, tb) = primals, tangents
        left = jnp.zeros_like(a) if type(ta) is jax.custom_derivatives.SymbolicZero else ta * b
        right = jnp.zeros_like(a) if type(tb) is jax.custom_derivatives.SymbolicZero else a * tb
        return a * b, left + right

    g.defjvp(g_jvp, symbolic_zeros=True)
    data = np.linspace(0.2, 0.9, 4)
    loss = lambda f, g: lambda x: jnp.sum(g(f(x, 2 * x), jnp.asarray(data, x.dtype)))  # noqa: E731
    return loss(f, g), loss(lambda a, b: a * jnp.sin(b), lambda a, b: a * b)


@case("correct", signs((5,), 130))
def stop_gradient_of_an_index():
    def fun(x):
        i = jax.lax.stop_gradient(jnp.argmax(x))
        return x[i] ** 2 + jnp.sum(x * jax.lax.stop_gradient(jnp.sign(x)))

    def truth(x):
        return x[jnp.argmax(x)] ** 2 + jnp.sum(jnp.abs(x))

    return fun, truth


@case("correct", signs((3, 3), 131))
def qr_and_pseudoinverse():
    def fun(A):
        q, r = jnp.linalg.qr(A + 3 * jnp.eye(3))
        return jnp.sum(q * jnp.arange(9.0).reshape(3, 3)) + jnp.sum(jnp.abs(jnp.diag(r))) + jnp.sum(jnp.linalg.pinv(A))

    return same(fun)


@case("correct", signs((4,), 132))
def shared_rule_called_a_hundred_times():
    @jax.custom_jvp
    def f(x):
        return jnp.sin(x)

    f.defjvp(lambda p, t: (jnp.sin(p[0]), jnp.cos(p[0]) * t[0]))

    def loss(f):
        def fun(x):
            for _ in range(100):
                x = f(x) + 0.5 * x
            return jnp.sum(x)

        return fun

    return loss(f), loss(jnp.sin)


@case("correct", positive((3,), 133), np.array(-1.0))
def right_rules_in_both_branches():
    @jax.custom_vjp
    def f(x):
        return x * jnp.log(x)

    f.defvjp(lambda x: (x * jnp.log(x), x), lambda x, g: (g * (1 + jnp.log(x)),))

    def loss(f):
        def fun(x, s):
            return jax.lax.cond(s > 0, lambda x: jnp.sum(f(x)), lambda x: jnp.sum(f(x) * f(2 * x)), x)

        return fun

    return loss(f), loss(lambda x: x * jnp.log(x))


@case("correct", signs((3,), 134))
def wrong_rule_of_a_stopped_value():
    """Its rule is never used: stop_gradient stands behind it, and removing that changes nothing (a product by 0)."""

    @jax.custom_jvp
    def f(x):
        return jnp.floor(x)

    f.defjvp(lambda p, t: (jnp.floor(p[0]), t[0]))
    loss = lambda f: lambda x: jnp.sum((x + jax.lax.stop_gradient(f(x))) ** 2)  # noqa: E731
    return loss(f), loss(lambda x: jnp.floor(x))


@case("correct", signs((3,), 135))
def the_gradient_of_a_gradient_in_a_loss():
    """A gradient penalty: the loss contains a derivative, of a function with a right rule of second order."""

    @jax.custom_jvp
    def f(x):
        return jnp.sin(x)

    f.defjvp(lambda p, t: (jnp.sin(p[0]), jnp.cos(p[0]) * t[0]))
    loss = lambda f: lambda x: jnp.sum(jax.grad(lambda x: jnp.sum(f(x) ** 2))(x) ** 2)  # noqa: E731
    return loss(f), loss(jnp.sin)


@case("correct", signs((3,), 136), verdict=("agrees", "undecided"), tolerance=1e-5)
def adjoint_of_an_ordinary_differential_equation():
    """The library's backward rule solves the adjoint equation: right to the tolerance of its solver, 1e-8 here."""
    times = np.linspace(0.0, 1.0, 3)

    def fun(x):
        t = jnp.asarray(times, x.dtype)
        return jnp.sum(odeint(lambda y, t: jnp.sin(y) - 0.3 * t, x, t)[-1] ** 2)

    return same(fun)
