"""An answer as plain text: the claim and its reasons on the left, how surely it stands in the right margin.

The layout is that of a compiler's message: a title line, one plain sentence, then a block for each claim
with the user's own source line and carets under it. `text` gives a plain string; `rich_text` colours the
very same string.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from qed.answer import Answer
from qed.report import exit_code as exit_code_of
from qed.report.screen import Block, Mark, Row, Screen, Tried, screen
from qed.span import display_width

if TYPE_CHECKING:
    from rich.text import Text

NARROWEST, WIDEST = 78, 100
_ROLE = 11  # where the sentences begin: two blanks, a role of up to seven letters, two blanks
_WHERE = 16  # a place such as "train.py:8" and the blanks after it
_CLAIM = 35  # where the claim begins beside a code and its name


def text(
    answer: Answer[Any],
    *,
    width: int | None = None,
    why: bool = False,
    exit_code: bool = False,
    encoding: str | None = None,
) -> str:
    """The answer as plain text, its lines at most `width` wide.

    `why` unfolds the reasons; `exit_code` adds the exit code to the last line, for the command line;
    `encoding` is what the output can write, by default that of standard output. Without a width the
    terminal decides, between 78 and 100.

    >>> from qed.answer import Answer, Reason
    >>> because = Reason("affine functions are convex", role="because")
    >>> answer = Answer("f is convex on the box", "MEASURED", reasons=[because])
    >>> print(text(answer, width=60))
    claim "f is convex on the box"                      MEASURED
      because  affine functions are convex
    <BLANKLINE>
    --why unfolds the reasons
    1 measured
    """
    columns = terminal_width() if width is None else max(width, 24)
    written = encoding or getattr(sys.stdout, "encoding", None) or "utf-8"
    shown = screen(answer, why=why, encoding=str(written))
    code = f"exit code {exit_code_of(answer)}" if exit_code else ""
    return "\n".join(line.rstrip() for line in _lines(shown, columns, code))


def terminal_width() -> int:
    """The width of the terminal, kept between 78 and 100; 80 where there is none."""
    return min(max(shutil.get_terminal_size((80, 24)).columns, NARROWEST), WIDEST)


def rich_text(answer: Answer[Any], **options: Any) -> Text:
    """The string of `text` as a coloured `rich.text.Text`; the options are those of `text`."""
    from rich.text import Text

    coloured = Text(text(answer, **options))
    for pattern, style in _STYLES:
        coloured.highlight_regex(pattern, style)
    return coloured


def rich_console(answer: Answer[Any], console: Any, options: Any) -> Iterator[Any]:
    """What `rich` prints: the coloured text, in the width that the console leaves."""
    encoding = "ascii" if options.ascii_only else options.encoding
    yield rich_text(answer, width=options.max_width, encoding=encoding)


_STYLES = (
    (r"(?m)(PROVED|PROVED EQUAL|TRIED)(?: \([^()]*\))?$", "green"),
    (r"(?m)REFUTED(?: \([^()]*\))?$", "bold red"),
    (r"(?m)(MEASURED)(?: \([^()]*\))?$", "cyan"),
    (r"(?m)(UNKNOWN|ASSUMED)(?: \([^()]*\))?$", "yellow"),
    (r"(?m)^QED\d{3} [\w-]+", "bold"),
    (r"(?m)^ +\^+(?!\S)", "red"),
    (r"(?m)^ +(because|then|where|step|safe|instead|witness|so|checked|also|value)(?=  )", "dim"),
)


# -- the parts, from top to bottom


def _lines(shown: Screen, width: int, code: str) -> Iterator[str]:
    parts = [
        list(_margin(shown.subject, shown.seconds, width)) if shown.subject or shown.seconds else [],
        [f"  {line}" for line in wrap(shown.lead, width - 2)] if shown.lead else [],
        *(list(_block(block, width)) for block in shown.blocks),
        list(_advice(shown, width)) if shown.advice else [],
        list(_list("Not known: ", shown.unknown, width)) if shown.unknown else [],
        list(_checked(shown.checked, width)) if shown.checked else [],
        list(_footer(shown, width, code)),
    ]
    first = True
    for part in filter(None, parts):
        if not first:
            yield ""
        first = False
        yield from part


def _block(block: Block, width: int) -> Iterator[str]:
    if block.title or block.claim:
        yield from _heading(block, width)
    if block.mark is not None:
        yield from _mark(block.mark, width)
    yield from _rows(block.rows, width, 2, _ROLE)


def _heading(block: Block, width: int) -> Iterator[str]:
    claim = f'claim "{block.claim}"' if block.claim else ""
    room = width - display_width(block.standing) - 2
    if not block.title:
        yield from _margin(claim, block.standing, width, "  ")
        return
    for column in (_CLAIM, display_width(block.title) + 2):
        line = _pad(block.title, column) + claim
        if display_width(block.title) + 2 <= column and display_width(line) <= room:
            yield from _margin(line, block.standing, width)
            return
    yield from _margin(block.title, block.standing, width)
    yield from (f"  {line}" for line in wrap(claim, width - 2))


def _mark(mark: Mark, width: int) -> Iterator[str]:
    where = _pad(mark.where, max(_WHERE, display_width(mark.where) + 2))
    if 2 + display_width(where) > width // 2:  # a long file name stands on a line of its own
        yield from (f"  {line}" for line in wrap(mark.where, width - 2))
        where = " " * 4
    indent = " " * (2 + display_width(where))
    line, caret = window(mark.line, mark.caret, width - len(indent))
    if line:
        yield f"  {where}{line}"
    elif where.strip():
        yield f"  {where}"
    note = mark.note
    if caret:
        beside = f"{indent}{caret}   {note}"
        if display_width(beside) <= width:
            yield beside
            return
        yield f"{indent}{caret}"
    yield from (f"{' ' * _ROLE}{each}" for each in wrap(note, width - _ROLE))


def _rows(rows: tuple[Row, ...], width: int, indent: int, column: int) -> Iterator[str]:
    """Rows of one level: the role at `indent`, unless it repeats the one above, the text at `column`."""
    above = None
    for row in rows:
        word = "" if row.role == above else row.role
        start = _pad(" " * indent + word, max(column, indent + display_width(word) + 2))
        columns = display_width(start)
        for number, line in enumerate(_margin(row.text, row.standing, width - columns)):
            yield (start if number == 0 else " " * columns) + line
        deeper = min(indent + 2, max(width // 3, 2))
        yield from _rows(row.details, width, deeper, deeper + _ROLE)
        above = None if row.details else row.role


def _checked(rows: tuple[Row, ...], width: int) -> Iterator[str]:
    yield "Checked:"
    for row in rows:
        yield from (f"  {line}" for line in _margin(row.text, row.standing, width - 2, "  "))
        yield from _rows(row.details, width, 4, 4 + _ROLE)


def _list(title: str, items: tuple[str, ...], width: int) -> Iterator[str]:
    for number, item in enumerate(items):
        start = title if number == 0 else " " * len(title)
        for place, line in enumerate(wrap(item, width - len(title) - 2)):
            yield (start if place == 0 else " " * len(title) + "  ") + line


def _advice(shown: Screen, width: int) -> Iterator[str]:
    titles = {"loss": "loss", "rises": "rises", "finite": "finite", "steps": "steps", "standing": ""}
    used = [(name, title) for name, title in titles.items() if any(getattr(r, name) for r in shown.advice)]
    sizes = [max(len(title), *(len(getattr(row, name)) for row in shown.advice)) for name, title in used]
    right = sum(size + 2 for size in sizes)
    if used and width - right < 24:  # too narrow for a table
        yield from wrap(shown.advice_title, width)
        for number, row in enumerate(shown.advice, 1):
            yield from _narrow_advice(number, row, [name for name, _ in used], width)
        return
    head = "".join("  " + title.rjust(size) for (_, title), size in zip(used, sizes, strict=True))
    title = wrap(shown.advice_title, width - right)
    yield from title[:-1]
    yield _pad(title[-1], width - right) + head
    for number, row in enumerate(shown.advice, 1):
        start = f"{number:>3} "
        numbers = "".join("  " + getattr(row, n).rjust(s) for (n, _), s in zip(used, sizes, strict=True))
        for place, line in enumerate(wrap(row.what, width - right - len(start))):
            whole = (start if place == 0 else " " * len(start)) + line
            yield _pad(whole, width - right) + numbers if place == 0 else whole
        yield from _patch(row, width)


def _narrow_advice(number: int, row: Tried, names: list[str], width: int) -> Iterator[str]:
    for place, line in enumerate(wrap(row.what, width - 4)):
        yield (f"{number:>3} " if place == 0 else "    ") + line
    facts = [f"{name} {getattr(row, name)}" for name in names if getattr(row, name)]
    yield from (f"    {line}" for line in wrap(", ".join(facts), width - 4))
    yield from _patch(row, width)


def _patch(row: Tried, width: int) -> Iterator[str]:
    if row.patch:
        yield from (f"      {line}" for line in wrap(row.patch, width - 6))


def _footer(shown: Screen, width: int, code: str) -> Iterator[str]:
    hints = [f"qed explain {each}" for each in shown.codes[:3]]
    if shown.folded:
        hints.append("--why unfolds the reasons")
    yield from wrap(" | ".join(hints), width) if hints else ()
    if shown.counts or code:
        yield from _margin(shown.counts, code, width)


# -- lines


def _pad(line: str, column: int) -> str:
    return line + " " * (column - display_width(line))


def _margin(sentence: str, standing: str, width: int, hanging: str = "") -> Iterator[str]:
    """The sentence wrapped, and the standing at the right end of its last line."""
    if not standing:
        yield from _hang(wrap(sentence, width - len(hanging)), hanging)
        return
    room = width - display_width(standing) - 2
    *before, last = _hang(wrap(sentence, width - len(hanging)), hanging)
    if room < 16:  # no room for both
        yield from [*before, last, standing.rjust(width)]
        return
    if display_width(last) > room:
        *before, last = _hang(wrap(sentence, room - len(hanging)), hanging)
    yield from before
    yield _pad(last, width - display_width(standing)) + standing


def _hang(lines: list[str], hanging: str) -> list[str]:
    return [line if number == 0 else hanging + line for number, line in enumerate(lines)]


def wrap(sentence: str, width: int) -> list[str]:
    """The sentence in lines of at most `width` columns, at least one; its own line ends and indents are kept.

    >>> wrap("one two three", 8), wrap("aaaaaaaaaa", 4), wrap("", 8)
    (['one two', 'three'], ['aaaa', 'aaaa', 'aa'], [''])
    """
    width = max(width, 8) if width > 4 else 4
    return [line for each in (sentence.split("\n") or [""]) for line in _wrap_line(each.rstrip(), width)]


def _wrap_line(line: str, width: int) -> Iterator[str]:
    current = ""
    for piece in re.findall(r"\s+|\S+", line):
        if display_width(current + piece) <= width:
            current += piece
            continue
        if piece.isspace():
            yield current
            current = ""
            continue
        if current.strip():
            yield current.rstrip()
            current = ""
        while display_width(piece) > width - display_width(current):
            kept = _prefix(piece, width - display_width(current)) or piece[:1]
            yield current + kept
            current, piece = "", piece[len(kept) :]
        current += piece
    yield current.rstrip()


def _prefix(word: str, width: int) -> str:
    taken = len(word)
    while taken and display_width(word[:taken]) > width:
        taken -= 1
    return word[:taken]


def window(line: str, caret: str, width: int) -> tuple[str, str]:
    """A source line cut to `width` columns so that the carets stay in sight, with "..." where it was cut.

    >>> window("first + second + third", "        ^^^^^^", 16)
    ('... second + ...', '    ^^^^^^')
    """
    if display_width(line) <= width:
        return line, caret
    start = max(len(caret) - len(caret.lstrip()) - 4, 0) if len(caret) > width - 3 else 0
    head = "..." if start else ""
    kept = _prefix(_drop(line, start + len(head)), width - len(head) - 3)
    shown = head + kept
    rest = start + display_width(shown) < display_width(line)
    return shown + ("..." if rest else ""), caret[start : start + display_width(shown)]


def _drop(line: str, columns: int) -> str:
    """The line without its first columns; a wide character that would be cut in two leaves a blank."""
    before = _prefix(line, columns)
    short = columns - display_width(before)
    return line[len(before) :] if short == 0 else " " * (2 - short) + line[len(before) + 1 :]
