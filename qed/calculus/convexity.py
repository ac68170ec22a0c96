"""Is a function convex on a box: a proof, two points against it, or the first number where the argument fails.

f is convex on a box if its graph never lies above a chord:

    f(t x + (1-t) y) <= t f(x) + (1-t) f(y)    for all x, y in the box and 0 <= t <= 1

(Boyd and Vandenberghe, *Convex Optimization*, 2004, section 3.1). The program is taken apart into terms
(`qed.domains.curvature`), whose shapes follow from those of their parts (`qed.calculus.shapes.rules`); where no proof
is found, two points and their midpoint are looked for at which the inequality fails, and evaluated in balls.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np

from qed.answer import Answer, Reason
from qed.calculus.shapes.arrays import of_arrays, told_of
from qed.calculus.shapes.explanation import culprit, death, not_convex, reason_of, rounded_exponent, witness_reason
from qed.calculus.shapes.found import Term, term
from qed.calculus.shapes.refutation import Search, bent_along_one, bent_down, split
from qed.calculus.shapes.rules import Rules
from qed.calculus.shapes.strong import strong_constant
from qed.certificates.certificate import Subject
from qed.certificates.convexity import Convexity as Certificate
from qed.certificates.convexity_witness import ConvexityWitness, excess
from qed.certificates.library import meant
from qed.certificates.reading import as_read
from qed.domains.box import spread
from qed.domains.cost import count
from qed.domains.curvature_proof import Step
from qed.domains.curvature_terms import Form
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.function import read
from qed.progress import Progress
from qed.standing import Standing


class Shape(StrEnum):
    """What a function is on a box."""

    CONVEX = "convex"
    CONCAVE = "concave"
    AFFINE = "affine"
    NONCONVEX = "nonconvex"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Chord:
    """Two points, the value in the middle, the mean of the values at the ends, and by how much they differ at least."""

    x: Any
    y: Any
    middle: float
    mean: float
    gap: float


@dataclass(frozen=True)
class Convexity:
    """The shape of a function on a box.

    `nonconvex` means neither; a refuted claim with the shape undecided: not convex, and whether it is concave was not
    found out. `strong` is a constant m for which f - m |x|^2 / 2 is proved convex (0 where none was found), `witness`
    the chord below the graph where f is not convex.
    """

    shape: Shape
    strong: float = 0.0
    witness: Chord | None = None


def convexity(
    fun: Callable[..., Any],
    box: Any,
    *args: Any,
    seed: int = 0,
    budget: float = 10.0,
    progress: Progress | None = None,
) -> Answer[Convexity]:
    """Whether fun(x, *args) is convex in x on a box.

    Args:
        fun: a function of a tree of arrays that returns a number.
        box: `qed.Box(lower, upper)` or the pair; None and infinities are open.
        args: the other arguments, as they are: data.
        seed: of the random search for two points that refute.
        budget: seconds to spend at most on the search.
        progress: called with (what, done, total) as a part begins.

    Returns:
        An answer to the claim "f is convex on the box": PROVED with a certificate (shape convex or affine), REFUTED
        with two points (shape concave or nonconvex) and the finding QED302 at the equation where the argument for it
        fails, or UNKNOWN (undecided) with the first number where the argument fails. It speaks about the real
        function that the program means; AD sees another one where a `stop_gradient` or a custom rule stands.

        Where a function has no value at an end of the box and a finite limit (u log u at u = 0), the claim is about
        the points at which it has one, and is as true of the limit.

    Raises:
        QedError: for what is no box (QED007, QED003), a function that cannot be traced (QED010) or returns no number
            (QED002).

    >>> import jax.numpy as jnp
    >>> from qed.calculus.convexity import convexity
    >>> answer = convexity(lambda x: jnp.log(jnp.sum(jnp.exp(x))), (jnp.full(2, -5.0), jnp.full(2, 5.0)))
    >>> str(answer.standing), str(answer.shape), answer.check()
    ('PROVED', 'convex', True)
    >>> answer = convexity(lambda x: x[0] * x[1], (jnp.full(2, -5.0), jnp.full(2, 5.0)))
    >>> str(answer.standing), str(answer.shape), answer.witness.middle > answer.witness.mean
    ('REFUTED', 'nonconvex', True)
    """
    deadline = time.monotonic() + budget
    example, lower, upper = spread(box)
    function = read(fun, example, *args, finite=False)
    title = function.title()
    told = progress or (lambda what, done, total: None)
    told("taking the program apart", 0, 0)
    found = None
    if count(function.graph, function.traced.free).value > MANY:
        found = _by_arrays(fun, example, tuple(args), (lower, upper))
    if found is None:
        question = _Question(fun, example, args, lower, upper, seed, deadline)
        question.told = told
        found = question.answer()
    place = "Everywhere" if all(np.isinf(end).all() for end in (*lower, *upper)) else "On this box"
    headline = found.headline if found.value is None else _headline(found.value, place)
    answer = replace(found, meta={**found.meta, "seed": seed}, subject=title, headline=headline)
    return as_read(answer, function.traced)


def _by_arrays(fun: Any, example: Any, args: tuple[Any, ...], box: tuple[Any, Any]) -> Answer[Convexity] | None:
    """The answer by rules of whole arrays; None where they do not prove the claim."""
    made = of_arrays(fun, example, args, box)
    if made is None or made.claim == "concave":
        return None
    reason = Reason(
        "disciplined convexity", "f(u) with f convex, and u affine, or f monotone and u of the right shape",
        standing=Standing.PROVED, unpredicted="a shape is asked for, not a number", text=told_of(made),
    )  # fmt: skip
    return _answer(Standing.PROVED, Convexity(Shape(made.claim)), (reason,), certificate=made)


CLAIM = "f is convex on the box"
MANY = 200_000
"""From how many operations on a function is judged array by array first; taken apart it would take many seconds."""
QUICK, LONG = 0.4, 3.0
"""Seconds for the first search for two points, and for the last."""


class _Question:
    """One question, with what is needed to answer it."""

    def __init__(self, fun: Any, example: Any, args: Any, lower: Any, upper: Any, seed: int, deadline: float) -> None:
        self.fun, self.example, self.args, self.seed, self.deadline = fun, example, args, seed, deadline
        self.box = (lower, upper)
        self.term: Term = term(meant(Subject(fun, example, tuple(args)).traced()), lower, upper)
        self.rules = Rules(self.term.algebra)
        self.problem: str | None = None
        self.told: Progress = lambda what, done, total: None

    @cached_property
    def value(self) -> Callable[[np.ndarray], np.ndarray]:
        """The function in float64, over many points."""
        return self.term.values()

    def answer(self) -> Answer[Convexity]:
        """Prove by rules, else refute quickly, else prove by cutting, else refute; else say where it failed."""
        form = self.term.form if self.term.lost is None and self.term.gap is None else None
        above = self.rules.convex(form) if form is not None else None
        below = self.rules.concave(form) if form is not None else None
        against: dict[int, ConvexityWitness | None] = {1: None, -1: None}
        if above is None:
            against[1] = self._witness(1, QUICK)
        if above is None and below is None and form is not None:
            against[-1] = self._witness(-1, QUICK)
            above, below = self._deeper(form, against)
        proved = self._proved(above, below) if above is not None else None
        if proved is not None:
            return proved
        against[1] = against[1] or self._witness(1, LONG)
        if against[1] is None:
            return self._undecided()
        concave = self._certificate("concave", None, below) if below is not None else None
        if concave is None:
            against[-1] = against[-1] or self._witness(-1, LONG)
        return self._refuted(against[1], concave, against[-1], below)

    def _deeper(self, form: Form, against: dict[int, Any]) -> tuple[Step | None, Step | None]:
        """Proofs in pieces and by second derivatives, of what is not refuted."""
        self.told("second derivatives on pieces of the box", 0, 0)
        seconds = max(0.0, self.deadline - time.monotonic())
        deep = Rules(self.term.algebra, deep=True, deadline=time.thread_time() + seconds)
        found: dict[int, Step | None] = {1: None, -1: None}
        for sign in (1, -1):
            if against[sign] is None:
                deep.top = self.term.algebra.scale(form, sign)
                found[sign] = deep.convex(deep.top)
        self.rules = deep
        return found[1], found[-1]

    # --- proved ---

    def _certificate(self, claim: str, above: Step | None, below: Step | None, strong: float = 0.0) -> Any:
        """A certificate that verifies, or None."""
        made = Certificate.about(
            self.fun, self.example, self.args, box=self.box, claim=claim, above=above, below=below, strong=strong
        )
        self.told("verifying the proof", 0, 0)
        try:
            made.verify()
        except CertificateError as error:
            self.problem = f"{error.node}: {error.why}"
            return None
        return made

    def _proved(self, above: Step, below: Step | None) -> Answer[Convexity] | None:
        assert self.term.form is not None
        if below is not None:
            made = self._certificate("affine", above, below)
            if made is not None:
                reasons = (reason_of(above),)
                return _answer(Standing.PROVED, Convexity(Shape.AFFINE), reasons, certificate=made)
        strong, step = strong_constant(self.rules, self.term.form)
        made = self._certificate("convex", step, None, strong) if step is not None else None
        if made is None:
            strong, step, made = 0.0, above, self._certificate("convex", above, None)
        if made is None:
            return None
        return _answer(Standing.PROVED, Convexity(Shape.CONVEX, strong), (reason_of(above),), certificate=made)

    # --- refuted ---

    def _witness(self, sign: int, seconds: float) -> ConvexityWitness | None:
        """Two points at which the inequality of convexity (sign -1: of concavity) fails, replayed in balls."""
        self.told("searching two points against " + ("convexity" if sign > 0 else "concavity"), 0, 0)
        value = self.value
        if self.term.doubtful is not None and not self._defined(value):
            return None
        search = Search(lambda points: sign * value(points), self.term.low, self.term.high, self.seed)
        seconds = max(0.0, min(seconds, self.deadline - time.monotonic()))
        made = self._bent_down(sign)
        if made is not None:
            return made
        tried = 0
        for candidate in search.candidates(seconds, self.term.marks()):
            tried += 1
            made = self._replayed(candidate.x, candidate.y, sign < 0)
            if made is not None or tried > 60 or time.monotonic() > self.deadline:
                return made
        return None

    def _bent_down(self, sign: int) -> ConvexityWitness | None:
        """Two points against a polynomial: along the direction that elimination finds, or between two roots."""
        if self.term.form is None or self.term.doubtful is not None:
            return None
        a, form = self.term.algebra, self.term.algebra.scale(self.term.form, sign)
        pair = bent_down(a, form, self.term.low, self.term.high)
        pairs = [pair] if pair is not None else bent_along_one(a, form, self.term.low, self.term.high)
        made = (self._replayed(*pair, sign < 0) for pair in pairs)
        return next((one for one in made if one is not None), None)

    def _defined(self, value: Any) -> bool:
        """Whether the function has a value at every one of many points of the box."""
        search = Search(value, self.term.low, self.term.high, self.seed)
        x, y = search._random(8.0, 512)
        return bool(np.all(np.isfinite(value(x))) and np.all(np.isfinite(value(y))))

    def _replayed(self, x: np.ndarray, y: np.ndarray, concave: bool) -> ConvexityWitness | None:
        shapes = [a.shape for a in self.box[0]]
        points = split(x, shapes), split(y, shapes)
        middle = [a / 2 + b / 2 for a, b in zip(*points, strict=True)]
        try:
            gap = excess(self.term.traced, *points, middle, 400, concave)
            with precision(400):
                low = float(gap.lower()) if gap.is_finite() else -1.0
            if not low > 0:
                return None
            made = ConvexityWitness.about(
                self.fun, self.example, self.args, box=self.box, points=points, gap=low * 0.999, concave=concave
            )
            made.verify()
        except CertificateError as error:
            self.problem = f"{error.node}: {error.why}"
            return None
        return made

    def _refuted(
        self, witness: ConvexityWitness, concave: Any, other: ConvexityWitness | None, below: Step | None
    ) -> Answer[Convexity]:
        chord = self._chord(witness)
        known = Shape.NONCONVEX if other is not None else Shape.UNDECIDED
        shape = Shape.CONCAVE if concave is not None else known
        reasons: tuple[Reason, ...] = (witness_reason(chord, "convexity"),)
        if concave is not None and below is not None:
            reasons += (reason_of(below),)
        elif other is not None:
            reasons += (witness_reason(self._chord(other), "concavity"),)
        exponent = rounded_exponent(self.term)
        reasons += () if exponent is None else (exponent,)
        parts: tuple[Answer[Any], ...] = ()
        if concave is not None:
            parts = (Answer("f is concave on the box", Standing.PROVED, None, arithmetic="reals", certificate=concave),)
        found = not_convex(chord, (witness.first, witness.second), culprit(self.term, self.rules))
        return _answer(
            Standing.REFUTED,
            Convexity(shape, witness=chord),
            reasons,
            recheck=witness.verify,
            answers=parts,
            findings=(found,),
        )

    def _chord(self, witness: ConvexityWitness) -> Chord:
        import jax

        from qed.certificates.convexity_witness import value_at

        shapes = [a.shape for a in self.box[0]]
        ends = [
            split(np.concatenate([np.array(leaf) for leaf in point] or [np.zeros(0)]), shapes)
            for point in (witness.first, witness.second)
        ]
        middle = [a / 2 + b / 2 for a, b in zip(*ends, strict=True)]
        values = [float(value_at(self.term.traced, point, 400)) for point in (*ends, middle)]
        tree = jax.tree.structure(self.example)
        x, y = (jax.tree.unflatten(tree, [_plain(leaf) for leaf in point]) for point in ends)
        return Chord(x, y, values[2], values[0] / 2 + values[1] / 2, witness.gap)

    # --- undecided ---

    def _undecided(self) -> Answer[Convexity]:
        missing = death(self.term, self.rules, self.problem)
        return _answer(Standing.UNKNOWN, Convexity(Shape.UNDECIDED), (), missing=(missing,))


def _plain(leaf: np.ndarray) -> Any:
    return float(leaf) if leaf.shape == () else leaf


def _answer(standing: Standing, value: Convexity, reasons: tuple[Reason, ...], **rest: Any) -> Answer[Convexity]:
    return Answer(
        CLAIM,
        standing,
        value,
        arithmetic="reals",
        reasons=reasons,
        **rest,
    )


def _headline(value: Convexity, place: str) -> str:
    if value.shape is Shape.CONVEX:
        more = f", strongly with constant {value.strong:.6g}" if value.strong else ""
        return f"{place} the function is convex{more}: every stationary point is a minimum."
    if value.shape is Shape.AFFINE:
        return f"{place} the function is affine: convex and concave."
    if value.shape is Shape.CONCAVE:
        return f"{place} the function is concave, and not convex."
    if value.witness is not None:
        return f"{place} the function is not convex: at two points the chord lies below the graph."
    return "Neither a proof of convexity nor two points against it were found."
