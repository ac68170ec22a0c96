"""A step of a proof of convexity: what is claimed of which form, by which rule, from which steps.

The rules are those of disciplined convex programming with f' and f'' taken on the *range* of the argument (Boyd and
Vandenberghe, *Convex Optimization*, 2004, sections 3.1, 3.2 and 3.5); `qed.calculus.shapes.rules` looks for steps, and
`qed.certificates.convexity_rules` checks them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from qed.domains.curvature_terms import Atom, Form, Place


@dataclass(frozen=True, eq=False)
class Step:
    """A claim ("convex", "log-convex", "log-concave") about a form, its rule, its premises, and the rule's numbers."""

    claim: str
    form: Form
    rule: str
    premises: tuple[Step, ...] = ()
    numbers: tuple[Any, ...] = ()
    place: Place | None = None
    text: str = field(default="")


def digest(form: Form, memo: dict[int, str]) -> str:
    """A name of a form: equal for equal forms of two runs of one program.

    >>> from qed.domains.curvature_algebra import Algebra
    >>> from qed.domains.curvature_proof import digest
    >>> def name(a):
    ...     return digest(a.unary("exp", a.variable(0, "x", (0.0, 1.0))), {})
    >>> name(Algebra()) == name(Algebra())
    True
    """
    key = id(form)
    if key not in memo:
        parts = [f"{_atom(atom, memo)}*{c}" for atom, c in form.terms]
        memo[key] = _hash("+".join([*parts, str(form.constant)]))
    return memo[key]


def _atom(atom: Atom, memo: dict[int, str]) -> str:
    key = id(atom)
    if key not in memo:
        data = (atom.data.name, atom.data.parameters) if atom.kind == "unary" else atom.data
        if atom.kind == "log_sum_exp":
            data = tuple(str(w) for w in atom.data)
        unlike = atom.index if atom.kind in ("opaque", "number") else ""
        memo[key] = _hash(f"{atom.kind} {data} {unlike} " + " ".join(digest(form, memo) for form in atom.args))
    return memo[key]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]
