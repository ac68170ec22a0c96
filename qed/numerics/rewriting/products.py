"""Rules of the logarithm for exponentials, constants, products and powers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from qed.graph.build import Node
from qed.numerics.rewriting import kernels, laws, stable
from qed.numerics.rewriting.forms import Form, Term, linear
from qed.numerics.rewriting.log_complements import log_beside
from qed.numerics.rewriting.power_sums import log_of_share
from qed.numerics.rewriting.scales import constant_of
from qed.numerics.rewriting.signs import Sign

if TYPE_CHECKING:
    from qed.numerics.rewriting.recursion import Logarithm


def constant(log: Logarithm, node: Node) -> Form | None:
    """The logarithms of the numbers, if none is negative."""
    if log.sign(node) == Sign.UNKNOWN:
        return None
    with np.errstate(divide="ignore"):
        value = np.log(np.asarray(node.value).astype(np.float64))
    if node.shape == () and value == 0:
        return Form((), (), gained=False)
    exact = log.emit(stable.LOG, node) if np.all(np.isfinite(value)) else log.builder.constant(value, node.dtype)
    return Form((Term(exact),), node.shape, gained=False)


def _exp(log: Logarithm, node: Node) -> Form | None:
    return Form((Term(node.children[0]),), node.shape, laws=(laws.EXP,))


def _exp2(log: Logarithm, node: Node) -> Form | None:
    two = log.emit(stable.LOG, log.algebra.number(2.0, node))
    return Form((Term(log.emit(stable.MUL, two, node.children[0])),), node.shape, laws=(laws.POWER,))


def _logistic(log: Logarithm, node: Node) -> Form | None:
    term = Term(log.algebra.softplus(log.algebra.negative(node.children[0])), -1.0)
    return Form((term,), node.shape, laws=(laws.LOGISTIC,))


def _expm1(log: Logarithm, node: Node) -> Form | None:
    x = node.children[0]
    rest = log.emit(stable.LOG1MEXP, log.algebra.negative(x))
    fragile = log.sign(x) < Sign.BOUNDED and log.sign.varies(x)
    return Form((Term(x), Term(rest)), node.shape, fragile=fragile, laws=(laws.EXPM1,))


def _neg(log: Logarithm, node: Node) -> Form | None:
    """log(-expm1(x)) for x < 0."""
    child = node.children[0]
    if child.operation != "expm1":
        return None
    x = child.children[0]
    beside = log_beside(log, x)
    value = log.algebra.filled(beside, node.shape) if beside is not None else log.emit(stable.LOG1MEXP, x)
    return Form((Term(value),), node.shape, fragile=log.sign.varies(x), laws=(laws.SUB,))


def _cosh(log: Logarithm, node: Node) -> Form | None:
    return Form((Term(log.emit(kernels.LOG_COSH, node.children[0])),), node.shape, laws=(laws.COSH,))


def _sech2(log: Logarithm, node: Node) -> Form | None:
    """log(1 - tanh(x)^2)."""
    return Form((Term(log.emit(kernels.LOG_COSH, node.children[0]), -2.0),), node.shape, laws=(laws.COSH,))


def _erfc(log: Logarithm, node: Node) -> Form | None:
    x = node.children[0]
    scaled = log.emit(kernels.SCALED_ERFC, x)
    rest = log.emit(kernels.LOG_NEAR_ONE, scaled, log.emit(kernels.SCALED_ERFC_MINUS_ONE, x))
    term = Term(log.emit(kernels.LOG_ERFC, x), 1.0, log.emit(kernels.ERFC_SHIFT, x), rest)
    return Form((term,), node.shape, laws=(laws.ERFC,))


def _mul(log: Logarithm, node: Node) -> Form | None:
    a, b = node.children
    if a is b:
        return _even_power(log, node, a, 2)
    return _product(log, node, a, b, 1.0, laws.PRODUCT)


def _div(log: Logarithm, node: Node) -> Form | None:
    a, b = node.children
    found = log_of_share(log, node)
    return found if found is not None else _product(log, node, a, b, -1.0, laws.QUOTIENT)


def _product(log: Logarithm, node: Node, a: Node, b: Node, power: float, law: laws.Law) -> Form | None:
    signs = (log.sign(a), log.sign(b))
    if log.gained(a) is None and log.gained(b) is None:
        return None
    if Sign.UNKNOWN in signs and max(signs) < Sign.POSITIVE:
        return None
    first, second = log.plain(a), log.plain(b)
    return linear(node.shape, (1.0, first), (power, second), law=law)


def _pow(log: Logarithm, node: Node) -> Form | None:
    base, exponent = node.children
    if log.sign(base) < Sign.POSITIVE:
        return None
    form, known = log.plain(base), constant_of(exponent)
    if known is not None:
        return replace(linear(node.shape, (known, form), law=laws.POWER), gained=True)
    value = log.emit(stable.MUL, exponent, log.whole(form, base))
    return log.single(node, value, form, law=laws.POWER)


def _integer_pow(log: Logarithm, node: Node) -> Form | None:
    exponent, base = node.params.get("y", 2), node.children[0]
    if exponent % 2 == 0:
        return _even_power(log, node, base, exponent)
    form = linear(node.shape, (float(exponent), log.plain(base)), law=laws.POWER)
    return replace(form, gained=True)


def _even_power(log: Logarithm, node: Node, base: Node, exponent: int) -> Form | None:
    if log.sign(base) == Sign.UNKNOWN:
        positive = log.emit(stable.ABS, base)
        fragile = log.sign.varies(base)
        form = Form((Term(log.emit(stable.LOG, positive)),), base.shape, fragile=fragile)
    else:
        form = log.plain(base)
    return replace(linear(node.shape, (float(exponent), form), law=laws.POWER), gained=True)


def _root(log: Logarithm, node: Node) -> Form | None:
    form = log.gained(node.children[0])
    power = {"sqrt": 0.5, "rsqrt": -0.5, "cbrt": 1 / 3}[node.operation]
    return None if form is None else linear(node.shape, (power, form), law=laws.POWER)


def _abs(log: Logarithm, node: Node) -> Form | None:
    return log(node.children[0]) if log.sign(node.children[0]) > Sign.UNKNOWN else None


RULES: Mapping[str, Callable[[Logarithm, Node], Form | None]] = {
    "exp": _exp,
    "exp2": _exp2,
    "logistic": _logistic,
    "expm1": _expm1,
    "cosh": _cosh,
    "erfc": _erfc,
    "sech2": _sech2,
    "neg": _neg,
    "mul": _mul,
    "div": _div,
    "pow": _pow,
    "integer_pow": _integer_pow,
    "square": _integer_pow,
    "sqrt": _root,
    "rsqrt": _root,
    "cbrt": _root,
    "abs": _abs,
}
