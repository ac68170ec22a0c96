"""A Taylor polynomial beside the program: both evaluated a little away from the point, on both sides.

The step is chosen where the first neglected terms are near what rounding does to the value, and small against the
point; two of them are looked at, since an even function has none of odd powers. There polynomial and program must agree
up to both; where they do not, what every equation rounds is added up (`qed.domains.rounding`) and allowed. At a kink
they are farther apart: each side of |x| at 0 is a polynomial, and the other side is off by 2 |h|.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qed.answer import Reason, Standing
from qed.calculus.expanding.coefficients import along, curve
from qed.calculus.expanding.model import TaylorModel
from qed.calculus.gradient.ties import first_tie
from qed.calculus.hessian import flatten, unflatten
from qed.domains.rounding import rounding_bound
from qed.errors import QedError
from qed.graph.dtypes import unit_roundoff
from qed.graph.function import Function
from qed.graph.walk import TooLong

NEXT = 2
"""How many coefficients after the last are looked at."""


@dataclass(frozen=True)
class Comparison:
    """The worst of several pairs: |t|, polynomial and program there, and how much they may differ.

    `traced`: whether that is what the equations of the program round, added up one by one.
    """

    step: float
    predicted: float
    observed: float
    allowed: float
    traced: bool = False

    @property
    def difference(self) -> float:
        """How far the two are apart."""
        return abs(self.predicted - self.observed)

    @property
    def holds(self) -> bool:
        """Whether that is within what the next term and rounding explain."""
        return bool(self.difference <= self.allowed)

    def reason(self) -> Reason:
        """The comparison as a reason."""
        return Reason(
            "comparison with the program",
            "f(a + t d) = sum c_k t^k + O(t^(n+1))",
            f"{self.predicted:.9g} against {self.observed:.9g} at |t| = {self.step:.3g}",
            predicted=self.predicted,
            observed=self.observed,
            role="checked",
            standing=Standing.MEASURED,
            text=f"they differ by {self.difference:.2g}; rounding and the next term explain {self.allowed:.2g}",
        )


def compare(
    function: Function, model: TaylorModel, beyond: Sequence[float], slopes: Sequence[Any] | None, seed: int = 0
) -> Comparison:
    """The worst of the comparisons on both sides, along the direction or along random ones.

    Args:
        function: the program.
        model: the polynomial.
        beyond: |c_{n+1}|, |c_{n+2}|; none where they are not known, and asked along each direction.
        slopes: the direction; None for tensors.
        seed: another one takes another step, and other random directions.
    """
    rng = np.random.default_rng(seed)
    if slopes is not None:
        return _along(function, list(map(float, model.coefficients)), beyond, slopes, rng)
    worst: Comparison | None = None
    for _ in range(3):
        vector = rng.standard_normal(function.size)
        vector /= np.linalg.norm(vector)
        numbers = [contracted(c, k, vector) for k, c in enumerate(model.coefficients)]
        ray = unflatten(vector, function.parameters)
        following = along(function, model.order + NEXT)(function.parameters, ray)[model.order + 1 :]
        found = _along(function, numbers, [abs(float(np.asarray(c))) for c in following], ray, rng)
        if worst is None or found.difference * worst.allowed > worst.difference * found.allowed:
            worst = found
    assert worst is not None
    return worst


def contracted(tensor: Any, order: int, vector: np.ndarray) -> float:
    """A symmetric tensor applied to one vector in all its places: the coefficient along it.

    >>> contracted(np.eye(2), 2, np.array([3.0, 4.0]))
    25.0
    """
    found = np.asarray(tensor, np.float64).reshape((vector.size,) * order)
    for _ in range(order):
        found = found @ vector
    return float(found)


def _along(
    function: Function,
    numbers: Sequence[float],
    beyond: Sequence[float],
    slopes: Sequence[Any],
    rng: np.random.Generator,
    traced: float | None = None,
    times: int = 4,
) -> Comparison:
    """The worst of four places; where they differ, farther out once more, as far as what the equations round asks."""
    epsilon = max(unit_roundoff(p.dtype) for p in function.parameters)
    point, order = flatten(function.parameters), len(numbers) - 1
    reach = float(np.max(np.abs(flatten(slopes)), initial=0.0))
    scale = max(abs(numbers[0]), max(map(abs, numbers)) * epsilon, float(np.finfo(np.float32).tiny))
    scale = scale if traced is None else max(scale, traced / (300 * epsilon))
    step = 1e-2 * (1 + float(np.max(np.abs(point)))) / max(reach, 1e-300)
    neglected = [(c, order + 1 + k) for k, c in enumerate(beyond) if c > 0 and np.isfinite(c)]
    for c, power in neglected:
        step = min(step, (100 * epsilon * scale / c) ** (1 / power))
    step *= rng.uniform(0.5, 1.0)
    value = curve(function, slopes)
    worst: Comparison | None = None
    apart = 0.0
    for t in (step, -step, step / 2, -step / 2):
        t = float(np.asarray(t, function.parameters[0].dtype).astype(np.float64))
        predicted = float(np.polynomial.polynomial.polyval(t, numbers))
        observed = float(np.asarray(value(np.float64(t))))
        inputs = float(np.max(np.abs(point) * np.abs(flatten(slopes)) / max(reach, 1e-300), initial=0.0))
        slope = sum(k * abs(c) * abs(t) ** (k - 1) for k, c in enumerate(numbers) if k)
        rounding = epsilon * (300 * max(scale, abs(observed)) + 8 * slope * (abs(t) + inputs / max(reach, 1e-300)))
        left = 4 * sum(c * abs(t) ** power for c, power in neglected)
        found = Comparison(abs(t), predicted, observed, rounding + left)
        bad = not np.isfinite(observed)
        if worst is None or bad or found.difference * worst.allowed > worst.difference * found.allowed:
            worst, apart = found, t
    assert worst is not None
    bound = None if worst.holds or not np.isfinite(worst.observed) else _traced(function, slopes, apart)
    if bound is not None and bound > 2 * (traced or 0.0) and times:
        return _along(function, numbers, beyond, slopes, rng, bound, times - 1)
    return worst if bound is None else replace(worst, allowed=max(worst.allowed, bound), traced=True)


def _traced(function: Function, slopes: Sequence[Any], t: float) -> float | None:
    """What the equations of the program round at a place on the line, added up; None where that is not known.

    Nor where the point is at a tie: a corner there may be less than that sum, which is far from sharp.
    """
    if first_tie(function.graph, function.traced.leaves, function.traced.free) is not None:
        return None
    moved = [p + (t * np.asarray(d)).astype(p.dtype) for p, d in zip(function.parameters, slopes, strict=True)]
    try:
        bound = rounding_bound(function.graph, function.join(moved))
    except (TooLong, QedError):
        return None
    return None if bound is None or not np.isfinite(bound) else bound
