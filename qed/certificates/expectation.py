"""The certificate of an integral: the expectation of f under a measure of atoms and densities lies in [lower, upper].

The measure is its Lebesgue decomposition on the line: point masses w_i at x_i, and parts w exp(u(x)) dx on an interval;
a part that is a probability is divided by its own integral, so that no constant of normalisation is believed:

    E f = sum_i w_i f(x_i) + sum_k w_k int f exp(u_k) / int exp(u_k).

Verification, in balls. On a cell with midpoint m the integrand g = f exp(u) is a power series with the remainder of
Lagrange, c_{n+1}(s) t^(n+1) with n odd, so that (t = x - m; Moore, *Interval Analysis*, 1966, chapter 8)

    int g dx  lies in  sum_{k <= n} c_k int t^k dt + C_{n+1} int t^(n+1) dt;

where g may not be smooth on a cell, its range times the width is taken. Cells are halved where most is lost. Before
that, infinite ends are enclosed for all x beyond R at once (`qed.domains.tail`), which also proves that they diverge.
Parts on whole numbers are sums with a proved tail (`qed.certificates.series`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, final

import jax
import numpy as np

from qed.certificates import relative
from qed.certificates.bounded import surely_within
from qed.certificates.certificate import Certificate, Subject
from qed.certificates.found import BOTH, Undefined
from qed.certificates.integral_parts import BITS, Part, value_on, weight_of
from qed.certificates.named_laws import checked, output_of
from qed.certificates.series import Sum, SumData
from qed.certificates.tilted import mean_of, tilted
from qed.certificates.weights import fraction
from qed.domains.counts import COUNTS
from qed.domains.densities import NAMED
from qed.domains.masses import log_mass
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.dtypes import is_inexact
from qed.graph.graph import Equation, Literal, Variable
from qed.graph.trace import Traced, trace

UNDEFINED = (np.inf, -np.inf)
"""The bounds that say that the integrals of the positive and of the negative part are both infinite."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Expectation(Certificate):
    """An expectation; a part is (family or '', parameters, cuts, weight, whether it is a probability).

    A part without a family takes the next output of the function behind f for its log-density. Weights are fractions
    as texts; the first and last of the cuts are the ends of the part, which may be infinite. A sum is (family,
    parameters, first place, last place, weight, whether it is a probability); those without a family come last. Where
    there are `functions`, they say which output is integrated against each part and sum: f, or one behind all others.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.expectation import Expectation
    >>> part = ("Normal", (0.0, 1.0), (-jnp.inf, 0.0, jnp.inf), "1", True)
    >>> certificate = Expectation.about(lambda x: (x * x,), jnp.float32(0.0), (), parts=(part,), bounds=(0.99, 1.01))
    >>> certificate.verify()
    True
    """

    kind: ClassVar[str] = "expectation"
    atoms: tuple[tuple[float, str], ...]
    parts: tuple[tuple[str, tuple[float, ...], tuple[float, ...], str, bool], ...]
    lower: float
    upper: float
    sums: tuple[SumData, ...] = ()
    functions: tuple[int, ...] = ()

    @classmethod
    def about(
        cls,
        fun: Any,
        at: Any,
        args: tuple[Any, ...],
        *,
        parts: Sequence[Any] = (),
        atoms: Sequence[Any] = (),
        bounds: tuple[float, float],
    ) -> Self:
        """The certificate of a function that returns (f, log-densities...), with bounds of the expectation."""
        return cls.made(
            Subject(fun, at, tuple(args)),
            atoms=tuple((float(x), str(w)) for x, w in atoms),
            parts=tuple((n, tuple(map(float, p)), tuple(map(float, c)), str(w), bool(d)) for n, p, c, w, d in parts),
            lower=float(bounds[0]),
            upper=float(bounds[1]),
        )

    def prove(self, traced: Traced) -> None:
        """Prove the claim, or raise CertificateError."""
        if (self.lower, self.upper) == UNDEFINED:
            try:
                self.enclosed(traced)
            except Undefined:
                return
            raise CertificateError("lower", "the integral is not proved to be undefined")
        if not self.lower <= self.upper:
            raise CertificateError("lower", f"[{self.lower!r}, {self.upper!r}] is no interval")
        total, _ = self.enclosed(traced)
        with precision(BITS):
            surely_within(total, self.lower, self.upper)

    def enclosed(self, traced: Traced, room: float | None = None) -> tuple[Any, list[list[float]]]:
        """A ball of the integral, about as narrow as `room` or the bounds ask for, and the cells of each part."""
        images = len({k for k in self.functions if k})
        places = _outputs((*self.parts, *self.sums), len(traced.graph.outputs), images)
        if self.functions and len(self.functions) != len(places):
            raise CertificateError("functions", f"there are {len(places)} parts and sums")
        if any(
            not (k == 0 or len(traced.graph.outputs) - images <= k < len(traced.graph.outputs)) for k in self.functions
        ):
            raise CertificateError("functions", "they are no outputs behind the log-densities")
        exact = room is None and self.lower == self.upper
        level = self.lower if exact and self._of_mass_one() and _exactly(traced, self.lower) else 0.0
        room = self._room() if room is None else room
        share = room / max(1, len(self.parts) + len(self.sums))
        cells = []
        with precision(BITS) as library:
            shares = [library.arb(level)]
            for k, (x, weight) in enumerate(self.atoms):
                value = value_on(traced, 0, x, x, f"atoms[{k}]") - library.arb(level)
                shares.append(weight_of(weight, f"atoms[{k}]") * value)
            close = self._close() if room > 0 and not exact else 0.0
            for k, part in enumerate(self.parts):
                if close:
                    shares.append(relative.share(self.seen(traced, k), part, places[k], f"parts[{k}]", close))
                    continue
                seen = less(self.seen(traced, k), level) if level else self.seen(traced, k)
                found, own = self._of_part(
                    seen, part, places[k], f"parts[{k}]", share, exact and bool(np.isfinite(self.lower))
                )
                shares.append(found if _whole(part) else found / of_the_whole(part, f"parts[{k}]"))
                cells.append(own)
            for k, data in enumerate(self.sums):
                seen, place = self.seen(traced, len(self.parts) + k), places[len(self.parts) + k]
                shares.append(Sum(seen, data, place, f"sums[{k}]").mean(share if share and not exact else None))
            if library.arb.pos_inf() in shares and library.arb.neg_inf() in shares:
                raise Undefined("parts", BOTH)
            return sum(shares, library.arb(0)), cells

    def _of_mass_one(self) -> bool:
        """Whether it is a mean of densities and atoms: E f = c + E (f - c), where f - c may be 0 on every cell."""
        masses = [fraction(one, "weights") for one in (*(w for _, w in self.atoms), *(part[3] for part in self.parts))]
        return not self.sums and bool(self.parts) and all(part[4] for part in self.parts) and sum(masses) == 1

    def _of_part(
        self, traced: Traced, part: Any, output: int, node: str, room: float, vanishing: bool
    ) -> tuple[Any, list[float]]:
        """A ball of a part's share, and its cells: exponentials in f and in the density together, or by themselves."""
        if (together := tilted(traced, part, node)) is not None:
            try:
                return mean_of(together, part, room), together.cells
            except Undefined:
                raise
            except CertificateError:
                pass  # by itself f may be known where the product is not
        one = Part(traced, part, output, node)
        one.vanishing = vanishing
        return one.mean(room), one.cells

    def seen(self, traced: Traced, k: int) -> Traced:
        """The function with what is integrated against the k-th part in the place of f."""
        if not self.functions or not self.functions[k]:
            return traced
        outputs = traced.graph.outputs
        graph = replace(traced.graph, outputs=(outputs[self.functions[k]], *outputs[1:]))
        return replace(traced, graph=graph)

    def _close(self) -> float:
        """The radius in parts of the value, where the bounds ask for that; else 0."""
        weight = sum(float(weight_of(part[3], f"parts[{k}]")) for k, part in enumerate(self.parts) if part[4])
        if self.sums or not all(part[4] for part in self.parts) or not relative.tiny(self.lower, self.upper, weight):
            return 0.0
        return (self.upper - self.lower) / (8 * max(abs(self.lower), abs(self.upper)))

    def _room(self) -> float:
        """How wide the enclosure of the integrals may be; one that is a number itself is not found by narrow cells."""
        width = self.upper - self.lower
        return width / 8 if np.isfinite(width) and width > 0 else 1e-3


def _exactly(traced: Traced, number: float) -> bool:
    """Whether a number is one of the type that the program returns."""
    dtype = traced.graph.outputs[0].dtype
    return bool(np.isfinite(number) and is_inexact(dtype) and float(np.asarray(number).astype(dtype)) == number)


def less(traced: Traced, number: float) -> Traced:
    """The program whose first output is less by a number, of the type that it returns."""
    graph = traced.graph
    first = graph.outputs[0]
    found = Variable((), first.dtype)
    equation = Equation("sub", (first, Literal(np.asarray(number).astype(first.dtype), (), first.dtype)), (found,))
    changed = replace(graph, equations=(*graph.equations, equation), outputs=(found, *graph.outputs[1:]))
    return replace(traced, graph=changed)


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class LogMass(Certificate):
    """The logarithm of the integral of exp(u) over an interval: u is what the function returns behind the number 1.

    With a family it is that of the mean of exp(u) under this law, whose mass is a closed form (`qed.domains.masses`),
    or of the share of this mean that the cuts leave.
    Infinite bounds say that the integral diverges. The first and last of the cuts are the ends of the interval.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.certificate import Subject
    >>> from qed.certificates.expectation import LogMass
    >>> subject = Subject(lambda x: (jnp.ones_like(x), -x * x - 5000.0), jnp.float32(0.0))
    >>> LogMass.made(subject, cuts=(-jnp.inf, 0.0, jnp.inf), lower=-4999.43, upper=-4999.42).verify()
    True
    """

    kind: ClassVar[str] = "log mass"
    cuts: tuple[float, ...]
    lower: float
    upper: float
    family: str = ""
    parameters: tuple[float, ...] = ()

    def prove(self, traced: Traced) -> None:
        """Prove the claim, or raise CertificateError."""
        if not self.lower <= self.upper:
            raise CertificateError("lower", f"[{self.lower!r}, {self.upper!r}] is no interval")
        if len(traced.graph.outputs) != 2:
            raise CertificateError("function", "it does not return the number 1 and a log-density")
        infinite = bool(np.isinf(self.lower) and self.lower == self.upper)
        with precision(BITS) as library:
            found = self.enclosed(traced, 1e-3 if infinite else (self.upper - self.lower) / 8)
            if infinite:
                end = library.arb.pos_inf() if self.lower > 0 else library.arb.neg_inf()
                proved = found == end
            else:
                proved = bool(found >= library.arb(self.lower) and found <= library.arb(self.upper))
            if not proved:
                raise CertificateError("lower", f"the mass has the logarithm {found.str(12)}, not surely as claimed")

    def enclosed(self, traced: Traced, room: float) -> Any:
        """A ball of the logarithm, of about the radius `room`; infinite where that is proved."""
        self._of_one(traced)
        with precision(BITS) as library:
            part = Part(self._weighted(traced), ("", (), self.cuts, "1", False), 1, "cuts", relative=True)
            mass = part.mean(room)
            if mass == library.arb.pos_inf():
                return mass
            if mass.is_zero():
                return library.arb.neg_inf()
            if not (mass > 0 and mass.is_finite()):
                return library.arb.nan()
            return mass.log() - (log_mass(self.family, self.parameters) if self.family else 0)

    def _weighted(self, traced: Traced) -> Traced:
        """The function with the law's log-density added to the second output."""
        if not self.family:
            return traced
        ends = NAMED[self.family].support(*self.parameters) if self.family in NAMED else (0.0, 0.0)
        checked(self.family, self.parameters, ends, "family")
        if len(self.cuts) < 2 or not ends[0] <= self.cuts[0] < self.cuts[-1] <= ends[1]:
            raise CertificateError("cuts", f"{self.family} has no mass on all of them")
        own, law = output_of(traced, 1), NAMED[self.family].log_density
        with jax.enable_x64(True):
            x, given = np.asarray(traced.parameters[0]), map(np.float64, self.parameters)
            return trace(lambda x, *given: (0 * x + 1, own(x) + law(x, *given)), x, *given)

    def _of_one(self, traced: Traced) -> None:
        """Raise CertificateError where the first output is not the number 1 for every x."""
        with precision(BITS):
            if not value_on(traced, 0, -np.inf, np.inf, "function") == 1:
                raise CertificateError("function", "it does not return the number 1 first")


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class LogSum(Certificate):
    """The logarithm of the sum of exp(u(k)) over whole numbers: u is what the function returns behind the number 1.

    Infinite bounds say that the sum is infinite.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.certificate import Subject
    >>> from qed.certificates.expectation import LogSum
    >>> subject = Subject(lambda k: (jnp.ones_like(k), -k * jnp.log(2.0)), jnp.float32(0.0))
    >>> LogSum.made(subject, first=0.0, last=jnp.inf, lower=0.693147, upper=0.693148).verify()
    True
    """

    kind: ClassVar[str] = "log sum"
    first: float
    last: float
    lower: float
    upper: float

    def prove(self, traced: Traced) -> None:
        """Prove the claim, or raise CertificateError."""
        if not self.lower <= self.upper:
            raise CertificateError("lower", f"[{self.lower!r}, {self.upper!r}] is no interval")
        with precision(BITS) as library:
            found = self.enclosed(traced)
            if np.isinf(self.lower) and self.lower == self.upper:
                proved = self.lower > 0 and found == library.arb.pos_inf()
            else:
                proved = bool(found >= library.arb(self.lower) and found <= library.arb(self.upper))
            if not proved:
                raise CertificateError("lower", f"the sum has the logarithm {found.str(12)}, not surely as claimed")

    def enclosed(self, traced: Traced) -> Any:
        """A ball of the logarithm of the sum; infinite where that is proved."""
        if len(traced.graph.outputs) != 2:
            raise CertificateError("function", "it does not return the number 1 and a log-density")
        with precision(BITS) as library:
            if not value_on(traced, 0, -np.inf, np.inf, "function") == 1:
                raise CertificateError("function", "it does not return the number 1 first")
            data: SumData = ("", (), self.first, self.last, "1", False)
            mass = Sum(traced, data, 1, "first", of_one=True).mean(None)
            if mass == library.arb.pos_inf():
                return mass
            return mass.log() if mass > 0 and mass.is_finite() else library.arb.nan()


def _whole(part: Any) -> bool:
    """Whether a part is no named law that is cut: a probability, length, or a log-density."""
    return part[4] or part[0] in ("", "Uniform")


def of_the_whole(part: Any, node: str) -> Any:
    """What the integral over a part of a named law that is cut is divided by: the mass of the law.

    >>> from qed.certificates.expectation import of_the_whole
    >>> from qed.domains.precision import precision
    >>> with precision(128):
    ...     float(of_the_whole(("Exponential", (4.0,), (1.0, 2.0), "1", False), "parts[0]"))
    0.25
    """
    name, parameters, cuts, *_ = part
    low, high = NAMED[name].support(*parameters)
    if not low <= cuts[0] < cuts[-1] <= high:
        raise CertificateError(node, f"the support of {name} is {(low, high)}")
    return log_mass(name, parameters).exp()


def _outputs(parts: Sequence[Any], count: int, images: int = 0) -> list[int]:
    found, following = [], 1
    for k, part in enumerate(parts):
        if part[0] and part[0] not in {*NAMED, *COUNTS, "Counting"}:
            msg = f"parts[{k}]"
            raise CertificateError(msg, f"{part[0]} is no family")
        found.append(0 if part[0] else following)
        following += not part[0]
    if following + images != count:
        raise CertificateError("parts", f"they name {following} outputs, and the function has {count}")
    return found
