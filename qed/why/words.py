"""Numbers and counts in words, as all of `qed.why` writes them; how a birth is told stands in `qed.domains.words`."""

from __future__ import annotations

from pathlib import Path

from qed.domains.words import number, plural

__all__ = ["number", "plural", "short"]


def short(path: str) -> str:
    """The file's own name."""
    return Path(path).name
