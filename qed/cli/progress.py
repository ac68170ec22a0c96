"""What the command line says on stderr while it works: the cheap verdict, and a bar for what takes over two seconds."""

from __future__ import annotations

import sys
import time
from typing import Any

from qed.progress import Note

SHOW_AFTER = 2.0


class Reporter:
    """Progress on stderr; silent when stderr is no terminal, but for the first verdict."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.live = not quiet and sys.stderr.isatty()
        self.begun = time.monotonic()
        self._bar: Any = None
        self._task: Any = None
        self._label = ""

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, text: str) -> None:
        """Print the first verdict."""
        if not self.quiet:
            print(f"first verdict: {text}", file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """Print what is known before the work begins."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def follow(self, label: str, done: int, total: int) -> None:
        """Advance the bar of questions that say the size of the Hessian before the search."""
        if isinstance(label, Note):
            self.note(label)
        else:
            self.progress(label, done, total)

    def progress(self, label: str, done: int, total: int) -> None:
        """Advance the bar of one part."""
        if not self.live or time.monotonic() - self.begun < SHOW_AFTER:
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
        if label != self._label or self._task is None:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task, self._label = self._bar.add_task(label, total=total or None), label
        self._bar.update(self._task, completed=done, total=total or None)
