"""Three arithmetics for the formulas of the tables: NumPy with SciPy, jax.numpy, and balls (python-flint).

Each finds a function by the name its card gives, at the first call; importing this file imports none of the three
libraries. A function that a library lacks is computed by the card's definition in that library.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

from qed.facts.card import Value
from qed.facts.expression import COMPARISONS, Arithmetic
from qed.facts.stepwise import stepwise


class Library:
    """The arithmetic of a library: constants are Python's floats, calls are its functions."""

    def __init__(self, field: str) -> None:
        self.field = field

    def constant(self, value: float) -> Any:
        """Return the float itself: weakly typed, so that float32 stays float32."""
        return value

    def call(self, name: str, *operands: Any, **parameters: Any) -> Any:
        """Return the function's value."""
        if name == "pi":
            return math.pi
        return implementation(self.field, name, tuple(parameters.items()))(*operands)

    def select(self, comparison: str, left: Any, right: Any, then: Any, otherwise: Any) -> Any:
        """Return `where(left comparison right, then, otherwise)`."""
        where = _resolve("numpy.where" if self.field == "numpy" else "jax.numpy.where")
        return where(COMPARISONS[comparison](left, right), then, otherwise)


class Balls(Library):
    """Ball arithmetic at the precision the caller has set; an undecided choice is the union of both branches."""

    def constant(self, value: float) -> Any:
        """Return the exact ball."""
        return _resolve("flint.arb")(value)

    def call(self, name: str, *operands: Any, **parameters: Any) -> Any:
        """Return an enclosure of the function's values."""
        if name == "pi":
            return _resolve("flint.arb").pi()
        return super().call(name, *operands, **parameters)

    def select(self, comparison: str, left: Any, right: Any, then: Any, otherwise: Any) -> Any:
        """Return the branch that is certain, or the union (not finite if a branch is not)."""
        if COMPARISONS[comparison](left, right):
            return then
        opposite = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}[comparison]
        if COMPARISONS[opposite](left, right):
            return otherwise
        return then.union(otherwise)


NUMPY: Arithmetic = Library("numpy")
JAX: Arithmetic = Library("jax")
BALLS: Arithmetic = Balls("flint")


def numpy_clamp(lower: Any, x: Any, upper: Any) -> Any:
    """Return min(max(lower, x), upper) in NumPy, the arguments in lax.clamp's order."""
    return _resolve("numpy.minimum")(_resolve("numpy.maximum")(lower, x), upper)


@cache
def implementation(field: str, name: str, parameters: tuple[tuple[str, Fraction], ...] = ()) -> Callable[..., Any]:
    """Return the function that a library ('numpy', 'jax', 'flint') has for a name, its parameters bound.

    Raises KeyError for a name that is in no table.

    >>> from qed.facts.libraries import implementation
    >>> implementation("numpy", "logistic").__name__, float(implementation("numpy", "rsqrt")(4.0))
    ('expit', 0.5)
    """
    from qed.facts.table import ARITHMETIC, card

    if name in ARITHMETIC:
        value, arguments = ARITHMETIC[name].value, ARITHMETIC[name].arguments
    else:
        found = card(name, **dict(parameters))
        if found is None:
            raise KeyError(name)
        value, arguments = found.value, ("x",)
    return value_in(field, value, arguments, parameters)


@cache
def value_in(
    field: str, value: Value, arguments: tuple[str, ...], parameters: tuple[tuple[str, Fraction], ...] = ()
) -> Callable[..., Any]:
    """Return the function that a card's `value` names in a library, its parameters bound."""
    text = getattr(value, field)
    if not text:
        return _defined(field, value.definition, arguments)
    function = _resolve(text if "." in text else f"flint.arb.{text}")
    if not parameters:
        return function
    bound = {key: _plain(number, field) for key, number in parameters}
    order = [part.strip() for part in value.arguments.split(",")]
    return lambda x: function(*(bound.get(part, x) for part in order))


def _defined(field: str, definition: Any, arguments: tuple[str, ...]) -> Callable[..., Any]:
    if definition is None:
        message = f"no value of it is known in {field}"
        raise AttributeError(message)
    return stepwise(definition, {"numpy": NUMPY, "jax": JAX, "flint": BALLS}[field], arguments)


def _plain(number: Fraction, field: str) -> Any:
    """A parameter as its library wants it: an int, else a float (exact in balls)."""
    if number.denominator == 1:
        return int(number)
    return number if field == "flint" else float(number)


@cache
def _resolve(text: str) -> Any:
    parts = text.split(".")
    for split in range(len(parts) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:split]))
        except ModuleNotFoundError:
            continue
        for part in parts[split:]:
            found = getattr(found, part)
        return found
    raise KeyError(text)
