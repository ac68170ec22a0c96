"""Sections of an integral in several dimensions along curves: rays, tubes, and lines across a level set.

Two changes of variables (Rudin, *Real and Complex Analysis*, 3rd ed., theorem 7.26), after which one variable is free
and the others stay in intervals of positive length:

    x_i = c_i + d_i u,   x_k = c_k + d_k u + w_k u^m          dx = |d_i| |u|^(m (n - 1)) du dw,

for 0 < u <= 1 / R (a blow-up of the point c: m = 1 are the rays from it), or for u >= R (m = 1 a cone, m = 0 a strip, m
= -1 a tube that becomes thinner); and, for a value g of the program whose slope in x_i has one sign on a box B,

    (x_i, w) -> (g(x), w)                                     dx = dg dw / |d_i g|,

for 0 < side g <= 1 / R, where every such number is a value of g on the segment over each w in B. Everything else of the
program is enclosed on B, and g itself is the variable of the tail domain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from qed.certificates.cells import walked
from qed.certificates.named_laws import Law
from qed.domains.ball_series import BallSeries, SeriesOfBalls
from qed.domains.balls import between, objects
from qed.domains.densities import NAMED
from qed.domains.precision import flint, precision
from qed.domains.tail import Tail
from qed.domains.tail_arrays import Forms
from qed.domains.tail_forms import NoOrder, Term
from qed.domains.tail_growth import Above, infinite_integral
from qed.errors import CertificateError
from qed.graph.dtypes import is_real
from qed.graph.trace import Traced

BITS = 128
LEAST = 8
"""The tails start here at the least."""
Boxes = tuple[tuple[float, float], ...]
Ray = tuple[int, bool, int, float, tuple[float, ...], tuple[float, ...], Boxes]
"""The coordinate i; whether u goes to infinity; m; R; c; d; the intervals of w, of which the i-th says nothing."""
Crossing = tuple[int, int, int, float, Boxes]
"""The equation whose output is g; the coordinate i; the side; R; the box."""


def sign_of_ray(traced: Traced, factors: Sequence[Law], ray: Ray, logarithm: bool) -> int:
    """The sign of the part of f that a ray proves to have an infinite integral; else CertificateError."""
    i, far, m, start, c, d, boxes = ray
    count = len(factors)
    if not (0 <= i < count == len(c) == len(d) == len(boxes) and -1 <= m <= 4 and start >= LEAST and d[i] != 0):
        raise CertificateError("rays", "one is malformed")
    if not np.all(np.isfinite([*c, *d, *np.ravel(boxes), start])) or not (far or m >= 1) or (far and m > 1):
        raise CertificateError("rays", "one is malformed")
    for k, (_, _, low, high) in enumerate(factors):
        a, b = (0.0, 0.0) if k == i else boxes[k]
        line = [Fraction(x) for x in (c[k], d[k], a, b)]
        if not ((k == i or a < b) and _inside(far, m, Fraction(start), line, (low, high))):
            raise CertificateError("rays", "one leaves the support, or its intervals have no length")
    arb, domain = flint().arb, Tail(start, BITS)
    sense = 1 if far else -1  # u = X or 1 / X
    forms = np.empty(count, object)
    for k in range(count):
        w = arb(0) if k == i else arb(boxes[k][0]).union(arb(boxes[k][1]))
        line = arb(d[k]) + w if m == 1 else arb(d[k])
        forms[k] = domain.fixed(arb(c[k]))
        if m != 1 and not w.is_zero():
            bent = Term(w, Fraction(sense * m), arb(0)) if m else domain.fixed(w)
            forms[k] = domain.add(bent, forms[k])
        if not line.is_zero():
            forms[k] = domain.add(Term(line, Fraction(sense), arb(0)), forms[k])
    power = sense * m * (count - 1) - (0 if far else 2)
    weight: Any = Term(arb(1), Fraction(power), arb(0))
    return _sign(traced, domain, factors, forms, range(count), weight, logarithm, "rays")


def _inside(far: bool, m: int, start: Fraction, line: Sequence[Fraction], ends: tuple[float, float]) -> bool:
    """Whether c + d u + w u^m lies between the ends for all w of [a, b] and all u of the tail."""
    c, d, a, b = line
    if m == 1:
        a, b, d = a + d, b + d, Fraction(0)
    low, high = ends
    if not far:
        reach = 1 / start
        least = c + min(d * reach, 0) + min(a * reach**m, 0)
        most = c + max(d * reach, 0) + max(b * reach**m, 0)
        return bool(low <= least and most <= high)
    grows = [d, d] if m != 1 else [a, b]
    if m == 1:
        a = b = Fraction(0)
    bent = [min(a, 0), max(b, 0)] if m < 0 else [a, b]
    scale = start**m if m < 0 else Fraction(1)
    least = c + bent[0] * scale + grows[0] * start
    most = c + bent[1] * scale + grows[1] * start
    below = low == -np.inf or (grows[0] >= 0 and low <= least)
    above = high == np.inf or (grows[1] <= 0 and most <= high)
    return bool(below and above)


def sign_of_crossing(traced: Traced, factors: Sequence[Law], crossing: Crossing, logarithm: bool) -> int:
    """The same of a crossing."""
    index, i, side, start, boxes = crossing
    count = len(factors)
    malformed = not (0 <= i < count == len(boxes) and side in (1, -1) and start >= LEAST and np.isfinite(start))
    if malformed or not 0 <= index < len(traced.graph.equations):
        raise CertificateError("crossings", "one is malformed")
    equation = traced.graph.equations[index]
    if len(equation.outputs) != 1 or equation.outputs[0].shape != () or not is_real(equation.outputs[0].dtype):
        raise CertificateError("crossings", "it is about no real number of the program")
    for (_, _, low, high), (a, b) in zip(factors, boxes, strict=True):
        if not low <= a < b <= high or not np.all(np.isfinite((a, b))):
            raise CertificateError("crossings", "its box leaves the support, or has no length")
    inner = replace(traced, graph=replace(traced.graph, outputs=equation.outputs))
    a, b = boxes[i]
    slope = _series(inner, boxes, i)[1]
    if not (slope.is_finite() and (slope > 0 or slope < 0)):
        raise CertificateError("crossings", "the value is not proved to be monotone in the coordinate")
    first, last = (side * _series(inner, [*boxes[:i], (x, x), *boxes[i + 1 :]], i)[0] for x in (a, b))
    first, last = (first, last) if side * slope > 0 else (last, first)
    arb, domain = flint().arb, Tail(start, BITS)
    if not (first <= 0 and last >= 1 / arb(start)):
        raise CertificateError("crossings", "the value is not proved to take all numbers beside 0")
    forms = np.empty(count, object)
    for k, (low, high) in enumerate(boxes):
        forms[k] = domain.fixed(arb(low).union(arb(high)))
    value = Term(arb(side), Fraction(-1), arb(0))
    domain.instead = lambda context, _: value if context.equation is equation else None
    weight = Term(1 / abs(slope), Fraction(-2), arb(0))
    return _sign(traced, domain, factors, forms, [i], weight, logarithm, "crossings")


def _series(traced: Traced, boxes: Sequence[tuple[float, float]], i: int) -> Any:
    """A ball of a value on a box, and of its slope in coordinate i; CertificateError where it may not be smooth."""
    domain = BallSeries(1, BITS)
    with precision(BITS, 2) as library:
        rows = [library.arb_series([between(*map(float, ends)), *([1] if k == i else [])])
                for k, ends in enumerate(boxes)]  # fmt: skip
        line = SeriesOfBalls(objects(rows, (len(boxes),)))
    value = walked(traced, domain, line, 0, "crossings")
    with precision(BITS, 2):
        number = domain.number(value)
        if number.doubt:
            raise CertificateError("crossings", "the value may not be smooth")
        found = number.array.item()
        return found[0], found[1]


def _sign(
    traced: Traced, domain: Tail, factors: Sequence[Law], forms: np.ndarray, weighed: Sequence[int], weight: Any,
    logarithm: bool, node: str,
) -> int:  # fmt: skip
    """The sign of an infinite integral over the tail; CertificateError where it is not proved."""
    try:
        f = walked(traced, domain, Forms(forms), 0, node)
        domain.instead = None
        f = domain.exp(f) if logarithm else f
        for k in weighed:
            name, parameters, _, _ = factors[k]
            if name:
                law = NAMED[name].traced(parameters)
                density = domain.exp(walked(law, domain, forms[k], 0, "factors"))
                weight = domain.mul(domain.as_term(density), weight)
        if isinstance(f, Above):
            found = infinite_integral(domain, f, weight)
        else:
            found = domain.integral(domain.mul(domain.as_term(f), weight))
    except NoOrder:
        raise CertificateError(node, "it is not proved to diverge") from None
    if found.is_finite() or found.is_nan():
        raise CertificateError(node, "it does not diverge")
    return 1 if found > 0 else -1
