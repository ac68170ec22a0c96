"""Trace, determinant, diagonal, condition and density of a Hessian as answers: each with its claim and its interval."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from qed.answer import Answer, Measured, Missing, Reason
from qed.calculus.lanczos import Krylov
from qed.calculus.points.ends import above, below
from qed.calculus.spectra import determinant as determinants
from qed.calculus.spectra import diagonal as diagonals
from qed.calculus.spectra import trace as hutch
from qed.calculus.spectra.columns import Columns, columns
from qed.calculus.spectra.density import Density, density, in_step
from qed.calculus.spectra.products import SMALL, Products, room_for
from qed.standing import Standing

Array = np.ndarray
FAILURE = 1e-6
"""The probability with which bounds of both ends of the spectrum may fail."""
SAFETY = 10.0
"""By how much a rounding error that was measured on few vectors is multiplied."""


def _measured(
    claim: str, value: Any, error: Any, how: tuple[str, str, str], headline: str, products: Products, seed: int,
    again: Callable[[], bool],
) -> Answer[Any]:  # fmt: skip
    rule, formula, text = how
    return Answer(
        claim,
        Standing.MEASURED,
        value,
        arithmetic=products.arithmetic,
        error=Measured(error, rule, seed),
        reasons=(Reason(rule, formula, text, standing=Standing.MEASURED, text=text,
                        unpredicted="a mean has no prediction"),),
        headline=headline,
        meta={"seed": seed},
        recheck=again,
    )  # fmt: skip


def trace(products: Products, seed: int) -> Answer[float]:
    """The trace."""
    known = columns(products)
    if known is not None:
        return _from_columns(products, known, seed)
    found = hutch.trace(products, products.size, seed=seed)
    found = replace(found, error=found.error + float(np.sum(_rounding(products, seed))))

    def again() -> bool:
        other = hutch.trace(products, products.size, seed=seed + 1)
        return abs(other.value - found.value) <= other.error + found.error + 1e-6 * abs(found.value)

    return _measured(
        f"the trace of the Hessian lies within {found.error:.3g} of {found.value:.6g}",
        found.value,
        found.error,
        ("Hutch++", "tr H = tr Q'HQ + E g'(I - QQ')H(I - QQ')g", f"{found.products} Hessian products, 99 %"),
        f"The trace is {found.value:.6g}, off by at most {found.error:.3g} with a probability of 99 %.",
        products,
        seed,
        again,
    )


def diagonal(products: Products, tree: Callable[[Array], Any], seed: int) -> Answer[Any]:
    """The diagonal, as a tree like the argument, its error a tree too."""
    known = columns(products)
    if known is not None:
        return _entries(products, known, tree, seed)
    found = diagonals.diagonal(products, products.size, seed=seed)
    found = replace(found, errors=found.errors + _rounding(products, seed))

    def again() -> bool:
        other = diagonals.diagonal(products, products.size, seed=seed + 1)
        room = other.errors + found.errors + 1e-6 * np.abs(found.values)
        return bool(np.mean(np.abs(other.values - found.values) <= room) >= 0.97)

    worst = float(np.max(found.errors))
    return _measured(
        f"each of the {products.size:,} second derivatives H_ii lies within its error, of at most {worst:.3g}, of its "
        "value with a probability of 99 %",
        tree(found.values),
        tree(found.errors),
        ("diag++", "diag H = diag QQ'H + E g (I - QQ')H g", f"{found.products} Hessian products, 99 % for each entry"),
        f"The second derivatives H_ii lie between {found.values.min():.4g} and {found.values.max():.4g}, each off by "
        f"at most {worst:.2g} with a probability of 99 %.",
        products,
        seed,
        again,
    )


def _rounding(products: Products, seed: int) -> Array:
    """What rounding does to the entries of a product, measured on one."""
    signs = np.where(np.random.default_rng(seed).integers(0, 2, products.size), 1.0, -1.0)
    image = np.asarray(products(signs), float)
    least = float(np.finfo(products.dtype).eps) * np.abs(image)
    if products.size <= SMALL or not products.wide:
        return SAFETY * least + products.cancelled
    return SAFETY * np.maximum(np.abs(image - products.exact(signs)), least)


READ = "columns of the Hessian"


def _from_columns(products: Products, found: Columns, seed: int) -> Answer[float]:
    value, error = math.fsum(found.values), found.sum_error
    return _measured(
        f"the trace of the Hessian lies within {error:.3g} of {value:.6g}",
        value,
        error,
        (READ, "tr H = sum of H_ii", f"each H_ii read from {found.told}"),
        f"The trace is {value:.6g}, off by at most {error:.3g} by rounding.",
        products,
        seed,
        lambda: found.holds(products, seed + 1),
    )


def _entries(products: Products, found: Columns, tree: Callable[[Array], Any], seed: int) -> Answer[Any]:
    worst = float(np.max(found.errors))
    return _measured(
        f"each of the {products.size:,} second derivatives H_ii lies within its error, of at most {worst:.3g}, of its "
        "value",
        tree(found.values),
        tree(found.errors),
        (READ, "H_ii = e_i'H e_i", f"each H_ii read from {found.told}"),
        f"The second derivatives H_ii lie between {found.values.min():.4g} and {found.values.max():.4g}, each off by "
        f"at most {worst:.2g} by rounding.",
        products,
        seed,
        lambda: found.holds(products, seed + 1),
    )


def log_determinant(products: Products, seed: int) -> Answer[float]:
    """log det H, where H is positive definite as far as products tell."""
    found = determinants.log_determinant(products, products.size, seed=seed, noise=products.cancelled)
    claim = "the logarithm of the determinant of the Hessian is known"
    if not np.isfinite(found.lower):
        what = f"the smallest curvature may be {found.smallest:.3g}: no positive number is known below all of them"
        missing = Missing(what, "a point where all curvatures are positive, such as that of H + c I", "QED304")
        return Answer(claim, Standing.UNKNOWN, None, missing=(missing,), headline=f"Unknown: {what}.")
    value, error = (found.lower + found.upper) / 2, (found.upper - found.lower) / 2

    def again() -> bool:
        other = determinants.log_determinant(products, products.size, seed=seed + 1, noise=products.cancelled)
        return other.lower <= found.upper and found.lower <= other.upper

    return _measured(
        f"log det H lies within {error:.3g} of {value:.6g}",
        value,
        error,
        ("Gauss and Gauss-Radau quadrature by Lanczos", "R <= v' log(H) v <= G", f"{found.products} Hessian products, "
         f"99 %, with all curvatures above {found.smallest:.3g}"),
        f"log det H is {value:.6g}, off by at most {error:.3g} with a probability of 99 %.",
        products,
        seed,
        again,
    )  # fmt: skip


def ends(products: Products, most: int, seed: int) -> tuple[float, float, float, float]:
    """Values v'Hv (lowest, highest) that are taken or passed; bounds (lower, upper) of all, but for FAILURE."""
    most = min(most, products.size)
    room_for(products.function, most + 1, np.dtype(products.dtype).itemsize)
    krylov = Krylov(products, products.size, most, seed, products.dtype)
    while krylov.step() and krylov.count < krylov.most and not krylov.closed:
        krylov.extend()
    if not krylov.count:
        raise FloatingPointError
    values, inner = krylov.ritz()
    betas = np.array(krylov.betas)
    scale = float(np.max(np.abs(values)))
    error = 1e-13 * scale + products.cancelled + (krylov.beside if krylov.closed else 0.0)
    for i in (0, -1):
        v = np.asarray(krylov.vectors(inner[:, i]), np.float64)
        error = max(error, SAFETY * products.rounding(v / np.linalg.norm(v)))
    if krylov.closed:
        betas[-1] = 0.0
    lower = below(values, betas, products.size, FAILURE / 2) - error
    return (
        float(values[0]) + error,
        float(values[-1]) - error,
        lower,
        above(values, betas, products.size, FAILURE / 2) + error,
    )


def condition(products: Products, most: int, seed: int) -> Answer[float]:
    """The largest curvature over the smallest, where all are of one sign as far as products tell."""
    low, high, lower, upper = ends(products, most, seed)
    claim = "the condition number of the Hessian is known"
    if upper < 0:
        low, high, lower, upper = -high, -low, -upper, -lower
    if lower <= 0:
        both = "both signs occur" if low < 0 < high and lower < low / 2 else "0 may be one of them"
        what = f"the curvatures lie between {lower:.3g} and {upper:.3g}: {both}"
        missing = Missing(what, "a point where all curvatures are of one sign, or more products (most=)", "QED304")
        return Answer(claim, Standing.UNKNOWN, None, missing=(missing,), headline=f"Unknown: {what}.")
    value = max(high / low, 1.0)
    error = max(upper / lower - value, 0.0)

    def again() -> bool:
        other = condition(products, most, seed + 1)
        return bool(other.measured and abs(other.value - value) <= error + other.error.error + 1e-9 * value)  # pyright: ignore

    return _measured(
        f"the largest curvature is between {value:.6g} and {value + error:.6g} times the smallest",
        value,
        error,
        ("both ends from one run of Lanczos", "theta_k / theta_1 <= l_n / l_1 <= upper / lower",
         f"all curvatures between {lower:.6g} and {upper:.6g}, but for a probability of {FAILURE:g}"),
        f"The condition number is {value:.6g}, and no more than {value + error:.6g} but for a probability of "
        f"{FAILURE:g}.",
        products,
        seed,
        again,
    )  # fmt: skip


def distribution(products: Products, probes: int, steps: int, seed: int) -> Answer[Density]:
    """The density of all eigenvalues; the error is that of their mean."""
    steps = min(steps, products.size)

    def found_from(first: int) -> Density:
        if products.size <= SMALL:
            return density(products, products.size, probes, steps, first, products.dtype)
        room_for(products.function, 3 * probes, np.dtype(products.dtype).itemsize)
        return in_step(products.several, products.size, probes, steps, first, products.dtype)

    found = found_from(seed)
    unit = 16 * float(np.finfo(products.dtype).eps)
    error = found.error + products.cancelled + unit * float(np.max(np.abs(found.nodes), initial=0.0))

    def again() -> bool:
        other = found_from(seed + probes)
        return bool(abs(other.mean - found.mean) <= 5 * (other.error + error) + 1e-9 * abs(found.mean))

    return _measured(
        f"the mean of the {products.size:,} eigenvalues is {found.mean:.6g}, its standard error {error:.2g}",
        found,
        error,
        ("stochastic Lanczos quadrature", "v'phi(H)v = sum w_i phi(theta_i)",
         f"{probes} probes of {steps} steps; {found.negative:.3g} of the eigenvalues lie below 0, with a standard "
         f"error of {found.negative_error:.2g}"),
        f"About {found.negative:.2%} of the eigenvalues are negative, and their mean is {found.mean:.4g}.",
        products,
        seed,
        again,
    )  # fmt: skip
