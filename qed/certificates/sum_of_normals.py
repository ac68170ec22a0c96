"""The certificate of an integral of a function of one linear form in independent normal coordinates.

If X_i are independent and N(m_i, s_i^2), then v = c + sum_i a_i X_i is N(M, V) with M = c + sum a_i m_i and V = sum
a_i^2 s_i^2 (Feller, *An Introduction to Probability Theory*, volume 2, section III.6), and by the change of variables

    E h(v) = int h(t) exp(-(t - M)^2 / 2 V) dt / int exp(-(t - M)^2 / 2 V) dt,

whatever the dimension, in the sense that both are finite, infinite or undefined together. Verification reads the form
from the graph again (`qed.domains.separated`), makes sure that what the program returns depends on its argument
through v alone, and verifies the certificate of the integral on the line for what is left of the program behind v. A
comparison of two linear forms is one of their difference with 0. Of t / D, D makes M and V numbers of float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar, final

import jax.numpy as jnp
import numpy as np

from qed.certificates.certificate import Certificate
from qed.certificates.expectation import Expectation
from qed.certificates.separable import a_number
from qed.domains.separated import One, separated
from qed.errors import CertificateError, QedError
from qed.graph.dtypes import is_real
from qed.graph.graph import Equation, Literal, Variable
from qed.graph.jaxpr import evaluate
from qed.graph.trace import Traced

COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    "gt": jnp.greater, "ge": jnp.greater_equal, "lt": jnp.less, "le": jnp.less_equal,
    "eq": jnp.equal, "ne": jnp.not_equal,
}  # fmt: skip
Form = tuple[Fraction, dict[int, Fraction]]
"""c, and the a_i that are not 0."""
Law = tuple[float, ...]
"""Mean and scale of a normal coordinate; nothing of another probability."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class SumOfNormals(Certificate):
    """lower <= the integral <= upper; equal infinities say that it is infinite.

    Args:
        laws: those of the coordinates.
        equation: which equation of the program makes v, or compares two forms whose difference it is.
        scale: D.
        piece: the certificate of the integral on the line, as JSON.
        lower, upper: the bounds.
    """

    kind: ClassVar[str] = "sum of normals"
    laws: tuple[Law, ...]
    equation: int
    scale: float
    piece: str
    lower: float
    upper: float

    def prove(self, traced: Traced) -> None:
        """Prove the claim, or raise CertificateError."""
        if [np.shape(leaf) for leaf in traced.parameters] != [(len(self.laws),)]:
            raise CertificateError("function", f"its argument is no vector of {len(self.laws)} numbers")
        functions = on_the_line(traced, self.laws, self.equation, self.scale)
        try:
            piece = Certificate.from_json(self.piece)
        except QedError as error:
            raise CertificateError("piece", "it is no certificate") from error
        if not isinstance(piece, Expectation) or not piece.x64:
            raise CertificateError("piece", "it is a certificate of another kind, or of numbers that are rounded")
        if piece.atoms or piece.sums or piece.functions or len(piece.parts) != 1:
            raise CertificateError("piece", "it is a certificate of another kind")
        ((family, parameters, cuts, weight, probability),) = piece.parts
        if (family, parameters, weight, probability) != ("", (), "1", True) or (cuts[0], cuts[-1]) != (-np.inf, np.inf):
            raise CertificateError("piece", "it is about another law")
        piece.verify(lambda t: (functions[0](t), functions[1](t)), a_number())
        if not self.lower <= piece.lower <= piece.upper <= self.upper:
            raise CertificateError("lower", f"it is proved to lie in [{piece.lower!r}, {piece.upper!r}] only")


def on_the_line(traced: Traced, laws: Sequence[Law], place: int, scale: float) -> tuple[Callable[[Any], Any], ...]:
    """h(t / D) and the log-density of t = D v; raises CertificateError where the program is of another form."""
    graph = traced.graph
    if not 0 <= place < len(graph.equations) or len(graph.inputs) != 1 or not 0 < scale < np.inf:
        raise CertificateError("equation", "the program has no such place")
    equation = graph.equations[place]
    form = form_of(traced, equation)
    if form is None:
        raise CertificateError("equation", "it is no linear form")
    mean, variance = moments(form, laws)
    mean, variance = mean * Fraction(scale), variance * Fraction(scale) ** 2
    if not variance > 0 or Fraction(_float(mean)) != mean or Fraction(_float(2 * variance)) != 2 * variance:
        raise CertificateError("scale", "the moments are no numbers of float64, or the form is constant")
    rest = behind(traced, equation)

    def h(t: Any) -> Any:
        v = t if scale == 1 else t / scale
        if equation.primitive in COMPARED:
            return rest(COMPARED[equation.primitive](v, 0.0))
        return rest(v.astype(equation.outputs[0].dtype))

    def u(t: Any) -> Any:
        return -((t - _float(mean)) ** 2) / _float(2 * variance)

    return h, u


def _float(x: Fraction) -> float:
    try:
        return float(x)
    except OverflowError:
        raise CertificateError("scale", "a moment is too large") from None


def form_of(traced: Traced, equation: Equation) -> Form | None:
    """The linear form that an equation makes or compares with 0; None where it is none."""
    scalar = len(equation.outputs) == 1 and equation.outputs[0].shape == ()
    if not scalar:
        return None
    if equation.primitive in COMPARED:
        pair = [_linear(traced, atom) for atom in equation.inputs]
        if len(pair) != 2 or pair[0] is None or pair[1] is None:
            return None
        found = dict(pair[0][1])
        for i, a in pair[1][1].items():
            found[i] = found.get(i, Fraction(0)) - a
        return pair[0][0] - pair[1][0], {i: a for i, a in found.items() if a}
    return _linear(traced, equation.outputs[0]) if is_real(equation.outputs[0].dtype) else None


def _linear(traced: Traced, atom: Any) -> Form | None:
    if isinstance(atom, Literal):
        value = float(np.asarray(atom.value)) if np.shape(atom.value) == () else np.nan
        return (Fraction(value), {}) if np.isfinite(value) else None
    if atom.shape != () or not is_real(atom.dtype):
        return None
    found = separated(replace(traced, graph=replace(traced.graph, outputs=(atom,))))
    if isinstance(found, str):
        return None
    constant, coefficients = Fraction(0), dict[int, Fraction]()
    for c, factors in found.terms:
        lines = [(i, _line(one)) for i, one in factors]
        if len(lines) > 1 or any(line is None for _, line in lines):
            return None
        for i, line in lines:
            assert line is not None
            coefficients[i] = coefficients.get(i, Fraction(0)) + c * line[0]
            c = c * line[1]
        constant += c
    return constant, {i: a for i, a in coefficients.items() if a}


def _line(one: One) -> tuple[Fraction, Fraction] | None:
    """a and b of an expression a x + b, exact; None of another one."""
    if one.name == "x":
        return Fraction(1), Fraction(0)
    if one.name == "constant":
        return (Fraction(0), Fraction(one.value)) if np.isfinite(one.value) else None
    given = [_line(operand) for operand in one.operands]
    lines = [line for line in given if line is not None]
    if len(lines) < len(given):
        return None
    if one.name == "neg":
        return -lines[0][0], -lines[0][1]
    if one.name in ("add", "sub"):
        sign = 1 if one.name == "add" else -1
        return lines[0][0] + sign * lines[1][0], lines[0][1] + sign * lines[1][1]
    if one.name == "mul" and (fixed := next((line for line in lines if not line[0]), None)) is not None:
        other = lines[1] if lines[0] is fixed else lines[0]
        return other[0] * fixed[1], other[1] * fixed[1]
    if one.name == "div" and not lines[1][0] and lines[1][1]:
        return lines[0][0] / lines[1][1], lines[0][1] / lines[1][1]
    return None


def moments(form: Form, laws: Sequence[Law]) -> tuple[Fraction, Fraction]:
    """The mean and the variance of a linear form."""
    mean, variance = form[0], Fraction(0)
    for i, a in form[1].items():
        if len(laws[i]) != 2 or not all(map(np.isfinite, laws[i])) or not laws[i][1] > 0:
            raise CertificateError("laws", f"coordinate {i} has no normal law")
        mean += a * Fraction(laws[i][0])
        variance += a * a * Fraction(laws[i][1]) ** 2
    return mean, variance


def behind(traced: Traced, equation: Equation) -> Callable[[Any], Any]:
    """What the program returns, as a function of the output of an equation; CertificateError if not of it alone."""
    graph = traced.graph
    if len(equation.outputs) != 1 or len(graph.inputs) != 1:
        raise CertificateError("equation", "it makes no number of one argument")
    if len(graph.outputs) != 1 or graph.outputs[0].shape != ():
        raise CertificateError("function", "it does not return one number")
    (given,) = equation.outputs
    needed: set[Any] = {one for one in graph.outputs if isinstance(one, Variable)}
    kept: list[Equation] = []
    for one in reversed(graph.equations):
        if one is equation or needed.isdisjoint(one.outputs):
            continue
        kept.append(one)
        needed |= {atom for atom in one.inputs if isinstance(atom, Variable)}
    if not needed.isdisjoint(graph.inputs) or given not in needed:
        raise CertificateError("equation", "the program depends on its argument in another way, too")
    constants = tuple(pair for pair in graph.constants if pair[0] in needed)
    rest = replace(graph, inputs=(given,), equations=tuple(reversed(kept)), constants=constants)
    return lambda value: evaluate(rest, [value])[0]
