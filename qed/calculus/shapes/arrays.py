"""The shape of a function of large arrays, by rules of whole arrays; terms are proved as those of small functions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from qed.calculus.shapes.rules import Rules
from qed.certificates.certificate import Subject
from qed.certificates.convexity import rows_of
from qed.certificates.disciplined import DisciplinedConvexity, Proof, marks_of
from qed.certificates.library import meant
from qed.domains.array_shapes import CONCAVE, CONVEX
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_terms import Form
from qed.errors import CertificateError, QedError
from qed.graph.walk import TooLong, Unknown

SECONDS = 0.5
"""How long a proof about one term is looked for."""


def of_arrays(fun: Callable[..., Any], at: Any, args: tuple[Any, ...], box: tuple[Any, Any]) -> Any:
    """A certificate that the function is convex, concave or affine on a box; None where these rules find none.

    Args:
        fun: the function.
        at: an argument of the right shapes.
        args: data.
        box: the lower and the upper ends, an array for each of the argument's.

    >>> import jax, jax.numpy as jnp
    >>> rows = np.arange(3e5).reshape(100000, 3) % 7 - 3.0
    >>> loss = lambda w: jnp.mean(jax.nn.softplus(rows @ w)) + jnp.sum(w**2)
    >>> whole = [np.full(3, -np.inf)], [np.full(3, np.inf)]
    >>> proof = of_arrays(loss, np.zeros(3), (), whole)
    >>> proof.claim, proof.verify()
    ('convex', True)
    >>> of_arrays(lambda w: loss(jnp.sin(w)), np.zeros(3), (), whole)
    """
    proofs: list[Proof] = []

    def shape(algebra: Algebra, form: Form, claim: str) -> bool:
        rules = Rules(algebra, deep=True, deadline=time.thread_time() + SECONDS)
        rules.top = form if claim == "convex" else algebra.scale(form, -1)
        step = rules.convex(rules.top)
        proofs.append((claim, () if step is None else rows_of(step)))
        return step is not None

    try:
        traced = meant(Subject(fun, at, tuple(args)).traced())
        bits = marks_of(traced, *box, shape)
    except (TooLong, QedError, TypeError, ValueError, MemoryError):
        return None
    if isinstance(bits, Unknown):
        return None
    found = {CONVEX: "convex", CONCAVE: "concave", CONVEX | CONCAVE: "affine"}.get(np.uint8(bits) & (CONVEX | CONCAVE))
    if found is None:
        return None
    made = DisciplinedConvexity.about(fun, at, args, box=box, claim=found, terms=proofs)
    try:
        made.verify()
    except CertificateError:
        return None
    return made


def told_of(proof: DisciplinedConvexity) -> str:
    """What the proof consists of, in a sentence."""
    terms = sum(bool(rows) for _, rows in proof.terms)
    more = f"; the shape of {terms} elementwise part{'s' * (terms != 1)} is proved as that of a term" if terms else ""
    return f"array by array, the rules of disciplined convex programming give its shape{more}"
