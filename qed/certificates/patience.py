"""How long a search may ask for proofs: the work of an enclosure ends when the time of the search is spent.

A verb tries one enclosure after another, each of which halves cells until they are small enough. Within `patience`
the loops of the enclosures ask `on_time`, which raises OutOfTime when the time is over; the verb then asks for less, or
tells what it has.
Seconds are those of this thread's processor, so that other programs on the machine take nothing away from a proof.
Outside, as where a certificate is verified by whoever holds it, there is no limit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from qed.graph.walk import TooLong


class OutOfTime(TooLong):
    """The time of a search is spent."""


LATE = "no proof was found in time"
"""What it says."""
_END: ContextVar[float] = ContextVar("end", default=math.inf)


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Let the enclosures inside take so many seconds, or what is left of a time that runs already.

    >>> from qed.certificates.patience import OutOfTime, on_time, patience
    >>> on_time()
    >>> with patience(0.0):
    ...     try:
    ...         on_time()
    ...     except OutOfTime as error:
    ...         print(error)
    no proof was found in time
    """
    end = time.thread_time() + seconds
    token = _END.set(min(end, _END.get()))
    try:
        yield
    finally:
        _END.reset(token)


def on_time() -> None:
    """Raise OutOfTime where the time is spent."""
    if time.thread_time() >= _END.get():
        raise OutOfTime(LATE)
