"""Right derivatives, the half that the verb was not tuned on before it was first run."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.calculus.gradient_corpus.case import case, positive, signs


def same(fun):
    return fun, fun


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


@case("correct", np.array([1e-9, 0.5, 60.0]))
def log_of_one_minus_exp_by_hand():
    @jax.custom_jvp
    def log1mexp(x):
        return jnp.where(x < 0.7, jnp.log(-jnp.expm1(-x)), jnp.log1p(-jnp.exp(-x)))

    log1mexp.defjvp(lambda p, t: (log1mexp(p[0]), t[0] / jnp.expm1(p[0])))
    return lambda x: jnp.sum(log1mexp(x)), lambda x: jnp.sum(jnp.log(-jnp.expm1(-x)))


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
