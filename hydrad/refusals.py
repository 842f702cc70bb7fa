"""Why a document was refused: one sentence per fault, by the key as it stands in the file, and never a secret."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

Place = tuple[int | str, ...]

WORDS = {  # where pydantic's own are those of a programmer
    "dict_type": "should be a table",
    "extra_forbidden": "is no key of this table",
    "mapping_type": "should be a table",
    "missing": "is missing",
    "model_attributes_type": "should be a table",
    "model_type": "should be a table",
    "path_type": "should be a path",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "tuple_type": "should be a list",
}
COMPLETE = {"extra_forbidden", "missing", "string_too_short", "too_short"}  # nothing is learnt from the value


def sentences(fault: ValidationError, *, unions: Mapping[str, frozenset[str]]) -> list[str]:
    """Name every fault of a document.

    Args:
        unions: keys whose table is one of several, with the tags that pydantic has for them and the file does not.
    """
    return [_sentence(error, _in_the_file(error["loc"], unions)) for error in fault.errors(include_url=False)]


def _in_the_file(loc: Place, unions: Mapping[str, frozenset[str]]) -> Place:
    tagged = len(loc) > 1 and loc[1] in unions.get(str(loc[0]), frozenset())
    return loc[:1] + loc[2:] if tagged else loc


def _sentence(error: Any, place: Place) -> str:
    key = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")
    return f"{key}: {_complaint(error, place)}"


def _complaint(error: Any, place: Place) -> str:
    kind, value = error["type"], error["input"]
    if kind == "value_error":
        return str(error["ctx"]["error"])
    words = WORDS.get(kind) or error["msg"].replace("Input should", "should").replace("String should", "should")
    if kind in COMPLETE:
        return words
    if kind == "unknown_kind":
        value = value.get("kind")
    return f"{words}, not {_shown(value, secret=place[0] == 'store')}"


def _shown(value: Any, *, secret: bool) -> str:
    """A value as a sentence may show it: short, and no text from a table where a password may stand."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, str):
        return "this text" if secret else reprlib.repr(value)
    if isinstance(value, Sequence):
        return "a list"
    try:
        return reprlib.repr(value)
    except ValueError:  # Python writes no whole number of more than 4300 digits
        return "a number as long as this"
