"""Programs written by hand for the corpus: calls, loops, branches, rules of the user's.

Names say which construct is meant. Every function returns a scalar and is differentiated in its first argument.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.corpus_case import LABELS, POSITIVE, SQUARE, V, X, Y, functional, program

# --- calls ----------------------------------------------------------------------------------------------------


@jax.jit
def _cached(x):
    return jnp.sin(x) * x


@jax.jit
def _outer(x):
    return jnp.sum(_cached(x) + _cached(2 * x))


@program(V)
def nested_jit(x):
    return _outer(x) + jax.jit(lambda y: jnp.prod(y))(x)


@program(V)
def two_calls_of_one_cached_function(x):
    return jnp.sum(_cached(x)) - jnp.sum(_cached(x + 1.0) * _cached(x))


@program(X, Y)
def vmap_of_a_dot(x, y):
    return jnp.sum(jax.vmap(lambda a, b: jnp.tanh(a @ b))(x, y))


@program(V)
def gradient_inside(x):
    return jnp.sum(jax.grad(lambda y: jnp.sum(y**3) + jnp.prod(y))(x) ** 2)


@program(V)
def forward_derivative_inside(x):
    return jax.jvp(lambda y: jnp.sum(jnp.sin(y) * y), (x,), (jnp.ones_like(x),))[1]


@program(V)
def remat(x):
    return jnp.sum(jax.checkpoint(lambda y: jnp.sin(jnp.exp(y)))(x))


@program(V)
def remat_with_policy(x):
    policy = jax.checkpoint_policies.dots_saveable
    return jnp.sum(jax.checkpoint(lambda y: jnp.sin(jnp.outer(y, y) @ y), policy=policy)(x))


@program({"w": SQUARE, "b": POSITIVE}, X, LABELS)
def softmax_regression(w, x, labels):
    z = x @ w["w"] + w["b"]
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), labels[:, None], axis=1))


@program(V)
def stop_gradient(x):
    return jnp.sum(x * lax.stop_gradient(jnp.exp(x)))


@program(V)
def constants_are_closed_over(x):
    return jax.jit(lambda y: jnp.sum(y * V + jnp.asarray(V[::-1].copy())))(x)


@program(V)
def unused_equations(x):
    jnp.log(x - 10)
    return jnp.sum(x)


@program(V)
def output_is_an_input(x):
    return x[0]


# --- loops ----------------------------------------------------------------------------------------------------


@program(V)
def scan(x):
    carry, ys = lax.scan(lambda c, v: (c * 0.5 + jnp.sin(v), c * v), x[0], x)
    return carry + jnp.sum(ys)


@program(V)
def scan_reverse(x):
    carry, ys = lax.scan(lambda c, v: (c * 0.5 + jnp.sin(v), c), x[0], x, reverse=True)
    return carry * jnp.sum(ys * jnp.arange(4.0))


@program(V)
def scan_without_rows(x):
    carry, _ = lax.scan(lambda c, _: (jnp.cos(c) * x, None), x, None, length=3)
    return jnp.sum(carry)


@program(V, eager=False)  # JAX refuses a loop of no steps without jit
def scan_of_length_zero(x):
    carry, ys = lax.scan(lambda c, v: (c * v, c), x[0], x[:0])
    return carry + jnp.sum(ys)


@program(V)
def scan_stacks_an_input(x):
    _, (ys, zs) = lax.scan(lambda c, v: (c, (v, x)), 0.0, x)
    return jnp.sum(ys) * jnp.sum(zs)


@program(V)
def scan_of_checkpoint(x):
    return lax.scan(lambda c, v: (jax.checkpoint(lambda a: jnp.sin(a) * v)(c), None), x[0], x)[0]


@program(X)
def scan_nested(x):
    def row(c, r):
        inner, _ = lax.scan(lambda d, v: (d * v + 1, d), c, r)
        return jnp.tanh(inner), inner

    return functional(lax.scan(row, jnp.ones((), x.dtype), x))


@program(V)
def scan_unrolled(x):
    return lax.scan(lambda c, v: (c + v * v, None), 0.0 * x[0], x, unroll=2)[0]


@program(X)
def lax_map(x):
    return jnp.sum(lax.map(lambda r: jnp.prod(r) + r, x))


@program(V)
def associative_scan(x):
    return functional(lax.associative_scan(lambda a, b: a * b + b, x))


@program(V)
def fori_static(x):
    return jnp.sum(lax.fori_loop(0, 3, lambda i, c: jnp.sin(c) + i, x))


@program(V, np.int32(3), derivative=False)
def fori_dynamic(x, n):
    return jnp.sum(lax.fori_loop(0, n, lambda i, c: jnp.sin(c) + i, x))


@program(V, derivative=False)
def while_loop(x):
    return jnp.sum(lax.while_loop(lambda c: jnp.sum(c * c) > 0.5, lambda c: c * 0.5, x))


@program(V, derivative=False)
def while_of_no_trips(x):
    return jnp.sum(lax.while_loop(lambda c: jnp.sum(c) > 1e3, lambda c: c * 2, x))


@program(V)
def while_beside_the_gradient(x):
    count = lax.while_loop(lambda c: c < 3, lambda c: c + 1, 0)
    return jnp.sum(x * count)


@program(X, derivative=False)
def while_vmapped(x):
    def one(v):
        return lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + jnp.abs(v[0]), c[1] * v), (v[1], v))[1]

    return jnp.sum(jax.vmap(one)(x))


# --- branches -------------------------------------------------------------------------------------------------


@program(V)
def cond_on_a_float(x):
    return lax.cond(x[0] > 0, lambda v: jnp.sum(v * v), lambda v: jnp.prod(v), x)


@program(V)
def cond_on_a_number(x):
    return lax.cond(x[1], lambda v: jnp.sum(v * v), lambda v: jnp.prod(v), x)


@program(V, np.int32(7))
def switch_out_of_range(x, i):
    return lax.switch(i, [jnp.sum, jnp.prod, lambda v: jnp.sum(jnp.exp(v))], x)


@program(V)
def cond_in_scan(x):
    step = lambda c, v: (lax.cond(v > 0, lambda: c * v, lambda: c - v), None)  # noqa: E731
    return lax.scan(step, x[0], x)[0]


@program(X)
def cond_vmapped(x):
    return jnp.sum(jax.vmap(lambda v: lax.cond(v[0] > 0, lambda: v * v, lambda: jnp.sin(v)))(x))


@program(V)
def where(x):
    return jnp.sum(jnp.where(x > 0, jnp.sqrt(jnp.abs(x)), x * x))


@program(V)
def select_of_three(x):
    return jnp.sum(lax.select_n(jnp.array([0, 1, 2, 1]), x, x * x, jnp.exp(x)))


# --- rules of the user's --------------------------------------------------------------------------------------


@jax.custom_jvp
def _softplus(x):
    return jnp.logaddexp(x, 0.0)


@_softplus.defjvp
def _softplus_rule(primals, tangents):
    (x,), (t,) = primals, tangents
    return _softplus(x), t * jax.nn.sigmoid(x)


@program(V)
def custom_jvp(x):
    return jnp.sum(_softplus(x) * _softplus(-2 * x))


@jax.custom_vjp
def _clipped(x, scale):
    return x * scale


def _clipped_forward(x, scale):
    return x * scale, (x, scale)


def _clipped_backward(saved, ct):
    x, scale = saved
    return jnp.clip(ct * scale, -0.5, 0.5), jnp.sum(ct * x)


_clipped.defvjp(_clipped_forward, _clipped_backward)


@program(V)
def custom_vjp(x):
    return jnp.sum(_clipped(x, 2.0) ** 2)


@program(X)
def custom_vjp_vmapped(x):
    return jnp.sum(jax.vmap(lambda v: jnp.sum(_clipped(v, 3.0)))(x) ** 2)


@program(V)
def custom_rules_nested(x):
    return jnp.sum(jax.jit(lambda v: _softplus(_clipped(v, 2.0)))(x))


@program(V)
def custom_jvp_in_scan(x):
    return lax.scan(lambda c, v: (_softplus(c * v), None), x[0], x)[0]


@program(V)
def custom_gradient(x):
    @jax.custom_gradient
    def square(v):
        return v * v, lambda ct: ct * 3 * v

    return jnp.sum(square(x))
