"""Cotangents by NumPy, where JAX would compile a program for a single product or a single move of elements.

For y = f(x) with a formula f'(x, y) in + - * / the cotangent of x is ct f', two or three operations whose bits IEEE 754
fixes; for an output that only moves elements, y_i = x_(p i), it is the sum of ct_i over the i with p i = j:

    y = f(x):  ct_x = ct_y f'(x, y),        y_i = x_(p i):  (ct_x)_j = sum of (ct_y)_i over p i = j.

p is found by moving the numbers 0, 1, 2, ... themselves. A sum gives its cotangent to each term, and of a product of
arrays z = sum_k x_ik y_kj the cotangents are sum_j ct_ij y_kj and sum_i x_ik ct_ij. Sums of several terms are NumPy's,
in its order: their last digits may be other than those of JAX's own transposed primitives, to which anything else is
left.
Reference: Griewank and Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from qed import facts
from qed.domains.exact import FLOATS, LARGEST, kept, normal, on_host
from qed.domains.moving import rearranged
from qed.graph.walk import Entry

Array = np.ndarray
MOST = 64
"""How many arrays are concatenated at most."""


def _floats(*values: Any) -> list[Array] | None:
    """Arrays of normal floats of one kind, which JAX would keep; None where they are not."""
    arrays = [on_host(value) for value in values]
    known = [x for x in arrays if x is not None]
    same = len(known) == len(arrays) and len({x.dtype for x in known}) == 1 and known[0].dtype in FLOATS
    return known if same and kept(known[0]) and normal(*known) else None


def times(ct: Any, slope: facts.Expression, values: dict[str, Any]) -> Array | None:
    """ct times a formula at arrays; None where it holds functions, or where an array is not of the host.

    Example:
        >>> from qed.facts import ARITHMETIC
        >>> x, y, z = (np.float32([n]) for n in (6, 2, 3))
        >>> times(np.float32([4]), ARITHMETIC["div"].partials[1], {"x": x, "y": y, "z": z}).tolist()
        [-6.0]
    """
    needed = sorted(slope.symbols)
    if slope.calls or any(name not in values for name in needed):
        return None
    arrays = _floats(ct, *(values[name] for name in needed))
    if arrays is None:
        return None
    with np.errstate(all="ignore"):
        found = slope.evaluate(arithmetic=facts.NUMPY, **dict(zip(needed, arrays[1:], strict=True)))
        found = np.asarray(found, arrays[0].dtype)
        product = np.asarray(arrays[0] * found)
    return product if normal(found, product) else None


def plus(first: Any, second: Any) -> Any:
    """The sum of two cotangents of one shape; None where JAX has to add them."""
    arrays = _floats(first, second)
    if arrays is None or arrays[0].shape != arrays[1].shape:
        return None
    with np.errstate(all="ignore"):
        found = np.asarray(arrays[0] + arrays[1])
    return jax.device_put(found) if normal(found) else None


def folded(cotangent: Array, shape: tuple[int, ...]) -> Array:
    """The sum over the axes along which an operand of that shape was broadcast."""
    lead = cotangent.ndim - len(shape)
    axes = (*range(lead), *(lead + i for i, n in enumerate(shape) if n == 1 and cotangent.shape[lead + i] != 1))
    return np.sum(cotangent, axis=axes, dtype=cotangent.dtype).reshape(shape) if axes else cotangent.reshape(shape)


def moved(entry: Entry, cts: Sequence[Any]) -> list[Any] | None:
    """The cotangents of the inputs of an equation that moves elements, or adds them up; None where it does neither."""
    name, params = entry.equation.primitive, entry.equation.params
    if entry.equation.native is None or any(ct is None for ct in cts):
        return None
    arrays = _floats(*cts)
    if arrays is None or len(entry.inputs) > MOST or any(cell.dtype not in FLOATS for cell in entry.inputs):
        return None
    if name in ("add_any", "convert_element_type"):
        return _placed([arrays[0].astype(cell.dtype) for cell in entry.inputs])
    shapes = [cell.shape for cell in entry.inputs]
    if any(cell.dtype != entry.outputs[0].dtype for cell in entry.inputs):
        return None
    if name == "dot_general":
        return _contracted(entry, arrays[0])
    if any(int(np.prod(shape)) > LARGEST for shape in shapes):
        return None
    if name == "reduce_sum" and len(arrays) == 1:
        kept = [1 if i in params["axes"] else n for i, n in enumerate(shapes[0])]
        return _placed([np.broadcast_to(arrays[0].reshape(kept), shapes[0])])
    ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
    numbers = [np.arange(a, b).reshape(shape) for a, b, shape in zip(ends[:-1], ends[1:], shapes, strict=True)]
    places = rearranged(name, params, numbers)
    if places is None:
        return None
    total = np.zeros(ends[-1], arrays[0].dtype)
    for place, ct in zip(places, arrays, strict=True):
        np.add.at(total, place.ravel(), ct.ravel())
    return _placed([total[n.ravel()].reshape(n.shape) for n in numbers])


def _contracted(entry: Entry, ct: Array) -> list[Any] | None:
    """The cotangents of both operands of a product of arrays: the other operand times ct, summed over its free axes."""
    operands = _floats(*(cell.values[0] for cell in entry.inputs))
    if operands is None or ct.size * max(x.size for x in operands) > LARGEST:
        return None
    (left, right), (batch, other) = entry.equation.params["dimension_numbers"]
    names = iter(range(sum(x.ndim for x in operands)))
    letters: list[list[int]] = [[-1] * x.ndim for x in operands]
    for i, j in (*zip(batch, other, strict=True), *zip(left, right, strict=True)):
        letters[0][i] = letters[1][j] = next(names)
    for each in letters:
        each[:] = [next(names) if k < 0 else k for k in each]
    free = [
        [k for i, k in enumerate(each) if i not in (*some, *shared)]
        for each, some, shared in ((letters[0], left, batch), (letters[1], right, other))
    ]
    out = [*(letters[0][i] for i in batch), *free[0], *free[1]]
    x, y = operands
    with np.errstate(all="ignore"):
        found = [np.einsum(ct, out, y, letters[1], letters[0]), np.einsum(ct, out, x, letters[0], letters[1])]
    return _placed([np.asarray(one, ct.dtype) for one in found])


def _placed(found: list[Array]) -> list[Any] | None:
    return [jax.device_put(x) for x in found] if normal(*found) else None
