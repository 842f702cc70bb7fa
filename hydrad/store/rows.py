"""Rows of the data base as what hydrad talks about, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, Row, Select, select

from hydrad.domain import (
    Beam,
    Change,
    Health,
    HeatMap,
    LedgerEntry,
    Meaning,
    Severity,
    Status,
    Verdict,
    zulu,
)
from hydrad.store.columns import digest
from hydrad.store.tables import ModelState, detectors, files, plots, verdicts

SILENT_AFTER: Final = timedelta(seconds=10)  # a daemon gives a sign of life more often than that

AT_ONCE = 1000  # rows read in one go


@dataclass(frozen=True, slots=True)
class FiledVerdict:
    """A verdict with the number of its row."""

    id: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class FiledChange:
    """A change with the number of its row; ``origin`` is the journal it came through, None for a page or a verb."""

    id: int
    origin: str | None
    change: Change


@dataclass(frozen=True, slots=True)
class PlotStanding:
    """What holds of a plot at present; everything after ``detector`` is empty before its first verdict."""

    plot: str
    detector: str | None
    status: Status = Status.UNKNOWN
    severity: Severity = Severity.INVALID
    reason: str = ""
    label: str | None = None
    confidence: float | None = None
    taken_at: datetime | None = None
    judged_at: datetime | None = None
    run: int | None = None
    bad_in_a_row: int = 0
    verdict_id: int | None = None


@dataclass(frozen=True, slots=True)
class Submission:
    """A file that a person handed in; ``taken_at`` is None until the daemon has taken it."""

    id: int
    path: str
    plot: str | None
    run: int | None
    by: str
    at: datetime
    taken_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Handled:
    """What became of a submission."""

    entry: LedgerEntry
    filed: FiledVerdict | None


@dataclass(frozen=True, slots=True)
class Model:
    """A bundle as the library lists it."""

    id: str
    state: ModelState
    registered_at: datetime
    moved_at: datetime  # into its present state
    card: Mapping[str, Any] = field(default_factory=dict)  # what its bundle.json says
    metrics: Mapping[str, Any] = field(default_factory=dict)
    fault: str | None = None  # why the daemon could not do as was decided; empty when it has, None before it answered


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A daemon's last sign of life."""

    host: str
    pid: int
    started_at: datetime
    beat_at: datetime
    version: str
    health: Health
    why: str = ""
    pending: int = 0  # files waiting
    details: Mapping[str, Any] | None = None  # beam, rates, stages, PV server, outbox, disk

    def is_fresh(self) -> bool:
        """Whether it was given just now: the daemon lives. One of a time to come says nothing."""
        return abs(datetime.now(UTC) - self.beat_at) < SILENT_AFTER


@dataclass(frozen=True, slots=True)
class FiledCanary:
    """The verdict on a known-bad image, as the data base has it."""

    sha256: str
    status: Status
    judged_at: datetime


@dataclass(frozen=True, slots=True)
class Label:
    """What a plot's label means, and the colour it is painted in."""

    meaning: Meaning
    colour: str  # as CSS writes it
    chosen: bool = False  # a person chose the colour


def verdict_row(verdict: Verdict, plot_id: int, detector_id: int, image_id: int | None) -> dict[str, Any]:
    """The columns of a verdict, without its heatmap."""
    beam = verdict.beam
    return {
        "digest": digest(verdict.key),
        "verdict_key": verdict.key,
        "plot_id": plot_id,
        "detector_id": detector_id,
        "image_id": image_id,
        "status": verdict.status,
        "severity": verdict.severity,
        "reason": verdict.reason,
        "judged_at": verdict.judged_at,
        "cause": verdict.cause,
        "beam_state": beam.state,
        "beam_current": beam.current,
        "beam_units": beam.units,
        "beam_read_at": beam.read_at,
        "beam_reason": beam.reason,
        "beam_since": beam.since,
        "bad_in_a_row": verdict.bad_in_a_row,
        "superseded": verdict.superseded,
        "path": verdict.path,
        "run": verdict.run,
        "chunk": verdict.chunk,
        "sha256": verdict.sha256,
        "taken_at": verdict.taken_at,
        "model": verdict.model,
        "label": verdict.label,
        "confidence": verdict.confidence,
        "scores": verdict.scores,
        "meanings": verdict.meanings,
        "confirmed": verdict.confirmed,
        "novelty": verdict.novelty,
    }


def heatmap_columns(heatmap: HeatMap | None) -> dict[str, Any]:
    """The columns of a verdict's heatmap."""
    if heatmap is None:
        return {"heatmap": None, "heatmap_rows": None, "heatmap_columns": None}
    rows, columns = heatmap.shape
    return {"heatmap": heatmap.tobytes(), "heatmap_rows": rows, "heatmap_columns": columns}


def heatmap_from(row: Row[*tuple[Any, ...]]) -> HeatMap | None:
    """A heatmap from its three columns."""
    if row.heatmap is None:
        return None
    return np.frombuffer(row.heatmap, dtype=np.uint8).reshape(row.heatmap_rows, row.heatmap_columns)


def select_verdicts() -> Select[Any]:
    """Everything of a verdict but its heatmap, for :func:`verdict_from`."""
    heavy = {"heatmap", "heatmap_rows", "heatmap_columns", "label_start"}
    return (
        select(
            *(column for column in verdicts.c if column.name not in heavy),
            plots.c.name.label("plot_name"),
            detectors.c.name.label("detector_name"),
        )
        .join(plots, plots.c.id == verdicts.c.plot_id)
        .join(detectors, detectors.c.id == verdicts.c.detector_id)
    )


def standing_words(row: Any) -> dict[str, Any]:
    """What a :class:`PlotStanding` says, from a row of standings with the names of plot and detector."""
    if row.status is None:
        return {"plot": row.plot, "detector": row.detector}
    return {one.name: getattr(row, one.name) for one in fields(PlotStanding)}


def beam_from(row: Any) -> Beam:
    """The beam that a verdict was given with."""
    return Beam(row.beam_state, row.beam_current, row.beam_units, row.beam_read_at, row.beam_reason, row.beam_since)


def filed_verdicts(connection: Connection, numbers: Sequence[int]) -> list[FiledVerdict]:
    """The verdicts of these rows, by row number; those that are not there are left out."""
    found: list[FiledVerdict] = []
    for start in range(0, len(numbers), AT_ONCE):
        chunk = numbers[start : start + AT_ONCE]
        found += map(verdict_from, connection.execute(select_verdicts().where(verdicts.c.id.in_(chunk))))
    return sorted(found, key=lambda filed: filed.id)


def verdict_from(row: Row[Any]) -> FiledVerdict:
    """A verdict from a row of :func:`select_verdicts`."""
    verdict = Verdict(
        key=row.verdict_key,
        plot=row.plot_name,
        detector=row.detector_name,
        status=row.status,
        severity=row.severity,
        reason=row.reason,
        judged_at=row.judged_at,
        cause=row.cause,
        beam=beam_from(row),
        bad_in_a_row=row.bad_in_a_row,
        superseded=row.superseded,
        path=row.path,
        run=row.run,
        chunk=row.chunk,
        sha256=row.sha256,
        taken_at=row.taken_at,
        model=row.model,
        label=row.label,
        confidence=row.confidence,
        scores=row.scores,
        meanings={label: Meaning(meaning) for label, meaning in row.meanings.items()},
        confirmed=row.confirmed,
        novelty=row.novelty,
    )
    return FiledVerdict(row.id, verdict)


def select_files() -> Select[Any]:
    """What the ledger says of files, for :func:`entry_from`."""
    return select(files, plots.c.name.label("plot_name")).outerjoin(plots, plots.c.id == files.c.plot_id)


def entry_from(row: Row[Any]) -> LedgerEntry:
    """A ledger entry from a row of :func:`select_files`."""
    return LedgerEntry(
        path=row.path,
        size=row.size,
        mtime_ns=row.mtime_ns,
        outcome=row.outcome,
        reason=row.reason,
        seen_at=row.seen_at,
        done_at=row.done_at,
        plot=row.plot_name,
        run=row.run,
        sha256=row.sha256,
        submission=row.submission,
    )


def sighting_digest(entry: LedgerEntry) -> bytes:
    """What makes two entries one sighting of one file: handing it in by hand makes another."""
    return digest(entry.path, entry.size, entry.mtime_ns, entry.submission)


def change_row(change: Change, ticket: str, origin: str | None) -> dict[str, Any]:
    """The columns of a change."""
    return {
        "digest": digest(ticket),
        "origin": origin,
        "scope": digest(change.key, change.plot, change.detector),
        "setting": change.key,
        "plot": change.plot,
        "detector": change.detector,
        "value": change.value,
        "old": change.old,
        "person": change.by,
        "host": change.host,
        "changed_at": change.at,
        "via": change.via,
        "reason": change.reason,
    }


def change_from(row: Row[Any]) -> FiledChange:
    """A change from its row."""
    change = Change(
        key=row.setting,
        value=row.value,
        by=row.person,
        host=row.host,
        at=row.changed_at,
        via=row.via,
        plot=row.plot,
        detector=row.detector,
        old=row.old,
        reason=row.reason,
    )
    return FiledChange(row.id, row.origin, change)


def model_words(model: Model) -> dict[str, Any]:
    """A model as a JSON document."""
    return {
        "id": model.id,
        "state": model.state.value,
        "registered_at": zulu(model.registered_at),
        "moved_at": zulu(model.moved_at),
        "card": dict(model.card),
        "metrics": dict(model.metrics),
        "fault": model.fault,
    }


def model_from(words: Mapping[str, Any]) -> Model:
    """The model again."""
    return Model(
        id=words["id"],
        state=ModelState(words["state"]),
        registered_at=datetime.fromisoformat(words["registered_at"]),
        moved_at=datetime.fromisoformat(words["moved_at"]),
        card=words["card"],
        metrics=words["metrics"],
        fault=words.get("fault", ""),  # an earlier version of this program remembered only what was done
    )
