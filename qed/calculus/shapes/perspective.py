"""Perspectives: s g(x/s, 1/s) is convex in (x, s) where g is convex and s > 0.

The terms of a sum that are positively homogeneous of degree 1 in the variables and 1, for one variable s > 0 by which
they divide, are made again at s = 1 (`qed.domains.curvature_perspective`) and proved convex there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qed.domains.curvature_perspective import Slice, denominators
from qed.domains.curvature_proof import Step
from qed.domains.curvature_terms import Atom, Form
from qed.domains.curvature_values import NoValue

if TYPE_CHECKING:
    from qed.calculus.shapes.rules import Rules

Terms = Sequence[tuple[Atom, Any]]
Known = dict[int, Step | None]
Groups = list[tuple[Form, Step]]


def perspectives(rules: Rules, parts: Terms, steps: Known) -> Groups:
    """Terms without a proof, each by itself, then together: homogeneous in one variable by which they divide."""
    open_terms = [(atom, c) for atom, c in parts if steps.get(atom.index) is None]
    if not open_terms:
        return []
    whole = rules.a.form(open_terms, rules.a.zero)
    for s in sorted(denominators(whole, set()), key=lambda v: v.index):
        if not rules.a.positive(rules.a.of(s)):
            continue
        homogeneous = [(atom, c) for atom, c in open_terms if _is_homogeneous(rules, s, atom)]
        if not homogeneous:
            continue
        found = []
        for atom, c in homogeneous:
            part = rules.a.form(((atom, c),), rules.a.zero)
            step = at_one(rules, part, s)
            if step is None:
                break
            found.append((part, step))
        if len(found) == len(homogeneous):
            return found
        group = rules.a.form(homogeneous, rules.a.zero)
        step = at_one(rules, group, s) if len(homogeneous) > 1 else None
        if step is not None:
            return [(group, step)]
    return []


def one_perspective(rules: Rules, form: Form, atom: Atom, sign: int) -> Step | None:
    """One term, for a variable by which it divides."""
    found = perspectives(rules, [(atom, form.terms[0][1])], {})
    return found[0][1] if found else None


def at_one(rules: Rules, form: Form, s: Atom) -> Step | None:
    """A proof that a form of degree 1 is convex, by one of the form at s = 1."""
    cut = Slice(rules.a, s)
    try:
        inner = cut.of(form)
    except NoValue:
        return None
    within = type(rules)(cut.algebra, deep=rules.deep, deadline=rules.deadline)
    if cut.algebra.lost is not None:
        return None
    within.top = inner
    step = within.convex(inner)
    return step and Step("convex", form, "perspective", (step,), (float(s.index),), form.terms[0][0].place)


def _is_homogeneous(rules: Rules, s: Atom, atom: Atom) -> bool:
    try:
        return Slice(rules.a, s).degree(rules.a.of(atom)) == 1
    except NoValue:
        return False
