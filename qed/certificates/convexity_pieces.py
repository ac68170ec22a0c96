"""The rules of proofs of convexity that cut: a line into pieces, a box into boxes.

Along a line (`qed.domains.curvature_pieces`) the form is made again on every piece, in an algebra whose ranges are
intervals with ends of python-flint, the pieces are joined again, and the row of every piece is checked. Where second
derivatives are claimed to be positive semidefinite on the leaves of a tree of halvings, they are enclosed there again
in such intervals (`qed.domains.ball_ends`). The chain rule of these enclosures (`qed.domains.curvature_jets`) is shared
with the search; it is therefore held against values alone: by the mean value theorem the second difference

    (f(x + h d) - 2 f(x) + f(x - h d)) / h^2  =  d^T H(z) d    for a z on the segment,

computed in balls without any derivative, has to meet the enclosure of d^T H d on every leaf that is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from qed.domains.ball_ends import BallEnds, Ends
from qed.domains.curvature_jets import Jet, Jets, Rough, definite, halved
from qed.domains.curvature_line import Directions, span_of
from qed.domains.curvature_pieces import joined, piece
from qed.domains.curvature_terms import Atom, Form
from qed.domains.curvature_values import BallValues, NoValue
from qed.domains.precision import flint, precision

CHUNK = 64
LEAVES, DIRECTIONS, POINTS = 8, 6, 2
"""How many leaves of a chunk, directions and points second differences are taken at."""


def pieces(step: Any) -> None:
    """A form along a line, convex on pieces that join."""
    a, form, numbers = step.a, step.form, [int(n) for n in step.row[4]]
    direction = Directions().of(form) or ()
    if not direction or len(numbers) % 2 or any(q == 0 for q in numbers[1::2]):
        step.fail("it does not go along one line, or a cut is no number")
    inside = [a.q(p, q) for p, q in zip(numbers[::2], numbers[1::2], strict=True)]
    low, high = span_of(a, direction)
    ends = [low, *inside, high]
    ordered = all(x is None or y is None or x < y for x, y in pairwise(ends))
    step.require(ordered and None not in inside, "the cuts are not in order")
    try:
        made = [piece(a, form, direction, x, y) for x, y in pairwise(ends)]
        step.require(all(one.defined for one in made), "it may be undefined on a piece")
        wrong = joined(a, form, direction, made, ends)
    except NoValue as error:
        step.fail(f"no value of {error}")
    step.require(wrong is None, str(wrong))
    step.within([(one.line.algebra, one.form) for one in made])


def second_derivatives(step: Any) -> None:
    """A matrix of second derivatives that is positive semidefinite on every leaf of a tree of halvings."""
    a, form = step.a, step.form
    variables = [v for v in a.variables if occurs(form, v)]
    step.require(bool(variables) and form.lost is None, "it has no variables, or may be undefined")
    root = [np.array([v.lower for v in variables]), np.array([v.upper for v in variables])]
    boxes = leaves(step, [int(n) for n in step.row[4]], root)
    names = [v.index for v in variables]
    domain = BallEnds()
    for start in range(0, len(boxes), CHUNK):
        part = boxes[start : start + CHUNK]
        with precision(domain.bits):
            lows, highs = (np.array([box[side] for box in part]) for side in (0, 1))
            at = {v: Ends.between(lows[:, k], highs[:, k]) for k, v in enumerate(variables)}
            try:
                jet = Jets(domain, at).of(form)
                good = definite(jet, names, len(part), a.rational)
            except Rough as error:
                step.fail(f"no second derivative of {error}")
            step.require(bool(np.all(good)), "the second derivatives are not semidefinite on a box")
            for k in range(0, len(part), max(1, len(part) // LEAVES)):
                wrong = difference(form, variables, jet, part[k], k)
                step.require(wrong is None, str(wrong))
    step.premises([])


def difference(form: Form, variables: Sequence[Atom], jet: Jet, box: Sequence[np.ndarray], k: int) -> str | None:
    """None where second differences inside a box meet the enclosure of the second derivatives, else what differs."""
    low, high = np.maximum(box[0], np.minimum(box[1], 8.0) - 16.0), np.minimum(box[1], np.maximum(box[0], -8.0) + 16.0)
    random = np.random.default_rng(k)
    arb = flint().arb
    n = len(variables)
    pairs = [(i, j) for i in range(n) for j in range(i, n)]
    for i, j in [pairs[p] for p in random.permutation(len(pairs))[:DIRECTIONS]]:
        d = [arb(int(p in (i, j))) for p in range(n)]
        for share in random.random(POINTS):
            x = [arb(float(a + (b - a) * (0.25 + share / 2))) for a, b in zip(low, high, strict=True)]
            h = arb(float(min(high[p] - low[p] for p in {i, j})) / 8)
            points = ([c + s * h * e for c, e in zip(x, d, strict=True)] for s in (-1, 0, 1))
            try:
                before, here, after = (BallValues(dict(zip(variables, p, strict=True))).of(form) for p in points)
            except NoValue as error:
                return f"no value of {error}"
            enclosed = arb(0)
            for p, q in {(i, i), (i, j), (j, j)}:
                value = jet.second.get((variables[p].index, variables[q].index))
                ends = (0.0, 0.0) if value is None else tuple(float(np.ravel(end)[_at(end, k)]) for end in value.bounds)
                part = arb(ends[0]).union(arb(ends[1])) if np.all(np.isfinite(ends)) else arb(0, arb.pos_inf())
                enclosed = enclosed + (2 * part if p != q else part)
            if not enclosed.overlaps((after - 2 * here + before) / (h * h)):
                return "a second difference lies outside of the enclosure of the second derivatives"
    return None


def _at(end: np.ndarray, k: int) -> int:
    return k if np.size(end) > 1 else 0


def occurs(form: Form, variable: Atom) -> bool:
    """Whether a form depends on a variable."""
    waiting, seen = [form], set()
    while waiting:
        for atom, _ in waiting.pop().terms:
            if atom is variable:
                return True
            if atom.index not in seen:
                seen.add(atom.index)
                waiting += atom.args
    return False


def leaves(step: Any, tree: Sequence[int], root: Sequence[np.ndarray]) -> list[Sequence[np.ndarray]]:
    """The boxes at the leaves of a tree written in the order of its walk."""
    waiting, found = [root], []
    for node in tree:
        step.require(bool(waiting), "the tree goes on behind its last leaf")
        low, high = waiting.pop()
        if node == -1:
            found.append((low, high))
            continue
        step.require(0 <= node < len(low), "the tree halves what does not exist")
        middle = halved(float(low[node]), float(high[node]))
        step.require(bool(low[node] < middle < high[node]), "a side cannot be halved")
        first, second = high.copy(), low.copy()
        first[node] = second[node] = middle
        waiting += [(second, high), (low, first)]
    step.require(not waiting and bool(found), "a box has no leaf")
    return found
