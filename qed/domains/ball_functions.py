"""Functions of one power series of balls, each about a place where it is smooth.

python-flint's own where it has them; the others by a formula in those, or by the differential equation y' = g(y) that
they solve: y <- y(0) + integral of g(y) x' gains one coefficient with each round (Picard), and needs no more than
bounded values of y where the argument is a wide ball. Johansson, "Arb: efficient arbitrary-precision midpoint-radius
interval arithmetic", IEEE Transactions on Computers 66 (2017), section 5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qed import facts
from qed.domains.precision import flint
from qed.facts.expression import parse

_NATIVE = "acos asin atan cos erf erfc exp log sin sqrt tan".split()
_FORMULAS = {
    "acosh": "log(x + sqrt(x*x - 1))",
    "atanh": "(log(1 + x) - log(1 - x))/2",
    "cosh": "(exp(x) + exp(-x))/2",
    "expm1": "exp(x) - 1",
    "log1p": "log(1 + x)",
    "sinh": "(exp(x) - exp(-x))/2",
}


class _OfSeries:
    """The arithmetic of formulas in series."""

    def constant(self, value: float) -> Any:
        return flint().arb_series([flint().arb(value)])

    def call(self, name: str, *operands: Any, **parameters: Any) -> Any:
        if name == "pi":
            return flint().arb_series([flint().arb.pi()])
        card = facts.card(name, **parameters)
        rule = None if card is None else _rule(card)
        if rule is None:
            raise KeyError(name)
        return rule(*operands)

    def select(self, comparison: str, left: Any, right: Any, then: Any, otherwise: Any) -> Any:
        raise KeyError(comparison)


def rule_of(card: facts.Card) -> Callable[[Any], Any] | None:
    """Return how a function acts on a series about a place where it is smooth: NaN where balls are too wide for it.

    >>> from qed import facts
    >>> from qed.domains.ball_functions import rule_of
    >>> from qed.domains.precision import precision
    >>> with precision(60, 3) as flint:
    ...     rule_of(facts.card("tanh"))(flint.arb_series([0, 1])).coeffs()
    [0, 1.0000000000000000]
    """
    rule = _rule(card)
    return None if rule is None else lambda s: _guarded(rule, s)


def _guarded(rule: Callable[[Any], Any], s: Any) -> Any:
    """The function, or NaN where a denominator may be zero, as that of a wide ball may, though no number's is."""
    try:
        return rule(s)
    except (ValueError, ZeroDivisionError):
        return flint().arb_series([flint().arb.nan()])


def _rule(card: facts.Card) -> Callable[[Any], Any] | None:
    """How a function acts on a series."""
    name, parameters = card.name, dict(card.parameters)
    if name in _NATIVE:
        return lambda s: getattr(s, name)()
    if name in _FORMULAS:
        return lambda s: parse(_FORMULAS[name]).evaluate(arithmetic=_OfSeries(), x=s)
    if name == "integer_pow":
        return lambda s: _integer_power(s, int(parameters["y"]))
    if name == "power":
        exponent = parameters["exponent"]
        return lambda s: s ** flint().arb(flint().fmpq(exponent.numerator, exponent.denominator))
    if name in ("digamma", "psi"):
        return lambda s: _polygamma(s, int(parameters.get("m", 0)))
    if name not in _SPECIAL and card.value.definition is not None:
        definition = card.value.definition
        return lambda s: definition.evaluate(arithmetic=_OfSeries(), x=s)
    return _SPECIAL.get(name)


def _integer_power(s: Any, n: int) -> Any:
    result = flint().arb_series([1])
    for _ in range(abs(n)):
        result = result * s
    return result if n >= 0 else 1 / result


def _polygamma(s: Any, m: int) -> Any:
    """The m-th derivative of digamma: derivatives of the series of log-gamma at the leading coefficient, composed."""
    library = flint()
    cap = library.ctx.cap
    try:
        library.ctx.cap = cap + m + 1
        outer = library.arb_series([s[0], 1]).lgamma()
        for _ in range(m + 1):
            outer = outer.derivative()
    finally:
        library.ctx.cap = cap
    outer = library.arb_series(outer.coeffs())
    inner = library.arb_series([0, *s.coeffs()[1:]])
    return outer(inner) if inner.length() else library.arb_series([outer[0]])  # it does not compose with the series 0


def _solved(s: Any, start: Any, slope: Callable[[Any], Any]) -> Any:
    """The series of y(s) with y' = slope(y) and y = start at the leading coefficient."""
    library = flint()
    inner = library.arb_series([0, *s.coeffs()[1:]]).derivative()
    y = library.arb_series([start])
    for _ in range(library.ctx.cap - 1):
        y = library.arb_series([start]) + (slope(y) * inner).integral()
    return y


def _bessel_scaled(s: Any, order: int) -> Any:
    """exp(-|s|) I_n(s) for n = 0 or 1 and s of one sign.

    I_n(s) = (s/2)^n F_n(s^2 / 4) with the derivatives F_n^(k)(z) = 0F1(; n + k + 1; z) / (n + k)!, which for z >= 0 all
    grow with z (DLMF 10.39.9, 16.3.1).
    """
    library = flint()
    arb, series = library.arb, library.arb_series
    if not (s[0] > 0 or s[0] < 0):
        return series([arb.nan()])
    z = s * s / 4
    ends = [end if end > 0 else arb(0) for end in (z[0].lower(), z[0].upper())]
    outer, factorial = [], arb(1)
    for k in range(library.ctx.cap):
        factorial = factorial * k if k else factorial
        low, high = (end.hypgeom_0f1(arb(order + k + 1), regularized=True) for end in ends)
        outer.append(low.union(high) / factorial)
    inner = series([0, *z.coeffs()[1:]])
    found = series(outer)(inner) if inner.length() else series([outer[0]])
    size = s if s[0] > 0 else -s
    return found * (-size).exp() * (s / 2 if order else 1)


def _odd(s: Any, positive: Callable[[Any], Any]) -> Any:
    return -positive(-s) if s[0] < 0 else positive(s)


_SPECIAL: Mapping[str, Callable[[Any], Any]] = {
    "abs": lambda s: -s if s[0] < 0 else s,
    "asinh": lambda s: _odd(s, lambda u: (u + (u * u + 1).sqrt()).log()),
    "bessel_i0e": lambda s: _bessel_scaled(s, 0),
    "bessel_i1e": lambda s: _bessel_scaled(s, 1),
    "cbrt": lambda s: _odd(s, lambda u: u ** (flint().arb(1) / 3)),
    "ceil": lambda s: flint().arb_series([s[0].ceil()]),
    "floor": lambda s: flint().arb_series([s[0].floor()]),
    "lgamma": lambda s: s.lgamma() if s[0] > 0 else flint().arb_series([flint().arb.nan()]),
    "round": lambda s: flint().arb_series([(s[0] + 0.5).floor()]),
    "logistic": lambda s: _solved(s, (1 + (s[0] / 2).tanh()) / 2, lambda y: y * (1 - y)),
    "sign": lambda s: flint().arb_series([s[0].sgn()]),
    "tanh": lambda s: _solved(s, s[0].tanh(), lambda y: 1 - y * y),
}
