"""Programs written by hand for the corpus: random numbers, elements that move, dtypes, effects.

Names say which construct is meant. Every function returns a scalar and is differentiated in its first argument.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.corpus_case import POSITIVE, RECTANGLE, SQUARE, UNIT, V, X, functional, program

# --- random numbers -------------------------------------------------------------------------------------------


@program(X, np.array([0, 42], np.uint32))
def dropout(x, key):
    keep = jax.random.bernoulli(key, 0.6, x.shape)
    return jnp.sum(jnp.where(keep, x / 0.6, 0.0) ** 2)


@program(X)
def typed_key(x):
    key, other = jax.random.split(jax.random.key(3))
    noise = jax.random.normal(key, x.shape) + jax.random.uniform(jax.random.fold_in(other, 1), x.shape)
    return jnp.sum(x * noise)


@program(V)
def keys_in_scan(x):
    keys = jax.random.split(jax.random.key(3), 4)
    return lax.scan(lambda c, kv: (c + jax.random.normal(kv[0]) * kv[1], None), 0.0 * x[0], (keys, x))[0]


@program(V)
def permutation(x):
    return jnp.sum(jax.random.permutation(jax.random.key(1), x) * V)


# --- elements that move ---------------------------------------------------------------------------------------


@program(X)
def gather_scatter(x):
    rows = x[jnp.array([1, 0, 1])]
    return jnp.sum(jnp.zeros((4, 3), x.dtype).at[jnp.array([0, 2, 2])].add(rows) ** 2) + x[0, -1]


@program(X)
def scatter_kinds(x):
    at = x.at[0]
    return functional([at.set(2.0), at.multiply(x[1]), at.max(x[1]), at.min(0.2), at.divide(3.0), at.power(2.0)])


@program(V, np.int32(2))
def dynamic_slices(x, i):
    part = lax.dynamic_slice(x, (i,), (2,))
    return jnp.sum(lax.dynamic_update_slice(x * 2, part, (i - 1,)) * V)


@program(X)
def sorting(x):
    values, _ = lax.top_k(x, 2)
    keys, companions = lax.sort((x, x * x), num_keys=1)
    return functional([jnp.sort(x, 0), values, keys, companions, x[jnp.arange(2), jnp.argmax(x, 1)]])


@program(POSITIVE)
def cumulatives(x):
    return functional([jnp.cumsum(x), jnp.cumprod(x), lax.cummax(x), lax.cummin(x), lax.cumlogsumexp(x)])


@program(X)
def reductions(x):
    return functional(
        [jnp.max(x, 0), jnp.min(x), jnp.prod(x, 1), jnp.var(x), jnp.std(x, 1), jnp.median(x), jnp.any(x > 0)]
    )


@program(SQUARE)
def windows(x):
    image = x[None, :, :, None]
    pooled = lax.reduce_window(image, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 1, 1, 1), "VALID")
    mean = lax.reduce_window(image, 0.0, lax.add, (1, 2, 2, 1), (1, 1, 1, 1), "VALID")
    return functional([pooled, mean])


@program(SQUARE)
def reshaping(x):
    parts = jnp.split(jnp.concatenate([x, x.T], 1), 3, 1)
    return functional([*parts, jnp.pad(x, 1), jnp.roll(x, 1), jnp.flip(x), jnp.tile(x, 2), jnp.tril(x), x[:0]])


@program(SQUARE, RECTANGLE)
def products(x, y):
    return functional([x @ y, jnp.einsum("ij,kj->ik", x, x), jnp.kron(x, y), lax.dot(x, y), jnp.convolve(x[0], x[1])])


@program(V)
def fft(x):
    return functional([jnp.fft.fft(x), jnp.fft.irfft(jnp.fft.rfft(x) * 2)])


@program(V)
def complex_numbers(x):
    z = x + 1j * jnp.cos(x)
    return functional([jnp.exp(z) * jnp.conj(z), jnp.abs(z), jnp.angle(z) ** 2, 1 / z])


@program(V)
def integers_and_truth(x):
    count = jnp.sum(x > 0) + jnp.floor(x[0]).astype(int) + jnp.bitwise_count(jnp.uint8(7))
    return jnp.sum(x) * count + jnp.sum(x * (x > 0.5))


@program(POSITIVE)
def elementary(x):
    first = [jnp.tan(x / 4), jnp.arctan2(x, 2.0), x**2.5, x**x, jnp.cbrt(x), jnp.expm1(x), jnp.log1p(x), lax.rsqrt(x)]
    second = [jnp.arcsinh(x), jnp.arccosh(1 + x), jnp.sinh(x), jnp.cosh(x), jnp.exp2(x), jnp.hypot(x, 1.5), x % 0.7]
    return functional([first, second])


@program(UNIT)
def inverse_functions(x):
    return functional([jnp.arcsin(x), jnp.arccos(x), jnp.arctanh(x), jnp.arctan(x), lax.erf_inv(x), jnp.sinc(x)])


@program(V)
def clipping(x):
    steps = [jnp.sign(x), jnp.round(x), jnp.abs(x)]
    return functional([jnp.clip(x, -1, 1), jnp.maximum(x, 0.1), jnp.minimum(x, 1.0), *steps])


@program(X)
def interpolation(x):
    return functional([jnp.interp(x, jnp.array([-2.0, 0.0, 3.0]), jnp.array([1.0, 4.0, 2.0])), jnp.polyval(x[0], x)])


# --- dtypes and effects ---------------------------------------------------------------------------------------


@program(V.astype(jnp.bfloat16), same_x64=False)
def bfloat16(x):
    return jnp.sum(jnp.exp(x) * 2 + jax.nn.gelu(x))


@program(V.astype(np.float16), same_x64=False)
def float16_with_a_bfloat16_literal(x):
    return jnp.sum(x.astype(jnp.bfloat16) * jnp.bfloat16(1.5)).astype(jnp.float32) + jnp.sum(x * 3)


@program(X, same_x64=False)
def mixed_precision(x):
    low = x.astype(jnp.bfloat16)
    return jnp.sum(lax.dot(low, low.T, preferred_element_type=jnp.float32)) + lax.reduce_precision(x, 8, 7).sum()


@program(np.zeros((0, 3), np.float32))
def of_no_elements(x):
    return jnp.sum(x) + jnp.prod(x) + jnp.sum(x @ x.T)


@program(V)
def callback(x):
    jax.debug.print("{}", x[0])
    shape = jax.ShapeDtypeStruct((4,), jnp.float32)
    return jnp.sum(x * jax.pure_callback(lambda v: np.sin(v).astype(np.float32), shape, lax.stop_gradient(x)))


@program(V)
def optimization_barrier(x):
    return jnp.sum(lax.optimization_barrier(jnp.sin(x)))


@program(V)
def linear_solve(x):
    solve = partial(lax.custom_linear_solve, lambda v: 2 * v, solve=lambda _, b: b / 2, symmetric=True)
    return jnp.sum(solve(jnp.sin(x)) ** 2)


@program(V)
def donated_and_static(x):
    return jax.jit(lambda v, n: jnp.sum(v**n), static_argnums=1, donate_argnums=())(x, 3)


@program({"layers": [RECTANGLE, UNIT[:2]], "scale": np.float32(1.3)}, X)
def tree_of_parameters(p, x):
    w, b = p["layers"]
    return jnp.mean((jnp.tanh(x @ w + b) * p["scale"]) ** 2)
