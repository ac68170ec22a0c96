"""The certificate that the eigenvalues of a sparse Hessian at a point, by their numbers, lie within intervals.

H - s I = L D L' + E with |E| <= e: for k negative entries of D, eigenvalue k from below is under s + e and eigenvalue
k + 1 over s - e (Sylvester's law of inertia, Weyl's inequality; Parlett, *The Symmetric Eigenvalue Problem*, 1998,
section 3.3: "spectrum slicing"). Two factorisations, above and below a number, show which eigenvalue is near it: not
only that there is one, as a residual does. The entries are enclosed by the term of the function, compared with the
program in balls and with second differences (`qed.certificates.sparse_critical`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import numpy as np

from qed.certificates.banded import count_below
from qed.certificates.certificate import Pointed, Subject, vector
from qed.certificates.sparse_jets import sparse_jets
from qed.domains.curvature_stacked import SparseJet
from qed.errors import CertificateError
from qed.graph.trace import Traced

NEAR = 2.0**-10


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class SparseSpectrum(Pointed):
    """Eigenvalue number ranks[i] from below, counted from 0, lies within errors[i] of values[i].

    >>> import jax.numpy as jnp
    >>> from qed.certificates.sparse_spectrum import SparseSpectrum
    >>> certificate = SparseSpectrum.about(
    ...     lambda x: jnp.sum(x**2) + jnp.sum(x[1:] * x[:-1]), jnp.zeros(3), (), values=[2 + 2**0.5], errors=[1e-9],
    ...     ranks=[2],
    ... )
    >>> certificate.verify()
    True
    """

    kind: ClassVar[str] = "sparse spectrum"
    values: tuple[float, ...]
    errors: tuple[float, ...]
    ranks: tuple[int, ...]

    @classmethod
    def about(
        cls, fun: Callable[..., Any], at: Any, args: tuple[Any, ...], *, values: Sequence[float],
        errors: Sequence[float], ranks: Sequence[int],
    ) -> Self:  # fmt: skip
        """The certificate of eigenvalues that were found."""
        return cls.at_point(
            Subject(fun, at, tuple(args)),
            values=tuple(map(float, values)),
            errors=tuple(map(float, errors)),
            ranks=tuple(map(int, ranks)),
        )

    def prove(self, traced: Traced) -> None:
        """Enclose the Hessian at the point, and count eigenvalues below both ends of every interval."""
        n = sum(int(np.size(leaf)) for leaf in traced.parameters)
        point = vector(self.point, n, "point")
        count = len(self.ranks)
        given = count > 0 and len(self.values) == len(self.errors) == count == len(set(self.ranks))
        if not (given and all(isinstance(rank, int) and 0 <= rank < n for rank in self.ranks)):
            raise CertificateError("ranks", "they are no numbers of eigenvalues, each once, with a value and an error")
        away = NEAR * max(float(np.max(np.abs(point))), 1.0)
        low, high = point - away, point + away
        here, _ = sparse_jets(traced, point, low, high, "point")
        for value, error, rank in zip(self.values, self.errors, self.ranks, strict=True):
            if not holds(here, n, value, error, rank):
                raise CertificateError("values", f"eigenvalue {rank} is not shown to lie within {error} of {value}")


def holds(jet: SparseJet, n: int, value: float, error: float, rank: int) -> bool:
    """Whether eigenvalue number `rank` from below, from 0, is shown to lie within `error` of `value`."""
    if not (np.isfinite(value) and 0 < error < np.inf):
        return False
    below, above = (count_below(jet.rows, jet.columns, *jet.second, n, value + s * error / 2) for s in (-1, 1))
    if below is None or above is None or max(below[1], above[1]) >= 0.49 * error:
        return False
    return below[0] <= rank < above[0]
