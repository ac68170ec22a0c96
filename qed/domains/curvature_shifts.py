"""Several log-sum-exps in one sum, each with the share of the other terms that its exponents lack.

For every s, k log-sum-exp(u_1, ..., u_n) + k s = k log-sum-exp(u_1 + s, ..., u_n + s), so that in

    k_1 log-sum-exp(u) + k_2 log-sum-exp(v) + ... + c_1 t_1 + c_2 t_2 + ...

the terms t_i may be dealt out to the log-sum-exps. An exponent lacks of t as much as is subtracted in it: softplus(-m)
with m = a'x - |x|_1, written relative to its other exponent, is log(1 + exp(a'x - |x|_1)) - a'x + |x|_1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qed.domains.curvature_terms import Atom, Form

if TYPE_CHECKING:
    from qed.domains.curvature_algebra import Algebra

Shift = tuple[Atom, Any, Form]
"""A log-sum-exp, its coefficient k, and the s that is added to its exponents."""


def dealt_out(a: Algebra, form: Form) -> tuple[list[Shift], Form]:
    """The log-sum-exps of a sum with their shifts, and what is left: form = sum of k (log-sum-exp(u) + s) + rest.

    >>> from qed.domains.curvature_algebra import Algebra
    >>> a = Algebra()
    >>> x = a.variable(0, "x", (-1.0, 1.0))
    >>> t = a.unary("square", x)
    >>> soft = a.log_sum_exp([(a.one, a.number(0)), (a.one, a.subtract(x, t))])
    >>> dealt_out(a, a.combine([(soft, a.q(2)), (t, a.q(3))]))
    ([(log_sum_exp(0, x + -1*square(x)), 2, square(x))], square(x))
    """
    left = {atom.index: (atom, c) for atom, c in form.terms if atom.kind != "log_sum_exp" or c <= 0}
    found: list[Shift] = []
    for atom, k in form.terms:
        if atom.index in left:
            continue
        moved = []
        for i in sorted({t.index for arg in atom.args for t, _ in arg.terms if not t.affine} & set(left)):
            other, c = left[i]
            share = _lacked(a, atom, other, c / k)
            if share != 0:
                moved.append((other, share))
                left[i] = (other, c - k * share)
        found.append((atom, k, a.form(moved, a.zero)))
    rest = a.form(((t, c) for _, (t, c) in sorted(left.items()) if c != 0), form.constant)
    return found, rest


def _lacked(a: Algebra, atom: Atom, other: Atom, most: Any) -> Any:
    """How much of a term the exponents need for it to be nowhere subtracted (added, where `most` is negative)."""
    sign = 1 if most > 0 else -1
    coefficients = [dict((t.index, c) for t, c in arg.terms).get(other.index, a.zero) for arg in atom.args]
    return sign * max(a.zero, min(sign * most, max(-sign * c for c in coefficients)))
