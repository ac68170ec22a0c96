"""The derivative of a library's softmax, as JAX writes it, with what it leaves of a share near 1.

::

    (w / S - sum(w e S^-2)) e = p (w - sum(p w)),        e = exp(u - max(u)), S = sum(e), p = e / S

In a gradient that is taken before it is stabilized, w is what comes from behind the softmax. Where p_r is near 1 the
two terms of r cancel; w - sum(p w) is (w - w_r) - sum p (w - w_r), of which nothing does (`balanced`).

Reference: Blanchard, Higham and Higham, *Accurately computing the log-sum-exp and softmax functions*, 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from qed.graph.build import Node
from qed.graph.graph import Graph
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.balanced import CENTRED
from qed.numerics.rewriting.kernels import SOFTMAX
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.length_ratios import Factors, factors_of
from qed.numerics.rewriting.scales import source_of, spread_along, unshifted
from qed.numerics.rewriting.signs import MOVES
from qed.numerics.rewriting.table import Replacement, Table

SLOPE = Law("(a / S - sum(a e / S**2)) e = p (a - sum(p a)), p = e / S = softmax(u)", "always")


def has_softmax(graph: Graph) -> bool:
    """Whether there may be the derivative of a softmax in a graph."""
    names = {equation.primitive for equation in graph.walk()}
    return {"exp", "reduce_max", "integer_pow", "div"} <= names


class SoftmaxSlopes(Table):
    """The rule on the nodes of a builder."""

    name = "softmax"

    def rules(self) -> Mapping[str, Callable[[Node], Replacement | None]]:
        """The table."""
        return {"mul": self._slope}

    def _slope(self, node: Node) -> Replacement | None:
        for e, total in (node.children, node.children[::-1]):
            if e.operation == "exp" and total.operation in ("add_any", "add") and e.shape == node.shape:
                for quotient, mean in (total.children, total.children[::-1]):
                    found = self._of(e, quotient, mean) if quotient.operation == "div" else None
                    if found is not None:
                        return found, (SLOPE,), None
        return None

    def _of(self, e: Node, quotient: Node, mean: Node) -> Node | None:
        w, below = quotient.children
        summed = source_of(below)
        if summed.operation != "reduce_sum" or summed.children[0] is not e or w.shape != e.shape:
            return None
        axes = tuple(summed.params["axes"])
        u = unshifted(e.children[0], axes)
        kept = tuple(1 if k in axes else n for k, n in enumerate(e.shape))
        read = _mean_of(mean, e.shape, axes)
        if u is None or read is None or not spread_along(below, summed, kept):
            return None
        inner, sign = read
        number, factors = factors_of(self.difference, inner)
        expected, others = factors_of(self.difference, w)
        divisors = [(node, -2 * power) for node, power in factors_of(self.difference, below)[1]]
        if any(node is e and power < 0 for node, power in others):  # a/p for a p that is 0: what is behind has rules
            return None
        if number * sign != -expected or _powers(factors) != _powers([*others, (e, 1), *divisors]):
            return None
        p = self.difference.emit(SOFTMAX, u, axes=axes)
        return self.difference.emit(stable.MUL, p, self.difference.emit(CENTRED, w, p, axes=axes))


def _powers(factors: Factors) -> dict[int, int]:
    found: dict[int, int] = {}
    for node, power in factors:
        found[node.number] = found.get(node.number, 0) + power
    return {number: power for number, power in found.items() if power}


def _mean_of(node: Node, shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[Node, int] | None:
    """What is summed along axes and put back in their place, and the sign; None for any other node."""
    chain, sign = list[Node](), 1
    while node.operation in MOVES or node.operation == "neg" or _sums_ones(node):
        chain.append(node)
        sign = -sign if node.operation == "neg" else sign
        node = node.children[0]
    if node.operation != "reduce_sum" or node.children[0].shape != shape or tuple(node.params["axes"]) != axes:
        return None
    rows, before = [k for k in range(len(shape)) if k not in axes], node.shape
    places: list[int | None] = list(range(len(before)))
    for move in reversed(chain):
        whole = [n for n in before if n != 1]
        match move.operation:
            case "neg" | "copy" | "stop_gradient":
                pass
            case "broadcast_in_dim":
                at = move.params["broadcast_dimensions"]
                places = [None if k is None or move.shape[at[k]] != before[k] else at[k] for k in places]
            case "reshape" | "squeeze" | "reduce_sum" if whole == [n for n in move.shape if n != 1]:
                new = iter([k for k, n in enumerate(move.shape) if n != 1])
                of = {k: next(new) for k, n in enumerate(before) if n != 1}
                places = [None if k is None else of.get(k) for k in places]
            case _:
                return None
        before = move.shape
    if before != shape or any(k != row for k, row in zip(places, rows, strict=True) if shape[row] != 1):
        return None
    return node.children[0], sign


def _sums_ones(node: Node) -> bool:
    """Whether a sum is along axes of length 1."""
    return node.operation == "reduce_sum" and all(node.children[0].shape[k] == 1 for k in node.params["axes"])


__all__ = ["SLOPE", "SoftmaxSlopes", "has_softmax"]
