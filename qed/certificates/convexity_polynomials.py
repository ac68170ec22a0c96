"""The rules of polynomials in one and in two variables, checked: their second derivatives are nowhere negative.

The search writes the homogeneous parts in t = y/x and counts real roots by Sturm's sequence; here the polynomial is
multiplied out and differentiated by python-flint, and the roots of its factors of odd multiplicity are enclosed.
"""

from __future__ import annotations

import math
from typing import Any

from qed.domains.curvature_terms import Atom, Form
from qed.domains.precision import flint

SHARES = tuple(k / 32 for k in range(1, 32))


def binary_forms(step: Any) -> None:
    """All terms are polynomials in two variables, and every homogeneous part is convex."""
    names: dict[Atom, int] = {}
    _variables(step, step.form, names)
    step.require(0 < len(names) <= 2 and not step.row[4], "it is no polynomial in two variables")
    ring = flint().fmpq_mpoly_ctx.get(("x", "y"), flint().Ordering.lex)
    whole = _polynomial(step, step.form, names, ring)
    parts: dict[int, Any] = {}
    for powers, c in whole.to_dict().items():
        parts.setdefault(sum(powers), {})[powers] = c
    for degree, part in parts.items():
        if degree > 1:
            step.require(
                degree % 2 == 0 and _definite(ring.from_dict(part)), f"its part of degree {degree} is not convex"
            )
    step.premises([])


def one_variable(step: Any) -> None:
    """All terms are polynomials in one variable, with a second derivative that is not negative on its range."""
    names: dict[Atom, int] = {}
    _variables(step, step.form, names)
    step.require(len(names) == 1 and not step.row[4], "it is no polynomial in one variable")
    ring = flint().fmpq_mpoly_ctx.get(("x",), flint().Ordering.lex)
    (variable,) = names
    second = _polynomial(step, step.form, names, ring).derivative(0).derivative(0)
    coefficients = {powers[0]: c for powers, c in second.to_dict().items()}
    q = flint().fmpq_poly([coefficients.get(i, 0) for i in range(max(coefficients, default=-1) + 1)])
    ends = [step.a.rational(x) if math.isfinite(x) else None for x in (variable.lower, variable.upper)]
    step.require(positive_between(q, *ends), "its second derivative is negative somewhere")
    step.premises([])


def positive_between(q: Any, low: Any, high: Any) -> bool:
    """Whether a polynomial is at least 0 on (low, high): no root of odd multiplicity inside, and positive somewhere.

    The ends are exact, or None where there is none.
    """
    if q.is_zero():
        return True
    for factor, multiplicity in q.factor()[1]:
        if multiplicity % 2 and any(not outside(factor, root, low, high) for root in real_roots(factor)):
            return False
    number = flint().fmpq
    near, far = _window(low, high, number(64))
    values = [q(near + (far - near) * number(*share.as_integer_ratio())) for share in SHARES]
    return any(value > 0 for value in values) and not any(value < 0 for value in values)


def outside(factor: Any, root: Any, low: Any, high: Any) -> bool:
    """Whether a root of an irreducible factor does surely not lie strictly between."""
    if factor.degree() == 1:
        exact = -factor[0] / factor[1]
        return (low is not None and exact <= low) or (high is not None and exact >= high)
    arb = flint().arb
    return (low is not None and root <= arb(low)) or (high is not None and root >= arb(high))


def _window(low: Any, high: Any, reach: Any) -> tuple[Any, Any]:
    """An interval inside, of finite length."""
    if low is None and high is None:
        return -reach, reach
    if low is None:
        return high - 2 * reach, high
    return low, low + 2 * reach if high is None else min(high, low + 2 * reach)


def _variables(step: Any, form: Form, names: dict[Atom, int]) -> None:
    for atom, _ in form.terms:
        if atom.kind == "variable":
            names.setdefault(atom, len(names))
            continue
        step.require(atom.kind == "product" or atom.name in ("square", "integer_pow"), "it is no polynomial")
        for arg in atom.args:
            _variables(step, arg, names)


def _polynomial(step: Any, form: Form, names: dict[Atom, int], ring: Any) -> Any:
    total = ring.constant(form.constant)
    for atom, c in form.terms:
        if atom.kind == "variable":
            total += c * ring.gen(names[atom])
            continue
        inner = [_polynomial(step, arg, names, ring) for arg in atom.args]
        power = 2 if atom.name == "square" else 1
        if atom.name == "integer_pow":
            power = int(dict(atom.data.parameters)["y"])
            step.require(power > 0, "it is no polynomial")
        whole = inner[0] * inner[1] if atom.kind == "product" else inner[0] ** power
        total += c * whole
    return total


def _definite(part: Any) -> bool:
    """Whether the second derivatives of a form are positive semidefinite at every point."""
    x, y = part.derivative(0), part.derivative(1)
    xx, xy, yy = x.derivative(0), x.derivative(1), y.derivative(1)
    return all(_never_negative(q) for q in (xx, yy, xx * yy - xy * xy))


def _never_negative(form: Any) -> bool:
    """Whether a form of even degree in x and y is nowhere below 0: at (t, 1) for all t, and in the limit (1, 0)."""
    poly, coefficients = flint().fmpq_poly, {}
    for (i, _), c in form.to_dict().items():
        coefficients[i] = c
    if not coefficients:
        return True
    q = poly([coefficients.get(i, 0) for i in range(max(coefficients) + 1)])
    if q.degree() % 2 or not q.leading_coefficient() > 0:
        return False
    return all(multiplicity % 2 == 0 or not real_roots(factor) for factor, multiplicity in q.factor()[1])


def real_roots(factor: Any) -> list[Any]:
    """What may be a real root of an irreducible polynomial, by enclosures of all its roots."""
    roots = [flint().acb(root) for root, _ in factor.numer().complex_roots()]
    return [root.real for root in roots if not root.imag != 0]
