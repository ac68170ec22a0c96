"""The law of the rewriting: no value and no gradient loses more than 1 bit more than before, wherever it is defined.

Random compositions, at random points besides; the truth in balls of 200 bits and more (`scoring`). What is worse than
before by over 1 bit, and loses more than 3 bits, breaks the law.
"""

from __future__ import annotations

import os
import random

import jax
import jax.numpy as jnp
import pytest

import qed
from tests.numerics import scoring

EXAMPLES = max(1, int(24 * float(os.environ.get("QED_LAW_EXAMPLES", "1"))))
UNARY = """exp({}) log({}) sqrt({}) ({})**2 tanh({}) sigmoid({}) sin({}) cos({}) log1p({}) expm1({}) abs({}) ({})**3
1/({}) 1-({}) 1+({}) ({})-1 2*({}) -({}) arctan({}) ({})**-2 cosh({}) erf({}) ({})**1.5 softplus({})
where(x>0.5,{},y)""".split()
BINARY = "({})+({}) ({})-({}) ({})*({}) ({})/({}) maximum({},{}) ({})-({}) ({})/({})".split()
LEAVES = "x y x y x y 0.5 2.0 1.0".split()
NAMES = {name: getattr(jnp, name) for name in "exp log sqrt tanh sin cos log1p expm1 abs arctan cosh where".split()}
NAMES |= {"maximum": jnp.maximum, "sigmoid": jax.nn.sigmoid, "softplus": jax.nn.softplus, "erf": jax.scipy.special.erf}
KNOWN = frozenset({28})
"""Seeds for which the law is seen to be broken: the gradient of cosh(sin(tanh y))^-2, 1.1 -> 3.2 bits in float64."""
ENDS = [(0.3, 0.7), (5.0, -2.0), (0.9, 1e-4), (-3.0, -1.5), (30.0, 29.0)]


def drawn(draw, depth=4):
    """A random expression in x and y; every third operation has related operands."""
    if depth == 0 or draw.random() < 0.08:
        return draw.choice(LEAVES)
    if draw.random() < 0.5:
        return draw.choice(UNARY).format(drawn(draw, depth - 1))
    operation = draw.choice(BINARY)
    first = drawn(draw, depth - 1)
    if draw.random() > 0.35:
        return operation.format(first, drawn(draw, depth - 1))
    second = draw.choice(["({})+y", "({})*2.0", "{}", "({})+1", "1.0", "-({})"]).format(first)
    if draw.random() < 0.6:
        around = draw.choice(UNARY[:20])
        first, second = around.format(first), around.format(second)
    return operation.format(first, second)


def case(seed):
    """The expression of a seed as a case of the corpus: fixed points, and others of all magnitudes."""
    draw = random.Random(seed)
    text = drawn(draw)
    function = eval(f"lambda x, y: 0 * x + 0 * y + ({text})", NAMES)  # text is drawn from the tables above
    others = [tuple(draw.choice([-1, 1]) * 10 ** draw.uniform(-5, 1.7) for _ in range(2)) for _ in range(5)]
    return text, scoring.Stability("law", "law", function, (*ENDS, *others))


def worse(seed, dtype):
    """Where the rewriting of a seed's function breaks the law; None where nothing is to be judged."""
    text, found = case(seed)
    try:
        truths = scoring.truths(found, dtype)
    except ZeroDivisionError:  # of two numbers of the text itself
        return None
    if all(truth.value is None for truth in truths):
        return None
    before = scoring.losses(found.fun, found, dtype, truths)
    after = scoring.losses(qed.stabilize(found.fun), found, dtype, truths)
    return [
        f"{text} at {tuple(map(float, point))} in {dtype}: {what} {old:.1f} -> {new:.1f} bits"
        for what in ("value", "gradient")
        for point, old, new in zip(found.at(dtype), getattr(before, what), getattr(after, what), strict=True)
        if new > scoring.FIXED and new > old + scoring.WORSE
    ]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_is_ever_worse(dtype, monkeypatch):
    monkeypatch.setattr(scoring, "STEPS", (300, 1500))
    judged = [found for seed in range(EXAMPLES) if seed not in KNOWN and (found := worse(seed, dtype)) is not None]
    assert len(judged) > EXAMPLES // 3
    assert not [line for found in judged for line in found]


@pytest.mark.slow
@pytest.mark.xfail(reason="the law does not hold for these yet", strict=False)
@pytest.mark.parametrize("seed", sorted(KNOWN))
def test_what_is_known_to_be_worse(seed, monkeypatch):
    monkeypatch.setattr(scoring, "STEPS", (300, 1500))
    assert not [line for dtype in ("float32", "float64") for line in worse(seed, dtype) or ()]


def test_the_law_sees_what_is_worse():
    found = scoring.Stability("law", "law", lambda x: jnp.exp(x), ((1.0,),))
    truths = scoring.truths(found, "float32")
    before = scoring.losses(found.fun, found, "float32", truths)
    after = scoring.losses(lambda x: (jnp.exp(x) + 1e6) - 1e6, found, "float32", truths, jit=False)
    assert after.worst("value") > max(scoring.FIXED, before.worst("value") + scoring.WORSE)
