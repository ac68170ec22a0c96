"""Forms that are sums of functions of affine functions: what losses on data are, and what their Hessians are made of.

    f(x) = b.x + sum_k phi_k(d_k.x) + sum_m c_m lse(A_m x + w_m) + sum_r s_r sqrt(q_r(x)) + sum u v,    u, v affine

A *ridge* phi(d.x) has the Hessian phi'' d d^T. Of log-sum-exp with the rows a_1, ..., a_K, whose Hessian is the
covariance of the rows under the shares p, and of the root of q = e + sum k_i u_i^2 with k_i > 0,

    0 <= Hess lse <= 1/2 sum_k (a_k - mean a)(a_k - mean a)^T       (Boehning, Ann. Inst. Statist. Math. 44, 1992)
    0 <= Hess sqrt(q) <= sum_i k_i grad u_i grad u_i^T / sqrt(e)    (Cauchy-Schwarz; |grad sqrt(q)| for e = 0, too)

in the order of Loewner; a product of affine functions has the constant Hessian grad u grad v^T + grad v grad u^T.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_line import Direction, Directions, Line, cuts, operation, span_of
from qed.domains.curvature_pieces import Piece
from qed.domains.curvature_terms import Atom, Form
from qed.domains.curvature_values import NoValue

Row = Mapping[int, Any]
"""Exact coefficients by the number of the variable."""


class NoSum(Exception):
    """A form is no such sum: an atom of it varies along several directions, and no rule is known for it."""

    def __init__(self, atom: Atom) -> None:
        super().__init__(f"{atom.name} of several variables")
        self.atom = atom


@dataclass(frozen=True, eq=False)
class Ridge:
    """phi(d.x) as a form.

    Args:
        form: phi.
        direction: d, its first coefficient 1.
        exact: for the first and the second derivative of phi two exact numbers between which it lies, where every atom
            is a square or a log-sum-exp of two affine functions; else None.
        core: where phi(t) = g(k t + e) with a smooth g: g on the range of its argument, and k.
    """

    form: Form
    direction: Direction
    exact: tuple[tuple[Any, Any] | None, tuple[Any, Any] | None] = (None, None)
    core: tuple[Piece, Any] | None = None

    @property
    def row(self) -> Row:
        """The numbers of d."""
        return {number(atom): c for atom, c in self.direction}


@dataclass(frozen=True, eq=False)
class Block:
    """c times log-sum-exp of affine rows ("lse"), the root of a quadratic ("root"), or a product of two ("product").

    Args:
        kind: which.
        factor: c.
        rows: the rows a_k; grad u_i of the root; grad u and grad v of the product.
        weights: the k_i of the root, and e behind them; else empty.
        parts: the affine forms of the rows.
    """

    kind: str
    factor: Any
    rows: tuple[Row, ...]
    weights: tuple[Any, ...] = ()
    parts: tuple[Form, ...] = ()


@dataclass(frozen=True, eq=False)
class Sum:
    """The parts of a form: the row b, ridges in the order of their directions, blocks in the order of their atoms."""

    linear: Row
    ridges: tuple[Ridge, ...]
    blocks: tuple[Block, ...]


def number(variable: Atom) -> int:
    """The number of a variable among those of the argument."""
    return int(str(variable.data)[1:])


def row_of(form: Form) -> dict[int, Any]:
    """The gradient of an affine form of variables."""
    return {number(atom): c for atom, c in form.terms if atom.free}


def straight(form: Form) -> bool:
    """Whether a form is a constant and multiples of variables."""
    return all(atom.kind == "variable" for atom, _ in form.terms)


def summed(a: Algebra, form: Form) -> Sum:
    """Take a form apart.

    Raises NoSum where it is no sum of such parts.

    >>> from qed.domains.curvature_algebra import Algebra
    >>> from qed.domains.curvature_sums import summed
    >>> a = Algebra()
    >>> x, y = (a.variable(k, f"x{k}", (-1.0, 1.0)) for k in (0, 1))
    >>> found = summed(a, a.add(a.unary("tanh", a.add(x, a.scale(y, 2))), a.multiply(x, y)))
    >>> [dict(r.row) for r in found.ridges], [b.kind for b in found.blocks]
    ([{0: 1, 1: 2}], ['product'])
    """
    directions = Directions()
    linear: dict[int, Any] = {}
    groups: dict[Any, list[tuple[Atom, Any]]] = {}
    along: dict[Any, Direction] = {}
    blocks: list[Block] = []
    for atom, c in form.terms:
        if not atom.free:
            continue
        if atom.kind == "variable":
            linear[number(atom)] = c
            continue
        block = _block(a, atom, c)
        direction = None if block is not None else directions.of(a.of(atom))
        if block is None and direction is None:
            raise NoSum(atom)
        if block is not None:
            blocks.append(block)
        elif direction:
            key = tuple((v.index, k) for v, k in direction)
            groups.setdefault(key, []).append((atom, c))
            along[key] = direction
    ridges = [_ridge(a, terms, along[key]) for key, terms in sorted(groups.items())]
    return Sum(linear, tuple(ridges), tuple(blocks))


def _block(a: Algebra, atom: Atom, c: Any) -> Block | None:
    args: Any = atom.args
    if atom.kind == "log_sum_exp" and len(args) > 2 and all(map(straight, args)):
        return Block("lse", c, tuple(map(row_of, args)), parts=args)
    if atom.kind == "product" and all(map(straight, args)):
        return Block("product", c, tuple(map(row_of, args)), parts=args)
    if atom.name == "sqrt":
        squares = [(t.args[0], k) for t, k in args[0].terms if t.name == "square" and k > 0 and straight(t.args[0])]
        if squares and len(squares) == len(args[0].terms) and args[0].constant >= 0:
            rows = tuple(row_of(u) for u, _ in squares)
            return Block("root", c, rows, (*(k for _, k in squares), args[0].constant))
    return None


def _ridge(a: Algebra, terms: list[tuple[Atom, Any]], direction: Direction) -> Ridge:
    form = a.form(terms, a.zero)
    exact = _exact(a, terms, direction)
    return Ridge(form, direction, exact, _core(a, form, direction) if exact[1] is None else None)


def _exact(a: Algebra, terms: list[tuple[Atom, Any]], direction: Any) -> Any:
    """Bounds of phi' and of phi'' on the range of t = d.x."""
    lead, span = number(direction[0][0]), span_of(a, direction)
    slope, curvature = [a.zero, a.zero], [a.zero, a.zero]
    bounded = True
    for atom, c in terms:
        args: Any = atom.args
        if not all(map(straight, args)):
            return None, None
        k: list[Any] = [row_of(arg).get(lead, a.zero) for arg in args]
        if atom.name == "square":
            curved = [2 * c * k[0] * k[0]]
            if None in span:
                bounded = False
                sloped = [a.zero]
            else:
                sloped = [2 * c * k[0] * (k[0] * end + args[0].constant) for end in span]
        elif atom.kind == "log_sum_exp" and len(k) == 2:
            curved = [a.zero, c * (k[0] - k[1]) * (k[0] - k[1]) / 4]
            sloped = [c * k[0], c * k[1]]
        else:
            return None, None
        slope = [slope[0] + min(sloped), slope[1] + max(sloped)]
        curvature = [curvature[0] + min(curved), curvature[1] + max(curved)]
    return tuple(slope) if bounded else None, tuple(curvature)


def _core(a: Algebra, form: Form, direction: Direction) -> tuple[Piece, Any] | None:
    """The form as a function of the first affine function inside it, if it is smooth: alike for many rows of data.

    It is looked at on a wider range, so that it is smooth at the ends of its own too: a function may jump there.
    """
    u = _innermost(form)
    if u is None:
        return None
    k = row_of(u)[number(direction[0][0])]
    ends = [None if end is None else k * end + u.constant for end in span_of(a, direction)]
    low, high = ends if k > 0 else ends[::-1]
    for bits in (4, 20):
        start, stop = _wider(a, low, high, bits)
        try:
            line = Line(a, start, stop)
            one = Piece(line, _remade(line, form, u))
        except NoValue:
            return None
        if one.defined and not cuts(line.algebra, one.form):
            return one, k
    return None


def _wider(a: Algebra, low: Any, high: Any, bits: int) -> tuple[Any, Any]:
    """A range that holds both ends inside, with round ends, so that many rows of data have the same."""
    width = a.one if low is None or high is None or not low < high else high - low
    exponent = int(width.p).bit_length() - int(width.q).bit_length() - bits
    grain = a.q(2) ** exponent if exponent >= 0 else 1 / a.q(2) ** -exponent

    def floor(x: Any) -> int:
        return int(x.p) // int(x.q)

    first = None if low is None else grain * (floor(low / grain) - 1)
    last = None if high is None else grain * (1 - floor(-high / grain))
    return first, last


def _innermost(form: Form) -> Form | None:
    """The first affine form that is no constant, depth first."""
    for atom, _ in form.terms:
        for arg in atom.args:
            found = arg if straight(arg) and arg.terms else _innermost(arg)
            if found is not None:
                return found
    return None


def _remade(line: Line, form: Form, u: Form) -> Form:
    """A form along one direction, made again with t for u."""
    a = line.algebra
    if straight(form) and form.terms:
        lead, c = u.terms[0]
        share = dict(form.terms)[lead] / c
        return a.combine([(line.t, share)], form.constant - share * u.constant)
    pairs = []
    for atom, c in form.terms:
        if atom.kind == "variable" or not atom.free:
            raise NoValue(atom.name)
        a.place = atom.place
        pairs.append((operation(a, atom, [_remade(line, arg, u) for arg in atom.args]), c))
    return a.total([*pairs, (a.number(form.constant), a.one)])
