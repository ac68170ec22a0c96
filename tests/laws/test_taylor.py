"""The law of Taylor coefficients: they are the nested derivatives over k!, for every primitive and their compositions.

Primitives and random compositions are compared with k nested `jax.jvp`, to 1e-12 at order 6 in float64. The programs of
the corpus are compared by the recurrence that defines the coefficients, which needs one derivative instead of k: if
c_k(x) is the k-th coefficient along d, then D c_k(x) d = (k + 1) c_{k+1}(x), and c_1 is the program's own derivative.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from qed import facts
from qed.domains.taylor import expand
from qed.graph.trace import trace
from qed.graph.walk import Unknown
from tests.corpus import corpus
from tests.laws.taylor_cases import COMPOSED, FACTORED, MATRIX, OPERATIONS, PRIMITIVES, compose

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:optax", "ignore:The function .* is deprecated")
ORDER = 6


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def nested(fun, curve, order):
    """The normalised derivatives of t -> fun(curve(t)) by nesting forward mode."""
    derivative = lambda t: fun(curve(t))  # noqa: E731
    found = [derivative(jnp.float64(0))]
    for k in range(1, order + 1):
        derivative = (lambda f: lambda t: jax.jvp(f, (t,), (jnp.ones_like(t),))[1])(derivative)
        found.append(derivative(jnp.float64(0)) / math.factorial(k))
    return found


def coefficients(fun, terms, order):
    """qed's coefficients along the curve with these coefficients; zeros made."""
    traced = trace(fun, terms[0])
    (found,) = expand(traced.graph, [terms], order)
    assert not isinstance(found, Unknown), str(found)
    return [jnp.zeros_like(found[0]) if term is None else term for term in found]


def assert_equal(mine, theirs, rtol=1e-12):
    """Elementwise relative to the size of the coefficient, or of those near it where it is zero by cancellation."""
    mine, theirs = np.stack([np.asarray(x) for x in mine]), np.stack([np.asarray(x) for x in theirs])
    scale = np.maximum(np.abs(theirs), 0.1 * np.abs(theirs).max(axis=0))
    wrong = np.abs(mine - theirs) > rtol * scale
    assert not wrong.any(), (mine, theirs)


def curve_of(terms):
    return lambda t: terms[0] + t * (terms[1] + t * terms[2])


@pytest.mark.parametrize("name", sorted(PRIMITIVES))
def test_every_elementwise_primitive(name):
    fun, points = PRIMITIVES[name]
    x = jnp.asarray(points)
    terms = (x, jnp.linspace(0.7, -0.4, x.size), jnp.linspace(0.1, 0.3, x.size))
    assert_equal(coefficients(fun, terms, ORDER), nested(fun, curve_of(terms), ORDER))


def test_no_card_is_left_out():
    assert {name for name, card in facts.CARDS.items() if card.primitive and card.value.jax} <= set(PRIMITIVES)


HEAVY = {"complex", "pow", "betainc in x", "atan2", "igamma in x", "igammac in x", "logaddexp"}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in HEAVY else []) for n in sorted(OPERATIONS)]
)
def test_every_operation_of_several_numbers(name):
    fun, *points = OPERATIONS[name]
    x = jnp.asarray(points)
    terms = (x, jnp.linspace(0.3, -0.2, x.size).reshape(x.shape), jnp.full(x.shape, 0.05))
    assert_equal(coefficients(fun, terms, ORDER), nested(fun, curve_of(terms), ORDER))


def test_where_jax_has_no_derivative():
    """zeta(s, q) in q: the k-th coefficient is (-1)^k (s)_k / k! zeta(s + k, q) (DLMF 25.11.17)."""
    s, q = jnp.asarray([1.7, 3.4]), jnp.asarray([0.9, 1.6])
    mine = coefficients(lambda x: lax.zeta(s, x), (q, jnp.ones(2)), ORDER)
    rising = [np.prod([s + i for i in range(k)], axis=0) / math.factorial(k) for k in range(ORDER + 1)]
    assert_equal(mine, [(-1) ** k * r * lax.zeta(s + k, q) for k, r in enumerate(rising)])


@pytest.mark.parametrize("name", sorted(MATRIX))
def test_loops_branches_orders_and_products(name):
    fun, x = MATRIX[name]
    x = jnp.asarray(x)
    terms = (x, jnp.cos(jnp.arange(x.size)).reshape(x.shape))
    line = lambda t: terms[0] + t * terms[1]  # noqa: E731
    assert_equal(coefficients(fun, terms, 4), jax.jit(lambda: nested(fun, line, 4))())


@pytest.mark.parametrize("name", sorted(FACTORED))
def test_factors_satisfy_their_equation_to_every_order(name):
    factors, residual, x = FACTORED[name]
    x = jnp.asarray(x)
    direction = jnp.sin(1.0 + jnp.arange(x.size)).reshape(x.shape)
    traced = trace(factors, x)
    series = [
        [jnp.zeros_like(s[0]) if term is None else term for term in s]
        for s in expand(traced.graph, [(x, direction)], ORDER)
    ]
    shift = [jnp.zeros_like(x)] * (ORDER - 1)
    for left in residual([x, direction, *shift], *series):
        size = max(float(jnp.abs(term).max()) for s in series for term in s)
        assert max(float(jnp.abs(term).max()) for term in left) <= 1e-11 * size**2


def test_factors_move_as_jax_says():
    for factors, _, x in FACTORED.values():
        x = jnp.asarray(x)
        direction = jnp.sin(1.0 + jnp.arange(x.size)).reshape(x.shape)
        traced = trace(factors, x)
        _, theirs = jax.jvp(factors, (x,), (direction,))
        for mine, other in zip(expand(traced.graph, [(x, direction)], 1), theirs, strict=True):
            if other.dtype != jax.dtypes.float0:
                np.testing.assert_allclose(mine[1], other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seeds", [range(1), pytest.param(range(1, 25), marks=pytest.mark.slow)], ids=["few", "many"])
def test_random_compositions(seeds, law_examples):
    for seed in seeds[: law_examples(len(seeds))]:
        rng = np.random.default_rng(seed)
        fun, text = compose(rng)
        terms = (jnp.asarray(rng.uniform(-1.0, 1.0, 3)), jnp.asarray([0.6, -0.4, 0.9]), jnp.asarray([0.1, 0.2, -0.1]))
        try:
            assert_equal(coefficients(fun, terms, ORDER), nested(fun, curve_of(terms), ORDER))
        except AssertionError as error:
            raise AssertionError(text) from error


def test_compositions_use_every_elementary_primitive():
    assert len(COMPOSED) >= 20


# --- programs -------------------------------------------------------------------------------------------------

QUICK = {"scan", "scan_nested", "custom_jvp", "softmax_regression", "cond_in_scan", "dynamic_slices", "gather_scatter"}
APART = {"bfloat16", "callback"}
"""One has three digits, one calls foreign code."""


def doubled(leaf):
    return jnp.asarray(np.asarray(leaf).astype(np.float64)) if getattr(leaf, "dtype", None) == np.float32 else leaf


@pytest.mark.parametrize(
    "case",
    corpus(
        lambda c: c.group == "program" and c.name.removeprefix("program.") not in APART,
        slow=lambda c: c.name.removeprefix("program.") not in QUICK,
    ),
)
def test_programs(case):
    args = jax.tree.map(doubled, case.make())
    traced = trace(case.fun, *args)
    at = {i: traced.leaves[i] for i in traced.free}
    rng = np.random.default_rng(0)
    along = {i: jnp.asarray(rng.standard_normal(x.shape), x.dtype) for i, x in at.items()}

    def series(points, order):
        inputs = [(points[i], along[i]) if i in points else (leaf,) for i, leaf in enumerate(traced.leaves)]
        found = expand(traced.graph, inputs, order)[0]
        assert not isinstance(found, Unknown), str(found)
        return [jnp.zeros_like(found[0]) if term is None else term for term in found]

    order = 4
    mine = jax.jit(lambda p: series(p, order))(at)
    _, moved = jax.jit(lambda p: jax.jvp(lambda q: series(q, order - 1), (p,), (along,)))(at)
    assert_equal(mine[1:], [term / (k + 1) for k, term in enumerate(moved)], rtol=1e-10)


def test_a_program_without_custom_rules_begins_as_its_own_derivative():
    fun = lambda x: lax.fori_loop(0, 3, lambda i, c: jnp.sin(c) * x, x).sum()  # noqa: E731
    x, d = jnp.asarray([0.3, 1.1]), jnp.asarray([1.0, -2.0])
    mine = coefficients(fun, (x, d), 1)
    assert_equal(mine, jax.jvp(fun, (x,), (d,)))
