"""Proofs of convexity along a line, and by second derivatives: what composition rules do not see.

A function of one affine function of the variables is cut where its choices change; on each piece it is convex by rules
or because its second derivative has no negative value, exactly or in an enclosure, and at the cuts its slope does not
fall (`qed.domains.curvature_pieces`). A smooth form of several variables is convex on a box where its matrix of second
derivatives, enclosed on pieces of the box, is positive semidefinite on every one of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from qed.calculus.shapes.rational import rational
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_jets import Jets, Rough, definite, halved
from qed.domains.curvature_line import Direction
from qed.domains.curvature_pieces import joined, marks, piece
from qed.domains.curvature_proof import Step
from qed.domains.curvature_terms import Form
from qed.domains.curvature_values import NoValue
from qed.domains.interval import Interval
from qed.domains.intervals import Intervals

Found = Step | None
BOXES, ALONG = 256, 2048
"""Into how many pieces a box is cut at most, and an interval."""


def along(a: Algebra, form: Form, direction: Direction, convex: Callable[[Algebra, Form], Found]) -> Found:
    """A proof that a form along a line is convex; `convex` looks for proofs by rules on the pieces."""
    try:
        ends = marks(a, form, direction)
        if ends is None or (ends[0] is not None and ends[0] == ends[-1]):
            return None
        pieces = [piece(a, form, direction, low, high) for low, high in pairwise(ends)]
        if not all(one.defined for one in pieces) or joined(a, form, direction, pieces, ends) is not None:
            return None
    except NoValue:
        return None
    steps = []
    for one in pieces:
        inner = one.line.algebra
        step = convex(inner, one.form) or rational(inner, one.form)
        step = step or second_derivatives(inner, one.form, time.thread_time() + 1.0)
        if step is None:
            return None
        steps.append(step)
    inside = tuple(float(n) for b in ends[1:-1] for n in (int(b.p), int(b.q)))
    if any(abs(n) > 2.0**53 for n in inside):
        return None
    return Step("convex", form, "pieces", tuple(steps), inside, form.terms[0][0].place)


def second_derivatives(a: Algebra, form: Form, deadline: float) -> Found:
    """A proof that the matrix of second derivatives is positive semidefinite on every piece of the box."""
    variables = [v for v in a.variables if _occurs(form, v, set())]
    if not variables or form.lost is not None:
        return None
    names, boxes = [v.index for v in variables], ALONG if len(variables) == 1 else BOXES
    root = np.array([[v.lower for v in variables], [v.upper for v in variables]])
    tree: list[Any] = [None]
    waiting: list[tuple[int, np.ndarray]] = [(0, root)]
    total = 1
    while waiting:
        if time.thread_time() > deadline:
            return None
        ends = np.array([box for _, box in waiting])
        try:
            good = tested(form, variables, ends, names, a)
        except Rough:
            return None
        left = [pair for pair, fine in zip(waiting, good, strict=True) if not fine]
        total += len(left)
        if total > boxes:
            return None
        waiting = []
        for node, box in left:
            cut = _cut(box, sum(1 for t in tree if t is not None))
            if cut is None:
                return None
            k, middle = cut
            tree[node] = (k, len(tree), len(tree) + 1)
            for side in (0, 1):
                half = box.copy()
                half[1 - side, k] = middle
                waiting.append((len(tree), half))
                tree.append(None)
    place = next((atom.place for atom, _ in form.terms if not atom.affine), None)
    return Step("convex", form, "second derivatives", (), tuple(_order(tree, 0)), place)


def tested(form: Form, variables: list[Any], ends: np.ndarray, names: list[int], a: Algebra) -> np.ndarray:
    """On which boxes, an array (boxes, 2, variables), the matrix is semidefinite."""
    boxes = {v: Intervals(ends[:, 0, k], ends[:, 1, k]) for k, v in enumerate(variables)}
    with np.errstate(all="ignore"):
        jet = Jets(Interval(), boxes).of(form)
        return definite(jet, names, len(ends), a.rational)


def _occurs(form: Form, variable: Any, seen: set[int]) -> bool:
    for atom, _ in form.terms:
        if atom is variable:
            return True
        if atom.index not in seen:
            seen.add(atom.index)
            if any(_occurs(arg, variable, seen) for arg in atom.args):
                return True
    return False


def _cut(box: np.ndarray, count: int) -> tuple[int, float] | None:
    """The longest side, and where it is halved."""
    size = np.where(np.all(np.isfinite(box), 0), box[1] - box[0], np.inf)
    k = int(np.argmax(size))
    middle = halved(float(box[0, k]), float(box[1, k]))
    return (k, middle) if box[0, k] < middle < box[1, k] else None


def _order(tree: list[Any], node: int) -> list[float]:
    """The tree as it is walked: k halves coordinate k, -1 is a leaf."""
    if tree[node] is None:
        return [-1.0]
    k, first, second = tree[node]
    return [float(k), *_order(tree, first), *_order(tree, second)]
