"""The certificate of a support vector machine: its value is at most so much, and no plane reaches less than so much.

For rows x_i with labels y_i in {-1, 1} and prices C_i,

    P(w, b) = |w|^2 / 2 + sum_i C_i max(0, 1 - y_i (w . x_i + b)),    D(a) = sum_i a_i - |sum_i a_i y_i x_i|^2 / 2

and D(a) <= P(w, b) for every plane, where 0 <= a_i <= C_i and, if b is free, y'a = 0. Verification computes both ends
again with sums that are exact but for one rounding: products are split into two floating-point numbers without error
(Dekker, 1971) and added by `math.fsum` (Shewchuk, 1997), where the finder used bounds for plain products of matrices.

With a kernel the rows are known by their products K_ij only. The entries of K are taken as they are computed, exact,
and as those of a positive semidefinite matrix: that much is assumed, and the answer says so. Multipliers are rounded
numbers, and y'a = e instead of 0: then one free multiplier a_k is moved by -y_k e, which costs D at most
|e| (1 + |f_k|) + e^2 K_kk / 2.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import numpy as np

from qed.certificates.certificate import Certificate, vector
from qed.errors import CertificateError
from qed.graph.trace import Traced

Array = np.ndarray
SPLIT = 2.0**27 + 1.0
LARGE = 2.0**900
"""Numbers up to here are split without overflow."""
SMALL = 2.0**-900
"""Products from here on have errors that are floating-point numbers; smaller ones are counted with this much."""
BLOCK = 2**20
"""Products that are made at a time."""


@dataclass(frozen=True)
class Sample:
    """What a machine was fitted to: rows of X, signs y, prices C, and how products of rows are formed.

    Args:
        rows: gives some of the rows of the matrix whose products with weights are the values: rows of X (linear, with
            the column of the offset, where there is one), or of K (with a kernel), as dense float64 arrays.
        shape: the shape of that matrix.
        signs: the labels, -1.0 or 1.0, of shape (n,).
        prices: C_i, of shape (n,).
        kernel: whether the matrix is that of a kernel.
    """

    rows: Callable[[Array], Array]
    shape: tuple[int, int]
    signs: Array
    prices: Array
    kernel: bool

    def blocks(self) -> Iterator[tuple[Array, Array]]:
        """The indices and the rows of the matrix, some at a time."""
        n, d = self.shape
        size = max(1, BLOCK // max(d, 1))
        for start in range(0, n, size):
            at = np.arange(start, min(start + size, n))
            yield at, np.asarray(self.rows(at), np.float64)

    def digest(self) -> str:
        """SHA-256 of the numbers of the sample."""
        digest = hashlib.sha256(repr((self.shape, self.kernel)).encode())
        for part in (self.signs, self.prices):
            digest.update(np.ascontiguousarray(part).tobytes())
        for _, rows in self.blocks():
            digest.update(np.ascontiguousarray(rows).tobytes())
        return digest.hexdigest()


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class DualityGap(Certificate):
    """P at these weights is at most `primal`, and no plane has less than `dual`.

    `subject` is the `Sample`; `weights` are those of the columns of the sample's matrix: w for a linear machine, and
    y_i a_i for a kernel's, where they follow from the multipliers and are left empty.
    """

    kind: ClassVar[str] = "duality_gap"
    weights: tuple[float, ...]
    multipliers: tuple[float, ...]
    offset: float
    primal: float
    dual: float

    @classmethod
    def of(
        cls, sample: Sample, *, weights: Any, multipliers: Any, offset: float, primal: float, dual: float
    ) -> Self:  # fmt: skip
        """The certificate for a sample, sealed."""
        found = cls(
            function=sample.digest(),
            x64=True,
            subject=sample,  # type: ignore[arg-type]
            weights=tuple(map(float, weights)),
            multipliers=tuple(map(float, multipliers)),
            offset=float(offset),
            primal=float(primal),
            dual=float(dual),
        )
        return found.sealed()

    def verify(self, fun: Any = None, at: Any = None, *args: Any) -> bool:
        """Prove both ends again, for the certificate's own sample, or for one given in the place of a function.

        Returns:
            True.

        Raises:
            CertificateError: naming the field that does not hold.
        """
        sample: Any = self.subject if fun is None else fun
        if not isinstance(sample, Sample):
            raise CertificateError("function", "no sample was given to verify it for")
        if self.seal != self._digest():
            raise CertificateError("seal", "the fields are not those that were sealed")
        self._of_its_types()
        if sample.digest() != self.function:
            raise CertificateError("function", "it was made for other data")
        n, d = sample.shape
        multipliers = vector(self.multipliers, n, "multipliers")
        weights = vector(self.weights, 0 if sample.kernel else d, "weights")
        if not np.all((sample.signs == 1.0) | (sample.signs == -1.0)) or not np.all(np.isfinite(sample.prices)):
            raise CertificateError("function", "labels are -1 or 1, and prices finite")
        if np.any(multipliers < 0.0) or np.any(multipliers > sample.prices):
            msg = "multipliers"
            raise CertificateError(msg, "one is negative, or greater than its price")
        if not np.isfinite(self.offset) or (self.offset and not sample.kernel):
            raise CertificateError("offset", "it is not finite, or belongs to the weights")
        primal, dual = self._of_kernel(sample, multipliers) if sample.kernel else _of_rows(sample, weights, multipliers)
        if not primal <= self.primal:
            raise CertificateError("primal", f"the value is only known to be at most {primal}")
        if not dual >= self.dual:
            raise CertificateError("dual", f"the least value is only known to be at least {dual}")
        return True

    def prove(self, traced: Traced) -> None:
        """A machine is no traced function; `verify` proves its certificate."""
        raise CertificateError("function", "it is about a sample, not about a function")

    def _of_kernel(self, sample: Sample, multipliers: Array) -> tuple[float, float]:
        forces = sample.signs * multipliers
        values, off = products(sample, forces)
        square, square_off = total(forces, values)
        square_off = _up(square_off + float(np.abs(forces) @ off) * (1 + 1e-9))
        if square < -square_off:
            raise CertificateError("function", f"the kernel is not positive semidefinite: v'Kv = {square} at v = y a")
        margin_off = off + 2.0**-51 * (np.abs(values) + abs(self.offset))
        primal = _up(0.5 * (square + square_off)) + _losses(sample, sample.signs * (values + self.offset) - margin_off)
        dual = _difference(math.fsum(multipliers), 0.5 * (square + square_off))
        excess = math.fsum(forces)
        if excess:
            room = np.minimum(multipliers, sample.prices - multipliers)
            k = int(np.argmax(room))
            excess = abs(excess) * (1 + 2.0**-51)
            if not room[k] > 2 * excess:
                msg = "multipliers"
                raise CertificateError(msg, "their balance is off, and none is free to take the rest")
            at = float(sample.rows(np.array([k]))[0, k])
            dual = _difference(dual, excess * (1 + abs(values[k]) + off[k]) * (1 + 1e-9) + excess**2 * abs(at))
        return _up(primal), dual


def _of_rows(sample: Sample, weights: Array, multipliers: Array) -> tuple[float, float]:
    margins, off = products(sample, weights)
    square, square_off = total(weights, weights)
    primal = _up(0.5 * (square + square_off)) + _losses(sample, sample.signs * margins - off)
    forces = sample.signs * multipliers
    parts: list[list[float]] = [[] for _ in weights]
    small = np.zeros(len(weights))
    for at, rows in sample.blocks():
        high, low, lost = split_products(rows, forces[at][:, None])
        small += lost.sum(axis=0)
        for column, (first, second) in enumerate(zip(high.T, low.T, strict=True)):
            # one rounding for each block; what it may lose is added below
            found = math.fsum(first.tolist() + second.tolist())
            small[column] += 2.0**-53 * abs(found)
            parts[column].append(found)
    force = np.array([math.fsum(part) for part in parts])
    longest = np.abs(force) * (1 + 2.0**-52) + small * (1 + 1e-9)
    longest_square, longest_off = total(longest, longest)
    return _up(primal), _difference(math.fsum(multipliers), 0.5 * (longest_square + longest_off))


def products(sample: Sample, weights: Array) -> tuple[Array, Array]:
    """The matrix times weights, each value with a bound of its error."""
    found, off = np.zeros(sample.shape[0]), np.zeros(sample.shape[0])
    held = np.flatnonzero(weights)
    for at, rows in sample.blocks():
        high, low, lost = split_products(rows[:, held], weights[held])
        both = np.concatenate([high, low], axis=1)
        found[at] = [math.fsum(row) for row in both.tolist()]
        off[at] = lost.sum(axis=1) * (1 + 1e-9)
    return found, off + 2.0**-53 * np.abs(found) * (1 + 1e-9)


def split_products(a: Array, b: Array) -> tuple[Array, Array, Array]:
    """High and low parts of the products a b, and a bound of what is lost where they are very small.

    >>> high, low, lost = split_products(np.array([1 + 2.0**-52]), np.array([1 + 2.0**-52]))
    >>> float(high[0]), float(low[0]) == 2.0**-104, float(lost[0])
    (1.0000000000000004, True, 0.0)
    """
    if not (np.all(np.abs(a) < LARGE) and np.all(np.abs(b) < LARGE)):
        raise CertificateError("weights", "the data or the weights hold a number that is too large, or none")
    a, b = np.broadcast_arrays(a, b)
    high = a * b
    if not np.all(np.isfinite(high)):
        raise CertificateError("weights", "a product is too large")
    a1 = a * SPLIT
    a1 = a1 - (a1 - a)
    b1 = b * SPLIT
    b1 = b1 - (b1 - b)
    a2, b2 = a - a1, b - b1
    low = ((a1 * b1 - high) + a1 * b2 + a2 * b1) + a2 * b2
    tiny = (np.abs(high) < SMALL) & (a != 0.0) & (b != 0.0)
    return np.where(tiny, 0.0, high), np.where(tiny, 0.0, low), np.where(tiny, SMALL, 0.0)


def total(a: Array, b: Array) -> tuple[float, float]:
    """sum a b, and a bound of its error."""
    high, low, lost = split_products(a, b)
    found = math.fsum(high.tolist() + low.tolist())
    return found, 2.0**-52 * abs(found) + float(lost.sum()) * (1 + 1e-9)


def _losses(sample: Sample, margins: Array) -> float:
    """An upper bound of sum C_i max(0, 1 - margin_i) for margins that carry one rounding."""
    hinges = np.maximum(0.0, np.nextafter(1.0 - np.nextafter(margins, -np.inf), np.inf))
    found, off = total(sample.prices, hinges)
    return _up(found + off)


def _up(number: float) -> float:
    return math.nextafter(number * (1 + 2.0**-50 if number > 0 else 1 - 2.0**-50), math.inf)


def _difference(first: float, second: float) -> float:
    """A lower bound of first - second, where both carry a few roundings."""
    return math.nextafter(first - second - 2.0**-49 * (abs(first) + abs(second)), -math.inf)
