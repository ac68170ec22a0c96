"""Integer arithmetic on the data: a quotient that is zero everywhere, a result that wraps around.

Images come as uint8. In that type 200 // 255 is 0, so that an image "scaled to [0, 1]" is black, and 10 - 20 is 246,
since b bits hold whole numbers modulo 2^b. NumPy and JAX do what the type says, without a word.

What is taken for a mistake is certain: a division of whole numbers from the data whose quotient is zero in every
element though the dividend is not, and is used nowhere else (the day of a minute is rightly 0 on the first day); or an
addition, subtraction or multiplication of 8- or 16-bit numbers from the data whose result is another than in 64 bits.
In both cases the result is used as a floating-point number, not as an index.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from qed.answer import Advice, Answer, Finding, Reason, Standing
from qed.graph.dtypes import is_extended, is_inexact
from qed.graph.graph import Atom, Equation, Variable
from qed.why.case import Case
from qed.why.mistakes.flat import VIEWS, Flat, compute
from qed.why.mistakes.tried import advice
from qed.why.words import plural

SMALLEST = 8
_ARITHMETIC = {"add": np.add, "sub": np.subtract, "mul": np.multiply}
_SIGNS = {"add": "+", "sub": "-", "mul": "*"}
_ON = VIEWS | {"select_n", "sub", "add", "mul", "concatenate", "pad", "slice"}


def integer_arithmetic(case: Case, flat: Flat) -> list[Answer[Any]]:
    """The first place where integer arithmetic loses the data (QED212)."""
    prepared = case.prepared
    found = list(_candidates(flat))
    if not found or case.clock.left <= 0:
        return []
    wanted = [atom for equation in found for atom in (*equation.inputs, equation.outputs[0])]
    values = iter(compute(flat, prepared.join(prepared.parameters, prepared.data), wanted))
    for equation in found:
        left, right, result = (np.asarray(next(values)).astype(np.int64) for _ in range(3))
        if equation.primitive == "div":
            lost = result.size >= SMALLEST and not result.any() and len(np.unique(left)) > 2
            if lost and not _used_elsewhere(flat, equation):
                return [_black(case, flat, equation, left, right)]
        else:
            exact = _ARITHMETIC[equation.primitive](left, right)
            if (exact != result).any():
                return [_wrapped(case, equation, left, right, exact, result)]
    return []


def _candidates(flat: Flat) -> Iterator[Equation]:
    for equation in flat.graph.equations:
        out = equation.outputs[0]
        if (
            equation.primitive not in (*_ARITHMETIC, "div")
            or is_extended(out.dtype)
            or np.dtype(out.dtype).kind not in "iu"
        ):
            continue
        small = np.dtype(out.dtype).itemsize <= 2
        if (small or equation.primitive == "div") and flat.on_data(out) and not flat.on_parameters(out):
            if _becomes_float(flat, out):
                yield equation


def _becomes_float(flat: Flat, value: Variable) -> bool:
    """Whether the value is used as a floating-point number, and not as an index or a mask alone."""
    waiting, seen = [value], set()
    while waiting:
        for user in flat.uses.get(waiting.pop(), ()):
            if user in seen:
                continue
            seen.add(user)
            if user.primitive in ("gather", "dynamic_slice", "scatter", "scatter-add"):
                continue
            if any(is_inexact(out.dtype) for out in user.outputs):
                return True
            if user.primitive in _ON:
                waiting += user.outputs
    return False


def _used_elsewhere(flat: Flat, equation: Equation) -> bool:
    """Whether the dividend has a use beside the quotient; its sign and remainder serve that itself if only compared."""
    waiting: list[Atom] = [equation.inputs[0]]
    while (maker := flat.maker(waiting[-1])) is not None and maker.primitive in VIEWS:
        waiting.append(maker.inputs[0])
    chain, seen = set(waiting), {equation}
    while waiting:
        value = waiting.pop()
        for user in flat.uses.get(value, ()) if isinstance(value, Variable) else ():
            if user in seen or user.outputs[0] in chain or user.primitive in ("eq", "ge", "gt", "le", "lt", "ne"):
                continue
            seen.add(user)
            if user.primitive not in ("rem", "sign"):
                return True
            waiting += user.outputs
    return False


def _black(case: Case, flat: Flat, equation: Equation, left: np.ndarray, right: np.ndarray) -> Answer[Any]:
    top, by = int(np.abs(left).max()), int(np.abs(right).min())
    text = f"the quotient of whole numbers is 0 in all {left.size} elements: at most {top} // {by}"
    reason = Reason(
        "division of whole numbers",
        formula="a // b = 0 for 0 <= a < b",
        text=f"the dividend reaches {top}, the divisor is at least {by}: nothing of the data is left",
        predicted=0,
        observed=0,
        standing=Standing.MEASURED,
    )
    return _answer(case, equation, text, reason, "0 everywhere", _true_division(case, flat, equation, right))


def _true_division(case: Case, flat: Flat, equation: Equation, right: np.ndarray) -> tuple[Advice, ...]:
    """The run with a true quotient, where the next equation makes the whole number a float."""
    users = flat.uses.get(equation.outputs[0], ())
    dividend = equation.inputs[0]
    by = jnp.asarray(right)
    if len(users) != 1 or not isinstance(dividend, Variable) or dividend.shape != equation.outputs[0].shape:
        return ()
    out = users[0].outputs[0]
    if users[0].primitive != "convert_element_type" or not is_inexact(out.dtype):
        return ()
    return advice(
        case, flat, {out: (dividend, lambda v: v.astype(out.dtype) / by.astype(out.dtype))}, "divide with /, not //"
    )


def _wrapped(
    case: Case, equation: Equation, left: np.ndarray, right: np.ndarray, exact: np.ndarray, result: np.ndarray
) -> Answer[Any]:
    wrong = exact != result
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    a, b = (int(np.broadcast_to(x, exact.shape)[first]) for x in (left, right))
    dtype, sign = np.dtype(equation.outputs[0].dtype), _SIGNS[equation.primitive]
    shown = f"{a} {sign} {b} = {int(result[first])}"
    text = f"{dtype} arithmetic wraps around in {int(wrong.sum())} of {plural(wrong.size, 'element')}: {shown}"
    reason = Reason(
        f"whole numbers modulo 2^{8 * dtype.itemsize}",
        text=f"in element {list(first)} {a} {sign} {b} is {int(exact[first])}; {dtype} makes it {int(result[first])}",
        predicted=int(exact[first]),
        observed=int(result[first]),
        standing=Standing.MEASURED,
    )
    return _answer(case, equation, text, reason, shown, ())


def _answer(
    case: Case, equation: Equation, text: str, reason: Reason, note: str, tried: tuple[Advice, ...]
) -> Answer[Any]:
    witness = {"primitive": equation.primitive, "dtype": str(equation.outputs[0].dtype), "note": note}
    return Answer(
        "the arithmetic on the data keeps their numbers",
        Standing.REFUTED,
        arithmetic=case.prepared.dtype,
        reasons=(reason,),
        findings=(Finding("QED212", text, equation.span, witness),),
        advice=tried,
        recheck=lambda: reason.observed is not None,
    )
