"""Where a part of an integral is not cut into cells: its infinite ends, and both sides of a singular number.

What the tail domain says holds for all x beyond a start at once. Starts are tried farther and farther out, until what
is beyond is known narrowly; of an oscillation that would have to be cut into too many periods, phase by phase.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any, ClassVar

import numpy as np

from qed.certificates.cells import BITS, Cell, between_cuts, reach, walked
from qed.certificates.far_tails import expanded_tail
from qed.certificates.flat import flat
from qed.certificates.found import Found, infinity
from qed.certificates.patience import on_time
from qed.certificates.phases import FARTHEST, FINE, frequency_of, over_phases
from qed.certificates.slow_tails import slow_starts, variable
from qed.certificates.waves import never, signs_of
from qed.domains.precision import flint
from qed.domains.tail import Tail
from qed.domains.tail_forms import NoOrder
from qed.domains.tail_growth import Above, infinite_integral
from qed.domains.tail_infinite import Infinite
from qed.errors import CertificateError
from qed.graph.trace import Traced

STARTS = 12
"""How many starts of a tail are tried at most, each twice as far out."""
CLOSER = 2.0**8
"""How much closer to a number beside which the integrand is not bounded each start is."""
CLOSEST = 2.0**64
"""How close in parts of that number the last one is."""
BESIDE = 2.0**-30
"""The part of the way to the next cut that is looked at for a bound."""
NEARER, FARTHER = (16.0, 128.0, 1024.0), 16.0
"""Where an expansion is tried that begins before the farthest cut, if that is so many times as far out."""
ENOUGH = 2.0**-10
"""The part of the room that a tail may take."""


class Tails:
    """The tails of one part of a measure, with its density."""

    tail_room: ClassVar[float] = 1e-25
    """A tail is narrow enough with this radius."""
    starts: ClassVar[int] = STARTS
    f: Traced
    u: Traced
    output: int
    node: str
    cuts: tuple[float, ...]
    probability: bool
    relative: bool
    shift: Any
    diverging: set[int]
    problems: dict[float, str]
    mass_alone: bool = False  # whether 1 is taken for the function in the infinite ends
    vanishing: bool = False  # whether it is claimed that the function is 0, but for single numbers
    cancelling: bool = False  # whether sums whose terms cancel were found beside a number

    def off(self, found: Found) -> float:
        """How much is not known of two integrals."""
        return sum(float(x.rad()) if x.is_finite() else np.inf for x in (found.of_f, found.mass))

    def _tails(self, inner: list[float], room: float) -> tuple[Found, list[Cell]]:
        """The integrals over the infinite ends and beside singular cuts, and the cells between them."""
        arb = flint().arb
        found, cuts = Found(arb(0), arb(0)), list(inner)
        enough = self.tail_room
        if enough and not self.relative and np.isfinite(room):
            enough = max(enough, ENOUGH * room)
        for side in (-1, 1):
            if np.isfinite(self.cuts[0] if side < 0 else self.cuts[-1]):
                continue
            first = max(8.0, *map(abs, inner))
            start, tail = self._nearer(side, first, enough) or self._tail_or_waves(None, side, first, enough)
            start, tail = self._oscillating(side, max(enough, room / 8), start, tail) or (start, tail)
            found = found + tail
            cuts = [side * start, *(c for c in cuts if side * c < start)]
        cuts = sorted(set(cuts))
        cells: list[Cell] = []
        for a, b in itertools.pairwise(cuts):
            offsets: list[float | None] = []
            for s, side in ((a, 1), (b, -1)):
                offset, tail = self._beside(s, side, b - a, enough) if s in inner else (None, None)
                offsets.append(offset)
                found = found if tail is None else found + tail
            cells += between_cuts(a, b, *offsets)
        return found, cells

    def _nearer(self, side: int, first: float, enough: float) -> tuple[float, Found] | None:
        """A narrow tail by expansions, from a place nearer than the farthest cut."""
        for start in NEARER:
            if start < first / FARTHER and (found := self._expanded(None, side, start)) is not None:
                if not found.finite:
                    return None
                if self.off(found) < enough:
                    return start, found
        return None

    def _oscillating(self, side: int, enough: float, start: float, tail: Found) -> tuple[float, Found] | None:
        """A nearer start and the tail from there on, phase by phase, where too many periods come before `start`."""
        if not (tail.finite and self.tail_room):
            return None
        wave = frequency_of(partial(self._forms, None, side), start, BITS)
        if wave is None or start * wave <= FARTHEST:
            return None
        try:
            start, tail = self._tail(None, side, 8.0, enough, wave)
            if self.off(tail) < enough:
                return start, tail
            fine = over_phases(partial(self._forms, None, side), start, BITS, wave, FINE)
        except (CertificateError, NoOrder):
            return None
        return start, Found(fine, tail.mass)

    def _beside(self, s: float, side: int, gap: float, enough: float) -> tuple[float | None, Found | None]:
        """How much of one side of a cut is enclosed at once, with the integrals over it; None where that is not needed.

        Nor is it where it cannot be done: the cells will say that the integrand is not bounded.
        """
        start = 2.0 ** np.ceil(np.log2(max(8.0, 8.0 / reach(s, gap))))
        if self._bounded(s, side * gap * BESIDE) or not np.isfinite(start):
            return None, None
        try:
            start, tail = self._tail_or_waves(s, side, float(start), enough)
        except CertificateError as error:
            if s == 0:
                raise
            self.problems[s] = error.why
            return None, None
        return 1.0 / start, tail  # start is a power of 2

    def _tail_or_waves(self, s: float | None, side: int, start: float, enough: float) -> tuple[float, Found]:
        """A tail, or what is proved of one that oscillates: of which signs its parts are infinite."""
        try:
            return self._tail(s, side, start, enough)
        except CertificateError:
            signs, mass, far = signs_of(partial(self._forms, s, side), start, BITS)
            if not signs or (self.probability and (mass is None or not mass.is_finite())):
                raise
            arb = flint().arb
            mass = mass if self.probability else arb(0)
            ends = sorted((side * far, side * np.inf) if s is None else (s, s + side / far))
            if len(signs) == 1 and not never(-min(signs), self.f, ends, self.node):
                raise
        self.diverging |= signs
        return far, Found(infinity(min(signs)) if len(signs) == 1 else arb(0), mass)

    def _bounded(self, s: float, to: float) -> bool:
        cell = Cell(s, min(0.0, to), max(0.0, to))
        try:
            if self.vanishing and not cell.range_of(self.f, 0, BITS, self.node).is_zero():
                return False
            weight = cell.density_of(self.u, self.output, self.shift, BITS, self.node)
            return bool(
                weight.is_zero() or (weight.is_finite() and cell.range_of(self.f, 0, BITS, self.node).is_finite())
            )
        except CertificateError:
            return False

    def _tail(
        self, s: float | None, side: int, start: float, enough: float, wave: Fraction | None = None
    ) -> tuple[float, Found]:
        """The first start from which a tail is enclosed, and so narrow that farther out it is not narrower by much."""
        best: tuple[float, Found] | None = None
        problem, first = "no start was tried", start
        for _ in range(self.starts):
            on_time()
            if (s and start * abs(s) > CLOSEST) or (wave and start * wave > FARTHEST):
                break
            try:
                tail = self._beyond(s, side, start, wave)
            except NoOrder:
                where = f"beyond {side * start:g}" if s is None else f"within {1 / start:g} of {s!r}"
                problem = f"neither convergence nor divergence is proved {where}"
            except CertificateError as error:
                problem = error.why
            else:
                if not (tail.of_f.is_finite() and tail.mass.is_finite()):
                    self._note(tail.of_f)
                    return start, tail
                radius = self.off(tail)
                if best is None or radius < self.off(best[1]):
                    best = start, tail
                if radius < enough:
                    break
            start *= 2.0 if s is None else CLOSER
        if best is None and (wave or (best := self._slow_tail(s, side, first)) is None):
            raise CertificateError(self.node, problem)
        return best

    def _slow_tail(self, s: float | None, side: int, start: float) -> tuple[float, Found] | None:
        """A tail that is enclosed, or proved to be infinite, in the logarithm of x; None where that is not known."""
        best: tuple[float, Found] | None = None
        for x in slow_starts(s, start):
            on_time()
            try:
                tail = self._over(Tail(flint().arb(x).log(), BITS, slow=True), s, side, x, None)
            except (NoOrder, CertificateError):
                continue
            if not tail.finite:
                self._note(tail.of_f)
                return x, tail
            best = x, tail
            if self.off(tail) < self.tail_room:
                break
        return best

    def _note(self, of_f: Any) -> None:
        """Note of which sign an integral is infinite."""
        self.diverging |= {sign for sign in (1, -1) if of_f == infinity(sign)}

    def _forms(self, s: float | None, side: int, domain: Tail) -> tuple[Any, Any]:
        """The function and the density for all side x >= domain.start, or, beside s, for 0 < side (x - s) <= 1 / it."""
        arb = flint().arb
        x, dx = variable(s, side, domain)
        weight = domain.exp(self._known(s, side, domain, partial(walked, self.u, domain, x, self.output, self.node)))
        jacobian = domain.scaled(dx, (-self.shift).exp())
        form = partial(self._known, s, side, domain, partial(self.form, domain, x))
        if self.mass_alone and s is None:
            form = partial(domain.fixed, arb(1))
        if isinstance(weight, Above):
            return form(), Above(domain.mul(weight.least, jacobian))
        weight = domain.mul(domain.as_term(weight), jacobian)
        return (weight if weight.b.is_zero() else form()), weight

    def _beyond(self, s: float | None, side: int, start: float, wave: Fraction | None = None) -> Found:
        """The integrals over such a tail; where their order is not known, with sums that cancel as powers."""
        domain = Tail(start, BITS)
        try:
            return self._over(domain, s, side, start, wave)
        except NoOrder:
            if wave is None and (expanded := self._expanded(s, side, start)) is not None:
                return expanded
            if s is None or (instead := flat(self.f, s, side, start)) is None:
                raise
            domain.instead = instead
            found = self._over(domain, s, side, start, wave)
            self.cancelling = True
            return found

    def _expanded(self, s: float | None, side: int, start: float) -> Found | None:
        """The same by expansions; None where there are none."""
        f = None if self.mass_alone and s is None else self.f
        try:
            found = expanded_tail(
                f, (self.u, self.output), self.shift, s, side, start,
                lambda: self._forms(s, side, Tail(start, BITS))[1], self.node,
            )  # fmt: skip
        except NoOrder:
            return None
        if not self.probability:
            found = Found(found.of_f, flint().arb(0))
        elif not found.mass.is_finite():
            return Found(flint().arb(0), found.mass)
        self.cancelling = self.cancelling or s is not None
        return found

    def _over(self, domain: Tail, s: float | None, side: int, start: float, wave: Fraction | None) -> Found:
        """The integrals over the tail of a domain."""
        arb = flint().arb
        f, weight = self._forms(s, side, domain)
        if isinstance(weight, Above):
            infinite_mass = infinite_integral(domain, domain.fixed(arb(1)), weight)
            return Found(infinite_integral(domain, f, weight), infinite_mass)
        if weight.b.is_zero():
            return Found(arb(0), arb(0))
        mass = domain.integral(weight) if self.probability else arb(0)
        if not mass.is_finite():
            return Found(arb(0), mass)
        if isinstance(f, Above):
            return Found(infinite_integral(domain, f, weight), mass)
        if isinstance(f, Infinite):
            return Found(infinity(f.sign) if weight.b > 0 else arb.nan(), mass)
        if wave:
            return Found(over_phases(partial(self._forms, None, side), start, BITS, wave), mass)
        return Found(domain.integral(domain.mul(domain.as_term(f), weight)), mass)

    def _known(self, s: float | None, side: int, domain: Tail, form: Callable[[], Any]) -> Any:
        """A value of a tail; beside a number, where it is not known as written, with sums that cancel as powers."""
        try:
            return form()
        except CertificateError:
            if s is None or domain.slow or domain.instead is not None:
                raise
            if (instead := flat(self.f, s, side, domain.start)) is None:
                raise
            domain.instead = instead
            try:
                found = form()
            finally:
                domain.instead = None
            self.cancelling = True
            return found

    def form(self, domain: Tail, x: Any) -> Any:
        """The function for all x of a tail."""
        return walked(self.f, domain, x, 0, self.node)
