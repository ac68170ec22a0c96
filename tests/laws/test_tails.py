"""The tail domain against balls at points: random compositions, at both far ends and on both sides of a number."""

import random
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.certificates.certificate import placed
from qed.domains.ball import Ball
from qed.domains.balls import Balls
from qed.domains.precision import precision
from qed.domains.tail_forms import Logarithm, Near, Term
from qed.graph.walk import Unknown, Walker
from tests.conftest import LAW_SCALE
from tests.domains.test_tail import at, tail

UNARY = {
    "exp": jnp.exp,
    "log": lambda v: jnp.log(jnp.abs(v)),
    "square": jnp.square,
    "sqrt": lambda v: jnp.sqrt(jnp.abs(v)),
    "neg": lambda v: -v,
    "inverse": lambda v: 1 / v,
    "log1p": lambda v: jnp.log1p(jnp.abs(v)),
    "sin": jnp.sin,
    "cos": jnp.cos,
    "tanh": jnp.tanh,
    "logistic": jax.nn.sigmoid,
    "expm1": jnp.expm1,
    "floor": jnp.floor,
    "abs": jnp.abs,
    "cube": lambda v: v**3,
    "sinh": jnp.sinh,
    "power of itself": lambda v: jnp.abs(v) ** v,
    "erf": jax.lax.erf,
    "log normal": lambda v: jnp.exp(-(jnp.log(jnp.abs(v)) ** 2)),
}
BINARY = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "max": jnp.maximum,
    "logaddexp": jnp.logaddexp,
    "where": lambda a, b: jnp.where(a < b, a, b * a),
}


def drawn(rng, depth):
    if depth == 0 or rng.random() < 0.1:
        constant = rng.choice([1.0, 2.0, -1.0, 0.5, 3.0])
        return (lambda x: x, "x") if rng.random() < 0.65 else (lambda x: jnp.float32(constant), str(constant))
    if rng.random() < 0.5:
        name = rng.choice(sorted(UNARY))
        inner, says = drawn(rng, depth - 1)
        return (lambda x: UNARY[name](inner(x))), f"{name}({says})"
    name = rng.choice(sorted(BINARY))
    (one, first), (two, second) = drawn(rng, depth - 1), drawn(rng, depth - 1)
    return (lambda x: BINARY[name](one(x), two(x))), f"({first} {name} {second})"


def place(arb, s, side):
    """The form of x: the far end of the line for s = None, else beside s."""
    if s is None:
        return Term(arb(side), Fraction(1), arb(0))
    rest = Term(arb(side), Fraction(-1), arb(0))
    return Near(arb(s), rest) if s else rest


def truth(traced, s, side, y):
    point = Balls.point(np.float64(side))
    x = (
        point * Balls.point(np.float64(y))
        if s is None
        else Balls.point(np.float64(s)) + point / Balls.point(np.float64(y))
    )
    (cell,) = Walker([Ball(bits=400)]).run(traced.graph, placed(traced, [x]))
    value = cell.values[0]
    return None if isinstance(value, Unknown) or value.doubt else value.array.item()


@pytest.mark.parametrize("s", [None, 0.0, 1.0, 2.0, -0.5])
def test_the_form_holds_wherever_the_function_is_defined(s):
    rng = random.Random(f"tails beside {s}")
    known = compared = 0
    count = int(24 * LAW_SCALE) + 1
    for _ in range(count):
        fun, says = drawn(rng, rng.choice([2, 3, 4]))
        start, side = rng.choice([8.0, 64.0, 2.0**20]), rng.choice([-1, 1])
        with precision(128) as flint:
            traced, form = tail(fun, start, place(flint.arb, s, side))
            if not isinstance(form, Term | Near | Logarithm):
                continue
            known += 1
            for factor in (1.0, 1.3, 100.0, 2.0**30):
                value = truth(traced, s, side, start * factor)
                if value is not None and value.is_finite():
                    compared += 1
                    assert at(form, flint.arb(start * factor)).overlaps(value), (says, s, side, start, factor)
    assert known >= count / 2 and compared >= count
