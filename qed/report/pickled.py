"""What of an answer goes into a pickle: all it says, and nothing that cannot be taken to another process.

A certificate holds the graph it speaks of, a recheck the user's function; neither can be pickled in general (lambdas,
compiled functions). What can be is kept as it is. Of the rest the plain data stay, by the rules of qed/report/json.py:
the fields by name, no behaviour. Such an answer says the same and writes the same JSON; `check()` tells (QED007) that
the question has to be asked again, since plain data verify nothing.
"""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

from qed.report.json import Record, decode, encode

__all__ = ["state"]


def state(answer: Any) -> dict[str, Any]:
    """The fields of an answer for `pickle`, by name.

    >>> from qed.answer import Answer
    >>> state(Answer("f is even", "MEASURED", 1.0, recheck=lambda: True))["recheck"] is None
    True
    """
    fields = {each.name: answer.__dict__[each.name] for each in dataclasses.fields(answer) if each.name != "_"}
    certificate = kept(fields["certificate"])
    seal = fields["seal"] if certificate is fields["certificate"] else None
    rest = {name: kept(fields[name]) for name in ("value", "error", "meta")}
    return fields | rest | {"certificate": certificate, "seal": seal, "recheck": None}


def kept(value: Any) -> Any:
    """The value itself if it can be pickled; if not, its fields that can, and of the others their plain data."""
    if _pickles(value):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        shown = [each.name for each in dataclasses.fields(value) if each.metadata.get("json", True)]
        return Record(type(value).__name__, {name: kept(getattr(value, name)) for name in shown})
    if isinstance(value, dict):
        return {key: kept(item) for key, item in value.items()}
    if isinstance(value, tuple | list) and not hasattr(value, "_asdict"):
        made = [kept(item) for item in value]
        return tuple(made) if isinstance(value, tuple) else made
    return decode(encode(value))


def _pickles(value: Any) -> bool:
    try:
        pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception:  # what a class raises that cannot be pickled is its own
        return False
    return True
