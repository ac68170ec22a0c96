"""Spans: the source line is found, and the carets stand under what is meant, whatever the line holds."""

from __future__ import annotations

import copy
import linecache
import pickle
from pathlib import Path

import pytest

from qed.span import Span, display_width


def span_of(path: Path, source: str, meant: str) -> Span:
    """The span of a text in a one-line file."""
    path.write_text(source + "\n", encoding="utf-8")
    linecache.checkcache(str(path))
    start = source.index(meant)
    return Span(str(path), 1, start, 1, start + len(meant))


@pytest.mark.parametrize(
    ("source", "meant"),
    [
        ("p = jnp.exp(z)", "jnp.exp(z)"),
        ("        p = jnp.exp(z)   ", "jnp.exp(z)"),
        ("損失 = exp(入力) + 1", "exp(入力)"),
        ("x", "x"),
    ],
)
def test_carets_stand_under_the_meant_text(tmp_path: Path, source: str, meant: str) -> None:
    text, caret = span_of(tmp_path / "train.py", source, meant).caret
    assert text == source.strip()
    before = text[: text.index(meant)]
    assert caret == " " * display_width(before) + "^" * display_width(meant)


def test_tabs_stay_tabs_before_the_carets(tmp_path: Path) -> None:
    assert span_of(tmp_path / "train.py", "\tp =\texp(z)", "exp(z)").caret == ("p =\texp(z)", "   \t^^^^^^")


def test_a_span_of_several_lines_is_marked_to_the_end_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    path.write_text("q = exp(\n    z)\n")
    assert Span(str(path), 1, 4, 2, 6).caret == ("q = exp(", "    ^^^^")


def test_unknown_columns_and_missing_files_give_no_carets(tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    path.write_text("q = exp(z)\n")
    assert Span(str(path), 1).caret == ("q = exp(z)", "")
    assert Span(str(path), 1, 4).caret == ("q = exp(z)", "    ^")
    assert Span(str(path), 99, 4, 99, 6).caret == ("", "")
    assert Span("/nowhere/gone.py", 3, 1, 3, 2).text == ""


def test_columns_beyond_an_edited_line_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    path.write_text("q = 1\n")
    text, caret = Span(str(path), 1, 40, 1, 60).caret
    assert text == "q = 1" and caret == "    ^"


def test_short_form_json_and_copies() -> None:
    span = Span("/home/me/train.py", 8, 4, 8, 14, "loss")
    assert str(span) == "train.py:8"
    assert str(Span("<stdin>", 2)) == "<stdin>:2"
    assert Span.from_json(span.to_json()) == span == pickle.loads(pickle.dumps(span)) == copy.deepcopy(span)
    assert Span.from_json({"file": "a.py", "line": 1}) == Span("a.py", 1)
    assert len({span, Span.from_json(span.to_json())}) == 1
