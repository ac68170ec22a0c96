"""What NumPy computes in place of JAX has JAX's bits, and what it could compute otherwise is left to JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.domains.adjoint import adjoints
from qed.domains.exact import KNOWN, exact
from qed.graph import jaxpr
from qed.graph.trace import trace

AWKWARD = [0.0, -0.0, 1.0, -2.5, 1 / 3, 1e30, -1e-30, 3e38, np.inf, -np.inf, np.nan, 1e-38, 2.0**-126, 7e-40]
PROGRAMS = {
    "arithmetic": lambda x, y: (x + y, x - y, x * y, x / y, -x, jnp.abs(x), jnp.sqrt(x), x**2, jnp.square(y)),
    "comparisons": lambda x, y: (x < y, x <= y, x > y, x >= y, x == y, x != y, jnp.where(x < y, x, y)),
    "whole numbers": lambda x, y: (
        *(compare(jnp.arange(5), jnp.array([4, 0, 2, 5, -1])) for compare in (jnp.less, jnp.less_equal, jnp.equal)),
        jnp.tril(jnp.ones((3, 3))),
        jnp.greater(x < y, y < x),
        jnp.eye(3),
    ),
    "moves": lambda x, y: (
        x[1:3],
        x[::-1],
        x.reshape(7, 2).T,
        jnp.pad(x, (2, 1)),
        jnp.concatenate([x, y]),
        jnp.split(x, 2)[1],
        jnp.broadcast_to(x, (3, 14)),
        x[:1].squeeze(),
    ),
    "numbers": lambda x, y: (jnp.arange(5), jnp.arange(4) * 3 - 1, (x < y).astype(x.dtype), x.astype(jnp.float32)),
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_bits_are_those_of_jax(name, dtype):
    """Each equation at awkward numbers, and at drawn ones, entry by entry: NumPy's answer, where there is one."""
    rng, answered = np.random.default_rng(0), 0
    with jax.enable_x64(dtype == "float64"):
        pairs = [(np.array(AWKWARD), rng.permutation(AWKWARD)), tuple(rng.standard_normal((2, 14)) * 10.0)]
        for x, y in ((jnp.asarray(a, dtype), jnp.asarray(b, dtype)) for a, b in pairs):
            traced = trace(PROGRAMS[name], x, y)
            values = dict(zip(traced.graph.inputs, traced.leaves, strict=True))
            for equation in traced.graph.walk():
                inputs = [values[v] if v in values else getattr(v, "value", None) for v in equation.inputs]
                if equation.native is None or any(v is None for v in inputs):
                    continue
                truth, found = jaxpr.bind(equation.native, inputs), exact(equation, inputs)
                values.update(zip(equation.outputs, truth, strict=True))
                for one, other in zip(found or (), truth, strict=found is not None):
                    answered += 1
                    assert one.dtype == other.dtype
                    nan = np.isnan(np.asarray(other)) if other.dtype.kind == "f" else np.zeros(other.shape, bool)
                    assert np.array_equal(np.isnan(one) if nan.any() else nan, nan)
                    assert np.where(nan, 0, one).tobytes() == np.where(nan, 0, other).tobytes(), equation.primitive
    assert answered >= 5


def test_what_may_differ_is_left_to_jax():
    """Numbers that are not normal, sums, functions, short floats, tracers."""
    x = jnp.float32([1e-20, 2.0])
    products = trace(lambda x: (x * x, jnp.sum(x), jnp.exp(x), jnp.maximum(x, -x)), x).graph
    assert all(exact(e, [x] * len(e.inputs)) is None for e in products.equations if e.primitive != "neg")
    short = trace(lambda x: x + x, jnp.bfloat16(1.0)).graph.equations[0]
    assert exact(short, [jnp.bfloat16(1.0)] * 2) is None
    plain = trace(lambda x: x + x, x).graph.equations[0]
    jax.jit(lambda y: (exact(plain, [y, y]) is None or pytest.fail("a tracer has no bits")) and y)(x)
    assert exact(plain, [x, x]) is not None and "exp" not in KNOWN


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cotangents_are_those_of_jax(dtype):
    """Products of arrays of every kind, moves, sums, divisions, with repeated and unread elements."""

    def f(x):
        a, b, c = x[:6].reshape(2, 3), x[3:15].reshape(2, 3, 2), jnp.pad(x[::-2], (1, 2))
        batched = jax.lax.dot_general(b, b + 1, (((1,), (1,)), ((0,), (0,))))
        parts = jnp.split(jnp.concatenate([x, c]) ** 2, [4, 9])
        return (
            jnp.sum(a @ b[0]) / 3 + jnp.sum(batched) + sum(jnp.sum(p / (1 + p)) for p in parts) - jnp.vdot(x, x[:1] + x)
        )

    with jax.enable_x64(dtype == "float64"):
        x = jnp.asarray(np.random.default_rng(1).standard_normal(16), dtype)
        traced = trace(f, x)
        (found,) = adjoints(traced.graph, traced.leaves, traced.free).gradient(traced.free)
        truth = jax.grad(f)(x)
    assert found.dtype == truth.dtype
    assert np.allclose(found, truth, rtol=4e-6 if dtype == "float32" else 1e-14, atol=0)
