"""python-flint at a chosen precision: its precision is one number for the whole process, so it is borrowed, not set.

`precision(bits)` holds a lock, sets `flint.ctx.prec`, and puts the caller's number back, whatever happens inside.
Reference: Johansson, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic", IEEE Trans. Comput. 66
(2017).
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from qed.errors import QedError

_LOCK = threading.RLock()


def flint() -> Any:
    """Return the module python-flint.

    Raises QedError (QED013) where it is not installed.

    >>> from qed.domains.precision import flint
    >>> flint().arb(2) + 1
    3.00000000000000
    """
    known = sys.modules.get("flint")
    if known is not None:
        return known
    try:
        return importlib.import_module("flint")
    except ModuleNotFoundError:
        what, because = "proofs need ball arithmetic", "python-flint is not installed"
        raise QedError("QED013", what, because, "pip install python-flint, which qed depends on") from None


@contextmanager
def precision(bits: int, terms: int | None = None) -> Iterator[Any]:
    """Compute in balls of that many bits inside the block, alone in this process; yields the module python-flint.

    `terms` is how many coefficients its power series keep.

    >>> from qed.domains.precision import precision
    >>> with precision(200) as flint:
    ...     third = flint.arb(1) / 3
    >>> third.rel_accuracy_bits() > 190
    True
    """
    library = flint()
    with _LOCK:
        before = library.ctx.prec, library.ctx.cap
        library.ctx.prec = bits
        library.ctx.cap = before[1] if terms is None else terms
        try:
            yield library
        finally:
            library.ctx.prec, library.ctx.cap = before
