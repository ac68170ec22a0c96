"""Logarithms of the integrals of Euler that are convex because they are log-partition functions.

log of the integral of exp(t'S(x)) over x is convex in t, by Hoelder's inequality (Boyd and Vandenberghe, *Convex
Optimization*, 2004, section 3.5.2). For positive affine u, v this holds of the integrals (NIST DLMF, 5.14.2 and 5.9.1)

    log B(u_1, ..., u_n) = log Gamma(u_1) + ... + log Gamma(u_n) - log Gamma(u_1 + ... + u_n)
    log integral of x^(u-1) e^(-v x) over x > 0 = log Gamma(u) - u log v

which are the normalising constants of the beta and Dirichlet laws, and of the gamma law; a u_i may be a number, as in
log Gamma(r) - log Gamma(r + n) of counts. Of the law of von Mises it is

    log integral of exp(u cos t) over 0 < t < pi = log I_0(u) + log pi = log(e^-|u| I_0(u)) + |u| + log pi

(10.32.1), which is even and grows with |u|, so that a convex u >= 0 will do, too (a length, as von Mises has it).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from qed.calculus.shapes.powers import proportion
from qed.domains.curvature_proof import Step
from qed.domains.curvature_terms import Atom, Form

if TYPE_CHECKING:
    from qed.calculus.shapes.rules import Rules

Terms = Sequence[tuple[Atom, Any]]
Known = dict[int, Step | None]
Groups = list[tuple[Form, Step]]
MOST = 12
"""Among how many values of log Gamma a sum is looked for."""


def log_partitions(rules: Rules, parts: Terms, steps: Known) -> Groups:
    """Terms that make one of the two logarithms, or more than it of the convex log Gamma(u_i)."""
    gammas = [(atom, c) for atom, c in parts if atom.name == "lgamma" and _positive(rules, atom.args[0])]
    free = {atom.index: (atom, c) for atom, c in gammas if c > 0}
    found = []
    for atom, c in gammas:
        if c < 0:
            chosen = _summands(rules, [free[i] for i in sorted(free)], atom.args[0], -c)
            if chosen:
                found.append(_group(rules, [*chosen, (atom, c)], "beta function"))
                for other, _ in chosen:
                    del free[other.index]
    for atom, c in parts:
        if atom.kind == "product" and steps.get(atom.index) is None:
            one = _with_rate(rules, atom, c, free)
            if one is not None:
                found.append(_group(rules, [one, (atom, c)], "gamma integral"))
                del free[one[0].index]
    return found + [one for one in (_von_mises(rules, parts, atom, c) for atom, c in parts) if one is not None]


def _von_mises(rules: Rules, parts: Terms, atom: Atom, c: Any) -> tuple[Form, Step] | None:
    """c log(e^-|u| I_0(u)) with at least c |u|; an affine u of one sign needs nothing beside it."""
    inner = atom.args[0].single if atom.name == "log" else None
    if c < 0 or inner is None or inner[0].name != "bessel_i0e" or inner[1] < 0:
        return None
    u = inner[0].args[0]
    modulus = rules.a.unary("abs", u)
    members: Terms = [(atom, c)]
    if not modulus.affine:
        part = modulus.single
        beside = next((pair for pair in parts if part is not None and pair[0] is part[0]), None)
        if part is None or beside is None or beside[1] < c * part[1]:
            return None
        members = [beside, (atom, c)]
    premise = rules.convex(u if u.affine else modulus)
    if premise is None or (not u.affine and modulus is not u):
        return None
    group = rules.a.form(sorted(members, key=lambda pair: pair[0].index), rules.a.zero)
    return group, Step("convex", group, "von Mises", (premise,), (), atom.place)


def _positive(rules: Rules, u: Form) -> bool:
    return u.affine and u.lost is None and rules.a.positive(u)


def _summands(rules: Rules, free: Terms, whole: Form, c: Any) -> Terms | None:
    """Values of log Gamma, with coefficients of at least c, whose arguments (and a number above 0) make `whole`."""
    names = {atom.index for atom, _ in whole.terms}
    near = [(t, d) for t, d in free if d >= c and any(atom.index in names for atom, _ in t.args[0].terms)]
    for size in (len(near), *range(1, len(near))) if 1 <= len(near) <= MOST else ():
        for chosen in combinations(near, size):
            rest = rules.a.combine([(whole, rules.a.one), *((t.args[0], -rules.a.one) for t, _ in chosen)])
            if not rest.terms and (rest.constant > 0 or (rest.constant == 0 and size > 1)):
                return chosen
    return None


def _with_rate(rules: Rules, atom: Atom, c: Any, free: dict[int, Any]) -> tuple[Atom, Any] | None:
    """The log Gamma(u), with its coefficient, to which c s log v = -k u log v belongs."""
    for s, other in (atom.args, atom.args[::-1]):
        if other.single is None or other.single[1] != 1 or other.single[0].name != "log":
            continue
        if not _positive(rules, other.single[0].args[0]):
            continue
        for gamma, d in free.values():
            ratio = proportion(gamma.args[0], s)
            if ratio is not None and ratio > 0 and d >= -c / ratio > 0:
                return gamma, d
    return None


def _group(rules: Rules, members: Terms, rule: str) -> tuple[Form, Step]:
    group = rules.a.form(sorted(members, key=lambda pair: pair[0].index), rules.a.zero)
    return group, Step("convex", group, rule, (), (), members[-1][0].place)
