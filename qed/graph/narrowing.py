"""Casts to shorter formats, which a claim about real numbers reads as identities.

A program computes x - bfloat16(x) to be something; of real numbers it is 0. A claim about the real-number meaning of a
program (`Answer.arithmetic == "reals"`) leaves all rounding out, that of such casts too. The rounding of + and * is
small, and is expected; that of a cast may be all that the program computes, so that an answer says where it was left
out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np

from qed.answer import Answer, Reason, Standing
from qed.graph.dtypes import is_inexact, unit_roundoff
from qed.graph.graph import Equation, Graph

T = TypeVar("T")
RULE = "the rounding of casts is left out"


def narrowings(graph: Graph) -> list[Equation]:
    """The casts from a floating-point format to a shorter one.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> [e.primitive for e in narrowings(trace(lambda x: x.astype(jnp.bfloat16).astype(jnp.float32), 1.0).graph)]
        ['convert_element_type']
    """
    return [equation for equation in graph.walk() if _narrows(equation)]


def _narrows(equation: Equation) -> bool:
    if equation.primitive == "reduce_precision":
        kept = int(equation.params["mantissa_bits"])
        return 2.0 ** -(kept + 1) > unit_roundoff(equation.inputs[0].dtype)
    if equation.primitive != "convert_element_type":
        return False
    given, made = equation.inputs[0].dtype, equation.outputs[0].dtype
    return is_inexact(given) and is_inexact(made) and unit_roundoff(given) < unit_roundoff(made)


def told(answer: Answer[T], graph: Graph) -> Answer[T]:
    """The answer, with the sentence that the roundings of casts are left out, where it is about real numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> graph = trace(lambda x: x.astype(jnp.float16).astype(jnp.float32) - x, 1.0).graph
        >>> "the cast to float16" in told(Answer("f is 0", "MEASURED", arithmetic="reals"), graph).reasons[0].text
        True
    """
    settled = answer.standing in (Standing.PROVED, Standing.REFUTED, Standing.MEASURED)
    found = narrowings(graph) if settled and answer.arithmetic == "reals" else []
    if not found or any(reason.rule == RULE for reason in answer.reasons):
        return answer
    formats = dict.fromkeys(_format(equation) for equation in found)
    where = next((equation.span for equation in found if equation.span is not None), None)
    casts = f"the cast to {' and '.join(formats)}" if len(found) == 1 else f"{len(found)} casts to {', '.join(formats)}"
    place = "" if where is None else f" ({'at' if len(found) == 1 else 'the first at'} {where})"
    text = f"the rounding of {casts}{place} is left out: of real numbers it changes nothing"
    reason = Reason(RULE, role="but", text=text, span=where)
    return replace(answer, reasons=(*answer.reasons, reason))


def _format(equation: Equation) -> str:
    if equation.primitive == "reduce_precision":
        return f"{equation.params['mantissa_bits']} bits"
    return str(np.dtype(equation.outputs[0].dtype))
