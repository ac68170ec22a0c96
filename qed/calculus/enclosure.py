"""The range of a function on a box, proved.

The natural extension encloses the range on any box, the more closely the smaller the box is: its excess width is of
first order in the box's, of second order in the mean value form (Moore, Kearfott and Cloud, *Introduction to Interval
Analysis*, SIAM 2009, chapters 5 and 6). So the box is halved where the bound is lowest, and pressed on a face where a
partial derivative has one sign (`qed.calculus.bounding.ranging`), once for each end of the range. The boxes are the
certificate's trees; they are verified in other arithmetic.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from qed.answer import Answer, Enclosed, Missing, Reason
from qed.calculus.bounding.boxes import Gap, OnBoxes
from qed.calculus.bounding.ranging import Side
from qed.calculus.expanding.words import outward
from qed.certificates.boxes import OutOfTime
from qed.certificates.boxes_together import Together
from qed.certificates.enclosure import Enclosure, Enclosures
from qed.certificates.reading import as_read
from qed.domains.ball_boxes import BallBoxes, NotSmooth
from qed.domains.box import Interval, spread
from qed.errors import CertificateError, QedError
from qed.graph.function import Function, read
from qed.graph.trace import Traced
from qed.graph.walk import TooLong
from qed.progress import Progress
from qed.standing import Standing

Array = np.ndarray
CLOSE = 1e-3
"""How far the bounds may lie beyond the range where no width is asked for, in parts of the range."""
FEW, MANY = 64, 4096
"""How many leaves each tree has at most: where no width is asked for, and where one is."""
LATE = 1.0
"""How many seconds the natural extension may be verified, where nothing better was in time."""
TRIED = 16
"""On how many boxes at once it is seen how long a verification takes."""
ROOM = (0.0, 2.0**-46, 2.0**-34, 2.0**-24)
"""By which parts of themselves bounds are widened, until they are confirmed."""
LARGEST = {1: 2**20, 2: 2**17}
"""How many numbers one box may hold, for jets of an order to be used."""
HESSIANS = 16
"""In how many variables second derivatives are enclosed at most."""


def enclose(
    fun: Callable[..., Any],
    box: Any,
    *args: Any,
    width: float | None = None,
    budget: float = 5.0,
    progress: Progress | None = None,
) -> Answer[Interval]:
    """Bounds of fun(x, *args) for all x of a box, proved.

    Args:
        fun: a function of a tree of arrays that returns a number; of an array each component is enclosed.
        box: `qed.Box(lower, upper)` or the pair; None and infinities are open.
        args: the other arguments, as they are.
        width: how wide the bounds may be, or how far they may lie beyond the range, both ends together, in the units of
            fun; None for about a thousandth of the range.
        budget: seconds, of which half are for the search; the bounds found until then are proved. It may last a second
            longer, in which coarse bounds are verified where better ones were not in time.
        progress: called with (what, done, total) as the bounds improve.

    Returns:
        An answer whose value is an `Interval`, with the certificate of the proof; for an array its ends are arrays. It
        is UNKNOWN where the function may be undefined somewhere on the box, or holds a primitive without a rule:
        `missing` names it.

    Raises:
        QedError: for what is no box (QED007, QED003), a width that is none (QED007), a function that cannot be traced
            (QED010) or returns neither a number nor an array (QED002), as `qed.graph.function.read` says.

    >>> import jax.numpy as jnp
    >>> from qed.calculus.enclosure import enclose
    >>> answer = enclose(lambda x: jnp.exp(-(x * x)), (-1.0, 2.0))
    >>> str(answer.standing), round(answer.value.lower, 4), answer.value.upper, answer.check()
    ('PROVED', 0.0183, 1.0, True)
    """
    if width is not None and not (isinstance(width, int | float) and 0 < width < np.inf):
        what = f"width={width!r} is no width"
        raise QedError("QED007", what, "it is a positive number in the units of the function", "give width=0.01, say")
    start = time.monotonic()
    example, lower, upper = spread(box)
    function = read(fun, example, *args, finite=False, scalar=False)
    shape = _shape(function, fun, example, args)
    asked = _Asked((fun, example, args), (lower, upper), width, budget, progress, _called(function.name))
    if shape == ():
        found = _of_number(asked, function.traced, start + budget)
    else:
        found = _of_array(asked, shape, start + budget)
    return as_read(replace(found, subject=function.title()), function.traced)


@dataclass(frozen=True)
class _Asked:
    """What is asked: (fun, example, args), the box as two lists of arrays, and how closely."""

    subject: tuple[Any, Any, Any]
    box: tuple[list[Array], list[Array]]
    width: float | None
    budget: float
    progress: Progress | None
    name: str


def _shape(function: Function, fun: Callable[..., Any], example: Any, args: tuple[Any, ...]) -> tuple[int, ...]:
    """The shape of the one array that a function returns."""
    if len(function.graph.outputs) != 1:
        read(fun, example, *args, finite=False)  # says what it returns instead
        because = "it returns several arrays"
        raise QedError("QED002", f"{function.name} returns no number", because, "return one of them")
    return tuple(function.graph.outputs[0].shape)


# --- arrays ---------------------------------------------------------------------------------------------------


def _of_array(asked: _Asked, shape: tuple[int, ...], deadline: float) -> Answer[Interval]:
    """The range of each component, with an equal share of the time that is left."""
    fun, example, args = asked.subject
    count = int(np.prod(shape))
    quiet = replace(asked, progress=None)
    found: list[Answer[Interval]] = []
    for number in range(count):
        if asked.progress is not None:
            asked.progress("components", number, count)
        share = max(0.0, deadline - time.monotonic()) / (count - number)
        part = _component(fun, number)
        traced = read(part, example, *args, finite=False).traced
        one = _of_number(replace(quiet, subject=(part, example, args), budget=share), traced, time.monotonic() + share)
        if not one.proved:
            place = f"component {tuple(int(i) for i in np.unravel_index(number, shape))}"
            return _unknown(replace(one.missing[0], what=f"{place}: {one.missing[0].what}"))
        found.append(one)
    ends: Any = [np.array([getattr(one, side) for one in found]).reshape(shape) for side in ("lower", "upper")]
    low, high = float(np.min(ends[0], initial=np.inf)), float(np.max(ends[1], initial=-np.inf))
    rule = f"each of {count} components by itself"
    return Answer(
        f"each of {count} components of f lies between its bounds for all x of the box",
        Standing.PROVED,
        Interval(*ends),
        arithmetic="reals",
        error=Enclosed(*ends),
        reasons=(Reason(rule, "f(X) encloses f(x) for all x in X", standing=Standing.PROVED, text=rule),),
        certificate=Enclosures.of([one.certificate for one in found], asked.subject, asked.box),
        headline=f"On this box the {count} components of {asked.name} stay between {outward(low, -1, 6)} and "
        f"{outward(high, 1, 6)}.",
    )


def _component(fun: Callable[..., Any], number: int) -> Callable[..., Any]:
    """The function that returns one number of an array."""

    def component(*args: Any) -> Any:
        return jax.numpy.ravel(fun(*args))[number]

    return component


# --- numbers --------------------------------------------------------------------------------------------------


def _of_number(asked: _Asked, traced: Traced, deadline: float) -> Answer[Interval]:
    """The range of a function that returns a number: by derivatives, or without them where that is not confirmed."""
    function = OnBoxes.of(traced)
    ends: Any = [np.concatenate([np.ravel(leaf) for leaf in side]) for side in asked.box]
    problem = ""
    for order in dict.fromkeys((_order(function), 0)):
        last = order == 0
        try:
            search = _Search(asked, function, ends, order, deadline)
            search.run()
        except (Gap, TooLong) as lost:
            if not last:
                continue
            return _unknown(_not_found(lost))
        gap = search.gap
        if gap is not None:
            if not last and not isinstance(gap, str) and "undefined" not in gap.why:
                continue
            return _unknown(_undefined(gap))
        if not np.isfinite(search.lower) and not np.isfinite(search.upper):
            return _unknown(Missing("no bound was found", "a smaller box", code="QED020"))
        try:
            return _answer(asked, search, _confirmed(asked, search, time.monotonic() + LATE if last else deadline))
        except CertificateError as error:
            problem = f"not confirmed in balls: {error.node}: {error.why}"
        except OutOfTime:
            problem = f"no bound was verified within the budget of {asked.budget:g} s"
    return _unknown(Missing(problem, "a rule", code="QED020"))


def _order(function: OnBoxes) -> int:
    """The order of the jets that are small enough to be carried on many boxes."""
    n = function.size
    if n <= HESSIANS and function.weight * n * (n + 1) // 2 <= LARGEST[2]:
        return 2
    return 1 if function.weight * n <= LARGEST[1] else 0


class _Search:
    """Both ends of the range."""

    def __init__(
        self, asked: _Asked, function: OnBoxes, ends: tuple[Array, Array], order: int, deadline: float
    ) -> None:
        self.asked, self.order = asked, order
        self.until = time.monotonic() + max(0.0, deadline - time.monotonic()) / 2
        most = min(FEW if asked.width is None else MANY, self._affordable(function, ends))
        self.sides = [Side(function, sign, *ends, order, most) for sign in (1, -1)]

    def _affordable(self, function: OnBoxes, ends: tuple[Array, Array]) -> int:
        """How many leaves can be verified in half of the budget, about."""
        limit, took = self.asked.budget / 8, np.inf
        together, balls = Together(function.traced), BallBoxes(function.traced)
        for _ in range(2):  # the first time something may be imported
            start = time.monotonic()
            if together.known:
                together.bounds(*(np.repeat(end[None], TRIED, 0) for end in ends))
                took = min(took, (time.monotonic() - start) / TRIED)
            else:
                with contextlib.suppress(NotSmooth):
                    balls.range(*ends)
                    balls.slopes(*ends)
                second = 1 + function.size / 2 if self.order else 1  # second derivatives in so many times that
                took = min(took, second * (time.monotonic() - start))
            if took > limit:
                break
        return 1 + int(limit / max(took, 1e-9))

    @property
    def lower(self) -> float:
        """The lower bound."""
        return self.sides[0].bound

    @property
    def upper(self) -> float:
        """The upper bound."""
        return -self.sides[1].bound

    @property
    def seen(self) -> tuple[float, float]:
        """Values that f takes, rounded inward: the lowest and the highest."""
        return self.sides[0].seen, -self.sides[1].seen

    @property
    def gap(self) -> Any:
        """Where f may be undefined."""
        return next((node.gap for side in self.sides for node in side.leaves if node.gap is not None), None)

    @property
    def goal(self) -> float:
        """How far each bound may lie beyond the range."""
        if self.asked.width is not None:
            return self.asked.width / 2
        low, high = self.seen
        return CLOSE / 2 * (high - low) if np.isfinite(high - low) else 0.0

    @property
    def finished(self) -> bool:
        """Whether the bounds are as close as is asked for."""
        wide = self.asked.width is not None and self.upper - self.lower <= self.asked.width
        return wide or all(side.excess <= self.goal for side in self.sides)

    def run(self) -> None:
        """Improve both bounds in turn, until they are close, or the time is over."""
        busy = [True, True]
        while any(busy) and not self.finished and time.monotonic() < self.until:
            for k, side in enumerate(self.sides):
                busy[k] = busy[k] and side.improve(self.goal)
            if self.asked.progress is not None:
                said = f"range in [{self.lower:.6g}, {self.upper:.6g}]"
                self.asked.progress(said, sum(len(side.leaves) for side in self.sides), 0)


def _confirmed(asked: _Asked, search: _Search, deadline: float) -> Enclosure:
    """The certificate, verified: of these bounds, or of slightly wider ones that leave room for roundings.

    Raises CertificateError where it cannot be verified, OutOfTime where that takes too long.
    """
    fun, example, args = asked.subject
    problem: CertificateError | None = None
    for room in ROOM if search.order else ROOM[2:]:  # where little time may be left
        ends = [search.lower, search.upper]
        margin = room * max([abs(end) for end in (*ends, *search.seen) if np.isfinite(end)], default=0.0)
        bounds = ends[0] - margin, ends[1] + margin
        certificate = Enclosure.about(
            fun,
            example,
            args,
            box=asked.box,
            tree=search.sides[0].tree(bounds[0] + margin),
            above=search.sides[1].tree(margin - bounds[1]),
            bounds=bounds,
        )
        try:
            certificate.confirm(deadline)
        except CertificateError as error:
            problem = error
        else:
            return certificate
    assert problem is not None
    raise problem


# --- words ----------------------------------------------------------------------------------------------------


def _answer(asked: _Asked, search: _Search, certificate: Enclosure) -> Answer[Interval]:
    found = Interval(certificate.lower, certificate.upper)
    late = "" if asked.width is None or search.finished else " That is wider than asked for: the budget ended."
    counts = [sum(node != -1 for node in tree) and len(tree) for tree in (certificate.tree, certificate.above)]
    forms = ("natural extension", "mean value form", "forms of first and second order")[search.order]
    pieces = max(1, *counts)
    rule = f"{forms} on {pieces} box" + "es" * (pieces > 1)
    low, high = search.seen
    inner = Reason(
        "values that are taken",
        f"{low:.6g} and {high:.6g}",
        role="observed",
        standing=Standing.MEASURED,
        predicted=found.width,
        observed=high - low,
        text=f"among the values taken are {low:.6g} and {high:.6g}",
    )
    proof = Reason(rule, "f(X) encloses f(x) for all x in X", standing=Standing.PROVED, text=rule)
    return Answer(
        f"f(x) lies in [{found.lower!r}, {found.upper!r}] for all x of the box",
        Standing.PROVED,
        found,
        arithmetic="reals",
        error=Enclosed(found.lower, found.upper),
        reasons=(proof, inner) if np.isfinite(high - low) else (proof,),
        certificate=certificate,
        headline=f"On this box {asked.name} stays between {outward(found.lower, -1, 6)} and "
        f"{outward(found.upper, 1, 6)}.{late}",
    )


def _called(name: str) -> str:
    """The function in a sentence."""
    return name if name.isidentifier() else "the function"


def _not_found(lost: Gap | TooLong) -> Missing:
    if isinstance(lost, TooLong):
        return Missing(str(lost), "a shorter loop", code="QED020")
    gap = lost.unknown
    return Missing(str(gap), "a rule, see CONTRIBUTING.md", code="QED020", primitive=gap.primitive, span=gap.span)


def _undefined(gap: Any) -> Missing:
    if isinstance(gap, str):
        return Missing(gap, "a smaller box", code="QED020")
    settle = "a box on which it is defined" if "undefined" in gap.why else "a rule, see CONTRIBUTING.md"
    return Missing(str(gap), settle, code="QED020", primitive=gap.primitive, span=gap.span)


def _unknown(missing: Missing) -> Answer[Interval]:
    return Answer("f(x) is bounded on the box", Standing.UNKNOWN, None, arithmetic="reals", missing=(missing,))
