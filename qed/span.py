"""A place in the user's source: file, line and columns, as Python's compiler recorded them.

Columns count characters from 0, and the end column is the first one not meant, so that the meant text of a
one-line span is ``line[column:end_column]`` (PEP 657; the compiler itself counts UTF-8 bytes, whoever makes
a span converts). The source is read when it is asked for, through ``linecache``, so that a span is small,
can be pickled, and still works for notebook cells. A file that is gone gives an empty line, never an error.
"""

from __future__ import annotations

import linecache
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any


def display_width(text: str) -> int:
    r"""How many columns of a terminal a text takes: wide characters two, combining ones none.

    >>> display_width("exp"), display_width("損失"), display_width("e\u0301")
    (3, 4, 1)
    """
    if text.isascii():
        return len(text)
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


@dataclass(frozen=True)
class Span:
    """Where something was written.

    >>> span = Span("/home/me/train.py", 8, 8, 8, 18, "loss")
    >>> str(span)
    'train.py:8'
    >>> Span.from_json(span.to_json()) == span
    True
    """

    file: str
    line: int
    column: int = 0
    end_line: int | None = None
    end_column: int | None = None
    function: str | None = None

    @property
    def text(self) -> str:
        """The source line without its end, or '' if the file is gone."""
        try:
            return linecache.getline(self.file, self.line).rstrip("\r\n")
        except ValueError:  # a name that no file can have
            return ""

    @property
    def caret(self) -> tuple[str, str]:
        r"""The source line without its indentation, and carets to be printed under it.

        The carets are '' where the columns are not known. A span of several lines is marked to the end of its
        first one.

        >>> import linecache
        >>> linecache.cache["demo.py"] = (1, None, ["    p = exp(z)\n"], "demo.py")
        >>> print("\n".join(Span("demo.py", 1, 8, 1, 14).caret))
        p = exp(z)
            ^^^^^^
        """
        full = self.text
        text = full.strip()
        if not text or (self.end_column is None and self.column == 0):
            return text, ""
        indent = len(full) - len(full.lstrip())
        start = min(max(self.column - indent, 0), len(text) - 1)
        stop = self._stop(full) - indent
        stop = min(max(stop, start + 1), len(text))
        before = "".join("\t" if c == "\t" else " " * display_width(c) for c in text[:start])
        return text, before + "^" * max(display_width(text[start:stop]), 1)

    def _stop(self, full: str) -> int:
        if self.end_line is not None and self.end_line > self.line:
            return len(full)
        return self.column + 1 if self.end_column is None else self.end_column

    def __str__(self) -> str:
        """The short form ``train.py:8``."""
        return f"{PurePath(self.file).name or self.file}:{self.line}"

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the six fields."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "end_line": self.end_line,
            "end_column": self.end_column,
            "function": self.function,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Span:
        """The span that `to_json` wrote; fields left out take their defaults."""
        return cls(**{name: data[name] for name in cls.__dataclass_fields__ if name in data})
