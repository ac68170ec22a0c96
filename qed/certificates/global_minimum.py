"""The certificate of a global minimum: a tree of boxes with a reason on each leaf, and regions of one minimiser.

Claimed of a function f on a box: lower <= min f <= upper, and every point where f takes its minimum lies in one of the
`minimizers`, boxes of which some are said to hold exactly one local minimiser. The tree is written in the order in
which it is walked; a node is (kind, number):

    open            f >= lower on the box, which lies in one of the minimizers
    halved i        its two halves in coordinate i follow
    above           f > upper on the box
    sloped 2i + s   d f / d x_i > 0 (s = 0) or < 0 (s = 1) on the box, which does not reach the domain's face there
    face 2i + s     the same, and the face of the box on that side follows in its place
    inside k        the box lies in region k

A region is a box N with a point p: in the coordinates of `face` the slope points out of the domain on N; in the others
the Hessian is positive definite on the face of N, so that f lies above its tangent at p there, which is >= `bound`;
where it is said to hold `one` minimiser, Krawczyk's test finds a stationary point within `radius` of p.

Verification asks all leaves together in padded float64 intervals (`qed.certificates.boxes_together`), and what those
do not settle one by one, in balls (`qed.certificates.boxes`); both halve a box further where that is needed. At a
corner of f a slope stands for all generalised gradients. References: qed.calculus.bounding.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import numpy as np

from qed.certificates.boxes import OutOfTime, around, reach, split
from qed.certificates.boxes_questions import Questions
from qed.certificates.certificate import Boxed, Subject
from qed.errors import CertificateError
from qed.graph.trace import Traced

Array = np.ndarray
OPEN, HALVED, ABOVE, SLOPED, FACE, INSIDE = range(6)


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class GlobalMinimum(Boxed):
    """Bounds of a minimum on a box, and boxes that hold all minimisers.

    Args:
        box_lower, box_upper: the domain, the numbers of each array of the argument.
        lower, upper: the bounds.
        witness: a point with f <= upper.
        tree: the nodes.
        regions: (lower, upper, point, face, radius, one, bound), each.
        minimizers: (lower, upper, one), each.
    """

    kind: ClassVar[str] = "global minimum"
    lower: float
    upper: float
    witness: tuple[float, ...]
    tree: tuple[tuple[int, int], ...]
    regions: tuple[Any, ...]
    minimizers: tuple[Any, ...]

    @classmethod
    def about(
        cls, fun: Callable[..., Any], at: Any, args: tuple[Any, ...], *, box: tuple[Sequence[Any], Sequence[Any]],
        bounds: tuple[float, float], witness: Array, tree: Sequence[tuple[int, int]], regions: Sequence[Any],
        minimizers: Sequence[Any],
    ) -> Self:  # fmt: skip
        """The certificate of what a search found; vectors are the arrays of the argument laid end to end."""
        return cls.on_box(
            Subject(fun, at, tuple(args)),
            box,
            lower=float(bounds[0]),
            upper=float(bounds[1]),
            witness=tuple(map(float, witness)),
            tree=tuple(tree),
            regions=tuple(regions),
            minimizers=tuple(minimizers),
        )

    def prove(self, traced: Traced) -> None:
        """Prove the claim on every leaf of the tree and on every region."""
        self._prove(traced, Questions(traced))

    def verified_within(self, seconds: float) -> bool:
        """Verify for some seconds; returns whether that was enough, and raises CertificateError where it fails."""
        assert self.subject is not None
        traced = self.subject.traced()
        try:
            self._prove(traced, Questions(traced, time.monotonic() + seconds))
        except OutOfTime:
            return False
        return True

    def _prove(self, traced: Traced, ask: Questions) -> None:
        lower, upper = self.ends(traced)
        if not self.lower <= self.upper:
            raise CertificateError("lower", "an end is above the other")
        witness = _vector(self.witness, len(lower), "witness")
        if np.any(witness < lower) or np.any(witness > upper):
            raise CertificateError("witness", "it lies outside the box")
        ask.balls.at_most(witness, self.upper, "witness")
        boxes = [_box(b, len(lower), f"minimizers[{k}]") for k, b in enumerate(self.minimizers)]
        used = self._tree(ask, lower, upper, boxes)
        ask.settle()
        proved = [self._region(ask, k, lower, upper) if k in used else None for k in range(len(self.regions))]
        self._listed(proved, boxes)

    def _tree(self, ask: Questions, lower: Array, upper: Array, boxes: Sequence[Any]) -> set[int]:
        """Ask what proves every leaf; returns which regions are used."""
        waiting = [(lower, upper)]
        used: set[int] = set()
        for place, node in enumerate(self.tree):
            name = f"tree[{place}]"
            if not waiting:
                raise CertificateError(name, "it goes on behind its last leaf")
            kind, number = _node(node, name)
            low, high = waiting.pop()
            if kind == OPEN:
                ask.at_least(low, high, self.lower, name)
                if not any(np.all(low >= a) and np.all(high <= b) for a, b, _ in boxes):
                    raise CertificateError(name, "an open box lies in no box of minimizers")
            elif kind == HALVED:
                waiting += reversed(_halves(low, high, number, name))
            elif kind == ABOVE:
                ask.at_least(low, high, self.upper, name, strictly=True)
            elif kind in (SLOPED, FACE):
                waiting += self._sloped(ask, (low, high), (lower, upper), (kind, number), name)
            elif kind == INSIDE:
                if not 0 <= number < len(self.regions):
                    raise CertificateError(name, "there is no such region")
                inner_low, inner_high = _box(self.regions[number], len(low), f"regions[{number}]")[:2]
                if np.any(low < inner_low) or np.any(high > inner_high):
                    raise CertificateError(name, "the box does not lie in its region")
                used.add(number)
            else:
                raise CertificateError(name, f"{kind} is no kind of node")
        if waiting:
            raise CertificateError("tree", "a part of the box has no leaf")
        return used

    def _sloped(self, ask: Questions, box: Any, domain: Any, node: tuple[int, int], name: str) -> list[Any]:
        (low, high), (kind, number) = box, node
        i, down = divmod(number, 2)
        if not 0 <= i < len(low):
            raise CertificateError(name, "there is no such coordinate")
        ask.sloped(low, high, i, bool(down), name)
        if kind == SLOPED:
            end, limit = (high[i], domain[1][i]) if down else (low[i], domain[0][i])
            if end == limit or low[i] == high[i]:
                raise CertificateError(name, "the slope leads to the domain's face, or into no room")
            return []
        low, high = low.copy(), high.copy()
        low[i] = high[i] = high[i] if down else low[i]
        if not np.isfinite(low[i]):
            raise CertificateError(name, "there is no face at infinity")
        return [(low, high)]

    def _region(self, ask: Questions, k: int, lower: Array, upper: Array) -> Any:
        """Prove a region; returns its box, its small box, whether it holds one, and its bound."""
        name = f"regions[{k}]"
        n = len(lower)
        low, high = _box(self.regions[k], n, name)[:2]
        try:
            point, face = (_vector(self.regions[k][j], n, name) for j in (2, 3))
            radius, one, bound = (float(self.regions[k][j]) for j in (4, 5, 6))
        except (IndexError, TypeError, ValueError):
            raise CertificateError(name, "it is no region") from None
        if np.any(low < lower) or np.any(high > upper) or np.any(point < low) or np.any(point > high):
            raise CertificateError(name, "it does not lie in the box, or its point not in it")
        pressed, free = face != 0, (face == 0) & (lower < upper)
        if np.any(pressed & (point != np.where(face < 0, lower, upper))) or np.any(~np.isin(face, (-1.0, 0.0, 1.0))):
            raise CertificateError(name, "the point is not on the face")
        for i in np.flatnonzero(pressed):
            ask.sloped(low, high, int(i), bool(face[i] > 0), name)
        ask.settle()
        on_low, on_high = np.where(pressed, point, low), np.where(pressed, point, high)
        ask.convex(on_low, on_high, point, free, name)
        ask.balls.tangent(on_low, on_high, point, bound, name)
        inner = (low, high)
        if one:
            inner = around(point, radius, free)
            if np.any(inner[0] < on_low) or np.any(inner[1] > on_high):
                raise CertificateError(name, "the point is too close to the region's end")
            ask.balls.stationary(point, reach(point, radius, free), inner, free, name)
        return inner, bool(one), bound

    def _listed(self, proved: Sequence[Any], boxes: Sequence[Any]) -> None:
        """Every region that may hold a global minimiser is among the minimizers, and what they claim is proved."""
        for k, found in enumerate(proved):
            name, all_of_them = f"regions[{k}]", "minimizers"
            if found is None:
                continue
            (low, high), _, bound = found
            if bound < self.lower:
                raise CertificateError(name, "its bound is below the claimed one")
            if bound <= self.upper and not any(np.all(a <= low) and np.all(b >= high) for a, b, _ in boxes):
                raise CertificateError(all_of_them, f"that of region {k} is missing")
        for k, (low, high, one) in enumerate(boxes):
            exact = [f for f in proved if f and f[1] and np.all(f[0][0] == low) and np.all(f[0][1] == high)]
            name = f"minimizers[{k}]"
            if one and not exact:
                raise CertificateError(name, "no region proves that it holds exactly one")


def _node(node: Any, name: str) -> tuple[int, int]:
    if not (isinstance(node, tuple) and len(node) == 2 and all(isinstance(part, int) for part in node)):
        raise CertificateError(name, "it is no pair of integers")
    return node


def _vector(numbers: Any, size: int, name: str) -> Array:
    try:
        found = np.array(numbers, np.float64)
    except (TypeError, ValueError):
        raise CertificateError(name, "it is no vector") from None
    if found.shape != (size,) or np.any(np.isnan(found)):
        raise CertificateError(name, f"it is no vector of {size} numbers")
    return found


def _box(record: Any, size: int, name: str) -> tuple[Array, Array, bool]:
    if not isinstance(record, tuple) or len(record) < 3:
        raise CertificateError(name, "it is no box")
    low, high = (_vector(end, size, name) for end in record[:2])
    if np.any(low > high):
        raise CertificateError(name, "an end of it is above the other")
    return low, high, bool(record[2]) if len(record) == 3 else False


def _halves(low: Array, high: Array, i: int, name: str) -> list[tuple[Array, Array]]:
    if not 0 <= i < len(low):
        raise CertificateError(name, "there is no such coordinate")
    middle = split(float(low[i]), float(high[i]))
    if not low[i] <= middle <= high[i]:
        raise CertificateError(name, "it cannot be halved")
    left, right = high.copy(), low.copy()
    left[i] = right[i] = middle
    return [(low, left), (right, high)]
