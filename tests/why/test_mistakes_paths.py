"""Parameters that no gradient moves: the pass over the graph finds them, and loses no derivative on its way."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.domains.felt import Flow, State
from qed.graph.trace import trace
from qed.why.mistakes import gradient
from qed.why.prepare import prepare
from tests.corpus import CORPUS

RNG = np.random.default_rng(0)


def normal(*shape):
    return jnp.asarray(RNG.standard_normal(shape), jnp.float32)


X, W = normal(40, 4), normal(4, 3)
Y = X @ jnp.arange(1.0, 5.0)


class Prepares:
    def __init__(self, prepared):
        self.prepared = prepared


def codes(answer):
    return tuple(finding.code for finding in answer.findings)


def fixed(loss, at):
    prepared = prepare(qed.Problem(loss, at))
    return {prepared.paths[item.index]: item.why for item in gradient._fixed(Prepares(prepared))}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_pass_loses_no_derivative_on_the_corpus():
    """Whatever it calls fixed has a gradient of exactly zero, over every function that the laws are checked on."""
    fixed_cases = []
    for name, case in CORPUS.items():
        arguments = case.make()
        traced = trace(case.fun, *arguments)
        flow = Flow(len(traced.free))
        states = [State(1 << flow.count)] * len(traced.graph.inputs)
        for k, position in enumerate(traced.free):
            states[position] = State(1 << k, 1 << k, 1 << k, 1 << k)
        felt = flow.run(traced.graph, states)[0].feels
        lost = [k for k in range(flow.count) if not felt >> k & 1]
        if lost:
            fixed_cases.append(name)
            gradients = [
                g for g in jax.tree.leaves(jax.grad(case.fun)(*arguments)) if jnp.issubdtype(g.dtype, jnp.floating)
            ]
            assert not any(np.asarray(gradients[k]).astype(float).any() for k in lost), name
    assert fixed_cases == ["special.gammasgn"]


def test_paths_are_followed_through_loops_branches_and_rules():
    @jax.custom_vjp
    def passed(x):
        return jnp.round(x)

    passed.defvjp(lambda x: (passed(x), None), lambda _, g: (g,))

    def loss(w):
        def body(carry, row):
            return carry * w["in the loop"] + jnp.sum(row), jnp.floor(w["floored in the loop"]) * carry

        last, rows = jax.lax.scan(body, w["start"], X)
        chosen = jax.lax.cond(w["condition"] > 0, lambda a, b: a, lambda a, b: b**2, w["left"], w["right"])
        count = jax.lax.fori_loop(0, 3, lambda _, c: c * jax.lax.stop_gradient(w["stopped"]), 1.0)
        jitted = jax.jit(lambda v: jnp.where(v > 0, v, 0.1 * v))(w["jitted"])
        return last + rows.sum() + chosen + count + passed(w["custom"]) + jitted + X[0, w["index"].astype(int)]

    at = dict.fromkeys(
        ["in the loop", "floored in the loop", "start", "condition", "left", "right", "stopped", "jitted", "custom"],
        jnp.float32(0.5),
    )
    found = fixed(loss, {**at, "index": jnp.float32(1.0), "spare": jnp.float32(0.0)})
    assert found == {
        "w['floored in the loop']": "cut",
        "w['condition']": "cut",
        "w['stopped']": "stopped",
        "w['index']": "cut",
        "w['spare']": "unused",
    }


def test_a_mask_and_a_rate_among_the_parameters_are_meant():
    def loss(w, key):
        kept = jax.random.uniform(key, X.shape) < w["keep"]
        return jnp.mean(((X * kept) @ (w["w"] * (w["mask"] > 0.5)) - Y) ** 2)

    at = {"w": jnp.zeros(4), "mask": jnp.array([1.0, 0.0, 1.0, 1.0]), "keep": jnp.float32(0.8)}
    for key in (jax.random.key(0), jax.random.PRNGKey(0)):
        assert codes(qed.why(qed.Problem(loss, at, key=key, step=0.05))) == ()


def test_zeros_that_are_rounded_are_no_mask_where_nothing_else_is_trained():
    answer = qed.why(qed.Problem(lambda w: jnp.mean((X @ (jnp.round(8 * w) / 8) - Y) ** 2), jnp.zeros(4), step=0.05))
    assert codes(answer) == ("QED102",) and answer.refuted


def test_bounds_that_are_only_compared_are_a_note_while_others_are_trained():
    def loss(w):
        return jnp.mean((X @ w["w"] + jnp.digitize(X[:, 0], w["bounds"]) - Y) ** 2)

    at = {"w": jnp.zeros(4), "bounds": jnp.array([-0.5, 0.1, 0.7])}
    answer = qed.why(qed.Problem(loss, at, step=0.05))
    assert codes(answer) == ("QED102",)
    assert answer.findings[0].level == "note"
    assert "comparisons" in answer.findings[0].message


def test_an_accuracy_of_several_layers_is_one_finding():
    def loss(w):
        return jnp.mean((X @ w["a"] @ w["b"] > 0) == (Y > 0))

    answer = qed.why(qed.Problem(loss, {"a": W, "b": jnp.ones(3)}, step=0.05))
    assert codes(answer) == ("QED102",)
    assert answer.findings[0].witness["parameters"] == ["w['a']", "w['b']"]
