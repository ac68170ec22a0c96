"""The table "the mathematics, the verb, the page" as Markdown, in README.md and docs/why/index.md.

Its one source is qed/topics.py.  Between the two comments of `BEGIN` and `END` a file holds what
`markdown` makes; `python -m docs.tables` writes it there, and a test compares.
"""

from pathlib import Path

from qed.topics import CHAPTERS, Topic, verbs

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- topics: written by docs/tables.py -->", "<!-- end of topics -->"
FILES = {ROOT / "README.md": "docs/why/", ROOT / "docs" / "why" / "index.md": ""}
"""The files that hold the table, with the way from there to the pages."""


def markdown(folder: str) -> str:
    """The table, one chapter after the other; a topic whose page exists links to it."""
    lines = []
    for chapter in CHAPTERS:
        lines += [
            f"### {chapter.title}",
            "",
            "| the mathematics | | the verb | the page |",
            "|---|---|---|---|",
        ]
        lines += [_row(topic, folder) for topic in chapter.topics]
        lines.append("")
    return "\n".join(lines)


def _row(topic: Topic, folder: str) -> str:
    written = (ROOT / "docs" / "why" / f"{topic.slug}.md").is_file()
    page = f"[why]({folder}{topic.slug}.md)" if written else "not written yet"
    formula = topic.formula.replace("|", "\\|")
    return f"| {topic.name} | `{formula}` | {verbs(topic)} | {page} |"


def with_table(text: str, folder: str) -> str:
    """The text of a file with the current table between its two comments."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{markdown(folder)}{END}{after}"


if __name__ == "__main__":
    for path, way in FILES.items():
        path.write_text(with_table(path.read_text(encoding="utf-8"), way), encoding="utf-8")
