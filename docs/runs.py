"""The commands that the README runs, and what it says that they print.

A block between `<!-- run -->` and `<!-- end of run -->` is a fence whose first line is `$ qed ...`; the lines behind it
are the command's output, all of it or, with `<!-- run 18 -->`, its first 18 lines. The seconds in the title line are
left out. `python -m docs.runs` writes into the README what the commands print now; read the diff before committing it.
Rounding errors differ from machine to machine: outputs agree if their words do and their numbers nearly so.
"""

import math
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"

_BLOCK = re.compile(r"(<!-- run ?(?P<lines>\d*) -->\n```\n\$ qed (?P<command>[^\n]*)\n)(?P<output>.*?)(```\n)", re.S)
_SECONDS = re.compile(r"(?m) +\d+\.\d s$")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w])")
ROUNDING = 1e-6
"""Numbers below this are rounding errors, of which only the size is compared."""


_ENVIRONMENT = {**os.environ, "COLUMNS": "80", "JAX_PLATFORMS": "cpu", "PYTHONIOENCODING": "utf-8"}


@dataclass(frozen=True)
class Run:
    """A command, how many lines of its output are shown (None for all), and what the README says it prints."""

    command: str
    lines: int | None
    output: str

    def printed(self) -> str:
        """Run it in a process of its own, 80 columns wide, and return what is to be shown."""
        call = [sys.executable, "-m", "qed", *shlex.split(self.command)]
        done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, env=_ENVIRONMENT, check=False)
        if done.returncode > 1:
            message = f"qed {self.command} ended with {done.returncode}: {done.stderr}"
            raise RuntimeError(message)
        lines = _SECONDS.sub("", done.stdout).splitlines()
        return "\n".join(lines[: self.lines]).rstrip() + "\n"


def runs(text: str | None = None) -> list[Run]:
    """The runs of the README, in their order."""
    found = _BLOCK.finditer(README.read_text(encoding="utf-8") if text is None else text)
    return [Run(m["command"], int(m["lines"]) if m["lines"] else None, m["output"]) for m in found]


def agree(one: str, other: str) -> bool:
    """Whether two outputs say the same: equal words, numbers within 1 %, or both no more than rounding errors.

    >>> agree("off by 0.448084, rounding 3e-09", "off by 0.448085, rounding 5e-09"), agree("1 rule", "2 rules")
    (True, False)
    """
    words = [" ".join(_NUMBER.sub("#", text).split()) for text in (one, other)]
    pairs = zip(_NUMBER.findall(one), _NUMBER.findall(other), strict=words[0] == words[1])
    return words[0] == words[1] and all(_near(float(a), float(b)) for a, b in pairs)


def _near(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-2) or max(abs(a), abs(b)) <= ROUNDING


def main() -> None:
    """Write into the README what its commands print."""
    text = README.read_text(encoding="utf-8")
    outputs = iter([run.printed() for run in runs(text)])
    README.write_text(_BLOCK.sub(lambda m: m[1] + next(outputs) + m[5], text), encoding="utf-8")


if __name__ == "__main__":
    main()
