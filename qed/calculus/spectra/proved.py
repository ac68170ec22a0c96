"""The answer about eigenvalues that were proved by counting."""

from __future__ import annotations

from qed.answer import Answer, Reason
from qed.calculus.points.case import Case
from qed.calculus.shares import shares
from qed.calculus.spectra.products import Products
from qed.calculus.spectra.result import Spectrum
from qed.calculus.spectra.sparse import Proved
from qed.standing import Standing


def ordinal(rank: int, n: int) -> str:
    """An eigenvalue by its number, from the nearer end.

    >>> ordinal(0, 300), ordinal(299, 300), ordinal(2, 300), ordinal(298, 300)
    ('the smallest eigenvalue', 'the largest eigenvalue', 'eigenvalue 3 from below', 'eigenvalue 2 from above')
    """
    if rank in (0, n - 1):
        return f"the {'largest' if rank else 'smallest'} eigenvalue"
    return f"eigenvalue {rank + 1} from below" if rank < n // 2 else f"eigenvalue {n - rank} from above"


def proved_answer(case: Case, found: Proved, products: Products, seed: int) -> Answer[Spectrum]:
    """Each eigenvalue with its number, its error, and the parameters that its vector consists of."""
    n = case.function.size
    named = tuple(shares(v, case.function.paths, case.shapes) for v in found.vectors)
    value = Spectrum(
        found.values, found.errors, tuple(case.tree(v) for v in found.vectors), named, n, products.count,
        float(found.values.min()), float(found.values.max()), seed, products, case.tree,
    )  # fmt: skip
    rows = []
    for t, e, rank, names in zip(found.values, found.errors, found.ranks, named, strict=True):
        told = ", ".join(f"{s:.0%} {name}" for name, s in names if s >= 0.05) or "spread over all parameters"
        text = f"{ordinal(rank, n)} is within {e:.2g} of {t:.6g}: {told}"
        formula = "H - s I = L D L' + E: as many eigenvalues below s as negative pivots, up to |E|"
        numbers = f"{rank} below {t - e:.6g}, {rank + 1} or more below {t + e:.6g}"
        rows.append(Reason("eigenvalues counted", formula, numbers, standing=Standing.PROVED, role="value", text=text))
    first = ordinal(found.ranks[0], n)
    bound = f"{found.values[0]:.6g}, off by at most {found.errors[0]:.2g}"
    more = f", and {len(rows) - 1} more, each by its number, within their errors" if len(rows) > 1 else ""
    told = ", ".join(f"{share:.0%} {name}" for name, share in named[0] if share >= 0.05)
    return Answer(
        f"{first} of the Hessian is within {found.errors[0]:.2g} of {found.values[0]:.6g}{more}",
        Standing.PROVED,
        value,
        arithmetic="reals",
        reasons=tuple(rows),
        certificate=found.certificate,
        headline=f"{first.capitalize()} is {bound}: {told or 'spread over all parameters'}.",
    )
