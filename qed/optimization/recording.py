"""A recording of a run: the file that `qed.watch` writes, and how it is read back.

The file is text, one JSON object a line, only ever appended to, and it can be read while it is being written. A run
begins with a header and goes on with blocks of rows, one row a step, or one every `stride` steps:

    {"schema": "qed/recording/1", "run": "5f2c...", "stride": 1, "columns": [...], "leaves": [...], ...}
    {"run": "5f2c...", "steps": [0, 1, ...], "data": "...", "moved": "..."}

`data` is the base64 text of rows x width little-endian float32 numbers, row after row; the header's `columns` name the
first numbers of a row, and each name in `per_leaf` stands for one number a leaf after them, leaf by leaf. `moved` is
one number a leaf at the last row of the block. Several runs may share a file: their lines carry their own `run`. A row
that is written twice counts as written last. A line that is torn, because the process was killed while it wrote or is
writing now, is skipped.
"""

from __future__ import annotations

import base64
import datetime
import json
import os
import re
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qed.errors import QedError

SCHEMA = "qed/recording/1"
FORMATS = "qed/recording/"
COLUMNS = ("value", "valued", "curvature", "descent", "before", "after")
PER_LEAF = ("gradient", "parameter", "update", "nonfinite")
BIT_GRADIENT, BIT_UPDATE, BIT_PARAMETER = 1, 2, 4


@dataclass(frozen=True)
class Leaf:
    """One array of the parameters: its path in the pytree, its shape and its dtype."""

    path: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class Recording:
    """One recorded run; n steps, L leaves.

    Args:
        path: the file.
        run: the run's own name in the file.
        begun: when it began, in UTC.
        every: how many steps are written at a time.
        stride: how many steps apart the rows are; a step at which a number stops being finite has its own.
        leaves: the arrays of the parameters.
        steps: [n] how many updates had been made before the step.
        value: [n] the loss, where it was passed as ``value=``.
        valued: [n] whether it was.
        curvature: [n] (g+ - g).s / s.s, s the step before this one and g, g+ the gradients before and after it; NaN
            where there is none.
        descent: [n] g.u, the gradient times the update of this step.
        before, after: [n] g.s and g+.s, what `curvature` is made of.
        gradient, parameter, update: [n, L] the norm of each leaf; the parameter before the update (NaN if not given).
        nonfinite: [n, L] 1 for the gradient, 2 for the update, 4 for the parameter that held NaN or inf, added up.
        moved_at: [m] the steps of `moved`.
        moved: [m, L] the share of a leaf's numbers that the update changes in the leaf's own dtype.
        torn: how many lines of the file could not be read.
    """

    path: str
    run: str
    begun: str
    every: int
    stride: int
    leaves: tuple[Leaf, ...]
    steps: np.ndarray
    value: np.ndarray
    valued: np.ndarray
    curvature: np.ndarray
    descent: np.ndarray
    before: np.ndarray
    after: np.ndarray
    gradient: np.ndarray
    parameter: np.ndarray
    update: np.ndarray
    nonfinite: np.ndarray
    moved_at: np.ndarray
    moved: np.ndarray
    torn: int = 0

    @property
    def ratio(self) -> np.ndarray:
        """[n, L] the update-to-weight ratio, NaN where the weight's norm is 0 or unknown."""
        with np.errstate(all="ignore"):
            return np.where(self.parameter > 0, self.update / self.parameter, np.nan)

    def total(self, name: str) -> np.ndarray:
        """[n] the norm over all leaves of 'gradient', 'parameter' or 'update'."""
        with np.errstate(all="ignore"):
            return np.sqrt(np.square(getattr(self, name).astype(np.float64)).sum(axis=1))


# --- reading --------------------------------------------------------------------------------------------------


@dataclass
class _Run:
    header: Mapping[str, Any]
    rows: dict[int, np.ndarray] = field(default_factory=dict)
    moved: dict[int, np.ndarray] = field(default_factory=dict)


def is_recording(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a recording, by its first line; False where there is no such file."""
    try:
        with open(path, "rb") as file:
            return FORMATS.encode() in file.readline(1000)
    except OSError:
        return False


def place(path: str | os.PathLike[str]) -> tuple[str, int]:
    """(file, run) that a path names: ``run.qedrec:0`` is the first run of run.qedrec, ``run.qedrec`` its last.

    Example:
        >>> place("run.qedrec:0"), place("run.qedrec")
        (('run.qedrec', 0), ('run.qedrec', -1))
    """
    text = os.fspath(path)
    file, colon, number = text.rpartition(":")
    named = colon and re.fullmatch(r"-?\d+", number) and not os.path.exists(text)
    return (file, int(number)) if named else (text, -1)


def runs(path: str | os.PathLike[str]) -> tuple[Recording, ...]:
    """All runs of a file with at least one recorded step, in the order in which they began.

    Raises:
        QedError: QED000 where there is no such file, QED007 where it holds no recording.
    """
    try:
        lines = Path(path).read_bytes().split(b"\n")
    except OSError as error:
        because = error.strerror or type(error).__name__
        raise QedError("QED000", f"{path} cannot be read", because, "name the file that qed.watch wrote") from None
    found: dict[str, _Run] = {}
    torn, other = 0, ""
    for line in filter(None, lines):
        try:
            _take(json.loads(line), found)
        except _OtherFormat as error:
            other = str(error)
        except (ValueError, KeyError, TypeError):
            torn += 1
    recorded = tuple(_recording(str(path), run, torn) for run in found.values() if run.rows)
    if not recorded and other:
        because = f"{other}, and this version of qed writes and reads {SCHEMA} with {', '.join(_HEADER)}"
        raise QedError("QED007", f"{path} is a recording in another format", because, "record the run again")
    if not recorded:
        because = "it holds no whole block of steps" if found else f'no line of it says "{SCHEMA}"'
        raise QedError("QED007", f"{path} is no recording", because, "train with tx = qed.watch(tx) first")
    return recorded


def read(path: str | os.PathLike[str], run: int = -1) -> Recording:
    """One run of a file, by default the one that began last.

    Example:
        >>> import os, tempfile
        >>> import jax.numpy as jnp, optax, qed
        >>> file = os.path.join(tempfile.mkdtemp(), "run.qedrec")
        >>> tx, w = qed.watch(optax.sgd(0.1), path=file, every=2), jnp.ones(3)
        >>> state = tx.init(w)
        >>> for _ in range(4):
        ...     updates, state = tx.update(2 * w, state, w)
        ...     w = optax.apply_updates(w, updates)
        >>> recording = read(file)
        >>> recording.steps.tolist(), recording.curvature.round(3).tolist()
        ([0, 1, 2, 3], [nan, 2.0, 2.0, 2.0])
    """
    all_runs = runs(path)
    if not -len(all_runs) <= run < len(all_runs):
        raise QedError("QED007", f"there is no run {run}", f"the file holds {len(all_runs)}", "leave run out")
    return all_runs[run]


_HEADER = ("run", "begun", "every", "stride", "columns", "per_leaf", "leaves")


class _OtherFormat(Exception):
    """A header says, or shows, that its run was written in another format."""


def _check_format(header: Mapping[str, Any]) -> None:
    schema = str(header["schema"])
    if not schema.startswith(FORMATS):
        raise ValueError(schema)
    if schema != SCHEMA:
        message = f"its header says {schema}"
        raise _OtherFormat(message)
    absent = [name for name in _HEADER if name not in header]
    if absent:
        message = f"its header has no {' and no '.join(absent)}"
        raise _OtherFormat(message)
    if tuple(header["columns"]) != COLUMNS or tuple(header["per_leaf"]) != PER_LEAF:
        message = f"its rows hold {', '.join(map(str, (*header['columns'], *header['per_leaf'])))}"
        raise _OtherFormat(message)


def _take(line: Mapping[str, Any], found: dict[str, _Run]) -> None:
    """Put one line where it belongs; a ValueError, KeyError or TypeError says that it is not whole."""
    if "schema" in line:
        _check_format(line)
        found.setdefault(line["run"], _Run(line))
        return
    run, steps = found[line["run"]], [int(step) for step in line["steps"]]
    rows = _decode(line["data"]).reshape(len(steps), len(COLUMNS) + len(PER_LEAF) * len(run.header["leaves"]))
    moved = _decode(line["moved"]).reshape(len(run.header["leaves"]))
    run.rows.update(zip(steps, rows, strict=True))
    run.moved[steps[-1]] = moved


def _recording(path: str, run: _Run, torn: int) -> Recording:
    steps = sorted(run.rows)
    table = np.stack([run.rows[step] for step in steps])
    leaves = tuple(Leaf(x["path"], tuple(x["shape"]), x["dtype"]) for x in run.header["leaves"])
    first, each = len(COLUMNS), len(leaves)
    columns: dict[str, Any] = {name: table[:, i] for i, name in enumerate(COLUMNS)}
    for i, name in enumerate(PER_LEAF):
        columns[name] = table[:, first + i * each : first + (i + 1) * each]
    columns["nonfinite"], columns["valued"] = columns["nonfinite"].astype(np.uint8), columns["valued"] > 0
    moved = sorted(run.moved)
    return Recording(
        path=path,
        run=run.header["run"],
        begun=run.header["begun"],
        every=int(run.header["every"]),
        stride=int(run.header["stride"]),
        leaves=leaves,
        steps=np.asarray(steps, np.int64),
        **columns,
        moved_at=np.asarray(moved, np.int64),
        moved=np.stack([run.moved[step] for step in moved]),
        torn=torn,
    )


# --- writing --------------------------------------------------------------------------------------------------


@dataclass
class _Open:
    run: str
    leaves: tuple[Leaf, ...]
    steps: np.ndarray
    rows: np.ndarray


class Writer:
    """Appends blocks to a file; a failure to write never stops the training: it is said once, and the rows are lost."""

    def __init__(self, path: Path, every: int) -> None:
        self.path, self.every = path, every
        self._lock = threading.Lock()
        self._open: dict[int, _Open] = {}
        self._failed = False

    def write(
        self, leaves: tuple[Leaf, ...], stride: int, token: int, steps: np.ndarray, rows: np.ndarray, moved: np.ndarray
    ) -> None:
        """Append the rows of some steps; a run that the file does not know gets its header."""
        with self._lock:
            known = self._open.get(token)
            text = ""
            if known is None or len(known.leaves) != len(leaves) or not _continues(known, stride, steps, rows):
                known = _Open(os.urandom(8).hex(), leaves, steps, rows)
                self._open[token] = known
                text = json.dumps(self._header(known, stride)) + "\n"
            known.steps, known.rows = steps, rows
            block = {"run": known.run, "steps": steps.tolist(), "data": _encode(rows), "moved": _encode(moved)}
            text += json.dumps(block) + "\n"
            try:
                _append(self.path, text.encode())
            except OSError as error:
                if not self._failed:
                    self._failed = True
                    warnings.warn(f"qed.watch cannot write {self.path}: {error}", RuntimeWarning, stacklevel=2)

    def _header(self, run: _Open, stride: int) -> dict[str, Any]:
        leaves = [{"path": x.path, "shape": list(x.shape), "dtype": x.dtype} for x in run.leaves]
        return {
            "schema": SCHEMA,
            "run": run.run,
            "begun": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "process": os.getpid(),
            "every": self.every,
            "stride": stride,
            "encoding": "base64 of little-endian float32, row after row",
            "columns": list(COLUMNS),
            "per_leaf": list(PER_LEAF),
            "leaves": leaves,
        }


def _continues(run: _Open, stride: int, steps: np.ndarray, rows: np.ndarray) -> bool:
    """Whether a block belongs to the run: it follows the last one, or repeats it (all but its newest row) and goes on.

    Blocks are repeated by `flush`, and under `optax.MultiSteps`, which calls the update at every mini-step and
    throws away what it returned for all but the last.
    """
    if 0 < steps[0] - run.steps[-1] <= stride:
        return True
    shared = min(len(rows), len(run.rows)) - 1
    return steps[0] == run.steps[0] and np.array_equal(rows[:shared], run.rows[:shared], equal_nan=True)


def _append(path: Path, data: bytes) -> None:
    """Append to the file in one go; a torn last line of an earlier process is closed first."""
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
    try:
        size = os.fstat(file).st_size
        if size:
            os.lseek(file, size - 1, os.SEEK_SET)
            data = data if os.read(file, 1) == b"\n" else b"\n" + data
        while data:
            data = data[os.write(file, data) :]
    finally:
        os.close(file)


def _encode(numbers: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(numbers, "<f4").tobytes()).decode("ascii")


def _decode(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text, validate=True), "<f4").astype(np.float32)
