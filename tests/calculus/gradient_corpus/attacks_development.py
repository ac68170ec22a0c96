"""Programs written to break the verb: right ones that look wrong, and wrong ones behind the library's own rules."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import linear_call

import qed
from tests.calculus.gradient_corpus.case import case, positive, signs


@case("correct", signs((3,), 160), dtypes=("float32",), tolerance=1e-6)
def constant_written_to_seven_digits():
    """In float32 0.7978846 is sqrt(2/pi); in float64 it is not, and the case is not asked there."""
    c = float(np.sqrt(2 / np.pi))

    def body(x):
        return 0.5 * x * (1 + jnp.tanh(c * (x + 0.044715 * x**3)))

    @jax.custom_jvp
    def gelu(x):
        return body(x)

    @gelu.defjvp
    def gelu_jvp(primals, tangents):
        (x,), (t,) = primals, tangents
        u = jnp.tanh(0.7978846 * (x + 0.044715 * x**3))
        return body(x), (0.5 * (1 + u) + 0.5 * x * (1 - u**2) * 0.7978846 * (1 + 0.134145 * x**2)) * t

    return lambda x: jnp.sum(gelu(x)), lambda x: jnp.sum(body(x))


@case("correct", positive((3,), 161))
def constants_that_float32_rounds():
    """2^x is spelled exp(x log 2) and its rule y log 2; the error function's rule has 2/sqrt(pi) in it."""

    @jax.custom_jvp
    def f(x):
        return jnp.exp(x * np.log(2))

    f.defjvp(lambda p, t: (f(p[0]), f(p[0]) * np.log(2) * t[0]))

    @jax.custom_jvp
    def g(x):
        return jax.lax.erf(x)

    g.defjvp(lambda p, t: (g(p[0]), 2 / np.sqrt(np.pi) * jnp.exp(-p[0] * p[0]) * t[0]))
    return lambda x: jnp.sum(f(x) * g(x)), lambda x: jnp.sum(2**x * jax.lax.erf(x))


@case("correct", np.array([0.0, 1.0, -0.4]))
def kinks_that_cancel():
    """x|x|, relu(x)^2, elu and |x|^2 are smooth at 0, and Huber's function at 1; the equations in them are not."""

    def fun(x):
        huber = jnp.where(jnp.abs(x) <= 1, 0.5 * x**2, jnp.abs(x) - 0.5)
        return jnp.sum(x * jnp.abs(x) + jax.nn.relu(x) ** 2 + jax.nn.elu(x) + jnp.abs(x) ** 2 + huber)

    def truth(x):
        up = jnp.where(x > 0, 2 * x**2 + x, -(x**2) + jnp.expm1(x)) + x**2
        return jnp.sum(up + jnp.where(jnp.abs(x) <= 1, 0.5 * x**2, jnp.abs(x) - 0.5))

    return fun, truth


@case("correct", signs((4,), 162))
def routing_by_stopped_scores():
    def loss(stop):
        def fun(x):
            gates = jax.nn.softmax(x)
            _, chosen = jax.lax.top_k(stop(gates), 2)
            return jnp.sum(gates[chosen] * jnp.array([1.0, 2.0]))

        return fun

    return loss(jax.lax.stop_gradient), loss(lambda a: a)


@case("correct", signs((3,), 163))
def right_rule_by_equinox():
    @eqx.filter_custom_vjp
    def f(x, y):
        return x * jnp.sin(y)

    f.def_fwd(lambda perturbed, x, y: (x * jnp.sin(y), None))
    f.def_bwd(lambda residuals, g, perturbed, x, y: g * jnp.sin(y))
    return lambda x: jnp.sum(f(x, jnp.ones(3)) ** 2), lambda x: jnp.sum((x * jnp.sin(1.0)) ** 2)


@case("wrong", signs((3,), 164))
def wrong_rule_by_equinox():
    @eqx.filter_custom_vjp
    def f(x, y):
        return x * jnp.sin(y)

    f.def_fwd(lambda perturbed, x, y: (x * jnp.sin(y), None))
    f.def_bwd(lambda residuals, g, perturbed, x, y: g * jnp.cos(y))

    def loss(f):
        return lambda x: jnp.sum(f(x, jnp.ones(3)) ** 2)  # call

    return loss(f), loss(lambda x, y: x * jnp.sin(y))


@case("wrong", signs((3,), 165))
def transposition_of_a_linear_call():
    def loss(factor):
        def fun(x):
            y = linear_call(lambda r, v: r * v, lambda r, g: factor * r * g, 2 * jnp.ones(3), x)  # call
            return jnp.sum(y**2)

        return fun

    return loss(2), loss(1)


@case("wrong", np.array(0.7))
def tangent_solve_of_a_root():
    def loss(solve):
        def fun(a):
            newton = lambda f, x: jax.lax.fori_loop(0, 30, lambda _, x: x - f(x) / jax.grad(f)(x), x)  # noqa: E731
            root = jax.lax.custom_root(lambda x: x**3 + a * x - 2, jnp.ones_like(a), newton, solve)  # call
            return root**2

        return fun

    return loss(lambda g, y: y * g(jnp.ones_like(y))), loss(lambda g, y: y / g(jnp.ones_like(y)))


@case("wrong", np.linspace(0.1, 2.0, 1000), loop_steps=(777,))
def in_one_of_a_thousand_steps():
    @jax.custom_jvp
    def f(x, i):
        return jnp.sin(x)

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        (x, i), (t, _) = primals, tangents
        return jnp.sin(x), jnp.where(i == 777, 0.0, jnp.cos(x)) * t

    def loss(f):
        return lambda x: jnp.sum(jax.lax.map(lambda a: f(a[0], a[1]), (x, jnp.arange(1000))))  # call

    return loss(f), loss(lambda x, i: jnp.sin(x))


@case("wrong", signs((3,), 166), same_values=False)
def another_value_when_differentiated():
    """The forward half returns twice the function, and the backward half is right for that."""

    @jax.custom_vjp
    def f(x):
        return jnp.sin(x)

    def f_fwd(x):
        return 2 * jnp.sin(x), x

    def f_bwd(x, g):  # faulty
        return (2 * g * jnp.cos(x),)

    f.defvjp(f_fwd, f_bwd)

    def loss(f):
        return lambda x: jnp.sum(f(x) ** 2)  # call

    return loss(f), loss(jnp.sin)


@case("wrong", np.array([0.0]), coordinate=0)
def outside_the_slopes_of_its_kink():
    """At the kink any number in [0, 1] would do; the rule says 3."""

    @jax.custom_jvp
    def relu(x):
        return jnp.maximum(x, 0)

    @relu.defjvp
    def relu_jvp(primals, tangents):  # faulty
        (x,), (t,) = primals, tangents
        return relu(x), jnp.where(x >= 0, 3.0, 0.0) * t

    def loss(f):
        return lambda x: jnp.sum(f(x))  # call

    return loss(relu), loss(lambda x: jnp.maximum(x, 0))


@case("latent", signs((3,), 167), np.array(0.0), elsewhere=np.array(1.0))
def wrong_in_a_result_that_is_not_used():
    """The rule is wrong for its second result, which this program multiplies by 0."""

    @jax.custom_vjp
    def f(x):
        return jnp.sin(x), jnp.cos(x)

    def f_fwd(x):
        return (jnp.sin(x), jnp.cos(x)), x

    def f_bwd(x, g):  # faulty
        return (g[0] * jnp.cos(x) + g[1] * jnp.sin(x),)

    f.defvjp(f_fwd, f_bwd)

    def loss(f):
        def fun(x, s):
            sine, cosine = f(x)  # call
            return jnp.sum(sine + s * cosine)

        return fun

    return loss(f), loss(lambda x: (jnp.sin(x), jnp.cos(x)))


@case("wrong", signs((4,), 168))
def operator_of_an_associative_scan():
    @jax.custom_jvp
    def mul(a, b):
        return a * b

    @mul.defjvp
    def mul_jvp(primals, tangents):  # faulty
        (a, b), (ta, tb) = primals, tangents
        return a * b, ta * b + 2 * a * tb

    def loss(mul):
        return lambda x: jnp.sum(jax.lax.associative_scan(mul, x))  # call

    return loss(mul), loss(lambda a, b: a * b)


@case("surrogate", signs((3,), 169))
def declared_code_book():
    """Vector quantisation with the gradient passed through (VQ-VAE), by the idiom of stop_gradient."""

    def body(z):
        code = jnp.array([-1.0, 0.0, 1.0])
        return code[jnp.argmin(jnp.abs(z[:, None] - code), 1)]

    @qed.surrogate
    def quantise(z):
        return z + jax.lax.stop_gradient(body(z) - z)

    return lambda x: jnp.sum((quantise(x) - 0.3) ** 2), lambda x: jnp.sum((body(x) - 0.3) ** 2)


@case("surrogate", signs((3,), 170))
def declared_target_network():
    def loss(target):
        def fun(w):
            s = jnp.array([1.0, 0.5, -0.3])
            return (s @ w - target(w)) ** 2

        return fun

    def value(w):
        return 0.3 + 0.9 * jnp.array([0.2, -1.0, 0.8]) @ w

    return loss(qed.surrogate(lambda w: jax.lax.stop_gradient(value(w)))), loss(value)
