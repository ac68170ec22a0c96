"""A value in a few characters: six significant digits, small arrays whole, large ones by type and shape.

Also the one-line repr of an answer, ``Answer(claim, value ± error, STANDING)``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from qed.answer import Answer, Enclosed, Exact, Measured

_FEW = 6
_CLAIM_WIDTH = 60


def short(value: Any) -> str:
    """A value as short text, never longer than a line is.

    >>> short(20323.69921875), short(True), short((1.0, 0.25)), short("saddle"), short(None)
    ('20323.7', 'True', '(1, 0.25)', 'saddle', '')
    >>> short(list(range(100))), short({"rows": 178})
    ('list of 100', '{rows: 178}')
    """
    if value is None:
        return ""
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 10**15 else f"about 2^{value.bit_length() - 1}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, complex):
        return f"({value.real:.6g}{value.imag:+.6g}j)"
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return _array(value)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key}: {short(item)}" for key, item in list(value.items())[:_FEW])
        return "{" + inner + "}" if len(value) <= _FEW else f"mapping of {len(value)}"
    if isinstance(value, Sequence):
        kind = type(value).__name__
        left, right = "()" if isinstance(value, tuple) else "[]"
        many = len(value) > _FEW
        return f"{kind} of {len(value)}" if many else left + ", ".join(short(item) for item in value) + right
    if dataclasses.is_dataclass(value) or callable(value):
        return getattr(value, "__name__", type(value).__name__)
    return type(value).__name__


def _array(value: Any) -> str:
    shape = tuple(value.shape)
    size = 1
    for length in shape:
        size *= length
    if size <= _FEW and hasattr(value, "tolist"):
        try:
            return short(value.tolist())
        except (TypeError, ValueError, RuntimeError):  # a traced value, or one on a device that is gone
            pass
    return f"{value.dtype}[{','.join(map(str, shape))}]"


def with_error(answer: Answer[Any]) -> str:
    """The value of an answer with its error, '' if there is none."""
    value = short(answer.value)
    match answer.error:
        case Measured(error=error):
            return f"{value} ± {short(error)}"
        case Enclosed(lower, upper):
            low, high = _ends(lower, upper)
            return f"{value} in [{low}, {high}]".lstrip()
        case Exact():
            return f"{value} exactly"
    return value


def _ends(lower: Any, upper: Any) -> tuple[str, str]:
    """Both ends rounded outward, to as many digits as tell them apart.

    >>> _ends(1 - 1.1e-9, 1 + 1.1e-9), _ends(0.25, 0.25), _ends(0.1, 2.00000001)
    (('0.9999999989', '1.0000000012'), ('0.25', '0.25'), ('0.1', '2.00001'))
    """
    from qed.calculus.expanding.words import outward

    if not (isinstance(lower, float) and isinstance(upper, float) and math.isfinite(lower) and math.isfinite(upper)):
        return short(lower), short(upper)
    size, width = max(abs(lower), abs(upper)), upper - lower
    digits = _FEW if not width > 0 else min(17, max(_FEW, 2 + math.ceil(math.log10(size) - math.log10(width))))
    return outward(lower, -1, digits), outward(upper, 1, digits)


def one_line(answer: Answer[Any]) -> str:
    """The repr of an answer.

    >>> one_line(Answer("the loss is finite at step 1", "REFUTED"))
    "Answer('the loss is finite at step 1', REFUTED)"
    """
    claim = " ".join(answer.claim.split())
    if len(claim) > _CLAIM_WIDTH:
        claim = claim[: _CLAIM_WIDTH - 3].rstrip() + "..."
    value = " ".join(with_error(answer).split())[:_CLAIM_WIDTH]
    parts = [repr(claim), value, str(answer.standing)]
    return f"Answer({', '.join(part for part in parts if part)})"
