"""Operations of two and more numbers, with their partial derivatives as formulas in the arguments and z, the value.

The domain is a condition on the arguments: where the real function is defined (`0^0` is 1, as in every float standard).
At a tie the function is continuous and has a corner; the partial derivatives there are a choice, JAX's: one half each for
max and min, none for clamp. At a jump it is not continuous. A partial
derivative that has no formula in the tables (of igamma in its order, say) is None.
"""

# ruff: noqa: E501  (a card is one line)

from __future__ import annotations

from dataclasses import dataclass

from qed.facts.card import Value
from qed.facts.condition import Condition
from qed.facts.expression import Expression, parse
from qed.facts.typeset import fill


@dataclass(frozen=True)
class ArithmeticCard:
    """The facts about one function of several numbers.

    >>> from qed import facts
    >>> facts.ARITHMETIC["div"].partials
    (Expression('1/y'), Expression('-z/y'))
    >>> str(facts.ARITHMETIC["max"].tie), bool(facts.ARITHMETIC["pow"].domain.holds(x=-2.0, y=0.5))
    ('x == y', False)
    """

    name: str
    arguments: tuple[str, ...]
    value: Value
    partials: tuple[Expression | None, ...]
    domain: Condition = Condition()
    tie: Condition | None = None
    jump: Condition | None = None
    tex: str = ""
    commutative: bool = False

    def tex_of(self, *arguments: str) -> str:
        """Return the value at the arguments as TeX.

        >>> from qed import facts
        >>> facts.ARITHMETIC["pow"].tex_of("u", "3")
        'u^{3}'
        """
        return fill(self.tex, **{n: (a, len(a) > 1) for n, a in zip(self.arguments, arguments, strict=True)})


def entry(
    name: str,
    partials: tuple[str | None, ...],
    *,
    arguments: str = "x, y",
    domain: str = "",
    tie: str = "",
    jump: str = "",
    tex: str = "",
    commutative: bool = False,
    numpy: str | None = None,
    jax: str | None = None,
    flint: str = "",
    definition: str = "",
) -> ArithmeticCard:
    """Return the card that one line of the table is; a library without the function uses the definition."""
    return ArithmeticCard(
        name,
        tuple(part.strip() for part in arguments.split(",")),
        Value(
            f"numpy.{name}" if numpy is None else numpy,
            f"jax.numpy.{name}" if jax is None else jax,
            flint,
            parse(definition) if definition else None,
        ),
        tuple(None if text is None else parse(text) for text in partials),
        Condition.parse(domain),
        Condition.parse(tie) if tie else None,
        Condition.parse(jump) if jump else None,
        tex or rf"\operatorname{{{name}}}({arguments})",
        commutative,
    )


_GREATER = "1 if x > y else 1/2 if x == y else 0"
_LESS = "1 if x < y else 1/2 if x == y else 0"
_GAMMA_DENSITY = "exp((x - 1)*log(y) - y - lgamma(x))"
_BETA_DENSITY = "exp((a - 1)*log(x) + (b - 1)*log1p(-x) + lgamma(a + b) - lgamma(a) - lgamma(b))"

TABLE = (
    entry("add", ("1", "1"), commutative=True, definition="x + y", tex="{x} + {y}"),
    entry("sub", ("1", "-1"), numpy="numpy.subtract", jax="jax.numpy.subtract", definition="x - y", tex="{x} - {y}"),
    entry("mul", ("y", "x"), commutative=True, numpy="numpy.multiply", jax="jax.numpy.multiply", definition="x * y", tex=r"{x} \cdot {y}"),
    entry("div", ("1/y", "-z/y"), domain="y != 0", numpy="numpy.divide", jax="jax.numpy.divide", definition="x / y", tex=r"\frac{{x}}{{y}}"),
    entry("pow", ("0 if y == 0 else y*pow(x, y - 1)", "0 if x == 0 else log(x)*z"), domain="x > 0 or (x == 0 and y >= 0) or (x < 0 and y == floor(y))", numpy="numpy.power", jax="jax.numpy.power", flint="qed.facts.balls.real_pow", tex="{x}^{{y}}"),
    entry("max", (_GREATER, _LESS), tie="x == y", commutative=True, numpy="numpy.maximum", jax="jax.numpy.maximum", flint="max", tex=r"\max({x}, {y})"),
    entry("min", (_LESS, _GREATER), tie="x == y", commutative=True, numpy="numpy.minimum", jax="jax.numpy.minimum", flint="min", tex=r"\min({x}, {y})"),
    entry("atan2", ("y/(x*x + y*y)", "-x/(x*x + y*y)"), domain="x != 0 or y != 0", jump="x == 0 and y < 0", numpy="numpy.arctan2", jax="jax.numpy.arctan2", flint="atan2", tex=r"\operatorname{atan2}({x}, {y})"),
    entry("rem", ("1", "-sign(x/y)*floor(abs(x/y))"), domain="y != 0", jump="x != 0 and x/y == floor(x/y)", numpy="numpy.fmod", jax="jax.lax.rem", flint="qed.facts.balls.rem", tex=r"{x} \bmod {y}"),
    entry("nextafter", ("1", "0"), flint="qed.facts.balls.first"),
    entry("clamp", ("0 if x >= lower else 1 if lower < upper else 0", "(1 if x < upper else 0) if x > lower else 0", "1 if upper < x else 0"), arguments="lower, x, upper", domain="lower < upper", tie="x == lower or x == upper", numpy="qed.facts.libraries.numpy_clamp", jax="jax.lax.clamp", definition="min(max(lower, x), upper)", tex=r"\min(\max({lower}, {x}), {upper})"),
    entry("igamma", ("igamma_grad_a(x, y)", _GAMMA_DENSITY), domain="x > 0 and y >= 0", numpy="scipy.special.gammainc", jax="jax.scipy.special.gammainc", flint="qed.facts.balls.igamma", tex="P({x}, {y})"),
    entry("igamma_grad_a", (None, None), domain="x > 0 and y >= 0", numpy="", jax="jax.lax.igamma_grad_a", tex=r"\partial_{{x}} P({x}, {y})"),
    entry("igammac", ("-igamma_grad_a(x, y)", f"-{_GAMMA_DENSITY}"), domain="x > 0 and y >= 0", numpy="scipy.special.gammaincc", jax="jax.scipy.special.gammaincc", flint="qed.facts.balls.igammac", tex="Q({x}, {y})"),
    entry("polygamma", (None, "polygamma(x + 1, y)"), domain="x >= 0 and x == floor(x) and y > 0", numpy="qed.facts.polygammas.polygamma", jax="jax.scipy.special.polygamma", flint="qed.facts.balls.polygamma", tex=r"\psi^{({x})}({y})"),
    entry("zeta", (None, "-x*zeta(x + 1, y)"), domain="x > 1 and y > 0", numpy="qed.facts.polygammas.zeta", jax="jax.scipy.special.zeta", flint="zeta", tex=r"\zeta({x}, {y})"),
    entry("regularized_incomplete_beta", (None, None, _BETA_DENSITY), arguments="a, b, x", domain="a > 0 and b > 0 and x >= 0 and x <= 1", numpy="scipy.special.betainc", jax="jax.scipy.special.betainc", flint="qed.facts.balls.incomplete_beta", tex="I_{{x}}({a}, {b})"),
)  # fmt: skip


def polynomial(coefficients: int) -> ArithmeticCard:
    """Return the card of c0 + c1 x + ... with a number of coefficients: JAX's `polynomial(x, c0, c1, ...)`.

    >>> from qed.facts.arithmetic import polynomial
    >>> polynomial(3).partials
    (Expression('c1 + x*(2*c2)'), Expression('1'), Expression('x'), Expression('x*x'))
    """
    names = [f"c{k}" for k in range(coefficients)]
    slope = _horner([f"{k}*{name}" for k, name in enumerate(names)][1:])
    return entry(
        "polynomial",
        (slope, *("*".join(["x"] * k) or "1" for k in range(coefficients))),
        arguments=", ".join(["x", *names]),
        numpy="",
        jax="",
        definition=_horner(names),
        tex=" + ".join(f"{{{name}}} {{x}}^{k}" if k else f"{{{name}}}" for k, name in enumerate(names)) or "0",
    )


def _horner(coefficients: list[str]) -> str:
    if not coefficients:
        return "0"
    first, *others = coefficients
    return f"{first} + x*({_horner(others)})" if others else first
