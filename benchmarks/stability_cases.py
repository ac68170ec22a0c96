"""The functions of benchmarks/stability.py: Hamming's chapter, PyTensor's list of rewritings, the defects of RANUM.

Hamming: the 28 FPCores of FPBench's hamming-ch3 (Hamming, Numerical Methods for Scientists and Engineers, 1987, ch. 3),
with their preconditions. PyTensor: one expression for each entry of its stabilising rewritings, for any namespace with
NumPy's names. RANUM: the operators of the 81 repaired defects of its study (55 log, 11 sqrt, 11 exp, 2 div, 2
log-softmax; Li et al., ICSE 2023), as the programs of GRIST write them, each beside what its repair clips.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def anywhere(*_: Any) -> bool:
    """No precondition."""
    return True


def not_zero(x: Any, *_: Any) -> Any:
    """x != 0."""
    return x != 0


def not_negative(x: Any, *_: Any) -> Any:
    """x >= 0."""
    return x >= 0


def positive(x: Any, *_: Any) -> Any:
    """x > 0."""
    return x > 0


def inside(x: Any, *_: Any) -> Any:
    """-1 < x < 1."""
    return (x > -1) & (x < 1)


@dataclass(frozen=True)
class Core:
    """An FPCore: its name in FPBench, the expression, the precondition (of NumPy arrays), the number of variables.

    `exact` is another spelling for the reference: balls lose a tangent far from 0 as a function with poles.
    """

    name: str
    fun: Callable[..., Any]
    holds: Callable[..., Any] = anywhere
    arity: int = 1
    exact: Callable[..., Any] | None = None


def roots_are_real(factor: float) -> Callable[..., Any]:
    """b^2 >= factor a c, a != 0."""

    def holds(a: Any, b: Any, c: Any) -> Any:
        with np.errstate(over="ignore", invalid="ignore"):
            return (b * b >= factor * (a * c)) & (a != 0)

    return holds


HAMMING = (
    Core("example 3.1", lambda x: jnp.sqrt(x + 1.0) - jnp.sqrt(x), not_negative),
    Core("example 3.3", lambda x, eps: jnp.sin(x + eps) - jnp.sin(x), arity=2),
    Core("example 3.4", lambda x: (1.0 - jnp.cos(x)) / jnp.sin(x), not_zero),
    Core("example 3.5", lambda n: jnp.arctan(n + 1.0) - jnp.arctan(n)),
    Core("example 3.6", lambda x: 1.0 / jnp.sqrt(x) - 1.0 / jnp.sqrt(x + 1.0), not_negative),
    Core("problem 3.3.1", lambda x: 1.0 / (x + 1.0) - 1.0 / x, not_zero),
    Core(
        "problem 3.3.2",
        lambda x, eps: jnp.tan(x + eps) - jnp.tan(x),
        arity=2,
        exact=lambda x, eps: jnp.sin(x + eps) / jnp.cos(x + eps) - jnp.sin(x) / jnp.cos(x),
    ),
    Core(
        "problem 3.3.3",
        lambda x: 1.0 / (x + 1.0) - 2.0 / x + 1.0 / (x - 1.0),
        lambda x: (x != 0) & (abs(x) != 1),
    ),
    Core("problem 3.3.4", lambda x: (x + 1.0) ** (1.0 / 3.0) - x ** (1.0 / 3.0), not_negative),
    Core("problem 3.3.5", lambda x, eps: jnp.cos(x + eps) - jnp.cos(x), arity=2),
    Core("problem 3.3.6", lambda n: jnp.log(n + 1.0) - jnp.log(n), positive),
    Core("problem 3.3.7", lambda x: jnp.exp(x) - 2.0 + jnp.exp(-x)),
    Core(
        "p42, positive",
        lambda a, b, c: (-b + jnp.sqrt(b * b - 4.0 * (a * c))) / (2.0 * a),
        roots_are_real(4.0),
        3,
    ),
    Core(
        "p42, negative",
        lambda a, b, c: (-b - jnp.sqrt(b * b - 4.0 * (a * c))) / (2.0 * a),
        roots_are_real(4.0),
        3,
    ),
    Core(
        "problem 3.2.1, positive",
        lambda a, b, c: (-b + jnp.sqrt(b * b - a * c)) / a,
        roots_are_real(1.0),
        3,
    ),
    Core(
        "problem 3.2.1, negative",
        lambda a, b, c: (-b - jnp.sqrt(b * b - a * c)) / a,
        roots_are_real(1.0),
        3,
    ),
    Core("example 3.7", lambda x: jnp.exp(x) - 1.0),
    Core("example 3.8", lambda n: (n + 1.0) * jnp.log(n + 1.0) - n * jnp.log(n) - 1.0, positive),
    Core("example 3.9", lambda x: 1.0 / x - 1.0 / jnp.tan(x), not_zero),
    Core("example 3.10", lambda x: jnp.log(1.0 - x) / jnp.log(1.0 + x), inside),
    Core("problem 3.4.1", lambda x: (1.0 - jnp.cos(x)) / (x * x), not_zero),
    Core(
        "problem 3.4.2",
        lambda a, b, eps: eps * (jnp.exp((a + b) * eps) - 1.0) / ((jnp.exp(a * eps) - 1.0) * (jnp.exp(b * eps) - 1.0)),
        lambda a, b, eps: eps != 0,
        3,
    ),
    Core("problem 3.4.3", lambda eps: jnp.log((1.0 - eps) / (1.0 + eps)), inside),
    Core("problem 3.4.4", lambda x: jnp.sqrt((jnp.exp(2.0 * x) - 1.0) / (jnp.exp(x) - 1.0)), not_zero),
    Core("problem 3.4.5", lambda x: (x - jnp.sin(x)) / (x - jnp.tan(x)), not_zero),
    Core("problem 3.4.6", lambda x, n: (x + 1.0) ** (1.0 / n) - x ** (1.0 / n), not_negative, 2),
    Core("section 3.5", lambda a, x: jnp.exp(a * x) - 1.0, arity=2),
    Core("section 3.11", lambda x: jnp.exp(x) / (jnp.exp(x) - 1.0), not_zero),
)

# --- PyTensor ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rule:
    """An expression that a rewriting of PyTensor is about, or one beside it, at the points where it is judged."""

    name: str
    fun: Callable[[Any, Any], Any]
    points: tuple[Any, ...]


class Jax:
    """The names of NumPy and of the special functions, for JAX."""

    exp, log, log1p, expm1, sqrt, sum, prod, mean = (
        getattr(jnp, name) for name in ("exp", "log", "log1p", "expm1", "sqrt", "sum", "prod", "mean")
    )
    cos = jnp.cos
    sigmoid, softmax = staticmethod(jax.nn.sigmoid), staticmethod(jax.nn.softmax)
    log_softmax = staticmethod(jax.nn.log_softmax)
    erf, erfc = staticmethod(jax.scipy.special.erf), staticmethod(jax.scipy.special.erfc)
    switch = staticmethod(jnp.where)


_VECTORS = ([0.3, -1.2, 2.0], [120.0, -100.0, 90.0], [-300.0, -250.0, -200.0])
_LINE = (0.3, 20.0, -20.0, 120.0, -120.0)
_SMALL = (0.3, 1e-7, 1e-20)

PYTENSOR = (
    Rule("log(softmax(x))[i]", lambda m, x: m.log(m.softmax(x))[1], _VECTORS),
    Rule("log(softmax(x)[i])", lambda m, x: m.log(m.softmax(x)[1]), _VECTORS),
    Rule("exp(x) / sum(exp(x))", lambda m, x: (m.exp(x) / m.sum(m.exp(x)))[0], _VECTORS),
    Rule("exp(log_softmax(x))", lambda m, x: m.exp(m.log_softmax(x))[0], _VECTORS),
    Rule("x - logsumexp(x)", lambda m, x: (x - m.log(m.sum(m.exp(x))))[1], _VECTORS),
    Rule("log(sum(exp(x)))", lambda m, x: m.log(m.sum(m.exp(x))), _VECTORS),
    Rule("log(exp(a) + exp(b))", lambda m, x: m.log(m.exp(x[0]) + m.exp(x[1])), _VECTORS),
    Rule("log(exp(a) - exp(b))", lambda m, x: m.log(m.exp(x[0]) - m.exp(x[1])), _VECTORS),
    Rule("log(1 + x)", lambda m, x: m.log(1.0 + x), _SMALL),
    Rule("log(1 - x)", lambda m, x: m.log(1.0 - x), _SMALL),
    Rule("exp(x) - 1", lambda m, x: m.exp(x) - 1.0, _SMALL),
    Rule("1 - erf(x)", lambda m, x: 1.0 - m.erf(x), (0.3, 3.0, 8.0)),
    Rule("1 - erfc(x)", lambda m, x: 1.0 - m.erfc(x), _SMALL),
    Rule("log(erfc(x))", lambda m, x: m.log(m.erfc(x)), (0.3, 3.0, 12.0, 40.0)),
    Rule("log(sigmoid(x))", lambda m, x: m.log(m.sigmoid(x)), _LINE),
    Rule("log(1 - sigmoid(x))", lambda m, x: m.log(1.0 - m.sigmoid(x)), _LINE),
    Rule("1 - sigmoid(x)", lambda m, x: 1.0 - m.sigmoid(x), _LINE),
    Rule("exp(x) / (1 + exp(x))", lambda m, x: m.exp(x) / (1.0 + m.exp(x)), _LINE),
    Rule("1 / (1 + exp(-x))", lambda m, x: 1.0 / (1.0 + m.exp(-x)), _LINE),
    Rule("sigmoid(-x) exp(x)", lambda m, x: m.sigmoid(-x) * m.exp(x), _LINE),
    Rule("log(1 + exp(x))", lambda m, x: m.log(1.0 + m.exp(x)), _LINE),
    Rule("log1p(exp(x))", lambda m, x: m.log1p(m.exp(x)), _LINE),
    Rule("log(1 - exp(x))", lambda m, x: m.log(1.0 - m.exp(x)), (-0.3, -1e-6, -20.0, -60.0)),
    Rule("log(-expm1(x))", lambda m, x: m.log(-m.expm1(x)), (-0.3, -1e-6, -20.0, -60.0)),
    Rule("p / (1 - p), p = sigmoid(x)", lambda m, x: m.sigmoid(x) / (1.0 - m.sigmoid(x)), (0.3, 15.0, 30.0, -30.0)),
    Rule("log(prod(exp(x)))", lambda m, x: m.log(m.prod(m.exp(x))), _VECTORS),
    Rule("log(prod(x^2))", lambda m, x: m.log(m.prod(x**2)), ([0.3, 1.2, 2.0], [1e-15, 1e-12, 1e-10])),
    Rule("masked: where(x > 0, log(x), 0)", lambda m, x: m.switch(x > 0, m.log(x), 0.0), (0.3, 2.0)),
    # not in its list
    Rule("log(mean(exp(x)))", lambda m, x: m.log(m.mean(m.exp(x))), _VECTORS),
    Rule("log of a mixture", lambda m, x: m.log(0.3 * m.exp(-x[0]) + 0.7 * m.exp(-x[1])), _VECTORS),
    Rule("responsibility", lambda m, x: m.exp(-(x[0] ** 2)) / (m.exp(-(x[0] ** 2)) + m.exp(-(x[1] ** 2))), _VECTORS),
    Rule("sqrt(x + 1) - sqrt(x)", lambda m, x: m.sqrt(x + 1.0) - m.sqrt(x), (0.3, 1e4, 1e7)),
    Rule("1 - cos(x)", lambda m, x: 1.0 - m.cos(x), (0.3, 1e-4, 1e-9)),
    Rule("sqrt(sum(x^2))", lambda m, x: m.sqrt(m.sum(x**2)), ([3.0, 4.0, 5.0], [1e25, 2e25, 1e24], [1e-25, 1e-26, 0])),
)

# --- GRIST and RANUM -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Defect:
    """A pattern of the repaired defects: the operator, the function, the function as repaired by clipping, points."""

    name: str
    operator: str
    fun: Callable[..., Any]
    clipped: Callable[..., Any]
    points: tuple[Any, ...]


def _least(x: Any) -> Any:
    return jnp.maximum(x, 1e-37)


def _most(x: Any) -> Any:
    return jnp.minimum(x, 38.0)


_LOGITS = ([0.3, -1.2, 2.0], [150.0, -120.0, 90.0], [5.0, 200.0, -5.0])
_HOT = np.array([0.0, 1.0, 0.0], np.float32)
_ONES = np.array([1.0, 0.0, 1.0], np.float32)


def _softmax(z: Any) -> Any:
    e = jnp.exp(z - jnp.max(z))
    return e / jnp.sum(e)


def _sigmoid(z: Any) -> Any:
    return 1.0 / (1.0 + jnp.exp(-z))


DEFECTS = (
    Defect(
        "cross-entropy of a softmax",
        "log",
        lambda z: -jnp.sum(_HOT * jnp.log(_softmax(z))),
        lambda z: -jnp.sum(_HOT * jnp.log(_least(_softmax(z)))),
        _LOGITS,
    ),
    Defect(
        "cross-entropy of a library softmax",
        "log",
        lambda z: -jnp.log(jax.nn.softmax(z)[1]),
        lambda z: -jnp.log(_least(jax.nn.softmax(z)[1])),
        _LOGITS,
    ),
    Defect(
        "binary cross-entropy",
        "log",
        lambda z: -jnp.mean(_ONES * jnp.log(jax.nn.sigmoid(z)) + (1 - _ONES) * jnp.log(1 - jax.nn.sigmoid(z))),
        lambda z: (
            -jnp.mean(_ONES * jnp.log(_least(jax.nn.sigmoid(z))) + (1 - _ONES) * jnp.log(_least(1 - jax.nn.sigmoid(z))))
        ),
        _LOGITS,
    ),
    Defect(
        "generator loss of an adversarial network",
        "log",
        lambda z: jnp.mean(jnp.log(1.0 - _sigmoid(z))),
        lambda z: jnp.mean(jnp.log(_least(1.0 - _sigmoid(z)))),
        _LOGITS,
    ),
    Defect(
        "divergence of softmaxes",
        "log",
        lambda z: jnp.sum(_softmax(z) * jnp.log(_softmax(z) / _softmax(-z))),
        lambda z: jnp.sum(_softmax(z) * jnp.log(_least(_softmax(z) / _softmax(-z)))),
        ([0.3, -1.2, 2.0], [60.0, -50.0, 40.0], [5.0, 30.0, -70.0]),
    ),
    Defect(
        "likelihood of a mixture",
        "log",
        lambda z: -jnp.log(0.5 * jnp.exp(-(z[0] ** 2)) + 0.5 * jnp.exp(-(z[1] ** 2))),
        lambda z: -jnp.log(_least(0.5 * jnp.exp(-(z[0] ** 2)) + 0.5 * jnp.exp(-(z[1] ** 2)))),
        _LOGITS,
    ),
    Defect(
        "norm",
        "sqrt",
        lambda x: jnp.sqrt(jnp.sum(x * x)),
        lambda x: jnp.sqrt(_least(jnp.sum(x * x))),
        ([3.0, 4.0, 12.0], [1e-25, 2e-25, 1e-24], [1e25, 3e24, 0.0]),
    ),
    Defect(
        "standard deviation in one pass",
        "sqrt",
        lambda x: jnp.sqrt(jnp.mean(x * x) - jnp.mean(x) ** 2),
        lambda x: jnp.sqrt(_least(jnp.mean(x * x) - jnp.mean(x) ** 2)),
        ([3.0, 4.0, 12.0], [1001.0, 1000.0, 1002.5], [1e5, 1e5 + 1.0, 1e5 + 3.0]),
    ),
    Defect(
        "softmax by hand",
        "exp",
        lambda z: (jnp.exp(z) / jnp.sum(jnp.exp(z)))[0],
        lambda z: (jnp.exp(_most(z)) / jnp.sum(jnp.exp(_most(z))))[0],
        _LOGITS,
    ),
    Defect(
        "sigmoid by hand",
        "exp",
        lambda z: jnp.sum(jnp.exp(z) / (1.0 + jnp.exp(z))),
        lambda z: jnp.sum(jnp.exp(_most(z)) / (1.0 + jnp.exp(_most(z)))),
        _LOGITS,
    ),
    Defect(
        "softplus by hand",
        "exp",
        lambda z: jnp.sum(jnp.log(1.0 + jnp.exp(z))),
        lambda z: jnp.sum(jnp.log(1.0 + jnp.exp(_most(z)))),
        _LOGITS,
    ),
    Defect(
        "responsibilities far away",
        "div",
        lambda z: jnp.exp(-(z[0] ** 2)) / (jnp.exp(-(z[0] ** 2)) + jnp.exp(-(z[1] ** 2))),
        lambda z: jnp.exp(-(z[0] ** 2)) / _least(jnp.exp(-(z[0] ** 2)) + jnp.exp(-(z[1] ** 2))),
        _LOGITS,
    ),
    Defect(
        "log of a softmax over labels",
        "log_softmax",
        lambda z: -jnp.mean(jnp.log(jnp.exp(z) / jnp.sum(jnp.exp(z)))),
        lambda z: -jnp.mean(jnp.log(_least(jnp.exp(_most(z)) / jnp.sum(jnp.exp(_most(z)))))),
        _LOGITS,
    ),
)
