"""Wrong first derivatives inside loops, branches and calls, the half kept for the first run."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.calculus.gradient_corpus.case import case, positive, signs


@case("wrong", np.array([0.5, 0.7]), loop_steps=(1, 2), tolerance=1e-6)
def in_a_loop_in_a_loop():
    """x grows by a tenth a step; the rule is wrong above x[0]*1.1^5.5: outer step 1, inner step 2 first."""

    @jax.custom_jvp
    def f(x):
        return jnp.log(x)

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        (x,), (t,) = primals, tangents
        return jnp.log(x), jnp.where(x > 0.7 * 1.1**5.5, 0.5, 1.0) / x * t

    def loss(f):
        def inner(c, _):
            c = 1.1 * c
            return c, jnp.sum(f(c))  # call

        def outer(c, _):
            c, terms = jax.lax.scan(inner, c, None, length=3)
            return c, jnp.sum(terms)

        return lambda x: jnp.sum(jax.lax.scan(outer, x, None, length=3)[1])

    return loss(f), loss(jnp.log)


@case("wrong", signs((3,), 79), loop_steps=(1,), branch=1)
def in_a_branch_in_a_loop():
    @jax.custom_vjp
    def f(x):
        return jnp.sin(x)

    def f_fwd(x):
        return jnp.sin(x), x

    def f_bwd(x, g):  # faulty
        return (g * jnp.sin(x),)

    f.defvjp(f_fwd, f_bwd)

    def loss(f):
        def step(c, i):
            return jax.lax.cond(i % 2 == 1, lambda c: f(c), lambda c: c * 1.5, c), None  # call

        return lambda x: jnp.sum(jax.lax.scan(step, x, jnp.arange(4))[0] ** 2)

    return loss(f), loss(jnp.sin)


@case("wrong", positive((3,), 80), np.array(2), branch=2)
def in_the_branch_of_a_switch():
    @jax.custom_jvp
    def f(x):
        return x**1.5

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        return primals[0] ** 1.5, 1.5 * primals[0] * tangents[0]

    def loss(f):
        branches = [jnp.sum, jnp.max, lambda x: jnp.sum(f(x)), jnp.min]  # call
        return lambda x, i: jax.lax.switch(i, branches, x)

    return loss(f), loss(lambda x: x**1.5)


@case("wrong", np.array(0.3), np.array(3), reverse=False)
def in_a_loop_of_data_dependent_length():
    @jax.custom_jvp
    def f(x):
        return jnp.cosh(x)

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        return jnp.cosh(primals[0]), -jnp.sinh(primals[0]) * tangents[0]

    def loss(f):
        return lambda x, n: jax.lax.fori_loop(0, n, lambda _, c: 0.5 * f(c), x)  # call

    return loss(f), loss(jnp.cosh)


@case("wrong", signs((4,), 82))
def with_a_nondifferentiable_argument():
    def power(n, x):
        return x**n

    f = jax.custom_vjp(power, nondiff_argnums=(0,))

    def f_fwd(n, x):
        return x**n, x

    def f_bwd(n, x, g):  # faulty
        return (g * n * x**n,)

    f.defvjp(f_fwd, f_bwd)

    def loss(f):
        return lambda x: jnp.sum(f(3, x))  # call

    return loss(f), loss(power)


@case("wrong", signs((3,), 84), difference=2e-3)
def callback_off_by_a_percent():
    def host(x):
        return jax.pure_callback(np.tanh, jax.ShapeDtypeStruct(x.shape, x.dtype), x, vmap_method="sequential")

    @jax.custom_jvp
    def f(x):
        return host(x)

    @f.defjvp
    def f_jvp(primals, tangents):  # faulty
        y = host(primals[0])
        return y, 1.01 * (1 - y**2) * tangents[0]

    def loss(f):
        return lambda x: jnp.sum(f(x) * jnp.arange(1.0, 4))  # call

    return loss(f), loss(jnp.tanh)


@case("wrong", signs((2, 3), 87), np.array([1, 0]))
def with_an_integer_argument():
    @jax.custom_jvp
    def pick(x, i):
        return x[jnp.arange(2), i] ** 2

    @pick.defjvp
    def pick_jvp(primals, tangents):  # faulty
        (x, i), (t, _) = primals, tangents
        return pick(x, i), x[jnp.arange(2), i] * t[jnp.arange(2), i]

    def loss(f):
        return lambda x, i: jnp.sum(f(x, i))  # call

    return loss(pick), loss(lambda x, i: x[jnp.arange(2), i] ** 2)


@case("wrong", signs((4,), 90))
def under_vmap_of_jit_of_vmap():
    @jax.custom_vjp
    def f(x):
        return x * jnp.exp(x)

    def f_fwd(x):
        return x * jnp.exp(x), x

    def f_bwd(x, g):  # faulty
        return (g * jnp.exp(x),)

    f.defvjp(f_fwd, f_bwd)

    def loss(f):
        inner = jax.jit(jax.vmap(f))
        return lambda x: jnp.sum(jax.vmap(inner)(jnp.outer(x, x)))  # call

    return loss(f), loss(lambda x: x * jnp.exp(x))


@case("wrong", np.eye(3) * 3 + 0.5 * signs((3, 3), 91), signs((3,), 92))
def linear_solve_called_symmetric():
    def loss(symmetric):
        def fun(A, b):
            solve = lambda matvec, b: jnp.linalg.solve(A, b)  # noqa: E731
            back = None if symmetric else (lambda vecmat, b: jnp.linalg.solve(A.T, b))
            x = jax.lax.custom_linear_solve(lambda v: A @ v, b, solve, back, symmetric=symmetric)  # call
            return jnp.sum(x * jnp.arange(1.0, 4))

        return fun

    return loss(True), loss(False)
