"""Rests of Taylor series as forms: f(v) - T_k(v), and that over v^k."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from qed.certificates.real_functions import Functions
from qed.certificates.real_polynomials import Poly, fail, plus

_TAYLOR = {
    "exp": lambda k: Fraction(1, _factorial(k)),
    "expm1": lambda k: Fraction(1, _factorial(k)) if k else Fraction(0),
    "sin": lambda k: Fraction((-1) ** (k // 2), _factorial(k)) if k % 2 else Fraction(0),
    "cos": lambda k: Fraction(0) if k % 2 else Fraction((-1) ** (k // 2), _factorial(k)),
    "sinh": lambda k: Fraction(1, _factorial(k)) if k % 2 else Fraction(0),
    "cosh": lambda k: Fraction(0) if k % 2 else Fraction(1, _factorial(k)),
    "log1p": lambda k: Fraction((-1) ** (k + 1), k) if k else Fraction(0),
    "atan": lambda k: Fraction((-1) ** (k // 2), k) if k % 2 else Fraction(0),
    "atanh": lambda k: Fraction(1, k) if k % 2 else Fraction(0),
    "tan": lambda k: (Fraction(0), Fraction(1), Fraction(0), Fraction(1, 3))[k],
    "tanh": lambda k: (Fraction(0), Fraction(1), Fraction(0), Fraction(-1, 3))[k],
    "asin": lambda k: (Fraction(0), Fraction(1), Fraction(0), Fraction(1, 6))[k],
    "asinh": lambda k: (Fraction(0), Fraction(1), Fraction(0), Fraction(-1, 6))[k],
}


def _factorial(k: int) -> int:
    return 1 if k < 2 else k * _factorial(k - 1)


def taylor(f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], over: bool) -> Poly:
    """f(v) less its Taylor polynomial of degree below k; over v^k where that is asked."""
    (v,), name, k = ps, params["f"], params["k"]
    value = f.elementary(name, v)
    if value is None or name not in _TAYLOR or (k > 4 and name in ("tan", "tanh", "asin", "asinh")):
        fail(f"the Taylor series of {name}")
    for j in range(k):
        value = plus(value, f.forms.integer_power(v, j), -_TAYLOR[name](j))
    # at v = 0 the rest over v^k is its limit: no condition
    return f.forms.times(value, f.forms.inverse(f.forms.integer_power(v, k))) if over else value


def fraction_of_rests(f: Functions, ps: Sequence[Poly], params: Mapping[str, Any], _: Any) -> Poly:
    """(f(v) - T_j(v)) / (f(v) - T_k(v)); below only a cosine is 0 elsewhere than at v = 0, where the limit is meant."""
    above, below = (taylor(f, ps, {**params, "k": params[name]}, False) for name in ("j", "k"))
    return f.divided(above, below) if params["f"] == "cos" else f.forms.times(above, f.forms.inverse(below))


__all__ = ["fraction_of_rests", "taylor"]
