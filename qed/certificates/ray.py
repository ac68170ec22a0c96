"""The certificate that f has no least value under the constraints: a ray of feasible points along which f falls.

On x(t) = p + t d the functions are polynomials in t with rational coefficients, found exactly from their terms. The ray
lies within the bounds; every row of h is the polynomial 0, every row of g has no negative coefficient, so that it is
at least 0 for all t >= 0; and the leading coefficient of f, of t or a power of it, is negative: f(x(t)) -> -infinity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import numpy as np

from qed.certificates.certificate import Boxed, Subject, vector
from qed.certificates.problem_terms import problem_terms
from qed.domains.curvature_terms import Form
from qed.domains.precision import flint
from qed.errors import CertificateError
from qed.graph.trace import Traced

HIGHEST = 64
"""The largest degree that is looked at."""
Polynomial = list[Any]


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Ray(Boxed):
    """A ray from `start` along `direction`, vectors of the arrays of x laid end to end, within the box of the bounds.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.ray import Ray
    >>> from qed.certificates.stacked import stacked
    >>> Ray.about(
    ...     stacked(lambda x: x[0] - x[1] ** 2, None, lambda x: x[0]), jnp.zeros(2), (), equalities=0,
    ...     box=([[-jnp.inf] * 2], [[jnp.inf] * 2]), start=[0.0, 0.0], direction=[0.0, 1.0],
    ... ).verify()
    True
    """

    kind: ClassVar[str] = "ray"
    equalities: int
    start: tuple[float, ...]
    direction: tuple[float, ...]

    @classmethod
    def about(
        cls, fun: Any, at: Any, args: tuple[Any, ...], *, box: tuple[Any, Any], equalities: int, start: Sequence[float],
        direction: Sequence[float],
    ) -> Self:  # fmt: skip
        """The certificate of a ray that was found."""
        return cls.on_box(
            Subject(fun, at, tuple(args)), box, equalities=int(equalities), start=tuple(map(float, start)),
            direction=tuple(map(float, direction)),
        )  # fmt: skip

    def prove(self, traced: Traced) -> None:
        """Prove that the ray is feasible, and that f falls along it without end."""
        low, high = self.ends(traced)
        start, way = vector(self.start, len(low), "start"), vector(self.direction, len(low), "direction")
        if not np.all((low <= start) & (start <= high)):
            raise CertificateError("start", "it is outside the bounds")
        if np.any((way > 0) & np.isfinite(high)) or np.any((way < 0) & np.isfinite(low)):
            raise CertificateError("direction", "it leaves the bounds")
        _, forms = problem_terms(traced, *self.sides(traced))
        if not 0 <= self.equalities < len(forms):
            name = "equalities"
            raise CertificateError(name, f"there are {len(forms) - 1} rows")
        q = flint().fmpq
        line = [
            [q(*float(p).as_integer_ratio()), q(*float(d).as_integer_ratio())] for p, d in zip(start, way, strict=True)
        ]
        for i, form in enumerate(forms[1:]):
            found = along(form, line)
            if any(c != 0 for c in found) if i < self.equalities else any(c < 0 for c in found):
                raise CertificateError("direction", f"row {i} is not proved to hold on the ray")
        falls = along(forms[0], line)
        if len(falls) < 2 or not falls[-1] < 0:
            raise CertificateError("direction", "f is not proved to fall along the ray")


def along(form: Form, line: Sequence[Polynomial]) -> Polynomial:
    """A term on x_j = line[j] as a polynomial in t: coefficients of 1, t, ..., the last not zero (but for degree 0).

    Raises CertificateError where it is none.
    """
    total: Polynomial = [form.constant]
    for atom, c in form.terms:
        total = _plus(total, [c * value for value in _of_atom(atom, line)])
    return _trimmed(total)


def _of_atom(atom: Any, line: Sequence[Polynomial]) -> Polynomial:
    if atom.lost is None:
        if atom.kind == "variable":
            return _trimmed(list(line[int(str(atom.data)[1:])]))
        if atom.kind == "product":
            first, second = (along(form, line) for form in atom.args)
            return _times(first, second)
        if atom.name == "square":
            return _power(along(atom.args[0], line), 2)
        if atom.name == "integer_pow":
            n = int(dict(atom.data.parameters)["y"])
            if 0 <= n <= HIGHEST:
                return _power(along(atom.args[0], line), n)
    raise CertificateError("function", f"no polynomial on the ray: {atom.name}")


def _plus(p: Polynomial, q: Polynomial) -> Polynomial:
    size = max(len(p), len(q))
    zero = p[0] * 0
    return [(p[k] if k < len(p) else zero) + (q[k] if k < len(q) else zero) for k in range(size)]


def _times(p: Polynomial, q: Polynomial) -> Polynomial:
    found = [p[0] * 0] * (len(p) + len(q) - 1)
    if len(found) > HIGHEST + 1:
        raise CertificateError("function", "the degree on the ray is too high")
    for i, a in enumerate(p):
        for j, b in enumerate(q):
            found[i + j] = found[i + j] + a * b
    return _trimmed(found)


def _power(p: Polynomial, n: int) -> Polynomial:
    found = [p[0] * 0 + 1]
    for _ in range(n):
        found = _times(found, p)
    return found


def _trimmed(p: Polynomial) -> Polynomial:
    while len(p) > 1 and p[-1] == 0:
        p = p[:-1]
    return p
