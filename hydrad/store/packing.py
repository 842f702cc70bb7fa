"""What travels from the journal to the data base, and its form as text on the way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
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
    ticket: str = ""  # unique over all changes; makes a change arrive once
    origin: str = ""  # the journal a change came through


def pack(parcel: Parcel) -> tuple[str, bytes | None]:
    """A parcel as ASCII text and the bytes of its heatmap."""
    document: dict[str, Any] = {}
    if parcel.entry is not None:
        document["entry"] = _plain(parcel.entry)
    if parcel.verdict is not None:
        document["verdict"] = _plain(parcel.verdict)
    if parcel.image is not None:
        document["image"] = _plain(parcel.image)
    if parcel.change is not None:
        document |= {"change": _plain(parcel.change), "ticket": parcel.ticket, "origin": parcel.origin}
    if parcel.opinion is not None:
        document["opinion"] = _plain(parcel.opinion)
    cells = None
    if parcel.heatmap is not None:
        cells = np.ascontiguousarray(parcel.heatmap, dtype=np.uint8)
        document["shape"] = cells.shape
    return _text(document), None if cells is None else cells.tobytes()


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
        ticket=document.get("ticket", ""),
        origin=document.get("origin", ""),
    )


def pack_verdict(verdict: Verdict) -> str:
    """A verdict as ASCII text."""
    return _text(_plain(verdict))


def unpack_verdict(text: str) -> Verdict:
    """The verdict again."""
    return _verdict(json.loads(text))


def pack_change(change: Change) -> str:
    """A change as ASCII text."""
    return _text(_plain(change))


def unpack_change(text: str) -> Change:
    """The change again."""
    return _change(json.loads(text))


def _plain(record: Verdict | LedgerEntry | Change | ImageFacts | Opinion) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _word(value: object) -> object:
    match value:
        case datetime():
            return value.isoformat()
        case Beam():
            return asdict(value)
        case Mapping():
            return dict(value)
        case _:
            raise TypeError(f"{value!r} has no form as text")


_text = json.JSONEncoder(separators=(",", ":"), default=_word).encode  # json.dumps would make one each time


def _verdict(words: dict[str, Any]) -> Verdict:
    beam = words["beam"]
    return Verdict(
        **words
        | {
            "status": Status(words["status"]),
            "severity": Severity(words["severity"]),
            "cause": Cause(words["cause"]),
            "judged_at": _moment(words["judged_at"]),
            "taken_at": _moment(words["taken_at"]),
            "meanings": {label: Meaning(meaning) for label, meaning in words["meanings"].items()},
            "beam": Beam(
                **beam
                | {
                    "state": BeamState(beam["state"]),
                    "read_at": _moment(beam["read_at"]),
                    "since": _moment(beam["since"]),
                }
            ),
        }
    )


def _entry(words: dict[str, Any]) -> LedgerEntry:
    return LedgerEntry(
        **words
        | {
            "outcome": Outcome(words["outcome"]),
            "seen_at": _moment(words["seen_at"]),
            "done_at": _moment(words["done_at"]),
        }
    )


def _change(words: dict[str, Any]) -> Change:
    return Change(**words | {"at": _moment(words["at"])})


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
