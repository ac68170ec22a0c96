"""Domains of functions of one number: what a value is, as the argument goes over a line or over whole numbers.

Numbers that do not depend on the argument stay numbers (`Known`), and what JAX does to them exactly, JAX does. Every
other equation is asked of the domain, number by number; arrays and what is not real are unknown to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from qed.domains.forward import Forward
from qed.domains.known import Known
from qed.domains.tail_forms import exact_on_numbers
from qed.domains.value import Value
from qed.graph.dtypes import is_real
from qed.graph.graph import Atom, Equation
from qed.graph.walk import Context

SAME = frozenset({"convert_element_type", "stop_gradient", "copy", "squeeze", "reshape"})
"""What leaves one number as it is."""


class Undecided(Exception):
    """What is asked of a value is not known."""


class OneNumber(Forward):
    """A domain of functions of one number.

    Args:
        forms: what a value that depends on the argument is.
    """

    forms: ClassVar[tuple[type, ...]] = ()

    def constant(self, atom: Atom, array: Any) -> Any:
        """A number that is the same for every argument; a form is itself."""
        return array if isinstance(array, self.forms) else Known(np.asarray(array))

    def take(self, value: Any, index: int) -> Any:
        """Row `index` of known numbers."""
        return Known(value.array[index])

    def apply(self, equation: Equation, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The forms of an equation's outputs."""
        if all(isinstance(x, Known) for x in inputs) and exact_on_numbers(equation):
            found = Value().apply(equation, [x.array for x in inputs], context)
            return tuple(self.constant(v, array) for v, array in zip(equation.outputs, found, strict=True))
        atoms = (*equation.inputs, *equation.outputs)
        try:
            if any(v.shape != () or not is_real(v.dtype) for v in atoms):
                raise Undecided
            return (self.one(equation, inputs),)
        except Undecided:
            return (self.unknown(equation, context),) * len(equation.outputs)

    def one(self, equation: Equation, inputs: Sequence[Any]) -> Any:
        """The form of the only output of an equation on single numbers. Raises Undecided."""
        raise NotImplementedError
