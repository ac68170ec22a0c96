"""What is shown of an answer, and in which order, before any layout.

    subject                                                    seconds
      the one plain sentence
    blocks      one for each part that something stands against: claim, standing, source line, reasons
    advice      the table of what was tried
    not known   what is missing, what would settle it, at which cost
    checked     one line for each part that nothing stands against
    footer      where to read on, and how many claims stand how

Text and HTML lay out this tree, so that they cannot disagree. Strings are cleaned here: control characters
go (a message may quote anything), and where the terminal cannot write a sign, its spelling is used (λ
becomes lambda).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from qed.answer import Advice, Answer, Missing, Reason, Trial
from qed.findings import Finding, Level
from qed.report.glossary import Glossary
from qed.report.value import short, with_error
from qed.span import Span, display_width
from qed.standing import Standing

_DEEPEST = 40  # levels of reasons that are unfolded; deeper, no screen is wide enough


@dataclass(frozen=True)
class Row:
    """A word in the left margin, a sentence, its standing in the right margin, and what unfolds below it."""

    role: str
    text: str
    standing: str = ""
    details: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Mark:
    """A line of the user's source, with carets under the part that is meant and a note beside them."""

    where: str
    line: str
    caret: str
    note: str


@dataclass(frozen=True)
class Block:
    """One claim: its code and name, its standing, the place, and the rows of reasons."""

    title: str
    claim: str
    standing: str
    mark: Mark | None
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Tried:
    """A row of the advice table; the numbers are texts, '' where the advice was not tried."""

    what: str
    loss: str
    rises: str
    finite: str
    steps: str
    standing: str
    patch: str


@dataclass(frozen=True)
class Screen:
    """All that is shown of an answer."""

    subject: str
    seconds: str
    lead: str
    blocks: tuple[Block, ...]
    advice_title: str
    advice: tuple[Tried, ...]
    unknown: tuple[str, ...]
    checked: tuple[Row, ...]
    codes: tuple[str, ...]
    counts: str
    folded: bool


SPELLED = {
    "λ": "lambda_", "Λ": "Lambda_", "σ": "sigma", "μ": "mu", "η": "eta", "β": "beta", "α": "alpha",
    "ε": "epsilon", "κ": "kappa", "π": "pi", "δ": "delta", "∇": "grad ", "∂": "d", "Σ": "sum ", "√": "sqrt",
    "±": "+/-", "×": "x", "·": "*", "−": "-", "–": "-", "—": "-", "→": "->", "⇒": "=>", "≤": "<=", "≥": ">=",
    "≠": "!=", "≈": "~", "∞": "inf", "…": "...", "²": "^2", "³": "^3", "½": "1/2", "ᵀ": "^T",
    "‘": "'", "’": "'", "“": '"', "”": '"', "\u00a0": " ",
}  # fmt: skip


@dataclass(frozen=True)
class Spelling:
    """How strings are cleaned for an output of one encoding.

    >>> Spelling("ascii").sentence("2/λmax ± 1e-6"), Spelling("utf-8").sentence("2/λmax")
    ('2/lambda_max +/- 1e-6', '2/λmax')
    """

    encoding: str = "utf-8"

    def _writable(self, text: str) -> bool:
        try:
            text.encode(self.encoding)
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    def sentence(self, text: str) -> str:
        """Prose: signs that cannot be written are spelled out."""
        text = "".join(c if c.isprintable() or c in "\n\u00a0" else " " for c in str(text))
        if self._writable(text):
            return text
        return "".join(c if self._writable(c) else SPELLED.get(c, "?") for c in text)

    def source(self, line: str) -> str:
        """Code: signs that cannot be written give way to as many question marks as they are wide."""
        line = "".join(c if c.isprintable() else " " for c in line)
        if self._writable(line):
            return line
        return "".join(c if self._writable(c) else "?" * display_width(c) for c in line)


@dataclass
class _Builder:
    """Builds the screen from top to bottom, so that a term is explained where the reader meets it first."""

    root: Answer[Any]
    why: bool
    spelling: Spelling
    glossary: Glossary = field(default_factory=Glossary)
    unfolded: set[int] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    folded: bool = False

    def prose(self, text: str) -> str:
        return self.glossary.explain(self.spelling.sentence(text))

    def standing(self, answer: Answer[Any]) -> str:
        """The standing, with its arithmetic where PROVED or where that is not the one of the whole answer."""
        if answer.arithmetic and (answer.proved or answer.arithmetic != self.root.arithmetic):
            return self.spelling.sentence(f"{answer.standing} ({answer.arithmetic})")
        return str(answer.standing)

    # -- reasons
    def row(self, reason: Reason, depth: int = 0) -> Row:
        """A reason; one that was unfolded above is not unfolded again, since proofs share their lemmas."""
        text = reason.text or reason.with_numbers or reason.formula or reason.rule
        is_code = reason.role == "instead" or "\n" in text
        shown = self.spelling.sentence(text) if is_code else self.prose(text)
        standing = "" if reason.standing is None else str(reason.standing)
        role = self.spelling.sentence(reason.role).replace("\n", " ")
        if not self.why:
            self.folded = True
            return Row(role, shown, standing)
        if reason.premises and id(reason) in self.unfolded:
            return Row(role, f"{shown} (as above)", standing)
        if reason.premises and depth == _DEEPEST:
            return Row(role, f"{shown} (its own reasons are in the JSON)", standing)
        self.unfolded.add(id(reason))
        return Row(role, shown, standing, tuple(self.details(reason, text, depth)))

    def details(self, reason: Reason, text: str, depth: int) -> Iterator[Row]:
        predicted = f"nothing: {reason.unpredicted}" if reason.unpredicted else short(reason.predicted)
        place = "" if reason.span is None else f"{reason.span}  {reason.span.text.strip()}".rstrip()
        for role, content in (
            ("rule", reason.rule),
            ("formula", reason.formula),
            ("numbers", reason.with_numbers),
            ("predicted", predicted),
            ("observed", short(reason.observed)),
            ("at", place),
        ):
            if content and content != text:
                yield Row(role, self.prose(content))
        for premise in reason.premises:
            yield self.row(premise, depth + 1)

    # -- one claim
    def block(self, answer: Answer[Any], findings: Iterable[Finding], claim: str, standing: str) -> Block:
        findings, title, mark, rows = list(findings), "", None, []
        if findings:
            first = findings[0]
            title, mark = f"{first.code} {first.name}", self.mark(first)
            beside = None if mark is None else mark.note
            unsaid = beside is None and (self.why or not answer.reasons)
            if unsaid or (self.why and beside != self.spelling.sentence(first.message)):
                rows.append(Row("witness", self.prose(first.message)))
        if claim:
            if self.why or not (findings and answer.reasons):  # where reasons tell it, the number is in them
                rows.extend(self.value(answer))
            rows.extend(self.row(reason) for reason in answer.reasons)
        for other in findings[1:]:
            place = "" if other.span is None else f"{other.span}: "
            rows.append(Row("also", self.prose(f"{other.code} {other.name}: {place}{other.message}")))
        return Block(title, self.spelling.sentence(claim), standing, mark, tuple(rows))

    def value(self, answer: Answer[Any]) -> Iterator[Row]:
        """The value with its error, where it can be said in a line and is not the sum of other answers."""
        value = with_error(answer)
        if value and not answer.answers and value != type(answer.value).__name__:
            yield Row("value", self.prose(value))

    def mark(self, finding: Finding) -> Mark | None:
        if finding.span is None:
            return None
        line, caret = finding.span.caret
        note = str((finding.witness or {}).get("note") or finding.message)
        where = self.spelling.sentence(str(finding.span))
        return Mark(where, self.spelling.source(line), caret.replace("\t", " "), self.spelling.sentence(note))

    def checked(self, answer: Answer[Any]) -> Row:
        notes = "; ".join(f"{each.code} {each.name}: {each.message}" for each in answer.findings)
        text = f"{answer.claim} ({notes})" if notes else answer.claim
        details = tuple(self.row(reason) for reason in answer.reasons) if self.why else ()
        self.folded = self.folded or (bool(answer.reasons) and not self.why)
        return Row("", self.prose(text), self.standing(answer), details)

    # -- advice and what is missing
    def advice(self) -> tuple[str, tuple[Tried, ...]]:
        found = [advice for answer in self.root.walk() for advice in answer.advice]
        first: dict[tuple[str, str | None], Advice] = {}
        for each in found:
            first.setdefault((each.what, each.patch), each)
        advice = first.values()
        steps = {each.trial.steps for each in advice if each.trial is not None}
        at = self.root.meta.get("at")
        start = f" from {at}" if isinstance(at, str) else ""
        same = len(steps) == 1 and all(each.trial is not None for each in advice)
        title = f"Advice, each tried for {min(steps)} steps{start}:" if same else "Advice:"
        has_instead = any(r.role == "instead" for answer in self.root.walk() for r in answer.reasons)
        with_patch = self.why or not has_instead
        return self.spelling.sentence(title), tuple(self.tried(each, same, with_patch) for each in advice)

    def tried(self, advice: Advice, same_steps: bool, with_patch: bool) -> Tried:
        trial, standing = advice.trial, "" if advice.standing == "TRIED" else str(advice.standing)
        patch = self.spelling.sentence(advice.patch or "") if with_patch else ""
        what = self.prose(advice.what)
        if trial is None:
            return Tried(what, "", "", "", "", standing, patch)
        finite = "yes" if trial.finite else "no"
        steps = "" if same_steps else str(trial.steps)
        return Tried(what, _change(trial), str(trial.rises), finite, steps, standing, patch)

    def all_missing(self) -> Iterable[tuple[Answer[Any], Missing]]:
        """Each thing that is missing once, with the answer closest to it."""
        found = [(answer, each) for answer in self.root.walk() for each in answer.missing]
        return {(each.what, each.primitive, each.span): (answer, each) for answer, each in found}.values()

    def missing(self, answer: Answer[Any], missing: Missing) -> str:
        place = "" if missing.span is None else f" ({missing.span})"
        primitive = missing.primitive
        what = missing.what if not primitive or primitive in missing.what else f"{missing.what}: {primitive}"
        if answer is not self.root and answer.unknown and answer.claim not in what:
            what = f"{answer.claim}: {what}"
        cost = f"{missing.cost:.3g} s" if isinstance(missing.cost, int | float) else missing.cost
        ways = [missing.settle and f"to settle it: {missing.settle}", cost and f"cost: {cost}"]
        hint = "; ".join(way for way in ways if way)
        return self.prose(f"{what}{place}" + (f" ({hint})" if hint else ""))

    # -- the whole
    def build(self) -> Screen:
        root = self.root
        lead = self.prose(root.headline) if root.headline else ""
        parts = [answer for answer in root.walk() if answer is not root]
        blocks, checked = self.blocks(parts)
        title, advice = self.advice()
        unknown = tuple(self.missing(answer, each) for answer, each in self.all_missing())
        rows = tuple(self.checked(answer) for answer in checked)
        findings = [finding for answer in root.walk() for finding in answer.findings]
        return Screen(
            subject=self.spelling.sentence(root.subject or ""),
            seconds=_seconds(root.meta),
            lead=lead,
            blocks=blocks,
            advice_title=title,
            advice=advice,
            unknown=unknown,
            checked=rows,
            codes=tuple(dict.fromkeys(finding.code for finding in findings)),
            counts=self.count(parts or [root], len(unknown)),
            folded=self.folded,
        )

    def blocks(self, parts: list[Answer[Any]]) -> tuple[tuple[Block, ...], list[Answer[Any]]]:
        """The blocks, and the parts that are only listed as checked; a note is a block where its answer asks for it."""
        root = self.root
        if not parts:
            return (self.block(root, root.findings, root.claim, self.standing(root)),), []
        blocks, checked = [], []
        for part in parts:
            against = any(each.level is not Level.NOTE for each in part.findings)
            if against or (part.findings and part.meta.get("block")) or (part.refuted and not part.findings):
                blocks.append(self.block(part, part.findings, part.claim, self.standing(part)))
            elif not part.unknown or part.findings:
                checked.append(part)
        told = {_key(finding) for part in parts for finding in part.findings}
        own = [finding for finding in root.findings if _key(finding) not in told]
        blocks.extend(self.block(root, [finding], "", "") for finding in own)
        if root.reasons:
            blocks.append(Block("", "", "", None, tuple(self.row(reason) for reason in root.reasons)))
        return tuple(blocks), checked

    def count(self, answers: Iterable[Answer[Any]], unknown: int) -> str:
        for answer in answers:
            if not answer.unknown:
                self.counts[answer.standing] += 1
            self.counts.update(each.standing for each in answer.reasons if each.standing is not None)
        words = [(Standing.REFUTED, "refuted"), (Standing.PROVED, "proved"), (Standing.MEASURED, "measured")]
        parts = [f"{self.counts[standing]} {word}" for standing, word in words if self.counts[standing]]
        return ", ".join([*parts, *([f"{unknown} not known"] if unknown else [])])


def screen(answer: Answer[Any], *, why: bool = False, encoding: str = "utf-8") -> Screen:
    """What is shown of an answer; with `why` the reasons are unfolded.

    >>> screen(Answer("the loss is finite", "MEASURED")).counts
    '1 measured'
    """
    return _Builder(answer, why, Spelling(encoding)).build()


def _key(finding: Finding) -> tuple[str, str, Span | None]:
    """What makes two findings the same; their witnesses may hold arrays, which do not compare."""
    return finding.code, finding.message, finding.span


def _change(trial: Trial) -> str:
    return f"{trial.start:.4g} -> {trial.end:.4g}"


def _seconds(meta: Mapping[str, Any]) -> str:
    seconds = meta.get("seconds")
    return f"{seconds:.1f} s" if isinstance(seconds, int | float) else ""
