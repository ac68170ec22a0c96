"""What is said of a Hessian whose program stops a gradient: which part of it is held constant.

A product of the program's derivative with a vector leaves out what stands behind a stop_gradient
(`qed.calculus.stopped`). So each number found by such products, a trace, a density, the curvature of a layer, is one
of the matrix in which that part is constant, and its claim says so.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qed.answer import Answer
from qed.calculus.spectra.products import Products

HELD = "with what stands behind a stop_gradient held constant, "


def holding(answer: Answer[Any], products: Products) -> Answer[Any]:
    """The same answer, which says what is held constant where something is.

    >>> import jax, jax.numpy as jnp
    >>> from qed.calculus.spectra.told import trace
    >>> from qed.graph.function import read
    >>> products = Products(read(lambda x: x * jax.lax.stop_gradient(x), 3.0))
    >>> answer = holding(trace(products, 0), products)
    >>> answer.claim.split(", ")[0], [f.code for f in answer.findings], answer.value
    ('with what stands behind a stop_gradient held constant', ['QED101'], 0.0)
    """
    try:
        stopped = products.stopped
    except NotImplementedError:  # the answer says so
        return answer
    if stopped is None:
        return answer
    headline = answer.headline and f"{answer.headline} What stands behind a stop_gradient is held constant."
    return replace(answer, claim=HELD + answer.claim, headline=headline, findings=(stopped, *answer.findings))
