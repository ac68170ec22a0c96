"""Polynomials of one and of two variables: exact even where second derivatives vanish.

A polynomial of one variable is convex on an interval exactly if its second derivative is nowhere negative there: its
factors of odd multiplicity have no root inside. One of two variables is convex where each of its homogeneous parts is.
A form p(x, y) of even degree is convex on the plane exactly if p_xx, p_yy and p_xx p_yy - p_xy^2, forms of even degree
themselves, are nowhere negative; and a form q of degree 2k is nowhere negative exactly if q(1, t) >= 0 for all t
(Reznick, "Blenders", *Notions of Positivity and the Geometry of Polynomials*, 2011, section 2; Basu, Pollack and Roy,
*Algorithms in Real Algebraic Geometry*, 2006, section 2.2 on Sturm's sequences).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_atoms import variables_of
from qed.domains.curvature_proof import Step
from qed.domains.curvature_terms import Atom, Form
from qed.domains.precision import flint, precision

if TYPE_CHECKING:
    from qed.calculus.shapes.rules import Rules

Terms = Sequence[tuple[Atom, Any]]
Known = dict[int, Step | None]
Groups = list[tuple[Form, Step]]
Polynomial = dict[tuple[tuple[int, int], ...], Any]
"""Coefficients by monomials ((variable, exponent), ...) in order of the variables."""
DEGREE, TERMS = 12, 200


def polynomials(rules: Rules, parts: Terms, steps: Known) -> Groups:
    """Polynomials in the same two variables, or in one, together."""
    found = []
    for members in _clusters(rules.a, parts):
        if all(steps.get(atom.index) is not None for atom, _ in members):
            continue
        group = rules.a.form(members, rules.a.zero)
        whole = polynomial(rules.a, group)
        if whole is None:
            continue
        names = sorted({v for m in whole for v, _ in m})
        if not names:  # the terms cancel
            continue
        rule = "binary forms" if len(names) == 2 else "polynomial"
        if is_convex(whole) if len(names) == 2 else _is_convex_between(whole, _ends(rules.a, names)):
            found.append((group, Step("convex", group, rule, (), (), members[0][0].place)))
    return found


def _ends(a: Algebra, names: list[int]) -> tuple[Any, Any]:
    """The exact ends of the range of the one variable, None where there is none."""
    (variable,) = [v for v in a.variables if v.index == names[0]]
    low, high = (a.rational(end) if math.isfinite(end) else None for end in (variable.lower, variable.upper))
    return low, high


def _clusters(a: Algebra, parts: Terms) -> list[list[tuple[Atom, Any]]]:
    """The polynomial terms by the variables they are about: two that are met in no other pair, or one in no pair."""
    known = {atom.index: polynomial(a, a.of(atom)) for atom, _ in parts}
    about = {i: frozenset(v for m in p for v, _ in m) for i, p in known.items() if p is not None}
    pairs = sorted({names for names in about.values() if len(names) == 2}, key=sorted)
    met: dict[int, int] = {}
    for names in pairs:
        for v in names:
            met[v] = met.get(v, 0) + 1
    alone = [names for names in pairs if all(met[v] == 1 for v in names)]
    alone += sorted({names for names in about.values() if len(names) == 1 and not names & set(met)}, key=sorted)
    return [[(atom, c) for atom, c in parts if about.get(atom.index, frozenset("?")) <= names] for names in alone]


def polynomial(a: Algebra, form: Form) -> Polynomial | None:
    """A form as a polynomial of the variables, or None.

    >>> from qed.calculus.shapes.polynomials import polynomial
    >>> from qed.domains.curvature_algebra import Algebra
    >>> a = Algebra()
    >>> x, y = a.variable(0, "x", (-1.0, 1.0)), a.variable(1, "y", (-1.0, 1.0))
    >>> polynomial(a, a.multiply(a.unary("square", x), y))
    {((0, 2), (1, 1)): 1}
    """
    total: Polynomial = {} if form.constant == 0 else {(): form.constant}
    for atom, c in form.terms:
        part = _of_atom(a, atom)
        if part is None:
            return None
        for monomial, k in part.items():
            total[monomial] = total.get(monomial, a.zero) + c * k
    return {m: k for m, k in total.items() if k != 0} if len(total) <= TERMS else None


def _of_atom(a: Algebra, atom: Atom) -> Polynomial | None:
    if atom.kind == "variable":
        return {((atom.index, 1),): a.one}
    power = {"square": 2}.get(atom.name)
    if atom.name == "integer_pow":
        power = int(dict(atom.data.parameters)["y"])
    if atom.kind == "product":
        factors = [polynomial(a, arg) for arg in atom.args]
    elif atom.kind == "unary" and power is not None and 0 < power <= DEGREE:
        factors = [polynomial(a, atom.args[0])] * power
    else:
        return None
    total: Polynomial | None = {(): a.one}
    for factor in factors:
        total = None if factor is None or total is None else _product(total, factor)
    return total


def _product(p: Polynomial, q: Polynomial) -> Polynomial | None:
    found: Polynomial = {}
    for m, c in p.items():
        for n, d in q.items():
            powers = dict(m)
            for v, e in n:
                powers[v] = powers.get(v, 0) + e
            key = tuple(sorted(powers.items()))
            found[key] = found[key] + c * d if key in found else c * d
    small = len(found) <= TERMS and all(sum(e for _, e in m) <= DEGREE for m in found)
    return found if small else None


def is_convex(whole: Polynomial) -> bool:
    """Whether every homogeneous part of a polynomial of at most two variables is convex."""
    names = sorted({v for m in whole for v, _ in m})
    if len(names) > 2:
        return False
    parts: dict[int, dict[int, Any]] = {}
    for monomial, c in whole.items():
        degree = sum(e for _, e in monomial)
        parts.setdefault(degree, {})[dict(monomial).get(names[-1], 0) if len(names) == 2 else 0] = c
    return all(degree < 2 or (degree % 2 == 0 and _is_convex_form(degree, c)) for degree, c in parts.items())


def _is_convex_form(n: int, c: dict[int, Any]) -> bool:
    """Whether sum over k of c_k x^(n-k) y^k is convex; its second derivatives are polynomials in t = y/x."""
    poly = flint().fmpq_poly
    xx = poly([c.get(k, 0) * (n - k) * (n - k - 1) for k in range(n - 1)])
    yy = poly([c.get(k + 2, 0) * (k + 2) * (k + 1) for k in range(n - 1)])
    xy = poly([c.get(k + 1, 0) * (n - k - 1) * (k + 1) for k in range(n - 1)])
    return all(_never_negative(q) for q in (xx, yy, xx * yy - xy * xy))


def _is_convex_between(whole: Polynomial, ends: tuple[Any, Any]) -> bool:
    """Whether a polynomial of one variable is convex between two ends."""
    powers = {m[0][1] if m else 0: c for m, c in whole.items()}
    q = flint().fmpq_poly([powers.get(k + 2, 0) * (k + 2) * (k + 1) for k in range(max(powers) - 1)])
    return never_negative_between(q, *ends)


def never_negative_between(q: Any, low: Any, high: Any) -> bool:
    """Whether a polynomial is at least 0 between two exact ends; None where there is none.

    >>> from qed.domains.precision import flint
    >>> q, number = flint().fmpq_poly([-1, 1]), flint().fmpq
    >>> never_negative_between(q, number(1), number(3)), never_negative_between(q, number(0), None)
    (True, False)
    """
    ends = (low, high)
    if q.is_zero() or (low is None and high is None):
        return _never_negative(q)
    for factor, multiplicity in q.factor_squarefree()[1]:
        for end in ends:
            if end is not None and factor(end) == 0:
                factor = factor // flint().fmpq_poly([-end, 1])
        if multiplicity % 2 and _real_roots(factor, low, high):
            return False
    inside = _inside(low, high, q.degree() + 1)
    return next(value > 0 for value in map(q, inside) if value != 0)


def positive_inside(q: Any, low: Any, high: Any) -> bool:
    """Whether a polynomial is above 0 strictly between two exact ends; None where there is none."""
    for factor, _ in q.factor_squarefree()[1]:
        for end in (low, high):
            if end is not None and factor(end) == 0:
                factor = factor // flint().fmpq_poly([-end, 1])
        if _real_roots(factor, low, high):
            return False
    return q(0) > 0 if low is None and high is None else all(value > 0 for value in map(q, _inside(low, high, 1)))


def above_with_root(u: Any, v: Any, q: Any, low: Any, high: Any) -> bool:
    """Whether u + v sqrt(q) is above 0 between the roots of u^2 - v^2 q, seen at one point of each: a guess."""
    zeros = [complex(root).real for root, _ in (u * u - v * v * q).numer().complex_roots()]
    ends = [s * 1e3 if end is None else float(int(end.p) / int(end.q)) for end, s in ((low, -1), (high, 1))]
    marks = sorted({*ends, *(x for x in zeros if ends[0] < x < ends[1])})
    middles = [flint().fmpq(*((x + y) / 2).as_integer_ratio()) for x, y in pairwise(marks)]
    with precision(128) as library:
        return all(library.arb(u(x)) + library.arb(v(x)) * library.arb(q(x)).sqrt() > 0 for x in middles)


def second_derivatives_by_variable(a: Algebra, form: Form) -> list[tuple[Atom, Any]]:
    """For each variable of which all terms are polynomials in it alone: their second derivative, a polynomial."""
    parts: dict[int, dict[int, Any]] = {}
    mixed: set[int] = set()
    for atom, c in form.terms:
        whole = polynomial(a, a.of(atom))
        names = sorted({v for m in whole for v, _ in m} if whole is not None else variables_of(atom, {}))
        if whole is None or len(names) > 1:
            mixed.update(names)
            continue
        for monomial, k in whole.items():
            if monomial:
                powers = parts.setdefault(names[0], {})
                powers[monomial[0][1]] = powers.get(monomial[0][1], a.zero) + c * k
    found = []
    for variable in a.variables:
        powers = parts.get(variable.index, {})
        if variable.index not in mixed and max(powers, default=0) >= 2:
            second = [powers.get(k + 2, a.zero) * (k + 2) * (k + 1) for k in range(max(powers) - 1)]
            found.append((variable, flint().fmpq_poly(second)))
    return found


def negative_between(q: Any, low: float, high: float) -> list[tuple[float, float]]:
    """Intervals between neighbouring real roots of a polynomial on which it is below 0, the widest first.

    >>> from qed.domains.precision import flint
    >>> negative_between(flint().fmpq_poly([-4, 0, 1]), -1.0, 9.0)
    [(-1.0, 2.0)]
    """
    roots = [complex(root) for factor, _ in q.factor()[1] for root, _ in factor.numer().complex_roots()]
    real = sorted(root.real for root in roots if abs(root.imag) <= 1e-12 * abs(root) and low < root.real < high)
    reach = 2.0 * max([1.0, *map(abs, real), *(abs(end) for end in (low, high) if math.isfinite(end))])
    ends = [max(low, -reach), *real, min(high, reach)]
    number = flint().fmpq
    below = [(x, y) for x, y in pairwise(ends) if x < y and q(number(*(x / 2 + y / 2).as_integer_ratio())) < 0]
    return sorted(below, key=lambda pair: pair[0] - pair[1])


def _inside(low: Any, high: Any, count: int) -> list[Any]:
    """Numbers inside, more than `count`."""
    near, far = (high - count - 2, high) if low is None else (low, low + count + 2 if high is None else high)
    return [near + (far - near) * (k + 1) / (count + 2) for k in range(count + 1)]


def _never_negative(q: Any) -> bool:
    """Whether a polynomial of one variable is at least 0 everywhere."""
    if q.is_zero():
        return True
    if q.degree() % 2 or q.leading_coefficient() < 0:
        return False
    return all(multiplicity % 2 == 0 or _real_roots(factor) == 0 for factor, multiplicity in q.factor_squarefree()[1])


def _real_roots(q: Any, low: Any = None, high: Any = None) -> int:
    """How many real roots a polynomial without double ones has in [low, high], none being an end: by Sturm's sequence.

    >>> from qed.domains.precision import flint
    >>> q = flint().fmpq_poly([-2, 0, 1])
    >>> _real_roots(q), _real_roots(q, 0), _real_roots(q, 0, 1)
    (2, 1, 0)
    """
    rows = [q, q.derivative()]
    while not rows[-1].is_zero() and rows[-1].degree() > 0:
        rows.append(-(rows[-2] % rows[-1]))
    rows = [row for row in rows if not row.is_zero()]
    leading = [(row.leading_coefficient() > 0, row.degree()) for row in rows]
    right = [up for up, _ in leading] if high is None else [row(high) > 0 for row in rows if row(high) != 0]
    left = [up == (d % 2 == 0) for up, d in leading] if low is None else [row(low) > 0 for row in rows if row(low) != 0]
    return _changes(left) - _changes(right)


def _changes(signs: list[bool]) -> int:
    return sum(s != t for s, t in pairwise(signs))
