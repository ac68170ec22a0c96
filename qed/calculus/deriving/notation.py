r"""Array formulas as text and as TeX: `2/n Xᵀ (X w - y)`, `(dL/dh) ⊙ (1 - h^2)`."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from qed import facts
from qed.calculus.deriving.arrays import Algebra, Array, Atom
from qed.calculus.deriving.forms import tex_name
from qed.facts import Expression
from qed.facts.expression import ZERO, Call, Choice, Constant, Operation, Symbol
from qed.facts.plain import decimal

_SUM, _PRODUCT, _FACTOR, _POWER = range(4)


@dataclass(frozen=True)
class Notation:
    """How array formulas over an algebra are written.

    Args:
        algebra: whose atoms.
        tex: whether to write TeX.
        digits: of constants.
    """

    algebra: Algebra
    tex: bool = False
    digits: int = 7

    def write(self, array: Array) -> str:
        """An array formula."""
        return self._write(array.formula, _SUM)

    def _write(self, node: Expression, level: int) -> str:
        match node:
            case Constant(value):
                return self._number(value, level)
            case Symbol(name):
                return self._atom(self.algebra.atoms[name], level) if name in self.algebra.atoms else name
            case Operation("-", left, right) if left == ZERO:
                return self._bracket(f"-{self._write(right, _PRODUCT)}", level > _SUM)
            case Operation("+" | "-" as sign, left, right):
                second = self._write(right, _PRODUCT if sign == "-" else _SUM)
                return self._bracket(f"{self._write(left, _SUM)} {sign} {second}", level > _SUM)
            case Operation("/", left, right):
                return self._quotient(left, right, level)
            case Operation("*", left, right):
                return self._bracket(self._product([*_factors(left), *_factors(right)]), level > _PRODUCT)
            case Call():
                return self._call(node, level)
            case Choice(comparison, left, right, then, otherwise):
                parts = [self._write(part, _SUM) for part in (then, left, right, otherwise)]
                return f"({parts[0]} if {parts[1]} {comparison} {parts[2]} else {parts[3]})"
        raise TypeError(type(node).__name__)

    def _number(self, value: Fraction, level: int) -> str:
        text = decimal(value, self.digits)
        if self.tex and "/" in text:
            text = rf"\frac{{{value.numerator}}}{{{value.denominator}}}"
        return self._bracket(text, (text.startswith("-") and level > _SUM) or ("/" in text and level == _POWER))

    def _quotient(self, left: Expression, right: Expression, level: int) -> str:
        """A fraction; numbers below stand in front of arrays above: 2/n X and not 2 X/n."""
        if self._is_number(right):
            numbers = [f for f in _factors(left) if self._is_number(f)]
            arrays = [f for f in _factors(left) if not self._is_number(f)]
            above = self._product(numbers) if numbers else "1"
            below = self._write(right, _POWER)
            front = rf"\frac{{{above}}}{{{below}}}" if self.tex else f"{above}/{below}"
            if not arrays:
                return self._bracket(front, level >= _FACTOR)
            alone = _PRODUCT if isinstance(arrays[0], Symbol) else _FACTOR
            rest = self._product(arrays) if len(arrays) > 1 else self._write(arrays[0], alone)
            return self._bracket(f"{front} {rest}", level > _PRODUCT)
        if self.tex:
            return rf"\frac{{{self._write(left, _SUM)}}}{{{self._write(right, _SUM)}}}"
        return self._bracket(f"{self._write(left, _FACTOR)}/{self._write(right, _POWER)}", level > _PRODUCT)

    def _is_number(self, node: Expression) -> bool:
        """Whether a factor is written with the numbers: neither an array nor a product or a sum of arrays."""
        atoms = [self.algebra.atoms[name] for name in node.symbols if name in self.algebra.atoms]
        return self.algebra.own_shape(node) == () and all(atom.kind not in ("product", "sum") for atom in atoms)

    def _product(self, factors: list[Expression]) -> str:
        """Numbers first, by juxtaposition; arrays joined by the elementwise product."""
        numbers = [self._write(f, _PRODUCT) for f in factors if self._is_number(f)]
        arrays = [f for f in factors if not self._is_number(f)]
        level = _FACTOR if len(arrays) > 1 else _PRODUCT
        if len(arrays) == 1 and numbers and not isinstance(arrays[0], Symbol):
            level = _FACTOR
        sign = (r" \odot " if self.tex else " ⊙ ") if any(self.algebra.own_shape(f) for f in arrays) else " "
        joined = sign.join(self._write(f, level) for f in arrays)
        return " ".join([*numbers, joined] if joined else numbers)

    def _call(self, node: Call, level: int) -> str:
        parameters, (first, *others) = dict(node.parameters), node.operands
        if node.name in ("integer_pow", "power", "square", "pow"):
            exponent = others[0] if others else Constant(parameters.get("y", parameters.get("exponent", Fraction(2))))
            base, above = self._write(first, _POWER), self._write(exponent, _SUM if self.tex else _POWER)
            if isinstance(first, Call) and not base.endswith((")", "|")):
                base = f"({base})"
            return self._bracket(f"{base}^{{{above}}}" if self.tex else f"{base}^{above}", level == _POWER)
        inside = [self._write(operand, _SUM) for operand in node.operands]
        if self.tex:
            card = facts.card(node.name, **parameters) if node.name not in facts.ARITHMETIC else None
            text = card.tex_of(inside[0]) if card else facts.ARITHMETIC[node.name].tex_of(*inside)
            return self._bracket(text, level > _SUM and (" + " in text or " - " in text) and text[-1] not in ")}|")
        if node.name == "abs":
            return f"|{inside[0]}|"
        return f"{'sigmoid' if node.name == 'logistic' else node.name}({', '.join(inside)})"

    # --- atoms ---

    def _atom(self, atom: Atom, level: int) -> str:
        match atom.kind:
            case "name":
                return self._name(atom, level)
            case "softmax" if atom.inner is not None:
                inner = self._write(atom.inner.formula, _SUM)
                return rf"\operatorname{{softmax}}({inner})" if self.tex else f"softmax({inner})"
            case "ones":
                return r"\mathbf{1}" if self.tex else "1"
            case "product":
                text = " ".join(self._factor(array, transposed) for array, transposed in atom.chain)
                return self._bracket(text, level >= _FACTOR and len(atom.chain) > 1)
            case "sum" if atom.inner is not None:
                inner = self._write(atom.inner.formula, _SUM)
                return rf"\textstyle\sum ({inner})" if self.tex else f"sum({inner})"
            case "repeat" if atom.inner is not None:
                return self._write(atom.inner.formula, level)
        return (atom.tex or rf"\text{{{atom.label}}}") if self.tex else atom.label

    def _name(self, atom: Atom, level: int) -> str:
        label = atom.label
        if self.tex and atom.tex:
            return atom.tex
        above, slash, below = label.partition("/d")
        if slash and above.startswith("d"):
            if self.tex:
                return rf"\frac{{\partial {tex_name(above[1:])}}}{{\partial {tex_name(below)}}}"
            return self._bracket(label, level >= _FACTOR)
        return tex_name(label) if self.tex else label

    def _factor(self, array: Array, transposed: bool) -> str:
        text = self._write(array.formula, _FACTOR)
        if not transposed:
            return text
        atom = self.algebra.atom_of(array)
        if atom is None or atom.kind != "name" or "/" in atom.label:
            text = text if text.startswith("(") and text.endswith(")") else f"({text})"
        return text + (r"^{\top}" if self.tex else "ᵀ")

    @staticmethod
    def _bracket(text: str, needed: bool) -> str:
        return f"({text})" if needed else text


def _factors(node: Expression) -> list[Expression]:
    match node:
        case Operation("*", left, right):
            return [*_factors(left), *_factors(right)]
    return [node]
