"""Products of many arrays in few kernels: the same numbers as array by array, in the order of the arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.optimization.packing import Packing

SHAPES = [(3,), (20, 300), (), (17, 17), (0,), (64, 65), (1,), (5, 5)]


def arrays(seed, dtype=jnp.float32):
    keys = jax.random.split(jax.random.key(seed), len(SHAPES))
    return [jax.random.normal(key, shape).astype(dtype) for key, shape in zip(keys, SHAPES, strict=True)]


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_products_are_those_of_each_array(dtype):
    x, y = arrays(0, dtype), arrays(1, dtype)
    packing = Packing.of(x)
    assert packing.alone == (1, 4, 5) and sorted(i for rows in packing.rows for i in rows) == [0, 2, 3, 6, 7]
    a, b = packing.pack(x), packing.pack(y)
    wide = [[np.asarray(v, np.float64).ravel() for v in list_] for list_ in (x, y)]
    wanted = [[float(np.vdot(p, q)) for p, q in zip(wide[i], wide[j], strict=True)] for i, j in ((0, 1), (1, 1))]
    np.testing.assert_allclose(packing.products([(a, b), (b, b)]), wanted, rtol=1e-5, atol=1e-3)


def test_norms_of_what_leaves_the_squares_of_float32():
    x = arrays(0)
    x[0], x[3], x[5] = x[0] * 1e30, x[3].at[2, 2].set(jnp.nan), x[5].at[0, 0].set(-jnp.inf)
    packing = Packing.of(x)
    packed = packing.pack(x)
    norms, flags = packing.norms([packed], packing.products([(packed, packed)]))
    assert np.flatnonzero(flags[0]).tolist() == [3, 5]
    finite = [i for i in range(len(x)) if i not in (3, 5)]
    wanted = [float(np.linalg.norm(np.asarray(x[i], np.float64))) for i in finite]
    np.testing.assert_allclose(np.asarray(norms[0])[finite], wanted, rtol=1e-5)


def test_complex_arrays_stay_alone():
    x = [jnp.array([1 + 2j, 3j]), jnp.ones(2)]
    packing = Packing.of(x)
    packed = packing.pack(x)
    np.testing.assert_allclose(packing.products([(packed, packed)]), [[14.0, 2.0]])
