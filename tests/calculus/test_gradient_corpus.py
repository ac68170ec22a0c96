"""The labels of the corpus of `qed.check_gradient` are true, whatever the verb says.

Each case carries a second program with the same values whose derivative nobody wrote by hand. In float64, the two
gradients differ where the label says wrong, agree where it says right, and so on.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.calculus.gradient_corpus.case import CASES, HALVES, KINDS, precision
from tests.calculus.gradient_corpus.everything import FILES


def flat(fun, x):
    """The function of the floating leaves as one vector, and that vector."""
    leaves, tree = jax.tree.flatten(x)
    floats = [i for i, leaf in enumerate(leaves) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    sizes = [leaves[i].size for i in floats]
    vector = jnp.concatenate([leaves[i].reshape(-1) for i in floats])

    def of(v):
        full, start = list(leaves), 0
        for i, size in zip(floats, sizes, strict=True):
            full[i] = v[start : start + size].reshape(leaves[i].shape)
            start += size
        return fun(jax.tree.unflatten(tree, full))

    return of, vector


def gradient(case, fun, x, args):
    of, v = flat(lambda x: fun(x, *args), x)
    return np.asarray(jax.jit((jax.grad if case.reverse else jax.jacfwd)(of))(v))


def relative(a, b):
    """Largest difference relative to the larger of the two numbers and a millionth of the largest."""
    scale = np.maximum(np.abs(a), np.abs(b))
    return np.max(np.abs(a - b) / np.maximum(scale, 1e-6 * np.max(scale) + 1e-300))


def gradients(case, args=None):
    fun, truth = case.make()
    x, data = case.at("float64")
    data = data if args is None else args
    if case.same_values:
        assert np.allclose(fun(x, *data), truth(x, *data), rtol=1e-5, atol=1e-12), "not the same function"
    return gradient(case, fun, x, data), gradient(case, truth, x, data)


def along(case, fun, x, args):
    """(slope by jax.grad, difference quotient, error bar) along one direction, each coordinate in its own scale.

    The quotient is the entry with the smallest bar of a Richardson table (Ridders, Adv. Eng. Software 4, 1982).
    """
    of, v = flat(lambda x: fun(x, *args), x)
    d = np.where(v == 0, 1.0, np.abs(v)) * np.random.default_rng(5).choice([-1, 1], v.shape)
    d = jnp.asarray(d * np.random.default_rng(6).uniform(1, 1.5, v.shape))
    line = jax.jit(lambda t: of(v + t * d))
    table: list[list[float]] = []
    best = (np.inf, np.nan)
    for k in range(16):
        h = 0.03 / 3**k
        row = [float(line(h) - line(-h)) / (2 * h)]
        for m in range(1, k + 1):
            row.append(row[m - 1] + (row[m - 1] - table[k - 1][m - 1]) / (9**m - 1))
            bar = max(abs(row[m] - row[m - 1]), abs(row[m] - table[k - 1][m - 1]))
            best = min(best, (bar, row[m]))
        table.append(row)
    return float(jnp.vdot(jax.jit(jax.grad(of))(v), d)), best[1], best[0]


def one_sided(case):
    """Slopes to both sides along a direction without small entries, in float64."""
    fun, _ = case.make()
    x, args = case.at("float64")
    of, v = flat(lambda x: fun(x, *args), x)
    d = np.random.default_rng(7).uniform(0.5, 2, v.shape)
    h = 1e-6
    return (of(v + h * d) - of(v)) / h, (of(v) - of(v - h * d)) / h


def labelled(case):
    """Whether the label is true."""
    if case.kind == "kink":
        right, left = one_sided(case)
        return abs(right - left) > 1e-3 * (abs(right) + abs(left))
    fun, truth = case.make()
    if fun is truth and case.kind == "correct" and case.reverse:
        slope, quotient, bar = along(case, fun, *case.at("float64"))
        assert bar < 1e-2 * abs(quotient), "the quotient says nothing"
        return abs(slope - quotient) < 10 * bar + case.tolerance * abs(slope)
    found, true = gradients(case)
    if case.kind == "nonfinite":
        return not np.all(np.isfinite(found))
    if not np.all(np.isfinite(found)):
        return False
    if case.kind in ("wrong", "surrogate"):
        return relative(found, true) > case.difference
    if case.kind == "correct":
        return relative(found, true) < case.tolerance
    if case.kind == "second":
        return relative(found, true) < 1e-9 and relative(*curvatures(case)) > case.difference
    there = jax.tree.map(jnp.asarray, (case.elsewhere,))
    return relative(found, true) < 1e-9 and relative(*gradients(case, there)) > case.difference


def curvatures(case):
    x, args = case.at("float64")
    d = np.random.default_rng(5).uniform(1, 1.5, x.shape)
    for fun in case.make():
        yield np.asarray(jax.grad(lambda x, fun=fun: jnp.vdot(jax.grad(lambda x: fun(x, *args))(x), d))(x))


SLOW = {case.name for case in CASES.values() if case.kind == "correct" or case.half == "examination"}
"""Half of the corpus, and library functions at work, which take long to compile: every second one is asked."""
ASKED = [name for k, name in enumerate(CASES) if name not in SLOW or k % 2]


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in ASKED])
def test_the_label_is_true(name):
    case = CASES[name]
    with precision("float64"):
        assert labelled(case)
        value = case.make()[0](case.at("float64")[0], *case.at("float64")[1])
        assert np.isfinite(value)
    with precision("float32"):
        x, args = case.at("float32")
        value = case.make()[0](x, *args)
        assert value.dtype == jnp.float32 and np.isfinite(value)
        if case.kind == "correct":
            assert np.all(np.isfinite(gradient(case, case.make()[0], x, args)))


def test_the_corpus_is_large_and_marked():
    assert len(FILES) == 10
    assert len(CASES) > 100
    for half in HALVES:
        assert {case.kind for case in CASES.values() if case.half == half} == set(KINDS)
    for case in CASES.values():
        _, calls = case.lines
        if case.kind in ("wrong", "second", "latent"):
            assert calls, case.name
