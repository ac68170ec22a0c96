"""What every certificate is: a frozen record of numbers and names, a seal over them, and a verification.

A certificate is JSON and back without loss (floats by their shortest exact text). `verify` first compares the seal, a
SHA-256 of all fields, so that no altered record is believed by luck; then it traces the user's function *again*,
compares its fingerprint, and proves the claim anew in ball arithmetic, by other code than what found it. The types of a
program depend on whether JAX's 64-bit types are enabled: the certificate says whether they were, and is verified so.
The seal is against accidents, not against malice: a forged record with a fresh seal still has to pass the mathematics.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Self, get_args, get_origin, get_type_hints

import jax
import numpy as np

from qed.certificates.fingerprint import fingerprint
from qed.errors import CertificateError, QedError
from qed.graph.trace import Traced, trace

KINDS: dict[str, type[Certificate]] = {}
"""The kinds of certificates by name."""
_X64 = "jax_enable_x64"
MALFORMED = (ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What Python raises where fields of the right types hold what no proof holds: infinity as a count, text as a rule."""


@dataclass(frozen=True)
class Subject:
    """The function that a certificate is about: fun(at, *args), traced at the shapes and dtypes of `at`.

    `x64` says whether JAX's 64-bit types are enabled where it is traced: as they are now, if it is left out.
    """

    fun: Callable[..., Any]
    at: Any
    args: tuple[Any, ...] = ()
    x64: bool = field(default_factory=lambda: bool(getattr(jax.config, _X64)))

    def traced(self) -> Traced:
        """The function, traced now."""
        with jax.enable_x64(self.x64):
            return trace(self.fun, self.at, *self.args)

    @cached_property
    def once(self) -> Traced:
        """The function, traced when it was first asked: for what is made of it, and verified of another trace."""
        return self.traced()

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone: a trace holds what cannot be pickled."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass(frozen=True, eq=False, kw_only=True)
class Certificate(ABC):
    """A proof as data. `subject` is the user's function; it is not part of the data.

    Subclasses are final, and their fields are numbers, texts and tuples of them.
    """

    kind: ClassVar[str]
    reads_meant: ClassVar[bool] = False
    """Whether the proof reads library functions as what they stand for (`qed.certificates.library.meant`)."""
    function: str
    x64: bool
    seal: str = ""
    subject: Subject | None = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "kind" in cls.__dict__:
            KINDS[cls.kind] = cls

    def __post_init__(self) -> None:
        for one in fields(self):
            if one.name != "subject":
                object.__setattr__(self, one.name, _frozen(getattr(self, one.name)))

    @classmethod
    def made(cls, subject: Subject, traced: Traced | None = None, **content: Any) -> Self:
        """The certificate of a function, sealed; `traced` is the function, where it was traced already."""
        traced = subject.once if traced is None else traced
        return cls(function=fingerprint(traced.graph), x64=subject.x64, subject=subject, **content).sealed()

    # --- as data ---

    def sealed(self) -> Self:
        """The same with the seal that belongs to its fields."""
        return replace(self, seal=self._digest())

    def _digest(self) -> str:
        content = {key: value for key, value in self.to_json().items() if key != "seal"}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON data."""
        content = {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.name != "subject"}
        return {"certificate": self.kind, **content}

    @staticmethod
    def from_json(data: Mapping[str, Any] | str) -> Certificate:
        """The certificate that `to_json` wrote; it knows no function: give one to `verify`.

        Raises QedError (QED007) for data that is no certificate of a known kind.
        """
        try:
            content = dict(json.loads(data) if isinstance(data, str) else data)
            cls = KINDS.get(content.pop("certificate", ""))
        except (RecursionError, TypeError, ValueError):  # no JSON, no mapping, or its kind no text
            content, cls = {}, None
        if cls is None or {f.name for f in fields(cls) if f.name != "subject"} != set(content):
            because = f"the kinds are {', '.join(sorted(KINDS))}, each with its own fields"
            raise QedError("QED007", "this is no certificate", because, "read what Certificate.to_json wrote")
        return cls(**{key: _number(value) for key, value in content.items()})

    # --- verification ---

    def verify(self, fun: Callable[..., Any] | None = None, at: Any = None, *args: Any) -> bool:
        """Prove the claim again.

        Args:
            fun: the function, where the certificate was read from JSON; its own otherwise.
            at: a value of the first argument's shape and dtype.
            args: the other arguments.

        Returns:
            True.

        Raises:
            CertificateError: naming the field that does not hold.
        """
        subject = self.subject if fun is None else Subject(fun, at, args, self.x64)
        if subject is None:
            raise CertificateError("function", "no function was given to verify it for")
        self.whole()
        subject = replace(subject, x64=self.x64)
        try:
            traced = subject.traced()
        except QedError:
            raise
        except Exception as error:  # whatever a function raises that is called with what it was not written for
            line = (str(error).splitlines() or [type(error).__name__])[0]
            raise CertificateError("function", f"it cannot be traced with these arguments: {line}") from error
        if fingerprint(traced.graph) != self.function:
            raise CertificateError("function", "it was made for another function or other shapes")
        with jax.enable_x64(self.x64):
            try:
                self.prove(traced)
            except MALFORMED as error:
                raise CertificateError(self.kind, f"a field is malformed: {type(error).__name__}, {error}") from error
        return True

    def whole(self) -> None:
        """Raise CertificateError where a field is not what was sealed, or not of its type."""
        if self.seal != self._digest():
            raise CertificateError("seal", "the fields are not those that were sealed")
        self._of_its_types()

    def _of_its_types(self) -> None:
        """Raise CertificateError where a field holds something else than it is declared to hold."""
        hints = get_type_hints(type(self))
        for one in fields(self):
            if one.name != "subject" and not _fits(getattr(self, one.name), hints[one.name]):
                raise CertificateError(one.name, f"it is no {one.type}")

    @abstractmethod
    def prove(self, traced: Traced) -> None:
        """Prove the claim for a traced function, or raise CertificateError."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Pointed(Certificate):
    """A claim about a point, the arrays of the argument laid end to end."""

    point: tuple[float, ...]

    @classmethod
    def at_point(cls, subject: Subject, **content: Any) -> Self:
        """The certificate of a function at the subject's own point, sealed."""
        traced = subject.once
        return cls.made(subject, traced, point=tuple(map(float, given(traced))), **content)


@dataclass(frozen=True, eq=False, kw_only=True)
class Boxed(Certificate):
    """A claim about a box; `box_lower` and `box_upper` are the numbers of each array of the argument."""

    box_lower: tuple[tuple[float, ...], ...]
    box_upper: tuple[tuple[float, ...], ...]

    @classmethod
    def on_box(cls, subject: Subject, box: tuple[Any, Any], **content: Any) -> Self:
        """The certificate of a function on a box, two lists of arrays as the leaves of the argument; sealed."""
        return cls.made(subject, box_lower=flat(box[0]), box_upper=flat(box[1]), **content)

    def sides(self, traced: Traced) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The ends of the box as arrays of the argument's shapes.

        Raises CertificateError where they are no box of the function's argument.
        """
        low, high = shaped(self.box_lower, traced, "box_lower"), shaped(self.box_upper, traced, "box_upper")
        for a, b in zip(low, high, strict=True):
            if np.any(a > b):
                raise CertificateError("box_lower", "an end of the box is above the other")
            if np.any(np.isposinf(a) | np.isneginf(b)):
                raise CertificateError("box_lower", "no real number lies between two equal infinities")
        return low, high

    def ends(self, traced: Traced) -> tuple[np.ndarray, np.ndarray]:
        """The ends of the box as vectors, the arrays of the argument laid end to end; raises as `sides` does."""
        low, high = (np.concatenate([np.zeros(0), *map(np.ravel, side)]) for side in self.sides(traced))
        return low, high


def flat(leaves: Any) -> tuple[tuple[float, ...], ...]:
    """Arrays as tuples of their numbers."""
    return tuple(tuple(np.asarray(leaf).astype(np.float64).ravel().tolist()) for leaf in leaves)


def shaped(numbers: Any, traced: Traced, name: str) -> list[np.ndarray]:
    """Tuples of numbers in the shapes of the free inputs of a traced function, if they fit."""
    shapes = [np.shape(leaf) for leaf in traced.parameters]
    sizes = [int(np.prod(shape)) for shape in shapes]
    if [len(leaf) for leaf in numbers] != sizes:
        raise CertificateError(name, f"it has {[len(leaf) for leaf in numbers]} numbers, the function takes {sizes}")
    found = [np.array(leaf, np.float64).reshape(shape) for leaf, shape in zip(numbers, shapes, strict=True)]
    if any(np.isnan(leaf).any() for leaf in found):
        raise CertificateError(name, "it holds NaN")
    return found


def placed(traced: Traced, values: Any) -> list[Any]:
    """The inputs of a traced function with values put for the free ones."""
    inputs = list(traced.leaves)
    for position, value in zip(traced.free, values, strict=True):
        inputs[position] = value
    return inputs


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type that is made of numbers, texts and tuples.

    >>> _fits(((1.0, 2),), tuple[tuple[float, ...], ...]), _fits((None,), tuple[float, ...]), _fits(True, int)
    (True, False, False)
    """
    if hint is Any:
        return True
    parts = get_args(hint)
    if get_origin(hint) is tuple:
        if not isinstance(value, tuple):
            return False
        if parts[1:] == (...,):
            return all(_fits(part, parts[0]) for part in value)
        return len(value) == len(parts) and all(map(_fits, value, parts))
    if parts:
        return any(_fits(value, part) for part in parts)
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, int | float if hint is float else hint)


def _frozen(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_frozen(part) for part in value)
    return float(value) if isinstance(value, np.floating) else int(value) if isinstance(value, np.integer) else value


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not np.isfinite(value):
        return "NaN" if np.isnan(value) else "inf" if value > 0 else "-inf"
    return value


def _number(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_number(part) for part in value)
    return float(value) if isinstance(value, str) and value in ("inf", "-inf", "NaN") else value


def given(traced: Traced) -> np.ndarray:
    """The first argument's numbers, as the program takes them, as one vector of float64, exact.

    A number of Python or NumPy is rounded to the dtype of the graph's input: so it is where the program runs.
    """
    found = [np.zeros(0)]
    for place, leaf in zip(traced.free, traced.parameters, strict=True):
        taken = np.asarray(leaf).astype(traced.graph.inputs[place].dtype)
        found.append(taken.astype(np.float64).ravel())
    return np.concatenate(found)


def vector(numbers: Any, size: int, name: str) -> np.ndarray:
    """A field as a vector, if it is one of finite numbers."""
    try:
        found = np.array(numbers, np.float64)
    except (TypeError, ValueError):
        raise CertificateError(name, "it is no vector") from None
    if found.shape != (size,) or not np.all(np.isfinite(found)):
        raise CertificateError(name, f"it is no vector of {size} finite numbers")
    return found
