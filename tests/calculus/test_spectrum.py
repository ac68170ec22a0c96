"""qed.spectrum: every interval holds an eigenvalue, of known Hessians; trace, density, memory, input."""

# pyright: reportOptionalMemberAccess=false, reportArgumentType=false, reportOptionalSubscript=false

import json
import os
import subprocess
import sys
import tracemalloc

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.calculus.lanczos import Krylov
from qed.calculus.spectra import trace as hutch
from qed.calculus.spectra.density import density, in_step
from qed.calculus.spectra.determinant import log_determinant
from qed.calculus.spectra.diagonal import diagonal as diagonal_of
from qed.calculus.spectra.heads import heads
from qed.calculus.spectra.products import Products, cut, is_mean, too_large_to_form
from qed.calculus.spectra.programs import programs
from qed.calculus.spectrum import search, wanted
from qed.errors import QedError
from qed.graph.function import read

stop_gradient = jax.lax.stop_gradient
DRAW = np.random.default_rng(11)


def turned(values):
    """A symmetric matrix of float32 numbers with about these eigenvalues; the exact ones are NumPy's in float64."""
    q, _ = np.linalg.qr(DRAW.standard_normal((len(values),) * 2))
    matrix = ((q * np.asarray(values)) @ q.T).astype(np.float32)
    return (matrix + matrix.T) / 2


def quadratic(matrix):
    held = np.float32(matrix)
    return (
        lambda x: x @ held @ x / 2,
        np.zeros(len(matrix), np.float32),
        np.linalg.eigvalsh(np.asarray(matrix, np.float64)),
    )


def chain(n):
    """sum (x_i - x_(i+1))^2 / 2: the eigenvalues are 2 - 2 cos(pi j / n)."""
    return (
        lambda x: jnp.sum((x[1:] - x[:-1]) ** 2) / 2,
        np.zeros(n, np.float32),
        2 - 2 * np.cos(np.pi * np.arange(n) / n),
    )


def diagonal(values):
    held = np.float32(values)
    return lambda x: jnp.sum(held * x**2) / 2, np.ones_like(held), np.sort(np.float64(held))


def sums(n):
    """(sum x)^2 / 2 + |x|^2: n + 2 once, and 2."""
    return lambda x: jnp.sum(x) ** 2 / 2 + jnp.sum(x**2), jnp.zeros(n), np.array([2.0] * (n - 1) + [n + 2.0])


def logistic(n):
    """log-sum-exp at equal numbers: 1/n, and 0."""
    return jax.nn.logsumexp, jnp.zeros(n), np.array([0.0] + [1 / n] * (n - 1))


def product(n):
    """|u|^2 |v|^2 / 2 at |u| = |v| = 1: its Hessian is the identity and 2 (u v' + v u')."""
    point = {"u": np.eye(n, dtype=np.float32)[0], "v": np.eye(n, dtype=np.float32)[0]}
    return (
        lambda p: jnp.sum(p["u"] ** 2) * jnp.sum(p["v"] ** 2) / 2,
        point,
        np.array([-1.0] + [1.0] * (2 * n - 2) + [3.0]),
    )


KNOWN = {
    **{f"chain of {n}": chain(n) for n in (2, 7, 50, 400, 2000)},
    **{f"sum and squares {n}": sums(n) for n in (1, 2, 30, 1000)},
    **{f"log-sum-exp {n}": logistic(n) for n in (2, 5, 100)},
    **{f"product {n}": product(n) for n in (1, 3, 40)},
    "even": diagonal(np.linspace(-1, 1, 60)),
    "geometric": diagonal(np.geomspace(1e-6, 1e4, 80)),
    "one far": diagonal([*np.linspace(0, 1, 300), 1e5]),
    "one far below": diagonal([*np.linspace(0, 1, 300), -40.0]),
    "pairs": diagonal(np.repeat([1.0, -2.0, 5.0], 4)),
    "zero": diagonal(np.zeros(6)),
    "zero of many": diagonal(np.zeros(20_001)),
    "tiny": diagonal(1e-20 * np.arange(1, 9)),
    "huge": diagonal(1e20 * np.arange(1, 9)),
    "spiked": diagonal([*DRAW.uniform(0, 1e-3, 1500), 1.0, 2.0, 3.0]),
    **{f"random {n}": quadratic(turned(DRAW.standard_normal(n))) for n in (3, 20, 90)},
    "random positive": quadratic(turned(DRAW.uniform(1, 2, 50))),
    "random decaying": quadratic(turned(np.geomspace(1e-4, 1e2, 120))),
    "random rank 2": quadratic(turned([0.0] * 60 + [4.0, -3.0])),
}


@pytest.mark.parametrize("which", ["magnitude", "largest", "smallest"])
@pytest.mark.parametrize("name", KNOWN)
def test_every_interval_holds_an_eigenvalue(name, which):
    fun, at, truth = KNOWN[name]
    answer = qed.spectrum(fun, at, k=3, which=which)
    assert (answer.measured or answer.proved) and len(answer.eigenvalues) == min(3, len(truth))
    for value, error in zip(answer.eigenvalues, answer.errors, strict=True):
        assert np.min(np.abs(truth - value)) <= error
    first = truth[wanted(truth, 1, which)[0]]
    assert abs(abs(answer.eigenvalues[0]) - abs(first)) <= 2e-2 * np.max(np.abs(truth))


def test_there_are_thirty():
    assert len(KNOWN) >= 30


def test_the_residuals_are_as_small_as_asked():
    fun, at, _ = KNOWN["random 90"]
    answer = qed.spectrum(fun, at, k=5, tol=1e-6)
    assert np.all(answer.errors <= 2e-6 * np.abs(answer.eigenvalues))
    assert answer.check()


def test_a_restarted_basis_finds_the_same():
    matrix = np.diag(np.linspace(-1, 2, 200) ** 3)
    long = Krylov(lambda v: matrix @ v, 200, 100)
    short = Krylov(lambda v: matrix @ v, 200, 17)
    assert search(long, 5, "largest", 1e-8) and search(short, 5, "largest", 1e-8)
    assert short.count <= 17 < short.products
    for krylov in (long, short):
        values, _ = krylov.ritz()
        assert np.allclose(values[-5:], np.linspace(-1, 2, 200)[-5:] ** 3, atol=1e-7)
        q = krylov.basis[: krylov.count]
        assert np.abs(q @ q.T - np.eye(len(q))).max() < 1e-12


def test_eigenvectors_are_trees_with_named_shares():
    fun = lambda p: 4 * p["a"] ** 2 + jnp.sum(jnp.array([1.0, 2.0]) * p["b"] ** 2)  # noqa: E731
    answer = qed.spectrum(fun, {"a": jnp.float32(0), "b": jnp.zeros(2)}, k=2)
    assert answer.shares[0][0][0] == "p['a']" and answer.shares[1][0][0] == "p['b'][1]"
    assert abs(abs(answer.eigenvectors[0]["a"]) - 1) < 1e-9
    assert answer.eigenvectors[1]["b"].shape == (2,)


def test_the_condition_number():
    fun, at, truth = KNOWN["random positive"]
    answer = qed.spectrum(fun, at).condition()
    assert answer.measured and abs(answer.value - truth[-1] / truth[0]) < 1e-6
    assert answer.value - 1e-9 <= truth[-1] / truth[0] <= answer.upper + 1e-9 and answer.check()
    assert qed.spectrum(*KNOWN["even"][:2]).condition().unknown


def test_the_trace_of_few_parameters_is_exact():
    fun, at, truth = KNOWN["chain of 50"]
    trace = qed.spectrum(fun, at, k=1).trace
    assert trace.measured and abs(trace.value - truth.sum()) < 1e-9 and trace.check()
    cancelling = lambda x: 1e12 * (jnp.exp(x[0]) - jnp.exp(x[1]) * jnp.exp(x[1]) / 4) + x[2] ** 2  # noqa: E731
    trace = qed.spectrum(cancelling, np.array([0.5, 0.25, 0.1]), k=1).trace
    assert 0 < abs(trace.value - 2.0) <= trace.error.error and trace.check()


def test_what_has_few_entries_is_read_and_not_drawn():
    weights = np.arange(2000) / 512
    found = qed.spectrum(lambda x: jnp.sum(weights * x**2) / 2 + x[0] * x[1], np.ones(2000), k=1)
    assert abs(found.trace.value - weights.sum()) <= found.trace.error.error < 1e-6 and found.trace.check()
    assert np.all(np.abs(found.diagonal.value - weights) <= found.diagonal.error.error) and found.diagonal.check()


@pytest.mark.slow
@pytest.mark.parametrize("spread", ["decaying", "flat", "of both signs", "one left", "two left"])
def test_the_interval_of_the_trace_is_kept(spread):
    values = {
        "decaying": np.geomspace(1e-3, 1e2, 400),
        "flat": np.linspace(1, 2, 400),
        "of both signs": np.random.default_rng(2).standard_normal(400),
        "one left": np.repeat([1.0, 0.0], [31, 29]),
        "two left": np.repeat([-1.0, 1.0, 0.0], [2, 30, 28]),
    }[spread]
    kept = 0
    for seed in range(100):
        found = hutch.trace(lambda v: values * v, len(values), seed=seed)
        kept += abs(found.value - values.sum()) <= found.error
        assert found.products <= 120
    assert kept >= 97


def test_the_density_has_the_right_share_below_zero():
    values = np.concatenate([-np.ones(30), np.linspace(1, 3, 170)])
    found = density(lambda v: values * v, 200, probes=20, steps=30, seed=0)
    assert abs(found.below(0.0) - 0.15) < 0.05 and abs(found.weights.sum() - 1) < 1e-9
    assert abs(found.mean - values.mean()) <= 4 * found.error
    grid, heights = found.smooth(0.1)
    assert abs(np.sum(heights) * (grid[1] - grid[0]) - 1) < 0.01
    fun, at, truth = KNOWN["even"]
    told = qed.spectrum(fun, at, k=1).density(probes=8)
    assert abs(told.mean - truth.mean()) <= 4 * told.error.error


def test_the_value_graph_is_asked_and_not_a_rule():
    @jax.custom_jvp
    def square(x):
        return x * x

    square.defjvp(lambda primals, tangents: (square(primals[0]), 100 * primals[0] * tangents[0]))
    assert abs(qed.spectrum(lambda x: jnp.sum(square(x)), jnp.ones(3), k=1).eigenvalues[0] - 2) < 1e-6


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"k": 0}, "QED007"),
        ({"k": 1.5}, "QED007"),
        ({"which": "middle"}, "QED007"),
        ({"tol": 0.0}, "QED007"),
        ({"seed": "a"}, "QED007"),
    ],
)
def test_wrong_options_are_coded(options, code):
    with pytest.raises(QedError) as raised:
        qed.spectrum(lambda x: jnp.sum(x**2), jnp.ones(2), **options)
    assert raised.value.code == code


def test_wrong_numbers_of_probes_and_steps_are_coded():
    found = qed.spectrum(lambda x: jnp.sum(x**2), jnp.ones(2)).value
    for ask in (found.density, lambda number: found.density(steps=number), found.condition, found.gauss_newton):
        for number in (0, "a", 1.5):
            with pytest.raises(QedError) as raised:
                ask(number)
            assert raised.value.code == "QED007"


@pytest.mark.parametrize(
    ("at", "code"),
    [(jnp.array([1, 2]), "QED003"), ({}, "QED004"), (jnp.array([jnp.nan]), "QED006"), (jnp.zeros((0,)), "QED004")],
)
def test_bad_input_is_coded(at, code):
    with pytest.raises(QedError) as raised:
        qed.spectrum(lambda x: jnp.sum(x), at)
    assert raised.value.code == code


@pytest.mark.parametrize(
    ("fun", "at", "code"),
    [
        (lambda x: jnp.sum(jnp.sqrt(x)), 0.0, "QED210"),
        (lambda x: jnp.sum(jnp.log(x)), -1.0, "QED210"),
        (lambda x: jnp.sum(jnp.abs(x) + x**2), 0.0, "QED104"),
        (lambda x: jnp.sum(jax.nn.relu(x - 1.0) ** 2), 1.0, "QED104"),
        (lambda x: jnp.max(x + x**2), 1.0, "QED104"),
        (lambda x: jnp.arange(2.0) @ jnp.sort(x) ** 2, 1.0, "QED104"),
        (lambda x: jnp.sum(jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (2,), (2,), "SAME") ** 2), 1.0, "QED104"),
        (lambda x: jnp.sum(x**2) + jnp.round(x[0]), 0.5, "QED104"),
        (lambda x: jnp.sum(x**2) + jnp.argmax(x), 1.0, "QED104"),
        (lambda x: in_steps(jnp.abs, x), 0.0, "QED104"),
        (lambda x: in_steps(lambda t: jax.lax.cond(t > -1, jnp.abs, jnp.sin, t), x), 0.0, "QED104"),
        (
            lambda x: jax.lax.while_loop(lambda c: c[1] < 2, lambda c: (jnp.abs(c[0]), c[1] + 1), (x[0], 0))[0],
            0.0,
            "QED104",
        ),
    ],
)
def test_where_there_is_no_hessian_its_eigenvalues_are_unknown(fun, at, code):
    answer = qed.spectrum(fun, jnp.full(2, at))
    assert answer.unknown and answer.missing[0].code == code
    away = qed.spectrum(fun, jnp.array([at + 3.2, at + 3.45]))
    assert away.measured


def in_steps(fun, x):
    """x_0^2 and fun of each element, added one by one."""
    return jax.lax.scan(lambda total, t: (total + fun(t), None), x[0] ** 2, x)[0]


@pytest.mark.parametrize(
    ("fun", "largest"),
    [
        (lambda x: jnp.sum(jnp.sort(x) ** 2), 2.0),
        (lambda x: jnp.sum(x**2) + 0 * jnp.floor(x[0]) + jnp.max(jax.nn.relu(x - 5)), 2.0),
        (lambda x: in_steps(lambda t: jax.lax.cond(t > -1, jnp.square, lambda t: jnp.abs(t - 1), t), x), 4.0),
        (lambda x: jnp.sum(jnp.exp(x - jax.lax.stop_gradient(jnp.max(x)))), 1.0),
    ],
)
def test_ties_and_jumps_that_do_not_show_leave_the_hessian(fun, largest):
    answer = qed.spectrum(fun, jnp.ones(2), k=1)
    assert answer.measured and abs(answer.eigenvalues[0] - largest) <= answer.errors[0] + 1e-9


def beside_zero(fun, at_zero):
    """Sum of fun(x), with its value at 0 told apart by a condition."""
    return lambda x: jnp.sum(jnp.where(x == 0, at_zero, fun(jnp.where(x == 0, 1.0, x))))


OTHERS = "the derivatives that JAX takes at the point are not"
FAR = "do not come nearer"


@pytest.mark.parametrize(
    ("fun", "why"),
    [
        (beside_zero(lambda x: x**3 * jnp.cos(1 / x), 0.0), FAR),  # no second derivative
        (beside_zero(lambda x: x**4 * jnp.cos(1 / x), 0.0), FAR),  # one that is not continuous
        (beside_zero(lambda x: x * jnp.tanh(x) * jnp.log(x**2), 0.0), FAR),  # it grows beyond all bounds
        (lambda x: jnp.sum(x**2) + jnp.abs(x[0] + 1j * x[1]), FAR),  # a cone
        (beside_zero(lambda x: jnp.log1p(x**2) / x**2, 1.0), OTHERS),  # -x^2/2, and JAX takes 0
        (beside_zero(lambda x: x / jnp.tanh(x) + x**2, 1.0), OTHERS),  # 4x^2/3
        (lambda x: jnp.sum(jnp.abs(jnp.fft.rfft(x)) ** 2), OTHERS),  # a polynomial; JAX's |z| has no slope at 0
        (lambda x: jnp.sum(jnp.maximum(x**2, -2 * x**2)), OTHERS),  # x^2; JAX takes the mean
    ],
)
def test_the_hessian_at_a_point_is_compared_with_those_around_it(fun, why):
    answer = qed.spectrum(fun, jnp.zeros(2))
    assert answer.unknown and answer.missing[0].code == "QED104" and why in answer.missing[0].what
    assert "no second derivative" not in answer.missing[0].what


@pytest.mark.parametrize(
    ("fun", "largest"),
    [
        (lambda x: beside_zero(lambda t: t**5 * jnp.cos(1 / t), 0.0)(x) + jnp.sum(x**2), 2.0),
        (lambda x: jnp.sum(jnp.where(x == 0, 1 - x**2 / 6, jnp.sin(x) / jnp.where(x == 0, 1.0, x))), -1 / 3),
        (lambda x: jnp.sum(jnp.abs(x) ** 2.5 + 3 * x**2), 6.0),
        (lambda x: jnp.sum(jnp.tanh(1e7 * jnp.abs(x) ** 3) + x**2), 2.0),
    ],
    ids=["continuous", "its own series", "slow", "steep"],
)
def test_a_hessian_that_those_around_come_near_is_one(fun, largest):
    answer = qed.spectrum(fun, jnp.zeros(2), k=1)
    assert answer.measured and abs(answer.eigenvalues[0] - largest) <= answer.errors[0] + 1e-7


def test_arrays_without_numbers_are_no_part_of_anything():
    fun = lambda x: jnp.sum(jnp.array([1.0, 3.0]) * x["a"] ** 2) + jnp.sum(x["none"]) + jnp.abs(x["a"][0]) ** 3  # noqa: E731
    answer = qed.spectrum(fun, {"a": jnp.zeros(2), "none": jnp.zeros((0, 2))})
    assert np.allclose(answer.eigenvalues, [6, 2]) and answer.eigenvectors[0]["none"].shape == (0, 2)


@pytest.mark.parametrize(
    ("fun", "size", "codes"),
    [
        (lambda x: jnp.sum(x**2) + 3 * jnp.sum(stop_gradient(x) * x), 2, ["QED101"]),
        (lambda x: jnp.sum(x**2 * jnp.arange(1, 301)) + 3 * jnp.sum(stop_gradient(x) * x), 300, ["QED101"]),
        (qed.surrogate(lambda x: jnp.sum((x + stop_gradient(jnp.round(x) - x)) ** 2)), 2, ["QED107"]),
        (lambda x: jax.nn.logsumexp(x) + stop_gradient(3.0), 2, []),
        (lambda x: jnp.log(jnp.sum(jnp.exp(x - stop_gradient(jnp.max(x))))) + stop_gradient(jnp.max(x)), 2, []),
    ],
    ids=["semi-gradient", "few entries", "straight through", "log-sum-exp", "the maximum twice"],
)
def test_what_a_stop_gradient_leaves_out_is_said(fun, size, codes):
    at = jnp.linspace(-1.25, 1.4, size)
    answer = qed.spectrum(fun, at, k=1)
    held = np.linalg.eigvalsh(np.asarray(jax.hessian(fun)(at), float))
    assert answer.measured and np.min(np.abs(held - answer.eigenvalues[0])) <= answer.errors[0] + 1e-4
    assert [finding.code for finding in answer.findings] == codes
    assert ("with what is stopped held constant" in answer.claim) == bool(codes)
    if size == 2:
        for more in (answer.trace, answer.value.blocks(), answer.value.gauss_newton(k=1)):
            assert [finding.code for finding in more.findings] == codes
            assert more.claim.startswith("with what stands behind a stop_gradient held constant") == bool(codes)


def test_a_linear_function_and_dead_units_have_zero_eigenvalues():
    for fun in (lambda x: jnp.sum(x), lambda x: jnp.sum(jax.nn.relu(x - 5.0))):
        answer = qed.spectrum(fun, jnp.zeros(3), k=2)
        assert np.all(answer.eigenvalues == 0) and np.all(answer.errors == 0)


def test_the_size_is_said_before_anything_is_allocated(monkeypatch):
    from qed.calculus.spectra import products

    fun, at = (lambda x: jnp.sum(x**2)), jnp.zeros(40_000)
    answer = qed.spectrum(fun, at, k=1)
    assert answer.findings[0].code == "QED701" and "6.4 GB" in answer.findings[0].message
    assert "would take 6.4 GB" in " ".join(str(answer).split())
    monkeypatch.setattr(products, "free_memory", lambda: 1e6)
    with pytest.raises(QedError) as raised:
        qed.spectrum(fun, at)
    assert raised.value.code == "QED702"


@pytest.mark.slow
def test_a_million_parameters_in_k_and_twenty_vectors():
    n, k = 1_000_000, 5
    scale = jnp.linspace(0.0, 1.0, n).at[:8].set(jnp.arange(8.0) * 5)
    tracemalloc.start()
    answer = qed.spectrum(lambda x: jnp.sum(scale * x**2) / 2, jnp.zeros(n), k=k)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.allclose(answer.eigenvalues, [35, 30, 25, 20, 15], rtol=1e-3)
    assert peak <= (k + 20) * 4 * n


# --- networks whose products are linearised and kept ---------------------------------------------------------------


def network(w, x, y):
    h = jnp.tanh(x @ w["a"])
    return jnp.mean((jnp.tanh(h @ w["b"]) @ w["c"] - y) ** 2)


def layers(rows=3, tokens=60):
    draw = np.random.default_rng(3)
    shapes = {"a": (120, 100), "b": (100, 100), "c": (100, 1)}
    w = {name: jnp.asarray(draw.standard_normal(s) / 10, jnp.float32) for name, s in shapes.items()}
    x = jnp.asarray(draw.standard_normal((4 * rows, tokens, 120)), jnp.float32)
    return w, x, jnp.sin(x[..., :1])


@pytest.fixture(scope="module")
def kept():
    w, x, y = layers()
    return Products(read(network, w, x, y)), (w, x, y)


def test_kept_products_are_those_afresh_and_those_in_float64(kept):
    products, _ = kept
    v = np.random.default_rng(0).standard_normal(products.size)
    v /= np.linalg.norm(v)
    own, exact = products.own(v), products.exact(v)
    assert products.linearized and products.kept.kept > 0 and not products.findings
    assert np.linalg.norm(own - exact) <= 1e-5 * np.linalg.norm(exact)
    rows = np.stack([v, 2 * v, -v]).astype(np.float32)
    products.__dict__["linearized"] = True
    assert np.allclose(products.several(rows), np.outer([1, 2, -1], own), rtol=1e-4, atol=1e-6)


def test_parts_are_asked_one_by_one_and_checked(kept):
    whole, (w, x, y) = kept
    v = np.random.default_rng(1).standard_normal(whole.size)
    parts = cut(lambda *given: read(network, *given), w, (x, y), 4)
    assert is_mean(whole.function, parts)
    assert np.allclose(Products(whole.function, parts).own(v), whole.own(v), rtol=1e-3, atol=1e-5)
    summed = lambda w, x, y: len(x) * network(w, x, y)  # noqa: E731
    for fun, number in ((network, 5), (summed, 4), (network, 0)):
        with pytest.raises(QedError) as raised:
            qed.spectrum(fun, w, x, y, parts=number)
        assert raised.value.code == "QED007"


def test_a_second_point_compiles_nothing(kept):
    products, (w, x, y) = kept
    again = Products(read(network, jax.tree.map(lambda a: a + 0.01, w), x, y))
    assert again._own is products._own
    assert programs(read(lambda *given: network(*given), w, x, y), wide=False) is not products._own


def test_what_is_not_kept_is_said(kept, monkeypatch):
    from qed.calculus.spectra import products as room

    whole, _ = kept
    monkeypatch.setattr(room, "free_memory", lambda: 1e5)
    few = Products(whole.function)
    assert not few.linearized and few.findings[0].code == "QED703"
    v = np.ones(whole.size)
    assert np.allclose(few.own(v), whole.own(v), rtol=1e-3, atol=1e-4)


def test_intervals_of_a_large_function_hold_even_where_its_products_are_wrong(monkeypatch):
    """mean (x W - y)^2: the Hessian is 2 x'x / (rows columns) once per column; the products are 0.1 % too long."""
    draw = np.random.default_rng(4)
    x, y = (jnp.asarray(draw.standard_normal((600, n)), jnp.float32) for n in (150, 140))
    truth = np.linalg.eigvalsh(np.asarray(x, float).T @ np.asarray(x, float)) * 2 / (600 * 140)
    given = (lambda w, x, y: jnp.mean((x @ w - y) ** 2), jnp.zeros((150, 140)), x, y)
    good = qed.spectrum(*given, k=3)
    assert good.value.source.linearized and np.all(good.errors <= 1e-3 * good.eigenvalues)
    own = Products.own
    monkeypatch.setattr(Products, "own", lambda self, vector: np.float32(1.001) * own(self, vector))
    bad = qed.spectrum(*given, k=3)
    assert np.all(np.abs(bad.eigenvalues - good.eigenvalues) >= 5e-4 * good.eigenvalues)
    for answer in (good, bad):
        for value, error in zip(answer.eigenvalues, answer.errors, strict=True):
            assert np.min(np.abs(truth - value)) <= error


def test_near_ties_of_a_large_function_are_told_once_each():
    """A reflected diagonal, so that the Hessian is exact up to rounding: three near 1, two equal, one apart."""
    size = 21_000
    spectrum = np.random.default_rng(6).uniform(-0.2, 0.2, size)
    spectrum[::4000] = [1, 1 - 1e-4, 1 - 2e-4, -0.7, -0.7, 0.5]
    turn = np.random.default_rng(7).standard_normal(size)
    turn, diagonal = np.float32(turn / np.linalg.norm(turn)), np.float32(spectrum)

    def fun(x):
        y = x - 2 * turn * jnp.vdot(turn, x)
        return jnp.sum(diagonal * y * y) / 2

    found = qed.spectrum(fun, jnp.ones(size, jnp.float32), k=5)
    for i, value in enumerate(found.eigenvalues):
        inside = np.sum(np.abs(np.asarray(diagonal, float) - value) <= found.errors[i] + 2e-6)
        assert inside > np.sum(np.abs(found.eigenvalues[:i] - value) <= 1e-7)
    vectors = np.stack(found.eigenvectors).astype(float)
    assert np.allclose(vectors @ vectors.T, np.eye(5), atol=1e-4)
    assert np.all(found.errors <= 1e-3 * np.abs(found.eigenvalues))


def test_the_size_is_said_in_products_and_gradients():
    fun, at = (lambda x: jnp.sum(jnp.tanh(x) ** 2)), jnp.zeros(1_230_000)
    text = too_large_to_form(read(fun, at), 5, 21)[0].message
    assert "1.2 million parameters: the Hessian would take 6.1 TB" in text and "30 products = " in text


# --- numbers of the whole matrix ------------------------------------------------------------------------------------


def test_the_diagonal_lies_in_its_intervals():
    matrix = np.asarray(turned(np.geomspace(1e-3, 1e2, 300)), float)
    held = 0
    for seed in range(5):
        found = diagonal_of(lambda v: matrix @ v, 300, seed=seed)
        held += int(np.sum(np.abs(found.values - np.diag(matrix)) <= found.errors))
    assert held >= 0.97 * 5 * 300
    fun, at, _ = KNOWN["geometric"]
    answer = qed.spectrum(fun, at, k=1).diagonal
    assert answer.measured and np.allclose(answer.value, np.geomspace(1e-6, 1e4, 80), rtol=1e-5) and answer.check()


@pytest.mark.parametrize("values", [np.linspace(1, 3, 600), np.geomspace(0.3, 30, 600)], ids=["even", "spread"])
def test_the_logarithm_of_the_determinant_lies_in_its_interval(values):
    truth, kept = float(np.sum(np.log(values))), 0
    for seed in range(8):
        found = log_determinant(lambda v: values * v, len(values), probes=8, steps=30, seed=seed)
        kept += found.lower <= truth <= found.upper
        assert found.upper - found.lower < 0.5 * abs(truth) + 60
    assert kept >= 7


def test_a_determinant_of_both_signs_or_zero_is_unknown():
    for name in ("even", "chain of 400", "random rank 2"):
        answer = qed.spectrum(*KNOWN[name][:2], k=1).log_determinant
        assert answer.unknown and answer.missing
    assert not np.isfinite(log_determinant(lambda v: np.linspace(-1, 1, 500) * v, 500, probes=2, steps=20).lower)


def test_the_recurrence_alone_gives_the_same_density():
    values = np.concatenate([-np.ones(30), np.linspace(1, 3, 970)]).astype(np.float32)
    one = in_step(lambda rows: rows * values, 1000, 4, 50, 0)
    two = density(lambda v: v * values, 1000, 4, 50, 0)
    assert abs(one.below(0.0) - two.below(0.0)) < 1e-3 and abs(one.mean - two.mean) < 1e-3
    assert abs(one.weights.sum() - 1) < 1e-6


# --- Gauss-Newton, Fisher, blocks -----------------------------------------------------------------------------------

ROWS = jnp.asarray(np.random.default_rng(5).standard_normal((12, 4)), jnp.float32)
CLASSES = jnp.arange(12) % 3


def logits(w):
    return jnp.tanh(ROWS @ w["a"]) @ w["b"]


def of_logits(outer):
    return lambda w: outer(logits(w))


LOSSES = {
    "categorical": lambda w: -jnp.mean(jax.nn.log_softmax(logits(w))[jnp.arange(12), CLASSES]),
    "normal": lambda w: 0.5 * jnp.mean((logits(w) - ROWS[:, :3]) ** 2),
    "Bernoulli": of_logits(lambda z: jnp.sum(jax.nn.softplus(z) - (CLASSES[:, None] == 1) * z) / 7),
    "Poisson": of_logits(lambda z: jnp.mean(jnp.exp(z) - 2.0 * z)),
}
MEANS = {"categorical": jax.nn.logsumexp, "normal": lambda z: jnp.sum(z**2) / 2,
         "Bernoulli": lambda z: jnp.sum(jax.nn.softplus(z)), "Poisson": lambda z: jnp.sum(jnp.exp(z))}  # fmt: skip
SCALES = {"categorical": 1 / 12, "normal": 1 / 36, "Bernoulli": 1 / 7, "Poisson": 1 / 36}


@pytest.mark.slow
@pytest.mark.parametrize("family", LOSSES)
def test_the_gauss_newton_matrix_is_the_one_of_its_definition(family):
    draw = np.random.default_rng(7)
    w = {
        "a": jnp.asarray(draw.standard_normal((4, 5)), jnp.float32),
        "b": jnp.asarray(draw.standard_normal((5, 3)) / 2),
    }
    w = jax.tree.map(lambda a: a.astype(jnp.float32), w)
    answer = qed.spectrum(LOSSES[family], w, k=1).gauss_newton(k=2)
    assert answer.measured and answer.families == (family,)
    jacobian = jax.jacobian(logits)(w)
    columns = np.concatenate([np.asarray(jacobian[n]).reshape(12, 3, -1) for n in ("a", "b")], 2).astype(float)
    middle = np.asarray(jax.vmap(jax.hessian(MEANS[family]))(logits(w)), float) * SCALES[family]
    gauss_newton = np.einsum("nip,nij,njq->pq", columns, middle, columns)
    truth = np.linalg.eigvalsh(gauss_newton)
    assert np.allclose(answer.eigenvalues, truth[::-1][:2], rtol=1e-4)
    flat, back = jax.flatten_util.ravel_pytree(w)
    rest = np.linalg.eigvalsh(np.asarray(jax.hessian(lambda v: LOSSES[family](back(v)))(flat), float) - gauss_newton)
    assert abs(abs(answer.difference) - np.abs(rest).max()) <= 2e-3 * np.abs(rest).max() + 1e-5


TARGETS = jnp.arange(12) % 4 / 2
one = lambda w: logits(w)[:, 0]  # noqa: E731
WRITTEN = {
    "Poisson": (
        lambda w: jnp.mean(jnp.exp(one(w)) - one(w) * TARGETS),
        lambda w: jnp.mean(jnp.exp(one(w))) - TARGETS @ one(w) / 12,
        lambda w: jnp.mean(jnp.exp(one(w)) - TARGETS * jnp.log(jnp.exp(one(w)))),
    ),
    "normal": (
        lambda w: jnp.sum(one(w) ** 2) / 2 - jnp.sum(one(w) * TARGETS) + jnp.sum(one(w)) / 3,
        lambda w: jnp.mean((one(w) + 1.0 - TARGETS) * (1.0 + one(w) - TARGETS)),
    ),
    "Bernoulli": (lambda w: jnp.sum(jnp.logaddexp(0.0, one(w))) - jnp.sum(TARGETS * one(w)),),
    "categorical": (lambda w: jnp.mean(jax.nn.logsumexp(logits(w), 1)) - jnp.sum(logits(w)[:, 1]) / 12,),
}
"""Losses that say what the network returns several times, or in several terms."""


@pytest.mark.parametrize("family", WRITTEN)
def test_a_loss_may_ask_the_network_twice(family):
    w = {"a": jnp.ones((4, 5)) / 3, "b": jnp.linspace(-1.0, 1.0, 15).reshape(5, 3)}
    for loss in WRITTEN[family]:
        found = heads(read(loss, w))
        assert [head.family for head in found] == [family]
    assert heads(read(lambda w: loss(w) + jnp.sum(jnp.sin(one(w))), w)) is None
    assert heads(read(lambda w: jnp.sum(one(w) * TARGETS) + 0.1 * jnp.sum(w["a"] ** 2), w)) is None


def test_the_gauss_newton_matrix_of_a_loss_in_two_terms():
    fun = lambda w: jnp.mean(jnp.exp(ROWS @ w)) - jnp.mean(ROWS @ w * TARGETS)  # noqa: E731
    w = jnp.array([0.3, -0.2, 0.1, 0.4])
    answer = qed.spectrum(fun, w, k=1).gauss_newton(k=2)
    truth = np.linalg.eigvalsh(np.asarray(jax.hessian(fun)(w), float))[::-1]
    assert answer.families == ("Poisson",) and np.allclose(answer.eigenvalues, truth[:2], rtol=1e-4)
    assert abs(answer.difference) < 1e-4


def test_a_penalty_is_a_term_of_its_own_and_other_losses_are_unknown():
    w = {"a": jnp.ones((4, 5)) / 3, "b": jnp.ones((5, 3))}
    both = lambda w: LOSSES["categorical"](w) + 0.05 * sum(jnp.sum(a**2) for a in w.values())  # noqa: E731
    answer = qed.spectrum(both, w, k=1).gauss_newton()
    assert answer.families == ("categorical", "normal", "normal")
    for fun in (lambda w: jnp.sum(jnp.sin(logits(w))), lambda w: -LOSSES["normal"](w), lambda w: jnp.sum(logits(w))):
        assert qed.spectrum(fun, w, k=1).gauss_newton().unknown


@pytest.mark.parametrize(("c", "codes"), [(2.0, ["QED307"]), (0.5, [])])
def test_positive_blocks_do_not_make_a_minimum(c, codes):
    fun = lambda w: sum(jnp.sum(a**2) for a in w.values()) / 2 + c * jnp.sum(w["a"] * w["b"])  # noqa: E731
    answer = qed.spectrum(fun, {"a": jnp.zeros(3), "b": jnp.zeros(3)}, k=1).blocks()
    assert answer.measured and [finding.code for finding in answer.findings] == codes and answer.check()
    assert [block.size for block in answer.value] == [3, 3]
    assert all(abs(block.lowest - 1) <= block.error + 1e-12 for block in answer.value)


# --- what takes long ------------------------------------------------------------------------------------------------


def test_an_interruption_gives_what_is_known():
    fun, at, truth = KNOWN["geometric"]
    steps = []

    def progress(label, done, total):
        steps.append((label, done, total))
        if len(steps) == 12:
            raise KeyboardInterrupt

    answer = qed.spectrum(fun, at, k=4, tol=1e-12, progress=progress)
    assert len(steps) == 12 and answer.products <= 12 + 4
    wide = int(np.sum(answer.errors > 1e-12 * np.abs(answer.eigenvalues)))
    assert wide and f" {wide} of 4 errors exceed the tolerance, 1e-12 of the eigenvalue." in answer.headline
    assert "exceed" not in qed.spectrum(fun, at, k=4).headline
    for value, error in zip(answer.eigenvalues, answer.errors, strict=True):
        assert np.min(np.abs(truth - value)) <= error
    assert qed.spectrum(fun, at, k=4, tol=1e-12, budget=1e-6).products <= 10


def test_the_size_is_told_before_the_search():
    told = []
    qed.spectrum(lambda x: jnp.sum(x**2), jnp.zeros(40_000), k=1, progress=lambda *given: told.append(given))
    assert told[0][0].startswith("40,000 parameters: the Hessian would take 6.4 GB") and told[0][1:] == (0, 1)
    assert all(label == "eigenvalues" for label, *_ in told[1:])


DEVICES = """
import json, sys
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
import qed

draw = np.random.default_rng(0)
w = {n: jnp.asarray(draw.standard_normal(s) / 10, jnp.float32) for n, s in (("a", (150, 140)), ("b", (140, 3)))}
x, y = jnp.asarray(draw.standard_normal((1024, 150)), jnp.float32), jnp.asarray(draw.standard_normal((1024, 3)))
y = y.astype(jnp.float32)

def loss(w, x, y):
    return jnp.mean((jnp.tanh(x @ w["a"]) @ w["b"] - y) ** 2)

if len(jax.devices()) == 4:
    mesh = Mesh(np.array(jax.devices()), ("rows",))
    x, y = (jax.device_put(a, NamedSharding(mesh, PartitionSpec("rows"))) for a in (x, y))
    w = jax.device_put(w, NamedSharding(mesh, PartitionSpec()))
answer = qed.spectrum(loss, w, x, y, k=3)
print(json.dumps([len(jax.devices()), answer.eigenvalues.tolist(), answer.errors.tolist()]))
"""


@pytest.mark.slow
def test_four_devices_give_the_same_numbers():
    found = {}
    for count in (1, 4):
        environment = {**os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={count}"}
        run = subprocess.run(
            [sys.executable, "-c", DEVICES], env=environment, capture_output=True, text=True, check=True
        )
        devices, *found[count] = json.loads(run.stdout)
        assert devices == count
    for one, four, room in zip(found[1][0], found[4][0], found[1][1], strict=True):
        assert abs(one - four) <= 1e-5 * abs(one) and room <= 1e-3 * abs(one)


@pytest.mark.parametrize("size", [30, 100, 150])
def test_an_eigenvalue_is_told_as_often_as_it_occurs(size):
    random = np.random.default_rng(size)
    turn, _ = np.linalg.qr(random.standard_normal((size, size)))
    matrix = jnp.asarray(turn @ np.diag(np.r_[np.full(5, 5.0), np.linspace(0, 1, size - 5)]) @ turn.T)
    found = qed.spectrum(lambda x: 0.5 * x @ matrix @ x, jnp.zeros(size), seed=1)
    assert found.eigenvalues == pytest.approx(np.full(5, 5.0), rel=2e-3)
    lowest = qed.spectrum(lambda x: -0.5 * x @ matrix @ x, jnp.zeros(size), which="smallest")
    assert lowest.eigenvalues == pytest.approx(np.full(5, -5.0), rel=2e-3)


def test_an_interval_holds_the_eigenvalue_where_terms_cancel():
    answer = qed.spectrum(jax.nn.logsumexp, jnp.array([0.0, 1.0, 2.0, 30.0]), k=3)
    true = np.array([1.6120960620124496e-12, 3.4999049410825867e-13, 1.1667905411572788e-13])  # mpmath, 60 digits
    assert np.all(np.abs(answer.eigenvalues - true) <= answer.errors) and answer.errors.max() < 1e-2 * true[0]
    assert abs(answer.trace.value - true.sum()) <= answer.trace.error.error
    assert answer.value.condition().unknown  # the fourth is 0
