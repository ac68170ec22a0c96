"""The certificate of a number of digits: what a run returned is so many bits away from the real function's value.

Claim: the numbers `results` lie at the stated distance from the values of f at `point`, and the numbers `gradient` from
its partial derivatives, float constants exact: in each array the worst element loses between lower and upper bits, with

    bits lost = log2(1 + |r - t| / (u max(|t|, tiny)))

as `qed.domains.bits` says in full. The proof encloses f by intervals with ends in python-flint
(`qed.domains.ball_ends`), and its partial derivatives by power series of balls (`qed.domains.ball_series`), one for
each coordinate, of the function itself: what derivative rules the program brings is not looked at. How the results
were computed is not part of the claim; they are numbers, and a run elsewhere may give others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import numpy as np

from qed.certificates.certificate import Certificate, Subject, flat, placed, shaped
from qed.domains.ball_ends import BallEnds
from qed.domains.ball_series import BallSeries
from qed.domains.bits import Format, bits_of_array
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.dtypes import is_real
from qed.graph.trace import Traced
from qed.graph.walk import TooLong, Unknown, Walker

PRECISIONS = (160, 500, 1500, 5000)
"""Bits of the arithmetic, raised until the claim is decided."""

ROOM = 2.0**-20
"""A claim made by `about` is wider than what was found by this many bits on both sides."""

LIMIT = 200_000
"""How many equations a verification executes at most."""


Found = Sequence[tuple[str, Any, tuple[float, float]]]
"""For each array its dtype, its results, and bounds of the bits that its worst element loses."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Digits(Certificate):
    """Digits of a function's value and of its gradient; either part may be empty, and then nothing is claimed of it.

    In an array of the value each element is judged relative to itself, in an array of the gradient relative to the
    largest of the array.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.digits import Digits
    >>> certificate = Digits.about(
    ...     jnp.exp, jnp.float32(1.0), (), value=[("float32", 2.7182817, (0.0, 1.0))], gradient=[]
    ... )
    >>> certificate.verify()
    True
    """

    kind: ClassVar[str] = "digits"
    point: tuple[tuple[float, ...], ...]
    dtypes: tuple[str, ...]
    results: tuple[tuple[float, ...], ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    gradient_dtypes: tuple[str, ...]
    gradient: tuple[tuple[float, ...], ...]
    gradient_lower: tuple[float, ...]
    gradient_upper: tuple[float, ...]

    @classmethod
    def about(cls, fun: Callable[..., Any], at: Any, args: tuple[Any, ...], *, value: Found, gradient: Found) -> Self:
        """The certificate of bits that were found; they are widened by `ROOM` on both sides."""
        subject = Subject(fun, at, tuple(args))
        traced = subject.traced()
        return cls.made(
            subject,
            traced,
            point=flat(traced.parameters),
            dtypes=tuple(dtype for dtype, _, _ in value),
            results=flat([numbers for _, numbers, _ in value]),
            lower=tuple(max(0.0, float(low) - ROOM) for _, _, (low, _) in value),
            upper=tuple(float(high) + ROOM for _, _, (_, high) in value),
            gradient_dtypes=tuple(dtype for dtype, _, _ in gradient),
            gradient=flat([numbers for _, numbers, _ in gradient]),
            gradient_lower=tuple(max(0.0, float(low) - ROOM) for _, _, (low, _) in gradient),
            gradient_upper=tuple(float(high) + ROOM for _, _, (_, high) in gradient),
        )

    def prove(self, traced: Traced) -> None:
        """Prove the claim at a precision that decides it."""
        point = shaped(self.point, traced, "point")
        there = [np.asarray(leaf).astype(np.float64) for leaf in traced.parameters]
        if any(not np.array_equal(a, b) for a, b in zip(point, there, strict=True)):
            raise CertificateError("point", "it is not the point that the function is given at")
        outputs = [atom for atom in traced.graph.outputs if is_real(atom.dtype) and 0 not in atom.shape]
        parameters = [leaf for leaf in traced.parameters if leaf.size]
        value = _Part("", self.dtypes, self.results, self.lower, self.upper)
        gradient = _Part("gradient_", self.gradient_dtypes, self.gradient, self.gradient_lower, self.gradient_upper)
        claimed = [
            (part, truths)
            for part, arrays, truths in ((value, outputs, values), (gradient, parameters, partials))
            if part.fits(arrays)
        ]
        if not claimed:
            raise CertificateError("results", "nothing is claimed")
        for part, truths in claimed:
            part.prove(lambda bits, truths=truths: truths(traced, bits))


@dataclass(frozen=True)
class _Part:
    """What is claimed of the value, or of the gradient."""

    name: str
    dtypes: tuple[str, ...]
    results: tuple[tuple[float, ...], ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]

    def wrong(self, field: str, why: str) -> CertificateError:
        """The error that names a field of the certificate."""
        return CertificateError(field if field == "gradient" else self.name + field, why)

    def fits(self, arrays: Sequence[Any]) -> bool:
        """Whether anything is claimed; it must be about these arrays."""
        if not (self.dtypes or self.results or self.lower or self.upper):
            return False
        kinds = [str(np.dtype(a.dtype)) for a in arrays]
        if kinds != list(self.dtypes):
            raise self.wrong("dtypes", f"the function has {kinds}")
        if [int(np.prod(a.shape)) for a in arrays] != [len(r) for r in self.results]:
            raise self.wrong(
                "gradient" if self.name else "results", "they do not have the shapes that the function has"
            )
        if not len(self.lower) == len(self.upper) == len(arrays):
            raise self.wrong("lower", f"{len(arrays)} arrays need as many bounds")
        return True

    def prove(self, truths: Callable[[int], list[list[Any]]]) -> None:
        """Decide the bounds at some precision, or raise CertificateError."""
        problem: CertificateError | None = None
        for bits in PRECISIONS:
            try:
                self._decide(truths(bits), bits)
            except CertificateError as error:
                problem = error
                if error.node == "function":
                    break
            else:
                return
        assert problem is not None
        raise problem

    def _decide(self, truths: list[list[Any]], bits: int) -> None:
        with precision(bits):
            for k, (balls, numbers, dtype) in enumerate(zip(truths, self.results, self.dtypes, strict=True)):
                pairs = bits_of_array(numbers, balls, Format.of(dtype), bool(self.name))
                low, high = max(a for a, _ in pairs), max(b for _, b in pairs)
                if not low >= self.lower[k]:
                    raise self.wrong("lower", f"of array {k} perhaps only {low:.6g} bits are lost")
                if not high <= self.upper[k]:
                    raise self.wrong("upper", f"of array {k} perhaps {high:.6g} bits are lost")


def values(traced: Traced, bits: int) -> list[list[Any]]:
    """Balls of all floating-point outputs, by intervals with ends of a number of bits.

    Raises CertificateError where the function may be undefined at the point, or a rule is missing.
    """
    domain = BallEnds(bits)
    try:
        cells = Walker([domain], limit=LIMIT).run(traced.graph, list(traced.leaves))
    except TooLong as error:
        raise CertificateError("function", str(error)) from error
    found = []
    for atom, cell in zip(traced.graph.outputs, cells, strict=True):
        if not is_real(atom.dtype) or 0 in atom.shape:
            continue
        value = cell.values[0]
        if isinstance(value, Unknown):
            raise CertificateError("function", str(value))
        with precision(bits):
            value = domain.number(value)
            if value.doubt:
                raise CertificateError("point", str(value.doubt.place or "the value may be infinite"))
            found.append([a.union(b) for a, b in zip(value.lower.ravel(), value.upper.ravel(), strict=True)])
    return found


def partials(traced: Traced, bits: int) -> list[list[Any]]:
    """Balls of all partial derivatives of a scalar function at its point, one walk for each.

    Raises CertificateError where the function may not be smooth at the point, or a rule is missing.
    """
    domain = BallSeries(1, bits)
    point = [np.asarray(leaf).astype(np.float64) for leaf in traced.parameters]
    found = []
    for k, leaf in enumerate(point):
        row = []
        for i in range(leaf.size):
            along = [np.zeros(each.shape) for each in point]
            along[k].flat[i] = 1.0
            lines = [domain.segment(x, d, 0.0, 0.0) for x, d in zip(point, along, strict=True)]
            try:
                (cell, *_) = Walker([domain], limit=LIMIT).run(traced.graph, placed(traced, lines))
            except TooLong as error:
                raise CertificateError("function", str(error)) from error
            value = cell.values[0]
            if isinstance(value, Unknown):
                raise CertificateError("function", str(value))
            with precision(bits, domain.order + 1):
                value = domain.number(value)
                if value.shape != ():
                    raise CertificateError("function", f"it returns an array of shape {value.shape}, not a number")
                if value.doubt:
                    place = value.doubt.place
                    raise CertificateError("point", str(place) if place else "the function may not be smooth there")
                row.append(value.array.item()[1])
        if row:
            found.append(row)
    return found
