"""An answer as strict JSON, schema "qed/answer/1" (qed/report/answer.schema.json), and back.

JSON has no NaN, no infinity, no tuples and no classes. The rules, used wherever a value may be anything:

    float nan, inf, -inf         the strings "nan", "inf", "-inf"
    those strings themselves     {"$type": "str", "value": "nan"}
    tuples, lists, small arrays  lists; they come back as lists
    arrays of over 1000 numbers  {"$type": "array", "shape", "dtype", "min", "max", "nonfinite"}
    dataclasses, named tuples    {"$type": the name of the class, and the fields; not those with metadata json=False}
    mappings                     objects; {"$type": "dict", "items"} where a key is no text or is "$type"
    anything else                {"$type": the name of its class, "repr"}

The classes of qed/answer.py come back as themselves, all others as a `Record`: fields by name, no
behaviour, so that reading a file never imports or runs anything. Writing what was read gives the same data
again.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from qed.answer import Advice, Answer, Enclosed, Exact, Measured, Missing, Reason, Trial
from qed.findings import Finding
from qed.span import Span

SCHEMA = "qed/answer/1"
LARGEST_ARRAY = 1000

_NONFINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_CLASSES = {
    each.__name__: each for each in (Answer, Advice, Enclosed, Exact, Finding, Measured, Missing, Reason, Span, Trial)
}
# the fields of these classes that hold one of them, or a tuple of one of them, and so need no "$type"
_ONE: dict[str, type] = {"span": Span, "trial": Trial}
_MANY: dict[str, type] = {
    "premises": Reason, "reasons": Reason, "findings": Finding, "advice": Advice, "missing": Missing,
    "answers": Answer,
}  # fmt: skip
_LEFT_OUT = {"recheck", "seal", "_"}


@dataclasses.dataclass(frozen=True)
class Record:
    """An object that was read: the name of its class, and its fields as attributes.

    >>> Record("Spectrum", {"trace": 2.0}).trace
    2.0
    """

    type_name: str
    fields: Mapping[str, Any]

    def __getattr__(self, name: str) -> Any:
        if name in Record.__dataclass_fields__ or name.startswith("__"):
            raise AttributeError(name)
        try:
            return self.fields[name]
        except KeyError:
            msg = f"the {self.type_name} that was read has no field {name!r}"
            raise AttributeError(msg) from None

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.fields})


# -- writing


def to_json(answer: Answer[Any]) -> dict[str, Any]:
    """The answer as data for `json.dumps`, which needs neither NaN nor infinity.

    >>> data = to_json(Answer("the limit exists", "REFUTED", float("inf")))
    >>> data["schema"], data["standing"], data["value"]
    ('qed/answer/1', 'REFUTED', 'inf')
    """
    return {"schema": SCHEMA, **_fields(answer)}


def dumps(answer: Answer[Any], indent: int | None = 2) -> str:
    """The answer as strict JSON text."""
    return json.dumps(to_json(answer), indent=indent, allow_nan=False, ensure_ascii=False)


def _fields(instance: Any) -> dict[str, Any]:
    """The fields of one of the known classes: of an answer all, of the others those that say something."""
    written = {}
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        says_nothing = value is None or (isinstance(value, tuple) and not value)
        if field.name in _LEFT_OUT or (says_nothing and not isinstance(instance, Answer)):
            continue
        if field.name in _ONE:
            written[field.name] = None if value is None else _fields(value)
        elif field.name in _MANY:
            write = to_json if field.name == "answers" else _fields
            written[field.name] = [write(each) for each in value or ()]
        elif field.type in ("str", "str | None") and value is not None:
            written[field.name] = str(value)
        else:
            written[field.name] = encode(value)
    return written


def encode(value: Any) -> Any:
    """Any value as JSON data, by the rules above.

    >>> encode((1.5, float("nan"), "nan"))
    [1.5, 'nan', {'$type': 'str', 'value': 'nan'}]
    >>> encode({"a": None}), encode({1: 2})
    ({'a': None}, {'$type': 'dict', 'items': [[1, 2]]})
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return encode(value.value)
    if isinstance(value, str):
        return {"$type": "str", "value": str(value)} if value in _NONFINITE else str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, complex):
        return {"$type": "complex", "real": encode(value.real), "imag": encode(value.imag)}
    if hasattr(value, "dtype") and hasattr(value, "shape") and not dataclasses.is_dataclass(value):
        return _encode_array(value)
    return _encode_container(value)


def _encode_container(value: Any) -> Any:
    if isinstance(value, Record):
        return _tagged(value.type_name, value.fields)
    if type(value) in _CLASSES.values():
        return {"$type": type(value).__name__, **_fields(value)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = (field.name for field in dataclasses.fields(value) if field.metadata.get("json", True))
        return _tagged(type(value).__name__, {name: getattr(value, name) for name in names})
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _tagged(type(value).__name__, value._asdict())  # type: ignore[attr-defined]
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and key != "$type" for key in value):
            return {str(key): encode(item) for key, item in value.items()}
        return {"$type": "dict", "items": [[encode(key), encode(item)] for key, item in value.items()]}
    if isinstance(value, set | frozenset):
        return [encode(item) for item in sorted(value, key=repr)]
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    return _described(value)


def _tagged(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"$type": name, **{key: encode(item) for key, item in fields.items()}}


def _described(value: Any) -> dict[str, Any]:
    described = getattr(value, "__qualname__", None) or re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
    return {"$type": type(value).__name__, "repr": described}


def _encode_array(value: Any) -> Any:
    """NumPy and JAX arrays and scalars; a traced or keyed one, which has no numbers to show, by its repr."""
    import numpy as np

    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biufcUS":
            array = array.astype(np.float64)  # bfloat16 and the float8 formats
    except Exception:  # JAX raises errors of its own classes for tracers and keys
        return {"$type": "array", "shape": list(value.shape), "dtype": str(value.dtype)}
    if array.size <= LARGEST_ARRAY:
        return encode(array.tolist())
    described: dict[str, Any] = {"$type": "array", "shape": list(array.shape), "dtype": str(value.dtype)}
    if array.dtype.kind in "biuf":
        finite = array[np.isfinite(array)]
        if finite.size:
            described |= {"min": encode(finite.min().item()), "max": encode(finite.max().item())}
        described["nonfinite"] = int(array.size - finite.size)
    return described


# -- reading


def from_json(data: Mapping[str, Any] | str) -> Answer[Any]:
    """The answer that `to_json` or `dumps` wrote; ValueError for data of another schema.

    >>> from_json(to_json(Answer("the limit exists", "REFUTED", float("inf")))).value
    inf
    """
    found = json.loads(data) if isinstance(data, str) else data
    schema = found.get("schema") if isinstance(found, Mapping) else None
    if schema != SCHEMA:
        msg = f"expected the schema {SCHEMA!r}, found {schema!r}"
        raise ValueError(msg)
    return _read(Answer, found)


def _read(cls: Callable[..., Any], data: Mapping[str, Any]) -> Any:
    types = {field.name: field.type for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    values = {}
    for name, value in data.items():
        if name not in types:  # "schema", "$type", or a field that a later version added
            continue
        if name in _MANY:
            values[name] = tuple(_read(_MANY[name], each) for each in value)
        elif value is None or types[name] in ("str", "str | None"):
            values[name] = value
        elif name in _ONE:
            values[name] = _read(_ONE[name], value)
        else:
            values[name] = decode(value)
    return cls(**values)


def decode(data: Any) -> Any:
    """The value that `encode` wrote, as far as JSON keeps it.

    >>> decode([1.5, "inf", {"$type": "Spectrum", "trace": 2.0}])
    [1.5, inf, Record(type_name='Spectrum', fields={'trace': 2.0})]
    """
    if isinstance(data, str):
        return _NONFINITE.get(data, data)
    if isinstance(data, list):
        return [decode(item) for item in data]
    if not isinstance(data, Mapping):
        return data
    name = data.get("$type")
    if name is None:
        return {key: decode(item) for key, item in data.items()}
    if name == "str":
        return data["value"]
    if name == "complex":
        return complex(decode(data["real"]), decode(data["imag"]))
    if name == "dict":
        return {_as_key(decode(key)): decode(item) for key, item in data["items"]}
    if name in _CLASSES:
        return _read(_CLASSES[name], data)
    return Record(name, {key: decode(item) for key, item in data.items() if key != "$type"})


def _as_key(key: Any) -> Any:
    return tuple(_as_key(item) for item in key) if isinstance(key, list) else key
