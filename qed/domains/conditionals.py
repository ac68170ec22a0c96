"""Coordinates that are normal given the others are integrated in closed form, one after the other.

    int exp(c + b y - a y^2) dy = sqrt(pi / a) exp(c + b^2 / (4 a)),    a > 0

A log-density that is a sum of products of functions of single coordinates (`qed.domains.separated`) is a polynomial in
y with coefficients a, b, c that are such sums without y, if y occurs in it as 1, y and y^2 only. Where a is a positive
number, or a function of one other coordinate, the integral over y is again the exponential of such a sum, so that the
next coordinate can be taken. A quadratic form loses all of its coordinates in this way (Gauss's elimination); of a
hierarchical model, or a ridge that is bent, what is left may be a function of one coordinate.

The integrand is positive, so that the order of integration is free (Tonelli). Where a function a is not positive its
logarithm, which is left behind, is undefined, and nothing can be proved of what is left.

Reference: Gelman and others, *Bayesian Data Analysis*, CRC Press 2013, section 5.4.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from qed.domains.separated import Factors, One, Sum, TooWide, added, gathered, multiplied, scaled, single

DEGREE = 8
"""The highest power that is read from an expression."""
X, UNIT = One("x"), One("constant", value=1.0)
POWERS = {1: X, **{n: One("integer_pow", (X,), (("y", n),)) for n in range(2, DEGREE + 1)}}


@dataclass(frozen=True)
class Marginal:
    """What is left: log Z = constant + sum of log int exp(parts[i]) + sum over rates of log(pi / rate) / 2.

    A rate of None is a function: the logarithm of its root stands in one of the parts, and pi alone is missing.
    """

    constant: Fraction
    parts: dict[int, One]
    rates: tuple[Fraction | None, ...]
    gone: frozenset[int]


def polynomial(one: One) -> dict[int, Fraction] | None:
    """The coefficients of a polynomial by their powers; None where an expression is not read as one.

    >>> from qed.domains.conditionals import polynomial
    >>> from qed.domains.separated import One
    >>> x = One("x")
    >>> polynomial(One("square", (One("sub", (x, One("constant", value=3.0))),)))
    {2: Fraction(1, 1), 1: Fraction(-6, 1), 0: Fraction(9, 1)}
    """
    if one.name == "x":
        return {1: Fraction(1)}
    if one.name == "constant":
        return {0: Fraction(one.value)} if np.isfinite(one.value) else None
    found = [polynomial(operand) for operand in one.operands]
    xs = [x for x in found if x is not None]
    if len(xs) < len(found):
        return None
    if one.name in ("add", "sub"):
        return _sum(xs[0], xs[1], 1 if one.name == "add" else -1)
    if one.name == "neg":
        return _sum({}, xs[0], -1)
    if one.name == "mul":
        return _product(xs[0], xs[1])
    if one.name == "div" and not any(xs[1].get(n) for n in xs[1] if n) and xs[1].get(0):
        return {n: c / xs[1][0] for n, c in xs[0].items()}
    power = 2 if one.name == "square" else int(dict(one.parameters)["y"]) if one.name == "integer_pow" else -1
    if not 0 <= power <= DEGREE:
        return None
    total: dict[int, Fraction] | None = {0: Fraction(1)}
    for _ in range(power):
        total = None if total is None else _product(total, xs[0])
    return total


def _sum(x: dict[int, Fraction], y: dict[int, Fraction], sign: int) -> dict[int, Fraction]:
    return {n: x.get(n, Fraction(0)) + sign * y.get(n, Fraction(0)) for n in (*x, *(n for n in y if n not in x))}


def _product(x: dict[int, Fraction], y: dict[int, Fraction]) -> dict[int, Fraction] | None:
    found: dict[int, Fraction] = {}
    for n, a in x.items():
        for m, b in y.items():
            found[n + m] = found.get(n + m, Fraction(0)) + a * b
    return found if max(found) <= DEGREE else None


def of_powers(i: int, coefficients: dict[int, Fraction]) -> Sum:
    """A polynomial in a coordinate."""
    return gathered([(c, ((i, POWERS[n]),) if n else ()) for n, c in coefficients.items()])


def marginal(form: Sum, lines: Collection[int]) -> Marginal | None:
    """What is left when the coordinates that can be are integrated over the line; None where it does not fall apart.

    Args:
        form: the log-density.
        lines: the coordinates whose base is length on the whole line.
    """
    rates: list[Fraction | None] = []
    gone: set[int] = set()
    try:
        form = _expanded_all(form)
        while (found := _next(form, [i for i in sorted(lines) if i not in gone])) is not None:
            i, form, rate = found
            rates.append(rate)
            gone.add(i)
        return Marginal(*_apart(form), tuple(rates), frozenset(gone)) if gone else None
    except TooWide:
        return None


def _next(form: Sum, lines: Collection[int]) -> tuple[int, Sum, Fraction | None] | None:
    """A coordinate, what is left without it, and its rate; those with few neighbours first, with numbers for rates."""
    split = {i: parts for i in lines if (parts := _split(form, i)) is not None}
    for i in sorted(split, key=lambda i: (split[i][0].constant is None, len(split[i][1].terms), i)):
        try:
            return i, *_without(*split[i])
        except TooWide:
            continue
    return None


def _split(form: Sum, i: int) -> tuple[Sum, Sum, Sum] | None:
    """a, b and c of a coordinate that is normal given the others; None where it is not, or a is of many others."""
    terms: dict[int, list] = {0: [], 1: [], 2: []}
    for c, factors in form.terms:
        known = dict(factors)
        powers = polynomial(known.pop(i)) if i in known else {0: Fraction(1)}
        if powers is None or max(powers) > 2:
            return None
        others = tuple(sorted(known.items(), key=lambda pair: pair[0]))
        for n, p in powers.items():
            terms[n].append((c * p, others))
    try:
        c, b, a = (gathered(terms[n]) for n in range(3))
    except TooWide:
        return None
    a = scaled(a, Fraction(-1))
    rate = a.constant
    return None if len(a.coordinates) > 1 or (rate is not None and rate <= 0) else (a, b, c)


def _without(a: Sum, b: Sum, c: Sum) -> tuple[Sum, Fraction | None]:
    """The log-density without the coordinate."""
    rate, square = a.constant, multiplied(b, b)
    if rate is not None:
        return _expanded_all(added(c, scaled(square, 1 / (4 * rate)))), rate
    (v,) = a.coordinates
    slope, half = _alone(a), One("constant", value=-0.5)
    try:
        c = _squares(c, b, a, v)
    except TooWide:
        if square.terms:
            c = added(c, multiplied(square, single(v, One("div", (One("constant", value=0.25), slope)))))
    return _expanded_all(added(c, single(v, One("mul", (half, logarithm(slope)))))), None


def _squares(c: Sum, b: Sum, a: Sum, v: int) -> Sum:
    """c + b^2 / (4 a) without terms that cancel, where a = sum_k a_k g_k and b = sum_k b_k g_k with the same g_k of v.

    With m_k = b_k / (2 a_k) it is c + sum_k b_k^2 g_k / (4 a_k) - sum_{k < l} a_k a_l (m_k - m_l)^2 g_k g_l / a.
    """
    rates = {factors: rate for rate, factors in a.terms}
    own: dict[Factors, list] = {factors: [] for factors in rates}
    for number, factors in b.terms:
        key = tuple(pair for pair in factors if pair[0] == v)
        if key not in rates:
            raise TooWide
        own[key].append((number, tuple(pair for pair in factors if pair[0] != v)))
    sums = {key: gathered(terms) for key, terms in own.items()}
    for key, rate in rates.items():
        c = added(c, multiplied(scaled(multiplied(sums[key], sums[key]), 1 / (4 * rate)), Sum(((Fraction(1), key),))))
    for one, other in itertools.combinations(rates, 2):
        apart = added(scaled(sums[one], 1 / rates[one]), scaled(sums[other], 1 / rates[other]), -1)
        square = scaled(multiplied(apart, apart), -rates[one] * rates[other] / 4)
        if square.terms:
            c = added(c, multiplied(_expanded_all(square), single(v, _harmonic(a, one, other))))
    return c


def _harmonic(a: Sum, one: Factors, other: Factors) -> One:
    """g_k g_l / a; of two terms as 1 / (a_k / g_l + a_l / g_k), where nothing overflows."""
    g, h = (key[0][1] if key else UNIT for key in (one, other))
    if len(a.terms) > 2:
        return One("div", (One("mul", (g, h)), _alone(a)))
    rates = {factors: _quotient(rate) for rate, factors in a.terms}
    parts = [
        rates[key] if with_it is UNIT else One("div", (rates[key], with_it)) for key, with_it in ((one, h), (other, g))
    ]
    return One("div", (UNIT, One("add", (parts[0], parts[1]))))


def logarithm(one: One) -> One:
    """The logarithm of an expression: of exponentials as they are, so that nothing over- or underflows.

    >>> from qed.domains.conditionals import logarithm
    >>> from qed.domains.separated import One
    >>> str(logarithm(One("mul", (One("constant", value=0.5), One("exp", (One("neg", (One("x"),)),))))))
    'add(log(0.5), neg(x))'
    """
    if one.name == "exp":
        return one.operands[0]
    if one.name in ("mul", "div"):
        return One("add" if one.name == "mul" else "sub", tuple(map(logarithm, one.operands)))
    return One("log", (one,))


def _stripped(one: One) -> tuple[Fraction, One]:
    """An expression as a number times another one."""
    if one.name == "neg":
        times, rest = _stripped(one.operands[0])
        return -times, rest
    if one.name in ("mul", "div"):
        (c, x), (d, y) = map(_stripped, one.operands)
        if one.name == "mul" or d:
            ones = [operand for operand in (x, y) if operand != UNIT]
            if one.name == "div" and y != UNIT:
                return c / d, One("div", (x, y))
            times = c * d if one.name == "mul" else c / d
            return times, One("mul", (x, y)) if len(ones) == 2 else ones[0] if ones else UNIT
    if one.name == "constant" and np.isfinite(one.value):
        return Fraction(one.value), UNIT
    return Fraction(1), one


def _expanded_all(form: Sum) -> Sum:
    for i in sorted(form.coordinates):
        form = _expanded(form, i)
    return form


def _expanded(form: Sum, i: int) -> Sum:
    """A sum with the polynomials in a coordinate as sums of its powers, so that like terms meet."""
    found = []
    for c, factors in form.terms:
        known = dict(factors)
        if i in known:
            times, known[i] = _stripped(known[i])
            c, factors = c * times, tuple(known.items())
        powers = polynomial(known[i]) if i in known else None
        if powers is None:
            found.append((c, factors))
            continue
        for n, p in powers.items():
            pairs = {**known, i: POWERS[n]} if n else {j: one for j, one in known.items() if j != i}
            found.append((c * p, tuple(sorted(pairs.items(), key=lambda pair: pair[0]))))
    return gathered(found)


def _apart(form: Sum) -> tuple[Fraction, dict[int, One]]:
    """A sum of functions of single coordinates: its constant, and the function of each."""
    constant, terms = Fraction(0), {}
    for c, factors in form.terms:
        if len(factors) > 1:
            raise TooWide
        if factors:
            terms.setdefault(factors[0][0], []).append((c, factors))
        else:
            constant += c
    return constant, {i: _alone(Sum(tuple(own))) for i, own in terms.items()}


def _alone(a: Sum) -> One:
    """The expression of a sum in one coordinate; its coefficients are quotients of two numbers of float64."""
    total: One | None = None
    for c, factors in a.terms:
        one = factors[0][1] if factors else UNIT
        term = one if c == 1 else One("mul", (_quotient(c), one))
        total = term if total is None else One("add", (total, term))
    return One("constant", value=0.0) if total is None else total


def _quotient(c: Fraction) -> One:
    over, under = (One("constant", value=_exactly(n)) for n in (c.numerator, c.denominator))
    return over if c.denominator == 1 else One("div", (over, under))


def _exactly(n: int) -> float:
    if abs(n) >= 2**1000 or int(float(n)) != n:
        raise TooWide
    return float(n)
