"""The law of walking: in the value domain it equals JAX's own evaluation, equation by equation, bit for bit.

JAX's own is ``with jax.disable_jit(): fun(*args)``: no compilation, loops unrolled, branches taken. The user's
eager and compiled runs round differently; they agree within the bound of qed.domains.rounding, or the verdict is
"depends on compilation".
"""

import inspect
import math

import jax
import jax.numpy as jnp
import jax.scipy.special as special
import numpy as np
import optax
import pytest

from qed.domains.forward import Unknown
from qed.domains.rounding import Agreement, compare, rounding_bound
from qed.domains.shadow import Shadow
from qed.domains.value import Value
from qed.graph.trace import is_float, trace
from qed.graph.walk import Walker
from tests.conftest import OPTIMIZED
from tests.corpus import CORPUS, corpus, covered, value_at_its_point

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:optax", "ignore:The function .* is deprecated")


def walked(fun, *args):
    traced = trace(fun, *args)
    return [cell.values[0] for cell in Walker([Value()]).run(traced.graph, traced.leaves)]


def same_bits(mine, theirs):
    mine, theirs = np.asarray(mine), np.asarray(theirs)
    assert (mine.dtype, mine.shape) == (theirs.dtype, theirs.shape)
    both_nan = (mine != mine) & (theirs != theirs)
    view = f"V{mine.dtype.itemsize}"
    assert np.all((mine.view(view) == theirs.view(view)) | both_nan), (mine, theirs)


def agree(fun, *args, mine=None):
    mine = walked(fun, *args)[0] if mine is None else mine
    with jax.disable_jit():
        theirs = fun(*args)
    same_bits(mine, theirs)


@pytest.mark.parametrize("case", corpus(lambda case: case.eager))
def test_plain(case):
    agree(case.fun, *case.make(), mine=value_at_its_point(case.name))


TRANSFORMED = [
    ("program.two_calls_of_one_cached_function", False),
    ("program.softmax_regression", False),
    ("program.scan_nested", True),
    ("program.cond_vmapped", True),
    ("program.custom_jvp", False),
    ("program.remat_with_policy", True),
    ("program.sorting", True),
    ("program.dropout", True),
    ("program.gather_scatter", True),
    ("optax.softmax_cross_entropy", True),
    ("nn.gelu", True),
    ("nn.attention_masked", True),
    ("special.xlogy", True),
    ("linalg.solve", True),
    ("equinox.mlp", True),
    ("flax.linen_conv", True),
    ("flax.nnx_attention", True),
    ("numpyro.StudentT", True),
    ("numpyro.Categorical", True),
]
PARAMETERS = [pytest.param(CORPUS[n], id=n, marks=[pytest.mark.slow] if s else []) for n, s in TRANSFORMED]


def of_leaves(fun, first, *rest):
    """The function of the floating leaves of its first argument, and these leaves."""
    leaves, tree = jax.tree.flatten(first)
    positions = [i for i, leaf in enumerate(leaves) if is_float(leaf)]

    def closed(values):
        full = list(leaves)
        for position, value in zip(positions, values, strict=True):
            full[position] = value
        return fun(jax.tree.unflatten(tree, full), *rest)

    return closed, [leaves[i] for i in positions]


def twice(leaves):
    return [jnp.stack([leaf, leaf * 0.5]) for leaf in leaves]


def under_jit(fun, *args):
    closed, leaves = of_leaves(fun, *args)
    return jax.jit(closed), leaves


def under_grad(fun, *args):
    closed, leaves = of_leaves(fun, *args)
    return lambda values: sum(jnp.sum(g) for g in jax.grad(closed)(values)), leaves


def under_vmap(fun, *args):
    closed, leaves = of_leaves(fun, *args)
    return lambda rows: jnp.sum(jax.vmap(closed)(rows)), twice(leaves)


def under_scan(fun, *args):
    closed, leaves = of_leaves(fun, *args)
    step = lambda total, row: (total + closed(row), None)  # noqa: E731
    return lambda rows: jax.lax.scan(step, jnp.zeros(()), rows)[0], twice(leaves)


@pytest.mark.parametrize("transform", [under_jit, under_grad, under_vmap, under_scan], ids=lambda f: f.__name__)
@pytest.mark.parametrize("case", PARAMETERS)
def test_transformed(case, transform):
    agree(*transform(case.fun, *case.make()))


BESIDE = [name for name in CORPUS if name.startswith("program.") and not CORPUS[name].slow]
TURNS = [set(list(CORPUS)[k::4]) for k in (0, 2)]
"""One quarter of the corpus is compiled, another is followed by the shadow; programs are asked for both."""


def compared(case):
    args = case.make()
    traced = trace(case.fun, *args)
    mine = value_at_its_point(case.name)
    bound = rounding_bound(traced.graph, traced.leaves)
    compiled = jax.jit(lambda *leaves: case.fun(*traced.rebuild(leaves)[0]))(*traced.leaves)
    return [compare(mine, run, bound) for run in (case.fun(*args), compiled)]


@pytest.mark.parametrize(
    "case", corpus(lambda case: case.name in TURNS[0].union(BESIDE), lambda case: case.name not in BESIDE[::4])
)
def test_the_users_runs_agree_within_the_bound(case):
    for comparison in compared(case):
        if case.name == "special.spence" and comparison.bound is None:  # a guarded log(0) has adjoint nan
            assert comparison.walked == pytest.approx(comparison.other, rel=1e-6)
            continue
        assert comparison.agreement is not Agreement.DEPENDS, comparison
        assert comparison.bound is not None
        assert comparison.bound <= 0.5 * abs(comparison.walked) + 1e-6 or "16" in case.name, "the bound says something"


def test_where_compilation_decides_it_is_said():
    def edge(x, z):
        return 1 / (x * x - z)

    x = jnp.float32(1 + 2**-12)
    (mine,) = walked(edge, x, x * x)
    verdict = compare(mine, jax.jit(edge, compiler_options=OPTIMIZED)(x, x * x), None)
    assert (verdict.walked, verdict.agreement) == (math.inf, Agreement.DEPENDS)
    assert math.isfinite(verdict.other)


def test_a_branch_taken_differently_depends_on_compilation():
    assert compare(1.0, 2.0, 1e-5).agreement is Agreement.DEPENDS
    assert compare(math.nan, math.nan, None).agreement is Agreement.EQUAL
    assert compare(math.nan, math.inf, None).agreement is Agreement.DEPENDS
    assert compare(1.0, 1.0 + 1e-6, 1e-5).agreement is Agreement.ROUNDING
    assert compare(1.0, 1.0 + 1e-6, None).agreement is Agreement.DEPENDS


def test_the_bound_catches_an_error_beyond_rounding():
    traced = trace(lambda x: jnp.sum(jnp.exp(x)), jnp.ones(3))
    bound = rounding_bound(traced.graph, traced.leaves)
    exact = 3 * math.e
    assert 1e-7 < bound / exact < 1e-5
    assert compare(exact, exact * (1 + 1e-4), bound).agreement is Agreement.DEPENDS


@pytest.mark.parametrize(
    "case", corpus(lambda case: case.name in TURNS[1].union(BESIDE), lambda case: case.name not in BESIDE[::6])
)
def test_the_shadow_follows_every_program(case):
    traced = trace(case.fun, *case.make())
    ((value, shadow),) = (cell.values for cell in Walker([Value(), Shadow()]).run(traced.graph, traced.leaves))
    assert not isinstance(shadow, Unknown)
    low = "16" in case.name or "mixed" in case.name
    np.testing.assert_allclose(float(shadow), float(value), rtol=2e-2 if low else 1e-3, atol=1e-5)


def test_a_loop_of_no_steps():
    case = CORPUS["program.scan_of_length_zero"]
    (mine,) = walked(case.fun, *case.make())
    assert float(mine) == float(case.fun(*case.make()))


def test_the_corpus_is_complete():
    cases = list(CORPUS.values())
    losses = {name for name in dir(optax.losses) if inspect.isfunction(getattr(optax.losses, name))}
    assert losses - {case.name.removeprefix("optax.") for case in cases} == set()
    not_losses = {"dot_product_attention", "get_scaled_dot_general_config", "scaled_dot_general", "scaled_matmul"}
    assert covered(jax.nn, "nn", cases) <= not_losses
    assert covered(special, "special", cases) == set()
    assert covered(jnp.linalg, "linalg", cases) <= {"eig"}
