"""Which domain follows which primitive: the page docs/reference/coverage.md, generated from the rules themselves.

Each primitive has in each domain exactly one of

- *derived*: the rule of its class (or its fact card) is used;
- *special*: the domain has a rule for this primitive alone;
- *unknown*: declared; what is computed from it is UNKNOWN with the primitive and the user's line.

``python -m qed.domains.coverage FILE`` writes the page.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from qed import facts
from qed.domains.adjoint import Adjoint
from qed.domains.ball import Ball
from qed.domains.curvature import Curvature
from qed.domains.elements import Elements
from qed.domains.interval import Interval
from qed.domains.shadow import Shadow
from qed.domains.sparsity import Sparsity
from qed.domains.taylor import Taylor
from qed.domains.value import Value

DOMAINS = (Value, Shadow, Adjoint, Taylor, Interval, Ball, Curvature, Elements, Sparsity)
KINDS = ("derived", "special", "unknown")


def coverage() -> dict[str, dict[str, str]]:
    """For each primitive, in scope or not, its kind of rule in each domain.

    Example:
        >>> coverage()["exp"]["adjoint"], coverage()["exp"]["interval"]
        ('derived', 'derived')
        >>> coverage()["stop_gradient"]["adjoint"], coverage()["psum"]["value"]
        ('special', 'unknown')
    """
    names = sorted({*facts.CLASSES, *facts.OUT_OF_SCOPE})
    return {name: {domain.name: _kind(domain.rule(name)) for domain in DOMAINS} for name in names}


def _kind(rule: tuple[str, str] | None) -> str:
    return "unknown" if rule is None else rule[0]


def counts(table: Mapping[str, Mapping[str, str]]) -> dict[str, Counter[str]]:
    """How many primitives of each kind, for each domain."""
    return {domain.name: Counter(row[domain.name] for row in table.values()) for domain in DOMAINS}


def markdown() -> str:
    """The page."""
    table = coverage()
    inside = {name: row for name, row in table.items() if facts.classify(name) is not None}
    total = counts(inside)
    lines = [
        "# Which domain follows which primitive",
        "",
        "Written by `python -m qed.domains.coverage`; do not edit. *derived*: the rule of the primitive's class or its",
        "fact card is used. *special*: the domain has a rule for this primitive alone. *unknown*: declared; what is",
        "computed from it is UNKNOWN, with the primitive and the line.",
        "",
        f"{len(inside)} primitives that a loss can contain:",
        "",
        "| domain | " + " | ".join(KINDS) + " |",
        "|---|" + "---:|" * len(KINDS),
        *(f"| {d.name} | " + " | ".join(str(total[d.name][kind]) for kind in KINDS) + " |" for d in DOMAINS),
        "",
        "| primitive | class | " + " | ".join(d.name for d in DOMAINS) + " |",
        "|---|---|" + "---|" * len(DOMAINS),
        *(_row(name, row) for name, row in inside.items()),
        "",
        f"{len(table) - len(inside)} primitives are out of scope and unknown to every domain:",
        "",
    ]
    for reason in dict.fromkeys(facts.OUT_OF_SCOPE.values()):
        members = [name for name in table if name not in inside and facts.OUT_OF_SCOPE.get(name) == reason]
        lines += [f"- {reason}: " + ", ".join(f"`{name}`" for name in members)]
    return "\n".join(lines) + "\n"


def _row(name: str, row: Mapping[str, str]) -> str:
    kind = facts.classify(name)
    return f"| `{name}` | {kind.value if kind else ''} | " + " | ".join(row[d.name] for d in DOMAINS) + " |"


if __name__ == "__main__":
    page = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/reference/coverage.md")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(markdown(), encoding="utf-8")
