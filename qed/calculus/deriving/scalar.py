"""The derivative of a program of real numbers in one variable, rule by rule.

The elements are gone through in the order in which the program computes them. At each that depends on the variable one
rule applies; the derivatives of its operands are known by then, so that a step has its general form, its result with
these put in, and its number. The numbers are computed from the cards and not from the simplified formulas, which are
only what is read:

    u' = sum over the operands v of u of  (du/dv) v'

Forward accumulation: Griewank and Walther, *Evaluating Derivatives* (2nd ed., SIAM 2008), section 3.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

import numpy as np

from qed import facts
from qed.calculus.deriving.corners import Overrides
from qed.calculus.deriving.forms import PIECES, Forms, decided, tex_name
from qed.calculus.deriving.partial import Partial, Step, rounded, tex_number
from qed.calculus.deriving.program import NotDerivable
from qed.calculus.deriving.rules import RULES, Rule, law_of, name_of, outer_times_inner
from qed.domains.elements import Element
from qed.facts import Expression
from qed.facts.expression import ONE, ZERO, Call, Constant, Operation, Symbol
from qed.facts.simplify import simplify, size

LONGEST_SLOPE = 20
"""A derivative of more nodes is called u' from then on."""

LARGEST_FORMULA = 240
"""The formula of a derivative is written out in the variables up to this many nodes."""


_Part = tuple[Element, Expression, float]
"""An operand, and the partial derivative in it as a formula and as a number."""


class Deriver:
    """Derives one program in one variable after another; the names are shared."""

    def __init__(self, forms: Forms, function: str, primes: str = "'") -> None:
        self.forms = forms
        self.program = forms.program
        self.function = function
        self._primed: dict[str, str] = {}

    def derive(self, variable: Element, most: int = 10**6, sides: Overrides | None = None) -> Partial:
        """The derivative of the program's output in one of its variables.

        Args:
            variable: which.
            most: how many steps to write down.
            sides: the partial derivatives of elements at corners, for a one-sided derivative.

        Raises:
            NotDerivable: where a function has no formula for its derivative.
        """
        forms, output = self.forms, self.program.output
        active = self.program.depending_on(variable)
        slopes: dict[Element, Expression] = {}
        numbers: dict[Element, float] = {}
        sizes: dict[Element, float] = {}
        primes: dict[str, Expression] = {}
        values = dict(forms.values)
        steps: list[Step] = []
        rest = 0
        needed = self._needed(active, sides or {})
        for element in self.program.order:
            if element not in needed:
                continue
            if element is variable:
                slopes[element], numbers[element], sizes[element] = ONE, 1.0, 1.0
                continue
            parts = self._partials(element, active)
            if sides and element in sides:
                pairs = zip(element.operands, sides[element], strict=True)
                parts = [_constant_part(o, p) for o, p in pairs if o in active and p]
            with np.errstate(all="ignore"):
                numbers[element] = float(sum(n * numbers[o] for o, _, n in parts))
                sizes[element] = float(sum(abs(n) * sizes[o] for o, _, n in parts))
            behind = forms.behind(element)
            if behind is not element and behind in slopes:
                slopes[element] = slopes[behind]
                continue
            if element is not output and all(slopes[o] == ZERO for o, _, _ in parts):
                slopes[element] = ZERO
                continue
            general = self._general(element, parts, variable)
            result = simplify(general.substitute({self._prime(o, variable): slopes[o] for o, _, _ in parts}))
            long = size(result) > LONGEST_SLOPE and element is not output
            if long:
                forms.name(element)
                values.update(forms.values)
            if len(steps) >= most and element is not output:
                rest += 1
            else:
                steps.append(self._step(element, parts, general, result, variable, numbers[element]))
            slopes[element] = result
            if long:
                name = forms.labels[element] + "'"
                primes[name], values[name] = result, numbers[element]
                slopes[element] = Symbol(name)
        if output not in active:
            steps, slopes[output], numbers[output], sizes[output] = [self._constant(variable)], ZERO, 0.0, 0.0
        elif output is variable:
            steps = [self._identity(variable)]
        definitions = {**forms.definitions, **primes}
        formula, complete = _written_out(slopes[output], definitions)
        used = {name: d for name, d in definitions.items() if not complete}
        found = Partial(
            forms.labels[variable], formula, numbers[output], tuple(steps), used, values,
            tuple(self._conditions(active, needed)), sizes[output], complete,
            tuple(self._notes(variable, active)), rest,
            frozenset(forms.labels[e] for e in self.program.order if self._is_data(e)),
        )  # fmt: skip
        return found

    def _is_data(self, element: Element) -> bool:
        return element.operation == "symbol" and element not in self.program.variables

    def _needed(self, active: frozenset[Element], sides: Overrides) -> frozenset[Element]:
        """The elements that the derivative goes through: of a choice only the pieces that are active."""
        found: set[Element] = set()
        pending = [self.program.output]
        while pending:
            element = pending.pop()
            if element not in active or element in found:
                continue
            found.add(element)
            operands = element.operands
            if element in sides:
                operands = tuple(o for o, p in zip(operands, sides[element], strict=True) if p)
            elif element.operation in ("select", *PIECES):
                operands = tuple(operand for operand, _, _ in self._partials(element, active))
            pending += operands
        return frozenset(found)

    # --- rules ---

    def _partials(self, element: Element, active: frozenset[Element]) -> list[_Part]:
        """(operand, partial derivative as a formula, as a number) for the operands that depend on the variable."""
        forms, operation = self.forms, element.operation
        kept = [i for i, operand in enumerate(element.operands) if operand in active]
        if operation == "add":
            return [(element.operands[i], ONE, 1.0) for i in kept]
        if operation == "select":
            return [(element.operands[0], ONE, 1.0)] if 0 in kept else []
        body = forms.bodies[element]
        if isinstance(body, Call) and body.name in ("power", "integer_pow") and operation == "pow":
            operation, kept = body.name, [i for i in kept if i == 0]
            card = facts.card(operation, **dict(body.parameters))
        else:
            card = facts.card(operation, **element.parameters) if operation not in facts.ARITHMETIC else None
        if card is not None:
            arguments, value, partials = ("x",), "y", (card.derivative,)
        else:
            found = facts.ARITHMETIC[operation]
            arguments, value, partials = found.arguments, "z", found.partials
        names = {**dict(zip(arguments, element.operands, strict=False)), value: element}
        written = {name: forms.forms[e] if e is not element else self._value_form(element) for name, e in names.items()}
        numbers = {name: np.float64(self.program.numbers[e]) for name, e in names.items()}
        result = []
        for i in kept:
            partial = partials[i]
            if partial is None:
                what = f"{operation} has no formula for its derivative in its argument {arguments[i]}"
                raise NotDerivable(what, operation, element.span)
            chosen = decided(partial, {name: float(n) for name, n in numbers.items()})
            try:
                with np.errstate(all="ignore"):
                    slope = float(partial.evaluate(arithmetic=facts.NUMPY, **numbers))
            except (AttributeError, KeyError) as error:  # a function that NumPy and SciPy lack
                what = f"the derivative of {operation} in its argument {arguments[i]} has no value in NumPy"
                raise NotDerivable(what, operation, element.span) from error
            result.append((element.operands[i], chosen.substitute(written), slope))
        return [part for part in result if part[2]] if operation in PIECES else result

    def _value_form(self, element: Element) -> Expression:
        """The value of an element inside its own derivative: its name, or its body."""
        return self.forms.forms[element] if element in self.forms.labels else self.forms.bodies[element]

    def _prime(self, element: Element, variable: Element) -> str:
        element = self.forms.behind(element)
        label = self.forms.label(element) + "'"
        self._primed[label] = self._tex_prime(element)
        return label

    def _tex_prime(self, element: Element) -> str:
        element = self.forms.behind(element)
        if element in self.forms.labels:
            return tex_name(self.forms.labels[element]) + "'"
        return rf"\left({self._tex(self.forms.bodies[element])}\right)'"

    def _slope(self, element: Element, variable: Element) -> Expression:
        return ONE if element is variable else Symbol(self._prime(element, variable))

    def _general(self, element: Element, parts: list[_Part], variable: Element) -> Expression:
        """The rule put to an element, in the derivatives of its operands."""
        operands = element.operands
        live = [operand for operand, _, _ in parts]
        form = self.forms.forms

        def prime(operand: Element) -> Expression:
            return Symbol(self._prime(operand, variable))

        if element.operation == "mul" and len(parts) == 2:
            u, v = operands
            return Operation("+", prime(u) * form[v], form[u] * prime(v))
        if element.operation == "pow" and len(parts) == 2:
            u, v = operands
            return self.forms.bodies[element] * (prime(v) * Call("log", (form[u],)) + form[v] * prime(u) / form[u])
        if element.operation == "div":
            u, v = operands
            square = simplify(Call("integer_pow", (form[v],), (("y", Fraction(2)),)))
            if len(live) == 2:
                return (prime(u) * form[v] - form[u] * prime(v)) / square
            if live[0] is u:
                return self._slope(u, variable) / form[v]
            return -(form[u] * self._slope(v, variable) / square)
        if element.operation in ("add", "sub") and len(operands) <= 4:
            return self._of_sum(element, live, variable)
        total: Expression = ZERO
        for operand, partial, _ in parts:
            total = total + outer_times_inner(simplify(partial), self._slope(operand, variable))
        return total

    def _of_sum(self, element: Element, live: list[Element], variable: Element) -> Expression:
        """A sum of two to four terms, with the zeros of its constants."""
        slopes = [self._slope(operand, variable) if operand in live else ZERO for operand in element.operands]
        total = slopes[0]
        for slope in slopes[1:]:
            total = Operation("-" if element.operation == "sub" else "+", total, slope)
        return total

    def _rule(self, element: Element, live: list[Element], variable: Element) -> Rule:
        chain = any(operand is not variable for operand in live)
        match element.operation:
            case "add":
                return RULES["sum"]
            case "sub":
                return RULES["difference"]
            case "mul":
                return RULES["product" if len(live) == 2 else "constant multiple"]
            case "div" if len(live) == 2:
                return RULES["quotient"]
            case "div":
                return RULES["constant multiple" if live[0] is element.operands[0] else "reciprocal"]
            case "neg":
                return RULES["constant multiple"]
            case "select":
                return RULES["piece"]
            case "abs" | "max" | "min" | "clamp":
                return RULES[name_of(element.operation)]
            case "pow" if len(live) == 2:
                return RULES["power with a variable exponent"]
            case "pow" if live[0] is element.operands[1]:
                return RULES["exponential of base c"]
            case "pow" | "integer_pow" | "square":
                return RULES["power, chain" if chain else "power"]
        card = facts.card(element.operation, **element.parameters)
        if card is not None:
            return law_of(card, chain)
        found = facts.ARITHMETIC[element.operation]
        law = f"({found.name}({', '.join(found.arguments)}))' by its partial derivatives"
        return Rule(found.name, law, rf"\text{{partial derivatives of {found.name}}}")

    # --- writing ---

    def _step(
        self,
        element: Element,
        parts: list[_Part],
        general: Expression,
        result: Expression,
        variable: Element,
        slope: float,
    ) -> Step:
        forms, is_output = self.forms, element is self.program.output
        left = f"{self.function}'" if is_output else self._prime(element, variable)
        live = [operand for operand, _, _ in parts]
        tex_left = f"{tex_name(self.function)}'" if is_output else self._tex_prime(element)
        rows = [rf"{tex_left} &= {self._tex(general)}"]
        if result != general:
            rows.append(rf"&= {self._tex(result)}")
        rows[-1] += rf" = {tex_number(slope)}" if not isinstance(result, Constant) else ""
        rule = self._rule(element, live, variable)
        rows[0] += rf" && \text{{{rule.name}}}"
        defined = f"{forms.label(element)} = {forms.text(forms.bodies[element])}" if element in forms.labels else ""
        if is_output:
            defined = f"{self.function} = {forms.text(forms.bodies[element])}"
        return Step(
            rule, left, forms.text(general), forms.text(result), float(self.program.numbers[element]), slope,
            element.span, self._note(element), " \\\\\n".join(rows), defined,
        )  # fmt: skip

    def _tex(self, formula: Expression) -> str:
        names = {name: self._primed.get(name) or tex_name(name) for name in formula.symbols if name != "pi"}
        return facts.tex(rounded(formula, self.forms.digits), **names)

    def _constant(self, variable: Element) -> Step:
        name = self.forms.labels[variable]
        note = f"the value does not depend on {name}"
        tex = rf"{tex_name(self.function)}' &= 0 && \text{{constant}}"
        value = float(self.program.numbers[self.program.output])
        return Step(RULES["constant"], f"{self.function}'", "0", "0", value, 0.0, None, note, tex)

    def _identity(self, variable: Element) -> Step:
        tex = rf"{tex_name(self.function)}' &= 1 && \text{{identity}}"
        value = float(self.program.numbers[variable])
        return Step(RULES["identity"], f"{self.function}'", "1", "1", value, 1.0, None, "", tex)

    def _note(self, element: Element) -> str:
        forms = self.forms
        text = [forms.text(forms.forms[operand]) for operand in element.operands]
        match element.operation:
            case "select" if element.condition is not None:
                return f"here {forms.test_text(element.condition)}"
            case "abs":
                value = float(element.operands[0].value)
                return f"here {text[0]} {'>' if value > 0 else '<' if value < 0 else '='} 0"
            case "max" | "min":
                first, second = (float(operand.value) for operand in element.operands)
                return f"here {text[0]} {'>' if first > second else '<' if first < second else '='} {text[1]}"
            case "clamp":
                low, value, high = (float(operand.value) for operand in element.operands)
                return f"here {text[1]} is {'within' if low < value < high else 'not within'} the bounds"
        return ""

    def _conditions(self, active: frozenset[Element], needed: frozenset[Element]) -> Iterator[str]:
        """The inequalities that hold at this point and choose the pieces."""
        seen: dict[str, None] = {}
        for element in self.program.order:
            if element not in needed:
                continue
            if element.operation == "select" and not _hidden(element, active):
                test = element.condition
                if test is not None:
                    seen[self.forms.test_text(test)] = None
            elif element.operation in PIECES:
                seen[self._note(element).removeprefix("here ")] = None
        for test in self.program.decisions:
            if test in active and test.operands[0] is not test.operands[-1]:
                seen[self.forms.test_text(test)] = None
        return iter(seen)

    def _notes(self, variable: Element, active: frozenset[Element]) -> Iterator[str]:
        for name in dict.fromkeys(e.custom for e in self.program.order if e in active and e.custom):
            yield f"{name} has a derivative rule of its own; here its body is derived"
        for element in self.program.order:
            if element.operation == "stop_gradient" and element.operands[0] in active:
                where = f" ({element.span})" if element.span else ""
                yield f"stop_gradient{where}: its operand is taken as constant, as the program says"


def _constant_part(operand: Element, partial: float) -> _Part:
    return operand, Constant(Fraction(partial)), partial


def _hidden(element: Element, active: frozenset[Element]) -> bool:
    """Whether a choice is not one of the variable: its condition is constant, or compares a number with itself."""
    test = element.condition
    if test is None or test not in active:
        return True
    return len(test.operands) == 2 and test.operands[0] is test.operands[1]


def _written_out(formula: Expression, definitions: Mapping[str, Expression]) -> tuple[Expression, bool]:
    """A formula with definitions put in, as long as it stays readable; whether none is left."""
    for name in reversed(list(definitions)):
        if name in formula.symbols:
            longer = formula.substitute({name: definitions[name]})
            if size(longer) > LARGEST_FORMULA:
                return simplify(formula), False
            formula = longer
    return simplify(formula), True
