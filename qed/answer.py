"""The answer: a claim, how surely it stands, the value, and the reasons; everything that qed returns.

A claim is a sentence that is true or false, with its quantifiers and its region. Its standing
(qed/standing.py) belongs to it and never to the number: "the largest eigenvalue is 2.2e5 within 1 %" may be
MEASURED while the claim that it lies in [2.1e5, 2.3e5] is PROVED, and the number is the same. Two rules are
kept by the constructors, so that no answer can break them:

- PROVED needs a certificate and ends that enclose something, UNKNOWN says what is missing, and tried advice
  carries its trial;
- a MEASURED reason carries what was predicted *and* what was observed, or says why nothing was predicted.

Everything here is frozen and knows no JAX; texts, HTML and JSON are written by qed/report, found by name
through qed/_lazy.py.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from qed import _lazy
from qed.errors import CertificateError, QedError
from qed.findings import Finding
from qed.span import Span
from qed.standing import AdviceStanding, Standing, combine

if TYPE_CHECKING:
    from typing import Self

__all__ = [
    "Advice",
    "AdviceStanding",
    "Answer",
    "Enclosed",
    "Error",
    "Exact",
    "Measured",
    "Missing",
    "Reason",
    "Standing",
    "Trial",
    "combine",
]

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Exact:
    """The value is the number meant, without any error."""


@dataclass(frozen=True)
class Enclosed:
    """The number meant lies in [lower, upper], ends included."""

    lower: Any
    upper: Any


@dataclass(frozen=True)
class Measured:
    """The number meant is estimated to lie within `error` (absolute) of the value, by `method`."""

    error: Any
    method: str
    seed: int | None = None


Error: TypeAlias = Exact | Enclosed | Measured

_NOTHING = object()


def _set(instance: object, **values: Any) -> None:
    """Write fields of a frozen dataclass while it is being made."""
    for name, value in values.items():
        object.__setattr__(instance, name, value)


@dataclass(frozen=True)
class Reason:
    """Why a claim holds: the rule, its formula, the same with the numbers in, and the reasons below it.

    `role` is the word in the left margin (because, then, where, step, safe, instead, checked, ...), `text`
    the plain sentence beside it; `rule` names the theorem or the method. `predicted` and `observed` are
    what the mathematics said and what was seen. A MEASURED reason has both, or says in `unpredicted` why
    not:

    >>> Reason("growth factor", "|1 - s*l|", "|1 - 0.1 * 2.2e5|", predicted=22194.0, observed=22190.0,
    ...        standing="MEASURED").observed
    22190.0
    >>> Reason("Lanczos", standing="MEASURED")
    Traceback (most recent call last):
    ValueError: the MEASURED reason 'Lanczos' needs predicted and observed, or unpredicted='why there is none'
    """

    rule: str
    formula: str | None = None
    with_numbers: str | None = None
    predicted: Any = None
    observed: Any = None
    premises: tuple[Reason, ...] = ()
    span: Span | None = None
    role: str = "because"
    standing: Standing | None = None
    unpredicted: str | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        standing = None if self.standing is None else Standing(self.standing)
        _set(self, premises=tuple(self.premises), standing=standing)
        paired = self.predicted is not None and self.observed is not None
        if standing is Standing.MEASURED and not paired and not self.unpredicted:
            msg = f"the MEASURED reason {self.rule!r} needs predicted and observed, or unpredicted='why there is none'"
            raise ValueError(msg)


@dataclass(frozen=True)
class Trial:
    """What happened when advice was followed: the loss from `start` to `end` in `steps` steps.

    `rises` counts the steps after which the loss was higher, `finite` says whether every number stayed
    finite, `losses` is the curve, thinned out, and `seconds` what the trial took.
    """

    steps: int
    start: float
    end: float
    rises: int
    finite: bool
    losses: tuple[float, ...] = ()
    seconds: float | None = None

    def __post_init__(self) -> None:
        _set(self, losses=tuple(self.losses))


@dataclass(frozen=True)
class Advice:
    """What to do instead, with what happened when it was tried; `patch` is the change as text.

    Without a standing given, advice with a trial is TRIED and other advice ASSUMED.

    >>> str(Advice("step 0.01", trial=Trial(400, 1.1, 0.04, 0, True)).standing)
    'TRIED'
    >>> Advice("step 0.01", standing="TRIED")
    Traceback (most recent call last):
    ValueError: the advice 'step 0.01' is called TRIED but carries no trial
    """

    what: str
    patch: str | None = None
    trial: Trial | None = None
    standing: AdviceStanding | None = None

    def __post_init__(self) -> None:
        default = AdviceStanding.ASSUMED if self.trial is None else AdviceStanding.TRIED
        standing = default if self.standing is None else AdviceStanding(self.standing)
        if standing is AdviceStanding.TRIED and self.trial is None:
            msg = f"the advice {self.what!r} is called TRIED but carries no trial"
            raise ValueError(msg)
        _set(self, standing=standing)


@dataclass(frozen=True)
class Missing:
    """Something not known: what, what would settle it, and at which cost (seconds, or a text).

    Where a rule is missing, `primitive` and `span` say of what and where.
    """

    what: str
    settle: str | None = None
    code: str | None = None
    primitive: str | None = None
    span: Span | None = None
    cost: float | str | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Answer(Generic[T_co]):
    """A claim with its standing, and a value of the type T that says what it found.

    `value` is the plain number, array or dataclass; `error` how far it may be off; `arithmetic` what the
    claim speaks about ('reals', 'float32', ...; '' where it is that of the answer that holds this one, or where
    nothing was computed). `headline` is the one plain sentence a text leads with,
    `subject` the left part of its title line, `meta` what surrounds the run (seconds, seed, versions),
    `answers` the answers this one is made of, and `recheck` a callable that repeats the measurement or
    replays the witness. `seal` is that of the certificate it was made with: another one proves another claim.

    >>> answer = Answer("the stable step ends at 9e-6", "MEASURED", 9e-6, error=Measured(1e-8, "Lanczos"))
    >>> answer
    Answer('the stable step ends at 9e-6', 9e-06 ± 1e-08, MEASURED)
    >>> answer.measured, round(answer.upper, 10)
    (True, 9.01e-06)
    >>> bool(answer)
    Traceback (most recent call last):
    TypeError: an Answer is neither true nor false: ask .proved, .refuted, .measured or .unknown

    What the answer lacks is looked up on its value: ``answer.kind`` is ``answer.value.kind``. Answers
    compare by identity, since their values may be arrays; compare ``to_json()`` to compare what they say.
    An answer can be pickled; what it says comes back, and ``check()`` then asks for the question anew.
    """

    claim: str
    standing: Standing
    value: T_co | None = None
    _: KW_ONLY
    arithmetic: str = ""
    error: Error | None = None
    reasons: tuple[Reason, ...] = ()
    findings: tuple[Finding, ...] = ()
    advice: tuple[Advice, ...] = ()
    missing: tuple[Missing, ...] = ()
    certificate: Any = None
    headline: str | None = None
    subject: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    answers: tuple[Answer[Any], ...] = ()
    recheck: Callable[[], Any] | None = None
    seal: str | None = None

    def __post_init__(self) -> None:
        if self.seal is None:
            _set(self, seal=getattr(self.certificate, "seal", None))
        for name in ("reasons", "findings", "advice", "missing", "answers"):
            _set(self, **{name: tuple(getattr(self, name))})
        spoken = self.arithmetic or next((part.arithmetic for part in self.answers if part.arithmetic), "")
        _set(self, standing=Standing(self.standing), meta=dict(self.meta), arithmetic=spoken)
        if self.standing is Standing.PROVED and self.certificate is None:
            msg = f"PROVED needs a certificate; the claim is {self.claim!r}"
            raise ValueError(msg)
        if self.standing is Standing.PROVED and _encloses_nothing(self.error, self.value):
            msg = f"{self.error} encloses nothing, so nothing is PROVED; the claim is {self.claim!r}"
            raise ValueError(msg)
        if self.standing is Standing.UNKNOWN and not self.missing:
            msg = f"UNKNOWN must say what is missing; the claim is {self.claim!r}"
            raise ValueError(msg)

    @property
    def proved(self) -> bool:
        """Whether the claim is PROVED."""
        return self.standing is Standing.PROVED

    @property
    def measured(self) -> bool:
        """Whether the claim is MEASURED."""
        return self.standing is Standing.MEASURED

    @property
    def refuted(self) -> bool:
        """Whether the claim is REFUTED: it is false, and a witness shows it."""
        return self.standing is Standing.REFUTED

    @property
    def unknown(self) -> bool:
        """Whether the claim is UNKNOWN; `missing` says what would settle it."""
        return self.standing is Standing.UNKNOWN

    @property
    def lower(self) -> Any:
        """A lower end for the number meant: the value if exact, -inf if nothing is known about it."""
        return self._end(-1)

    @property
    def upper(self) -> Any:
        """An upper end for the number meant: the value if exact, +inf if nothing is known about it."""
        return self._end(+1)

    def _end(self, side: int) -> Any:
        if self.standing is Standing.UNKNOWN:
            return side * math.inf
        match self.error:
            case Enclosed(lower, upper):
                return lower if side < 0 else upper
            case Exact():
                return self.value
            case Measured(error=error):
                number: Any = self.value
                return number + side * error
        if _is_numeric(self.value):
            return side * math.inf
        raise AttributeError  # __getattr__ looks on the value next

    def walk(self) -> Iterator[Answer[Any]]:
        """This answer and all it is made of, each before its parts.

        >>> part = Answer("a", "REFUTED")
        >>> [each.claim for each in Answer("all", "REFUTED", answers=(part,)).walk()]
        ['all', 'a']
        """
        yield self
        for answer in self.answers:
            yield from answer.walk()

    def check(self) -> bool:
        """Check again, by other code than what found it: True, or an error that says what does not hold.

        A certificate is verified; without a proof the `recheck` callable replays the witness or repeats the
        measurement with another seed. An answer that carries neither (one read from JSON, say) raises QED007.
        """
        if self.proved:
            verify = getattr(self.certificate, "verify", None)
            if verify is None:
                raise _nothing_to_check(self.claim, "its certificate is plain data without verify()")
            if self.seal != getattr(self.certificate, "seal", None):
                raise CertificateError("seal", "this is not the certificate that the answer was made with")
            if verify() is False:
                raise CertificateError(type(self.certificate).__name__, "verify() returned False")
            return True
        if self.recheck is None:
            raise _nothing_to_check(self.claim, "it carries neither a certificate nor a recheck")
        again = self.recheck()
        if again is False or (isinstance(again, Answer) and again.standing is not self.standing):
            seen = again.standing if isinstance(again, Answer) else "False"
            because = f"the standing was {self.standing}, and checking again gave {seen}"
            raise _not_confirmed(self.claim, because)
        return True

    def to_json(self) -> dict[str, Any]:
        """What the answer says, as strict JSON data (schema "qed/answer/1"); `recheck` is left out."""
        return _lazy.resolve("_to_json")(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | str) -> Self:
        """The answer that `to_json` wrote, from its data or its text."""
        return _lazy.resolve("_from_json")(data)

    def __bool__(self) -> bool:
        msg = "an Answer is neither true nor false: ask .proved, .refuted, .measured or .unknown"
        raise TypeError(msg)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in type(self).__dataclass_fields__:
            msg = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(msg)
        found = getattr(self.value, name, _NOTHING)
        if found is _NOTHING or (isinstance(self.value, str) and name in ("lower", "upper")):
            kind = type(self.value).__name__
            msg = f"neither the Answer nor its value (of type {kind}) has an attribute {name!r}"
            raise AttributeError(msg, name=name, obj=self)
        return found

    def __dir__(self) -> list[str]:
        public = (name for name in dir(self.value) if not name.startswith("_"))
        return sorted({*super().__dir__(), *(public if self.value is not None else ())})

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return replace(self, value=copy.deepcopy(self.value, memo))

    def __getstate__(self) -> dict[str, Any]:
        return _lazy.resolve("_state")(self)

    def __repr__(self) -> str:
        return _lazy.resolve("_repr")(self)

    def __str__(self) -> str:
        return _lazy.resolve("_text")(self)

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        yield from _lazy.resolve("_rich")(self, console, options)

    def _repr_html_(self) -> str:
        return _lazy.resolve("_html")(self)


def _encloses_nothing(error: Error | None, value: Any) -> bool:
    """Whether the ends are out of order or NaN; the value of what is undefined is NaN, and so are its ends."""
    if not isinstance(error, Enclosed):
        return False
    ends = error.lower, error.upper
    undefined = isinstance(value, float) and math.isnan(value)
    return all(isinstance(end, int | float) for end in ends) and not ends[0] <= ends[1] and not undefined


def _is_numeric(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int | float) or hasattr(value, "dtype")


def _nothing_to_check(claim: str, because: str) -> QedError:
    instead = "ask the question again, then check that answer"
    return QedError("QED007", f"nothing to check: {claim}", because, instead)


def _not_confirmed(claim: str, because: str) -> QedError:
    return QedError("QED021", f"not confirmed: {claim}", because, "treat the claim as UNKNOWN")
