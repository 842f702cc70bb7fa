"""Entries of the log as people and programs read them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from hydrad.domain import Beam, zulu
from hydrad.store.history.episodes import Episode


class BeamShown(BaseModel):
    """The beam when it was worst."""

    state: str
    current: float | None
    units: str


class Seen(BaseModel):
    """Somebody has seen it."""

    person: str
    comment: str
    at: str


class Written(BaseModel):
    """Somebody put it into the logbook."""

    title: str
    person: str
    at: str
    reference: str


class EpisodeShown(BaseModel):
    """An unbroken stretch in which a plot was not well; times are ISO 8601 in UTC."""

    id: int
    plot: str
    detector: str
    status: str = Field(description="The worst of it; label to reason, beam, verdict and image are those of its worst")
    severity: str
    label: str | None
    confidence: float | None
    reason: str
    started_at: str
    alarmed_at: str | None = Field(
        description="Since when it was BAD or NODATA and alarmed by itself, not as part of a flood"
    )
    last_at: str = Field(description="When it was last judged")
    ended_at: str | None = Field(description="None while it lasts")
    duration_s: float
    images: int
    first_run: int | None
    last_run: int | None
    beam: BeamShown
    verdict_id: int
    sha256: str | None = Field(description="None where there is no image, or it is no longer kept")
    heatmap: bool
    acknowledged_at: str | None
    acknowledged_by: str | None
    acknowledgements: list[Seen]
    entries: list[Written]
    version: str = Field(description="Another whenever anything of it has changed but its duration")


def shown(episode: Episode, now: datetime) -> EpisodeShown:
    """An episode as the API has it."""
    facts: dict[str, Any] = {
        name: getattr(episode, name)
        for name in (
            *("id", "plot", "detector", "label", "confidence", "reason", "images", "first_run", "last_run"),
            *("verdict_id", "sha256", "heatmap", "acknowledged_by"),
        )
    }
    times = ("started_at", "alarmed_at", "last_at", "ended_at", "acknowledged_at")
    return EpisodeShown(
        **facts,
        **{name: zulu(getattr(episode, name)) for name in times},
        status=episode.status.name,
        severity=episode.severity.name,
        duration_s=round(episode.lasted_s(now), 3),
        beam=BeamShown(state=episode.beam.state.name, current=episode.beam.current, units=episode.beam.units),
        acknowledgements=[
            Seen(person=one.person, comment=one.comment, at=str(zulu(one.at))) for one in episode.acknowledgements
        ],
        entries=[
            Written(title=one.title, person=one.person, at=str(zulu(one.at)), reference=one.reference)
            for one in episode.entries
        ],
        version=version(episode),
    )


def version(episode: Episode) -> str:
    """Another whenever anything of it has changed but its duration."""
    stamp = f"{episode.last_at.timestamp():.6f}"
    return f"{stamp}-{'e' if episode.ended_at else 'l'}-{len(episode.acknowledgements)}-{len(episode.entries)}"


def legible(episode: Episode) -> Episode:
    """The same with texts that have a UTF-8 form: names come from files, whose names may be any bytes."""
    return replace(
        episode,
        plot=sayable(episode.plot),
        detector=sayable(episode.detector),
        label=None if episode.label is None else sayable(episode.label),
        reason=sayable(episode.reason),
    )


def sayable(text: str) -> str:
    """The text, or where it has no UTF-8 form, how one would write it."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def span(seconds: float) -> str:
    """A stretch of time in one or two units."""
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    if whole < 6000:
        return f"{round(whole / 60)} min"
    if whole < 172_800:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def beam_words(beam: Beam) -> str:
    """A beam in short: its current, or why there is none."""
    if beam.current is None:
        return beam.state.name
    return f"{beam.current:.3g} {beam.units}".rstrip() + ("" if beam.state.name == "ON" else f" ({beam.state.name})")


def runs(episode: Episode) -> str:
    """The runs it was seen in."""
    first, last = episode.first_run, episode.last_run
    if first is None or last is None or first == last:
        return "" if first is None and last is None else str(last if first is None else first)
    return f"{first}–{last}"


COLUMNS: Final = (
    "id", "plot", "detector", "status", "severity", "label", "confidence", "reason", "started_utc", "started_local",
    "ended_utc", "ended_local", "lasts", "duration_s", "images", "first_run", "last_run", "beam_state",
    "beam_current", "beam_units", "acknowledged_by", "acknowledged_utc", "acknowledged_local", "comment", "logbook",
    "image_sha256",
)  # fmt: skip


def table(episodes: Iterable[Episode], zone: ZoneInfo, now: datetime) -> Iterator[str]:
    """The lines of a CSV file (RFC 4180), the names of the columns first.

    A text that a spreadsheet would take for a formula gets an apostrophe before it; numbers stay numbers.
    """
    yield _line(COLUMNS)
    for one in episodes:
        comments = [seen.comment for seen in one.acknowledgements]
        yield _line([
            one.id, one.plot, one.detector, one.status.name, one.severity.name, one.label, one.confidence, one.reason,
            *_both(one.started_at, zone), *_both(one.ended_at, zone), "yes" if one.ended_at is None else "no",
            round(one.lasted_s(now), 1), one.images, one.first_run, one.last_run, one.beam.state.name,
            one.beam.current, one.beam.units, one.acknowledged_by, *_both(one.acknowledged_at, zone),
            comments[-1] if comments else None, "; ".join(entry.reference for entry in one.entries), one.sha256,
        ])  # fmt: skip


def _both(moment: datetime | None, zone: ZoneInfo) -> tuple[str | None, str | None]:
    return zulu(moment), None if moment is None else f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def _line(cells: Iterable[object]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([_harmless(cell) for cell in cells])
    return out.getvalue()


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else cell
