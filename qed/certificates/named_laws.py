"""What a certificate asks of a law with a name, and a graph's outputs one by one, to put both together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from qed.certificates.certificate import placed
from qed.domains.densities import NAMED
from qed.errors import CertificateError
from qed.graph.graph import Variable
from qed.graph.jaxpr import evaluate
from qed.graph.trace import Traced

Law = tuple[str, tuple[float, ...], float, float]
"""A named density with its parameters, or '' for length, and the ends of its support."""


def output_of(traced: Traced, k: int) -> Callable[[Any], Any]:
    """An output of a graph as a function, by itself."""
    graph = traced.graph
    needed, kept = {graph.outputs[k]}, []
    for equation in reversed(graph.equations):
        if any(variable in needed for variable in equation.outputs):
            kept.append(equation)
            needed |= {atom for atom in equation.inputs if isinstance(atom, Variable)}
    alone = replace(graph, equations=tuple(reversed(kept)), outputs=(graph.outputs[k],))
    return lambda x: evaluate(alone, placed(traced, [x]))[0]


def checked(name: str, parameters: tuple[float, ...], cuts: tuple[float, ...], node: str = "p_parts") -> None:
    """Raise CertificateError where a named density is not as it should be, or the cuts do not end at its support."""
    if name not in NAMED:
        raise CertificateError(node, f"{name} is no family")
    family = NAMED[name]
    values = dict(zip(family.parameters, parameters, strict=False))
    if len(parameters) != len(family.parameters) or not all(map(np.isfinite, parameters)):
        raise CertificateError(node, f"{name} has the parameters {', '.join(family.parameters)}")
    if any(not values[one] > 0 for one in family.positive):
        raise CertificateError(node, f"of {name}, {', '.join(family.positive)} must be positive")
    if len(cuts) < 2 or (cuts[0], cuts[-1]) != family.support(*parameters):
        raise CertificateError(node, f"the support of {name} is {family.support(*parameters)}")


def a_law(law: Law, node: str) -> None:
    """Raise CertificateError where a law is none."""
    name, parameters, low, high = law
    if not low < high or (parameters and not name):
        raise CertificateError(node, f"({low!r}, {high!r}) is no interval that lengths are taken on")
    if name:
        checked(name, parameters, (low, high), node)
