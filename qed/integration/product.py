"""Products of measures on the line: the law of independent coordinates, and the length, area, volume of a box.

    (mu_1 x ... x mu_d)(A_1 x ... x A_d) = mu_1(A_1) ... mu_d(A_d)

The product is its factors: each keeps its Lebesgue decomposition, so that a coordinate may be an atom with positive
mass and have a density elsewhere. Reference: Halmos, *Measure Theory*, Springer 1974, section 35.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.integration.measure import Measure, wrong
from qed.integration.transport import length_of, quantile


@dataclass(frozen=True)
class Product:
    """A product of measures on the line; its points are vectors, a coordinate for each factor.

    >>> from qed.integration.measures import Normal, Uniform, product
    >>> both = product(Normal(), Uniform(0.0, 4.0))
    >>> both.dimension, both.mass, both.quantiles([[0.5, 0.25]]).tolist()
    (2, 1.0, [[0.0, 1.0]])
    """

    factors: tuple[Measure, ...]
    name: str = "product"

    def __str__(self) -> str:
        return self.name

    @property
    def dimension(self) -> int:
        """The number of coordinates."""
        return len(self.factors)

    @property
    def probability(self) -> bool:
        """Whether every factor has mass 1, exactly."""
        return all(one.probability for one in self.factors)

    @property
    def mass(self) -> float:
        """The total mass, which may be infinite; raises QED007 where it is an integral that is not known."""
        masses = [float(sum(w for _, w in one.atoms)) + sum(map(length_of, one.parts)) for one in self.factors]
        return 0.0 if 0.0 in masses else float(np.prod(masses))

    @property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The smallest box that holds all mass: its lower and its upper corner."""
        places = [
            [*(x for x, _ in one.atoms), *(end for part in one.parts for end in (part.lower, part.upper))]
            for one in self.factors
        ]
        return np.array([min(found) for found in places]), np.array([max(found) for found in places])

    def quantiles(self, u: Any) -> np.ndarray:
        """Rows of [0, 1]^d carried onto the product, each coordinate by the quantile map of its factor.

        The image of the uniform law on the cube is the product divided by its mass.

        Args:
            u: an array (..., dimension).

        Raises:
            QedError: QED007 for another shape, and for a factor without a quantile function.
        """
        points = np.asarray(u, np.float64)
        if points.ndim == 0 or points.shape[-1] != self.dimension:
            because = f"{self} has {self.dimension} coordinates"
            msg = f"points of shape {points.shape}"
            raise wrong(msg, because, "give an array whose last axis is the coordinates")
        return np.stack([quantile(one, points[..., k]) for k, one in enumerate(self.factors)], -1)

    def sample(self, count: int, seed: int = 0) -> np.ndarray:
        """`count` independent points of the product divided by its mass, as rows."""
        return self.quantiles(np.random.default_rng(seed).random((count, self.dimension)))


def product(*measures: Measure | Product) -> Product:
    """The product of measures on the line; a product among them gives its factors.

    Args:
        measures: at least one measure of this module, or product of such.

    Raises:
        QedError: QED007 for no measure, and for one that has no mass anywhere.

    >>> from qed.integration.measures import Normal, product
    >>> str(product(Normal(), product(Normal(1.0), Normal())))
    'Normal(0, 1) x Normal(1, 1) x Normal(0, 1)'
    """
    if not measures or not all(isinstance(one, Measure | Product) for one in measures):
        kinds = ", ".join(type(one).__name__ for one in measures) or "nothing"
        msg = f"a product of {kinds}"
        raise wrong(msg, "its factors are measures on the line", "give product(Normal(), Uniform())")
    factors: list[Measure] = []
    for one in measures:
        factors += one.factors if isinstance(one, Product) else (one,)
    if empty := [one for one in factors if not one.atoms and not one.parts]:
        msg = f"a product with {empty[0]}"
        raise wrong(msg, "this factor has no mass", "leave it out: the product has mass 0")
    return Product(tuple(factors), _named(factors))


def power(measure: Measure | Product, count: int) -> Product:
    """The law of `count` independent draws: the product of a measure with itself.

    Raises:
        QedError: QED007 where count is no int of at least 1; else as `product`.

    >>> from qed.integration.measures import Normal, power
    >>> power(Normal(), 3).dimension, str(power(Normal(), 3))
    (3, 'Normal(0, 1)^3')
    """
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
        msg = f"count = {count!r} of power"
        raise wrong(msg, "it is how often the factor is taken", "give an int of at least 1")
    return product(*[measure] * int(count))


def box(kind: Any, lower: Any, upper: Any) -> Product | None:
    """The product of kind(lower_i, upper_i) where an end is a vector; None where both are numbers."""
    try:
        ends = [np.asarray(end, np.float64) for end in (lower, upper)]
    except (TypeError, ValueError):
        return None
    if all(end.ndim == 0 for end in ends):
        return None
    if max(end.ndim for end in ends) > 1 or 0 in (ends[0].size, ends[1].size):
        shapes = f"lower has the shape {ends[0].shape}, upper {ends[1].shape}"
        msg = "the ends of a box"
        raise wrong(msg, shapes, "give two vectors of one length, or a vector and a number")
    try:
        low, high = np.broadcast_arrays(*ends)
    except ValueError:
        because = f"lower has {ends[0].size} entries, upper {ends[1].size}"
        msg = "the ends of a box"
        raise wrong(msg, because, "give two vectors of one length") from None
    return product(*(kind(float(a), float(b)) for a, b in zip(low, high, strict=True)))


def _named(factors: Sequence[Measure]) -> str:
    names: list[list[Any]] = []
    for one in factors:
        if names and names[-1][0] == one.name:
            names[-1][1] += 1
        else:
            names.append([one.name, 1])
    return " x ".join(name if count == 1 else f"{name}^{count}" for name, count in names)
