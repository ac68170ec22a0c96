"""Choices between forms: comparisons, cases, the largest of several, sorted numbers.

A comparison that the ranges decide is a number; a case is made again with the comparison decided, so that cases which
agree are one; max(a, b) = (a + b)/2 + |a - b|/2 where a - b is affine; what is surely below another number is no
candidate for the largest. Each function is a method of `qed.domains.curvature_algebra.Algebra`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qed.domains.curvature_terms import Atom, Form

if TYPE_CHECKING:
    from qed.domains.curvature_algebra import Algebra


def compare(a: Algebra, name: str, x: Form, y: Form) -> Form:
    """1 where x < y (lt), x <= y (le), x = y (eq) and so on, else 0."""
    if name in ("gt", "ge"):
        return a.compare({"gt": "lt", "ge": "le"}[name], y, x)
    if name == "ne":
        return a.combine(((a.compare("eq", x, y), -a.one),), 1)
    difference = a.subtract(x, y)
    if not difference.terms:
        zero = difference.constant
        return a.number({"lt": zero < 0, "le": zero <= 0, "eq": zero == 0}[name])
    low, high = a.range(difference)
    above, below = a.positive(difference), a.positive(a.scale(difference, -1))
    yes = below or (high <= 0 and name == "le") if name != "eq" else False
    no = (name == "eq" and a.nonzero(difference)) or above or (name == "lt" and low >= 0) or (name == "eq" and below)
    if yes or no:
        a.drop(difference.lost)
        return a.number(int(yes))
    if name == "le" and low >= 0:  # u <= 0 is u = 0
        return a.compare("eq", x, y)
    if name == "lt" and high <= 0:  # u < 0 is u != 0
        return a.compare("ne", x, y)
    u, c = a.normalised(difference)
    if name != "eq" and c < 0:  # -u < 0 is u > 0, that is not u <= 0
        flipped = a.atom("compare", {"lt": "le", "le": "lt"}[name], (u,))
        return a.combine(((a.of(flipped), -a.one),), 1)
    return a.of(a.atom("compare", name, (u,)))


def choose(a: Algebra, which: Form, zero: Form, one: Form) -> Form:
    """`zero` where the truth value is 0, `one` where it is 1."""
    if not which.terms:
        return zero if which.constant == 0 else one
    if zero is one:
        a.drop(which.lost)
        return zero
    atom, c = which.terms[0]
    if c < 0:
        zero, one = one, zero
    zero, one = given(a, zero, atom, 1), given(a, one, atom, 2)
    if zero is one:
        a.drop(which.lost)
        return zero
    if atom.data == "eq" and _at_zero(a, zero, atom.args[0]) is one:  # where u is 0 both are the same
        a.drop(which.lost)
        return zero
    found = a.atom("select", None, (a.of(atom), zero, one))
    return a.of(found)


MOST_INSIDE = 60
"""Atoms that are looked through for what a condition decides; a search for places in an array makes far more."""


def either(a: Algebra, which: Form, zero: Form, one: Form) -> Form | None:
    """A choice by a comparison, or by several that `and` and `or` join; None for another condition."""
    if not which.terms:
        return zero if which.constant == 0 else one
    if a.boolean(which):
        return a.choose(which, zero, one)
    if len(which.terms) != 1 or which.terms[0][0].kind != "select":
        return None
    atom, c = which.terms[0]
    if (c, which.constant) == (-1, 1):
        zero, one = one, zero
    elif (c, which.constant) != (1, 0):
        return None
    cases = [either(a, case, zero, one) for case in atom.args[1:]]
    return None if cases[0] is None or cases[1] is None else a.choose(atom.args[0], cases[0], cases[1])


def given(a: Algebra, form: Form, condition: Atom, case: int) -> Form:
    """A case of a choice, in which choices by the same condition are made."""
    made = [(_given_atom(a, atom, condition, case), atom, c) for atom, c in form.terms]
    if all(new is None for new, _, _ in made):
        return form
    parts = [(a.of(atom) if new is None else new, c) for new, atom, c in made]
    found = a.total([*parts, (a.number(form.constant), a.one)])
    return found if found.lost is None or form.lost is not None else form


def _given_atom(a: Algebra, atom: Atom, condition: Atom, case: int) -> Form | None:
    """An atom where the condition is decided (case 2: it holds), or None where nothing in it changes."""
    u = condition.args[0]
    if atom.name == "abs" and atom.args[0] is u:
        return a.scale(u, 1 if case == 1 else 0 if condition.data == "eq" else -1) if _signed(condition, case) else None
    if atom.kind == "compare" and atom.args[0] is u:
        decided = _decided(a, condition, case, atom.data)
        return None if decided is None else a.number(int(decided))
    if atom.kind == "compare" and _implied(a, condition, case, atom.args[0]):
        return a.number(0)
    if not _chooses(atom, condition, 6):
        return None
    inner = [given(a, arg, condition, case) for arg in atom.args]
    match atom.kind:
        case "select":
            return a.either(inner[0], *inner[1:])
        case "compare":
            return a.compare(atom.data, inner[0], a.number(0))
        case "unary":
            return a.image(atom.data, inner[0])
        case "product":
            return a.multiply(*inner)
        case "quotient":
            return a.divide(*inner)
        case "max":
            return a.maximum(inner)
    return None


def _signed(condition: Atom, case: int) -> bool:
    """Whether the condition says on which side of 0 its number is."""
    return condition.data in ("lt", "le") or case == 2


def _decided(a: Algebra, condition: Atom, case: int, asked: str) -> bool | None:
    """What the condition u < 0, u <= 0 or u = 0, or its opposite, says of another one about the same u."""
    low, high = a.range(condition.args[0])
    signs = {"lt": {-1}, "le": {-1, 0}, "eq": {0}}
    left = signs[condition.data] if case == 2 else {-1, 0, 1} - signs[condition.data]
    left = left - ({-1} if low >= 0 else set()) - ({1} if high <= 0 else set())
    return True if left <= signs[asked] else False if not left & signs[asked] else None


def _implied(a: Algebra, condition: Atom, case: int, v: Form) -> bool:
    """Whether the condition says that u > 0, and v >= c u for a c > 0, so that v is neither 0 nor below: (u + w)/2."""
    u = condition.args[0]
    left = {"lt": {0, 1}, "le": {1}, "eq": {-1, 1}}[condition.data] if case == 1 else set()
    left = left - ({-1} if a.range(u)[0] >= 0 else set())
    return left == {1} and a.dominates(v, u)


def _at_zero(a: Algebra, form: Form, u: Form) -> Form | None:
    """What a form is where u is 0, if it is a continuous function of u that is defined there."""
    if not form.terms or form.lost is not None:
        return form if form.lost is None else None
    if len(form.terms) == len(u.terms):
        c = form.terms[0][1] / u.terms[0][1]
        if a.subtract(form, a.scale(u, c)).terms == ():
            return a.number(form.constant - c * u.constant)
    total = a.number(form.constant)
    for atom, c in form.terms:
        if _vanishes(a, atom, u):
            continue
        if atom.kind == "variable":
            own = next((k for v, k in u.terms if v is atom), None)
            if own is not None and len(u.terms) > 1:
                return None
            value = a.of(atom) if own is None else a.number(-u.constant / own)
            total = a.combine(((total, a.one), (value, c)))
            continue
        if atom.kind != "unary" or atom.data.jumps:
            return None
        inner = _at_zero(a, atom.args[0], u)
        value = None if inner is None or inner.terms else a._exact(atom.data, inner)
        if value is None:
            return None
        total = a.combine(((total, a.one), (value, c)))
    return total


def _vanishes(a: Algebra, atom: Atom, u: Form) -> bool:
    """Whether an atom is u times a number, or u log v with u >= 0 and v >= c u, which are 0 where u is."""
    if atom.kind not in ("product", "quotient") or u.constant != 0:
        return False
    v, _ = a.normalised(u)
    return atom.lost is None and (atom.args[0] is v or (atom.kind == "product" and atom.args[1] is v))


def maximum(a: Algebra, forms: Sequence[Form]) -> Form:
    """The largest of several numbers."""
    args: dict[int, Form] = {}
    for form in forms:
        atom = form.single
        inner = atom[0].args if atom is not None and atom[0].kind == "max" and atom[1] == 1 else (form,)
        args.update((id(each), each) for each in inner)
    args = _extreme_eigenvalues(args)
    floor = max(a.range(form)[0] for form in args.values())
    kept = [form for form in args.values() if a.range(form)[1] > floor or a.range(form)[0] >= floor]
    for form in args.values():
        if form not in kept:
            a.drop(form.lost)
    if a.ends is not None or len(kept) == 2:
        kept = _undominated(a, kept)
    if len(kept) == 1:
        return kept[0]
    if len(kept) == 2:
        difference = a.subtract(*kept)
        if difference.affine:
            half = a.q(1, 2)
            modulus = a.unary("abs", difference)
            return a.combine(((kept[0], half), (kept[1], half), (modulus, half)))
    return a.of(a.atom("max", None, tuple(sorted(kept, key=order))))


def _extreme_eigenvalues(args: dict[int, Form]) -> dict[int, Form]:
    """Of the eigenvalues of one matrix, which are sorted, the largest (of their negatives: the smallest) only."""
    best: dict[Any, tuple[int, int]] = {}
    kept = dict(args)
    for key, form in args.items():
        if form.single is None or form.single[0].kind != "spectrum":
            continue
        atom, c = form.single
        kind, k, *shape = atom.data
        family = (kind, *shape, atom.args, c)
        rank = k if (kind == "symmetric") == (c > 0) else -k
        other = best.get(family)
        if other is None or rank > other[0]:
            best[family] = (rank, key)
            key = key if other is None else other[1]
        if best[family][1] != key:
            del kept[key]
    return kept


def _undominated(a: Algebra, forms: list[Form]) -> list[Form]:
    """Those that are not surely below another one."""
    kept: list[Form] = []
    for form in forms:
        if any(a.nonnegative(a.subtract(other, form)) for other in kept):
            a.drop(form.lost)
            continue
        for other in [other for other in kept if a.nonnegative(a.subtract(form, other))]:
            a.drop(other.lost)
            kept.remove(other)
        kept.append(form)
    return kept


def ordered(a: Algebra, forms: Sequence[Form]) -> list[Form]:
    """The order statistics, smallest first."""
    if all(not form.terms for form in forms):
        return sorted(forms, key=lambda form: form.constant)
    if len(forms) < 2:
        return list(forms)
    if a.ends is not None:
        chain = _chain(a, list(forms))
        if chain is not None:
            return chain
    args = tuple(sorted(forms, key=order))
    return [a.of(a.atom("order", (k, len(args)), args)) for k in range(len(args))]


def _chain(a: Algebra, forms: list[Form]) -> list[Form] | None:
    """The numbers in order, where every two can be compared."""
    done: list[Form] = []
    for form in forms:
        k = 0
        while k < len(done) and a.nonnegative(a.subtract(form, done[k])):
            k += 1
        if not all(a.nonnegative(a.subtract(other, form)) for other in done[k:]):
            return None
        done.insert(k, form)
    return done


def _chooses(atom: Atom, condition: Atom, depth: int) -> bool:
    """Whether something that the condition decides stands inside, not too deep, of not too many atoms."""
    u, level, seen = condition.args[0], [atom], {atom}
    for _ in range(depth + 1):
        if any(a.args and a.args[0] is u and (a.kind == "compare" or (a.name == "abs" and u.terms)) for a in level):
            return True
        level = list(dict.fromkeys(a for each in level for arg in each.args for a, _ in arg.terms if a not in seen))
        seen.update(level)
        if len(seen) > MOST_INSIDE:
            return False
    return False


def order(form: Form) -> Any:
    """By which operands that commute are sorted."""
    return [atom.index for atom, _ in form.terms], [str(c) for _, c in form.terms], str(form.constant)
