"""The range of a function on a box, proved.

The natural extension encloses the range on any box, the more closely the smaller the box is: its excess width is of
first order in the box's, of second order in the mean value form (Moore, Kearfott and Cloud, *Introduction to Interval
Analysis*, SIAM 2009, chapters 5 and 6). So the box is halved, again and again where the enclosure is widest, and the
range is the hull over the pieces. The pieces are the certificate's tree; it is verified in other arithmetic.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from qed.answer import Answer, Enclosed, Missing, Reason
from qed.calculus.expanding.words import outward
from qed.certificates.certificate import placed
from qed.certificates.enclosure import Enclosure, halves, prove_leaf
from qed.domains.box import Interval, spread
from qed.domains.interval import Interval as IntervalDomain
from qed.domains.intervals import Intervals
from qed.errors import CertificateError
from qed.graph.function import Function, read
from qed.graph.trace import Traced
from qed.graph.walk import TooLong, Unknown, Walker
from qed.standing import Standing

PIECES = 64
TOLERANCE = 1e-3
ROOM = (0.0, 2.0**-40)
"""By which parts of themselves bounds are widened, until they are confirmed."""


@dataclass(eq=False)
class _Node:
    lower: list[np.ndarray]
    upper: list[np.ndarray]
    bounds: tuple[float, float]
    gap: Unknown | None
    coordinate: int = -1
    children: list[_Node] = field(default_factory=list)

    def order(self) -> list[int]:
        """The tree as a certificate writes it."""
        return [self.coordinate, *(n for child in self.children for n in child.order())]


def enclose(
    fun: Callable[..., Any], box: Any, *args: Any, pieces: int = PIECES, budget: float = 5.0
) -> Answer[Interval]:
    """Bounds of fun(x, *args) for all x of a box, proved.

    Args:
        fun: a function of a tree of arrays that returns a number.
        box: `qed.Box(lower, upper)` or the pair; None and infinities are open.
        args: the other arguments, as they are.
        pieces: into how many pieces the box is cut at most.
        budget: seconds after which no piece is cut any more.

    Returns:
        An answer whose value is an `Interval`, with the certificate of the proof. It is UNKNOWN where the function may
        be undefined somewhere on the box, or holds a primitive without a rule: `missing` names it.

    Raises:
        QedError: for what is no box (QED007, QED003), a function that cannot be traced (QED010) or returns no number
            (QED002), as `qed.graph.function.read` says.

    >>> import jax.numpy as jnp
    >>> from qed.calculus.enclosure import enclose
    >>> answer = enclose(lambda x: jnp.exp(-(x * x)), (-1.0, 2.0))
    >>> str(answer.standing), round(answer.value.lower, 4), answer.value.upper, answer.check()
    ('PROVED', 0.0183, 1.0, True)
    """
    example, lower, upper = spread(box)
    function = read(fun, example, *args, finite=False)
    found = _enclosed(function, (fun, example, args), (lower, upper), pieces, budget)
    return replace(found, subject=function.title())


def _enclosed(function: Function, subject: Any, box: Any, pieces: int, budget: float) -> Answer[Interval]:
    (fun, example, args), (lower, upper), traced = subject, box, function.traced
    deadline = time.monotonic() + budget
    try:
        root = _evaluated(traced, lower, upper)
        if root.gap is None or "undefined" in root.gap.why:
            pieces = min(pieces, _affordable(traced, root, budget))
        leaves = _refined(traced, root, pieces, deadline)
    except TooLong as error:
        return _unknown(Missing(str(error), "a shorter loop", code="QED020"))
    gap = next((leaf.gap for leaf in leaves if leaf.gap is not None), None)
    if gap is not None:
        settle = "a box on which it is defined" if "undefined" in gap.why else "a rule, see CONTRIBUTING.md"
        return _unknown(Missing(str(gap), settle, code="QED020", primitive=gap.primitive, span=gap.span))
    found = Interval(min(leaf.bounds[0] for leaf in leaves), max(leaf.bounds[1] for leaf in leaves))
    if np.isinf(found.lower) and np.isinf(found.upper):
        return _unknown(Missing("no bound was found", "a smaller box", code="QED020"))
    try:
        certificate = _confirmed(fun, example, args, root, found)
    except CertificateError as error:
        return _unknown(Missing(f"not confirmed in balls: {error.node}: {error.why}", "a rule", code="QED020"))
    found = Interval(certificate.lower, certificate.upper)
    rule = f"natural extension on {len(leaves)} piece" + "s" * (len(leaves) > 1)
    return Answer(
        f"f(x) lies in [{found.lower!r}, {found.upper!r}] for all x of the box",
        Standing.PROVED,
        found,
        arithmetic="reals",
        error=Enclosed(found.lower, found.upper),
        reasons=(Reason(rule, "f(X) encloses f(x) for all x in X", standing=Standing.PROVED, text=rule),),
        certificate=certificate,
        headline=f"On this box {_called(function.name)} stays between {outward(found.lower, -1, 6)} and "
        f"{outward(found.upper, 1, 6)}.",
    )


def _called(name: str) -> str:
    """The function in a sentence."""
    return name if name.isidentifier() else "the function"


def _affordable(traced: Traced, root: _Node, budget: float) -> int:
    """How many pieces can be verified in about that many seconds."""
    start = time.monotonic()
    with contextlib.suppress(CertificateError):
        prove_leaf(traced, (root.lower, root.upper), root.bounds, "box")
    return 1 + int(budget / max(time.monotonic() - start, 1e-9))


def _confirmed(fun: Callable[..., Any], example: Any, args: tuple[Any, ...], root: _Node, found: Interval) -> Enclosure:
    """The certificate, verified: of these bounds, or of slightly wider ones that leave room for roundings.

    Raises CertificateError where it cannot be verified.
    """
    problem: CertificateError | None = None
    for room in ROOM:
        ends = [float(end) for end in (found.lower, found.upper)]
        margin = room * max([abs(end) for end in ends if np.isfinite(end)], default=0.0)
        certificate = Enclosure.about(
            fun,
            example,
            args,
            box=(root.lower, root.upper),
            tree=root.order(),
            bounds=(ends[0] - margin, ends[1] + margin),
        )
        try:
            certificate.verify()
        except CertificateError as error:
            problem = error
        else:
            return certificate
    assert problem is not None
    raise problem


def _evaluated(traced: Traced, lower: list[np.ndarray], upper: list[np.ndarray]) -> _Node:
    box = [Intervals(a, b) for a, b in zip(lower, upper, strict=True)]
    domain = IntervalDomain()
    value = Walker([domain]).run(traced.graph, placed(traced, box))[0].values[0]
    if isinstance(value, Unknown):
        return _Node(lower, upper, (-np.inf, np.inf), value)
    value = domain.number(value)
    gap = None
    if value.doubt:
        gap = value.doubt.place or Unknown("interval", "an infinite constant", None, "the value may be infinite:")
    return _Node(lower, upper, (float(value.lower), float(value.upper)), gap)


def _refined(traced: Traced, root: _Node, pieces: int, deadline: float) -> list[_Node]:
    """Halve the piece that reaches furthest out, until that pays no more."""
    leaves = [root]
    stuck: set[int] = set()
    while len(leaves) < pieces and time.monotonic() < deadline:
        chosen = _outermost([leaf for leaf in leaves if id(leaf) not in stuck])
        if chosen is None:
            break
        coordinate = _widest(chosen)
        if coordinate is None or (chosen.gap is not None and "undefined" not in chosen.gap.why):
            stuck.add(id(chosen))
            continue
        chosen.coordinate = coordinate
        chosen.children = [_evaluated(traced, *half) for half in halves(chosen.lower, chosen.upper, coordinate)]
        leaves = [leaf for leaf in leaves if leaf is not chosen] + chosen.children
        before, after = chosen.bounds, [child.bounds for child in chosen.children]
        gained = (min(a for a, _ in after) - before[0]) + (before[1] - max(b for _, b in after))
        if chosen.gap is None and not gained > TOLERANCE * (before[1] - before[0]) and len(leaves) >= 8:
            stuck |= {id(child) for child in chosen.children}
    return leaves


def _outermost(leaves: list[_Node]) -> _Node | None:
    """A piece with a gap, else the one with the lowest or the highest bound, whichever is wider."""
    if not leaves:
        return None
    broken = next((leaf for leaf in leaves if leaf.gap is not None), None)
    if broken is not None:
        return broken
    low, high = min(leaves, key=lambda leaf: leaf.bounds[0]), max(leaves, key=lambda leaf: leaf.bounds[1])
    return max((low, high), key=lambda leaf: leaf.bounds[1] - leaf.bounds[0])


def _widest(node: _Node) -> int | None:
    """The coordinate with the longest side, if it can be halved."""
    sides = np.concatenate([(b - a).ravel() for a, b in zip(node.lower, node.upper, strict=True)] or [np.zeros(0)])
    if not sides.size or not np.all(np.isfinite(sides)) or not sides.max() > 0:
        return None
    return int(np.argmax(sides))


def _unknown(missing: Missing) -> Answer[Interval]:
    return Answer("f(x) is bounded on the box", Standing.UNKNOWN, None, arithmetic="reals", missing=(missing,))
