"""Series of matrix factorisations and of solutions of linear systems, from their defining equations.

The k-th coefficient of the equation that defines a factorisation is linear in the k-th coefficients of the factors; all
lower ones are known. With M_k what the lower ones leave of A_k:

- A X = B:     X_k = A_0^-1 (B_k - sum_{j>=1} A_j X_{k-j})
- A = L L':    L_0^-1 M_k L_0^-T = P + P' with P = L_0^-1 L_k lower triangular, half of it on the diagonal
- P A = L U:   L_0^-1 M_k U_0^-1 = (L_0^-1 L_k) + (U_k U_0^-1), strictly lower plus upper triangular
- A = Q R:     Q_0' M_k R_0^-1 = Q_0' Q_k + R_k R_0^-1, and Q_0' Q_k + Q_k' Q_0 = -sum_{0<j<k} Q_j' Q_{k-j}
- A V = V L:   X = V_0' V_k solves L_0 X - X L_0 + N = L_k; off the diagonal X = N / (l_b - l_a), on it L_k = N
- A V = U S, A'U = V S: two such equations, coupled

Eigenvalues and singular values must be simple: at a cluster the quotients are infinite, as the derivative is. Complex
matrices, and what has no equation here, go by JAX's own derivative, nested.

Reference: Walter and Lehmann, "Algorithmic differentiation of linear algebra functions with application in optimum
experimental design", 2009 (QR and eigenvalues).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from qed.domains import piecewise
from qed.domains.coefficients import Lost
from qed.graph import jaxpr
from qed.graph.dtypes import is_real
from qed.graph.jaxpr import Reader
from qed.graph.tape import Context, Frame, Unknown

if TYPE_CHECKING:
    from qed.domains.taylor import Series, Taylor

Terms = list[Any]


def expand(domain: Taylor, xs: Sequence[Series], context: Context) -> Sequence[Any]:
    """The series of the outputs of a primitive of linear algebra."""
    piecewise.native(domain, context)
    primitive = context.equation.primitive
    if primitive == "custom_linear_solve":
        return _custom_solve(domain, xs, context)
    rule = RULES.get(primitive)
    if rule is None or not all(is_real(atom.dtype) for atom in context.equation.inputs):
        return piecewise.nested(domain, xs, context)
    return rule(domain, xs, context)


def _t(matrix: Any) -> Any:
    return jnp.swapaxes(matrix, -1, -2)


def _products(left: Callable[[int], Any], right: Callable[[int], Any], indices: range) -> Any:
    """The sum of matrix products, None for none."""
    total = None
    for j in indices:
        a, b = left(j), right(j)
        if a is None or b is None:
            continue
        total = a @ b if total is None else total + a @ b
    return total


def _less(first: Any, second: Any, like: Any) -> Any:
    """first - second, None standing for zero."""
    first = jnp.zeros_like(like) if first is None else first
    return first if second is None else first - second


def _solve(matrix: Any, right: Any, **how: bool) -> Any:
    return jax.lax.linalg.triangular_solve(matrix, right, **how)


def _right(matrix: Any, left: Any, lower: bool = False) -> Any:
    """left matrix^-1 for a triangular matrix."""
    return _solve(matrix, left, left_side=False, lower=lower)


def _triangular_solve(domain: Taylor, xs: Sequence[Series], context: Context) -> Sequence[Series]:
    params = context.equation.params
    a, b = xs

    def operand(term: Any) -> Any:
        cut = jnp.tril if params["lower"] else jnp.triu
        term = cut(term, (-1 if params["lower"] else 1) if params["unit_diagonal"] else 0)
        return _t(term) if params["transpose_a"] else term

    matrices = [None, *(None if term is None else operand(term) for term in a.terms[1:])]
    solution: Terms = []
    for k in range(domain.order + 1):
        if params["left_side"]:
            known = _products(lambda j: matrices[j], lambda j, k=k: solution[k - j], range(1, k + 1))
        else:
            known = _products(lambda j, k=k: solution[k - j], lambda j: matrices[j], range(1, k + 1))
        if b.terms[k] is None and known is None:
            solution.append(None)
            continue
        rest = _less(b.terms[k], known, b.leading)
        solution.append(domain.numbers.apply(context.equation, [a.leading, rest], context)[0])
    return (domain.series(solution),)


def _cholesky(domain: Taylor, xs: Sequence[Series], context: Context) -> Sequence[Series]:
    (a,) = xs
    (output,) = domain.numbers.apply(context.equation, [a.leading], context)
    first = jnp.tril(output)  # above the diagonal the primitive leaves what it found
    factors: Terms = [first]
    half = jnp.tril(jnp.ones(first.shape[-2:], first.dtype)) - 0.5 * jnp.eye(first.shape[-1], dtype=first.dtype)
    for k in range(1, domain.order + 1):
        known = _products(lambda j: factors[j], lambda j, k=k: _t(factors[k - j]), range(1, k))
        rest = _less(a.terms[k], known, first)
        inner = _solve(first, rest, left_side=True, lower=True)
        inner = _solve(first, inner, left_side=False, lower=True, transpose_a=True)
        factors.append(first @ (inner * half))
    return (domain.series([output, *factors[1:]]),)


def _lu(domain: Taylor, xs: Sequence[Series], context: Context) -> Sequence[Series]:
    (a,) = xs
    packed, pivots, order = domain.numbers.apply(context.equation, [a.leading], context)
    rows, columns = packed.shape[-2:]
    least = min(rows, columns)
    lower = [jnp.tril(packed, -1)[..., :, :least] + jnp.eye(rows, least, dtype=packed.dtype)]
    upper = [jnp.triu(packed)[..., :least, :]]
    l_square, u_square = lower[0][..., :least, :], upper[0][..., :, :least]
    terms: Terms = [packed]
    for k in range(1, domain.order + 1):
        moved = None if a.terms[k] is None else jnp.take_along_axis(a.terms[k], order[..., :, None], axis=-2)
        known = _products(lambda j: lower[j], lambda j, k=k: upper[k - j], range(1, k))
        rest = _less(moved, known, packed)
        inner = _solve(l_square, rest[..., :least, :least], left_side=True, lower=True, unit_diagonal=True)
        inner = _right(u_square, inner)
        l_top, u_left = l_square @ jnp.tril(inner, -1), jnp.triu(inner) @ u_square
        l_k, u_k = l_top, u_left
        if rows > least:
            below = _right(u_square, rest[..., least:, :] - lower[0][..., least:, :] @ u_left)
            l_k = jnp.concatenate([l_top, below], axis=-2)
        if columns > least:
            beside = rest[..., :, least:] - l_top @ upper[0][..., :, least:]
            beside = _solve(l_square, beside, left_side=True, lower=True, unit_diagonal=True)
            u_k = jnp.concatenate([u_left, beside], axis=-1)
        lower.append(l_k)
        upper.append(u_k)
        terms.append(_placed(l_k, packed.shape) + _placed(u_k, packed.shape))
    return domain.series(terms), domain.series((pivots,)), domain.series((order,))


def _placed(block: Any, shape: tuple[int, ...]) -> Any:
    """A block in the upper left corner of zeros."""
    pads = [(0, n - m) for n, m in zip(shape, block.shape, strict=True)]
    return jnp.pad(block, pads)


def _qr(domain: Taylor, xs: Sequence[Series], context: Context) -> Sequence[Any]:
    (a,) = xs
    rows, columns = a.leading.shape[-2:]
    params = context.equation.params
    if rows < columns or (params["full_matrices"] and rows != columns) or params.get("pivoting"):
        return piecewise.nested(domain, xs, context)
    outs = domain.numbers.apply(context.equation, [a.leading], context)
    q, r = [outs[0]], [outs[1]]
    for k in range(1, domain.order + 1):
        known = _products(lambda j: q[j], lambda j, k=k: r[k - j], range(1, k))
        inner = _right(r[0], _less(a.terms[k], known, a.leading))
        turned = _t(q[0]) @ inner
        overlap = _products(lambda j: _t(q[j]), lambda j, k=k: q[k - j], range(1, k))
        half = jnp.zeros_like(turned) if overlap is None else -overlap / 2
        skew = jnp.tril(turned - half, -1)
        skew = skew - _t(skew)
        upper = turned - half - skew
        r.append(upper @ r[0])
        q.append(inner - q[0] @ upper)
    return domain.series(q), domain.series(r)


def _gaps(values: Any) -> Any:
    """l_b - l_a, infinite on the diagonal."""
    eye = jnp.eye(values.shape[-1], dtype=bool)
    return jnp.where(eye, jnp.inf, values[..., None, :] - values[..., :, None])


def _diagonal(matrix: Any) -> Any:
    return jnp.diagonal(matrix, axis1=-2, axis2=-1)


def _eye(matrix: Any) -> Any:
    return jnp.eye(matrix.shape[-1], dtype=matrix.dtype)


def _normalised(parts: Terms, k: int) -> Any:
    """The diagonal that keeps columns of length one: -1/2 sum_{0<j<k} (X_j' X_{k-j})_aa, as a matrix."""
    overlap = _products(lambda j: _t(parts[j]), lambda j: parts[k - j], range(1, k))
    return 0.0 if overlap is None else -overlap / 2 * _eye(overlap)


def _eigh(domain: Taylor, xs: Sequence[Series], context: Context) -> Sequence[Series]:
    (a,) = xs
    vectors, values = domain.numbers.apply(context.equation, [a.leading], context)
    if vectors.shape[-1] != vectors.shape[-2]:
        return piecewise.nested(domain, xs, context)
    turned = [None, *(None if term is None else _t(vectors) @ term @ vectors for term in a.terms[1:])]
    gaps = _gaps(values)
    x, spectrum = [jnp.broadcast_to(_eye(vectors), vectors.shape)], [values]
    for k in range(1, domain.order + 1):
        n = _products(lambda j: turned[j], lambda j, k=k: x[k - j], range(1, k + 1))
        n = jnp.zeros_like(vectors) if n is None else n
        for j in range(1, k):
            n = n - x[j] * spectrum[k - j][..., None, :]
        spectrum.append(_diagonal(n))
        x.append(n / gaps * (1 - _eye(n)) + _normalised(x, k))
    return domain.series([vectors, *(vectors @ part for part in x[1:])]), domain.series(spectrum)


def _svd(domain: Taylor, xs: Sequence[Series], context: Context) -> Sequence[Any]:
    (a,) = xs
    params = context.equation.params
    rows, columns = a.leading.shape[-2:]
    full = params["compute_uv"] and params["full_matrices"] and rows != columns
    if full or params.get("subset_by_index") is not None:
        raise Lost(why="without a gap to the null space there is no derivative of the vectors of")
    if params["compute_uv"]:
        s0, u0, vt0 = domain.numbers.apply(context.equation, [a.leading], context)
    else:
        u0, s0, vt0 = jnp.linalg.svd(a.leading, full_matrices=False)
    s, u, v = _singular(domain.order, list(a.terms), s0, u0, _t(vt0))
    if not params["compute_uv"]:
        (first,) = domain.numbers.apply(context.equation, [a.leading], context)
        return (domain.series([first, *s[1:]]),)
    return domain.series(s), domain.series(u), domain.series([_t(part) for part in v])


def _singular(order: int, a: Terms, s0: Any, u0: Any, v0: Any) -> tuple[Terms, Terms, Terms]:
    """S, U and V of A = U S V', coefficient by coefficient."""
    s, u, v = [s0], [u0], [v0]
    x, y = (
        [jnp.broadcast_to(_eye(_t(u0) @ u0), (_t(u0) @ u0).shape)],
        [jnp.broadcast_to(_eye(_t(v0) @ v0), (_t(v0) @ v0).shape)],
    )
    gaps, column = _gaps(s0**2), s0[..., None, :]
    row = s0[..., :, None]
    for k in range(1, order + 1):
        f = _products(lambda j: a[j], lambda j, k=k: v[k - j], range(1, k + 1))
        g = _products(lambda j: None if a[j] is None else _t(a[j]), lambda j, k=k: u[k - j], range(1, k + 1))
        f = jnp.zeros_like(u0) if f is None else f
        g = jnp.zeros_like(v0) if g is None else g
        for j in range(1, k):
            f = f - u[j] * s[k - j][..., None, :]
            g = g - v[j] * s[k - j][..., None, :]
        c, d = _t(u0) @ f, _t(v0) @ g
        off = 1 - _eye(c)
        x.append((row * d + c * column) / gaps * off + _normalised_full(u, k))
        y.append((row * c + d * column) / gaps * off + _normalised_full(v, k))
        s.append((_diagonal(c) + _diagonal(d)) / 2)
        u.append(u0 @ x[k] + (f - u0 @ c) / column)
        v.append(v0 @ y[k] + (g - v0 @ d) / column)
    return s, u, v


def _normalised_full(vectors: Terms, k: int) -> Any:
    overlap = _products(lambda j: _t(vectors[j]), lambda j: vectors[k - j], range(1, k))
    return 0.0 if overlap is None else -overlap / 2 * _eye(overlap)


def _tridiagonal_solve(domain: Taylor, xs: Sequence[Series], context: Context) -> Sequence[Series]:
    below, middle, above, right = xs
    solution: Terms = []
    for k in range(domain.order + 1):
        rest = jnp.zeros_like(right.leading) if right.terms[k] is None else right.terms[k]
        for j in range(1, k + 1):
            if solution[k - j] is not None:
                rest = rest - _tridiagonal(below.terms[j], middle.terms[j], above.terms[j], solution[k - j])
        leading = [below.leading, middle.leading, above.leading, rest]
        solution.append(domain.numbers.apply(context.equation, leading, context)[0])
    return (domain.series(solution),)


def _tridiagonal(below: Any, middle: Any, above: Any, x: Any) -> Any:
    total = jnp.zeros_like(x)
    if middle is not None:
        total = total + middle[..., None] * x
    if below is not None:
        total = total.at[..., 1:, :].add(below[..., 1:, None] * x[..., :-1, :])
    if above is not None:
        total = total.at[..., :-1, :].add(above[..., :-1, None] * x[..., 1:, :])
    return total


def _length(part: Any) -> int:
    return part if isinstance(part, int) else len(part)


def _custom_solve(domain: Taylor, xs: Sequence[Series], context: Context) -> Sequence[Any]:
    """A(x) = b with A and the solver given as functions: what the known coefficients leave is solved for the next."""
    equation = context.equation
    jaxprs = equation.params["jaxprs"]
    counts = [_length(part) for part in equation.params["const_lengths"]]
    start = sum(counts)
    consts, right = list(xs[: counts[0]]), list(xs[start:])
    graph = Reader().graph(jaxprs.matvec)
    fixed = [x.leading for x in xs[:start]]
    solution: list[Terms] = [[] for _ in right]
    if not any(x.moves for x in consts):
        return domain.by_coefficient(xs, [i >= start for i in range(len(xs))], context)
    for k in range(domain.order + 1):
        rest = [jnp.zeros_like(b.leading) if b.terms[k] is None else b.terms[k] for b in right]
        if k:
            values = [*consts, *(domain.series(terms) for terms in solution)]
            known = domain.walk(graph, values, Frame(graph, context.frame, equation))
            lost = next((value for value in known if isinstance(value, Unknown)), None)
            if lost is not None:
                raise Lost(unknown=lost)
            rest = [b if value.terms[k] is None else b - value.terms[k] for b, value in zip(rest, known, strict=True)]
        found = jaxpr.bind(equation.native, [*fixed, *rest])
        for terms, value in zip(solution, found, strict=False):
            terms.append(value)
    return [domain.series(terms) for terms in solution]


RULES: dict[str, Callable[..., Sequence[Any]]] = {
    "cholesky": _cholesky,
    "eigh": _eigh,
    "lu": _lu,
    "qr": _qr,
    "svd": _svd,
    "triangular_solve": _triangular_solve,
    "tridiagonal_solve": _tridiagonal_solve,
}
"""The primitives whose defining equation is solved here."""
