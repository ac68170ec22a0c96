"""The global minimum of a function on a box, proved: bounds of it, and boxes that hold every minimiser.

A vanishing gradient says nothing about the rest of the box. Bounds on boxes do: where a lower bound of f on a box lies
above a value that f takes, the box holds no global minimiser (branch and bound: Moore, Kearfott and Cloud,
*Introduction to Interval Analysis*, SIAM 2009, chapter 11). A box on which f is convex and has a stationary point holds
one minimiser, which ends the search there. Stopped at any time, the bounds that were found hold.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from qed.answer import Answer, Enclosed, Missing, Reason
from qed.calculus.bounding.boxes import Gap, OnBoxes
from qed.calculus.bounding.result import GlobalMinimum, Minimizer, minimizers, preorder, room
from qed.calculus.bounding.search import Search
from qed.calculus.expanding.words import outward
from qed.certificates.global_minimum import GlobalMinimum as Certificate
from qed.certificates.reading import as_read
from qed.domains.box import spread
from qed.domains.padded_jets import PaddedBoxes
from qed.errors import CertificateError, QedError
from qed.graph.function import read
from qed.graph.walk import TooLong
from qed.standing import Standing

Array = np.ndarray
UNCONFIRMED = "not confirmed in balls: regions"
SMALLER = 0.02
"""By which factor regions of one minimiser are smaller in a second search, where balls did not confirm the first."""
VERIFYING = 10.0
"""Seconds of verification at least, where the search took all of the budget."""
LARGEST = 64
"""How many variables there may be: a Hessian is enclosed on every box."""


def minimize_globally(
    fun: Callable[..., Any],
    box: Any,
    *args: Any,
    tol: float = 1e-6,
    budget: float = 60.0,
    seed: int = 0,
    progress: Callable[[str, int, int], Any] | None = None,
) -> Answer[GlobalMinimum]:
    """The least value of fun(x, *args) on a box, enclosed, with boxes that hold all points where it is taken.

    Args:
        fun: a function of a tree of arrays that returns a number.
        box: `qed.Box(lower, upper)` or the pair; None and infinities are open.
        args: the other arguments, as they are.
        tol: how wide the enclosure of the minimum may be, in the units of fun.
        budget: seconds of search; the bounds found until then are proved too, if their certificate can be verified in
            what is left of it, or in ten seconds.
        seed: of the points from which local descent starts.
        progress: called with (what, done, total) as the bounds improve.

    Returns:
        An answer whose value is a `GlobalMinimum`. PROVED, even where the budget ended first (`finished` is then
        False). UNKNOWN where no bound is known: a primitive without a rule, a function that may be undefined on the
        box, or unbounded below; and where bounds are known that were not verified in time (the value holds them).
        `missing` says which.

    Raises:
        QedError: for what is no box (QED007, QED003), a function that cannot be traced (QED010) or returns no number
            (QED002), more than 64 variables (QED007).

    >>> import jax.numpy as jnp
    >>> from qed.calculus.globally import minimize_globally
    >>> answer = minimize_globally(lambda x: jnp.sum(x**4 - x**2), (-jnp.ones(2), jnp.ones(2)))
    >>> str(answer.standing), round(answer.value.upper, 6), len(answer.value.minimizers), answer.check()
    ('PROVED', -0.5, 4, True)
    >>> [m.exactly_one for m in answer.value.minimizers]
    [True, True, True, True]
    """
    _positive(tol, "tol")
    _positive(budget, "budget")
    start = time.monotonic()
    example, lower, upper = spread(box)
    asked = read(fun, example, *args, finite=False)
    function = OnBoxes.of(asked.traced)
    if function.size > LARGEST:
        what, because = f"{function.size} variables are too many", "the Hessian of each box would have to be enclosed"
        raise QedError("QED007", what, because, f"fix all but {LARGEST} of them")
    answer = _searched(function, tol, start + budget, seed, progress, 1.0, (fun, example, args), (lower, upper))
    if answer.unknown and answer.missing[0].what.startswith(UNCONFIRMED):
        answer = _searched(
            function, tol, time.monotonic() + budget / 2, seed, progress, SMALLER, (fun, example, args), (lower, upper)
        )
    return as_read(replace(answer, subject=asked.title()), asked.traced)


def _searched(
    function: OnBoxes, tol: float, deadline: float, seed: int, progress: Any, reach: float, subject: Any, box: Any
) -> Answer[GlobalMinimum]:
    """The answer of one search."""
    ends = [np.concatenate([np.ravel(leaf) for leaf in side]) for side in box]
    corners = PaddedBoxes(function.traced).known
    search = Search(function, ends[0], ends[1], tol, deadline, seed, progress, reach, corners)
    try:
        search.run()
    except Gap as gap:
        lost, settle = gap.unknown, "a rule, see CONTRIBUTING.md"
        return _unknown(Missing(str(lost), settle, code="QED020", primitive=lost.primitive, span=lost.span))
    except TooLong as error:
        return _unknown(Missing(str(error), "a shorter loop", code="QED020"))
    return _answer(search, subject, box) if np.isfinite(search.low) else _no_bound(search)


def _positive(number: float, name: str) -> None:
    if not (isinstance(number, int | float) and number > 0):
        raise QedError("QED007", f"{name}={number!r} is no positive number", "it says when to stop", f"give {name} > 0")


def _unknown(missing: Missing) -> Answer[GlobalMinimum]:
    claim = "f has a minimum on the box that is bounded below"
    told = "No lower bound of the function on this box was proved."
    return Answer(claim, Standing.UNKNOWN, None, arithmetic="reals", missing=(missing,), headline=told)


def _no_bound(search: Search) -> Answer[GlobalMinimum]:
    gap = search.gap
    if gap is not None:
        settle = "a box on which it is defined"
        return _unknown(Missing(str(gap), settle, code="QED020", primitive=gap.primitive, span=gap.span))
    return _unknown(Missing("no lower bound was found", "a smaller box, or a longer budget", code="QED020"))


def _answer(search: Search, subject: tuple[Any, Any, Any], box: tuple[Any, Any]) -> Answer[GlobalMinimum]:
    example = subject[1]
    found = minimizers(search)
    assert search.witness is not None
    try:
        certificate, verified = _confirmed(search, subject, box, found)
    except CertificateError as error:
        return _unknown(Missing(f"not confirmed in balls: {error.node}: {error.why}", "a rule", code="QED020"))

    def tree(x: Array) -> Any:
        leaves = [leaf[0] for leaf in search.function.leaves(x[None])]
        return jax.tree.unflatten(jax.tree.structure(example), leaves)

    low, high = certificate.lower + 0.0, certificate.upper + 0.0  # not -0.0
    bounded = np.all(np.isfinite([search.lower, search.upper]))
    least = "minimum" if bounded else "infimum"  # which need not be attained
    value = GlobalMinimum(
        low,
        high,
        tuple(Minimizer(tree(a), tree(b), one) for a, b, one in found),
        tree(search.witness),
        search.evaluated,
        high - low <= 2 * search.tol,
    )
    claim = f"the {least} of f on the box lies in [{low!r}, {high!r}], and every minimiser in one of {len(found)} boxes"
    shared = {"arithmetic": "reals", "certificate": certificate}
    if not verified:
        lost = Missing("the search ended, and its certificate was not verified to the end in time", "a longer budget")
        text = _headline(value) + " That was found, and not verified."
        return Answer(claim, Standing.UNKNOWN, value, missing=(lost,), headline=text, **shared)
    return Answer(
        claim,
        Standing.PROVED,
        value,
        error=Enclosed(low, high),
        reasons=_reasons(search),
        headline=_headline(value),
        **shared,
    )


def _confirmed(
    search: Search, subject: tuple[Any, Any, Any], box: tuple[Any, Any], found: Any
) -> tuple[Certificate, bool]:
    """The certificate, and whether all of it was verified in the time that was left.

    The lower bound is moved down a little, so that other arithmetic can confirm it.
    """
    assert search.witness is not None
    fun, example, args = subject
    down = room(search)
    regions = [
        (*map(_numbers, (r.lower, r.upper, r.point, r.face)), r.radius, r.one, r.bound - down) for r in search.regions
    ]
    certificate = Certificate.about(
        fun,
        example,
        args,
        box=box,
        bounds=(search.low - down, search.best),
        witness=search.witness,
        tree=preorder(search),
        regions=regions,
        minimizers=[(_numbers(a), _numbers(b), bool(one)) for a, b, one in found],
    )
    return certificate, certificate.verified_within(max(VERIFYING, search.deadline - time.monotonic()))


def _numbers(x: Array) -> tuple[float, ...]:
    return tuple(float(v) for v in x)


def _headline(value: GlobalMinimum) -> str:
    span = f"between {outward(value.lower, -1, 8)} and {outward(value.upper, 1, 8)}"
    count = len(value.minimizers)
    where = "one small box holds" if count == 1 else f"{count} boxes hold"
    late = "" if value.finished else " The budget ended before the tolerance was met."
    return f"The least value on the box is {span}; {where} every point that takes it.{late}"


def _reasons(search: Search) -> tuple[Reason, ...]:
    from qed.certificates.global_minimum import ABOVE, FACE, INSIDE, SLOPED

    kinds = search.tree.kind
    counts = {
        "a lower bound above a value that f takes": kinds.count(ABOVE),
        "a partial derivative with one sign": kinds.count(SLOPED),
        "the same, pressed on a face": kinds.count(FACE),
        "inside a region where f has one local minimum": kinds.count(INSIDE),
    }
    told = tuple(
        Reason(rule, with_numbers=f"{count} boxes", standing=Standing.PROVED, text=f"{count} boxes: {rule}")
        for rule, count in counts.items()
        if count
    )
    rule = f"branch and bound on {search.evaluated} boxes"
    return (
        Reason(rule, "f(X) > f(x) excludes the box X", standing=Standing.PROVED, text=rule, premises=told),
        Reason(
            "the least value seen",
            "min f <= f(x)",
            f"f(x) <= {search.best!r}",
            standing=Standing.PROVED,
            text=f"at the point that local descent found f is at most {outward(search.best, 1, 8)}",
        ),
        Reason(
            "the certificate",
            with_numbers=f"{len(kinds)} nodes",
            standing=Standing.PROVED,
            role="checked",
            text=f"the tree of {len(kinds)} boxes, verified in balls",
        ),
    )
