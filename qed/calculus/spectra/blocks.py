"""Curvature block by block: within each layer alone, beside that of all parameters together.

With P the projection on the parameters of a layer, its block is P H P, and v'Hv of a direction v within the layer is a
curvature of the whole as well: a block with a negative eigenvalue shows a negative curvature of H. The converse fails.
In

    H = [1  2]
        [2  1]

both blocks are positive, and H has the eigenvalue -1 along (1, -1): positive blocks do not make a minimum (by Cauchy's
interlacing, Horn and Johnson, *Matrix Analysis*, 2nd ed., 2013, theorem 4.3.28, they only bound the smallest eigenvalue
from above).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qed.answer import Answer, Missing, Reason
from qed.calculus.lanczos import Krylov, length
from qed.calculus.spectra.products import Products
from qed.findings import Finding
from qed.standing import Standing

Array = np.ndarray
ENOUGH = 1e-3
"""Which part of the largest curvature seen the residual of an end may be, for the search to stop."""


@dataclass(frozen=True)
class Block:
    """The curvatures of one layer.

    Args:
        name: the layer, or the array.
        size: how many parameters it has.
        lowest, highest: v'Hv, for unit vectors v within it, the smallest and the largest that were found.
        error: an eigenvalue of the block lies so near to each.
    """

    name: str
    size: int
    lowest: float
    highest: float
    error: float


def layers(products: Products) -> dict[str, list[int]]:
    """name -> which arrays belong to it: those with the same path but for its last key, where there are several.

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> w = {"one": {"W": jnp.ones(2), "b": jnp.ones(1)}, "two": jnp.ones(1)}
    >>> layers(Products(read(lambda w: jnp.sum(w["one"]["W"]) * jnp.sum(w["two"]) + jnp.sum(w["one"]["b"]), w)))
    {"w['one']": [0, 1], "w['two']": [2]}
    """
    found: dict[str, list[int]] = {}
    for i, path in enumerate(products.function.paths):
        cut = max(path.rfind("["), path.rfind("."))
        parent = path[:cut] if cut > 0 else ""
        deep = "[" in parent or "." in parent
        found.setdefault(parent if deep else path, []).append(i)
    return found


def blocks(products: Products, most: int, seed: int) -> Answer[tuple[Block, ...]]:
    """The curvatures of all blocks, and QED307 where all are positive and one of the whole is not."""
    sizes = [int(np.prod(p.shape, dtype=np.int64)) for p in products.function.parameters]
    starts = np.cumsum([0, *sizes])
    claim = "the curvatures within each layer are known"
    found = []
    try:
        for name, arrays in layers(products).items():
            index = np.concatenate([np.arange(starts[i], starts[i + 1]) for i in arrays])
            if index.size:
                found.append(_block(products, name, index, most, seed))
        whole = _block(products, "all parameters", np.arange(products.size), most, seed)
    except (NotImplementedError, FloatingPointError):
        missing = Missing(
            "a Hessian product is not finite, or has no rule",
            "a point where the second derivatives are finite",
            "QED210",
        )
        return Answer(claim, Standing.UNKNOWN, None, missing=(missing,))
    positive = all(block.lowest - block.error > 0 for block in found)
    hidden = positive and whole.lowest + whole.error < 0
    findings = ()
    if hidden:
        text = (
            f"each of {len(found)} blocks has positive curvatures only, from {min(b.lowest for b in found):.4g} on, "
            f"and the whole has {whole.lowest:.6g} along a direction that changes several together"
        )
        findings = (Finding("QED307", text),)
    rows = tuple(
        Reason("curvatures of a block", "P H P", f"{b.lowest:.6g} to {b.highest:.6g} within {b.error:.2g}",
               standing=Standing.MEASURED, predicted=b.lowest, observed=b.lowest,
               text=f"{b.name}: from {b.lowest:.6g} to {b.highest:.6g}, each within {b.error:.2g}")
        for b in (*found, whole)
    )  # fmt: skip
    ends = "; ".join(f"{b.name} from {b.lowest:.4g} to {b.highest:.4g}" for b in found[:3])
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    told = "" if hidden else " Positive blocks would not make a minimum: the whole decides."

    def again() -> bool:
        other = _block(products, "all parameters", np.arange(products.size), most, seed + 1)
        room = other.error + whole.error + ENOUGH * max(abs(whole.highest), abs(whole.lowest))
        return abs(other.lowest - whole.lowest) <= 20 * room

    return Answer(
        f"the blocks of {len(found)} layers have eigenvalues within their errors of the ends given: {ends}{more}",
        Standing.MEASURED,
        tuple(found),
        arithmetic=products.arithmetic,
        reasons=rows,
        findings=findings,
        headline=f"Layer by layer the curvatures run: {ends}{more}; of all together from {whole.lowest:.4g} to "
        f"{whole.highest:.4g}.{told}",
        meta={"seed": seed},
        recheck=again,
    )


def _block(products: Products, name: str, index: Array, most: int, seed: int) -> Block:
    def product(v: Array) -> Array:
        full = np.zeros(products.size, v.dtype)
        full[index] = v
        return np.asarray(products(full))[index]

    krylov = Krylov(product, len(index), min(most, len(index)), seed, products.dtype)
    while krylov.step():
        values, inner = krylov.ritz()
        error = float(np.max(krylov.beside * np.abs(inner[-1, [0, -1]])))
        if krylov.closed or krylov.count == krylov.most or error <= ENOUGH * float(np.max(np.abs(values[[0, -1]]))):
            break
        krylov.extend()
    else:
        raise FloatingPointError
    ends, room = [], products.cancelled
    for i in (0, -1):
        v = krylov.vectors(inner[:, i])
        v /= np.linalg.norm(v)
        image = product(v)
        ends.append(float(v @ image))
        room = max(room, length(image - ends[-1] * v))
        room += products.rounding(_full(products, index, v)) + 1e-14 * abs(ends[-1])
    return Block(name, len(index), ends[0], ends[1], room)


def _full(products: Products, index: Array, v: Array) -> Array:
    full = np.zeros(products.size, v.dtype)
    full[index] = v
    return full
