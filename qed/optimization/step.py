"""Step rules, and how large a step is stable on a quadratic.

Near a point w the loss is its quadratic model with Hessian H. Gradient descent with momentum b,

    v <- b v + g,    w <- w - s v        (with Nesterov's variant: w <- w - s (g + b v))

multiplies the error along an eigenvector of eigenvalue l by the roots z of

    heavy ball:  z^2 - (1 + b - s l) z + b = 0
    Nesterov:    z^2 - (1 + b)(1 - s l) z + b (1 - s l) = 0

The step is stable there if both roots lie in the unit disc, which for l > 0 means

    heavy ball:  s < 2 (1 + b) / l            (b = 0: gradient descent, s < 2 / l)
    Nesterov:    s < 2 (1 + b) / ((1 + 2 b) l)

This is exact for a quadratic and a *local* statement for anything else: curvature changes along the path, and a
step beyond the limit may do no harm at all. Negative curvature is descent, never instability.

Reference: Polyak, *Introduction to Optimization*, 1987, section 3.2.1; O'Donoghue and Candes, *Adaptive restart for
accelerated gradient schemes*, 2015, section 3.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from qed.errors import QedError

if TYPE_CHECKING:
    import optax

GRAMMAR = "a number, or RULE:RATE[,OPTION...] such as sgd:0.1 or sgd:0.1,momentum=0.9,nesterov"
RULES = ("sgd", "adam", "adamw", "rmsprop")
_OPTIONS = {
    "sgd": {"momentum": "momentum"},
    "adam": {"b1": "b1", "b2": "b2", "eps": "eps"},
    "adamw": {"b1": "b1", "b2": "b2", "eps": "eps", "weight_decay": "weight_decay", "wd": "weight_decay"},
    "rmsprop": {"decay": "decay", "eps": "eps", "momentum": "momentum"},
}
_FLAGS = {
    "sgd": ("nesterov",),
    "adam": ("nesterov",),
    "adamw": ("nesterov",),
    "rmsprop": ("nesterov", "centered"),
}


@dataclass(frozen=True)
class StepRule:
    """How parameters are updated.

    Args:
        rule: 'sgd', 'adam', ... or 'optax' for a transformation given as an object.
        rate: the learning rate; None where it is hidden in an optax transformation.
        options: momentum, nesterov, ...
        transformation: the optax transformation itself, where given.
    """

    rule: str
    rate: float | None = None
    options: tuple[tuple[str, Any], ...] = ()
    transformation: Any = field(default=None, compare=False)

    @property
    def momentum(self) -> float:
        """The momentum b of gradient descent; 0 without momentum."""
        return float(dict(self.options).get("momentum") or 0.0)

    @property
    def nesterov(self) -> bool:
        """Whether Nesterov's variant of momentum is used."""
        return bool(dict(self.options).get("nesterov", False))

    @property
    def is_gradient_descent(self) -> bool:
        """True for gradient descent with or without momentum: the rules whose limit has a closed form."""
        return self.rule == "sgd"

    def optax(self) -> optax.GradientTransformation:
        """The rule as an optax transformation."""
        if self.transformation is not None:
            return self.transformation
        import optax

        return getattr(optax, self.rule)(self.rate, **dict(self.options))

    def __str__(self) -> str:
        if self.rate is None:
            return "the given optax transformation"
        words = [f"{self.rule}:{self.rate:g}"]
        spelled = {long: short for short, long in _OPTIONS.get(self.rule, {}).items()}
        words += [key if value is True else f"{spelled.get(key, key)}={value:g}" for key, value in self.options]
        return ",".join(words)

    def limit(self, curvature: float) -> float:
        """The largest stable step at a point whose steepest curvature is given; inf where that is not positive.

        Example:
            >>> parse("sgd:0.1").limit(4.0), parse("sgd:0.1,momentum=0.9").limit(4.0)
            (0.5, 0.95)
        """
        if curvature <= 0:
            return math.inf
        b = self.momentum
        return 2 * (1 + b) / ((1 + 2 * b) * curvature) if self.nesterov else 2 * (1 + b) / curvature

    def limit_formula(self) -> str:
        """The limit as a formula in the curvature `lambda_max`."""
        b = self.momentum
        if not b:
            return "2/lambda_max"
        return f"2(1+{b:g})/((1+2*{b:g}) lambda_max)" if self.nesterov else f"2(1+{b:g})/lambda_max"

    def growth(self, curvature: float, rate: float | None = None) -> float:
        """The factor by which one step multiplies an error along an eigenvector of that curvature.

        Example:
            >>> parse("sgd:0.1").growth(50.0)
            4.0
        """
        step = self.rate if rate is None else rate
        if step is None:
            return math.nan
        b, shrink = self.momentum, 1 - step * curvature
        if not b:
            return abs(shrink)
        roots = [1, -(1 + b) * shrink, b * shrink] if self.nesterov else [1, -(b + shrink), b]
        return float(np.abs(np.roots(roots)).max())


def parse(step: float | str | Any) -> StepRule:
    """Read a step rule.

    Args:
        step: a positive number (gradient descent), a text such as 'sgd:0.1,momentum=0.9,nesterov' or
            'adamw:3e-4,wd=0.1', or an optax transformation.

    Raises:
        QedError: QED005, with what was not understood.

    Example:
        >>> parse("sgd:0.1,momentum=0.9,nesterov").options
        (('momentum', 0.9), ('nesterov', True))
        >>> parse(0.5)
        StepRule(rule='sgd', rate=0.5, options=(), transformation=None)
    """
    if isinstance(step, StepRule):
        return step
    if hasattr(step, "init") and hasattr(step, "update"):
        return StepRule("optax", transformation=step)
    if isinstance(step, str):
        return _parse_text(step.strip())
    if isinstance(step, bool):
        raise _unknown(step, "a bool is no step rule")
    try:
        return StepRule("sgd", _rate(float(step), step))
    except (TypeError, ValueError):
        raise _unknown(step, f"a {type(step).__name__} is no step rule") from None


def _parse_text(text: str) -> StepRule:
    if re.fullmatch(r"[-+.\d][-+.\de]*", text, re.IGNORECASE):
        return StepRule("sgd", _rate(_number(text, text), text))
    name, colon, rest = text.partition(":")
    name = name.strip().lower()
    if name not in RULES:
        raise _unknown(text, f"the rules are {', '.join(RULES)}")
    if not colon or not rest.strip():
        raise _unknown(text, f"{name} needs its rate: {name}:0.1")
    first, *others = [part.strip() for part in rest.split(",")]
    rate = _rate(_number(first, text), text)
    return StepRule(name, rate, tuple(_option(name, part, text) for part in others if part))


def _option(rule: str, part: str, text: str) -> tuple[str, Any]:
    key, equals, value = (piece.strip() for piece in part.partition("="))
    if not equals and key in _FLAGS[rule]:
        return key, True
    if equals and key in _OPTIONS[rule]:
        number = _number(value, text)
        if key in ("momentum", "b1", "b2", "decay") and not 0 <= number < 1:
            raise _unknown(text, f"{key} must lie in [0, 1)")
        return _OPTIONS[rule][key], number
    allowed = [f"{option}=NUMBER" for option in _OPTIONS[rule]] + list(_FLAGS[rule])
    raise _unknown(text, f"{rule} has no option {part!r}; it has {', '.join(allowed)}")


def _number(text: str, whole: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise _unknown(whole, f"{text!r} is no number") from None


def _rate(rate: float, given: Any) -> float:
    if not (rate > 0 and math.isfinite(rate)):
        raise _unknown(given, "a step must be a positive finite number")
    return rate


def _unknown(step: Any, because: str) -> QedError:
    return QedError("QED005", f"the step rule {step!r} is not understood", because, f"write {GRAMMAR}")
