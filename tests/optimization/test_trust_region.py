"""Steps in a ball: nearly as good as the best, dense and sparse alike; and what holds the second derivative."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.sparse

import qed
from qed.calculus.hessian import flatten, unflatten
from qed.domains import index_sets
from qed.graph.function import read
from qed.optimization.factorisation import factorised
from qed.optimization.second_order import second_order
from qed.optimization.trust_region import conjugate_step, exact_step


def best(matrix, gradient, radius):
    """The least value of the model in the ball, from all eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    along = vectors.T @ gradient

    def model(shift, extra=0.0):
        part = values + shift
        p = np.where(abs(part) > 1e-12 * max(1, abs(values).max()), -along / np.where(part == 0, 1, part), 0.0)
        p[0] += extra
        return p

    if values[0] > 0 and np.linalg.norm(model(0.0)) <= radius:
        p = model(0.0)
    else:
        low = max(0.0, -values[0])
        edge = model(low * (1 + 1e-13) + 1e-13)
        if np.linalg.norm(edge) <= radius:
            p = model(low, 0.0)
            p[0] = np.sqrt(max(radius**2 - np.sum(p[1:] ** 2), 0.0))
        else:
            high = low + np.linalg.norm(gradient) / radius + abs(values).max() + 1
            shift = scipy.optimize.brentq(lambda s: np.linalg.norm(model(s)) - radius, low + 1e-13, high, xtol=1e-14)
            p = model(shift)
    return float(along @ p + 0.5 * values @ p**2)


def matrices(rng, n):
    """Definite, indefinite, singular, and one whose gradient has no part along the lowest eigenvector."""
    q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    values = np.sort(rng.standard_normal(n)) * 10.0 ** rng.integers(-2, 3)
    g = rng.standard_normal(n) * 10.0 ** rng.integers(-3, 3)
    kind = rng.integers(0, 4)
    values = (
        abs(values) + 1e-3 if kind == 0 else np.where(np.arange(n) == n // 2, 0, abs(values)) if kind == 2 else values
    )
    if kind == 3:
        values[0] = -abs(values).max() - 0.1
        g -= q[:, 0] * (q[:, 0] @ g)
    matrix = (q * values) @ q.T
    return (matrix + matrix.T) / 2, g


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array], ids=["dense", "sparse"])
def test_steps_are_nearly_as_good_as_the_best(form, law_examples):
    rng = np.random.default_rng(0)
    for _ in range(law_examples(120)):
        matrix, g = matrices(rng, int(rng.integers(2, 9)))
        radius = float(10.0 ** rng.uniform(-2, 2))
        found = exact_step(form(matrix), g, radius)
        least = best(matrix, g, radius)
        assert np.linalg.norm(found.step) <= 1.1 * radius * (1 + 1e-9)
        assert -found.predicted <= 0.85 * least + 1e-9 * abs(least)
        np.testing.assert_allclose(
            found.predicted, -(g @ found.step + 0.5 * found.step @ matrix @ found.step), rtol=1e-9
        )
        lowest = np.linalg.eigvalsh(matrix)[0]
        if abs(lowest) > 1e-12 * abs(matrix).max():
            assert found.definite == (lowest > 0)


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("eps", [2.0**-52, 2.0**-23])
def test_where_no_curvature_and_no_slope_are_the_step_does_not_go(form, eps, law_examples):
    rng = np.random.default_rng(3)
    for _ in range(law_examples(60)):
        n = int(rng.integers(3, 12))
        rows = np.linalg.qr(rng.standard_normal((n, n)))[0][: int(rng.integers(1, n))]  # conditions up to 100
        rows = rng.uniform(0.1, 1.0, (len(rows), 1)) * rows * 10.0 ** rng.integers(-3, 4)
        noise = rng.standard_normal((n, n)) * eps * np.abs(rows.T @ rows).max()
        matrix, g = rows.T @ rows + noise + noise.T, rows.T @ rng.standard_normal(len(rows))
        shortest = -np.linalg.pinv(rows.T @ rows) @ g
        length = float(np.linalg.norm(shortest))
        found = exact_step(form(matrix), g, 1e3 * length, eps)
        assert found.inside and np.linalg.norm(found.step) <= 1.2 * length  # the ball's edge is 1000 times as far
        assert np.linalg.norm(rows @ (found.step - shortest)) <= 0.1 * np.linalg.norm(rows @ shortest)
        small = exact_step(form(matrix), g, 0.3 * length, eps)
        assert not small.inside and np.linalg.norm(small.step) <= 0.34 * length


def test_a_slope_along_a_tiny_curvature_is_followed():
    found = exact_step(np.diag([1.0, 1e-15]), np.array([0.0, 1e-9]), 1e3)
    assert found.step[1] < -900
    saddle = exact_step(np.diag([1.0, -1e-3]), np.array([1.0, 0.0]), 50.0)
    assert abs(saddle.step[1]) > 40


def test_conjugate_steps_beat_the_best_along_the_gradient(law_examples):
    rng = np.random.default_rng(1)
    for _ in range(law_examples(120)):
        matrix, g = matrices(rng, int(rng.integers(2, 9)))
        radius = float(10.0 ** rng.uniform(-2, 2))
        found = conjugate_step(lambda v, m=matrix: m @ v, g, radius)
        bend, size = float(g @ matrix @ g), float(np.linalg.norm(g))
        t = min(radius / size, size**2 / bend if bend > 0 else np.inf)
        assert np.linalg.norm(found.step) <= radius * (1 + 1e-9)
        assert found.predicted >= (t * size**2 - 0.5 * t * t * bend) * (1 - 1e-9)
        assert not (found.inside and not found.definite)


def test_definiteness_of_sparse_matrices_is_that_of_their_eigenvalues(law_examples):
    rng = np.random.default_rng(2)
    for _ in range(law_examples(150)):
        n = int(rng.integers(2, 30))
        half = scipy.sparse.random_array((n, n), density=rng.uniform(0.05, 0.3), rng=rng)
        matrix = (half + half.T).tocsr()
        lowest = float(np.linalg.eigvalsh(matrix.toarray())[0])
        for shift in (-lowest + 1e-6, -lowest - 1e-6):
            factor = factorised(matrix, shift)
            assert (factor is not None) == (shift > -lowest)
            if factor is not None:
                v = rng.standard_normal(n)
                residual = matrix @ factor.solve(v) + shift * factor.solve(v) - v
                assert np.linalg.norm(residual) <= 1e-6 * np.linalg.norm(v)


def test_matrices_that_are_not_finite_are_not_definite():
    assert factorised(np.array([[np.inf, 0.0], [0.0, 1.0]])) is None
    assert factorised(scipy.sparse.csr_array(np.array([[1.0, np.nan], [np.nan, 1.0]]))) is None
    assert factorised(scipy.sparse.csr_array(np.array([[1.0, 1.0], [1.0, 1.0]]))) is None


def surface(x):
    """Discrete minimal surface over a square, above a curved frame."""
    n = int(np.sqrt(x.size))
    frame = jnp.pad(x.reshape(n, n), 1).at[0].set(jnp.sin(jnp.linspace(0.0, 3.0, n + 2)))
    right, down = frame[:-1, 1:] - frame[:-1, :-1], frame[1:, :-1] - frame[:-1, :-1]
    return jnp.sum(jnp.sqrt(1 / n**2 + right**2 + down**2))


def newton(fun, n, rounds=40):
    """A plain trust-region loop around `second_order`."""
    calls = []

    def counted(x):
        calls.append(1)
        return fun(x)

    function = read(counted, jnp.zeros(n, jnp.float32))
    value = jax.jit(jax.value_and_grad(lambda p: function.value(p)))
    curvature = second_order(function)
    x, radius = np.zeros(n), 1.0
    f, g = value(unflatten(x, function.parameters))
    start = np.linalg.norm(flatten(g))
    for _ in range(rounds):
        slope = flatten(g)
        if np.linalg.norm(slope) < 1e-4 * start:
            break
        step = curvature.step(unflatten(x, function.parameters), slope, radius)
        new, g_new = value(unflatten(x + step.step, function.parameters))
        ratio = (float(f) - float(new)) / max(step.predicted, 1e-30)
        radius *= 0.25 if ratio < 0.25 else 2.0 if ratio > 0.75 and not step.inside else 1.0
        if ratio > 0:
            x, f, g = x + step.step, new, g_new
    return curvature, np.linalg.norm(flatten(g)) / start, len(calls)


@pytest.mark.parametrize(
    ("side", "kind"), [(10, "dense"), (32, "sparse"), pytest.param(100, "sparse", marks=pytest.mark.slow)]
)
def test_newton_solves_a_surface_from_few_products_and_one_trace(side, kind):
    curvature, slope, traces = newton(surface, side * side)
    assert (curvature.kind, traces) == (kind, 1)
    assert curvature.hessian.products <= 12
    if kind == "sparse":
        factor = factorised(curvature.matrix(curvature.function.parameters))
        assert factor is not None and factor.entries < 40 * side * side
    assert slope < 1e-3
    assert f"{side * side:,} parameters" in curvature.why


def test_much_data_and_few_parameters_are_dense_whatever_the_pattern_would_take(monkeypatch):
    monkeypatch.setattr(index_sets, "LIMIT", 50)
    data = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
    function = read(lambda w, x: jnp.sum(jnp.tanh(x @ w) ** 2), jnp.ones(3), data)
    curvature = second_order(function)
    assert curvature.kind == "dense"
    truth = jax.hessian(lambda w: function.value((w,)))(jnp.ones(3))
    np.testing.assert_allclose(curvature.matrix(function.parameters), truth, rtol=1e-4, atol=1e-5)


def test_what_is_dense_and_large_is_known_by_products():
    curvature, slope, traces = newton(lambda x: jnp.sum((x - 1) ** 2) + 0.01 * jnp.sum(jnp.sin(x)) ** 2, 2_000)
    assert (curvature.kind, traces) == ("products", 1)
    assert slope < 1e-3
    with pytest.raises(ValueError, match="products only"):
        curvature.matrix(curvature.function.parameters)


def test_a_parameter_on_which_nothing_depends_stays_where_it_is():
    answer = qed.minimize(
        lambda p: (p["used"] - 1) ** 4 + jnp.sum(0 * p["idle"]), {"idle": jnp.arange(3.0), "used": 5.0}
    )
    np.testing.assert_array_equal(answer.x["idle"], np.arange(3.0))
    assert abs(answer.x["used"] - 1) < 0.1
