"""The domain of curvature: every number of a program as a term whose shape can be read off its operands' shapes.

Disciplined convex programming (Grant, Boyd and Ye, "Disciplined convex programming", 2006) decides convexity along
the expression tree: f(u) is convex where f'' >= 0 on the range of u and u is affine, or u is convex and f' >= 0, and so
on. This domain makes the tree: arrays are taken apart into numbers, calls and loops are followed by the walker, and
every number becomes a form of `qed.domains.curvature_algebra`, with a range that an enclosing domain beside it found.
What holds of a form is found by `qed.calculus.shapes`, and checked by `qed.certificates.convexity`.

The value of a program counts, not its derivative: `stop_gradient`, conversions between floating-point formats and the
rules that custom derivatives bring are not seen. A choice that the box does not decide is a `select` of both cases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, final

import numpy as np

from qed import facts
from qed.domains import moving
from qed.domains.contraction import of_convolution, of_dot_general
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_terms import Form, Place
from qed.domains.forward import Forward, Unknown
from qed.domains.known import Known
from qed.domains.value import Value
from qed.domains.windows import pooled
from qed.graph.dtypes import is_extended, is_real
from qed.graph.graph import Atom, Equation, Variable
from qed.graph.walk import Context

Array = np.ndarray
LIMIT = 1_000_000
"""How many operations between numbers are done at most."""

_SAME = frozenset(
    """copy device_put layout_constraint name optimization_barrier reduce_precision relayout reshard
    sharding_constraint stage stop_gradient tie with_memory_space_constraint real""".split()
)
_INDEXED = frozenset("gather dynamic_slice dynamic_update_slice roll stack tile unstack split".split())


class TooMany(Exception):
    """A program has more numbers than the domain takes apart."""


@final
class Curvature(Forward):
    """Arrays of forms; runs behind an enclosing domain (`ranges` is its name), whose ranges it reads.

    >>> import jax.numpy as jnp
    >>> from qed.domains.curvature import Curvature
    >>> from qed.domains.interval import Interval
    >>> from qed.domains.intervals import Intervals
    >>> from qed.graph.trace import trace
    >>> from qed.graph.walk import Walker
    >>> traced = trace(lambda x: jnp.logaddexp(x, 0.0) - x, 1.0)
    >>> walker = Walker([Interval(), Curvature("interval")])
    >>> print(walker.run(traced.graph, [Intervals(-1.0, 2.0)])[0].values[1].item())
    -1*x0 + log_sum_exp(0, x0)
    """

    name = "curvature"
    special: ClassVar[Mapping[str, str]] = {
        "eigh": "eigenvalues",
        "integer_pow": "power",
        "iota": "given",
        "polynomial": "polynomial",
        "scatter": "scatter",
        "scatter-add": "scatter",
        "scatter_add": "scatter",
        "square": "squared",
        "stop_gradient": "linear",
        "svd": "singular_values",
    }

    def __init__(self, ranges: str, algebra: Algebra | None = None, limit: int = LIMIT) -> None:
        self.ranges = ranges
        self.algebra = Algebra() if algebra is None else algebra
        self.limit, self.done = limit, 0
        self._variables = 0
        self._joined: dict[int, tuple[Form, Form]] = {}
        self._numbers: dict[Any, Form] = {}

    # --- values ---

    def constant(self, atom: Atom, array: Any) -> Any:
        """The exact numbers; an enclosure is a new variable for every number in it."""
        if hasattr(array, "bounds"):
            return self._box(array)
        if is_extended(atom.dtype) or np.asarray(array).dtype.kind == "c":
            return Unknown(self.name, "a complex number or a random key", None, "no curvature of")
        return self.numbers(array)

    def numbers(self, array: Any) -> Array:
        """Concrete numbers as forms; infinities and NaN stay floats."""
        array = np.asarray(array)
        if array.dtype.kind not in "fiub":
            array = array.astype(np.float64)
        return _objects([self._number(value) for value in array.ravel().tolist()], array.shape)

    def _number(self, value: Any) -> Any:
        if isinstance(value, float) and not np.isfinite(value):
            return value
        found = self._numbers.get(value)
        if found is None:
            found = self._numbers[value] = self.algebra.number(value)
        return found

    def _box(self, box: Any) -> Array:
        lower, upper = box.bounds
        found = np.empty(lower.shape, object)
        for place in np.ndindex(lower.shape):
            low, high = float(lower[place]), float(upper[place])
            name = f"x{self._variables}"
            form = self.algebra.variable(self._variables, name, (low, high))
            found[place] = self.algebra.number(low) if low == high else form
            self._variables += 1
        return found

    def take(self, value: Any, index: int) -> Any:
        """Row `index`."""
        return np.asarray(value[index], object)

    def stack(self, values: Sequence[Any], variable: Variable) -> Any:
        """Rows on top of each other."""
        return np.stack(values) if values else np.empty(variable.shape, object)

    def join(self, first: Any, second: Any) -> Any:
        """Both cases of a branch; `depending` says on what."""
        found = np.empty(first.shape, object)
        for place in np.ndindex(first.shape):
            a, b = first[place], second[place]
            if a is b or not (isinstance(a, Form) and isinstance(b, Form)):
                found[place] = a if a is b else self._opaque((), "cond")
                continue
            found[place] = self._opaque((a, b), "cond")
            self._joined[id(found[place])] = (a, b)
        return found

    def depending(self, value: Any, cause: Any) -> Any:
        """A choice between two cases by a truth value."""
        which = cause.item() if isinstance(cause, np.ndarray) and cause.size == 1 else None
        if not isinstance(which, Form) or not self.algebra.boolean(which):
            return value
        found = value.copy()
        for place in np.ndindex(value.shape):
            cases = self._joined.get(id(value[place]))
            if cases is not None:
                found[place] = self.algebra.choose(which, *cases)
        return found

    # --- dispatch ---

    def apply(self, equation: Equation, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The forms of an equation's outputs, cut to the ranges that are known."""
        ranges = context.others.get(self.ranges + ":out", (None,) * len(equation.outputs))
        self.algebra.place = Place(equation.primitive, context.span)
        self.done += sum(int(np.prod(v.shape)) for v in equation.outputs)
        if self.done > self.limit:
            raise TooMany
        if ranges and all(isinstance(r, Known) and not is_extended(r.array.dtype) for r in ranges):
            return tuple(self.numbers(r.array) for r in ranges)
        found = super().apply(equation, inputs, context)
        found = [
            self.unknown(equation, context)
            if not isinstance(value, Unknown) and self._wraps(value, variable)
            else value
            for value, variable in zip(found, equation.outputs, strict=True)
        ]
        return tuple(
            self._cut(self._opaques(inputs, equation, k) if isinstance(value, Unknown) else value, known, variable)
            for k, (value, known, variable) in enumerate(zip(found, ranges, equation.outputs, strict=True))
        )

    def _wraps(self, value: Array, variable: Variable) -> bool:
        """Whether integers may leave their format, where they start again at its other end."""
        if is_extended(variable.dtype) or is_real(variable.dtype):
            return False
        kind: Any = np.dtype(variable.dtype)
        if kind.kind not in "iub":
            return False
        least, greatest = (0, 1) if kind.kind == "b" else (np.iinfo(kind).min, np.iinfo(kind).max)
        ranges = [self.algebra.range(form) for form in np.ravel(value) if isinstance(form, Form)]
        return any(low < least or high > greatest for low, high in ranges)

    def _cut(self, value: Array, known: Any, variable: Variable) -> Array:
        """Note the ranges that the enclosing domain has; where it has no value, its doubt is kept."""
        if known is None or isinstance(known, Unknown | Known):
            return value
        lower, upper = known.bounds
        lower, upper = np.broadcast_to(lower, value.shape), np.broadcast_to(upper, value.shape)
        pairs = zip(value.ravel(), lower.ravel().tolist(), upper.ravel().tolist(), strict=True)
        lost = known.doubt.undefined
        marks = None if lost is None else np.broadcast_to(lost, value.shape).ravel()
        for k, (form, low, high) in enumerate(pairs):
            if not isinstance(form, Form) or not form.terms:
                continue
            self.algebra.note(form, low, high)
            atom = form.terms[0][0]
            if marks is not None and marks[k] and len(form.terms) == 1 and atom.kind == "opaque":
                self.algebra.lose(form)
        return value

    def _opaques(self, inputs: Sequence[Any], equation: Equation, k: int) -> Array:
        """New atoms for an output without a rule; known where nothing in it depends on a variable."""
        forms = [form for x in inputs for form in np.ravel(x)]
        used = tuple(form for form in forms if isinstance(form, Form) and form.terms)
        shape = equation.outputs[k].shape
        if not any(form.free for form in used):
            make = lambda: self.algebra.of(self.algebra.fixed(equation.primitive))  # noqa: E731
        else:
            make = lambda: self._opaque(used[:64], equation.primitive)  # noqa: E731
        return _objects([make() for _ in range(int(np.prod(shape)))], shape)

    def _opaque(self, args: Sequence[Form], name: str) -> Form:
        return self.algebra.of(self.algebra.opaque(tuple(args), name))

    # --- elementwise ---

    def _each(self, operation: Any, *arrays: Any) -> Array:
        wide = np.broadcast_arrays(*arrays)
        rows = zip(*(a.ravel() for a in wide), strict=True)
        return _objects([self._apply(operation, row) for row in rows], wide[0].shape)

    def _apply(self, operation: Any, row: Sequence[Any]) -> Any:
        """One operation; between infinite constants it is NumPy's."""
        if all(isinstance(x, Form) for x in row):
            return operation(*row)
        special = getattr(operation, "infinite", None)
        found = special(*row) if special is not None else None
        return self._opaque([x for x in row if isinstance(x, Form)], "an infinity") if found is None else found

    def given(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Numbers that the equation itself holds."""
        return tuple(self.numbers(array) for array in Value().apply(context.equation, [], context))

    def unary(self, card: facts.Card | None, x: Any, context: Context) -> Any:
        """A function with a card."""
        if card is None or not is_real(context.equation.outputs[0].dtype):
            if card is None or card.name not in ("abs", "neg", "sign", "square"):
                return self.unknown(context.equation, context)

        def of(u: Any) -> Any:
            return self.algebra.image(card, u)

        of.infinite = lambda u: self._limit(card, u)  # type: ignore[attr-defined]
        return self._each(of, x)

    def _limit(self, card: facts.Card, value: float) -> Any:
        limit = None if np.isnan(value) else card.limits[1 if value > 0 else 0]
        return None if limit is None else self._number(limit.value) if limit.lower == limit.upper else None

    def power(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """An integer power."""
        return (self.unary(facts.card("integer_pow", y=context.equation.params["y"]), inputs[0], context),)

    def squared(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """A square."""
        return (self.unary(facts.card("square"), inputs[0], context),)

    def nary(self, card: Any, xs: Sequence[Any], context: Context) -> Any:
        """Arithmetic; integers and truth values too, where they are numbers."""
        a = self.algebra
        if not is_real(context.equation.outputs[0].dtype) and card.name not in ("add", "sub", "mul", "max", "min"):
            return self.unknown(context.equation, context)
        rules: dict[str, Any] = {
            "add": lambda x, y: a.total(((x, a.one), (y, a.one))),
            "sub": lambda x, y: a.total(((x, a.one), (y, -a.one))),
            "mul": lambda x, y: a.multiply(x, y),
            "div": lambda x, y: a.divide(x, y),
            "max": lambda x, y: a.maximum((x, y)),
            "min": lambda x, y: a.minimum((x, y)),
            "clamp": lambda low, x, high: a.minimum((a.maximum((x, low)), high)),
            "pow": self._powers,
            "nextafter": lambda x, y: x,
        }
        rule = rules.get(card.name)
        if rule is None:
            return self.unknown(context.equation, context)
        if card.name in _INFINITE:
            rule.infinite = _INFINITE[card.name]
        return self._each(rule, *xs)

    def _powers(self, x: Form, y: Form) -> Any:
        """x^c for a constant c; b^y for a constant b > 0."""
        a = self.algebra
        if not y.terms:
            exponent = y.constant
            from fractions import Fraction

            card = facts.card("power", exponent=Fraction(int(exponent.p), int(exponent.q)))
            assert card is not None
            return a.image(card, x)
        if a.positive(x):
            return a.unary("exp", a.multiply(y, a.unary("log", x)))
        return self._opaque((x, y), "pow")

    def polynomial(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """c0 + c1 x + ..., by Horner."""
        x, *coefficients = inputs
        total = coefficients[-1]
        for c in coefficients[-2::-1]:
            total = self._each(lambda s, t, u: self.algebra.add(u, self.algebra.multiply(s, t)), total, x, c)
        return (total,)

    def compare(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Comparisons and operations between truth values."""
        name, a = context.equation.primitive.removesuffix("_to"), self.algebra
        if name in ("reduce_and", "reduce_or"):
            rule = self._both if name == "reduce_and" else self._either
            return (self._reduced(lambda row: _fold(rule, row), inputs[0], context),)
        if name == "is_finite":
            return (self._each(lambda x: a.number(1), inputs[0]),)
        if name in ("eq", "ne", "lt", "le", "gt", "ge"):
            rule = lambda x, y: a.compare(name, x, y)  # noqa: E731
            rule.infinite = lambda x, y: self._compared(name, x, y)  # type: ignore[attr-defined]
            return (self._each(rule, *inputs),)
        boolean = all(np.dtype(atom.dtype).kind == "b" for atom in context.equation.inputs)
        rules: dict[str, Any] = {"and": self._both, "or": self._either, "not": self._not}
        if not boolean or name not in rules:
            return (self.unknown(context.equation, context),)
        return (self._each(rules[name], *inputs),)

    def _compared(self, name: str, x: Any, y: Any) -> Any:
        """A comparison with an infinite constant; a form is a real number."""
        if any(isinstance(v, float) and np.isnan(v) for v in (x, y)):
            return self.algebra.number(int(name == "ne"))
        ends = [0.0 if isinstance(v, Form) else v for v in (x, y)]
        ufunc = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal}
        ufunc |= {"gt": np.greater, "ge": np.greater_equal}
        return self.algebra.number(int(ufunc[name](*ends)))

    def _both(self, x: Form, y: Form) -> Form:
        zero = self.algebra.number(0)
        return zero if zero in (x, y) else y if not x.terms else x if not y.terms or x is y else self._unsure(x, y)

    def _either(self, x: Form, y: Form) -> Form:
        one = self.algebra.number(1)
        return one if one in (x, y) else y if not x.terms else x if not y.terms or x is y else self._unsure(x, y)

    def _not(self, x: Form) -> Form:
        return self.algebra.combine(((x, -self.algebra.one),), 1)

    def _unsure(self, x: Form, y: Form) -> Form:
        found = self._opaque((x, y), "a condition")
        self.algebra.note(found, 0.0, 1.0)
        return found

    def select(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The case that a predicate takes."""
        which, *cases = np.broadcast_arrays(*inputs)
        found = np.empty(which.shape, object)
        for place in np.ndindex(which.shape):
            found[place] = self._case(which[place], [case[place] for case in cases])
        return (found,)

    def _case(self, which: Any, cases: Sequence[Any]) -> Any:
        if isinstance(which, Form) and not which.terms:
            return cases[min(max(int(which.constant.p), 0), len(cases) - 1)]
        if all(case is cases[0] for case in cases):
            return cases[0]
        real = all(isinstance(case, Form) for case in cases)
        if real and len(cases) == 2 and isinstance(which, Form) and self.algebra.boolean(which):
            return self.algebra.choose(which, cases[0], cases[1])
        found = self._opaque([form for form in (which, *cases) if isinstance(form, Form)], "select_n")
        return found if real else self.algebra.lose(found)

    # --- sums and moves ---

    def linear(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Moves, sums, conversions."""
        name, params, equation = context.equation.primitive, context.equation.params, context.equation
        if name in _SAME:
            return tuple(inputs[: len(equation.outputs)])
        if name == "convert_element_type":
            exact = is_real(equation.outputs[0].dtype) or np.dtype(equation.inputs[0].dtype).kind == "b"
            return (inputs[0] if exact else self.unknown(equation, context),)
        if name == "add_any":
            return (self.nary(facts.ARITHMETIC["add"], inputs, context),)
        if name == "zeros_like":
            return (self.numbers(np.zeros(equation.outputs[0].shape)),)
        if name == "reduce_sum":
            return (self._reduced(self._sum, inputs[0], context),)
        if name == "cumsum":
            return (self._cumulated(lambda x, y: self.algebra.add(x, y), inputs[0], context),)
        if name == "reduce_window_sum":
            index = pooled(equation.inputs[0].shape, params)
            flat, zero = np.ravel(inputs[0]).tolist(), self.algebra.number(0)
            rows = [[flat[i] if i >= 0 else zero for i in row] for row in index.reshape((-1, index.shape[-1]))]
            return (_objects([self._sum(row) for row in rows], equation.outputs[0].shape),)
        if name in moving.MOVES:
            return (moving.MOVES[name](inputs[0], 0, params),)
        if name == "pad":
            return (moving.pad(0, params)(*inputs),)
        if name == "concatenate":
            return (moving.concatenated(0, params)(*inputs),)
        return self._routed(inputs, context) if name in _INDEXED else self._unknowns(context)

    def index(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Elements taken from places that are known."""
        return self._routed(inputs, context) if context.equation.primitive in _INDEXED else self._unknowns(context)

    def _unknowns(self, context: Context) -> Sequence[Any]:
        return (self.unknown(context.equation, context),) * len(context.equation.outputs)

    def _routed(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        moved = [k for k, atom in enumerate(context.equation.inputs) if is_real(atom.dtype)]
        others: list[Any] = [None if k in moved else self._integers(x) for k, x in enumerate(inputs)]
        if not moved or any(x is None and k not in moved for k, x in enumerate(others)):
            return self._unknowns(context)
        dtypes = [atom.dtype for atom in context.equation.inputs]
        others = [x if x is None else np.asarray(x).astype(d) for x, d in zip(others, dtypes, strict=True)]
        routes = moving.routed(context.equation, moved, others)
        if routes is None:
            return self._unknowns(context)
        flat = np.concatenate([np.ravel(inputs[k]) for k in moved])
        given = context.equation.params.get("fill_value")
        fill = self._number(float("nan") if given is None else np.asarray(given).item())
        return tuple(_objects([flat[i] if i >= 0 else fill for i in r.ravel()], r.shape) for r in routes)

    def _integers(self, x: Any) -> Array | None:
        forms = np.ravel(x)
        if not all(isinstance(form, Form) and not form.terms for form in forms):
            return None
        return np.array([int(form.constant.p) for form in forms], np.int64).reshape(np.shape(x))

    def scatter(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Elements put, or added, at places that are known."""
        operand, where, updates = inputs[0], self._integers(inputs[1]), inputs[2]
        equation = context.equation
        if where is None or equation.native is None or operand.size >= moving.COUNTABLE:
            return self._unknowns(context)
        targets = moving.scatter_targets(equation, where.astype(equation.inputs[1].dtype))
        flat = operand.ravel().copy()
        adds = equation.primitive != "scatter"
        for target, update in zip(targets.ravel().tolist(), updates.ravel(), strict=True):
            if target < 0:
                continue
            add = lambda x, y: self.algebra.add(x, y)  # noqa: E731
            flat[target] = self._apply(add, (flat[target], update)) if adds else update
        return (flat.reshape(operand.shape),)

    def _sum(self, row: Sequence[Any]) -> Any:
        if all(isinstance(x, Form) for x in row):
            return self.algebra.total([(x, self.algebra.one) for x in row])
        return _infinite_sum(row) or self._opaque([x for x in row if isinstance(x, Form)], "an infinity")

    def _reduced(self, rule: Any, x: Array, context: Context) -> Array:
        axes = tuple(context.equation.params["axes"])
        shape = context.equation.outputs[0].shape
        rows = np.moveaxis(x, axes, range(x.ndim - len(axes), x.ndim)).reshape((int(np.prod(shape)), -1))
        self.done += x.size
        return _objects([rule(list(row)) for row in rows], shape)

    def _cumulated(self, rule: Any, x: Array, context: Context) -> Array:
        params = context.equation.params
        lines = np.moveaxis(x, params["axis"], -1)
        found = np.empty(lines.shape, object)
        step = -1 if params.get("reverse") else 1
        for place in np.ndindex(lines.shape[:-1]):
            total = None
            out = []
            for form in lines[place][::step]:
                total = form if total is None else self._apply(rule, (total, form))
                out.append(total)
            found[place][::step] = out
        return np.moveaxis(found, -1, params["axis"])

    # --- products, orders ---

    def bilinear(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Products of arrays, as sums of products."""
        equation = context.equation
        shapes = [atom.shape for atom in equation.inputs]
        if equation.primitive == "dot_general":
            forms = of_dot_general(shapes, 0, equation.params)
        elif equation.primitive == "conv_general_dilated":
            forms = of_convolution(shapes, 0, equation.params)
        else:
            forms = None
        if forms is None:
            return self._unknowns(context)
        left, right = np.asarray(inputs[0], object), np.asarray(inputs[1], object)
        if not all(isinstance(form, Form) for x in (left, right) for form in x.ravel()):
            return self._unknowns(context)
        if not left.size or not right.size:
            return (self.numbers(np.zeros(equation.outputs[0].shape)),)
        a, b = forms[0](left), forms[1](right)
        if equation.primitive == "conv_general_dilated":  # windows reach into the padding
            zero = self.algebra.number(0)
            a = _objects([form if isinstance(form, Form) else zero for form in a.ravel()], a.shape)
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        found = np.empty((*lead, a.shape[-2], b.shape[-1]), object)
        self.done += found.size * a.shape[-1]
        if self.done > self.limit:
            raise TooMany
        a, b = np.broadcast_to(a, (*lead, *a.shape[-2:])), np.broadcast_to(b, (*lead, *b.shape[-2:]))
        for place in np.ndindex(found.shape):
            row, column = a[(*place[:-2], place[-2])], b[(*place[:-2], slice(None), place[-1])]
            found[place] = self._scalar_product(row, column)
        return (forms[2](found),)

    def _scalar_product(self, row: Array, column: Array) -> Form:
        pairs = []
        for x, y in zip(row, column, strict=True):
            if not x.terms:
                pairs.append((y, x.constant))
            elif not y.terms:
                pairs.append((x, y.constant))
            else:
                pairs.append((self.algebra.multiply(x, y), self.algebra.one))
        return self.algebra.total([(form, c) for form, c in pairs if c != 0 or self._dropped(form)])

    def _dropped(self, form: Form) -> bool:
        self.algebra.drop(form.lost)
        return False

    def reduce(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Extremes, products, sorted arrays."""
        name, a, x = context.equation.primitive, self.algebra, inputs[0]
        extremes = {"max": a.maximum, "min": a.minimum}
        if name in ("reduce_max", "reduce_min") and all(isinstance(form, Form) for form in x.ravel()) and x.size:
            return (self._reduced(lambda row: extremes[name[-3:]](row), x, context),)
        if name == "reduce_prod":
            return (self._reduced(lambda row: _fold(a.multiply, row) if row else a.number(1), x, context),)
        if name in ("cummax", "cummin"):
            return (self._cumulated(lambda u, v: extremes[name[-3:]]((u, v)), x, context),)
        if name == "cumprod":
            return (self._cumulated(a.multiply, x, context),)
        if name == "cumlogsumexp":
            return (self._cumulated(lambda u, v: a.log_sum_exp([(a.one, u), (a.one, v)]), x, context),)
        if name == "sort" and len(inputs) == 1:
            return (self._along(self._ordered, x, context.equation.params["dimension"]),)
        if name == "top_k" and all(isinstance(form, Form) for form in x.ravel()):
            k = int(context.equation.params["k"])
            return (self._along(lambda row: self._ordered(row)[::-1][:k], x, -1), self._unknowns(context)[0])
        return self._unknowns(context)

    def eigenvalues(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The eigenvalues of a symmetric matrix, smallest first; its vectors have no rule."""
        x, params = inputs[0], context.equation.params
        symmetric = x.ndim == 2 and all(x[i, j] is x[j, i] for i in range(len(x)) for j in range(i))
        if not symmetric or not params.get("sort_eigenvalues", True) or params.get("subset_by_index") is not None:
            return self._unknowns(context)
        return self._spectrum(x, "symmetric", len(x), context)

    def singular_values(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The singular values of a matrix, largest first."""
        x, params = inputs[0], context.equation.params
        if x.ndim != 2 or params.get("subset_by_index") is not None:
            return self._unknowns(context)
        return self._spectrum(x, "singular", min(x.shape), context)

    def _spectrum(self, x: Array, kind: str, count: int, context: Context) -> Sequence[Any]:
        a, args = self.algebra, tuple(x.ravel())
        if not all(isinstance(form, Form) for form in args) or not count:
            return self._unknowns(context)
        values = _objects([a.of(a.atom("spectrum", (kind, k, *x.shape), args)) for k in range(count)], (count,))
        lost = self._unknowns(context)
        return tuple(values if v.shape == (count,) else u for v, u in zip(context.equation.outputs, lost, strict=True))

    def _along(self, rule: Any, x: Array, axis: int) -> Array:
        lines = np.moveaxis(x, axis, -1)
        rows = [rule(list(row)) for row in lines.reshape((-1, lines.shape[-1]))]
        size = len(rows[0]) if rows else 0
        flat = _objects([form for row in rows for form in row], (*lines.shape[:-1], size))
        return np.moveaxis(flat, -1, axis)

    def _ordered(self, row: list[Any]) -> list[Any]:
        """The order statistics, smallest first."""
        a = self.algebra
        if not all(isinstance(form, Form) for form in row):
            return [self._opaque([f for f in row if isinstance(f, Form)], "sort") for _ in row]
        return a.ordered(row)


def _objects(values: Sequence[Any], shape: tuple[int, ...]) -> Array:
    found = np.empty(len(values), object)
    found[:] = values
    return found.reshape(shape)


def _fold(rule: Any, row: Sequence[Any]) -> Any:
    total = row[0]
    for form in row[1:]:
        total = rule(total, form)
    return total


def _sum_of_two(x: Any, y: Any) -> Any:
    return _infinite_sum((x, y))


def _infinite_sum(row: Sequence[Any]) -> Any:
    """A sum with infinite constants of one sign, None where there are both."""
    found = {x for x in row if isinstance(x, float)}
    return found.pop() if len(found) == 1 and not any(np.isnan(x) for x in found) else None


def _largest(x: Any, y: Any) -> Any:
    finite = [v for v in (x, y) if isinstance(v, Form)]
    infinite = [v for v in (x, y) if not isinstance(v, Form)]
    if any(np.isnan(v) for v in infinite):
        return None
    return max(infinite) if not finite or max(infinite) == np.inf else finite[0]


def _smallest(x: Any, y: Any) -> Any:
    finite = [v for v in (x, y) if isinstance(v, Form)]
    infinite = [v for v in (x, y) if not isinstance(v, Form)]
    if any(np.isnan(v) for v in infinite):
        return None
    return min(infinite) if not finite or min(infinite) == -np.inf else finite[0]


def _difference(x: Any, y: Any) -> Any:
    return _infinite_sum((x, y if isinstance(y, Form) else -y))


_INFINITE = {"add": _sum_of_two, "sub": _difference, "max": _largest, "min": _smallest}
