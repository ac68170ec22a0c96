"""A script run in this process, and what becomes of the processes that it forks.

A fork copies the whole process, with the program that runs the script in it. Where the copy comes to the script's end
it would go on as that program, and answer once more; so it ends there, as Python would have ended it.
"""

from __future__ import annotations

import os
import runpy
import sys
import traceback
from pathlib import Path


def run_here(path: Path, process: int) -> None:
    """Run a script as `__main__` in this process, whose number is given.

    A process that it forks ends here, where the script ends.
    """
    try:
        runpy.run_path(str(path), run_name="__main__")
    except BaseException as error:
        if os.getpid() != process:
            _end(error)
        raise
    if os.getpid() != process:
        _end(SystemExit(0))


def _end(error: BaseException) -> None:
    """End this process as Python ends with such an exception."""
    code = error.code if isinstance(error, SystemExit) else 1
    if not isinstance(error, SystemExit):
        traceback.print_exception(error)
    elif code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
