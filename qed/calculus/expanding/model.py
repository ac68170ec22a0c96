"""What `qed.taylor` returns as its value: a polynomial, where it was expanded, and what is known of the rest."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from qed.answer import Enclosed


@dataclass(frozen=True, eq=False)
class Known:
    """A series that has a name: its general term and where it converges.

    Args:
        name: such as "exponential series".
        term: the k-th term, as text.
        radius: of convergence, infinite for an entire function.
        partial_sums: (order, at t, polynomial, function) inside and outside of the radius.
    """

    name: str
    term: str
    radius: float
    partial_sums: tuple[tuple[int, float, float, float], ...] = ()


@dataclass(frozen=True, eq=False)
class Trust:
    """How far the quadratic model can be trusted along a direction.

    Args:
        radius: up to here |f - model| is at most a tenth of the predicted decrease (proved where `proved`).
        direction: unit vector, flat; the negative gradient by default.
        predicted: the decrease of the model at the radius.
        observed: the decrease of the program there.
        proved: whether the radius comes from enclosures; else from the program's values.
    """

    radius: float
    direction: np.ndarray
    predicted: float
    observed: float
    proved: bool


@dataclass(frozen=True, eq=False)
class TaylorModel:
    """A Taylor polynomial of t -> f(at + t direction), or of h -> f(at + h).

    Args:
        coefficients: `coefficients[k]` is the k-th derivative over k!, a number along a direction; without one the
            symmetric tensor of D^k f / k!, in the shape of the point k times over (flat if the point is a tree).
        order: the degree.
        at: the point.
        direction: a tree like the point, or None.
        radius: |t| <= radius, or every |h_i| <= radius; None where no remainder was asked for.
        remainder: encloses f minus polynomial there, where proved.
        exact: the coefficients as fractions, where every step is rational.
        known: the series' general term and radius of convergence, where it has a name.
        trust: for order 2, how far the model can be trusted.
    """

    coefficients: tuple[Any, ...]
    order: int
    at: Any
    direction: Any = None
    radius: float | None = None
    remainder: Enclosed | None = None
    exact: tuple[Fraction, ...] | None = None
    known: Known | None = None
    trust: Trust | None = None

    @property
    def general_term(self) -> str | None:
        """The k-th term as text, where the series has a name."""
        return None if self.known is None else self.known.term

    @property
    def convergence_radius(self) -> float | None:
        """Of the whole series, where it has a name."""
        return None if self.known is None else self.known.radius

    def __call__(self, t: Any) -> Any:
        """The polynomial at t (a number), or at h (an array shaped like the point, if there is no direction).

        Example:
            >>> TaylorModel((1.0, 1.0, 0.5), 2, 0.0)(2.0)
            5.0
        """
        first = np.asarray(self.coefficients[-1])
        if first.ndim == 0 and np.ndim(t) == 0:
            total = 0.0
            for c in reversed(self.coefficients):
                total = total * t + float(c)
            return total
        h = np.ravel(t)
        total = 0.0
        for k, c in enumerate(self.coefficients):
            tensor = np.asarray(c, np.float64).reshape((h.size,) * k)
            for _ in range(k):
                tensor = tensor @ h
            total += float(tensor)
        return total


def polynomial_text(coefficients: tuple[Any, ...], variable: str = "t", digits: int = 6, most: int = 8) -> str:
    """A polynomial in one variable as text, zeros left out.

    >>> polynomial_text((1.0, 0.0, -0.5))
    '1 - 0.5 t^2'
    >>> polynomial_text((Fraction(0), Fraction(1), Fraction(-1, 6)), "x")
    'x - 1/6 x^2'
    """
    parts: list[str] = []
    for k, c in enumerate(coefficients):
        if c == 0:
            continue
        power = "" if k == 0 else variable if k == 1 else f"{variable}^{k}"
        size = abs(c) if isinstance(c, Fraction) else abs(float(c))
        number = str(size) if isinstance(c, Fraction) else f"{size:.{digits}g}"
        body = power if power and size == 1 else f"{number} {power}".strip()
        sign = "-" if c < 0 else "+"
        parts.append(f" {sign} {body}" if parts else f"-{body}" if sign == "-" else body)
        if len(parts) == most and k < len(coefficients) - 1:
            parts.append(" + ...")
            break
    return "".join(parts) or "0"
