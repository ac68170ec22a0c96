"""Expectations under laws of vectors: each is a product of laws of numbers under a map.

    X = mean + L Z,  L L^T = covariance,  Z_i independent and standard normal            the multivariate normal law
    X = G / (G_1 + ... + G_n),  G_i independent with Gamma(a_i, 1)                         Dirichlet's law

so that E f(X) = E f(map(Z)), without a density and also where X lies on a simplex. The second holds with the numbers
as they are. Of the first a proof speaks only where L has exact entries; else the number is told as a measurement.
Reference: Devroye, *Non-Uniform Random Variate Generation*, Springer 1986, chapter 11.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.answer import Answer, Measured, Missing, Reason
from qed.integration.families.continuous import Gamma, Normal
from qed.integration.families.vectors import VectorLaw
from qed.integration.many.expectation import expect as over_product
from qed.integration.many.expectation import normalizer as over_logs
from qed.integration.product import Product
from qed.integration.words import noun
from qed.standing import Standing

MAPS = {
    "MultivariateNormal": ("a normal vector is an affine map of independent ones", "X = μ + L Z,  L Lᵀ = Σ"),
    "Dirichlet": ("a Dirichlet vector is one of gamma variables, divided by their sum", "X = G / ΣGᵢ,  Gᵢ ~ Γ(aᵢ, 1)"),
}
"""The theorem, and its formula."""
ROUNDED = 1e-12
"""By how much in parts of the value, and of the size of the function, the rounding of L may matter."""
MOVED = 1e-3
"""A law that the rounding of L moves by more than this is not told as the one that was asked about."""
MOVED_LOG, AWAY_LOG = 1e-12, 1e-6
"""The same for the logarithm of a mean, and what is allowed for it: |D| times the root of E f^2 up to 1e6 E f."""


def expect(
    fun: Callable[..., Any], law: VectorLaw, args: tuple[Any, ...], tol: float | None, budget: float
) -> Answer[float]:
    """As `qed.expect`, under a law of vectors.

    >>> from qed.integration.families.vectors import Dirichlet
    >>> from qed.integration.vector_expectation import expect
    >>> answer = expect(lambda p: p[0] * p[1], Dirichlet([1.0, 2.0]), (), None, 20.0)
    >>> str(answer.standing), abs(answer.value - 1 / 6) < 1e-3
    ('MEASURED', True)
    """
    rule, formula = MAPS[law.family]
    if law.family == "Dirichlet":
        factors = tuple(Gamma(a, 1.0) for a in law.rows[0])
        found = over_product(_after(fun, lambda g: g / jnp.sum(g)), Product(factors, str(law)), args, tol, budget)
        return _told(found, rule, formula)
    base = Product((Normal(),) * law.dimension, str(law))
    mean, rows = np.array(law.rows[0]), np.array(law.rows[1:])
    root = np.linalg.cholesky(rows)
    dtype = jnp.result_type(float)
    if _exact(mean, rows, root, dtype):
        return _told(over_product(_after(fun, _affine(mean, root)), base, args, tol, budget), rule, formula)
    off = moved(rows, root)
    if not off < MOVED:
        return _too_singular(noun(fun, probability=True), law, off)
    with jax.enable_x64(True):
        found = over_product(_after(fun, _affine(mean, root)), base, args, tol, budget)
        size = _size(_after(fun, _affine(mean, root)), args, law.dimension)
    called = f"The {noun(fun, probability=True)}"
    away = max(off, ROUNDED) * size
    return _told(_measurement(called, found, away, lambda: expect(fun, law, args, tol, budget)), rule, formula)


def normalizer(log_density: Callable[..., Any], law: VectorLaw, args: tuple[Any, ...], budget: float) -> Answer[float]:
    """As `qed.normalizer`, with a law of vectors for the prior: log E exp(log_density(X)).

    >>> from qed.integration.families.vectors import Dirichlet
    >>> from qed.integration.vector_expectation import normalizer
    >>> answer = normalizer(lambda p: jnp.log(p[0]), Dirichlet([1.0, 2.0]), (), 20.0)
    >>> bool(abs(answer.value - np.log(1 / 3)) < 1e-3)
    True
    """
    rule, formula = MAPS[law.family]
    if law.family == "Dirichlet":
        factors = tuple(Gamma(a, 1.0) for a in law.rows[0])
        change: Callable[[Any], Any] = lambda g: g / jnp.sum(g)  # noqa: E731
        return _told(over_logs(_after(log_density, change), Product(factors, str(law)), args, budget), rule, formula)
    base = Product((Normal(),) * law.dimension, str(law))
    mean, rows = np.array(law.rows[0]), np.array(law.rows[1:])
    root = np.linalg.cholesky(rows)
    if _exact(mean, rows, root, jnp.result_type(float)):
        return _told(over_logs(_after(log_density, _affine(mean, root)), base, args, budget), rule, formula)
    off = moved(rows, root)
    if not off < MOVED_LOG:
        return _too_singular("log of the normalising constant", law, off)
    with jax.enable_x64(True):
        found = over_logs(_after(log_density, _affine(mean, root)), base, args, budget)
    again = lambda: normalizer(log_density, law, args, budget)  # noqa: E731
    return _told(_measurement("The log of the normalising constant", found, AWAY_LOG, again), rule, formula)


def _affine(mean: np.ndarray, root: np.ndarray) -> Callable[[Any], Any]:
    return lambda z: jnp.asarray(mean, z.dtype) + jnp.asarray(root, z.dtype) @ z


def _after(fun: Callable[..., Any], change: Callable[[Any], Any]) -> Callable[..., Any]:
    """The function of the point that the map gives."""

    @wraps(fun)
    def moved(z: Any, *args: Any) -> Any:
        return fun(change(z), *args)

    return moved


def _exact(mean: np.ndarray, rows: np.ndarray, root: np.ndarray, dtype: Any) -> bool:
    """Whether L L^T is the covariance, and the mean the mean, in the numbers that the program is traced with."""
    kept = root.astype(dtype).astype(np.float64)
    if np.any(mean.astype(dtype).astype(np.float64) != mean):
        return False
    return all(x == 0 for row in _residual(rows, kept) for x in row)


def _residual(rows: np.ndarray, root: np.ndarray) -> list[list[Fraction]]:
    """The covariance less L L^T, exactly."""
    exact = [[Fraction(float(x)) for x in row] for row in root]
    products = ((sum(map(Fraction.__mul__, one, other), Fraction(0)) for other in exact) for one in exact)
    return [
        [Fraction(float(x)) - y for x, y in zip(row, product, strict=True)]
        for row, product in zip(rows, products, strict=True)
    ]


def moved(rows: np.ndarray, root: np.ndarray) -> float:
    """How far the law with L is from the one with the covariance: |D| for L^-1 (covariance - L L^T) L^-T = D.

    To the first order E f moves by E[f (z^T D z - trace D)] / 2, which is at most |D| times the root of E f^2. Of a
    nearly singular covariance D is the rounding of L times the condition.

    >>> import numpy as np
    >>> near = np.array([[3.1, 3.0999999999999597], [3.0999999999999597, 3.1]])
    >>> moved(near, np.linalg.cholesky(near)) > 1e-3
    True
    """
    off = np.array([[float(x) for x in row] for row in _residual(rows, root)])
    return float(np.linalg.norm(np.linalg.solve(root, np.linalg.solve(root, off).T)))


def _size(fun: Callable[..., Any], args: tuple[Any, ...], dimension: int) -> float:
    """The root of the mean of f^2, by a few points at which f is finite."""
    z = np.random.default_rng(0).standard_normal((1024, dimension))
    values = np.asarray(jax.vmap(lambda one: fun(one, *args))(jnp.asarray(z)), np.float64)
    return float(np.sqrt(np.mean(values[np.isfinite(values)] ** 2))) if np.any(np.isfinite(values)) else 0.0


def _too_singular(noun: str, law: VectorLaw, off: float) -> Answer[float]:
    """What is said where the rounding of L moves the law."""
    because = f"the covariance is nearly singular: the rounding of its factor moves the law by {off:.2g}"
    missing = Missing(because, "fewer coordinates, of which none is nearly a combination of others", code="QED020")
    return Answer(f"the {noun} under {law} is a number", Standing.UNKNOWN, None, missing=(missing,), subject=str(law))


def _measurement(called: str, found: Answer[float], away: float, again: Callable[[], Answer[float]]) -> Answer[float]:
    """A proof about the rounded L as what it is for the law: a measurement."""
    if found.measured and isinstance(found.error, Measured):
        error = found.error.error + away
        if error < 1.01 * found.error.error:
            return replace(found, recheck=again)
        return replace(
            found, claim=f"{found.claim}, and {away:.2g} for the rounding of the covariance's factor", recheck=again,
            error=replace(found.error, error=error),
            headline=f"{called} is about {found.value:.9g}, measured within {error:.2g}.",
        )  # fmt: skip
    if not found.proved or found.value is None:
        return found
    if not np.isfinite(found.value):
        missing = Missing(
            "it is infinite for a law that is rounded", "a covariance whose factor is exact", code="QED020"
        )
        claim = f"{called.lower()} is a number"
        return Answer(claim, Standing.UNKNOWN, None, missing=(missing,), subject=found.subject)
    error = max(found.upper - found.value, found.value - found.lower) + ROUNDED * abs(found.value) + away
    why = "the factor of the covariance is rounded, by one part in 10^16"
    return replace(
        found, claim=f"{found.claim}, up to the rounding of the covariance's factor", standing=Standing.MEASURED,
        certificate=None, error=Measured(error, "a proof for the rounded law"), recheck=again, arithmetic="float64",
        headline=f"{called} is about {found.value:.9g}, measured within {error:.2g}.",
        reasons=(Reason(why, standing=Standing.MEASURED, unpredicted="the law is moved by less than it shows"),),
    )  # fmt: skip


def _told(found: Answer[float], rule: str, formula: str) -> Answer[float]:
    """The answer with the theorem among its reasons."""
    return replace(found, reasons=(*found.reasons, Reason(rule, formula, standing=Standing.PROVED, text=rule)))
