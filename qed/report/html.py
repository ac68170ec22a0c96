"""An answer as a fragment of HTML for notebooks: the same screen as the text, with the reasons folded.

One element, no script, nothing loaded from elsewhere, every string escaped. The few style rules are scoped
to the class of the outer element and follow the colours of the page around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from qed.answer import Answer
from qed.report.screen import Block, Mark, Row, Screen, screen

_STYLE = """
.qed-answer{font-family:ui-monospace,monospace;font-size:13px;line-height:1.45;max-width:60em}
.qed-answer header,.qed-answer .claim,.qed-answer .row{display:flex;gap:1em;justify-content:space-between}
.qed-answer .lead{font-size:15px;margin:.6em 0 1em}
.qed-answer .block{margin:0 0 1em}
.qed-answer .role{opacity:.65;flex:0 0 6em}
.qed-answer .said{flex:1 1 auto;white-space:pre-wrap}
.qed-answer .standing{font-weight:bold;white-space:nowrap}
.qed-answer .PROVED,.qed-answer .TRIED{color:#1a7f37}.qed-answer .REFUTED{color:#cf222e}
.qed-answer .MEASURED{color:#0969da}.qed-answer .UNKNOWN,.qed-answer .ASSUMED{color:#9a6700}
.qed-answer pre{margin:.2em 0;overflow-x:auto;background:none}
.qed-answer details{margin-left:1em}
.qed-answer table{border-collapse:collapse}.qed-answer td,.qed-answer th{padding:0 .8em;text-align:right}
.qed-answer td.what{text-align:left}
.qed-answer footer{opacity:.65}
""".replace("\n", "")


def html(answer: Answer[Any]) -> str:
    """The answer as one ``<div>``.

    >>> html(Answer("x < 1 & y > 0", "MEASURED")).count("x &lt; 1 &amp; y &gt; 0")
    1
    """
    return "".join(_parts(screen(answer, why=True)))


def _parts(shown: Screen) -> Iterator[str]:
    yield f'<div class="qed-answer"><style>{_STYLE}</style>'
    if shown.subject or shown.seconds:
        yield f"<header><span>{escape(shown.subject)}</span><span>{escape(shown.seconds)}</span></header>"
    if shown.lead:
        yield f'<p class="lead">{escape(shown.lead)}</p>'
    for block in shown.blocks:
        yield from _block(block)
    if shown.advice:
        yield from _advice(shown)
    if shown.unknown:
        yield f"<p>Not known:</p><ul>{''.join(f'<li>{escape(item)}</li>' for item in shown.unknown)}</ul>"
    if shown.checked:
        yield "<p>Checked:</p>"
        for row in shown.checked:
            yield from _row(row)
    codes = " | ".join(f"qed explain {code}" for code in shown.codes)
    footer = "<br>".join(escape(line) for line in (codes, shown.counts) if line)
    yield f"<footer>{footer}</footer></div>"


def _block(block: Block) -> Iterator[str]:
    yield '<div class="block">'
    if block.title or block.claim:
        title = f"<strong>{escape(block.title)}</strong> " if block.title else ""
        claim = f"claim &quot;{escape(block.claim)}&quot;" if block.claim else ""
        yield f'<div class="claim"><span>{title}{claim}</span>{_standing(block.standing)}</div>'
    if block.mark is not None:
        yield _mark(block.mark)
    for row in block.rows:
        yield from _row(row)
    yield "</div>"


def _mark(mark: Mark) -> str:
    indent = " " * (len(mark.where) + 2)
    lines = [f"{mark.where}  {mark.line}", f"{indent}{mark.caret}   {mark.note}" if mark.caret else mark.note]
    return f"<pre>{escape(chr(10).join(lines))}</pre>"


def _row(row: Row) -> Iterator[str]:
    said = f'<span class="said">{escape(row.text)}</span>'
    role = f'<span class="role">{escape(row.role)}</span>'
    line = f'<div class="row">{role}{said}{_standing(row.standing)}</div>'
    if not row.details:
        yield line
        return
    yield f"{line}<details><summary>why</summary>"
    for detail in row.details:
        yield from _row(detail)
    yield "</details>"


def _standing(standing: str) -> str:
    if not standing:
        return ""
    return f'<span class="standing {escape(standing.split()[0])}">{escape(standing)}</span>'


def _advice(shown: Screen) -> Iterator[str]:
    yield f"<p>{escape(shown.advice_title)}</p><table><tr><th></th><th></th>"
    names = ("loss", "rises", "finite", "steps")
    columns = [name for name in names if any(getattr(row, name) for row in shown.advice)]
    yield "".join(f"<th>{name}</th>" for name in columns) + "<th></th></tr>"
    for number, row in enumerate(shown.advice, 1):
        patch = f"<details><summary>patch</summary><pre>{escape(row.patch)}</pre></details>"
        patch = patch if row.patch else ""
        yield f'<tr><td>{number}</td><td class="what">{escape(row.what)}{patch}</td>'
        yield "".join(f"<td>{escape(getattr(row, name))}</td>" for name in columns)
        yield f"<td>{_standing(row.standing)}</td></tr>"
    yield "</table>"
