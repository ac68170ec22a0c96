"""Random programs with derivative rules written by hand, right ones and wrong ones, made from the fact cards.

A *rule* is a card with a window of arguments, a body (the primitive, or the function spelled out in others, which may
lose digits) and the card's derivative as its `custom_jvp` or `custom_vjp`. A *program* is a chain of rules, each
under a transformation (jit, vmap, scan, remat, cond, an outer rule), at points and weights of random magnitude. Since
the derivative of a card is proved (test_cards.py), such a program is right; a *mutant* has one rule altered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.facts import Card, Expression
from qed.facts.libraries import JAX, NUMPY
from tests.laws.card_lists import ALL, label
from tests.laws.card_mutants import edits

Generator = np.random.Generator

SPELLED: dict[str, Callable[[Any], Any]] = {
    "logistic": lambda x: 1 / (1 + jnp.exp(-x)),
    "tanh": lambda x: (jnp.exp(2 * x) - 1) / (jnp.exp(2 * x) + 1),
    "log1p": lambda x: jnp.log(1 + x),
    "expm1": lambda x: jnp.exp(x) - 1,
    "sinh": lambda x: (jnp.exp(x) - jnp.exp(-x)) / 2,
    "cosh": lambda x: (jnp.exp(x) + jnp.exp(-x)) / 2,
    "atanh": lambda x: jnp.log((1 + x) / (1 - x)) / 2,
    "asinh": lambda x: jnp.log(x + jnp.sqrt(x * x + 1)),
    "acosh": lambda x: jnp.log(x + jnp.sqrt(x * x - 1)),
    "erfc": lambda x: 1 - jax.lax.erf(x),
    "sqrt": lambda x: jnp.exp(jnp.log(x) / 2),
    "rsqrt": lambda x: 1 / jnp.sqrt(x),
    "tan": lambda x: jnp.sin(x) / jnp.cos(x),
    "square": lambda x: (x + 1) * (x - 1) + 1,
    "exp2": lambda x: jnp.exp(x * np.log(2)),
    "log2": lambda x: jnp.log(x) / np.log(2),
    "integer_pow[3]": lambda x: x * x * x,
    "integer_pow[-2]": lambda x: 1 / (x * x),
    "power[3/2]": lambda x: x * jnp.sqrt(x),
    "atan": lambda x: jnp.arcsin(x / jnp.sqrt(1 + x * x)),
    "cos": lambda x: 1 - 2 * jnp.sin(x / 2) ** 2,
}
"""Functions spelled out in others: equal in real numbers, not in digits."""

_SMALL = {"acos": 0.99, "asin": 0.99, "atanh": 0.99, "erf_inv": 0.99, "tan": 1.5, "erfc": 2.0, "erf": 2.0}
_LARGE = {"sin": 1e3, "cos": 1e3, "atan": 1e3, "asinh": 1e3, "abs": 1e6, "neg": 1e6, "log": 1e6, "sqrt": 1e6}
_POSITIVE = {"log", "log2", "rsqrt", "sqrt", "lgamma", "digamma", "psi", "power", "cbrt"}
_FLAT = {"ceil", "floor", "round", "sign"}
CARDS = [card for card in ALL if card.name not in _FLAT and label(card) != "integer_pow[0]"]


@dataclass(frozen=True)
class Rule:
    """A function with a derivative rule by hand: x -> card(x) on [lower, upper], divided by `size`."""

    name: str
    card: Card
    lower: float
    upper: float
    derivative: Expression
    spelled: bool
    reverse: bool
    wrong: str = ""

    def __str__(self) -> str:
        spelled, kind = " spelled" if self.spelled else "", "vjp" if self.reverse else "jvp"
        wrong = f" WRONG {self.wrong}" if self.wrong else ""
        return f"{label(self.card)}{spelled} {kind} on [{self.lower:.3g}, {self.upper:.3g}]{wrong}"

    def value(self, x: Any) -> Any:
        """The body."""
        spelled = SPELLED[label(self.card)] if self.spelled else None
        return spelled(x) if spelled else self.card.jax(x)

    def slope(self, x: Any, y: Any) -> Any:
        """What the rule says the derivative is."""
        found = self.derivative.evaluate(x=x, y=y, arithmetic=JAX)
        return jnp.broadcast_to(jnp.asarray(found, x.dtype), x.shape)

    def function(self) -> Callable[[Any], Any]:
        """The JAX function with its rule; named, so that it can be told."""

        def body(x: Any) -> Any:
            return self.value(x)

        body.__name__ = body.__qualname__ = self.name
        if self.reverse:
            f = jax.custom_vjp(body)
            f.defvjp(lambda x: (self.value(x), x), lambda x, g: (g * self.slope(x, self.value(x)),))
            return f
        f = jax.custom_jvp(body)

        def rule(primals: Any, tangents: Any) -> Any:
            (x,), (t,) = primals, tangents
            y = self.value(x)
            return y, t * self.slope(x, y)

        f.defjvp(rule)
        return f


def draw_rule(draw: Generator, name: str, spelled: float = 0.4) -> Rule:
    """A right rule."""
    card = CARDS[draw.integers(len(CARDS))]
    lower, upper = window(card, draw)
    written = label(card) in SPELLED and draw.random() < spelled
    return Rule(name, card, lower, upper, card.derivative, written, bool(draw.integers(2)))


def window(card: Card, draw: Generator) -> tuple[float, float]:
    """An interval of arguments of random magnitude, inside the domain and away from its ends, poles and kinks."""
    most = _SMALL.get(card.name) or _LARGE.get(card.name) or 20.0
    least = 1e-2 if card.name in ("lgamma", "digamma", "psi") else 1e-6
    size = float(np.exp(draw.uniform(np.log(least), np.log(most / 2))))
    sign = 1.0 if card.name in _POSITIVE or draw.integers(2) else -1.0
    if card.name == "acosh":
        return 1 + max(size, 1e-3), 1 + 2 * max(size, 1e-3)
    if card.name == "log1p":
        sign = 1.0 if size > 0.4 else sign
    lower, upper = sorted((sign * size, sign * 2 * size))
    return lower, upper


def mutate(rule: Rule, draw: Generator, least: float = 1e-3) -> Rule | None:
    """The rule with one mistake that changes its derivative by at least `least` throughout its window, or None."""
    text = rule.derivative
    wrong = [(f"times {c}", text * parse(c)) for c in ("-1", "1/2", "2", "999/1000", "1001/1000", "11/10")]
    wrong += [(f"text {e}", e) for e in edits(text)]
    words, derivative = wrong[draw.integers(len(wrong))]
    x = np.linspace(rule.lower, rule.upper, 101)
    y = rule.card.numpy(x)
    with np.errstate(all="ignore"):
        good = np.broadcast_to(text.evaluate(x=x, y=y, arithmetic=NUMPY), x.shape)
        bad = np.broadcast_to(derivative.evaluate(x=x, y=y, arithmetic=NUMPY), x.shape)
        far = np.abs(bad - good) >= 0.99 * least * np.abs(good)
    if not (np.all(np.isfinite(bad)) and np.all(far) and np.all(good != 0) and np.max(np.abs(bad)) < 1e12):
        return None
    return Rule(rule.name, rule.card, rule.lower, rule.upper, derivative, False, rule.reverse, words)


def parse(text: str) -> Expression:
    """A constant."""
    from qed.facts.expression import parse

    return parse(text)


WRAPPERS = ("plain", "jit", "vmap", "remat", "scan", "cond", "switch", "outer", "remat of vmap in scan")


@dataclass(frozen=True)
class Program:
    """A chain of rules, at a point: x -> weight * sum of the last stage."""

    rules: tuple[Rule, ...]
    wrappers: tuple[str, ...]
    point: np.ndarray
    scale: float
    weight: float
    double: bool

    def __str__(self) -> str:
        stages = ", ".join(f"{w}({r})" for r, w in zip(self.rules, self.wrappers, strict=True))
        return f"{'float64' if self.double else 'float32'} x ~ {self.scale:.1g}, weight {self.weight:.1g}: {stages}"

    def fun(self) -> Callable[[Any], Any]:
        """The scalar function."""
        stages = [_stage(r, w) for r, w in zip(self.rules, self.wrappers, strict=True)]

        def loss(x: Any) -> Any:
            z = x / self.scale
            for stage in stages:
                z = stage(z)
            return self.weight * jnp.sum(z * jnp.arange(1.0, z.size + 1, dtype=z.dtype))

        return loss

    def x(self) -> jax.Array:
        """The point, in its dtype."""
        return jnp.asarray(self.point * self.scale, jnp.float64 if self.double else jnp.float32)


def draw_program(draw: Generator) -> Program:
    """A right program."""
    n = int(draw.integers(1, 4))
    rules = tuple(draw_rule(draw, f"rule{i}") for i in range(n))
    wrappers = tuple(WRAPPERS[draw.integers(len(WRAPPERS))] for _ in range(n))
    point = draw.choice([-1.0, 1.0], 3) * draw.uniform(0.3, 1.2, 3)
    scale, weight = (float(10.0 ** draw.integers(-12, 13)) for _ in range(2))
    return Program(rules, wrappers, point, scale, weight, bool(draw.integers(2)))


def draw_mutant(draw: Generator) -> tuple[Program, int]:
    """A program with one wrong rule, and which."""
    while True:
        program = draw_program(draw)
        i = int(draw.integers(len(program.rules)))
        wrong = mutate(program.rules[i], draw)
        if wrong is not None:
            rules = (*program.rules[:i], wrong, *program.rules[i + 1 :])
            return Program(rules, program.wrappers, program.point, program.scale, program.weight, program.double), i


def _stage(rule: Rule, wrapper: str) -> Callable[[Any], Any]:
    """z -> rule(a point of its window), of size one, under the transformation."""
    f = rule.function()
    middle, half = (rule.lower + rule.upper) / 2, (rule.upper - rule.lower) / 2
    size = float(np.abs(rule.card.numpy(np.float64(middle)))) or 1.0

    def once(z: Any) -> Any:
        return f(middle + half * jnp.sin(z)) / size

    match wrapper:
        case "plain":
            return once
        case "jit":
            return jax.jit(once)
        case "vmap":
            return jax.vmap(once)
        case "remat":
            return jax.checkpoint(once)
        case "scan":
            return lambda z: jax.lax.scan(lambda c, _: (once(c), None), z, None, length=3)[0]
        case "cond":
            return lambda z: jax.lax.cond(z[0] > -jnp.inf, once, lambda z: 2 * z, z)
        case "switch":
            return lambda z: jax.lax.switch((z[0] > -jnp.inf).astype(int), [jnp.sin, once, jnp.cos], z)
        case "outer":
            return _outer(once, f"outer of {rule.name}")
        case _:
            step = jax.checkpoint(jax.vmap(once))
            return lambda z: jax.lax.scan(lambda c, _: (step(c), None), z, None, length=2)[0]


def _outer(body: Callable[[Any], Any], name: str) -> Callable[[Any], Any]:
    """A custom rule around a function with a custom rule; it asks JAX for the derivative of its own body."""
    body.__name__ = name
    f = jax.custom_vjp(body)

    def fwd(z: Any) -> Any:
        return body(z), z

    def bwd(z: Any, g: Any) -> Any:
        return jax.vjp(body, z)[1](g)

    f.defvjp(fwd, bwd)
    return f
