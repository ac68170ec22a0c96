"""The tables as a whole: look-up, laziness, TeX, and the three libraries."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys

import flint
import numpy as np
import pytest

import qed.facts
from qed import facts
from qed.facts.card import entry
from qed.facts.expression import parse
from qed.facts.table import rule

MODULES = [f"qed.facts.{module.name}" for module in pkgutil.iter_modules(qed.facts.__path__)]


@pytest.mark.parametrize("name", ["qed.facts", *MODULES])
def test_examples(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_importing_the_facts_imports_no_library():
    program = "import sys, qed.facts; print([m for m in ('jax', 'numpy', 'scipy', 'flint') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_about_forty_cards():
    assert len(facts.CARDS) >= 38 and set(facts.FAMILIES) == {"integer_pow", "power", "psi"}
    assert all(name == card.name for name, card in facts.CARDS.items())


def test_look_up():
    assert facts.card("dot_general") is None
    assert facts.card("integer_pow", y=2) is facts.card("integer_pow", y=2, accuracy=None)
    with pytest.raises(TypeError, match="say which by y="):
        facts.card("integer_pow")
    with pytest.raises(KeyError, match="no_such"):
        rule("no_such")
    assert facts.arithmetic("add", 2) is facts.ARITHMETIC["add"]
    assert facts.arithmetic("add", 3) is None and facts.arithmetic("exp", 1) is None


def test_powers_with_an_integer_exponent_are_integer_powers():
    assert facts.card("power", exponent=3.0) == facts.card("integer_pow", y=3)
    tenth = facts.card("power", exponent=0.1)
    assert tenth is not None and dict(tenth.parameters)["exponent"] == 0.1


@pytest.mark.parametrize("name", sorted({*facts.CARDS} - {"reciprocal"}))
def test_every_card_computes_in_every_library(name):
    card = facts.CARDS[name]
    x = 1.25 if card.defined_at(1.25) else 0.5
    with flint.ctx.workprec(200):
        exact = float(card.ball(flint.arb(x)).mid())
    assert float(card.numpy(np.float64(x))) == pytest.approx(exact, rel=1e-12)
    assert float(card.jax(x)) == pytest.approx(exact, rel=1e-5)


def test_defined_at():
    assert facts.CARDS["tan"].defined_at(1.5) and not facts.CARDS["lgamma"].defined_at(-3.0)
    assert not facts.CARDS["acosh"].defined_at(0.5) and not facts.CARDS["sqrt"].defined_at(float("nan"))


def test_a_card_made_elsewhere_uses_its_own_functions():
    own = entry("soft", "logistic(x)", limits="0, inf", numpy="", jax="", flint="", definition="log1p(exp(x))")
    assert float(own.numpy(0.0)) == pytest.approx(np.log(2))
    with flint.ctx.workprec(100):
        assert own.ball(flint.arb(0)).overlaps(flint.arb(2).log())


@pytest.mark.parametrize("card", facts.CARDS.values(), ids=lambda card: card.name)
def test_tex(card):
    """The value, the derivative and the second derivative print, with balanced braces and no leftover slots."""
    formulas = [
        facts.tex(card.derivative),
        facts.tex(facts.derivative_of(card, 2)),
        card.tex_of("u"),
        card.tex_of("u + v"),
    ]
    for text in formulas:
        assert text.count("{") == text.count("}")
    assert "u" in card.tex_of("u") and "{x}" not in card.tex_of("u")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 - y*y", "1 - y^{2}"),
        ("-x/(2*y)", r"-\frac{x}{2 y}"),
        ("x*2", r"x \cdot 2"),
        ("c1*upper", r"c_{1} \mathrm{upper}"),
        ("3*y*y", "3 y^{2}"),
        ("log(x)*y", r"(\log x) y"),
        ("y*expm1(x)", "y (e^{x} - 1)"),
        ("log1p(x)*neg(y)", r"\log(1 + x) (-y)"),
        ("log(x)*log(x)", r"(\log x)^{2}"),
        ("y*log(x)", r"y \log x"),
        ("(x + 1)*y", "(x + 1) y"),
        ("x - (y - 1)", "x - (y - 1)"),
        ("sin(x + y)", r"\sin (x + y)"),
        ("exp(x + y)", "e^{x + y}"),
        ("square(x + 1)", "(x + 1)^2"),
        ("div(1/y, x)", r"\frac{\frac{1}{y}}{x}"),
        ("max(x, y + 1)", r"\max(x, (y + 1))"),
        ("integer_pow(x, y=3)*2", r"{x}^{3} \cdot 2".replace("{x}", "x")),
        ("1 if x >= 0 else -1", r"\begin{cases} 1 & x \ge 0 \\ -1 & \text{otherwise} \end{cases}"),
    ],
)
def test_tex_of_formulas(text, expected):
    assert facts.tex(parse(text)) == expected


def test_tex_of_operations():
    assert facts.ARITHMETIC["div"].tex_of("a", "b") == r"\frac{a}{b}"
    assert facts.ARITHMETIC["mul"].tex_of("a + b", "c") == r"(a + b) \cdot c"


def test_polynomial():
    card = facts.arithmetic("polynomial", 4)
    assert card is not None and card.arguments == ("x", "c0", "c1", "c2")
    values = {"x": 2.0, "c0": 1.0, "c1": 5.0, "c2": 2.0}
    assert card.value.definition.evaluate(arithmetic=facts.NUMPY, **values) == 19.0
    slopes = [partial.evaluate(arithmetic=facts.NUMPY, **values) for partial in card.partials]
    assert slopes == [13.0, 1.0, 2.0, 4.0]
