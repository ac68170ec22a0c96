"""Run the examples in Markdown pages and compare what they print with what the page says.

An example is a `python` fence; a `text` fence right after it is its exact output.  The examples of
one page share a namespace, and their line numbers are those of the page, so that an answer about
an example points into the page.  A topic page states *prediction, then observation* in its output:

    any words: predicted 0.2000, observed 0.2001, within 1e-3

where `within` bounds the relative difference (the absolute one if the prediction is 0).

`python -m docs.pages` writes into every page the outputs it got, and into a code page the title
from the table of codes; read the diff before committing it.
"""

import contextlib
import io
import linecache
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qed.findings import CODES, Code

ROOT = Path(__file__).resolve().parents[1]
CODE_PAGES = tuple(sorted((ROOT / "qed" / "codes").glob("QED*.md")))
TOPIC_PAGES = tuple(sorted(page for page in (ROOT / "docs" / "why").glob("*.md") if page.name != "index.md"))

_EXAMPLE = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<output>.*?)^```\n)?", re.M | re.S)
_NUMBER = r"([-+]?(?:\d[\d.]*(?:e[-+]?\d+)?|inf|nan))"
_COMPARISON = re.compile(rf"^(?P<name>.*): predicted {_NUMBER}, observed {_NUMBER}, within {_NUMBER}$", re.M)


@dataclass(frozen=True)
class Example:
    """One example of a page: its code, the output that the page states, and where the code begins."""

    page: Path
    line: int
    code: str
    output: str | None

    def run(self, namespace: dict) -> str:
        """Run the code in the namespace and return what it printed."""
        name, text = self.page.name, only_code(self.page.read_text(encoding="utf-8"))
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * (self.line - 1) + self.code, name, "exec"), namespace)
        return printed.getvalue()


def only_code(text: str) -> str:
    """The page as Python source: its examples at their lines, everything else blank, so that names can be read."""
    lines = text.splitlines()
    kept = [""] * len(lines)
    for match in _EXAMPLE.finditer(text):
        first = text[: match.start("code")].count("\n")
        code = match["code"].splitlines()
        kept[first : first + len(code)] = code
    return "\n".join(kept) + "\n"


@dataclass(frozen=True)
class Comparison:
    """A line of a topic page's output: what theory predicted and what the run showed."""

    name: str
    predicted: float
    observed: float
    within: float

    @property
    def holds(self) -> bool:
        """Whether the relative difference is at most `within` (equal infinities agree)."""
        if self.predicted == self.observed:
            return True
        return math.isclose(self.predicted, self.observed, rel_tol=self.within) or (
            self.predicted == 0 and abs(self.observed) <= self.within
        )


def examples(page: Path) -> Iterator[Example]:
    """The examples of a page in order."""
    text = page.read_text(encoding="utf-8")
    for match in _EXAMPLE.finditer(text):
        line = text.count("\n", 0, match.start("code")) + 1
        yield Example(page, line, match["code"], match["output"])


def comparisons(output: str) -> list[Comparison]:
    """The predictions and observations in an output.

    >>> comparisons("growth: predicted 1.5, observed 1.5004, within 1e-3")[0].holds
    True
    """
    return [Comparison(match["name"], *map(float, match.groups()[1:])) for match in _COMPARISON.finditer(output)]


def head(code: Code) -> str:
    """What a code page begins with: the number and name of the code, and what it means in a sentence."""
    return f"# {code.code} {code.name}\n\n{code.title}\n"


def rewrite(page: Path) -> None:
    """Run the page and write into it what its examples print; a code page gets its title, too."""
    outputs = iter([example.run(namespace) for namespace in [{}] for example in examples(page)])

    def with_output(match: re.Match) -> str:
        output = next(outputs)
        return f"```python\n{match['code']}```\n" + (f"\n```text\n{output}```\n" if output else "")

    text = _EXAMPLE.sub(with_output, page.read_text(encoding="utf-8"))
    if page.stem in CODES:
        _, body = text.split("\n## ", 1)
        text = f"{head(CODES[page.stem])}\n## {body}"
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for each in (*CODE_PAGES, *TOPIC_PAGES):
        rewrite(each)
