"""The certificate of a normalising constant whose coordinates are normal given others, and independent after that.

    log int exp(u) dx = c + sum_k log(pi / a_k) / 2 + sum_i log int exp(v_i) dx_i

Verification reads the form of u from its graph (`qed.domains.separated`), adds the log-densities of normal priors, and
integrates one coordinate after the other (`qed.domains.conditionals`); what is left are integrals on the line, each
with a certificate of its own, kept as text, that is verified for the expression found here. As the integrand is
positive the order of integration is free, whether the integral is finite or not (Tonelli's theorem): it is infinite if
one of them is. A mean E exp(u), as the moments of products of normal numbers are, is the exponential of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar, final

import numpy as np

from qed.certificates.bounded import stated
from qed.certificates.certificate import Certificate
from qed.certificates.expectation import LogMass
from qed.certificates.named_laws import Law, a_law
from qed.certificates.separable import ZERO, a_number, joint
from qed.domains.conditionals import Marginal, marginal, of_powers
from qed.domains.ends import floats
from qed.domains.one_number import SAME
from qed.domains.precision import precision
from qed.domains.separated import One, Sum, TooWide, added, separated
from qed.domains.tail_forms import ball_of
from qed.errors import CertificateError, QedError
from qed.graph.graph import Variable
from qed.graph.trace import Traced

BITS = 128


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Conditional(Certificate):
    """lower <= log of the integral of exp(u) against the laws <= upper; of the integral itself, if `exponential`.

    Infinite bounds say that it is infinite.

    Args:
        laws: of each coordinate the family, or '' for length, its parameters, and the ends of its support.
        pieces: (coordinate, certificate as JSON) of each coordinate that is left.
        lower, upper: the bounds.
        exponential: whether the program returns exp(u), and not u.
    """

    kind: ClassVar[str] = "conditional"
    laws: tuple[Law, ...]
    pieces: tuple[tuple[int, str], ...]
    lower: float
    upper: float
    exponential: bool = False

    def prove(self, traced: Traced) -> None:
        """Prove the claim, or raise CertificateError."""
        if self.lower == self.upper == np.inf:
            if self.enclosed(traced) != (np.inf, np.inf):
                raise CertificateError("lower", "it is not proved to be infinite")
            return
        stated(self.lower, self.upper, lambda: self.enclosed(traced))

    def enclosed(self, traced: Traced, verified: bool = False) -> tuple[float, float]:
        """The bounds that verification finds; `verified` says that the pieces were verified just now."""
        for k, law in enumerate(self.laws):
            a_law(law, f"laws[{k}]")
        u = exponent_of(traced) if self.exponential else traced
        if u is None:
            raise CertificateError("function", "the function is no exponential of a value of the program")
        left = left_of(u, self.laws)
        if isinstance(left, str):
            raise CertificateError("function", left)
        rest, held = [i for i in range(len(self.laws)) if i not in left.gone], dict(self.pieces)
        if sorted(i for i, _ in self.pieces) != rest:
            raise CertificateError("pieces", f"the coordinates {rest} are left, one piece each")
        with precision(BITS) as library:
            pi, total = library.arb.pi(), ball_of(left.constant)
            for rate in left.rates:
                total += (pi if rate is None else pi / ball_of(rate)).log() / 2
            for family, parameters, *_ in self.laws:
                if family == "Normal":
                    total -= (library.arb(parameters[1]) * (2 * pi).sqrt()).log()
            ends = [self._piece(i, held[i], left.parts.get(i, ZERO), verified) for i in rest]
            if total.is_finite() and any(low == np.inf for low, _ in ends):
                return np.inf, np.inf
            for low, high in ends:
                total += library.arb(low).union(library.arb(high))
            total = total.exp() if self.exponential else total
            if not total.is_finite():
                raise CertificateError("pieces", "the integral is not proved to be finite")
            ends = floats([total])
            return float(ends[0][0]), float(ends[1][0])

    def _piece(self, i: int, data: str, one: One, verified: bool) -> tuple[float, float]:
        """The bounds of what is left of a coordinate, verified for its expression."""
        node = "pieces"
        try:
            piece = Certificate.from_json(data)
        except QedError as error:
            raise CertificateError(node, "it is no certificate") from error
        if not isinstance(piece, LogMass) or not piece.x64:  # numbers of float32 would be others
            raise CertificateError(node, "it is a certificate of another kind")
        if (piece.family, piece.parameters, piece.cuts[0], piece.cuts[-1]) != line_of(self.laws[i]):
            raise CertificateError(node, f"it is about another measure than that of coordinate {i}")
        if not verified:
            piece.verify(joint(one, True), a_number())
        finite = np.isfinite(piece.lower) and np.isfinite(piece.upper)
        if not ((finite or piece.lower == np.inf) and piece.lower <= piece.upper):
            raise CertificateError(node, "it proves no bounds")
        return piece.lower, piece.upper


def exponent_of(traced: Traced) -> Traced | None:
    """The program that returns u, of one that returns exp(u); None of any other.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.conditional import exponent_of
    >>> from qed.graph.trace import trace
    >>> exponent_of(trace(lambda x: jnp.exp(x * x), 1.0)).graph.outputs[0] is None, exponent_of(trace(jnp.sin, 1.0))
    (False, None)
    """
    (*_, output), makers = traced.graph.outputs, {v: e for e in traced.graph.equations for v in e.outputs}
    made = None
    while isinstance(output, Variable) and (made := makers.get(output)) is not None and made.primitive in SAME:
        output = made.inputs[0]
    if len(traced.graph.outputs) != 1 or made is None or made.primitive != "exp":
        return None
    return replace(traced, graph=replace(traced.graph, outputs=(made.inputs[0],)))


def line_of(law: Law) -> Law:
    """What a coordinate that is left is integrated against: of a normal law the density is in the function."""
    return ("", (), -np.inf, np.inf) if law[0] == "Normal" else law


def left_of(traced: Traced, laws: Sequence[Law]) -> Marginal | str:
    """What is left of a log-density and its laws when normal coordinates are integrated, or why nothing is."""
    if [np.shape(leaf) for leaf in traced.parameters] != [(len(laws),)]:
        return f"its argument is no vector of {len(laws)} numbers"
    form = separated(traced)
    if isinstance(form, str):
        return form
    try:
        for i, (family, parameters, *_) in enumerate(laws):
            if family == "Normal":
                form = added(form, _bell(i, *map(Fraction, parameters)))
    except TooWide:
        return "it is no short sum of products of functions of single coordinates"
    lines = [i for i, law in enumerate(laws) if line_of(law) == ("", (), -np.inf, np.inf)]
    found = marginal(form, lines)
    return found if found is not None else "no coordinate is normal given another one, so that the others fall apart"


def _bell(i: int, mean: Fraction, scale: Fraction) -> Sum:
    """The log-density of a normal law without its constant."""
    a = 1 / (2 * scale * scale)
    return of_powers(i, {0: -a * mean * mean, 1: 2 * a * mean, 2: -a})
