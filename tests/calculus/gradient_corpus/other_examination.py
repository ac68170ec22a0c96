"""Kinks, non-finite derivatives, surrogates, latent faults, second derivatives: the half kept for the first run."""

import jax
import jax.numpy as jnp
import numpy as np

import qed
from tests.calculus.gradient_corpus.case import case, positive, signs


@case("kink", np.array([1.0, 0.3]))
def clip_at_its_bound():
    fun = lambda x: jnp.sum(jnp.clip(x, 0.0, 1.0) * 3.0)  # noqa: E731
    return fun, fun


@case("kink", np.array([0.25, -0.5]), np.array([[1.0, 1.5], [2.0, 0.3]]))
def hinge_at_its_margin():
    """1 - y (x.w) is 0 for the first row with w = (1/4, -1/2) and label -2."""

    def fun(w, X):
        return jnp.sum(jnp.maximum(0.0, 1 - jnp.array([-2.0, 1.0]) * (X @ w)))

    return fun, fun


@case("kink", np.array([0.5, 0.5, 2.0, -1.0]))
def tie_in_a_sort():
    fun = lambda x: jnp.sum(jnp.sort(x) * jnp.array([1.0, 2.0, 5.0, 11.0]))  # noqa: E731
    return fun, fun


@case("kink", np.array([0.3, 0.0]), verdict=("kink", "nonfinite"))
def norm_at_zero():
    fun = lambda x: x[0] ** 2 + jnp.linalg.norm(x[1:])  # noqa: E731
    return fun, fun


@case("kink", np.array([0.5, 0.3]), loop_steps=(2,))
def kink_inside_a_scan():
    """|c| is met exactly at its kink in the third step, by the first coordinate."""

    def fun(x):
        step = lambda c, _: (c - 0.25, jnp.sum(jnp.abs(c)))  # noqa: E731
        return jnp.sum(jax.lax.scan(step, x, None, length=4)[1])

    return fun, fun


@case("nonfinite", np.array([1.0, 0.2]), verdict=("nonfinite", "kink"))
def arccos_at_the_end_of_its_domain():
    fun = lambda x: jnp.sum(jnp.arccos(x))  # noqa: E731
    return fun, fun


@case("nonfinite", np.array([0.0, 2.0]))
def fractional_power_times_zero():
    return lambda x: jnp.sum(jnp.abs(x) ** 0.5 * 0.0 + x), lambda x: jnp.sum(x)


@case("nonfinite", np.array([0.0, 0.0, 0.4]))
def norm_of_a_masked_row():
    def fun(x):
        r = jnp.sqrt(x[0] ** 2 + x[1] ** 2)
        return jnp.where(r > 0, r, 0.0) * 0.0 + x[2] ** 2

    return fun, lambda x: x[2] ** 2


@case("surrogate", signs((5,), 140))
def declared_binarisation():
    @qed.surrogate
    @jax.custom_vjp
    def binary(x):
        return jnp.sign(x)

    binary.defvjp(lambda x: (jnp.sign(x), x), lambda x, g: (jnp.where(jnp.abs(x) <= 1, g, 0.0),))
    return lambda x: jnp.sum((binary(x) + x) ** 2), lambda x: jnp.sum((jnp.sign(x) + x) ** 2)


@case("surrogate", signs((4,), 141))
def declared_reversal_in_a_scan():
    @qed.surrogate
    @jax.custom_vjp
    def reverse(x):
        return x

    reverse.defvjp(lambda x: (x, None), lambda _, g: (-0.1 * g,))

    def loss(f):
        def step(c, _):
            return jnp.sin(f(c)), None

        return lambda x: jnp.sum(jax.lax.scan(step, x, None, length=3)[0])

    return loss(reverse), loss(lambda x: x)


@case("surrogate", signs((5,), 142) * 4)
def clipping_by_norm_without_a_word():
    @jax.custom_vjp
    def clipped(x):
        return x

    def bwd(_, g):
        return (g * jnp.minimum(1.0, 1.0 / jnp.linalg.norm(g)),)

    clipped.defvjp(lambda x: (x, None), bwd)
    return lambda x: jnp.sum(clipped(x) ** 2), lambda x: jnp.sum(x**2)


@case("surrogate", signs((5,), 143))
def sign_of_the_gradient_without_a_word():
    @jax.custom_vjp
    def signed(x):
        return jnp.tanh(x)

    signed.defvjp(lambda x: (jnp.tanh(x), None), lambda _, g: (jnp.sign(g),))
    return lambda x: jnp.sum(signed(x) ** 2), lambda x: jnp.sum(jnp.tanh(x) ** 2)


@case("latent", signs((3,), 144), np.array(0.0), branch=1, elsewhere=np.array(1.0))
def in_a_branch_in_a_loop_never_taken():
    @jax.custom_vjp
    def f(x):
        return jnp.sin(x)

    def f_fwd(x):
        return jnp.sin(x), x

    def f_bwd(x, g):  # faulty
        return (2 * g * jnp.cos(x),)

    f.defvjp(f_fwd, f_bwd)

    def loss(f):
        def fun(x, s):
            def step(c, i):
                return jax.lax.cond(i * s > 0, lambda c: f(c), lambda c: c * 0.9, c), None  # call

            return jnp.sum(jax.lax.scan(step, x, jnp.arange(4.0))[0])

        return fun

    return loss(f), loss(jnp.sin)


@case("latent", np.array(0.5), np.array(9), reverse=False, elsewhere=np.array(0))
def in_a_loop_that_makes_no_step():
    @jax.custom_jvp
    def f(x):
        return jnp.exp(x)

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        return jnp.exp(primals[0]), tangents[0] * 3.0

    def loss(f):
        def fun(x, first):
            return jax.lax.while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, f(0.1 * c[1])), (first, x))[1]  # call

        return fun

    return loss(f), loss(jnp.exp)


@case("latent", positive((4,), 145), np.array(0.0), elsewhere=np.array(9.0))
def on_the_masked_side_of_a_where():
    """The wrong rule is multiplied by an exact zero: this gradient is right."""

    @jax.custom_jvp
    def f(x):
        return x * x

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        (x,), (t,) = primals, tangents
        return x * x, 5 * x * t

    def loss(f):
        return lambda x, s: jnp.sum(jnp.where(x > s, jnp.sin(x), f(x)))  # call

    return loss(f), loss(lambda x: x * x)


@case("second", signs((4,), 146))
def rule_calls_a_function_with_a_wrong_rule():
    @jax.custom_jvp
    def slope(x):
        return jnp.cos(x)

    @slope.defjvp
    def slope_jvp(primals, tangents):  # faulty
        return jnp.cos(primals[0]), jnp.sin(primals[0]) * tangents[0]

    @jax.custom_jvp
    def f(x):
        return jnp.sin(x)

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        return jnp.sin(primals[0]), slope(primals[0]) * tangents[0]

    def loss(f):
        return lambda x: jnp.sum(f(x) ** 2)  # call

    return loss(f), loss(jnp.sin)


@case("second", positive((3,), 147))
def residual_that_forgets_its_dependence():
    @jax.custom_vjp
    def f(x):
        return x**3

    def f_fwd(x):
        return x**3, jax.lax.stop_gradient(3 * x**2)

    def f_bwd(slope, g):  # faulty
        return (g * slope,)

    f.defvjp(f_fwd, f_bwd)

    def loss(f):
        return lambda x: jnp.sum(f(x))  # call

    return loss(f), loss(lambda x: x**3)
