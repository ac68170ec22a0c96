"""Random parameters for operations that move, choose, count and add: exact in float32 on small halves of integers.

Each entry of `OPERATIONS` draws a function of one array and the array's shape.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def _shape(rng, rank=None, most=4):
    return tuple(int(n) for n in rng.integers(1, most, rng.integers(1, 4) if rank is None else rank))


def _reshape(rng):
    shape = _shape(rng, 3)
    order = tuple(map(int, rng.permutation(3)))
    return lambda x: lax.reshape(x, (x.size,), order), shape


def _flat(rng):
    return lambda x: jnp.ravel(x, order="F").reshape(-1, 1), _shape(rng)


def _transpose(rng):
    order = tuple(map(int, rng.permutation(3)))
    return lambda x: lax.transpose(lax.rev(x, (order[0],)), order), _shape(rng, 3)


def _slice(rng):
    stop, step = int(rng.integers(3, 7)), int(rng.integers(1, 4))
    return lambda x: lax.slice(x, (1, 0), (stop, 2), (step, 1)), (7, 2)


def _pad(rng):
    config = [
        (int(a), int(b), int(c)) for a, b, c in zip(*rng.integers(-2, 4, (2, 2)), rng.integers(0, 3, 2), strict=True)
    ]
    return lambda x: lax.pad(x, jnp.float32(7), config), (5, 4)


def _broadcast(rng):
    axis = int(rng.integers(0, 2))
    return lambda x: lax.broadcast_in_dim(x, (3, 2, 3), (axis, 2)), ((3, 3), (2, 3))[axis]


def _convolution(rng):
    groups = int(rng.integers(1, 3))
    batch, channels, outputs = int(rng.integers(1, 3)), groups * int(rng.integers(1, 3)), groups * 2
    kernel = rng.integers(-2, 3, (outputs, channels // groups, 2)).astype(np.float32)
    numbers = tuple("".join(np.array(list(names))[rng.permutation(3)]) for names in ("NCW", "OIW", "NCW"))
    options = {
        "window_strides": (int(rng.integers(1, 3)),),
        "padding": [tuple(map(int, rng.integers(-1, 3, 2)))],
        "lhs_dilation": (int(rng.integers(1, 3)),),
        "rhs_dilation": (int(rng.integers(1, 3)),),
    }
    sizes = {"N": batch, "C": channels, "W": 5}
    weights = np.transpose(kernel, ["OIW".index(name) for name in numbers[1]])
    return (
        lambda x: lax.conv_general_dilated(
            x, jnp.asarray(weights), dimension_numbers=numbers, feature_group_count=groups, **options
        ),
        tuple(sizes[name] for name in numbers[0]),
    )


def _product(rng):
    axes = [int(a) for a in rng.permutation(3)]
    other = [int(a) for a in rng.permutation(3)]
    batch, summed = int(rng.integers(0, 2)), int(rng.integers(1, 3))
    numbers = ((axes[:summed], other[:summed]), (axes[2 : 2 + batch], other[2 : 2 + batch]))
    if summed == 2 and batch:
        numbers = ((axes[:1], other[:1]), (axes[1:2], other[1:2]))
    same = bool(rng.integers(0, 2))
    return lambda x: lax.dot_general(x, x if same else 2 * x - 1, numbers), (2, 2, 2)


def _pool(rng):
    window, stride = tuple(map(int, rng.integers(1, 4, 2))), tuple(map(int, rng.integers(1, 3, 2)))
    dilation, base = tuple(map(int, rng.integers(1, 3, 2))), tuple(map(int, rng.integers(1, 3, 2)))
    padding = [tuple(map(int, rng.integers(0, 2, 2))) for _ in range(2)]
    start, combine = ((0.0, lax.add), (-np.inf, lax.max), (np.inf, lax.min))[rng.integers(0, 3)]
    return lambda x: lax.reduce_window(
        x, start, combine, window, stride, padding, base_dilation=base, window_dilation=dilation
    ), (4, 5)


def _cumulative(rng):
    operation = (lax.cumsum, lax.cumprod, lax.cummax, lax.cummin)[rng.integers(0, 4)]
    axis, reverse = int(rng.integers(0, 2)), bool(rng.integers(0, 2))
    return lambda x: operation(x, axis=axis, reverse=reverse), (3, 4)


def _sorted(rng):
    axis, stable = int(rng.integers(0, 2)), bool(rng.integers(0, 2))
    if rng.integers(0, 2):
        return lambda x: lax.sort((x, 2 * x + 1), dimension=axis, is_stable=stable, num_keys=1)[1], (3, 3)
    return lambda x: jnp.sort(x, axis=axis, descending=stable), (3, 4)


def _places(rng):
    axis = int(rng.integers(0, 2))
    operation = (jnp.argmax, jnp.argmin, lambda x, axis: jnp.argsort(x, axis, stable=True))[rng.integers(0, 3)]
    return lambda x: operation(x, axis=axis).astype(jnp.float32), (3, 4)


def _largest(rng):
    k, part = int(rng.integers(1, 5)), int(rng.integers(0, 2))
    return lambda x: lax.top_k(x, k)[part].astype(jnp.float32), (2, 4)


def _gather(rng):
    index = jnp.asarray(rng.integers(-7, 8, 5))
    mode = ("clip", "fill", "wrap")[rng.integers(0, 3)]
    if mode == "fill":
        return lambda x: x.at[index].get(mode="fill", fill_value=9.0), (4, 2)
    return lambda x: jnp.take(x, index, 0, mode=mode), (4, 2)


def _scatter(rng):
    index = jnp.asarray(rng.integers(-7, 8, 5))
    mode = ("clip", "drop")[rng.integers(0, 2)]
    name = ("add", "multiply", "min", "max", "subtract")[rng.integers(0, 5)]
    return lambda x: getattr(x[:4].at[index], name)(x[4:] + 1, mode=mode), (9, 2)


def _slices(rng):
    start = tuple(map(int, rng.integers(-3, 6, 2)))
    if rng.integers(0, 2):
        return lambda x: lax.dynamic_slice(x, start, (2, 3)), (4, 5)
    return lambda x: lax.dynamic_update_slice(x, 3 * x[:2, :3], start), (4, 5)


def _computed_index(rng):
    def read(x):
        first = lax.dynamic_index_in_dim(x, x[0].astype(jnp.int32), keepdims=False)
        return first + x.at[x[1].astype(jnp.int32)].get(mode="clip")

    def branch(x):
        return lax.switch(x[0].astype(jnp.int32), [lambda v: v, lambda v: 2 * v + 1, lambda v: -v], x)

    return (read, branch)[rng.integers(0, 2)], (4,)


def _rounded(rng):
    method = (lax.RoundingMethod.AWAY_FROM_ZERO, lax.RoundingMethod.TO_NEAREST_EVEN)[rng.integers(0, 2)]
    return lambda x: jnp.stack([lax.round(x, method), jnp.floor(x), jnp.ceil(x), jnp.sign(x), jnp.trunc(x)]), (5,)


def _integers(rng):
    dtype = (jnp.int8, jnp.int32, jnp.int16)[rng.integers(0, 3)]
    factor = int(rng.integers(-60, 60))

    def count(x):
        n = x.astype(dtype)
        wrapped = (n * dtype(factor) - n).astype(jnp.uint8)
        return jnp.stack([wrapped, jnp.cumsum(wrapped, dtype=jnp.uint8)]).astype(jnp.float32)

    return count, (5,)


def _choice(rng):
    bound = float(rng.integers(-2, 3)) / 2

    def choose(x):
        chosen = lax.select_n(jnp.clip(x, 0, 2).astype(jnp.int32), x, 2 * x, x * x)
        return lax.clamp(bound, jnp.where((x > bound) ^ (x <= 1), chosen, -x), 3.0)

    return choose, (5,)


def _loop(rng):
    reverse, length = bool(rng.integers(0, 2)), int(rng.integers(1, 4))

    def run(x):
        (last, before), rows = lax.scan(lambda c, v: ((c[0] * v, c[0]), c[1] - v), (x[0], x[1]), x, reverse=reverse)
        ends = lax.fori_loop(0, length, lambda i, c: (c[1], c[0] + i), (x[0], x[2]))
        return jnp.concatenate([rows, jnp.stack([last - before, *ends])])

    return run, (4,)


def _mapped_loop(rng):
    ends = jnp.asarray(rng.integers(0, 4, 4))
    step = lambda n: lambda c: (c[0] + 1, c[1] * 2 - n)  # noqa: E731
    return lambda x: jax.vmap(lambda v, n: lax.while_loop(lambda c: c[0] < n, step(n), (0, v))[1])(x, ends), (4,)


def _reduction(rng):
    axes = ((0,), (1,), (0, 1))[rng.integers(0, 3)]
    operation = (jnp.sum, jnp.prod, jnp.max, jnp.min)[rng.integers(0, 4)]
    return lambda x: operation(x, axis=axes) + jnp.any(x > 1, axis=axes) - jnp.all(x > 0, axis=axes), (2, 3)


OPERATIONS = {
    name.removeprefix("_"): draw for name, draw in list(globals().items()) if name[0] == "_" and name[1] != "_"
}
del OPERATIONS["shape"]
