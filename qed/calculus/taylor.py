"""Taylor's theorem for a user's program: the polynomial at a point, and what is left.

    f(a + t d) = sum_{k=0..n} c_k t^k + R(t),   c_k = D^k f(a)[d, ..., d] / k!,   R(t) = c_{n+1}(s) t^{n+1}

for some s between 0 and t, if f is n + 1 times continuously differentiable on the segment (Lagrange's form: Apostol,
*Calculus*, volume 1, 1967, section 7.7). The coefficients are those of the program's *values*: rules that the user
attaches to a function and stop_gradient are not asked. The remainder is proved by enclosing c_{n+1} on the segment.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from qed.answer import Answer, Enclosed, Missing, Reason, Standing
from qed.calculus.expanding.coefficients import LARGEST, NotExpandable, along, tensors
from qed.calculus.expanding.comparison import NEXT, compare, contracted
from qed.calculus.expanding.cube import certified_tensors
from qed.calculus.expanding.exact import exact_series
from qed.calculus.expanding.limits import Limits, at_a_tie, limits
from qed.calculus.expanding.model import TaylorModel, polynomial_text
from qed.calculus.expanding.remainder import NotEnclosed, certified
from qed.calculus.expanding.trust import reason as trusted
from qed.calculus.expanding.trust import trust
from qed.calculus.expanding.words import lagrange, lagrange_on_cube, outward, series_reasons, told
from qed.calculus.gradient.directions import directions
from qed.calculus.hessian import flatten
from qed.certificates.reading import as_read
from qed.errors import QedError
from qed.findings import Finding
from qed.graph.function import Function, read
from qed.graph.trace import is_float

HIGHEST_ORDER = 60
"""Beyond, k! leaves the range of single precision and the recurrences are longer than any use of them."""

FURTHER = 8
"""How many coefficients after the last are looked at where the next ones are 0."""
LINES = 3
"""Along how many lines coefficients around the point are asked, where none is given."""


def taylor(
    fun: Callable[..., Any],
    at: Any,
    *args: Any,
    order: int,
    direction: Any = None,
    radius: float | None = None,
) -> Answer[TaylorModel]:
    """Expand ``fun(at + t direction, *args)`` in t, with a proved remainder for |t| <= radius if one is asked for.

    Args:
        fun: a JAX function that returns one real number.
        at: the point: any pytree of floating-point numbers.
        args: data; held constant.
        order: the degree of the polynomial, 0 to 60; without a direction and for several variables 0 to 3.
        direction: a pytree like `at`. Without it a function of one number is expanded in that number, another one into
            symmetric tensors: value, gradient, half the Hessian, a sixth of the third derivative.
        radius: how far the remainder is enclosed: for |t| <= radius, or for every |h_i| <= radius without a direction.

    Returns:
        An answer whose value is the `TaylorModel`. Its claim is about the program's values. PROVED with `remainder`
        where a radius is given; MEASURED without one, the polynomial compared with the program beside the point, and at
        a tie its coefficients with those around it, to order 8; UNKNOWN where
        a rule is missing (its primitive and line are named) or a coefficient is not finite.

    Raises:
        QedError: QED002, QED003, QED004, QED006, QED007, QED010, as `qed.graph.function.read` does; QED007 for
            an order, a direction or a radius that is none.

    Example:
        >>> answer = taylor(jax.numpy.exp, 0.0, order=3)
        >>> [str(c) for c in answer.exact], answer.general_term
        (['1', '1', '1/2', '1/6'], 'x^k / k!')
    """
    started = time.perf_counter()
    function = read(fun, at, *args)
    order = _order(order, function, direction)
    radius = _radius(radius)
    slopes = _direction(function, at, direction)
    common: dict[str, Any] = {
        "arithmetic": function.dtype.split(", ")[0],
        "subject": f"Taylor polynomial of {function.name}, order {order}",
    }
    try:
        model, beyond = _expanded(function, at, order, direction, slopes, radius)
    except NotExpandable as lost:
        return _without_rule(function, order, lost, common)
    if order == 2 and all(np.isfinite(np.asarray(c)).all() for c in model.coefficients):
        model = dataclasses.replace(model, trust=trust(function, model, None if direction is None else slopes))
    if radius is not None:
        answer = _with_remainder(function, model, args, slopes, common)
    else:
        answer = _answer(function, model, beyond, slopes, common)
    meta = {"seconds": time.perf_counter() - started, "dtype": function.dtype}
    return as_read(dataclasses.replace(answer, meta=meta), function.traced)


# --- what is asked --------------------------------------------------------------------------------------------


def _order(order: Any, function: Function, direction: Any) -> int:
    whole = isinstance(order, int | np.integer) and not isinstance(order, bool)
    if not whole or not 0 <= order <= HIGHEST_ORDER:
        raise QedError(
            "QED007",
            f"order={order!r} is no degree of a polynomial here",
            f"it is a whole number from 0 to {HIGHEST_ORDER}",
            "give order=2, say",
        )
    if direction is not None or function.size == 1:
        return int(order)
    if order > 3:
        raise QedError(
            "QED007",
            f"order={order} of a function of {function.size} numbers asks for {function.size}^{order} derivatives",
            "without a direction the order is at most 3",
            "give a direction, or order=3",
        )
    if function.size > LARGEST[int(order)]:
        raise QedError(
            "QED007",
            f"order={order} of a function of {function.size} numbers has {float(function.size) ** order:.3g} entries",
            f"without a direction at most {LARGEST[int(order)]} variables are expanded to that order",
            "give a direction",
        )
    return int(order)


def _radius(radius: Any) -> float | None:
    if radius is None:
        return None
    try:
        number = float(radius)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 < number < math.inf or isinstance(radius, bool):
        raise QedError("QED007", f"radius={radius!r} is no radius", "it is a positive number", "give radius=0.1, say")
    return number


def _direction(function: Function, at: Any, direction: Any) -> tuple[Any, ...] | None:
    """The direction's arrays in the order of the parameters; None for tensors."""
    if direction is None:
        return tuple(jnp.ones_like(p) for p in function.parameters) if function.size == 1 else None
    wanted, found = jax.tree.structure(at), jax.tree.structure(direction)
    if wanted != found:
        _refuse(f"it is the tree {found}", f"a tree like the point, {wanted}")
    slopes = []
    for point, slope in zip(jax.tree.leaves(at), jax.tree.leaves(direction), strict=True):
        if not is_float(point):
            continue
        if not (is_float(slope) or isinstance(slope, int)) or np.shape(slope) != np.shape(point):
            kind = f"shape {np.shape(slope)}, dtype {getattr(slope, 'dtype', type(slope).__name__)}"
            _refuse(f"an array in it has {kind}", f"shape {np.shape(point)}, floating-point")
        if not np.isfinite(np.asarray(slope, np.float64)).all():
            _refuse("it holds NaN or inf", "finite numbers")
        slopes.append(jnp.asarray(slope, jnp.result_type(point)))
    return tuple(slopes)


def _refuse(because: str, instead: str) -> NoReturn:
    raise QedError("QED007", "the direction does not fit the point", because, f"give {instead}")


# --- the polynomial -------------------------------------------------------------------------------------------


def _expanded(
    function: Function, at: Any, order: int, direction: Any, slopes: tuple[Any, ...] | None, radius: float | None
) -> tuple[TaylorModel, tuple[float, ...]]:
    """The model, and the sizes of the next coefficients, as an estimate of what is left."""
    if slopes is not None:
        terms = along(function, order + NEXT)(function.parameters, slopes)
        numbers = tuple(float(np.asarray(term)) for term in terms)
        exact, known = exact_series(function, order) if direction is None else (None, None)
        model = TaylorModel(numbers[: order + 1], order, at, direction, radius, exact=exact, known=known)
        return model, tuple(map(abs, numbers[order + 1 :]))
    found = tensors(function, order)
    shape = np.shape(function.parameters[0]) if len(function.parameters) == 1 else (function.size,)
    shaped = tuple(tensor.reshape(shape * k) if k else float(tensor) for k, tensor in enumerate(found))
    return TaylorModel(shaped, order, at, None, radius), ()


def _without_rule(function: Function, order: int, lost: NotExpandable, common: dict[str, Any]) -> Answer[TaylorModel]:
    unknown = lost.unknown
    missing = Missing(str(unknown), "a rule for it", "QED020", unknown.primitive, unknown.span)
    finding = Finding("QED020", str(unknown), unknown.span)
    claim = f"the Taylor polynomial of {function.name} of order {order} is known"
    return Answer(claim, Standing.UNKNOWN, findings=(finding,), missing=(missing,), **common)


def _with_remainder(
    function: Function,
    model: TaylorModel,
    args: tuple[Any, ...],
    slopes: tuple[Any, ...] | None,
    common: dict[str, Any],
) -> Answer[TaylorModel]:
    """The polynomial with its remainder, proved; or UNKNOWN with the polynomial and what is missing."""
    radius = model.radius
    assert radius is not None
    claim = f"{function.name} differs from its Taylor polynomial of order {model.order} by a bounded remainder"
    wrong = _not_finite(model)
    if wrong is not None:
        return Answer(claim, Standing.UNKNOWN, model, missing=(wrong,), **common)
    at = _as_the_program_has_it(model.at)
    along_it = jax.tree.map(_one, at) if model.direction is None else _as_the_program_has_it(model.direction)
    proof: Any
    try:
        if slopes is None:
            proof = certified_tensors(function, at, args, model.coefficients, radius)
        else:
            proof = certified(function, at, args, along_it, slopes, model.coefficients, radius)
    except NotEnclosed as lost:
        unknown = lost.unknown
        rule = unknown is not None and unknown.why == "no rule for"
        primitive, span = (None, None) if unknown is None else (unknown.primitive, unknown.span)
        missing = Missing(str(lost), "a smaller radius, or a rule", "QED020" if rule else None, primitive, span)
        return Answer(claim, Standing.UNKNOWN, model, missing=(missing,), reasons=_reasons(model), **common)
    model = dataclasses.replace(model, remainder=Enclosed(proof.lower, proof.upper))
    where = f"|t| <= {told(radius)}" if slopes is not None else f"h with every |h_i| <= {told(radius)}"
    claim = (
        f"for all {where}{_as_typed(model, at)}, {function.name} minus its Taylor polynomial "
        f"of order {model.order} lies in [{outward(proof.lower, -1)}, {outward(proof.upper, 1)}]"
    )
    worst = max(abs(proof.lower), abs(proof.upper))
    headline = f"{function.name} is {_written(model)}, off by at most {outward(worst, 1)} for all {where}."
    shown = lagrange(function, model, slopes) if slopes is not None else lagrange_on_cube(function, model)
    reasons = (*_reasons(model), shown)
    common = {**common, "arithmetic": "reals"}
    return Answer(claim, Standing.PROVED, model, certificate=proof, headline=headline, reasons=reasons, **common)


def _as_the_program_has_it(tree: Any) -> Any:
    """The tree with its numbers as arrays in the program's dtypes."""
    return jax.tree.map(lambda leaf: np.asarray(jnp.asarray(leaf)) if is_float(leaf) else leaf, tree)


def _as_typed(model: TaylorModel, at: Any) -> str:
    """Says that the point is not the number that was given, where its dtype cannot hold that."""
    pairs = zip(jax.tree.leaves(model.at), jax.tree.leaves(at), strict=True)
    if all(np.array_equal(np.asarray(given), np.asarray(held)) for given, held in pairs if is_float(held)):
        return ""
    dtypes = sorted({str(held.dtype) for held in jax.tree.leaves(at) if is_float(held)})
    return f" about the {' and '.join(dtypes)} number nearest to the point"


def _one(leaf: Any) -> Any:
    return np.ones_like(leaf) if is_float(leaf) else leaf


def _reasons(model: TaylorModel) -> tuple[Reason, ...]:
    """The series' name, and how far a quadratic model can be trusted."""
    found = series_reasons(model)
    return found if model.trust is None else (*found, trusted(model.trust, model.direction is None))


def _not_finite(model: TaylorModel) -> Missing | None:
    wrong = next((k for k, c in enumerate(model.coefficients) if not np.isfinite(np.asarray(c)).all()), None)
    settle = "a point where the function has that many derivatives"
    return None if wrong is None else Missing(f"the coefficient of order {wrong} is not finite", settle)


def _answer(
    function: Function,
    model: TaylorModel,
    beyond: Sequence[float],
    slopes: tuple[Any, ...] | None,
    common: dict[str, Any],
) -> Answer[TaylorModel]:
    name = function.name
    wrong = _not_finite(model)
    claim = f"near the point {name} is its Taylor polynomial of order {model.order}, up to terms of higher order"
    if wrong is not None:
        return Answer(claim, Standing.UNKNOWN, model, missing=(wrong,), **common)
    comparison = compare(function, model, beyond, slopes)
    if not comparison.holds and slopes is not None and not any(beyond):  # as of x^5, whose next coefficients are 0
        following = along(function, model.order + FURTHER)(function.parameters, slopes)[model.order + 1 :]
        beyond = tuple(abs(float(np.asarray(term))) for term in following)
        comparison = compare(function, model, beyond, slopes)
    if not comparison.holds:
        what = f"the polynomial and the program differ by {comparison.difference:.3g} at |t| = {comparison.step:.3g}"
        settle = "a point farther from a kink or jump"
        if not comparison.traced and function.dtype != "float64":
            settle += ", or the same in float64"
        missing = Missing(what, settle, "QED104")
        return Answer(claim, Standing.UNKNOWN, model, missing=(missing,), reasons=(comparison.reason(),), **common)
    beside = limits(function, *_on_lines(function, model, slopes)) if at_a_tie(function) else Limits()
    if beside.why:
        missing = Missing(beside.why, "a point farther from a kink or jump", "QED104")
        return Answer(claim, Standing.UNKNOWN, model, missing=(missing,), reasons=(comparison.reason(),), **common)
    left = f"terms of order {model.order + 1}" if beside.bounded else f"what is small beside t^{model.order}"
    headline = f"{name} is {_written(model)} near the point, up to {left}."
    again = lambda: compare(function, model, beyond, slopes, seed=1).holds  # noqa: E731
    return Answer(
        claim,
        Standing.MEASURED,
        model,
        reasons=(*_reasons(model), comparison.reason()),
        headline=headline,
        recheck=again,
        **common,
    )


def _on_lines(
    function: Function, model: TaylorModel, slopes: tuple[Any, ...] | None
) -> tuple[list[list[float]], list[Sequence[Any]]]:
    """The coefficients along the direction, or along a few without small entries; and the directions."""
    if slopes is not None:
        return [list(map(float, model.coefficients))], [slopes]
    ways = [directions([p.shape for p in function.parameters], seed, np) for seed in range(LINES)]
    vectors = [flatten(way) for way in ways]
    return [[contracted(c, k, v) for k, c in enumerate(model.coefficients)] for v in vectors], list(ways)


def _written(model: TaylorModel) -> str:
    if np.ndim(model.coefficients[-1]) == 0:
        at_zero = model.direction is None and float(np.ravel(np.asarray(model.at))[0]) == 0
        return polynomial_text(model.exact or model.coefficients, "x" if at_zero else "t")
    names = ("value", "gradient", "Hessian / 2", "third derivative / 6")
    return "the sum of " + ", ".join(names[: model.order + 1])
