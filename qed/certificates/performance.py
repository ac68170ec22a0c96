"""The certificate of a worst case: gradient descent on a convex function, from any start, by performance estimation.

Let f be convex on R^n with a gradient of Lipschitz constant L, x_{k+1} = x_k - grad f(x_k) / L, and x* a minimiser.
Between any two of the points x_0, ..., x_N, x* there holds (Nesterov, *Lectures on Convex Optimization*, 2018, theorem
2.1.5), with f_i and g_i the value and the gradient at the i-th,

    q_ij = f_i - f_j - <g_j, x_i - x_j> - |g_i - g_j|^2 / (2 L) >= 0.

If multipliers l_ij >= 0 are found such that

    t L |x_0 - x*|^2 - (f_N - f*) - sum l_ij q_ij

holds no f_i, and is a quadratic form that is never negative in the vectors x_0 - x*, g_0, ..., g_N, then for every such
f and every start f(x_N) - f* <= t L |x_0 - x*|^2 (Drori and Teboulle, *Performance of first-order methods for smooth
convex minimization*, Math. Program. 145, 2014). Multipliers are fractions, and the form is split into squares in exact
arithmetic; that f is convex and L its constant, two certificates prove, which are held as text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Self, final

import numpy as np

from qed.certificates.certificate import Certificate
from qed.certificates.convexity import Convexity
from qed.certificates.lipschitz import Lipschitz
from qed.certificates.ridges import Ridges
from qed.errors import CertificateError, QedError
from qed.graph.trace import Traced

MOST = 64
"""How many steps a bound is proved for at most."""
SMOOTH = (Lipschitz, Ridges)
SHARES = "multipliers"
Form = list[list[Fraction]]


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class PerformanceBound(Certificate):
    """f(x_N) - f* <= t L |x_0 - x*|^2 after N = `steps` steps of length 1 / L, for every start and minimiser.

    `convexity` and `smoothness` are the JSON texts of a `Convexity` and of a `Lipschitz` or `Ridges` of order 1 of the
    same function, without bounds; L is the bound of the latter. `multipliers` are (i, j, numerator, denominator), N + 1
    being x*; `factor` is t, (numerator, denominator).
    """

    kind: ClassVar[str] = "performance bound"
    convexity: str
    smoothness: str
    steps: int
    multipliers: tuple[tuple[int, int, int, int], ...]
    factor: tuple[int, int]

    @classmethod
    def of(
        cls, convexity: Convexity, smoothness: Lipschitz | Ridges, steps: int,
        multipliers: Sequence[tuple[int, int, Fraction]], factor: Fraction,
    ) -> Self:  # fmt: skip
        """The certificate of multipliers that were found."""
        assert smoothness.subject is not None
        return cls.made(
            smoothness.subject,
            convexity=json.dumps(convexity.to_json(), sort_keys=True),
            smoothness=json.dumps(smoothness.to_json(), sort_keys=True),
            steps=int(steps),
            multipliers=tuple((i, j, each.numerator, each.denominator) for i, j, each in multipliers),
            factor=(factor.numerator, factor.denominator),
        )

    def prove(self, traced: Traced) -> None:
        """Prove both premises, and split the form into squares."""
        for name, kind in (("convexity", Convexity), ("smoothness", SMOOTH)):
            premise(self, name, kind, traced)
        linear, form = self._form()
        if any(linear):
            raise CertificateError(SHARES, "values of f are left over")
        if not is_nonnegative(form):
            raise CertificateError(SHARES, "the form that is left over is negative somewhere")

    def _form(self) -> tuple[list[Fraction], Form]:
        """What is left over, f in units of L: the coefficients of f_0, ..., f_N, and the form in x_0 - x*, g_0, ..."""
        n = self.steps
        if not 1 <= n <= MOST:
            raise CertificateError("steps", f"{n} is no number of steps from 1 to {MOST}")
        if self.factor[1] <= 0:
            raise CertificateError("factor", "its denominator is not positive")
        size = n + 2
        x = [_vector(size, {0: 1, **{1 + j: -1 for j in range(i)}}) for i in range(n + 1)] + [_vector(size, {})]
        g = [_vector(size, {1 + i: 1}) for i in range(n + 1)] + [_vector(size, {})]
        linear = [Fraction(0)] * (n + 1)
        linear[n] -= 1
        form = [[Fraction(0)] * size for _ in range(size)]
        form[0][0] = Fraction(*self.factor)
        for i, j, numerator, denominator in self.multipliers:
            if not (0 <= i <= n + 1 and 0 <= j <= n + 1 and i != j) or denominator <= 0 or numerator < 0:
                raise CertificateError(SHARES, "one is negative, or not between two of the points")
            share = Fraction(numerator, denominator)
            for at, sign in ((i, -1), (j, 1)):
                if at <= n:
                    linear[at] += sign * share
            add(form, g[j], less(x[i], x[j]), share)
            add(form, less(g[i], g[j]), less(g[i], g[j]), share / 2)
        return linear, form


def premise(whole: Any, name: str, kind: Any, traced: Traced) -> Any:
    """The certificate of one kind that another holds as text, proved again: of the same function, without bounds."""
    try:
        found: Any = Certificate.from_json(getattr(whole, name))
    except (QedError, ValueError, TypeError) as error:
        raise CertificateError(name, f"it is no certificate: {error}") from None
    if not isinstance(found, kind) or found.function != whole.function or found.x64 != whole.x64:
        raise CertificateError(name, "it is no such certificate of this function")
    found.whole()
    if not all(np.isinf(x) for side in (found.box_lower, found.box_upper) for leaf in side for x in leaf):
        raise CertificateError(name, "it holds within bounds only")
    lower, upper = (np.concatenate([np.ravel(leaf) for leaf in side]) for side in found.sides(traced))
    if not (np.all(np.isneginf(lower)) and np.all(np.isposinf(upper))):
        raise CertificateError(name, "it holds within bounds only")
    if isinstance(found, Convexity) and found.claim not in ("convex", "affine"):
        raise CertificateError(name, f"the function is {found.claim} by it")
    if isinstance(found, SMOOTH) and not (found.order == 1 and found.bound > 0):
        raise CertificateError(name, "it is no positive constant of the gradient")
    found.prove(traced)
    return found


def _vector(size: int, entries: dict[int, int]) -> list[Fraction]:
    return [Fraction(entries.get(k, 0)) for k in range(size)]


def less(a: list[Fraction], b: list[Fraction]) -> list[Fraction]:
    """a - b."""
    return [p - q for p, q in zip(a, b, strict=True)]


def add(form: Form, a: list[Fraction], b: list[Fraction], share: Fraction) -> None:
    """Add share times the product of two linear forms."""
    for i, p in enumerate(a):
        for j, q in enumerate(b):
            if p and q:
                form[i][j] += share * p * q / 2
                form[j][i] += share * p * q / 2


def is_nonnegative(form: Form) -> bool:
    """Whether a symmetric matrix of fractions is positive semidefinite: by elimination, exact.

    >>> from fractions import Fraction as F
    >>> is_nonnegative([[F(1), F(1)], [F(1), F(1)]]), is_nonnegative([[F(0), F(1)], [F(1), F(9)]])
    (True, False)
    """
    left = [row[:] for row in form]
    for k in range(len(left)):
        pivot = left[k][k]
        if pivot < 0 or (pivot == 0 and any(left[k][k:])):
            return False
        for i in range(k + 1, len(left)):
            if left[i][k]:
                share = left[i][k] / pivot
                for j in range(k, len(left)):
                    left[i][j] -= share * left[k][j]
    return True
