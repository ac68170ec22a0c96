"""Critical points that no point nearby undercuts, because f is enclosed between its value there and above.

A square is not negative wherever it is taken: where f is a sum of such terms and 0 at p, its enclosure on a box about p
by intervals (Moore, Kearfott and Cloud, *Introduction to Interval Analysis*, 2009, theorem 5.1) begins at f(p), and p
is a minimum, whatever its derivatives are:

    f(p) <= inf F([p - r, p + r]) <= f(x).

It is not asked where f does not see a coordinate nearby: of a function of steps that says nothing.
"""

from __future__ import annotations

import numpy as np

from qed.answer import Reason
from qed.calculus.bounding.boxes import undefined
from qed.calculus.points.case import Case
from qed.standing import Standing

Array = np.ndarray
RADIUS = 2.0**-10
"""How large the box is, in relation to the point and to 1."""


def nature(case: Case, center: Array) -> str:
    """'minimum' or 'maximum', where the enclosure on a box about a point ends at its value; '' elsewhere.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> zero = np.zeros(2)
    >>> for f in (lambda x: (x[0] * x[1]) ** 2, lambda x: -((x[0] * x[1]) ** 2), lambda x: x[0] ** 2 * x[1]):
    ...     nature(Case(f, zero, (), read(f, zero)), zero)
    'minimum'
    'maximum'
    ''
    """
    radius = RADIUS * np.maximum(np.abs(center), 1.0)
    here = case.boxes(center[None], center[None], 0).value
    around = case.boxes((center - radius)[None], (center + radius)[None], 0).value
    if np.any(undefined(around)) or not np.isfinite([*here.lower, *here.upper]).all():
        return ""
    if np.all(around.lower >= here.upper):
        return "minimum"
    return "maximum" if np.all(around.upper <= here.lower) else ""


def told(found: str) -> Reason:
    """The reason."""
    end = "below" if found == "minimum" else "above"
    text = f"intervals enclose f on a box about the point, nowhere {end} its value there: the point is a {found}"
    return Reason("enclosure about the point", "f(p) <= inf F(box)" if found == "minimum" else "f(p) >= sup F(box)",
                  "in intervals of float64", standing=Standing.MEASURED, text=text,
                  unpredicted="a sign is asked for, not a number")  # fmt: skip
