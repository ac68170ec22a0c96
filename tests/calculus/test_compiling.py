"""Long programs: compiled without what makes XLA slow, to the same numbers; linearized only at their first points."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from qed.calculus import compiling, sparse
from qed.calculus.compiling import LONG, of_products, quickly, seldom, work
from qed.calculus.sparse import sparse_hessian
from qed.graph.function import read


def long(x):
    total = jnp.zeros(())
    for i in range(8):
        total += (x[i % 3] * jnp.exp(-x[(i + 1) % 3] * i / 8) - 0.1 * i) ** 2 / (1 + x[2] ** 2)
    return total


def test_the_option_changes_no_number():
    """JAX 0.10 knows it, 0.12 does not."""
    x = jnp.array([0.3, 0.4, 0.5])
    found = quickly(jax.value_and_grad(long), LONG)(x)
    assert all(np.allclose(a, b, rtol=1e-5) for a, b in zip(found, jax.value_and_grad(long)(x), strict=True))


def test_short_calls_are_compiled_without_optimization_to_the_same_numbers(monkeypatch):
    """Up to the bound, and only where the compiler takes the options; a loop without a known length is not short."""
    asked = []
    monkeypatch.setattr(compiling, "seldom", lambda fun, **options: asked.append(fun) or seldom(fun, **options))
    x = jnp.array([0.3, 0.4, 0.5])
    slope = jax.grad(long)
    once = compiling.BRIEF
    for operations, calls, many in ((once, 1, 1), (once, 2, 1), (once / 1000, 1000, 2), (np.inf, 1, 2)):
        found = quickly(slope, 0, operations, calls)(x)
        assert np.allclose(found, slope(x), rtol=1e-5)
        assert len(asked) == many
    halving = read(lambda x: jax.lax.while_loop(lambda v: jnp.sum(v) > 1, lambda v: v / 2, x).sum(), x)
    assert work(halving) == np.inf
    assert work(read(long, x)) < 1000


def test_only_products_of_matrices_are_given_to_the_library():
    """Not the sum between two of them; the numbers are the same."""

    def layers(a, b):
        h = a @ b
        return (h - jnp.mean(h, -1, keepdims=True)) @ b

    a, b = jnp.linspace(-1, 1, 2048 * 32).reshape(2048, 32), jnp.linspace(-1, 1, 32 * 32).reshape(32, 32)
    compiled = of_products(layers).lower(a, b).compile()
    assert np.allclose(compiled(a, b), jax.jit(layers)(a, b), rtol=1e-5, atol=1e-6)
    assert compiled.as_text().count("kind=kCustom") <= 2


def test_a_long_hessian_is_compiled_once_it_is_asked_at_more_points(monkeypatch):
    """The first points, the later ones and JAX's own Hessian agree; a longer one than LONGEST stays linearized."""
    monkeypatch.setattr(sparse, "MANY", 50)
    monkeypatch.setattr(sparse, "known", lambda: True)
    x = jnp.array([0.3, 0.4, 0.5])
    function, truth = read(long, x), jax.hessian(long)(x)
    assert function.graph.count() > sparse.MANY
    hessian = sparse_hessian(function)
    for _ in range(sparse.FEW + 2):
        assert np.allclose(hessian((x,)).toarray(), truth, rtol=1e-4, atol=1e-4)
    monkeypatch.setattr(sparse, "LONGEST", 10)
    assert np.allclose(sparse_hessian(function)((x,)).toarray(), truth, rtol=1e-4, atol=1e-4)


def test_the_committed_benchmark_is_told():
    path = Path(__file__).parents[2] / "benchmarks" / "results" / "compiling.json"
    told = json.loads(path.read_text(encoding="utf-8"))["summary"]
    least, most = told["times as fast, least and most"]
    longer = told["a call longer by, at most, microseconds"]
    for page in ("benchmarks/README.md", "docs/adr/0018-short-calls-are-not-optimised.md"):
        text = " ".join((path.parents[2] / page).read_text(encoding="utf-8").split())
        assert f"{least} to {most} times as fast" in text
        assert f"a call takes at most {longer} microseconds longer" in text
