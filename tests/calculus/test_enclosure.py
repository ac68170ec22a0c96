"""qed.enclose: proved ranges, honest gaps, and bad boxes."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.calculus.enclosure import enclose
from qed.domains.box import Box
from qed.errors import QedError

RANGES = {
    "square": (lambda x: x * x, (-1.0, 2.0), 0.0, 4.0),
    "shifted": (lambda x: x * x - x, (0.0, 1.0), -0.25, 0.0),
    "softplus": (jax.nn.softplus, (-1.0, 1.0), math.log1p(math.exp(-1)), math.log1p(math.e)),
    "sine": (jnp.sin, (0.0, 7.0), -1.0, 1.0),
    "relu": (jax.nn.relu, (-1.0, 3.0), 0.0, 3.0),
    "norm": (lambda x: jnp.sqrt(jnp.sum(x * x)), (-np.ones(2), np.ones(2)), 0.0, math.sqrt(2)),
    "tree": (lambda p: jnp.sum(p["a"]) * p["b"], Box({"a": np.zeros(2), "b": -1.0}, {"a": 1.0, "b": 1.0}), -2.0, 2.0),
    "open": (jnp.exp, (None, jnp.float32(0.0)), 0.0, 1.0),
    "loop": (lambda x: jax.lax.fori_loop(0, 3, lambda i, c: c * 0.5, x), (0.0, 1.0), 0.0, 0.125),
    "branch": (lambda x: jax.lax.cond(x > 0, lambda t: t, lambda t: -t, x), (-1.0, 2.0), 0.0, 2.0),
}


@pytest.mark.parametrize("name", RANGES)
def test_ranges_are_proved_and_close(name):
    fun, box, low, high = RANGES[name]
    answer = enclose(fun, box)
    assert answer.proved
    assert answer.lower <= low + 1e-12 * abs(low)
    assert answer.upper >= high - 1e-12 * abs(high)
    width = high - low
    slack = 1.0 if name == "branch" else 0.12 * width
    assert answer.lower >= low - slack
    assert answer.upper <= high + slack
    assert answer.check()


@pytest.mark.parametrize(
    ("fun", "box", "primitive"),
    [
        (jnp.log, (-1.0, 1.0), "log"),
        (lambda x: 1 / x, (-1.0, 1.0), "div"),
        (lambda x: jax.lax.cumlogsumexp(x)[0], (np.zeros(2), np.ones(2)), "cumlogsumexp"),
        (lambda x: jax.lax.while_loop(lambda c: c < 0.5, lambda c: c * 1.5, x), (0.1, 1.0), "lt"),
    ],
)
def test_what_is_not_known_is_said(fun, box, primitive):
    answer = enclose(fun, box)
    assert answer.unknown
    assert primitive in (answer.missing[0].primitive, "lt")


@pytest.mark.parametrize(
    ("fun", "primitive"),
    [
        (lambda x: jax.lax.nextafter(x, jnp.full_like(x, 9.0)) - x, "nextafter"),
        (lambda x: jax.lax.reduce_precision(x, 8, 7) - x, "reduce_precision"),
    ],
)
def test_what_rounds_by_its_definition_is_not_taken_for_the_identity(fun, primitive):
    answer = enclose(fun, (1.0, 2.0))
    assert answer.unknown
    assert answer.missing[0].primitive == primitive


def test_a_reduction_to_the_own_precision_is_the_identity():
    answer = enclose(lambda x: jax.lax.reduce_precision(x, 8, 23), (np.float32(1.0), np.float32(2.0)))
    assert answer.proved
    assert (answer.lower, answer.upper) == (1.0, 2.0)


BAD = [
    ((1.0, -1.0), "QED007"),
    ((math.nan, 1.0), "QED007"),
    ((None, None), "QED007"),
    (3.0, "QED007"),
    ((np.zeros(2), np.zeros(3)), "QED007"),
    ((0j, 1j), "QED003"),
    ((math.inf, math.inf), "QED007"),
]


@pytest.mark.parametrize(("box", "code"), BAD)
def test_bad_boxes(box, code):
    with pytest.raises(QedError) as found:
        enclose(jnp.sum, box)
    assert found.value.code == code


def test_bad_functions():
    with pytest.raises(QedError) as found:
        enclose(lambda x: (x, x), (0.0, 1.0))
    assert found.value.code == "QED002"
    with pytest.raises(QedError) as found:
        enclose(lambda x: float(x), (0.0, 1.0))
    assert found.value.code == "QED010"


def test_whole_numbers_are_numbers():
    assert enclose(lambda x: x * 2, (0, 1)).upper == 2.0


CLOSE = {
    "dependent": (lambda x: x**2 + x * jnp.exp(x) - jnp.sin(x), (-1.0, 1.0)),
    "quartic": (lambda x: jnp.sum(x**4 - x), (-np.ones(2), np.ones(2))),
    "rosenbrock": (lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2, (-np.ones(2), np.ones(2))),
    "product": (lambda x: x[0] * x[1] - x[1] * x[2], (-np.ones(3), np.ones(3))),
    "kink": (lambda x: jnp.abs(x) - x, (-1.0, 2.0)),
}


@pytest.mark.parametrize("name", CLOSE)
def test_the_bounds_are_as_close_as_is_asked_for(name):
    fun, (lower, upper) = CLOSE[name]
    answer = enclose(fun, (lower, upper), width=0.02, budget=20)
    assert answer.proved and answer.check()
    grid = np.meshgrid(*(np.linspace(a, b, 41) for a, b in zip(np.ravel(lower), np.ravel(upper), strict=True)))
    points = np.stack([g.ravel() for g in grid], -1).reshape((-1, *np.shape(lower)))
    values = np.asarray(jax.vmap(fun)(points.astype(np.float32)))
    assert answer.lower <= values.min() + 1e-5 and answer.upper >= values.max() - 1e-5
    assert answer.upper - answer.lower <= values.max() - values.min() + 0.02 + 0.01


def test_a_coordinate_in_which_the_function_is_monotone_is_set_to_its_end():
    answer = enclose(lambda x: x[0] ** 2 - x[0] * x[1], (np.array([2.0, 1.0]), np.array([3.0, 2.0])))
    assert answer.certificate.tree == (-2, -1)
    assert -1e-6 < answer.lower <= 0.0 and 6.0 <= answer.upper < 6.0 + 1e-6


def test_the_bounds_hold_when_the_budget_ends_at_once():
    answer = enclose(lambda x: jnp.sum(jnp.sin(7 * x)) * x[0], (-np.ones(4), np.ones(4)), width=1e-9, budget=0.01)
    assert answer.proved and answer.check()
    assert "wider than asked for" in str(answer.headline)


def test_arrays_are_enclosed_component_by_component():
    rows = lambda x: (x[0] * x[1], jnp.sin(x[0]), jax.nn.relu(x[1]), 3.0 + 0 * x[0])  # noqa: E731
    fun = lambda x: jnp.stack(rows(x)).reshape((2, 2))  # noqa: E731
    answer = enclose(fun, (-np.ones(2), np.ones(2)))
    assert answer.proved and answer.check()
    assert np.allclose(answer.lower, [[-1, -math.sin(1)], [0, 3]]) and np.all(answer.lower[0, 0] <= -1)
    assert np.allclose(answer.upper, [[1, math.sin(1)], [1, 3]])
    broken = enclose(lambda x: jnp.log(x), (np.array([1.0, -1.0]), np.array([2.0, 1.0])))
    assert broken.unknown and "undefined" in broken.missing[0].what


@pytest.mark.parametrize("width", [0, -1.0, math.nan, math.inf, "a"])
def test_bad_widths(width):
    with pytest.raises(QedError) as found:
        enclose(jnp.sin, (0.0, 1.0), width=width)
    assert found.value.code == "QED007"


def test_progress_is_told():
    said = []
    enclose(lambda x: jnp.sin(9 * x) * x, (-2.0, 2.0), progress=lambda *told: said.append(told))
    assert said and all(text.startswith("range in [") for text, _, _ in said)
