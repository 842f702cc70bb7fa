"""What travels from the journal to the data base, and its form as text on the way."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any

import numpy as np

from hydrad.domain import (
    Beam,
    BeamState,
    Cause,
    Change,
    HeatMap,
    LedgerEntry,
    Meaning,
    Outcome,
    Severity,
    Status,
    Verdict,
)
from hydrad.errors import HydradError


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the data base says of an image; its bytes lie in the images folder."""

    size: int  # bytes
    format: str
    width: int  # pixels
    height: int
    sampled: bool = True  # drawn to stay for labelling


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a model in shadow said of a verdict's image."""

    verdict_key: str
    model: str
    label: str
    confidence: float
    scores: Mapping[str, float]
    confirmed: bool  # by its own thresholds
    novelty: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Parcel:
    """What was found at one time and is to reach the data base together, or a person's change with its ticket."""

    entry: LedgerEntry | None = None
    verdict: Verdict | None = None
    image: ImageFacts | None = None
    heatmap: HeatMap | None = None
    change: Change | None = None
    opinion: Opinion | None = None
    canary: Verdict | None = None  # on a model's known-bad image, which is no plot's
    ticket: str = ""  # unique over all changes; makes a change arrive once
    origin: str = ""  # the journal a change or a canary came through


def pack(parcel: Parcel, verdict: str | None = None) -> tuple[str, bytes | None]:
    """A parcel as ASCII text and the bytes of its heatmap.

    Args:
        verdict: what :func:`spell` made of its verdict, by whoever has it already.
    """
    document: dict[str, Any] = {}
    if parcel.entry is not None:
        document["entry"] = _plain(parcel.entry)
        del document["entry"]["gone"]
    if parcel.image is not None:
        document["image"] = _plain(parcel.image)
    if parcel.change is not None:
        document |= {"change": _plain(parcel.change), "ticket": parcel.ticket, "origin": parcel.origin}
    if parcel.opinion is not None:
        document["opinion"] = _plain(parcel.opinion)
    if parcel.canary is not None:
        document |= {"canary": _plain(parcel.canary), "origin": parcel.origin}
        del document["canary"]["memory"]
    cells = None
    if parcel.heatmap is not None:
        cells = np.ascontiguousarray(parcel.heatmap, dtype=np.uint8)
        document["shape"] = cells.shape
    text = _text(document)
    if parcel.verdict is not None:
        spelled = verdict or spell(parcel.verdict)
        text = f'{{"verdict":{spelled},{text[1:]}' if document else f'{{"verdict":{spelled}}}'
    return text, None if cells is None else cells.tobytes()


class NoParcel(HydradError):
    """What lies in the journal is nothing this program writes."""


def unpack(text: str, cells: bytes | None) -> Parcel:
    """The parcel again; raises NoParcel for what is none."""
    try:
        return _unpack(text, cells)
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise NoParcel(f"is no parcel: {fault!r}") from fault


def _unpack(text: str, cells: bytes | None) -> Parcel:
    document = json.loads(text)
    heatmap = None
    if cells is not None:
        heatmap = np.frombuffer(cells, dtype=np.uint8).reshape(document["shape"])
    return Parcel(
        entry=_entry(document["entry"]) if "entry" in document else None,
        verdict=_verdict(document["verdict"]) if "verdict" in document else None,
        image=ImageFacts(**document["image"]) if "image" in document else None,
        heatmap=heatmap,
        change=_change(document["change"]) if "change" in document else None,
        opinion=Opinion(**document["opinion"]) if "opinion" in document else None,
        canary=_verdict(document["canary"]) if "canary" in document else None,
        ticket=document.get("ticket", ""),
        origin=document.get("origin", ""),
    )


def spell(verdict: Verdict) -> str:
    """A verdict as ASCII text, without its memory, which is nobody's but the journal's."""
    words = _plain(verdict)
    del words["memory"]
    return _text(words)


def pack_verdict(verdict: Verdict, spelled: str | None = None) -> str:
    """A verdict as ASCII text.

    Args:
        spelled: what :func:`spell` made of it, by whoever has it already.
    """
    return f'{(spelled or spell(verdict))[:-1]},"memory":{_text(verdict.memory)}}}'


def unpack_verdict(text: str) -> Verdict:
    """The verdict again."""
    return _verdict(json.loads(text))


def pack_change(change: Change) -> str:
    """A change as ASCII text."""
    return _text(_plain(change))


def unpack_change(text: str) -> Change:
    """The change again."""
    return _change(json.loads(text))


def _plain(record: Verdict | LedgerEntry | Change | ImageFacts | Opinion | Beam) -> dict[str, Any]:
    names, values = _of(type(record))  # type: ignore[arg-type]  # a class has a hash, whatever its instances have
    return dict(zip(names, values(record), strict=True))


@cache
def _of(kind: type[Any]) -> tuple[Sequence[str], Callable[[Any], Sequence[Any]]]:
    """The names of a record's fields, and what takes their values out of one."""
    names = [field.name for field in fields(kind)]
    return names, attrgetter(*names)


def _word(value: object) -> object:
    match value:
        case datetime():
            return value.isoformat()
        case Beam():
            return _plain(value)
        case Mapping():
            return dict(value)
        case _:
            raise TypeError(f"{value!r} has no form as text")


_STATUSES, _SEVERITIES, _CAUSES, _BEAM_STATES, _OUTCOMES = (
    {member.value: member for member in kind} for kind in (Status, Severity, Cause, BeamState, Outcome)
)  # which asking the enumerations takes several times as long as
_text = json.JSONEncoder(separators=(",", ":"), default=_word).encode  # json.dumps would make one each time


def _verdict(words: dict[str, Any]) -> Verdict:
    beam = words["beam"]
    beam["state"] = _BEAM_STATES[beam["state"]]
    beam["read_at"] = _moment(beam["read_at"])
    beam["since"] = _moment(beam["since"])
    words["beam"] = Beam(**beam)
    words["status"] = _STATUSES[words["status"]]
    words["severity"] = _SEVERITIES[words["severity"]]
    words["cause"] = _CAUSES[words["cause"]]
    words["judged_at"] = _moment(words["judged_at"])
    words["taken_at"] = _moment(words["taken_at"])
    words["meanings"] = _meanings(tuple(words["meanings"].items()))
    return Verdict(**words)


@lru_cache(256)  # a model's are the same in each of its verdicts
def _meanings(words: Sequence[tuple[str, str]]) -> Mapping[str, Meaning]:
    return {label: Meaning(meaning) for label, meaning in words}


def _entry(words: dict[str, Any]) -> LedgerEntry:
    words["outcome"] = _OUTCOMES[words["outcome"]]
    words["seen_at"] = _moment(words["seen_at"])
    words["done_at"] = _moment(words["done_at"])
    return LedgerEntry(**words)


def _change(words: dict[str, Any]) -> Change:
    return Change(**words | {"at": _moment(words["at"])})


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
