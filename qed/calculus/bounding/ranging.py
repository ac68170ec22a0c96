"""One end of a function's range on a box: a tree of boxes, each with a lower bound of s f, s = 1 or -1.

The bound of a box is the best of the forms of `qed.calculus.bounding.forms`; where a partial derivative has one sign,
the box is pressed on the face on which s f is least (Moore, Kearfott and Cloud, *Introduction to Interval Analysis*,
SIAM 2009, sections 6.4 and 11.2). The boxes with the lowest bounds are halved, until the lowest is close to a value
that s f takes. At any time the lowest bound of the leaves bounds s f on the whole box.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qed.calculus.bounding.boxes import Gap, OnBoxes, undefined
from qed.calculus.bounding.forms import mean_value, second_order
from qed.certificates.boxes import split
from qed.certificates.certificate import placed
from qed.certificates.enclosure import LEAF, face
from qed.domains.interval import Interval
from qed.domains.intervals import Intervals
from qed.domains.jet import Jet
from qed.graph.calls import Cond, While
from qed.graph.walk import Unknown, Walker

Array = np.ndarray
BATCH = 32
BROKEN = 64
"""Into how many pieces a box is cut to find where a function is defined."""
CLEAR = 0.02
"""How far from 0 a slope must be to decide, in parts of its enclosure's width: other arithmetic must confirm it."""
FINEST = 2.0**-40


@dataclass(eq=False)
class Node:
    """A box with its bound; `code` says what became of it, as `qed.certificates.enclosure` writes it."""

    lower: Array
    upper: Array
    bound: float
    gap: Any = None
    code: int = LEAF
    weight: Array | None = None
    pressed: tuple[int, ...] = ()
    children: tuple[Node, ...] = ()


@dataclass(eq=False)
class Side:
    """The search for the least value of s f on a box.

    Args:
        function: f.
        sign: s, 1 for the lower end of the range and -1 for the upper one.
        lower, upper: the box (n,).
        order: 0 to bound by natural extension alone, 1 with gradients, 2 with Hessians too.
        most: how many leaves there may be.
    """

    function: OnBoxes
    sign: int
    lower: Array
    upper: Array
    order: int
    most: int
    seen: float = np.inf
    open: list[Node] = field(default_factory=list)
    closed: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.batch = 1 if _branches(self.function) else BATCH if self.order else 2
        (self.root,) = self._boxes([(self.lower, self.upper)])
        self.open.append(self.root)

    @property
    def leaves(self) -> list[Node]:
        """All leaves."""
        return self.open + self.closed

    @property
    def bound(self) -> float:
        """A lower bound of s f on the whole box."""
        return min(node.bound for node in self.leaves)

    @property
    def excess(self) -> float:
        """How far the bound may lie below the least value."""
        return self.seen - self.bound if np.isfinite(self.bound) else np.inf

    def improve(self, goal: float) -> bool:
        """Treat the boxes with the lowest bounds, those within `goal` of a value seen excepted; whether any was."""
        count = len(self.leaves)
        wanted = sorted((n for n in self.open if n.bound < self.seen - goal), key=lambda n: n.bound)[: self.batch]
        broken = sum(n.gap is not None for n in self.leaves)
        boxes: list[tuple[Array, Array]] = []
        for node in wanted:
            cut = self._cut(node) if count + len(boxes) < self.most and (broken <= BROKEN or node.gap is None) else []
            self.open.remove(node)
            if not cut:
                self.closed.append(node)
            boxes += cut
            node.children = (None,) * len(cut)  # type: ignore[assignment]
        if not boxes:
            return False
        found = self._boxes(boxes) if self.batch > 1 else [self._boxes([box])[0] for box in boxes]
        for node in wanted:
            count = len(node.children)
            node.children, found = tuple(found[:count]), found[count:]
            for child in node.children:
                child.bound = max(child.bound, node.bound)
            self.open += node.children
        return True

    def tree(self, bound: float) -> list[int]:
        """The tree in the order in which a certificate walks it, cut back to boxes whose bound is good enough."""
        found, waiting = [], [self.root]
        while waiting:
            node = waiting.pop()
            enough = node.bound >= bound or not node.children
            found.append(LEAF if enough else node.code)
            waiting += [] if enough else reversed(node.children)
        return found

    # --- boxes ---

    def _cut(self, node: Node) -> list[tuple[Array, Array]]:
        """The box pressed on a face, or its halves; nothing where it cannot be cut."""
        if node.pressed:
            code = node.pressed[0]
            node.code = code
            return [face(node.lower, node.upper, code)]
        assert node.weight is not None
        i = int(np.argmax(node.weight))
        low, high = float(node.lower[i]), float(node.upper[i])
        middle = split(low, high)
        if not node.weight[i] > 0 or not low < middle < high:
            return []
        left, right = node.upper.copy(), node.lower.copy()
        left[i] = right[i] = middle
        node.code = i
        return [(node.lower, left), (right, node.upper)]

    def _boxes(self, boxes: list[tuple[Array, Array]]) -> list[Node]:
        """Boxes with their bounds."""
        lower, upper = (np.array(side) for side in zip(*boxes, strict=True))
        jet = self._jet(lower, upper, self.order)
        middle = _middle(lower, upper)
        centre = self._jet(middle, middle, self.order - 1)
        lost = undefined(jet.value)
        inside = np.where(undefined(centre.value), np.inf, centre.value.upper)
        self.seen = min(self.seen, float(np.min(inside)))
        bounds = jet.value.lower
        smooth = self._smooth(jet, lost)
        if self.order and np.any(smooth):
            assert jet.slope is not None
            with np.errstate(all="ignore"):
                better = mean_value(centre.value, jet.slope, middle, lower, upper).lower
                if self.order > 1:
                    assert jet.hessian is not None and centre.slope is not None
                    form = second_order(centre.value, centre.slope, jet.hessian, middle, lower, upper)
                    better = np.fmax(better, form)
            bounded = smooth & np.all(np.isfinite(lower) & np.isfinite(upper), -1) & ~undefined(centre.value)
            bounds = np.where(bounded, np.fmax(bounds, better), bounds)
        bounds = np.where(lost | np.isnan(bounds), -np.inf, bounds)
        weights = self._weights(jet, lower, upper)
        return [
            Node(
                lower[k],
                upper[k],
                float(bounds[k]),
                (jet.value.doubt.place or "the value may be infinite") if lost[k] else None,
                weight=weights[k],
                pressed=self._pressed(jet, lower[k], upper[k], k) if smooth[k] else (),
            )
            for k in range(len(boxes))
        ]

    def _jet(self, lower: Array, upper: Array, order: int) -> Jet:
        """The jet of s f; of order 0 by the interval domain alone, which has rules for more primitives."""
        jet = self.function(lower, upper, order) if order > 0 else Jet(natural(self.function, lower, upper))
        if self.sign > 0:
            return jet
        turned = [None if part is None else -part for part in (jet.value, *jet.parts)]
        return Jet(*turned)

    def _smooth(self, jet: Jet, lost: Array) -> Array:
        """Where f is known to be smooth, so that balls can confirm what its derivatives say."""
        if self.order < 1:
            return np.zeros(len(lost), bool)
        part = jet.hessian if self.order > 1 else jet.slope
        assert part is not None
        return np.all(np.isfinite(part.lower) & np.isfinite(part.upper), -1) & ~lost

    def _pressed(self, jet: Jet, lower: Array, upper: Array, k: int) -> tuple[int, ...]:
        """The faces on which s f is least, as codes; the finite ones."""
        slope = jet.slope
        assert slope is not None
        low, high = slope.lower[k], slope.upper[k]
        room = CLEAR * (high - low)
        varies = lower < upper
        up = varies & (low > room) & (low > 0) & np.isfinite(lower)
        down = varies & (high < -room) & (high < 0) & np.isfinite(upper)
        return (*(-2 - 2 * int(i) for i in np.flatnonzero(up)), *(-3 - 2 * int(i) for i in np.flatnonzero(down)))

    def _weights(self, jet: Jet, lower: Array, upper: Array) -> Array:
        """How much f may vary along each coordinate of a box; infinite sides first, thin ones never."""
        scale = np.where(self.upper > self.lower, self.upper - self.lower, 1.0)
        scale = np.where(np.isfinite(scale), scale, 1.0)
        with np.errstate(all="ignore"):
            width = (upper - lower) / scale
            weight = width
            if jet.slope is not None:
                steep = np.maximum(np.abs(jet.slope.lower), np.abs(jet.slope.upper)) * scale
                plain = np.any(~np.isfinite(steep), -1, keepdims=True) | ~np.any(steep > 0, -1, keepdims=True)
                weight = np.where(plain, width, np.where(width > 0, width * np.where(plain, 1.0, steep), 0.0))
        weight = np.where(np.isfinite(weight), weight, np.finfo(float).max)
        return np.where(width > FINEST, weight, 0.0)


def _branches(function: OnBoxes) -> bool:
    """Whether f has branches: they are decided for all boxes of a batch together."""
    return any(isinstance(equation.call, Cond | While) for equation in function.traced.graph.walk())


def _middle(lower: Array, upper: Array) -> Array:
    """A point of each box; of an infinite side a point near its finite end."""
    with np.errstate(all="ignore"):
        plain = lower / 2 + upper / 2
    low, high = np.isfinite(lower), np.isfinite(upper)
    return np.where(low & high, plain, np.where(low, lower, np.where(high, upper, 0.0)))


def natural(function: OnBoxes, lower: Array, upper: Array) -> Intervals:
    """Return the natural extension on boxes.

    Raises:
        Gap: where a primitive has no rule.
    """
    domain, traced = Interval(1), function.traced
    box = [Intervals(a, b) for a, b in zip(function.leaves(lower), function.leaves(upper), strict=True)]
    value = Walker([domain]).run(traced.graph, placed(traced, box))[0].values[0]
    if isinstance(value, Unknown):
        raise Gap(value)
    return domain.number(value).map(lambda a: np.broadcast_to(a, (len(lower),)))
