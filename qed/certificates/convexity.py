"""The certificate that a function is convex (or concave, or affine) on a box: a proof tree, row by row.

f is convex on a box if f(t x + (1-t) y) <= t f(x) + (1-t) f(y) for all x, y in it and 0 <= t <= 1; with a constant m of
strong convexity, f - m |x|^2 / 2 is convex too. A row is a claim about one number of the program, the rule that gives
it, and the rows it follows from; the last row is about the result. Verification traces the function again, takes it
apart into terms with ranges in intervals whose ends are numbers of python-flint (`qed.domains.ball_ends`), compares
the term with the program at points in balls, and checks every row (`qed.certificates.convexity_rules`).

Shared with the search: the taking apart (`qed.domains.curvature`), the algebra of terms, and the chain rule of second
derivatives. The first two are held against the program's own values in balls, the last against second differences;
the rules, the ranges and the elimination of quadratic forms are other code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import numpy as np

from qed.certificates.certificate import Boxed, Subject
from qed.certificates.convexity_forms import squares_are_sums
from qed.certificates.convexity_matrices import matrices_are_definite
from qed.certificates.convexity_rules import Check, Row, check
from qed.certificates.convexity_terms import OfAnotherFunction, terms_of
from qed.certificates.convexity_witness import value_at
from qed.certificates.library import meant
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_proof import Step, digest
from qed.domains.curvature_terms import Form
from qed.domains.curvature_values import BallValues, NoValue
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.trace import Traced

POINTS = 3
"""At how many points the term is compared with the program."""
CHOICES, ASIDE = 4, (2.0**-4, 2.0**-12)
"""Of how many conditions points on either side are compared too, and how far from where they turn."""
BITS = 200


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Convexity(Boxed):
    """A proof of a shape on a box; `box_lower` and `box_upper` are the numbers of each array of the argument.

    `rows` prove that f - strong |x|^2 / 2 is convex, `below` that minus f is; which of both has to be there is said by
    `claim`: "convex", "concave" or "affine".
    """

    kind: ClassVar[str] = "convexity"
    reads_meant: ClassVar[bool] = True
    claim: str
    strong: float
    rows: tuple[Row, ...]
    below: tuple[Row, ...]

    @classmethod
    def about(
        cls,
        fun: Callable[..., Any],
        at: Any,
        args: tuple[Any, ...],
        *,
        box: tuple[Sequence[Any], Sequence[Any]],
        claim: str,
        above: Step | None,
        below: Step | None,
        strong: float = 0.0,
    ) -> Self:
        """The certificate of steps that were found."""
        return cls.on_box(
            Subject(fun, at, tuple(args)),
            box,
            claim=claim,
            strong=float(strong),
            rows=() if above is None else rows_of(above),
            below=() if below is None else rows_of(below),
        )

    def prove(self, traced: Traced) -> None:
        """Check every row of the proof."""
        traced = meant(traced)
        lower, upper = self.sides(traced)
        if self.claim not in ("convex", "concave", "affine"):
            raise CertificateError("claim", f"{self.claim!r} is no shape")
        if not 0 <= self.strong < np.inf or (self.strong and self.claim != "convex"):
            raise CertificateError("strong", f"{self.strong!r} is no constant of strong convexity of such a function")
        if (bool(self.rows), bool(self.below)) != (self.claim != "concave", self.claim != "convex"):
            raise CertificateError("rows", f"they do not prove that a function is {self.claim}")
        algebra, form = terms_of(traced, lower, upper)
        matrices_are_definite(algebra)
        same_values(traced, algebra, form, lower, upper)
        for name, rows, sign in (("rows", self.rows, 1), ("below", self.below, -1)):
            if not rows:
                continue
            wanted = algebra.scale(form, sign)
            if self.strong and sign > 0:
                wanted = less_a_square(algebra, wanted, self.strong)
            memo: dict[int, str] = {}
            last = len(rows) - 1
            if rows[last][0] != "convex" or rows[last][2] != digest(wanted, memo):
                raise CertificateError(name, "the last row is about another function")
            check(Check(algebra, rows, memo, last, wanted, set()))
        squares_are_sums(algebra)


def less_a_square(algebra: Algebra, form: Form, strong: float) -> Form:
    """f - strong |x|^2 / 2."""
    squares = [(algebra.unary("square", algebra.of(v)), -algebra.rational(strong) / 2) for v in algebra.variables]
    return algebra.combine([(form, algebra.one), *squares])


def rows_of(step: Step) -> tuple[Row, ...]:
    """The rows of a proof, premises before what follows from them."""
    rows: list[Row] = []
    number: dict[int, int] = {}
    memo: dict[int, str] = {}

    def write(one: Step) -> int:
        if id(one) not in number:
            premises = tuple(write(premise) for premise in one.premises)
            number[id(one)] = len(rows)
            rows.append((one.claim, one.rule, digest(one.form, memo), premises, tuple(map(float, one.numbers))))
        return number[id(one)]

    write(step)
    return tuple(rows)


def same_values(traced: Traced, algebra: Algebra, form: Form, lower: Any, upper: Any) -> None:
    """Compare the term with the program at points of the box, in balls.

    Raises CertificateError where they differ.
    """
    random = np.random.default_rng(0)
    points = [[inside(random, a, b) for a, b in zip(lower, upper, strict=True)] for _ in range(POINTS)]
    points += beside_choices(algebra, points[0], lower, upper)
    for point in points:
        with precision(BITS) as flint:
            numbers = [float(x) for leaf in point for x in leaf.ravel()]
            places = {int(str(v.data)[1:]): v for v in algebra.variables}
            try:
                found = BallValues({v: flint.arb(numbers[k]) for k, v in places.items()}).of(form)
            except NoValue:
                continue
        try:
            value = value_at(traced, point, BITS)
        except OfAnotherFunction:
            raise
        except CertificateError:
            continue
        if not found.overlaps(value):
            raise CertificateError("function", f"the term is {found.str(12)} where the program is {value.str(12)}")


def beside_choices(algebra: Algebra, point: list[np.ndarray], lower: Any, upper: Any) -> list[list[np.ndarray]]:
    """Points of the box on both sides of where a choice of the program turns, so that small pieces are compared too.

    The conditions that are affine are moved to a little above and below 0, along the variable with the largest factor.
    """
    flat = np.concatenate([leaf.ravel() for leaf in point])
    low, high = (np.concatenate([np.ravel(leaf) for leaf in side]) for side in (lower, upper))
    cuts = np.cumsum([leaf.size for leaf in point])[:-1]
    found = []
    for u in conditions_of(algebra)[:CHOICES]:
        factors = {int(str(atom.data)[1:]): float(c) for atom, c in u.terms}
        at = sum((c * flat[k] for k, c in factors.items()), float(u.constant))
        k = max(factors, key=lambda j: abs(factors[j]))
        turn = flat[k] - at / factors[k]
        for away in (*ASIDE, *(-step for step in ASIDE)):
            moved = flat.copy()
            moved[k] = np.clip(turn + away * max(abs(turn), 1.0), low[k], high[k])
            found.append([part.reshape(leaf.shape) for part, leaf in zip(np.split(moved, cuts), point, strict=True)])
    return found


def conditions_of(algebra: Algebra) -> list[Form]:
    """The affine combinations of variables whose signs a program asks for, each once."""
    found: dict[Form, None] = {}
    for atom in algebra.atoms():
        if atom.kind == "compare" or atom.name == "abs":
            found |= {u: None for u in atom.args if u.terms and all(part.kind == "variable" for part, _ in u.terms)}
    return list(found)


def inside(random: np.random.Generator, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """A random point of a box, with few digits."""
    low = np.where(np.isfinite(lower), lower, np.where(np.isfinite(upper), upper - 4.0, -2.0))
    high = np.where(np.isfinite(upper), upper, low + 4.0)
    return np.clip(low + (high - low) * np.round(random.random(low.shape) * 256) / 256, lower, upper)
