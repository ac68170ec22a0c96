"""Several terms of a sum that are convex together, where one of them alone is not.

Log-sum-exp with what is subtracted before and added after; relative entropy u log u - u log v; sorted numbers,
eigenvalues and singular values with weights in order; quadratic forms by exact elimination; terms along one line in
pieces; smooth terms by their second derivatives. Each rule takes the terms (atom, coefficient) and what is known of
each, and returns groups with their proofs.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from qed.calculus.shapes.lines import along, second_derivatives
from qed.calculus.shapes.powers import times_a_logarithm, times_its_logarithm
from qed.domains.curvature_line import atoms
from qed.domains.curvature_proof import Step
from qed.domains.curvature_quadratics import quadratic
from qed.domains.curvature_shifts import dealt_out
from qed.domains.curvature_terms import Atom, Form

if TYPE_CHECKING:
    from qed.calculus.shapes.rules import Rules

Terms = Sequence[tuple[Atom, Any]]
Known = dict[int, Step | None]
Groups = list[tuple[Form, Step]]


def shifted(rules: Rules, parts: Terms, steps: Known) -> Groups:
    """k log-sum-exp(u_i) + rest = k log-sum-exp(u_i + s), where s takes from the rest what the u_i lack."""
    found = []
    coefficients = {atom.index: c for atom, c in parts}
    for atom, k in parts:
        if atom.kind != "log_sum_exp" or k <= 0 or steps.get(atom.index) is not None:
            continue
        inner = {a.index: a for arg in atom.args for a, _ in arg.terms if not a.affine}
        shift = [(a, coefficients[i] / k) for i, a in sorted(inner.items()) if i in coefficients]
        moved = rules.a.form(shift, rules.a.zero)
        premises = [rules.convex(rules.a.add(arg, moved)) for arg in atom.args]
        if any(step is None for step in premises):
            continue
        group = rules.a.combine(((rules.a.of(atom), k), (moved, k)))
        step = Step("convex", group, "log-sum-exp", tuple(p for p in premises if p is not None), (), atom.place)
        found.append((group, step))
        for each, _ in shift:
            del coefficients[each.index]
    return found


def dealt(rules: Rules, parts: Terms, steps: Known) -> Groups:
    """Log-sum-exps of which each takes from the other terms what its exponents lack, where they share such terms."""
    chosen = [(atom, k) for atom, k in parts if atom.kind == "log_sum_exp" and k > 0 and steps.get(atom.index) is None]
    inner = {t.index for atom, _ in chosen for arg in atom.args for t, _ in arg.terms if not t.affine}
    if len(chosen) < 2 or not inner:
        return []
    names = inner | {atom.index for atom, _ in chosen}
    group = rules.a.form([(atom, c) for atom, c in parts if atom.index in names], rules.a.zero)
    shifts, rest = dealt_out(rules.a, group)
    forms = [rules.a.add(arg, moved) for atom, _, moved in shifts for arg in atom.args]
    premises = [rules.convex(form) for form in [*forms, rest]]
    if any(step is None for step in premises):
        return []
    kept = tuple(step for step in premises if step is not None)
    return [(group, Step("convex", group, "log-sum-exps", kept, (), chosen[0][0].place))]


def entropies(rules: Rules, parts: Terms, steps: Known) -> Groups:
    """k u log u - c_1 u log v_1 - c_2 u log v_2 - ... with affine u, v_i and c_1 + c_2 + ... <= k."""
    found = []
    for atom, k in parts:
        u = times_its_logarithm(atom)
        if u is None or k <= 0 or not u.affine or not rules.a.nonnegative(u):
            continue
        taken = [(atom, k)]
        for other, c in parts:
            v = times_a_logarithm(other, u)
            if v is not None and other is not atom and c < 0 and v.affine:
                taken.append((other, c))
        if len(taken) > 1 and sum((c for _, c in taken), rules.a.zero) >= 0:
            group = rules.a.form(sorted(taken, key=lambda p: p[0].index), rules.a.zero)
            found.append((group, Step("convex", group, "relative entropy", (), (), atom.place)))
    return found


def ordered(rules: Rules, parts: Terms, steps: Known) -> Groups:
    """Sums of order statistics with coefficients that do not fall: a maximum over permutations."""
    found = []
    families: dict[Any, list[tuple[Atom, Any]]] = {}
    for atom, c in parts:
        if atom.kind == "order":
            families.setdefault((atom.data[1], tuple(map(id, atom.args))), []).append((atom, c))
    for members in families.values():
        atom = members[0][0]
        weights = [rules.a.zero] * atom.data[1]
        for each, c in members:
            weights[each.data[0]] = c
        if any(x > y for x, y in pairwise(weights)):
            continue
        inner = [rules.convex(arg) for arg in atom.args]
        if any(step is None for step in inner) or (weights[0] < 0 and not all(a.affine for a in atom.args)):
            continue
        group = rules.a.form(members, rules.a.zero)
        premises = tuple(step for step in inner if step is not None)
        found.append((group, Step("convex", group, "sum of largest", premises, (), atom.place)))
    return found


def spectral(rules: Rules, parts: Terms, steps: Known) -> Groups:
    """Sums of eigenvalues with weights that do not fall, of singular values with weights >= 0 that do not rise."""
    families: dict[Any, list[tuple[Atom, Any]]] = {}
    for atom, c in parts:
        if atom.kind == "spectrum" and all(arg.affine for arg in atom.args):
            families.setdefault((atom.data[0], atom.data[2:], tuple(map(id, atom.args))), []).append((atom, c))
    found = []
    for (kind, shape, _), members in families.items():
        weights = [rules.a.zero] * min(shape)
        for each, c in members:
            weights[each.data[1]] = c
        pairs = list(pairwise(weights))
        falls, rises = any(x > y for x, y in pairs), any(x < y for x, y in pairs)
        if falls if kind == "symmetric" else rises or weights[-1] < 0:
            continue
        group = rules.a.form(members, rules.a.zero)
        found.append((group, Step("convex", group, "spectrum", (), (), members[0][0].place)))
    return found


def lines(rules: Rules, parts: Terms, steps: Known) -> Groups:
    """Terms along one line, together: in pieces."""
    families: dict[Any, tuple[Any, list[tuple[Atom, Any]]]] = {}
    for atom, c in parts:
        direction = rules.directions.of(rules.a.of(atom))
        if direction:
            key = tuple((v.index, str(k)) for v, k in direction)
            families.setdefault(key, (direction, []))[1].append((atom, c))
    found = []
    for direction, members in families.values():
        if all(steps.get(atom.index) is not None for atom, _ in members):
            continue
        group = rules.a.form(members, rules.a.zero)
        step = along(rules.a, group, direction, lambda a, form: type(rules)(a).convex(form))
        if step is not None:
            found.append((group, step))
    return found


def smooth(rules: Rules, parts: Terms, steps: Known) -> Groups:
    """All smooth terms together, by their second derivatives."""
    kept = [(atom, c) for atom, c in parts if steps.get(atom.index) is None or not has_kink(rules.a.of(atom))]
    if all(steps.get(atom.index) is not None for atom, _ in kept):
        return []
    group = rules.a.form(kept, rules.a.zero)
    step = second_derivatives(rules.a, group, min(rules.deadline, time.thread_time() + 4.0))
    return [] if step is None else [(group, step)]


def quadratics(rules: Rules, parts: Terms, steps: Known) -> Groups:
    """All terms that are polynomials of degree 2, together."""
    chosen = [(atom, c) for atom, c in parts if quadratic(rules.a, rules.a.of(atom)) is not None]
    if not chosen or all(steps.get(atom.index) is not None for atom, _ in chosen):
        return []
    group = rules.a.form(chosen, rules.a.zero)
    q = quadratic(rules.a, group)
    if q is None or not q.convex:
        return []
    return [(group, Step("convex", group, "quadratic form", (), (), chosen[0][0].place))]


def has_kink(form: Form) -> bool:
    """Whether there may be a point without a derivative."""
    return any(atom.name in ("abs", "max", "order", "select", "compare", "cbrt") for atom in atoms(form, set()))


def grouped(form: Form, groups: Sequence[tuple[Form, Step]]) -> Step:
    """The sum of groups of terms; the numbers say to which premise each term of the form belongs."""
    owner = {atom.index: k for k, (group, _) in enumerate(groups) for atom, _ in group.terms}
    numbers = tuple(owner.get(atom.index, -1) for atom, _ in form.terms)
    return Step("convex", form, "groups", tuple(step for _, step in groups), numbers)
