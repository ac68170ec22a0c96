"""Lanczos against the eigenvalues of NumPy, and Hessian products against the Hessian."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.calculus.hessian import flatten, hessian_product, unflatten
from qed.calculus.lanczos import Krylov, steepest
from qed.calculus.spectra.searching import weights_of


def symmetric(spectrum, seed=0):
    spectrum = np.asarray(spectrum, float)
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(spectrum),) * 2))
    return (q * spectrum) @ q.T


def ask(matrix, **options):
    return steepest(lambda v: matrix @ v, len(matrix), **options)


draw = np.random.default_rng(7)
MATRICES = {
    "random": symmetric(draw.standard_normal(40)),
    "positive definite": symmetric(np.geomspace(1e-6, 1e5, 40)),
    "negative definite": symmetric(-np.geomspace(1e-3, 1e2, 20)),
    "one far eigenvalue": symmetric([*draw.uniform(0, 1, 30), 1e6]),
    "rank one": symmetric([0.0] * 19 + [3.0]),
    "rank one, negative": symmetric([0.0] * 19 + [-3.0]),
    "rank two of 500": symmetric([0.0] * 498 + [1.0, 5.0]),
    "clustered at the top": symmetric([*np.linspace(0, 1, 20), *np.linspace(9.999, 10.0, 10)]),
    "all equal": 4.0 * np.eye(12),
    "two by two": symmetric([2.0, -7.0]),
    "tiny": symmetric(1e-30 * draw.uniform(1, 2, 10)),
    "huge": symmetric(1e30 * draw.uniform(1, 2, 10)),
}


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_eigenvalue_lies_within_the_residual(name, seed):
    matrix = MATRICES[name]
    eigenvalues = np.linalg.eigvalsh(matrix)
    pair = ask(matrix, seed=seed)
    rounding = 1e-12 * np.abs(eigenvalues).max()
    assert pair.finite
    assert np.abs(eigenvalues - pair.value).min() <= pair.residual + rounding
    assert np.linalg.norm(pair.vector) == pytest.approx(1.0)
    assert pair.residual == pytest.approx(np.linalg.norm(matrix @ pair.vector - pair.value * pair.vector), abs=rounding)
    assert pair.lowest >= eigenvalues[0] - rounding


@pytest.mark.parametrize("name", MATRICES)
def test_it_is_the_largest_one(name):
    eigenvalues = np.linalg.eigvalsh(MATRICES[name])
    pair = ask(MATRICES[name])
    assert pair.value == pytest.approx(eigenvalues[-1], rel=2e-3, abs=2e-3 * np.abs(eigenvalues).max())
    assert pair.products <= 30


def test_a_matrix_of_zeros():
    pair = ask(np.zeros((6, 6)))
    assert (pair.value, pair.residual, pair.finite) == (0.0, 0.0, True)


@pytest.mark.parametrize("value", [3.0, 0.0, -2.0])
def test_one_by_one(value):
    pair = ask(np.array([[value]]))
    assert pair.value == pytest.approx(value)
    assert pair.residual <= 1e-12


def test_a_few_products_suffice_where_one_eigenvalue_stands_out():
    pair = ask(MATRICES["one far eigenvalue"])
    assert pair.products <= 8
    assert pair.residual <= 1e-3 * pair.value


def test_a_product_that_is_not_finite_says_nothing():
    pair = steepest(lambda v: v * np.nan, 4)
    assert not pair.finite
    assert np.isinf(pair.residual)


def test_it_stops_when_told():
    asked = []
    matrix = MATRICES["random"]

    def stop():
        asked.append(1)
        return len(asked) >= 4

    pair = ask(matrix, stop=stop)
    assert pair.products == 5
    assert np.abs(np.linalg.eigvalsh(matrix) - pair.value).min() <= pair.residual


def test_the_same_seed_gives_the_same_pair():
    first, again = ask(MATRICES["random"], seed=3), ask(MATRICES["random"], seed=3)
    assert (first.vector == again.vector).all()


def test_products_in_low_precision_keep_the_bound_honest():
    """In float32 Lanczos' own estimate would be too small; the fresh product is not."""
    matrix = symmetric(np.geomspace(1e-3, 1e3, 30)).astype(np.float32)
    pair = steepest(lambda v: (matrix @ v.astype(np.float32)).astype(float), 30)
    true = np.linalg.eigvalsh(matrix.astype(float))
    assert np.abs(true - pair.value).min() <= pair.residual + 30 * np.finfo(np.float32).eps * true[-1]


# --- Hessian products -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("equations", [0, 10_000])
def test_a_product_is_the_hessian_times_the_direction(equations):
    X = jnp.asarray(np.random.default_rng(0).standard_normal((7, 3)), jnp.float32)

    def loss(parameters, data):
        (w, b) = parameters
        return jnp.mean(jnp.log1p(jnp.exp(data[0] @ w + b)))

    w = (jnp.array([0.1, -0.2, 0.3]), jnp.float32(0.5))
    direction = (jnp.array([1.0, 2.0, -1.0]), jnp.float32(0.25))
    product = hessian_product(loss, equations=equations)
    product((w[0] + 1, w[1]), (X,), direction)  # another point before, and another direction
    product(w, (X,), (2 * direction[0], direction[1]))
    found = flatten(product(w, (X,), direction))
    full = jax.hessian(lambda v: loss((v[:3], v[3]), (X,)))(jnp.concatenate([w[0], w[1][None]]))
    assert found == pytest.approx(np.asarray(full) @ flatten(direction), rel=1e-4)


def test_flatten_and_unflatten_are_inverse():
    arrays = (jnp.ones((2, 3)), jnp.float32(4.0), jnp.zeros((0,)), jnp.arange(2, dtype=jnp.bfloat16))
    vector = flatten(arrays)
    back = unflatten(vector, arrays)
    assert vector.tolist() == [1.0] * 6 + [4.0, 0.0, 1.0]
    assert [(a.shape, a.dtype) for a in back] == [(a.shape, a.dtype) for a in arrays]
    assert all(bool((a == b).all()) for a, b in zip(arrays, back, strict=True))
    assert flatten(()).shape == (0,)


def test_no_vector_is_overlooked_where_errors_are_measured_on_one():
    """One random combination of k vectors shows what is wrong with any single one of them, for every k."""
    rng = np.random.default_rng(0)
    for k in range(1, 40):
        weights = weights_of(rng.standard_normal(k))
        assert np.isclose(np.linalg.norm(weights), 1) and np.min(np.abs(weights)) >= 1 / (3 * np.sqrt(k))
    assert not np.array_equal(weights_of(np.arange(3.0)), weights_of(np.arange(1.0, 4.0)))  # of each function its own


def test_products_beyond_the_squares_of_their_dtype():
    values = np.float32([1e26, 1e20, 2e20])
    krylov = Krylov(lambda v: values * v, 3, 3, dtype=np.float32)
    while krylov.step() and krylov.count < 3:
        krylov.extend()
    assert np.allclose(krylov.ritz()[0][-1], 1e26, rtol=1e-6)


def test_refined_vectors_have_smaller_residuals_and_take_no_eigenvalue_twice():
    """Near ties: the residual that makes v the best for a value t may be that of its neighbour's vector."""
    top = [1.0, 1 - 1e-5, 1 - 2e-5, -0.9, -0.9]
    matrix = symmetric([*top, *np.random.default_rng(3).uniform(-0.3, 0.3, 200)])
    krylov = Krylov(lambda v: matrix @ v, len(matrix), 14, 5)
    while krylov.step():
        ritz, inner = krylov.ritz()
        chosen = np.argsort(-np.abs(ritz))[: min(4, krylov.count)].tolist()
        values, residuals, columns = krylov.refined(chosen)
        vectors = columns.T @ krylov.basis[: krylov.count]
        fresh = np.linalg.norm(vectors @ matrix - values[:, None] * vectors, axis=1)
        assert np.allclose(fresh, residuals, atol=1e-12) and np.allclose(vectors @ vectors.T, np.eye(len(chosen)))
        first = np.argmin(np.abs(inner[-1, chosen]))
        assert residuals[first] <= (1 + 1e-12) * krylov.beside * abs(inner[-1, chosen[first]]) + 1e-15
        if krylov.count == 14:
            break
        krylov.extend()
