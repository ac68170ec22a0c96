"""The Taylor domain: with each value v its normalised derivatives along a curve, v^(k)(0) / k! for k = 0..order.

If the inputs are curves x(t) = x_0 + x_1 t + ..., every value of the graph is one, and its coefficients follow equation
by equation:

- linear and index-moving primitives act on each coefficient by themselves;
- bilinear ones by convolution, (A B)_k = sum_j A_j B_{k-j};
- elementwise functions by the derivative on their fact card (`qed.domains.series`);
- comparisons, selections, maxima and orders are decided on the leading coefficient;
- factorisations of matrices by the series of their defining equations (`qed.domains.factorisation`);
- library functions that are smooth where their bodies have a tie by their own series (`qed.domains.smooth_calls`);
- calls with a rule of the user's by their body, and stop_gradient as the identity that it is: the series is one of the
  *values* of the function, whatever is declared to be its derivative.

A zero coefficient is None, so that constants and what is linear in t cost what they would without a series. The
numbers are a parameter (`qed.domains.coefficients`): JAX arrays give coefficients, compiled if the walk is traced under
`jax.jit`, with scan, while and cond kept as loops and branches (`qed.domains.loops`); enclosures give remainders.

Reference: Griewank and Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 13.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, final

from qed import facts
from qed.domains import factorisation, loops, piecewise
from qed.domains.coefficients import Arrays, Coefficients, Lost
from qed.domains.forward import Forward
from qed.domains.series import Node, SeriesArithmetic
from qed.domains.smooth_calls import is_smooth_call, smooth_call
from qed.graph.dtypes import is_inexact, is_real
from qed.graph.graph import Atom, Equation, Graph, Variable
from qed.graph.tape import Cell, Context, Frame, Unknown
from qed.graph.walk import Walker

Terms = Sequence[Any]
LOOPS = frozenset({"scan", "while", "cond"})
CALLS = """call call_hi_primitive closed_call composite custom_jvp_call custom_vjp_call jit remat
    xla_metadata_call""".split()
"""The calls that the walker enters."""


@dataclass(frozen=True, eq=False)
class Series:
    """The coefficients of one value, `terms[k]` of t^k; None is zero, the leading one is there."""

    terms: tuple[Any, ...]

    @property
    def leading(self) -> Any:
        """The value at t = 0."""
        return self.terms[0]

    @property
    def moves(self) -> bool:
        """Whether any coefficient but the leading one is there."""
        return any(term is not None for term in self.terms[1:])


@final
class Taylor(Forward):
    """Series of a fixed order over some numbers.

    Args:
        order: the highest power that is kept.
        numbers: what the coefficients are; JAX arrays by default.
    """

    name = "taylor"
    special: ClassVar = {
        **dict.fromkeys(CALLS, "entered"),
        **dict.fromkeys(("debug_callback", "debug_print", "inspect_sharding"), "nothing"),
        **dict.fromkeys(("scan", "while", "cond"), "loop"),
        **dict.fromkeys(("reduce_prod", "cumprod", "cumlogsumexp"), "accumulated"),
        **dict.fromkeys(("reduce", "reduce_window", "random_gamma", "scatter_apply"), "nested"),
        "add_any": "added",
        "gather": "gathered",
        "linear_call": "declared_linear",
        "polynomial": "polynomial",
        "scatter-mul": "scattered_product",
        "scatter-max": "reduce",
        "scatter-min": "reduce",
        "select_and_scatter": "reduce",
        "stop_gradient": "identity",
    }

    def __init__(self, order: int, numbers: Coefficients | None = None) -> None:
        self.order = order
        self.numbers = Arrays() if numbers is None else numbers

    # --- values ---

    def constant(self, atom: Atom, array: Any) -> Any:
        """A constant: all coefficients but the leading one are zero."""
        found = self.numbers.base.constant(atom, array)
        return found if isinstance(found, Unknown) else self.series((found,))

    def series(self, terms: Terms) -> Series:
        """The series of the given coefficients, zeros up to the order."""
        return Series((*terms, *(None,) * (self.order + 1 - len(terms))))

    def take(self, value: Series, index: int) -> Series:
        """Row `index` of each coefficient."""
        take = self.numbers.base.take
        return Series(tuple(None if term is None else take(term, index) for term in value.terms))

    def stack(self, values: Sequence[Series], variable: Variable) -> Series:
        """Rows on top of each other."""
        base = self.numbers.base
        if not values:
            return self.series((base.stack((), variable),))
        row = Variable(variable.shape[1:], variable.dtype)

        def column(k: int) -> Any:
            terms = [value.terms[k] for value in values]
            if all(term is None for term in terms):
                return None
            return base.stack([self.numbers.zeros(row) if term is None else term for term in terms], variable)

        return Series(tuple(column(k) for k in range(self.order + 1)))

    def choose(self, value: Series, count: int) -> int | None:
        """Decided on the leading coefficient."""
        return self.numbers.base.choose(value.leading, count)

    def truth(self, value: Series) -> bool | None:
        """Decided on the leading coefficient."""
        return self.numbers.base.truth(value.leading)

    # --- dispatch ---

    def opaque(self, equation: Equation) -> bool:
        """Whether a call is applied as a leaf: loops and branches of traced arrays, and functions that are smooth."""
        return (self.numbers.native and equation.primitive in LOOPS) or self._smooth(equation)

    def _smooth(self, equation: Equation) -> bool:
        return is_smooth_call(equation, self.numbers.native)

    def apply(self, equation: Equation, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The series of an equation's outputs; of constants, by the base alone."""
        try:
            if self._smooth(equation):
                return smooth_call(self, inputs, context)
            if equation.primitive not in LOOPS and not any(x.moves for x in inputs):
                return self.still(inputs, context)
            return super().apply(equation, inputs, context)
        except Lost as lost:
            unknown = lost.unknown or Unknown(self.name, equation.primitive, context.span, lost.why)
            return (unknown,) * len(equation.outputs)

    def walk(self, graph: Graph, inputs: Sequence[Any], frame: Frame | None = None) -> list[Any]:
        """The series of a graph's outputs (or Unknown) at series of its inputs."""
        cells = [Cell((x,), v.shape, v.dtype) for x, v in zip(inputs, graph.inputs, strict=True)]
        walker = Walker([self], opaque=self.opaque)
        return [cell.values[0] for cell in walker.walk(graph, cells, frame or Frame(graph))]

    # --- classes of primitives ---

    def still(self, xs: Sequence[Series], context: Context) -> Sequence[Series]:
        """Outputs that do not move: the base's rule on the leading coefficients."""
        outs = self.numbers.apply(context.equation, [x.leading for x in xs], context)
        return [
            self.series((out if is_inexact(variable.dtype) else self.numbers.certain(out, variable),))
            for out, variable in zip(outs, context.equation.outputs, strict=True)
        ]

    constant_almost_everywhere = compare = still

    def linear(self, xs: Sequence[Series], context: Context) -> Sequence[Series]:
        """Each coefficient by itself; operands that are no floating-point numbers stay as they are."""
        equation = context.equation
        floating = [is_inexact(atom.dtype) for atom in equation.inputs]
        if not all(is_inexact(variable.dtype) for variable in equation.outputs):
            return self.still(xs, context)  # floats to integers: constant between jumps
        return self.by_coefficient(xs, floating, context)

    index = linear

    def by_coefficient(
        self, xs: Sequence[Series], floating: Sequence[bool], context: Context, apply: Any = None
    ) -> list[Series]:
        """The equation applied to the k-th coefficients of the floating operands, for each k where one is there."""
        equation, numbers = context.equation, self.numbers
        columns: list[Sequence[Any]] = []
        for k in range(self.order + 1):
            if not any(flag and x.terms[k] is not None for x, flag in zip(xs, floating, strict=True)):
                columns.append((None,) * len(equation.outputs))
                continue
            row = [
                x.leading if not flag else numbers.zeros(atom) if x.terms[k] is None else x.terms[k]
                for x, flag, atom in zip(xs, floating, equation.inputs, strict=True)
            ]
            columns.append((apply or numbers.apply)(equation, row, context))
        return [Series(tuple(column[j] for column in columns)) for j in range(len(equation.outputs))]

    def added(self, xs: Sequence[Series], context: Context) -> Sequence[Series]:
        """A sum of two: where one is zero the other is the sum."""
        return (self.nary(facts.ARITHMETIC["add"], xs, context),)

    def gathered(self, xs: Sequence[Series], context: Context) -> Sequence[Series]:
        """A gather fills with NaN what lies outside; a derivative there is zero."""
        moving = [is_inexact(atom.dtype) for atom in context.equation.inputs]
        first = self.numbers.apply(context.equation, [x.leading for x in xs], context)
        (rest,) = self.by_coefficient(xs, moving, context, piecewise.gather_with_zeros(self.numbers))
        return (Series((first[0], *rest.terms[1:])),)

    def declared_linear(self, xs: Sequence[Series], context: Context) -> Sequence[Series]:
        """Linear in the operands that it declares; the others must be constant."""
        return piecewise.declared_linear(self, xs, context)

    def identity(self, xs: Sequence[Series], context: Context) -> Sequence[Series]:
        """The value of stop_gradient is its operand, and so is its series."""
        return xs

    def bilinear(self, xs: Sequence[Series], context: Context) -> Sequence[Series]:
        """The convolution of products; further operands (sizes of groups) stay."""
        left, right, *others = xs
        rest = [x.leading for x in others]
        numbers, equation = self.numbers, context.equation

        def product(k: int) -> Any:
            total = None
            for j in range(k + 1):
                a, b = left.terms[j], right.terms[k - j]
                if a is None or b is None:
                    continue
                (part,) = numbers.apply(equation, [a, b, *rest], context)
                total = part if total is None else numbers.add(total, part)
            return total

        return (Series(tuple(product(k) for k in range(self.order + 1))),)

    def unary(self, card: facts.Card | None, x: Series, context: Context) -> Any:
        """An elementwise function, by the derivative on its card."""
        equation = context.equation
        if not is_real(equation.inputs[0].dtype) and equation.primitive in ("abs", "sign"):
            return piecewise.modulus(self, x, context)
        if card is None:
            raise Lost
        arithmetic = SeriesArithmetic(self.numbers)
        if card.name == "integer_pow":
            return self.shaped(
                arithmetic.call("integer_pow", self.given(arithmetic, x), **dict(card.parameters)), context
            )
        node = arithmetic.composite(
            card.name,
            (self.given(arithmetic, x),),
            dict(card.parameters),
            lambda: self.numbers.apply(equation, [x.leading], context)[0],
        )
        return self.shaped(node, context)

    def nary(self, card: facts.ArithmeticCard, xs: Sequence[Series], context: Context) -> Any:
        """Arithmetic: sums, products and quotients by their own rules, the others by partial derivatives."""
        arithmetic = SeriesArithmetic(self.numbers)
        nodes: list[Node] = []
        for i, x in enumerate(xs):
            same = next((j for j in range(i) if xs[j] is x), None)
            nodes.append(self.given(arithmetic, x) if same is None else nodes[same])
        match card.name:
            case "add":
                node = arithmetic.sum(nodes[0], nodes[1], 1)
            case "sub":
                node = arithmetic.sum(nodes[0], nodes[1], -1)
            case "mul":
                node = arithmetic.product(nodes[0], nodes[1])
            case "div":
                node = arithmetic.quotient(nodes[0], nodes[1])
            case "pow" if not self.numbers.native and xs[1].moves:
                node = arithmetic.call("exp", arithmetic.product(nodes[1], arithmetic.call("log", nodes[0])))
            case _:
                nodes = [self.spread(arithmetic, x, context) for x in xs]
                leading = [x.leading for x in xs]
                node = arithmetic.composite(
                    card.name, nodes, {}, lambda: self.numbers.apply(context.equation, leading, context)[0]
                )
        return self.shaped(node, context)

    def polynomial(self, xs: Sequence[Series], context: Context) -> Sequence[Series]:
        """c_0 + c_1 x + ..., by Horner's rule."""
        arithmetic = SeriesArithmetic(self.numbers)
        x, *coefficients = (self.given(arithmetic, value) for value in xs)
        total: Node = arithmetic.exact(Fraction(0))
        for coefficient in reversed(coefficients):
            total = arithmetic.sum(coefficient, arithmetic.product(total, x), 1)
        return (self.shaped(total, context),)

    def select(self, xs: Sequence[Series], context: Context) -> Sequence[Series]:
        """The predicate is decided on its leading coefficient; the chosen operand's coefficients follow."""
        predicate = self.numbers.certain(xs[0].leading, context.equation.inputs[0])
        return self.by_coefficient((self.series((predicate,)), *xs[1:]), [False, *(True for _ in xs[1:])], context)

    def reduce(self, xs: Sequence[Series], context: Context) -> Sequence[Series]:
        """Maxima, orders and their indices: which element is taken is decided on the leading coefficients."""
        return piecewise.chosen(self, xs, context)

    def accumulated(self, xs: Sequence[Series], context: Context) -> Sequence[Series]:
        """Products, and sums of exponentials, along axes."""
        return piecewise.accumulated(self, xs, context)

    def scattered_product(self, xs: Sequence[Series], context: Context) -> Sequence[Series]:
        """Elements multiplied by others at given places."""
        return piecewise.scattered_product(self, xs, context)

    def linear_algebra(self, xs: Sequence[Series], context: Context) -> Sequence[Series]:
        """Factorisations and solutions of linear systems, by the series of their defining equations."""
        return factorisation.expand(self, xs, context)

    def nested(self, xs: Sequence[Series], context: Context) -> Sequence[Series]:
        """What has no rule but JAX's own derivative: that derivative, nested."""
        return piecewise.nested(self, xs, context)

    def random(self, xs: Sequence[Series], context: Context) -> Sequence[Series]:
        """Random bits depend on no floating-point number; a draw between moving bounds does."""
        if any(x.moves for x in xs):
            raise Lost
        return self.still(xs, context)

    def entered(self, xs: Sequence[Series], context: Context) -> Sequence[Series]:
        """A call is walked, not applied; here its graph is not visible."""
        raise Lost

    def nothing(self, xs: Sequence[Series], context: Context) -> Sequence[Series]:
        """Effects that only show something."""
        return ()

    def loop(self, xs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Loops and branches of traced arrays."""
        return loops.expand(self, xs, context)

    # --- between series and nodes ---

    def given(self, arithmetic: SeriesArithmetic, x: Series) -> Node:
        """The series as a node."""
        return arithmetic.given(x.terms)

    def spread(self, arithmetic: SeriesArithmetic, x: Series, context: Context) -> Node:
        """The series as a node, broadcast to the output's shape, since not every implementation broadcasts."""
        (variable,) = context.equation.outputs
        return arithmetic.given([None if term is None else self.numbers.shaped(term, variable) for term in x.terms])

    def shaped(self, node: Node, context: Context) -> Series:
        """The node's coefficients in the shape and dtype of the output."""
        (variable,) = context.equation.outputs
        terms = (node[k] for k in range(self.order + 1))
        return Series(tuple(None if term is None else self.numbers.shaped(term, variable) for term in terms))


def expand(graph: Graph, inputs: Sequence[Sequence[Any]], order: int) -> list[Any]:
    """The series of a graph's outputs over JAX arrays; traceable, so that it can be compiled.

    Args:
        graph: a graph that came from JAX.
        inputs: for each input its coefficients, the leading one first; those left out are zero.
        order: the highest power.

    Returns:
        For each output the tuple of its order + 1 coefficients, None for zero; or Unknown, with the primitive and line.

    Example: along the line x + t of f(x) = sum(x^3) at x = (1, 2)

        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> traced = trace(lambda x: jnp.sum(x**3), jnp.array([1.0, 2.0]))
        >>> (terms,) = expand(traced.graph, [(traced.leaves[0], jnp.ones(2))], 4)
        >>> [term if term is None else float(term) for term in terms]
        [9.0, 15.0, 9.0, 2.0, None]
    """
    domain = Taylor(order)
    series = [
        domain.series(tuple(domain.numbers.base.constant(v, term) for term in terms))
        for v, terms in zip(graph.inputs, inputs, strict=True)
    ]
    return [out if isinstance(out, Unknown) else out.terms for out in domain.walk(graph, series)]
