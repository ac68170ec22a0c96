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
from qed.domains import curvature_library, curvature_matrices, curvature_moves
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_cases import OF_INTEGERS, by_cases, combined, within_format
from qed.domains.curvature_library import TooMany
from qed.domains.curvature_limits import INFINITE, fold, objects
from qed.domains.curvature_terms import Form, Place
from qed.domains.forward import Forward, Unknown
from qed.domains.known import Known
from qed.domains.value import Value
from qed.graph.dtypes import is_extended, is_real
from qed.graph.graph import Atom, Equation, Variable
from qed.graph.walk import Context

Array = np.ndarray
OF_NUMBERS = ("add", "clamp", "max", "min", "mul", "sub")
"""Operations that have forms between integers, too."""
LIMIT = 1_000_000
"""How many operations between numbers are done at most."""


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
        "cholesky": "cholesky",
        "custom_linear_solve": "linear_solve",
        "eigh": "eigenvalues",
        "gather": "gather",
        "integer_pow": "power",
        "iota": "given",
        "lu": "lu",
        "polynomial": "polynomial",
        "scatter": "scatter",
        "scatter-add": "scatter",
        "scatter_add": "scatter",
        "square": "squared",
        "stop_gradient": "linear",
        "svd": "singular_values",
        "triangular_solve": "triangular_solve",
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
        if array.size > self.limit:
            raise TooMany
        if array.dtype.kind not in "fiub":
            array = array.astype(np.float64)
        return objects([self._number(value) for value in array.ravel().tolist()], array.shape)

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
                found[place] = a if a is b else self.opaque((), "cond")
                continue
            found[place] = self.opaque((a, b), "cond")
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

    def among(self, values: Sequence[Any], cause: Any) -> Any:
        """The value of one of several branches, chosen by a number that conditions decide."""
        if len(values) == 2 or not isinstance(cause, np.ndarray) or cause.size != 1:
            return super().among(values, cause)
        found = np.empty(values[0].shape, object)
        for place in np.ndindex(found.shape):
            found[place] = self._case(cause.item(), [value[place] for value in values])
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
        found = [within_format(self, value, equation, k, context) for k, value in enumerate(found)]
        return tuple(
            self._cut(self._opaques(inputs, equation, k) if isinstance(value, Unknown) else value, known, variable)
            for k, (value, known, variable) in enumerate(zip(found, ranges, equation.outputs, strict=True))
        )

    def _cut(self, value: Array, known: Any, variable: Variable) -> Array:
        """Note the ranges that the enclosing domain has; where it has no value, its doubt is kept."""
        if isinstance(known, Unknown):  # nobody said that what has no rule is a number
            return objects([self._doubted(form) for form in value.ravel()], value.shape)
        if known is None or isinstance(known, Known):
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

    def _doubted(self, form: Any) -> Any:
        """A form, undefined perhaps where it is an atom of which nothing is known."""
        single = form.single if isinstance(form, Form) else None
        return self.algebra.lose(form) if single is not None and single[0].kind in ("number", "opaque") else form

    def _opaques(self, inputs: Sequence[Any], equation: Equation, k: int) -> Array:
        """New atoms for an output without a rule; known where nothing in it depends on a variable."""
        forms = [form for x in inputs for form in np.ravel(x)]
        used = tuple(form for form in forms if isinstance(form, Form) and form.terms)
        shape = equation.outputs[k].shape
        if not any(form.free for form in used):
            make = lambda: self.algebra.of(self.algebra.fixed(equation.primitive))  # noqa: E731
        else:
            make = lambda: self.opaque(used[:64], equation.primitive)  # noqa: E731
        return objects([make() for _ in range(int(np.prod(shape)))], shape)

    def opaque(self, args: Sequence[Form], name: str) -> Form:
        """A new number of which nothing is known."""
        return self.algebra.of(self.algebra.opaque(tuple(args), name))

    # --- elementwise ---

    def _each(self, operation: Any, *arrays: Any) -> Array:
        wide = np.broadcast_arrays(*arrays)
        rows = zip(*(a.ravel() for a in wide), strict=True)
        return objects([self._apply(operation, row) for row in rows], wide[0].shape)

    def _apply(self, operation: Any, row: Sequence[Any]) -> Any:
        """One operation; between infinite constants it is NumPy's."""
        if all(isinstance(x, Form) for x in row):
            return operation(*row)
        special = getattr(operation, "infinite", None)
        found = special(*row) if special is not None else None
        return self.opaque([x for x in row if isinstance(x, Form)], "an infinity") if found is None else found

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
        if not is_real(context.equation.outputs[0].dtype) and card.name in OF_INTEGERS:
            return combined(self, card.name, xs, context)
        if not is_real(context.equation.outputs[0].dtype) and card.name not in OF_NUMBERS:
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
        }
        rule = rules.get(card.name)
        if rule is None:
            return self.unknown(context.equation, context)
        if card.name in INFINITE:
            rule.infinite = INFINITE[card.name]
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
        return self.opaque((x, y), "pow")

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
            return (curvature_moves.reduced(self, lambda row: fold(rule, row), inputs[0], context),)
        if name == "is_finite":
            return (self._each(self._finite, inputs[0]),)
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

    def _finite(self, x: Form) -> Form:
        """A real number is finite; whether one that may be undefined is has no answer."""
        self.algebra.drop(x.lost)
        return self.algebra.number(1)

    def _both(self, x: Form, y: Form) -> Form:
        zero = self.algebra.number(0)
        if zero in (x, y):
            return zero
        if not x.terms or not y.terms or x is y:
            return x if not y.terms or x is y else y
        return self.algebra.choose(x, zero, y) if self.algebra.boolean(x) else self._unsure(x, y)

    def _either(self, x: Form, y: Form) -> Form:
        one = self.algebra.number(1)
        if one in (x, y):
            return one
        if not x.terms or not y.terms or x is y:
            return x if not y.terms or x is y else y
        return self.algebra.choose(x, y, one) if self.algebra.boolean(x) else self._unsure(x, y)

    def _not(self, x: Form) -> Form:
        return self.algebra.combine(((x, -self.algebra.one),), 1)

    def _unsure(self, x: Form, y: Form) -> Form:
        found = self.opaque((x, y), "a condition")
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
        if len(cases) == 2 and isinstance(which, Form):  # an infinite case is no number where it is chosen
            cases = [c if isinstance(c, Form) else self.algebra.lose(self.opaque((), "an infinity")) for c in cases]
        real = all(isinstance(case, Form) for case in cases)
        chosen = self.algebra.either(which, *cases) if real and len(cases) == 2 and isinstance(which, Form) else None
        if chosen is None and real and isinstance(which, Form):
            last = len(cases) - 1
            made = by_cases(self.algebra, [which], lambda i: [cases[min(max(i[0], 0), last)]])
            chosen = None if made is None else made[0]
        if chosen is not None:
            return chosen
        found = self.opaque([form for form in (which, *cases) if isinstance(form, Form)], "select_n")
        return found if real else self.algebra.lose(found)

    # --- arrays ---

    linear, index, scatter = curvature_moves.linear, curvature_moves.index, curvature_moves.scatter
    bilinear, reduce = curvature_library.bilinear, curvature_library.reduce
    eigenvalues, singular_values = curvature_library.eigenvalues, curvature_library.singular_values
    cholesky, lu, triangular_solve = (
        curvature_matrices.cholesky,
        curvature_matrices.lu,
        curvature_matrices.triangular_solve,
    )
    gather, linear_solve = curvature_matrices.gather, curvature_matrices.linear_solve
