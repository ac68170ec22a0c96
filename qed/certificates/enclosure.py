"""The certificate of a range: f is defined on the whole box, and lies in [lower, upper] there.

The proof is two trees of boxes, one for each end of the range. On the leaves of `tree` a form of f is at least `lower`,
on those of `above` at most `upper` (Moore, Kearfott and Cloud, *Introduction to Interval Analysis*, SIAM 2009, chapter
6). A tree is written in the order in which it is walked:

    k >= 0     halves coordinate k, counted over all arrays of the argument
    -1         a leaf
    -2 - 2 k   the partial derivative in coordinate k has one sign on the box: its face at the lower end follows
    -3 - 2 k   the same, its face at the upper end

Verification asks all leaves at once in padded float64 intervals (`qed.certificates.boxes_together`). Where they do not
suffice f is evaluated in intervals whose ends are numbers of python-flint (`qed.domains.ball_ends`), its derivatives as
series of balls (`qed.domains.ball_boxes`), and a leaf is halved further.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import numpy as np

from qed.certificates.boxes import split
from qed.certificates.boxes_questions import Questions
from qed.certificates.certificate import Boxed, Subject
from qed.errors import CertificateError
from qed.graph.trace import Traced

Array = np.ndarray
LEAF = -1


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Enclosure(Boxed):
    """A range on a box.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.enclosure import Enclosure
    >>> certificate = Enclosure.about(
    ...     lambda x: x * x, jnp.float32(0.0), (), box=([-1.0], [2.0]), tree=(-1,), bounds=(0.0, 4.0)
    ... )
    >>> certificate.verify()
    True
    """

    kind: ClassVar[str] = "enclosure"
    tree: tuple[int, ...]
    above: tuple[int, ...]
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
        above: Sequence[int] | None = None,
    ) -> Self:
        """The certificate of a range that was found; the box is two lists of arrays, as the leaves of `at`.

        `above` is `tree` if it is left out.
        """
        return cls.on_box(
            Subject(fun, at, tuple(args)),
            box,
            tree=tuple(map(int, tree)),
            above=tuple(map(int, tree if above is None else above)),
            lower=float(bounds[0]),
            upper=float(bounds[1]),
        )

    def prove(self, traced: Traced) -> None:
        """Prove the claim on every leaf of the trees."""
        prove_range(traced, self.ends(traced), (self.tree, self.above), (self.lower, self.upper))

    def confirm(self, deadline: float) -> None:
        """Verify until a time (time.monotonic()), after which OutOfTime is raised."""
        assert self.subject is not None
        traced = self.subject.traced()
        prove_range(traced, self.ends(traced), (self.tree, self.above), (self.lower, self.upper), deadline)


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Enclosures(Boxed):
    """The ranges of the components of an array, in row-major order; a part is (tree, above, lower, upper)."""

    kind: ClassVar[str] = "enclosures"
    parts: tuple[tuple[Any, ...], ...]

    @classmethod
    def of(cls, parts: Sequence[Enclosure], subject: tuple[Any, Any, Any], box: tuple[Any, Any]) -> Self:
        """The certificate made of those of the components; `subject` is (fun, at, args), of the array."""
        return cls.on_box(
            Subject(subject[0], subject[1], tuple(subject[2])),
            box,
            parts=tuple((part.tree, part.above, part.lower, part.upper) for part in parts),
        )

    def prove(self, traced: Traced) -> None:
        """Prove the range of every component."""
        box = self.ends(traced)
        count = int(np.prod(traced.graph.outputs[0].shape))
        if len(traced.graph.outputs) != 1 or len(self.parts) != count:
            raise CertificateError("parts", f"they are {len(self.parts)}, and the function returns {count} numbers")
        for number, part in enumerate(self.parts):
            try:
                tree, above, lower, upper = part
                bounds = float(lower), float(upper)
            except (TypeError, ValueError):
                node = f"parts[{number}]"
                raise CertificateError(node, "it is not (tree, above, lower, upper)") from None
            prove_range(traced, box, (tree, above), bounds, component=number)


def prove_range(
    traced: Traced,
    box: tuple[Array, Array],
    trees: tuple[Sequence[int], Sequence[int]],
    bounds: tuple[float, float],
    deadline: float = np.inf,
    component: int | None = None,
) -> None:
    """Prove that f lies within bounds on a box, or raise CertificateError; of an array, one component."""
    for field, tree, bound in (("tree", trees[0], bounds[0]), ("above", trees[1], -bounds[1])):
        ask = Questions(traced, deadline, field == "above", component)
        for name, a, b in leaves(tree, *box, field, ask.sloped):
            ask.at_least(a, b, bound, name)
        ask.settle()


def face(lower: Array, upper: Array, code: int) -> tuple[Array, Array]:
    """Return the face of a box that a node of a tree names.

    Raises CertificateError where there is none, or none at a finite place.
    """
    i, last = divmod(-2 - code, 2)
    if i >= lower.size:
        raise CertificateError("tree", "it presses a coordinate that does not exist")
    end = upper[i] if last else lower[i]
    if not np.isfinite(end):
        raise CertificateError("tree", "there is no face at infinity")
    low, high = lower.copy(), upper.copy()
    low[i] = high[i] = end
    return low, high


def leaves(
    tree: Sequence[int],
    lower: Array,
    upper: Array,
    field: str = "tree",
    pressed: Callable[[Array, Array, int, bool, str], None] | None = None,
) -> Iterator[tuple[str, Array, Array]]:
    """Yield the leaves of a tree, which cover the box; each with its name.

    Args:
        tree: the nodes.
        lower: the lower ends of the box (n,).
        upper: its upper ends.
        field: what the tree is called.
        pressed: asked to prove, or to raise CertificateError, that the partial derivative in a coordinate is positive
            on a box, or negative where the flag is set; without it there are no faces.

    >>> import numpy as np
    >>> from qed.certificates.enclosure import leaves
    >>> [(float(a[0]), float(b[0])) for _, a, b in leaves((0, -1, -1), np.zeros(1), np.ones(1))]
    [(0.0, 0.5), (0.5, 1.0)]
    """
    waiting = [(lower, upper)]
    for place, node in enumerate(tree):
        if not waiting:
            raise CertificateError(field, "it goes on behind its last leaf")
        low, high = waiting.pop()
        name = f"{field}[{place}]"
        if node == LEAF:
            yield name, low, high
        elif node >= 0:
            waiting += _halves(low, high, node, field)
        elif pressed is None:
            raise CertificateError(name, f"{node} is no coordinate")
        else:
            waiting.append(face(low, high, node))
            i, last = divmod(-2 - node, 2)
            pressed(low, high, i, bool(last), name)
    if waiting:
        raise CertificateError(field, "a part of the box has no leaf")


def _halves(low: Array, high: Array, i: int, field: str) -> list[tuple[Array, Array]]:
    """The second half of a box and the first."""
    if i >= low.size:
        raise CertificateError(field, "it halves a coordinate that does not exist")
    middle = split(float(low[i]), float(high[i]))
    if not low[i] <= middle <= high[i]:
        raise CertificateError(field, f"[{low[i]!r}, {high[i]!r}] cannot be halved")
    left, right = high.copy(), low.copy()
    left[i] = right[i] = middle
    return [(right, high), (low, left)]
