"""A function on many boxes at once: its argument laid out as one vector, its enclosures as arrays over the boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.domains.intervals import Intervals, combined
from qed.domains.jet import Jet
from qed.domains.jets import jets_on
from qed.graph.trace import Traced
from qed.graph.walk import Unknown

Array = np.ndarray
MOST = 2**21
"""How many numbers one pass over the graph holds at most, about."""


class Gap(Exception):
    """A primitive has no rule: the Unknown names it."""

    def __init__(self, unknown: Unknown) -> None:
        super().__init__(str(unknown))
        self.unknown = unknown


@dataclass(frozen=True, eq=False)
class OnBoxes:
    """Enclosures of a traced function on boxes (count, n), the arrays of its argument laid end to end.

    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from qed.calculus.bounding.boxes import OnBoxes
    >>> from qed.graph.trace import trace
    >>> f = OnBoxes.of(trace(lambda x: jnp.sum(x * x), np.zeros(2)))
    >>> jet = f(np.array([[0.0, 1.0]]), np.array([[1.0, 3.0]]))
    >>> print(jet.value, jet.slope)
    [[1.0, 10.0]] [[[0.0, 2.0], [2.0, 6.0]]]
    """

    traced: Traced
    shapes: tuple[tuple[int, ...], ...]
    size: int
    weight: int

    @classmethod
    def of(cls, traced: Traced) -> OnBoxes:
        """The function on boxes."""
        shapes = tuple(np.shape(leaf) for leaf in traced.parameters)
        widest = max(
            (
                int(np.prod(v.shape))
                for equation in traced.graph.walk()
                for v in equation.outputs
                if hasattr(v, "shape")
            ),
            default=1,
        )
        return cls(traced, shapes, sum(int(np.prod(shape)) for shape in shapes), max(widest, 1))

    def leaves(self, x: Array) -> list[Array]:
        """Vectors (count, n) as the arrays of the argument, (count, *shape)."""
        found, start = [], 0
        for shape in self.shapes:
            size = int(np.prod(shape))
            found.append(x[:, start : start + size].reshape((len(x), *shape)))
            start += size
        return found

    def __call__(self, lower: Array, upper: Array, order: int = 1, loewner: bool = False) -> Jet:
        """The jets on boxes, in as many passes as memory wants.

        Raises:
            Gap: where a primitive has no rule.
        """
        directions = self.size if order < 2 else self.size * (self.size + 1) // 2 * (3 if loewner else 1)
        step = max(1, MOST // max(1, self.weight * (1 + directions)))
        found: list[Jet] = []
        for start in range(0, len(lower), step):
            part = slice(start, start + step)
            jet = jets_on(self.traced, self.leaves(lower[part]), self.leaves(upper[part]), order, loewner)
            if isinstance(jet, Unknown):
                raise Gap(jet)
            found.append(jet)
        return found[0] if len(found) == 1 else _joined(found)

    def at(self, points: Array, order: int = 1) -> Jet:
        """The jets at points."""
        return self(points, points, order)


def _joined(jets: Sequence[Jet]) -> Jet:
    def end_to_end(*parts: Any) -> Any:
        return combined(lambda *xs: np.concatenate(xs, 0), *parts)

    columns = zip(*(jet.parts for jet in jets), strict=True)
    parts = [None if column[0] is None else end_to_end(*column) for column in columns]
    return Jet(end_to_end(*(jet.value for jet in jets)), *parts)


def undefined(value: Intervals) -> Array:
    """Where a value may be undefined or infinite."""
    mask = np.zeros(value.shape, bool)
    for part in (value.doubt.undefined, value.doubt.infinite):
        mask |= False if part is None else part
    return mask


def chosen(part: Intervals, index: Array) -> Intervals:
    """Some of the boxes."""
    return part.map(lambda a: a[index])
