"""The certificate that a function of large arrays is convex, concave or affine on a box, by rules of whole arrays.

Verification traces the function again, walks it in the domain of disciplined convexity (`qed.domains.disciplined`), and
where that asks for the shape of a term, checks the proof of it that is written here, row by row, as the certificate of
small functions does (`qed.certificates.convexity_rules`), with ranges that end in numbers of python-flint. Then the
program itself is run at the ends and in the middle of chords: one that lies beyond rounding on the wrong side refutes
the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import numpy as np

from qed.certificates.certificate import Boxed, Subject, placed
from qed.certificates.convexity import inside
from qed.certificates.convexity_forms import squares_are_sums
from qed.certificates.convexity_rules import Check, Row, check
from qed.certificates.library import meant
from qed.domains.array_shapes import CONCAVE, CONVEX
from qed.domains.ball_ends import BallEnds
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_proof import digest
from qed.domains.curvature_terms import Form
from qed.domains.disciplined import Disciplined
from qed.domains.intervals import Intervals
from qed.domains.value import Value
from qed.errors import CertificateError
from qed.graph.trace import Traced
from qed.graph.walk import TooLong, Unknown, Walker

BITS = 120
CHORDS = 6
"""How many chords of the program are looked at."""
ROUNDING = 2.0**14
"""How many units of rounding of the larger value a chord may lie on the wrong side."""
CLAIMS = {"convex": CONVEX, "concave": CONCAVE, "affine": CONVEX | CONCAVE}

Proof = tuple[str, tuple[Row, ...]]
"""What was asked of a term, and the rows that prove it; none where no proof was found."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class DisciplinedConvexity(Boxed):
    """A shape on a box: "convex", "concave" or "affine"; `terms` holds the proofs in the order of the questions."""

    kind: ClassVar[str] = "disciplined_convexity"
    reads_meant: ClassVar[bool] = True
    claim: str
    terms: tuple[Proof, ...]

    @classmethod
    def about(
        cls, fun: Callable[..., Any], at: Any, args: tuple[Any, ...], *, box: tuple[Any, Any], claim: str, terms: Any
    ) -> Self:
        """The certificate of proofs that were found."""
        return cls.on_box(Subject(fun, at, tuple(args)), box, claim=claim, terms=tuple(terms))

    def prove(self, traced: Traced) -> None:
        """Walk the program again, and check the proof of every term."""
        traced = meant(traced)
        lower, upper = self.sides(traced)
        if self.claim not in CLAIMS:
            raise CertificateError("claim", f"{self.claim!r} is no shape")
        proofs = iter(self.terms)
        bits = marks_of(traced, lower, upper, lambda algebra, form, claim: _proved(proofs, algebra, form, claim), BITS)
        if next(proofs, None) is not None:
            raise CertificateError("terms", "there are more proofs than terms that need one")
        if isinstance(bits, Unknown):
            raise CertificateError("function", str(bits))
        if bits & CLAIMS[self.claim] != CLAIMS[self.claim]:
            raise CertificateError("terms", f"they do not prove that the function is {self.claim}")
        _chords(traced, lower, upper, int(bits))


def marks_of(traced: Traced, lower: Any, upper: Any, shape: Any, bits: int = 0) -> Any:
    """The marks of the result of a program on a box; an `Unknown` where a rule is missing on the way.

    Args:
        traced: the program.
        lower: the lower ends of the box, an array for each of the argument's.
        upper: the upper ends.
        shape: asked for the shapes of terms.
        bits: of the balls that bound ranges of terms; 0 for intervals of float64.
    """
    domain = Disciplined(shape, Algebra(BallEnds(bits)) if bits else Algebra())
    box = [Intervals(a, b) for a, b in zip(lower, upper, strict=True)]
    value = Walker([domain]).run(traced.graph, placed(traced, box))[0].values[0]
    return value if isinstance(value, Unknown) else domain.settled(value).bits.item()


def _proved(proofs: Iterator[Proof], algebra: Algebra, form: Form, claim: str) -> bool:
    """Whether the next proof is one of this claim; raises CertificateError where it is wrong."""
    name, rows = next(proofs, ("", ()))
    if name != claim:
        raise CertificateError("terms", f"a proof that a term is {claim} is missing")
    if not rows:
        return False
    wanted = form if claim == "convex" else algebra.scale(form, -1)
    memo: dict[int, str] = {}
    last = len(rows) - 1
    if rows[last][0] != "convex" or rows[last][2] != digest(wanted, memo):
        raise CertificateError("terms", "the last row is about another term")
    check(Check(algebra, rows, memo, last, wanted, set()))
    squares_are_sums(algebra)
    return True


def _chords(traced: Traced, lower: Any, upper: Any, bits: int) -> None:
    """Compare the program in the middle of chords with the mean of its ends."""
    random = np.random.default_rng(1)
    eps = max(float(np.finfo(np.float64).eps), *(_eps(traced.graph.inputs[k].dtype) for k in traced.free))
    for _ in range(CHORDS):
        ends = [[inside(random, a, b) for a, b in zip(lower, upper, strict=True)] for _ in range(2)]
        middle = [a / 2 + b / 2 for a, b in zip(*ends, strict=True)]
        values = [_value(traced, point) for point in (*ends, middle)]
        if not np.all(np.isfinite(values)):
            continue
        over = values[2] - (values[0] / 2 + values[1] / 2)
        slack = ROUNDING * eps * max(map(abs, values))
        if (bits & CONVEX and over > slack) or (bits & CONCAVE and over < -slack):
            raise CertificateError("function", f"a chord lies on the wrong side of it by {abs(over):.3g}")


def _eps(dtype: Any) -> float:
    import jax.numpy as jnp

    return float(jnp.finfo(dtype).eps)


def _value(traced: Traced, point: Any) -> float:
    leaves = [a.astype(traced.graph.inputs[k].dtype) for a, k in zip(point, traced.free, strict=True)]
    try:
        (cell, *_) = Walker([Value()]).run(traced.graph, placed(traced, leaves))
    except TooLong:
        return float("nan")
    return float(np.asarray(cell.values[0]).astype(np.float64))
