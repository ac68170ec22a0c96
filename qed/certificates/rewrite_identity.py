"""The certificate of a rewriting: two expressions are one real function wherever the first is defined.

Both are programs in the inputs of the user's function, in single assignment: a line is an operation, the lines that it
reads, its parameters and its shape. The proof reads each line as a real function (`real_functions`), brings both
results into normal form (`real_forms`), and compares them exactly over the rationals. Then the domains: whatever the
second needs to be defined (positive arguments of logarithms, non-zero denominators, non-negative radicands) must hold
by signs alone or be needed by the first, in a line that every evaluation of the first runs (no case of a choice).

What does not come out equal is not proved, and nothing is said of it. Constants are exact: a rewriting that puts in the
rounded logarithm of 4 is no identity and is not proved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, ClassVar, Self, final

from qed import facts
from qed.certificates.certificate import Certificate, Subject
from qed.certificates.programs import Line, lines_of, program
from qed.certificates.real_forms import Forms
from qed.certificates.real_functions import ELEMENTARY, Functions
from qed.certificates.real_operations import MEANINGS, TOTAL
from qed.certificates.real_polynomials import ONE, Map, NotProved, Poly, fail, number, plus
from qed.errors import CertificateError
from qed.graph.trace import Traced


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class RewriteIdentity(Certificate):
    """Two programs that are equal wherever the first is defined; an empty first one is the user's function itself.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.rewrite_identity import RewriteIdentity, lines_of
    >>> from qed.graph.build import Builder
    >>> from qed.graph.trace import trace
    >>> def written(x):
    ...     return jnp.log(jnp.exp(x) * 2.0)
    >>> graph = trace(lambda x: x + jnp.log(2.0), 1.0).graph
    >>> builder = Builder()
    >>> inputs = builder.inputs(graph)
    >>> after = lines_of(builder.inline(graph, inputs), inputs)
    >>> RewriteIdentity.about(written, 1.0, (), before=((), ()), after=after).verify()
    True
    """

    kind: ClassVar[str] = "rewrite identity"
    before: tuple[Line, ...]
    before_outputs: tuple[int, ...]
    after: tuple[Line, ...]
    after_outputs: tuple[int, ...]

    @classmethod
    def about(
        cls,
        fun: Callable[..., Any],
        at: Any,
        args: tuple[Any, ...],
        *,
        before: tuple[tuple[Line, ...], tuple[int, ...]],
        after: tuple[tuple[Line, ...], tuple[int, ...]],
    ) -> Self:
        """The certificate of two programs."""
        return cls.made(
            Subject(fun, at, tuple(args)),
            before=before[0],
            before_outputs=before[1],
            after=after[0],
            after_outputs=after[1],
        )

    def prove(self, traced: Traced) -> None:
        """Bring both programs into normal form and compare."""
        before, outputs = self.before, self.before_outputs
        try:
            if not before:
                before, outputs = program(traced.graph)
            prove(before, outputs, self.after, self.after_outputs)
        except NotProved as error:
            raise CertificateError("after", str(error)) from error
        except (IndexError, KeyError, TypeError, ValueError, ZeroDivisionError, RecursionError) as error:
            raise CertificateError("after", f"it is no program that can be read: {error}") from error


def prove(before: Sequence[Line], outputs: Sequence[int], after: Sequence[Line], others: Sequence[int]) -> None:
    """Raise NotProved unless the second program equals the first wherever that is defined."""
    if len(outputs) != len(others):
        fail("the programs return different numbers of results")
    forms = Forms()
    for _ in range(2):  # once more with all facts, so that forms do not depend on the order of lines
        first = Reading(forms, before).run(outputs)
        for line in sorted(first.always):
            for condition in first.conditions[line]:
                forms.assume(*condition)
    second = Reading(forms, after).run(others)
    for one, other in zip(outputs, others, strict=True):
        if tuple(before[one][3]) != tuple(after[other][3]):
            fail("the programs return different shapes")
        if not forms.same(first.values[one], second.values[other]):
            fail("the forms differ")
    shared = {_whole(before, line): line for line in first.values}
    for line, conditions in second.conditions.items():
        same = shared.get(_whole(after, line))
        if same is not None and (same in first.always or line not in second.always):
            continue
        for kind, p in conditions:
            if not forms.holds(kind, p):
                fail(f"line {line} needs a {kind} number where the original may need none")
    if second.unknown - first.unknown:
        fail("the rewritten program has a function that nothing is known of")


def _whole(program: Sequence[Line], line: int) -> Any:
    """A line with all that it reads, as a key."""
    known: dict[int, Any] = {}
    for index in range(line + 1):
        operation, reads, params, shape = program[index]
        inner = tuple(reads) if operation == "input" else tuple(known[k] for k in reads)
        known[index] = hash((operation, inner, _hashable(params), tuple(shape)))
    return known[line]


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list | tuple) else value


_POWERS = frozenset(["pow", "power_minus_one", "power_near_one", "growth_over", "grown_by", "powers_apart"])


@dataclass(eq=False)
class Reading:
    """A program line by line as real functions."""

    forms: Forms
    program: Sequence[Line]
    values: dict[int, Poly] = field(default_factory=dict)
    conditions: dict[int, list[tuple[str, Poly]]] = field(default_factory=dict)
    unknown: set[Any] = field(default_factory=set)
    always: set[int] = field(default_factory=set)

    def run(self, outputs: Sequence[int]) -> Reading:
        """Read what the outputs need."""
        needed, self.always = self._needed(outputs, True), self._needed(outputs, False)
        for line in sorted(needed):
            self.forms.conditions = []
            self.values[line] = self._line(line)
            self.conditions[line] = self.forms.conditions
        if any(self._one_sided(sorted(needed))[output] for output in outputs):
            fail("a number that is the program's own on one side of a choice is read on the other, or outside of it")
        return self

    def _one_sided(self, needed: Sequence[int]) -> dict[int, frozenset[tuple[int, bool]]]:
        """For each line the choices and sides on which alone it is what it stands for.

        ``seen_in_range(inside, x)`` is x where ``inside`` is (not) true, and any number elsewhere: it may stand for x
        only beneath the same side of a ``fraction_in_range`` that asks the same line, and only element by element: what
        moves elements or adds them up would read those of the other side.
        """
        found: dict[int, frozenset[tuple[int, bool]]] = {}
        for line in needed:
            operation, reads, params, shape = self.program[line]
            if operation == "input":
                found[line] = frozenset()
                continue
            sides = [found[read] for read in reads]
            given = [read for read, side in zip(reads, sides, strict=True) if side]
            if operation in ("seen_in_range", "fraction_in_range"):
                given += reads[:1]
            if given and not _by_elements(operation, params):
                fail("what a number on one side of a choice is made into is not made element by element")
            if any(tuple(self.program[read][3]) != tuple(shape) for read in given):
                fail("a number on one side of a choice has another shape than the choice")
            if operation == "fraction_in_range":
                inside, sides = reads[0], [side - {(reads[0], k == 1)} for k, side in enumerate(sides)]
                sides[0] = found[inside]
            found[line] = frozenset().union(*sides)
            if operation == "seen_in_range":
                found[line] |= {(reads[0], bool(dict(params)["taken"]))}
        return found

    def _needed(self, outputs: Sequence[int], cases: bool) -> set[int]:
        """The lines that the outputs read; without `cases`, only those that no choice leaves out."""
        found: set[int] = set()
        stack = list(outputs)
        while stack:
            line = stack.pop()
            if line in found:
                continue
            found.add(line)
            operation, reads, _, _ = self.program[line]
            if operation == "input" or (operation in _CHOICES and not cases):
                stack += [] if operation == "input" else list(reads[:1])
                continue
            if any(read >= line for read in reads):
                fail("a line reads a later one")
            stack += reads
        return found

    def _line(self, line: int) -> Poly:
        operation, reads, params, shape = self.program[line]
        shape, given = tuple(shape), {key: value for key, value in params}
        if operation == "input":
            return self.forms.base(("input", reads[0]), shape)
        if operation == "number":
            return number(Fraction(given["value"]))
        if operation == "constant":
            return self._constant(given["value"], shape)
        shapes = [tuple(self.program[k][3]) for k in reads]
        ps = [self.values[k] for k in reads]
        functions = Functions(self.forms)
        index = _INDEX.get(operation)
        if index is not None:
            places = index(given, shapes[0], shape)
            if places is not None:
                _fits(places, shapes[0], shape)
                return self.forms.moved(ps[0], places, shape)
        found = self._power_of(functions, operation, ps, shapes, shape)
        if found is None:
            found = self._known(functions, operation, ps, given, shapes, shape)
        if found is not None:
            return found
        key = (operation, _hashable(params), tuple(zip(map(self.forms.key, ps), shapes, strict=True)))
        if operation not in TOTAL:
            self.unknown.add(key)
        return self.forms.base(key, shape)

    def _constant(self, value: Any, shape: tuple[int, ...]) -> Poly:
        """An array of numbers, or what has no numbers, by its text."""
        found = self.forms.base(("constant", _hashable(value)), shape)
        if not isinstance(value, str) and value:
            for kind, holds in (("positive", min(value) > 0), ("nonnegative", min(value) >= 0)):
                if holds:
                    self.forms.assume(kind, found)
        return found

    def _power_of(
        self, f: Functions, operation: str, ps: list[Poly], shapes: list[tuple[int, ...]], shape: tuple[int, ...]
    ) -> Poly | None:
        """Powers with an exponent that is no number."""
        if operation not in _POWERS:
            return None
        ps = self._spread(ps, shapes, shape)
        if operation == "growth_over":
            ps = [plus(number(1), f.divided(ps[0], ps[1])), ps[1]]
        if operation == "powers_apart":
            x, y, d, k = ps
            f.agree(d, plus(x, y, -1), "the difference of the arguments")
            return plus(self._raised(f, x, k, shape), self._raised(f, y, k, shape), -1)
        if operation == "grown_by":
            f.agree(ps[3], self.forms.times(ps[1], ps[2]), "the product of growth and exponent")
            ps = ps[:3]
        base, exponent = ps[0], ps[-1]
        if len(ps) == 3:
            f.agree(ps[1], plus(base, number(1), -1), "the growth")
        value = self._raised(f, base, exponent, shape)
        return plus(value, number(1), -1) if operation == "power_minus_one" else value

    def _raised(self, f: Functions, base: Poly, exponent: Poly, shape: tuple[int, ...]) -> Poly:
        """base^exponent; of a base that may be negative nothing is known."""
        if not set(exponent) - {ONE}:
            return f.power(base, exponent.get(ONE, Fraction(0)))
        if self.forms.positive(base):
            return f.exp(self.forms.times(exponent, f.log(base)))
        key = ("pow", (), (self.forms.key(base), self.forms.key(exponent)))
        self.unknown.add(key)
        return self.forms.base(key, shape)

    def _known(
        self,
        f: Functions,
        operation: str,
        ps: list[Poly],
        params: Mapping[str, Any],
        shapes: list[tuple[int, ...]],
        shape: tuple[int, ...],
    ) -> Poly | None:
        if operation in ("reduce_sum", "sum"):
            if shape != tuple(n for k, n in enumerate(shapes[0]) if k not in params["axes"]):
                fail("a sum has another shape than its line")
            return self.forms.total(ps[0], params["axes"], shapes[0])
        if operation == "dot_general":
            return _dot(self.forms, ps, params["dimension_numbers"], shapes)
        if operation == "log" and len(ps) == 2:
            return f.log_of_sum(*self._spread(ps, shapes, shape))
        if operation in MEANINGS:
            whole = "axes" in params or "index" in params
            return MEANINGS[operation](f, ps if whole else self._spread(ps, shapes, shape), params, shapes)
        if operation not in _ELEMENTWISE and operation not in ELEMENTARY:
            return None
        ps = self._spread(ps, shapes, shape)
        match operation:
            case "add" | "add_any":
                return plus(ps[0], ps[1])
            case "sub":
                return plus(ps[0], ps[1], -1)
            case "mul":
                return self.forms.times(ps[0], ps[1])
            case "div":
                return f.divided(ps[0], ps[1])
            case "integer_pow":
                return f.power(ps[0], Fraction(params["y"]))
            case "copy" | "stop_gradient" | "name":
                return ps[0]
            case "convert_element_type":
                return ps[0] if params.get("exact") else None
        return f.elementary(operation, ps[0]) if len(ps) == 1 else None

    def _spread(self, ps: list[Poly], shapes: list[tuple[int, ...]], shape: tuple[int, ...]) -> list[Poly]:
        """Operands of an elementwise operation in the shape of its result."""
        found = []
        for p, old in zip(ps, shapes, strict=True):
            lead = len(shape) - len(old)
            places = tuple(None if k < lead or old[k - lead] == 1 else k - lead for k in range(len(shape)))
            _fits(places, old, shape)
            found.append(p if old == shape else self.forms.moved(p, places, shape))
        return found


_ELEMENTWISE = frozenset("add add_any sub mul div integer_pow copy stop_gradient name convert_element_type".split())
_ASKED = frozenset(["in_range", "close"])
_CHOICES = frozenset(["select_n", "where_chosen", "cond", "clamp"])


def _by_elements(operation: str, params: Sequence[tuple[str, Any]]) -> bool:
    """Whether an element of a result is made of the same element of each operand."""
    if operation in MEANINGS:
        return not {"axes", "index"} & {key for key, _ in params}
    known = operation in _ELEMENTWISE or operation in ELEMENTARY or operation in _POWERS
    return known or operation in _ASKED or operation in facts.CARDS or operation in facts.ARITHMETIC


def _fits(places: Map, old: tuple[int, ...], new: tuple[int, ...]) -> None:
    """Fail unless every axis of the operand is one of the result's, or of length 1."""
    used = {place for place in places if place is not None}
    sizes = all(place is None or old[place] == new[k] for k, place in enumerate(places))
    if len(places) != len(new) or not sizes or any(n != 1 and k not in used for k, n in enumerate(old)):
        fail("a line has another shape than what it computes")


def _broadcast(params: Mapping[str, Any], old: tuple[int, ...], new: tuple[int, ...]) -> Map:
    at = tuple(params["broadcast_dimensions"])
    return tuple(at.index(k) if k in at and old[at.index(k)] != 1 else None for k in range(len(new)))


def _reshape(params: Mapping[str, Any], old: tuple[int, ...], new: tuple[int, ...]) -> Map | None:
    """Only what puts in or drops axes of length 1."""
    long = [k for k, n in enumerate(old) if n != 1]
    if [old[k] for k in long] != [n for n in new if n != 1]:
        return None
    left = iter(long)
    return tuple(None if n == 1 else next(left) for n in new)


def _fill(params: Mapping[str, Any], old: tuple[int, ...], new: tuple[int, ...]) -> Map:
    lead = len(new) - len(old)
    return tuple(None if k < lead or old[k - lead] == 1 else k - lead for k in range(len(new)))


def _transpose(params: Mapping[str, Any], old: tuple[int, ...], new: tuple[int, ...]) -> Map:
    return tuple(params["permutation"])


_INDEX: dict[str, Callable[[Mapping[str, Any], tuple[int, ...], tuple[int, ...]], Map | None]] = {
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "squeeze": _reshape,
    "expand_dims": _reshape,
    "transpose": _transpose,
    "fill": _fill,
}


def _dot(forms: Forms, ps: Sequence[Poly], numbers: Any, shapes: Sequence[tuple[int, ...]]) -> Poly:
    """A matrix product as a sum of products."""
    (contract_a, contract_b), (batch_a, batch_b) = numbers
    free_a = [k for k in range(len(shapes[0])) if k not in (*contract_a, *batch_a)]
    free_b = [k for k in range(len(shapes[1])) if k not in (*contract_b, *batch_b)]
    sizes = [shapes[0][k] for k in (*batch_a, *free_a)] + [shapes[1][k] for k in free_b]
    full = (*sizes, *(shapes[0][k] for k in contract_a))
    first = (*batch_a, *free_a, *(None for _ in free_b), *contract_a)
    second = (*batch_b, *(None for _ in free_a), *free_b, *contract_b)
    product = forms.times(forms.moved(ps[0], first, full), forms.moved(ps[1], second, full))
    return forms.total(product, range(len(sizes), len(full)), full)


__all__ = ["Line", "NotProved", "RewriteIdentity", "lines_of", "program", "prove"]
