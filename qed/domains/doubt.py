"""What a rigorous enclosure does not promise, element by element, and the first equation that is to blame.

A proof speaks about the points of the box at which the real function is defined. An enclosure of a value therefore
holds for those points, and carries two masks beside its numbers:

- *undefined*: somewhere on the box the real function may have no value there (log of a negative number, 0/0, a pole);
- *infinite*: the value may be -inf or +inf itself, because the program wrote an infinite constant (`max(-inf, x)`,
  masks of attention). An infinite end without this mark only says that the set is unbounded.

A mask that is None is False everywhere. An undecided operation must set the mark; dropping one is a false proof.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.graph.tape import Unknown

Mask = np.ndarray | None


@dataclass(frozen=True, eq=False)
class Doubt:
    """Where an enclosure may be undefined or infinite; `place` is the first equation that made it undefined.

    >>> import numpy as np
    >>> from qed.domains.doubt import NONE, Doubt
    >>> doubt = Doubt(np.array([True, False])) | NONE
    >>> doubt.undefined.tolist(), doubt.infinite, bool(NONE)
    ([True, False], None, False)
    """

    undefined: Mask = None
    infinite: Mask = None
    place: Unknown | None = None

    def __bool__(self) -> bool:
        return self.undefined is not None or self.infinite is not None

    def __or__(self, other: Doubt) -> Doubt:
        if not self or not other:
            return self or other
        place = self.place if self.place is not None else other.place
        return Doubt(either(self.undefined, other.undefined), either(self.infinite, other.infinite), place)

    def shaped(self, shape: tuple[int, ...], possible: np.ndarray) -> Doubt:
        """Return the marks broadcast to a shape, masks of nothing left out; infinite only where `possible`."""
        infinite = self.infinite if self.infinite is None else self.infinite & possible
        undefined = _shaped(self.undefined, shape)
        return Doubt(undefined, _shaped(infinite, shape), None if undefined is None else self.place)


NONE = Doubt()


def either(*masks: Mask) -> Mask:
    """Return where any of the masks is True."""
    found: Mask = None
    for mask in masks:
        if mask is not None:
            found = mask if found is None else found | mask
    return found


def both(first: Mask, second: Mask) -> Mask:
    """Return where both masks are True."""
    return None if first is None or second is None else first & second


def _shaped(mask: Mask, shape: tuple[int, ...]) -> Mask:
    if mask is None or not np.any(mask):
        return None
    return np.broadcast_to(np.asarray(mask, bool), shape)


def moved(doubts: Iterable[Doubt], shapes: Iterable[tuple[int, ...]], move: Callable[..., Any]) -> Doubt:
    """Return the marks of elements that were moved: `move` applied to the masks of all operands."""
    doubts, shapes = list(doubts), list(shapes)
    if not any(doubts):
        return NONE
    masks = []
    for name in ("undefined", "infinite"):
        found = [getattr(doubt, name) for doubt in doubts]
        if all(mask is None for mask in found):
            masks.append(None)
            continue
        masks.append(move(*(np.zeros(s, bool) if m is None else m for m, s in zip(found, shapes, strict=True))))
    place = next((doubt.place for doubt in doubts if doubt.place is not None), None)
    return Doubt(masks[0], masks[1], place)
