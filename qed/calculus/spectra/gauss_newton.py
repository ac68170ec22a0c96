"""The Gauss-Newton matrix beside the Hessian, and what is between them.

Of a loss psi(z(w)) the Hessian is

    H = J' D^2 psi J + sum_i (d psi / d z_i) D^2 z_i,

and the first part, the Gauss-Newton matrix G, has no negative eigenvalue where psi is convex. The second part is small
where the network is nearly linear or fits its data (Schraudolph, *Fast curvature matrix-vector products for
second-order gradient descent*, Neural Computation 14, 2002). All negative curvature comes from it. Where psi is the
negative log-likelihood of natural parameters, G is the Fisher information (`qed.calculus.spectra.heads`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np

from qed.answer import Answer, Missing, Reason
from qed.calculus.gradient.kept import differentiable
from qed.calculus.hessian import flatten, unflatten
from qed.calculus.lanczos import Krylov
from qed.calculus.spectra.cancelling import Roundings
from qed.calculus.spectra.heads import Head, heads
from qed.calculus.spectra.products import SMALL, Products
from qed.calculus.spectra.searching import how, measured, room_of, search, wanted
from qed.domains.widened import widen
from qed.graph.function import Function
from qed.graph.graph import Graph
from qed.graph.jaxpr import evaluate
from qed.standing import Standing

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class GaussNewton:
    """The Gauss-Newton matrix of a loss.

    Args:
        eigenvalues: the largest that were found.
        errors: an eigenvalue of it lies within errors[i] of eigenvalues[i].
        families: of the terms of the loss, whose Fisher information the matrix is.
        difference: the eigenvalue of H - G of largest size that was found.
        difference_error: an eigenvalue of H - G lies so near.
        products: how many products with either were spent.
    """

    eigenvalues: Array
    errors: Array
    families: tuple[str, ...]
    difference: float
    difference_error: float
    products: int


class GaussNewtonProducts(Products):
    """v -> G v; with `hessian` given v -> H v - G v."""

    def __init__(self, function: Function, found: Sequence[Head], hessian: Products | None = None) -> None:
        super().__init__(function)
        self.hessian = hessian
        self._matrices = _product(function, found, evaluate), _product(function, found, _widely)
        self._narrow, self._broad = (jax.jit(matrix) for matrix in self._matrices)

    def own(self, vector: Array) -> Array:
        """The product in the program's arithmetic."""
        self.count += 1
        parameters = tuple(self.function.parameters)
        found = flatten(self._narrow(parameters, self.function.data, unflatten(vector, parameters)), self.dtype)
        return found if self.hessian is None else self.hessian.own(vector) - found

    def exact(self, vector: Array) -> Array:
        """The product in float64."""
        if not self.wide:
            return self.own(vector)
        self.count += 1
        with jax.enable_x64(True):
            data = tuple(widen(leaf) for leaf in self.function.data)
            found = flatten(self._broad(self._point, data, unflatten(vector, self._point)))
        return found if self.hessian is None else self.hessian.exact(vector) - found

    def several(self, vectors: Array) -> Array:
        """The products with the rows."""
        return np.array([self(v) for v in vectors], self.dtype)

    @cached_property
    def _roundings(self) -> Roundings | None:
        if self.size > SMALL:
            return None
        made = Roundings.of if self.wide else Roundings.in_its_arithmetic
        hessian = made(self.function)
        with jax.enable_x64(True) if self.wide else nullcontext():
            data = tuple(widen(leaf) if self.wide else leaf for leaf in self.function.data)

        def product(point: Any, direction: Any) -> Any:
            found = self._matrices[self.wide](point, data, direction)
            if self.hessian is None:
                return found
            return jax.tree.map(lambda a, b: a - b, hessian.product(point, direction), found)

        return Roundings(product, hessian.point, hessian.unit)


def _widely(graph: Graph, inputs: Sequence[Any]) -> list[Any]:
    return differentiable(graph)(graph, inputs)


def _product(function: Function, found: Sequence[Head], run: Callable[[Graph, Sequence[Any]], list[Any]]) -> Any:
    places = dict(zip(function.graph.inputs, range(len(function.graph.inputs)), strict=True))

    def product(parameters: Any, data: Any, direction: Any) -> Any:
        total = None
        for head in found:
            order = [places[v] for v in head.outer.inputs[1:]] if len(head.outer.inputs) > 1 else []

            def network(p: Any, head: Head = head) -> Any:
                return run(head.network, function.join(p, data))[0]

            def outer(z: Any, head: Head = head, order: list[int] = order) -> Any:
                leaves = function.join(parameters, data)
                terms = run(head.outer, [z, *(leaves[i] for i in order)])
                return sum(c * term for c, term in zip(head.factors, terms, strict=True))

            z, along = jax.jvp(network, (parameters,), (direction,))
            bent = jax.jvp(jax.grad(outer), (z,), (along,))[1]
            pulled = jax.vjp(network, parameters)[1](bent)[0]
            total = pulled if total is None else jax.tree.map(lambda a, b: a + b, total, pulled)
        return total

    return product


def gauss_newton(hessian: Products, k: int, seed: int) -> Answer[GaussNewton]:
    """The largest eigenvalues of G, and the largest of H - G in size."""
    function = hessian.function
    found = heads(function)
    claim = "the eigenvalues of the Gauss-Newton matrix are known"
    if found is None:
        what = "a term of the loss is no squared error, cross-entropy or Poisson loss of one value of the network"
        missing = Missing(what, "a loss of that form, as a sum of such terms")
        return Answer(claim, Standing.UNKNOWN, None, missing=(missing,), headline=f"Unknown: {what}.")
    products, between = GaussNewtonProducts(function, found), GaussNewtonProducts(function, found, hessian)
    try:
        values, errors = _searched(products, min(k, function.size), "largest", seed)
        rest, room = _searched(between, 1, "magnitude", seed)
    except (TypeError, ValueError, NotImplementedError) as error:  # what JAX raises where a rule is missing
        missing = Missing(f"the network has no derivative in both modes: {error}", "a function without such a rule")
        return Answer(claim, Standing.UNKNOWN, None, missing=(missing,))
    families = tuple(head.family for head in found)
    value = GaussNewton(values, errors, families, float(rest[0]), float(room[0]), products.count + 2 * between.count)
    named = ", ".join(dict.fromkeys(families))

    def again() -> bool:
        other, more = _searched(products, 1, "largest", seed + 1)
        return bool(abs(other[0] - values[0]) <= more[0] + errors[0] + 1e-3 * abs(values[0]))

    reasons = (
        Reason(how(products), "|l - t| <= |G v - t v|",
               f"{values[0]:.6g} within {errors[0]:.2g}",
               predicted=float(values[0]), observed=float(values[0]), standing=Standing.MEASURED, role="value",
               text=f"an eigenvalue of G within {errors[0]:.2g} of {values[0]:.6g}"),
        Reason("the rest of the Hessian", "H - G = sum (d psi / d z_i) D^2 z_i", f"{rest[0]:.6g} within {room[0]:.2g}",
               predicted=float(rest[0]), observed=float(rest[0]), standing=Standing.MEASURED,
               text=f"H - G has an eigenvalue within {room[0]:.2g} of {rest[0]:.6g}"),
        Reason("Fisher information", "G = E (grad log p)(grad log p)'", standing=Standing.MEASURED, role="checked",
               text=f"the outer function follows the means of: {named}; G is the Fisher information of that model",
               unpredicted="a form is asked for, not a number"),
    )  # fmt: skip
    return Answer(
        f"the Gauss-Newton matrix has an eigenvalue within {errors[0]:.2g} of {values[0]:.6g}, and the Hessian less it "
        f"one within {room[0]:.2g} of {rest[0]:.6g}",
        Standing.MEASURED,
        value,
        arithmetic=products.arithmetic,
        reasons=reasons,
        headline=f"The Gauss-Newton matrix, which is the Fisher information ({named}), has the eigenvalue "
        f"{values[0]:.6g}; what the Hessian has beside it, {rest[0]:.4g}.",
        meta={"seed": seed},
        recheck=again,
    )


def _searched(products: Products, k: int, which: str, seed: int) -> tuple[Array, Array]:
    krylov = Krylov(products, products.size, room_of(products.size, k), seed, products.dtype)
    search(krylov, k, which, 1e-3)
    ritz, _ = krylov.ritz()
    values, errors, _ = measured(krylov, products, wanted(ritz, k, which))
    return values, errors
