"""Eigenvalues of the Hessian at a point, each with an error bar, from Hessian-vector products alone.

The Hessian of n parameters has n^2 entries; Lanczos needs products with vectors and keeps a few of those
(`qed.calculus.lanczos`). For a unit vector v and theta = v'Hv, some eigenvalue lies within |H v - theta v| of theta
(Parlett, *The Symmetric Eigenvalue Problem*, 1998, theorem 4.5.1): each number is given with that residual, from a
fresh product in float64, or, of a large function, from Lanczos' own recurrence in the program's arithmetic, with what
rounding does to it measured by a product in float64. What such bounds do not say is that no other eigenvalue is larger
or smaller: one whose vector the start hardly meets comes late. So the claim is about each interval, and not about an
order. Where the Hessian has few entries, its eigenvalues are counted instead, and each is proved by its number
(`qed.calculus.spectra.sparse`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from qed.answer import Answer, Missing, Reason
from qed.calculus.lanczos import Krylov
from qed.calculus.points.case import Case
from qed.calculus.points.corners import without_hessian
from qed.calculus.points.touched import touched
from qed.calculus.shares import shares
from qed.calculus.spectra.products import SMALL, Products, cut, is_mean, room_for, sized, too_large_to_form
from qed.calculus.spectra.proved import proved_answer
from qed.calculus.spectra.result import Spectrum, whole
from qed.calculus.spectra.searching import WHICH, beginning, how, measured, room_of, search, wanted
from qed.calculus.spectra.sparse import sparse_eigenvalues
from qed.errors import QedError
from qed.findings import Finding
from qed.graph.function import Function, read
from qed.progress import Note
from qed.standing import Standing

Array = np.ndarray


def spectrum(
    fun: Callable[..., Any],
    x: Any,
    *args: Any,
    k: int = 5,
    which: str = "magnitude",
    seed: int = 0,
    tol: float = 1e-3,
    parts: int = 1,
    budget: float | None = None,
    progress: Callable[[str, int, int], Any] | None = None,
) -> Answer[Spectrum]:
    """Eigenvalues of the Hessian of fun(x, *args) in x, each with how far it may be off.

    Args:
        fun: a function of a tree of arrays that returns a number.
        x: the point, a tree with floating-point arrays.
        args: the other arguments, held constant.
        k: how many eigenvalues; no more than there are parameters are given.
        which: 'magnitude', 'largest' or 'smallest': which end of the spectrum is searched.
        seed: of the random start.
        tol: the residual at which the search stops, in relation to the eigenvalue (and no less than a hundredth of the
            largest one seen).
        parts: into how many parts of equal length the rows of the data in `args` are cut, which are asked one after
            another, so that a product needs the memory of one; fun must be the mean over the rows (it is checked).
        budget: seconds; what is known then is given.
        progress: called with (what, done, total); before the search with the sentence that says the size.

    Returns:
        An answer whose value is a `Spectrum`, MEASURED: an eigenvalue lies within `errors[i]` of `eigenvalues[i]`.
        It is not claimed that they are the k largest. PROVED, each by its number from below or above, for 200 to 1000
        parameters where the Hessian has few entries (without `budget` and `parts`). UNKNOWN where the gradient has no
        derivative or is not finite, or f is no number, or (up to 20,000 parameters) a corner or a jump is met at the
        point and shows around it. What stands behind a stop_gradient is held constant, as the program's gradient holds
        it; where that takes something of the Hessian of the values away, QED101 or QED107 says so, and the claim too.

    Raises:
        QedError: as `qed.graph.function.read` does; QED007 for a k or a `which` that is none, and for `parts` of which
            fun is not the mean; QED702 where the vectors do not fit into memory, before anything is allocated.

    Example:
        >>> import jax.numpy as jnp
        >>> answer = spectrum(lambda x: jnp.sum(jnp.array([1.0, -5.0, 3.0]) * x**2), jnp.zeros(3), k=2)
        >>> answer.eigenvalues.round(6).tolist(), bool(max(answer.errors) < 1e-9), answer.shares[0][0]
        ([-10.0, 6.0], True, ('x[1]', 1.0))
    """
    started = time.monotonic()
    _check(k, which, tol, budget, parts)
    whole("seed", seed, 0, least=0)
    function = read(fun, x, *args)
    k = min(int(k), function.size)
    most = room_of(function.size, k)
    products = Products(function, _parts(function, fun, x, args, parts))
    findings = too_large_to_form(function, k, most + 1)
    room_for(function, most + 1, np.dtype(products.dtype).itemsize)
    if findings and progress is not None:
        progress(Note(findings[0].message), 0, k)
    findings = (*findings, *products.findings)
    case = Case(fun, x, args, function)
    without = _without_hessian(case, products)
    if without is not None:
        return _unknown(function, without)
    try:
        stopped = products.stopped
    except NotImplementedError:
        stopped = None  # the search will say so
    findings = findings if stopped is None else (stopped, *findings)
    sparse = budget is None and parts == 1 and stopped is None
    proved = sparse_eigenvalues(case, k, which, seed) if sparse else None
    if proved is not None:
        meta = {"dtype": function.dtype, "seconds": time.monotonic() - started, "seed": seed}
        answer = proved_answer(case, proved, products, seed)
        return replace(answer, findings=findings, subject=function.title("parameter"), meta=meta)
    end = None if budget is None else started + budget
    try:
        krylov = Krylov(products, function.size, most, seed, products.dtype, beginning(products, seed))
        finite = search(krylov, k, which, tol, end, progress)
    except NotImplementedError:
        return _unknown(function, Missing("the gradient has no derivative in JAX", "a function without such a rule"))
    if not finite and krylov.count == 0:
        missing = Missing(
            "a Hessian-vector product is not finite", "a point where the second derivatives are finite", "QED210"
        )
        return _unknown(function, missing)
    answer = _answer(case, krylov, products, k, which, seed)
    if answer.value is not None:
        answer = replace(answer, headline=f"{answer.headline}{_beyond(answer.value, tol)}")
    meta = {"dtype": function.dtype, "seconds": time.monotonic() - started, "seed": seed}
    reasons = (*answer.reasons, *sized(findings))
    return replace(answer, findings=findings, reasons=reasons, subject=function.title("parameter"), meta=meta)


def _parts(function: Function, fun: Any, x: Any, args: Any, parts: int) -> tuple[Function, ...]:
    if parts == 1:
        return ()
    found = cut(lambda *given: read(fun, *given), x, args, parts)
    if not is_mean(function, found):
        because = "the mean of its values on the parts is not its value on the whole"
        raise QedError("QED007", f"the function is not the mean over {parts} parts", because, "drop parts=")
    return found


def _check(k: Any, which: str, tol: float, budget: float | None, parts: Any = 1) -> None:
    if isinstance(parts, bool) or not isinstance(parts, int | np.integer) or parts < 1:
        raise QedError("QED007", f"parts={parts!r} is no number of parts", "it is a positive whole number", "parts=4")
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise QedError("QED007", f"k={k!r} is no number of eigenvalues", "it is a positive whole number", "give k=5")
    if which not in WHICH:
        instead = "give which='magnitude', 'largest' or 'smallest'"
        raise QedError("QED007", f"which={which!r} is no end of a spectrum", "there are three", instead)
    if not tol > 0 or (budget is not None and not budget > 0):
        raise QedError("QED007", f"tol={tol!r}, budget={budget!r}", "both are positive", "give tol=1e-3, budget=60.0")


def _without_hessian(case: Case, products: Products) -> Missing | None:
    """Why there is no Hessian at the point: f is no number there, or, of a small function, has a corner or a jump."""
    function = case.function
    small = function.size <= SMALL
    value, met = touched(function) if small else (products.value, False)
    if not np.isfinite(value):
        return Missing(f"the value at the point is {value}", "a point where the function is finite", "QED210")
    why = without_hessian(case, met)
    if why:
        return Missing(why, "a point off the corner", "QED104")
    return None


def _unknown(function: Function, missing: Missing) -> Answer[Spectrum]:
    claim = "the eigenvalues of the Hessian are known"
    headline = f"Unknown: {missing.what}."
    subject = function.title("parameter")
    findings = () if missing.code is None else (Finding(missing.code, missing.what, missing.span),)
    return Answer(
        claim, Standing.UNKNOWN, None, missing=(missing,), findings=findings, headline=headline, subject=subject
    )


def _answer(case: Case, krylov: Krylov, products: Products, k: int, which: str, seed: int) -> Answer[Spectrum]:
    function = case.function
    ritz, _ = krylov.ritz()
    values, errors, vectors = measured(krylov, products, wanted(ritz, k, which))
    if not (np.isfinite(values).all() and np.isfinite(errors).all()):
        return _unknown(function, Missing("a product is beyond the range of its numbers", "a smaller scale", "QED201"))
    paths = function.paths
    named = tuple(shares(v, paths, case.shapes) for v in vectors)
    value = Spectrum(
        values, errors, tuple(case.tree(v) for v in vectors), named, function.size, products.count,
        float(ritz[0]), float(ritz[-1]), seed, products, case.tree,
    )  # fmt: skip
    first = f"{values[0]:.6g}, off by at most {errors[0]:.2g}"
    ends = {"magnitude": "eigenvalue of largest size"}.get(which, f"{which} eigenvalue")
    told = ", ".join(f"{share:.0%} {name}" for name, share in named[0] if share >= 0.05)
    rule = how(products)
    rows = tuple(
        Reason(
            rule,
            "|l - t| <= |H v - t v|",
            f"{t:.6g} within {e:.2g}",
            predicted=float(t),
            observed=float(t),
            standing=Standing.MEASURED,
            role="value",
            text=f"an eigenvalue within {e:.2g} of {t:.6g}: "
            + (", ".join(f"{s:.0%} {name}" for name, s in names if s >= 0.05) or "spread over all parameters"),
        )
        for t, e, names in zip(values, errors, named, strict=True)
    )
    matrix = "the Hessian" if products.stopped is None else "the Hessian, with what is stopped held constant,"
    held = "" if products.stopped is None else " What stands behind a stop_gradient is held constant."
    return Answer(
        f"{matrix} has an eigenvalue within {errors[0]:.2g} of {values[0]:.6g}"
        + (", and one within its error of each other number told" if len(values) > 1 else ""),
        Standing.MEASURED,
        value,
        arithmetic=products.arithmetic,
        reasons=rows,
        headline=f"The {ends} that was found is {first}: {told or 'spread over all parameters'}.{held}",
        recheck=lambda: _again(case, products, values, errors, k, which, seed + 1),
    )


def _beyond(found: Spectrum, tol: float) -> str:
    """How many errors exceed the tolerance, in words: the search ended early, or rounding is larger."""
    sizes = np.abs(found.eigenvalues)
    wide = int(np.sum(found.errors > tol * np.maximum(sizes, 1e-2 * np.max(sizes, initial=0.0))))
    return f" {wide} of {len(sizes)} errors exceed the tolerance, {tol:g} of the eigenvalue." if wide else ""


def _again(case: Case, products: Products, values: Array, errors: Array, k: int, which: str, seed: int) -> bool:
    """Whether a search from another start finds no eigenvalue beyond the first, and the first again."""
    size = case.function.size
    krylov = Krylov(products, size, room_of(size, k), seed, products.dtype)
    search(krylov, k, which, 1e-3)
    ritz, _ = krylov.ritz()
    found, room, _ = measured(krylov, products, wanted(ritz, 1, which))
    return bool(abs(abs(found[0]) - abs(values[0])) <= room[0] + errors[0] + 1e-3 * abs(values[0]))
