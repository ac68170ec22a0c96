"""Python's collector of cycles, at rest while a graph is made.

The collector looks at everything that is alive once so many objects are new. A graph is many objects that all stay:
it finds nothing, and goes each time through all that JAX keeps.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def at_rest() -> Iterator[None]:
    """A context without the collector; as it was, afterwards.

    Example:
        >>> import gc
        >>> with at_rest():
        ...     gc.isenabled()
        False
        >>> gc.isenabled()
        True
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


__all__ = ["at_rest"]
