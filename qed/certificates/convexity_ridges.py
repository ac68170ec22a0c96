"""The check of a row about curvature that ridge functions and a quadratic form share.

The numbers are the c_i; the terms are dealt out to lines and to the quadratic form by what they depend on, in the order
in which they stand, and the parts have to add up to the form. References: `qed.calculus.shapes.ridges`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from qed.domains.curvature_line import Directions

if TYPE_CHECKING:
    from qed.certificates.convexity_rules import Check
    from qed.domains.curvature_terms import Atom


def _shared_curvature(step: Check) -> None:
    """f = (Q + sum of c_i u_i^2 / 2) + sum of (g_i(u_i) - c_i u_i^2 / 2), each part convex."""
    a, numbers = step.a, [int(n) for n in step.row[4]]
    step.require(len(numbers) % 2 == 0 and all(q > 0 for q in numbers[1::2]), "a constant is no number")
    lows = [a.q(p, q) for p, q in zip(numbers[::2], numbers[1::2], strict=True)]
    ways, families, rest = [], [], []
    for atom, c in step.form.terms:
        if _is_quadratic(atom):
            rest.append((a.of(atom), c))
            continue
        way = Directions().of(a.of(atom))
        if not way:
            step.fail("a term goes along no line")
        if way not in ways:
            ways.append(way)
            families.append([])
        families[ways.index(way)].append((a.of(atom), c))
    step.require(len(ways) == len(lows) and step.form.constant == 0, "it is another sum")
    squares = [a.unary("square", a.combine([(a.of(v), k) for v, k in way])) for way in ways]
    whole = a.combine([*rest, *((s, c / 2) for s, c in zip(squares, lows, strict=True))])
    ridges = [a.combine([*g, (s, -c / 2)]) for g, s, c in zip(families, squares, lows, strict=True)]
    step.require(a.combine([(part, a.one) for part in (whole, *ridges)]) is step.form, "the parts do not add up")
    step.premises([("convex", part) for part in (whole, *ridges)])


def _is_quadratic(atom: Atom) -> bool:
    straight = all(part.kind == "variable" for arg in atom.args for part, _ in arg.terms)
    return atom.kind == "variable" or (straight and (atom.kind == "product" or atom.name == "square"))


RIDGES: Mapping[str, Callable[[Any], None]] = {"shared curvature": _shared_curvature}
"""By rule: the check of a row about ridge functions."""
