"""Integers that conditions decide: positions, numbers of branches, indices, as trees of choices between constants.

The position of the first true value, the halved interval of a search in a sorted array, the number of a branch: such an
integer takes few values, and which one is decided by comparisons between real numbers. It is a tree: at every node a
comparison, at every leaf a number. An operation on such integers is done at the leaves, where all is known,

    op(c ? i : j) = c ? op(i) : op(j),

so that an element at such an index, or the branch with such a number, is a choice between the elements, or branches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qed.domains.curvature_choices import given
from qed.domains.curvature_limits import objects
from qed.domains.curvature_terms import Atom, Form
from qed.graph.dtypes import is_extended, is_real
from qed.graph.graph import Equation, Variable
from qed.graph.walk import Context, Unknown

if TYPE_CHECKING:
    from qed.domains.curvature_algebra import Algebra

LEAVES = 64
"""How many leaves a tree has at most."""


class TooLarge(Exception):
    """A number is no tree, or too large a one."""


def by_cases(a: Algebra, forms: Sequence[Form], rule: Callable[[list[int]], Sequence[Any]]) -> list[Form] | None:
    """What a rule makes of integers, as choices between what it makes of their values; None where it is not known.

    >>> from qed.domains.curvature_algebra import Algebra
    >>> a = Algebra()
    >>> x = a.variable(0, "x", (-1.0, 1.0))
    >>> which = a.compare("lt", x, a.number(0))
    >>> by_cases(a, [a.scale(which, 3)], lambda i: [a.number(10 + i[0])])
    [select(compare(x), 10, 13)]
    """
    left = [LEAVES]

    def tree(forms: Sequence[Form]) -> list[Any]:
        open_ones = [form for form in forms if form.terms]
        if not open_ones:
            left[0] -= 1
            if left[0] < 0 or any(form.constant.q != 1 for form in forms):
                raise TooLarge
            return list(rule([int(form.constant.p) for form in forms]))
        condition = _condition(open_ones[0])
        if condition is None or condition.lost is not None:  # a choice may not hide that its condition has no value
            raise TooLarge
        sides = []
        for case in (1, 2):
            decided = [given(a, form, condition, case) for form in forms]
            if all(new is old for new, old in zip(decided, forms, strict=True)):
                raise TooLarge
            sides.append(tree(decided))
        which = a.of(condition)
        return [_chosen(a, which, zero, one) for zero, one in zip(*sides, strict=True)]

    try:
        return tree(forms)
    except TooLarge:
        return None


def _chosen(a: Algebra, which: Form, zero: Any, one: Any) -> Form:
    if not (isinstance(zero, Form) and isinstance(one, Form)):
        raise TooLarge
    return a.choose(which, zero, one)


def _condition(form: Form) -> Atom | None:
    """A comparison on which the form depends."""
    for atom, _ in form.terms:
        if atom.kind == "compare":
            return atom
        if atom.kind in ("select", "max"):
            found = next((c for c in map(_condition, atom.args) if c is not None), None)
            if found is not None:
                return found
    return None


def settled(a: Algebra, form: Form) -> Form | None:
    """An integer as a tree of its values."""
    found = by_cases(a, [form], lambda values: [a.number(values[0])])
    return None if found is None else found[0]


def quotient(values: Sequence[int]) -> int | None:
    """i / j, towards 0."""
    i, j = values
    if j == 0:
        return None
    return abs(i) // abs(j) * (1 if (i < 0) == (j < 0) else -1)


def remainder(values: Sequence[int]) -> int | None:
    """What is left of i / j."""
    whole = quotient(values)
    return None if whole is None else values[0] - whole * values[1]


def place_of_largest(values: Sequence[int]) -> int:
    """The place of the first of the largest numbers."""
    return list(values).index(max(values))


def place_of_smallest(values: Sequence[int]) -> int:
    """The place of the first of the smallest numbers."""
    return list(values).index(min(values))


OF_INTEGERS: dict[str, Callable[[Sequence[int]], int | None]] = {
    "argmax": place_of_largest,
    "argmin": place_of_smallest,
    "div": quotient,
    "rem": remainder,
}
"""Operations between integers that have no form of their own."""


def of_integers(a: Algebra, name: str, forms: Sequence[Form]) -> Form | None:
    """The result of one of these operations."""

    def rule(values: list[int]) -> list[Form]:
        found = OF_INTEGERS[name](values)
        if found is None:
            raise TooLarge
        return [a.number(found)]

    made = by_cases(a, forms, rule)
    return None if made is None else made[0]


# --- methods of the domain ----------------------------------------------------------------------------------------


def combined(domain: Any, name: str, xs: Sequence[Any], context: Context) -> Any:
    """Quotients and remainders of arrays of integers."""
    wide = np.broadcast_arrays(*xs)
    made = [
        of_integers(domain.algebra, name, row) if all(isinstance(x, Form) for x in row) else None
        for row in zip(*(a.ravel() for a in wide), strict=True)
    ]
    if any(form is None for form in made):
        return domain.unknown(context.equation, context)
    return objects(made, wide[0].shape)


def within_format(domain: Any, value: Any, equation: Equation, k: int, context: Context) -> Any:
    """An output, as trees of its values where only these show that its integers do not leave their format."""
    if isinstance(value, Unknown) or not _wraps(domain, value, equation.outputs[k]):
        return value
    made = [settled(domain.algebra, form) if isinstance(form, Form) else None for form in value.ravel()]
    unknown = domain.unknown(equation, context)
    if any(form is None for form in made):
        return unknown
    found = objects(made, value.shape)
    return unknown if _wraps(domain, found, equation.outputs[k]) else found


def _wraps(domain: Any, value: Any, variable: Variable) -> bool:
    """Whether integers may leave their format, where they start again at its other end."""
    if is_extended(variable.dtype) or is_real(variable.dtype):
        return False
    kind: Any = np.dtype(variable.dtype)
    if kind.kind not in "iub":
        return False
    least, greatest = (0, 1) if kind.kind == "b" else (np.iinfo(kind).min, np.iinfo(kind).max)
    ranges = [domain.algebra.range(form) for form in np.ravel(value) if isinstance(form, Form)]
    return any(low < least or high > greatest for low, high in ranges)
