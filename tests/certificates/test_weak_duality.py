"""Certificates of weak duality hold for what they say, and for nothing that differs from it."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from qed.calculus.shapes.found import terms
from qed.calculus.shapes.rules import Rules
from qed.calculus.shapes.strong import strong_constant
from qed.certificates.certificate import Certificate, Subject
from qed.certificates.convexity import rows_of
from qed.certificates.stacked import stacked
from qed.certificates.weak_duality import WeakDuality, combined
from qed.domains.curvature_terms import Terms
from qed.errors import CertificateError
from qed.optimization.constrained.convexity import proof_of

OPEN = ([[-np.inf, -np.inf]], [[np.inf, np.inf]])


def bound(fun, weights, *, objective=0, equalities=0, box=OPEN, point=(0.0, 0.0), least=1e-3, shape=False):
    """A certificate, with a proof of convexity if `shape` asks for one."""
    from fractions import Fraction

    strong, rows = 0.0, ()
    if shape:
        traced = Subject(fun, jnp.zeros(2)).traced()
        algebra, forms = terms(traced, *([np.array(side[0])] for side in box), 1000)
        phi = combined(algebra, forms, list(map(Fraction, weights)), objective)
        strong, step = strong_constant(Rules(algebra), phi)
        rows = proof_of(Rules(algebra), phi) if step is None else rows_of(step)
    return WeakDuality.about(
        fun, jnp.zeros(2), (), box=box, objective=objective, equalities=equalities, weights=weights, point=point,
        bound=least, rows=rows, strong=strong,
    )  # fmt: skip


APART = stacked(lambda x: x @ x, None, lambda x: (x[0] + x[1] - 3, 2 - x[0] - x[1], x[0]))
DISC = stacked(lambda x: x[0], lambda x: x @ x - 1, lambda x: x[0] + x[1] - 3)
PRICE = stacked(lambda x: x @ x, lambda x: x[0] + x[1] - 2)
MADE = {
    "affine": lambda: bound(APART, ["1", "1", "0"], least=0.999),
    "a corner": lambda: bound(
        stacked(lambda x: x @ x, None, lambda x: x[0] + x[1] - 3), ["1/3"], box=([[-np.inf, -np.inf]], [[1.0, 1.0]]),
        least=0.333,
    ),
    "convex": lambda: bound(DISC, ["-1/2", "1"], equalities=1, point=(1.0, 1.0), least=1.49, shape=True),
    "a range": lambda: bound(stacked(lambda x: x @ x, None, lambda x: jnp.sin(x[0]) - 2), ["1"], least=0.99),
    "a dual value": lambda: bound(
        PRICE, ["2"], objective=1, equalities=1, point=(1.0, 1.0), least=1.999, shape=True
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_it_verifies_and_comes_back_from_json(name):
    made = MADE[name]()
    assert made.verify()
    assert Certificate.from_json(made.to_json()).verify(made.subject.fun, jnp.zeros(2))


ALTERED = [
    ("affine", {"function": "0" * 64}),
    ("affine", {"bound": 1.001}),
    ("affine", {"bound": -1.0}),
    ("affine", {"bound": np.inf}),
    ("affine", {"objective": 2}),
    ("affine", {"weights": ("1", "9/10", "0")}),
    ("affine", {"weights": ("1", "1")}),
    ("affine", {"weights": ("1", "1", "-1")}),
    ("affine", {"weights": ("1", "one", "0")}),
    ("affine", {"weights": ("1", "1", "1/100")}),
    ("affine", {"equalities": 7}),
    ("affine", {"strong": 1.0}),
    ("affine", {"point": (np.nan, 0.0)}),
    ("a corner", {"box_upper": ((1.0, 2.5),)}),
    ("a corner", {"box_lower": ((-np.inf, 2.0),)}),
    ("convex", {"equalities": 0}),
    ("convex", {"weights": ("1/2", "1")}),
    ("convex", {"strong": 1.1}),
    ("convex", {"strong": 0.0}),
    ("convex", {"point": (0.0,)}),
    ("convex", {"rows": ()}),
    ("convex", {"bound": 1.51}),
    ("a range", {"bound": 1.01}),
    ("a dual value", {"bound": 2.001}),
    ("a dual value", {"weights": ("-2",)}),
    ("a dual value", {"objective": 0}),
]


IDS = [f"{name}: {next(iter(fields))}" for name, fields in ALTERED]


@pytest.mark.parametrize(("name", "fields"), ALTERED, ids=IDS)
def test_a_false_claim_is_not_believed_with_or_without_a_fresh_seal(name, fields):
    changed = replace(MADE[name](), **fields)
    for one in (changed, changed.sealed()):
        with pytest.raises(CertificateError):
            one.verify()


@pytest.mark.parametrize(
    ("fun", "weights", "more"),
    [
        (stacked(lambda x: x @ x, None, lambda x: (x[0] + x[1] - 3, 3 - x[0] - x[1])), ["1", "1"], {}),
        (stacked(lambda x: x @ x, None, lambda x: (x[0] * x[1] - 1,)), ["1"], {}),
        (stacked(lambda x: x @ x, None, lambda x: (jnp.log(x[0]) - x[0] + 0.99,)), ["1"], {}),
        (stacked(lambda x: x[0] ** 3, None, lambda x: x[0] + 1), ["0"], {"objective": 1, "least": -1e9}),
    ],
    ids=["touching", "a product", "may be satisfied", "no lower bound"],
)
def test_what_can_be_satisfied_or_has_no_bound_is_not_proved(fun, weights, more):
    with pytest.raises(CertificateError):
        bound(fun, weights, **more).verify()


def test_a_convex_function_that_jumps_at_an_end_is_not_above_the_slope_of_one_branch():
    edge = stacked(lambda x: x[0] + jnp.where(x[0] > 0, 0.0, 1.0) + x[1] ** 2)
    box = ([[0.0, 0.0]], [[1.0, 1.0]])
    assert bound(edge, [], objective=1, box=box, point=(0.5, 0.0), least=-0.1, shape=True).verify()
    with pytest.raises(CertificateError, match="point"):
        bound(edge, [], objective=1, box=box, least=0.9, shape=True).verify()


def test_what_the_search_takes_for_a_sum_of_squares_is_looked_at_again(monkeypatch):
    monkeypatch.setattr(Terms, "_is_sum_of_squares", lambda self, form: True)
    saddle = stacked(lambda x: x[0] ** 2 - 3 * x[0] * x[1] + x[1] ** 2)
    with pytest.raises(CertificateError, match="taken for a sum of squares"):
        bound(saddle, [], objective=1, least=-1.0).verify()
