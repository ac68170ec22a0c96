"""The law of patterns: no entry is missing, on any program; and on straight-line programs hardly one is too many.

The truth is the derivative that JAX computes, at several points, itself compressed by nothing.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from qed.domains.patterns import hessian_pattern, jacobian_pattern
from qed.graph.dtypes import is_real
from qed.graph.function import read
from tests.corpus import CORPUS, corpus
from tests.laws.random_operations import OPERATIONS
from tests.laws.random_programs import N, program

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:optax", "ignore:The function .* is deprecated")


def patterns(function):
    arrays = [None if i in function.traced.free else leaf for i, leaf in enumerate(function.traced.leaves)]
    outputs = [i for i, atom in enumerate(function.graph.outputs) if is_real(atom.dtype)]
    first = jacobian_pattern(function.graph, arrays, function.traced.free, outputs)
    second = hessian_pattern(function.graph, arrays, function.traced.free)
    return first.matrix().toarray(), second.matrix().toarray()


def test_random_programs_have_no_entry_outside_their_pattern_and_few_have_less(law_examples):
    functions = [program(seed) for seed in range(law_examples(12))]
    derivatives = jax.jit(lambda x: [(jax.grad(f)(x), jax.hessian(f)(x)) for f in functions])
    points = np.random.default_rng(0).uniform(0.3, 1.7, (4, N)).astype(np.float32)
    seen = [jax.tree.map(lambda a: np.asarray(a) != 0, derivatives(point)) for point in points]
    total = beyond = 0
    for k, function in enumerate(functions):
        gradient, hessian = (np.any([found[k][order] for found in seen], axis=0) for order in (0, 1))
        first, second = patterns(read(function, jnp.ones(N)))
        assert not (gradient & ~first[0]).any()
        assert not (hessian & ~second).any()
        beyond += bool((first[0] & ~gradient).any() or (second & ~hessian).any())
        total += second.sum()
    assert total > 4 * len(functions)
    assert beyond <= len(functions) / 10  # x - x, max(x, x + 1): a coincidence of values, not of structure


FAST = ("convolution", "product", "slices", "mapped_loop", "choice")
"""The rest is in the slow part: each operation compiles anew."""


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in FAST else [pytest.mark.slow]) for n in OPERATIONS])
def test_operations_have_no_entry_outside_their_pattern(name, law_examples):
    rng = np.random.default_rng(1)
    for _ in range(law_examples(1)):
        fun, shape = OPERATIONS[name](rng)
        x = jnp.asarray(rng.uniform(-2.2, 2.7, shape), jnp.float32)
        found = np.asarray(jax.jacfwd(fun)(x)).reshape(-1, x.size) != 0
        function = read(fun, x, scalar=False)
        arrays = [None, *function.traced.leaves[1:]]
        pattern = jacobian_pattern(function.graph, arrays, [0]).matrix().toarray()
        assert not (found & ~pattern).any()


def in_programs(case):
    return case.derivative and not case.slow and case.group == "program" and case.name != "program.of_no_elements"


@pytest.mark.parametrize("case", corpus(in_programs, slow=lambda case: len(case.name) % 9 != 0))
def test_programs_have_no_entry_outside_their_pattern(case):
    function = read(case.fun, *case.make())
    flat, rebuild = ravel_pytree(function.parameters)
    second = patterns(function)[1]
    hessian = jax.jit(jax.hessian(lambda v: function.value(rebuild(v))))
    for scale in (1.0, 1.02):
        assert not ((np.asarray(hessian(scale * flat)) != 0) & ~second).any()


@pytest.mark.slow
@pytest.mark.parametrize("group", sorted({case.group for case in CORPUS.values()} - {"program"}))
def test_library_functions_have_no_entry_outside_their_pattern(group):
    for case in CORPUS.values():
        if case.group != group or not case.derivative or case.slow:
            continue
        function = read(case.fun, *case.make())
        flat, rebuild = ravel_pytree(function.parameters)
        hessian = jax.jit(jax.hessian(lambda v, f=function, r=rebuild: f.value(r(v))))(flat)
        assert not ((np.asarray(hessian) != 0) & ~patterns(function)[1]).any(), case.name
