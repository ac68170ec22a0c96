"""FILE.py:name -> the object: the user's file is imported once, as a module, with nothing else happening.

The file's folder comes first on ``sys.path``, as when Python runs it; the module is never ``__main__``, so that what
stands under ``if __name__ == "__main__"`` does not run. What the import prints goes to stderr, since stdout
belongs to the result.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from qed.cli.importing import STOPPED, without_training
from qed.errors import QedError
from qed.span import Span


def split_target(target: str) -> tuple[str, str | None]:
    """'train.py:loss' -> ('train.py', 'loss'); the name is None where it is left out.

    Example:
        >>> split_target("train.py:loss"), split_target("train.py")
        (('train.py', 'loss'), ('train.py', None))
    """
    head, colon, tail = target.rpartition(":")
    if not colon or "/" in tail or "\\" in tail or tail.endswith(".py"):
        return target, None
    return head, tail


def load(source: str) -> ModuleType:
    """Import a file or a module.

    Raises:
        QedError: QED000 where it does not exist, QED001 where its own code raised.
    """
    if source.endswith(".py") or "/" in source or "\\" in source or Path(source).is_dir():
        return _load_file(Path(source))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            sys.path.insert(0, str(Path.cwd()))
            return importlib.import_module(source)
    except ModuleNotFoundError as error:
        if error.name is not None and (source == error.name or source.startswith(error.name + ".")):
            hint = f"write {source}.py if it is a file" if Path(source + ".py").exists() else "check the name"
            raise QedError("QED000", f"there is no module {source}", "Python does not find it", hint) from None
        raise _import_failed(source, error) from error
    except Exception as error:
        raise _import_failed(source, error) from error


def _load_file(path: Path) -> ModuleType:
    if path.is_dir():
        raise QedError("QED000", f"{path} is a folder", "a target is a file", f"name the file: {path}/train.py:loss")
    if not path.exists():
        near = _near(path.name, [p.name for p in path.parent.glob("*.py")] if path.parent.is_dir() else [])
        raise QedError(
            "QED000",
            f"there is no file {path}",
            f"looked in {path.parent.resolve().name}/",
            near or "check the path",
        )
    name = path.stem
    if name in sys.modules or not name.isidentifier():
        name = f"qed_target_{abs(hash(path.resolve())) % 10**8}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise QedError("QED000", f"{path} is no Python file", "its name does not end in .py", "name a .py file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.resolve().parent))
    arguments, sys.argv = sys.argv, [str(path)]
    try:
        with contextlib.redirect_stdout(sys.stderr), without_training(path, module):
            spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        sys.modules.pop(name, None)
        raise _import_failed(str(path), error) from error
    finally:
        sys.argv = arguments
    return module


def _import_failed(source: str, error: BaseException) -> QedError:
    span = None
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        span = Span(error.filename, error.lineno, max(0, (error.offset or 1) - 1))
    else:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).name == Path(source).name]
        if frames:
            last = frames[-1]
            span = Span(last.filename, last.lineno or 1, last.colno or 0, last.end_lineno, last.end_colno, last.name)
    where = f" at line {span.line}" if span is not None else ""
    first = (str(error).strip().splitlines() or [""])[0]
    what = f"{source} raised an exception while it was imported{where}"
    because = f"{type(error).__name__}: {first}" if first else type(error).__name__
    instead = "make the file importable: run it with python first"
    if isinstance(error, SystemExit):
        instead = 'put what needs a command line under if __name__ == "__main__":'
    if isinstance(error, ImportError) and "relative import" in str(error):
        instead = "name it as a module of its package, package.module:loss, from the folder above the package"
    if isinstance(error, ModuleNotFoundError):
        instead = f"install {error.name}" if error.name else instead
    return QedError("QED001", what, because, instead, span)


def find(module: ModuleType, source: str, name: str, role: str) -> Any:
    """An object of the module by its name; dots reach into it (``state.params``).

    The file may stand before the name, as it does before the function asked about.

    Raises:
        QedError: QED000 with the nearest names.
    """
    found: Any = module
    name = name.removeprefix(f"{source}:")
    for part in name.split("."):
        try:
            found = found[part] if isinstance(found, dict) and part in found else getattr(found, part)
        except AttributeError:
            own = vars(module).items() if found is module else ()
            public = [n for n, value in own if not n.startswith("_") and not isinstance(value, ModuleType)]
            near = _near(part, public)
            if found is module and getattr(module, STOPPED, False):
                raise QedError(
                    "QED012",
                    f"{source} trains while it is imported, and {name} is not bound before that",
                    "an import that runs the training loop is stopped at its first gradients",
                    f'qed why {source} runs the script as it is; or put the loop under if __name__ == "__main__":',
                ) from None
            listed = ", ".join(sorted(public)[:12])
            raise QedError(
                "QED000",
                f"{source} defines no {name}" + (f" (wanted as {role})" if role else ""),
                f"it defines {listed}" if listed else f"there is no {part} in it",
                near or "check the name",
            ) from None
    return found


def _near(name: str, names: list[str]) -> str | None:
    close = difflib.get_close_matches(name, names, n=2, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else None
