"""The birth of a non-finite number in words: its code, the equation with its numbers, and why the result is what it is.

The operands are called by what the user wrote where the line shows them (``z reaches 20323.7``); inside a library
function the line shows other things, and they are called the operand of the primitive.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence

import jax
import numpy as np

from qed import facts
from qed.domains.born import Birth
from qed.graph.source import operand_texts

_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_POLES = frozenset(
    {"log", "log1p", "log2", "div", "rsqrt", "digamma", "lgamma", "atanh", "pow", "integer_pow", "reciprocal"}
)


def plural(count: int, noun: str) -> str:
    """'1 step', '2 steps'."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def code_of(birth: Birth) -> str:
    """The code of what happened at a birth."""
    operands = [x for x in birth.operands if x is not None]
    if birth.phase == "backward":
        return "QED103" if birth.cotangent == 0 else ("QED201" if _slope_is_finite(birth) else "QED104")
    if birth.result == "nan":
        return "QED204"
    if birth.primitive in _POLES and _at_pole(birth.primitive, operands):
        return "QED205"
    return "QED201"


def _slope_is_finite(birth: Birth) -> bool:
    """Whether the local derivative exists at the operands, so that the product with the cotangent left the range."""
    primitive = birth.primitive
    if facts.classify(primitive) in (facts.Class.LINEAR, facts.Class.BILINEAR):
        return True
    if any(x is None for x in birth.operands):
        return False
    if primitive not in facts.CARDS and primitive not in facts.ARITHMETIC:
        return False
    value = np.asarray(birth.entry.outputs[0].values[0]).astype(np.float64)
    z = float(value[birth.index]) if value.ndim == len(birth.index) else math.nan
    with np.errstate(all="ignore"):
        if primitive in facts.CARDS:
            card = facts.card(primitive, **birth.entry.equation.params)
            points = {"x": np.float64(birth.operands[0]), "y": np.float64(z)}
            slopes = [] if card is None else [card.derivative]
        elif primitive in facts.ARITHMETIC:
            names = (*facts.ARITHMETIC[primitive].arguments, "z")
            points = {n: np.float64(x) for n, x in zip(names, (*birth.operands, z), strict=True)}
            slopes = [partial for partial in facts.ARITHMETIC[primitive].partials if partial is not None]
        else:
            return False
        found = [slope.evaluate(arithmetic=facts.NUMPY, **points) for slope in slopes]
    return bool(found) and bool(np.isfinite(np.asarray(found, np.float64)).all())


def _at_pole(primitive: str, operands: Sequence[float]) -> bool:
    if primitive == "div":
        return len(operands) > 1 and operands[1] == 0
    if primitive == "log1p":
        return bool(operands) and operands[0] == -1
    if primitive == "atanh":
        return bool(operands) and abs(operands[0]) == 1
    if primitive in ("digamma", "lgamma"):
        return bool(operands) and operands[0] <= 0 and float(operands[0]).is_integer()
    return bool(operands) and operands[0] == 0


def spell(birth: Birth) -> str:
    """The equation with its numbers, such as ``exp(20323.7) = inf`` or ``inf / inf = nan``."""
    if all(x is None for x in birth.operands):
        return f"{birth.primitive}(...) = {birth.result}"
    numbers = ["..." if x is None else number(x) for x in birth.operands]
    sign = _INFIX.get(birth.primitive)
    if sign and len(numbers) == 2:
        left, right = numbers
        right = f"({right})" if right.startswith("-") else right
        return f"{left} {sign} {right} = {birth.result}"
    if birth.primitive == "integer_pow":
        return f"{numbers[0]} ** {birth.entry.equation.params['y']} = {birth.result}"
    return f"{birth.primitive}({', '.join(numbers)}) = {birth.result}"


def number(x: float) -> str:
    """A number with six digits."""
    return f"{x:.6g}"


def where(birth: Birth) -> str:
    """Which element, such as ' (element [18, 0])'."""
    if not birth.index:
        return ""
    return f" (element {list(birth.index)})"


def _range_end(birth: Birth) -> str:
    """Where the dtype's range ends for this primitive, such as 'float32 exp ends at 88.72'."""
    dtype = birth.entry.outputs[0].dtype
    top = float(jax.numpy.finfo(dtype).max)
    inverse = {"exp": math.log, "expm1": math.log, "exp2": math.log2}
    if birth.primitive in inverse:
        return f"{dtype} {birth.primitive} ends at {inverse[birth.primitive](top):.2f}"
    if birth.primitive in ("sinh", "cosh"):
        return f"{dtype} {birth.primitive} ends at {math.log(top) + math.log(2):.2f}"
    return f"{dtype} ends at {top:.4g}"


_OPERATORS = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow integer_pow square"}
_SPELLINGS = {"divide": "div", "true_divide": "div", "power": "pow integer_pow", "square": "integer_pow square"}


def operands_of(birth: Birth) -> tuple[str, ...]:
    """The operands as the user wrote them; () where the line calls a library function that holds the primitive."""
    text = "" if birth.span is None else birth.span.text[birth.span.column : birth.span.end_column].strip()
    try:
        node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        return ()
    if isinstance(node, ast.BinOp):
        spelled = _OPERATORS.get(type(node.op), "")
    elif isinstance(node, ast.Call):
        called = ast.unparse(node.func).rpartition(".")[2]
        spelled = _SPELLINGS.get(called, called)
    else:
        return ()
    return operand_texts(birth.span) if birth.primitive in spelled.split() else ()


def because(birth: Birth) -> str:
    """One sentence: which numbers went in and why the result is not finite."""
    texts = operands_of(birth)
    operands = [x for x in birth.operands if x is not None]
    name = texts[0] if texts and len(texts[0]) <= 40 else f"the operand of {birth.primitive}"
    code = code_of(birth)
    outside = index_outside(birth)
    if outside is not None:
        return f"{outside}: what is read there is filled with nan"
    if not operands:
        return f"its finite operands add up beyond the range: {_range_end(birth)}" if code == "QED201" else spell(birth)
    if code == "QED201":
        if len(operands) == 1:
            return f"{name} reaches {number(operands[0])}{where(birth)}; {_range_end(birth)}"
        return f"{spell(birth)}{where(birth)}; {_range_end(birth)}"
    if code == "QED205":
        which = texts[1] if birth.primitive == "div" and len(texts) > 1 else name
        which = "the divisor" if birth.primitive == "div" and not texts else which
        value = operands[-1] if birth.primitive == "div" else operands[0]
        return f"{which} is {number(value)}{where(birth)}: {spell(birth)}"
    if len(operands) == 1:
        return f"{name} is {number(operands[0])}{where(birth)}: {spell(birth)}"
    return f"{spell(birth)}{where(birth)}"


def index_outside(birth: Birth) -> str | None:
    """Of a gather that made a nan: which index does not exist, such as 'index 40 of an axis of 40'."""
    if birth.primitive != "gather" or birth.phase != "forward":
        return None
    array, given = birth.entry.inputs[0], birth.entry.inputs[1].values[0]
    if not isinstance(given, np.ndarray | jax.Array):
        return None
    numbers, params = np.asarray(given), birth.entry.equation.params
    for place, axis in enumerate(params["dimension_numbers"].start_index_map):
        column, length = numbers[..., place], array.shape[axis]
        wrong = column[(column < 0) | (column > length - params["slice_sizes"][axis])]
        if wrong.size:
            return f"index {int(wrong[0])} is outside an axis of {length} (its last is {length - 1})"
    return None


def count_of(birth: Birth) -> str:
    """How many elements are bad, such as 'inf in 178 of 178 rows'."""
    if birth.size == 1:
        return birth.result
    if birth.bad_rows and birth.bad_rows[1] > 1 and birth.size > birth.bad_rows[1]:
        return f"{birth.result} in {birth.bad_rows[0]} of {birth.bad_rows[1]} rows"
    return f"{birth.result} in {birth.count} of {birth.size} elements"
