"""What the log is asked: which faults there were and still are, who has seen them, and what was written of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, insert, or_, select, update
from sqlalchemy import func as sql

from hydrad.domain import Beam, Severity, Status
from hydrad.store.columns import digest
from hydrad.store.places import plot_number
from hydrad.store.queries import Store
from hydrad.store.rows import FiledVerdict, beam_from, select_verdicts, verdict_from
from hydrad.store.tables import (
    acknowledgements,
    detectors,
    episodes,
    hours,
    images,
    labels,
    logbook_entries,
    plots,
    verdicts,
)

LARGEST = 2**63 - 1
OF_A_RUN = 20_000  # episodes of one run that are looked at


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody has seen it, and said so."""

    person: str
    comment: str
    at: datetime  # aware, UTC


@dataclass(frozen=True, slots=True)
class Entry:
    """What somebody sent to the hall's logbook; ``reference`` is its address there, or the file handed over."""

    title: str
    person: str
    at: datetime  # aware, UTC
    reference: str


@dataclass(frozen=True, slots=True)
class Episode:
    """An unbroken stretch in which a plot was not well; ``status`` to ``reason`` and the image are of its worst."""

    id: int
    plot: str
    detector: str
    status: Status
    severity: Severity
    label: str | None
    confidence: float | None
    reason: str
    started_at: datetime  # aware, UTC, as are all times here
    alarmed_at: datetime | None  # since when it is BAD or NODATA with an alarm of its own; None: never was
    last_at: datetime  # its newest verdict
    ended_at: datetime | None  # None: it lasts
    images: int
    first_run: int | None
    last_run: int | None
    beam: Beam
    verdict_id: int  # the worst
    sha256: str | None  # of the worst verdict's image; None where it has none, or its bytes are no longer kept
    heatmap: bool  # the worst verdict has one
    acknowledged_at: datetime | None = None  # by the newest of ``acknowledgements``
    acknowledged_by: str | None = None
    acknowledgements: Sequence[Acknowledgement] = ()  # oldest first
    entries: Sequence[Entry] = ()  # oldest first

    def lasted_s(self, now: datetime) -> float:
        """How long it lasted, or has by now."""
        return max(0.0, ((self.ended_at or now) - self.started_at).total_seconds())


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of the log ended: those that last come first, the newest before the older; then the ended."""

    ended_at: datetime | None  # of the last that was shown, as is all of it
    started_at: datetime
    id: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which episodes; what is None or empty does not restrict."""

    since: datetime | None = None  # those that lasted then or began later
    until: datetime | None = None  # those that had begun by then
    run: int | None = None
    detector: str | None = None
    plot: str | None = None
    statuses: frozenset[Status] = frozenset()
    label: str | None = None
    acknowledged: bool | None = None


@dataclass(frozen=True, slots=True)
class Choices:
    """What one may ask for."""

    plots: Sequence[str]
    detectors: Sequence[str]
    labels: Sequence[str]


def find(
    store: Store, wanted: Wanted, *, limit: int = 100, before: Place | None = None
) -> tuple[Sequence[Episode], Place | None]:
    """A page of the log, and where the next begins; None: there is none.

    Args:
        limit: episodes of a page, at least 1.
        before: where the page before it ended.
    """
    with store.reading() as connection:
        conditions = _conditions(connection, wanted)
        if conditions is None:
            return [], None
        rows: list[Any] = []
        if before is None or before.ended_at is None:
            rows += _lasting(connection, wanted, conditions, before, limit + 1)
        if len(rows) <= limit:
            rows += _ended(connection, wanted, conditions, before, limit + 1 - len(rows))
        more = len(rows) > limit
        found = _told(connection, rows[:limit])
    return found, place_of(found[-1]) if more else None


def place_of(episode: Episode) -> Place:
    """Where the log goes on behind this one."""
    return Place(episode.ended_at, episode.started_at, episode.id)


def get(store: Store, number: int) -> Episode | None:
    """One episode."""
    with store.reading() as connection:
        found = _told(connection, connection.execute(_columns().where(episodes.c.id == min(number, LARGEST))).all())
    return found[0] if found else None


def count(store: Store, wanted: Wanted, *, up_to: int = 1000) -> int:
    """How many episodes there are, counted no further than ``up_to``."""
    with store.reading() as connection:
        conditions = _conditions(connection, wanted)
        if conditions is None:
            return 0
        lasting = _lasting(connection, wanted, conditions, None, up_to)
        return len(lasting) + len(_ended(connection, wanted, conditions, None, up_to - len(lasting)))


def acknowledge(store: Store, numbers: Iterable[int], *, comment: str, person: str, host: str) -> Sequence[Episode]:
    """Note that somebody has seen these; returns them as they are then. Numbers that are none are left out."""
    now = datetime.now(UTC)
    wanted = sorted({number for number in numbers if number <= LARGEST})
    with store.writing() as connection:
        there = list(connection.scalars(select(episodes.c.id).where(episodes.c.id.in_(wanted)).with_for_update()))
        if there:
            row = {"person": person, "host": host, "comment": comment, "acknowledged_at": now}
            connection.execute(insert(acknowledgements), [{"episode_id": number, **row} for number in there])
            change = update(episodes).where(episodes.c.id.in_(there))
            connection.execute(change.values(acknowledged_at=now, acknowledged_by=person))
        return _told(connection, connection.execute(_columns().where(episodes.c.id.in_(there))).all())


def note_entry(store: Store, episode: Episode, *, title: str, person: str, host: str, reference: str) -> None:
    """Note what was sent to the logbook."""
    row = {
        "episode_id": episode.id,
        "verdict_id": episode.verdict_id,
        "title": title,
        "person": person,
        "host": host,
        "made_at": datetime.now(UTC),
        "reference": reference,
    }
    with store.writing() as connection:
        connection.execute(insert(logbook_entries), [row])


def verdicts_until(store: Store, plot: str, until: datetime, *, limit: int) -> Sequence[FiledVerdict]:
    """A plot's last verdicts up to a time, newest first."""
    with store.reading() as connection:
        plot_id = plot_number(connection, plot)
        numbers = (
            select(verdicts.c.id)
            .where(verdicts.c.plot_id == plot_id, verdicts.c.judged_at <= until)
            .order_by(verdicts.c.judged_at.desc())
            .limit(limit)
        )
        query = select_verdicts().where(verdicts.c.id.in_(connection.scalars(numbers).all()))
        found = [verdict_from(row) for row in connection.execute(query)]
    return sorted(found, key=lambda filed: (filed.verdict.judged_at, filed.id), reverse=True)


def image_of(store: Store, verdict_id: int) -> tuple[str, str] | None:
    """SHA-256 and format of a verdict's image; None where it has none or its bytes are no longer kept."""
    query = (
        select(images.c.sha256, images.c.format)
        .join(verdicts, verdicts.c.image_id == images.c.id)
        .where(verdicts.c.id == verdict_id, images.c.kept)
    )
    with store.reading() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else (row.sha256, row.format)


def judged(store: Store, since: datetime, until: datetime) -> int:
    """How many images were judged in the hours that this time touches."""
    query = select(sql.coalesce(sql.sum(hours.c.images), 0)).where(
        hours.c.hour >= since.replace(minute=0, second=0, microsecond=0), hours.c.hour < until
    )
    with store.reading() as connection:
        return int(connection.scalar(query) or 0)


def choices(store: Store) -> Choices:
    """The names that a filter may be set to, in order."""
    with store.reading() as connection:
        names, theirs = (sorted(set(connection.scalars(select(table.c.name)))) for table in (plots, detectors))
        words = sorted(set(connection.scalars(select(labels.c.name).distinct())))
    return Choices(names, theirs, words)


# ---- how it is done ----


def _conditions(connection: Connection, wanted: Wanted) -> list[Any] | None:
    """What the rows must fulfil but for status, end and order; None: nothing can."""
    c = episodes.c
    found: list[Any] = []
    for table, name, column in ((plots, wanted.plot, c.plot_id), (detectors, wanted.detector, c.detector_id)):
        if name is not None:
            number = connection.scalar(select(table.c.id).where(table.c.digest == digest(name)))
            if number is None:
                return None
            found.append(column == number)
    if wanted.until is not None:
        found.append(c.started_at < wanted.until)
    if wanted.run is not None:
        if abs(wanted.run) > LARGEST:
            return None
        # By number first, out of the index of runs: it looks for the order's sake into another, and through all of it.
        theirs = select(c.id).where(c.first_run <= wanted.run, c.last_run >= wanted.run)
        found.append(c.id.in_(connection.scalars(theirs.limit(OF_A_RUN)).all()))
    if wanted.label is not None:
        found.append(c.label == wanted.label)
    if wanted.acknowledged is not None:
        found.append(c.acknowledged_at.is_not(None) if wanted.acknowledged else c.acknowledged_at.is_(None))
    return found


def _lasting(
    connection: Connection, wanted: Wanted, conditions: Sequence[Any], before: Place | None, limit: int
) -> list[Any]:
    """Those that last, the newest first; there is one a plot at most."""
    c = episodes.c
    query = _columns().where(c.ended_at.is_(None), *conditions)
    if wanted.statuses:
        query = query.where(c.status.in_(sorted(wanted.statuses)))
    if before is not None:
        query = query.where(_begun_before(before))
    return list(connection.execute(query.order_by(c.started_at.desc(), c.id.desc()).limit(limit)))


def _ended(
    connection: Connection, wanted: Wanted, conditions: Sequence[Any], before: Place | None, limit: int
) -> list[Any]:
    """Those that have ended, the latest first; by number first, out of an index, and then the rows."""
    if limit <= 0:
        return []
    c = episodes.c
    query = select(c.id, c.ended_at, c.started_at).where(c.ended_at.is_not(None), *conditions)
    if wanted.since is not None:
        query = query.where(c.ended_at >= wanted.since)
    if before is not None and before.ended_at is not None:
        # The first half alone is what an index can begin at.
        tied = and_(c.ended_at == before.ended_at, _begun_before(before))
        query = query.where(c.ended_at <= before.ended_at, or_(c.ended_at < before.ended_at, tied))
    query = query.order_by(c.ended_at.desc(), c.started_at.desc(), c.id.desc()).limit(limit)
    # One after the other: of several statuses at once a data base would sort all there are.
    queries = [query.where(c.status == one) for one in wanted.statuses] or [query]
    hits = [row for one in queries for row in connection.execute(one)]
    hits = sorted(hits, key=lambda row: (row.ended_at, row.started_at, row.id), reverse=True)[:limit]
    numbers = [row.id for row in hits]
    rows = {row.id: row for row in connection.execute(_columns().where(c.id.in_(numbers)))} if numbers else {}
    return [rows[number] for number in numbers if number in rows]


def _begun_before(place: Place) -> Any:
    c = episodes.c
    return or_(c.started_at < place.started_at, and_(c.started_at == place.started_at, c.id < place.id))


def _columns() -> Select[Any]:
    return (
        select(
            episodes,
            plots.c.name.label("plot"),
            detectors.c.name.label("detector"),
            *(verdicts.c[f"beam_{part}"] for part in ("state", "current", "units", "read_at", "reason", "since")),
            verdicts.c.heatmap_rows.is_not(None).label("heatmap"),
            images.c.sha256,
            images.c.kept,
        )
        .join(plots, plots.c.id == episodes.c.plot_id)
        .join(detectors, detectors.c.id == episodes.c.detector_id)
        .join(verdicts, verdicts.c.id == episodes.c.worst_verdict_id)
        .outerjoin(images, images.c.id == verdicts.c.image_id)
    )


def _told(connection: Connection, rows: Sequence[Any]) -> list[Episode]:
    """Rows with what people said of them."""
    numbers = [row.id for row in rows]
    seen: Mapping[int, list[Acknowledgement]] = defaultdict(list)
    written: Mapping[int, list[Entry]] = defaultdict(list)
    if numbers:
        query = select(acknowledgements).where(acknowledgements.c.episode_id.in_(numbers))
        for row in connection.execute(query.order_by(acknowledgements.c.id)):
            seen[row.episode_id].append(Acknowledgement(row.person, row.comment, row.acknowledged_at))
        query = select(logbook_entries).where(logbook_entries.c.episode_id.in_(numbers))
        for row in connection.execute(query.order_by(logbook_entries.c.id)):
            written[row.episode_id].append(Entry(row.title, row.person, row.made_at, row.reference))
    return [_episode(row, seen[row.id], written[row.id]) for row in rows]


def _episode(row: Any, seen: Sequence[Acknowledgement], written: Sequence[Entry]) -> Episode:
    return Episode(
        id=row.id,
        plot=row.plot,
        detector=row.detector,
        status=row.status,
        severity=row.severity,
        label=row.label,
        confidence=row.confidence,
        reason=row.reason,
        started_at=row.started_at,
        alarmed_at=row.alarmed_at,
        last_at=row.last_at,
        ended_at=row.ended_at,
        images=row.images,
        first_run=row.first_run,
        last_run=row.last_run,
        beam=beam_from(row),
        verdict_id=row.worst_verdict_id,
        sha256=row.sha256 if row.kept else None,
        heatmap=bool(row.heatmap),
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by,
        acknowledgements=tuple(seen),
        entries=tuple(written),
    )
