"""Right derivatives of library functions, the half kept for the first run."""

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


@case("correct", signs((3, 3), 131))
def qr_and_pseudoinverse():
    def fun(A):
        q, r = jnp.linalg.qr(A + 3 * jnp.eye(3))
        return jnp.sum(q * jnp.arange(9.0).reshape(3, 3)) + jnp.sum(jnp.abs(jnp.diag(r))) + jnp.sum(jnp.linalg.pinv(A))

    return same(fun)


@case("correct", signs((3,), 136), verdict=("agrees", "undecided"), tolerance=1e-5)
def adjoint_of_an_ordinary_differential_equation():
    """The library's backward rule solves the adjoint equation: right to the tolerance of its solver, 1e-8 here."""
    times = np.linspace(0.0, 1.0, 3)

    def fun(x):
        t = jnp.asarray(times, x.dtype)
        return jnp.sum(odeint(lambda y, t: jnp.sin(y) - 0.3 * t, x, t)[-1] ** 2)

    return same(fun)
