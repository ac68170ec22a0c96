"""The certificate of a range: f is defined on the whole box, and lies in [lower, upper] there.

The proof is a tree of halvings of the box: on each of its leaves the natural extension of f lies in the claimed range
(Moore, Kearfott and Cloud, *Introduction to Interval Analysis*, SIAM 2009, chapter 6). The tree is written in the
order in which it is walked: k >= 0 halves coordinate k (counted over all arrays of the argument), -1 is a leaf.
Verification evaluates f on each leaf in intervals whose ends are numbers of python-flint (`qed.domains.ball_ends`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import numpy as np

from qed.certificates.certificate import Certificate, Subject, flat, placed, shaped
from qed.certificates.fingerprint import fingerprint
from qed.domains.ball_ends import BallEnds, Ends
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.trace import Traced
from qed.graph.walk import Unknown, Walker

Leaf = tuple[list[np.ndarray], list[np.ndarray]]


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Enclosure(Certificate):
    """A range on a box; `box_lower` and `box_upper` are the numbers of each array of the argument.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.enclosure import Enclosure
    >>> certificate = Enclosure.about(
    ...     lambda x: x * x, jnp.float32(0.0), (), box=([-1.0], [2.0]), tree=(-1,), bounds=(0.0, 4.0)
    ... )
    >>> certificate.verify()
    True
    """

    kind: ClassVar[str] = "enclosure"
    box_lower: tuple[tuple[float, ...], ...]
    box_upper: tuple[tuple[float, ...], ...]
    tree: tuple[int, ...]
    lower: float
    upper: float

    @classmethod
    def about(
        cls,
        fun: Callable[..., Any],
        at: Any,
        args: tuple[Any, ...],
        *,
        box: tuple[Sequence[Any], Sequence[Any]],
        tree: Sequence[int],
        bounds: tuple[float, float],
    ) -> Self:
        """The certificate of a range that was found; the box is two lists of arrays, as the leaves of `at`."""
        subject = Subject(fun, at, tuple(args))
        return cls(
            function=fingerprint(subject.traced().graph),
            subject=subject,
            box_lower=flat(box[0]),
            box_upper=flat(box[1]),
            tree=tuple(map(int, tree)),
            lower=float(bounds[0]),
            upper=float(bounds[1]),
        ).sealed()

    def prove(self, traced: Traced) -> None:
        """Prove the claim on every leaf of the tree."""
        lower = shaped(self.box_lower, traced, "box_lower")
        upper = shaped(self.box_upper, traced, "box_upper")
        if any(np.any(a > b) for a, b in zip(lower, upper, strict=True)):
            raise CertificateError("box_lower", "an end of the box is above the other")
        found = []
        for number, leaf in enumerate(leaves(self.tree, lower, upper)):
            found.append(prove_leaf(traced, leaf, (self.lower, self.upper), f"tree, leaf {number}"))
        if not found:
            raise CertificateError("tree", "it has no leaf")


def prove_leaf(traced: Traced, leaf: Leaf, bounds: tuple[float, float], node: str) -> None:
    """Prove that the function lies within bounds on a box, or raise CertificateError with the name `node`."""
    domain = BallEnds()
    with precision(domain.bits):
        box = [Ends.between(a, b) for a, b in zip(*leaf, strict=True)]
    (cell, *_) = Walker([domain]).run(traced.graph, placed(traced, box))
    value = cell.values[0]
    if isinstance(value, Unknown):
        raise CertificateError(node, str(value))
    with precision(domain.bits) as flint:
        value = domain.number(value)
        if value.shape != ():
            raise CertificateError("function", f"it returns an array of shape {value.shape}, not a number")
        if value.doubt:
            place = value.doubt.place
            raise CertificateError(node, str(place) if place else "the value may be infinite")
        low, high = value.lower.item(), value.upper.item()
        if not low >= flint.arb(bounds[0]):
            raise CertificateError(node, f"the value may be {low.str(17)}, below {bounds[0]!r}")
        if not high <= flint.arb(bounds[1]):
            raise CertificateError(node, f"the value may be {high.str(17)}, above {bounds[1]!r}")


def halves(lower: list[np.ndarray], upper: list[np.ndarray], coordinate: int) -> tuple[Leaf, Leaf]:
    """The two halves of a box; the middle of a coordinate is a/2 + b/2 in float64.

    Raises CertificateError where the coordinate does not exist or cannot be halved.
    """
    for k, (a, b) in enumerate(zip(lower, upper, strict=True)):
        if coordinate < a.size:
            low, high = float(a.flat[coordinate]), float(b.flat[coordinate])
            middle = low / 2 + high / 2
            if not low <= middle <= high:
                raise CertificateError("tree", f"[{low!r}, {high!r}] cannot be halved")
            left, right = [x.copy() for x in upper], [x.copy() for x in lower]
            left[k].flat[coordinate] = right[k].flat[coordinate] = middle
            return (lower, left), (right, upper)
        coordinate -= a.size
    raise CertificateError("tree", "it halves a coordinate that does not exist")


def leaves(tree: Sequence[int], lower: list[np.ndarray], upper: list[np.ndarray]) -> list[Leaf]:
    """The leaves of a tree of halvings, which cover the box.

    >>> import numpy as np
    >>> from qed.certificates.enclosure import leaves
    >>> [(float(a[0]), float(b[0])) for a, b in leaves((0, -1, -1), [np.array(0.0)], [np.array(1.0)])]
    [(0.0, 0.5), (0.5, 1.0)]
    """
    waiting: list[Leaf] = [(lower, upper)]
    found: list[Leaf] = []
    for node in tree:
        if not waiting:
            raise CertificateError("tree", "it goes on behind its last leaf")
        box = waiting.pop()
        if node == -1:
            found.append(box)
            continue
        if node < 0:
            raise CertificateError("tree", f"{node} is no coordinate")
        first, second = halves(*box, node)
        waiting += [second, first]
    if waiting:
        raise CertificateError("tree", "a half of the box has no leaf")
    return found
