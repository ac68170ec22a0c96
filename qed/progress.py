"""What a long question tells while it works: the part, how much of it is done, and how much there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Progress = Callable[[str, int, int], Any]
"""Called with (what, done, total); a total of 0 is not known."""


class Note(str):
    """A whole sentence, told once before the work begins, and no part of it.

    Example:
        >>> isinstance(Note("12.3 million parameters"), str)
        True
    """

    __slots__ = ()


__all__ = ["Note", "Progress"]
