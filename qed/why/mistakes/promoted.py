"""Silent promotion: 32-bit parameters, and a loss that is computed in 64 bits.

With 64-bit mode switched on, NumPy arrays are float64 unless said otherwise, and one of them in a product makes the
product and all that follows float64. The gradient is right; time and memory are about twice as much as they were
meant to be, and on most accelerators far more. It is a note.

A cast that is written there (astype, asarray, float64, dtype=) is on purpose and is not mentioned.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qed.answer import Answer, Finding, Reason, Standing
from qed.graph.dtypes import is_real
from qed.graph.graph import Atom, Equation, Literal
from qed.why.case import Case
from qed.why.mistakes.flat import Flat

_WRITTEN = ("astype", "asarray", "array(", "float64", "double", "dtype")


def promoted(case: Case, flat: Flat) -> list[Answer[Any]]:
    """The first place where 32-bit values that depend on parameters become 64-bit ones by promotion (QED213)."""
    if any(p.dtype.itemsize > 4 for p in case.prepared.parameters):
        return []
    for equation in flat.graph.equations:
        wide = _partner(flat, equation)
        if wide is not None:
            return [_answer(case, flat, equation, wide)]
    return []


def _partner(flat: Flat, equation: Equation) -> Atom | None:
    """The 64-bit array that a 32-bit value meets, in an equation of its own or after a cast that is not written."""
    if _width(equation.outputs[0]) != 8 or not flat.on_parameters(equation.outputs[0]):
        return None
    span = equation.span
    if span is None or any(word in span.text for word in _WRITTEN):
        return None
    if not any(_width(atom) == 4 and flat.on_parameters(atom) for atom in equation.inputs):
        return None
    met = [equation] if equation.primitive != "convert_element_type" else flat.uses.get(equation.outputs[0], ())
    for user in met:
        for atom in user.inputs:
            own = _width(atom) == 8 and not flat.on_parameters(atom) and not isinstance(atom, Literal)
            if own and user.span == span:
                return atom
    return None


def _width(atom: Atom) -> int:
    """The bytes of a floating-point value; 0 of what is none."""
    return np.dtype(atom.dtype).itemsize if is_real(atom.dtype) else 0


def _answer(case: Case, flat: Flat, equation: Equation, wide: Atom) -> Answer[Any]:
    positions = [i for i, v in enumerate(flat.graph.inputs) if flat.on_data(wide) >> i & 1]
    names = ", ".join(case.prepared.traced.paths[i] for i in positions[:2]) or "a constant"
    text = f"the loss is computed in float64 from here on, because of {names}: the parameters are float32"
    reason = Reason(
        "promotion of dtypes",
        formula="float32 * float64 -> float64",
        text=f"{names} is float64; cast it to float32 once, outside of the loss, to compute in 32 bits",
        predicted="float32",
        observed="float64",
        standing=Standing.MEASURED,
    )
    return Answer(
        "the loss was searched for promotions to 64 bits",
        Standing.MEASURED,
        arithmetic=case.prepared.dtype,
        reasons=(reason,),
        findings=(Finding("QED213", text, equation.span, {"because": names, "note": "float64 from here on"}),),
    )
