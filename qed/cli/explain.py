"""`qed explain TOPIC` and `qed explain QEDnnn`: find a page and print it.

The pages are Markdown files shipped with the package: qed/codes/QEDnnn.md for the codes,
docs/why/TOPIC.md for the topics (inside an installed package they lie in qed/pages/why).  Nothing
numerical is imported here, so a page is there at once, also where JAX is broken.
"""

import difflib
import re
import sys
from pathlib import Path
from typing import TextIO

from qed.errors import QedError
from qed.findings import CODES, Code
from qed.topics import CHAPTERS, TOPICS, Topic, slug

_PACKAGE = Path(__file__).resolve().parents[1]
_TOPIC_FOLDERS = (_PACKAGE / "pages" / "why", _PACKAGE.parent / "docs" / "why")


def explain(topic_or_code: str | None = None) -> str:
    """The page of a topic or of a code, as Markdown; without an argument, the list of all of them.

    Topics are found in any case, with spaces, hyphens or underscores ("learning rate",
    "Learning_Rate"); codes by number or name ("QED201", "201", "overflow").  What is known but has
    no page yet says so.

    Raises:
        QedError: QED000 if there is no such topic or code; the nearest names are suggested.

    >>> print(explain("qed-201").splitlines()[0])
    # QED201 overflow
    """
    if topic_or_code is None or not topic_or_code.strip():
        return contents()
    code = _find_code(topic_or_code)
    if code is not None:
        return _read(code_page(code)) or (
            f"# {code.code} {code.name}\n\n{code.title}\n\nThis code is known; its page is not written yet.\n"
        )
    topic = TOPICS.get(slug(topic_or_code))
    if topic is not None:
        return _read(topic_page(topic)) or (
            f"# {topic.name}\n\n    {topic.formula}\n\nThis topic is known; its page is not written yet.\n"
        )
    raise _unknown(topic_or_code)


def show(topic_or_code: str | None = None, stream: TextIO | None = None) -> None:
    """Print the page: as Markdown source into a file or pipe, rendered by rich on a terminal."""
    out: TextIO = stream if stream is not None else sys.stdout
    text = explain(topic_or_code)
    if not out.isatty() or text == contents():
        print(text, end="", file=out)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console(file=out).print(Markdown(text))


def contents() -> str:
    """All topics by chapter and all codes, as plain text: name, formula or meaning, and which pages wait."""
    lines = ["qed explain TOPIC   or   qed explain CODE", ""]
    width = 2 + max(len(topic.name) for topic in TOPICS.values())
    for chapter in CHAPTERS:
        lines.append(chapter.title)
        for topic in chapter.topics:
            waiting = "" if topic_page(topic) else "   (not written yet)"
            lines.append(f"  {topic.name:{width}}{topic.formula}{waiting}")
        lines.append("")
    lines.append("Codes")
    width = 2 + max(len(code.name) for code in CODES.values())
    for code in CODES.values():
        waiting = "" if code_page(code) else "   (not written yet)"
        lines.append(f"  {code.code}  {code.name:{width}}{code.title}{waiting}")
    return "\n".join(lines) + "\n"


def topic_page(topic: Topic) -> Path | None:
    """The file of a topic's page, or None where it is not written yet."""
    candidates = (folder / f"{topic.slug}.md" for folder in _TOPIC_FOLDERS)
    return next((page for page in candidates if page.is_file()), None)


def code_page(code: Code) -> Path | None:
    """The file of a code's page, or None where it is not written yet."""
    page = _PACKAGE / "codes" / f"{code.code}.md"
    return page if page.is_file() else None


def _read(page: Path | None) -> str | None:
    return None if page is None else page.read_text(encoding="utf-8")


def _number(text: str) -> int | None:
    """The number in 'QED201', 'qed-201' or '201'; None for a word."""
    match = re.fullmatch(r"(?:qed)?[-_ ]?(\d+)", text.strip().lower())
    return int(match[1]) if match else None


def _find_code(text: str) -> Code | None:
    number = _number(text)
    if number is not None:
        return CODES.get(f"QED{number:03d}")
    return next((code for code in CODES.values() if slug(code.name) == slug(text)), None)


def _unknown(text: str) -> QedError:
    number = _number(text)
    if number is None:
        kind, near = "topic or code", _near_names(text)
        because = "this version knows neither a page nor a phenomenon of that name"
    else:
        kind, near = "code", _near_numbers(number)
        because = "a code is in the table only if this version can emit it"
    return QedError(
        "QED000",
        f"there is no {kind} '{text}'",
        because,
        " or ".join(f"qed explain {name}" for name in near[:3]) or "'qed explain' lists them all",
    )


def _near_names(text: str) -> list[str]:
    """Topics and codes that are spelt alike, then the topics that have the text as a word, or a verb of that name."""
    codes = {slug(code.name): code.code for code in CODES.values() if code.code != "QED000"}  # where one is already
    names = codes | {topic: topic for topic in TOPICS}
    near = difflib.get_close_matches(slug(text), names, n=2, cutoff=0.6)
    near += [topic for topic in TOPICS if slug(text) in topic.split("-")]
    near += [key for key, topic in TOPICS.items() if slug(text) in {slug(verb.split(".")[-1]) for verb in topic.verbs}]
    return list(dict.fromkeys(names[name] for name in near))


def _near_numbers(number: int) -> list[str]:
    """The codes of the same hundred, which is the subject, nearest number first."""
    same = [int(code[3:]) for code in CODES if int(code[3:]) // 100 == number // 100]
    return [f"QED{other:03d}" for other in sorted(same, key=lambda other: abs(other - number))]
