"""How surely a claim stands, and how the standings of premises combine.

A standing belongs to a claim, never to a number. The four are ordered by how much of the claim is secured,

    REFUTED  <  UNKNOWN  <  MEASURED  <  PROVED,

and this chain is a lattice whose meet is the minimum. The standing of "all of these hold" is the meet of
theirs: a proof is as strong as its weakest premise, so a measurement never becomes a proof by being built
upon; and one refuted premise refutes the conjunction, whatever is unknown beside it (strong three-valued
logic: Kleene, 1952, section 64, with MEASURED put between unknown and true).

A rule that runs one way only (premises => conclusion) says nothing once a premise is false: then the
conclusion is UNKNOWN, not REFUTED. A refutation itself needs no premise but its witness.
"""

from __future__ import annotations

from enum import StrEnum


class Standing(StrEnum):
    """How surely a claim stands; equal to its own text, ``Standing.PROVED == 'PROVED'``."""

    PROVED = "PROVED"
    MEASURED = "MEASURED"
    REFUTED = "REFUTED"
    UNKNOWN = "UNKNOWN"

    @property
    def strength(self) -> int:
        """The place in the chain, 0 for REFUTED to 3 for PROVED (texts compare by alphabet)."""
        return _CHAIN.index(self)


_CHAIN = (Standing.REFUTED, Standing.UNKNOWN, Standing.MEASURED, Standing.PROVED)


class AdviceStanding(StrEnum):
    """Why advice is given: it was tried, it is proved to change no value, or it is only assumed to help."""

    TRIED = "TRIED"
    PROVED_EQUAL = "PROVED EQUAL"
    ASSUMED = "ASSUMED"


def combine(*standings: Standing | str, one_way: bool = False) -> Standing:
    """The standing of a conclusion that holds when all premises hold.

    By default the conclusion *is* the conjunction of the premises, so a refuted one refutes it. With
    ``one_way`` the premises are only sufficient, and a refuted one leaves the conclusion UNKNOWN. Without
    premises there is nothing to secure: PROVED, the unit of the meet.

    >>> str(combine(Standing.PROVED, Standing.MEASURED))
    'MEASURED'
    >>> str(combine("UNKNOWN", "REFUTED")), str(combine("UNKNOWN", "REFUTED", one_way=True))
    ('REFUTED', 'UNKNOWN')
    """
    strength = min((Standing(standing).strength for standing in standings), default=Standing.PROVED.strength)
    if one_way:
        strength = max(strength, Standing.UNKNOWN.strength)
    return _CHAIN[strength]
