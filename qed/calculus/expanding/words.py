"""The sentences of a Taylor answer: the series' name, where it converges, what orders 5, 10 and 20 do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from itertools import groupby
from typing import Any

import numpy as np

from qed.answer import Reason, Standing
from qed.calculus.expanding.coefficients import curve
from qed.calculus.expanding.model import Known, TaylorModel
from qed.graph.function import Function

PLAIN = 9
"""Numbers with more digits before the point are written with a power of ten."""


def outward(number: float, side: int, digits: int = 4) -> str:
    """A bound as text of few digits, rounded down (side -1) or up (side 1), never across the number.

    >>> outward(-0.000188733, -1), outward(0.25, 1), outward(1.00001, 1), outward(5000.5, 1), outward(2e20, -1)
    ('-0.0001888', '0.25', '1.001', '5001', '2e+20')
    """
    if math.isinf(number):
        return str(float(number))
    exact = Decimal(number)
    context = Context(prec=digits, rounding=ROUND_FLOOR if side < 0 else ROUND_CEILING)
    short = context.plus(exact).normalize()
    return f"{short:f}" if number and -6 < short.adjusted() < PLAIN else f"{short:g}" if number else "0"


def told(number: float) -> str:
    """A number as short text that is exactly it.

    >>> told(1.0), told(0.123456789)
    ('1', '0.123456789')
    """
    short = f"{number:g}"
    return short if float(short) == number else repr(float(number))


def series_reasons(model: TaylorModel) -> tuple[Reason, ...]:
    """The general term, the radius of convergence, and the partial sums inside and outside of it."""
    known = model.known
    if known is None:
        return ()
    where = "everywhere" if math.isinf(known.radius) else f"for |{_variable(known)}| < {outward(known.radius, -1, 6)}"
    first = Reason(
        known.name,
        f"sum of {known.term}",
        role="because",
        text=f"the terms are {known.term}; the {known.name} converges {where}",
    )
    return first, *_partial_sums(known)


def _variable(known: Known) -> str:
    return "x" if "x" in known.term.replace("exp", "") else "t"


def _partial_sums(known: Known) -> list[Reason]:
    found = []
    for t, rows in groupby(known.partial_sums, key=lambda row: row[1]):
        errors = [(order, abs(total - value)) for order, _, total, value in rows]
        inside = abs(t) < known.radius
        listed = ", ".join(f"{error:.2g}" for _, error in errors)
        orders = ", ".join(str(order) for order, _ in errors)
        better = "better with the order" if inside else "worse with the order"
        found.append(
            Reason(
                "partial sums",
                "f(a + t) - sum_{k<=n} c_k t^k -> 0 only where the series converges",
                f"orders {orders} at {t:.6g}: off by {listed}",
                predicted="errors shrink" if inside else "errors grow",
                observed=f"off by {listed}",
                role="inside" if inside else "outside",
                standing=Standing.MEASURED,
                text=f"at {_variable(known)} = {t:.6g} the orders {orders} are off by {listed}: {better}",
            )
        )
    return found


def lagrange(function: Function, model: TaylorModel, slopes: Sequence[Any]) -> Reason:
    """The remainder's bounds, and what the program shows at both ends and between."""
    assert model.remainder is not None and model.radius is not None
    value, n = curve(function, slopes), model.order
    points = np.linspace(-model.radius, model.radius, 9)
    seen = [float(np.asarray(value(np.float64(t)))) - model(float(t)) for t in points]
    low, high = model.remainder.lower, model.remainder.upper
    return Reason(
        "Lagrange's remainder",
        f"R(t) = c_{n + 1}(s) t^{n + 1} for some s between 0 and t",
        f"R in [{outward(low, -1)}, {outward(high, 1)}] for |t| <= {told(model.radius)}",
        predicted=f"within [{outward(low, -1)}, {outward(high, 1)}]",
        observed=f"{min(seen):.4g} to {max(seen):.4g} at nine points",
        role="because",
        text=f"c_{n + 1} is enclosed on the segment: what is left lies in [{outward(low, -1)}, {outward(high, 1)}]; "
        f"the program shows {min(seen):.4g} to {max(seen):.4g} at nine points, in its own arithmetic",
    )


def lagrange_on_cube(function: Function, model: TaylorModel) -> Reason:
    """The remainder's bounds on a cube, and what the program shows at its corners and inside."""
    assert model.remainder is not None and model.radius is not None
    n, size = model.order, function.size
    directions = np.random.default_rng(0).uniform(-1.0, 1.0, (9, size))
    directions[::2] = np.sign(directions[::2])
    point = np.concatenate([np.ravel(np.asarray(p).astype(np.float64)) for p in function.parameters])
    tensors = [np.asarray(c, np.float64).reshape((size,) * k) for k, c in enumerate(model.coefficients)]
    seen = []
    for h in model.radius * directions:
        parts = np.split(point + h, np.cumsum([int(np.size(p)) for p in function.parameters])[:-1])
        moved = [
            np.reshape(part, np.shape(p)).astype(p.dtype) for part, p in zip(parts, function.parameters, strict=True)
        ]
        step = np.concatenate([np.ravel(m).astype(np.float64) for m in moved]) - point
        total = 0.0
        for tensor in tensors:
            for _ in range(np.ndim(tensor)):
                tensor = tensor @ step
            total += float(tensor)
        seen.append(float(np.asarray(function.value(moved, function.data))) - total)
    bounds = f"[{outward(model.remainder.lower, -1)}, {outward(model.remainder.upper, 1)}]"
    return Reason(
        "Lagrange's remainder",
        f"R(h) = D^{n + 1} f(a + s h)[h, ..., h] / {n + 1}! for some s between 0 and 1",
        f"R in {bounds} for |h_i| <= {told(model.radius)}",
        predicted=f"within {bounds}",
        observed=f"{min(seen):.4g} to {max(seen):.4g} at nine points",
        role="because",
        text=f"the derivative is enclosed for all h of the cube: what is left lies in {bounds}; "
        f"the program shows {min(seen):.4g} to {max(seen):.4g} at nine points, in its own arithmetic",
    )
