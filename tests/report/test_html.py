"""HTML: one well-formed fragment, everything escaped, nothing loaded and nothing run."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from qed.answer import Advice, Answer, Missing, Reason, Trial
from qed.findings import Finding
from qed.report.html import html
from qed.span import Span

ALLOWED = {
    "div", "style", "header", "span", "p", "strong", "pre", "details", "summary", "table", "tr", "td", "th",
    "ul", "li", "br", "footer",
}  # fmt: skip


class Fragment(HTMLParser):
    """Reads a fragment and fails where a tag is not closed, not allowed, or has an attribute but class."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        assert tag in ALLOWED, tag
        assert {name for name, _ in attrs} <= {"class"}
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        if self.open[-1:] != ["style"]:
            self.texts.append(data)


def read(answer: Answer) -> Fragment:
    fragment = Fragment()
    fragment.feed(html(answer))
    fragment.close()
    assert fragment.open == []
    return fragment


words = st.text(max_size=30) | st.sampled_from(["<script>alert(1)</script>", "a & b", '"><img src=x onerror=y>'])


@given(words, words, words, words)
def test_any_text_stays_text(claim: str, message: str, rule: str, what: str) -> None:
    part = Answer(
        claim,
        "REFUTED",
        findings=[Finding("QED201", message, Span(what or "x", 1))],
        reasons=[Reason(rule, premises=[Reason(what, standing="PROVED")])],
        advice=[Advice(what, patch=rule, trial=Trial(4, 1.0, 2.0, 1, True))],
        missing=[Missing(what)],
    )
    read(Answer(claim, "REFUTED", answers=[part], headline=message, subject=rule))


def test_the_same_content_as_the_text() -> None:
    part = Answer(
        "p < q",
        "REFUTED",
        findings=[Finding("QED201", "inf & nan")],
        reasons=[Reason("r", text="because of r")],
    )
    answer = Answer("c", "REFUTED", answers=[part, Answer("fine", "MEASURED")], headline="It overflows.")
    said = " ".join(read(answer).texts)
    for text in ("It overflows.", "QED201 overflow", 'claim "p < q"', "inf & nan", "because of r"):
        assert text in said, text
    for text in ("REFUTED", "Checked:", "fine", "MEASURED", "1 refuted, 1 measured"):
        assert text in said, text
    assert answer._repr_html_() == html(answer)
    assert "http" not in html(answer) and "<script" not in html(answer)
