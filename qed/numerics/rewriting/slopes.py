"""The derivative of a quotient without the square of what divides.

::

    a b v^-2 = (a / v) (b / v)

JAX differentiates u / v as du / v - u dv v^-2. Where v is a length of 1e25 in float32, v^-2 is 0, and with it the term
is lost that is as large as the other; where v is 1e-25 it is infinite. The quotients are of the size of what is
differentiated: u / v is its value, and du / v the other term. They round no more than the square and two products do.

The rule is for derivatives of what was rewritten: what is left as it was written has JAX's own derivative. So has what
is divided by a polynomial of the inputs, whose square leaves the range where its terms are about to.

Reference: Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section 27.8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from qed.graph.build import Node
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.table import Replacement, Table

SLOPE = Law("a b v**-2 = (a / v) (b / v)", "always")


class Slopes(Table):
    """The rule on the nodes of the builder of a derivative.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import qed
        >>> f = lambda x: x[0] / jnp.sqrt(jnp.mean(x * x))
        >>> x = jnp.array([3e25, 4e25])
        >>> jax.grad(f)(x).tolist(), [f"{g:.3g}" for g in jax.grad(qed.stabilize(f))(x).tolist()]
        ([0.0, 0.0], ['1.81e-26', '-1.36e-26'])
    """

    name = "slopes"
    derivative = True

    def rules(self) -> Mapping[str, Callable[[Node], Replacement | None]]:
        """The table."""
        return {"mul": self._product} if self.builder.rewritten else {}

    def _product(self, node: Node) -> Replacement | None:
        for factor, other in (node.children, node.children[::-1]):
            found = _pushed(factor, other) or _pulled(factor, other)
            if found is None or any(each.shape not in (node.shape, ()) for each in found):
                continue
            a, b, v = found
            if _is_polynomial(v):
                continue
            parts = [self.difference.emit(stable.DIV, part, v) for part in (a, b)]
            return self.difference.emit(stable.MUL, *parts), (SLOPE,), None
        return None


def _pushed(power: Node, product: Node) -> tuple[Node, Node, Node] | None:
    """a, b and v, where a product is (-du u) v^-2, as the tangent is."""
    if not _is_inverse_square(power) or product.operation != "mul":
        return None
    a, b = product.children
    return (a, b, power.children[0]) if "neg" in (a.operation, b.operation) else None


def _pulled(product: Node, b: Node) -> tuple[Node, Node, Node] | None:
    """a, b and v, where a product is (a v^-2) b, as the cotangent is."""
    if product.operation != "mul":
        return None
    for power, a in (product.children, product.children[::-1]):
        if _is_inverse_square(power):
            return a, b, power.children[0]
    return None


def _is_polynomial(node: Node, depth: int = 4) -> bool:
    """Whether a node is a polynomial of inputs that the program itself computes, in few sums and products."""
    if node.operation in ("input", "constant"):
        return True
    sums = node.operation in ("add", "sub", "mul", "integer_pow", "neg", "square") and node.equation is not None
    return sums and depth > 0 and all(_is_polynomial(child, depth - 1) for child in node.children)


def _is_inverse_square(node: Node) -> bool:
    return node.operation == "integer_pow" and node.params["y"] == -2 and node.equation is not None


__all__ = ["SLOPE", "Slopes"]
