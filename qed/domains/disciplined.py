"""The domain of disciplined convexity: which numbers of an array are convex or concave, array by array.

`qed.domains.curvature` takes every number apart into a term, which decides more and takes a time for every number. Here
a whole array takes one operation: a loss over a million rows is judged in the time of a few runs of it. Each number has
marks (`qed.domains.array_shapes`), a log-sum-exp written with its largest number is read as one
(`qed.domains.array_peaks`), and where an elementwise part of a program, such as log(1 + exp(-|z|)) + max(z, 0), has no
rule step by step, it is one term in the few arrays that it is made of, which are affine; whoever walks asks `shape` for
the shape of that term, and what is true of the term is true of every element.

The value of a program counts, not its derivative, as there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, ClassVar, final

import numpy as np

from qed import facts
from qed.domains import array_peaks as peaks
from qed.domains import array_shapes as shapes
from qed.domains import disciplined_moves as moves
from qed.domains.array_shapes import AFFINE, CONCAVE, CONVEX, LOG_CONVEX, LOGS, ROOT, Shaped
from qed.domains.card_signs import signs_between
from qed.domains.curvature import Curvature
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_terms import Form, Place
from qed.domains.formulas import Formulas
from qed.domains.forward import Forward, Unknown
from qed.domains.interval import Interval
from qed.domains.intervals import Intervals
from qed.domains.known import Known
from qed.graph.dtypes import is_extended, is_real
from qed.graph.graph import Atom, Equation, Variable
from qed.graph.walk import Context

Array = np.ndarray
Asked = Callable[[Algebra, Form, str], bool]
"""Whether a term is shown to be "convex" or "concave"."""
ONCE = frozenset("abs add div dot_general exp log max min mul neg sub".split())
"""Operations that are done once where they are written twice."""
PRODUCTS = 2.0**22
"""How many products of numbers are enclosed one by one at most: of m x k and k x n, m k n (the root of the sizes')."""


@final
class Disciplined(Forward):
    """Arrays of marks.

    Args:
        shape: asked for the shapes of terms, in the order in which the walk meets them.
        algebra: of the terms.

    >>> import jax.numpy as jnp
    >>> from qed.domains.array_shapes import CONVEX
    >>> from qed.domains.disciplined import Disciplined
    >>> from qed.domains.intervals import Intervals
    >>> from qed.graph.trace import trace
    >>> from qed.graph.walk import Walker
    >>> rows = np.arange(12.0).reshape(6, 2)
    >>> traced = trace(lambda w: jnp.sum(jnp.exp(rows @ w)) + jnp.max(jnp.abs(w)), np.zeros(2))
    >>> box = Intervals(np.full(2, -np.inf), np.full(2, np.inf))
    >>> value = Walker([Disciplined()]).run(traced.graph, [box])[0].values[0]
    >>> bool(value.bits & CONVEX)
    True
    """

    name = "disciplined convexity"
    special: ClassVar[Mapping[str, str]] = {
        "integer_pow": "power",
        "square": "power",
        "stop_gradient": "linear",
    }

    def __init__(self, shape: Asked | None = None, algebra: Algebra | None = None) -> None:
        self.shape = shape or (lambda algebra, form, claim: False)
        self.ranges = Interval()
        self.formulas = Formulas(self.ranges)
        self.terms = Curvature(self.ranges.name, algebra)
        self._roots: dict[int, tuple[Shaped, Form]] = {}
        self._settled: dict[int, tuple[Shaped, Shaped]] = {}
        self._scalars: dict[tuple[str, bytes], Shaped] = {}
        self._once: dict[Any, tuple[Any, Any]] = {}

    # --- values ---

    def constant(self, atom: Atom, array: Any) -> Any:
        """Numbers as they are; an enclosure is an array of variables."""
        if isinstance(array, Intervals):
            bits = np.where(array.lower == array.upper, shapes.constants(array, array.shape), AFFINE)
            return Shaped(replace(array), shapes.signed(bits, array.lower))
        found = self.ranges.constant(atom, array)
        if isinstance(found, Unknown):
            return Unknown(self.name, "a complex number", None, "no shape of")
        if atom.shape != () or is_extended(atom.dtype):
            return self._fixed(found, atom.shape)
        key = (str(atom.dtype), np.asarray(array).tobytes())
        return self._scalars.setdefault(key, self._fixed(found, ()))

    def _fixed(self, found: Any, shape: tuple[int, ...]) -> Shaped:
        return Shaped(found, shapes.constants(found, shape), fixed=True)

    def take(self, value: Any, index: int) -> Any:
        """Row `index`."""
        value = self.settled(value)
        known = value.range if isinstance(value.range, Unknown) else self.ranges.take(value.range, index)
        return Shaped(known, value.bits[index], value.fixed)

    def stack(self, values: Sequence[Any], variable: Variable) -> Any:
        """Rows on top of each other."""
        values = [self.settled(value) for value in values]
        bits = np.stack([value.bits for value in values]) if values else np.zeros(variable.shape, np.uint8)
        whole = any(isinstance(value.range, Unknown) for value in values)
        known = (
            Intervals.whole(variable.shape) if whole else self.ranges.stack([value.range for value in values], variable)
        )
        return Shaped(known, bits, all(value.fixed for value in values))

    def choose(self, value: Any, count: int) -> int | None:
        """The branch that a known index selects."""
        known = value.range if value.fixed or value.defined else None
        return self.ranges.choose(known, count) if isinstance(known, Known) else None

    def truth(self, value: Any) -> bool | None:
        """Whether a known condition holds."""
        known = value.range if value.fixed or value.defined else None
        return self.ranges.truth(known) if isinstance(known, Known) else None

    def settled(self, x: Shaped) -> Shaped:
        """The array with the marks that its term has."""
        if x.form is None or not x.form.free or x.affine:
            return x
        if id(x) not in self._settled:
            self._settled[id(x)] = (x, self._by_term(x))
        return self._settled[id(x)][1]

    def _by_term(self, x: Shaped) -> Shaped:
        bits, algebra = x.bits, self.terms.algebra
        for claim, mark in (("convex", CONVEX), ("concave", CONCAVE)):
            if not x.has(mark) and algebra.lost is None and self.shape(algebra, x.form, claim):
                bits = bits | mark
                if not x.form.affine:  # what is both is affine, and is seen to be
                    break
        return replace(x, bits=shapes.signed(bits, x.ends[0]))

    def root(self, x: Shaped) -> Form | None:
        """The term of an array's elements: its own, an exact constant, or a new variable where they are affine."""
        if x.form is not None:
            return x.form
        if id(x) in self._roots:
            return self._roots[id(x)][1]
        lower, upper = x.ends
        if not lower.size or not x.defined:
            return None
        low, high, algebra = float(np.min(lower)), float(np.max(upper)), self.terms.algebra
        if x.fixed:
            made = algebra.number(low) if low == high and np.isfinite(low) else None
        else:
            k = len(self._roots)
            made = algebra.variable(k, f"z{k}", (low, high)) if x.affine else None
        if made is not None:
            self._roots[id(x)] = (x, made)
        return made

    # --- dispatch ---

    def apply(self, equation: Equation, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The arrays that an equation makes."""
        key = None
        if equation.primitive in ONCE:  # what is written twice is one array
            key = (equation.primitive, str(equation.params), tuple(map(id, inputs)))
            if key in self._once:
                return self._once[key][1]
        found = self._applied(equation, inputs, context)
        if key is not None:
            self._once[key] = (tuple(inputs), found)
        return found

    def _applied(self, equation: Equation, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        self.terms.algebra.place = Place(equation.primitive, context.span)
        ranges = self._enclosed(equation, inputs, context)
        if all(x.fixed for x in inputs):
            return [self._fixed(found, v.shape) for found, v in zip(ranges, equation.outputs, strict=True)]
        made = super().apply(equation, inputs, replace(context, others={"ranges": tuple(ranges)}))
        return [self._ranged(value, found) for value, found in zip(made, ranges, strict=True)]

    def _ranged(self, value: Any, found: Any) -> Any:
        """The array with its range and the marks that follow from it."""
        if isinstance(value, Unknown) or value.fixed:
            return value
        known = Intervals.whole(value.bits.shape) if isinstance(found, Unknown) else found
        if value.range is None:
            value = replace(value, range=known)
        lower, upper = value.ends
        if value.form is not None and lower.size and not isinstance(value.range, Known):
            self.terms.algebra.note(value.form, float(np.min(lower)), float(np.max(upper)))
        return replace(value, bits=shapes.signed(value.bits, lower)) if np.any(value.bits) else value

    def _enclosed(self, equation: Equation, inputs: Sequence[Any], context: Context) -> list[Any]:
        """The ranges of the outputs; products with numbers that have no bound have none, and are not computed."""
        known = [x.range for x in inputs]
        if equation.primitive in ("dot_general", "conv_general_dilated") and not all(x.fixed for x in inputs):
            sizes = [int(np.prod(atom.shape)) for atom in (*equation.inputs, *equation.outputs)]
            if any(map(_unbounded, known)) or np.prod([float(n) for n in sizes]) > PRODUCTS**2:
                return [Intervals.whole(v.shape) for v in equation.outputs]
        if equation.primitive == "reduce_sum" and not inputs[0].fixed and isinstance(known[0], Intervals):
            if np.any(np.isinf(known[0].lower) | np.isinf(known[0].upper)):
                return [_of_one_sign(known[0], equation.outputs[0].shape)]
        lost = next((x for x in known if isinstance(x, Unknown)), None)
        if lost is not None:
            return [lost] * len(equation.outputs)
        return list(self.ranges.apply(equation, known, context))

    def made(self, bits: Any, **rest: Any) -> Shaped:
        """An array with marks, its range not known yet."""
        return Shaped(None, np.asarray(bits, np.uint8), **rest)

    def nothing(self, variable: Atom, form: Any = None) -> Shaped:
        """An array without marks."""
        return self.made(np.zeros(variable.shape, np.uint8), form=form)

    # --- elementwise ---

    def _term(self, inputs: Sequence[Shaped], rule: Callable[..., Any], context: Context) -> Form | None:
        """The term of an elementwise operation, where its operands have terms."""
        shape = context.equation.outputs[0].shape
        if any(x.bits.shape != shape for x in inputs if not x.fixed):
            return None
        forms = [self.root(x) for x in inputs]
        if any(form is None for form in forms):
            return None
        found = rule([_boxed(form) for form in forms])
        found = found[0] if isinstance(found, tuple | list) else found
        form = None if isinstance(found, Unknown) else found.item()
        return form if isinstance(form, Form) else None

    def _has_term(self, inputs: Sequence[Shaped]) -> bool:
        return any(x.form is not None or id(x) in self._roots for x in inputs if not x.fixed)

    def power(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """A square, or an integer power."""
        parameters = {} if context.equation.primitive == "square" else {"y": context.equation.params["y"]}
        return (self.unary(facts.card(context.equation.primitive, **parameters), inputs[0], context),)

    def unary(self, card: facts.Card | None, x: Any, context: Context) -> Any:
        """A function of one number."""
        equation = context.equation
        if card is None or not is_real(equation.outputs[0].dtype) or not is_real(equation.inputs[0].dtype):
            return self.nothing(equation.outputs[0])
        if card.name == "neg":
            linear = self._has_term([x])
            form = self._term([x], lambda u: self.terms.unary(card, u[0], context), context) if linear else None
            return self.made(shapes.turned(x.bits), form=form)
        peak = {"exp": peaks.exponential, "log": peaks.logarithm, "abs": peaks.the_same}.get(card.name, _no_peak)(x)
        if card.name == "abs" and (x.has(LOG_CONVEX) or bool(np.all(x.bits & LOGS)) or x.has(ROOT)):
            return x  # at least 0
        form = self._term([x], lambda u: self.terms.unary(card, u[0], context), context)
        x = self.settled(x) if form is None else x
        if not x.defined or not shapes.defined_on(card, x):
            return self.made(np.zeros(x.bits.shape, np.uint8), form=form, peak=peak)
        lower, upper = x.ends
        low, high = (float(np.min(lower)), float(np.max(upper))) if lower.size else (0.0, 0.0)
        if bool(np.all(x.bits & (LOGS | ROOT))):
            low = max(low, 0.0)
        bounds = signs_between(card, low, max(low, high), self.formulas)
        bits = shapes.image(card, x, bounds, context.others["ranges"][0])
        return self.made(bits, form=form, peak=peak)

    def nary(self, card: Any, xs: Sequence[Any], context: Context) -> Any:
        """Arithmetic."""
        name, out = card.name, context.equation.outputs[0]
        if not is_real(out.dtype):
            return self.nothing(out)
        rule = lambda u: self.terms.nary(card, u, context)  # noqa: E731
        if name in ("add", "sub", "mul", "div"):
            return self._linear_combination(name, xs, rule, context)
        if name in ("max", "min", "clamp") and all(is_real(atom.dtype) for atom in context.equation.inputs):
            ends = {"max": -np.inf, "min": np.inf}
            for x, y in zip(xs, xs[::-1], strict=True) if name in ends else ():
                if x.fixed and not isinstance(x.range, Unknown) and np.all(np.asarray(x.ends) == ends[name]):
                    return y
            form = self._term(xs, rule, context)
            wide = np.broadcast_arrays(*((x if form is not None else self.settled(x)).bits for x in xs))
            if name == "clamp":
                bits = shapes.smallest(shapes.largest(wide[1], wide[0]), wide[2])
            else:
                bits = (shapes.largest if name == "max" else shapes.smallest)(*wide)
            return self.made(bits, form=form)
        if name == "pow" and xs[1].fixed and (exponent := self.root(xs[1])) is not None:
            power = Fraction(int(exponent.constant.p), int(exponent.constant.q))
            return self.unary(facts.card("power", exponent=power), xs[0], context)
        return self.nothing(out, self._term(xs, rule, context) if name == "pow" else None)

    def _linear_combination(self, name: str, xs: Sequence[Any], rule: Any, context: Context) -> Shaped:
        x, y = xs
        if name == "mul" and x is y:
            return self.unary(facts.card("square"), x, context)
        bits, peak = peaks.combined(name, x, y)
        form = self._term(xs, rule, context) if self._has_term(xs) or name in ("mul", "div") else None
        if bits is None:
            x, y = (x, y) if form is not None else map(self.settled, xs)
            if name == "sub":
                bits = x.bits & shapes.turned(y.bits)
            else:
                bits = {"add": shapes.added, "mul": shapes.multiplied, "div": shapes.divided}[name](x, y)
        bits = np.broadcast_to(bits, context.equation.outputs[0].shape)
        return self.made(bits, form=form, peak=peak, times=_times(name, *xs))

    def compare(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Comparisons that hold, or fail, at all points, and those of terms."""
        equation = context.equation
        name, found = equation.primitive.removesuffix("_to"), context.others["ranges"][0]
        shape, sure = equation.outputs[0].shape, all(x.defined for x in inputs)
        if name == "is_finite" and sure:
            return (self._fixed(Known(np.ones(shape, bool)), shape),)
        if name in ("eq", "ne", "lt", "le", "gt", "ge") and len(inputs) == 2 and inputs[0] is inputs[1] and sure:
            return (self._fixed(Known(np.full(shape, name in ("eq", "le", "ge"))), shape),)
        if sure and isinstance(found, Known):
            return (self._fixed(found, shape),)
        if name.startswith("reduce_"):
            return (self.nothing(equation.outputs[0]),)
        form = self._term(inputs, lambda u: self.terms.compare(u, context), context)
        return (self.nothing(equation.outputs[0], form),)

    def select(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The case that a predicate takes."""
        which, *cases = inputs
        shape = context.equation.outputs[0].shape
        if which.fixed and isinstance(which.range, Known):
            index = np.asarray(which.range.array).astype(int)
            taken = np.unique(index)
            if len(taken) == 1 and cases[int(taken[0])].bits.shape == shape:
                return (cases[int(taken[0])],)
            wide = [np.broadcast_to(self.settled(case).bits, shape) for case in cases]
            return (self.made(np.choose(np.broadcast_to(index, shape), wide)),)
        if not is_real(context.equation.outputs[0].dtype):
            return (self.nothing(context.equation.outputs[0]),)
        form = self._term(inputs, lambda u: self.terms.select(u, context), context)
        return (self.nothing(context.equation.outputs[0], form),)

    # --- moves, sums and products ---

    linear, index, reduce, bilinear = moves.linear, moves.index, moves.reduce, moves.bilinear


def _boxed(form: Any) -> Array:
    found = np.empty((), object)
    found[()] = form
    return found


def _times(name: str, x: Shaped, y: Shaped) -> Any:
    """What a product with constants is a multiple of, and bounds of the constants."""
    for c, u in ((x, y), (y, x)):
        if name == "mul" and c.fixed and c.defined and not u.fixed and c.bits.shape in ((), u.bits.shape):
            low, high = c.ends
            return u, low, high
    return None


def _of_one_sign(x: Intervals, shape: tuple[int, ...]) -> Intervals:
    """The sums of numbers of which some have no bound, when all are of one sign."""
    low = 0.0 if np.all(x.lower >= 0) else -np.inf
    high = 0.0 if np.all(x.upper <= 0) else np.inf
    return Intervals(np.full(shape, low), np.full(shape, high))


def _unbounded(x: Any) -> bool:
    return isinstance(x, Intervals) and bool(x.lower.size) and bool(np.isinf(x.lower).all())


def _no_peak(x: Shaped) -> None:
    return None
