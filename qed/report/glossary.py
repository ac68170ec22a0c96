"""The terms that an answer uses, each explained once, where it first appears.

A gloss is a few plain words, no definition; the topic pages (``qed explain``) define. It stands in brackets
behind the term, "λmax (steepest curvature) = 2.2e5", or where the term is part of a formula behind the
sentence, "the limit 2/λmax = 9.0e-06 (λmax: steepest curvature)".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

# a regular expression for the ways a term is written, and its gloss; longer terms before shorter ones
TERMS: tuple[tuple[str, str], ...] = (
    (r"lambda_max|λ_?max", "steepest curvature"),
    (r"Hessian[- ](?:vector )?products?", "about the cost of two gradients each"),
    (r"Hessian", "matrix of the second derivatives"),
    (r"(?:stiff|stiffest) direction", "where the loss bends most"),
    (r"log-sum-exp|logsumexp", "log of a sum of exponentials"),
    (r"residual bound", "how far the eigenvalue can be off"),
    (r"Lanczos", "extreme eigenvalues from a few products"),
    (r"condition number", "largest curvature over smallest"),
    (r"adjoint", "derivative of the loss by this value"),
    (r"momentum", "each step keeps part of the step before"),
    (r"subnormal", "so small that digits are lost"),
    (r"ulps?", "distance to the neighbouring floating-point number"),
)

_PATTERNS = tuple((re.compile(rf"(?<![\w.])(?:{term})(?![\w(]|-\w)", re.IGNORECASE), gloss) for term, gloss in TERMS)


@dataclass
class Glossary:
    """Which terms were explained already, on one screen.

    >>> glossary = Glossary()
    >>> glossary.explain("the limit is 2/lambda_max")
    'the limit is 2/lambda_max (lambda_max: steepest curvature)'
    >>> glossary.explain("lambda_max, from 5 Hessian products")
    'lambda_max, from 5 Hessian products (about the cost of two gradients each)'
    """

    explained: set[str] = field(default_factory=set)

    def explain(self, text: str) -> str:
        """The text, with a gloss for each term that appears for the first time."""
        found, rest = [], text
        for pattern, gloss in _PATTERNS:
            match = pattern.search(rest)
            if match is None:
                continue
            rest = pattern.sub(lambda term: "\0" * len(term.group()), rest)
            if gloss not in self.explained and gloss not in text:
                found.append((match, gloss))
            self.explained.add(gloss)
        for match, gloss in sorted(found, key=lambda each: -each[0].end()):
            text = _with_gloss(text, match, gloss)
        return text


def _with_gloss(text: str, match: re.Match[str], gloss: str) -> str:
    """The gloss right behind a term that stands free; behind everything where it is part of a formula."""
    before, after = text[: match.start()], text[match.end() :]
    if re.search(r"(^|[\s(])$", before) and re.match(r"$|[\s,.;:]", after):
        return f"{before}{match.group()} ({gloss}){after}"
    if after.startswith(")"):
        return f"{before}{match.group()}, {gloss}{after}"
    return f"{text} ({match.group()}: {gloss})"
