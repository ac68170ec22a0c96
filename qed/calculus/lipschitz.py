"""Lipschitz constants of a function and of its gradient on a box, proved.

By the mean value theorem |f(y) - f(x)| <= L |y - x| with L the greatest |grad f| on a box, and |grad f(y) - grad f(x)|
<= L |y - x| with L the greatest spectral norm of the Hessian: then a step of gradient descent below 2/L that stays in
the box does not raise f (Nesterov, *Lectures on Convex Optimization*, 2018, lemma 1.2.3). Losses on data are sums of
functions of affine functions, whose constants follow from the ranges of these functions' derivatives, on the whole
space too (`qed.calculus.bounding.ridges`). Else gradient and Hessian are enclosed by interval jets. An interval matrix
has no eigenvalue above t if t I - H is positive definite throughout; row sums (Gershgorin) and the Frobenius norm bound
the spectral norm too. The box is halved where the bound is largest, until sampled points show that little is left to
gain.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from qed.answer import Answer, Enclosed, Missing, Reason
from qed.calculus.bounding.allowance import Allowance
from qed.calculus.bounding.boxes import Gap, OnBoxes, undefined
from qed.calculus.bounding.forms import definite
from qed.calculus.bounding.ridges import NoBound, constant
from qed.calculus.expanding.words import outward
from qed.certificates.boxes import OutOfTime, split
from qed.certificates.lipschitz import Lipschitz
from qed.certificates.reading import as_read
from qed.certificates.ridges import Ridges
from qed.domains import rounding_outward as ro
from qed.domains.box import spread
from qed.domains.intervals import Intervals
from qed.domains.jet import Jet, full, pairs, spectral_bound
from qed.errors import CertificateError, QedError
from qed.graph.function import read
from qed.graph.trace import Traced
from qed.graph.walk import TooLong
from qed.progress import Progress
from qed.standing import Standing

Array = np.ndarray
PIECES = 32
ROOM = ((2.0**-40, 2), (1e-2, 12), (0.5, 24))
"""By which parts of itself the constant is raised until it is confirmed, and in how many parts of each leaf."""
LARGEST = 64
"""In how many variables derivatives are enclosed on pieces of the box at most."""
POINTS = 15
"""At how many points norms are taken, to see whether a constant is close."""
SMALLEST = 3e-308
"""A constant below it is told as that of a function that does not change up to it: the bound of 0, rounded up."""
NEAR = 0.05
"""The part of a proved constant that is not worth enclosing derivatives on pieces."""
CLOSE = 1e-3
"""The part of the constant that is not worth another halving."""


def lipschitz(
    fun: Callable[..., Any],
    box: Any,
    *args: Any,
    order: int = 1,
    budget: float = 10.0,
    progress: Progress | None = None,
) -> Answer[float]:
    """A Lipschitz constant of fun on a box (order 0), or of its gradient (order 1), in the Euclidean norm, proved.

    Args:
        fun: a function of a tree of arrays that returns a number.
        box: `qed.Box(lower, upper)` or the pair.
        args: the other arguments, as they are.
        order: 0 for fun itself, in units of fun per unit of x; 1 for its gradient, per unit of x squared.
        budget: seconds, about half of them for the search; the rest is for the verification.
        progress: called with (what, done, total) as pieces of the box are bounded.

    Returns:
        An answer whose value is the constant; `lower` is a norm that is taken on the box, `upper` the constant. UNKNOWN
        where the function may have a corner or a jump in the box, may be undefined, or has no bounded derivative there;
        and where balls do not confirm the constant. The box may be infinite.

    Raises:
        QedError: for what is no box (QED007, QED003), an order that is not 0 or 1 (QED007), a function that cannot be
            traced (QED010) or returns no number (QED002).

    >>> import jax.numpy as jnp
    >>> from qed.calculus.lipschitz import lipschitz
    >>> answer = lipschitz(lambda w: jnp.sum(w**2 * jnp.array([4.0, 1.0])), (-jnp.ones(2), jnp.ones(2)))
    >>> str(answer.standing), round(answer.value, 6), answer.check()
    ('PROVED', 8.0, True)
    """
    if order not in (0, 1):
        what = f"order={order!r} is neither 0 nor 1"
        raise QedError("QED007", what, "a constant of f or of its gradient is asked for", "give order=0 or order=1")
    start = time.monotonic()
    example, lower, upper = spread(box)
    asked = read(fun, example, *args, finite=False)
    subject, ends = (fun, example, args), (lower, upper)
    when = Allowance(start, budget, progress)
    found = _of_sum(asked.traced, subject, ends, order, when)
    if not found.proved or _may_be_less(found, ends):
        function = OnBoxes.of(asked.traced)
        most = found.upper if found.proved else np.inf
        other = _judged(function, subject, ends, order, when, most)
        found = found if found.proved and not other.proved else _with_reason(other, found)
    return as_read(replace(found, subject=asked.title()), asked.traced)


def _may_be_less(found: Answer[float], box: tuple[Any, Any]) -> bool:
    """Whether pieces are worth looking at: the box is bounded, and no norm close to the constant was seen."""
    bounded = all(np.all(np.isfinite(x)) for side in box for x in side)
    return bounded and found.lower < (1 - NEAR) * found.upper


def _with_reason(other: Answer[float], found: Answer[float]) -> Answer[float]:
    """The answer by pieces; where that is UNKNOWN too, with what speaks against a constant."""
    if other.proved or not found.missing or "jump" not in found.missing[0].what:
        return other
    return replace(other, missing=(found.missing[0], *other.missing))


# --- sums of functions of affine functions --------------------------------------------------------------------


def _of_sum(
    traced: Traced, subject: tuple[Any, Any, Any], box: tuple[Any, Any], order: int, when: Allowance
) -> Answer[float]:
    """The constant of a sum of functions of affine functions; UNKNOWN where it is none, or is not confirmed."""
    try:
        found = constant(traced, *box, order, when.part(0.5))
    except NoBound as error:
        return _unknown(order, Missing(str(error), "another box", code="QED020"))
    fun, example, args = subject
    problem = ""
    for room in (2.0**-40, 2.0**-24):
        bound = found.bound * (1 + room) + float(np.finfo(float).tiny)
        certificate = Ridges.about(fun, example, args, box=box, order=order, bound=bound, ranges=found.ranges)
        try:
            certificate.confirm(when.part(0.8))
        except CertificateError as error:
            problem = f"{error.node}: {error.why}"
            if error.node != "bound":
                break
        except OutOfTime:
            return _unknown(order, when.over("the constant was not verified"))
        else:
            text = f"a sum of {found.count} functions of affine functions" if found.count else "an affine function"
            return _told(order, bound, _sampled(OnBoxes.of(traced), order, box), certificate, text)
    return _unknown(order, Missing(problem, "a box without corners", code="QED020"))


def _sampled(function: OnBoxes, order: int, box: tuple[Any, Any]) -> float:
    """A norm that the derivative takes at one of some points of the box, to float64's precision."""
    if function.size > LARGEST:
        return 0.0
    low, high = (np.concatenate([np.ravel(leaf) for leaf in side]) for side in box)
    low, high = np.maximum(low, np.minimum(high, 1.0) - 2.0), np.minimum(high, np.maximum(low, -1.0) + 2.0)
    random = np.random.default_rng(0)
    corners = np.where(random.random((POINTS, low.size)) < 0.5, low, high)
    points = np.array([low / 2 + high / 2, *random.uniform(low, high, (POINTS, low.size)), *corners, low, high])
    try:
        return norm_at(function, points, order)
    except (Gap, TooLong):
        return 0.0


def norm_at(function: OnBoxes, points: Array, order: int) -> float:
    """The greatest norm of gradient or Hessian at points, to float64's precision; 0 where they are not known."""
    jet = function.at(points, order + 1)
    part = jet.slope if order == 0 else jet.hessian
    assert part is not None
    good = np.all(np.isfinite(part.lower) & np.isfinite(part.upper), -1)
    if not np.any(good):
        return 0.0
    middle = (part.lower[good] + part.upper[good]) / 2
    if order == 0:
        return float(np.max(np.linalg.norm(middle, axis=-1)))
    return float(np.max(np.abs(np.linalg.eigvalsh(full(middle, function.size)))))


# --- pieces of the box ----------------------------------------------------------------------------------------


def _judged(
    function: OnBoxes,
    subject: tuple[Any, Any, Any],
    box: tuple[Any, Any],
    order: int,
    when: Allowance,
    most: float,
) -> Answer[float]:
    """The constant by pieces of the box, if it is smaller than `most`."""
    if function.size > LARGEST:
        what = f"derivatives in {function.size} variables are not enclosed, {LARGEST} are the limit"
        return _unknown(order, Missing(what, "fewer variables", code="QED020"))
    ends = [np.concatenate([np.ravel(leaf) for leaf in side]) for side in box]
    try:
        pieces = _Pieces(function, order, *ends)
        pieces.refine(when.part(0.5), when.progress)
    except Gap as gap:
        lost = gap.unknown
        return _unknown(order, Missing(str(lost), "a rule", code="QED020", primitive=lost.primitive, span=lost.span))
    except TooLong as error:
        return _unknown(order, Missing(str(error), "a shorter loop", code="QED020"))
    if not np.isfinite(pieces.bound):
        return _unknown(order, _why(pieces))
    if not pieces.bound < (1 - NEAR) * most:
        return _unknown(order, Missing("no smaller constant was found"))
    return _confirmed(pieces, subject, box, when)


def _confirmed(pieces: _Pieces, subject: tuple[Any, Any, Any], box: tuple[Any, Any], when: Allowance) -> Answer[float]:
    """The answer with its certificate; the constant is raised by small parts of itself until balls confirm it."""
    fun, example, args = subject
    problem = ""
    for room, parts in ROOM:
        bound = pieces.bound * (1 + room) + float(np.finfo(float).tiny)
        certificate = Lipschitz.about(fun, example, args, box=box, tree=pieces.tree(), order=pieces.order, bound=bound)
        try:
            certificate.confirm(parts, when.end)
        except OutOfTime:
            return _unknown(pieces.order, when.over("the constant was not verified"))
        except CertificateError as error:
            problem = f"not confirmed in balls: {error.node}: {error.why}"
        else:
            pieces.seen = max(pieces.seen, _sampled(pieces.function, pieces.order, box))
            return _answer(pieces, bound, certificate)
    return _unknown(pieces.order, Missing(problem, "a bounded box without corners", code="QED020"))


def _why(pieces: _Pieces) -> Missing:
    gap = pieces.gap
    if gap is not None:
        return Missing(str(gap), "a box on which it is defined", code="QED020", primitive=gap.primitive, span=gap.span)
    what = "the derivative is not bounded on the box, or the function may have a corner or a jump there"
    return Missing(what, "a smaller box", code="QED020")


def _claim(order: int, bound: float | None) -> str:
    what = "f" if order == 0 else "the gradient of f"
    return (
        f"{what} has a Lipschitz constant on the box"
        if bound is None
        else f"{what} is Lipschitz on the box with the constant {bound!r}"
    )


def _unknown(order: int, missing: Missing) -> Answer[float]:
    claim = _claim(order, None)
    return Answer(claim, Standing.UNKNOWN, None, arithmetic="reals", missing=(missing,))


def _answer(pieces: _Pieces, bound: float, certificate: Lipschitz) -> Answer[float]:
    count = len(pieces.leaves)
    what = "gradient" if pieces.order == 0 else "Hessian"
    text = f"the {what} is enclosed on {count} piece{'s' * (count > 1)} of the box"
    return _told(pieces.order, bound, pieces.seen, certificate, text)


def _told(order: int, bound: float, seen: float, certificate: Any, text: str) -> Answer[float]:
    """The answer to a constant that is proved; `seen` is a norm that is taken."""
    rule = "mean value theorem"
    formula = "|f(y) - f(x)| <= max |grad f| |y - x|" if order == 0 else "|grad f(y) - grad f(x)| <= max |H| |y - x|"
    whose = "function" if order == 0 else "gradient"
    headline = f"On this box the {whose} has the Lipschitz constant {outward(bound, 1, 6)}."
    if bound <= SMALLEST:
        headline = f"On this box the {whose} is the same, up to a Lipschitz constant of {SMALLEST:.0e}."
    elif order:
        headline += f" Steps below {outward(2 / bound, -1)} that stay in the box never raise it."
    return Answer(
        _claim(order, bound),
        Standing.PROVED,
        bound,
        arithmetic="reals",
        error=Enclosed(min(seen, bound), bound),
        reasons=(Reason(rule, formula, standing=Standing.PROVED, text=text),),
        certificate=certificate,
        headline=headline,
    )


class _Pieces:
    """The box in pieces, each with a bound of the norm on it."""

    def __init__(self, function: OnBoxes, order: int, lower: Array, upper: Array) -> None:
        self.function, self.order = function, order
        self.gap: Any = None
        self.seen = 0.0
        self.nodes: list[Any] = [None]
        self.leaves: dict[int, tuple[float, Array, Array]] = {}
        self._bound([0], [lower], [upper])

    @property
    def bound(self) -> float:
        """The largest bound of a piece."""
        return max(leaf[0] for leaf in self.leaves.values())

    def tree(self) -> list[int]:
        """The halvings, as a certificate writes them."""
        found, waiting = [], [0]
        while waiting:
            node = self.nodes[waiting.pop()]
            found.append(-1 if node is None else node[0])
            waiting += [] if node is None else [node[2], node[1]]
        return found

    def refine(self, deadline: float, progress: Progress | None = None) -> None:
        """Halve the pieces with the largest bounds, several at a time."""
        while len(self.leaves) < PIECES and time.monotonic() < deadline:
            if progress is not None:
                progress(f"constant at most {self.bound:.6g}", len(self.leaves), PIECES)
            goal = self.seen * (1 + CLOSE)
            chosen = sorted((k for k in self.leaves if self.leaves[k][0] > goal), key=lambda k: -self.leaves[k][0])
            numbers, lows, highs = [], [], []
            for k in chosen[:16]:
                _, low, high = self.leaves[k]
                i = int(np.argmax(np.where(np.isfinite(high - low), high - low, np.inf)))
                middle = split(float(low[i]), float(high[i]))
                if not low[i] < middle < high[i] or not (np.isfinite(low[i]) and np.isfinite(high[i])):
                    continue
                left, right = high.copy(), low.copy()
                left[i] = right[i] = middle
                self.nodes[k] = (i, len(self.nodes), len(self.nodes) + 1)
                numbers += [len(self.nodes), len(self.nodes) + 1]
                self.nodes += [None, None]
                lows += [low, right]
                highs += [left, high]
                del self.leaves[k]
            if not numbers:
                return
            self._bound(numbers, lows, highs)

    def _bound(self, numbers: list[int], lows: list[Array], highs: list[Array]) -> None:
        lower, upper = np.array(lows), np.array(highs)
        jet = self.function(lower, upper, self.order + 1, loewner=self.order == 1)
        lost = undefined(jet.value)
        if np.any(lost) and self.gap is None:
            self.gap = jet.value.doubt.place
        bounds = np.where(lost, np.inf, self._norms(jet))
        for k, number in enumerate(numbers):
            self.leaves[number] = (float(bounds[k]), lower[k], upper[k])
        with np.errstate(all="ignore"):
            middle = lower / 2 + upper / 2
        inside = middle[np.all(np.isfinite(middle), -1)]
        if len(inside):
            self.seen = max(self.seen, norm_at(self.function, inside, self.order))

    def _norms(self, jet: Jet) -> Array:
        """Bounds of the norms on boxes."""
        if self.order == 0:
            assert jet.slope is not None
            size = np.maximum(np.abs(jet.slope.lower), np.abs(jet.slope.upper))
            return ro.sqrt_up(ro.sum_up(ro.mul_up(size, size), -1))
        assert jet.hessian is not None and jet.least is not None and jet.most is not None
        n = self.function.size
        smooth = np.all(np.isfinite(jet.hessian.lower) & np.isfinite(jet.hessian.upper), -1)
        plain = spectral_bound(jet.hessian, n)
        sides = [
            _greatest(jet.most, n),
            _greatest(-jet.least, n),
            _greatest(jet.hessian, n),
            _greatest(-jet.hessian, n),
        ]
        tight = np.maximum(np.minimum(sides[0], sides[2]), np.minimum(sides[1], sides[3]))
        return np.where(smooth, np.minimum(plain, np.maximum(tight, 0.0)), np.inf)


def _greatest(entries: Intervals, size: int) -> Array:
    """Upper bounds of the greatest eigenvalues of interval matrices: t with t I - H positive definite, or infinity."""
    finite = np.all(np.isfinite(entries.lower) & np.isfinite(entries.upper), -1)
    found = np.full(len(finite), np.inf)
    if not np.any(finite):
        return found
    part = entries.map(lambda a: a[finite])
    middle, radius = (part.lower + part.upper) / 2, (part.upper - part.lower) / 2
    estimate = np.linalg.eigvalsh(full(middle, size))[:, -1]
    spread_ = np.max(np.sum(full(radius, size), -1), -1)
    scale = np.max(np.abs(middle), -1, initial=0.0) + np.finfo(float).tiny
    diagonal = pairs(size)[2]
    best = np.full(len(middle), np.inf)
    for share, room in ((0.0, 1e-12), (0.25, 1e-12), (0.5, 1e-12), (1.0, 1e-12), (1.0, 1e-9)):
        t = estimate + share * spread_ + room * scale
        shifted = Intervals.point(np.where(diagonal, t[:, None], 0.0)) - part
        good = definite(shifted, size, np.ones((len(t), size), bool))
        best = np.where(good & np.isinf(best), t, best)
    found[finite] = best
    return found
