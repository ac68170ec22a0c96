"""One random key for two draws: what should be independent is the same.

A key is no generator: `jax.random` draws the same bits from the same key and shape, every time. Two draws from one key
are therefore not independent but equal (before each is turned into its own distribution). Sometimes that is wanted, and
the gradient is right for what was drawn: it is a note.

Two keys are the same if they are made by the same equations from the same variables: equal numbers are given to equal
expressions (value numbering; Aho, Lam, Sethi and Ullman, *Compilers*, section 6.1.2). Keys from a split or a fold with
other numbers are other keys.
"""

from __future__ import annotations

from typing import Any

from qed.answer import Answer, Finding, Reason, Standing
from qed.graph.dtypes import is_extended
from qed.graph.graph import Atom, Equation, Literal, Variable
from qed.span import Span
from qed.why.case import Case
from qed.why.mistakes.flat import VIEWS, Flat

_DRAWS = frozenset({"random_bits"})
_KEYS = VIEWS | {
    "random_wrap",
    "random_unwrap",
    "random_seed",
    "random_split",
    "random_fold_in",
    "random_clone",
    "slice",
    "split",
    "unstack",
}


def same_key(case: Case, flat: Flat) -> list[Answer[Any]]:
    """The first key from which two draws of one shape are made (QED609)."""
    if not any(equation.primitive in _DRAWS for equation in flat.graph.equations):
        return []
    numbers: dict[Variable, Any] = {}
    known: dict[Any, int] = {}
    drawn: dict[Any, Span | None] = {}
    for equation in flat.graph.equations:
        if equation.primitive == "random_bits" and _is_one_key(equation.inputs[0]):
            key = _number(equation.inputs[0], numbers)
            draw = (key, equation.params.get("shape"), equation.params.get("bit_width"))
            if draw in drawn and drawn[draw] is not None and equation.span is not None:
                return [_answer(case, equation, drawn[draw])]
            drawn.setdefault(draw, equation.span)
        if equation.primitive in _KEYS:
            made = (equation.primitive, _params(equation), tuple(_number(a, numbers) for a in equation.inputs))
            value = known.setdefault(made, len(known))
            numbers.update({variable: (value, i) for i, variable in enumerate(equation.outputs)})
    return []


def _is_one_key(atom: Atom) -> bool:
    return isinstance(atom, Variable) and is_extended(atom.dtype) and atom.shape == ()


def _params(equation: Equation) -> str:
    return str(sorted((name, str(value)) for name, value in equation.params.items()))


def _number(atom: Atom, numbers: dict[Variable, Any]) -> Any:
    if isinstance(atom, Literal):
        return ("literal", str(atom.value))
    return numbers.get(atom, atom)


def _answer(case: Case, equation: Equation, first: Span | None) -> Answer[Any]:
    shape = tuple(equation.params.get("shape", ()))
    text = f"the key that is drawn from here was drawn from before, at {first}, for the same shape {shape}: equal bits"
    finding = Finding("QED609", text, equation.span, {"shape": list(shape), "first": str(first)})
    reason = Reason(
        "one key, one shape",
        text="draws from one key are equal, not independent; jax.random.split gives each draw a key of its own",
        predicted="equal bits",
        observed="the same key in the graph",
        standing=Standing.MEASURED,
    )
    return Answer(
        "the draws of the loss were compared by their keys",
        Standing.MEASURED,
        arithmetic=case.prepared.dtype,
        reasons=(reason,),
        findings=(finding,),
    )
