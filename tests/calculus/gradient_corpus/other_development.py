"""Kinks, non-finite derivatives, surrogates, latent faults, wrong second derivatives. The half that may be seen."""

import jax
import jax.numpy as jnp
import numpy as np

import qed
from tests.calculus.gradient_corpus.case import case, positive, signs


@case("kink", np.array([0.0, 1.0]))
def relu_at_zero():
    fun = lambda x: jnp.sum(jnp.maximum(x, 0.0) * jnp.array([1.0, 2.0]))  # noqa: E731
    return fun, fun


@case("kink", np.array([0.0, 0.3]))
def modulus_at_zero():
    fun = lambda x: jnp.sum(jnp.abs(x))  # noqa: E731
    return fun, fun


@case("kink", np.array([1.5, 1.5, 0.2]))
def tie_of_a_maximum():
    fun = lambda x: jnp.max(x) ** 2  # noqa: E731
    return fun, fun


@case("kink", np.array([0.0, 0.7]))
def custom_rule_at_its_own_kink():
    """The rule takes 1/2 at the kink, the body's derivative another subgradient: nobody is wrong."""

    @jax.custom_jvp
    def relu(x):
        return jnp.where(x > 0, x, 0.0)

    relu.defjvp(lambda p, t: (relu(p[0]), jnp.heaviside(p[0], 0.5) * t[0]))
    return lambda x: jnp.sum(relu(x)), lambda x: jnp.sum(jnp.where(x > 0, x, 0.0))


@case("nonfinite", np.array([0.0, 1.0, 4.0]))
def root_masked_by_where():
    """x^1.5 has derivative 0 at 0; the masked branch makes it 0 times infinity."""

    def truth(x):
        safe = jnp.where(x > 0, x, 1.0)
        return jnp.sum(jnp.where(x > 0, safe * jnp.sqrt(safe), 0.0) + x)

    return lambda x: jnp.sum(jnp.where(x > 0, x * jnp.sqrt(x), 0.0) + x), truth


@case("nonfinite", np.array([0.0, 0.3]))
def sine_over_x_at_zero():
    return (
        lambda x: jnp.sum(jnp.where(x == 0, 1.0, jnp.sin(x) / x)),
        lambda x: jnp.sum(jnp.sinc(x / jnp.pi)),
    )


@case("nonfinite", np.array([0.0, 0.5]))
def rule_that_divides_by_zero():
    """(e^x - 1)/x is smooth at 0, and its body takes care; the rule does not."""

    def body(x):
        safe = jnp.where(x == 0, 1.0, x)
        return jnp.where(x == 0, 1.0 + x / 2, jnp.expm1(safe) / safe)

    @jax.custom_jvp
    def f(x):
        return body(x)

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        (x,), (t,) = primals, tangents
        return body(x), (jnp.exp(x) - body(x)) / x * t

    return lambda x: jnp.sum(f(x)), lambda x: jnp.sum(body(x))  # call


@case("surrogate", signs((5,), 60))
def declared_straight_through_rounding():
    @qed.surrogate
    @jax.custom_jvp
    def quantise(x):
        return jnp.round(4 * x) / 4

    @quantise.defjvp
    def quantise_jvp(primals, tangents):
        return quantise(primals[0]), tangents[0]

    return lambda x: jnp.sum((quantise(x) - 0.3) ** 2), lambda x: jnp.sum((jnp.round(4 * x) / 4 - 0.3) ** 2)


@case("surrogate", signs((5,), 61))
def declared_gradient_reversal():
    @qed.surrogate
    @jax.custom_vjp
    def reverse(x):
        return x

    reverse.defvjp(lambda x: (x, None), lambda _, g: (-g,))
    return lambda x: jnp.sum(jnp.tanh(reverse(x))), lambda x: jnp.sum(jnp.tanh(x))


@case("surrogate", signs((5,), 62) * 3)
def clipping_recognised_without_a_word():
    """The backward rule is not linear in its cotangent: no function has such a derivative, so it is meant."""

    @jax.custom_vjp
    def clipped(x):
        return x

    clipped.defvjp(lambda x: (x, None), lambda _, g: (jnp.clip(g, -1, 1),))
    return lambda x: jnp.sum(clipped(x) ** 2), lambda x: jnp.sum(x**2)


@case("latent", signs((4,), 63), np.array(-1.0), elsewhere=np.array(1.0))
def in_the_branch_not_taken():
    @jax.custom_jvp
    def f(x):
        return jnp.exp(x)

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        return jnp.exp(primals[0]), -tangents[0]

    def loss(f):
        def fun(x, s):
            return jax.lax.cond(s > 0, lambda x: jnp.sum(f(x)), lambda x: jnp.sum(x**2), x)  # call

        return fun

    return loss(f), loss(jnp.exp)


@case("latent", positive((4,), 64), np.array(3), branch=1, elsewhere=np.array(1))
def in_a_branch_of_a_switch_not_taken():
    @jax.custom_vjp
    def f(x):
        return jnp.log(x)

    def f_fwd(x):
        return jnp.log(x), x

    def f_bwd(x, g):  # faulty
        return (g * x,)

    f.defvjp(f_fwd, f_bwd)

    def loss(f):
        branches = [jnp.sum, lambda x: jnp.sum(f(x)), jnp.max, lambda x: jnp.sum(jnp.sin(x))]  # call
        return lambda x, i: jax.lax.switch(i, branches, x)

    return loss(f), loss(jnp.log)


@case("second", signs((4,), 65))
def second_derivative_forgotten():
    @jax.custom_jvp
    def f(x):
        return jnp.sin(x)

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        return jnp.sin(primals[0]), jax.lax.stop_gradient(jnp.cos(primals[0])) * tangents[0]

    def loss(f):
        return lambda x: jnp.sum(f(x) ** 2)  # call

    return loss(f), loss(jnp.sin)
