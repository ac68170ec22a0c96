"""The domain of elements: every number of a small program as a formula of single numbers, where all arrays are gone.

An array of symbols is an array of `Element`s. Elementwise operations make one element a place; what moves numbers
(reshape, slice, gather) moves elements; sums and matrix products become sums of products. Where the program
chooses (a branch, `where`, max) the choice that it makes at this point is followed, and recorded. So a program of
loops, calls and small vectors becomes what a textbook differentiates: a list of u = f(v, w) on real numbers.

What moves numbers is found out by JAX itself: the primitive is applied to the *numbers of the places*, and where a
place's number comes out, there its element goes.

A value that depends on no symbol is `PLAIN`; its numbers are in the value domain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, final

import jax.numpy as jnp
import numpy as np

from qed import facts
from qed.domains.forward import Forward
from qed.graph import jaxpr
from qed.graph.calls import Inline
from qed.graph.dtypes import is_real
from qed.graph.graph import Atom, Equation, Variable
from qed.graph.walk import Context, Unknown
from qed.span import Span

LIMIT = 20_000
"""How many elements one program may make."""

_FOLDED = {"reduce_and": "and", "reduce_or": "or", "reduce_xor": "xor"}
_COMBINED = {
    "add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum,
    "and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor,
}  # fmt: skip


class TooManyElements(Exception):
    """The program is too large to be written out number by number."""


@dataclass(frozen=True)
class Plain:
    """The marker of a value that depends on no symbol."""


PLAIN = Plain()


@dataclass(frozen=True, eq=False)
class Element:
    """One number of the program.

    Args:
        operation: 'symbol', 'constant', 'select', 'stop_gradient', a comparison, or the name of a card.
        operands: what it is computed from; of a select first what is chosen, then the other cases.
        value: the number, in the program's own arithmetic.
        parameters: of the card, such as the exponent of an integer power.
        span: the user's line.
        name: what the user calls it, where the source shows a name.
        condition: of a select, the comparison that decides (None where no symbol is in it).
        choice: of a select, which case was taken.
        custom: the name of the function with a derivative rule of its own in whose body this was computed.
    """

    operation: str
    operands: tuple[Element, ...] = ()
    value: Any = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    span: Span | None = None
    name: str | None = None
    condition: Element | None = None
    choice: int = 0
    custom: str | None = None

    def __repr__(self) -> str:
        return self.name or f"{self.operation}({', '.join(map(repr, self.operands))})"


MOVES = frozenset(
    """broadcast_in_dim concatenate pad reshape rev roll slice split squeeze stack tile transpose unstack gather
    dynamic_slice dynamic_update_slice scatter""".split()
)
SAME = frozenset(
    """convert_element_type copy device_put layout_constraint name optimization_barrier real reduce_precision reshard
    sharding_constraint stage tie with_memory_space_constraint""".split()
)


@final
class Elements(Forward):
    """Arrays of elements; runs beside the value domain, which comes first and decides every branch.

    Args:
        names: the user's names of what equations define.
        limit: how many elements at most.
    """

    name = "elements"
    requires = ("value",)
    special: ClassVar = {
        "stop_gradient": "stopped",
        "polynomial": "polynomial",
        "add_any": "added",
        "mul": "multiplied",
    }

    def __init__(self, names: Mapping[Equation, str] | None = None, limit: int = LIMIT) -> None:
        self.names = names or {}
        self.limit = limit
        self.made = 0
        self.decisions: list[Element] = []
        self._constants: dict[tuple[float, str], Element] = {}

    # --- what is carried ---

    def constant(self, atom: Atom, array: Any) -> Any:
        """No symbol."""
        return PLAIN

    def symbols(self, name: str, array: Any) -> np.ndarray:
        """An array of fresh symbols, called ``x`` or ``x[0]``, ``x[1]``, ..."""
        numbers = np.asarray(array)
        found = np.empty(numbers.shape, object)
        for place in np.ndindex(numbers.shape):
            label = f"{name}[{', '.join(map(str, place))}]" if place else name
            found[place] = Element("symbol", value=numbers[place], name=label)
        return found

    def take(self, value: Any, index: int) -> Any:
        """Row `index`."""
        return value if value is PLAIN else np.asarray(value[index], object)

    def stack(self, values: Sequence[Any], variable: Variable) -> Any:
        """Rows on top of each other."""
        if all(value is PLAIN for value in values):
            return PLAIN
        return Unknown(self.name, "stack", None) if any(v is PLAIN for v in values) else np.stack(values)

    def join(self, first: Any, second: Any) -> Any:
        """Both branches of what the value domain could not decide: nothing is known."""
        return PLAIN if first is PLAIN and second is PLAIN else Unknown(self.name, "cond", None)

    def apply(self, equation: Equation, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """PLAIN where no input holds a symbol, else by the rules."""
        if all(value is PLAIN for value in inputs):
            return (PLAIN,) * len(equation.outputs)
        outputs = super().apply(equation, inputs, context)
        return [self._named(out, equation, context) for out in outputs]

    def _named(self, out: Any, equation: Equation, context: Context) -> Any:
        """Give the elements of an output the user's name for it; moved ones have theirs already."""
        name = self.names.get(equation)
        if name is None or not isinstance(out, np.ndarray) or len(equation.outputs) != 1:
            return out
        steps = "".join(f"{step + 1}" for step in context.frame.steps()[-1:])
        for place in np.ndindex(out.shape):
            element: Any = out[place]
            if element.name is None and element.operation != "constant" and element.span == context.span:
                label = f"{name}[{', '.join(map(str, place))}]" if place else name
                object.__setattr__(element, "name", label + (f"_{steps}" if steps else ""))
        return out

    # --- making elements ---

    def _make(self, operation: str, operands: Sequence[Element], value: Any, context: Context, **rest: Any) -> Element:
        self.made += 1
        if self.made > self.limit:
            message = f"more than {self.limit} numbers depend on the parameters"
            raise TooManyElements(message)
        return Element(operation, tuple(operands), value, span=context.span, custom=_custom(context), **rest)

    def _plain(self, array: Any) -> np.ndarray:
        numbers = np.asarray(array)
        found = np.empty(numbers.shape, object)
        for place in np.ndindex(numbers.shape):
            number = numbers[place]
            key = (float(number), str(numbers.dtype))
            if key not in self._constants or number != number:
                self._constants[key] = Element("constant", value=number)
            found[place] = self._constants[key]
        return found

    def _arrays(self, inputs: Sequence[Any], context: Context) -> list[np.ndarray]:
        """All inputs as arrays of elements."""
        values = context.others["value"]
        return [self._plain(v) if x is PLAIN else x for x, v in zip(inputs, values, strict=True)]

    def _out(self, context: Context, index: int = 0) -> np.ndarray:
        return np.asarray(context.others["value:out"][index])

    def _each(self, operation: str, operands: Sequence[Any], context: Context, **rest: Any) -> np.ndarray:
        """One element a place, its operands broadcast against each other."""
        value = self._out(context)
        wide = [np.broadcast_to(operand, value.shape) for operand in operands]
        found = np.empty(value.shape, object)
        for place in np.ndindex(value.shape):
            inside: list[Any] = [w[place] for w in wide]
            found[place] = self._make(operation, inside, value[place], context, **rest)
        return found

    # --- the rules ---

    def unary(self, card: facts.Card, x: Any, context: Context) -> Any:
        """An elementwise function of one number."""
        if not is_real(context.equation.outputs[0].dtype):
            return self.unknown(context.equation, context)
        params = context.equation.params
        kept = {"y": int(params["y"])} if card.name == "integer_pow" else {}
        return self._each(card.name, (x,), context, parameters=kept)

    def nary(self, card: Any, xs: Sequence[Any], context: Context) -> Any:
        """Arithmetic; between integers and truth values it is no arithmetic of real numbers."""
        if not is_real(context.equation.outputs[0].dtype):
            return self.unknown(context.equation, context)
        return self._each(card.name, self._arrays(xs, context), context)

    def multiplied(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """A product; by a truth value turned into 0 or 1 too."""
        return (self.nary(facts.ARITHMETIC["mul"], inputs, context),)

    def added(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """A sum under another name."""
        return (self.nary(facts.ARITHMETIC["add"], inputs, context),)

    def polynomial(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """A polynomial with its coefficients, by Horner's scheme."""
        return (self.unknown(context.equation, context),)

    def stopped(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The value, declared constant."""
        return (self._each("stop_gradient", inputs, context),)

    def compare(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """A comparison of two numbers, or what is made of truth values."""
        folded = _FOLDED.get(context.equation.primitive)
        if folded is not None:
            return (self._reduced(folded, inputs[0], context),)
        return (self._each(context.equation.primitive, self._arrays(inputs, context), context),)

    def select(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The chosen case, place by place, and what decided."""
        which, *cases = inputs
        index = np.asarray(context.others["value"][0]).astype(int)
        value = self._out(context)
        arrays = self._arrays(cases, _behind(context, len(cases)))
        conditions = None if which is PLAIN else np.broadcast_to(which, value.shape)
        index = np.broadcast_to(index, value.shape)
        found = np.empty(value.shape, object)
        for place in np.ndindex(value.shape):
            taken = int(index[place])
            picked = arrays[taken][place]
            if conditions is None:
                found[place] = picked
                continue
            others = [array[place] for i, array in enumerate(arrays) if i != taken]
            rest: dict[str, Any] = {"condition": conditions[place], "choice": taken}
            inside: list[Any] = [picked, *others]
            found[place] = self._make("select", inside, value[place], context, **rest)
        return (found,)

    def linear(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Moves, sums and conversions."""
        primitive = context.equation.primitive
        if primitive in SAME and len(context.equation.outputs) == 1:
            return (self._same(inputs[0], context),)
        if primitive in MOVES:
            return self._moved(inputs, context)
        if primitive == "reduce_sum":
            return (self._reduced("add", inputs[0], context),)
        if primitive == "cumsum":
            return (self._cumulated("add", inputs[0], context),)
        return (self.unknown(context.equation, context),) * len(context.equation.outputs)

    def _same(self, x: np.ndarray, context: Context) -> Any:
        """A conversion: of a truth value it is a decision that the program takes, of a float to an integer a step."""
        dtype = context.equation.outputs[0].dtype
        if is_real(dtype) and all(is_real(np.asarray(e.value).dtype) for e in x.flat):
            return x
        decided = [e for e in x.flat if e.operation in _COMPARISONS]
        if len(decided) == x.size:
            self.decisions += decided
            return PLAIN
        return self.unknown(context.equation, context)

    def reduce(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Products, largest and smallest along axes."""
        primitive = context.equation.primitive
        if primitive in ("reduce_max", "reduce_min", "reduce_prod"):
            return (self._reduced({"prod": "mul"}.get(primitive[7:], primitive[7:]), inputs[0], context),)
        if primitive in ("cumprod", "cummax", "cummin"):
            return (self._cumulated({"prod": "mul"}.get(primitive[3:], primitive[3:]), inputs[0], context),)
        return (self.unknown(context.equation, context),) * len(context.equation.outputs)

    def index(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """What moves numbers to or from places."""
        if context.equation.primitive in MOVES:
            return self._moved(inputs, context)
        return (self.unknown(context.equation, context),) * len(context.equation.outputs)

    def bilinear(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """A matrix product, as sums of products."""
        if context.equation.primitive != "dot_general":
            return (self.unknown(context.equation, context),)
        (left_sum, right_sum), (left_batch, right_batch) = context.equation.params["dimension_numbers"]
        left, right = self._arrays(inputs, context)
        left = _ordered(left, left_batch, left_sum)
        right = _ordered(right, right_batch, right_sum)
        value = self._out(context)
        found = np.empty((*left.shape[:1], left.shape[1], right.shape[1]), object)
        numbers = value.reshape(found.shape)
        for b, i, j in np.ndindex(found.shape):
            pairs = zip(left[b, i], right[b, j], strict=True)
            terms: list[Any] = [self._make("mul", (u, v), u.value * v.value, context) for u, v in pairs]
            found[b, i, j] = terms[0] if len(terms) == 1 else self._make("add", terms, numbers[b, i, j], context)
        return (found.reshape(value.shape),)

    # --- how ---

    def _moved(self, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """Apply the primitive to the numbers of the places."""
        native, values = context.equation.native, context.others["value"]
        if native is None:
            return (self.unknown(context.equation, context),) * len(context.equation.outputs)
        pool: list[Element] = []
        numbered: list[Any] = []
        for x, v in zip(inputs, values, strict=True):
            if x is PLAIN and not is_real(v.dtype):
                numbered.append(v)
                continue
            array = self._plain(v) if x is PLAIN else x
            numbered.append(jnp.arange(len(pool), len(pool) + array.size, dtype=jnp.int32).reshape(array.shape))
            pool += array.ravel().tolist()
        found = []
        for numbers in jaxpr.bind(native, numbered):
            places = np.asarray(numbers)
            if places.size and (places.min() < 0 or places.max() >= len(pool)):  # filled in where nothing was
                return (self.unknown(context.equation, context),) * len(context.equation.outputs)
            array = np.empty(places.shape, object)
            array.reshape(-1)[:] = [pool[int(i)] for i in places.ravel()]
            found.append(array)
        return found

    def _reduced(self, operation: str, x: np.ndarray, context: Context) -> Any:
        axes = tuple(context.equation.params["axes"])
        value = self._out(context)
        lines = np.moveaxis(x, axes, range(-len(axes), 0)).reshape(*value.shape, -1)
        found = np.empty(value.shape, object)
        for place in np.ndindex(value.shape):
            line: list[Any] = list(lines[place])
            if not line:
                found[place] = self._plain(value[place])[()]
            elif operation == "add":
                found[place] = line[0] if len(line) == 1 else self._make("add", line, value[place], context)
            else:
                found[place] = self._chain(operation, line, context)[-1]
        return found

    def _cumulated(self, operation: str, x: np.ndarray, context: Context) -> Any:
        params = context.equation.params
        lines = np.moveaxis(x, params["axis"], -1)
        found = np.empty(lines.shape, object)
        step = -1 if params.get("reverse") else 1
        for place in np.ndindex(lines.shape[:-1]):
            found[place][::step] = self._chain(operation, list(lines[place][::step]), context)
        return np.moveaxis(found, -1, params["axis"])

    def _chain(self, operation: str, line: list[Element], context: Context) -> list[Element]:
        """u1, u1 ∘ u2, (u1 ∘ u2) ∘ u3, ..."""
        combine = _COMBINED[operation]
        chain = [line[0]]
        for element in line[1:]:
            value = combine(chain[-1].value, element.value)
            chain.append(self._make(operation, (chain[-1], element), value, context))
        return chain


_COMPARISONS = frozenset("and eq ge gt is_finite le lt ne not or xor".split())


def _custom(context: Context) -> str | None:
    """The innermost function with a derivative rule of its own that the equation stands in."""
    frame = context.frame
    while frame is not None:
        call = frame.equation.call if frame.equation is not None else None
        if isinstance(call, Inline) and call.custom:
            return call.name or call.custom
        frame = frame.parent
    return None


def _behind(context: Context, count: int) -> Context:
    """The context of the last `count` inputs alone."""
    others = {**context.others, "value": context.others["value"][-count:]}
    return Context(context.equation, context.frame, others)


def _ordered(x: np.ndarray, batch: Sequence[int], summed: Sequence[int]) -> np.ndarray:
    """An operand of a matrix product as an array (batch, free, summed)."""
    free = [axis for axis in range(x.ndim) if axis not in (*batch, *summed)]
    moved = np.transpose(x, (*batch, *free, *summed))
    sizes = [[x.shape[axis] for axis in axes] for axes in (batch, free, summed)]
    return moved.reshape([int(np.prod(size, dtype=int)) for size in sizes])
