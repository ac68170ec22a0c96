"""The sentences of a Taylor answer: the series' name, where it converges, what orders 5, 10 and 20 do."""

from __future__ import annotations

import math
from itertools import groupby

from qed.answer import Reason, Standing
from qed.calculus.expanding.model import Known, TaylorModel


def series_reasons(model: TaylorModel) -> tuple[Reason, ...]:
    """The general term, the radius of convergence, and the partial sums inside and outside of it."""
    known = model.known
    if known is None:
        return ()
    where = "everywhere" if math.isinf(known.radius) else f"for |{_variable(known)}| < {known.radius:.6g}"
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
