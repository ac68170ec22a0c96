r"""Formulas of arrays: elementwise algebra over atoms that are names, matrix products, transposes and sums.

An array formula is an `Expression` whose symbols stand for whole arrays, so that + - * / and functions are elementwise
(the Hadamard product, \odot) and everything that simplifies formulas of numbers simplifies these. What is not
elementwise is an atom, an array with a name of its own: A B, A^T, A 1 (row sums). A vector is a column.

Every atom carries its value in float64, so that a formula of arrays is checked by evaluating it.
Reference: Magnus and Neudecker, *Matrix Differential Calculus* (3rd ed. 2019), chapter 8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from qed import facts
from qed.facts import Expression
from qed.facts.expression import ONE, Call, Constant, Operation, Symbol, operation
from qed.facts.simplify import factors_of, product_of, simplify, size, sum_of, terms_of

LARGEST = 120
"""Array formulas of more nodes are not simplified."""


@dataclass(frozen=True)
class Array:
    """A formula and the shape of what it stands for; a formula of smaller shape is repeated to it."""

    formula: Expression
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Atom:
    """An array that is no elementwise formula.

    Args:
        kind: 'name', 'product', 'sum', 'repeat', 'ones', 'softmax' or 'other'.
        shape, value: of the array.
        label: of a name or of what has no other notation; tex: the same in TeX, where it differs.
        chain: of a product, its factors, each with whether it is transposed.
        inner: of a sum or a repetition, what is summed or repeated; axes: along which axes.
    """

    kind: str
    shape: tuple[int, ...]
    value: np.ndarray
    label: str = ""
    tex: str = ""
    chain: tuple[tuple[Array, bool], ...] = ()
    inner: Array | None = None
    axes: tuple[int, ...] = ()


@dataclass(eq=False)
class Algebra:
    """Makes array formulas, each atom once."""

    atoms: dict[str, Atom] = field(default_factory=dict)
    _known: dict[Any, str] = field(default_factory=dict)

    # --- atoms ---

    def _atom(self, key: Any, atom: Atom) -> Array:
        if key not in self._known:
            name = f"@{len(self.atoms)}"
            self.atoms[name] = atom
            self._known[key] = name
        return Array(Symbol(self._known[key]), atom.shape)

    def name(self, label: str, value: Any, key: Any = None, tex: str = "") -> Array:
        """An array with a name; the same key means the same array."""
        numbers = np.asarray(value).astype(np.float64)
        return self._atom(("name", label, id(key)), Atom("name", numbers.shape, numbers, label, tex))

    def other(self, label: str, value: Any, tex: str = "") -> Array:
        """An array that is only described."""
        numbers = np.asarray(value).astype(np.float64)
        return self._atom(("other", label, len(self.atoms)), Atom("other", numbers.shape, numbers, label, tex))

    def ones(self, shape: tuple[int, ...]) -> Array:
        """The array of ones."""
        return self._atom(("ones", shape), Atom("ones", shape, np.ones(shape)))

    def number(self, value: float) -> Array:
        """A number, exact as it stands."""
        if not np.isfinite(value):
            return self.name(str(value), value)
        return Array(Constant(Fraction(float(value))), ())

    # --- what formulas are ---

    def atom_of(self, array: Array) -> Atom | None:
        """The atom that a formula is, if it is one."""
        return self.atoms.get(array.formula.name) if isinstance(array.formula, Symbol) else None

    def value(self, array: Array) -> np.ndarray:
        """The numbers of an array formula."""
        values = {name: self.atoms[name].value for name in array.formula.symbols if name in self.atoms}
        with np.errstate(all="ignore"):
            found = array.formula.evaluate(arithmetic=facts.NUMPY, **values)
        return np.broadcast_to(np.asarray(found, np.float64), array.shape)

    def own_shape(self, formula: Expression) -> tuple[int, ...]:
        """The shape that a formula has without being repeated."""
        shapes = [self.atoms[name].shape for name in formula.symbols if name in self.atoms]
        return np.broadcast_shapes(*shapes) if shapes else ()

    # --- elementwise ---

    def elementwise(self, formula: Expression, operands: Mapping[str, Array], shape: tuple[int, ...]) -> Array:
        """A formula with arrays put for its symbols."""
        whole = formula.substitute({name: operand.formula for name, operand in operands.items()})
        if size(whole) > LARGEST:
            return Array(whole, shape)
        short = simplify(whole)
        named = self._softmax(short)
        return Array(short if named == short else simplify(named), shape)

    def _softmax(self, formula: Expression) -> Expression:
        """exp(u) over its sums along rows, called softmax(u); what is constant along a row drops out."""
        coefficient, factors = factors_of(formula)
        for atom, power in factors.items():
            below = next((a for a, p in factors.items() if p == -1 and self._sums(a, atom)), None)
            if power != 1 or not isinstance(atom, Call) or atom.name != "exp" or below is None:
                continue
            kept = [(c, f) for c, f in terms_of(atom.operands[0]) if not self._is_shift(f)]
            shifted = simplify(sum_of(kept))
            shape = self.own_shape(atom)
            value = self.value(Array(atom, shape)) / self.value(Array(below, shape))
            named = self._atom(("softmax", shifted), Atom("softmax", shape, value, inner=Array(shifted, shape)))
            rest = {a: p for a, p in factors.items() if a not in (atom, below)}
            return product_of(coefficient, {**rest, named.formula: Fraction(1)})
        if isinstance(formula, Operation) and formula.sign in "+-":
            return operation(formula.sign, self._softmax(formula.left), self._softmax(formula.right))
        return formula

    def _sums(self, formula: Expression, summand: Expression) -> bool:
        """Whether a formula is the sums of another along its last axis."""
        atom = self.atoms.get(formula.name) if isinstance(formula, Symbol) else None
        while atom is not None and atom.kind == "repeat" and atom.inner is not None:
            atom = self.atom_of(atom.inner)
        if atom is None:
            return False
        if atom.kind == "sum" and atom.inner is not None:
            return atom.inner.formula == summand and atom.axes == (len(atom.inner.shape) - 1,)
        ends = [self.atom_of(array) for array, _ in atom.chain[1:]]
        rows = len(ends) == 1 and ends[0] is not None and ends[0].kind == "ones" and not atom.chain[0][1]
        return rows and atom.chain[0][0].formula == summand

    def _is_shift(self, factors: Mapping[Expression, Fraction]) -> bool:
        """Whether a term is a maximum along rows."""
        (formula, *others) = factors or [ONE]
        atom = self.atoms.get(formula.name) if isinstance(formula, Symbol) and not others else None
        while atom is not None and atom.kind == "repeat" and atom.inner is not None:
            atom = self.atom_of(atom.inner)
        return atom is not None and atom.kind == "other" and atom.label.startswith(("rowmax(", "max("))

    def times(self, first: Array, second: Array) -> Array:
        """The elementwise product."""
        shape = np.broadcast_shapes(first.shape, second.shape)
        return self.elementwise(Symbol("x") * Symbol("y"), {"x": first, "y": second}, shape)

    def plus(self, first: Array, second: Array) -> Array:
        """The sum, equal outer factors of products taken out."""
        whole = self.elementwise(Symbol("x") + Symbol("y"), {"x": first, "y": second}, first.shape)
        return self._collected(whole)

    # --- matrix products ---

    def product(self, chain: Sequence[tuple[Array, bool]], shape: tuple[int, ...]) -> Array:
        """The product of matrices, each perhaps transposed; numbers stand in front, products inside are opened."""
        front: Expression = ONE
        factors: list[tuple[Array, bool]] = []
        for array, transposed in chain:
            scalar, rest = self._split(array)
            front = front * scalar
            inner = self.atom_of(rest)
            if inner is not None and inner.kind == "product" and len(inner.shape) == 2:
                opened = [(a, t != transposed) for a, t in inner.chain]
                factors += opened[::-1] if transposed else opened
            elif inner is not None and inner.kind == "product" and not transposed:
                factors += inner.chain
            else:
                factors.append((rest, transposed and rest.shape != ()))
        value = self._multiplied(factors).reshape(shape)
        key = ("product", tuple((a.formula, a.shape, t) for a, t in factors), shape)
        atom = self._atom(key, Atom("product", shape, value, chain=tuple(factors)))
        return Array(simplify(front * atom.formula), shape)

    def transpose(self, array: Array) -> Array:
        """The transpose of a matrix."""
        return self.product([(array, True)], array.shape[::-1])

    def _multiplied(self, factors: Sequence[tuple[Array, bool]]) -> np.ndarray:
        result: np.ndarray | None = None
        for array, transposed in factors:
            matrix = self.value(array)
            matrix = matrix.reshape(-1, 1) if matrix.ndim < 2 else matrix
            matrix = matrix.T if transposed else matrix
            result = matrix if result is None else result @ matrix
        assert result is not None
        return result

    def _split(self, array: Array) -> tuple[Expression, Array]:
        """A product's numbers, and the rest of full shape."""
        coefficient, factors = factors_of(array.formula)
        scalars = {a: p for a, p in factors.items() if self.own_shape(a) == ()}
        rest = product_of(Fraction(1), {a: p for a, p in factors.items() if a not in scalars})
        whole = Array(rest, array.shape)
        if self.own_shape(rest) != array.shape:
            whole = self.ones(array.shape) if rest == ONE else self.times(whole, self.ones(array.shape))
        return product_of(coefficient, scalars), whole

    def _collected(self, array: Array) -> Array:
        """A x + B x as (A + B) x, and x A + x B as x (A + B)."""
        terms = terms_of(array.formula)
        chains = [self._chain(factors) for _, factors in terms]
        if len(terms) != 2 or any(chain is None or len(chain) < 2 for chain in chains):
            return array
        (first, second), ((c, _), (d, _)) = [list(chain or ()) for chain in chains], terms
        if abs(c) != abs(d):
            return array
        for at_end in (True, False):
            same = first[-1] == second[-1] if at_end else first[0] == second[0]
            if not same:
                continue
            rest = [chain[:-1] if at_end else chain[1:] for chain in (first, second)]
            parts = [self._matrix(each) for each in rest]
            if parts[0].shape != parts[1].shape or len(parts[0].shape) != 2:
                continue
            if c == d and self._is_transposed(parts[0]) and not self._is_transposed(parts[1]):
                parts.reverse()
            sign = Constant(d / c)
            total = self.elementwise(Symbol("x") + sign * Symbol("y"), {"x": parts[0], "y": parts[1]}, parts[0].shape)
            chain = [(total, False), first[-1]] if at_end else [first[0], (total, False)]
            found = self.product(chain, array.shape)
            return Array(simplify(Constant(c) * found.formula), array.shape)
        return array

    def _is_transposed(self, array: Array) -> bool:
        atom = self.atom_of(array)
        return atom is not None and atom.kind == "product" and atom.chain[0][1]

    def _chain(self, factors: Mapping[Expression, Fraction]) -> tuple[tuple[Array, bool], ...] | None:
        if len(factors) != 1 or set(factors.values()) != {Fraction(1)}:
            return None
        (formula,) = factors
        atom = self.atoms.get(formula.name) if isinstance(formula, Symbol) else None
        return atom.chain if atom is not None and atom.kind == "product" else None

    def _matrix(self, chain: Sequence[tuple[Array, bool]]) -> Array:
        if len(chain) == 1 and not chain[0][1]:
            return chain[0][0]
        return self.product(chain, self._multiplied(chain).shape)

    # --- sums and repetitions ---

    def sum(self, array: Array, axes: tuple[int, ...], shape: tuple[int, ...]) -> Array:
        """The sum along axes; of a matrix along one axis it is a product with the vector of ones."""
        kept = tuple(n for i, n in enumerate(array.shape) if i not in axes or n != 1)
        if kept != array.shape:
            narrow = [i for i in axes if array.shape[i] != 1]
            moved = tuple(i - sum(j < i and array.shape[j] == 1 for j in axes) for i in narrow)
            return self.sum(self.reshaped(array, kept), moved, shape)
        if not axes:
            return self.reshaped(array, shape)
        scalar, rest = self._split(array)
        if rest.shape and len(rest.shape) == 2 and len(axes) == 1 and len(shape) == 1:
            ones = self.ones((rest.shape[axes[0]],))
            found = self.product([(rest, axes[0] == 0), (ones, False)], shape)
        elif len(rest.shape) == 1 and (dot := self._dot(rest)) is not None:
            found = dot
        else:
            value = self.value(rest).sum(axis=axes).reshape(shape)
            key = ("sum", rest.formula, rest.shape, axes, shape)
            found = self._atom(key, Atom("sum", shape, value, inner=rest, axes=axes))
        return Array(simplify(scalar * found.formula), shape)

    def _dot(self, array: Array) -> Array | None:
        """The sum of an elementwise product of vectors as u^T v, where u has a name."""
        coefficient, factors = factors_of(array.formula)
        for atom, power in factors.items():
            known = self.atoms.get(atom.name) if isinstance(atom, Symbol) else None
            if known is None or known.kind != "name" or known.shape != array.shape or power != 1 or len(factors) < 2:
                continue
            rest = product_of(coefficient, {a: p for a, p in factors.items() if a != atom})
            return self.product([(Array(atom, array.shape), True), (Array(rest, array.shape), False)], ())
        return None

    def repeat(self, array: Array, shape: tuple[int, ...], axes: tuple[int, ...]) -> Array:
        """An array repeated to a shape, its own axes being those given."""
        if self.own_shape(array.formula) == ():
            return Array(array.formula, shape)
        opened = self._opened(array, shape, lambda part: self.repeat(part, shape, axes))
        if opened is not None:
            return opened
        places = [1] * len(shape)
        for axis, length in zip(axes, array.shape, strict=True):
            places[axis] = length
        value = np.broadcast_to(self.value(array).reshape(places), shape)
        key = ("repeat", array.formula, array.shape, shape, axes)
        return self._atom(key, Atom("repeat", shape, value, inner=array, axes=axes))

    def reshaped(self, array: Array, shape: tuple[int, ...]) -> Array:
        """The same numbers in another shape."""
        if array.shape == shape or self.own_shape(array.formula) == ():
            return Array(array.formula, shape)
        opened = self._opened(array, shape, lambda part: self.reshaped(part, shape))
        if opened is not None:
            return opened
        atom = self.atom_of(array)
        if atom is not None and atom.kind == "repeat" and atom.inner is not None and atom.inner.shape == shape:
            return atom.inner
        value = self.value(array).reshape(shape)
        return self._atom(("reshape", array.formula, array.shape, shape), Atom("repeat", shape, value, inner=array))

    def _opened(self, array: Array, shape: tuple[int, ...], make: Callable[[Array], Array]) -> Array | None:
        """What moves numbers, applied to the factors of a product one by one; None where there is one factor."""
        coefficient, factors = factors_of(array.formula)
        if coefficient == 1 and len(factors) == 1 and set(factors.values()) == {Fraction(1)}:
            return None
        moved = {make(Array(atom, array.shape)).formula: power for atom, power in factors.items()}
        if len(moved) != len(factors):
            return None
        return Array(simplify(product_of(coefficient, moved)), shape)
