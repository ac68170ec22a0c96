"""Linearised products whose stacks of matrices take their known factor as it lies best: the same map."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.calculus.spectra.layouts import laid_out
from qed.calculus.spectra.products import Products
from qed.graph.function import read

SIZES = dict(zip("bhqkdn", (2, 3, 4, 5, 6, 7), strict=True))
STACKS = (
    "bqhd,bkhd->bhqk",
    "bhqk,bkhd->bqhd",
    "bhqd,bhkd->bhqk",
    "qbd,dbn->bqn",
    "bdhq,bhdkn->bhqkn",
    "bq,bq->b",
    "qd,dn->qn",
)


@pytest.mark.parametrize("known", [0, 1])
@pytest.mark.parametrize("formula", STACKS)
def test_the_map_is_the_same_and_copies_no_known_factor(formula, known):
    draw = np.random.default_rng(1)
    factors = [
        jnp.asarray(draw.standard_normal([SIZES[axis] for axis in axes]), jnp.float32)
        for axes in formula.split("->")[0].split(",")
    ]
    moving = (factors[1 - known],)

    def product(w):
        return {"out": jnp.einsum(formula, *_pair(factors, known, w[0]))}

    _, tangent = jax.linearize(product, moving)
    laid = laid_out(tangent, moving)
    assert np.allclose(laid(moving)["out"], tangent(moving)["out"], rtol=1e-5, atol=1e-5)
    kept = jax.tree.leaves(laid)
    graph = jax.make_jaxpr(lambda kept, w: jax.tree.unflatten(jax.tree.structure(laid), kept)(w))(kept, moving).jaxpr
    turned = [e for e in graph.eqns if e.primitive.name == "transpose" and e.invars[0] in graph.invars[: len(kept)]]
    assert (laid is tangent) == (formula in STACKS[-2:]) and not turned


@pytest.mark.parametrize("known", [0, 1])
@pytest.mark.parametrize("sizes", [(3, 9), (9, 3)])
@pytest.mark.parametrize("axis", [0, 1])
def test_sums_over_the_rows_of_a_left_factor_are_computed_the_other_way_round(sizes, axis, known):
    draw = np.random.default_rng(3)
    right = draw.standard_normal((50, sizes[1]))
    factors = [jnp.asarray(draw.standard_normal((50, sizes[0]))), jnp.asarray(right if axis == 0 else right.T)]
    moving = (factors[1 - known],)

    def product(w):
        numbers = (((0,), (axis,)), ((), ()))
        return jax.lax.dot_general(*_pair(factors, known, w[0]), numbers) * factors[0][0, 0]

    _, tangent = jax.linearize(product, moving)
    laid = laid_out(tangent, moving)
    assert np.allclose(laid(moving), tangent(moving), rtol=1e-5, atol=1e-5)
    gains = known == 1 or sizes[0] > sizes[1]
    assert (laid is tangent) == (not gains)
    if gains:
        kept = [leaf.shape for leaf in jax.tree.leaves(laid) if leaf.ndim == 2]
        assert kept == [(50, sizes[0]) if known == 0 else (sizes[1], 50)]


def _pair(factors, known, moving):
    return (factors[0], moving) if known == 0 else (moving, factors[1])


def attention(w, x):
    q, k, v = (jnp.einsum("ntc,chd->nthd", x, w[name]) for name in "qkv")
    weights = jax.nn.softmax(jnp.einsum("nqhd,nkhd->nhqk", q, k))
    return jnp.mean(jnp.tanh(jnp.einsum("nhqk,nkhd->nqhd", weights, v)) ** 2)


def test_products_of_attention_are_those_in_float64_and_a_second_point_compiles_nothing():
    draw = np.random.default_rng(2)
    w = {name: jnp.asarray(draw.standard_normal((60, 4, 32)) / 8, jnp.float32) for name in "qkv"}
    x = jnp.asarray(draw.standard_normal((16, 32, 60)), jnp.float32)
    products = Products(read(attention, w, x))
    v = draw.standard_normal(products.size) / np.sqrt(products.size)
    own, exact = products.own(v), products.exact(v)
    assert products.linearized and np.linalg.norm(own - exact) <= 1e-5 * np.linalg.norm(exact)
    assert type(products._tangents[0].func).__name__ == "_Map"
    again = Products(read(attention, jax.tree.map(lambda a: a + 0.01, w), x))
    again.own(v)
    programs = products._own
    assert again._own is programs
    assert programs._linearize._cache_size() == 1 and programs._apply._cache_size() == 1
