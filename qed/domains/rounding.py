"""The shadow's bound: how far two runs of one program may differ because they round differently.

Every executed equation computes y (1 + d) with |d| <= k u: u is the unit roundoff of its dtype, k the number of
roundings behind one element. To first order the result L moves by the adjoint of y times that error, so that

    bound = 2 sum over executed equations of < |adjoint(y)|, k u |y| >

(running error analysis: Wilkinson, 1963; Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., SIAM 2002,
section 3.3; weighted by adjoints: Griewank and Walther 2008, section 4.1). The factor 2 is there because the
bound is between two runs, and each errs. Instead of |y|:

- a sum, a product of matrices and a convolution of n terms: k = n, and |y| is the same sum of absolute values;
- a factorisation or a solver is backward stable: its *inputs* are perturbed, by n u times their largest element;
- an equation that only moves elements does not round.

Limits. First order in u: products of errors are left out, so the bound means nothing where it is not small beside
L. XLA states no bounds for elementary functions: `ULPS` of them are assumed, more for the special functions
named in `LOOSE` (they were measured against balls). A call with a derivative rule of the user's counts one rounding per
equation of its body. What has derivative zero (comparisons, rounding to integers, stop_gradient) may jump, and
then the runs differ *in kind*: `compare` says so instead of giving a number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import jax.numpy as jnp
import numpy as np

from qed import facts
from qed.domains.adjoint import adjoints, dense
from qed.domains.backward import Tape, record
from qed.domains.exact import kept, on_host
from qed.graph import jaxpr
from qed.graph.dtypes import as_wide, is_inexact, unit_roundoff
from qed.graph.graph import Graph
from qed.graph.walk import Cell, Entry, Unknown

ULPS = 8.0
"""Roundings assumed of one elementary function."""

LOOSE: dict[str, float] = {
    **dict.fromkeys(("digamma", "lgamma", "igamma", "igammac", "polygamma", "zeta"), 1e5),
    **dict.fromkeys(("bessel_i0e", "bessel_i1e", "erf_inv", "erfc", "igamma_grad_a", "random_gamma_grad"), 1e3),
    "regularized_incomplete_beta": 1e5,
}
"""More of them where they were measured: erfc 507, digamma 4.5e4; lgamma is 6e6 near its zeros."""

_EXACT = frozenset({"neg", "abs", "sign", "max", "min", "clamp", "floor", "ceil", "round", "real", "imag", "copy"})
SUMS = frozenset({"reduce_sum", "cumsum", "reduce_window_sum", "dot_general", "conv_general_dilated", "fft"})
FOLDS = frozenset({"reduce_prod", "cumprod", "cumlogsumexp", "reduce", "reduce_window", "scatter-add", "scatter-mul"})
_CORRECT = frozenset({"add", "sub", "mul", "div", "sqrt", "convert_element_type", "square"})


class Agreement(StrEnum):
    """How two runs of one program compare."""

    EQUAL = "equal"
    ROUNDING = "equal up to rounding"
    DEPENDS = "depends on compilation"


@dataclass(frozen=True)
class Comparison:
    """Two values of one program, and the verdict.

    Args:
        walked: equation by equation.
        other: the other run, compiled or not.
        bound: how much rounding explains; None where it could not be computed.
        agreement: the verdict.
    """

    walked: float
    other: float
    bound: float | None
    agreement: Agreement


def compare(walked: Any, other: Any, bound: float | None) -> Comparison:
    """Compare the walked value of a scalar with that of another run of the same program.

    Both finite and within the bound, or both the same non-finite number: rounding. One finite and the other not,
    NaN and inf, or a difference that rounding does not explain (a branch taken differently): it depends on
    compilation.

    Example:
        >>> import math
        >>> compare(1.0, 1.0 + 1e-7, 1e-6).agreement.value, compare(math.inf, 1.7e7, None).agreement.value
        ('equal up to rounding', 'depends on compilation')
    """
    a, b = float(np.asarray(walked).astype(np.float64)), float(np.asarray(other).astype(np.float64))
    if a == b or (math.isnan(a) and math.isnan(b)):
        return Comparison(a, b, bound, Agreement.EQUAL)
    same_kind = math.isfinite(a) and math.isfinite(b)
    near = same_kind and bound is not None and not abs(a - b) > bound
    return Comparison(a, b, bound, Agreement.ROUNDING if near else Agreement.DEPENDS)


def rounding_bound(graph: Graph, arrays: Sequence[Any], tape: Tape | None = None) -> float | None:
    """The bound for the first output of a graph; None where an adjoint or a value is unknown or not finite.

    Args:
        graph: the graph; its first output is a real scalar.
        arrays: one array per input.
        tape: a tape recorded with every floating input active, if there is one already.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> traced = trace(lambda x: jnp.sum(x * x), jnp.float32([1, 2]))
        >>> rounding_bound(traced.graph, traced.leaves) / 2**-24
        35.0
    """
    every = [i for i, variable in enumerate(graph.inputs) if is_inexact(variable.dtype)]
    tape = tape or record(graph, arrays, every)
    if any(isinstance(cell.values[0], Unknown) for cell in tape.outputs[:1]):
        return None
    found = adjoints(graph, arrays, every, tape=tape)
    total = 0.0
    for entry in tape.entries:
        part = entry_error(entry, found.cotangents.totals)
        if part is None:
            return None
        total += part
    value = tape.outputs[0]
    total = 2 * total + unit_roundoff(value.dtype) * abs(float(as_wide(value.values[0])))
    return total if math.isfinite(total) else None


def entry_error(entry: Entry, totals: Mapping[Cell, Any]) -> float | None:
    """<|adjoint|, k u |value|> of one entry, by the adjoints of its cells; None where it is unknown."""
    if entry.kind != "equation" or not entry.outputs:
        return 0.0
    if facts.classify(entry.equation.primitive) is facts.Class.LINALG:
        return _of_inputs(entry, totals)
    total = 0.0
    for cell in entry.outputs:
        weight = totals.get(cell)
        if weight is None or not is_inexact(cell.dtype):
            continue
        weight = dense(weight)
        if isinstance(weight, Unknown) or isinstance(cell.values[0], Unknown):
            return None
        count, size = roundings(entry, cell.values[0])
        if count:
            total += count * unit_roundoff(cell.dtype) * _product(weight, size)
    return total


def _product(weight: Any, size: Any) -> float:
    """<|weight|, size>, where an element of weight zero counts nothing, even if it is not finite."""
    weight = np.abs(as_wide(weight))
    with np.errstate(invalid="ignore"):  # inf times 0 leaves the bound unknown
        return float(np.sum(np.where(weight == 0, 0.0, weight) * np.where(weight == 0, 0.0, size)))


def _of_inputs(entry: Entry, totals: Mapping[Cell, Any]) -> float | None:
    total = 0.0
    for cell in entry.inputs:
        weight = dense(totals.get(cell))
        if isinstance(weight, Unknown):
            return None
        if weight is not None and cell.values[0].size:
            top = np.max(np.abs(as_wide(cell.values[0])))
            count = 10 * max(cell.shape, default=1)
            total += count * unit_roundoff(cell.dtype) * _product(weight, float(top))
    return total


def roundings(entry: Entry, value: Any) -> tuple[float, np.ndarray]:
    """(k, the numbers of which each rounding is a fraction u) of an entry's output."""
    primitive, equation = entry.equation.primitive, entry.equation
    size = np.abs(as_wide(value))
    if primitive in SUMS and equation.native is not None:
        operands = [_size(cell.values[0]) for cell in entry.inputs]
        sums = size + 1 if primitive == "fft" else np.abs(as_wide(jaxpr.bind(equation.native, operands)[0]))
        return float(max(1, _terms(entry))), sums
    if primitive in FOLDS:
        return float(max(1, *(math.prod(cell.shape) for cell in entry.inputs))), size
    if equation.call is not None:
        return ULPS * sum(graph.count() for graph in equation.call.graphs), size
    return of_one_number(primitive), size


def of_one_number(primitive: str) -> float:
    """How many roundings are behind one number of an operation on single numbers; 0 where it is exact, or is none.

    Example:
        >>> of_one_number("mul"), of_one_number("tanh"), of_one_number("neg"), of_one_number("transpose")
        (1.0, 8.0, 0.0, 0.0)
    """
    if primitive in _EXACT:
        return 0.0
    if facts.classify(primitive) in (facts.Class.UNARY, facts.Class.ARITHMETIC) or primitive == "polynomial":
        return 1.0 if primitive in _CORRECT else LOOSE.get(primitive, ULPS)
    return 1.0 if primitive in ("convert_element_type", "reduce_precision") else 0.0


def _size(value: Any) -> Any:
    known = on_host(value)
    return jnp.abs(value) if known is None or not kept(known) else np.abs(known)


def _terms(entry: Entry) -> int:
    """How many terms one element of a sum has, at most."""
    read = max(math.prod(cell.shape) for cell in entry.inputs)
    if entry.equation.primitive == "dot_general":
        ((left, _), _) = entry.equation.params["dimension_numbers"]
        return math.prod(entry.inputs[0].shape[axis] for axis in left)
    if entry.equation.primitive == "conv_general_dilated":
        return math.prod(entry.inputs[1].shape)
    written = math.prod(entry.outputs[0].shape)
    return read // max(1, written) if entry.equation.primitive == "reduce_sum" else read
