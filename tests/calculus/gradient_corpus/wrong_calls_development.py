"""Wrong first derivatives inside loops, branches and calls. The half that may be looked at."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.calculus.gradient_corpus.case import case, signs


@case("wrong", signs((6, 3), 11), loop_steps=(0,))
def scan_of_remat_of_vmap():
    @jax.custom_jvp
    def f(x):
        return jnp.sin(x) * jnp.sum(x)

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        (x,), (t,) = primals, tangents
        return jnp.sin(x) * jnp.sum(x), jnp.cos(x) * t * jnp.sum(x)

    def loss(f):
        def step(carry, _):
            return jnp.tanh(jax.checkpoint(jax.vmap(f))(carry)), None  # call

        return lambda x: jnp.sum(jax.lax.scan(step, x, None, length=4)[0] ** 2)

    return loss(f), loss(lambda x: jnp.sin(x) * jnp.sum(x))


@case("wrong", np.array([0.9, 1.3]), loop_steps=(3,))
def wrong_above_two_reached_in_a_loop():
    @jax.custom_jvp
    def f(x):
        return x * jnp.sqrt(x)

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        (x,), (t,) = primals, tangents
        return x * jnp.sqrt(x), jnp.where(x > 2, 1.6, 1.5) * jnp.sqrt(x) * t

    def loss(f):
        def step(carry, _):
            return 1.2 * carry, jnp.sum(f(carry))  # call

        return lambda x: jnp.sum(jax.lax.scan(step, x, None, length=6)[1])

    return loss(f), loss(lambda x: x * jnp.sqrt(x))


@case("wrong", signs((4,), 12), np.array(1.0), branch=1)
def in_the_branch_taken():
    @jax.custom_jvp
    def f(x):
        return jnp.exp(x)

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        return jnp.exp(primals[0]), tangents[0]

    def loss(f):
        def fun(x, s):
            return jax.lax.cond(s > 0, lambda x: jnp.sum(f(x)), lambda x: jnp.sum(x**2), x)  # call

        return fun

    return loss(f), loss(jnp.exp)


@case("wrong", np.array(0.7), reverse=False)
def inside_a_while_loop():
    @jax.custom_jvp
    def f(x):
        return jnp.sin(x)

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        return jnp.sin(primals[0]), 1.5 * jnp.cos(primals[0]) * tangents[0]

    def loss(f):
        def fun(x):
            return jax.lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, f(c[1])), (0, x))[1]  # call

        return fun

    return loss(f), loss(jnp.sin)


@case("wrong", signs((3,), 23))
def custom_rule_inside_a_custom_rule():
    """The outer rule is wrong; the inner one, in its body, is right."""

    @jax.custom_jvp
    def inner(x):
        return jnp.exp(x)

    @inner.defjvp
    def inner_jvp(primals, tangents):
        y = jnp.exp(primals[0])
        return y, y * tangents[0]

    @jax.custom_jvp
    def outer(x):
        return inner(x) + x

    @outer.defjvp
    def outer_jvp(primals, tangents):  # faulty
        return outer(primals[0]), inner(primals[0]) * tangents[0]

    def loss(f):
        return lambda x: jnp.sum(f(x) ** 2)  # call

    return loss(outer), loss(lambda x: jnp.exp(x) + x)


@case("wrong", signs((4,), 24))
def second_of_two_calls_of_a_jitted_function():
    @jax.custom_jvp
    def f(x):
        return jnp.where(x > 0, x * x, x)

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        (x,), (t,) = primals, tangents
        return f(x), jnp.where(x > 3, 3 * x, jnp.where(x > 0, 2 * x, 1.0)) * t

    def loss(f):
        helper = jax.jit(lambda x: jnp.sum(f(x)))  # call

        def fun(x):
            return helper(x) + helper(x + 5)

        return fun

    return loss(f), loss(lambda x: jnp.where(x > 0, x * x, x))


@case("wrong", np.array([0.9, 1.8]), difference=1e-3)
def implicit_rule_of_an_iteration_that_has_not_converged():
    """The rule is right for the limit of z = cos(a z)/2, and not for the program, which makes three steps."""

    def iterate(a):
        return jax.lax.fori_loop(0, 3, lambda _, z: jnp.cos(a * z) / 2, jnp.zeros_like(a))

    @jax.custom_vjp
    def solve(a):
        return iterate(a)

    def solve_fwd(a):
        z = iterate(a)
        return z, (a, z)

    def solve_bwd(saved, g):  # faulty
        a, z = saved
        slope = -jnp.sin(a * z) / 2
        return (g * slope * z / (1 - slope * a),)

    solve.defvjp(solve_fwd, solve_bwd)

    def loss(solve):
        return lambda a: jnp.sum(solve(a) ** 2)  # call

    return loss(solve), loss(iterate)
