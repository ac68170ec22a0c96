"""The rules of proofs of convexity, checked one by one: does this step follow from those?

A step names a form of the program, a claim, a rule and its premises. Every rule is a condition on the form's own parts,
looked up in the program that was traced again, and has a function in `convexity_single` (one operation),
`convexity_groups` (several terms), `convexity_matrices`, `convexity_partitions`, `convexity_logarithms`,
`convexity_polynomials` and `convexity_rational` (exact roots), `convexity_ridges`, or `convexity_pieces` (cuts and
second derivatives).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from qed.certificates.certificate import MALFORMED
from qed.certificates.convexity_forms import squares_are_sums
from qed.certificates.convexity_groups import GROUPS
from qed.certificates.convexity_logarithms import LOGARITHMIC
from qed.certificates.convexity_matrices import MATRICES
from qed.certificates.convexity_partitions import PARTITIONS
from qed.certificates.convexity_perspective import perspective
from qed.certificates.convexity_pieces import pieces, second_derivatives
from qed.certificates.convexity_polynomials import binary_forms, one_variable
from qed.certificates.convexity_rational import rational
from qed.certificates.convexity_ridges import RIDGES
from qed.certificates.convexity_single import SINGLE
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_proof import digest
from qed.domains.curvature_terms import Atom, Form
from qed.errors import CertificateError

Row = tuple[str, str, str, tuple[int, ...], tuple[float, ...]]
"""Claim, rule, the form's name, numbers of the premises' rows, the rule's numbers."""


@dataclass(eq=False)
class Check:
    """One row against the form that it is about."""

    a: Algebra
    rows: Sequence[Row]
    memo: dict[int, str]
    place: int
    form: Form
    done: set[tuple[int, int]]

    @property
    def row(self) -> Row:
        """The row."""
        return self.rows[self.place]

    def fail(self, why: str) -> NoReturn:
        """Raise the error that names this row."""
        node = f"rows[{self.place}]"
        raise CertificateError(node, f"{self.row[1]}: {why}")

    def require(self, holds: bool, why: str) -> None:
        """Raise unless a condition holds."""
        if not holds:
            self.fail(why)

    def premises(self, claims: Sequence[tuple[str, Form]]) -> None:
        """The premises are proofs of exactly these claims, in this order."""
        numbers = self.row[3]
        self.require(len(numbers) == len(claims), f"it has {len(numbers)} premises, and needs {len(claims)}")
        for number, (claim, form) in zip(numbers, claims, strict=True):
            self.require(0 <= number < self.place, f"row {number} does not stand before it")
            found = self.rows[number]
            self.require(
                found[0] == claim and found[2] == digest(form, self.memo), f"row {number} proves another claim"
            )
            if (number, id(form)) not in self.done:
                self.done.add((number, id(form)))
                check(Check(self.a, self.rows, self.memo, number, form, self.done))

    def within(self, forms: Sequence[tuple[Algebra, Form]]) -> None:
        """The premises prove that forms of other algebras are convex there."""
        numbers = self.row[3]
        self.require(len(numbers) == len(forms), f"it has {len(numbers)} premises, and needs {len(forms)}")
        for number, (algebra, form) in zip(numbers, forms, strict=True):
            self.require(0 <= number < self.place, f"row {number} does not stand before it")
            memo: dict[int, str] = {}
            found = self.rows[number]
            self.require(found[0] == "convex" and found[2] == digest(form, memo), f"row {number} proves another claim")
            check(Check(algebra, self.rows, memo, number, form, set()))
            squares_are_sums(algebra)

    @property
    def atom(self) -> tuple[Atom, int]:
        """The atom that the form is a multiple of, and the sign of the multiple."""
        single = self.form.single
        if single is None:
            self.fail("the form is no multiple of one operation")
        return single[0], 1 if single[1] > 0 else -1

    def negative(self, form: Form) -> Form:
        """Minus a form."""
        return self.a.scale(form, -1)


def check(step: Check) -> None:
    """Check one row and, through its premises, all below it.

    Raises CertificateError naming the row.
    """
    claim, rule = step.row[0], step.row[1]
    table = CONVEX if claim == "convex" else LOGARITHMIC if claim in ("log-convex", "log-concave") else {}
    step.require(rule in table, f"no such rule for the claim {claim!r}")
    whole = [atom for atom, _ in step.form.terms if atom.affine or rule not in _BY_PARTS]
    step.require(rule == "pieces" or all(atom.lost is None for atom in whole), "it may be undefined somewhere")
    try:
        table[rule](step)
    except MALFORMED as error:
        step.fail(f"the row is malformed: {error}")


_BY_PARTS = ("sum", "groups")
"""Rules that leave it to their premises where the terms are defined."""
CONVEX: Mapping[str, Callable[[Check], None]] = {
    **SINGLE,
    **GROUPS,
    **MATRICES,
    **PARTITIONS,
    **RIDGES,
    "binary forms": binary_forms,
    "polynomial": one_variable,
    "perspective": perspective,
    "pieces": pieces,
    "rational": rational,
    "second derivatives": second_derivatives,
}
