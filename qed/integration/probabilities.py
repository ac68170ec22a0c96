"""Vectors of probabilities as measures, and the classic mistakes that make a divergence of vectors meaningless.

A vector p stands for the measure that gives p_i to i, if p_i >= 0 and sum p_i = 1 (to the rounding of its dtype). What
is not so is named: logarithms of probabilities (all <= 0, their exponentials add up to 1), values of a density on a
grid (their sum depends on the grid's step), or numbers that were not normalised. Nothing is divided by its sum unasked.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qed.errors import QedError
from qed.integration.families.discrete import Categorical
from qed.integration.measure import Measure

ROUNDING = 64
"""How many units of rounding the sum may be off by, times the root of the length; at least 1e-6 is let pass."""
GRID = 8
"""From how many numbers on a vector may be the values of a density on a grid."""


def as_pair(p: Any, q: Any) -> tuple[Measure, Measure]:
    """The measures that two arguments stand for.

    Raises:
        QedError: QED601 to QED604 and QED606, the mistakes; QED007 for what is neither a measure nor a vector.

    >>> from qed.integration.probabilities import as_pair
    >>> str(as_pair([0.5, 0.5], [0.25, 0.75])[1])
    'Categorical of 2'
    """
    if isinstance(p, Measure) and isinstance(q, Measure):
        return p, q
    p, q = (one if isinstance(one, Measure) else vector(one, name) for one, name in ((p, "p"), (q, "q")))
    if isinstance(p, np.ndarray) and isinstance(q, np.ndarray):
        _same_length(p, q)
        if _logs(p) and not _logs(q):
            because = "exp(p) adds up to 1, and p itself is not positive, while q holds probabilities"
            instead = "write qed.kl(q, jnp.exp(p)): p is the true law, and comes first"
            raise QedError("QED604", "p holds the logarithms of probabilities, and q probabilities", because, instead)
        _densities(p, q)
    return as_law(p, "p"), as_law(q, "q")


def as_law(p: Any, name: str = "p") -> Measure:
    """The measure that an argument stands for; raises as `as_pair` does."""
    return p if isinstance(p, Measure) else law(vector(p, name), name)


def vector(values: Any, name: str) -> np.ndarray:
    """An argument as a vector of float64, with the dtype that its sum is judged by; raises QED007."""
    instead = "give a measure of qed.measures, or a vector of probabilities"
    try:
        array = np.asarray(values)
    except Exception as error:  # a tracer, or whatever an object raises that is no array
        what = f"{name} has no numbers here"
        raise QedError("QED007", what, f"it is a {type(values).__name__}", instead) from error
    if array.dtype.kind not in "fiub" and str(array.dtype) != "bfloat16":
        raise QedError("QED007", f"{name} is no vector of numbers", f"it is a {type(values).__name__}", instead)
    if array.ndim != 1 or array.size == 0:
        because = f"its shape is {array.shape}: which axis is the law's is not said"
        raise QedError("QED007", f"{name} is no vector", because, "give one row at a time")
    if not np.all(np.isfinite(array) | (array == -np.inf)):
        raise QedError("QED007", f"{name} holds NaN or inf", "a probability is a number from 0 to 1", instead)
    return array


def law(array: np.ndarray, name: str) -> Measure:
    """A vector of probabilities as a measure; raises QED601 or QED602 where it is none."""
    if _logs(array):
        because = "no entry is positive, and their exponentials add up to 1"
        instead = f"give jnp.exp({name})"
        raise QedError("QED602", f"{name} holds the logarithms of probabilities", because, instead)
    values = array.astype(np.float64)
    if np.any(values < 0):
        worst = int(np.argmin(values))
        because = f"{name}[{worst}] = {values[worst]:g} is negative"
        raise QedError("QED601", f"{name} holds no probabilities", because, f"give jax.nn.softmax({name}) of logits")
    total = float(values.sum())
    if not _near_one(total, array):
        instead = f"give {name} / {name}.sum()"
        raise QedError("QED601", f"{name} adds up to {total:g}", "probabilities add up to 1", instead)
    return Categorical([*map(float, values if abs(total - 1) < 1e-6 else values / total)])


def _near_one(total: float, array: np.ndarray) -> bool:
    unit = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24}.get(str(array.dtype), 2.0**-53)
    return abs(total - 1) <= min(1e-2, max(1e-6, ROUNDING * unit * max(1.0, array.size**0.5)))


def _logs(array: np.ndarray) -> bool:
    """Whether a vector holds the logarithms of probabilities."""
    values = array.astype(np.float64)
    return bool(np.all(values <= 0) and np.any(values < 0) and _near_one(float(np.exp(values).sum()), array))


def _same_length(p: np.ndarray, q: np.ndarray) -> None:
    if p.size != q.size:
        because = f"p has {p.size} entries, q has {q.size}"
        raise QedError("QED007", "p and q are of different lengths", because, "give two laws of the same places")


def _densities(p: np.ndarray, q: np.ndarray) -> None:
    """Raise QED606 where both vectors have one sum far from 1, as two densities on one grid have."""
    if min(p.size, q.size) < GRID or not all(one.dtype.kind == "f" and np.all(one >= 0) for one in (p, q)):
        return
    sums = [float(one.astype(np.float64).sum()) for one in (p, q)]
    whole = all(np.array_equal(one, np.round(one)) for one in (p, q))
    if not whole and min(sums) > 0 and abs(sums[0] / sums[1] - 1) < 0.01 and abs(np.log(sums[0])) > 0.1:
        because = f"both add up to about {sums[0]:.3g}, as values on a grid of the step {1 / sums[0]:.3g} do"
        instead = "multiply them by the grid's step, or give the densities: qed.measures.from_log_density"
        raise QedError("QED606", "p and q look like values of densities, not masses", because, instead)
