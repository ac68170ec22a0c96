"""An answer about real numbers says where the rounding of a cast was left out."""

import jax.numpy as jnp
import pytest
from jax import lax

import qed
from qed.graph.narrowing import narrowings
from qed.graph.trace import trace


def through(dtype):
    return lambda x: 3 * x.astype(dtype).astype(x.dtype) ** 2 + x


ASKED = {
    "enclose": lambda f: qed.enclose(f, (0.0, 2.0)),
    "lipschitz": lambda f: qed.lipschitz(f, (0.0, 2.0)),
    "convexity": lambda f: qed.convexity(f, (0.0, 2.0)),
    "refuted": lambda f: qed.convexity(lambda x: -f(x), (0.0, 2.0)),
    "globally": lambda f: qed.minimize_globally(f, (0.0, 2.0)),
    "taylor": lambda f: qed.taylor(f, 1.0, order=1, radius=0.5),
    "critical": lambda f: qed.critical_point(f, -1 / 6),
    "minimize": lambda f: qed.minimize(f, 1.0),
    "expect": lambda f: qed.expect(f, qed.measures.Uniform(0.0, 1.0)),
    "normalizer": lambda f: qed.normalizer(lambda x: -f(x)),
}


def said(answer):
    return [reason.text for reason in answer.reasons if "is left out" in (reason.text or "")]


@pytest.mark.parametrize("name", ASKED)
def test_the_cast_is_named_with_its_line(name):
    answer = ASKED[name](through(jnp.bfloat16))
    assert answer.standing in ("PROVED", "REFUTED")
    (text,) = said(answer)
    assert "bfloat16" in text
    assert "test_narrowing.py" in text
    assert answer.check()
    assert "is left out" in " ".join(str(answer).split())


def test_nothing_is_said_where_no_cast_shortens():
    assert not said(qed.enclose(through(jnp.float32), (0.0, 2.0)))
    assert not said(qed.enclose(lambda x: x + jnp.int32(3).astype(jnp.bfloat16).astype(jnp.float32), (0.0, 2.0)))


def test_casts_are_counted():
    answer = qed.enclose(lambda x: through(jnp.float16)(x) - through(jnp.bfloat16)(x), (0.0, 2.0))
    (text,) = said(answer)
    assert text.startswith("the rounding of 2 casts to float16, bfloat16 (the first at ")
    graph = trace(lambda x: lax.reduce_precision(x, 8, 3) + lax.reduce_precision(x, 8, 23), 1.0).graph
    assert [equation.params["mantissa_bits"] for equation in narrowings(graph)] == [3]


def test_a_mean_over_a_product_says_what_it_leaves_out():
    square = qed.measures.Uniform([0.0, 0.0], [1.0, 1.0])
    answer = qed.expect(lambda x: jnp.sum(x.astype(jnp.bfloat16).astype(jnp.float32) ** 2), square)
    assert answer.proved and "bfloat16" in said(answer)[0]
