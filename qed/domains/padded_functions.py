"""Functions of one number on padded intervals: f, f' and f'' on [a, b], each enclosed.

Values at the ends of a monotone piece come from balls; that is all that is taken from elsewhere. What has no line in
the table here is not known to this arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from qed.domains import padded
from qed.domains.ends import bounds_at
from qed.domains.padded import Array, Pair

Three = tuple[Pair, Pair, Pair]
FAR = 1e6
"""Beyond, the phase of a wave is not looked at."""
UNSURE = 1e-9
"""A half period is placed in float64 to better than that: |x / pi| < 4e5 is off by 2 units in the last place."""


def _at(name: str, x: Array) -> Pair:
    """Bounds of a function of python-flint's at each number; nothing is known at NaN or an infinity."""
    good = np.isfinite(x)
    lower, upper = bounds_at(lambda ball: getattr(ball, name)(), np.where(good, x, 1.0))
    return np.where(good, lower, np.nan), np.where(good, upper, np.nan)


def _rising(name: str, x: Pair) -> Pair:
    return _at(name, x[0])[0], _at(name, x[1])[1]


def _exp(x: Pair) -> Three:
    y = _rising("exp", x)
    return y, y, y


def _expm1(x: Pair) -> Three:
    y = _rising("exp", x)
    return _rising("expm1", x), y, y


def _positive(x: Pair) -> Pair:
    """The interval where it is positive, else nothing."""
    return np.where(x[0] > 0, x[0], np.nan), np.where(x[0] > 0, x[1], np.nan)


def _log(x: Pair) -> Three:
    x = _positive(x)
    inverse = padded.reciprocal(x)
    return _rising("log", x), inverse, padded.negative(padded.squared(inverse))


def _log1p(x: Pair) -> Three:
    shifted = _positive(padded.plus(x, (np.float64(1.0), np.float64(1.0))))
    good = ~np.isnan(shifted[0])
    x = np.where(good, x[0], np.nan), np.where(good, x[1], np.nan)
    inverse = padded.reciprocal(shifted)
    return _rising("log1p", x), inverse, padded.negative(padded.squared(inverse))


def _wave(name: str, shift: float, x: Pair) -> Pair:
    """sin or cos: -1 and 1 are taken at x = (k + shift) pi, for odd and even k."""
    near = (np.abs(x[0]) < FAR) & (np.abs(x[1]) < FAR)
    ends = [_at(name, np.where(near, end, np.nan)) for end in x]
    first, last = x[0] / np.pi - shift - UNSURE, x[1] / np.pi - shift + UNSURE
    crest = 2 * np.floor(last / 2) >= first
    trough = 2 * np.floor((last - 1) / 2) + 1 >= first
    low, high = np.minimum(ends[0][0], ends[1][0]), np.maximum(ends[0][1], ends[1][1])
    return np.where(trough & near, -1.0, low), np.where(crest & near, 1.0, high)


def _sin(x: Pair) -> Three:
    y = _wave("sin", 0.5, x)
    return y, _wave("cos", 0.0, x), padded.negative(y)


def _cos(x: Pair) -> Three:
    y = _wave("cos", 0.0, x)
    return y, padded.negative(_wave("sin", 0.5, x)), padded.negative(y)


def _one_minus(x: Pair) -> Pair:
    return padded.plus((np.float64(1.0), np.float64(1.0)), padded.negative(x))


def _tanh(x: Pair) -> Three:
    y = _rising("tanh", x)
    slope = _one_minus(padded.squared(y))
    return y, slope, padded.scaled(padded.times(y, slope), -2.0)


def _logistic(x: Pair) -> Three:
    """y = 1/(1 + exp(-x)), y' = y (1 - y), which rises to 1/4 at y = 1/2 and falls; y'' = y' (1 - 2 y)."""
    y = padded.reciprocal(_one_minus(padded.negative(_rising("exp", padded.negative(x)))))
    ends = [padded.times((end, end), _one_minus((end, end))) for end in y]
    low, high = np.minimum(ends[0][0], ends[1][0]), np.maximum(ends[0][1], ends[1][1])
    slope = low, np.where((y[0] <= 0.5) & (y[1] >= 0.5), 0.25, high)
    return y, slope, padded.times(slope, _one_minus(padded.scaled(y, 2.0)))


def _sqrt(x: Pair) -> Three:
    x = _positive(x)
    y = padded.root(x)
    slope = padded.reciprocal(padded.scaled(y, 2.0))
    return y, slope, padded.negative(padded.times(slope, padded.reciprocal(padded.scaled(x, 2.0))))


def _cosh(x: Pair) -> Three:
    size = padded.modulus(x)
    y = _rising("cosh", size)
    return y, _rising("sinh", x), y


def _sinh(x: Pair) -> Three:
    y, slope, _ = _cosh(x)
    y = _rising("sinh", x)
    return y, slope, y


def _reciprocal(x: Pair) -> Three:
    y = padded.reciprocal(x)
    return y, padded.negative(padded.squared(y)), padded.scaled(padded.power(y, 3), 2.0)


def integer_power(x: Pair, n: int) -> Three:
    """x^n and its derivatives.

    >>> import numpy as np
    >>> from qed.domains.padded_functions import integer_power
    >>> x = np.array([1.0]), np.array([2.0])
    >>> [[round(float(end[0]), 9) for end in part] for part in integer_power(x, 3)]
    [[1.0, 8.0], [3.0, 12.0], [6.0, 12.0]]
    """
    if n < 0:
        inverse = padded.reciprocal(x)
        parts = [padded.power(inverse, -n + k) for k in range(3)]
    else:
        parts = [padded.power(x, max(n - k, 0)) for k in range(3)]
    return parts[0], padded.scaled(parts[1], float(n)), padded.scaled(parts[2], float(n * (n - 1)))


FUNCTIONS: Mapping[str, Callable[[Pair], Three]] = {
    "cos": _cos,
    "cosh": _cosh,
    "exp": _exp,
    "expm1": _expm1,
    "log": _log,
    "log1p": _log1p,
    "logistic": _logistic,
    "reciprocal": _reciprocal,
    "sin": _sin,
    "sinh": _sinh,
    "sqrt": _sqrt,
    "square": lambda x: integer_power(x, 2),
    "tanh": _tanh,
}


def function(card: Any) -> Callable[[Pair], Three] | None:
    """The rule of a card, if there is one."""
    if card.name == "integer_pow":
        n = int(dict(card.parameters)["y"])
        return lambda x: integer_power(x, n)
    return FUNCTIONS.get(card.name)
