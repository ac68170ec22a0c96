"""Log-sum-exp as it is written, with the largest number m taken out first: m + log(sum exp(z - m)).

The real number does not depend on m; the parts by themselves are neither convex nor concave. So the largest numbers of
an array are remembered as what they are, and which row of it each element belongs to; what is made of them,

    z - m,    exp(z - m),    sum exp(z - m),    log(sum exp(z - m)),

is remembered too, until the last sum gives the logarithm of the sum of exponentials, or z less it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qed.domains.array_shapes import CONCAVE, CONVEX, LOG_CONCAVE, Shaped, all_of

Array = np.ndarray
PEAK, LESS, POWERS, TOTAL, LOGARITHM = "m", "z - m", "exp(z - m)", "sum exp(z - m)", "log(sum exp(z - m))"


@dataclass(frozen=True, eq=False)
class Peak:
    """What an array holds: `kind`, of the array `source` along `axes`.

    `rows` says for each element to which row of the source, numbered over the other axes, it belongs; the elements of
    `z - m` and of `exp(z - m)` stand where those of the source do, and have none.
    """

    kind: str
    source: Shaped
    axes: tuple[int, ...]
    rows: Array | None = None

    def moved(self, move: Callable[[Array], Array]) -> Peak | None:
        """The same of an array whose elements were moved."""
        return None if self.rows is None else replace(self, rows=move(self.rows))

    def beside(self, x: Shaped) -> bool:
        """Whether each element stands beside its own row of the source, in an array of the source's shape."""
        shape = self.source.bits.shape
        if self.rows is None or x.bits.shape != shape or self.rows.ndim not in (0, len(shape)):
            return False
        if any(n not in (1, m) for n, m in zip(self.rows.shape, shape, strict=False)):
            return False
        return np.array_equal(np.broadcast_to(self.rows, shape), spread(shape, self.axes))

    def of_same(self, other: Peak) -> bool:
        """Whether another speaks of the same numbers."""
        return self.source is other.source and self.axes == other.axes


def spread(shape: tuple[int, ...], axes: Sequence[int]) -> Array:
    """The numbers of the rows of an array along axes, at each element."""
    kept = [1 if k in axes else n for k, n in enumerate(shape)]
    return np.broadcast_to(np.arange(int(np.prod(kept, dtype=np.int64))).reshape(kept), shape)


def peak_of(x: Shaped, axes: Sequence[int]) -> Peak | None:
    """What the largest numbers of an array along axes are; None where some may be undefined."""
    if not x.defined or not x.bits.size:
        return None
    axes = tuple(sorted(int(a) for a in axes))
    shape = [n for k, n in enumerate(x.bits.shape) if k not in axes]
    return Peak(PEAK, x, axes, np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape))


def combined(name: str, x: Shaped, y: Shaped) -> tuple[Array | None, Peak | None]:
    """The marks of x + y, x - y or x/y where they are those of a log-sum-exp, and what the result is."""
    if name == "sub":
        return _less(x, y)
    if name == "add":
        return _plus(x, y), None
    return (_share(x, y) if name == "div" else None), None


def _less(x: Shaped, y: Shaped) -> tuple[Array | None, Peak | None]:
    p, q = x.peak, y.peak
    if q is None or not q.beside(x):
        return None, None
    if q.kind == PEAK and q.source is x:
        return None, Peak(LESS, x, q.axes)
    if q.kind == LOGARITHM and p is not None and p.kind == LESS and p.of_same(q) and q.source.affine:
        return np.full(x.bits.shape, CONCAVE), None  # z - log(sum exp z)
    return None, None


def _plus(x: Shaped, y: Shaped) -> Array | None:
    p, q = x.peak, y.peak
    if p is None or q is None or {p.kind, q.kind} != {PEAK, LOGARITHM} or not p.of_same(q):
        return None
    if p.rows is None or q.rows is None or p.rows.shape != q.rows.shape or not np.array_equal(p.rows, q.rows):
        return None
    return all_of(p.source.bits, p.axes, CONVEX).ravel()[p.rows]


def _share(x: Shaped, y: Shaped) -> Array | None:
    """The marks of exp(z) / sum exp(z), whose logarithm is z - log(sum exp z)."""
    p, q = x.peak, y.peak
    if p is None or q is None or p.kind != POWERS or q.kind != TOTAL or not p.of_same(q) or not q.beside(x):
        return None
    return np.full(x.bits.shape, LOG_CONCAVE) if p.source.affine else None


def exponential(x: Shaped) -> Peak | None:
    """What exp(x) is."""
    return replace(x.peak, kind=POWERS) if x.peak is not None and x.peak.kind == LESS else None


def total(x: Shaped, axes: Sequence[int]) -> Peak | None:
    """What the sum of an array along axes is."""
    if x.peak is None or x.peak.kind != POWERS or tuple(sorted(int(a) for a in axes)) != x.peak.axes:
        return None
    made = peak_of(x.peak.source, axes)
    return None if made is None else replace(made, kind=TOTAL)


def logarithm(x: Shaped) -> Peak | None:
    """What log(x) is."""
    return replace(x.peak, kind=LOGARITHM) if x.peak is not None and x.peak.kind == TOTAL else None


def the_same(x: Any) -> Peak | None:
    """What |x| is: a sum of exponentials is positive."""
    return x.peak if x.peak is not None and x.peak.kind == TOTAL else None
